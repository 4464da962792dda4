"""Driving against the flow: who is flagged and how soon, who only looks like it, and the rule against its twin."""

from __future__ import annotations

import math

import naive_lanes as naive
import numpy as np
import pytest
from roadrows import Court, box_m, drive, every, random_road_rows, road_scene, same_events, straight, zone_row

from kernels.records import CAMERA_MOVED, CANNOT_JUDGE, IDENTITY, VIOLATION


def lanes(ground: bool) -> dict[str, np.ndarray]:
    """Two lanes of 4 m and 60 m side by side: south flows down (y grows), north up."""
    return {
        "south/1": zone_row(box_m(0, 0, 4, 60), (0, 1), ground),
        "north/1": zone_row(box_m(4, 0, 8, 60), (0, -1), ground),
    }


def judged(rows: list[np.ndarray], ground: bool = True, **config) -> np.ndarray:
    court = Court("wrong_way", road_scene(lanes(ground), ground=ground), **{"lanes": ("south/1", "north/1"), **config})
    return court.all_of(rows)


def against(speed_mps: float, step_s: float = 0.1, x: float = 2.0, way_m: float = 50.0, **more) -> list[np.ndarray]:
    """Up the lane that flows down."""
    return drive(1, straight((x, 55.0), (0.0, -speed_mps)), every(step_s, way_m / speed_mps), **more)


@pytest.mark.parametrize("ground", [True, False])
@pytest.mark.parametrize("step_s", [0.2, 1 / 12, 1 / 30])
def test_against_the_flow_is_flagged_once(ground, step_s):
    events = judged(against(8.0, step_s, ground=ground), ground)
    assert events["judgement"].tolist() == [VIOLATION]
    assert events["cosine"][0] == pytest.approx(-1.0)
    assert events["lane"][0] == 0
    assert events["margin_m"][0] == pytest.approx(events["against_m"][0] - 10.0, abs=1e-4)


@pytest.mark.parametrize("ground", [True, False])
@pytest.mark.parametrize("x", [2.0, 6.0])
def test_with_the_flow_is_none(x, ground):
    way = 8.0 if x < 4 else -8.0
    rows = drive(1, straight((x, 5.0 if way > 0 else 55.0), (0.0, way)), every(0.1, 6.0), ground=ground)
    assert len(judged(rows, ground)) == 0


def test_the_alarm_comes_within_three_seconds():
    """Mean over speeds of 15 to 70 km/h and 5 to 30 frames a second, from the first row on."""
    delays = []
    for kmh in range(15, 75, 5):
        for step_s in (1 / 30, 1 / 25, 1 / 12, 0.2):
            event = judged(against(kmh / 3.6, step_s))[0]
            delays.append(float(event["time_s"]))
            assert event["held_s"] <= event["time_s"]
    assert np.mean(delays) <= 3.0
    assert max(delays) <= 4.0


@pytest.mark.parametrize(("speed_mps", "way_m", "flagged"), [(2.0, 14.0, 0), (2.0, 17.0, 1), (3.5, 14.0, 1)])
def test_reversing_to_park_is_slow_and_short(speed_mps, way_m, flagged):
    rows = against(speed_mps, way_m=way_m)
    assert len(judged(rows)) == flagged


@pytest.mark.parametrize(("held_s", "flagged"), [(0.9, 0), (1.1, 1)])
def test_it_must_last(held_s, flagged):
    """At 20 m/s 10 m are done in 0.5 s."""
    rows = drive(1, straight((2.0, 55.0), (0.0, -20.0)), every(0.05, held_s + 0.1), birth_s=-5.0)
    assert len(judged(rows)) == flagged


@pytest.mark.parametrize(("turned_deg", "flagged"), [(0, 1), (55, 1), (65, 0), (90, 0)])
def test_the_heading_must_be_against(turned_deg, flagged):
    """Across a lane that is wide enough."""
    a = math.radians(turned_deg)
    scene = road_scene({"s/1": zone_row(box_m(-60, 0, 60, 60), (0, 1))})
    rows = drive(1, straight((0.0, 55.0), (10 * math.sin(a), -10 * math.cos(a))), every(0.1, 4.0))
    assert len(Court("wrong_way", scene, lanes=("s/1",)).all_of(rows)) == flagged


def test_overtaking_into_the_opposite_lane_is_no_long_run():
    """Out for 0.9 s at 14 m/s, then back in its own lane: 12.6 m, but not held."""
    x = lambda t: 6.0 if t < 2.0 or t > 2.9 else 2.0  # noqa: E731
    rows = drive(1, lambda t: (x(t), 58.0 - 14.0 * t), every(0.1, 4.0))
    assert len(judged(rows)) == 0


def test_a_wavering_foot_point_stays_in_its_lane_for_the_most():
    """One row in six outside every lane is allowed, every other one is not."""
    only = {"lanes": ("south/1",)}
    for nth, flagged in ((12, 1), (2, 0)):
        rows = against(8.0)
        for row in rows[nth - 1 :: nth]:
            row["foot_x_px"] = -5.0
        assert len(judged(rows, **only)) == flagged


def test_a_box_that_jumps_to_an_oncoming_vehicle_begins_anew():
    """It goes down its lane and is then taken for one that goes up the other lane, then for one in this lane again."""
    down = drive(1, straight((2.0, 5.0), (0.0, 10.0)), every(0.1, 2.0), ends=False)
    up = drive(1, straight((2.0, 50.0), (0.0, -10.0)), every(0.1, 2.9, 2.0))
    assert len(judged(down + up)) == 0  # 0.8 s only since the jump
    longer = drive(1, straight((2.0, 55.0), (0.0, -10.0)), every(0.1, 4.0, 2.0))
    events = judged(down + longer)
    assert events["held_s"].tolist() == pytest.approx([1.0], abs=0.15)


def test_a_leap_against_the_flow_is_no_displacement():
    """Ten metres back in one step, nothing else."""
    rows = drive(1, lambda t: (2.0, 50.0 - (10.0 if t > 2.0 else 0.0) + t), every(0.1, 4.0))
    assert len(judged(rows)) == 0


def test_a_gap_begins_the_run_anew():
    rows = against(8.0)
    for row in rows[10:]:
        row["relinked_s"] = rows[10]["time_s"]
    event = judged(rows)[0]
    assert event["held_s"] == pytest.approx(event["time_s"] - float(rows[10]["time_s"][0]), abs=1e-4)
    assert event["judgement"] == VIOLATION


def test_missed_frames_do_not_break_a_run():
    """Every second frame at 10 a second is missed: time and way run on."""
    assert len(judged(against(8.0)[::2])) == 1


@pytest.mark.parametrize(("class_id", "flagged"), [(0, 1), (2, 1), (4, 0), (5, 0)])
def test_bicycles_and_persons_are_exempt_by_default(class_id, flagged):
    assert len(judged(against(5.0, class_id=class_id))) == flagged
    assert len(judged(against(5.0, class_id=4), classes=("bicycle",))) == 1


def test_what_it_cannot_judge_it_says():
    weak = judged(against(8.0, score=0.4))
    assert (weak["judgement"].tolist(), weak["reason"].tolist()) == ([CANNOT_JUDGE], [IDENTITY])
    court = Court("wrong_way", road_scene(lanes(True)), lanes=("south/1",))
    rows = against(8.0)
    moved = [court(row, suspended=CAMERA_MOVED if k == 3 else 0) for k, row in enumerate(rows)]
    assert np.concatenate(moved)["reason"].tolist() == [CAMERA_MOVED]  # it was moved while the evidence grew


def test_a_slot_that_is_used_again_inherits_nothing():
    court = Court("wrong_way", road_scene(lanes(True)), lanes=("south/1",))
    first = against(8.0, way_m=7.0, ends=False)
    second = drive(2, straight((2.0, 48.0), (0.0, -8.0)), every(0.1, 1.6, 0.9), slot=1)
    assert len(court.all_of(first + second)) == 0


def test_an_event_says_what_was_seen():
    event = judged(against(8.0, class_id=1, score=0.9))[0]
    assert (event["track_id"], event["class_id"], event["lane"]) == (1, 1, 0)
    assert (event["held_s"], event["against_m"]) == pytest.approx((1.3, 10.4), abs=0.01)
    assert (event["speed_mps"], event["speed_sd_mps"]) == pytest.approx((8.0, 0.2))
    assert event["inside_share"] == pytest.approx(1.0)


@pytest.mark.parametrize(("seed", "ground"), [(1, True), (2, False), (3, True)])
def test_wrong_way_step_like_its_twin(seed, ground):
    scene = road_scene(
        {
            "s/1": zone_row([(8.0, 8.3), (9.9, 8.0), (10.1, 12.0), (8.0, 12.1)], (0.2, 1), ground),
            "n/1": zone_row([(10.2, 8.0), (12.0, 8.0), (12.0, 12.0), (10.3, 12.0)], (0, -1), ground),
        },
        ground=ground,
    )
    small = {"held_s": 0.3, "against_m": 0.4, "speed_min_kmh": 1.0, "reverse_m": 0.6, "inside_share": 0.6}
    small |= {"age_min_s": 0.5, "cosine_max": -0.2}
    court, files = Court("wrong_way", scene, lanes=("s/1", "n/1"), **small), naive.Files()
    seen = []
    for time_s, tracks, suspended in random_road_rows(np.random.default_rng(seed), 1500, ground):
        events = court(tracks, suspended=suspended)
        clock = {"suspended": suspended, "time_s": time_s}
        same_events(events, naive.wrong_way_step(tracks, clock, court.prepared.settings, files))
        seen += events["judgement"].tolist()
    assert {VIOLATION, CANNOT_JUDGE} <= set(seen)
    assert len(seen) > 10
