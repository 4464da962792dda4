"""A virtual loop goes on and off when a real one would: at any frame rate, in strict alternation, never left on."""

from __future__ import annotations

from itertools import pairwise

import naive_loops as naive
import numpy as np
import pytest
from roadrows import Court, box_m, every, random_road_rows, road_scene, straight, zone_row
from roadrows import drive as road_drive
from standrows import RoadJudge, box, drive, passing, random_road, road_row, same_events, standing_at, stopping_at
from standrows import road_scene as stand_scene
from traffic import instant

from kernels.footprint import FOOTPRINT
from kernels.loops import (
    LOOP,
    MAX_EDGES,
    body_clear,
    body_fill,
    body_over,
    loop_close,
    loop_edge,
    loop_event,
    loop_follow,
    loop_tell,
)
from kernels.records import CAMERA_MOVED, STREAM_GAP, ZONE

LOOP_M = box(20.0, 0.0, 22.0, 3.5)
LENGTH_M = 4.5


def loop(**config) -> RoadJudge:
    return RoadJudge("presence", stand_scene(zones={"a": LOOP_M}), zone="a", **config)


def times(events: np.ndarray) -> list[tuple[int, float]]:
    return [(int(event["on"]), float(event["time_s"])) for event in events]


def alternates(events: np.ndarray) -> bool:
    states, at = events["on"].tolist(), events["time_s"].tolist()
    return all(a != b for a, b in pairwise([0, *states])) and all(a <= b for a, b in pairwise(at))


@pytest.mark.parametrize("step_s", [0.02, 0.04, 0.1, 0.2, 0.5])
@pytest.mark.parametrize("speed", [2.0, 13.9, 30.0])
def test_the_front_puts_it_on_and_the_rear_off_at_any_frame_rate(speed, step_s):
    rule = loop()
    found = [drive(rule, {1: passing(0.0, 1.75, speed, last_s=60 / speed)}, 65 / speed, step_s, name="car"), rule.end()]
    events = np.concatenate(found)
    assert [int(event["on"]) for event in events] == [1, 0]
    assert events["time_s"] == pytest.approx([20 / speed, (22 + LENGTH_M) / speed], abs=0.004)
    assert events["held_s"][1] == pytest.approx((2 + LENGTH_M) / speed, abs=0.008)
    assert np.isnan(events["held_s"][0])
    assert events["vehicles"].tolist() == [1, 1]
    assert events["track_id"].tolist() == [1, 1]


def test_two_vehicles_over_it_are_one_presence():
    rule = loop()
    users = {1: passing(10.0, 1.75, 10.0, last_s=6.0), 2: passing(4.0, 1.75, 10.0, last_s=6.0)}
    events = drive(rule, users, 7.0, 0.1)
    assert times(events) == [(1, pytest.approx(1.0, abs=0.01)), (0, pytest.approx(2.25, abs=0.01))]
    assert events["vehicles"].tolist() == [1, 2]


def test_a_vehicle_in_the_next_lane_is_not_over_it():
    assert len(drive(loop(), {1: passing(0.0, 5.25, 10.0, last_s=5.0)}, 6.0, 0.1)) == 0


@pytest.mark.parametrize(("hold_s", "n"), [(0.0, 4), (0.5, 4), (0.9, 2)])
def test_it_holds_through_short_absences(hold_s, n):
    rule = loop(hold_s=hold_s)
    users = {1: passing(10.0, 1.75, 10.0, last_s=6.0), 2: passing(-4.0, 1.75, 10.0, last_s=6.0)}
    events = drive(rule, users, 7.0, 0.1)
    assert len(events) == n  # the second comes 0.75 s after the first has gone
    assert events["time_s"][-1] == pytest.approx(3.05, abs=0.01)


def test_who_stands_on_it_holds_it_until_the_end_of_the_stream():
    rule = loop()
    events = [drive(rule, {1: stopping_at(21.0, 1.75, 3.0)}, 20.0, 0.2), rule.end()]
    assert times(np.concatenate(events)) == [(1, pytest.approx(2.9, abs=0.01)), (0, pytest.approx(20.0))]
    again = [drive(rule, {2: passing(-100.0, 1.75, 10.0)}, 14.0, 0.1, start_s=11.0), rule.end()]
    assert times(np.concatenate(again))[0] == (1, pytest.approx(12.0, abs=0.01))


def test_who_is_first_seen_on_it_holds_it_from_then_on():
    rule = loop()
    rows = [road_row(1, 5.0 + 0.1 * k, (21.0, 1.75), prev_time_s=4.7 + 0.1 * k) for k in range(5)]
    events = [rule.at(4.0, [])] + [rule.at(float(row["time_s"][0]), [row]) for row in rows]
    assert times(np.concatenate(events)) == [(1, pytest.approx(4.7))]


def test_a_lost_vehicle_frees_it_when_it_was_last_seen():
    rule = loop()
    found = [drive(rule, {1: standing_at(21.0, 1.75)}, 3.0, 0.1)]
    found += [rule.at(4.0, []), rule.at(4.5, [])]
    row = rule.seen[1].copy()
    row["flags"] = 2
    found.append(rule(np.concatenate([row]), rule.clock(5.0)))
    assert times(np.concatenate(found))[-1] == (0, pytest.approx(3.0))


def test_a_suspended_camera_closes_it_and_says_why():
    rule = loop()
    found = [drive(rule, {1: standing_at(21.0, 1.75)}, 3.0, 0.1)]
    row = rule.seen[1]
    for k in range(1, 40):
        row = row.copy()
        row["time_s"], row["prev_time_s"] = 3.0 + 0.1 * k, 2.9 + 0.1 * k
        found.append(rule.at(3.0 + 0.1 * k, [row], CAMERA_MOVED if 5 <= k < 20 else 0))
    events = np.concatenate(found)
    assert alternates(events)
    assert events["reason"].tolist() == [0, CAMERA_MOVED, 0]
    assert events["time_s"][1:] == pytest.approx([3.4, 4.9])  # the last instant of the suspension


def test_a_gap_of_the_stream_closes_it():
    rule = loop()
    found = [drive(rule, {1: standing_at(21.0, 1.75)}, 3.0, 0.1)]
    found.append(rule.at(9.0, [road_row(1, 9.0, (21.0, 1.75), prev_time_s=3.0)]))
    events = np.concatenate(found)
    assert events["reason"].tolist() == [0, STREAM_GAP, 0]
    assert events["time_s"][1:] == pytest.approx([3.0, 9.0])


def test_a_class_that_was_not_asked_for_is_not_felt_but_a_mistaken_one_keeps_it():
    assert len(drive(loop(), {1: passing(0.0, 1.75, 10.0, last_s=5.0)}, 6.0, 0.1, name="person")) == 0
    rule, found = loop(), []
    for k in range(30):
        at = 15.0 + 1.0 * k
        found.append(
            rule.at(0.1 * k, [road_row(1, 0.1 * k, (at, 1.75), (10.0, 0.0), name="person" if k > 6 else "car")])
        )
    assert [on for on, _ in times(np.concatenate(found))] == [1, 0]


def test_a_slot_that_is_used_again_inherits_nothing():
    rule = loop()
    first = rule.at(1.0, [road_row(1, 1.0, (21.0, 1.75))])
    ended = rule.seen[1].copy()
    ended["flags"] = 2
    second = rule(np.concatenate([ended]), rule.clock(1.2))
    third = rule.at(1.3, [road_row(257, 1.3, (90.0, 1.75), (10.0, 0.0))])
    assert [len(first), len(second), len(third)] == [1, 1, 0]


def test_without_a_ground_the_bottom_of_the_box_counts():
    scene = road_scene(zones={"a": zone_row(box_m(20, 0, 22, 4), ground=False)}, ground=False)
    court = Court("presence", scene, zone="a")
    rows = road_drive(1, straight((10.0, 2.0), (10.0, 0.0)), every(0.1, 3.0), ground=False, size=(20.0, 15.0))
    events = court.all_of(rows)
    assert times(events) == [(1, pytest.approx(0.9, abs=0.01)), (0, pytest.approx(1.3, abs=0.01))]  # 2 m wide
    beside = road_drive(2, straight((10.0, 4.3), (10.0, 0.0)), every(0.1, 3.0), ground=False)  # the roof is over it
    assert len(court.all_of(beside)) == 0


@pytest.mark.parametrize("seed", range(4))
def test_random_traffic_like_the_twin(seed):
    rng = np.random.default_rng(seed)
    rule = RoadJudge("presence", stand_scene(zones={"a": box(30, 0, 60, 3)}), zone="a", hold_s=0.4 * (seed % 2))
    memory, found = {}, []
    for time_s, tracks in random_road(rng, 220):
        clock = rule.clock(time_s, int(rng.integers(1, 4)) * (rng.random() < 0.02))
        events = rule(tracks, clock)
        in_order(events, naive.presence_step(memory, tracks, clock, rule.prepared.settings))
        found.append(events)
    clock = rule.clock(rule.time_s, last=1)
    nobody = tracks[:0]
    events = rule(nobody, clock)
    in_order(events, naive.presence_step(memory, nobody, clock, rule.prepared.settings))
    found = np.concatenate([*found, events])
    assert alternates(found)
    assert len(found) % 2 == 0
    assert len(found) > 12


def in_order(events: np.ndarray, twins: list[dict]) -> None:
    for event, twin in zip(events, twins, strict=True):
        same_events(np.array([event], events.dtype), [twin])


@pytest.mark.parametrize("ground", [True, False])
def test_wandering_boxes_like_the_twin(ground):
    rng = np.random.default_rng(7)
    scene = road_scene(zones={"a": zone_row([(9, 9), (12, 8), (11, 12), (10, 10)], ground=ground)}, ground=ground)
    court, memory, seen, before_s = Court("presence", scene, zone="a"), {}, 0, 0.0
    for time_s, rows, suspended in random_road_rows(rng, 150, ground):
        clock = instant(time_s, time_s - before_s)
        clock["suspended"] = suspended
        before_s = time_s
        n = court.rule.step(rows, clock[0], np.zeros(0), *court.prepared, court.out)
        in_order(court.out[:n], naive.presence_step(memory, rows, clock[0], court.prepared.settings))
        seen += n
    assert seen > 10


def test_the_parts_of_a_loop_like_their_twins_by_hand():
    zone = stand_scene(zones={"a": LOOP_M}).zone_rows[0]
    ours, twin = np.zeros(1, LOOP)[0], naive.Loop(last={"track_id": 0, "class_id": 0, "score": 0})
    row = road_row(3, 1.0, (21.0, 1.75), (10.0, 0.0), prev_time_s=0.5)[0]
    body = ours["body"][3]
    assert body_fill(body["now"], row, True)
    body["was"] = body["now"]
    flat = naive.body_fill({"ux": 0.0, "uy": 0.0}, row, True)
    for part in (0.0, 1.0):
        assert body_over(ours, body, zone, part) == naive.body_over(flat, flat, zone, part)
    loop_follow(ours, zone, row, 0, True)
    naive.loop_follow(twin, zone, row, True)
    assert ours["edges"] == len(twin.edges) == 1
    out = np.zeros(4, loop().rule.event)
    assert loop_tell(ours, np.array([row]), 1.0, 0.0, out) == len(naive.loop_tell(twin, 1.0, 0.0)) == 1
    assert loop_close(ours, 2.0, CAMERA_MOVED, out, 0) == len(naive.loop_close(twin, 2.0, CAMERA_MOVED)) == 1
    assert (out[0]["reason"], out[0]["time_s"]) == (CAMERA_MOVED, 2.0)
    loop_event(ours, out[1], 3.0, 1, 0)
    assert naive.loop_event(twin, 3.0, 1)["time_s"] == out[1]["time_s"]


def test_more_edges_than_there_is_room_for_wait():
    ours = np.zeros(1, LOOP)[0]
    rng = np.random.default_rng(1)
    for _ in range(MAX_EDGES):
        assert loop_edge(ours, ours["body"][0], float(rng.uniform()), 1, 0)
    assert not loop_edge(ours, ours["body"][0], 0.0, 0, 0)
    assert (np.diff(ours["edge_s"]) >= 0).all()
    assert ours["body"][0]["over"] == 1


def test_who_stays_beside_a_zone_is_never_over_it():
    rng = np.random.default_rng(3)
    zone, bodies, clear = np.zeros(1, ZONE)[0], np.zeros(2, FOOTPRINT), 0
    for _ in range(400):
        zone["n"] = rng.integers(3, 7)
        zone["m"][: zone["n"]] = rng.uniform(-4, 4, (zone["n"], 2))
        for one in bodies:
            angle = rng.uniform(0, 7)
            one["x_m"], one["y_m"], one["ux"], one["uy"] = *rng.uniform(-9, 25, 2), np.cos(angle), np.sin(angle)
            one["half_length_m"], one["half_width_m"] = rng.uniform(0.2, 4.0, 2)
        was, now = bodies
        said = bool(body_clear(was, now, zone))
        assert said == naive.body_clear(was, now, zone)
        clear += said
        way = [{name: float(one[name]) for name in FOOTPRINT.names} for one in bodies]
        assert not (said and any(naive.body_over(*way, zone, part) for part in np.linspace(0, 1, 9)))
    assert 100 < clear < 350
    bodies["x_m"] = np.nan
    bodies["y_m"] = np.nan
    assert not body_clear(bodies[0], bodies[1], zone)
