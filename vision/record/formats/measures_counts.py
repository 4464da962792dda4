"""Tables of counts: volumes at lines, turning movements, peak hours, origins and destinations, crosswalks."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from vision.errors import StoreError
from vision.record.formats.grid import Grid, mean, percentile, withhold
from vision.record.formats.request import Request, RuleEvents
from vision.record.formats.tables import Row, Table
from vision.record.formats.turning import turn_table, watched_pairs

#: A row that sums up all classes.
ALL = "all"
_RED = ("red", "red_amber")


def volumes(request: Request, grid: Grid) -> Table:
    """Return the count of each line, direction and class, and of all classes together."""
    rows: list[Row] = []
    for part in request.of_type("line_count"):
        lines, directions = request.names(part.entry, "line"), request.names(part.entry, "direction")
        for line, direction in _watched_ways(request, part):
            chosen = part.rows[(part.rows["line"] == lines.index(line)) & (part.rows["direction"] == direction)]
            keys = {"rule": part.entry.name, "line": line, "direction": directions[direction]}
            rows += by_class(request, grid, part, keys, chosen, chosen["time_s"])
    return Table("volumes", withhold(request, rows, "n"))


def movements(request: Request, grid: Grid) -> Table:
    """Return the count of each pair of entry and exit and each class, in the interval in which a vehicle entered.

    `entry` is empty for those first seen inside, which count when they leave.
    """
    turns: dict[tuple[str, str], str] = {}
    with contextlib.suppress(StoreError):
        turns = turn_table(request)
    rows: list[Row] = []
    pairs = watched_pairs(request)
    for part in request.of_type("movement"):
        names = request.names(part.entry, "entry_line")
        unknown = [(None, names[leave]) for leave in np.unique(part.rows["exit_line"][part.rows["entry_line"] < 0])]
        for entry, leave in [*pairs, *unknown]:
            index = -1 if entry is None else names.index(entry)
            chosen = part.rows[(part.rows["entry_line"] == index) & (part.rows["exit_line"] == names.index(leave))]
            at_s = chosen["time_s"] if entry is None else chosen["entry_s"]
            turn = turns.get((entry, leave)) if entry is not None else None
            keys = {"rule": part.entry.name, "entry": entry, "exit": leave, "movement": turn}
            rows += by_class(request, grid, part, keys, chosen, at_s)
    return Table("movements", withhold(request, rows, "n"))


def by_class(
    request: Request, grid: Grid, part: RuleEvents, keys: Row, chosen: np.ndarray, at_s: np.ndarray
) -> list[Row]:
    """Return the rows of each class that a rule watches and of all together; the classes add up to all."""
    names = request.records.header.tables["class"]
    asked = request.config(part.rule).get("classes") or names
    seen = {names[index] for index in np.unique(chosen["class_id"]).tolist()}
    rows = []
    for name in [*(name for name in names if name in asked or name in seen), ALL]:
        of = at_s if name == ALL else at_s[chosen["class_id"] == names.index(name)]
        n = grid.count(of)
        values = [
            {"n": one, "flow_per_h": flow, "expansion_factor": 1.0 / share if share > 0.0 else None}
            for one, flow, share in zip(n, grid.hourly(n), grid.bins.share.tolist(), strict=True)
        ]
        rows += grid.rows({**keys, "class": name}, values)
    return rows


def peak_hours(request: Request, grid: Grid) -> Table:
    """Return the hour with the most vehicles of all movements together and at each line, and how even it was.

    An hour is any run of whole intervals that were all observed; of equal ones the first.
    """
    length = grid.bins.length_s
    per_hour = int(3600 // length)
    if per_hour < 1 or per_hour * length != 3600.0:
        request.notes.append(f"no peak hour: intervals of {length / 60:g} min do not make up an hour")
        return Table("peak_hours", [])
    vehicles = request.vehicle_classes
    counts: dict[tuple[str, str], np.ndarray] = defaultdict(lambda: np.zeros(len(grid), np.int64))
    for part in request.of_type("movement"):
        rows = part.rows[np.isin(part.rows["class_id"], vehicles)]
        at_s = np.where(rows["entry_line"] < 0, rows["time_s"], rows["entry_s"])
        counts["all movements", ""] += np.array(grid.count(at_s))
    for part in request.of_type("line_count"):
        names = request.names(part.entry, "direction")
        rows = part.rows[np.isin(part.rows["class_id"], vehicles)]
        for _, way in _watched_ways(request, part):
            counts[part.entry.name, names[way]] += np.array(grid.count(rows["time_s"][rows["direction"] == way]))
    return Table("peak_hours", [_peak(grid, *key, n, per_hour) for key, n in counts.items()])


def _peak(grid: Grid, what: str, direction: str, n: np.ndarray, per_hour: int) -> Row:
    head = {"what": what, "direction": direction or None}
    whole = [
        (int(n[k : k + per_hour].sum()), -k)
        for k in range(len(grid) - per_hour + 1)
        if grid.known[k : k + per_hour].all()
    ]
    if not whole:
        names = ("begin_utc", "begin_s", "n", "interval_max", "phf", "k_factor", "coverage", "status")
        return {**head, **dict.fromkeys(names), "status": "withheld"}
    total, at = max(whole)
    hour = slice(-at, -at + per_hour)
    most, share = int(n[hour].max()), float(grid.bins.share[hour].min())
    all_n = int(n[grid.known].sum())
    return head | {
        "begin_utc": grid.instant(float(grid.bins.begin_s[-at])),
        "begin_s": float(grid.bins.begin_s[-at]),
        "n": total,
        "interval_max": most,
        "phf": round(total / (per_hour * most), 3) if most else None,
        "k_factor": total / all_n if all_n else None,
        "coverage": share,
        "status": max((grid.heads[k]["status"] for k in range(-at, -at + per_hour)), key=("ok", "partial").index),
    }


def journeys(request: Request, grid: Grid) -> Table:
    """Return origin and destination: of each road user its first entry and its last exit, with travel times.

    `origin` is empty for those first seen inside. A road user counts in the interval in which it came.
    """
    trips: dict[tuple[int, int, int], list[tuple[float, float, int, int]]] = defaultdict(list)
    lines = request.records.header.tables.get("line", ())
    for part in request.of_type("movement"):
        of = (
            part.rows[name].tolist() for name in ("epoch", "track_id", "entry_s", "time_s", "entry_line", "exit_line")
        )
        for epoch, track, entry_s, exit_s, entry, leave in zip(*of, strict=True):
            trips[part.rule, epoch, track].append((exit_s, entry_s, entry, leave))
    found: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    for legs in trips.values():
        first, last = min(legs), max(legs)
        came_s = first[1] if first[2] >= 0 else first[0]
        found[first[2], last[3]].append((came_s, last[0] - first[1] if first[2] >= 0 else np.nan))
    rows: list[Row] = []
    for (entry, leave), pairs in sorted(found.items()):
        came, travel = np.array(pairs).T
        place = grid.bins.place(came)
        values = [_journey(travel[place == k]) for k in range(len(grid))]
        origin = lines[entry] if entry >= 0 else None
        rows += grid.rows({"origin": origin, "destination": lines[leave], "inferred": entry < 0}, values)
    return Table("journeys", withhold(request, rows, "n"))


def _journey(travel_s: np.ndarray) -> Row:
    return {
        "n": len(travel_s),
        "travel_mean_s": mean(travel_s),
        "travel_p15_s": percentile(travel_s, 15),
        "travel_p50_s": percentile(travel_s, 50),
        "travel_p85_s": percentile(travel_s, 85),
    }


def crosswalks(request: Request, grid: Grid) -> Table:
    """Return who crossed each crosswalk, by direction and class, how fast, after what wait and against what signal."""
    rows: list[Row] = []
    classes = request.records.header.tables["class"]
    for part in request.of_type("crosswalk"):
        zones, states = request.names(part.entry, "zone"), request.names(part.entry, "signal_state")
        named = request.names(part.entry, "direction") if "direction" in part.entry.names else None
        red = np.array([states[k] in _RED if k >= 0 else False for k in part.rows["signal_state"].tolist()], bool)
        told = part.rows["signal_state"].astype(np.int64) >= 0
        groups = np.unique(np.stack([part.rows[key] for key in ("zone", "direction", "class_id")], 1), axis=0)
        for zone, direction, kind in groups.tolist():
            chosen = np.stack([part.rows["zone"] == zone, part.rows["direction"] == direction], 1).all(1)
            chosen &= part.rows["class_id"] == kind
            place = np.where(chosen, grid.bins.place(part.rows["time_s"]), -1)
            keys = {"rule": part.entry.name, "zone": zones[zone], "class": classes[kind]}
            keys["direction"] = named[direction] if named else str(direction)
            values = [_crossed(part.rows, place == k, red, told) for k in range(len(grid))]
            rows += grid.rows(keys, values)
    return Table("crosswalks", withhold(request, rows, "n"))


def _crossed(rows: np.ndarray, here: np.ndarray, red: np.ndarray, told: np.ndarray) -> Row:
    return {
        "n": int(here.sum()),
        "n_group": int(rows["group"][here].sum()),
        "n_signal_known": int((here & told).sum()),
        "n_against_signal": int((here & red).sum()),
        "speed_mean_mps": mean(rows["speed_mps"][here]),
        "speed_p15_mps": percentile(rows["speed_mps"][here], 15),
        "wait_mean_s": mean(rows["wait_s"][here]),
        "n_waited": int(np.isfinite(rows["wait_s"][here]).sum()),
    }


def _watched_ways(request: Request, part: RuleEvents) -> Iterable[tuple[str, int]]:
    """Return each line with each direction in which it can be crossed, also where nobody did."""
    names = request.names(part.entry, "line")
    directions = request.names(part.entry, "direction")
    ways = {
        (names[line], way) for line, way in np.unique(np.stack([part.rows["line"], part.rows["direction"]], 1), axis=0)
    }
    watched = request.config(part.rule).get("line")
    for line in request.geometry.get("lines") or ():
        if line["name"] == watched:
            told = (
                ("with_flow", "against_flow")
                if line["has_flow"]
                else ("right", "left")
                if line.get("upright")
                else None
            )
            ways |= {(watched, directions.index(name)) for name in told or ("down", "up")}
    return sorted(ways)
