"""The delay of pedestrians at each crosswalk: from arrival at the kerb to the first step, and to the signal's walk."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from vision.record.formats.grid import Grid, mean, percentile, withhold
from vision.record.formats.request import Request, RuleEvents
from vision.record.formats.tables import Row, Table

_WALK, _DONT_WALK = ("green",), ("red", "red_amber")
#: A signal's changes: since when (s) it showed what.
Changes = list[tuple[float, str]]


def pedestrian_delays(request: Request, grid: Grid) -> Table:
    """Return how long those who crossed had waited, and how many were still on the crosswalk when don't walk began.

    `wait`: from the arrival at the kerb to the first step. `to_walk`: from the arrival to walk, 0 for who arrived in
    it, of those who did not go against the signal; a `signal_change` rule of the crosswalk's signal must be in the run.
    """
    rows: list[Row] = []
    for part in request.of_type("crosswalk"):
        zones = request.names(part.entry, "zone")
        changes = _changes(request, request.config(part.rule).get("signal"))
        to_walk_s = _to_walk_s(part, changes)
        late = _late(part, changes)
        for zone in np.unique(part.rows["zone"]).tolist():
            place = np.where(part.rows["zone"] == zone, grid.bins.place(part.rows["time_s"]), -1)
            keys = {"rule": part.entry.name, "zone": zones[zone]}
            values = [_delays(part.rows["wait_s"], to_walk_s, late, place == k) for k in range(len(grid))]
            rows += grid.rows(keys, values)
    return Table("pedestrian_delays", withhold(request, rows, "n"))


def _changes(request: Request, signal: object) -> Changes:
    found: Changes = []
    for part in request.of_type("signal_change"):
        names, states = request.names(part.entry, "signal"), request.names(part.entry, "signal_state")
        found += [
            (float(row["since_s"]), states[int(row["signal_state"])])
            for row in part.rows
            if names[int(row["signal"])] == signal
        ]
    return sorted(found)


def _at(changes: Changes, time_s: float) -> str:
    k = bisect_right(changes, (time_s, "~")) - 1
    return changes[k][1] if k >= 0 else "unknown"


def _to_walk_s(part: RuleEvents, changes: Changes) -> np.ndarray:
    """Return how long after its arrival walk began for who stepped on in walk or clearance, f8[n]; NaN: unknown."""
    found = np.full(len(part.rows), np.nan)
    for k, row in enumerate(part.rows):
        entry_s = float(row["time_s"]) - float(row["cross_s"])
        arrival_s = entry_s - float(row["wait_s"])
        if not np.isfinite(arrival_s) or _at(changes, entry_s) not in (*_WALK, "amber"):
            continue
        if _at(changes, arrival_s) in _WALK:
            found[k] = 0.0
        elif _at(changes, arrival_s) != "unknown":
            begins = [since_s for since_s, state in changes if state in _WALK and arrival_s < since_s <= entry_s]
            found[k] = begins[0] - arrival_s if begins else np.nan
    return found


def _late(part: RuleEvents, changes: Changes) -> np.ndarray:
    """Return 1 for who stepped on before don't walk began and left after it, 0 for who left in time; NaN: unknown."""
    found = np.full(len(part.rows), np.nan)
    for k, row in enumerate(part.rows):
        entry_s, leave_s = float(row["time_s"]) - float(row["cross_s"]), float(row["time_s"])
        if np.isfinite(entry_s) and _at(changes, entry_s) in (*_WALK, "amber"):
            found[k] = any(state in _DONT_WALK and entry_s < since_s <= leave_s for since_s, state in changes)
    return found


def _delays(wait_s: np.ndarray, to_walk_s: np.ndarray, late: np.ndarray, here: np.ndarray) -> Row:
    waits, walks, ends = wait_s[here], to_walk_s[here], late[here]
    return {
        "n": int(here.sum()),
        "n_waited": int(np.isfinite(waits).sum()),
        "wait_mean_s": mean(waits),
        "wait_p50_s": percentile(waits, 50),
        "wait_p85_s": percentile(waits, 85),
        "wait_max_s": percentile(waits, 100),
        "n_to_walk": int(np.isfinite(walks).sum()),
        "to_walk_mean_s": mean(walks),
        "to_walk_p85_s": percentile(walks, 85),
        "n_began_in_time": int(np.isfinite(ends).sum()),
        "n_left_in_dont_walk": int(np.nansum(ends)),
    }
