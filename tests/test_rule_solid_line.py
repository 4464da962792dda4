"""Changing lanes over a solid line: who is flagged, who only touches it, and the rule against its twin."""

from __future__ import annotations

import math

import naive_lanes as naive
import numpy as np
import pytest
from roadrows import Court, box_m, drive, every, random_road_rows, road_line, road_scene, same_events, zone_row
from traffic import instant

from kernels.records import CALIBRATION, CAMERA_MOVED, CANNOT_JUDGE, IDENTITY, VIOLATION
from kernels.sides import SIDE, passes_inside, past_line_m, side_reset, side_step

#: Two lanes of 3.5 m that flow up; between them a line that is solid from y = 20 to y = 60 m.
LANES = {"n/1": zone_row(box_m(0, 0, 3.5, 100), (0, -1)), "n/2": zone_row(box_m(3.5, 0, 7, 100), (0, -1))}
LINES = {"solid": road_line(3.5, 20, 3.5, 60)}


def scene(**more):
    return road_scene(LANES, lines=LINES, **more)


def change(begins_y: float = 50.0, to_x: float = 5.2, takes_m: float = 20.0, back_y: float = -50.0):
    """A course up at 12 m/s: from the middle of the first lane to `to_x`, and back from `back_y` on."""

    def course(t: float):
        y = 90.0 - 12.0 * t
        there = np.clip((begins_y - y) / takes_m, 0, 1) - np.clip((back_y - y) / takes_m, 0, 1)
        return 1.75 + (to_x - 1.75) * float(there), y

    return course


def judged(course=None, config=None, step_s=0.1, length_m=4.0, place=None, **more):
    court = Court("solid_line", place or scene(), line="solid", lanes=("n/1", "n/2"), **(config or {}))
    return court.all_of(drive(1, course or change(), every(step_s, 7.0), length_m=length_m, **more))


@pytest.mark.parametrize("step_s", [0.2, 1 / 12, 1 / 30])
@pytest.mark.parametrize("length_m", [0.0, 4.0, 12.0])
def test_a_change_over_the_line_is_flagged_once(step_s, length_m):
    events = judged(step_s=step_s, length_m=length_m)
    assert events["judgement"].tolist() == [VIOLATION]
    event = events[0]
    assert (event["line"], event["from_lane"], event["to_lane"]) == (0, 0, 1)
    assert 1.0 <= event["kept_s"] <= 1.0 + 1.01 * step_s
    assert event["past_m"] == pytest.approx(1.7, abs=0.35)
    assert event["margin_m"] == pytest.approx(event["past_m"] - 0.5, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "course"),
    [
        ("stays", change(to_x=1.75)),
        ("only touches it", change(to_x=3.6)),
        ("not far enough past it", change(to_x=3.9)),
        ("before the line begins", change(begins_y=85.0, takes_m=18.0)),
        ("after the line has ended", change(begins_y=15.0, takes_m=12.0)),
        ("swerves and is back within a second", change(begins_y=58.0, takes_m=10.0, back_y=46.0)),
        ("further out than the other lane", change(to_x=9.0)),
    ],
)
def test_what_is_no_change(name, course):
    assert len(judged(course)) == 0


def test_a_swerve_that_lasts_is_a_change():
    assert len(judged(change(begins_y=58.0, takes_m=10.0, back_y=30.0))) == 1


def test_rear_and_front_must_both_be_past():
    """The front of a bus is in the other lane for two seconds; its rear stays."""
    court = Court("solid_line", scene(), line="solid", lanes=("n/1", "n/2"))
    rows = drive(1, lambda t: (1.75, 90.0 - 12.0 * t), every(0.1, 7.0))
    for row in rows:
        if 3.0 < row["time_s"][0] < 5.0:
            row["front_x_m"], row["front_x_px"] = 5.2, 52.0
    assert len(court.all_of(rows)) == 0


def test_there_and_back_soon_is_one_event():
    """Overtaking over a line that is solid everywhere: out, two seconds later back in."""
    place = road_scene(LANES, lines={"solid": road_line(3.5, 0, 3.5, 100)})
    assert len(judged(change(begins_y=75.0, takes_m=15.0, back_y=35.0), place=place)) == 1


def test_a_line_that_is_solid_on_one_side():
    for lane, flagged in (("n/1", 1), ("n/2", 0)):
        assert len(judged(config={"from_lanes": (lane,)})) == flagged


def test_only_the_classes_asked_for():
    assert len(judged(class_id=4)) == 0
    assert len(judged(class_id=4, config={"classes": ("bicycle",)})) == 1


def test_missed_frames_leave_the_change_whole():
    court = Court("solid_line", scene(), line="solid", lanes=("n/1", "n/2"))
    rows = drive(1, change(), every(0.1, 7.0), length_m=4.0)
    kept = [row for k, row in enumerate(rows) if k % 4 == 0]
    assert len(court.all_of(kept)) == 1


@pytest.mark.parametrize(
    ("more", "place", "reason"),
    [
        ({"score": 0.4}, scene(), IDENTITY),
        ({"relinked_s": 4.5}, scene(), IDENTITY),
        ({"relinked_s": 0.5}, scene(), 0),
        ({"position_sd_m": 0.9}, scene(), CALIBRATION),
        ({"position_sd_m": math.nan}, scene(), CALIBRATION),
        ({}, scene(ground_error_m=1.0), CALIBRATION),
        ({}, scene(ground_error_m=0.5), 0),
    ],
)
def test_what_it_cannot_judge_it_says(more, place, reason):
    events = judged(place=place, **more)
    assert events["reason"].tolist() == [reason]
    assert events["judgement"].tolist() == [CANNOT_JUDGE if reason else VIOLATION]


def test_a_camera_that_moves_meanwhile_is_said():
    court = Court("solid_line", scene(), line="solid", lanes=("n/1", "n/2"))
    rows = drive(1, change(), every(0.1, 7.0), length_m=4.0)
    for moved, reason in ((range(38, 40), CAMERA_MOVED), (range(5, 10), 0)):
        court = Court("solid_line", scene(), line="solid", lanes=("n/1", "n/2"))
        events = [court(row, suspended=CAMERA_MOVED if k in moved else 0) for k, row in enumerate(rows)]
        assert np.concatenate(events)["reason"].tolist() == [reason]


def test_a_slot_that_is_used_again_inherits_nothing():
    court = Court("solid_line", scene(), line="solid", lanes=("n/1", "n/2"))
    first = drive(1, lambda t: (1.75, 60.0 - 12.0 * t), every(0.1, 2.0))
    second = drive(2, lambda t: (5.2, 60.0 - 12.0 * t), every(0.1, 5.0, 2.1), slot=1)
    assert len(court.all_of(first + second)) == 0


def test_sides_like_their_twins(rng):
    line = road_line(3, 2, 6, 8, (1, -0.3))[0]
    states, pasts, ways, changes = {}, {}, [], []
    for _, tracks, _ in random_road_rows(np.random.default_rng(1), 200, True, 20.0):
        for row in tracks:
            row["foot_x_m"], row["foot_y_m"] = row["foot_x_px"] / 20, row["foot_y_px"] / 20
            for end in ("front", "rear"):
                for axis in "xy":
                    row[f"{end}_{axis}_m"] = row[f"{end}_{axis}_px"] / 20
            number = int(row["id"])
            if number not in states:
                states[number] = np.zeros(1, SIDE)[0]
                side_reset(states[number])
            t = naive.numbers(row)
            found = side_step(states[number], line, row, 0.1, 0.2)
            assert found == naive.side_step(pasts.setdefault(number, naive.side_reset()), line, t, 0.1, 0.2)
            assert past_line_m(line, row, 1.0) == pytest.approx(naive.past_line_m(line, t, 1), abs=1e-5)
            changes.append(found)
    for _ in range(300):
        ends = rng.uniform(0, 10, 4)
        ways.append(passes_inside(line, *ends))
        assert ways[-1] == naive.passes_inside(line, *ends)
    assert {-1, 0, 1} == set(ways) == set(changes)


@pytest.mark.parametrize(("seed", "from_lanes"), [(1, ()), (2, ("n/1",))])
def test_solid_line_step_like_its_twin(seed, from_lanes):
    lanes = {
        "n/1": zone_row([(5, 5), (10, 5), (10.1, 15), (5, 15)], (0, -1)),
        "n/2": zone_row([(10.05, 5), (15, 5), (15, 15), (10.2, 15)], (0, -1)),
    }
    place = road_scene(lanes, lines={"solid": road_line(10, 8.5, 10.2, 13, (1, 0))})
    config = {"past_m": 0.1, "keep_s": 0.15, "age_min_s": 0.5, "from_lanes": from_lanes}
    court, files, seen = Court("solid_line", place, line="solid", lanes=("n/1", "n/2"), **config), naive.Files(), []
    for time_s, tracks, suspended in random_road_rows(np.random.default_rng(seed), 450, True):
        tracks["position_sd_m"][::3] = 0.02
        events = court(tracks, suspended=suspended)
        clock = instant(time_s, 0.1)[0]
        clock["suspended"] = suspended
        same_events(events, naive.solid_line_step(tracks, clock, court.prepared.settings, files))
        seen += events["reason"].tolist()
    assert {0, IDENTITY} <= set(seen)
    assert len(seen) > 6
