"""Sets what a run found beside what is true of the scene, and says whether it is good enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vision.demo.truth import Crossing, RedRun, Truth

#: An event and a true crossing farther apart than this are not the same.
MATCH_S = 1.0

Event = Mapping[str, Any]


@dataclass(frozen=True)
class CountRow:
    """How many vehicles of a class crossed a line in a direction, in truth and in the result."""

    line: str
    direction: str
    class_name: str
    truth: int
    result: int


@dataclass(frozen=True)
class MovementRow:
    """How many vehicles came in over one line and left over another, in truth and in the result."""

    entry_line: str
    exit_line: str
    truth: int
    result: int


@dataclass(frozen=True)
class Bar:
    """Something that must hold: what, what was found, and whether it holds."""

    name: str
    found: str
    passed: bool


@dataclass(frozen=True)
class Report:
    """Truth beside result, as data."""

    counts: tuple[CountRow, ...]
    movements: tuple[MovementRow, ...]
    crossings: int  # true crossings
    errors_s: tuple[float, ...]  # result minus truth of each matched crossing, signed
    runs_found: tuple[RedRun, ...]
    runs_missed: tuple[RedRun, ...]
    runs_invented: tuple[Event, ...]
    run_events: tuple[Event, ...]  # those of runs_found, in the same order
    frame_s: float
    bars: tuple[Bar, ...]

    @property
    def passed(self) -> bool:
        """Say whether every bar holds."""
        return all(bar.passed for bar in self.bars)

    def error_s(self, share: float) -> float:
        """Return the crossing-time error in seconds that `share` of the matched crossings keep to; NaN without any."""
        return nearest_rank([abs(error) for error in self.errors_s], share)

    def lines(self) -> list[str]:
        """Return the report as plain text, truth beside result."""
        rows = [f"{'line':<12}{'direction':<14}{'class':<12}{'truth':>6}{'result':>8}"]
        for row in self.counts:
            mark = "" if row.truth == row.result else "  <- differs"
            rows.append(f"{row.line:<12}{row.direction:<14}{row.class_name:<12}{row.truth:>6}{row.result:>8}{mark}")
        rows += ["", f"{'in over':<12}{'out over':<26}{'truth':>6}{'result':>8}"]
        for move in self.movements:
            mark = "" if move.truth == move.result else "  <- differs"
            rows.append(f"{move.entry_line:<12}{move.exit_line:<26}{move.truth:>6}{move.result:>8}{mark}")
        rows += ["", f"{'ran red':<12}{'class':<14}{'at s':>8}{'into red s':>12}  found"]
        for run in sorted((*self.runs_found, *self.runs_missed), key=lambda one: one.time_s):
            found = "yes" if run in self.runs_found else "MISSED"
            rows.append(f"{run.line:<12}{run.class_name:<14}{run.time_s:>8.2f}{run.red_s:>12.2f}  {found}")
        for event in self.runs_invented:
            rows.append(f"{event.get('line') or '?':<12}{event['class']:<14}{event['time_s']:>8.2f}{'':>12}  INVENTED")
        rows.append("")
        rows += [f"{'pass' if bar.passed else 'FAIL'}  {bar.name}: {bar.found}" for bar in self.bars]
        return rows


def nearest_rank(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0..1) of the values stay within; NaN without values."""
    return float(np.quantile(values, share, method="inverted_cdf")) if len(values) else float("nan")


def compare(truth: Truth, events: Iterable[Event], frame_s: float = 0.04) -> Report:
    """Set events (as `gantry export` writes them) beside the truth; `frame_s` is the time between frames.

    An event belongs to a true crossing of the same line and direction, the nearest in time within 1 s, each used once.
    """
    events = sorted(events, key=lambda event: event["time_s"])
    crossed = [event for event in events if event["type"] == "line_count"]
    pairs = match(truth.crossings, crossed)
    vehicles = {crossed[j]["track_id"]: truth.crossings[i].vehicle for i, j in pairs}
    flagged = [event for event in events if event["type"] == "red_light" and event.get("judgement") != "cannot_judge"]
    found = match_runs(truth.red_runs, flagged, vehicles)
    counts = count_rows(truth, crossed)
    errors = tuple(crossed[j]["time_s"] - truth.crossings[i].time_s for i, j in pairs)
    missed = tuple(run for i, run in enumerate(truth.red_runs) if i not in found)
    invented = tuple(event for j, event in enumerate(flagged) if j not in found.values())
    moves = movement_rows(truth, [event for event in events if event["type"] == "movement"])
    return Report(
        counts, moves, len(truth.crossings), errors,
        tuple(truth.red_runs[i] for i in found), missed, invented, tuple(flagged[j] for j in found.values()), frame_s,
        judge(counts, moves, errors, len(truth.crossings), len(found), len(missed), len(invented), frame_s),
    )  # fmt: skip


def judge(
    counts: Sequence[CountRow],
    moves: Sequence[MovementRow],
    errors_s: Sequence[float],
    crossings: int,
    found: int,
    missed: int,
    invented: int,
    frame_s: float,
) -> tuple[Bar, ...]:
    """Return the bars of the demo and whether they hold."""
    wrong = [row for row in counts if row.truth != row.result]
    detour = [row for row in moves if row.truth != row.result]
    p50, p95, most = (1000 * nearest_rank([abs(error) for error in errors_s], share) for share in (0.5, 0.95, 1.0))
    times = f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, most {most:.0f} ms, n = {len(errors_s)} of {crossings}"
    counted, moved = f"{len(counts) - len(wrong)} of {len(counts)}", f"{len(moves) - len(detour)} of {len(moves)}"
    runs = f"found {found}, missed {missed}, invented {invented}"
    return (
        Bar("every count per line, direction and class is exact", counted, not wrong),
        Bar("every movement is exact", moved, not detour),
        Bar(f"crossing times within one frame ({1000 * frame_s:.0f} ms) at p95", times, p95 <= 1000 * frame_s),
        Bar("every red-light run is found and none invented", runs, not missed and not invented),
    )


def count_rows(truth: Truth, crossed: Sequence[Event]) -> tuple[CountRow, ...]:
    """Return the counts per line, direction and class that occur in the truth or in the result."""
    true = Counter((one.line, one.direction, one.class_name) for one in truth.crossings)
    seen = Counter((event["line"], event["direction"], event["class"]) for event in crossed)
    return tuple(CountRow(*key, true[key], seen[key]) for key in sorted(true | seen))


def movement_rows(truth: Truth, moved: Sequence[Event]) -> tuple[MovementRow, ...]:
    """Return the counts per movement that occur in the truth or in the result."""
    true = Counter((one.entry_line, one.exit_line) for one in truth.movements)
    seen = Counter((event["entry_line"] or "not seen", event["exit_line"]) for event in moved)
    return tuple(MovementRow(*key, true[key], seen[key]) for key in sorted(true | seen))


def match(crossings: Sequence[Crossing], events: Sequence[Event]) -> list[tuple[int, int]]:
    """Return pairs (crossing, event), nearest in time first, those of the same class before others."""
    near = sorted(
        (one.class_name != event["class"], abs(event["time_s"] - one.time_s), i, j)
        for i, one in enumerate(crossings)
        for j, event in enumerate(events)
        if (event["line"], event["direction"]) == (one.line, one.direction)
        and abs(event["time_s"] - one.time_s) <= MATCH_S
    )
    pairs: dict[int, int] = {}
    for _, _, i, j in near:
        if i not in pairs and j not in pairs.values():
            pairs[i] = j
    return sorted(pairs.items())


def match_runs(runs: Sequence[RedRun], events: Sequence[Event], vehicles: Mapping[int, int]) -> dict[int, int]:
    """Return run -> event: the same line within 1 s, and the same vehicle where the event's track is known."""
    found: dict[int, int] = {}
    for i, run in enumerate(runs):
        for j, event in enumerate(events):
            same = vehicles.get(event["track_id"], run.vehicle) == run.vehicle
            near = event["line"] == run.line and abs(event["time_s"] - run.time_s) <= MATCH_S
            if same and near and j not in found.values():
                found[i] = j
                break
    return found
