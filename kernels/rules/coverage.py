"""Account for the time that a camera watched: observed, lost in gaps of the stream, or suspended."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.records import SIGNAL_CLOCK, event_dtype
from kernels.rule import Prepared, Rule, RuleConfig
from kernels.watch import WATCH, watch_begin, watch_frame, watch_pass, watch_reset


class Config(RuleConfig, kw_only=True, frozen=True):
    """`interval_s`: an account is given at every multiple of it on the stream's clock, and at the end.

    Time in which the clock of a signal's log was not trusted is told beside it: rules on red lights then judge nothing.
    """

    interval_s: Annotated[float, msgspec.Meta(ge=1.0, le=3600.0)] = 60.0


# `time_s` is the interval's end. observed_s + gap_s + suspended_s = interval_s; `reason` is that of the suspension.
EVENT = event_dtype(
    ("interval_s", "<f4"),
    ("observed_s", "<f4"),
    ("gap_s", "<f4"),
    ("suspended_s", "<f4"),
    ("frames", "<u4"),
    ("signal_suspended_s", "<f4"),  # of it, with the log of a signal not gone by
    ("reason", "<u1"),
)

SETTINGS = np.dtype([("interval_s", "<f8")])
STATE = np.dtype([("watch", WATCH), ("signal_suspended_s", "<f8"), ("frames", "<u4"), ("off", "<u1")])


def prepare(config, scene):
    """Return the interval and an account that has not begun."""
    settings = np.zeros(1, SETTINGS)
    settings["interval_s"] = config.interval_s
    return Prepared(settings, np.zeros(1, STATE))


@kernel
def clock_off(signals):
    """Say whether a signal's log is not gone by now."""
    off = 0
    for i in range(len(signals)):
        off += signals[i]["reason"] == SIGNAL_CLOCK
    return off > 0


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each interval that has ended by now; return how many."""
    interval_s = settings[0]["interval_s"]
    own = state[0]
    watch = own["watch"]
    if watch["runs"] == 0 and clock["last"] != 0:
        return 0
    watch_frame(watch, clock, interval_s)
    n = 0
    if clock["last"] == 0:
        own["off"] = clock_off(signals)
    while True:
        until_s = min(watch["end_s"], clock["time_s"])
        own["signal_suspended_s"] += (until_s - watch["at_s"]) * own["off"]
        watch_pass(watch, clock, until_s)
        ends = clock["time_s"] >= watch["end_s"]
        if not ends and (clock["last"] == 0 or (watch["at_s"] == watch["start_s"] and own["frames"] == 0)):
            break
        if n < len(out):
            event = out[n]
            n += 1
            event["time_s"] = until_s
            event["interval_s"] = until_s - watch["start_s"]
            event["observed_s"], event["gap_s"] = watch["observed_s"], watch["gap_s"]
            event["suspended_s"], event["reason"] = watch["suspended_s"], watch["reason"]
            event["frames"], event["signal_suspended_s"] = own["frames"], own["signal_suspended_s"]
        own["frames"], own["signal_suspended_s"] = 0, 0.0
        watch_begin(watch, until_s, watch["end_s"] + interval_s)
        if not ends:
            break
    if clock["last"] != 0:
        watch_reset(watch)
        own["signal_suspended_s"] = 0.0
    else:
        own["frames"] += 1
    return n


RULE = Rule(
    type="coverage",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"reason": "reason"},
)
