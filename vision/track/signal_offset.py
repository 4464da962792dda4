"""How far a signal's log is off the picture's clock: its changes against those of the lamps in view."""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from kernels.records import AMBER, GREEN, RED

#: A change of a signal: when (stream s), to what.
Change = tuple[float, int]

#: Clocks that are further apart are not compared.
OFFSET_MAX_S = 30.0
#: Changes so near are the same one.
NEAR_S = 0.3
#: Fewer pairs, or a smaller share of the lamps' changes, say nothing.
PAIRS_MIN, SHARE_MIN = 5, 0.8
#: From here on events of red lights cannot be trusted (domain's practice).
OFFSET_BAD_S = 0.2


class Offset(NamedTuple):
    """What must be added to the log's times (s), the deviation of a pair from it, pairs, changes of the lamps."""

    offset_s: float
    sd_s: float
    pairs: int
    seen: int

    def line(self, name: str) -> str:
        """Return what to say of it."""
        advice = f"; add {self.offset_s:.2f} to its offset_s" if abs(self.offset_s) > OFFSET_BAD_S else ""
        return (
            f"signal {name}: the lamps change {self.offset_s:+.3f} s after the log "
            f"(deviation {self.sd_s:.3f} s, {self.pairs} of {self.seen} changes){advice}"
        )


def clock_offset(log: Sequence[Change], seen: Sequence[Change]) -> Offset | None:
    """Return the shift that most changes of the lamps agree on, the smallest of such; None where too few agree."""
    states = (RED, AMBER, GREEN)
    told = {state: sorted(at for at, name in log if name == state) for state in states}
    seen = [change for change in seen if change[1] in states]
    shifts = sorted(
        (at - other for at, state in seen for other in told[state] if abs(at - other) <= OFFSET_MAX_S), key=abs
    )
    best: list[float] = []
    for shift in shifts[:2000]:
        pairs = [pair for at, state in seen if (pair := _nearest(told[state], at, shift)) is not None]
        if len(pairs) > len(best):
            best = pairs
    if len(best) < PAIRS_MIN or len(best) < SHARE_MIN * len(seen):
        return None
    return Offset(statistics.median(best), statistics.pstdev(best), len(best), len(seen))


def _nearest(times: list[float], at_s: float, shift_s: float) -> float | None:
    """Return how far a change lies after the nearest of the log's, None where none is near it once shifted."""
    place = bisect_left(times, at_s - shift_s)
    apart = [at_s - other for other in times[max(place - 1, 0) : place + 1]]
    found = min(apart, key=lambda one: abs(one - shift_s), default=None)
    return found if found is not None and abs(found - shift_s) <= NEAR_S else None
