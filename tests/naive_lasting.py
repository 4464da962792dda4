"""Slow, obvious twin of `kernels/lasting.py`: from all steps between frames so far."""

from __future__ import annotations

from naive_watch import usual_s


def lasted_s(steps, clock, since_s):
    """`steps`: how far apart all frames so far were."""
    passed = float(clock["time_s"]) - since_s
    gap = passed > max(1.0, 3.0 * usual_s(steps))
    return 0.0 if clock["suspended"] or passed <= 0 or gap else passed
