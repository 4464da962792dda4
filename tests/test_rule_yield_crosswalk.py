"""Failure to yield at a crosswalk: who came first and by how much, who could have stopped, and who need not."""

from __future__ import annotations

import math

import naive_yielding as naive
import numpy as np
import pytest
from standrows import RoadJudge, box, ended, road_row, road_scene, same_events
from trackrows import signal_row

from kernels.records import (
    CALIBRATION,
    CAMERA_MOVED,
    CANNOT_JUDGE,
    IDENTITY,
    SIGNAL_STATE,
    TRUNCATED,
    VIOLATION,
)  # fmt: skip

#: Cars go along x; the crosswalk leads from y = 0 (kerb) to y = 7 (refuge), with an island and a second one beyond.
SCENE = road_scene(zones={"near": box(50, 0, 54, 7), "far": box(50, 9, 54, 16)}, signals=["lamp"])
LENGTH = 4.5


def judge(**config) -> RoadJudge:
    return RoadJudge("yield_crosswalk", SCENE, **{"zone": "near", **config})


def car(at_s: float, speed: float = 10.0, y: float = 3.5):
    """Return a car whose front is at the crosswalk at a time."""
    return lambda t: (50.0 + speed * (t - at_s), y, speed, 0.0)


def walker(at_s: float, speed: float = 1.4, x: float = 52.0):
    """Return one who steps on the crosswalk at a time, and comes from 4 m before it."""
    return lambda t: None if t < at_s - 4 / abs(speed) else (x, (t - at_s) * speed, 0.0, speed)


def waits(until_s: float, y: float, speed: float = 1.4):
    """Return one who comes, stands at y until a time and goes on."""
    return lambda t: (
        52.0,
        y + speed * (max(t - until_s, 0) + min(t - 5, 0)),
        0.0,
        speed if t < 5 or t > until_s else 0.0,
    )


def watch(one: RoadJudge, cars: dict, walkers: dict, until_s: float = 20.0, step_s: float = 0.1, **more) -> np.ndarray:
    """Judge them; `more`: suspended at a time, options of cars and walkers."""
    found, suspended = [], more.pop("suspended", lambda t: 0)
    hidden = more.pop("hidden", lambda t: False)
    for k in range(round(until_s / step_s)):
        t, rows = k * step_s, []
        if hidden(t):
            continue
        for number, motion in cars.items():
            x, y, *v = motion(t)
            if -60 < x < 120:
                rows.append(road_row(number, t, (x, y), v, **more.get("car", {})))
        for number, motion in walkers.items():
            if (at := motion(t)) is not None and -8 < at[1] < 25:
                options = {"name": "person", "length": 0.5, "width": 0.5, **more.get("walker", {})}
                rows.append(road_row(number, t, (at[0], at[1]), at[2:], **options))
        found.append(one.at(t, rows, suspended(t), more.get("signals")))
    return np.concatenate(found)


# The walker is on the car's way (y from 2.3 to 4.7) from 1.64 s to 3.36 s after stepping on.


def random_crossing(rng, steps):
    """Yield (time, rows): cars along x, walkers along y and back, lost, hidden, re-linked, in slots used again."""
    time_s, users, next_id = 0.0, {}, 1
    for _ in range(steps):
        time_s += float(rng.choice([0.1, 0.15, 0.3, 1.2], p=[0.6, 0.25, 0.13, 0.02]))
        rows = []
        for slot in range(7):
            one = users.get(slot)
            if one is None:
                drives = slot < 4
                at = (rng.uniform(0, 45), rng.uniform(1, 6)) if drives else (rng.uniform(50, 54), rng.uniform(-4, 3))
                v = (rng.uniform(2, 14), 0.0) if drives else (0.0, rng.uniform(0.5, 2.0))
                users[slot] = {"id": next_id, "at": np.array(at), "v": np.array(v), "t": time_s, "born": time_s}
                next_id += 1
                continue
            one["at"] = one["at"] + one["v"] * (time_s - one["t"])
            one["t"] = time_s
            if rng.random() < 0.05:
                one["v"] = one["v"] * float(rng.choice([-1.0, 0.0, 1.5])) if slot >= 4 else one["v"]
            if rng.random() < 0.05:
                continue
            drives = slot < 4
            options = {"slot": slot, "birth_s": one["born"] - 3.0, "name": "car" if drives else "person"}
            options |= {} if drives else {"length": 0.5, "width": 0.5}
            options |= {"relinked_s": time_s} if rng.random() < 0.01 else {}
            options |= {"score": 0.4} if rng.random() < 0.01 else {}
            options |= {"speed_mps": np.nan} if rng.random() < 0.02 else {}
            options |= {"position_sd_m": 0.9} if rng.random() < 0.01 else {}
            row = road_row(one["id"], time_s, np.float32(one["at"]), np.float32(one["v"]), **options)
            lost = rng.random() < 0.01 or one["at"][0] > 75 or abs(one["at"][1]) > 12
            rows.append(ended(row) if lost else row)
            if lost:
                del users[slot]
        yield time_s, rows


@pytest.mark.parametrize(("seed", "config"), [(1, {}), (2, {"signal": "lamp"}), (3, {"pet_s": 1.5, "kerb_m": 0.5})])
def test_like_its_twin(seed, config):
    rng, one, memory, seen = np.random.default_rng(seed), judge(**config), naive.Crosswalk(), []
    for time_s, rows in random_crossing(rng, 900):
        tracks = np.concatenate(rows) if rows else np.zeros(0, one_row().dtype)
        state = str(rng.choice(["green", "red", "dark"], p=[0.9, 0.05, 0.05]))
        clock, signals = one.clock(time_s, CAMERA_MOVED * int(rng.random() < 0.005)), signal_row(state, time_s - 1.0)
        events = one(tracks, clock, signals)
        same_events(events, naive.yield_crosswalk_step(tracks, clock, signals, one.prepared.settings, memory))
        seen += [tuple(event) for event in events[["judgement", "vehicle_first", "displaced"]]]
    assert len(seen) > 10
    assert len(set(seen)) >= 3


def one_row():
    return road_row(1, 0.0, (0, 0))


@pytest.mark.parametrize("step_s", [0.04, 0.1, 0.25])
def test_a_driver_before_the_walker_at_any_frame_rate(step_s):
    """The rear leaves at 10.85 s, the walker comes onto its way, from y = 2.3 m on, 2.3 / 0.7 s after stepping on."""
    events = watch(judge(), {1: car(10.0)}, {9: walker(8.0, 0.7)}, step_s=step_s)
    assert len(events) == 1
    event = events[0]
    assert (event["track_id"], event["other_track_id"], event["zone"]) == (1, 9, 0)
    assert (event["vehicle_first"], event["displaced"], event["judgement"]) == (1, 0, VIOLATION)
    assert event["time_s"] == pytest.approx(10.0, abs=0.02)
    assert event["pet_s"] == pytest.approx(8.0 + 2.3 / 0.7 - 10.85, abs=0.03)
    assert event["speed_mps"] == pytest.approx(10.0)
    # It moved in from 1 m before the kerb on, at 6.57 s.
    assert event["way_m"] == pytest.approx(10 * (10.0 - 8.0 + 1 / 0.7), abs=10 * (0.2 + step_s))
    assert event["margin_m"] == pytest.approx(event["way_m"] - (10.0 + 100.0 / 6.8), abs=1e-3)
    assert event["brake_mps2"] == pytest.approx(100.0 / 2 / (event["way_m"] - 10.0), rel=1e-3)


def test_a_driver_behind_the_walker():
    """The walker leaves the way, at y = 4.7 m, 3.36 s after stepping on."""
    events = watch(judge(), {1: car(10.0)}, {9: walker(6.0)})
    assert (events["vehicle_first"].tolist(), events["judgement"].tolist()) == ([0], [VIOLATION])
    assert events["pet_s"][0] == pytest.approx(10.0 - 6.0 - 4.7 / 1.4, abs=0.02)


def test_both_at_once():
    events = watch(judge(), {1: car(10.0)}, {9: walker(7.5)})
    assert (events["pet_s"].tolist(), events["judgement"].tolist()) == ([0.0], [VIOLATION])


@pytest.mark.parametrize("stepped_s", [1.0, 3.0])
def test_three_seconds_apart_is_enough(stepped_s):
    assert len(watch(judge(), {1: car(10.0)}, {9: walker(stepped_s)})) == 0


def test_a_driver_who_could_not_stop_is_no_offender():
    assert len(watch(judge(), {1: car(10.0)}, {9: walker(9.0, 2.5)})) == 0
    assert len(watch(judge(), {1: car(10.0, 5.0)}, {9: walker(8.0)})) == 1


def test_close_to_what_it_needs_nobody_knows():
    """At 10 m/s it needs 24.7 m and has 26; it may have had 10.6 m/s, which needs 27."""
    shaky = {"speed_sd_mps": 1.0, "position_sd_m": 0.4}
    events = watch(judge(), {1: car(10.0)}, {9: walker(8.0)}, step_s=0.05, car=shaky)
    assert (events["judgement"].tolist(), events["reason"].tolist()) == ([CANNOT_JUDGE], [CALIBRATION])


def test_who_stops_for_the_car_was_displaced():
    """It comes, stands on the crosswalk short of the way until the car is gone, and goes on more than 3 s later."""
    motion = waits(16.0, 1.0)
    events = watch(judge(), {1: car(10.0)}, {9: motion}, until_s=25.0)
    assert (events["displaced"].tolist(), events["judgement"].tolist()) == ([1], [VIOLATION])
    assert math.isnan(events["pet_s"][0])


def test_who_has_passed_the_way_is_not_displaced():
    assert len(watch(judge(), {1: car(10.0)}, {9: walker(2.0, 1.0)}, until_s=15.0)) == 0


@pytest.mark.parametrize("y", [-0.5, -2.0])
def test_who_stands_at_the_kerb_does_not_cross(y):
    assert len(watch(judge(), {1: car(10.0)}, {9: lambda t: (52.0, y, 0.0, 0.0)})) == 0


def test_who_walks_along_the_kerb_does_not_cross():
    assert len(watch(judge(), {1: car(10.0)}, {9: lambda t: (38 + 1.4 * t, -0.5, 1.4, 0.0)})) == 0


def test_the_kerb_reaches_one_metre():
    """It is on the way in, 0.9 or 1.6 m from the kerb, when the car still can stop, and then comes on."""
    late = [
        {9: lambda t, d=d: (52.0, -d if t < 8 else -d + 3.0 * (t - 8), 0.0, 0.6 if t < 8 else 3.0)} for d in (0.9, 1.9)
    ]
    assert [len(watch(judge(), {1: car(10.0)}, one)) for one in late] == [1, 0]


def test_the_other_carriageway_is_another_zone():
    assert len(watch(judge(), {1: car(10.0)}, {9: lambda t: (52.0, 9.5 + 0.5 * (t - 8), 0.0, 0.5)})) == 0
    assert len(watch(judge(zone="far"), {1: car(10.0, y=12.5)}, {9: lambda t: (52.0, t + 1.5, 0.0, 1.0)})) == 1


def test_a_group_is_one_event_and_each_car_its_own():
    group = {20 + k: walker(7.0 + 0.2 * k, x=51.0 + 0.5 * k) for k in range(5)}
    events = watch(judge(), {1: car(10.0), 2: car(12.0, 9.0)}, group)
    assert sorted(events["track_id"]) == [1, 2]
    assert events["pet_s"].tolist() == [0.0, pytest.approx(1.0, abs=2.0)]


def test_a_queue_that_stands_on_the_crosswalk_took_no_ones_way():
    """The car came before anyone walked; they walk round it."""
    stands = lambda t: (53.0, 3.5, 0.0, 0.0) if t > 4 else (53.0 + 10 * (t - 4), 3.5, 10.0, 0.0)  # noqa: E731
    assert len(watch(judge(), {1: stands}, {9: walker(10.0), 10: walker(12.0)})) == 0


def test_a_car_that_turns_must_yield_too():
    """It comes along y and turns into x before the crosswalk."""

    def turns(t):
        way = 6.0 * (t - 10.0)
        return (50.0 + way, 3.5, 6.0, 0.0) if way > -5 else (45.0, 3.5 - (way + 5), 0.0, -6.0)

    one, found = judge(), []
    for k in range(200):
        t = 0.1 * k
        x, y, *v = turns(t)
        rows = [road_row(1, t, (x, y), v, heading=v)] if abs(y) < 40 else []
        at = walker(7.5)(t)
        rows += [road_row(9, t, at[:2], at[2:], name="person", length=0.5)] if at is not None and at[1] < 20 else []
        found.append(one.at(t, rows))
    assert np.concatenate(found)["judgement"].tolist() == [VIOLATION]


@pytest.mark.parametrize(
    ("state", "expected"),
    [("green", [(VIOLATION, 0)]), ("red", []), ("dark", [(CANNOT_JUDGE, SIGNAL_STATE)])],
)
def test_who_has_red_is_owed_nothing(state, expected):
    signals = signal_row(state, -100.0)
    events = watch(judge(signal="lamp"), {1: car(10.0)}, {9: walker(7.5)}, signals=signals)
    assert [(event["judgement"], event["reason"]) for event in events] == expected


def test_cyclists_only_where_they_are_asked_for():
    for walkers, told in ((("person",), 0), (("person", "bicycle"), 1)):
        one = judge(walkers=walkers)
        assert len(watch(one, {1: car(10.0)}, {9: walker(7.5)}, walker={"name": "bicycle"})) == told


# -- what cannot be judged --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"car": {"score": 0.3}}, IDENTITY),
        ({"walker": {"score": 0.3}}, IDENTITY),
        ({"car": {"relinked_s": 10.2}}, IDENTITY),
        ({"car": {"position_sd_m": 0.8}}, CALIBRATION),
        ({"walker": {"position_sd_m": 0.8}}, CALIBRATION),
        ({"walker": {"relinked_s": 10.2}}, IDENTITY),
        ({"suspended": lambda t: CAMERA_MOVED * (9.9 < t < 10.3)}, CAMERA_MOVED),
        ({"hidden": lambda t: 9.0 < t < 10.3}, IDENTITY),
    ],
)
def test_what_it_cannot_judge_it_says(more, reason):
    events = watch(judge(), {1: car(10.0)}, {9: walker(7.5)}, **more)
    assert [(event["judgement"], event["reason"]) for event in events] == [(CANNOT_JUDGE, reason)]


def test_a_speed_that_is_withheld_or_shaky_is_taken_from_the_way():
    for more in ({"speed_mps": np.nan}, {"speed_mps": 13.0, "speed_sd_mps": 3.0}):
        (event,) = watch(judge(), {1: car(10.0)}, {9: walker(7.5)}, car=more)
        assert (event["judgement"], event["speed_mps"]) == (VIOLATION, pytest.approx(10.0, abs=0.01))


def test_a_walker_who_was_lost_long_before_the_car_came_is_the_same():
    (event,) = watch(judge(), {1: car(12.0)}, {9: walker(8.5, 1.0)}, walker={"relinked_s": 9.0})
    assert event["judgement"] == VIOLATION


@pytest.mark.parametrize(("lasts_s", "told"), [(0.5, 1), (2.0, 0)])
def test_a_stagger_at_the_kerb_is_no_new_entry(lasts_s, told):
    """It moves in, stops for a moment and goes on; the car could have stopped when it moved in at first."""
    begun = waits(9.0, -0.5)
    halt = lambda t: t < 8.4 or t > 8.4 + lasts_s  # noqa: E731
    staggers = lambda t: (52.0, -0.5 + 0.5 * (t - 8.4), 0.0, 1.0 if halt(t) else 0.0) if t > 7.5 else begun(t)  # noqa: E731
    events = watch(judge(), {1: car(11.0)}, {9: staggers})
    assert len(events) == told


def test_a_driver_first_seen_on_the_crosswalk():
    """It is not known from where it came."""
    late = lambda t: car(10.0)(t) if t > 10.1 else (-100.0, 0, 0, 0)  # noqa: E731
    events = watch(judge(), {1: late}, {9: walker(7.5)})
    assert [(event["judgement"], event["reason"]) for event in events] == [(CANNOT_JUDGE, TRUNCATED)]


def test_a_driver_lost_on_the_crosswalk():
    one = judge()
    assert len(watch(one, {1: car(10.0)}, {9: walker(7.5)}, until_s=10.3)) == 0
    lost = one.lose(1)
    later = np.concatenate([one.at(10.3 + 0.1 * k, []) for k in range(1, 40)])
    assert len(lost) == 0
    assert [(event["judgement"], event["reason"]) for event in later] == [(CANNOT_JUDGE, TRUNCATED)]


def test_the_end_of_the_stream_tells_what_is_known():
    one = judge()
    watch(one, {1: car(10.0)}, {9: walker(7.5)}, until_s=11.2)
    assert one.end()["judgement"].tolist() == [VIOLATION]
    assert len(one.end()) == 0


def test_a_slot_that_is_used_again_inherits_nothing():
    """The walker's slot goes to another who is not there yet; the driver's, in mid-passage, tells of the first."""
    one, found = judge(), []
    for k in range(160):
        t = 0.1 * k
        number, at = (9, walker(2.0)(t)) if t < 8 else (265, (52.0, -5.0, 0.0, 0.0))
        rows = [] if at is None else [road_row(number, t, at[:2], at[2:], name="person", length=0.5, slot=9)]
        x, y, *v = car(10.0)(t)
        found.append(one.at(t, [*rows, road_row(1, t, (x, y), v)]))
    assert len(np.concatenate(found)) == 0
    one = judge()
    watch(one, {1: car(10.0)}, {9: walker(7.5)}, until_s=11.2)
    events = one.at(11.2, [road_row(257, 11.2, (0.0, 3.5), (10.0, 0.0))])
    assert events["track_id"].tolist() == [1]


def test_no_place_on_the_road_says_nothing():
    assert len(watch(judge(), {1: car(10.0)}, {9: walker(7.5)}, walker={"foot_x_m": np.nan})) == 0
    assert len(watch(judge(), {1: car(10.0)}, {9: walker(7.5)}, car={"foot_x_m": np.nan})) == 0


@pytest.mark.parametrize(("config", "said"), [({"walkers": ("car",)}, "'car' among"), ({"walkers": ()}, "no walkers")])
def test_what_makes_no_sense_is_refused(config, said):
    with pytest.raises(ValueError, match=said):
        judge(**config)
