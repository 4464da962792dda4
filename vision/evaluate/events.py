"""A run's events against a list of what really happened: a CSV that a person or a simulation wrote."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kernels.records import CLASSES, DIRECTIONS
from vision.errors import InputError
from vision.evaluate.matching import match_times
from vision.evaluate.stats import Errors, Share, errors, geh, wilson
from vision.record.export import rows
from vision.record.reader import Records

#: An event and what really happened are one when they are this close (AI City Challenge; domain practice), in s.
WITHIN_S = 1.0
#: GEH compares hourly volumes; a cell is a quarter of an hour.
CELL_S = 900.0
_NEEDED = ("time_s", "rule")
_KNOWN = (*_NEEDED, "class", "direction", "speed_kmh", "track_id")
_BYTES_MAX = 256 << 20


class Truth(NamedTuple):
    """One thing that really happened; None where the file does not say."""

    time_s: float
    rule: str
    class_: str | None
    direction: str | None
    speed_kmh: float | None
    track_id: int | None


class RuleScore(NamedTuple):
    """How the events of one rule stand to the truth; times in s, speeds in km/h, `covered` by the k = 2 interval."""

    rule: str
    true: int
    found: int
    cannot_judge: int
    precision: Share
    recall: Share
    time_s: Errors
    class_right: Share
    speed_kmh: Errors
    covered: Share
    geh_worst: float
    cells: int


def read_truth(path: Path) -> list[Truth]:
    """Read what really happened, by time; an InputError says which line is wrong.

    A CSV with the columns time_s and rule (the rule's name in the site file), and if known class, direction, speed_kmh
    and track_id.
    """
    try:
        if path.stat().st_size > _BYTES_MAX:
            raise InputError(f"{path}: is larger than {_BYTES_MAX} bytes; split it")
        reader = csv.DictReader(io.StringIO(path.read_text("utf-8-sig")))
        columns, lines = reader.fieldnames or [], [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not set(_NEEDED) <= set(columns) or not set(columns) <= set(_KNOWN):
        allowed = f"needed: {', '.join(_NEEDED)}; also known: {', '.join(_KNOWN[2:])}"
        raise InputError(f"{path}: columns are {', '.join(columns) or 'none'}; {allowed}")
    return sorted((_truth(f"{path}:{number}", row) for number, row in lines), key=lambda one: one.time_s)


def _truth(place: str, row: dict[str, Any]) -> Truth:
    def number(name: str) -> float | None:
        text = row.get(name) or ""
        if not text.strip():
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(f"{place}: {name} = {text!r}; allowed: a number")
        return value

    def one_of(name: str, allowed: Sequence[str]) -> str | None:
        text = (row.get(name) or "").strip()
        if text and text not in allowed:
            raise InputError(f"{place}: {name} = {text!r}; allowed: {', '.join(allowed)}")
        return text or None

    time_s, rule, track = number("time_s"), (row.get("rule") or "").strip(), number("track_id")
    if time_s is None or not rule:
        raise InputError(f"{place}: time_s or rule is empty; needed: both")
    return Truth(
        time_s,
        rule,
        one_of("class", CLASSES),
        one_of("direction", DIRECTIONS),
        number("speed_kmh"),
        None if track is None else int(track),
    )


def score_events(
    records: Records, truth: Sequence[Truth], within_s: float = WITHIN_S, *, by_track: bool = False
) -> list[RuleScore]:
    """Return a score for each rule that the truth names, in the order of the site file.

    Events and truth are paired within `within_s`, one to one, of the same direction where the truth tells it, and with
    `by_track` of the same track. Events that could not be judged are counted, and neither right nor wrong.
    """
    names = [entry.name for entry in records.header.rules]
    if unknown := sorted({one.rule for one in truth} - set(names)):
        raise InputError(f"rule {unknown[0]!r} of the truth is not in the run; there are: {', '.join(names) or 'none'}")
    by_rule: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows(records):
        by_rule[row["rule"]].append(row)
    told: dict[str, list[Truth]] = defaultdict(list)
    for one in truth:
        told[one.rule].append(one)
    return [_rule_score(name, by_rule[name], told[name], within_s, by_track) for name in names if name in told]


def _rule_score(
    name: str, events: list[dict[str, Any]], truth: list[Truth], within_s: float, by_track: bool
) -> RuleScore:
    judged = [row for row in events if row.get("judgement") != "cannot_judge"]
    directed = any(one.direction for one in truth)

    def key(direction: Any, track: Any) -> tuple[Any, Any]:
        return direction if directed else None, track if by_track else None

    found: dict[tuple[Any, Any], list[dict[str, Any]]] = defaultdict(list)
    true: dict[tuple[Any, Any], list[Truth]] = defaultdict(list)
    for row in sorted(judged, key=lambda row: row["time_s"]):
        found[key(row.get("direction"), row["track_id"])].append(row)
    for one in truth:
        true[key(one.direction, one.track_id)].append(one)
    pairs = [
        (found[group][i], true[group][j])
        for group in sorted(set(found) | set(true), key=str)
        for i, j in match_times(
            np.array([row["time_s"] for row in found[group]]),
            np.array([one.time_s for one in true[group]]),
            within_s,
        )
    ]
    speeds = [
        (row["speed_mps"] * 3.6 - one.speed_kmh, 2 * 3.6 * row["speed_sd_mps"])
        for row, one in pairs
        if one.speed_kmh is not None and row.get("speed_mps") is not None and row.get("speed_sd_mps") is not None
    ]
    classed = [(row["class"], one.class_) for row, one in pairs if one.class_ is not None]
    cells = _cells(judged, truth, directed)
    return RuleScore(
        rule=name,
        true=len(truth),
        found=len(judged),
        cannot_judge=len(events) - len(judged),
        precision=wilson(len(pairs), len(judged)),
        recall=wilson(len(pairs), len(truth)),
        time_s=errors(np.array([row["time_s"] - one.time_s for row, one in pairs])),
        class_right=wilson(sum(ours == theirs for ours, theirs in classed), len(classed)),
        speed_kmh=errors(np.array([error for error, _ in speeds])),
        covered=wilson(sum(abs(error) <= width for error, width in speeds), len(speeds)),
        geh_worst=max(cells, default=math.nan),
        cells=len(cells),
    )


def _cells(judged: list[dict[str, Any]], truth: list[Truth], directed: bool) -> list[float]:
    """Return the GEH of each cell of direction, class and quarter of an hour, where anything was found or true."""
    classed = any(one.class_ for one in truth)
    counts: dict[tuple[Any, Any, int], list[int]] = defaultdict(lambda: [0, 0])
    for row in judged:
        cell = row.get("direction") if directed else None, row["class"] if classed else None
        counts[(*cell, int(row["time_s"] // CELL_S))][0] += 1
    for one in truth:
        cell = one.direction if directed else None, one.class_ if classed else None
        counts[(*cell, int(one.time_s // CELL_S))][1] += 1
    hourly = 3600.0 / CELL_S
    return [geh(found * hourly, true * hourly) for found, true in counts.values()]


def table(scores: Sequence[RuleScore]) -> list[dict[str, str | int]]:
    """Return the scores as rows to print, each share with its interval and sample size."""

    def said(sample: Errors, digits: int) -> str:
        if sample.n == 0:
            return "-"
        return f"{sample.bias:+.{digits}f}, p95 {sample.p95:.{digits}f} (n={sample.n})"

    return [
        {
            "rule": score.rule,
            "true": score.true,
            "found": score.found,
            "not judged": score.cannot_judge,
            "precision": str(score.precision),
            "recall": str(score.recall),
            "time error s": said(score.time_s, 3),
            "class right": str(score.class_right),
            "speed error km/h": said(score.speed_kmh, 2),
            "in interval": str(score.covered),
            "worst GEH": "-" if math.isnan(score.geh_worst) else f"{score.geh_worst:.2f} ({score.cells} cells)",
        }
        for score in scores
    ]
