"""The stream's clock: presentation stamps (pts) become seconds since the first frame. No wall clock is read here.

The rule, frame by frame in the order of the decoder; `step` is pts - previous pts, in seconds:

| stamp                                | what happens                                                          |
|--------------------------------------|-----------------------------------------------------------------------|
| first frame                          | time 0                                                                |
| 0 < step <= longest gap              | time advances by exactly `step`                                       |
| step = 0                             | the frame is refused: "time_repeated"                                 |
| -1 s <= step < 0                     | the frame is refused: "time_backwards"                                |
| step < -1 s, or step > longest gap   | the stream set its clock: new epoch, time advances by one interval    |
| no stamp (or no usable time base)    | time advances by one interval, counted as guessed                     |

An interval is 1 / (declared frame rate). The longest gap believed is 60 s, or ten intervals if that is longer: a
recorder may pause, but a jump of hours is a fault of the stamp, and a speed must not be made from it. An epoch is a
stretch of time on one unbroken clock. So time rises strictly over all accepted frames, also across epochs.
MPEG-TS counts 33 bits of 1/90,000 s; with `wrap_bits` a step is taken modulo that range, so that a wrap is no fault.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

#: A step back of at most this is a frame out of order; a longer one means that the stream set its clock.
OUT_OF_ORDER_S = 1.0

#: The longest pause that is believed, in seconds and in nominal intervals.
LONGEST_GAP_S = 60.0
LONGEST_GAP_INTERVALS = 10

#: Reasons for which the clock refuses a frame.
TIME_REPEATED = "time_repeated"
TIME_BACKWARDS = "time_backwards"
REASONS = (TIME_REPEATED, TIME_BACKWARDS)


class Instant(NamedTuple):
    """When a frame was shown: seconds since the first frame, and on which unbroken stretch of the stream's clock."""

    time_s: float
    epoch: int
    guessed: bool


class StreamClock:
    """Turn the pts of one stream into seconds since its first frame, by the rule at the top of this file.

    `interval_s` is the nominal time between two frames (> 0). `dropped` counts refused frames by reason, `guessed`
    the frames whose time was not given by the stream.
    """

    def __init__(self, time_base: Fraction | None, interval_s: float, wrap_bits: int | None = None) -> None:
        if not interval_s > 0:
            raise ValueError(f"interval_s = {interval_s}; allowed are numbers above 0")
        self._usable = time_base is not None and time_base > 0
        # Whole numbers, as their quotient is rounded once; a Fraction would cost ten times as much a frame.
        self._num, self._den = time_base.as_integer_ratio() if time_base is not None else (1, 1)
        self._interval_s = interval_s
        self._longest_gap_s = max(LONGEST_GAP_S, LONGEST_GAP_INTERVALS * interval_s)
        self._wrap = 1 << wrap_bits if wrap_bits else 0
        # Time is anchor_s + (ticks since anchor) * time base: no rounding adds up from frame to frame.
        self._anchor_s = 0.0
        self._ticks = 0
        self._last_pts: int | None = None
        self._time_s = 0.0
        self._epoch = 0
        self._started = False
        self.guessed = 0
        self.dropped: dict[str, int] = dict.fromkeys(REASONS, 0)

    def stamp(self, pts: int | None) -> Instant | None:
        """Return when the frame with this pts was shown, or None when it is refused (counted in `dropped`)."""
        if not self._started:
            self._started = True
            self._last_pts = pts if self._usable else None
            self.guessed += self._last_pts is None
            return Instant(0.0, 0, self._last_pts is None)
        if pts is None or not self._usable:
            return self._guess()
        if self._last_pts is None:
            # The first stamp after a start without any: time goes on, and ticks count from here.
            self._anchor(pts, self._time_s + self._interval_s)
            return Instant(self._time_s, self._epoch, False)
        ticks = self._step_ticks(pts)
        reason = self._refusal(ticks)
        if reason is not None:
            self.dropped[reason] += 1
            return None
        self._last_pts = pts
        self._advance(ticks)
        return Instant(self._time_s, self._epoch, False)

    def _step_ticks(self, pts: int) -> int:
        ticks = pts - (self._last_pts or 0)
        if self._wrap:
            ticks = (ticks + self._wrap // 2) % self._wrap - self._wrap // 2
        return ticks

    def _refusal(self, ticks: int) -> str | None:
        if ticks == 0:
            return TIME_REPEATED
        return TIME_BACKWARDS if -OUT_OF_ORDER_S <= self._seconds(ticks) < 0 else None

    def _seconds(self, ticks: int) -> float:
        return ticks * self._num / self._den

    def _advance(self, ticks: int) -> None:
        step_s = self._seconds(ticks)
        time_s = self._anchor_s + self._seconds(self._ticks + ticks)
        # A step too short for a float at this time of the stream would make time stand still: treat it as a fault.
        if not 0 < step_s <= self._longest_gap_s or time_s <= self._time_s:
            self._epoch += 1
            self._anchor(self._last_pts, self._time_s + self._interval_s)
            return
        self._ticks += ticks
        self._time_s = time_s

    def _guess(self) -> Instant:
        if self._usable and self._last_pts is not None:
            # The next real stamp must come after the guess: the guess moves the last pts as well.
            ticks = max(1, round(self._interval_s * self._den / self._num))
            self._last_pts += ticks
            self._advance(ticks)
        else:
            self._anchor(None, self._time_s + self._interval_s)
        self.guessed += 1
        return Instant(self._time_s, self._epoch, True)

    def _anchor(self, pts: int | None, time_s: float) -> None:
        self._last_pts = pts
        self._anchor_s = self._time_s = time_s
        self._ticks = 0
