"""Detector events as the `atspm` package reads them: its measures equal those computed from the scenario by hand."""

from __future__ import annotations

import csv
import warnings
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import traffic_runs

from vision.record.export import export
from vision.record.formats import Options

atspm = pytest.importorskip("atspm", reason="atspm is not installed: make peers")

HOUR_S, CYCLE_S, FIRST_S = 3600, 60, 10
GREEN_S, YELLOW_S = 25, 4
RED_S = GREEN_S + YELLOW_S  # from the begin of green
CYCLES = HOUR_S // CYCLE_S
LOCAL = datetime(2026, 5, 4, 8, 30)
ADVANCE, PRESENCE, STOP_LINE = 5, 6, 17
PHASE, DEVICE = 2, 7


def arrivals() -> list[tuple[float, float]]:
    """A vehicle each 5 s, on the detector for 0.68 s; 5 of 12 come on green."""
    return [(5 * k + 0.3437, 5 * k + 1.0237) for k in range(HOUR_S // 5)]


def waiting() -> list[tuple[float, float]]:
    """A queue that lasts over the green and 5 s of red in each third cycle, and is gone in 10 s in the others."""
    found = [(2.013, 3.777)]
    for k in range(CYCLES - 1):
        green = FIRST_S + k * CYCLE_S
        found.append((green - 4.02, green + (RED_S + 6.51 if k % 3 == 0 else 10.07)))
    return found


def crossing_offset_s(cycle: int) -> float:
    """When, from the begin of red, a vehicle crosses the stop line in this cycle: from yellow to 3.4 s of red."""
    return -3.1 + 0.5 * (cycle % 14)


def crossings() -> list[tuple[float, float]]:
    begin = [FIRST_S + k * CYCLE_S + RED_S + crossing_offset_s(k) + 0.0312 for k in range(CYCLES)]
    return [(time, time + 0.45) for time in begin]


def controller_log() -> list[tuple[str, int, int, int]]:
    """What the controller logs of the phase: green, yellow, red."""
    found = []
    for k in range(CYCLES):
        for code, at in ((1, 0), (8, GREEN_S), (10, RED_S)):
            stamp = LOCAL + timedelta(seconds=FIRST_S + k * CYCLE_S + at)
            found.append((stamp.isoformat(" ", "milliseconds")[:-2], DEVICE, code, PHASE))
    return found


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what atspm makes of our detector events beside the controller's log, by measure."""
    folder = tmp_path_factory.mktemp("atspm")
    head = traffic_runs.header(
        [("advance", "presence", {"zone": "far"}), ("queue", "presence", {}), ("stop", "presence", {})],
        zones=("far", "near", "bar"),
    )
    events = {0: traffic_runs.stays(0, arrivals()), 1: traffic_runs.stays(1, waiting())}
    records = traffic_runs.write(folder / "run", head, events | {2: traffic_runs.stays(2, crossings())})
    channels = {"far": ADVANCE, "near": PRESENCE, "bar": STOP_LINE}
    options = Options(device=DEVICE, channels=channels)
    export(records, "hires-csv", folder / "ours.csv", options=options)
    export(records, "hires-parquet", folder / "ours.parquet", options=options)
    with (folder / "both.csv").open("w", newline="") as stream:
        stream.write((folder / "ours.csv").read_text())
        csv.writer(stream, lineterminator="\n").writerows(controller_log())
    return {"csv": run_atspm(folder / "both.csv"), "folder": folder}


def run_atspm(path: Path) -> dict[str, list[dict[str, Any]]]:
    import pandas

    functions = ((ADVANCE, "Advance"), (PRESENCE, "Presence"), (STOP_LINE, "Yellow_Red"))
    config = pandas.DataFrame(
        [{"DeviceId": DEVICE, "Phase": PHASE, "Parameter": one, "Function": name} for one, name in functions]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        processor = atspm.SignalDataProcessor(
            raw_data=str(path),
            detector_config=config,
            bin_size=15,
            verbose=0,
            aggregations=[
                {"name": "has_data", "params": {"no_data_min": 5, "min_data_points": 3}},
                {"name": "actuations", "params": {}},
                {"name": "arrival_on_green", "params": {"latency_offset_seconds": 0}},
                {
                    "name": "split_failures",
                    "params": {
                        "red_time": 5,
                        "red_occupancy_threshold": 0.8,
                        "green_occupancy_threshold": 0.8,
                        "by_approach": True,
                        "by_cycle": False,
                    },
                },
                {"name": "yellow_red", "params": {"latency_offset_seconds": 0, "min_red_offset": -8}},
            ],
        )
        processor.load()
        processor.aggregate()
        names = ("has_data", "actuations", "arrival_on_green", "split_failures", "yellow_red")
        found = {name: processor.conn.query(f"SELECT * FROM {name}").df().to_dict("records") for name in names}
        processor.close()
    return found


BINS = tuple(LOCAL + timedelta(minutes=15 * k) for k in range(4))


def floored(time_s: float) -> float:
    return int(time_s * 10 + 1e-9) / 10


def test_volumes(measured: dict[str, Any]) -> None:
    found = {(row["TimeStamp"], row["Detector"]): row["Total"] for row in measured["csv"]["actuations"]}
    expected: dict[tuple[datetime, int], int] = {}
    for channel, stays in ((ADVANCE, arrivals()), (PRESENCE, waiting()), (STOP_LINE, crossings())):
        for begin, _ in stays:
            key = (BINS[int(begin // 900)], channel)
            expected[key] = expected.get(key, 0) + 1
    assert found == expected
    assert found[BINS[1], ADVANCE] == 180


def test_arrivals_on_green(measured: dict[str, Any]) -> None:
    found = {row["TimeStamp"]: row for row in measured["csv"]["arrival_on_green"]}
    assert set(found) == set(BINS)
    for k, moment in enumerate(BINS):
        times = [floored(begin) for begin, _ in arrivals() if 900 * k <= begin < 900 * (k + 1)]
        green = [time for time in times if 0 <= (time - FIRST_S) % CYCLE_S < GREEN_S]
        green = [time for time in green if time >= FIRST_S]
        assert found[moment]["Total_Actuations"] == len(times) == 180
        assert found[moment]["Percent_AOG"] == pytest.approx(len(green) / len(times), abs=1e-7)
    assert found[BINS[2]]["Percent_AOG"] == pytest.approx(5 / 12, abs=1e-7)


def test_split_failures(measured: dict[str, Any]) -> None:
    found = {row["TimeStamp"]: row for row in measured["csv"]["split_failures"]}
    for k, moment in enumerate(BINS):
        cycles = range(15 * k, 15 * (k + 1))
        held = [stay for stay in waiting() if stay[1] - stay[0] > 5]
        green, red, failures = [], [], 0
        for cycle in cycles:
            begin = FIRST_S + cycle * CYCLE_S
            green.append(sum(overlap(stay, begin, begin + GREEN_S) for stay in held) / GREEN_S)
            red.append(sum(overlap(stay, begin + RED_S, begin + RED_S + 5) for stay in held) / 5)
            failures += green[-1] >= 0.8 and red[-1] >= 0.8
        assert found[moment]["Split_Failure"] == failures == 5
        assert found[moment]["Green_Occupancy"] == pytest.approx(sum(green) / 15, abs=1e-5)
        assert found[moment]["Red_Occupancy"] == pytest.approx(sum(red) / 15, abs=1e-5)


def overlap(stay: tuple[float, float], begin: float, end: float) -> float:
    return max(0.0, min(floored(stay[1]), end) - max(floored(stay[0]), begin))


def test_yellow_and_red_actuations(measured: dict[str, Any]) -> None:
    found = {(r["TimeStamp"], r["Red_Offset"], r["Signal_State"]): r["Count"] for r in measured["csv"]["yellow_red"]}
    expected: dict[tuple[datetime, float, int], float] = {}
    for cycle, (begin, _) in enumerate(crossings()):
        red = FIRST_S + cycle * CYCLE_S + RED_S
        offset = round(floored(begin) - red, 1)
        key = (BINS[red // 900], int(abs(offset) * 2 + 0.5) / 2 * (1 if offset > 0 else -1), 10 if offset >= 0 else 8)
        expected[key] = expected.get(key, 0) + 1
    assert found == expected
    assert sum(found.values()) == CYCLES


def test_parquet_says_the_same(measured: dict[str, Any]) -> None:
    import duckdb

    folder = measured["folder"]
    query = "SELECT TimeStamp::TIMESTAMP, DeviceId, EventId, Parameter FROM '{}' ORDER BY ALL"
    ours = duckdb.sql(query.format(folder / "ours.csv")).fetchall()
    assert ours == duckdb.sql(query.format(folder / "ours.parquet")).fetchall()
    assert len(ours) == 2 * (len(arrivals()) + len(waiting()) + len(crossings()))
