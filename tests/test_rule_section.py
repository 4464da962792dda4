"""Vehicles through a stretch of road: what Edie's definitions need, exactly, whatever the frame rate."""

from __future__ import annotations

import math

import naive_stretch as naive
import numpy as np
import pytest
from standrows import RoadJudge, box, drive, passing, random_road, road_row, road_scene, same_events, stopping_at

from kernels.records import CAMERA_BLIND
from kernels.stretch import (
    RUN,
    piece_event,
    run_enter,
    run_reset,
    run_speed_mps,
    run_stand,
    stretch_axis,
    stretch_length_m,
    zone_part,
)

#: A lane along x from 20 m to 120 m.
LANE = {"a/a": (box(20, 0, 120, 3.5), (1, 0))}


def section(**config) -> RoadJudge:
    return RoadJudge("section", road_scene(lanes=LANE), lane="a/a", **config)


@pytest.mark.parametrize("step_s", [0.04, 0.1, 0.5, 1.0])
def test_a_passage_at_any_frame_rate(step_s):
    events = drive(section(), {1: passing(0.0, 1.75, 10.0, last_s=15.0)}, 16.0, step_s)
    assert len(events) == 1
    event = events[0]
    assert (event["entry_s"], event["time_s"]) == pytest.approx((2.0, 12.0), abs=0.001)
    assert (event["distance_m"], event["inside_s"]) == pytest.approx((100.0, 10.0), abs=0.01)
    assert (event["begins"], event["ends"], event["truncated"], event["stops"], event["stop_s"]) == (1, 1, 0, 0, 0)


@pytest.mark.parametrize("step_s", [0.1, 0.7])
def test_pieces_by_interval_add_up_to_the_passage(step_s):
    events = drive(section(interval_s=3.5), {1: passing(0.0, 1.75, 10.0, last_s=15.0)}, 16.0, step_s)
    assert events["time_s"].tolist() == pytest.approx([3.5, 7, 10.5, 12], abs=0.001)
    assert events["distance_m"].tolist() == pytest.approx([15, 35, 35, 15], abs=0.01)
    assert events["inside_s"].tolist() == pytest.approx([1.5, 3.5, 3.5, 1.5], abs=0.001)
    assert (events["begins"].tolist(), events["ends"].tolist()) == ([1, 0, 0, 0], [0, 0, 0, 1])
    assert len(set(events["entry_s"].tolist())) == 1


def test_a_boundary_within_the_step_of_entry_is_not_missed():
    events = drive(section(interval_s=2.2), {1: passing(0.0, 1.75, 10.0, last_s=15.0)}, 16.0, 0.5)
    assert events["time_s"][0] == pytest.approx(2.2)
    assert events["inside_s"][0] == pytest.approx(0.2, abs=0.001)


def test_stops_and_the_time_that_they_last():
    motion = stopping_at(80.0, 1.75, 8.0, 20.0)
    event = drive(section(), {1: motion}, 30.0, 0.1)[0]
    assert (event["stops"], event["stop_s"]) == (1, pytest.approx(12.0, abs=0.15))
    assert event["inside_s"] == pytest.approx(22.0, abs=0.01)
    assert event["distance_m"] == pytest.approx(100.0, abs=0.01)


def test_a_creep_between_is_one_stop_and_a_start_makes_it_two():
    def rows(creep: float) -> list[np.ndarray]:
        x, found = 30.0, []
        for k in range(100):
            speed = 0.0 if k < 30 or 50 <= k < 70 else creep if k < 50 else 20.0
            x += speed * 0.1
            found.append(road_row(1, 0.1 * k, (x, 1.75), (speed, 0.0)))
        return found

    for creep, stops in ((2.0, 1), (3.0, 2)):  # 10 km/h are 2.8 m/s
        rule = section()
        events = np.concatenate([*(rule.at(float(row["time_s"][0]), [row]) for row in rows(creep)), rule.end()])
        assert events["stops"].sum() == stops


def test_one_that_is_first_or_last_seen_inside_is_truncated():
    rule = section()
    events = np.concatenate([drive(rule, {1: passing(50.0, 1.75, 10.0)}, 4.0, 0.1), rule.end()])
    assert events["truncated"].tolist() == [3]
    assert events["distance_m"][0] == pytest.approx(40.0, abs=0.1)
    rule = section()
    events = drive(rule, {1: passing(50.0, 1.75, 10.0, last_s=9.0)}, 10.0, 0.1)
    assert events["truncated"].tolist() == [1]
    events = np.concatenate([drive(section(), {1: passing(0.0, 1.75, 10.0, last_s=5.0)}, 6.0, 0.1)])
    assert events["truncated"].tolist() == [2]


def test_a_suspension_and_a_gap_cut_a_passage():
    rule = section()
    found = [drive(rule, {1: passing(0.0, 1.75, 10.0)}, 5.0, 0.1)]
    for k in range(1, 30):
        row = road_row(1, 5 + 0.1 * k, (50.0 + k, 1.75), (10.0, 0.0))
        found.append(rule.at(5 + 0.1 * k, [row], CAMERA_BLIND if k < 10 else 0))
    events = np.concatenate([*found, rule.end()])
    assert events["truncated"].tolist() == [2, 3]
    assert events["reason"].tolist() == [CAMERA_BLIND, 0]
    assert events["time_s"][0] == pytest.approx(5.0)
    rule = section()
    found = [drive(rule, {1: passing(0.0, 1.75, 2.0)}, 12.0, 0.1)]
    found.append(rule.at(20.0, [road_row(1, 20.0, (40.0, 1.75), (2.0, 0.0))]))
    assert np.concatenate([*found, rule.end()])["truncated"].tolist() == [2, 3]


def test_a_row_without_a_place_on_the_road_says_nothing():
    rule, found = section(), []
    for k in range(150):
        row = road_row(1, 0.1 * k, (1.0 * k, 1.75), (10.0, 0.0))
        if k % 7 == 3:
            row["front_x_m"] = np.nan
        found.append(rule.at(0.1 * k, [row]))
    event = np.concatenate(found)[0]
    assert (event["distance_m"], event["inside_s"]) == pytest.approx((100.0, 10.0), abs=0.01)


def test_a_zone_is_measured_along_its_longer_side_in_both_directions():
    rule = RoadJudge("section", road_scene(zones={"z": box(20, 0, 120, 7)}), zone="z")
    users = {1: passing(0.0, 1.75, 10.0, last_s=15.0), 2: passing(150.0, 5.0, -10.0, last_s=15.0)}
    events = drive(rule, users, 17.0, 0.1)
    assert sorted(np.round(events["distance_m"], 2).tolist()) == [-100.0, 100.0]
    assert events["zone"].tolist() == [0, 0]
    assert events["lane"].tolist() == [-1, -1]


def test_a_slot_that_is_used_again_inherits_nothing():
    rule = section()
    rule.at(1.0, [road_row(1, 1.0, (50.0, 1.75), (10.0, 0.0))])
    del rule.seen[1]
    events = rule.at(1.1, [road_row(257, 1.1, (130.0, 1.75), (10.0, 0.0))])
    assert len(events) == 0


def test_edie_is_exact_for_flow_density_and_speed():
    """Over a whole region q = k v, and the speed is distance over time, as a plain sum over the courses says."""
    rng = np.random.default_rng(4)
    speeds = rng.uniform(5.0, 20.0, 12)
    users = {k + 1: passing(-60.0 - 40 * k, 1.75, float(v), last_s=100.0) for k, v in enumerate(speeds)}
    rule = section(interval_s=10.0)
    events = np.concatenate([drive(rule, users, 60.0, 0.2), rule.end()])
    length_m = stretch_length_m(rule.prepared.settings[0]["place"])
    assert length_m == pytest.approx(100.0)
    for begin_s in (10.0, 20.0, 30.0):
        chosen = events[(events["time_s"] > begin_s) & (events["time_s"] <= begin_s + 10.0)]
        d, t = float(chosen["distance_m"].sum()), float(chosen["inside_s"].sum())
        expected_d, expected_t = 0.0, 0.0
        for k, v in enumerate(speeds):
            entry_s, exit_s = (80 + 40 * k) / v, (180 + 40 * k) / v
            inside_s = max(min(exit_s, begin_s + 10.0) - max(entry_s, begin_s), 0.0)
            expected_t += inside_s
            expected_d += inside_s * v
        assert (d, t) == pytest.approx((expected_d, expected_t), rel=2e-3)
        flow, density = d / (length_m * 10.0), t / (length_m * 10.0)
        assert flow == pytest.approx(density * (d / t), rel=1e-12)


@pytest.mark.parametrize("config", [{"lane": "x"}, {}, {"lane": "a/a", "zone": "z"}, {"lane": "a/a", "go_kmh": 3.0}])
def test_a_stretch_is_one_place(config):
    rule = section().rule
    if config == {"lane": "x"}:
        with pytest.raises(ValueError, match="not in"):
            rule.prepare(rule.config(type="section", name="x", **config), road_scene(lanes=LANE))
    else:
        with pytest.raises(ValueError, match="allowed"):
            rule.config(type="section", name="x", **config)


@pytest.mark.parametrize("seed", range(4))
def test_random_traffic_like_the_twin(seed):
    rng = np.random.default_rng(seed)
    rule = RoadJudge(
        "section", road_scene(lanes={"a/a": ([(30, 0), (75, 0), (70, 3.6), (35, 3.3)], (1, 0))}), lane="a/a",
        interval_s=float(rng.choice([1.0, 4.0, 10.0])),
    )  # fmt: skip
    memory, n, truncated = {}, 0, set()
    for time_s, tracks in random_road(rng, 300):
        for row in tracks:
            if rng.random() < 0.2:
                row["speed_mps"] = np.nan
        clock = rule.clock(time_s, int(rng.integers(1, 4)) * (rng.random() < 0.02))
        events = rule(tracks, clock)
        same_in_order(events, naive.section_step(memory, tracks, clock, rule.prepared.settings))
        n += len(events)
        truncated |= set(events["truncated"].tolist())
    assert n > 14
    assert {0, 2} <= truncated


def same_in_order(events: np.ndarray, twins: list[dict]) -> None:
    assert len(events) == len(twins)
    for event, twin in zip(events, twins, strict=True):
        same_events(np.array([event], events.dtype), [twin])


def test_the_parts_of_a_passage_like_their_twins_by_hand():
    place = section().prepared.settings[0]["place"]
    for p, q in (((10.0, 1.0), (30.0, 1.0)), ((110.0, 2.0), (130.0, 3.0))):
        assert zone_part(place, *p, *q) == pytest.approx(naive.zone_part(place, *p, *q), abs=3e-4)
    run, twin = np.zeros(1, RUN)[0], naive.run_reset()
    run_reset(run)
    row = road_row(1, 2.0, (30.0, 1.75), (0.5, 0.0), speed_mps=np.nan)[0]
    assert math.isnan(run_speed_mps(run, row, 30.0, 1.75))
    assert math.isnan(naive.run_speed_mps(twin, row, 30.0, 1.75))
    run["known"], run["time_s"], run["x_m"], run["y_m"] = 1, 1.0, 29.0, 1.75
    twin.last = (1.0, 29.0, 1.75, 29.0)
    assert run_speed_mps(run, row, 30.0, 1.75) == naive.run_speed_mps(twin, row, 30.0, 1.75) == 1.0
    run_enter(run, 1.5, 29.5, True)
    passage = naive.run_enter(1.5, 29.5, True)
    run_stand(run, 1.0, 0.5, 1.4, 2.8)
    naive.run_stand(passage, 1.0, 0.5, 1.4, 2.8)
    out = np.zeros(1, section().rule.event)
    piece_event(run, out[0], row, 2.0, 30.0)
    for name, value in naive.piece_event(passage, row, 2.0, 30.0).items():
        assert out[0][name] == pytest.approx(value), name


def test_the_length_of_a_stretch():
    slanted = [(20, 0), (120, 0), (116, 4), (16, 4)]
    scene = road_scene(lanes={"a/a": (slanted, (1, 0))}, zones={"z": slanted})
    assert stretch_length_m(scene.lane_rows[0]) == pytest.approx(100.0)
    assert stretch_axis(scene.zone_rows[0]) == pytest.approx((1.0, 0.0))
    assert stretch_length_m(scene.zone_rows[0]) == pytest.approx(100.0)
    scene.zone_rows["m"] = np.nan
    assert math.isnan(stretch_length_m(scene.zone_rows[0]))
