"""Judge a frame with every rule of a camera in one call that holds no GIL."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kernels._call import STATE, call_flat, call_row, call_square
from kernels._jit import kernel
from kernels.records import MAX_TRACKS
from kernels.rule import Prepared, Rule


@kernel
def judge_step(tracks, clock_rows, signals, table, counts):
    """Run the steps of a table of calls in its order; write how many events each told, return how many in all.

    `clock_rows` CLOCK[1] (an array, as a record costs a call 1 us more), `table` i8[n, WIDTH], `counts` i8[n].
    """
    clock, told = clock_rows[0], 0
    for k in range(len(table)):
        if table[k, STATE + 2] == 0:
            counts[k] = call_flat(table, k, tracks, clock, signals)
        else:
            counts[k] = call_square(table, k, tracks, clock, signals)
        told += counts[k]
    return told


class Judge:
    """The rules of one camera with what they work on. `out[k][: counts[k]]` are the events of rule k in a step."""

    def __init__(self, rules: Sequence[Rule], prepared: Sequence[Prepared]) -> None:
        self.counts = np.zeros(len(rules), np.int64)
        # A track can settle every line of a rule in one step, no more.
        self.out = [
            np.zeros(MAX_TRACKS * len(own.settings), rule.event) for rule, own in zip(rules, prepared, strict=True)
        ]
        self._parts = [(rule.step, *own, out) for rule, own, out in zip(rules, prepared, self.out, strict=True)]
        rows = [call_row(*part) for part in self._parts]
        #: None where numba is switched off.
        self._table = np.array(rows, np.int64) if rows and None not in rows else None

    def step(self, tracks: np.ndarray, clock: np.ndarray, signals: np.ndarray) -> int:
        """Judge TRACK[n] at CLOCK[1] with SIGNAL[m]; return how many events there are in `out`."""
        if self._table is not None:
            return int(judge_step(tracks, clock, signals, self._table, self.counts))
        for k, (step, settings, state, out) in enumerate(self._parts):
            self.counts[k] = step(tracks, clock[0], signals, settings, state, out)
        return int(self.counts.sum())
