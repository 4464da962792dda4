"""Tailgating: who is flagged for driving too close, with which gap, and who is not to blame."""

from __future__ import annotations

import naive_following as naive
import numpy as np
import pytest
from pairrows import SCENE, rows_of, steady, told
from roadrows import Court, same_events
from test_encounter import rect
from traffic import instant

from kernels import following
from kernels.footprint import FOOTPRINT
from kernels.records import CALIBRATION, CAMERA_MOVED, CANNOT_JUDGE, CLASSES, ENDED, IDENTITY, SIGNAL, TRACK, VIOLATION
from kernels.rules import REGISTRY

#: 30 m/s = 108 km/h, 18 m of gap: 0.6 s.
CLOSE = {1: steady(0, 0, 30, 0), 2: steady(22.5, 0, 30, 0)}


def platoon(rng: np.random.Generator, steps: int):
    """Yield (time, TRACK[n]) of two lanes of vehicles that speed up and slow down, are missed, change lanes, end."""
    users, number, time_s = {}, 1, 0.0
    for _ in range(steps):
        gap = float(rng.choice([0.1, 0.2, 1.3], p=[0.6, 0.39, 0.01]))
        time_s += gap
        rows = []
        for slot in range(6):
            if slot not in users and rng.random() < 0.2:
                users[slot] = [number, 12.0 * slot + rng.normal(0, 3), float(rng.integers(0, 2)), 27.0, 30, time_s]
                number += 1
            if slot not in users:
                continue
            one = users[slot]
            accel = rng.normal(0, 1.0)
            one[3] = np.clip(one[3] + accel * gap, 22, 31)
            one[1] += (one[3] - 26) * gap
            one[2] = 1 - one[2] if rng.random() < 0.003 else one[2]
            if rng.random() < 0.05:
                continue
            row = rows_of(
                {one[0]: lambda t, one=one: (one[1], 3.5 * one[2], one[3], 0.0)}, 0.0, birth_s=one[5],
                score=0.3 if one[0] % 5 == 0 else 0.8, position_sd_m=float(rng.choice([0.1, 0.1, 0.1, 1.5])),
                accel_mps2=accel * 1.2,
            )[0]  # fmt: skip
            row["time_s"], row["slot"], row["class_id"] = time_s, slot, one[0] % 4
            if rng.random() < 0.003:
                row["flags"] = ENDED
                users.pop(slot)
            rows.append(row)
        yield time_s, np.concatenate([*rows, np.zeros(0, TRACK)])


@pytest.mark.parametrize(
    ("seed", "config"),
    [
        (1, {"held_s": 1.0, "braking_s": 0.0}),
        (2, {"held_s": 0.6, "form": "half_speed", "way_m": 30.0}),
        (3, {"held_s": 0.8, "braking_s": 0.3, "classes": ("car", "truck")}),
    ],
)
def test_like_its_twin(seed, config):
    rng, court, memory, seen = np.random.default_rng(seed), Court("tailgating", SCENE, **config), {}, []
    for time_s, tracks in platoon(rng, 380):
        clock = instant(time_s, 0.1)[0]
        clock["suspended"] = CAMERA_MOVED * int(rng.random() < 0.01)
        n = court.rule.step(tracks, clock, np.zeros(1, SIGNAL), *court.prepared, court.out)
        same_events(court.out[:n], naive.tailgating_step(tracks, clock, court.prepared.settings, memory))
        seen += court.out[:n]["judgement"].tolist()
    assert len(seen) > 3
    assert CANNOT_JUDGE in seen
    assert VIOLATION in seen or seed != 1


def test_gaps_and_leaders_like_their_twins():
    rng, found, gaps = np.random.default_rng(4), [], []
    for _ in range(150):
        rects = np.zeros(8, FOOTPRINT)
        for k in range(8):
            rects[k] = rect(*rng.normal(0, 12, 2), 9.0, 0.0, rng.choice([0, 5, -8, 180]), rng.uniform(2, 9), 2.0)
        twins = [{name: float(one[name]) for name in FOOTPRINT.names} for one in rects]
        gaps.append(following.gap_ahead(rects[0], rects[1]))
        assert gaps[-1] == pytest.approx(naive.gap_ahead(twins[0], twins[1]))
        index, gap = following.leader_of(rects, 8, 2, 20.0)
        assert (index, gap) == (naive.leader_of(twins, 2, 20.0)[0], pytest.approx(naive.leader_of(twins, 2, 20.0)[1]))
        found.append(index)
    assert 30 < sum(index >= 0 for index in found) < 140
    assert np.isfinite(gaps).sum() > 2


@pytest.mark.parametrize("fps", [2, 10, 25])
@pytest.mark.parametrize("angle", [0.0, 2.0])
def test_too_close_is_told_once_with_its_margins(fps, angle):
    (event,) = told("tailgating", rows_of(CLOSE, 8, fps, angle))
    assert (event["track_id"], event["leader_track_id"], event["judgement"]) == (1, 2, VIOLATION)
    assert (event["gap_s"], event["gap_m"], event["limit_m"]) == pytest.approx((0.6, 18.0, 27.0), abs=0.01)
    assert event["held_s"] == pytest.approx(8.0, abs=0.01)
    assert event["way_m"] == pytest.approx(240, abs=1)
    assert event["speed_mps"] == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("gap_s", "speed", "config", "n"),
    [
        (0.85, 30.0, {}, 1),
        (0.95, 30.0, {}, 0),
        (0.6, 22.0, {}, 0),  # 79 km/h
        (0.6, 22.4, {}, 1),  # 81 km/h
        (0.6, 22.0, {"speed_min_kmh": 50.0}, 1),
        (0.85, 30.0, {"form": "half_speed"}, 1),  # 5/10 of 54 m at 108 km/h: 27 m, 0.9 s
        (0.95, 30.0, {"form": "half_speed"}, 0),
        (0.6, 30.0, {"form": "half_speed", "tenths": 3.0}, 0),  # 16.2 m, 0.54 s
        (0.5, 30.0, {"form": "half_speed", "tenths": 3.0}, 1),
    ],
)
def test_the_limits(gap_s, speed, config, n):
    ways = {1: steady(0, 0, speed, 0), 2: steady(4.5 + gap_s * speed, 0, speed, 0)}
    assert len(told("tailgating", rows_of(ways, 6, 10), **config)) == n


def test_long_enough_in_time_or_way():
    assert len(told("tailgating", rows_of(CLOSE, 2.8, 10))) == 0
    assert len(told("tailgating", rows_of(CLOSE, 3.2, 10))) == 1
    assert len(told("tailgating", rows_of(CLOSE, 8.0, 10), held_s=60.0)) == 0
    assert len(told("tailgating", rows_of(CLOSE, 8.6, 10), held_s=60.0)) == 1  # 258 m


def test_a_cut_in_begins_anew():
    """Every two seconds another one is ahead: none has been the leader for three."""
    steps = rows_of(CLOSE, 8, 10)
    for k, rows in enumerate(steps):
        rows["id"][1] = rows["slot"][1] = 2 + k // 20
    assert len(told("tailgating", steps, ends=False)) == 0


def test_the_nearest_one_ahead_in_the_lane_leads():
    ways = {**CLOSE, 3: steady(60, 0, 30, 0), 4: steady(10, 3.5, 30, 0), 5: steady(15, -3.5, -30, 0)}
    events = told("tailgating", rows_of(ways, 6, 10))
    assert [(event["track_id"], event["leader_track_id"]) for event in events] == [(1, 2)]


def test_the_leader_brakes():
    braked = {1: {}, 2: {"accel_mps2": -3.0}}
    assert len(told("tailgating", rows_of(CLOSE, 8, 10, each=braked))) == 0
    steps = rows_of(CLOSE, 8, 10)
    steps[20]["accel_mps2"][1] = -3.0  # 2 s before, then 2 s of grace, then 4 s
    (event,) = told("tailgating", steps)
    assert event["held_s"] == pytest.approx(4.0, abs=0.11)


@pytest.mark.parametrize(
    ("each", "reason"),
    [
        ({1: {"position_sd_m": 5.0}}, CALIBRATION),
        ({2: {"score": 0.3}}, IDENTITY),
        ({1: {"score": 0.3}}, IDENTITY),
        ({2: {"relinked_s": 3.0}}, IDENTITY),
    ],
)
def test_what_cannot_be_judged(each, reason):
    (event,) = told("tailgating", rows_of(CLOSE, 6, 10, each=each))
    assert (event["judgement"], event["reason"]) == (CANNOT_JUDGE, reason)


def test_who_is_close_from_the_first_sight_on_is_judged_once_old_enough():
    """Both are born with the first row; by the end of the run neither is young."""
    each = {1: {"birth_s": 0.0}, 2: {"birth_s": 0.0}}
    (event,) = told("tailgating", rows_of(CLOSE, 6, 10, each=each))
    assert event["judgement"] == VIOLATION
    assert event["held_s"] == pytest.approx(6.0, abs=0.11)
    (event,) = told("tailgating", rows_of(CLOSE, 6, 10, each=each), age_min_s=8.0)
    assert (event["judgement"], event["reason"]) == (CANNOT_JUDGE, IDENTITY)


def test_a_suspended_camera_cannot_judge():
    court = Court("tailgating", SCENE)
    steps = rows_of(CLOSE, 6, 10)
    steps.append(steps[-1].copy())
    steps[-1]["flags"] = ENDED
    events = np.concatenate([court(rows, suspended=CAMERA_MOVED) for rows in steps])
    assert events["reason"].tolist() == [CAMERA_MOVED]


def test_a_leader_that_is_missed_now_and_then_is_still_the_same():
    steps = [rows[:1] if k % 4 == 0 else rows for k, rows in enumerate(rows_of(CLOSE, 6, 10))]
    assert len(told("tailgating", steps)) == 1
    hidden = [rows[:1] if 20 <= k < 35 else rows for k, rows in enumerate(rows_of(CLOSE, 5, 10))]
    assert len(told("tailgating", hidden)) == 0  # hidden for 1.5 s: 2 s before, 1.5 s after


def test_a_gap_ends_a_run_and_what_was_long_enough_is_told():
    court, steps = Court("tailgating", SCENE), rows_of(CLOSE, 12, 10)
    events = np.concatenate([court(rows) for k, rows in enumerate(steps) if not 40 <= k < 60])
    assert events["held_s"].tolist() == [pytest.approx(3.9)]


def test_a_slot_that_is_used_again_inherits_nothing():
    court = Court("tailgating", SCENE)
    for rows in rows_of(CLOSE, 2.5, 10):
        court(rows)
    events = []
    for rows in rows_of(CLOSE, 2.5, 10):
        rows["time_s"] += 2.6
        rows["id"] += 10
        events.append(court(rows))
    assert len(np.concatenate(events)) == 0


def test_no_ground_and_no_speed_bear_no_gap():
    for names in (("foot_x_m",), ("speed_mps",)):
        steps = rows_of(CLOSE, 6, 10)
        for rows in steps:
            for name in names:
                rows[name] = np.nan
        assert len(told("tailgating", steps)) == 0
    assert REGISTRY["tailgating"].needs_ground


def test_the_classes_that_follow():
    steps = rows_of(CLOSE, 6, 10, each={2: {"class_id": CLASSES.index("bus")}})
    assert len(told("tailgating", steps, classes=("car",))) == 1
    assert len(told("tailgating", steps, classes=("bus",))) == 0


def test_the_same_again_byte_for_byte():
    steps = rows_of(CLOSE, 6, 25)
    assert told("tailgating", steps).tobytes() == told("tailgating", steps).tobytes()
