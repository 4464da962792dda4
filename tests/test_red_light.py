"""Running a red light: who is flagged, who is not, and when the rule says that it cannot judge."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from trackrows import Judge, course_rows, events_of, signal_row
from traffic import instant, line_row, small_scene, state

from kernels.records import (
    CAMERA_MOVED,
    CANNOT_JUDGE,
    IDENTITY,
    NO_REASON,
    SIGNAL_CLOCK,
    SIGNAL_STATE,
    STREAM_GAP,
    TRUNCATED,
    VIOLATION,
)  # fmt: skip

LINES = {"stop": line_row(40, 100, 160, 100, (0, 1)), "clear": line_row(40, 150, 160, 150)}
#: A track that starts at y = 52.5 px with 50 px/s is over the stop line at 0.95 s and over the clear line at 1.95 s.
STOP_S, CLEAR_S = 0.95, 1.95


def drive(track_id: int = 1, end_y: float = 200.0, **more) -> list[np.ndarray]:
    more = {"birth_s": -1.0, **more}
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


def only(events: np.ndarray) -> np.void:
    assert len(events) == 1
    return events[0]


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
    event = only(judged(signal_row("red", STOP_S - 1.0, "green", -9.0, sd_s=sd_s)))
    assert event["judgement"] == judgement
    assert event["reason"] == (NO_REASON if judgement == VIOLATION else SIGNAL_CLOCK)


@pytest.mark.parametrize("name", ["amber", "green"])
def test_who_may_go_is_not_flagged(name):
    assert len(judged(signal_row(name, -50.0))) == 0


@pytest.mark.parametrize("name", ["unknown", "dark", "flashing"])
def test_where_nobody_knows_who_may_go_it_cannot_judge(name):
    event = only(judged(signal_row(name, -50.0)))
    assert (event["judgement"], event["reason"], event["signal_state"]) == (CANNOT_JUDGE, SIGNAL_STATE, state(name))
    assert np.isnan([event["red_s"], event["margin_s"]]).all()
    assert event["severe"] == 0


def test_a_crossing_before_anything_was_known_cannot_be_judged():
    event = only(judged(signal_row("red", STOP_S + 1.0, "unknown", STOP_S + 0.5)))
    assert (event["judgement"], event["reason"]) == (CANNOT_JUDGE, SIGNAL_STATE)


def test_a_signal_says_why_it_is_unknown():
    assert only(judged(signal_row("unknown", -50.0, reason=STREAM_GAP)))["reason"] == STREAM_GAP


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


# -- the end of red -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("green_s", "reason"), [(STOP_S + 0.35, NO_REASON), (STOP_S + 0.25, SIGNAL_CLOCK)])
def test_just_before_the_green_the_signal_s_clock_must_be_sure(green_s, reason):
    """Three deviations of 0.1 s: an entry 0.25 s before the green may have come after it."""
    event = only(np.concatenate([judged_with_sd([("red", -20.0), ("green", green_s)], 0.1)]))
    assert (event["reason"], event["judgement"] == VIOLATION) == (reason, reason == NO_REASON)


def judged_with_sd(log, sd_s: float, rows: list[np.ndarray] | None = None, **config) -> np.ndarray:
    """Events of one drive under a log whose times have this deviation."""
    judge = Judge("red_light", small_scene(LINES, {"lamp": None}), line="stop", signal="lamp", **config)
    events = []
    for row in drive() if rows is None else rows:
        signal = at(log, float(row["time_s"][0]))
        signal["sd_s"] = sd_s
        events.append(judge(row, signal))
    return np.concatenate(events)


def test_a_lamp_that_tells_its_green_late_is_waited_for():
    """Green from just before the crossing, told 0.2 s after it: nothing is said before it can have been told."""
    judge = Judge("red_light", small_scene(LINES, {"lamp": None}), line="stop", signal="lamp")
    log = [("red", -20.0), ("green", STOP_S - 0.02)]
    events = []
    for row in drive():
        time_s = float(row["time_s"][0])
        events.append(judge(row, at(log if time_s >= STOP_S + 0.2 else log[:1], time_s)))
    assert len(np.concatenate(events)) == 0


def test_a_signal_that_is_never_sure_is_not_waited_for():
    event = only(judged_with_sd([("red", -20.0)], math.inf))
    assert (event["judgement"], event["reason"]) == (CANNOT_JUDGE, SIGNAL_CLOCK)


def test_severe_is_more_than_a_second_into_red_surely():
    for onset_s, sd_s, severe in ((STOP_S - 1.1, 0.0, 1), (STOP_S - 0.9, 0.0, 0), (STOP_S - 1.1, 0.05, 0)):
        assert only(judged_with_sd([("red", onset_s)], sd_s))["severe"] == severe


# -- front, rear, and standing on the line --------------------------------------------------------------------------


def long_drive(y: np.ndarray, dt_s: float = 0.1, length_px: float = 40.0, **more) -> list[np.ndarray]:
    """A vehicle whose front is at `y`, its rear `length_px` behind."""
    rows = course_rows(1, [(80.0, v) for v in y], [dt_s * k for k in range(len(y))], birth_s=-2.0, **more)
    for row in rows:
        row["rear_y_px"] = row["front_y_px"] - length_px
    return rows


@pytest.mark.parametrize(("green_s", "flagged"), [(1.9, True), (1.6, False)])
def test_the_rear_must_pass_in_the_same_red(green_s, flagged):
    """The front passes y = 100 at 0.95 s, the rear at 1.75 s."""
    rows = long_drive(np.arange(52.5, 250, 5.0))
    assert len(judged([("red", -20.0), ("green", green_s)], rows)) == flagged


def test_the_front_decides_when_it_entered():
    """The rear passes under red, the front had passed under green: it was in the junction before."""
    rows = long_drive(np.arange(52.5, 250, 5.0))
    assert len(judged([("red", 1.2)], rows)) == 0
    event = only(judged([("red", 0.0)], rows))
    assert event["time_s"] == pytest.approx(STOP_S)


def test_one_that_stands_on_the_line_and_goes_on_green_is_not_flagged():
    """It came to rest 1 px past the line under red, within the dead band, and left at the green, 8 s later."""
    y = np.concatenate([np.arange(52.5, 100, 5.0), np.full(80, 101.0), np.arange(106.0, 200, 5.0)])
    rows = course_rows(1, [(80.0, v) for v in y], [0.1 * k for k in range(len(y))], birth_s=-2.0)
    green_s = 8.95
    assert len(judged([("red", -20.0), ("green", green_s)], rows)) == 0
    assert len(judged([("red", -20.0), ("red_amber", green_s - 1), ("green", green_s)], rows)) == 0
    assert only(judged([("red", -20.0), ("green", green_s + 3)], rows))["time_s"] < 2.0


def test_one_that_entered_under_amber_and_waited_on_the_line_is_not_flagged():
    y = np.concatenate([np.arange(52.5, 100, 5.0), np.full(80, 101.0), np.arange(106.0, 200, 5.0)])
    rows = course_rows(1, [(80.0, v) for v in y], [0.1 * k for k in range(len(y))], birth_s=-2.0)
    assert len(judged([("amber", 0.5), ("red", 3.5)], rows)) == 0


def test_one_that_backs_out_has_not_run():
    y = np.concatenate([np.arange(52.5, 125, 5.0), np.arange(125, 60, -5.0)])
    rows = course_rows(1, [(80.0, v) for v in y], [0.1 * k for k in range(len(y))], birth_s=-2.0)
    assert len(judged([("red", -20.0)], rows, clear=True)) == 0


@pytest.mark.parametrize(("kmh", "reasons"), [(30.0, [TRUNCATED]), (3.0, [])])
def test_one_that_is_lost_before_its_rear_has_passed(kmh, reasons):
    """Lost while it drove on it cannot be judged; lost while it stood behind the line it has not run."""
    rows = long_drive(np.arange(52.5, 130, 5.0), speed_mps=8.0, speed_sd_mps=0.2)
    rows[-1]["speed_mps"] = kmh / 3.6
    assert judged([("red", -20.0)], rows)["reason"].tolist() == reasons


# -- a turn that is legal on red ------------------------------------------------------------------------------------

TURN = {
    "stop": line_row(40, 100, 160, 100, (0, 1)),
    "east": line_row(130, 100, 130, 200, (1, 0)),
    "south": line_row(40, 180, 125, 180, (0, 1)),
}
STRAIGHT = [(80.0, y) for y in np.arange(52.5, 220, 5.0)]
RIGHT = [*((80.0, y) for y in np.arange(52.5, 140, 5.0)), *((x, 140.0) for x in np.arange(85, 160, 5.0))]
STOPS = [*((80.0, y) for y in np.arange(52.5, 140, 5.0)), *[(80.0, 140.0)] * 4]


@pytest.mark.parametrize(
    ("name", "points", "config", "reasons"),
    [
        ("straight on, no other exits named", STRAIGHT, {}, [NO_REASON]),
        ("straight on over another exit", STRAIGHT, {"other_exits": ("south",)}, [NO_REASON]),
        ("the legal turn", RIGHT, {}, []),
        ("the legal turn, other exits named", RIGHT, {"other_exits": ("south",)}, []),
        ("lost in the junction", STOPS, {}, [NO_REASON]),
        ("lost in the junction, other exits named", STOPS, {"other_exits": ("south",)}, [TRUNCATED]),
    ],
)
def test_a_turn_that_is_legal_on_red(name, points, config, reasons):
    scene = small_scene(TURN, {"lamp": None})
    judge = Judge("red_light", scene, line="stop", signal="lamp", turn_exempt=("east",), **config)
    rows = course_rows(1, points, [0.1 * k for k in range(len(points))], birth_s=-2.0)
    events = events_of(judge, rows, signal_row("red", -20.0))
    assert events["reason"].tolist() == reasons


def test_one_that_waits_in_the_junction_is_reported_after_a_while():
    scene = small_scene(TURN, {"lamp": None})
    points = [*((80.0, y) for y in np.arange(52.5, 140, 5.0)), *[(80.0, 140.0)] * 100]
    rows = course_rows(1, points, [0.1 * k for k in range(len(points))], ends=False, birth_s=-2.0)
    for path_s, told in ((5.0, 1), (60.0, 0)):
        judge = Judge("red_light", scene, line="stop", signal="lamp", turn_exempt=("east",), path_s=path_s)
        assert len(events_of(judge, rows, signal_row("red", -20.0))) == told


# -- doubt about the track ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "more", "reason"),
    [
        ("sound", {}, NO_REASON),
        ("too young", {"birth_s": STOP_S - 0.5}, IDENTITY),
        ("weakly seen", {"score": 0.4}, IDENTITY),
        ("linked again just before", {"relinked_s": STOP_S - 0.8}, IDENTITY),
        ("linked again long before", {"relinked_s": STOP_S - 1.2}, NO_REASON),
    ],
)
def test_a_track_in_doubt_cannot_be_judged(name, more, reason):
    event = only(judged([("red", -20.0)], drive(**more)))
    assert (event["reason"], event["judgement"]) == (reason, VIOLATION if reason == NO_REASON else CANNOT_JUDGE)
    assert len(judged([("green", -20.0)], drive(**more))) == 0  # doubt about one that did nothing is not told


def test_a_camera_that_moved_cannot_judge():
    judge = Judge("red_light", small_scene(LINES, {"lamp": None}), line="stop", signal="lamp")
    clock = instant(0.0, 0.1)
    clock["suspended"] = CAMERA_MOVED
    events = np.concatenate([judge(row, signal_row("red", -20.0), clock) for row in drive()])
    assert only(events)["reason"] == CAMERA_MOVED
