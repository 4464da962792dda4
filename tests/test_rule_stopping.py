"""Standing where the sign forbids it: how long, how much of the vehicle, who queues, and what survives a lost track."""

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
    road_scene,
    same_events,
    standing_at,
    stopping_at,
)  # fmt: skip
from trackrows import signal_row

from kernels.records import BEGIN, CANNOT_JUDGE, END, IDENTITY, NO_REASON, QUEUE, VIOLATION

#: The kerb lane between x = 20 m and 60 m, and a bay further on.
ZONES = {"kerb": box(20, 0, 60, 3.5), "bay": box(70, 0, 80, 3.5)}
SCENE = road_scene(zones=ZONES, signals=["lamp"])
Y = 1.75


def judge(**config) -> RoadJudge:
    return RoadJudge("stopping", SCENE, **{"zones": tuple(ZONES), "dwell_s": 20.0, **config})


def run(users: dict, until_s: float, one: RoadJudge | None = None, **more) -> np.ndarray:
    return drive(one or judge(), users, until_s, 0.5, **more)


@pytest.mark.parametrize(
    ("seed", "config"),
    [(1, {"dwell_s": 0.0, "report_end": True}), (2, {"dwell_s": 4.0, "signal": "lamp", "release_s": 1.0})],
)
def test_like_its_twin(seed, config):
    wide = road_scene(zones={"kerb": box(0, 0, 80, 3.5), "bay": box(70, 2, 110, 7)}, signals=["lamp"])
    one = RoadJudge("stopping", wide, zones=("kerb", "bay"), **config)
    rng, memory, seen = np.random.default_rng(seed), naive.Stays(), []
    for time_s, tracks in random_road(rng, 500):
        signals = signal_row(str(rng.choice(["green", "green", "red"])), time_s - 3.0)
        clock = one.clock(time_s)
        events = one(tracks, clock, signals)
        same_events(events, naive.stopping_step(tracks, clock, signals, one.prepared.settings, memory))
        seen += events["phase"].tolist()
    assert seen.count(BEGIN) >= 4
    assert (seen.count(END) >= 3) == (seed == 1)


def test_one_event_when_the_time_is_up():
    events = run({1: stopping_at(40, Y, 5.0, 90.0)}, 120.0)
    assert events["phase"].tolist() == [BEGIN]
    event = events[0]
    assert event["time_s"] == pytest.approx(25.0, abs=0.6)
    assert (event["track_id"], event["zone"], event["share_percent"], event["truncated"]) == (1, 0, 100, 0)
    assert event["margin_s"] == pytest.approx(event["held_s"] - 20.0, abs=1e-3)
    assert (event["judgement"], event["reason"]) == (VIOLATION, 0)


def test_the_end_on_request():
    events = run({1: stopping_at(40, Y, 5.0, 90.0)}, 120.0, judge(report_end=True))
    assert events["phase"].tolist() == [BEGIN, END]
    assert events["held_s"][1] == pytest.approx(85.0, abs=1.0)
    assert events["margin_s"][1] == pytest.approx(65.0, abs=1.0)


@pytest.mark.parametrize(
    ("dwell_s", "stood_s", "told"),
    [(0.0, 2.0, False), (0.0, 5.0, True), (20.0, 18.0, False), (20.0, 22.0, True), (120.0, 60.0, False)],
)
def test_how_long(dwell_s, stood_s, told):
    assert len(run({1: stopping_at(40, Y, 5.0, 5.0 + stood_s)}, 40.0, judge(dwell_s=dwell_s))) == told


@pytest.mark.parametrize(
    ("x", "y", "told"),
    [
        (22.4, Y, True),  # 2.4 of 4.5 m in the zone
        (22.0, Y, False),  # 2.0 of 4.5 m
        (62.0, Y, True),  # 2.5 of 4.5 m
        (40.0, 0.1, True),  # 1.0 of 1.8 m: the other wheels on the kerb
        (40.0, -0.2, False),
        (66.0, Y, False),
        (76.0, Y, True),  # in the second zone
    ],
)
def test_how_much_of_it(x, y, told):
    events = run({1: stopping_at(x, y, 2.0)}, 26.0)
    assert len(events) == told
    if told:
        assert events["zone"][0] == (x > 70)


def test_it_moves_about_in_the_zone():
    """2 m every 15 s is no stay."""
    users = {1: lambda t: (25 + 2 * int(t / 15), Y, 0.0, 0.0)}
    assert len(run(users, 90.0)) == 0


@pytest.mark.parametrize(("name", "told"), [("car", 1), ("bus", 0), ("person", 0), ("truck", 1)])
def test_who_may_stop_there(name, told):
    assert len(run({1: stopping_at(40, Y, 2.0)}, 26.0, name=name)) == told


# -- queues -------------------------------------------------------------------------------------------------------


def test_a_queue_is_no_stopping():
    """The first waits outside the zone for longer than the limit, three behind it in the zone."""
    queue = {k: stopping_at(66 - 6 * k, Y, 5.0 + 2 * k, 60.0 + 2 * k) for k in range(4)}
    assert len(run(queue, 90.0)) == 0


def test_a_bus_can_be_what_a_queue_waits_for():
    queue = {1: stopping_at(60, Y, 5.0, 60.0), 2: stopping_at(48, Y, 7.0, 62.0)}
    assert len(run(queue, 80.0, options={1: {"name": "bus", "length": 11.0}})) == 0


def test_parked_one_behind_the_other():
    """The one behind came first; or the one ahead is flagged itself, and who can say whether the other waits for it?"""
    for first, second, reason in ((5.0, 12.0, QUEUE), (12.0, 5.0, NO_REASON)):
        events = run({1: stopping_at(50, Y, first), 2: stopping_at(44, Y, second)}, 60.0)
        assert {int(one["track_id"]): int(one["reason"]) for one in events} == {1: NO_REASON, 2: reason}
        assert len(events) == 2


def test_who_stays_when_the_flagged_one_ahead_has_gone_is_flagged():
    """It goes before the one behind it is due, which then is on its own for longer than a queue takes to go on."""
    events = run({1: stopping_at(50, Y, 5.0, 32.0), 2: stopping_at(44, Y, 20.0, 80.0)}, 80.0)
    assert [(one["track_id"], one["judgement"]) for one in events] == [(1, VIOLATION), (2, VIOLATION)]
    assert events["time_s"][1] - 32.0 > 8.0


def test_its_last_metre_of_braking_is_no_way_from_where_it_rests():
    """It is 0.9 m from there when it has all but stopped; then the box shakes by more than the rest of the radius."""

    def motion(time_s: float) -> tuple[float, float, float, float]:
        before = 10.0 * max(5.0 - time_s, 0.0) + (0.9 if time_s < 5.4 else 0.0)
        shake = 0.2 * np.sin(time_s) if time_s > 7.0 else 0.0
        return 40.0 - before + shake, Y, 10.0 if time_s < 5.0 else 0.0, 0.0

    events = drive(judge(), {1: motion}, 40.0, 0.25)
    assert events["since_s"].tolist() == [5.0]
    assert events["time_s"][0] == pytest.approx(25.0, abs=0.3)


@pytest.mark.parametrize(("state", "told"), [("red", 0), ("green", 1)])
def test_at_the_red(state, told):
    one = judge(signal="lamp")
    one.signals = signal_row(state, 0.0)
    assert len(run({1: stopping_at(59, Y, 2.0)}, 60.0, one)) == told


def test_who_stays_when_the_queue_has_gone_is_flagged():
    queue = {1: stopping_at(58, Y, 5.0, 40.0), 2: stopping_at(50, Y, 7.0)}
    assert run(queue, 80.0, judge(dwell_s=60.0))["track_id"].tolist() == [2]


# -- tracks that break --------------------------------------------------------------------------------------------


def test_hidden_and_born_again_it_keeps_its_time():
    """12 s, hidden for 30 s under another id, 5 s: 47 s in all."""
    one = judge(dwell_s=40.0)
    assert len(run({1: stopping_at(40, Y, 5.0)}, 17.0, one)) == 0
    one.lose(1)
    events = run({2: standing_at(40.4, Y)}, 52.0, one, start_s=47.0, birth_s=47.0)
    assert events["track_id"].tolist() == [2]
    assert events["held_s"][0] == pytest.approx(43.5, abs=1.0)
    assert events["truncated"][0] == 0  # its arrival was seen


def test_a_flagged_one_is_not_flagged_again():
    one = judge()
    assert len(run({1: stopping_at(40, Y, 5.0)}, 40.0, one)) == 1
    one.lose(1)
    assert len(run({2: standing_at(40, Y)}, 120.0, one, start_s=60.0, birth_s=60.0)) == 0


def test_after_the_memory_it_is_another():
    one = judge(memory_s=20.0)
    assert len(run({1: stopping_at(40, Y, 5.0)}, 17.0, one)) == 0
    one.lose(1)
    events = run({2: standing_at(40, Y)}, 80.0, one, start_s=47.0, birth_s=47.0)
    assert events["held_s"].tolist() == pytest.approx([20.0], abs=1.0)
    assert events["truncated"].tolist() == [1]


def test_parked_before_the_stream_began():
    events = run({1: standing_at(40, Y)}, 60.0, birth_s=0.0)
    assert events["truncated"].tolist() == [1]


def test_passing_traffic_does_not_take_the_place_over():
    """The parked car is hidden by a van that crawls past and whose track ends there."""
    one = judge(dwell_s=40.0)
    run({1: stopping_at(40, Y, 5.0)}, 17.0, one)
    one.lose(1)
    assert len(run({2: passing(-5, Y + 0.5, 2.0)}, 50.0, one, start_s=17.5, birth_s=10.0)) == 0


def test_an_uncertain_track_is_told_as_such():
    events = run({1: stopping_at(40, Y, 5.0)}, 60.0, score=0.3)
    assert [(e["judgement"], e["reason"]) for e in events] == [(CANNOT_JUDGE, IDENTITY)]
