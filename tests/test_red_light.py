"""Running a red light: who is flagged, who is not, and when the rule says that it cannot judge."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from trackrows import Judge, course_rows, events_of, signal_row
from traffic import line_row, small_scene, state

from kernels.records import CANNOT_JUDGE, SIGNAL_STATES, VIOLATION

pytestmark = pytest.mark.kernels

LINES = {"stop": line_row(40, 100, 160, 100, (0, 1)), "clear": line_row(40, 150, 160, 150)}
#: A track that starts at y = 52.5 px with 50 px/s is over the stop line at 0.95 s and over the clear line at 1.95 s.
STOP_S, CLEAR_S = 0.95, 1.95


def drive(track_id: int = 1, end_y: float = 200.0, **more) -> list[np.ndarray]:
    points = [(80.0, y) for y in np.arange(52.5, end_y, 5.0)]
    return course_rows(track_id, points, [0.1 * k for k in range(len(points))], **more)


def judged(signals, rows: list[np.ndarray] | None = None, clear: bool = False, **config) -> np.ndarray:
    """Events of one drive; `signals` is a SIGNAL row, or states with their onsets as a log has them."""
    judge = Judge(
        "red_light",
        small_scene(LINES, {"lamp": None}),
        **{"line": "stop", "signal": "lamp", "grace_s": 0.3, "clear_line": "clear" if clear else None, **config},
    )
    rows = drive() if rows is None else rows
    if isinstance(signals, np.ndarray):
        return events_of(judge, rows, signals)
    return np.concatenate([judge(row, at(signals, float(row["time_s"][0]))) for row in rows])


def at(log: list[tuple[str, float]], time_s: float) -> np.ndarray:
    """The SIGNAL row at a time, from a log that starts with green long ago."""
    past = [("unknown", -math.inf), ("green", -100.0), *((name, since) for name, since in log if since <= time_s)]
    row = signal_row(*past[-1], *past[-2])
    onsets = [now[1] for was, now in itertools.pairwise(past) if "red" in now[0] and "red" not in was[0]]
    row["red_since_s"] = onsets[-1] if onsets else -math.inf
    return row


@pytest.mark.parametrize(
    ("onset_s", "flagged"),
    [
        (STOP_S - 5.0, True),
        (STOP_S - 0.31, True),
        (STOP_S - 0.29, False),  # within the grace
        (STOP_S + 0.01, False),  # green when it crossed, red when the crossing had settled
        (STOP_S + 5.0, False),
    ],
)
def test_when_the_red_began(onset_s, flagged):
    assert len(judged([("red", onset_s)])) == flagged


def test_exactly_at_the_grace_is_forgiven():
    """The line is met halfway between the points at 0.875 s and 1.0 s; numbers that binary fractions hold exactly."""
    points = [(80.0, 100.0 + 8 * k) for k in range(-8, 9)]
    points = [(x, y - 4.0) for x, y in points]
    rows = course_rows(1, points, [0.125 * k for k in range(len(points))])
    crossed_s = 8.5 * 0.125
    assert len(judged(signal_row("red", crossed_s - 0.5, "green", -9.0), rows, grace_s=0.5)) == 0
    assert len(judged(signal_row("red", crossed_s - 0.501, "green", -9.0), rows, grace_s=0.5)) == 1


def test_green_before_the_crossing_has_settled_does_not_save_it():
    """Red when it crossed, green 0.05 s later: the state at the crossing counts, not the one at the decision."""
    event = judged([("red", -20.0), ("green", STOP_S + 0.05)])[0]
    assert event["signal_state"] == state("red")
    assert event["red_s"] == pytest.approx(STOP_S + 20.0)


def test_green_just_before_the_crossing_saves_it():
    assert len(judged([("red", -20.0), ("green", STOP_S - 0.05)])) == 0


def test_an_event_says_by_how_much():
    event = judged(signal_row("red", STOP_S - 2.0, "green", -9.0, sd_s=0.1), drive(7, speed_mps=9.0, speed_sd_mps=1.0))[
        0
    ]
    assert (event["track_id"], event["line"], event["signal"]) == (7, 0, 0)
    assert (event["time_s"], event["red_s"], event["margin_s"]) == pytest.approx((STOP_S, 2.0, 1.7), abs=1e-5)
    assert (event["signal_sd_s"], event["speed_mps"], event["speed_sd_mps"]) == pytest.approx((0.1, 9.0, 1.0))
    assert event["judgement"] == VIOLATION


@pytest.mark.parametrize(("sd_s", "judgement"), [(0.0, VIOLATION), (0.2, VIOLATION), (0.25, CANNOT_JUDGE)])
def test_what_it_cannot_judge_it_says(sd_s, judgement):
    """0.7 s over the grace: three deviations of the onset's time must be less."""
    events = judged(signal_row("red", STOP_S - 1.0, "green", -9.0, sd_s=sd_s))
    assert events["judgement"].tolist() == [judgement]


@pytest.mark.parametrize("name", [name for name in SIGNAL_STATES if not name.startswith("red")])
def test_no_other_state_is_ever_flagged(name):
    assert len(judged(signal_row(name, -50.0))) == 0


def test_a_crossing_before_anything_was_known_is_not_flagged():
    assert len(judged(signal_row("red", STOP_S + 1.0, "unknown", STOP_S + 0.5))) == 0


@pytest.mark.parametrize("amber_s", [STOP_S - 0.1, STOP_S + 0.05, STOP_S + 0.5])
def test_red_and_amber_goes_on_with_the_red(amber_s):
    """A start 0.1 s into red and amber is not within the grace: the red began 20 s ago."""
    events = judged([("red", STOP_S - 20.0), ("red_amber", amber_s), ("green", amber_s + 1.0)])
    assert events["red_s"].tolist() == pytest.approx([20.0])
    assert events["signal_state"][0] == state("red_amber" if amber_s < STOP_S else "red")


# -- speed, class, direction ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kmh", "flagged"), [(7.9, False), (8.1, True), (float("nan"), True)])
def test_too_slow_to_be_a_run(kmh, flagged):
    """Creeping over the line is no run; where no speed is known it cannot be called slow."""
    rows = drive(speed_mps=kmh / 3.6, speed_sd_mps=0.2)
    assert len(judged(signal_row("red", -9.0), rows)) == flagged


def test_only_the_classes_that_were_asked_for():
    for class_id, flagged in ((0, False), (4, True)):
        assert len(judged(signal_row("red", -9.0), drive(class_id=class_id), classes=("bicycle",))) == flagged


def test_a_class_that_wavers_before_the_line_loses_nothing():
    """Taken for a truck until the middle of the crossing: it is judged as what it is held to be at the crossing."""
    rows = drive()
    for row in rows[:10]:
        row["class_id"] = 2
    assert len(judged(signal_row("red", -9.0), rows, classes=("car",))) == 1


def test_against_the_flow_is_no_run():
    points = [(80.0, 150.0 - 5 * k) for k in range(20)]
    rows = course_rows(1, points, [0.1 * k for k in range(20)])
    assert len(judged(signal_row("red", -9.0), rows)) == 0


def test_once_only():
    """It rolls back and goes again under the same red: two entries are two events, a stay behind the line none more."""
    points = [(80.0, y) for y in [*np.arange(60, 130, 5.0), *[130.0] * 30]]
    rows = course_rows(1, points, [0.1 * k for k in range(len(points))])
    assert len(judged(signal_row("red", -9.0), rows)) == 1


# -- the clear line -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "green_s", "end_y", "flagged"),
    [
        ("passed while still red", CLEAR_S + 9, 200.0, True),
        ("passed just before the green", CLEAR_S + 0.05, 200.0, True),
        ("passed after the green", CLEAR_S - 0.05, 200.0, False),
        ("never passed", CLEAR_S + 9, 140.0, False),
    ],
)
def test_the_clear_line_must_be_passed_in_the_same_red(name, green_s, end_y, flagged):
    events = judged([("red", -20.0), ("green", green_s)], drive(end_y=end_y), clear=True)
    assert len(events) == flagged
    if flagged:
        assert events["time_s"][0] == pytest.approx(STOP_S)  # when it ran the red, not when that was known


def test_the_next_red_is_not_the_same_red():
    log = [("red", -20.0), ("green", STOP_S + 0.2), ("red", STOP_S + 0.6)]
    assert len(judged(log, clear=True)) == 0


def test_the_clear_line_in_red_and_amber_is_the_same_red():
    log = [("red", -20.0), ("red_amber", CLEAR_S - 0.1), ("green", CLEAR_S + 5)]
    assert len(judged(log, clear=True)) == 1


def test_the_clear_line_alone_flags_nobody():
    """In on green, over the clear line on red: a slow car that cleared the junction."""
    assert len(judged([("red", STOP_S + 0.5)], clear=True)) == 0


def test_a_slot_that_is_used_again_forgets_the_run_that_waited():
    judge = Judge("red_light", small_scene(LINES, {"lamp": None}), line="stop", signal="lamp", clear_line="clear")
    red = signal_row("red", -9.0)
    assert len(events_of(judge, drive(1, 130.0), red)) == 0
    other = course_rows(2, [(80.0, 130.0 + 5 * k) for k in range(12)], [5 + 0.1 * k for k in range(12)], slot=1)
    assert len(events_of(judge, other, red)) == 0
