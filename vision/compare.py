"""What a changed site file would have changed: one input, judged by two sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from vision.evaluate.matching import match_times
from vision.record.export import rows
from vision.record.reader import open_records
from vision.replay import Job, Progress, replay
from vision.replay_boxes import BoxJob, replay_boxes

#: Events of two sites are the same when rule, class and time agree this closely, in s.
SAME_S = 0.5


class Change(NamedTuple):
    """An event that only one of two sites has."""

    site: str  # "a" or "b"
    event: dict[str, Any]


class RuleChange(NamedTuple):
    """How many events of a rule, by name, each site has, and how many of them are the same."""

    rule: str
    type: str
    a: int
    b: int
    same: int
    only_a: int
    only_b: int


@dataclass(frozen=True)
class Difference:
    """What one input gave under two sites: a row for each rule, and the events that are not in both."""

    rules: list[RuleChange]
    changes: list[Change]


def compare_sites(site_a: Path, site_b: Path, asked: Job | BoxJob, progress: Progress | None = None) -> Difference:
    """Judge one input by two sites and return what differs. Nothing is kept of the two runs."""
    with TemporaryDirectory(prefix="gantry-diff-") as folder:
        events = []
        for key, site in (("a", site_a), ("b", site_b)):
            if isinstance(asked, BoxJob):
                job = replace(asked, job=replace(asked.job, site=site, out=Path(folder) / key))
                outcome = replay_boxes(job, progress)
            else:
                outcome = replay(replace(asked, site=site, out=Path(folder) / key), progress)
            # What was watched is the input's, not the site's.
            events.append([row for row in rows(open_records(outcome.folder)) if row["type"] != "coverage"])
    return difference(*events)


def difference(a: Sequence[dict[str, Any]], b: Sequence[dict[str, Any]]) -> Difference:
    """Return what differs between the events of two runs of one input."""
    rules: list[RuleChange] = []
    changes: list[Change] = []
    for name, kind in sorted({(row["rule"], row["type"]) for row in (*a, *b)}):
        ours = [row for row in a if (row["rule"], row["type"]) == (name, kind)]
        theirs = [row for row in b if (row["rule"], row["type"]) == (name, kind)]
        same = 0
        only: list[Change] = []
        for sort in sorted({_sort(row) for row in (*ours, *theirs)}, key=str):
            one = [row for row in ours if _sort(row) == sort]
            other = [row for row in theirs if _sort(row) == sort]
            one.sort(key=lambda row: row["time_s"])
            other.sort(key=lambda row: row["time_s"])
            pairs = match_times(_times(one), _times(other), SAME_S)
            same += len(pairs)
            kept_a, kept_b = {i for i, _ in pairs}, {j for _, j in pairs}
            only += [Change("a", row) for k, row in enumerate(one) if k not in kept_a]
            only += [Change("b", row) for k, row in enumerate(other) if k not in kept_b]
        rules.append(RuleChange(name, kind, len(ours), len(theirs), same, len(ours) - same, len(theirs) - same))
        changes += only
    return Difference(rules, sorted(changes, key=lambda change: (change.event["time_s"], change.site)))


def _sort(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what two events must share to be the same: class and everything that is told by a name."""
    return tuple(row.get(key) for key in ("class", "direction", "line", "zone", "judgement", "entry_line", "exit_line"))


def _times(events: Sequence[dict[str, Any]]) -> np.ndarray:
    return np.array([row["time_s"] for row in events])
