"""Judging with every rule in one call tells what the rules tell one after the other, byte for byte."""

from __future__ import annotations

import naive_judge as naive
import numba
import numpy as np
import pytest
from trackrows import random_rows

from benchmarks.rules import scene
from benchmarks.track import TO_ROAD
from kernels.judge import Judge
from kernels.records import CLOCK, MAX_TRACKS, SIGNAL, TRACK
from kernels.rules import REGISTRY
from kernels.warm import example_config
from vision.ground import transform

COMPILED = not numba.config.DISABLE_JIT
#: From where `random_rows` wander to the middle of the scene's line and zone.
TO_MIDDLE_PX = (860.0, 500.0)


def rows_in_view(seed: int, steps: int):
    """Yield (time, TRACK[n]) of road users that wander about the line and the zone of the scene."""
    for time_s, rows in random_rows(np.random.default_rng(seed), steps, 40.0):
        for axis, shift in zip("xy", TO_MIDDLE_PX, strict=True):
            for name in TRACK.names:
                if name.endswith("_px") and axis in name.removesuffix("_px").removeprefix("prev_"):
                    rows[name] += np.float32(shift)
        for point in ("foot", "front", "rear"):
            at_px = np.stack([rows[f"{point}_x_px"], rows[f"{point}_y_px"]], axis=1)
            rows[f"{point}_x_m"], rows[f"{point}_y_m"] = transform(TO_ROAD, at_px.astype(float)).T
        rows["vx_mps"], rows["vy_mps"], rows["accel_mps2"], rows["position_sd_m"] = 3.0, 1.0, -0.5, 0.2
        yield time_s, rows


def prepared_rules(kinds):
    rules = [REGISTRY[kind] for kind in kinds]
    return rules, [rule.prepare(example_config(rule), scene()) for rule in rules]


@pytest.mark.parametrize("kinds", [tuple(REGISTRY), ("movement", "line_count", "movement"), ("presence",)])
def test_one_call_tells_what_the_rules_tell_one_by_one(kinds):
    rules, ours = prepared_rules(kinds)
    _, theirs = prepared_rules(kinds)
    judge = Judge(rules, ours)
    out = [np.zeros(MAX_TRACKS * len(one.settings), rule.event) for rule, one in zip(rules, theirs, strict=True)]
    calls = [(rule.step, *one, rows) for rule, one, rows in zip(rules, theirs, out, strict=True)]
    counts, clock, signals, told = np.zeros(len(rules), np.int64), np.zeros(1, CLOCK), np.zeros(1, SIGNAL), 0
    signals["state"], signals["since_s"], signals["red_since_s"] = 1, 0.0, 0.0
    for time_s, rows in rows_in_view(4, 150):
        clock["dt_s"], clock["time_s"] = time_s - clock["time_s"], time_s
        n = judge.step(rows, clock, signals)
        assert n == naive.judge_step(rows, clock, signals, calls, counts)
        assert judge.counts.tolist() == counts.tolist()
        for k in range(len(rules)):
            assert judge.out[k][: counts[k]].tobytes() == out[k][: counts[k]].tobytes()
        told += n
    assert told > 0
    for one, other in zip(ours, theirs, strict=True):
        assert one.state.tobytes() == other.state.tobytes()


def test_a_camera_without_rules_is_told_nothing():
    assert Judge([], []).step(np.zeros(1, TRACK), np.zeros(1, CLOCK), np.zeros(0, SIGNAL)) == 0


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_rows_of_another_kind_are_refused_and_never_read():
    judge = Judge(*prepared_rules(["line_count"]))
    for tracks, clock, signals in (
        (np.zeros(1), np.zeros(1, CLOCK), np.zeros(0, SIGNAL)),
        (np.zeros(4, TRACK)[::2], np.zeros(1, CLOCK), np.zeros(0, SIGNAL)),
        (np.zeros(1, TRACK), np.zeros(1, TRACK), np.zeros(0, SIGNAL)),
        (np.zeros(1, TRACK), np.zeros(1, CLOCK), np.zeros(1)),
    ):
        with pytest.raises(TypeError, match="allowed"):
            judge.step(tracks, clock, signals)
