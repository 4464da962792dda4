"""Measures of signals from a run: cycles, arrivals on green, split failures, actuations on yellow and red.

They are what `atspm` makes of the same events in a controller's log, so times count in whole tenths of a second.

| form           | a row                     | of                                                                     |
|----------------|---------------------------|------------------------------------------------------------------------|
| signal-cycles  | a signal's cycle          | `signal_change`; green, amber, red, occupancy of green and of 5 s red  |
| signal-bins    | a signal's interval       | arrivals, those on green, platoon ratio, split failures                |
| yellow-red     | a signal's interval and offset from red | actuations at the stop line, in bins of 0.5 s            |

The options say which rules are a signal's detectors: `presence` (its ons count), `line_count` (each crossing counts).
"""

from __future__ import annotations

import csv
import io
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, Any

import numpy as np

from vision.errors import StoreError
from vision.record.formats.bins import WITHHELD_SHARE, Bins, note_coverage, wall_bins
from vision.record.formats.hires import TENTH_US, alternating
from vision.record.formats.request import Request, RuleEvents

#: The red that residual queues are looked for in, and the occupancy from which a split has failed.
RED_TENTHS = 50
FAILED_OCCUPANCY = 0.8
#: Actuations longer before the red are none of the yellow's.
OFFSET_MIN_S = -8.0


@dataclass
class Cycle:
    """A cycle, in tenths since 1970: when its green, amber and red began and the next green; None where not seen.

    `lost`: the signal became dark, flashing or unknown in it.
    """

    green: int
    amber: int | None = None
    red: int | None = None
    end: int | None = None
    lost: int | None = None


@dataclass
class Measured:
    """One signal: its cycles in order, arrivals, actuations at the stop line, spans (on, off) of its presence."""

    name: str
    cycles: list[Cycle]
    arrivals: list[int]
    stop_line: list[int]
    occupied: list[tuple[int, int]] | None

    def cycle_at(self, tenth: int) -> Cycle | None:
        """Return the cycle that a tenth falls into; None before the first green."""
        at = bisect_right([cycle.green for cycle in self.cycles], tenth) - 1
        return self.cycles[at] if at >= 0 else None

    def on_green(self, tenth: int) -> bool:
        """Say whether the signal showed green; the tenth in which it ended is no longer green."""
        cycle = self.cycle_at(tenth)
        if cycle is None:
            return False
        ends = [moment for moment in (cycle.amber, cycle.red, cycle.lost) if moment is not None]
        return tenth < min(ends) if ends else True

    def occupancy(self, begin: int, end: int) -> float:
        """Return the share of a span that somebody was over the presence detectors."""
        spans = self.occupied or []
        held = sum(max(0, min(off, end) - max(on, begin)) for on, off in spans)
        return held / (end - begin)

    def splits(self) -> list[tuple[Cycle, float, float]]:
        """Return (cycle, occupancy of green, of the first 5 s of red) of each cycle that tells of its split."""
        if not self.occupied:
            return []
        first = self.occupied[0][0]
        found = []
        for cycle in self.cycles:
            if cycle.amber is None or cycle.red is None or not cycle.green < cycle.amber or cycle.lost is not None:
                continue
            if cycle.green < first:
                continue
            if cycle.end is not None and cycle.end < cycle.red + RED_TENTHS:
                continue
            green = self.occupancy(cycle.green, cycle.amber)
            found.append((cycle, green, self.occupancy(cycle.red, cycle.red + RED_TENTHS)))
        return found


def measured_signals(request: Request) -> list[Measured]:
    """Return the signals that the run tells of; a StoreError where it records no change of a signal."""
    request.need("measures of signals", "signal_change")
    if not len(request.positions):
        return []
    found = []
    for part in request.of_type("signal_change"):
        names = request.names(part.entry, "signal")
        for signal in sorted(set(part.rows["signal"].tolist())):
            rows = part.rows[part.rows["signal"] == signal]
            use = request.options.signal_detectors.get(names[signal])
            presence = _spans(request, use.presence) if use else None
            found.append(
                Measured(
                    name=names[signal] if names[signal][0] != "-" else f"'{names[signal]}",  # no formula
                    cycles=_cycles(request, part, rows),
                    arrivals=_actuations(request, use.arrivals if use else ()),
                    stop_line=_actuations(request, use.stop_line if use else ()),
                    occupied=presence,
                )
            )
    return found


def _tenths(request: Request, time_s: np.ndarray) -> list[int]:
    found: list[int] = (request.instants_us(time_s) // TENTH_US).tolist()
    return found


def _cycles(request: Request, part: RuleEvents, rows: np.ndarray) -> list[Cycle]:
    states = request.names(part.entry, "signal_state")
    found: list[Cycle] = []
    for tenth, code in zip(_tenths(request, rows["time_s"]), rows["signal_state"].tolist(), strict=True):
        state = states[code]
        if state == "green":
            if found and found[-1].lost is None:
                found[-1].end = tenth
            found.append(Cycle(tenth))
        elif not found or found[-1].lost is not None:
            continue
        elif state in ("unknown", "dark", "flashing"):
            found[-1].lost = tenth
        elif state == "amber" and found[-1].amber is None and found[-1].red is None:
            found[-1].amber = tenth
        elif state == "red" and found[-1].red is None:
            found[-1].red = tenth
    return found


def _detectors(request: Request, names: Iterable[str]) -> Iterable[RuleEvents]:
    parts = {part.entry.name: part for part in request.of_type("presence", "line_count")}
    for name in names:
        if name not in parts:
            known = ", ".join(parts) or "none"
            raise StoreError(
                f"signal_detectors: {name!r} is no rule of type presence or line_count; there are: {known}"
            )
        yield parts[name]


def _actuations(request: Request, names: Iterable[str]) -> list[int]:
    """Return when detectors went on, or were crossed."""
    found: list[int] = []
    for part in _detectors(request, names):
        if part.entry.type == "presence":
            found += [on for on, _ in _switched(request, part)]
        else:
            found += _tenths(request, part.rows["time_s"])
    return sorted(found)


def _switched(request: Request, part: RuleEvents) -> list[tuple[int, int]]:
    end = int(request.instants_us(np.array([request.end_s]))[0] // TENTH_US)
    ticks, _ = alternating(_tenths(request, part.rows["time_s"]), part.rows["on"].tolist(), end)
    return list(zip(ticks[::2], ticks[1::2], strict=True))


def _spans(request: Request, names: Iterable[str]) -> list[tuple[int, int]]:
    """Return when any of several detectors was on: spans that do not overlap."""
    found: list[tuple[int, int]] = []
    for part in _detectors(request, names):
        if part.entry.type != "presence":
            raise StoreError(f"signal_detectors: {part.entry.name!r} counts; presence needs rules of type presence")
        found += _switched(request, part)
    joined: list[tuple[int, int]] = []
    for on, off in sorted(found):
        if joined and on <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(off, joined[-1][1]))
        else:
            joined.append((on, off))
    return joined


def cycle_rows(request: Request) -> list[dict[str, Any]]:
    """Return a row for each cycle of each signal; a value that was not seen is None."""
    rows = []
    for signal in measured_signals(request):
        splits = {cycle.green: (green, red) for cycle, green, red in signal.splits()}
        for cycle in signal.cycles:
            gor, ror5 = splits.get(cycle.green, (None, None))
            rows.append(
                {
                    "signal": signal.name,
                    "begin": _stamp(request, cycle.green),
                    "green_s": _length_s(cycle.green, cycle.amber if cycle.amber is not None else cycle.red),
                    "amber_s": _length_s(cycle.amber, cycle.red),
                    "red_s": _length_s(cycle.red, cycle.end),
                    "cycle_s": _length_s(cycle.green, cycle.end),
                    "gor": gor,
                    "ror5": ror5,
                    "split_failure": None if gor is None or ror5 is None else int(_failed(gor, ror5)),
                }
            )
    return rows


def bin_rows(request: Request) -> list[dict[str, Any]]:
    """Return a row for each interval of each signal; withheld (None) where it was observed for less than half."""
    bins = wall_bins(request)
    note_coverage(request, bins)
    rows = []
    for signal in measured_signals(request):
        splits = signal.splits()
        for k, share in enumerate(bins.share.tolist()):
            begin, end = _edges(request, bins, k)
            mine = signal.arrivals[bisect_left(signal.arrivals, begin) : bisect_left(signal.arrivals, end)]
            green = sum(signal.on_green(tenth) for tenth in mine)
            green_share = _green_tenths(signal, begin, end) / (end - begin)
            pog = green / len(mine) if mine else None
            own = [(gor, ror5) for cycle, gor, ror5 in splits if begin <= (cycle.red or 0) + RED_TENTHS < end]
            values = {
                "arrivals": len(mine),
                "arrivals_green": green,
                "pog": pog,
                "platoon_ratio": None if pog is None or not green_share else pog / green_share,
                "cycles": len(own),
                "gor": sum(gor for gor, _ in own) / len(own) if own else None,
                "ror5": sum(ror5 for _, ror5 in own) / len(own) if own else None,
                "split_failures": sum(_failed(*one) for one in own),
            }
            shown = values if share >= WITHHELD_SHARE else dict.fromkeys(values)
            rows.append({"signal": signal.name, "begin": _stamp(request, begin), "observed": round(share, 4), **shown})
    return rows


def yellow_red_rows(request: Request) -> list[dict[str, Any]]:
    """Return a row for each interval, offset from the begin of red (bins of 0.5 s) and state that has actuations."""
    bins = wall_bins(request)
    rows = []
    for signal in measured_signals(request):
        counts: Counter[tuple[int, float, str]] = Counter()
        for tenth in signal.stop_line:
            cycle = signal.cycle_at(tenth)
            if cycle is None or cycle.amber is None or cycle.red is None or cycle.lost is not None:
                continue
            offset = tenth - cycle.red
            rounded = (abs(offset) * 2 + 5) // 10 / 2 * (1 if offset > 0 else -1)
            if rounded < OFFSET_MIN_S:
                continue
            state = "red" if offset >= 0 else "amber" if tenth >= cycle.amber else "green"
            place = int(bins.place(np.array([cycle.red / 10 - request.start_us / 1e6]))[0])
            counts[place, rounded + 0.0, state] += 1
        for (place, offset_s, state), n in sorted(counts.items()):
            begin = _stamp(request, _edges(request, bins, place)[0])
            rows.append({"signal": signal.name, "begin": begin, "offset_s": offset_s, "state": state, "count": n})
    return rows


def _failed(gor: float, ror5: float) -> bool:
    return gor >= FAILED_OCCUPANCY and ror5 >= FAILED_OCCUPANCY


def _green_tenths(signal: Measured, begin: int, end: int) -> int:
    total = 0
    for cycle in signal.cycles:
        over = min((at for at in (cycle.amber, cycle.red, cycle.lost, cycle.end) if at is not None), default=end)
        total += max(0, min(over, end) - max(cycle.green, begin))
    return total


def _edges(request: Request, bins: Bins, k: int) -> tuple[int, int]:
    begin = round((request.start_us / 1e6 + float(bins.begin_s[k])) * 10)
    return begin, begin + round(bins.length_s * 10)


def _length_s(begin: int | None, end: int | None) -> float | None:
    return None if begin is None or end is None else (end - begin) / 10


def _stamp(request: Request, tenth: int) -> str:
    ahead = int(request.offsets_s(np.array([tenth // 10]))[0])
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=100 * tenth, seconds=ahead)
    return moment.replace(tzinfo=None).isoformat(" ", "milliseconds")[:-2]


COLUMNS = {
    "cycles": ("signal", "begin", "green_s", "amber_s", "red_s", "cycle_s", "gor", "ror5", "split_failure"),
    "bins": (
        *("signal", "begin", "observed", "arrivals", "arrivals_green", "pog", "platoon_ratio"),
        *("cycles", "gor", "ror5", "split_failures"),
    ),
    "yellow_red": ("signal", "begin", "offset_s", "state", "count"),
}


def write_cycles(request: Request, stream: IO[bytes]) -> int:
    """Write the cycles as CSV; return how many."""
    return _write(stream, COLUMNS["cycles"], cycle_rows(request))


def write_bins(request: Request, stream: IO[bytes]) -> int:
    """Write the intervals as CSV; return how many."""
    return _write(stream, COLUMNS["bins"], bin_rows(request))


def write_yellow_red(request: Request, stream: IO[bytes]) -> int:
    """Write the actuations on yellow and red as CSV; return how many rows."""
    return _write(stream, COLUMNS["yellow_red"], yellow_red_rows(request))


def _write(stream: IO[bytes], columns: tuple[str, ...], rows: list[dict[str, Any]]) -> int:
    text = io.TextIOWrapper(stream, "utf-8", newline="", write_through=True)
    try:
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()} for row in rows
        )
    finally:
        text.detach()
    return len(rows)
