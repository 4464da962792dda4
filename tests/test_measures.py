"""Intervals and counts of the tables of measures against truth computed by hand."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import traffic_runs
from hypothesis import given, settings
from hypothesis import strategies as st
from measure_runs import NAN, Events, made, table, watched

from kernels.records import CLASSES, DIRECTIONS, SIGNAL_STATES
from vision.record.formats import Options, Request, Window
from vision.record.formats.measures import tables

BUS, PERSON = (CLASSES.index(name) for name in ("bus", "person"))


# -- Intervals --------------------------------------------------------------------------------------------------------


def test_an_interval_says_what_was_watched_of_it_and_counts_are_never_scaled(tmp_path: Path) -> None:
    cover = watched(
        60,
        (20, 45, "camera_moved"),
        (21, 30, "camera_moved"),
        (22, 15, "camera_blind"),
        *[(k, 60, "stream_gap") for k in range(30, 38)],
    )
    crossings = [{"time_s": 30.0 * k + 1, "line": 0} for k in range(120)]
    rows = [
        row for row in table(made(tmp_path, "line_count", crossings, cover=cover), "volumes") if row["class"] == "all"
    ]
    assert [row["begin_utc"] for row in rows] == [
        datetime(2026, 5, 4, 6, 30, tzinfo=UTC) + timedelta(minutes=15 * k) for k in range(4)
    ]
    assert {row["timezone"] for row in rows} == {"Europe/Berlin"}
    assert [row["observed_s"] for row in rows] == [900, 810, 420, 900]
    assert [row["gap_s"] for row in rows] == [0, 0, 480, 0]
    assert [row["suspended_s"] for row in rows] == [0, 90, 0, 0]
    assert [row["suspended_by"] for row in rows] == [None, "camera_blind=15;camera_moved=75", None, None]
    assert [row["status"] for row in rows] == ["ok", "partial", "withheld", "ok"]
    assert [row["n"] for row in rows] == [30, 30, None, 30]
    assert [row["flow_per_h"] for row in rows] == [120, pytest.approx(3600 * 30 / 810), None, 120]
    assert rows[1]["expansion_factor"] == pytest.approx(1 / 0.9)


@pytest.mark.parametrize(
    ("start", "hours", "n"),
    [("2026-03-28T23:00:00Z", 23, 92), ("2026-10-24T22:00:00Z", 25, 100), ("2026-06-01T22:00:00Z", 24, 96)],
)
def test_days_on_which_the_clock_is_changed(tmp_path: Path, start: str, hours: int, n: int) -> None:
    cover = [{"time_s": 3600.0 * (k + 1), "interval_s": 3600, "observed_s": 3600} for k in range(hours)]
    rows = table(made(tmp_path, "line_count", [{"time_s": 5.0, "line": 0}], cover=cover, start_utc=start), "coverage")
    assert len(rows) == n
    local = [row["begin_utc"].astimezone(ZoneInfo("Europe/Berlin")) for row in rows]
    assert (local[0].hour, local[0].minute) == (0, 0)
    assert {moment.date() for moment in local} == {local[0].date()}
    assert {moment.minute % 15 for moment in local} == {0}
    assert all(row["status"] == "ok" for row in rows)


def test_a_run_that_begins_within_an_interval(tmp_path: Path) -> None:
    records = made(tmp_path, "line_count", [{"time_s": 10.0, "line": 0}], start_utc="2026-05-04T06:37:00Z")
    rows = [row for row in table(records, "volumes") if row["class"] == "all"]
    assert rows[0]["begin_utc"] == datetime(2026, 5, 4, 6, 30, tzinfo=UTC)
    assert [row["status"] for row in rows] == ["partial", "ok", "ok", "ok", "withheld"]
    assert [row["n"] for row in rows] == [1, 0, 0, 0, None]


def test_a_run_without_a_date_has_intervals_of_the_stream(tmp_path: Path) -> None:
    rows = table(
        made(tmp_path, "line_count", [{"time_s": 10.0, "line": 0}], start_utc=None), "coverage", interval_min=5
    )
    assert [row["begin_s"] for row in rows] == [300.0 * k for k in range(12)]
    assert {row["begin_utc"] for row in rows} == {None} == {row["timezone"] for row in rows}


def test_a_choice_of_events_does_not_change_what_was_watched(tmp_path: Path) -> None:
    records = made(tmp_path, "line_count", [{"time_s": 10.0, "line": 0}])
    request = Request(records, np.zeros(1, np.int64), Options(), Window(), [])
    assert [row["observed_s"] for row in next(iter(tables(request))).rows] == [900] * 4
    rows = table(records, "coverage", Window(from_s=600.0, to_s=2000.0))
    assert [row["observed_s"] for row in rows] == [300, 900, 200, 0]


# -- Counts -----------------------------------------------------------------------------------------------------------

CROSSINGS = st.lists(
    st.tuples(st.floats(0, 3599), st.integers(0, 5), st.sampled_from([0, 1]), st.sampled_from([0, 1])), max_size=80
)


@settings(max_examples=20)
@given(CROSSINGS)
def test_classes_add_up_to_all(
    tmp_path_factory: pytest.TempPathFactory, crossings: list[tuple[float, int, int, int]]
) -> None:
    events = [{"time_s": t, "class_id": c, "line": line, "direction": way} for t, c, line, way in crossings]
    folder = tmp_path_factory.mktemp("run")
    found: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    try:
        rows = table(made(folder, "line_count", events, {"line": "in"}), "volumes")
    except KeyError:
        assert not events
        return
    for row in rows:
        found[row["line"], row["direction"], row["begin_s"]][row["class"] == "all"] += row["n"]
    assert all(parts == total for parts, total in found.values())
    assert sum(total for _, total in found.values()) == len(events)


def test_a_line_over_which_nobody_went_was_crossed_by_nobody(tmp_path: Path) -> None:
    line = {"name": "in", "has_flow": 1, "upright": 0}
    rows = table(
        made(tmp_path, "line_count", [], {"line": "in", "classes": ["car"]}, geometry={"lines": [line]}), "volumes"
    )
    assert {(row["direction"], row["class"], row["n"]) for row in rows} == {
        (way, kind, 0) for way in ("with_flow", "against_flow") for kind in ("car", "all")
    }


def test_the_peak_hour_is_any_four_intervals_and_has_its_factor(tmp_path: Path) -> None:
    counts = [10, 20, 30, 40, 60, 50, 40, 5, 0, 0, 0, 99]
    events = [
        {"time_s": 900.0 * k + 900.0 * i / n, "line": 0, "direction": 0} for k, n in enumerate(counts) for i in range(n)
    ]
    cover = watched(180, *[(k, 60, "stream_gap") for k in range(165, 180)])  # the last interval was not seen
    (row,) = table(made(tmp_path, "line_count", events, cover=cover), "peak_hours")
    assert (row["begin_s"], row["n"], row["interval_max"]) == (2700.0, 190, 60)
    assert row["phf"] == round(190 / 240, 3)
    assert row["k_factor"] == pytest.approx(190 / sum(counts[:-1]))
    assert table(made(tmp_path / "x", "line_count", events[:40]), "peak_hours")[0]["n"] == 40
    notes: list[str] = []
    with pytest.raises(KeyError):
        table(made(tmp_path / "y", "line_count", events), "peak_hours", notes=notes, interval_min=7)
    assert any("do not make up an hour" in note for note in notes)


def test_movements_are_those_of_the_interval_of_entry(tmp_path: Path) -> None:
    events = [
        {"time_s": 910.0, "entry_s": 890.0, "entry_line": 0, "exit_line": 1, "track_id": 1},
        {"time_s": 920.0, "entry_s": 905.0, "entry_line": 0, "exit_line": 1, "track_id": 2, "class_id": BUS},
        {"time_s": 930.0, "entry_s": NAN, "entry_line": -1, "exit_line": 1, "track_id": 3},
    ]
    records = made(tmp_path, "movement", events, {"entry": ["in"], "exit": ["out"]})
    rows = table(records, "movements", movements={"in -> out": "NBT"})
    told = {(row["entry"], row["begin_s"], row["class"]): row["n"] for row in rows if row["n"]}
    assert told == {
        ("in", 0.0, "car"): 1, ("in", 0.0, "all"): 1, ("in", 900.0, "bus"): 1, ("in", 900.0, "all"): 1,
        (None, 900.0, "car"): 1, (None, 900.0, "all"): 1,
    }  # fmt: skip
    assert {row["movement"] for row in rows if row["entry"] == "in"} == {"NBT"}


def test_journeys_go_from_the_first_entry_to_the_last_exit(tmp_path: Path) -> None:
    legs = [  # track 1 goes out and in again on its way, track 2 was first seen inside
        {"time_s": 20.0, "entry_s": 10.0, "entry_line": 0, "exit_line": 1, "track_id": 1},
        {"time_s": 70.0, "entry_s": 40.0, "entry_line": 1, "exit_line": 0, "track_id": 1},
        {"time_s": 30.0, "entry_s": NAN, "entry_line": -1, "exit_line": 0, "track_id": 2},
        {"time_s": 50.0, "entry_s": 30.0, "entry_line": 0, "exit_line": 0, "track_id": 3},
    ]
    rows = [row for row in table(made(tmp_path, "movement", legs), "journeys") if row["begin_s"] == 0.0]
    told = {(row["origin"], row["destination"]): (row["n"], row["inferred"], row["travel_mean_s"]) for row in rows}
    assert told == {("in", "in"): (2, False, pytest.approx(40.0)), (None, "in"): (1, True, None)}


def test_crosswalks(tmp_path: Path) -> None:
    red, green = SIGNAL_STATES.index("red"), SIGNAL_STATES.index("green")
    base = {"zone": 0, "class_id": PERSON, "direction": DIRECTIONS.index("up"), "wait_s": NAN}
    events = [
        {**base, "time_s": 10.0, "speed_mps": 1.0, "signal_state": red, "wait_s": 4.0},
        {**base, "time_s": 20.0, "speed_mps": 1.4, "signal_state": green, "group": 1},
        {**base, "time_s": 30.0, "speed_mps": NAN, "signal_state": -1},
    ]
    row = table(made(tmp_path, "crosswalk", events), "crosswalks")[0]
    assert (row["n"], row["n_group"], row["n_signal_known"], row["n_against_signal"]) == (3, 1, 2, 1)
    assert (row["direction"], row["class"], row["zone"]) == ("up", "person", "zone")
    assert (row["speed_mean_mps"], row["wait_mean_s"], row["n_waited"]) == (pytest.approx(1.2), 4.0, 1)


def test_pedestrian_delays(tmp_path: Path) -> None:
    """Walk from 20 s and 60 s, clearance 7 s later, don't walk 5 s after that."""
    code = SIGNAL_STATES.index
    changes: Events = [
        {"time_s": at_s, "since_s": at_s, "signal": 0, "signal_state": code(name), "prev_state": 0}
        for at_s, name in (
            (1.0, "red"),
            (20.0, "green"),
            (27.0, "amber"),
            (32.0, "red"),
            (60.0, "green"),
            (67.0, "amber"),
        )
    ]
    base = {"zone": 0, "class_id": PERSON, "direction": DIRECTIONS.index("up"), "signal_state": code("green")}
    walks: Events = [
        {**base, "time_s": 30.0, "cross_s": 9.0, "wait_s": 13.0},  # came at 8, walk 12 s later, off in time
        {**base, "time_s": 33.0, "cross_s": 9.0, "wait_s": 2.0},  # came in walk, too late off
        {**base, "time_s": 50.0, "cross_s": 8.0, "wait_s": 5.0, "signal_state": code("red")},  # against the signal
        {**base, "time_s": 70.0, "cross_s": 8.0, "wait_s": NAN},
    ]
    rules: list[traffic_runs.Rule] = [
        ("it", "crosswalk", {"signal": "lamp"}),
        ("coverage", "coverage", {}),
        ("lamp", "signal_change", {"signal": "lamp"}),
    ]
    head = traffic_runs.header(rules, lines=("in",), zones=("zone",), lanes=(), signals=("lamp",))
    records = traffic_runs.write(tmp_path, head, {0: walks, 1: watched(60), 2: changes})
    (row,) = table(records, "pedestrian_delays")[:1]
    assert (row["rule"], row["zone"], row["n"], row["n_waited"]) == ("it", "zone", 4, 3)
    assert (row["wait_mean_s"], row["wait_p50_s"], row["wait_max_s"]) == (pytest.approx(20 / 3), 5.0, 13.0)
    assert (row["n_to_walk"], row["to_walk_mean_s"]) == (2, pytest.approx(6.0))
    assert (row["n_began_in_time"], row["n_left_in_dont_walk"]) == (3, 1)


def test_without_a_signal_there_are_waits_only(tmp_path: Path) -> None:
    events = [{"zone": 0, "class_id": PERSON, "direction": 3, "wait_s": 4.0, "cross_s": 9.0, "time_s": 30.0}]
    row = table(made(tmp_path, "crosswalk", events), "pedestrian_delays")[0]
    assert (row["wait_mean_s"], row["n_to_walk"], row["to_walk_mean_s"], row["n_began_in_time"]) == (4.0, 0, None, 0)


def test_the_time_in_which_a_signal_s_log_was_not_gone_by_is_told(tmp_path: Path) -> None:
    cover = watched(60)
    cover[3] |= {"signal_suspended_s": 30.0}
    rows = table(made(tmp_path, "line_count", [{"time_s": 5.0, "line": 0}], cover=cover), "coverage")
    assert sum(row["signal_suspended_s"] for row in rows) == pytest.approx(30.0)
    assert rows[0]["observed_s"] == pytest.approx(rows[0]["length_s"])


def test_small_counts_are_withheld_when_asked(tmp_path: Path) -> None:
    events = [{"time_s": 10.0 * k, "line": 0} for k in range(4)] + [{"time_s": 1000.0 + k, "line": 0} for k in range(9)]
    notes: list[str] = []
    rows = [
        row for row in table(made(tmp_path, "line_count", events), "volumes", notes=notes, k=5) if row["class"] == "all"
    ]
    assert [row["n"] for row in rows] == [None, 9, 0, 0]
    assert rows[0]["flow_per_h"] is None
    assert any("below 5 are withheld" in note for note in notes)
