"""A vehicle that stands in a lane: who is alarmed of, when, who only queues, and that each stop is told once."""

from __future__ import annotations

import naive_stays as naive
import numpy as np
import pytest
from standrows import (
    RoadJudge,
    box,
    drive,
    passing,
    random_road,
    road_row,
    road_scene,
    same_events,
    standing_at,
    stopping_at,
)  # fmt: skip
from trackrows import signal_row

from kernels.records import BEGIN, CAMERA_MOVED, CANNOT_JUDGE, END, IDENTITY, VIOLATION

LANES = {"east/one": (box(0, 0, 100, 3.5), (1, 0)), "east/two": (box(0, 3.5, 100, 7), (1, 0))}
SCENE = road_scene(lanes=LANES, signals=["lamp"])
Y1, Y2 = 1.75, 5.25


def judge(**config) -> RoadJudge:
    return RoadJudge("stopped_vehicle", SCENE, **{"lanes": tuple(LANES), **config})


def stream(every_s: float, lane_y: float = Y2, first_id: int = 50, n: int = 40) -> dict:
    """Traffic that passes in the other lane."""
    return {first_id + k: passing(-15 * every_s * k, lane_y, 15.0, last_s=every_s * k + 6) for k in range(n)}


@pytest.mark.parametrize(
    ("seed", "config"),
    [
        (1, {}),
        (2, {"signal": "lamp", "dwell_s": 2.0, "release_s": 1.0}),
        (3, {"queue_m": 0.0, "blocked_s": 0.0, "dwell_s": 3.0, "memory_s": 3.0}),
    ],
)
def test_like_its_twin(seed, config):
    rng, one, memory, seen = np.random.default_rng(seed), judge(**config), naive.Stays(), []
    for time_s, tracks in random_road(rng, 500):
        signals = signal_row(str(rng.choice(["green", "green", "red"])), time_s - 3.0)
        clock = one.clock(time_s, suspended=CAMERA_MOVED * int(rng.random() < 0.02))
        events = one(tracks, clock, signals)
        same_events(events, naive.stopped_vehicle_step(tracks, clock, signals, one.prepared.settings, memory))
        seen += [tuple(event) for event in events[["phase", "judgement", "truncated"]]]
    assert len(seen) > 8
    assert {phase for phase, *_ in seen} == {BEGIN, END}


def test_a_breakdown_is_told_within_six_seconds_and_once():
    one = judge()
    events = drive(one, {1: stopping_at(50, Y1, 10.0, 30.0), **stream(3.0)}, 40.0)
    assert events["phase"].tolist() == [BEGIN, END]
    begin, end = events
    assert 10.0 <= begin["since_s"] + 0.1 <= 10.2
    assert begin["time_s"] - 10.0 <= 6.0
    assert begin["held_s"] == pytest.approx(begin["time_s"] - begin["since_s"], abs=1e-3)
    assert (begin["track_id"], begin["lane"], begin["judgement"], begin["truncated"]) == (1, 0, VIOLATION, 0)
    assert end["held_s"] == pytest.approx(20.1, abs=0.3)
    assert end["time_s"] == pytest.approx(30.1, abs=0.2)
    assert len(one.end()) == 0


def test_alone_on_the_road_too():
    assert drive(judge(), {1: stopping_at(50, Y1, 3.0)}, 10.0)["track_id"].tolist() == [1]


@pytest.mark.parametrize(("y", "name"), [(-3.0, "car"), (Y1, "person"), (Y1, "bicycle")])
def test_beside_the_lanes_or_no_vehicle(y, name):
    assert len(drive(judge(), {1: stopping_at(50, y, 3.0)}, 20.0, name=name)) == 0


def test_creeping_is_not_standing():
    assert len(drive(judge(), {1: passing(5, Y1, 0.4)}, 60.0)) == 0


@pytest.mark.parametrize(("sd_m", "told"), [(0.1, False), (3.0, False), (0.6, True)])
def test_a_poorly_known_position_is_not_in_one_place_everywhere(sd_m, told):
    """A point that sways by 1.5 m in 4 s: moved, unless noise explains it; beyond twice the radius nothing does."""
    one, events = judge(), []
    sway_m = 4.5 if sd_m > 1.0 else 1.5
    for k in range(120):
        t = 0.1 * k
        x = 50.0 + sway_m * (int(t / 4.0) % 2)
        events += list(one.at(t, [road_row(1, t, (x, Y1), (0.0, 0.0), position_sd_m=sd_m)]))
    assert bool(events) == told


def test_a_queue_behind_a_standing_vehicle_is_one_alarm():
    """The first broke down; two wait behind it."""
    queue = {1: stopping_at(60, Y1, 5.0), 2: stopping_at(53, Y1, 7.0), 3: stopping_at(46, Y1, 9.0)}
    assert drive(judge(), {**queue, **stream(2.0)}, 60.0)["track_id"].tolist() == [1]


def test_who_stopped_before_the_one_ahead_does_not_wait_for_it():
    """A helper stops ahead of the breakdown: both are told of."""
    pair = {1: stopping_at(50, Y1, 5.0), 2: stopping_at(58, Y1, 7.5)}
    assert sorted(drive(judge(), {**pair, **stream(2.0)}, 30.0)["track_id"]) == [1, 2]


def test_a_queue_that_starts_is_not_told():
    """The one ahead leaves; the one behind follows 3 s later."""
    queue = {1: stopping_at(60, Y1, 5.0, 25.0), 2: stopping_at(53, Y1, 7.0, 28.0)}
    events = drive(judge(dwell_s=15.0), {**queue, **stream(2.0)}, 40.0)
    assert set(events["track_id"]) == {1}


@pytest.mark.parametrize(("release_s", "told"), [(5.0, True), (60.0, False)])
def test_who_stays_behind_when_the_queue_has_gone(release_s, told):
    queue = {1: stopping_at(60, Y1, 5.0, 12.0), 2: stopping_at(53, Y1, 7.0)}
    events = drive(judge(dwell_s=30.0, release_s=release_s), {**queue, **stream(2.0)}, 45.0)
    assert events["track_id"].tolist() == [2] * told


def test_both_lanes_stand_and_nothing_moves():
    """A jam whose cause is out of view; after a while the heads of the queues are told of all the same."""
    jam = {1: stopping_at(90, Y1, 5.0), 2: stopping_at(90, Y2, 5.0)}
    assert len(drive(judge(), jam, 60.0)) == 0
    assert sorted(drive(judge(blocked_s=30.0), jam, 60.0)["track_id"]) == [1, 2]


def test_two_stand_beside_each_other_and_traffic_moves():
    wide = road_scene(lanes={**LANES, "east/three": (box(0, 7, 100, 10.5), (1, 0))})
    one = RoadJudge("stopped_vehicle", wide, lanes=("east/one", "east/two", "east/three"))
    pair = {1: stopping_at(60, Y1, 5.0), 2: stopping_at(60, Y2, 5.5)}
    assert sorted(drive(one, {**pair, **stream(2.0, 8.75)}, 20.0)["track_id"]) == [1, 2]


def test_oncoming_traffic_does_not_flow_for_us():
    jam = {1: stopping_at(90, Y1, 5.0), 2: stopping_at(90, Y2, 5.0)}
    oncoming = {50 + k: passing(100 + 30 * k, 8.75, -15.0, last_s=2 * k + 7) for k in range(40)}
    assert len(drive(judge(), {**jam, **oncoming}, 40.0)) == 0


@pytest.mark.parametrize(("state", "told"), [("red", False), ("red_amber", False), ("green", True), ("dark", True)])
def test_a_signal_explains_it(state, told):
    one = judge(signal="lamp")
    one.signals = signal_row(state, 0.0)
    assert len(drive(one, {1: stopping_at(50, Y1, 3.0)}, 20.0)) == told


def test_after_the_green_it_has_time_to_start():
    one = judge(signal="lamp", release_s=10.0)
    one.signals = signal_row("red", 0.0)
    assert len(drive(one, {1: stopping_at(50, Y1, 3.0)}, 20.0)) == 0
    one.signals = signal_row("green", 20.0, "red", 0.0)
    events = drive(one, {1: stopping_at(50, Y1, 3.0)}, 40.0, start_s=20.1)
    assert events["time_s"].tolist() == pytest.approx([30.0], abs=0.2)


# -- tracks that break --------------------------------------------------------------------------------------------


def test_one_bad_box_is_no_departure():
    """A row 4 m away while it stands: one alarm, no end until it leaves."""
    bad = [lambda t, t0=t0: (54, Y1, 0, 0) if abs(t - t0) < 0.05 else stopping_at(50, Y1, 5.0)(t) for t0 in (8.0, 20.0)]
    for motion in bad:
        events = drive(judge(), {1: motion}, 40.0)
        assert events["phase"].tolist() == [BEGIN]
        assert events["since_s"][0] == pytest.approx(5.0, abs=0.2)


def test_a_track_lost_and_born_again_in_place_is_the_same_stop():
    """Hidden for 6 s: the new track inherits, it is told of once, and the end bears the id of the alarm."""
    one = judge()
    before = drive(one, {1: stopping_at(50, Y1, 5.0)}, 15.0)
    lost = one.lose(1)
    after = drive(one, {2: standing_at(50.3, Y1)}, 40.0, start_s=21.0, birth_s=21.0)
    gone = drive(one, {2: passing(50.3 - 10 * 40.1, Y1, 10.0)}, 45.0, start_s=40.1, birth_s=21.0)
    assert before["phase"].tolist() == [BEGIN]
    assert len(lost) == len(after) == 0
    assert gone["phase"].tolist() == [END]
    assert (gone["track_id"][0], gone["held_s"][0]) == (1, pytest.approx(35.0, abs=0.4))


def test_one_who_is_seen_to_arrive_does_not_inherit():
    one = judge()
    drive(one, {1: stopping_at(50, Y1, 5.0)}, 15.0)
    one.lose(1)
    events = drive(one, {2: stopping_at(50, Y1, 18.0, 21.0)}, 40.0, start_s=16.0, birth_s=15.5)
    assert events["phase"].tolist() == [END]
    assert (events["track_id"][0], events["truncated"][0]) == (1, 1)


def test_forgotten_after_the_memory():
    one = judge(memory_s=10.0)
    drive(one, {1: stopping_at(50, Y1, 5.0)}, 15.0)
    one.lose(1)
    events = drive(one, {2: standing_at(50, Y1)}, 40.0, start_s=30.0, birth_s=30.0)
    assert events["phase"].tolist() == [END, BEGIN]
    assert events["truncated"].tolist() == [1, 1]  # lost from view; not seen to arrive
    assert events["held_s"].tolist() == pytest.approx([10.0, 5.0], abs=0.3)


def test_the_end_of_the_stream_closes_it_and_the_next_epoch_knows_nothing():
    one = judge()
    drive(one, {1: stopping_at(50, Y1, 5.0)}, 15.0)
    events = one.end()
    assert (events["phase"].tolist(), events["truncated"].tolist()) == ([END], [1])
    events = drive(one, {1: standing_at(50, Y1)}, 6.0, birth_s=0.0)
    assert events["held_s"].tolist() == pytest.approx([5.0], abs=0.2)


def test_a_hidden_leader_still_explains_the_queue():
    """The one ahead is hidden, not given up: no alarm of the one behind."""
    leader = lambda t: None  # noqa: E731
    one = judge()
    drive(one, {1: stopping_at(60, Y1, 2.0), 2: stopping_at(53, Y1, 3.0)}, 4.5)
    assert len(drive(one, {1: leader, 2: standing_at(53, Y1)}, 12.0, start_s=4.6)) == 0


def test_a_slot_that_is_used_again_inherits_nothing():
    one = judge(memory_s=0.0)
    drive(one, {1: stopping_at(50, Y1, 2.0)}, 6.0)
    one.lose(1)
    assert len(drive(one, {2: passing(-60, Y1, 10.0)}, 9.0, start_s=6.5, slot=1)) == 0


@pytest.mark.parametrize(
    ("more", "suspended", "judgement", "reason"),
    [
        ({}, 0, VIOLATION, 0),
        ({"score": 0.3}, 0, CANNOT_JUDGE, IDENTITY),
        ({}, CAMERA_MOVED, CANNOT_JUDGE, CAMERA_MOVED),
    ],
)
def test_what_it_cannot_judge_it_says(more, suspended, judgement, reason):
    one, events = judge(), []
    for k in range(100):
        t = 0.1 * k
        x, y, *v = stopping_at(50, Y1, 2.0)(t)
        events += list(one.at(t, [road_row(1, t, (x, y), v, **more)], suspended))
    assert [(e["judgement"], e["reason"]) for e in events] == [(judgement, reason)]
    assert events[0]["time_s"] - 2.0 <= 6.0


def test_a_relink_just_before_delays_the_alarm():
    one, events = judge(), []
    for k in range(120):
        t = 0.1 * k
        x, y, *v = stopping_at(50, Y1, 2.0)(t)
        relinked = 6.5 if t > 6.5 else -np.inf
        events += list(one.at(t, [road_row(1, t, (x, y), v, relinked_s=relinked)]))
    assert [e["judgement"] for e in events] == [VIOLATION]
    assert 7.4 < events[0]["time_s"] <= 8.0
