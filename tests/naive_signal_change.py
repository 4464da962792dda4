"""Slow, obvious twin of `kernels/rules/signal_change.py`."""

from __future__ import annotations

from kernels.records import UNKNOWN


def signal_change_step(rows, signal, time_s):
    """List all periods that any row so far told of, without repeats; return those that the rows before did not tell."""
    before = _changes(rows)
    rows.append((time_s, [(float(signal[f"{when}since_s"]), int(signal[f"{when}state"])) for when in ("prev_", "")]))
    return [one for one in _changes(rows) if one not in before]


def _changes(rows):
    """(since, state, state before) of each change, those before the first row only where the state still lasted."""
    found, began_s = [], rows[0][0] if rows else 0.0
    for _, (prev, now) in rows:
        for since_s, state in (prev, now) if prev[0] >= began_s else (now,):
            last_s, last = (found[-1][0], found[-1][1]) if found else (float("-inf"), UNKNOWN)
            if state != last and since_s > last_s:
                found.append((since_s, state, last))
    return found
