"""The clock of a signal's log against its lamps in the picture."""

from __future__ import annotations

import numpy as np
import pytest
from test_signal import CYCLE, log, pixels, shown_at
from traffic import small_scene, state

from kernels.records import NO_REASON, SIGNAL_CLOCK, SIGNAL_STATES
from vision.track.signal import Signals
from vision.track.signal_offset import clock_offset

pytestmark = pytest.mark.kernels

_, CHANGES = shown_at(CYCLE)
LOG = [(at_s, SIGNAL_STATES.index(name)) for at_s, name in CHANGES]


@pytest.mark.parametrize("shift_s", [0.0, 0.13, -0.4, 7.25, -11.0])
def test_the_shift_is_found(shift_s):
    rng = np.random.default_rng(3)
    seen = [(at_s + shift_s + rng.normal(0, 0.02), code) for at_s, code in LOG[:20]]
    found = clock_offset(LOG, seen)
    assert found.offset_s == pytest.approx(shift_s, abs=0.02)
    assert found.sd_s == pytest.approx(0.02, abs=0.01)
    assert found.pairs == found.seen == 15  # red and amber together is in no controller's log


def test_too_few_changes_or_another_signal_s_log_say_nothing():
    assert clock_offset(LOG, LOG[:4]) is None
    rng = np.random.default_rng(4)
    other = [(float(at_s), int(rng.choice([1, 3, 4]))) for at_s in np.sort(rng.uniform(0, 190, 30))]
    assert clock_offset(LOG, other) is None
    assert clock_offset([], LOG) is None


def beside(folder, log_off_s: float, until_s: float = 100.0):
    """Return signals with lamps beside a log that is off by so much, and the row at `until_s`; 25 frames a second."""
    text = "time_s,state\n" + "".join(f"{at_s + log_off_s},{name}\n" for at_s, name in CHANGES)
    boxes = np.full((1, 3, 4), 10, np.int32)
    signals = Signals(small_scene({}, {"lamp": log(folder, text)}, lamp_boxes=boxes))
    at, rng = shown_at(CYCLE)[0], np.random.default_rng(5)
    for time_s in np.arange(0.0, until_s, 0.04):
        row = signals.step(float(time_s), pixels(at(time_s), rng)[None])[0]
    return signals, row


def test_lamps_beside_a_log_measure_its_clock(tmp_path):
    """The log is 0.35 s late."""
    signals, _ = beside(tmp_path, 0.35)
    offset = signals.offsets()[0]
    assert offset.offset_s == pytest.approx(-0.35, abs=0.02)
    assert "add -0.3" in offset.line("lamp")


@pytest.mark.parametrize("off_s", [0.35, -0.6, 5.0])
def test_a_log_that_is_too_far_off_its_lamps_is_not_gone_by(tmp_path, off_s):
    signals, row = beside(tmp_path, off_s)
    assert (row["state"], row["prev_state"], row["reason"]) == (state("unknown"), state("unknown"), SIGNAL_CLOCK)
    assert row["red_since_s"] == -np.inf
    signals.tear()
    assert signals.rows["reason"][0] == SIGNAL_CLOCK


def test_what_a_log_is_off_is_part_of_its_error_and_it_is_gone_by(tmp_path):
    _, row = beside(tmp_path, 0.12)
    assert row["state"] == state(shown_at(CYCLE)[0](99.6))
    assert row["sd_s"] == pytest.approx(0.12, abs=0.025)  # the lamps are seen to a frame
    assert row["reason"] == NO_REASON


def test_before_enough_changes_are_seen_the_log_is_gone_by(tmp_path):
    _, row = beside(tmp_path, 0.35, until_s=20.0)
    assert row["reason"] == NO_REASON
    assert row["state"] == state(shown_at(CYCLE)[0](19.6))


def test_a_log_without_lamps_is_not_compared(tmp_path):
    assert Signals(small_scene({}, {"lamp": log(tmp_path, "time_s,state\n0,red\n")})).offsets() == {}
