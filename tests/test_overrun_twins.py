"""Stop-line overruns and turns on red against their twins: random tracks, lines, states and clocks."""

from __future__ import annotations

import itertools
import math

import naive_approach
import naive_past
import naive_rules
import numpy as np
import pytest
from roadrows import Court, drive, road_line, road_scene, same_events
from trackrows import signal_row
from traffic import instant

from kernels.records import CAMERA_MOVED, CANNOT_JUDGE, REASONS, SIGNAL_STATES, STREAM_GAP, VIOLATION

CONFIGS = {
    "stop_line_overrun": [
        {"stop_s": 0.5, "past_m": 0.1, "stop_kmh": 5.0},
        {"stop_s": 1.0, "past_m": 0.2, "clear_line": "low", "past_share": 0.1},
    ],
    "turn_on_red": [
        {"exits": ("side",), "stop_m": 1.5, "past_m": 0.1, "stop_kmh": 3.0, "path_s": 5.0},
        {"exits": ("side", "low"), "stop_m": 1.0, "stop_kmh": 1.0, "stop_s": 0.25},
    ],
}
TWINS = {
    "stop_line_overrun": naive_past.stop_line_overrun_step,
    "turn_on_red": naive_approach.turn_on_red_step,
}
CASES = [
    (kind, k, ground) for kind, configs in CONFIGS.items() for k in range(len(configs)) for ground in (True, False)
]


def hesitant(rng: np.random.Generator, count: int, ground: bool):
    """Yield (time, TRACK[1]) of vehicles that come to the line at y = 10 m one by one: most stop near it, some go back.

    Their front is 0.5 m ahead of the foot point; slots are used again, points jitter, rows are missing.
    """
    start_s = 0.0
    for number in range(1, count + 1):
        stop_y = rng.choice([9.2, 9.7, 10.0, 10.4, 10.4, 11.0]) - 0.5
        corners = [(10.0, 7.0), (10.0, stop_y), (10.0, stop_y + rng.choice([-1.2, 0.0, 0.0]))]
        corners += [(10.0, 10.6), (rng.choice([10.0, 13.0]), 12.5)][: rng.integers(0, 3)]
        times = [start_s]
        for k, (a, b) in enumerate(itertools.pairwise(corners)):
            pause_s = rng.choice([0.0, 0.7, 2.0, 4.0]) if k != 0 else 0.0
            times += [times[-1] + pause_s, times[-1] + pause_s + max(math.dist(a, b) / rng.uniform(0.7, 4.0), 0.1)]
        knots = [corners[0], *(point for a, b in itertools.pairwise(corners) for point in (a, b))]
        seen = [t for t in np.arange(start_s, times[-1] + rng.choice([0.2, 3.0]), 0.1) if rng.random() > 0.1]
        jitter = iter(rng.normal(0.0, rng.choice([0.0, 0.03]), (len(seen), 2)))
        points = {
            t: np.float32([np.interp(t, times, [p[axis] for p in knots]) for axis in (0, 1)] + next(jitter))
            for t in seen
        }
        rows = drive(number, points.get, seen, ground, 0.5, slot=number % 3, ends=bool(rng.random() < 0.9))
        for k, row in enumerate(rows):
            row["front_y_px"], row["front_y_m"] = row["foot_y_px"] + 5.0, row["foot_y_m"] + np.float32(0.5)
            row["front_x_px"], row["front_x_m"] = row["foot_x_px"], row["foot_x_m"]
            row["birth_s"], row["class_id"] = seen[0] - 1.0, 5 if number % 11 == 0 else 0
            row["relinked_s"] = start_s + 2.0 if number % 7 == 0 and k > 20 else -math.inf
            row["position_sd_m"] = np.float32(rng.choice([0.05, 0.3]))
            row["speed_mps"] = np.nan if number % 5 == 0 and rng.random() < 0.1 else row["speed_mps"]
            yield float(row["time_s"][0]), row
        start_s = seen[-1] + 0.5


def slow_signal(rng: np.random.Generator):
    """Return what gives SIGNAL[1] at each time: changes every few seconds, mostly from and to red."""
    past = [("unknown", -math.inf), ("red", -9.0)]
    names = [*SIGNAL_STATES, "red", "red", "red", "green", "red_amber"]

    def at(time_s: float) -> np.ndarray:
        if rng.random() < (0.012 if past[-1][0] == "red" else 0.08):
            past.append((str(rng.choice(names)) if past[-1][0] == "red" else "red", time_s))
        row = signal_row(*past[-1], *past[-2], sd_s=float(np.float32([0.0, 0.05, 0.0, 0.3][len(past) % 4])))
        row["reason"] = STREAM_GAP if len(past) % 4 == 0 else 0
        return row

    return at


@pytest.mark.parametrize(("kind", "number", "ground"), CASES)
def test_rules_step_like_their_twins(kind, number, ground):
    rng = np.random.default_rng(80 + number)
    lines = {
        "far": road_line(5, 10.0, 15, 10.0, (0.0, 1.0), ground=ground),
        "side": road_line(11.5, 9, 11.5, 15, (1.0, 0.2), ground=ground),
        "low": road_line(4, 11.5, 16, 11.5, ground=ground),
    }
    config = {"settle_s": 0.1, "band_px": 0.5, "band_share": 0.02, "age_min_s": 0.5, "score_min": 0.3}
    court = Court(
        kind, road_scene(lines=lines, ground=ground), line="far", signal="lamp", **config, **CONFIGS[kind][number]
    )
    memory, judgements, reasons = naive_rules.Memory(), set(), set()
    signal_of = slow_signal(rng)
    for time_s, tracks in hesitant(rng, 40, ground):
        signal, clock = signal_of(time_s), instant(time_s, 0.0)
        clock["suspended"] = CAMERA_MOVED if rng.random() < 0.01 else 0
        events = court(tracks, signal, int(clock["suspended"][0]))
        same_events(events, TWINS[kind](tracks, clock[0], signal, court.prepared.settings, memory))
        judgements |= set(events["judgement"].tolist())
        reasons |= {REASONS[code] for code in events["reason"]}
    assert CANNOT_JUDGE in judgements
    assert VIOLATION in judgements or (kind == "turn_on_red" and not ground)
    assert len(reasons) >= (1 if kind == "turn_on_red" else 2)


def test_parts_of_the_stand_like_their_twins():
    assert naive_past.past_reset() == []
    line = road_line(0, 5, 10, 5, (0, 1))[0]
    row = {"front_x_m": 3.0, "front_y_m": 5.75}
    assert naive_past.front_offset_m(line, row) == 0.75
    assert math.isnan(naive_past.front_offset_m(line, row | {"front_x_m": math.nan}))
