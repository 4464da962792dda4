"""The time that a camera watched adds up, whatever the stream does: observed, lost in gaps, suspended."""

from __future__ import annotations

import naive_watch as naive
import numpy as np
import pytest
from trackrows import Judge, signal_row
from traffic import instant, small_scene

from kernels.records import CAMERA_MOVED, NO_REASON, SIGNAL_CLOCK, TRACK
from kernels.watch import WATCH, interval_end, watch_begin, watch_frame, watch_pass, watch_reset

NOBODY = np.zeros(0, TRACK)
STEPS_S, ODDS = (0.04, 0.1, 0.9, 1.5, 4.0, 130.0), (0.5, 0.3, 0.1, 0.05, 0.04, 0.01)
FIELDS = ("time_s", "interval_s", "observed_s", "gap_s", "suspended_s", "reason", "frames")


def judge(interval_s: float = 60.0) -> Judge:
    return Judge("coverage", small_scene({}), interval_s=interval_s)


def at(time_s: float, dt_s: float, suspended: int = 0, last: bool = False) -> np.ndarray:
    clock = instant(time_s, dt_s)
    clock["suspended"], clock["last"] = suspended, last
    return clock


def accounts(rule: Judge, times: np.ndarray, suspended=lambda time_s: 0, ends: bool = True) -> list[tuple[float, ...]]:
    found, before_s = [], None
    for time_s in times:
        dt_s = 0.0 if before_s is None else time_s - before_s
        found += rule(NOBODY, None, at(time_s, dt_s, suspended(time_s))).tolist()
        before_s = time_s
    if ends:
        found += rule(NOBODY, None, at(before_s, 0.0, last=True)).tolist()
    rows = np.array(found, rule.rule.event)
    return [tuple(round(float(row[name]), 3) for name in FIELDS) for row in rows]


def test_an_account_a_minute_and_one_at_the_end():
    found = accounts(judge(), np.arange(0, 150.02, 0.04))
    assert [row[:5] for row in found] == [(60, 60, 60, 0, 0), (120, 60, 60, 0, 0), (150, 30, 30, 0, 0)]
    assert sum(row[-1] for row in found) == 3751


def test_a_stream_that_starts_late_has_a_short_first_interval():
    assert accounts(judge(), np.arange(50, 70, 0.1))[0][:3] == (60, 10, 10)


def test_a_gap_is_no_observation():
    found = accounts(judge(), np.concatenate([np.arange(0, 20, 0.1), np.arange(50, 130, 0.1)]))
    assert found[0] == (60, 60, 29.9, 30.1, 0, 0, 300)
    assert found[1][2:4] == (60, 0)


def test_a_gap_over_several_intervals_leaves_none_out():
    found = accounts(judge(), np.array([*np.arange(0, 10, 0.1), 200.0, 200.1]))
    assert [row[0] for row in found] == [60, 120, 180, 200.1]
    assert [row[3] for row in found] == pytest.approx([50.1, 60, 60, 20])


def test_a_slow_camera_has_no_gaps():
    assert all(row[3] == 0 for row in accounts(judge(), np.arange(0, 300, 0.9)))


def test_suspended_time_is_told_with_its_reason():
    found = accounts(judge(), np.arange(0, 60.05, 0.1), lambda t: CAMERA_MOVED if 20 < t < 30.05 else 0)
    assert found[0][2:6] == (50, 0, 10, CAMERA_MOVED)


def logged(off: bool) -> np.ndarray:
    """Return two signals, of which the second's log is not gone by."""
    rows = np.concatenate([signal_row("green", 0.0), signal_row("unknown", 0.0)])
    rows[1]["reason"] = SIGNAL_CLOCK if off else NO_REASON
    return rows


def test_time_in_which_a_log_is_not_gone_by_is_told_beside_what_was_observed():
    rule, found = judge(), []
    for k in range(1300):
        found += [rule(NOBODY, logged(20.0 <= 0.1 * k < 75.0), at(0.1 * k, 0.1 * (k > 0)))]
    first, second = np.concatenate(found)
    assert (first["observed_s"], second["observed_s"]) == pytest.approx((60.0, 60.0), abs=0.01)
    assert (first["signal_suspended_s"], second["signal_suspended_s"]) == pytest.approx((40.0, 15.0), abs=0.11)


@pytest.mark.parametrize("seed", range(4))
def test_random_streams_like_the_twin(seed):
    rng = np.random.default_rng(seed)
    interval_s = float(rng.choice([1.0, 7.5, 60.0]))
    rule, memory, n = judge(interval_s), {}, 0
    time_s, fresh = float(rng.uniform(0, 100)), True
    for _ in range(500):
        last = rng.random() < 0.01
        dt_s = 0.0 if fresh or last else float(rng.choice(STEPS_S, p=ODDS))
        time_s += dt_s
        suspended = int(rng.integers(1, 8)) if rng.random() < 0.1 else 0
        off = bool(rng.random() < 0.3)
        found = rule(NOBODY, logged(off), at(time_s, dt_s, suspended, last))
        expected = naive.coverage_step(memory, time_s, dt_s, suspended, last, interval_s, naive.clock_off(logged(off)))
        assert len(found) == len(expected)
        for event, twin in zip(found, expected, strict=True):
            assert [float(event[name]) for name in (*FIELDS, "signal_suspended_s")] == pytest.approx(twin, abs=1e-3)
            assert event["observed_s"] + event["gap_s"] + event["suspended_s"] == pytest.approx(
                event["interval_s"], abs=1e-3
            )
        n += len(found)
        fresh = last
        time_s += 5.0 * last
    assert n > 5


def test_a_watch_like_its_twin_by_hand():
    ours, twin = np.zeros(1, WATCH)[0], naive.watch_reset()
    watch_reset(ours)
    for time_s, dt_s in ((3.0, 0.0), (3.5, 0.5), (9.0, 5.5), (9.2, 0.2)):
        watch_frame(ours, at(time_s, dt_s)[0], 10.0)
        watch_pass(ours, at(time_s, dt_s)[0], time_s)
        naive.watch_frame(twin, time_s, dt_s, 0, 10.0)
        naive.watch_pass(twin, time_s)
    assert (ours["observed_s"], ours["gap_s"]) == pytest.approx((0.7, 5.5))
    assert list(twin.shares()[0].values()) == pytest.approx([0.7, 5.5, 0.0])
    watch_begin(ours, 9.2, 20.0)
    naive.watch_begin(twin, 9.2, 20.0)
    assert (ours["observed_s"], ours["end_s"]) == (0.0, 20.0) == (twin.shares()[0]["observed"], twin.bounds[1])


@pytest.mark.parametrize("time_s", [0.0, 59.9, 60.0, 119.9999999999, 1e6 / 3])
def test_the_end_of_an_interval_like_its_twin(time_s):
    assert interval_end(time_s, 60.0) == pytest.approx(naive.interval_end(time_s, 60.0))
    assert interval_end(time_s, 60.0) > time_s
