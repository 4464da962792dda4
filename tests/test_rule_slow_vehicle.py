"""Slow vehicles: who is told of, when it ends, and who is only entering, turning, following, standing or in a jam."""

from __future__ import annotations

import naive_pace as naive
import numpy as np
import pytest
from standrows import RoadJudge, box, drive, ended, passing, random_road, road_row, road_scene, same_events
from trackrows import signal_row

from kernels import pace
from kernels.records import BEGIN, CALIBRATION, CAMERA_MOVED, CANNOT_JUDGE, END, IDENTITY, VIOLATION

LANES = {"east/one": (box(0, 0, 400, 3.5), (1, 0)), "east/two": (box(0, 3.5, 400, 7), (1, 0))}
SCENE = road_scene(lanes=LANES)
Y1, Y2 = 1.75, 5.25


def judge(scene=SCENE, **config) -> RoadJudge:
    return RoadJudge("slow_vehicle", scene, **{"lanes": tuple(LANES), **config})


def before(speed=25.0, y=Y1, n=6, every_s=2.0) -> dict:
    """Vehicles that pass through the lane, the last of them into it at about 0 s."""
    return {
        50 + k: passing(speed * every_s * k + 5, y, speed, last_s=(390 - speed * every_s * k) / speed) for k in range(n)
    }


def slow(speed=5.0, first_s=3.0, y=Y1, last_s=1e9):
    return passing(2 - speed * first_s, y, speed, first_s=first_s, last_s=last_s)


@pytest.mark.parametrize("step_s", [0.04, 0.2, 0.9])
def test_a_slow_vehicle_is_told_within_ten_seconds_and_once_at_any_rate(step_s):
    events = drive(judge(), {1: slow(last_s=20.0), **before()}, 24.0, step_s)
    assert events["phase"].tolist() == [BEGIN, END]
    begin, end = events
    assert 5.0 <= begin["time_s"] - 3.0 <= 10.0
    assert begin["held_s"] == pytest.approx(begin["time_s"] - 3.0, abs=1.9)
    assert begin["median_mps"] == 25.0
    # Half of the median is more than 30 km/h.
    assert begin["margin_mps"] == pytest.approx(12.5 - 5.0 - 2 * 0.2, abs=1e-3)
    assert (begin["track_id"], begin["lane"], begin["judgement"], begin["truncated"]) == (1, 0, VIOLATION, 0)
    assert (end["track_id"], end["judgement"], end["truncated"]) == (1, VIOLATION, 1)
    assert end["time_s"] == pytest.approx(20.0, abs=0.9)


def test_half_of_the_median_is_slow_too():
    users = {1: slow(11.0), **before(25.0)}
    assert drive(judge(), users, 15.0)["track_id"].tolist() == [1]
    assert len(drive(judge(slow_share=0.4), users, 15.0)) == 0


def test_it_ends_when_it_is_faster_and_may_begin_again():
    def motion(t):
        speed = 5.0 if t < 12 or t > 18 else 20.0
        return 2 + 5 * min(t, 12) + 20 * min(max(t - 12, 0), 6) + 5 * max(t - 18, 0), Y1, speed, 0.0

    events = drive(judge(), {1: motion, **before()}, 30.0)
    assert events["phase"].tolist() == [BEGIN, END, BEGIN]
    assert events["truncated"].tolist() == [0, 0, 0]
    assert events["time_s"][1] == pytest.approx(12.0, abs=0.4)


def test_it_ends_where_it_leaves_the_lanes():
    events = drive(judge(), {1: lambda t: (2 + 5 * t, Y1 if t < 12 else -4.0, 5.0, 0.0), **before()}, 16.0)
    assert events["phase"].tolist() == [BEGIN, END]


@pytest.mark.parametrize(
    ("traffic", "config"),
    [
        (before(15.0), {}),
        (before(n=2), {}),
        (before(y=Y2), {}),
        (before(), {"window_s": 2.0}),
        ({}, {}),
    ],
    ids=["no faster than 60", "too few others", "only the other lane is fast", "long ago", "alone"],
)
def test_only_against_fast_traffic_of_its_own_lane(traffic, config):
    assert len(drive(judge(**config), {1: slow(first_s=18.0), **traffic}, 40.0)) == 0
    assert len(drive(judge(), {1: slow(first_s=18.0), **before()}, 40.0)) == 1


def test_in_congestion_nobody_is_slow():
    """The others were fast; then all creep."""
    jam = {100 + k: slow(5.0, 18.0 + 2.4 * k) for k in range(8)}
    events = drive(judge(queue_m=0.0, window_s=15.0), {**before(), **jam}, 45.0)
    assert len(events) <= 4
    assert len(drive(judge(queue_m=50.0, window_s=10.0), {**before(), **jam}, 45.0)) <= 2


def test_who_follows_a_slow_one_is_not_told_of():
    users = {1: slow(first_s=3.0), 2: slow(first_s=6.0), 3: slow(first_s=9.0), **before(n=8)}
    assert drive(judge(), users, 20.0)["track_id"].tolist() == [1]
    assert drive(judge(queue_m=1.0), users, 20.0)["track_id"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(("accel", "told"), [(1.5, 0), (-1.5, 0), (0.2, 1), (np.nan, 1)])
def test_who_enters_or_turns_off_changes_its_speed(accel, told):
    assert len(drive(judge(), {1: slow(), **before()}, 14.0, options={1: {"accel_mps2": accel}})) == told


@pytest.mark.parametrize(
    ("speed", "sd", "told"), [(5.0, 0.2, 1), (0.3, 0.1, 0), (11.0, 1.0, 0), (5.0, np.nan, 0), (np.nan, np.nan, 0)]
)
def test_the_speed_must_surely_be_low_and_not_that_of_one_who_stands(speed, sd, told):
    options = {1: {"speed_mps": speed, "speed_sd_mps": sd}}
    assert len(drive(judge(), {1: slow(), **before()}, 14.0, options=options)) == told


def test_only_the_classes_asked_for():
    assert len(drive(judge(), {1: slow(), **before()}, 14.0, options={1: {"name": "bicycle"}})) == 0


def test_less_than_five_seconds_is_not_enough():
    assert len(drive(judge(), {1: slow(last_s=7.5), **before()}, 14.0)) == 0


@pytest.mark.parametrize(("options", "reason"), [({"birth_s": 8.9}, IDENTITY), ({"score": 0.3}, IDENTITY)])
def test_a_doubtful_track_is_told_of_without_a_judgement(options, reason):
    one = judge(age_min_s=9.0) if "birth_s" in options else judge()
    events = drive(one, {1: slow(), **before()}, 14.0, options={1: options})
    assert [(e["judgement"], e["reason"]) for e in events] == [(CANNOT_JUDGE, reason)]
    assert events[0]["time_s"] <= 13.0


def test_a_poor_ground_bears_no_judgement():
    poor = road_scene(lanes=LANES)
    poor.ground_error_m = 5.0
    events = drive(judge(poor), {1: slow(), **before()}, 14.0)
    assert [(e["judgement"], e["reason"]) for e in events] == [(CANNOT_JUDGE, CALIBRATION)]


def slow_rows(one, times, suspended=lambda t: 0, number=1, **more):
    """Judge one slow vehicle beside the memory of fast ones."""
    found = []
    for t in times:
        row = road_row(number, t, (5 + 5 * (t - 3), Y1), (5.0, 0.0), **more)
        found += list(one.at(t, [row], suspended(t)))
    return found


@pytest.mark.parametrize("kind", ["gap", "suspended"])
def test_gaps_and_suspension_stop_the_clock(kind):
    one = judge()
    drive(one, before(), 16.0)
    times = [t for t in np.arange(17, 40, 0.2) if kind == "suspended" or not 20 < t < 24]
    events = slow_rows(one, times, lambda t: CAMERA_MOVED if kind == "suspended" and 20 < t < 24 else 0)
    assert [event["phase"] for event in events] == [BEGIN]
    assert events[0]["time_s"] == pytest.approx(26.2, abs=0.5)


def test_a_slot_that_is_used_again_inherits_nothing():
    one = judge()
    drive(one, before(), 16.0)
    assert slow_rows(one, np.arange(17, 21, 0.2), number=1) == []
    one.lose(1)
    events = slow_rows(one, np.arange(21.2, 40, 0.2), number=257, slot=1)
    assert [event["track_id"] for event in events] == [257]
    assert events[0]["time_s"] >= 26.0
    assert len(one.at(40.2, [ended(one.seen[257])])) == 1


def test_the_streams_end_ends_it_and_forgets_how_fast_the_lane_was():
    one = judge()
    drive(one, before(), 16.0)
    assert len(slow_rows(one, np.arange(17, 30, 0.2))) == 1
    assert one.end()[["phase", "truncated"]].tolist() == [(END, 1)]
    assert slow_rows(one, np.arange(31, 44, 0.2)) == []


def test_without_road_points_nothing_is_seen():
    options = {1: {"foot_x_m": np.nan, "foot_y_m": np.nan}}
    assert len(drive(judge(), {1: slow(), **before()}, 14.0, options=options)) == 0


def test_slow_traffic_is_refused():
    with pytest.raises(ValueError, match=r"has median_kmh 20; allowed: slow_kmh \(30\) or more"):
        judge(median_kmh=20.0)


def test_the_median_of_the_latest_like_its_twin():
    rng, row, lane = np.random.default_rng(5), np.zeros(1, pace.PACE)[0], {}
    for k in range(400):
        number, speed = int(rng.integers(1, 90)), float(rng.uniform(0, 30))
        pace.pace_note(row, number, speed, float(k))
        naive.pace_note(lane, number, speed, float(k))
        since, least = k - float(rng.uniform(0, 90)), int(rng.integers(1, 9))
        wanted = naive.pace_median_mps(lane, number, since, least)
        found = pace.pace_median_mps(row, number, since, least)
        assert found == pytest.approx(wanted, nan_ok=True)


@pytest.mark.parametrize(("seed", "config"), [(1, {}), (2, {"queue_m": 3.0}), (3, {"clear_s": 1.0, "stand_kmh": 0.5})])
def test_like_its_twin(seed, config):
    limits = {"median_kmh": 18.0, "slow_kmh": 18.0, "held_s": 0.5, "others_min": 1, "window_s": 10.0, "queue_m": 5.0}
    one = RoadJudge("slow_vehicle", road_scene(lanes=LANES), lanes=tuple(LANES), **{**limits, **config})
    rng, memory, seen = np.random.default_rng(seed), naive.Slows(), []
    for time_s, tracks in random_road(rng, 700, 8):
        late = time_s + (30.0 if time_s > 60 else 0.0)
        tracks["time_s"] = late
        tracks["speed_mps"][rng.random(len(tracks)) < 0.03] = np.nan
        tracks["accel_mps2"][rng.random(len(tracks)) < 0.1] = 3.0
        clock = one.clock(late, CAMERA_MOVED * int(rng.random() < 0.01), 0)
        events = one(tracks, clock, signal_row("green", 0.0))
        same_events(events, naive.slow_vehicle_step(tracks, clock, None, one.prepared.settings, memory))
        seen += [tuple(event) for event in events[["phase", "judgement"]]]
    assert {phase for phase, _ in seen} == {BEGIN, END}
    assert len(seen) > 8
