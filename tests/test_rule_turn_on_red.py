"""Turning on red where it is legal after a full stop: who is flagged, who is not, and what cannot be judged."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from roadrows import Court, drive, road_line, road_scene
from trackrows import signal_row

from kernels.records import (
    CALIBRATION,
    CAMERA_BLIND,
    CANNOT_JUDGE,
    IDENTITY,
    NO_REASON,
    SIGNAL_CLOCK,
    SIGNAL_STATE,
    TRUNCATED,
    VIOLATION,
)  # fmt: skip

LINES = {
    "stop": road_line(5, 20, 15, 20, (0, 1)),
    "right": road_line(20, 22, 20, 32, (1, 0)),
    "ahead": road_line(5, 35, 15, 35, (0, 1)),
}
STOP_LINE_Y = 20.0


def drive_up(
    lowest_mps: float, stand_s: float = 0.0, stand_y: float = 19.0, way: str = "right", start_y: float = 0.0, **more
):
    """A car that brakes from 8 m/s to `lowest_mps` or stands at `stand_y`, goes over the line and leaves by `way`."""
    knots, t = [(0.0, (10.0, start_y))], (stand_y - 3.0 - start_y) / 8.0
    knots.append((t, (10.0, stand_y - 3.0)))
    low = max(lowest_mps, 0.6) if stand_s else lowest_mps
    t += 3.0 / max(low, 1.0)
    knots.append((t, (10.0, stand_y)))
    if stand_s:
        t += stand_s
        knots.append((t, (10.0, stand_y)))
    t += (26.0 - stand_y) / max(lowest_mps, 2.0)
    knots.append((t, (10.0, 26.0)))
    t += 4.0
    knots.append((t, (26.0, 27.0) if way == "right" else (10.0, 42.0)))
    times = [0.1 * k for k in range(int(t / 0.1))]
    axis = [k[0] for k in knots]

    def course(at: float) -> tuple[float, float]:
        return tuple(float(np.interp(at, axis, [k[1][i] for k in knots])) for i in (0, 1))

    return drive(more.pop("track_id", 1), course, times, **more)


def at(log, time_s: float, sd_s: float) -> np.ndarray:
    past = [("unknown", -math.inf), ("green", -100.0), *((name, since) for name, since in log if since <= time_s)]
    row = signal_row(*past[-1], *past[-2], sd_s=sd_s)
    onsets = [now[1] for was, now in itertools.pairwise(past) if "red" in now[0] and "red" not in was[0]]
    row["red_since_s"] = onsets[-1] if onsets else -math.inf
    return row


def judged(rows, log=(("red", -20.0),), sd_s: float = 0.0, suspended: int = 0, kind: str = "turn_on_red", **config):
    config = config or {"exits": ("right",)}
    own = Court(kind, road_scene(lines=LINES), line="stop", signal="lamp", **config)
    return np.concatenate([own(row, at(log, float(row["time_s"][0]), sd_s), suspended) for row in rows])


def only(events: np.ndarray) -> np.void:
    assert len(events) == 1
    return events[0]


def test_one_that_rolls_through():
    event = only(judged(drive_up(3.0)))
    assert (event["judgement"], event["reason"], event["line"], event["exit_line"]) == (VIOLATION, NO_REASON, 0, 1)
    assert event["low_mps"] == pytest.approx(3.0, abs=0.1)
    assert event["stood_s"] == 0.0
    assert event["red_s"] == pytest.approx(20.0 + event["time_s"], abs=0.01)


@pytest.mark.parametrize(("stand_s", "flagged"), [(3.0, False), (0.8, False), (0.3, True)])
def test_a_full_stop_lasts_half_a_second(stand_s, flagged):
    assert len(judged(drive_up(2.0, stand_s))) == flagged


@pytest.mark.parametrize(("stand_y", "flagged"), [(19.5, False), (16.0, False), (13.0, True), (21.0, True)])
def test_a_stop_counts_within_some_metres_before_the_line_only(stand_y, flagged):
    """Two cars further back, or beyond the line, is no stop at the line."""
    assert len(judged(drive_up(2.0, 3.0, stand_y))) == flagged


def test_one_that_goes_straight_on_is_for_the_other_rule():
    rows = drive_up(3.0, way="ahead")
    assert len(judged(rows)) == 0
    assert len(judged(rows, kind="red_light", turn_exempt=("right",))) == 1


@pytest.mark.parametrize("stand_s", [0.0, 3.0])
def test_no_turn_is_told_of_by_both_rules(stand_s):
    rows = drive_up(3.0, stand_s)
    assert len(judged(rows, kind="red_light", turn_exempt=("right",))) == 0


@pytest.mark.parametrize("name", ["green", "amber"])
def test_one_that_may_go(name):
    assert len(judged(drive_up(3.0), [(name, -5.0)])) == 0


def test_red_that_came_as_it_crossed():
    crossed_s = float(only(judged(drive_up(3.0)))["time_s"])
    assert len(judged(drive_up(3.0), [("red", crossed_s - 0.2)])) == 0
    assert only(judged(drive_up(3.0), [("red", crossed_s - 0.5)], sd_s=0.1))["reason"] == SIGNAL_CLOCK


def test_an_approach_that_was_not_seen():
    """First seen 3 m before the line: it may have stood before."""
    event = only(judged(drive_up(3.0, stand_y=22.0, start_y=17.0)))
    assert (event["judgement"], event["reason"]) == (CANNOT_JUDGE, TRUNCATED)


def test_a_gap_in_which_it_may_have_stood():
    rows = [row for row in drive_up(3.0) if not 17.0 < row["foot_y_m"][0] < 19.9]
    assert only(judged(rows))["reason"] == IDENTITY


def test_a_speed_that_was_withheld():
    rows = drive_up(3.0)
    for row in rows:
        if 17.0 < row["foot_y_m"][0] < 18.0:
            row["speed_mps"] = np.nan
    assert only(judged(rows))["reason"] == CALIBRATION


@pytest.mark.parametrize(("sd_mps", "reason"), [(0.2, NO_REASON), (1.5, CALIBRATION)])
def test_a_lowest_speed_that_is_not_surely_above_a_stop(sd_mps, reason):
    assert only(judged(drive_up(3.0, speed_sd_mps=sd_mps)))["reason"] == reason


def test_an_unclear_signal_and_a_blinded_camera():
    assert only(judged(drive_up(3.0), [("flashing", -5.0)]))["reason"] == SIGNAL_STATE
    assert only(judged(drive_up(3.0), suspended=CAMERA_BLIND))["reason"] == CAMERA_BLIND


def test_a_slot_that_is_used_again_inherits_nothing():
    """The first one stood at the line and was lost; the next in its slot does not stop."""
    own = Court("turn_on_red", road_scene(lines=LINES), line="stop", signal="lamp", exits=("right",))
    first = [row for row in drive_up(2.0, 3.0, ends=False, slot=4) if row["foot_y_m"][0] < 19.5]
    later = drive_up(3.0, track_id=2, slot=4)
    events = [own(row, at([("red", -20.0)], float(row["time_s"][0]), 0.0)) for row in first + later]
    assert only(np.concatenate(events))["track_id"] == 2


def test_only_the_classes_that_were_asked_for():
    assert len(judged(drive_up(3.0, class_id=4), exits=("right",), classes=("car",))) == 0
