"""Exports against a reader that knows only struct and json, and names that mean harm."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import runs
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.records import event_dtype
from vision.errors import StoreError
from vision.record import export as module
from vision.record.columns import FIRST, read_as, select
from vision.record.export import FORMATS, export, printable, rows, summary
from vision.record.reader import Records, open_records
from vision.record.store import RecordWriter


def lines(records: Records, folder: Path, positions: np.ndarray | None = None) -> list[dict[str, Any]]:
    path = folder / "x.jsonl"
    export(records, "jsonl", path, positions, force=True)
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def table(records: Records, folder: Path) -> list[dict[str, str]]:
    path = folder / "x.csv"
    export(records, "csv", path, force=True)
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def arrow(records: Records, folder: Path) -> Any:
    path = folder / "x.parquet"
    export(records, "parquet", path, force=True)
    return pq.read_table(path)


def same(found: Any, expected: Any) -> bool:
    """Say whether a number is the expected one but for digits that mean nothing."""
    if isinstance(expected, float):
        return isinstance(found, float) and math.isclose(found, expected, rel_tol=6e-7, abs_tol=5.1e-7)
    return bool(found == expected)


@settings(max_examples=30)
@given(
    st.integers(0, 10_000), st.integers(2, 60), st.sampled_from([runs.START, None, "1999-12-31T23:59:59.9996+05:30"])
)
def test_every_format_says_what_the_records_say(seed: int, n: int, start_utc: str | None) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records = runs.run(folder, n, seed, runs.header(start_utc=start_utc))
        expected = runs.naive_events((folder / "events.gtr").read_bytes())
        found, cells, typed = lines(records, folder), table(records, folder), arrow(records, folder).to_pylist()
    assert len(found) == len(cells) == len(typed) == len(expected)
    for event, line, row, typed_row in zip(expected, found, cells, typed, strict=True):
        assert set(line) == set(event)
        assert tuple(line)[: len(FIRST)] == FIRST
        for key, value in event.items():
            assert same(line[key], value), key
            assert row[key] == ("" if line[key] is None else str(line[key])), key
            if key == "time":
                assert (typed_row[key] is None) == (value is None)
                assert value is None or typed_row[key].isoformat("T", "milliseconds")[:23] + "Z" == value
            else:
                assert typed_row[key] == value, key
        assert all(row[key] == "" for key in row if key not in event)
        assert all(typed_row[key] is None for key in typed_row if key not in event)


def test_an_event_as_a_reader_sees_it(tmp_path: Path) -> None:
    head = runs.header()
    event = np.zeros(1, runs.COUNT)
    event["time_s"], event["frame"], event["track_id"], event["score"] = 12.04, 301, 7, 0.87
    event["x_px"], event["speed_mps"], event["line"], event["direction"] = 412.3, np.nan, 0, 1
    event["context"] = head.context_id
    with RecordWriter(tmp_path / "events.gtr", head) as writer:
        writer.append(event, 0)
    export(open_records(tmp_path), "jsonl", tmp_path / "x.jsonl")
    assert (tmp_path / "x.jsonl").read_text() == (
        '{"time_s":12.04,"time":"2026-05-04T06:30:12.040Z","camera":"north","rule":"north count","type":"count",'
        f'"track_id":7,"class":"car","frame":301,"context":"{head.context_hex}","score":0.87,"epoch":0,"flags":0,'
        '"x_px":412.3,"speed_mps":null,"line":"north_stop","direction":"against_flow","bridged":0}\n'
    )


def test_parquet_has_types_units_and_the_context(tmp_path: Path) -> None:
    records = runs.run(tmp_path)
    schema = arrow(records, tmp_path).schema
    assert str(schema.field("time").type) == "timestamp[ms, tz=UTC]"
    assert str(schema.field("speed_mps").type) == "float"
    assert str(schema.field("hops").type) == "int64"
    assert schema.field("speed_mps").metadata[b"unit"] == b"m/s"
    assert json.loads(schema.metadata[b"gantry"])["context"] == records.header.facts


@pytest.mark.parametrize("form", FORMATS)
def test_a_long_run_is_written_in_pieces_with_the_same_result(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = runs.run(tmp_path, 60)
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    export(records, form, whole)
    monkeypatch.setattr(module, "_AT_ONCE", 7)
    export(records, form, pieces)
    if form == "parquet":
        assert pq.read_table(whole).equals(pq.read_table(pieces))
    else:
        assert whole.read_bytes() == pieces.read_bytes()


@pytest.mark.parametrize("form", FORMATS)
def test_a_run_without_events_is_exported_whole(tmp_path: Path, form: str) -> None:
    for folder, head in (("a", runs.header()), ("b", runs.header(()))):
        (tmp_path / folder).mkdir()
        records = open_records(runs.write(tmp_path / folder / "events.gtr", head, []))
        assert export(records, form, tmp_path / folder / "x") == 0
    if form == "parquet":
        assert pq.read_table(tmp_path / "a/x").num_rows == 0
    if form == "csv":
        assert (tmp_path / "a/x").read_text().startswith("time_s,time,camera,rule,type,track_id,class,frame,")


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (412.3, 412.3),
        (0.1, 0.1),
        (1e-7, 1e-7),
        (16_777_216.0, 16_777_216.0),
        (0.0, 0.0),
        (-3.25, -3.25),
        (3e-12, 3e-12),
    ],
)
def test_a_32_bit_float_is_shown_as_it_was_meant(number: float, shown: float) -> None:
    assert read_as(np.array([number], np.float32), "x_px").tolist() == [pytest.approx(shown, abs=1e-15, rel=0)]


def test_odd_floats_stay_what_they_are() -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e-45], np.float32)
    shown = read_as(odd, "x_px")
    np.testing.assert_allclose(shown, odd.astype(float), rtol=1e-6, atol=1e-15)
    assert read_as(np.array([1 / 3, 1e9 + 1e-7]), "time_s").tolist() == [0.333333, 1e9]
    assert read_as(np.array([1 / 3]), "ratio").tolist() == [1 / 3]


# -- Names that mean harm ---------------------------------------------------------------------------------------------

HOSTILE = (
    "=cmd|' /C calc'!A0",
    "+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\uff1d1",
    'a"b,c;d',
    "two\nlines",
    "\u202egnp.exe",
    "\x1b[2J\x07",
    "</script><b>",
    "\U0001f6a6" * 1024,
    "",
)


def hostile(folder: Path) -> Records:
    rules = tuple((name, name, event_dtype(("line", "<i2")), {"line": "line"}) for name in HOSTILE)
    head = runs.header(rules, HOSTILE, camera="=north")
    with RecordWriter(folder / "events.gtr", head) as writer:
        for k in range(len(HOSTILE)):
            event = runs.events(head, k, 1)
            event["line"] = k
            writer.append(event, k)
    return open_records(folder)


def test_hostile_names_run_nowhere_in_a_table(tmp_path: Path) -> None:
    cells = table(hostile(tmp_path), tmp_path)
    assert len((tmp_path / "x.csv").read_bytes().splitlines()) == len(HOSTILE) + 1
    for name, row in zip(HOSTILE, cells, strict=True):
        for key in ("rule", "type", "line"):
            assert row[key].removeprefix("'") == printable(name)
            assert row[key][:1] not in set("=+-@\t\r\uff1d")
        assert row["camera"] == "'=north"


def test_numbers_below_zero_stay_numbers_in_a_table(tmp_path: Path) -> None:
    records = runs.run(tmp_path, 60)
    found = [row["x_px"] for row in table(records, tmp_path) if row["x_px"].startswith("-")]
    assert found
    assert all(float(cell) < 0 for cell in found)


def test_hostile_names_are_kept_by_the_other_formats(tmp_path: Path) -> None:
    records = hostile(tmp_path)
    assert [line["rule"] for line in lines(records, tmp_path)] == list(HOSTILE)
    assert arrow(records, tmp_path)["line"].to_pylist() == list(HOSTILE)
    assert len((tmp_path / "x.jsonl").read_bytes().split(b"\n")) == len(HOSTILE) + 1


def test_hostile_names_cannot_steer_a_terminal(tmp_path: Path) -> None:
    shown = "".join(str(value) for row in summary(hostile(tmp_path)) for value in row.values())
    assert shown.isprintable()
    assert r"\x1b[2J\x07" in shown
    assert r"\u202egnp.exe" in shown


# -- What is asked for ------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(st.data())
def test_filters_choose_what_a_plain_loop_chooses(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records = runs.run(folder, 40, data.draw(st.integers(0, 50)))
        events = runs.naive_events((folder / "events.gtr").read_bytes())
        asked = {
            "rules": data.draw(st.lists(st.sampled_from(sorted({e["rule"] for e in events})), max_size=2)),
            "types": data.draw(st.lists(st.sampled_from(["count", "trip", "bare"]), max_size=2)),
            "classes": data.draw(st.lists(st.sampled_from(["car", "bus", "person"]), max_size=2)),
            "tracks": data.draw(st.lists(st.sampled_from([e["track_id"] for e in events] + [0]), max_size=3)),
        }
        times = st.none() | st.sampled_from([e["time_s"] for e in events])
        from_s, to_s = data.draw(times), data.draw(times)
        chosen = select(records, from_s=from_s, to_s=to_s, **asked)
        found = lines(records, folder, chosen)
    expected = [
        k
        for k, event in enumerate(events)
        if all(
            not asked[names] or event[key] in asked[names]
            for names, key in (("rules", "rule"), ("types", "type"), ("classes", "class"), ("tracks", "track_id"))
        )
        and (from_s is None or event["time_s"] >= from_s)
        and (to_s is None or event["time_s"] < to_s)
    ]
    assert chosen.tolist() == expected
    assert [line["track_id"] for line in found] == [events[k]["track_id"] for k in expected]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"rules": ["nroth count"]}, "rule 'nroth count' is not in this run; in it are: north count, trips, bare"),
        ({"types": ["red_light"]}, "type 'red_light' is not in this run; in it are: count, trip, bare$"),
        ({"classes": ["tram"]}, "class 'tram' is not in this run; in it are: car, bus"),
    ],
)
def test_an_unknown_name_is_refused_with_those_there_are(tmp_path: Path, asked: Any, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        select(runs.run(tmp_path), **asked)


def test_the_summary_counts_every_event_once_and_shows_rules_without(tmp_path: Path) -> None:
    head = runs.header()
    records = open_records(runs.write(tmp_path / "events.gtr", head, [(0, 30), (1, 20), (2, 3)]))
    expected: dict[tuple[str, str, str], int] = {}
    for event in runs.naive_events(records.path.read_bytes()):
        names = [event[key] for key in ("line", "direction", "entry_line", "exit_line") if key in event]
        key = (event["rule"], " ".join(name or "-" for name in names), event["class"])
        expected[key] = expected.get(key, 0) + 1
    found = {(row["rule"], row["what"], row["class"]): row["events"] for row in summary(records)}
    assert found.pop(("south count", "", "")) == 0
    assert found == expected
    assert len({tuple(row) for row in summary(records)}) == 1
    only = summary(records, select(records, rules=["trips"]))
    assert sum(row["events"] for row in only) == 20


def test_rows_are_what_jsonl_holds(tmp_path: Path) -> None:
    records = runs.run(tmp_path)
    assert rows(records) == lines(records, tmp_path)


# -- Where it goes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_the_standard_output_gets_the_same_bytes(
    tmp_path: Path, form: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    records = runs.run(tmp_path)
    export(records, form, tmp_path / "x")
    export(records, form, "-")
    assert capsysbinary.readouterr().out == (tmp_path / "x").read_bytes()


def test_parquet_is_not_put_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", screen)
    with pytest.raises(StoreError, match="no text for a terminal"):
        export(runs.run(tmp_path), "parquet", "-")


def test_an_export_replaces_nothing_without_force(tmp_path: Path) -> None:
    records = runs.run(tmp_path)
    path = tmp_path / "x.csv"
    path.write_text("mine")
    with pytest.raises(StoreError, match=r"exists; .*--force"):
        export(records, "csv", path)
    assert path.read_text() == "mine"
    assert export(records, "csv", path, force=True) == len(records)
    with pytest.raises(StoreError, match="format 'xls' is not known; allowed: jsonl, csv, parquet"):
        export(records, "xls", tmp_path / "x.xls")


@pytest.mark.parametrize("form", FORMATS)
def test_an_index_without_a_name_is_damage_and_leaves_no_file(tmp_path: Path, form: str) -> None:
    head = runs.header()
    batch = runs.events(head, 0, 3)
    batch["line"] = (0, 1, 77)
    with RecordWriter(tmp_path / "events.gtr", head) as writer:
        writer.append(runs.events(head, 2, 2), 2)
        writer.append(batch, 0)
    with pytest.raises(StoreError, match="record 4 is damaged: line = 77 has no name; allowed: -1 to 2"):
        export(open_records(tmp_path), form, tmp_path / "x")
    assert os.listdir(tmp_path) == ["events.gtr"]
