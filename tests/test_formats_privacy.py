"""What leaves in an export: counts, times and the run's own numbers, nothing of the machine or the stream."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import socket
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import track_runs
import traffic_runs
from typer.testing import CliRunner

from kernels.records import CLASSES
from vision.cli import app
from vision.cli.reading import ExportFormat
from vision.record.export import FORMATS, counted, export
from vision.record.files import TRACKS_TABLE
from vision.record.formats import FORMS, Options
from vision.record.formats.options import SignalDetectors
from vision.record.formats.trajectories import write_run_tracks
from vision.record.reader import Records

LINES, ZONES = ("in", "out"), ("loop", "walk")
OPTIONS = Options(
    device=7,
    movements={"in -> out": "NBT"},
    edges={"in": "e1", "out": "e2"},
    signal_detectors={"lamp": SignalDetectors(("loops",), ("loops",), ("count",))},
)
CANARY = "hunter2canary"
#: What the tables of measures say of an interval, and what of the things that these runs count.
MEASURES = {
    *("begin_utc", "timezone", "begin_s", "length_s", "observed_s", "gap_s", "suspended_s", "suspended_by", "coverage"),
    *(
        "status",
        "rule",
        "line",
        "direction",
        "class",
        "n",
        "flow_per_h",
        "expansion_factor",
        "entry",
        "exit",
        "movement",
    ),
    *("what", "interval_max", "phf", "k_factor", "origin", "destination", "inferred", "travel_mean_s", "travel_p15_s"),
    *("travel_p50_s", "travel_p85_s", "zone", "vehicles", "on_s", "occupancy_percent", "n_group", "n_signal_known"),
    *("n_against_signal", "speed_mean_mps", "speed_p15_mps", "wait_mean_s", "n_waited", "signal_suspended_s"),
    *("wait_p50_s", "wait_p85_s", "wait_max_s", "n_to_walk", "to_walk_mean_s", "to_walk_p85_s", "n_began_in_time"),
    "n_left_in_dont_walk",
}
SPANS = ("green_s", "amber_s", "red_s", "cycle_s")
#: All that the fields of a table, an element or a JSON object may be called.
FIELDS = {
    "hires-csv": {"TimeStamp", "DeviceId", "EventId", "Parameter"},
    "hires-parquet": {"TimeStamp", "DeviceId", "EventId", "Parameter"},
    "hires-xml": {"Device", "ID", "TimeStamp", "EventTypeID", "Parameter"},
    "hires-dat": set(),
    "hires-datz": set(),
    "measures": MEASURES,
    "measures-parquet": MEASURES,
    "utdf": {"DATE", "TIME", "INTID", *(f"{way}B{turn}" for way in "NSEW" for turn in "LTR")},
    "sumo-edges": {"id", "begin", "end", "entered"},
    "sumo-turns": {"id", "begin", "end", "from", "to", "count"},
    "signal-cycles": {*("signal", "begin", "gor", "ror5", "split_failure"), *SPANS},
    "signal-bins": {
        *("signal", "begin", "observed", "arrivals", "arrivals_green", "pog", "platoon_ratio"),
        *("cycles", "gor", "ror5", "split_failures"),
    },
    "yellow-red": {"signal", "begin", "offset_s", "state", "count"},
    "mot": set(),
    "mot-gz": set(),
    "kitti": set(),
    "tracks-parquet": {"track_id", "frame", "time_us", "left", "top", "width", "height", "score", "class"},
    "road-parquet": {"track_id", "time_us", "x_cm", "y_cm", "class"},
    "otflow": {"sections", "flows"},
    "ottrk": {
        *("class", "confidence", "x", "y", "w", "h", "frame", "occurrence", "input_file_path"),
        *("interpolated-detection", "first", "finished", "track-id"),
    },
}


def made(folder: Path, first_id: int = 1) -> Records:
    """Return a run with events of every kind; its site's text holds what must not leave."""
    rules: list[traffic_runs.Rule] = [
        ("loops", "presence", {"zone": "loop"}),
        ("people", "crosswalk", {"zone": "walk"}),
        ("coverage", "coverage", {}),
        ("ways", "movement", {"entry": ["in"], "exit": ["out"]}),
        ("count", "line_count", {"line": "in"}),
        (f"rule {CANARY}", "line_count", {"line": "out"}),
        ("states", "signal_change", {"signal": "lamp"}),
    ]
    head = traffic_runs.header(
        rules,
        lines=LINES,
        zones=ZONES,
        signals=("lamp",),
        site="elm",
        geometry=track_runs.GEOMETRY,
        secret=f"rtsp://a:{CANARY}@10.9.8.7/",
    )
    trips = [
        {"time_s": 10.0 * k + 5, "entry_s": 10.0 * k, "entry_line": 0, "exit_line": 1, "track_id": first_id + k}
        for k in range(80)
    ]
    crossings = [{"time_s": 10.0 * k, "line": 0, "track_id": first_id + k} for k in range(80)]
    cover = [{"time_s": 60.0 * (k + 1), "interval_s": 60, "observed_s": 60} for k in range(15)]
    walks = [{"time_s": 31.0 * k, "cross_s": 4.0, "zone": 1, "track_id": first_id + k} for k in range(1, 9)]
    stays = [
        {**event, "track_id": first_id} for event in traffic_runs.stays(0, [(5.0 * k, 5 * k + 1) for k in range(50)])
    ]
    states = [{"time_s": 15.0 * k, "signal_state": (3, 4, 1)[k % 3]} for k in range(50)]
    records = traffic_runs.write(folder, head, {0: stays, 1: walks, 2: cover, 3: trips, 4: crossings, 6: states})
    write_run_tracks(folder / TRACKS_TABLE, track_runs.moving(), track_runs.facts_of(head))
    return records


def exported(folder: Path, records: Records, form: str) -> bytes:
    """Return an export unpacked to what can be searched."""
    out = folder / form
    assert export(records, form, out, options=OPTIONS) > 0
    data = b"".join(path.read_bytes() for path in sorted(out.iterdir())) if out.is_dir() else out.read_bytes()
    match form:
        case "measures-parquet":
            tables = [pq.read_table(path) for path in sorted(out.iterdir())]
            return (
                json.dumps([[table.to_pylist(), repr(table.schema)] for table in tables], default=str).encode() + data
            )
        case "ottrk":
            return bz2.decompress(data)
        case "mot-gz":
            return gzip.decompress(data)
        case "hires-datz":
            return zlib.decompress(data)
        case "hires-parquet" | "tracks-parquet" | "road-parquet":
            table = pq.read_table(out)
            return json.dumps([table.to_pylist(), repr(table.schema.metadata)], default=str).encode() + data
    return data


def test_every_form_is_looked_at() -> None:
    assert set(FIELDS) == set(FORMS)
    assert {form.value for form in ExportFormat} == {*FORMATS, *FORMS}


@pytest.mark.parametrize("form", FORMS)
def test_nothing_of_the_stream_or_the_machine_leaves(tmp_path: Path, form: str) -> None:
    text = exported(tmp_path, made(tmp_path / "run"), form)
    for secret in (
        CANARY,
        "rtsp",
        "10.9.8.7",
        str(tmp_path),
        os.getcwd(),
        socket.gethostname(),
        os.path.expanduser("~/"),
    ):
        assert secret.encode() not in text, secret


def names_in(form: str, folder: Path, text: bytes) -> set[str]:
    match form:
        case "measures":
            paths = (folder / form).iterdir()
            return {name for path in paths for name in path.read_text("utf-8").splitlines()[0].split(",")}
        case "measures-parquet":
            return {name for path in (folder / form).iterdir() for name in pq.read_schema(path).names}
        case "hires-csv" | "signal-cycles" | "signal-bins" | "yellow-red":
            return set(text.decode().splitlines()[0].split(","))
        case "utdf":
            return set(text.decode().splitlines()[2].split(","))
        case "hires-xml" | "sumo-edges" | "sumo-turns":
            return {name for element in ET.fromstring(text).iter() for name in element.attrib}
        case "hires-parquet" | "tracks-parquet" | "road-parquet":
            return set(pq.read_schema(folder / form).names)
        case "ottrk":
            return {name for found in json.loads(text)["data"]["detections"] for name in found}
        case "otflow":
            return set(json.loads(text))
    return set()


@pytest.mark.parametrize("form", FORMS)
def test_fields_are_those_of_the_format(tmp_path: Path, form: str) -> None:
    text = exported(tmp_path, made(tmp_path / "run"), form)
    assert names_in(form, tmp_path, text) == FIELDS[form]
    if form in ("mot", "mot-gz"):
        assert {len(line.split(b",")) for line in text.splitlines()} == {10}
    if form == "kitti":
        assert {len(line.split()) for line in text.splitlines()} == {18}


@pytest.mark.parametrize("form", [form for form in FORMS if counted(form) in ("detector events", "vehicles")])
def test_counts_say_nothing_of_single_road_users(tmp_path: Path, form: str) -> None:
    one, other = (exported(tmp_path / str(k), made(tmp_path / str(k) / "run", k), form) for k in (1, 4_000_000))
    assert one == other


@pytest.mark.parametrize("form", FORMS)
def test_the_same_run_gives_the_same_bytes(tmp_path: Path, form: str) -> None:
    one, other = (exported(tmp_path / k, made(tmp_path / k / "run"), form) for k in ("a", "b"))
    assert one == other


def test_small_cells_are_withheld_from_published_counts(tmp_path: Path) -> None:
    records = made(tmp_path / "run")
    for form, gone in (("utdf", "*"), ("sumo-edges", None), ("sumo-turns", None)):
        notes: list[str] = []
        options = Options(device=7, movements=OPTIONS.movements, edges=OPTIONS.edges, k=81)
        assert export(records, form, tmp_path / form, options=options, notes=notes) == 0
        assert any("withheld" in note for note in notes)
        text = (tmp_path / form).read_text()
        assert "80" not in text.replace("0800", "")
        assert gone is None or gone in text


def test_people_are_in_no_vehicle_count(tmp_path: Path) -> None:
    head = traffic_runs.header([("ways", "movement", {"entry": ["in"], "exit": ["out"]})], lines=LINES)
    trips = [
        {"time_s": 700.0, "entry_s": 60.0, "entry_line": 0, "exit_line": 1, "class_id": k} for k in range(len(CLASSES))
    ]
    records = traffic_runs.write(tmp_path / "run", head, {0: trips})
    assert export(records, "utdf", tmp_path / "t.csv", options=OPTIONS) == 4
    everybody = Options(device=7, movements=OPTIONS.movements, classes=("person", "bicycle"))
    assert export(records, "utdf", tmp_path / "p.csv", options=everybody) == 2


def test_the_command_line_exports_with_options_and_says_what_to_know(tmp_path: Path) -> None:
    made(tmp_path / "run")
    options = tmp_path / "export.toml"
    options.write_text('device = 7\nk = 100\n[movements]\n"in -> out" = "NBT"\n')
    words = ["export", str(tmp_path / "run"), "--format", "utdf", "--options", str(options)]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "t.csv")])
    assert done.exit_code == 0, done.output
    assert "note: 1 counts below 100 are withheld" in done.output
    assert "0 vehicles in" in done.output
    assert (tmp_path / "t.csv").read_text().startswith("Turning Movement Count\n15 Minute Counts\nDATE,TIME,INTID,NBL")


def test_filters_reach_events_and_tracks(tmp_path: Path) -> None:
    made(tmp_path / "run")
    for form in ("tracks-parquet", "hires-csv"):
        words: list[Any] = ["export", tmp_path / "run", "--format", form, "--out", tmp_path / form]
        done = CliRunner().invoke(app, [*map(str, words), "--from-s", "2", "--to-s", "6", "--class", "car"])
        assert done.exit_code == 0, done.output
    times = pq.read_table(tmp_path / "tracks-parquet")["time_us"].to_numpy()
    assert times.min() >= 2_000_000
    assert times.max() < 6_000_000
    assert len((tmp_path / "hires-csv").read_text().splitlines()) == 3
    assert np.all(np.array(pq.read_table(tmp_path / "tracks-parquet")["class"].to_pylist()) == "car")
