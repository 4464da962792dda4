"""Who went over a crosswalk: once per crossing, from side to side, with its speed, its wait and its signal."""

from __future__ import annotations

import naive_walks as naive
import numpy as np
import pytest
from roadrows import (
    LANE_FIELDS,
    Court,
    along,
    box_m,
    drive,
    every,
    random_road_rows,
    road_line,
    road_scene,
    straight,
    together,
    zone_row,
)
from trackrows import signal_row
from traffic import instant

from kernels.records import AT_EDGE, CAMERA_MOVED, CLASSES, DIRECTIONS, SIGNAL_STATES
from kernels.walks import (
    FOOT,
    ON_ITS_WAY,
    OVER,
    WALKS,
    foot_between,
    in_group,
    side_of,
    wait_step,
    walk_reset,
    walk_step,
)

PERSON, BICYCLE, CAR = (CLASSES.index(name) for name in ("person", "bicycle", "car"))


def court(ground: bool = True, **config) -> Court:
    """A crosswalk from y = 10 m to y = 20 m, 4 m wide, with kerbs to wait on and a line in its middle."""
    zones = {
        "crosswalk": zone_row(box_m(10, 10, 14, 20), ground=ground),
        "north": zone_row(box_m(8, 6, 16, 10), ground=ground),
        "south": zone_row(box_m(8, 20, 16, 24), ground=ground),
    }
    lines = {"middle": road_line(9, 15, 15, 15, ground=ground)}
    scene = road_scene(zones=zones, lines=lines, ground=ground)
    return Court("crosswalk", scene, **{"zone": "crosswalk", "line": "middle", **config})


def walker(number: int, start_s: float = 0.0, speed: float = 1.4, x: float = 12.0, y: float = 8.0, **more):
    """A person that walks down the picture."""
    course = straight((x, y - speed * start_s), (0.0, speed))
    return drive(number, course, every(0.1, start_s + 14.0 / abs(speed), start_s), class_id=PERSON, **more)


@pytest.mark.parametrize("speed", [0.8, 1.4, 4.0])
def test_a_crossing_has_its_times_its_speed_and_its_direction(speed):
    for start_y, way, name in ((8.0, speed, "down"), (22.0, -speed, "up")):
        event = court().all_of(walker(1, speed=way, y=start_y))
        assert len(event) == 1
        assert event["time_s"][0] == pytest.approx(12.0 / speed, abs=0.01)
        assert event["cross_s"][0] == pytest.approx(10.0 / speed, abs=0.01)
        assert event["speed_mps"][0] == pytest.approx(speed, abs=0.01)
        assert DIRECTIONS[event["direction"][0]] == name
        assert (event["truncated"][0], event["group"][0], event["signal_state"][0]) == (0, 0, -1)
        assert np.isnan(event["wait_s"][0])


def test_who_turns_back_has_not_crossed():
    course, end_s = along((12, 8), (12, 16), (12, 7), speed_mps=1.4)
    assert len(court().all_of(drive(1, course, every(0.1, end_s), class_id=PERSON))) == 0


def test_a_step_beside_the_crosswalk_is_no_second_crossing():
    course, end_s = along((12, 8), (13.5, 12), (14.6, 13), (13.5, 14), (12, 24), speed_mps=2.4)
    events = court().all_of(drive(1, course, every(0.1, end_s), class_id=PERSON))
    assert len(events) == 1
    assert events["cross_s"][0] > 4.0


def test_there_and_back_are_two():
    course, end_s = along((12, 8), (12, 24), (12, 6), speed_mps=1.4)
    events = court().all_of(drive(1, course, every(0.1, end_s), class_id=PERSON))
    assert [DIRECTIONS[code] for code in events["direction"]] == ["down", "up"]


def test_persons_and_bicycles_by_class_and_no_cars():
    for class_id, n in ((PERSON, 1), (BICYCLE, 1), (CAR, 0)):
        rows = drive(1, straight((12.0, 8.0), (0.0, 2.0)), every(0.1, 9.0), class_id=class_id)
        assert len(court().all_of(rows)) == n
    rows = drive(1, straight((12.0, 8.0), (0.0, 2.0)), every(0.1, 9.0), class_id=BICYCLE)
    assert len(court(classes=("person",)).all_of(rows)) == 0


def test_the_wait_is_from_the_kerb_to_the_first_step():
    def course(t: float) -> tuple[float, float]:
        return 12.0, 4.0 + 1.0 * min(t, 4.5) + 1.0 * max(t - 20.0, 0.0)  # on the kerb from 2 s, on the road at 21.5 s

    event = court(waits=("north", "south")).all_of(drive(1, course, every(0.1, 40.0), class_id=PERSON))
    assert event["wait_s"][0] == pytest.approx(19.5, abs=0.15)
    assert event["cross_s"][0] == pytest.approx(10.0, abs=0.05)


def test_nobody_knows_how_long_one_has_waited_who_was_first_seen_waiting():
    """Its track broke at the kerb, or it stood there before the stream began: what was seen of its wait is no wait."""

    def course(t: float) -> tuple[float, float]:
        return 12.0, 8.0 + 1.0 * max(t - 10.0, 0.0)

    def shaking(t: float) -> tuple[float, float]:
        return 12.0, 10.02 if t < 1.0 else 9.98 + 1.0 * max(t - 10.0, 0.0)

    event = court(waits=("north", "south")).all_of(drive(1, shaking, every(0.1, 30.0), class_id=PERSON))
    assert np.isnan(event["wait_s"][0])
    event = court(waits=("north", "south")).all_of(drive(1, course, every(0.1, 30.0), class_id=PERSON))
    assert np.isnan(event["wait_s"][0])
    assert event["truncated"][0] == 4
    assert event["cross_s"][0] == pytest.approx(10.0, abs=0.05)


def test_who_waits_at_the_very_edge_and_is_seen_on_the_crosswalk_still_waits():
    """For longer than an absence is forgiven, to and fro or to the end; the first step is when it goes."""

    def course(t: float) -> tuple[float, float]:
        if t < 7.0:
            return 12.0, min(3.0 + 1.0 * t, 9.98)  # on the kerb from 3 s
        on = 10.04 if 8.0 < t < 11.0 or t > 13.0 else 9.98
        return 12.0, on + 1.0 * max(t - 20.0, 0.0)

    event = court(waits=("north",)).all_of(drive(1, course, every(0.1, 40.0), class_id=PERSON))
    assert event["wait_s"][0] == pytest.approx(17.0, abs=0.3)
    assert event["cross_s"][0] == pytest.approx(10.0, abs=0.3)


def test_who_is_hidden_at_the_kerb_still_waits():
    def course(t: float) -> tuple[float, float]:
        return 12.0, 4.0 + 1.0 * min(t, 4.5) + 1.0 * max(t - 20.0, 0.0)

    rows = drive(1, course, every(0.1, 40.0), class_id=PERSON)
    event = court(waits=("north",)).all_of([row for row in rows if not 10.0 < row["time_s"][0] < 12.5])
    assert event["wait_s"][0] == pytest.approx(19.5, abs=0.15)


def test_the_signal_is_that_of_the_first_step():
    rule = court(signal="lamp")
    found = []
    for row in walker(1):
        now_s = float(row["time_s"][0])
        signal = signal_row("red", 1.0, "green", -9.0) if now_s >= 1.0 else signal_row("green", -9.0)
        found.append(rule(row, signal))
    event = np.concatenate(found)  # it steps on at 1.43 s
    assert SIGNAL_STATES[event["signal_state"][0]] == "red"


def test_who_goes_in_a_group_is_said_to():
    rule = court()
    rows = together(walker(1), walker(2, x=12.8), walker(3, start_s=8.0))
    events = rule.all_of(rows)
    assert {int(e["track_id"]): int(e["group"]) for e in events} == {1: 1, 2: 1, 3: 0}
    apart = court().all_of(together(walker(1), walker(2, y=22.0, speed=-1.4)))
    assert apart["group"].tolist() == [0, 0]


def test_who_is_first_or_last_seen_on_the_crosswalk_is_truncated():
    event = court().all_of(walker(1, y=14.0))
    assert (event["truncated"][0], DIRECTIONS[event["direction"][0]]) == (1, "down")
    assert np.isnan(event["cross_s"][0])
    rows = drive(1, straight((12.0, 8.0), (0.0, 1.4)), every(0.1, 7.0), class_id=PERSON)
    rows[-1]["flags"] |= AT_EDGE  # there the picture ends
    event = court().all_of(rows)
    assert (event["truncated"][0], DIRECTIONS[event["direction"][0]]) == (2, "down")
    rows = drive(1, straight((12.0, 8.0), (0.0, 1.4)), every(0.1, 4.0), class_id=PERSON)
    rows[-1]["flags"] |= AT_EDGE
    assert len(court().all_of(rows)) == 0  # before the middle


def test_a_track_that_breaks_on_the_crosswalk_is_one_walk():
    """Hidden among others before or past the middle and found again as a new track: counted when that one leaves."""
    for broken_s in (3.0, 5.0):
        before = drive(1, straight((12.0, 8.0), (0.0, 1.4)), every(0.1, broken_s), class_id=PERSON)
        after = drive(2, straight((12.0, 8.0), (0.0, 1.4)), every(0.1, 12.0), class_id=PERSON)
        after = [row for row in after if row["time_s"][0] > broken_s + 0.5]
        events = court().all_of(together(before, after))
        assert [(int(e["track_id"]), int(e["truncated"])) for e in events] == [(2, 1)]


def test_who_is_born_at_the_edge_of_the_crosswalk_and_leaves_it_has_not_crossed():
    rows = drive(1, straight((12.0, 10.2), (0.0, -0.3)), every(0.1, 4.0), class_id=PERSON)
    assert len(court().all_of(rows)) == 0


def test_without_a_ground_there_is_a_count_and_a_time_but_no_speed():
    event = court(ground=False).all_of(walker(1, ground=False))
    assert event["cross_s"][0] == pytest.approx(10.0 / 1.4, abs=0.01)
    assert np.isnan(event["speed_mps"][0])


def test_a_suspended_camera_is_the_reason():
    rule = court()
    found = [rule(row, suspended=CAMERA_MOVED if 3 < row["time_s"][0] < 4 else 0) for row in walker(1)]
    assert np.concatenate(found)["reason"].tolist() == [CAMERA_MOVED]


def test_a_slot_that_is_used_again_inherits_nothing():
    rule = court()
    rule.all_of(drive(1, straight((12.0, 8.0), (0.0, 1.4)), every(0.1, 4.0), ends=False, class_id=PERSON))
    away = drive(2, straight((12.0, 24.0), (0.0, 1.4)), every(0.1, 8.0, 5.0), class_id=PERSON, slot=1)
    assert len(rule.all_of(away)) == 0


@pytest.mark.parametrize(("seed", "ground"), [(1, True), (2, False), (3, True)])
def test_random_walks_like_the_twin(seed, ground):
    rng = np.random.default_rng(seed)
    zones = {"c": zone_row(box_m(6, 8.5, 14, 11.5), ground=ground), "w": zone_row(box_m(6, 6, 14, 8.5), ground=ground)}
    scene = road_scene(zones=zones, lines={"m": road_line(6, 10, 14, 10.2)}, ground=ground)
    every_class = tuple(CLASSES)
    rule = Court("crosswalk", scene, zone="c", line="m", waits=("w",), signal="lamp", classes=every_class)
    users, seen, before_s = {}, [], 0.0
    signal = signal_row("red", 0.0)
    for time_s, rows, suspended in random_road_rows(rng, 350, ground):
        if rng.random() < 0.1:
            signal = signal_row(str(rng.choice(["red", "green"])), time_s, "amber", before_s - 1.0)
        clock = instant(time_s, time_s - before_s)
        clock["suspended"] = suspended
        before_s = time_s
        n = rule.rule.step(rows, clock[0], signal, *rule.prepared, rule.out)
        events = rule.out[:n].copy()
        twins = naive.crosswalk_step(rows, clock[0], signal, rule.prepared.settings, users)
        assert len(events) == len(twins)
        for event, twin in zip(events, twins, strict=True):
            assert set(twin) == set(event.dtype.names) - LANE_FIELDS
            for name, value in twin.items():
                assert np.allclose(event[name], value, rtol=1e-3, atol=3e-3, equal_nan=True), (name, event[name], value)
        seen += [(int(e["truncated"]), int(e["group"]), not np.isnan(e["wait_s"])) for e in events]
    assert len(seen) > 12
    assert len(set(seen)) > 2


def test_the_parts_of_a_walk_like_their_twins_by_hand():
    settings = court(waits=("north",)).prepared.settings
    walks = np.zeros(1, WALKS)[0]["walk"]
    user, s = naive.walk_reset(), settings[0]

    for row in walker(1):
        walk = walks[1]
        if walk["track_id"] != 1:
            walk_reset(walk, 1)
        now = walk_step(walk, s["crosswalk"], s["line"], settings, row[0])
        ended = naive.walk_step(user, s["crosswalk"], s["line"], settings, row[0])
        assert (now == OVER) == (ended is not None)
        assert now in (ON_ITS_WAY, OVER)
        if ended:
            break
    assert in_group(walks, walk) == bool(naive.in_group({}, 1, ended))
    assert walk["waited_s"] == pytest.approx(ended.waited_s, abs=1e-3)
    foot = np.zeros(1, FOOT)[0]
    foot_between(foot, walk["last"], row[0], 0.5)
    assert foot["y_px"] == pytest.approx(naive.foot_between((walk["last"]["y_px"],), (row[0]["foot_y_px"],), 0.5)[0])
    assert side_of(s["line"], foot) == naive.side_of(s["line"], (0.0, foot["x_px"], foot["y_px"]))
    walk_reset(walk, 5)
    wait_step(walk, walker(1)[3][0], settings)
    assert walk["wait_s"] == -np.inf
    walk_reset(walk, 5)
    walk["off"] = 1
    wait_step(walk, walker(1)[3][0], settings)
    assert walk["wait_s"] == pytest.approx(walker(1)[3]["time_s"][0])
    place = tuple(float(walker(1)[3][name][0]) for name in ("time_s", "foot_x_px", "foot_y_px", "foot_x_m", "foot_y_m"))
    before = (place[0] - 0.1, 0.0, 0.0, 0.0, 0.0)
    assert naive.wait_step([before, place], s["crosswalk"], settings, place[0] + 0.5) == pytest.approx(0.5)
    assert naive.wait_step([place], s["crosswalk"], settings, place[0] + 0.5) == np.inf
    assert user.places
