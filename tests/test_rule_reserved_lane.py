"""Reserved lanes: who may be there, who only crosses or turns, and the rule against its twin."""

from __future__ import annotations

import math

import naive_lanes as naive
import numpy as np
import pytest
from roadrows import (
    Court,
    box_m,
    drive,
    every,
    random_road_rows,
    road_line,
    road_scene,
    same_events,
    straight,
    zone_row,
)
from traffic import instant

from kernels.records import CALIBRATION, CAMERA_MOVED, CANNOT_JUDGE, CLASSES, IDENTITY, VIOLATION
from kernels.stay import STAY, stay_reset, stay_step


def place(ground: bool = True):
    """A bus lane of 3.5 m and 100 m beside another; both flow up, to a turn line at y = 10 m."""
    lanes = {
        "n/bus": zone_row(box_m(0, 0, 3.5, 100), (0, -1), ground),
        "n/1": zone_row(box_m(3.5, 0, 7, 100), (0, -1), ground),
    }
    return road_scene(lanes, lines={"turn": road_line(0, 10, 7, 10, (0, -1), ground)}, ground=ground)


def judged(course, end_s: float = 9.0, ground: bool = True, step_s: float = 0.1, config=None, **more):
    court = Court("reserved_lane", place(ground), lanes=("n/bus",), **(config or {}))
    return court.all_of(drive(1, course, every(step_s, end_s), ground, **more))


DOWN_THE_LANE = straight((1.75, 95.0), (0.0, -10.0))


@pytest.mark.parametrize("ground", [True, False])
@pytest.mark.parametrize("step_s", [0.2, 1 / 30])
def test_a_car_in_the_bus_lane_is_flagged_once(ground, step_s):
    events = judged(DOWN_THE_LANE, ground=ground, step_s=step_s)
    assert events["judgement"].tolist() == [VIOLATION]
    assert events["lane"].tolist() == [0]
    assert events["margin_m"][0] == pytest.approx(events["way_m"][0] - 30.0, abs=1e-4)
    assert max(events["margin_s"][0], events["margin_m"][0]) >= 0.0


def test_an_unbroken_stay_is_told_once_however_long():
    """It creeps down the lane for a minute and a half."""
    assert len(judged(straight((1.75, 95.0), (0.0, -1.0)), end_s=90.0)) == 1


@pytest.mark.parametrize("class_id", range(len(CLASSES)))
def test_only_other_classes_are_flagged(class_id):
    flagged = CLASSES[class_id] not in ("bus", "bicycle", "person")
    assert len(judged(DOWN_THE_LANE, class_id=class_id)) == flagged
    cycle_lane = {"allowed": ("bicycle",), "classes": ("bus", "bicycle")}
    assert len(judged(DOWN_THE_LANE, class_id=class_id, config=cycle_lane)) == (CLASSES[class_id] == "bus")
    assert len(judged(DOWN_THE_LANE, class_id=class_id, config={"allowed": ()})) == 1


def test_the_class_is_that_of_the_vote_when_it_is_judged():
    """A bus that is taken for a car for two seconds."""
    court = Court("reserved_lane", place(), lanes=("n/bus",))
    rows = drive(1, DOWN_THE_LANE, every(0.1, 9.0), class_id=1)
    for row in rows[:20]:
        row["class_id"] = 0
    assert len(court.all_of(rows)) == 0


@pytest.mark.parametrize(
    ("speed_mps", "way_m", "flagged"),
    [(5.0, 14.0, 0), (5.0, 16.5, 1), (15.0, 29.0, 0), (15.0, 33.0, 1), (0.5, 2.0, 1)],
)
def test_time_or_way_decides(speed_mps, way_m, flagged):
    rows = straight((1.75, 95.0), (0.0, -speed_mps))
    assert len(judged(rows, way_m / speed_mps)) == flagged


def test_who_only_crosses_it_is_not_flagged():
    """From the kerb over the bus lane to the other one, slowly."""
    assert len(judged(straight((-3.0, 90.0), (1.5, -2.0)), 6.0)) == 0


def test_front_and_rear_must_be_in_it():
    """A car in the next lane whose rear alone is drawn into the bus lane by the view."""
    court = Court("reserved_lane", place(), lanes=("n/bus",))
    rows = drive(1, straight((5.2, 95.0), (0.0, -10.0)), every(0.1, 9.0))
    for row in rows:
        row["rear_x_px"] = 17.5
    assert len(court.all_of(rows)) == 0


def test_short_absences_are_forgiven_long_ones_are_not():
    """In for two seconds, out, in again for two."""
    for out_s, flagged in ((0.6, 1), (1.6, 0)):
        x = lambda t, out_s=out_s: 1.75 if t < 2.0 or t > 2.0 + out_s else 5.0  # noqa: E731
        assert len(judged(lambda t, x=x: (x(t), 95.0 - 3.0 * t), 4.0 + out_s)) == flagged


def test_missed_frames_count_as_time():
    court = Court("reserved_lane", place(), lanes=("n/bus",))
    rows = drive(1, straight((1.75, 95.0), (0.0, -2.0)), every(0.1, 4.0))
    assert len(court.all_of(rows[::8])) == 1


@pytest.mark.parametrize(("begins_y", "flagged"), [(95.0, 1), (60.0, 0)])
def test_the_last_part_before_a_turn_is_free(begins_y, flagged):
    """The turn line is at 10 m, so 50 m from 60 m on are free; 35 m before that are not."""
    course = straight((1.75, begins_y), (0.0, -10.0))
    config = {"line": "turn", "free_before_m": 50.0}
    assert len(judged(course, begins_y / 10, config=config)) == flagged
    assert len(judged(course, begins_y / 10)) == 1


def test_without_a_ground_the_free_part_cannot_be_told():
    events = judged(DOWN_THE_LANE, ground=False, config={"line": "turn"})
    assert (events["judgement"].tolist(), events["reason"].tolist()) == ([CANNOT_JUDGE], [CALIBRATION])


def test_what_it_cannot_judge_it_says():
    assert judged(DOWN_THE_LANE, score=0.4)["reason"].tolist() == [IDENTITY]
    court = Court("reserved_lane", place(), lanes=("n/bus",))
    rows = drive(1, DOWN_THE_LANE, every(0.1, 9.0))
    events = [court(row, suspended=CAMERA_MOVED if k == 4 else 0) for k, row in enumerate(rows)]
    assert np.concatenate(events)["reason"].tolist() == [CAMERA_MOVED]


def test_a_slot_that_is_used_again_inherits_nothing():
    court = Court("reserved_lane", place(), lanes=("n/bus",))
    first = drive(1, DOWN_THE_LANE, every(0.1, 2.5), ends=False)
    second = drive(2, straight((1.75, 95.0), (0.0, -10.0)), every(0.1, 5.0, 2.5), slot=1)
    assert len(court.all_of(first + second)) == 0


@pytest.mark.parametrize("ground", [True, False])
def test_stays_like_their_twins(ground):
    zone = zone_row(box_m(9, 9, 11, 11))[0]
    stays, pasts, seen = {}, {}, []
    for _, tracks, suspended in random_road_rows(np.random.default_rng(1), 500, ground, 14.0):
        for row in tracks:
            t, number = naive.numbers(row), int(row["id"])
            if number not in stays:
                stays[number] = np.zeros(1, STAY)[0]
                stay_reset(stays[number])
            inside = naive.zone_at([zone], t["foot_x_px"], t["foot_y_px"]) == 0
            stay_step(stays[number], row, inside, 0.3, suspended, 1.7)
            past = pasts.setdefault(number, naive.stay_reset())
            twin = naive.stay_step(past, t, inside, 0.3, suspended, 1.7)
            assert bool(stays[number]["present"]) == (twin is not None)
            if twin is not None:
                found = {name: float(stays[number][name]) for name in ("since_s", "inside_s", "way_m", "suspended")}
                assert found == pytest.approx({name: twin[name] for name in found}, abs=1e-3, nan_ok=True)
                seen.append(found["inside_s"])
    assert len(set(seen)) > 14


@pytest.mark.parametrize(("seed", "ground", "line"), [(1, True, "turn"), (2, False, None), (3, True, None)])
def test_reserved_lane_step_like_its_twin(seed, ground, line):
    lanes = {
        "n/1": zone_row([(9.2, 9), (10, 9), (10, 11.3), (9, 11)], (0, -1), ground),
        "n/2": zone_row([(10, 9.2), (11.2, 9), (11, 11), (10, 11.3)], (0, -1), ground),
    }
    scene = road_scene(lanes, lines={"turn": road_line(8, 9, 12, 9.2, (0, -1), ground)}, ground=ground)
    config = {"held_s": 0.3, "way_m": 0.8, "leave_s": 0.3, "age_min_s": 0.5, "line": line, "free_before_m": 0.5}
    court, files, seen = Court("reserved_lane", scene, lanes=("n/1", "n/2"), **config), naive.Files(), []
    for time_s, tracks, suspended in random_road_rows(np.random.default_rng(seed), 1200, ground):
        if line and seed == 1:
            for row in tracks[::7]:
                row["front_x_m"] = math.nan
        events = court(tracks, suspended=suspended)
        clock = instant(time_s, 0.1)[0]
        clock["suspended"] = suspended
        same_events(events, naive.reserved_lane_step(tracks, clock, court.prepared.settings, files))
        seen += events["reason"].tolist()
    assert {0, IDENTITY} <= set(seen)
    assert len(seen) > 8
