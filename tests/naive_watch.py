"""Slow, obvious twins of `kernels/watch.py` and `kernels/rules/coverage.py`: frames are kept, each sum made anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from kernels.records import REASONS


@dataclass
class Watch:
    """The frames since the stream began, (time, time since the one before, reason of suspension)."""

    frames: list[tuple[float, float, int]] = field(default_factory=list)
    pieces: list[tuple[float, float, int]] = field(default_factory=list)  # from, to, index of the frame at its end
    bounds: tuple[float, float] = (0.0, 0.0)

    def is_gap(self, index):
        dt_s = self.frames[index][1]
        return dt_s > 1.0 and dt_s > 3.0 * usual_s([frame[1] for frame in self.frames[:index]])

    def shares(self):
        """Return observed, gap and suspended seconds, and the last reason, of the pieces since the interval began."""
        found, reason = {"observed": 0.0, "gap": 0.0, "suspended": 0.0}, 0
        for start, end, index in self.pieces:
            if start < self.bounds[0]:
                continue
            suspended = self.frames[index][2]
            kind = "suspended" if suspended else "gap" if self.is_gap(index) else "observed"
            found[kind] += end - start
            reason = suspended if suspended and end > start else reason
        return found, reason


def usual_s(steps):
    """The usual distance of frames: a mean that forgets, of distances held to what one gap may tell."""
    mean = 0.0
    for step in (step for step in steps if step > 0.0):
        mean = min(step, 1.0) if mean == 0.0 else 0.95 * mean + 0.05 * min(step, 3.0 * mean)
    return mean


def interval_end(time_s, interval_s):
    """The first multiple above the time, where a billionth below one counts as on it."""
    whole = Fraction(time_s) / Fraction(interval_s) + Fraction(1, 10**9)
    return float((whole // 1 + 1) * Fraction(interval_s))


def watch_reset():
    """A stream that has not begun."""
    return Watch()


def watch_begin(watch, start_s, end_s):
    """Only the pieces from here on count."""
    watch.bounds = (start_s, end_s)
    watch.pieces = [piece for piece in watch.pieces if piece[0] >= start_s]


def watch_frame(watch, time_s, dt_s, suspended, interval_s):
    """One more frame; the first one begins an interval."""
    if not watch.frames:
        watch_begin(watch, time_s, interval_end(time_s, interval_s))
    watch.frames.append((time_s, dt_s, suspended))


def watch_pass(watch, until_s):
    """One more piece, from where the last one ended."""
    start = watch.pieces[-1][1] if watch.pieces else watch.bounds[0]
    watch.pieces.append((start, until_s, len(watch.frames) - 1))


def clock_off(signals):
    """Is there a signal whose state is unknown for its clock?"""
    return "signal_clock" in [REASONS[row["reason"]] for row in signals]


def coverage_step(memory, time_s, dt_s, suspended, last, interval_s, off=False):
    """Cut the time since the last frame at each multiple; account for every interval that is over."""
    watch, events = memory.setdefault("watch", watch_reset()), []
    if last and not watch.frames:
        return events
    counted = memory.setdefault("counted", 0)
    watch_frame(watch, time_s, dt_s, suspended, interval_s)
    offs = memory.setdefault("offs", [])
    offs.append(off)
    while True:
        until_s = min(watch.bounds[1], time_s)
        watch_pass(watch, until_s)
        over = time_s >= watch.bounds[1]
        nothing = until_s == watch.bounds[0] and counted == 0
        if over or (last and not nothing):
            shares, reason = watch.shares()
            off_s = sum(end - start for start, end, frame in watch.pieces if offs[frame])
            events.append((until_s, until_s - watch.bounds[0], *shares.values(), reason, counted, off_s))
            counted = 0
            watch_begin(watch, until_s, watch.bounds[1] + interval_s)
        if not over:
            break
    memory["counted"] = counted + 1
    if last:
        memory.clear()
    return events
