"""Stopping beyond a stop line: who is flagged, who is not, and when the rule says that it cannot judge."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from roadrows import Court, drive, road_line, road_scene
from trackrows import signal_row

from kernels.records import (
    CALIBRATION,
    CAMERA_MOVED,
    CANNOT_JUDGE,
    IDENTITY,
    NO_REASON,
    SIGNAL_CLOCK,
    SIGNAL_STATE,
    TRUNCATED,
    VIOLATION,
)  # fmt: skip

#: The stop line is at y = 20 m; the red that most tests use lasts from 0 to 30 s.
RED = (("red", 0.0), ("green", 30.0))
LENGTH_M = 4.0


def arrive(past_m: float, track_id: int = 1, start_s: float = 5.0, then: tuple = (), fps: float = 10.0, **more):
    """A car at 8 m/s that stops with its front `past_m` beyond the line; `then`: (at s, front beyond the line m)."""
    stop_s = start_s + (20.0 + past_m) / 8.0
    knots = [(start_s, 0.0), (stop_s, 20.0 + past_m), *((at, 20.0 + y) for at, y in then)]
    end_s = max(40.0, knots[-1][0] + 1.0) if "end_s" not in more else more.pop("end_s")
    times = [start_s + k / fps for k in range(int((end_s - start_s) * fps))]

    def rear(t: float) -> tuple[float, float]:
        return 10.0, float(np.interp(t, [k[0] for k in knots], [k[1] for k in knots])) - LENGTH_M

    rows = drive(track_id, rear, times, **more)
    for row in rows:
        row["front_x_px"], row["front_y_px"] = row["rear_x_px"], row["rear_y_px"] + 10.0 * LENGTH_M
        row["front_x_m"], row["front_y_m"] = row["rear_x_m"], row["rear_y_m"] + LENGTH_M
    return rows


def at(log, time_s: float, sd_s: float) -> np.ndarray:
    """The SIGNAL row at a time, from a log that starts with green long ago."""
    past = [("unknown", -math.inf), ("green", -100.0), *((name, since) for name, since in log if since <= time_s)]
    row = signal_row(*past[-1], *past[-2], sd_s=sd_s)
    onsets = [now[1] for was, now in itertools.pairwise(past) if "red" in now[0] and "red" not in was[0]]
    row["red_since_s"] = onsets[-1] if onsets else -math.inf
    return row


def court(ground: bool = True, **config) -> Court:
    lines = {
        "stop": road_line(5, 20, 15, 20, (0, 1), ground=ground),
        "clear": road_line(5, 25, 15, 25, ground=ground),
    }
    config = {"line": "stop", "signal": "lamp", "classes": ("car",), **config}
    return Court("stop_line_overrun", road_scene(lines=lines, ground=ground), **config)


def judged(rows, log=RED, sd_s: float = 0.0, ground: bool = True, suspended: int = 0, own=None, **config) -> np.ndarray:
    own = own or court(ground, **config)
    return np.concatenate([own(row, at(log, float(row["time_s"][0]), sd_s), suspended) for row in rows])


def only(events: np.ndarray) -> np.void:
    assert len(events) == 1
    return events[0]


@pytest.mark.parametrize("fps", [30.0, 10.0, 5.0])
def test_a_car_that_stands_beyond_the_line(fps):
    event = only(judged(arrive(1.0, fps=fps)))
    assert (event["judgement"], event["reason"]) == (VIOLATION, NO_REASON)
    assert event["time_s"] == pytest.approx(7.5, abs=0.5 / fps + 0.01)
    assert event["red_s"] == pytest.approx(7.5, abs=0.5 / fps + 0.01)
    assert event["past_m"] == pytest.approx(1.0, abs=0.8)
    assert math.isnan(event["past_share"])
    assert event["stood_s"] == pytest.approx(30.0 - 7.6, abs=2 / fps)


@pytest.mark.parametrize(("past_m", "flagged"), [(-1.0, False), (0.25, False), (0.6, True)])
def test_by_how_much(past_m, flagged):
    assert len(judged(arrive(past_m), band_px=1.0, band_share=0.0)) == flagged


def test_the_box_may_jitter_about_the_line():
    """A front that stands on the line and flickers by 0.5 m either side: never beyond it for a second."""
    rows = arrive(0.0)
    rng = np.random.default_rng(1)
    for row in rows:
        noise = rng.normal(0, 0.5)
        row["front_y_m"] += noise
        row["front_y_px"] += 10 * noise
    assert len(judged(rows)) == 0


def test_one_that_stood_there_before_the_red_began():
    assert len(judged(arrive(1.0), [("red", 12.0), ("green", 30.0)])) == 0


def test_one_that_passed_the_line_on_amber():
    assert len(judged(arrive(1.0), [("amber", 6.0), ("red", 7.6), ("green", 30.0)])) == 0


def test_one_that_goes_on_at_green_before_it_has_stood():
    assert len(judged(arrive(1.0, then=((8.2, 1.0), (9.5, 15.0))), [("red", 0.0), ("green", 8.1)])) == 0


def test_one_that_stood_and_goes_on_at_green_is_flagged():
    event = only(judged(arrive(1.0, then=((30.5, 1.0), (33.0, 15.0)))))
    assert event["judgement"] == VIOLATION
    assert event["stood_s"] == pytest.approx(22.4, abs=0.2)


@pytest.mark.parametrize("clear", [None, "clear"])
def test_one_that_goes_on_under_red_ran_it(clear):
    """After 5 s beyond the line it passes the second line, or its rear the stop line: that is red_light's."""
    assert len(judged(arrive(1.0, then=((13.0, 1.0), (16.0, 15.0))), clear_line=clear)) == 0


def test_one_that_creeps_on_but_not_over_the_second_line():
    event = only(judged(arrive(1.0, then=((13.0, 1.0), (14.0, 2.5), (35.0, 2.5)))))
    assert event["judgement"] == VIOLATION


def test_one_that_goes_back_stood_there_all_the_same():
    event = only(judged(arrive(1.0, then=((13.0, 1.0), (15.0, -2.0)))))
    assert event["judgement"] == VIOLATION
    assert event["stood_s"] == pytest.approx(13.0 - 7.6, abs=0.7)


def test_one_that_goes_back_within_a_second_is_let_off():
    assert len(judged(arrive(1.0, then=((8.0, 1.0), (9.0, -2.0))))) == 0


def test_a_bicycle_may_stand_in_its_box():
    assert len(judged(arrive(1.0, class_id=4))) == 0
    assert len(judged(arrive(1.0, class_id=4), classes=("bicycle",))) == 1


def test_without_a_ground_a_share_of_the_box_tells():
    event = only(judged(arrive(1.0, ground=False), ground=False))
    assert math.isnan(event["past_m"])
    assert event["past_share"] == pytest.approx(10.0 / 15.0, abs=0.35)
    assert len(judged(arrive(0.25, ground=False), ground=False, band_px=1.0)) == 0


@pytest.mark.parametrize(("sd_s", "reason"), [(0.1, NO_REASON), (3.0, SIGNAL_CLOCK)])
def test_the_signal_s_clock(sd_s, reason):
    assert only(judged(arrive(1.0), sd_s=sd_s))["reason"] == reason


def test_green_that_came_as_it_had_just_stood_long_enough():
    event = only(judged(arrive(1.0), [("red", 0.0), ("green", 8.8)], sd_s=0.2))
    assert (event["judgement"], event["reason"]) == (CANNOT_JUDGE, SIGNAL_CLOCK)


@pytest.mark.parametrize("name", ["flashing", "dark", "unknown"])
def test_an_unclear_signal(name):
    event = only(judged(arrive(1.0), [(name, 0.0)]))
    assert (event["judgement"], event["reason"]) == (CANNOT_JUDGE, SIGNAL_STATE)
    assert math.isnan(event["red_s"])


def test_a_track_that_is_lost_under_red():
    event = only(judged(arrive(1.0, end_s=20.0)))
    assert (event["judgement"], event["reason"]) == (CANNOT_JUDGE, TRUNCATED)


def test_a_point_that_is_less_sure_than_the_margin():
    assert only(judged(arrive(1.0, position_sd_m=1.5)))["reason"] == CALIBRATION


def test_a_camera_that_had_moved_and_a_track_that_was_mixed_up():
    assert only(judged(arrive(1.0), suspended=CAMERA_MOVED))["reason"] == CAMERA_MOVED
    assert only(judged(arrive(1.0, relinked_s=7.2)))["reason"] == IDENTITY


def test_a_gap_in_which_it_stood():
    rows = [row for row in arrive(1.0) if not 9.0 < row["time_s"][0] < 15.0]
    assert only(judged(rows))["judgement"] == VIOLATION


def test_a_slot_that_is_used_again_inherits_nothing():
    own = court()
    assert len(judged(arrive(1.0, end_s=8.0, ends=False, slot=3), own=own)) == 0
    assert len(judged(arrive(-3.0, 2, start_s=9.0, slot=3), own=own)) == 0


def test_red_and_amber_goes_on_with_the_red():
    assert only(judged(arrive(1.0), [("red", 0.0), ("red_amber", 29.0), ("green", 30.0)]))["judgement"] == VIOLATION


def test_amber_of_the_next_cycle_does_not_tell_twice():
    assert len(judged(arrive(1.0, then=((70.0, 1.0),)), [*RED, ("amber", 40.0), ("red", 43.0), ("green", 60.0)])) == 1
