"""Conflicts: which near misses are told, with which times, and what is none."""

from __future__ import annotations

import math

import naive_meeting as naive
import numpy as np
import pytest
from pairrows import SCENE, braking, rows_of, steady, told
from roadrows import Court, same_events
from traffic import instant

from kernels.meeting import boxes_apart
from kernels.records import (
    CALIBRATION,
    CAMERA_MOVED,
    CANNOT_JUDGE,
    CLASSES,
    ENCOUNTERS,
    ENDED,
    IDENTITY,
    SIGNAL,
    TRACK,
    VIOLATION,
)
from kernels.rules import REGISTRY


def random_roads(rng: np.random.Generator, steps: int):
    """Yield (time, TRACK[n]) of road users that cross a square from all sides, brake, are missed and end."""
    users, number, time_s = {}, 1, 0.0
    for _ in range(steps):
        gap = float(rng.choice([0.04, 0.1, 0.2, 1.7], p=[0.4, 0.4, 0.19, 0.01]))
        time_s += gap
        rows = []
        for slot in range(7):
            if slot not in users and rng.random() < 0.3:
                angle = float(rng.choice([0.0, 0.1, 1.57, 2.2, 3.14])) + rng.normal(0, 0.03)
                u = np.array([math.cos(angle), math.sin(angle)])
                at = -rng.uniform(10, 30) * u + rng.normal(0, 3, 2)
                users[slot] = [
                    number,
                    at,
                    angle,
                    rng.uniform(3, 11),
                    int(rng.integers(0, 6)),
                    time_s,
                    rng.normal(0, 0.3),
                ]
                number += 1
            if slot not in users:
                continue
            one = users[slot]
            one[3] = max(one[3] + rng.normal(0, 2) * gap, 0.2)
            one[2] += one[6] * gap
            u = np.array([math.cos(one[2]), math.sin(one[2])])
            one[1] = one[1] + one[3] * gap * u
            if rng.random() < 0.05:
                continue
            row = rows_of(
                {one[0]: lambda t, one=one, u=u: (*one[1], *(one[3] * u))}, 0.0, each={}, birth_s=one[5],
                score=0.3 if one[0] % 9 == 0 else 0.8, position_sd_m=0.7 if one[0] % 7 == 0 else 0.1,
            )[0]  # fmt: skip
            row["time_s"], row["slot"], row["class_id"] = time_s, slot, one[4]
            if rng.random() < 0.02:
                row["vx_mps"] = row["vy_mps"] = np.nan
            if np.abs(one[1]).max() > 35:
                row["flags"] = ENDED
                users.pop(slot)
            rows.append(row)
        yield time_s, np.concatenate([*rows, np.zeros(0, TRACK)])


@pytest.mark.parametrize(
    ("seed", "config"),
    [(12, {}), (2, {"age_min_s": 0.3, "pet_max_s": 3.0}), (3, {"classes": ("car", "bus", "truck", "motorcycle")})],
)
def test_like_its_twin(seed, config):
    rng, court, world, seen = np.random.default_rng(seed), Court("conflict", SCENE, **config), naive.World(), []
    for number, (time_s, tracks) in enumerate(random_roads(rng, 170)):
        clock = instant(time_s, 0.1)[0]
        clock["suspended"], clock["last"] = CAMERA_MOVED * int(rng.random() < 0.02), number == 130
        n = court.rule.step(tracks, clock, np.zeros(1, SIGNAL), *court.prepared, court.out)
        events = np.sort(court.out[:n], order=("time_s", "track_id"))
        expected = naive.conflict_step(tracks, clock, court.prepared.settings, world)
        same_events(events, sorted(expected, key=lambda one: (one["time_s"], one["track_id"])))
        seen += [tuple(event) for event in events[["judgement", "encounter"]]]
    assert len(seen) > 1
    if not config:
        assert {kind for _, kind in seen} == {0, 1, 2}
        assert {judgement for judgement, _ in seen} == {VIOLATION, CANNOT_JUDGE}


def test_bounds_like_their_twin():
    rng, apart = np.random.default_rng(3), 0
    for _ in range(100):
        a, b = (np.concatenate([low, low + rng.uniform(0, 9, 2)]) for low in rng.uniform(0, 15, (2, 2)))
        assert boxes_apart(a, b) == naive.boxes_apart(a, b)
        apart += boxes_apart(a, b)
    assert 20 < apart < 80


# -- how near they came ---------------------------------------------------------------------------------------------

BRAKES_LATE = {1: braking(0, 0, 10.0, 6.0, 3.0), 2: steady(44.5, 0, 0, 0)}
CROSSES_SOON_AFTER = {1: steady(-40, 0, 10, 0), 2: steady(0, -53, 0, 10)}


@pytest.mark.parametrize("fps", [5, 10, 25, 50])
@pytest.mark.parametrize("angle", [0.0, 1.1])
def test_following(fps, angle):
    """10 m before a standing car it begins to brake with 6 m/s2: (10 - s) / v is least where v^2 = 2 * 6 * gap left."""
    (event,) = told("conflict", rows_of(BRAKES_LATE, 8, fps, angle))
    least = min((10 - (100 - v * v) / 12) / v for v in np.linspace(0.5, 10, 2000))
    assert event["ttc_s"] == pytest.approx(least, abs=0.05)
    assert event["ttc_sd_cs"] == pytest.approx(100 * math.hypot(0.0707, 0.1414 * least) / 6.0, rel=0.5)
    assert event["drac_mps2"] == pytest.approx(
        max(v * v / 2 / (10 - (100 - v * v) / 12) for v in np.linspace(1, 10, 50)), rel=0.1
    )
    assert (event["track_id"], event["other_track_id"], ENCOUNTERS[event["encounter"]]) == (1, 2, "rear_end")
    assert event["other_speed_kmh"] == 0
    assert math.isnan(event["pet_s"])
    assert (event["judgement"], event["severity"]) == (VIOLATION, 2)
    c, s = math.cos(angle), math.sin(angle)
    assert (c * event["x_m"] + s * event["y_m"]) == pytest.approx(40, abs=1.5)
    assert (c * event["y_m"] - s * event["x_m"]) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("fps", [8, 25])
def test_crossing_soon_after(fps):
    """The first's rear leaves at x = 0.9 when it is 4.54 s; the second's front is at y = -0.9 when it is 5.21 s."""
    (event,) = told("conflict", rows_of(CROSSES_SOON_AFTER, 12, fps))
    assert event["pet_s"] == pytest.approx(5.21 - 4.54, abs=0.01)
    assert math.isnan(event["ttc_s"])
    assert (event["track_id"], event["other_track_id"], ENCOUNTERS[event["encounter"]]) == (2, 1, "crossing")
    assert (event["severity"], event["speed_kmh"]) == (2, 36)
    assert (event["x_m"], event["y_m"]) == pytest.approx((0.0, -0.9), abs=10 / fps + 0.1)


def test_crossing_that_would_have_been_a_hit():
    """The second brakes at the last moment: one event with the time to contact and the time between."""
    slow = braking(-45.5, 0, 10.0, 5.0, 3.5, 2.0)
    hit = {1: steady(-40, 0, 10, 0), 2: lambda t: (0.0, slow(t)[0], 0.0, slow(t)[2])}
    (event,) = told("conflict", rows_of(hit, 16, 25))
    assert 0.3 < event["ttc_s"] < 1.2
    assert 0.0 < event["pet_s"] < 3.0
    assert ENCOUNTERS[event["encounter"]] == "crossing"


def test_merging_is_a_change_of_lanes():
    c, s = math.cos(math.radians(45)), math.sin(math.radians(45))
    ways = {1: steady(-30, 0, 8, 0), 2: steady(-30 * c - 2, -30 * s - 2, 8 * c, 8 * s)}
    (event,) = told("conflict", rows_of(ways, 8, 25))
    assert ENCOUNTERS[event["encounter"]] == "lane_change"
    assert event["ttc_s"] < 1.5


@pytest.mark.parametrize(("left_mps", "severity"), [(2.5, 3), (5.0, 2), (8.0, 1), (11.0, None)])
def test_severity(left_mps, severity):
    """It brakes with 7 m/s2 before one that stands: the time is least, v / 7, where v^2 = 2 * 7 * gap - 10^2."""
    gap_m = (left_mps**2 + 100.0) / 14.0
    stops = {1: braking(0, 0, 10.0, 7.0, 4.0), 2: steady(44.5 + gap_m, 0, 0, 0)}
    events = told("conflict", rows_of(stops, 8, 25), drac_mps2=99.0)
    assert events["severity"].tolist() == ([] if severity is None else [severity])
    assert events["ttc_s"] == pytest.approx([left_mps / 7.0] * len(events), abs=0.05)


def test_hard_braking_counts_before_the_time_is_short():
    """It brakes with 9 m/s2 from 20 m/s, 40 m before one that stands: needs 20^2 / 80 m/s2, and v / 9 is left."""
    late = {1: braking(0, 0, 20.0, 9.0, 5.0), 2: steady(144.5, 0, 0, 0)}
    (event,) = told("conflict", rows_of(late, 9, 25))
    assert (event["ttc_s"], event["drac_mps2"], event["severity"]) == (
        pytest.approx(math.sqrt(2 * 9 * 40 - 400) / 9.0, abs=0.05),
        pytest.approx(5.0, abs=0.4),
        0,
    )
    assert len(told("conflict", rows_of(late, 9, 25), drac_mps2=9.0)) == 0


# -- what is no conflict --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "motions", "more"),
    [
        ("parked cars", {1: steady(0, 0, 0, 0), 2: steady(4.8, 0, 0, 0)}, {}),
        ("a queue that creeps", {1: braking(0, 0, 0.9, 0.3, 4.0), 2: steady(9.5, 0, 0, 0)}, {}),
        ("opposite traffic on the next lane", {1: steady(-50, 0, 14, 0), 2: steady(50, 3.0, -14, 0)}, {}),
        ("a bicycle beside a car", {1: steady(0, 0, 9, 0), 2: steady(10, 1.5, 5, 0)}, {"sizes": {2: (1.8, 0.6)}}),
        ("a platoon", {k: steady(-15 * k, 0, 13, 0) for k in range(1, 6)}, {}),
        ("long after", {1: steady(-40, 0, 10, 0), 2: steady(0, -80, 0, 10)}, {}),
        ("too young", BRAKES_LATE, {"each": {1: {"birth_s": 3.9}}}),
        ("born over it", {1: steady(0, 0, 8, 0), 2: steady(0.3, 0, 6, 0)}, {}),
        ("a rider on a bicycle", {1: steady(0, 0, 5, 0), 2: steady(0.1, 0, 5.0, 0.0)}, {"noise_m": 0.05}),
    ],
)
def test_no_conflict(name, motions, more):
    assert len(told("conflict", rows_of(motions, 8, 25, **more))) == 0, name


def test_one_noisy_frame_makes_no_conflict():
    """Two side by side; in one frame one of them is a metre off, in others its velocity points into the other."""
    steps = rows_of({1: steady(0, 0, 10, 0), 2: steady(0, 3, 10, 0)}, 5, 25)
    for name in ("foot_y_m", "front_y_m", "rear_y_m"):
        steps[60][name][0] += 1.0
    for k in range(80, 88):
        steps[k]["vy_mps"][0] = 6.0
    assert len(told("conflict", steps)) == 0
    swerves = {1: lambda t: (10 * t, min(max(3 * (t - 2.4), 0.0), 1.05), 10.0, 0.0), 2: steady(0, 3, 10, 0)}
    assert len(told("conflict", rows_of(swerves, 5, 25))) == 1


@pytest.mark.parametrize("fps", [8, 25, 60])
def test_a_velocity_that_lags_is_not_believed(fps):
    """What comes after tells how fast it was: the velocity that was given is that of 0.4 s before."""
    steps = rows_of(BRAKES_LATE, 8, fps)
    given = [rows["vx_mps"].copy() for rows in steps]
    lag = round(0.4 * fps)
    for k in range(lag, len(steps)):
        steps[k]["vx_mps"] = given[k - lag]
    (event,) = told("conflict", steps)
    (right,) = told("conflict", rows_of(BRAKES_LATE, 8, fps))
    assert event["ttc_s"] == pytest.approx(right["ttc_s"], abs=1e-3)


def test_a_bend_explains_it():
    """On a bend a car points at one that stands outside it for a moment; it never would have gone there."""
    rate, radius = 0.6, 10.0

    def round_the_bend(t):
        a = rate * t
        return (
            radius * math.sin(a),
            radius * (1 - math.cos(a)),
            radius * rate * math.cos(a),
            radius * rate * math.sin(a),
        )

    waits = {1: round_the_bend, 2: steady(20.0, 1.5, 0, 0)}
    assert len(told("conflict", rows_of(waits, 5, 25, headings={2: (-1.0, 0.0)}), drac_mps2=99.0)) == 0


def test_a_follower_in_a_turn_does_not_cross():
    def follows(later):
        def motion(t):
            way = 8.0 * (t - later) - 30
            if way < 0:
                return way, 0.0, 8.0, 0.0
            a = min(way / 9.0, math.pi / 2)
            rest = max(way - 9.0 * math.pi / 2, 0.0)
            return 9 * math.sin(a), 9 * (1 - math.cos(a)) + rest, 8 * math.cos(a), 8 * math.sin(a)

        return motion

    assert len(told("conflict", rows_of({1: follows(0.0), 2: follows(1.3)}, 12, 25))) == 0


# -- guards ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "reason"),
    [({"position_sd_m": 0.6}, CALIBRATION), ({"score": 0.4}, IDENTITY), ({"relinked_s": 3.5}, IDENTITY)],
)
def test_what_cannot_be_judged(more, reason):
    (event,) = told("conflict", rows_of(BRAKES_LATE, 8, 25, each={1: more}))
    assert (event["judgement"], event["reason"]) == (CANNOT_JUDGE, reason) or "relinked_s" in more


def test_a_suspended_camera_cannot_judge():
    court = Court("conflict", SCENE)
    events = [court(rows, suspended=CAMERA_MOVED) for rows in rows_of(BRAKES_LATE, 12, 25)]
    assert [event["reason"] for one in events for event in one] == [CAMERA_MOVED]


def test_no_ground_no_conflict():
    steps = rows_of(BRAKES_LATE, 8, 25)
    for rows in steps:
        for name in TRACK.names:
            if name.endswith(("_m", "_mps")):
                rows[name] = np.nan
    assert len(told("conflict", steps)) == 0
    assert REGISTRY["conflict"].needs_ground


def test_a_gap_in_one_track_is_no_contact():
    steps = rows_of(BRAKES_LATE, 8, 25)
    kept = [rows if not 60 <= k < 90 else rows[:0] for k, rows in enumerate(steps)]
    court = Court("conflict", SCENE)
    events = np.concatenate([court(rows) for rows in kept if len(rows)] + [court(steps[-1], last=1)])
    assert len(events) <= 1


def test_a_slot_that_is_used_again_inherits_nothing():
    first = rows_of(BRAKES_LATE, 3.6, 25)
    court = Court("conflict", SCENE)
    for rows in first:
        assert len(court(rows)) == 0
    rest = rows_of({3: steady(60, 0, 10, 0), 4: steady(0, 50, 0, 0)}, 12, 25)
    events = []
    for rows in rest:
        rows["time_s"] += 4.0
        rows["slot"] -= 2  # those of the first two
        events.append(court(rows))
    (event,) = np.concatenate(events)
    assert (event["track_id"], event["other_track_id"]) == (1, 2)


def test_one_event_for_each_encounter_and_a_new_one_later():
    def twice(t):
        v = 10.0 if t < 4.0 or 16.0 < t < 18.0 else 0.0
        return 10 * min(t, 4.0) + 10 * min(max(t - 16.0, 0.0), 2.0), 0.0, v, 0.0

    def leader(t):
        return (44.5 + 8 + (20 if t > 12 else 0), 0.0, 0.0, 0.0)

    events = told("conflict", rows_of({1: twice, 2: leader}, 26, 25), drac_mps2=99.0)
    assert len(events) == 2
    assert (np.diff(events["time_s"]) > 5).all()


def test_the_same_turned_swapped_and_repeated():
    steps = rows_of(CROSSES_SOON_AFTER, 12, 25)
    (event,) = told("conflict", steps)
    assert told("conflict", steps).tobytes() == event.tobytes()
    (turned,) = told("conflict", rows_of(CROSSES_SOON_AFTER, 12, 25, 2.3))
    (swapped,) = told("conflict", [rows[::-1].copy() for rows in steps])
    for other in (turned, swapped):
        for name in ("track_id", "other_track_id", "encounter", "severity"):
            assert other[name] == event[name]
        assert other["pet_s"] == pytest.approx(event["pet_s"], abs=1e-4)
    renamed = {2: CROSSES_SOON_AFTER[1], 1: CROSSES_SOON_AFTER[2]}
    (other,) = told("conflict", rows_of(renamed, 12, 25))
    assert (other["track_id"], other["other_track_id"]) == (1, 2)
    assert other["pet_s"] == pytest.approx(event["pet_s"], abs=1e-4)


def test_more_encounters_than_there_is_room_for_are_told_too():
    """300 pairs one after another within the time for which an encounter stays open."""
    court, events, number = Court("conflict", SCENE, pet_max_s=10.0), [], 0
    for wave in range(5):
        motions = {}
        for k in range(60):
            y = 10.0 * k
            motions[number + 1] = lambda t, y=y: (min(10 * t, 12.0), y, 10.0 if t < 1.2 else 0.0, 0.0)
            motions[number + 2] = steady(12.0 + 4.5 + 5, y, 0, 0)
            number += 2
        for rows in rows_of(motions, 1.4, 10):
            rows["time_s"] += 1.5 * wave
            events.append(court(rows))
    events.append(court(rows, last=1))
    assert len(np.concatenate(events)) == 300


def test_the_classes_of_both():
    steps = rows_of(BRAKES_LATE, 8, 25, each={2: {"class_id": CLASSES.index("bus")}})
    (event,) = told("conflict", steps)
    assert (CLASSES[event["class_id"]], CLASSES[event["other_class"]]) == ("car", "bus")
    assert len(told("conflict", steps, classes=("car",))) == 0


def test_a_bad_combination_is_refused():
    config = REGISTRY["conflict"].config
    with pytest.raises(ValueError, match="horizon_s 1; allowed is ttc_max_s"):
        config(type="conflict", name="x", horizon_s=1.0)
    with pytest.raises(ValueError, match="pet_max_s 1; allowed is pet_report_s"):
        config(type="conflict", name="x", pet_max_s=1.0)
