"""Vehicles at a line: headways add up to the time between the first and the last, and never reach over a gap."""

from __future__ import annotations

import naive_spots as naive
import numpy as np
import pytest
from roadrows import (
    LANE_FIELDS,
    PX_PER_M,
    box_m,
    drive,
    every,
    random_road_rows,
    road_line,
    road_scene,
    straight,
    zone_row,
)
from trackrows import signal_row
from traffic import instant

from kernels.records import CAMERA_BLIND, DIRECTIONS, MAX_TRACKS, TRACK
from kernels.rules import REGISTRY
from kernels.spots import FRONTS, PASSAGES, lane_of_crossing, passage_add, passage_leader, passages_reset

#: Traffic comes along x in two lanes, and the line is at x = 20 m.
LANES = {
    "a/left": zone_row(box_m(0, 0, 20, 4), (1, 0)),
    "a/right": zone_row(box_m(0, 4, 20, 8), (1, 0)),
}
STOP = {"stop": road_line(20, 0, 20, 8, (1, 0)), "both": road_line(20, 0, 20, 8)}


class Spot:
    """The rule on rows that come at the times of their own."""

    def __init__(self, ground: bool = True, **config) -> None:
        self.rule = REGISTRY["spot"]
        scene = road_scene(LANES, lines=STOP, ground=ground)
        config = {"line": "stop", "lanes": ("a/left", "a/right"), **config}
        self.prepared = self.rule.prepare(self.rule.config(type="spot", name="x", **config), scene)
        self.out = np.zeros(MAX_TRACKS * len(self.prepared.settings), self.rule.event)
        self.time_s: float | None = None

    def step(self, rows: np.ndarray, time_s: float, suspended: int = 0, last: int = 0) -> np.ndarray:
        clock = instant(time_s, 0.0 if self.time_s is None else time_s - self.time_s)
        clock["suspended"], clock["last"] = suspended, last
        self.time_s, self.clock = time_s, clock[0]
        n = self.rule.step(rows, clock[0], signal_row("green", 0.0), *self.prepared, self.out)
        return self.out[:n].copy()

    def all_of(self, *drives: list[np.ndarray], suspended=lambda time_s: 0, leave_out=(1e9, 1e9)) -> np.ndarray:
        rows = np.concatenate([row for one in drives for row in one])
        found = []
        for time_s in np.unique(rows["time_s"]):
            if not leave_out[0] < time_s < leave_out[1]:
                now = rows[rows["time_s"] == time_s]
                for part in (now[now["flags"] & 2 == 0], now[now["flags"] & 2 != 0]):
                    if len(part):
                        found.append(self.step(part, float(time_s), suspended(time_s)))
        return np.concatenate(found)


def car(number: int, at_line_s: float, speed: float = 10.0, y: float = 2.0, length_m: float = 4.0, **more):
    """A car whose front is over the line at a time."""
    rear = straight((20.0 - length_m - speed * at_line_s, y), (speed, 0.0))
    times = every(0.1, at_line_s + 2.0, at_line_s - 1.5)
    return drive(number, rear, times, length_m=length_m, **more)


@pytest.mark.parametrize("step_s", [0.04, 0.1, 0.2])
def test_front_rear_speed_and_length(step_s):
    rear = straight((0.0, 2.0), (10.0, 0.0))
    event = Spot().all_of(drive(1, rear, every(step_s, 4.0), length_m=4.0))
    assert len(event) == 1
    assert event["time_s"][0] == pytest.approx(1.6, abs=0.01)
    assert event["passage_s"][0] == pytest.approx(0.4, abs=0.01)
    assert (event["speed_mps"][0], event["length_m"][0]) == pytest.approx((10.0, 4.0), abs=0.01)
    assert (event["lane"][0], DIRECTIONS[event["direction"][0]]) == (0, "with_flow")
    assert np.isnan(event["headway_s"][0])
    assert np.isnan(event["gap_s"][0])


def test_headways_and_gaps_of_one_lane_only():
    found = Spot().all_of(car(1, 3.0), car(2, 4.0, y=6.0), car(3, 5.5), car(4, 6.5, y=6.0), car(5, 7.0, speed=8.0))
    found = found[np.argsort(found["time_s"])]
    assert found["track_id"].tolist() == [1, 2, 3, 4, 5]
    assert found["lane"].tolist() == [0, 1, 0, 1, 0]
    assert found["headway_s"].tolist() == pytest.approx([np.nan, np.nan, 2.5, 2.5, 1.5], abs=0.01, nan_ok=True)
    assert found["gap_s"].tolist() == pytest.approx([np.nan, np.nan, 2.1, 2.1, 1.1], abs=0.02, nan_ok=True)


def test_the_mean_headway_is_that_of_the_flow():
    rng = np.random.default_rng(5)
    times = 3.0 + np.cumsum(rng.uniform(1.2, 4.0, 30))
    found = Spot(lanes=()).all_of(*[car(1 + k, float(at)) for k, at in enumerate(times)])
    headways = found["headway_s"][~np.isnan(found["headway_s"])]
    assert len(headways) == 29
    flow = 3600 * 29 / (times[-1] - times[0])
    assert headways.mean() == pytest.approx(3600 / flow, rel=1e-3)


def test_no_headway_over_a_gap_or_a_suspension():
    drives = [car(1, 3.0), car(2, 5.0), car(3, 9.0), car(4, 11.0)]
    found = Spot().all_of(*drives, leave_out=(6.5, 8.2))
    assert np.isnan(found["headway_s"]).tolist() == [True, False, True, False]
    found = Spot().all_of(*drives, suspended=lambda t: CAMERA_BLIND if 7.55 < t < 7.75 else 0)
    assert np.isnan(found["headway_s"]).tolist() == [True, False, True, False]
    assert found["reason"].tolist() == [0, 0, 0, 0]


def test_no_headway_to_the_stream_before():
    rule = Spot()
    rule.all_of(car(1, 3.0))
    rule.step(np.zeros(0, TRACK), 5.0, last=1)
    assert np.isnan(rule.all_of(car(2, 8.0))["headway_s"][0])


def test_without_a_length_there_is_a_headway_but_no_gap():
    found = Spot().all_of(car(1, 3.0, length_m=0.0), car(2, 5.0, length_m=0.0))
    assert found["headway_s"][1] == pytest.approx(2.0, abs=0.01)
    assert np.isnan(found["gap_s"]).all()
    assert np.isnan(found["passage_s"]).all()
    assert np.isnan(found["length_m"]).all()


def test_without_a_ground_there_is_no_speed_but_a_gap():
    rows = [
        drive(
            k,
            straight((-4.0 - 10 * at + 20, 2.0), (10.0, 0.0)),
            every(0.1, at + 2, at - 1.5),
            ground=False,
            length_m=4.0,
        )
        for k, at in ((1, 3.0), (2, 5.0))
    ]
    found = Spot(ground=False).all_of(*rows)
    assert np.isnan(found["speed_mps"]).all()
    assert found["gap_s"][1] == pytest.approx(1.6, abs=0.02)


def test_who_is_lost_on_the_line_is_counted_without_a_rear():
    found = Spot().all_of(drive(1, straight((0.0, 2.0), (10.0, 0.0)), every(0.1, 1.85), length_m=4.0))
    assert len(found) == 1
    assert np.isnan(found["passage_s"][0])


def test_against_the_flow_and_other_classes_are_not_measured():
    back = straight((40.0, 2.0), (-10.0, 0.0))
    assert len(Spot().all_of(drive(1, back, every(0.1, 4.0), length_m=4.0))) == 0
    assert len(Spot(line="both").all_of(drive(1, back, every(0.1, 4.0), length_m=4.0))) == 1
    assert len(Spot().all_of(car(1, 3.0, class_id=5))) == 0


def test_a_slot_that_is_used_again_inherits_nothing():
    rule = Spot()
    first = drive(1, straight((0.0, 2.0), (10.0, 0.0)), every(0.1, 1.7), length_m=4.0, ends=False)
    rule.all_of(first)
    second = drive(2, straight((22.0, 2.0), (10.0, 0.0)), every(0.1, 4.0, 2.0), length_m=4.0, slot=1)
    assert len(rule.all_of(second)) == 0


def assert_like(events: np.ndarray, twins: list[dict]) -> None:
    assert len(events) == len(twins)
    for event, twin in zip(events, twins, strict=True):
        assert set(twin) == set(event.dtype.names) - LANE_FIELDS
        for name, value in twin.items():
            assert np.allclose(event[name], value, rtol=1e-4, atol=2e-3, equal_nan=True), (name, event[name], value)


@pytest.mark.parametrize(("seed", "ground"), [(1, True), (2, False), (3, True)])
def test_random_courses_like_the_twin(seed, ground):
    rng = np.random.default_rng(seed)
    lanes = {"a/left": zone_row(box_m(0, 0, 10, 9.8), (0, 1)), "a/right": zone_row(box_m(10, 0, 20, 9.8), (0, 1))}
    scene = road_scene(lanes, lines={"stop": road_line(4, 10, 16, 10.5)}, ground=ground)
    rule = REGISTRY["spot"]
    config = rule.config(type="spot", name="x", line="stop", lanes=tuple(lanes), settle_s=0.05 * (seed % 3))
    prepared = rule.prepare(config, scene)
    out = np.zeros(MAX_TRACKS * 2, rule.event)
    memory, seen, before_s = {}, [], None
    for time_s, rows, suspended in random_road_rows(rng, 320, ground):
        clock = instant(time_s, 0.0 if before_s is None else time_s - before_s)
        clock["suspended"] = suspended
        before_s = time_s
        n = rule.step(rows, clock[0], signal_row("green", 0.0), *prepared, out)
        assert_like(out[:n], naive.spot_step(rows, clock[0], prepared.settings, memory))
        seen += [tuple(np.isnan([row["headway_s"], row["gap_s"]])) for row in out[:n]]
    assert len(seen) > 15
    assert {(True, True), (False, False)} <= set(seen)


def test_leaders_like_their_twins():
    ours, twin = np.zeros(1, PASSAGES)[0], naive.passages_reset()
    rng = np.random.default_rng(3)
    for k in range(FRONTS + 60):
        front_s, lane, way = float(rng.uniform(0, 9) + k), int(rng.integers(-1, 2)), int(rng.choice([-1, 1]))
        found = passage_leader(ours, front_s, lane, way)
        assert found == pytest.approx(naive.passage_leader(twin, front_s, lane, way), nan_ok=True)
        at = passage_add(ours, k, front_s, lane, way)
        one = naive.passage_add(twin, k, front_s, lane, way)
        ours["row"][at]["rear_s"] = one.rear_s = front_s + 0.5
    passages_reset(ours)
    assert np.isnan(passage_leader(ours, 1e9, 0, 1)).all()


def test_the_lane_of_a_crossing_like_its_twin():
    settings = Spot().prepared.settings
    row = car(1, 3.0)[0][0]
    for x, y in ((20.0, 2.0), (20.4, 6.0), (19.0, 6.0), (30.0, 2.0)):
        crossing = {"x_px": x * PX_PER_M, "y_px": y * PX_PER_M}
        spot = np.zeros(1, [("x_px", "f4"), ("y_px", "f4")])[0]
        spot["x_px"], spot["y_px"] = crossing["x_px"], crossing["y_px"]
        line = settings[0]["line"]
        expected = naive.lane_of_crossing(settings, (crossing["x_px"], crossing["y_px"]), line, row, 1)
        assert lane_of_crossing(settings, spot, line, row, 1) == expected
