"""Headings, turns, leaps and depths in zones: the kernels against their twins, and what the numbers mean."""

from __future__ import annotations

import math

import naive_heading as naive
import numpy as np
import pytest
from roadrows import along, bend, box_m, drive, every, random_road_rows, straight, zone_row

from kernels.against import RUN, against_reset
from kernels.heading import (
    PLACE,
    TURNING,
    guess_m,
    heading_to,
    leapt,
    place_keep,
    turning_reset,
    turning_step,
    velocity_of,
    way_since,
)
from kernels.records import ENDED
from kernels.verdict import REPEAT_S, verdict
from kernels.zones import edge_distance, edge_part, zone_at, zone_depth_m


@pytest.mark.parametrize("ground", [True, False])
def test_headings_ways_and_leaps_like_their_twins(ground):
    lane = zone_row(box_m(8, 8, 12, 12), (1.0, 0.5), ground)[0]
    places, befores, leaps = {}, {}, []
    for _, tracks, _ in random_road_rows(np.random.default_rng(1), 150, ground, 30.0):
        for row in tracks:
            if row["flags"] & ENDED:
                continue
            t, number = naive.numbers(row), int(row["id"])
            assert guess_m(row, 3.0) == pytest.approx(naive.guess_m(t, 3.0))
            assert velocity_of(row, 3.0) == pytest.approx(naive.velocity_of(t, 3.0), rel=1e-5)
            assert heading_to(row, lane, 3.0) == pytest.approx(naive.heading_to(t, lane, 3.0), rel=1e-5, abs=1e-6)
            place = places.setdefault(number, np.zeros(1, PLACE)[0])
            before = befores.get(number)
            assert way_since(place, row, 3.0) == pytest.approx(naive.way_since(before, t, 3.0), rel=1e-4, abs=1e-5)
            leaps.append(leapt(place, row, 3.0))
            assert leaps[-1] == naive.leapt(before, t, 3.0)
            place_keep(place, row, 3.0)
            befores[number] = naive.place_keep(t, 3.0)
    assert 10 < sum(leaps) < len(leaps) / 2


@pytest.mark.parametrize(("seed", "ground"), [(14, True), (3, False)])
def test_turning_step_like_its_twin(seed, ground):
    states, pasts, seen = {}, {}, []
    for _, tracks, _ in random_road_rows(np.random.default_rng(seed), 300, ground, 60.0):
        for row in tracks:
            if row["flags"] & ENDED:
                continue
            state = states.setdefault(int(row["id"]), np.zeros(1, TURNING)[0])
            turning_step(state, row, 1.0)
            twin = naive.turning_step(pasts.setdefault(int(row["id"]), naive.turning_reset()), naive.numbers(row), 1.0)
            found = float(state["turned"]), bool(state["reversed"]), bool(state["swapped"])
            assert found == pytest.approx(twin, abs=1e-3)
            seen.append(found)
    assert any(turned > 3 for turned, *_ in seen)
    assert {(back, swap) for _, back, swap in seen} >= {(True, False), (False, True), (False, False)}


@pytest.mark.parametrize("ground", [True, False])
@pytest.mark.parametrize("step_s", [0.2, 0.04])
def test_a_turn_is_what_was_turned(ground, step_s):
    """Straight, half round a circle of 6 m, straight back: 180 degrees, at any frame rate, in metres or guessed."""
    course, takes_s = along((0, 40), *bend((6, 20), 6.0, 180, 360), (12, 40), speed_mps=5.0)
    state = np.zeros(1, TURNING)[0]
    for row in drive(1, course, every(step_s, takes_s), ground, ends=False):
        turning_step(state, row[0], 1.5)
    assert math.degrees(state["turned"]) == pytest.approx(180.0, abs=12.0)
    assert (state["reversed"], state["swapped"]) == (0, 0)
    turning_reset(state)
    assert (state["turned"], state["headed"], state["place"]["known"]) == (0.0, 0, 0)


def test_backing_up_is_no_turn_and_neither_is_a_swap():
    """Forwards and then back, slowly or at speed."""
    for speed_mps, flags in ((1.5, (1, 0)), (8.0, (0, 1))):
        course, takes_s = along((0, 0), (20, 0), (8, 0.5), speed_mps=speed_mps)
        state = np.zeros(1, TURNING)[0]
        for row in drive(1, course, every(0.1, takes_s), ends=False):
            turning_step(state, row[0], 3.0)
        assert (state["reversed"], state["swapped"]) == flags


def test_standing_turns_nothing():
    noise = np.random.default_rng(4).normal(0, 0.3, (400, 2))
    state = np.zeros(1, TURNING)[0]
    for row in drive(1, lambda t: (5 + noise[round(t * 10)][0], 5 + noise[round(t * 10)][1]), every(0.1, 39.9)):
        turning_step(state, row[0], 3.0)
    assert (state["turned"], state["reversed"], state["swapped"]) == (0.0, 0, 0)


POLYGONS = [
    box_m(2, 3, 9, 8),
    [(1, 1), (9, 2), (6, 5), (9, 9), (2, 8), (4, 5)],
    [(2, 0), (9.9, 0), (9.5, 9)],
]


@pytest.mark.parametrize("ground", [True, False])
def test_zones_like_their_twins(ground, rng):
    rows = np.zeros(3, [("zone", zone_row(POLYGONS[0]).dtype)])
    for k, polygon in enumerate(POLYGONS):
        rows["zone"][k] = zone_row(polygon, ground=ground)[0]
    found = []
    for _ in range(150):
        track = drive(1, straight(np.float32(rng.uniform(0, 10, 2)), (0, 0)), [0.0, 1.0], ground)[0][0]
        t = naive.numbers(track)
        found.append(zone_at(rows, t["foot_x_px"], t["foot_y_px"]))
        assert found[-1] == naive.zone_at(rows["zone"], t["foot_x_px"], t["foot_y_px"])
        for row in rows:
            points = row["zone"]["px"][: row["zone"]["n"]]
            distance = edge_distance(points, t["foot_x_px"], t["foot_y_px"])
            assert distance == pytest.approx(naive.edge_distance(points, t["foot_x_px"], t["foot_y_px"]))
            depth_m = zone_depth_m(row["zone"], track, 1.5)
            assert depth_m == pytest.approx(naive.zone_depth_m(row["zone"], t, 1.5), abs=1e-5)
            assert depth_m == pytest.approx(math.copysign(distance / 10, depth_m), abs=1e-4)
    assert set(found) == {-1, 0, 1, 2}


def test_a_corner_above_the_horizon_is_passed_over():
    zone = zone_row(box_m(0, 0, 10, 10))
    zone["m"][0, 1] = np.nan
    track = drive(1, straight((3.0, 8.0), (0, 0)), [0.0, 1.0])[0][0]
    assert zone_depth_m(zone[0], track, 1.7) == pytest.approx(2.0)
    assert zone_depth_m(zone[0], track, 1.7) == pytest.approx(naive.zone_depth_m(zone[0], naive.numbers(track), 1.7))


def test_edge_part_like_its_twin(rng):
    zone = zone_row(POLYGONS[0])[0]
    for _ in range(8):
        inside, outside = rng.uniform((25, 35), (85, 75)), rng.uniform((-50, 0), (10, 100))
        for p, q in ((inside, outside), (outside, inside)):
            assert edge_part(zone, *p, *q) == pytest.approx(naive.edge_part(zone, *p, *q), abs=1e-9)
    assert edge_part(zone, 0.0, 50.0, 40.0, 50.0) == pytest.approx(0.5, abs=2e-4)


def test_a_verdict_is_what_the_row_says():
    event = np.zeros(1, [*((name, "<f8") for name in ("time_s", "score", "speed_mps", "speed_sd_mps")),
                         *((name, "<u4") for name in ("track_id", "class_id", "judgement", "reason"))])  # fmt: skip
    row = drive(7, straight((1.0, 1.0), (3.0, 4.0)), [0.0, 1.0], class_id=2)[0][0]
    for reason in (0, 4):
        verdict(event[0], row, 0.5, reason)
        twin = naive.verdict(naive.numbers(row), 0.5, reason)
        assert {name: event[name][0] for name in event.dtype.names} == pytest.approx(twin)
    assert REPEAT_S == 30.0


def test_a_run_that_is_reset_is_in_no_lane():
    run = np.ones(1, RUN)[0]
    against_reset(run)
    assert (run["running"], run["lane"], run["last"]["known"]) == (0, -1, 0)
    assert naive.against_reset() == []
