"""The queue before a stop line: who is in it, how far back it reaches, and that its least is called the least."""

from __future__ import annotations

from types import SimpleNamespace

import naive_queues as naive
import numpy as np
import pytest
from roadrows import road_line
from standrows import SCALE, RoadJudge, box, drive, random_road, road_row, road_scene, same_events, stopping_at
from trackrows import signal_row

from kernels.queues import (
    MEMBER,
    QUEUE,
    member_step,
    queue_begin,
    queue_clear,
    queue_cycle,
    queue_event,
    queue_sum,
)
from kernels.records import AT_EDGE, CAMERA_MOVED, LINE, MOMENTS, STREAM_GAP

#: A lane along x from 0 m to the stop line at 100 m.
LANE = {"a/a": (box(0, 0, 100, 3.5), (1, 0))}


def scene(lane=LANE):
    line = road_line(100, 0, 100, 3.5, (1, 0))
    for name in ("x1_px", "y1_px", "x2_px", "y2_px"):
        line[name] *= SCALE / 10
    made = road_scene(lanes=lane, zones={"z": lane["a/a"][0]}, signals=("lamp",))
    made.line_names, made.lines = ("stop",), np.array(line, LINE)
    return made


def queue(**config) -> RoadJudge:
    return RoadJudge("queue", scene(), line="stop", **{"lane": "a/a", **config})


def waiting(n: int, first_s: float = 10.0, go_s: float = 1e9) -> dict:
    """Return n cars of 4.5 m that come to stand 7.5 m apart before the line, 2 s one after the other."""
    return {
        k + 1: stopping_at(99.0 - 7.5 * k, 1.75, first_s + 2.0 * k, go_s + 2.0 * k if go_s < 1e9 else 1e9)
        for k in range(n)
    }


def told(events: np.ndarray, moment: str = "interval") -> np.ndarray:
    return events[events["moment"] == MOMENTS.index(moment)]


def test_vehicles_and_metres_by_interval():
    events = told(drive(queue(interval_s=10.0), waiting(5), 40.0, 0.2))
    assert events["time_s"].tolist() == pytest.approx([10, 20, 30, 40])
    assert events["vehicles"].tolist() == [0, 5, 5, 5]
    assert events["vehicles_max"].tolist() == [0, 5, 5, 5]
    assert events["back_m"][2] == pytest.approx(100 - (99 - 30 - 4.5), abs=0.01)
    assert events["mean_vehicles"].tolist()[2] == pytest.approx(5.0)
    # The k-th stands from 10 + 2 k s on and queues a second later.
    assert events["mean_vehicles"].tolist()[1] == pytest.approx(sum(9 - 2 * k for k in range(5)) / 10, abs=0.15)
    assert events["truncated"].tolist() == [0, 0, 0, 0]


def test_the_most_of_an_interval_is_not_what_is_left_at_its_end():
    events = told(drive(queue(interval_s=60.0), waiting(4, go_s=30.0), 60.0, 0.2))
    assert (events["vehicles"][0], events["vehicles_max"][0]) == (0, 4)
    assert events["back_max_m"][0] == pytest.approx(100 - (99 - 22.5 - 4.5), abs=0.01)


def test_a_vehicle_that_stands_for_less_than_a_second_does_not_queue():
    events = drive(queue(interval_s=10.0), {1: stopping_at(99.0, 1.75, 5.0, 5.8)}, 10.0, 0.1)
    assert events["vehicles_max"].tolist() == [0]


def test_it_leaves_at_speed_only():
    rule, found = queue(interval_s=1.0), []
    x = 50.0
    for k in range(140):
        speed = 0.0 if k < 40 else 2.5 if k < 80 else 4.0  # 9 km/h, then 14
        x += 0.1 * speed
        found.append(rule.at(0.1 * k, [road_row(1, 0.1 * k, (x, 1.75), (speed, 0.0))]))
    assert [int(n) for n in np.concatenate(found)["vehicles"]] == [0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]


def test_the_threshold_to_halt_may_be_that_of_sumo():
    for halt_kmh, n in ((5.0, 1), (0.36, 0)):
        rule = queue(interval_s=5.0, halt_kmh=halt_kmh)
        rows = [rule.at(0.1 * k, [road_row(1, 0.1 * k, (50 + 0.05 * k, 1.75), (0.5, 0.0))]) for k in range(60)]
        assert np.concatenate(rows)["vehicles_max"].tolist() == [n]


def test_beyond_the_line_or_in_the_next_lane_nobody_queues():
    for x, y in ((104.0, 1.75), (50.0, 5.0)):
        rule = queue(interval_s=5.0)
        rows = [rule.at(0.1 * k, [road_row(1, 0.1 * k, (x, y))]) for k in range(60)]
        assert np.concatenate(rows)["vehicles_max"].tolist() == [0]
    rule = queue(interval_s=5.0)  # its front is over the line, the car is not
    rows = [rule.at(0.1 * k, [road_row(1, 0.1 * k, (101.0, 1.75))]) for k in range(60)]
    assert np.concatenate(rows)["vehicles_max"].tolist() == [1]


@pytest.mark.parametrize("far", [True, False])
def test_a_queue_to_the_edge_of_view_is_the_least(far):
    rule = queue(interval_s=5.0)
    at = 8.0 if far else 60.0
    rows = [rule.at(0.1 * k, [road_row(1, 0.1 * k, (at, 1.75), flags=1 | (0 if far else AT_EDGE))]) for k in range(60)]
    assert np.concatenate(rows)["truncated"].tolist() == [1]


def test_cycles():
    rule, found = queue(signal="lamp", interval_s=3600.0), []
    users = waiting(4, 10.0, go_s=30.0)
    for k in range(500):
        time_s = 0.1 * k
        if time_s < 28.0:
            signal = signal_row("red", 3.0, "green", -20.0) if time_s >= 3.0 else signal_row("green", -20.0)
        elif time_s < 35.0:
            signal = signal_row("green", 28.05, "red", 3.0)
        else:
            signal = signal_row("red", 35.02, "green", 28.05)
        rows = []
        for number, motion in users.items():
            x, y, vx, vy = motion(time_s)
            rows.append(road_row(number, time_s, (x, y), (vx, vy)))
        found.append(rule.at(time_s, rows, signals=signal))
    events = np.concatenate(found)
    greens, reds = told(events, "green"), told(events, "red")
    assert greens["time_s"].tolist() == pytest.approx([28.05], abs=0.06)
    assert reds["time_s"].tolist() == pytest.approx([3.0, 35.02], abs=0.06)
    assert (greens["vehicles"][0], greens["vehicles_max"][0]) == (4, 4)
    assert (reds["vehicles"].tolist(), reds["vehicles_max"].tolist()) == ([0, 1], [0, 4])  # the last goes at 36 s
    assert np.isnan(greens["mean_vehicles"]).all()


def test_a_suspension_and_a_gap_are_not_observed():
    rule, found = queue(interval_s=10.0), []
    for k in range(300):
        reason = CAMERA_MOVED if 100 < k <= 150 else 0
        found.append(rule.at(0.1 * k, [road_row(1, 0.1 * k, (90.0, 1.75))], reason))
    events = np.concatenate(found)
    assert events["observed_s"].tolist() == pytest.approx([10.0, 5.0], abs=0.01)
    assert events["reason"].tolist() == [0, CAMERA_MOVED]
    assert events["mean_vehicles"][1] == pytest.approx((5 - 1.1) / 5, abs=0.03)
    found = [rule.at(45.0, [road_row(1, 45.0, (90.0, 1.75))]), rule.end()]
    events = np.concatenate(found)
    assert events["reason"].tolist()[0] == STREAM_GAP
    assert np.isnan(events["mean_vehicles"][1])


def test_a_slot_that_is_used_again_inherits_nothing():
    rule = queue(interval_s=5.0)
    for k in range(30):
        rule.at(0.1 * k, [road_row(1, 0.1 * k, (90.0, 1.75))])
    del rule.seen[1]
    found = [rule.at(0.1 * k, [road_row(257, 0.1 * k, (90.0, 1.75))]) for k in range(30, 35)]
    found += [rule.end()]
    assert np.concatenate(found)["vehicles"].tolist() == [0]


@pytest.mark.parametrize("seed", range(4))
def test_random_traffic_like_the_twin(seed):
    rng = np.random.default_rng(seed)
    signal = "lamp" if seed % 2 else None
    rule = queue(
        signal=signal, interval_s=float(rng.choice([2.0, 7.0])), **({"lane": None, "zone": "z"} if seed == 3 else {})
    )
    memory, n, most, colour, since_s = {}, 0, 0, "red", 0.0
    for time_s, tracks in random_road(rng, 250):
        for row in tracks:
            if rng.random() < 0.1:
                row["speed_mps"] = np.nan
            if rng.random() < 0.03:
                row["front_x_m"] = np.nan
        if rng.random() < 0.1:
            colour, since_s = str(rng.choice(["red", "green", "amber", "unknown"])), time_s
        signals = signal_row(colour, since_s)
        clock = rule.clock(time_s, int(rng.integers(1, 4)) * (rng.random() < 0.03))
        events = rule(tracks, clock, signals)
        same_in_order(events, naive.queue_step(memory, tracks, clock, signals, rule.prepared.settings))
        n += len(events)
        most = max(most, *events["vehicles_max"].tolist(), 0)
    clock = rule.clock(time_s, last=1)
    events = rule(tracks[:0], clock)
    same_in_order(events, naive.queue_step(memory, tracks[:0], clock, signals, rule.prepared.settings))
    assert n > 8
    assert most >= 2


def same_in_order(events: np.ndarray, twins: list[dict]) -> None:
    assert len(events) == len(twins)
    for event, twin in zip(events, twins, strict=True):
        same_events(np.array([event], events.dtype), [twin])


def test_the_parts_of_a_queue_like_their_twins_by_hand():
    settings = queue().prepared.settings
    ours, member, rows = np.zeros(1, QUEUE)[0], np.zeros(1, MEMBER)[0], []
    twin = SimpleNamespace()
    queue_clear(ours)
    naive.queue_clear(twin)
    queue_begin(ours)
    naive.queue_begin(twin)
    queue_cycle(ours)
    naive.queue_cycle(twin)
    for k in range(15):
        row = road_row(1, 0.1 * k, (60.0, 1.75))[0]
        member_step(member, settings[0], row)
        found = naive.member_step(rows, settings[0], row)
        assert (member["queued"] != 0) == (found is not None)
    assert member["back_m"] == pytest.approx(found[0])
    ours["member"][1] = member
    twin.queued[1] = found
    queue_sum(ours, 100.0)
    naive.queue_sum(twin, 100.0)
    out = np.zeros(1, queue().rule.event)
    queue_event(ours, out[0], 3.0, 1)
    for name, value in naive.queue_event(twin, 3.0, 1).items():
        assert out[0][name] == pytest.approx(value, nan_ok=True), name


@pytest.mark.parametrize("config", [{"lane": None}, {"lane": "a/a", "zone": "z"}, {"go_kmh": 1.0}])
def test_a_queue_is_in_one_place(config):
    with pytest.raises(ValueError, match="allowed"):
        queue(**config)
