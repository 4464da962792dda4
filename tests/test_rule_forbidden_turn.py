"""Turns that are forbidden, from an entry line to an exit line: who is flagged, and the rule against its twin."""

from __future__ import annotations

import naive_lanes
import naive_turns as naive
import numpy as np
import pytest
from roadrows import Court, along, bend, drive, every, random_road_rows, road_line, road_scene, same_events

from kernels.records import CAMERA_MOVED, CANNOT_JUDGE, IDENTITY, VIOLATION


def crossroads(ground: bool = True, flow: bool = True):
    """A junction from (20, 20) to (40, 40) m: in from the north at the left, out to each side."""
    return {
        "north_in": road_line(20, 20, 30, 20, (0, 1) if flow else None, ground),
        "north_out": road_line(30, 20, 40, 20, (0, -1) if flow else None, ground),
        "east_out": road_line(40, 30, 40, 40, (1, 0) if flow else None, ground),
        "south_out": road_line(20, 40, 30, 40, (0, 1) if flow else None, ground),
    }


LEFT = [(25, 0), (25, 28), *bend((33, 28), 8.0, 180, 90), (60, 36)]
STRAIGHT_ON = [(25, 0), (25, 55)]


def judged(corners, ground=True, speed_mps=8.0, step_s=0.1, flow=True, rule="forbidden_turn", lines=None, **more):
    config = {"entry": ("north_in",), "exit": ("east_out",)} if rule == "forbidden_turn" else {}
    config |= more.pop("config", {})
    court = Court(rule, road_scene(lines=lines or crossroads(ground, flow), ground=ground), **config)
    course, takes_s = along(*corners, speed_mps=speed_mps)
    return court.all_of(drive(1, course, every(step_s, takes_s), ground, **more))


@pytest.mark.parametrize("ground", [True, False])
@pytest.mark.parametrize("flow", [True, False])
@pytest.mark.parametrize("step_s", [0.2, 0.04])
def test_a_forbidden_turn_is_flagged_once(ground, flow, step_s):
    events = judged(LEFT, ground, step_s=step_s, flow=flow)
    assert events["judgement"].tolist() == [VIOLATION]
    assert (events["entry_line"][0], events["exit_line"][0]) == (0, 2)
    assert abs(events["turned_deg"][0]) == pytest.approx(90.0, abs=15.0)
    assert events["entry_s"][0] == pytest.approx(20 / 8, abs=0.02)
    assert events["time_s"][0] > events["entry_s"][0]


@pytest.mark.parametrize(
    ("name", "corners"),
    [
        ("straight on", STRAIGHT_ON),
        ("in from elsewhere", [(0, 36), (60, 36)]),
        ("first seen inside", [(25, 25), (25, 36), (60, 36)]),
        ("in against the flow", [(60, 36), (25, 36), (25, 0)]),
        ("backs out, comes in elsewhere", [(25, 0), (25, 26), (25, 10), (15, 10), (15, 36), (60, 36)]),
    ],
)
def test_other_ways_are_not(name, corners):
    assert len(judged(corners)) == 0


def test_round_an_island_is_no_left_turn():
    """Straight in, once round an island in the junction's middle by more than half a turn, out to the east."""
    corners = [(25, 0), (25, 25), *bend((31, 28), 6.0, 180, -160), (33, 36), (60, 36)]
    assert len(judged(corners)) == 0
    assert len(judged(corners, config={"turned_max_deg": 720.0})) == 1


def test_a_visit_that_takes_for_ever_is_no_turn():
    assert len(judged(LEFT, config={"visit_max_s": 2.0})) == 0
    assert len(judged(LEFT, config={"visit_max_s": 5.0})) == 1


def test_two_road_users_mixed_up_in_the_junction_are_no_violation():
    """One goes in from the north and stops; its box jumps to one that leaves to the east, or turns back on the spot."""
    first, _ = along((25, 0), (25, 30), speed_mps=8.0)
    other, _ = along((34, 36), (60, 36), speed_mps=8.0)
    rows = drive(1, first, every(0.1, 3.7), ends=False) + drive(1, other, every(0.1, 6.0, 3.6), birth_s=0.0)
    for k, row in enumerate(rows):
        if float(row["time_s"][0]) > 3.65:
            at = other(float(row["time_s"][0]) - 3.6)
            row["foot_x_m"], row["foot_y_m"] = at
            row["foot_x_px"], row["foot_y_px"] = at[0] * 10, at[1] * 10
            if k:
                row["prev_foot_x_px"], row["prev_foot_y_px"] = (rows[k - 1][f"foot_{c}_px"] for c in "xy")
    court = Court("forbidden_turn", road_scene(lines=crossroads()), entry=("north_in",), exit=("east_out",))
    events = court.all_of(rows)
    assert (events["judgement"].tolist(), events["reason"].tolist()) == ([CANNOT_JUDGE], [IDENTITY])


def test_what_it_cannot_judge_it_says():
    assert judged(LEFT, score=0.4)["reason"].tolist() == [IDENTITY]
    assert judged(LEFT, relinked_s=2.6)["reason"].tolist() == [IDENTITY]  # at the entry
    assert judged(LEFT, relinked_s=0.5)["reason"].tolist() == [0]
    court = Court("forbidden_turn", road_scene(lines=crossroads()), entry=("north_in",), exit=("east_out",))
    course, takes_s = along(*LEFT, speed_mps=8.0)
    rows = drive(1, course, every(0.1, takes_s))
    events = [court(row, suspended=CAMERA_MOVED if k == 40 else 0) for k, row in enumerate(rows)]
    assert np.concatenate(events)["reason"].tolist() == [CAMERA_MOVED]


def test_only_the_classes_asked_for():
    assert len(judged(LEFT, class_id=4)) == 0
    assert len(judged(LEFT, class_id=4, config={"classes": ("bicycle",)})) == 1


@pytest.mark.parametrize(("seed", "ground"), [(1, True), (2, False)])
def test_forbidden_turn_step_like_its_twin(seed, ground):
    lines = {
        "a": road_line(4, 10, 16, 10.5, None, ground),
        "b": road_line(5, 11.2, 15, 10.8, None, ground),
        "c": road_line(10.8, 6, 10.4, 15, (1, 0.2), ground),
    }
    config = {"entry": ("a", "b"), "exit": ("b", "c"), "turned_max_deg": 360.0, "settle_s": 0.0, "band_px": 1.0}
    court = Court("forbidden_turn", road_scene(lines=lines, ground=ground), **config, age_min_s=0.5)
    files, seen = naive_lanes.Files(), []
    for time_s, tracks, suspended in random_road_rows(np.random.default_rng(seed), 600, ground, 15.0, 3.0):
        events = court(tracks, suspended=suspended)
        clock = {"suspended": suspended, "time_s": time_s}
        same_events(events, naive.forbidden_turn_step(tracks, clock, court.prepared.settings, files))
        seen += events["judgement"].tolist()
    assert {VIOLATION, CANNOT_JUDGE} <= set(seen)
    assert len(seen) > 10
