"""The record store: what is written is read back, whatever happens to the run or to its file."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import runs
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.records import EVENT_BASE, event_dtype
from vision.errors import DeviceError, StoreError
from vision.record.files import check_folder, prepare_folder
from vision.record.header import FRONT, Header, RuleEntry, encode, fields_of, make_header, unit_of
from vision.record.reader import open_records
from vision.record.store import RecordWriter

BATCHES = st.lists(st.tuples(st.integers(0, len(runs.RULES) - 1), st.integers(0, 5)), max_size=12)


@settings(max_examples=40, deadline=None)
@given(BATCHES, st.integers(0, 1000))
def test_events_come_back_bit_for_bit_and_in_order(batches: list[tuple[int, int]], seed: int) -> None:
    head = runs.header()
    with tempfile.TemporaryDirectory() as folder:
        path = runs.write(Path(folder) / "events.gtr", head, batches, seed)
        found = open_records(path)
    written = [(rule, runs.events(head, rule, n, seed + k)) for k, (rule, n) in enumerate(batches)]
    assert found.base["rule"].tolist() == [rule for rule, batch in written for _ in batch]
    for rule in range(len(head.rules)):
        own = [batch for one, batch in written if one == rule]
        expected = np.concatenate(own) if own else np.zeros(0, head.rules[rule].dtype)
        assert np.array(found.by_rule(rule), head.rules[rule].dtype).tobytes() == expected.tobytes()


def test_every_record_is_64_bytes_from_a_multiple_of_64_and_padded_with_zeros(tmp_path: Path) -> None:
    head = runs.header()
    data = runs.write(tmp_path / "events.gtr", head, [(0, 3), (2, 2)]).read_bytes()
    assert data[:8] == b"GANTRY1\n"
    assert len(data) % 64 == 0
    bare = open_records(tmp_path).raw[3:]
    assert not bare[:, head.rules[2].dtype.itemsize :].any()
    assert bare[:, :32].any()


def test_equal_runs_give_equal_files(tmp_path: Path) -> None:
    tables = dict(reversed(list(runs.header().tables.items())))
    for folder, head in (("a", runs.header()), ("b", make_header(runs.header().rules, tables, _shuffled()))):
        (tmp_path / folder).mkdir()
        runs.write(tmp_path / folder / "events.gtr", head, [(0, 3), (1, 4)])
    assert (tmp_path / "a/events.gtr").read_bytes() == (tmp_path / "b/events.gtr").read_bytes()


def _shuffled() -> dict[str, object]:
    return {"site": {"name": "elm"}, "start_utc": runs.START, "camera": "north"}


def test_the_context_id_is_the_hash_of_the_context(tmp_path: Path) -> None:
    found = runs.run(tmp_path)
    digest = hashlib.sha256(b'{"camera":"north","site":{"name":"elm"},"start_utc":"2026-05-04T06:30:00Z"}').hexdigest()
    assert found.header.context_hex == digest[:8]
    assert found.raw[0, 16:20].tobytes().hex() == digest[:8]


def test_units_are_told_by_the_ending_of_a_name() -> None:
    said = {name: unit_of(name) for name in ("time_s", "vx_px_s", "x_px", "speed_mps", "x_m", "grace_ms", "line")}
    assert said == {
        "time_s": "s",
        "vx_px_s": "px/s",
        "x_px": "px",
        "speed_mps": "m/s",
        "x_m": "m",
        "grace_ms": "ms",
        "line": None,
    }


# -- A run that ended badly -------------------------------------------------------------------------------------------


def test_a_file_cut_anywhere_gives_exactly_its_whole_records(tmp_path: Path) -> None:
    whole = runs.run(tmp_path)
    data = whole.path.read_bytes()
    start = len(data) - 64 * len(whole)
    cut = tmp_path / "cut.gtr"
    for length in range(len(data) - 200, len(data)):
        cut.write_bytes(data[:length])
        found = open_records(cut)
        n, torn_bytes = divmod(length - start, 64)
        assert found.raw.tobytes() == data[start : start + 64 * n]
        assert found.torn_bytes == torn_bytes
        assert (found.note is not None) == (torn_bytes > 0)
        assert torn_bytes == 0 or f"last {torn_bytes} bytes" in str(found.note)


def test_a_file_cut_in_its_header_is_refused(tmp_path: Path) -> None:
    data = runs.write(tmp_path / "events.gtr", runs.header(), []).read_bytes()
    for length in [*range(50), *range(50, len(data), 97)]:
        (tmp_path / "cut.gtr").write_bytes(data[:length])
        with pytest.raises(StoreError, match=r"no record file|damaged at byte 8"):
            open_records(tmp_path / "cut.gtr")


def test_zeros_behind_the_last_record_are_no_records(tmp_path: Path) -> None:
    whole = runs.run(tmp_path)
    n = len(whole)
    with whole.path.open("ab") as stream:
        stream.write(bytes(64 * 3 + 5))
    found = open_records(whole.path)
    assert len(found) == n
    assert found.torn_bytes == 64 * 3 + 5


def test_a_killed_run_leaves_whole_records(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, runs\n"
        "from vision.record.store import RecordWriter\n"
        "head = runs.header(); batch = runs.events(head, 0, 3)\n"
        "writer = RecordWriter(pathlib.Path(sys.argv[1]) / 'events.gtr', head)\n"
        "while True: writer.append(batch, 0)\n"
    )
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{here.parent}"}
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=environment) as process:
        part = tmp_path / "events.gtr.part"
        until_s = time.monotonic() + 30
        while not (part.exists() and part.stat().st_size > 20_000) and time.monotonic() < until_s:
            time.sleep(0.01)
        with pytest.raises(StoreError, match="another run is writing here"):
            check_folder(tmp_path, force=True)
        process.send_signal(signal.SIGKILL)
    found = open_records(tmp_path)
    assert len(found) > 100
    assert not found.finished
    assert "cut off" in str(found.note)
    head = runs.header()
    row = np.array(found.by_rule(0), head.rules[0].dtype)[:3]
    assert row.tobytes() == runs.events(head, 0, 3).tobytes()
    assert prepare_folder(tmp_path, force=True)
    assert not any(tmp_path.iterdir())


def test_a_full_disk_leaves_whole_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = runs.header()
    writer = RecordWriter(tmp_path / "events.gtr", head)
    writer.append(runs.events(head, 0, 2), 0)
    real = os.pwrite
    room = [100]

    def full(descriptor: int, data: bytes, at: int) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken, room[0] = room[0], 0
        return real(descriptor, data[:taken], at)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(DeviceError, match="No space left"):
        writer.append(runs.events(head, 1, 5), 1)
    monkeypatch.undo()
    writer.append(runs.events(head, 2, 1), 2)
    writer.close()
    found = open_records(tmp_path)
    assert found.base["rule"].tolist() == [0, 0, 2]
    assert found.torn_bytes == 0


# -- The writer -------------------------------------------------------------------------------------------------------


def test_a_file_has_its_name_only_once_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "events.gtr"
    writer = RecordWriter(path, runs.header())
    assert not path.exists()
    writer.close()
    writer.close()
    assert os.listdir(tmp_path) == ["events.gtr"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    writer.discard()
    assert path.exists()


def test_a_discarded_file_leaves_nothing(tmp_path: Path) -> None:
    writer = RecordWriter(tmp_path / "events.gtr", runs.header())
    writer.append(runs.events(runs.header(), 0, 2), 0)
    writer.discard()
    writer.close()
    assert not any(tmp_path.iterdir())
    with pytest.raises(ValueError, match="is closed"):
        writer.append(runs.events(runs.header(), 0, 2), 0)


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    head = runs.header()
    with RecordWriter(tmp_path / "events.gtr", head), pytest.raises(StoreError, match="cannot be made"):
        RecordWriter(tmp_path / "events.gtr", head)
    with pytest.raises(StoreError, match="exists"):
        RecordWriter(tmp_path / "events.gtr", head)


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "events.gtr.part").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot be made"):
        RecordWriter(tmp_path / "events.gtr", runs.header())
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("field", ["rule", "context"])
def test_events_of_another_rule_or_run_are_refused(tmp_path: Path, field: str) -> None:
    head = runs.header()
    batch = runs.events(head, 0, 3)
    batch[field][1] += 1
    with RecordWriter(tmp_path / "events.gtr", head) as writer, pytest.raises(ValueError, match="another"):
        writer.append(batch, 0)
    assert len(open_records(tmp_path)) == 0


def test_events_of_another_dtype_are_refused(tmp_path: Path) -> None:
    head = runs.header()
    with RecordWriter(tmp_path / "events.gtr", head) as writer, pytest.raises(ValueError, match="header says"):
        writer.append(runs.events(head, 1, 3), 0)


def test_a_view_with_gaps_is_written_as_its_rows(tmp_path: Path) -> None:
    head = runs.header()
    batch = runs.events(head, 0, 6)
    with RecordWriter(tmp_path / "events.gtr", head) as writer:
        writer.append(batch[::2], 0)
    found = np.array(open_records(tmp_path).by_rule(0), batch.dtype)
    assert found.tobytes() == batch[::2].tobytes()


# -- Files of other times, and damaged ones ---------------------------------------------------------------------------


def test_a_file_is_read_by_its_own_header(tmp_path: Path) -> None:
    """An older record of `count` without `bridged`, a newer base with another field behind."""
    base = np.dtype([*EVENT_BASE, ("weather", "<u2")])
    older = np.dtype([*EVENT_BASE, ("weather", "<u2"), ("line", "<i2"), ("x_px", "<f4")])
    now = runs.header()
    head = Header(
        base=fields_of(base),
        rules=(RuleEntry("north count", "count", fields_of(older), {"line": "line"}),),
        tables=now.tables,
        context=now.context,
    )
    rows = np.zeros(2, older)
    rows["context"], rows["weather"], rows["line"], rows["x_px"] = now.context_id, 7, (1, 2), (4.5, 6.5)
    data = encode(head) + b"".join(row.tobytes().ljust(64, b"\0") for row in rows)
    (tmp_path / "old.gtr").write_bytes(data)
    found = open_records(tmp_path / "old.gtr")
    assert found.base["weather"].tolist() == [7, 7]
    assert found.by_rule(0)["line"].tolist() == [1, 2]
    assert found.by_rule(0)["x_px"].tolist() == [4.5, 6.5]


def _damaged(path: Path, at: int, bits: int = 0xFF) -> Path:
    data = bytearray(path.read_bytes())
    data[at] ^= bits
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("at", "message"),
    [
        (0, "is no record file: it starts with"),
        (6, "another generation"),
        (11, "damaged at byte 8"),
        (20, "its hash is another"),
        (60, "its hash is another"),
    ],
)
def test_a_damaged_header_is_refused(tmp_path: Path, at: int, message: str) -> None:
    path = runs.write(tmp_path / "events.gtr", runs.header(), [(0, 2)])
    with pytest.raises(StoreError, match=message) as refused:
        open_records(_damaged(path, at))
    assert str(refused.value).count("\n") == 0
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(("field", "value"), [("rule", 4), ("context", 1), ("camera", 1), ("class_id", 6)])
def test_a_damaged_record_is_refused_with_its_place(tmp_path: Path, field: str, value: int) -> None:
    path = runs.write(tmp_path / "events.gtr", runs.header(), [(0, 3)])
    data = bytearray(path.read_bytes())
    start = len(data) - 3 * 64
    row = np.frombuffer(data, np.dtype(EVENT_BASE), 1, start + 64)
    row[field] = value
    path.write_bytes(data)
    with pytest.raises(StoreError, match=f"at byte {start + 64}: record 1 has {field} = {value}; allowed: "):
        open_records(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_a_time_that_is_none_is_refused(tmp_path: Path, value: float) -> None:
    head = runs.header()
    batch = runs.events(head, 0, 1)
    batch["time_s"] = value
    with RecordWriter(tmp_path / "events.gtr", head) as writer:
        writer.append(batch, 0)
    with pytest.raises(StoreError, match="record 0 has time_s"):
        open_records(tmp_path)


def _with_header(path: Path, text: bytes) -> Path:
    front = FRONT.pack(b"GANTRY1\n", len(text), hashlib.sha256(text).digest()) + text
    path.write_bytes(front + bytes(-len(front) % 64))
    return path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"format":1', b'"format":2', "has format 2; this Gantry reads 1"),
        (b'"<f4"', b'"<O8"', "has format '<O8'"),
        (b'"name":"rule"', b'"name":"ruel"', "'rule'"),
        (b'"name":"x_px"', b'"name":"x px"', "field 'x px'"),
        (b'"name":"x_px"', b'"name":"type"', "cannot be called 'type'"),
        (b'"line":"line"', b'"line":"lien"', "has no table of names 'lien'"),
        (b'"entry_line":"line"', b'"entry_s":"line"', "'entry_s' is no whole-number field"),
        (b'"start_utc":"2026', b'"start_utc":"today', "today"),
        (b'"rules":[', b'"rules":[7,', "Expected"),
        (b'{"base"', b'["base"', "wrong header"),
    ],
)
def test_a_header_that_is_none_is_refused(tmp_path: Path, old: bytes, new: bytes, message: str) -> None:
    data = encode(runs.header())
    text = data[FRONT.size : FRONT.size + struct.unpack_from("<I", data, 8)[0]]
    assert old in text
    with pytest.raises(StoreError, match=message) as refused:
        open_records(_with_header(tmp_path / "x.gtr", text.replace(old, new)))
    assert "\n" not in str(refused.value)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_read_or_refused_in_one_line(data: bytes, magic: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.gtr"
        path.write_bytes((b"GANTRY1\n" if magic else b"") + data)
        with pytest.raises(StoreError) as refused:
            open_records(path)
    assert "\n" not in str(refused.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for path, message in {
        tmp_path / "pipe": "not a plain file",
        Path("/dev/zero"): "not a plain file",
        tmp_path / "empty": "has 0 bytes",
        tmp_path / "folder": "holds no run",
        tmp_path / "nothing": "cannot be read",
        Path(__file__): "is no record file",
        Path(__file__) / "below": "cannot be read",
    }.items():
        with pytest.raises(StoreError, match=message):
            open_records(path)


def test_a_rule_whose_event_is_no_plain_row_is_refused() -> None:
    for dtype in (np.dtype([("a", ">f4")]), np.dtype([("a", "O")]), np.dtype([("a", "<f4", 2)])):
        with pytest.raises(ValueError, match=r"allowed|plain row"):
            fields_of(dtype)
    with pytest.raises(ValueError, match="plain row"):
        fields_of(np.dtype([("a", "u1"), ("b", "<f4")], align=True))
    with pytest.raises(ValueError, match="cannot be called 'time'"):
        runs.header((("x", "x", event_dtype(("time", "<f4")), {}),))
