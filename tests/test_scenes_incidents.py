"""Truth of boxes, crashes and crosswalks: told from courses made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from made import course

from benchmarks.scenes import spill, walkers
from benchmarks.scenes.crash import crash_truth, read_collisions
from benchmarks.scenes.truth_box import box_truth, footprint_share
from benchmarks.scenes.truth_signals import Signal
from benchmarks.scenes.truth_standing import standing_truth

FPS = 10.0
NORTH, SOUTH, EAST = np.array([0.0, 1.0]), np.array([0.0, -1.0]), np.array([1.0, 0.0])
GREEN = Signal(np.array([0.0, 30.0]), ("green", "red"))


def along(*legs: tuple[float, float]) -> np.ndarray:
    """Return places (m) along a way: each leg is (seconds, m/s), the first place is 0."""
    speeds = np.concatenate([np.full(round(seconds * FPS), speed) for seconds, speed in legs])
    return np.r_[0.0, np.cumsum(speeds) / FPS]


def northward(x_m: float, start_m: float, *legs: tuple[float, float]) -> np.ndarray:
    way = start_m + along(*legs)
    return np.stack([np.full(len(way), x_m), way], axis=1)


def on_lanes(made, names):
    """Name the lane of each road user by where it is: beyond the box on the northern exit, else inside."""
    there = made.front_m[:, 1] > 12.0
    return type(made)(**{**vars(made), "lane": there.astype(np.int16), "lane_names": names})


@pytest.mark.parametrize(
    ("ahead_m", "told"),
    [
        (14.0, "blocked"),  # the rear of one that stands 2.1 m beyond the box: no room for 4.6 m and 1 m
        (24.0, "room"),
        (17.3, "unsure"),
    ],
)
def test_who_stands_in_the_box_had_room_beyond_it_or_not(ahead_m, told):
    drawn = spill.plan()
    stands = northward(4.7, ahead_m + 4.6, (20.0, 0.0))
    enters = northward(4.7, -20.0, (3.0, 8.0), (6.0, 0.0), (8.0, 3.0), (3.0, 0.0))
    made = on_lanes(course(FPS, ("sedan", enters, NORTH), ("sedan", stands, NORTH)), ("s_box", "no_0"))
    truth = box_truth(made, drawn, drawn.rules[0])
    assert [event.track_id for event in truth.events] == ([1] if told == "blocked" else [])
    assert [event.track_id for event in truth.unsure] == ([1] if told == "unsure" else [])


def test_who_waits_in_the_box_for_less_than_3_s_has_not_stopped_in_it():
    drawn = spill.plan()
    stands = northward(4.7, 18.6, (20.0, 0.0))
    enters = northward(4.7, -20.0, (3.0, 8.0), (1.5, 0.0), (8.0, 3.0))
    made = on_lanes(course(FPS, ("sedan", enters, NORTH), ("sedan", stands, NORTH)), ("s_box", "no_0"))
    assert box_truth(made, drawn, drawn.rules[0])[:2] == ([], [])


def test_the_share_of_a_footprint_in_a_zone():
    made = course(FPS, ("sedan", northward(0.0, 2.3, (1.0, 0.0)), NORTH))  # from -2.3 to 2.3 along, 1.8 wide
    whole = slice(0, 1)
    assert footprint_share(made, whole, [(-5, -5), (5, -5), (5, 5), (-5, 5)])[0] == 1.0
    assert footprint_share(made, whole, [(-5, -5), (0, -5), (0, 5), (-5, 5)])[0] == pytest.approx(0.5, abs=0.11)
    assert footprint_share(made, whole, [(3, -5), (5, -5), (5, 5), (3, 5)])[0] == 0.0


def test_a_crash_is_told_when_both_have_stood_for_3_s():
    hit = northward(-5.25, 40.0, (12.0, 0.0))
    runs = np.stack([np.full(121, -5.25), 40.0 + 4.6 + np.maximum(20.0 - 10.0 * np.arange(121) / FPS, 0.0)], axis=1)
    made = course(FPS, ("sedan", runs, SOUTH), ("sedan", hit, SOUTH))
    truth = crash_truth(made, [(2.0, "0", "1")], "crash")
    (event,) = truth.events
    assert event.track_id == 1
    assert event.time_s == pytest.approx(5.1, abs=0.2)
    drives_on = course(
        FPS, ("sedan", runs - np.array([0.0, 1.0]) * along((12.0, 2.0))[:, None], SOUTH), ("sedan", hit, SOUTH)
    )
    assert crash_truth(drives_on, [(2.0, "0", "1")], "crash").events == []


def test_collisions_of_a_pair_are_one(tmp_path):
    path = tmp_path / "collisions.xml"
    row = '<collision time="{}" type="collision" collider="a" victim="b" lane="s2_1"/>'
    path.write_text(f"<collisions>{row.format('3.20')}{row.format('3.24')}</collisions>")
    assert read_collisions(path) == [(3.2, "a", "b")]


def test_who_goes_over_the_crosswalk_is_told_when_it_leaves_and_what_it_waited():
    drawn = walkers.plan()
    way = -9.0 + along((1.0, 1.0), (6.0, 0.0), (16.0, 1.2))
    over = np.stack([way, np.zeros(len(way))], axis=1)
    past = northward(-8.5, -15.0, (20.0, 1.3))
    truth = walkers.crosswalk_truth(
        course(FPS, ("person", over, EAST), ("person", past, NORTH)), drawn, drawn.rules[0], GREEN
    )
    (event,) = truth.events
    assert (event.track_id, event.direction) == (1, "with_flow")
    assert event.time_s == pytest.approx(7.0 + 15.2 / 1.2, abs=0.2)
    (row,) = truth.tables["walks"]
    assert (row["signal"], row["near_change"]) == ("green", 0)
    assert row["wait_s"] == pytest.approx(7.9, abs=0.3)
    assert row["speed_mps"] == pytest.approx(1.2, abs=0.05)


def test_who_turns_back_has_not_crossed():
    drawn = walkers.plan()
    way = -9.0 + np.r_[along((4.0, 1.2)), along((4.0, 1.2))[::-1]]
    back = course(FPS, ("person", np.stack([way, np.zeros(len(way))], axis=1), EAST))
    assert walkers.crosswalk_truth(back, drawn, drawn.rules[0], GREEN).events == []


def test_who_stands_with_half_of_it_in_the_zone_is_neither_nor_who_is_shifted_into_it():
    drawn = road_plan()
    rule = {"type": "stopping", "name": "no stopping", "zones": ["no_stop"], "dwell_s": 5.0}
    stands = np.array([[-8.75, 60.0]] * 200)
    shifted = np.column_stack([np.r_[np.linspace(-5.25, -8.75, 130), np.full(100, -8.75)], np.full(230, 60.0)])
    across = np.array([[-7.0, 60.0]] * 200)
    for places, told, unsure in ((stands, [5.0], False), (shifted, [], True), (across, [], True)):
        truth = standing_truth(course(FPS, ("sedan", places, SOUTH)), drawn, rule)
        assert [event.time_s for event in truth.events] == pytest.approx(told, abs=0.2)
        assert bool(truth.unsure) == unsure


def road_plan():
    from benchmarks.scenes import road

    return road.plan()
