"""How long what a row of a track says has lasted: no time passes in a gap of the stream or while geometry is off."""

from __future__ import annotations

from kernels._jit import kernel
from kernels.watch import GAP_LEAST_S, GAP_TIMES

#: The rhythm of frames is watched in intervals of this length (s); rules only ask for gaps.
RHYTHM_S = 60.0


@kernel
def lasted_s(watch, clock, since_s):
    """Return how much watched time (s) has passed since `since_s`, a row before this: 0 over a gap or when suspended.

    `watch` is a WATCH that has taken in the frame.
    """
    passed_s = clock["time_s"] - since_s
    if clock["suspended"] != 0 or not passed_s > 0.0 or passed_s > max(GAP_LEAST_S, GAP_TIMES * watch["usual_s"]):
        return 0.0
    return passed_s
