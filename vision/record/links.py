"""Which violation came with a conflict: events of the same road users within a few seconds."""

from __future__ import annotations

import numpy as np

from kernels.records import JUDGEMENTS, VIOLATION
from vision.record.reader import Records

#: A violation so long before or after a conflict, of one of the two, came with it.
LINK_S = 5.0
#: Types of rules whose events are no violations themselves.
_INCIDENTS = ("conflict", "crash")


def links(records: Records, positions: np.ndarray | None = None) -> dict[int, list[int]]:
    """Return for each conflict among the chosen events, all by default, the positions of the violations with it.

    Positions are those among all events of the run. Violations are looked for in the whole run, in the same epoch of
    the same camera; what could not be judged is none.
    """
    chosen = np.arange(len(records)) if positions is None else positions
    base, told = records.base, _violations(records)
    times = base["time_s"][told]
    order = np.argsort(times, kind="stable")
    told, times = told[order], times[order]
    found: dict[int, list[int]] = {}
    for rule, entry in enumerate(records.header.rules):
        if entry.type != "conflict":
            continue
        mine = chosen[base["rule"][chosen] == rule]
        for position, event in zip(mine.tolist(), records.rows(rule, mine), strict=True):
            first, last = np.searchsorted(times, [event["time_s"] - LINK_S, event["time_s"] + LINK_S])
            near = told[first:last]
            same = np.isin(base["track_id"][near], [event["track_id"], event["other_track_id"]])
            same &= (base["camera"][near] == event["camera"]) & (base["epoch"][near] == event["epoch"])
            found[position] = near[same].tolist()
    return found


def _violations(records: Records) -> np.ndarray:
    """Return the positions of all events that are judged violations."""
    found = [np.zeros(0, np.int64)]
    for rule, entry in enumerate(records.header.rules):
        if entry.type in _INCIDENTS or "judgement" not in (entry.dtype.names or ()):
            continue
        at = records.positions(rule)
        names = records.header.tables[entry.names["judgement"]]
        found.append(at[records.rows(rule, at)["judgement"] == names.index(JUDGEMENTS[VIOLATION])])
    return np.sort(np.concatenate(found))
