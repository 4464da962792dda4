"""Truth of scenes is what was made: one violator each, on a course of a few lines."""

from __future__ import annotations

import numpy as np
import pytest
from made import course, south

from benchmarks.scenes import road
from benchmarks.scenes.plan import Plan
from benchmarks.scenes.road_plan import LANE_M
from benchmarks.scenes.tables import Truth
from benchmarks.scenes.truth_flow import slow_truth
from benchmarks.scenes.truth_pairs import tailgating_truth
from benchmarks.scenes.truth_road import pedestrian, reserved_lane, solid_line, speeding, wrong_way
from benchmarks.scenes.truth_standing import standing_truth
from benchmarks.scenes.truth_yield import yield_truth

FPS = 10.0
SOUTH = np.array([0.0, -1.0])
PLAN = road.plan()
L0, L1, L2 = -2.5 * LANE_M, -1.5 * LANE_M, -0.5 * LANE_M


def rule(name: str) -> dict:
    """Return a rule of the road's plan by its name."""
    return next(rule for rule in PLAN.rules if rule["name"] == name)


def drive(kmh: float, seconds: float, x_m: float = L1, from_m: float = 108.0) -> np.ndarray:
    """Return fronts on the way south at a constant speed."""
    return south(from_m - kmh / 3.6 / FPS * np.arange(round(seconds * FPS)), x_m)


def told(truth: Truth) -> list[tuple[int, float]]:
    """Return (road user, time in s) of the events."""
    return [(event.track_id or 0, round(event.time_s, 1)) for event in truth.events]


def test_a_plan_is_of_known_parts():
    assert isinstance(PLAN, Plan)
    assert {"speeding", "solid line", "wrong way", "stopped", "pedestrian"} <= {rule["name"] for rule in PLAN.rules}


@pytest.mark.parametrize(("kmh", "events", "unsure"), [(80.0, 0, 1), (70.0, 0, 0), (95.0, 1, 0), (86.0, 0, 1)])
def test_a_speeder_is_one_well_over_the_limit(kmh: float, events: int, unsure: int):
    truth = speeding(course(FPS, ("sedan", drive(kmh, 4.0), SOUTH)), PLAN, rule("speeding"))
    assert (len(truth.events), len(truth.unsure)) == (events, unsure)
    if events:
        assert truth.events[0].speed_kmh == pytest.approx(kmh)


def test_a_lane_change_over_the_solid_line_is_told_when_front_and_rear_are_over():
    points = drive(72.0, 5.0)
    points[:, 0] = np.interp(np.arange(50), [10, 30], [L1, L2])
    truth = solid_line(course(FPS, ("sedan", points, SOUTH)), PLAN, rule("solid line"))
    assert told(truth) == [(1, pytest.approx(2.1, abs=0.11))]


def test_a_lane_change_beyond_the_solid_line_is_none():
    points = drive(36.0, 9.0)
    points[:, 0] = np.interp(np.arange(90), [80, 88], [L1, L2])
    assert told(solid_line(course(FPS, ("sedan", points, SOUTH)), PLAN, rule("solid line"))) == []


def test_who_uses_the_bus_lane_is_told_after_three_seconds_and_a_bus_is_not():
    made = course(FPS, ("sedan", drive(30.0, 8.0, L0), SOUTH), ("bus", drive(30.0, 8.0, L0), SOUTH))
    (event,) = reserved_lane(made, PLAN, rule("bus lane")).events
    # Its rear comes into the lane 2.6 m (0.3 s) after it is there.
    assert (event.track_id, event.time_s) == (1, pytest.approx(3.3, abs=0.15))


def test_a_wrong_way_driver_is_told_after_a_second_and_ten_metres():
    points = drive(36.0, 8.0)[::-1]
    made = course(FPS, ("sedan", points, -SOUTH), ("sedan", drive(36.0, 8.0), SOUTH))
    truth = wrong_way(made, PLAN, rule("wrong way"))
    assert told(truth) == [(1, 1.0)]
    assert truth.tables["onsets"][0]["onset_s"] == 0.0


def standing(seconds: float, x_m: float = L1, y_m: float = 60.0) -> np.ndarray:
    """Return the fronts of one that comes, stands for so long and goes on."""
    way = np.linspace(30.0, 0.0, 31)
    return south(y_m + np.r_[way, np.zeros(round(seconds * FPS)), -way[::-1]], x_m)


@pytest.mark.parametrize(("seconds", "events", "unsure"), [(3.0, 0, 0), (5.2, 0, 1), (12.0, 1, 0)])
def test_a_stopped_vehicle_is_one_that_stands_for_the_dwell(seconds: float, events: int, unsure: int):
    truth = standing_truth(course(FPS, ("sedan", standing(seconds), SOUTH)), PLAN, rule("stopped"))
    assert (len(truth.events), len(truth.unsure)) == (events, unsure)
    if events:
        assert truth.events[0].time_s == pytest.approx(3.1 + 5.0, abs=0.2)


def test_who_stands_behind_a_stopped_vehicle_queues():
    made = course(FPS, ("sedan", standing(20.0), SOUTH), ("sedan", standing(20.0, L1, 67.0), SOUTH))
    assert [who for who, _ in told(standing_truth(made, PLAN, rule("stopped")))] == [1]


@pytest.mark.parametrize(("y_m", "events"), [(45.0, 1), (24.0, 0), (26.5, 0)])
def test_a_pedestrian_on_the_road_is_one_off_the_crosswalk(y_m: float, events: int):
    points = np.column_stack([np.arange(-14.0, 10.0, 0.13), np.full(185, y_m)])
    truth = pedestrian(course(FPS, ("person", points, np.array([1.0, 0.0]))), PLAN, rule("pedestrian"))
    assert len(truth.events) == events


@pytest.mark.parametrize(("gap_m", "events"), [(8.0, 1), (40.0, 0)])
def test_a_close_follower_is_told_when_it_was_closest(gap_m: float, events: int):
    lead, follow = drive(72.0, 5.0, from_m=100.0), drive(72.0, 5.0, from_m=100.0 + 4.6 + gap_m)
    made = course(FPS, ("sedan", lead, SOUTH), ("sedan", follow, SOUTH))
    truth = tailgating_truth(made, PLAN, rule("tailgating"))
    assert [event.track_id for event in truth.events] == [2] * events


def test_who_crawls_among_fast_ones_is_slow():
    fast = [("sedan", np.vstack([np.full((20 * k, 2), 500.0), drive(72.0, 5.0)]), SOUTH) for k in range(5)]
    crawler = ("sedan", np.vstack([np.full((110, 2), 500.0), drive(20.0, 15.0)]), SOUTH)
    truth = slow_truth(course(FPS, *fast, crawler), PLAN, {"name": "slow", "lanes": ["south/l1"]})
    assert [event.track_id for event in truth.events] == [6]


@pytest.mark.parametrize(
    ("begins_s", "events"),
    [(0.0, 1), (6.5, 0)],
    ids=["the walker was there long before", "the walker came when nobody could stop"],
)
def test_a_driver_right_before_a_walker_did_not_give_way(begins_s: float, events: int):
    # At 50 km/h from 120 m the front is at the crosswalk (26 m) after 6.8 s; walkers need 6 s to its lane.
    waits = round(begins_s * FPS)
    walks_x = np.r_[np.full(waits, -14.0), np.arange(-14.0, 10.0, 0.13)]
    walker = np.column_stack([walks_x, np.full(len(walks_x), 24.0)])
    made = course(FPS, ("sedan", drive(50.0, 8.5, from_m=120.0), SOUTH), ("person", walker, np.array([1.0, 0.0])))
    truth = yield_truth(made, PLAN, {"name": "yield", "zone": "crosswalk_south"})
    assert len(truth.events) == events
