"""Entries under red against their twins: random tracks, lines, states and clocks."""

from __future__ import annotations

import math

import naive_red
import naive_rules
import naive_signals
import numpy as np
import pytest
from trackrows import Judge, random_rows, same_events, signal_row
from traffic import instant, line_row, small_scene

from kernels.records import CAMERA_MOVED, CANNOT_JUDGE, REASONS, SIGNAL_STATES, STREAM_GAP, VIOLATION
from kernels.red import signal_wait_s
from kernels.signals import is_unclear, red_seen_until, state_at, stops_traffic, unclear_reason

LINES = {
    "near": line_row(40, 100, 160, 105),
    "far": line_row(50, 112, 150, 108, (0.0, 1.0)),
    "side": line_row(108, 60, 104, 150, (1.0, 0.2)),
    "low": line_row(40, 130, 160, 128),
}
SCENE = small_scene(LINES, {"lamp": None})


def changing_signal(rng: np.random.Generator):
    """Return what gives SIGNAL[1] at each time asked for: random states, deviations and reasons."""
    past = [("unknown", -math.inf), ("green", -9.0)]

    def at(time_s: float) -> np.ndarray:
        if rng.random() < 0.08:
            past.append((str(rng.choice([*SIGNAL_STATES, "red", "red", "red", "red_amber"])), time_s))
        row = signal_row(*past[-1], *past[-2], sd_s=float(np.float32(rng.choice([0.0, 0.05, 0.2]))))
        row["reason"] = STREAM_GAP if past[-1][1] % 1 < 0.3 else 0
        return row

    return at


@pytest.mark.parametrize(
    ("seed", "config"),
    [
        (6, {}),
        (7, {"clear_line": "low", "classes": ("car", "bus", "truck"), "severe_s": 0.5}),
        (8, {"turn_exempt": ("side",), "path_s": 3.0, "speed_min_kmh": 0.0}),
        (9, {"turn_exempt": ("side",), "other_exits": ("low",), "clear_line": "low"}),
    ],
)
def test_red_light_step_like_its_twin(seed, config):
    rng = np.random.default_rng(seed)
    judge = Judge("red_light", SCENE, line="far", signal="lamp", settle_s=0.1, band_px=1.0, age_min_s=0.5, **config)
    memory, judgements, reasons = naive_rules.Memory(), set(), set()
    signal_of = changing_signal(rng)
    for time_s, tracks in random_rows(rng, 900):
        signal, clock = signal_of(time_s), instant(time_s, 0.1)
        clock["suspended"] = CAMERA_MOVED if rng.random() < 0.03 else 0
        tracks["birth_s"] = time_s - 1.0 - tracks["id"] % 3
        tracks["relinked_s"] = np.where(rng.random(len(tracks)) < 0.05, time_s - 0.2, tracks["relinked_s"])
        events = judge(tracks, signal, clock)
        same_events(events, naive_red.red_light_step(tracks, clock[0], signal, judge.prepared.settings, memory))
        judgements |= set(events["judgement"].tolist())
        reasons |= {REASONS[code] for code in events["reason"]}
    assert judgements == {VIOLATION, CANNOT_JUDGE}
    assert reasons >= {"none", "signal_state"}


def test_signal_states_like_their_twins():
    rng = np.random.default_rng(9)
    seen = set()
    for _ in range(400):
        now, prev = rng.choice(SIGNAL_STATES, 2)
        since = np.sort(rng.uniform(0, 10, 3))
        more = {"sd_s": float(np.float32(rng.choice([0.0, 0.1, 2.0, np.inf]))), "reason": int(rng.integers(0, 3))}
        row = signal_row(str(now), since[2], str(prev), since[1], **more)[0]
        if str(prev).startswith("red"):
            row["red_since_s"] = rng.choice(since[:2])
        for time_s in (*rng.uniform(-1, 12, 3), *since):
            assert state_at(row, time_s) == naive_signals.state_at(row, time_s)
            for onset_s in since:
                until_s = naive_signals.red_seen_until(row, onset_s, time_s)
                assert red_seen_until(row, onset_s, time_s) == until_s <= time_s
                seen.add(until_s == time_s)
        assert stops_traffic(row["state"]) == naive_signals.stops_traffic(row["state"])
        assert is_unclear(row["state"]) == naive_signals.is_unclear(row["state"])
        assert unclear_reason(row) == naive_signals.unclear_reason(row)
        assert signal_wait_s(row) == pytest.approx(naive_red.signal_wait_s(row))
    assert seen == {False, True}
