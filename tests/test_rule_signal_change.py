"""Each change of a signal is recorded once, at its own time."""

from __future__ import annotations

import math

import naive_signal_change as naive
import numpy as np
import pytest
from trackrows import Judge, signal_row
from traffic import instant, small_scene

from kernels.records import SIGNAL_STATES, TRACK

NOBODY = np.zeros(0, TRACK)


def judge() -> Judge:
    return Judge("signal_change", small_scene({}, {"s": None}), signal="s")


def at(time_s: float, last: bool = False) -> np.ndarray:
    clock = instant(time_s, 0.1)
    clock["last"] = last
    return clock


def told(rule: Judge, time_s: float, row: np.ndarray, last: bool = False) -> list[tuple]:
    return [
        (float(e["time_s"]), SIGNAL_STATES[e["signal_state"]], SIGNAL_STATES[e["prev_state"]])
        for e in rule(NOBODY, row, at(time_s, last))
    ]


def test_the_state_at_the_start_and_each_change_after_it():
    rule = judge()
    assert told(rule, 10.0, signal_row("red", 4.0, "amber", 1.0, sd_s=0.5)) == [(10.0, "red", "unknown")]
    assert told(rule, 10.1, signal_row("red", 4.0, "amber", 1.0)) == []
    assert told(rule, 12.0, signal_row("green", 11.5, "red", 4.0)) == [(11.5, "green", "red")]
    # Two changes between two frames.
    assert told(rule, 20.0, signal_row("red", 19.0, "amber", 16.0)) == [
        (16.0, "amber", "green"),
        (19.0, "red", "amber"),
    ]


def test_an_event_carries_when_it_began_and_how_surely():
    (event,) = judge()(NOBODY, signal_row("red", 4.0, sd_s=0.5), at(10.0))
    assert (event["since_s"], event["sd_s"], event["signal"]) == (4.0, 0.5, 0)


def test_a_new_epoch_begins_anew():
    rule = judge()
    assert len(told(rule, 1.0, signal_row("green", 0.5))) == 1
    assert told(rule, 2.0, signal_row("green", 0.5), last=True) == []
    assert told(rule, 3.0, signal_row("green", 0.5)) == [(3.0, "green", "unknown")]


@pytest.mark.parametrize("seed", range(4))
def test_random_signals_like_the_twin(seed):
    rng = np.random.default_rng(seed)
    rule, past, n = judge(), [], 0
    log = [(-math.inf, 0), (-math.inf, 0)]
    time_s, next_s = 5.0, rng.uniform(0, 8)
    for _ in range(300):
        time_s += float(rng.choice([0.04, 0.1, 0.5]))
        while next_s <= time_s:
            log.append((next_s, int(rng.integers(0, len(SIGNAL_STATES)))))
            next_s += float(rng.choice([0.05, 0.3, 2.0]))
        row = signal_row(SIGNAL_STATES[log[-1][1]], log[-1][0], SIGNAL_STATES[log[-2][1]], log[-2][0])
        found = rule(NOBODY, row, at(time_s))
        expected = naive.signal_change_step(past, row[0], time_s)
        n += len(found)
        ours = [(float(e["since_s"]), int(e["signal_state"]), int(e["prev_state"])) for e in found]
        assert ours == expected
        assert (found["time_s"] <= time_s).all()
    assert n > 50
