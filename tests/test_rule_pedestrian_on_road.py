"""Pedestrians on the carriageway: who is one, where it begins, and the rule against its twin."""

from __future__ import annotations

import naive_lanes
import naive_walkers as naive
import numpy as np
import pytest
from roadrows import (
    Court,
    box_m,
    drive,
    every,
    random_road_rows,
    road_scene,
    same_events,
    straight,
    together,
    zone_row,
)
from traffic import instant

from kernels.records import CAMERA_MOVED, CANNOT_JUDGE, CLASSES, IDENTITY, VIOLATION
from kernels.riders import apart_m, has_company, rides, shared_part

PERSON, BICYCLE, CAR = CLASSES.index("person"), CLASSES.index("bicycle"), CLASSES.index("car")
SIZE = (6.0, 17.0)


def place(ground: bool = True):
    """A road of 10 m from x = 5 on, and a crosswalk over it from y = 20 to 24 m."""
    zones = {"road": zone_row(box_m(5, 0, 15, 60), ground=ground)}
    zones["zebra"] = zone_row(box_m(5, 20, 15, 24), ground=ground)
    return road_scene(zones=zones, ground=ground)


def walk(course, end_s=8.0, step_s=0.1, ground=True, track_id=1, **more):
    return drive(track_id, course, every(step_s, end_s), ground, size=SIZE, **{"class_id": PERSON, **more})


def judged(rows, ground=True, **config):
    court = Court("pedestrian_on_road", place(ground), **{"zone": "road", "crosswalks": ("zebra",), **config})
    return court.all_of(rows)


@pytest.mark.parametrize("ground", [True, False])
@pytest.mark.parametrize("step_s", [0.2, 1 / 12, 1 / 30])
def test_who_walks_on_the_road_is_flagged_within_three_seconds(ground, step_s):
    """On the road from the start on."""
    events = judged(walk(straight((10, 40), (0, 1.2)), step_s=step_s, ground=ground), ground)
    assert events["judgement"].tolist() == [VIOLATION]
    event = events[0]
    assert event["time_s"] <= 3.0
    assert event["held_s"] == pytest.approx(2.0, abs=step_s + 1e-3)
    assert (event["edge_m"], event["margin_m"]) == pytest.approx((5.0, 4.0), abs=1e-3)
    assert event["zone"] == 0


@pytest.mark.parametrize("ground", [True, False])
@pytest.mark.parametrize(
    ("name", "course", "flagged"),
    [
        ("on the pavement", straight((3, 40), (0, 1.2)), 0),
        ("on the kerb", straight((5.8, 40), (0, 1.2)), 0),
        ("just off it", straight((6.2, 40), (0, 1.2)), 1),
        ("over the crosswalk", straight((3, 22), (1.2, 0)), 0),
        ("beside the crosswalk", straight((3, 24.8), (1.2, 0)), 0),
        ("well beside the crosswalk", straight((3, 26), (1.2, 0)), 1),
        ("one step down and back", lambda t: (4.0 + 3.5 * (2.0 < t < 3.8), 40.0 + t), 0),
        ("stands in the road", straight((10, 40), (0, 0)), 1),
    ],
)
def test_where_the_road_is(name, course, flagged, ground):
    assert len(judged(walk(course, ground=ground), ground)) == flagged


@pytest.mark.parametrize("class_id", range(len(CLASSES)))
def test_only_persons(class_id):
    assert len(judged(walk(straight((10, 40), (0, 1.2)), class_id=class_id))) == (class_id == PERSON)


@pytest.mark.parametrize("wheels", ["bicycle", "motorcycle"])
def test_who_rides_is_no_pedestrian(wheels):
    """The person's box stands in the box of the bicycle, which is missed in two of three frames."""
    course = straight((10, 10), (0, 3.5))
    bike = walk(course, track_id=2, class_id=CLASSES.index(wheels))
    rows = together(walk(course), bike[::3])
    assert len(judged(rows)) == 0
    beside = together(walk(straight((10, 40), (0, 1.0))), walk(straight((12, 40), (0, 1.0)), track_id=2, class_id=4))
    assert len(judged(beside)) == 1


def test_a_parked_bicycle_that_is_passed_only_delays():
    rows = together(walk(straight((10, 36), (0, 1.2))), walk(straight((10, 38), (0, 0)), track_id=2, class_id=4))
    events = judged(rows)
    assert len(events) == 1
    assert 4.0 < events["time_s"][0] < 7.5


def test_who_is_too_fast_to_be_on_foot():
    """A rider whose bicycle is never seen."""
    assert len(judged(walk(straight((10, 5), (0, 5.0))))) == 0
    assert len(judged(walk(straight((10, 26), (0, 3.0))))) == 1


def test_missed_frames_count_as_time():
    assert len(judged(walk(straight((10, 40), (0, 1.2)))[::6])) == 1


def test_told_once_in_half_a_minute():
    """On and off the road all the time."""
    rows = walk(lambda t: (10.0 if t % 4 < 3 else 2.0, 40.0), 70.0)
    assert np.diff(judged(rows)["time_s"]).tolist() == pytest.approx([30.0, 30.0], abs=4.0)


def test_an_unbroken_stay_is_told_once_however_long():
    """And one after it again."""
    rows = walk(lambda t: (2.0 if 70 < t < 75 else 10.0, 40.0), 90.0)
    assert judged(rows)["time_s"].tolist() == pytest.approx([2.0, 77.0], abs=0.3)


def test_what_it_cannot_judge_it_says():
    weak = judged(walk(straight((10, 40), (0, 1.2)), score=0.4))
    assert (weak["judgement"].tolist(), weak["reason"].tolist()) == ([CANNOT_JUDGE], [IDENTITY])
    court = Court("pedestrian_on_road", place(), zone="road")
    rows = walk(straight((10, 40), (0, 1.2)))
    events = [court(row, suspended=CAMERA_MOVED if k == 4 else 0) for k, row in enumerate(rows)]
    assert np.concatenate(events)["reason"].tolist() == [CAMERA_MOVED]


def test_a_slot_that_is_used_again_inherits_nothing():
    first = walk(straight((10, 40), (0, 1.2)), 1.5, ends=False)
    second = drive(2, straight((10, 40), (0, 1.2)), every(0.1, 3.0, 1.6), size=SIZE, class_id=PERSON, slot=1)
    assert len(judged(first + second)) == 0


@pytest.mark.parametrize("ground", [True, False])
def test_riders_and_company_like_their_twins(ground):
    found, company = [], []
    for _, tracks, _ in random_road_rows(np.random.default_rng(1), 250, ground, 14.0):
        tracks["class_id"] = [(PERSON, BICYCLE, PERSON, 3)[number % 4] for number in tracks["id"]]
        rows = [naive.numbers(track) for track in tracks]
        for i in range(len(tracks)):
            found.append(rides(tracks, i, 0.4))
            assert found[-1] == naive.rides(rows, i, 0.4)
            company.append(has_company(tracks, i, 48, 1.5, 1.7))
            assert company[-1] == naive.has_company(rows, i, 48, 1.5, 1.7)
            for k in range(i):
                assert shared_part(tracks[i], tracks[k]) == pytest.approx(naive.shared_part(rows[i], rows[k]), rel=1e-4)
                assert apart_m(tracks[i], tracks[k], 1.7) == pytest.approx(
                    naive.apart_m(rows[i], rows[k], 1.7), rel=1e-4
                )
    assert min(sum(found), sum(company)) > 10
    assert max(sum(found) / len(found), sum(company) / len(company)) < 0.8


@pytest.mark.parametrize(("seed", "ground"), [(1, True), (2, False)])
def test_pedestrian_on_road_step_like_its_twin(seed, ground):
    zones = {
        "road": zone_row(box_m(8.5, 8.5, 12, 12), ground=ground),
        "zebra": zone_row(box_m(10.5, 8, 10.8, 12), ground=ground),
    }
    config = {"held_s": 0.3, "edge_m": 0.2, "beside_m": 0.1, "leave_s": 0.3, "rider_s": 0.2, "age_min_s": 0.5}
    court = Court(
        "pedestrian_on_road", road_scene(zones=zones, ground=ground), zone="road", crosswalks=("zebra",), **config
    )
    files, seen = naive_lanes.Files(), []
    for time_s, tracks, suspended in random_road_rows(np.random.default_rng(seed), 1300, ground):
        tracks["class_id"] = [(PERSON, PERSON, PERSON, BICYCLE)[number % 4] for number in tracks["id"]]
        events = court(tracks, suspended=suspended)
        clock = instant(time_s, 0.1)[0]
        clock["suspended"] = suspended
        same_events(events, naive.pedestrian_on_road_step(tracks, clock, court.prepared.settings, files))
        seen += events["reason"].tolist()
    assert {0, IDENTITY} <= set(seen)
    assert len(seen) > 5
