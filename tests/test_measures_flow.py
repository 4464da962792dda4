"""Flow, queues and delay of the tables of measures against truth computed by hand, and the files of tables."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import traffic_runs
from hypothesis import given, settings
from hypothesis import strategies as st
from measure_runs import NAN, Events, made, table, watched

from kernels.records import MOMENTS
from vision.errors import StoreError
from vision.record.export import export
from vision.record.formats import Request
from vision.record.formats.measures import tables
from vision.record.formats.measures_queue import saturation_of

# -- Flow -------------------------------------------------------------------------------------------------------------


def passing(n: int, headway_s: float, speeds: list[float], lane: int = -1) -> Events:
    return [
        {
            "time_s": headway_s * (k + 0.5), "headway_s": headway_s if k else NAN, "gap_s": headway_s - 1 if k else NAN,
            "speed_mps": speeds[k % len(speeds)], "lane": lane, "length_m": NAN,
        }
        for k in range(n)
    ]  # fmt: skip


def test_flow_headway_and_both_mean_speeds(tmp_path: Path) -> None:
    row = table(made(tmp_path, "spot", passing(180, 5.0, [10.0, 20.0]), {"line": "in"}), "spots")[0]
    assert (row["n"], row["flow_veh_per_h"], row["n_headways"]) == (180, 720.0, 179)
    assert row["headway_mean_s"] == pytest.approx(3600 / row["flow_veh_per_h"])
    assert row["gap_mean_s"] == pytest.approx(4.0)
    assert row["time_mean_speed_kmh"] == pytest.approx(54.0)
    assert row["harmonic_speed_kmh"] == pytest.approx(3.6 / (0.5 / 10 + 0.5 / 20))
    variance = row["time_mean_speed_kmh"] / row["harmonic_speed_kmh"] - 1  # Wardrop: v_t = v_s + var_s / v_s
    assert variance == pytest.approx(0.125)
    assert row["density_veh_per_km"] == pytest.approx(720 / 48.0)


@pytest.mark.parametrize(("n", "told"), [(29, False), (30, True)])
def test_v85_needs_thirty(tmp_path: Path, n: int, told: bool) -> None:
    speeds = [float(v) for v in np.linspace(8, 16, n)]
    row = table(made(tmp_path, "spot", passing(n, 5.0, speeds)), "spots")[0]
    assert (row["v85_kmh"] is not None) == told
    if told:
        assert row["v85_kmh"] == pytest.approx(3.6 * np.percentile(np.float32(speeds), 85), rel=1e-6)
    assert row["v50_kmh"] == pytest.approx(3.6 * 12.0, rel=1e-6)


def test_a_vehicle_that_stands_on_a_line_has_no_speed(tmp_path: Path) -> None:
    row = table(made(tmp_path, "spot", passing(4, 5.0, [0.0, 10.0, NAN, 10.0])), "spots")[0]
    assert (row["n"], row["n_speeds"]) == (4, 2)
    assert row["time_mean_speed_kmh"] == row["harmonic_speed_kmh"] == pytest.approx(36.0)


def test_lanes_and_all_lanes(tmp_path: Path) -> None:
    events = passing(20, 5.0, [10.0], 0) + passing(30, 5.0, [10.0], 1) + passing(2, 5.0, [10.0], -1)
    rows = table(made(tmp_path, "spot", events, {"line": "in", "lanes": ["a/a", "a/b"]}), "spots")
    assert {row["lane"]: row["n"] for row in rows if row["begin_s"] == 0.0} == {
        "a/a": 20,
        "a/b": 30,
        None: 2,
        "all": 52,
    }


PIECES = st.lists(
    st.tuples(st.floats(1, 3500), st.floats(0.01, 60), st.floats(0, 900), st.integers(1, 40)), min_size=1, max_size=60
)


@settings(max_examples=20)
@given(PIECES)
def test_flow_is_density_times_speed(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[float, float, float, int]]
) -> None:
    events = [
        {"time_s": t + spent, "entry_s": t, "inside_s": spent, "distance_m": way, "track_id": number}
        for t, spent, way, number in pieces
    ]
    config = {"lane": "a/a", "length_m": 100.0}
    rows = table(made(tmp_path_factory.mktemp("run"), "section", events, config), "stretches")
    for row in rows:
        if row["speed_kmh"] is not None:
            assert row["flow_veh_per_h"] == pytest.approx(row["density_veh_per_km"] * row["speed_kmh"], rel=1e-12)
        else:
            assert row["flow_veh_per_h"] in (0.0, None)
    told = sum(row["distance_m"] for row in rows if row["distance_m"] is not None)
    inside = [min(max(3600.0 - t, 0.0) / spent, 1.0) for t, spent, _, _ in pieces]
    assert told == pytest.approx(
        sum(w * share for (_, _, w, _), share in zip(pieces, inside, strict=True)), rel=1e-4, abs=0.1
    )


def test_edie_by_hand(tmp_path: Path) -> None:
    """A hundred vehicles of 10 m/s and one that stands for the whole quarter of an hour, on 200 m."""
    events = [
        {
            "time_s": 9.0 * k + 20.0 if k < 97 else 900.0,
            "entry_s": 9.0 * k,
            "inside_s": 20.0,
            "distance_m": 200.0,
            "track_id": k,
        }
        for k in range(97)
    ]
    events += [{"time_s": 60.0 * (k + 1), "entry_s": 0.0, "inside_s": 60.0, "track_id": 999} for k in range(15)]
    geometry = {"lanes": [{"name": "a/a", "points_px": [], "length_m": 200.0}]}
    row = table(made(tmp_path, "section", events, {"lane": "a/a"}, geometry=geometry), "stretches")[0]
    assert row["flow_veh_per_h"] == pytest.approx(3600 * 97 / 900)
    assert row["density_veh_per_km"] == pytest.approx((97 * 20 + 900) / 900 / 0.2)
    assert row["speed_kmh"] == pytest.approx(3.6 * 97 * 200 / (97 * 20 + 900))


def test_occupancy_is_of_the_time_observed(tmp_path: Path) -> None:
    stays = traffic_runs.stays(0, [(10.0, 100.0), (880.0, 920.0), (1000.0, 1045.0)])
    for event in stays:
        event["vehicles"] = 2
    cover = watched(60, (20, 45, "camera_moved"), (21, 45, "camera_moved"))
    rows = table(made(tmp_path, "presence", stays, {"zone": "zone"}, cover), "occupancies")
    assert [row["on_s"] for row in rows] == pytest.approx([110.0, 65.0, 0.0, 0.0])
    assert [row["occupancy_percent"] for row in rows] == pytest.approx([100 * 110 / 900, 100 * 65 / 810, 0, 0])
    assert [row["n"] for row in rows] == [2, 1, 0, 0]
    assert [row["vehicles"] for row in rows] == [4, 2, 0, 0]


# -- Queues and delay -------------------------------------------------------------------------------------------------


def queued(moment: str, time_s: float, vehicles: int, **more: float) -> dict[str, Any]:
    length_s = 60.0 if moment == "interval" else NAN
    base = {"time_s": time_s, "moment": MOMENTS.index(moment), "vehicles": vehicles, "vehicles_max": vehicles}
    return base | {"interval_s": length_s, "observed_s": length_s, "mean_vehicles": NAN, "lane": 0} | more


def test_queues_by_interval_and_cycle(tmp_path: Path) -> None:
    events = [
        queued("interval", 60.0 * (k + 1), k % 7, back_max_m=7.5 * (k % 7), mean_vehicles=k % 2) for k in range(60)
    ]
    events[20]["truncated"] = 1
    events += [
        queued("green", 100.0, 6, back_m=44.0, vehicles_max=6),
        queued("red", 130.0, 2, back_m=13.0, vehicles_max=8, back_max_m=60.0),
    ]
    events += [queued("green", 190.0, 9)]
    records = made(tmp_path, "queue", events, {"lane": "a/a", "line": "in"})
    rows = table(records, "queues")
    assert [row["vehicles_max"] for row in rows] == [6, 6, 6, 6]
    assert [row["back_max_m"] for row in rows] == [45.0] * 4
    assert [row["vehicles_mean"] for row in rows] == pytest.approx([7 / 15, 8 / 15, 7 / 15, 8 / 15])
    assert [row["truncated"] for row in rows] == [False, True, False, False]
    cycle, last = table(records, "queue_cycles")
    assert (cycle["vehicles_at_green"], cycle["back_at_green_m"], cycle["red_s"]) == (6, 44.0, 130.0)
    assert (cycle["vehicles_max"], cycle["back_max_m"], cycle["residual_vehicles"], cycle["residual_m"]) == (
        8,
        60.0,
        2,
        13.0,
    )
    assert (last["vehicles_at_green"], last["red_s"], last["residual_vehicles"]) == (9, None, None)


def went(
    number: int, entry_s: float, travel_s: float, stop_s: float = 0.0, truncated: int = 0, cuts: int = 1
) -> Events:
    """Return the pieces of a passage over 200 m."""
    return [
        {
            "time_s": entry_s + travel_s * (k + 1) / cuts, "entry_s": entry_s, "inside_s": travel_s / cuts,
            "distance_m": 200.0 / cuts, "stop_s": stop_s / cuts, "stops": int(k == 0 and stop_s > 0),
            "track_id": number,
            "begins": k == 0, "ends": k == cuts - 1, "truncated": truncated, "lane": 0,
        }
        for k in range(cuts)
    ]  # fmt: skip


def test_control_delay_and_level_of_service(tmp_path: Path) -> None:
    events = [piece for k in range(20) for piece in went(k, 5.0 * k, 20.0)]  # 36 km/h, unimpeded
    events += [piece for k in range(20) for piece in went(100 + k, 900 + 20.0 * k, 50.0, 25.0, cuts=3)]
    events += went(200, 950.0, 500.0, truncated=1)
    changed_lane = went(201, 960.0, 5.0)
    changed_lane[0]["distance_m"] = 60.0
    events += changed_lane
    config = {"lane": "a/a", "length_m": 200.0}
    rows = table(made(tmp_path, "section", events, config), "delays")
    first, second = rows[:2]
    assert (first["n"], first["free_kmh"], first["travel_mean_s"]) == (20, pytest.approx(36.0), pytest.approx(20.0))
    assert first["control_delay_mean_s"] == pytest.approx(0.0, abs=1e-6)
    assert (second["n"], second["n_truncated"]) == (20, 2)
    assert second["control_delay_mean_s"] == pytest.approx(30.0, rel=1e-4)
    assert (second["stop_delay_mean_s"], second["stops_mean"], second["stopped_percent"]) == (
        pytest.approx(25.0, rel=1e-4),
        1.0,
        100.0,
    )
    assert second["travel_time_index"] == pytest.approx(2.5, rel=1e-4)
    assert (first["LOS (from measured control delay)"], second["LOS (from measured control delay)"]) == ("A", "C")
    assert (rows[2]["n"], rows[2]["control_delay_mean_s"], rows[2]["LOS (from measured control delay)"]) == (
        0,
        None,
        None,
    )
    records = made(tmp_path / "x", "section", events, config)
    plain = table(records, "delays", unsignalised=("it",), free_kmh={"it": 72.0})[1]
    assert plain["control_delay_mean_s"] == pytest.approx(40.0, rel=1e-4)
    assert plain["LOS (from measured control delay)"] == "E"


def test_without_enough_free_vehicles_there_is_no_delay(tmp_path: Path) -> None:
    events = [piece for k in range(9) for piece in went(k, 5.0 * k, 20.0)]
    row = table(made(tmp_path, "section", events, {"lane": "a/a", "length_m": 200.0}), "delays")[0]
    assert (row["n"], row["free_kmh"], row["control_delay_mean_s"]) == (9, None, None)
    assert row["travel_mean_s"] == pytest.approx(20.0)


def test_saturation_flow_by_hand() -> None:
    times = np.array([3.0, 5.6, 7.9, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 26.0])
    found = saturation_of(0.0, times, 9)
    assert found is not None
    assert (found["headway_s"], found["saturation_veh_per_h"]) == pytest.approx((2.0, 1800.0))
    assert found["lost_time_s"] == pytest.approx(10.0 - 4 * 2.0)
    assert saturation_of(0.0, times, 7) is None
    assert saturation_of(0.0, times, 11) is None


def test_saturation_flow_of_a_lane_and_its_cycles(tmp_path: Path) -> None:
    rules: list[traffic_runs.Rule] = [
        ("q", "queue", {"lane": "a/a", "line": "in"}),
        ("s", "spot", {"line": "in", "lanes": ["a/a", "a/b"]}),
        ("coverage", "coverage", {}),
    ]
    head = traffic_runs.header(rules, lines=("in", "out"), lanes=("a/a", "a/b"))
    cycle = [
        queued("red", 50.0, 0),
        queued("green", 100.0, 9),
        queued("red", 130.0, 0),
        queued("green", 180.0, 10),
        queued("red", 190.0, 5),
    ]
    passed = [{"time_s": 103.0 + 2.0 * k, "lane": 0} for k in range(12)]
    passed += [{"time_s": 102.0 + 1.7 * k, "lane": 1} for k in range(12)] + [
        {"time_s": 182.0 + 2 * k, "lane": 0} for k in range(4)
    ]
    records = traffic_runs.write(tmp_path, head, {0: cycle, 1: passed, 2: watched(60)})
    (row,) = table(records, "saturation")  # in the second cycle not all that queued got over
    assert (row["green_s"], row["n_queued"], row["place"]) == (100.0, 9, "a/a")
    assert row["saturation_veh_per_h"] == pytest.approx(1800.0)
    assert row["lost_time_s"] == pytest.approx(1.0)


# -- Files ------------------------------------------------------------------------------------------------------------


def test_both_forms_hold_the_same_rows(tmp_path: Path) -> None:
    records = made(tmp_path / "run", "spot", passing(180, 5.0, [10.0, 20.0]), {"line": "in"})
    n = [export(records, form, tmp_path / form) for form in ("measures", "measures-parquet")]
    names = sorted(path.stem for path in (tmp_path / "measures").iterdir())
    assert names == ["coverage", "spots"] == sorted(path.stem for path in (tmp_path / "measures-parquet").iterdir())
    assert n[0] == n[1] == 8
    for name in names:
        with (tmp_path / "measures" / f"{name}.csv").open(newline="") as file:
            text = list(csv.DictReader(file))
        rows = pq.read_table(tmp_path / "measures-parquet" / f"{name}.parquet").to_pylist()
        assert len(text) == len(rows) == 4
        for cells, row in zip(text, rows, strict=True):
            assert list(cells) == list(row)
            for key, value in row.items():
                if isinstance(value, datetime):
                    assert datetime.fromisoformat(cells[key]) == value
                elif isinstance(value, float):
                    assert float(cells[key]) == pytest.approx(value, rel=1e-8)
                else:
                    assert cells[key] == ("" if value is None else str(value))


def test_no_name_is_a_formula(tmp_path: Path) -> None:
    rules: list[traffic_runs.Rule] = [("=1+1", "line_count", {"line": "in"}), ("coverage", "coverage", {})]
    head = traffic_runs.header(rules, lines=("in",))
    records = traffic_runs.write(tmp_path / "run", head, {0: [{"time_s": 1.0, "line": 0}], 1: watched(60)})
    export(records, "measures", tmp_path / "out")
    text = (tmp_path / "out" / "volumes.csv").read_text()
    assert ",=1+1" not in text
    assert "'=1+1" in text


def test_a_run_without_a_rule_that_measures_is_refused(tmp_path: Path) -> None:
    head = traffic_runs.header([("x", "u_turn", {})], lines=("in",))
    records = traffic_runs.write(tmp_path, head, {})
    with pytest.raises(StoreError, match="made from rules of type"):
        list(tables(Request(records, np.zeros(0, np.int64))))
