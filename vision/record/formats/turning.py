"""Turning movement counts as UTDF, which Synchro and Vistro read: one row an interval, one column a movement.

A vehicle counts in the interval in which it entered. Movements are named by the direction of travel on the approach
(NB: heading north) and L, T, R. `*` is "not available": no entry and exit line stand for the movement, the interval was
observed for less than half, or the count is below the smallest that may be shown.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import IO, Any

import numpy as np

from vision.errors import StoreError
from vision.ground import lens_of, undistorted
from vision.record.formats.bins import WITHHELD_SHARE, note_coverage, wall_bins
from vision.record.formats.request import Request

MOVEMENTS = tuple(f"{way}B{turn}" for way in "NSEW" for turn in "LTR")
_INTERVALS_MIN = (15, 60)
#: Heading changes up to this are through traffic, beyond the other they are a U-turn.
_THROUGH_DEG, _U_TURN_DEG = 45.0, 135.0


def write_utdf(request: Request, stream: IO[bytes]) -> int:
    """Write the counts; return how many vehicles are in them."""
    request.need("a turning movement count", "movement")
    if request.options.interval_min not in _INTERVALS_MIN:
        raise StoreError(f"interval_min = {request.options.interval_min}; UTDF allows 15 or 60")
    device = request.options.device
    if not isinstance(device, int):
        raise StoreError("utdf needs the intersection's number; give device = NUMBER in the options")
    turns = turn_table(request)
    bins = wall_bins(request)
    counts = _counts(request, turns, bins.place)
    counts = np.pad(counts, ((0, len(bins.begin_s) - len(counts)), (0, 0)))
    seen = {turn for turn in turns.values() if turn in MOVEMENTS}
    note_coverage(request, bins)
    lines = ["Turning Movement Count", f"{request.options.interval_min} Minute Counts"]
    lines.append(",".join(("DATE", "TIME", "INTID", *MOVEMENTS)))
    total, hidden = 0, 0
    for begin_s, share, row in zip(bins.begin_s.tolist(), bins.share.tolist(), counts.tolist(), strict=True):
        cells = []
        for name, n in zip(MOVEMENTS, row, strict=True):
            small = 0 < n < request.options.k
            shown = name in seen and share >= WITHHELD_SHARE and not small
            hidden += small
            total += n if shown else 0
            cells.append(str(n) if shown else "*")
        lines.append(",".join((_stamp(request, begin_s), str(device), *cells)))
    if hidden:
        request.notes.append(f"{hidden} counts below {request.options.k} are withheld")
    stream.write(("\n".join(lines) + "\n").encode("ascii"))
    return total


def turn_table(request: Request) -> dict[tuple[str, str], str]:
    """Return the movement, such as "NBL", of each pair of entry and exit line that the run's rules watch.

    A StoreError says what is missing: a pair is named in the options, or told from the ground plane with `north_deg`.
    """
    lines = request.records.header.tables["line"]
    named: dict[tuple[str, str], str] = {}
    for key, turn in request.options.movements.items():
        entry, arrow, leave = (part.strip() for part in key.partition("->"))
        if not arrow or entry not in lines or leave not in lines:
            raise StoreError(
                f"movements: {key!r} names no entry and exit line; allowed: 'entry -> exit' of {', '.join(lines)}"
            )
        named[entry, leave] = turn
    for pair in watched_pairs(request):
        if pair not in named and request.options.north_deg is not None:
            named[pair] = _turn(request, *pair)
    if not named:
        raise StoreError(
            f"{request.records.path}: which movement is which is not known; give north_deg, or a table [movements] "
            'with lines such as "south_in -> west_out" = "NBL" in the options'
        )
    return named


def watched_pairs(request: Request) -> list[tuple[str, str]]:
    """Return the pairs of entry and exit line of the run's movement rules, and those that events have."""
    pairs: dict[tuple[str, str], None] = {}
    for part in request.of_type("movement"):
        config = request.config(part.rule)
        pairs |= dict.fromkeys((one, other) for one in config.get("entry", ()) for other in config.get("exit", ()))
        names = request.names(part.entry, "entry_line")
        found = np.unique(np.stack([part.rows["entry_line"], part.rows["exit_line"]], 1), axis=0)
        pairs |= dict.fromkeys((names[one], names[other]) for one, other in found.tolist() if one >= 0)
    return list(pairs)


def _counts(request: Request, turns: dict[tuple[str, str], str], place: Any) -> np.ndarray:
    """Return counts, i8[bins, movements], and note what is not in them."""
    vehicles = request.vehicle_classes
    found: list[tuple[int, int]] = []
    lost = {"no_entry": 0, "no_name": 0, "u_turns": 0, "others": 0}
    available = set(turns.values())
    for part in request.of_type("movement"):
        names = request.names(part.entry, "entry_line")
        inside = np.isin(part.rows["class_id"], vehicles)
        lost["others"] += int((~inside).sum())
        rows = part.rows[inside]
        of = (rows["entry_line"].tolist(), rows["exit_line"].tolist(), place(rows["entry_s"]).tolist())
        for entry, leave, at in zip(*of, strict=True):
            turn = turns.get((names[entry], names[leave])) if entry >= 0 and at >= 0 else None
            if turn is not None and turn.endswith("U"):
                lost["u_turns"] += 1
                left = turn[:2] + "L"
                turn = left if request.options.u_turns == "left" and left in available else ""
            if turn:
                found.append((at, MOVEMENTS.index(turn)))
            elif turn is None:
                lost["no_entry" if entry < 0 or at < 0 else "no_name"] += 1
    _note(request, lost)
    counts = np.zeros((1 + max((at for at, _ in found), default=0), len(MOVEMENTS)), np.int64)
    np.add.at(counts, tuple(np.array(found, np.int64).reshape(-1, 2).T), 1)
    return counts


def _note(request: Request, lost: dict[str, int]) -> None:
    u_turns = "counted as left turns" if request.options.u_turns == "left" else "left out"
    said = {
        "no_entry": "vehicles were not seen entering: left out",
        "no_name": "vehicles took a way that [movements] does not name: left out",
        "u_turns": f"U-turns, which UTDF does not know: {u_turns}",
        "others": "road users of other classes: left out",
    }
    request.notes.extend(f"{n} {said[key]}" for key, n in lost.items() if n)


def _turn(request: Request, entry: str, leave: str) -> str:
    """Return the movement of a pair from the headings of its lines on the ground plane."""
    inward, outward = _bearing_deg(request, entry), _bearing_deg(request, leave)
    way = "NESW"[round(inward / 90.0) % 4]
    change = (outward - inward + 180.0) % 360.0 - 180.0
    if abs(change) > _U_TURN_DEG:
        return f"{way}BU"
    if abs(change) <= _THROUGH_DEG:
        return f"{way}BT"
    return f"{way}B{'R' if change > 0 else 'L'}"


def _bearing_deg(request: Request, name: str) -> float:
    """Return the compass bearing of a line's flow, 0 north, 90 east."""
    line = next((line for line in request.geometry.get("lines") or [] if line["name"] == name), None)
    if line is None or not line.get("has_flow") or line.get("nx_m") is None:
        raise StoreError(
            f"{request.records.path}: line {name!r} has no flow on the ground plane, so north_deg says nothing of it; "
            "name its movements in the options ([movements])"
        )
    east, north = line["nx_m"], line["ny_m"]
    if _mirrored(request, line):
        east = -east
    return float((np.degrees(np.arctan2(east, north)) + (request.options.north_deg or 0.0)) % 360.0)


def _mirrored(request: Request, line: dict[str, Any]) -> bool:
    """Say whether the plane's y axis lies to the right of its x axis, seen from above as the camera does."""
    matrix = np.array(request.geometry["ground"]["to_road"], np.float64)
    x, y = (line["x1_px"] + line["x2_px"]) / 2.0, (line["y1_px"] + line["y2_px"]) / 2.0
    # A lens turns nothing round, so a step beside the plumb pixel will do.
    x, y = undistorted(lens_of(request.geometry), np.array([[x, y]]))[0]
    points = np.array([[x, y, 1.0], [x + 1.0, y, 1.0], [x, y + 1.0, 1.0]]) @ matrix.T
    at, right, down = points[:, :2] / points[:, 2:]
    (a, b), (c, d) = right - at, down - at
    return bool(a * d - b * c > 0.0)  # in the picture, y lies to the right of x


def _stamp(request: Request, begin_s: float) -> str:
    instant = request.start_us / 1e6 + begin_s
    ahead = int(request.offsets_s(np.array([np.floor(instant)]).astype(np.int64))[0])
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=round(instant) + ahead)
    return f"{moment:%m/%d/%Y,%H%M}"
