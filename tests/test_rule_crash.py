"""Crashes: what raises an alarm, how soon, and what is only a queue, a near miss or a noisy box."""

from __future__ import annotations

import math

import naive_impact as naive
import numpy as np
import pytest
from pairrows import SCENE, braking, rows_of, steady, told
from roadrows import Court, same_events
from traffic import instant

from kernels.records import CALIBRATION, CAMERA_MOVED, CANNOT_JUDGE, ENDED, SIGNAL, TRACK, VIOLATION
from kernels.rules import REGISTRY


def runs_into(at_s: float, x: float = 40.0, speed: float = 10.0):
    """Return the motion of who drives along x until something stops it within a tenth of a second."""
    return braking(x - speed * at_s, 0, speed, 10 * speed, at_s)


#: Into the rear of one that comes to stand at x = 40 (front 44.5) two seconds before.
REAR_END = {1: runs_into(4.0, 40.2), 2: braking(44.5 - 12.5, 0, 5.0, 1.0, 0.0)}
CROSSING = {
    1: runs_into(4.0, 1.0),
    2: lambda t: (0.0, runs_into(4.0, 0.5)(t)[0], 0.0, runs_into(4.0, 0.5)(t)[2]),
}


def wild(rng: np.random.Generator, steps: int):
    """Yield (time, TRACK[n]) of road users that come from four sides and may stop dead or turn in the middle."""
    users, number, time_s = {}, 1, 0.0
    for _ in range(steps):
        gap = float(rng.choice([0.1, 0.2], p=[0.7, 0.3]))
        time_s += gap
        rows = []
        for slot in range(6):
            if slot not in users and rng.random() < 0.1:
                angle = float(rng.choice([0.0, 1.57, 3.14, 4.71])) + rng.normal(0, 0.05)
                u = np.array([math.cos(angle), math.sin(angle)])
                users[slot] = [
                    number,
                    -rng.uniform(20, 30) * u + rng.normal(0, 1, 2),
                    angle,
                    rng.uniform(5, 12),
                    time_s,
                    0.0,
                ]
                number += 1
            if slot not in users:
                continue
            one = users[slot]
            near = np.hypot(*one[1]) < 4
            accel = -60.0 if near and rng.random() < 0.15 else rng.normal(0, 1.0) if one[3] > 0.5 else 0.0
            before = one[3]
            one[3] = max(one[3] + accel * gap, 0.0)
            one[2] += 1.6 if near and rng.random() < 0.03 else 0.0
            u = np.array([math.cos(one[2]), math.sin(one[2])])
            one[1] = one[1] + one[3] * gap * u
            if rng.random() < 0.05:
                continue
            row = rows_of(
                {one[0]: lambda t, one=one, u=u: (*one[1], *(one[3] * u))}, 0.0, birth_s=one[4],
                headings={one[0]: tuple(u)}, position_sd_m=1.3 if one[0] % 5 == 0 else 0.1,
                accel_mps2=(one[3] - before) / gap,
            )[0]  # fmt: skip
            row["time_s"], row["slot"] = time_s, slot
            if np.abs(one[1]).max() > 32 or rng.random() < 0.004:
                row["flags"] = ENDED
                users.pop(slot)
            rows.append(row)
        yield time_s, np.concatenate([*rows, np.zeros(0, TRACK)])


@pytest.mark.parametrize(
    ("seed", "config"), [(1, {"stand_s": 1.0}), (2, {"stand_s": 1.5, "place_m": 30.0, "alarm_s": 20.0})]
)
def test_like_its_twin(seed, config):
    rng, court, scene, seen = np.random.default_rng(seed), Court("crash", SCENE, **config), naive.Scene(), []
    for number, (time_s, tracks) in enumerate(wild(rng, 330)):
        clock = instant(time_s, 0.1)[0]
        clock["suspended"], clock["last"] = CAMERA_MOVED * int(rng.random() < 0.02), number == 230
        n = court.rule.step(tracks, clock, np.zeros(1, SIGNAL), *court.prepared, court.out)
        order = ("time_s", "track_id", "other_track_id")
        expected = naive.crash_step(tracks, clock, court.prepared.settings, scene)
        same_events(
            np.sort(court.out[:n], order=order), sorted(expected, key=lambda one: [one[name] for name in order])
        )
        seen += court.out[:n]["judgement"].tolist()
    assert len(seen) > 1
    assert VIOLATION in seen


@pytest.mark.parametrize("motions", [REAR_END, CROSSING], ids=["rear end", "crossing"])
@pytest.mark.parametrize(("fps", "angle"), [(10, 0.0), (25, 0.0), (25, 2.1), (50, 0.0)])
def test_a_crash_is_told_once_and_in_time(motions, fps, angle):
    (event,) = told("crash", rows_of(motions, 14, fps, angle), ends=False)
    assert 6.9 <= event["time_s"] < 8.2
    assert (event["track_id"], event["other_track_id"], event["stopped"], event["judgement"]) == (1, 2, 2, VIOLATION)
    assert event["after_s"] == pytest.approx(event["time_s"] - 4.0, abs=0.5)
    assert event["ttc_s"] < 0.3
    assert math.isnan(event["turned_deg"])


def test_a_near_miss_with_hard_braking_after_which_both_stand():
    """It stops 0.2 m behind: at 7 m/s2 the time to contact was 0.24 s at the least."""
    v = 8.0
    ways = {1: braking(40 - v * 4 - v * v / 14, 0, v, 7.0, 4.0), 2: braking(44.7 - 12.5, 0, 5.0, 1.0, 0.0)}
    steps = rows_of(ways, 14, 25)
    for rows in steps:
        hard = (rows["id"] == 1) & (rows["time_s"] > 4.0) & (rows["vx_mps"] > 0.0)
        rows["accel_mps2"][hard] = -7.0
    (event,) = told("crash", steps, ends=False, closing_min_mps=1.0)
    assert 0.0 < event["ttc_s"] < 0.3
    assert event["braking_mps2"] == pytest.approx(7.0)
    soft = [rows.copy() for rows in steps]
    for rows in soft:
        rows["accel_mps2"] = -3.0
    assert len(told("crash", soft, ends=False, closing_min_mps=1.0)) == 0


def test_one_that_is_turned_round_and_another_that_stops():
    def spins(t):
        if t < 4.0:
            return 10 * t, 0.0, 10.0, 0.0
        a = min((t - 4.0) / 0.3, 1.0) * 1.7
        v = 8.0 if t < 4.5 else 0.0
        return 40.0 + min(t - 4.0, 0.5) * 4, min(t - 4.0, 0.5) * 6, v * math.cos(a), v * math.sin(a)

    ways = {1: spins, 2: braking(-12, 6, 10.0, 4.0, 3.5)}
    (event,) = told("crash", rows_of(ways, 14, 25), ends=False)
    assert (event["track_id"], event["other_track_id"]) == (1, 0)
    assert event["turned_deg"] > 45
    assert math.isnan(event["ttc_s"])
    alone = {1: spins}
    assert len(told("crash", rows_of(alone, 14, 25), ends=False)) == 0


def test_one_that_is_hidden_behind_the_other_from_the_blow_on_stands_where_that_one_stands():
    """The camera sees the one in front: the other's track is lost within a second of the contact."""
    rows = [row[(row["id"] != 1) | (row["time_s"] < 4.1)] for row in rows_of(REAR_END, 14, 25)]
    (event,) = told("crash", rows, ends=False)
    assert (event["track_id"], event["other_track_id"], event["stopped"]) == (1, 2, 2)
    leaves = {1: after(REAR_END[1], 4.6, -10.0), 2: REAR_END[2]}
    gone = [row[(row["id"] != 1) | (row["time_s"] < 5.6)] for row in rows_of(leaves, 14, 25)]
    assert len(told("crash", gone, ends=False)) == 0  # it was seen to leave


@pytest.mark.parametrize(("unseen_s", "alarms"), [(3.8, 1), (2.8, 0)])
def test_one_that_is_hidden_when_it_could_not_have_braked_any_more_has_met_the_other(unseen_s, alarms):
    rows = [row[(row["id"] != 1) | (row["time_s"] < unseen_s)] for row in rows_of(REAR_END, 14, 25)]
    assert len(told("crash", rows, ends=False)) == alarms


def test_two_that_are_pushed_on_stand_further_away():
    """They meet at x = 40 and slide 30 m as one."""

    def slides(x, speed):
        def motion(t):
            if t < 4.0:
                return x + speed * (t - 4.0), 0.0, speed, 0.0
            over = min(t - 4.0, 5.0)
            return x + 12.0 * over - 1.2 * over * over, 0.0, 12.0 - 2.4 * over, 0.0

        return motion

    ways = {1: slides(40.2, 20.0), 2: slides(44.5, 2.0)}
    (event,) = told("crash", rows_of(ways, 14, 25), ends=False)
    assert event["judgement"] == VIOLATION


def after(motion, stop_s, speed=10.0):
    """The same, but it drives on some time after."""

    def on(t):
        x, y, vx, vy = motion(t)
        return (x, y, vx, vy) if t < stop_s else (x + speed * (t - stop_s), y, speed, 0.0)

    return on


@pytest.mark.parametrize(
    ("name", "motions", "more"),
    [
        ("a queue", {k: braking(-20.0 - 9 * k, 0, 10.0, 2.5, 0.7 * k) for k in range(1, 6)}, {}),
        ("parked cars with noisy boxes", {1: steady(0, 0, 0, 0), 2: steady(4.6, 0, 0, 0)}, {"noise_m": 0.3}),
        ("near, and both go on", {1: steady(-40, 0, 10, 0), 2: steady(0, -48, 0, 10)}, {}),
        ("one drives on", {1: after(REAR_END[1], 5.0, -10.0), 2: REAR_END[2]}, {}),
        ("who stood there before", {1: after(REAR_END[1], 5.0, -10.0), 2: REAR_END[2], 3: steady(40, 5, 0, 0)}, {}),
        ("doubles", {1: braking(0, 0, 10, 5.0, 3.0), 2: braking(0.2, 0.1, 10, 5.0, 3.0)}, {}),
        ("too slow to do harm", {1: braking(30, 0, 1.5, 15.0, 6.0), 2: steady(43.4, 0, 0, 0)}, {}),
        ("opposite traffic, then both stop", {1: braking(-40, 0, 10, 5, 3.0), 2: lambda t: (
            40 - braking(0, 0, 10, 5, 3.0)(t)[0], 3.0, -braking(0, 0, 10, 5, 3.0)(t)[2], 0.0)}, {}),
    ],
)  # fmt: skip
def test_no_crash(name, motions, more):
    assert len(told("crash", rows_of(motions, 14, 25, **more), ends=False)) == 0, name


def test_hidden_cars_do_not_stand():
    """Both tracks are lost right after: nothing is known of them."""
    gone = {n: (lambda t, m=m: m(t) if t < 5.0 else None) for n, m in REAR_END.items()}
    assert len(told("crash", rows_of({**gone, 3: steady(0, 50, 0.1, 0)}, 14, 25), ends=False)) == 0
    late = [rows if not 4.5 < k / 25 < 6.5 else rows[:0] for k, rows in enumerate(rows_of(REAR_END, 14, 25))]
    court = Court("crash", SCENE)
    assert len(np.concatenate([court(rows) for rows in late if len(rows)])) == 1


def test_the_parked_car_that_was_hit_counts():
    hit = {1: runs_into(4.0, 40.2), 2: steady(44.5, 0, 0, 0)}
    (event,) = told("crash", rows_of(hit, 14, 25), ends=False)
    assert event["stopped"] == 2


@pytest.mark.parametrize(("more", "reason"), [({"position_sd_m": 1.3}, CALIBRATION)])
def test_what_cannot_be_judged(more, reason):
    (event,) = told("crash", rows_of(REAR_END, 14, 25, each={1: more}), ends=False)
    assert (event["judgement"], event["reason"]) == (CANNOT_JUDGE, reason)


def test_a_suspended_camera_cannot_judge():
    court = Court("crash", SCENE)
    events = np.concatenate([court(rows, suspended=CAMERA_MOVED) for rows in rows_of(REAR_END, 12, 25)])
    assert events["reason"].tolist() == [CAMERA_MOVED]


def test_a_second_car_into_the_same_is_the_same_incident():
    third = {**REAR_END, 3: braking(35.5 - 70.0, 0, 10.0, 100.0, 7.0)}
    assert len(told("crash", rows_of(third, 16, 25), ends=False)) == 1


def test_a_slot_that_is_used_again_inherits_nothing():
    court = Court("crash", SCENE)
    for rows in rows_of(REAR_END, 4.4, 25):
        assert len(court(rows)) == 0
    events = []
    for rows in rows_of({11: steady(40, 0, 0, 0), 12: steady(44.5, 0, 0, 0)}, 8, 25, birth_s=4.4):
        rows["time_s"] += 4.44
        rows["slot"] -= 10
        events.append(court(rows))
    assert len(np.concatenate(events)) == 0


def test_no_ground_no_crash():
    steps = rows_of(REAR_END, 14, 25)
    for rows in steps:
        rows["foot_x_m"] = np.nan
    assert len(told("crash", steps, ends=False)) == 0
    assert REGISTRY["crash"].needs_ground


def test_the_same_again_byte_for_byte_and_swapped():
    steps = rows_of(CROSSING, 12, 25)
    assert told("crash", steps).tobytes() == told("crash", steps).tobytes()
    swapped = told("crash", [rows[::-1].copy() for rows in steps])
    assert swapped["track_id"].tolist() == told("crash", steps)["track_id"].tolist() == [1]


def test_a_bad_combination_is_refused():
    with pytest.raises(ValueError, match="alarm_s 3; allowed is more than stand_s"):
        REGISTRY["crash"].config(type="crash", name="x", alarm_s=3.0)
