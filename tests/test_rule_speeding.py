"""Speeding: by how much and for how long, what it says of a doubtful speed, and the rule against its twin."""

from __future__ import annotations

import math

import msgspec
import naive_lanes
import naive_speed as naive
import numpy as np
import pytest
from naive_heading import numbers
from roadrows import (
    Court,
    box_m,
    drive,
    every,
    random_road_rows,
    road_line,
    road_scene,
    same_events,
    straight,
    zone_row,
)
from traffic import instant

from kernels.fast import FAST, fast_best, fast_reset, fast_step, over_limit_mps
from kernels.records import CALIBRATION, CAMERA_MOVED, CANNOT_JUDGE, CLASSES, ENDED, IDENTITY, VIOLATION
from kernels.rules.speeding import EVENT, RULE, Config


def place(**more):
    """A lane of 100 m, a zone over its second half, and a line at its end."""
    lanes = {"n/1": zone_row(box_m(0, 0, 4, 100), (0, -1))}
    zones = {"half": zone_row(box_m(-2, 0, 8, 50)), "other": zone_row(box_m(20, 0, 30, 50))}
    return road_scene(lanes, zones, {"end": road_line(-5, 20, 9, 20, (0, -1))}, **more)


def drive_at(kmh: float, step_s: float = 0.04, sd_kmh: float = 1.0, **more) -> list[np.ndarray]:
    """Up the lane from 95 m to 5 m; the speed is what it is said to be."""
    rows = drive(1, straight((2.0, 95.0), (0.0, -kmh / 3.6)), every(step_s, 90 * 3.6 / kmh), **more)
    for row in rows:
        row["speed_sd_mps"] = sd_kmh / 3.6
    return rows


def judged(rows, scene=None, **config) -> np.ndarray:
    return Court("speeding", scene or place(), **config).all_of(rows)


WHERE = [{}, {"lanes": ("n/1",)}, {"zones": ("half", "other")}, {"line": "end"}]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(("kmh", "step_s"), [(58.0, 0.2), (58.0, 1 / 12), (58.0, 0.04), (90.0, 1 / 30)])
def test_too_fast_is_flagged_once(where, kmh, step_s):
    observations = {"observations_min": 10} if step_s == 0.2 and "zones" in where else {}
    events = judged(drive_at(kmh, step_s), **where, **observations)
    assert events["judgement"].tolist() == [VIOLATION]
    event = events[0]
    assert event["speed_mps"] == pytest.approx(kmh / 3.6, rel=1e-5)
    assert event["margin_mps"] == pytest.approx((kmh - 2.0 - 50.0 - 3.0) / 3.6, abs=1e-4)
    assert event["limit_mps"] == pytest.approx(50 / 3.6)
    assert event["over_m"] >= 10.0
    assert event["observations"] >= 10
    at = {name: int(event[name]) for name in ("line", "zone", "lane")}
    expected = {"lanes": {"lane": 0}, "zones": {"zone": 0}, "line": {"line": 0}}.get(next(iter(where), ""), {})
    assert at == {"line": -1, "zone": -1, "lane": -1} | expected


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(
    ("kmh", "sd_kmh", "flagged"),
    [(54.9, 0.0, 1), (52.9, 0.0, 0), (56.9, 2.0, 0), (57.2, 2.0, 1), (49.0, 0.0, 0)],
)
def test_limit_tolerance_and_two_deviations(where, kmh, sd_kmh, flagged):
    assert len(judged(drive_at(kmh, sd_kmh=sd_kmh), **where)) == flagged


@pytest.mark.parametrize(("kmh", "flagged"), [(123.5, 0), (124.0, 1)])
def test_above_a_hundred_the_tolerance_is_a_share(kmh, flagged):
    assert len(judged(drive_at(kmh, 0.02, sd_kmh=0.0), limit_kmh=120.0)) == flagged


@pytest.mark.parametrize(
    ("fast_s", "step_s", "flagged"), [(0.5, 0.02, 0), (0.7, 0.02, 1), (0.5, 0.04, 0), (0.66, 0.04, 1), (1.2, 0.1, 0)]
)
def test_a_short_peak_is_no_speeding(fast_s, step_s, flagged):
    """10 m at 60 km/h are 0.6 s; at ten frames a second 15 observations are 1.5 s."""
    rows = drive_at(50.0, step_s)
    for row in rows:
        if 2.0 <= row["time_s"][0] < 2.0 + fast_s:
            row["speed_mps"] = 62 / 3.6
            row["foot_y_m"] -= 2.5 * (row["time_s"][0] - 2.0)
    assert len(judged(rows)) == flagged


def test_the_fastest_sure_speed_is_told():
    """The highest value is the least certain."""
    rows = drive_at(60.0)
    rows[40]["speed_mps"], rows[40]["speed_sd_mps"] = 25.0, 4.0
    rows[50]["speed_mps"], rows[50]["speed_sd_mps"] = 18.0, 0.1
    event = judged(rows)[0]
    assert (event["speed_mps"], event["speed_sd_mps"]) == pytest.approx((18.0, 0.1), abs=1e-5)
    assert event["time_s"] == pytest.approx(float(rows[50]["time_s"][0]))


def test_at_a_line_counts_who_is_too_fast_there():
    """It brakes before the line; or it is too fast there only, for long enough."""
    for slow, flagged in ((lambda y: y < 50.0, 0), (lambda y: y > 60.0, 1)):
        rows = drive_at(60.0)
        for row in rows:
            if slow(row["foot_y_m"][0]):
                row["speed_mps"] = 12.0
        assert len(judged(rows, line="end")) == flagged
        assert len(judged(rows)) == 1


def test_out_of_its_place_nothing_counts():
    assert len(judged(drive_at(60.0), zones=("other",))) == 0


def test_a_withheld_speed_neither_counts_nor_ends_a_run():
    rows = drive_at(60.0)
    for row in rows[::2]:
        row["speed_mps"], row["speed_sd_mps"] = math.nan, math.nan
    seen = judged(rows)
    assert seen["observations"].tolist() == [sum(row["time_s"][0] > 0.999 for row in rows[1:-1:2])]
    assert len(judged(rows, observations_min=len(rows))) == 0
    for row in rows:
        row["speed_mps"] = math.nan
    assert len(judged(rows)) == 0


def test_limits_of_classes():
    config = {"class_limits_kmh": {"truck": 80.0}, "limit_kmh": 100.0}
    for name, flagged in (("truck", 1), ("car", 0)):
        events = judged(drive_at(95.0, class_id=CLASSES.index(name)), **config)
        assert len(events) == flagged
        assert all(event["limit_mps"] == pytest.approx(80 / 3.6) for event in events)
    assert len(judged(drive_at(60.0, class_id=4))) == 0  # a bicycle is not asked for


def test_a_leap_or_a_gap_begins_the_run_anew():
    """Two vehicles under one number: neither was seen for long enough."""
    rows = drive_at(60.0)[:24]
    for row in rows[12:]:
        row["foot_y_m"], row["foot_y_px"] = row["foot_y_m"] - 10.0, row["foot_y_px"] - 100.0
    assert len(judged([*rows, *drive_at(60.0)[-1:]])) == 0
    rows = drive_at(60.0)[:24]
    rows[12]["relinked_s"] = rows[12]["time_s"]
    for row in rows[13:]:
        row["relinked_s"] = rows[12]["relinked_s"]
    assert len(judged([*rows, *drive_at(60.0)[-1:]])) == 0


@pytest.mark.parametrize(
    ("more", "scene", "reason"),
    [
        ({}, place(ground_error_m=0.6), CALIBRATION),
        ({}, place(ground_error_m=math.inf), CALIBRATION),
        ({}, place(ground_error_m=0.4), 0),
        ({"score": 0.4}, place(), IDENTITY),
    ],
)
def test_what_it_cannot_judge_it_says_once(more, scene, reason):
    events = judged(drive_at(60.0, **more), scene)
    assert events["reason"].tolist() == [reason]
    assert events["judgement"].tolist() == [CANNOT_JUDGE if reason else VIOLATION]
    assert len(judged(drive_at(50.0, **more), scene)) == 0  # nothing to judge


def test_a_suspended_view_is_said():
    court = Court("speeding", place())
    rows = drive_at(60.0)
    events = [court(row, suspended=CAMERA_MOVED if k == 40 else 0) for k, row in enumerate(rows)]
    assert np.concatenate(events)["reason"].tolist() == [CAMERA_MOVED]


def test_a_slot_that_is_used_again_inherits_nothing():
    court = Court("speeding", place(), observations_min=40)
    first = drive_at(60.0)[:30]
    second = [row.copy() for row in drive_at(60.0)[30:60]]
    for row in second:
        row["id"] = 2
    ended = second[-1].copy()
    ended["flags"] = ENDED
    assert len(court.all_of([*first, *second, ended])) == 0


def test_a_config_refuses_what_it_cannot_be():
    for wrong in ({"line": "end", "zones": ["half"]}, {"class_limits_kmh": {"lorry": 80}}):
        with pytest.raises(msgspec.ValidationError, match="allowed"):
            msgspec.convert({"type": "speeding", "name": "x", **wrong}, Config)
    assert RULE.needs_ground


def test_runs_like_their_twins():
    runs, pasts, waits, seen = {}, {}, {}, []
    settings = Court("speeding", place(), observations_min=3, way_m=0.5, age_min_s=0.4).prepared.settings[0]
    for time_s, tracks, suspended in random_road_rows(np.random.default_rng(3), 300, True, 14.0, 2.0):
        clock = instant(time_s, 0.1)[0]
        clock["suspended"] = suspended
        for row in tracks:
            t, number = numbers(row), int(row["id"])
            if t["flags"] & ENDED:
                continue
            if number not in runs:
                runs[number], waits[number] = np.zeros(1, FAST)[0], (np.zeros(1, EVENT)[0], False, None)
                fast_reset(runs[number])
            margin = over_limit_mps(row, 1.0, 0.2, 0.1, 0.4)
            assert margin == pytest.approx(naive.over_limit_mps(t, 1.0, 0.2, 0.1, 0.4), nan_ok=True)
            fast_step(runs[number], row, margin, suspended)
            run = naive.fast_step(pasts.setdefault(number, naive.fast_reset()), t, margin, suspended)
            found = {name: float(runs[number][name]) for name in ("observations", "over_m", "suspended")}
            assert (run is None) == (found["observations"] == 0)
            if run is not None:
                assert found == pytest.approx({name: run[name] for name in found}, abs=1e-3)
                assert float(runs[number]["top_s"]) == run["top"]["time_s"]
            event, waiting, twin = waits[number]
            waiting = fast_best(runs[number], event, waiting, row, clock, settings, 1.0)
            twin = naive.fast_best(run, twin, t, clock, settings, 1.0)
            waits[number] = event, waiting, twin
            assert bool(waiting) == (twin is not None)
            if waiting:
                assert {name: float(event[name]) for name in twin} == pytest.approx(twin, abs=1e-3)
                seen.append(int(event["reason"]))
    assert {0, IDENTITY} <= set(seen)


@pytest.mark.parametrize(("seed", "where"), list(enumerate(WHERE)))
def test_speeding_step_like_its_twin(seed, where):
    lanes = {"n/1": zone_row([(9.2, 8.5), (11, 9), (11, 11.3), (9, 11)], (0, -1))}
    zones = {"half": zone_row([(8, 8.5), (10.2, 9), (10, 11.3)]), "other": zone_row(box_m(10.5, 8, 12, 12))}
    lines = {"end": road_line(8, 9.9, 12, 10.1)}
    scene = road_scene(lanes, zones, lines, ground_error_m=1.0 if seed == 1 else 0.1)
    config = {"limit_kmh": 3.0, "tolerance_kmh": 0.5, "way_m": 0.5, "observations_min": 3, "age_min_s": 0.4} | where
    court, files, seen = Court("speeding", scene, **config), naive_lanes.Files(), []
    for time_s, tracks, suspended in random_road_rows(np.random.default_rng(seed), 600, True, 12.0, 2.0):
        events = court(tracks, suspended=suspended)
        clock = instant(time_s, 0.1)[0]
        clock["suspended"] = suspended
        same_events(events, naive.speeding_step(tracks, clock, court.prepared.settings, files))
        seen += events["reason"].tolist()
    assert IDENTITY in seen
    assert len(seen) > 4
