"""Slow, obvious twin of the call that judges a frame with every rule."""

from __future__ import annotations


def judge_step(tracks, clock_rows, signals, calls, counts):
    """Call one rule after the other; `calls` are (step, settings, state, out)."""
    for number, (step, settings, state, out) in enumerate(calls):
        counts[number] = step(tracks, clock_rows[0], signals, settings, state, out)
    return sum(map(int, counts))
