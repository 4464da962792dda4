"""Box junctions: who stops in one without room beyond it at entry, and who had room, turns, or waits for people."""

from __future__ import annotations

import naive_stuck as naive
import numpy as np
import pytest
from standrows import (
    SCALE,
    RoadJudge,
    box,
    drive,
    ended,
    passing,
    random_road,
    road_row,
    road_scene,
    same_events,
    standing_at,
)
from traffic import line_row

from kernels.exits import exit_row
from kernels.records import (
    CALIBRATION,
    CAMERA_MOVED,
    CANNOT_JUDGE,
    IDENTITY,
    PEDESTRIAN,
    STREAM_GAP,
    TRUNCATED,
    VIOLATION,
)

ZONES = {"box": box(0, 0, 12, 12), "north": box(8, 12, 11.5, 60)}
LANES = {"out/east": (box(12, 0, 60, 3.5), (1, 0)), "out/north": (ZONES["north"], (0, 1))}
SCENE = road_scene(ZONES, LANES)
SCENE.line_names, SCENE.lines = ("turn",), line_row(*(SCALE * np.array([0.0, 13.0, 12.0, 13.0])))
Y = 1.75


def judge(scene=SCENE, **config) -> RoadJudge:
    return RoadJudge("blocked_box", scene, **{"zone": "box", "exit_lanes": ("out/east",), **config})


def into(stop_x=8.0, entry_s=3.0, go_s=1e9, speed=5.0):
    """A vehicle that comes along x, its front at the box at `entry_s`, and stands with its front at `stop_x`."""

    def motion(t):
        way = min(speed * (t - entry_s), stop_x) + speed * max(t - go_s, 0.0)
        moves = way < stop_x or t > go_s
        return way, Y, speed if moves else 0.0, 0.0

    return motion


def queue_at(rear_x, go_s=1e9, speed=5.0):
    """A vehicle 4.5 m long that stands beyond the box and drives off."""
    return lambda t: (rear_x + 4.5 + speed * max(t - go_s, 0.0), Y, speed if t > go_s else 0.0, 0.0)


@pytest.mark.parametrize("step_s", [0.04, 0.2, 0.9])
def test_a_vehicle_that_stops_in_the_box_without_room_beyond_it_at_any_rate(step_s):
    (event,) = drive(judge(), {1: into(), 2: queue_at(14.0)}, 15.0, step_s)
    assert (event["track_id"], event["zone"], event["judgement"]) == (1, 0, VIOLATION)
    assert event["entry_s"] == pytest.approx(3.1, abs=0.9)
    assert event["time_s"] == pytest.approx(4.6 + 3.0, abs=1.9)
    assert event["stood_s"] == pytest.approx(3.0, abs=0.9)
    assert event["free_m"] == pytest.approx(2.0, abs=0.15)
    assert event["length_m"] == pytest.approx(4.5, abs=1e-3)
    assert event["margin_m"] == pytest.approx(4.5 + 1.0 - event["free_m"], abs=1e-3)


def test_the_stop_is_told_once_and_again_only_on_another_visit():
    users = {1: into(go_s=30.0), 2: queue_at(14.0, go_s=28.0)}
    assert len(drive(judge(), users, 50.0)) == 1


@pytest.mark.parametrize(("rear_x", "told"), [(12.5, 1), (17.0, 1), (18.0, 0), (30.0, 0)])
def test_room_is_its_length_and_a_margin(rear_x, told):
    assert len(drive(judge(), {1: into(), 2: queue_at(rear_x)}, 15.0)) == told


def test_the_exit_was_clear_at_entry_and_filled_up_after():
    late = {1: into(), 2: lambda t: (12.0 + 4.5 + max(20 - 6 * t, 2.0), Y, 0.0 if t > 3.5 else 8.0, 0.0)}
    assert len(drive(judge(), late, 15.0)) == 0


def test_who_is_still_in_the_box_ahead_takes_room():
    (event,) = drive(judge(), {1: into(stop_x=4.0), 2: queue_at(6.0)}, 15.0)
    assert event["free_m"] == pytest.approx(-6.0, abs=0.2)


@pytest.mark.parametrize(("speed", "told"), [(0.0, 1), (2.0, 1), (4.0, 0), (np.nan, 1)])
def test_only_what_stands_or_creeps_takes_room(speed, told):
    users = {1: into(), 2: queue_at(14.0)}
    assert len(drive(judge(), users, 15.0, options={2: {"speed_mps": speed}})) == told


@pytest.mark.parametrize(
    "other",
    [standing_at(20.0, 5.0), passing(20, Y, -1.0, last_s=4.0), standing_at(-1.0, Y), standing_at(6.0, 10.0)],
    ids=["beside the exit", "comes the other way", "behind", "elsewhere in the box"],
)
def test_others_take_no_room(other):
    assert len(drive(judge(), {1: into(), 2: other}, 15.0)) == 0


@pytest.mark.parametrize(("stop_x", "go_s", "told"), [(8.0, 7.0, 0), (0.1, 1e9, 0), (20.0, 1e9, 0), (8.0, 9.0, 1)])
def test_it_must_stand_in_the_box_for_long_enough(stop_x, go_s, told):
    assert len(drive(judge(), {1: into(stop_x, go_s=go_s), 2: queue_at(14.0, go_s=go_s - 1)}, 15.0)) == told


def test_who_stands_without_a_speed_worth_having_stands_by_its_place():
    users = {1: into(), 2: queue_at(14.0)}
    assert len(drive(judge(), users, 15.0, options={1: {"speed_mps": np.nan}, 2: {"speed_mps": np.nan}})) == 1
    assert len(drive(judge(), {1: into(go_s=7.5), 2: queue_at(14.0)}, 15.0, options={1: {"speed_mps": np.nan}})) == 0


def test_only_the_classes_asked_for():
    assert len(drive(judge(), {1: into(), 2: queue_at(14.0)}, 15.0, options={1: {"name": "bicycle"}})) == 0


def test_who_entered_before_it_was_seen_cannot_be_judged():
    events = drive(judge(), {1: standing_at(8.0, Y), 2: queue_at(14.0)}, 8.0)
    assert [(e["judgement"], e["reason"]) for e in events] == [(CANNOT_JUDGE, TRUNCATED)]


def pause(one, until_s, **more):
    """Judge with frames left out or suspended around the entry."""
    events = []
    for t in np.arange(0, until_s, 0.2):
        if more.get("kind") == "gap" and more["from_s"] < t < more["to_s"]:
            continue
        suspended = CAMERA_MOVED if more.get("kind") == "suspended" and more["from_s"] < t < more["to_s"] else 0
        rows = []
        for number, motion in ((1, into()), (2, queue_at(14.0))):
            x, y, *v = motion(t)
            rows.append(road_row(number, t, (x, y), v, **more.get("row", {})))
        events += list(one.at(t, rows, suspended))
    return events


@pytest.mark.parametrize(("kind", "reason"), [("gap", STREAM_GAP), ("suspended", CAMERA_MOVED)])
def test_an_entry_that_was_not_watched_cannot_be_judged(kind, reason):
    events = pause(judge(), 15.0, kind=kind, from_s=2.0, to_s=4.0)
    assert [(e["judgement"], e["reason"]) for e in events] == [(CANNOT_JUDGE, reason)]


@pytest.mark.parametrize("kind", ["gap", "suspended"])
def test_gaps_and_suspension_while_it_stands_stop_the_clock(kind):
    (event,) = pause(judge(), 15.0, kind=kind, from_s=6.0, to_s=10.0)
    assert event["judgement"] == VIOLATION
    assert event["time_s"] == pytest.approx(7.6 + 4.0, abs=0.5)
    assert event["stood_s"] == pytest.approx(3.0, abs=0.3)


@pytest.mark.parametrize(("row", "reason"), [({"score": 0.3}, IDENTITY), ({"relinked_s": 3.0}, IDENTITY)])
def test_a_doubtful_track_is_told_of_without_a_judgement(row, reason):
    assert [e["reason"] for e in pause(judge(), 15.0, row=row)] == [reason]


def test_a_poor_ground_bears_no_judgement():
    poor = road_scene(ZONES, LANES)
    poor.ground_error_m = 2.0
    assert [e["reason"] for e in pause(judge(poor), 15.0)] == [CALIBRATION]


def test_without_road_points_nothing_is_seen():
    nowhere = dict.fromkeys(("foot_x_m", "foot_y_m", "front_x_m", "front_y_m", "rear_x_m", "rear_y_m"), np.nan)
    assert pause(judge(), 15.0, row=nowhere) == []


@pytest.mark.parametrize(
    ("go_s", "at", "reason"), [(4.0, (14.0, Y), PEDESTRIAN), (1e9, (14.0, Y), 0), (4.0, (14.0, 9.0), 0)]
)
def test_who_waits_for_people_when_the_traffic_has_gone_cannot_be_judged(go_s, at, reason):
    users = {1: into(), 2: queue_at(14.0, go_s=go_s, speed=8.0), 3: standing_at(*at)}
    person = {"name": "person", "length": 0.5, "width": 0.5}
    assert drive(judge(), users, 15.0, options={3: person})["reason"].tolist() == [reason]


def turner(wait_s=10.0):
    """Comes along x, waits in the box for oncoming traffic, then leaves to the north."""

    def motion(t):
        if t < 3 + 8 / 5:
            return 5 * (t - 3), Y, 5.0, 0.0
        if t < wait_s:
            return 8.0, Y, 0.0, 0.0
        return 9.5, Y + 4.5 + 5 * (t - wait_s), 0.0, 5.0

    return motion


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"turn_exempt": ("turn",)}, []),
        ({"exit_lanes": ("out/east", "out/north")}, []),
        ({}, [VIOLATION]),
    ],
    ids=["exempt turn", "its own way out was clear", "the one way out was not"],
)
def test_a_turner_is_judged_by_its_path(config, expected):
    users = {1: turner(), 2: queue_at(14.0)}
    assert drive(judge(**config), users, 18.0)["judgement"].tolist() == expected


def test_who_goes_straight_is_judged_when_its_path_is_known():
    users = {1: into(go_s=12.0), 2: queue_at(14.0, go_s=11.0)}
    for config in ({"turn_exempt": ("turn",)}, {"exit_lanes": ("out/east", "out/north")}):
        (event,) = drive(judge(**config), users, 18.0)
        assert event["judgement"] == VIOLATION
        assert 12.0 < event["time_s"] < 15.0
        assert event["free_m"] == pytest.approx(2.0, abs=0.2)


def test_it_matters_not_which_way_where_all_are_full():
    users = {1: into(), 2: queue_at(14.0), 3: lambda t: (9.75, 18.0, 0.0, 0.01)}
    options = {3: {"heading": (0, 1)}}
    (event,) = drive(judge(exit_lanes=("out/east", "out/north")), users, 10.0, options=options)
    assert (event["judgement"], event["time_s"] < 8.5) == (VIOLATION, True)
    assert event["free_m"] == pytest.approx(1.5, abs=0.2)


@pytest.mark.parametrize(("ends", "path_s"), [(True, 60.0), (False, 4.0)])
def test_an_unknown_path_cannot_be_judged(ends, path_s):
    one = judge(turn_exempt=("turn",), path_s=path_s)
    events = list(drive(one, {1: into(), 2: queue_at(14.0)}, 15.0))
    events += list(one.lose(1)) if ends else []
    assert [(e["judgement"], e["reason"]) for e in events] == [(CANNOT_JUDGE, TRUNCATED)]
    assert np.isnan(events[0]["free_m"])


def test_a_zone_can_be_a_way_out():
    one = judge(exit_lanes=(), exit_zones=("north",))
    rows = exit_row(SCENE.zone_rows[0], SCENE.zone_rows[1])[0]
    assert (rows["ux"], rows["uy"]) == pytest.approx((0, 1))
    assert rows["y_m"] + rows["edge_m"] == pytest.approx(12.0, abs=0.11)
    users = {1: lambda t: (9.75, min(5 * (t - 2), 8.0), 0.0, 5.0 * (5 * (t - 2) < 8)), 2: standing_at(9.75, 18.0)}
    events = drive(one, users, 12.0, heading=(0, 1))
    assert [(e["track_id"], e["judgement"]) for e in events] == [(1, VIOLATION)]


def test_a_zone_wider_than_long_leads_away_from_the_box():
    short = road_scene({"box": box(0, 0, 12, 12), "out": box(12, 0, 14, 3.5)}).zone_rows
    row = exit_row(short[0], short[1])[0]
    assert (row["ux"], row["uy"]) == pytest.approx((1, 0))
    assert row["half_width_m"] == pytest.approx(1.75)


def test_a_way_out_that_is_not_all_road_bears_no_judgement():
    beyond = road_scene(ZONES, LANES)
    beyond.lane_rows["m"][0, 2] = np.nan
    assert [(e["judgement"], e["reason"]) for e in pause(judge(beyond), 15.0)] == [(CANNOT_JUDGE, CALIBRATION)]


def test_a_box_without_a_way_out_is_refused():
    with pytest.raises(ValueError, match="names no way out; allowed: at least one of exit_lanes, exit_zones"):
        judge(exit_lanes=())


def test_a_slot_that_is_used_again_and_a_new_stream_inherit_nothing():
    one = judge()
    drive(one, {1: into(), 2: queue_at(14.0)}, 7.0)
    one.at(7.2, [ended(one.seen[1])])
    events = []
    for t in np.arange(7.4, 12, 0.2):
        events += list(one.at(t, [road_row(257, t, (8.0, Y), slot=1)]))
    assert [e["reason"] for e in events] == [TRUNCATED]
    one.end()
    events = list(drive(one, {257: standing_at(8.0, Y), 2: queue_at(14.0)}, 16.0, start_s=12.2))
    assert [e["reason"] for e in events] == [TRUNCATED]


@pytest.mark.parametrize(
    ("seed", "exits", "more"),
    [
        (1, ("out/one",), {}),
        (2, ("out/one", "out/two"), {"path_s": 5.0}),
        (3, ("out/one",), {"turn_exempt": ("turn",)}),
    ],
)
def test_like_its_twin(seed, exits, more):
    scene = road_scene(
        {"box": box(30, -1, 60, 8)},
        {"out/one": (box(60, 0, 90, 3.5), (1, 0)), "out/two": (box(60, 3.5, 90, 7), (1, 0))},
    )
    scene.line_names, scene.lines = ("turn",), line_row(*(SCALE * np.array([62.0, 3.5, 62.0, 7.0])))
    one = RoadJudge("blocked_box", scene, zone="box", exit_lanes=exits, held_s=0.5, margin_m=8.0, **more)
    rng, memory, seen = np.random.default_rng(seed), naive.Box(), []
    for time_s, tracks in random_road(rng, 450, 9):
        late = time_s + (30.0 if time_s > 60 else 0.0)
        tracks["time_s"] = late
        tracks["speed_mps"][rng.random(len(tracks)) < 0.03] = np.nan
        clock = one.clock(late, CAMERA_MOVED * int(rng.random() < 0.01), 0)
        events = one(tracks, clock)
        same_events(events, naive.blocked_box_step(tracks, clock, None, one.prepared.settings, memory))
        seen += events["reason"].tolist()
    assert len(set(seen)) >= 2
    assert len(seen) > 5
