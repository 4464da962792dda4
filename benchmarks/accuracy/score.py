"""Events against truth: of the same rule, the same road user, and close in time, one to one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.accuracy.drive import Told
from benchmarks.scenes.tables import Event
from kernels.records import DIRECTIONS
from vision.evaluate.events import WITHIN_S
from vision.evaluate.matching import match_times
from vision.evaluate.stats import Share, wilson


class Score(NamedTuple):
    """Pairs of events and truth, and what is left over on either side; `neutral` were neither right nor wrong."""

    pairs: list[tuple[Told, Event]]
    invented: list[Told]
    missed: list[Event]
    neutral: int
    doubted: list[Told]  # could not be judged

    @property
    def precision(self) -> Share:
        """Share of the told events that are true."""
        return wilson(len(self.pairs), len(self.pairs) + len(self.invented))

    @property
    def not_judged(self) -> list[Event]:
        """What is true and was not told, but recorded as something that cannot be judged."""
        at = {(one.who, one.time_s) for one in self.doubted}
        near = [
            any(who == event.track_id and abs(time_s - event.time_s) <= 2 * WITHIN_S for who, time_s in at)
            for event in self.missed
        ]
        return [event for event, said in zip(self.missed, near, strict=True) if said]

    @property
    def recall(self) -> Share:
        """Share of the true events that were told."""
        return wilson(len(self.pairs), len(self.pairs) + len(self.missed))


def score(
    told: Sequence[Told],
    truth: Sequence[Event],
    unsure: Sequence[Event] = (),
    within_s: float = WITHIN_S,
    ends_s: float = float("inf"),
    again_s: float = 0.0,
) -> Score:
    """Pair events of one rule with its truth; what is true from `ends_s` on could not be told any more.

    An event that is not paired and belongs to an unsure one is neutral, and so is one that repeats a right one within
    `again_s`.
    """
    truth = [one for one in truth if one.time_s < ends_s]
    directed = any(one.direction for one in truth)
    found: dict[tuple[int, str | None], list[Told]] = defaultdict(list)
    true: dict[tuple[int, str | None], list[Event]] = defaultdict(list)
    for one in told:
        if one.judged:
            way = DIRECTIONS[one.row["direction"]] if directed and "direction" in one.row else None
            found[one.who, way].append(one)
    for event in truth:
        true[event.track_id or 0, event.direction if directed else None].append(event)
    pairs: list[tuple[Told, Event]] = []
    used: set[int] = set()
    hit: set[int] = set()
    for key, events in true.items():
        events.sort(key=lambda one: one.time_s)
        matched = match_times(
            np.array([one.time_s for one in found[key]]), np.array([one.time_s for one in events]), within_s
        )
        for i, j in matched:
            pairs.append((found[key][i], events[j]))
            used.add(id(found[key][i]))
            hit.add(id(events[j]))
    right: dict[int, list[float]] = defaultdict(list)
    for paired, _ in pairs:
        right[paired.who].append(paired.time_s)
    left = [one for group in found.values() for one in group if id(one) not in used]
    near = [
        one for one in left if _excused(one, unsure, within_s) or one.time_s >= ends_s or _repeats(one, right, again_s)
    ]
    kept = {id(one) for one in near}
    return Score(
        pairs=pairs,
        invented=[one for one in left if id(one) not in kept],
        missed=[event for event in truth if id(event) not in hit],
        neutral=len(near),
        doubted=[one for one in told if not one.judged],
    )


def _excused(one: Told, unsure: Sequence[Event], within_s: float) -> bool:
    return any((event.track_id or 0) == one.who and abs(event.time_s - one.time_s) <= 2 * within_s for event in unsure)


def _repeats(one: Told, right: Mapping[int, Sequence[float]], again_s: float) -> bool:
    return any(0.0 <= one.time_s - time_s < again_s for time_s in right.get(one.who, ()))
