"""How long a camera has watched: intervals of stream time, and what of each was observed, missed or suspended."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.records import NO_REASON

#: The interval that runs; its parts add up to the time since `start_s`. `usual_s` is how far apart frames usually are.
WATCH = np.dtype(
    [
        ("start_s", "<f8"),
        ("at_s", "<f8"),
        ("end_s", "<f8"),
        ("observed_s", "<f8"),
        ("gap_s", "<f8"),
        ("suspended_s", "<f8"),
        ("usual_s", "<f8"),
        ("reason", "<u1"),
        ("gap", "<u1"),
        ("runs", "<u1"),
    ]
)

#: Frames further apart than this, and than three times the usual, have a gap between them in which nothing was seen.
GAP_LEAST_S = 1.0
GAP_TIMES = 3.0
#: How much of the usual distance of frames one more frame tells.
_LEARN = 0.05


@kernel
def interval_end(time_s, interval_s):
    """Return the next multiple of the interval after a time, in s; a time on one begins an interval."""
    return (math.floor(time_s / interval_s + 1e-9) + 1.0) * interval_s


@kernel
def watch_reset(watch):
    """Forget everything: the stream or epoch has ended."""
    watch["runs"] = 0
    watch["usual_s"] = 0.0


@kernel
def watch_begin(watch, start_s, end_s):
    """Begin an interval of which nothing has passed yet."""
    watch["start_s"], watch["at_s"], watch["end_s"] = start_s, start_s, end_s
    watch["observed_s"], watch["gap_s"], watch["suspended_s"], watch["reason"] = 0.0, 0.0, 0.0, NO_REASON


@kernel
def watch_frame(watch, clock, interval_s):
    """Take in a frame, at the first one begin an interval; the time since the frame before is not yet passed.

    It is a gap where it is over a second and over three times the usual.
    """
    if watch["runs"] == 0:
        watch["runs"] = 1
        watch["usual_s"] = 0.0
        watch_begin(watch, clock["time_s"], interval_end(clock["time_s"], interval_s))
    dt_s, usual_s = clock["dt_s"], watch["usual_s"]
    watch["gap"] = dt_s > max(GAP_LEAST_S, GAP_TIMES * usual_s)
    if dt_s > 0.0:
        # A camera that slows down for good becomes the usual in the end; a single gap is not.
        fresh = min(dt_s, GAP_LEAST_S) if usual_s == 0.0 else min(dt_s, GAP_TIMES * usual_s)
        watch["usual_s"] = fresh if usual_s == 0.0 else usual_s + _LEARN * (fresh - usual_s)


@kernel
def watch_pass(watch, clock, until_s):
    """Let time pass up to `until_s`: suspended, in a gap, or observed."""
    passed_s = until_s - watch["at_s"]
    watch["at_s"] = until_s
    if clock["suspended"] != 0:
        watch["suspended_s"] += passed_s
        if passed_s > 0.0:
            watch["reason"] = clock["suspended"]
    elif watch["gap"] != 0:
        watch["gap_s"] += passed_s
    else:
        watch["observed_s"] += passed_s
