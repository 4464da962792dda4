"""Truth of who stands: in a lane without queueing, or where no one may stop."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.scenes.course import Course
from benchmarks.scenes.plan import Plan
from benchmarks.scenes.tables import Event, Truth
from benchmarks.scenes.truth_box import footprint_share
from benchmarks.scenes.truth_lines import class_of, decisive_row

#: Comes to stand: slower than this. In one place: within half a metre of it, so that no displacement is over 1 m.
STILL_MPS, PLACE_M = 0.3, 0.5
#: Who stands within this of one who stands ahead of it only queues (for a no-stop zone).
QUEUE_M, STOPPING_QUEUE_M = 20.0, 8.0
#: Who queued and stands on for so long after the one ahead has gone may be told.
RELEASE_S = 10.0
#: A footprint's share in a zone is no better known than this.
NEAR_SHARE = 0.15
CLASSES = {"stopped_vehicle": ("car", "bus", "truck", "motorcycle"), "stopping": ("car", "truck", "motorcycle")}


def standing_truth(course: Course, plan: Plan, rule: dict[str, Any]) -> Truth:
    """Stands with its middle in a lane (or half of its footprint in the zone) for the dwell, nobody right before it.

    The event is when the dwell is over; a table says when it came to stand. Nobody can be sure within a second of the
    dwell, of who queues for some of the time, nor of who stands a little further behind another than the reach. What
    decides is seen when it comes to stand and when the dwell is over: between these it may be hidden.
    """
    stopping = rule["type"] == "stopping"
    dwell_s = float(rule.get("dwell_s", 5.0))
    reach_m = STOPPING_QUEUE_M if stopping else QUEUE_M
    outlines = (
        [plan.zones[name] for name in rule["zones"]]
        if stopping
        else [plan.approaches[name.partition("/")[0]][1][name.partition("/")[2]] for name in rule["lanes"]]
    )
    stands = _stands(course)
    events: list[Event] = []
    unsure: list[Event] = []
    table: list[dict[str, Any]] = []
    decisive: list[dict[str, Any]] = []
    for who, begin_s, end_s, middle, front, shifted in stands:
        if class_of(course, who) not in CLASSES[rule["type"]] or end_s - begin_s < dwell_s - 1.0:
            continue
        half = _half_inside(course, who, 0.5 * (begin_s + end_s), outlines) if stopping else 1.0
        if not (half > 0.5 - NEAR_SHARE if stopping else any(_in_box(middle, outline) for outline in outlines)):
            continue
        ahead = [
            (b, e, _before(front, there, middle) < reach_m)
            for other, b, e, there, _, _ in stands
            if other != who and abs(there[0] - middle[0]) < 1.75 and 0.0 < _before(front, there, middle) < reach_m + 5.0
        ]
        queued = [(max(b, begin_s), min(e, end_s), near) for b, e, near in ahead if min(e, end_s) > max(b, begin_s)]
        one = Event(begin_s + dwell_s, str(rule["name"]), class_of(course, who), None, None, who)
        maybe = [one._replace(time_s=float(at)) for at in np.arange(one.time_s, end_s + 20.0, 1.0)]
        # No vehicle moves sideways while it stands, nor waits askew for another: where it is and what is ahead of it
        # then are the simulator's.
        if shifted:
            unsure += maybe
            continue
        if queued:
            alone_s = (end_s - begin_s) - sum(e - b for b, e, near in queued if near)
            left_s = max((e for _, e, near in queued if near), default=begin_s)
            if alone_s > dwell_s - 1.0 or end_s - left_s > RELEASE_S - 1.0:
                unsure += maybe
            continue
        # One that has about half of it in a zone may be held to stand in it or not, as long as it does.
        if half < 0.5 + NEAR_SHARE:
            unsure += maybe
        elif end_s - begin_s < dwell_s + 1.0:
            unsure.append(one)
        else:
            events.append(one)
            table.append({"track_id": who, "onset_s": begin_s, "rule": rule["name"]})
            decisive.append(decisive_row(one, begin_s, one.time_s, through=False))
    return Truth(events, unsure, {"onsets": table, "decisive": decisive})


def _half_inside(course: Course, who: int, time_s: float, outlines: list[list[tuple[float, float]]]) -> float:
    """Return the largest share of a road user's footprint that lies in one of the zones at a time."""
    rows = dict(course.each())[who]
    at = rows.start + int(np.argmin(np.abs(course.time_s[rows] - time_s)))
    return max(float(footprint_share(course, slice(at, at + 1), outline)[0]) for outline in outlines)


def _before(front: np.ndarray, there: np.ndarray, middle: np.ndarray) -> float:
    """Return how far (m) one that stands at `there` is before one that stands from `middle` to `front`."""
    way = front - middle
    return float((there - front) @ way / max(float(np.hypot(*way)), 1e-9))


def _in_box(point: np.ndarray, outline: list[tuple[float, float]]) -> bool:
    corners = np.array(outline)
    return bool((point >= corners.min(axis=0)).all() and (point <= corners.max(axis=0)).all())


def _stands(course: Course) -> list[tuple[int, float, float, np.ndarray, np.ndarray, bool]]:
    """Return (road user, from, until, middle, front, shifted there) of all that stand in one place for 2 s or more."""
    out: list[tuple[int, float, float, np.ndarray, np.ndarray, bool]] = []
    for who, rows in course.each():
        still = course.speed_mps[rows] < STILL_MPS
        times = course.time_s[rows]
        edges = np.flatnonzero(np.diff(np.r_[0, still.astype(np.int8), 0]))
        for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            at = first
            # SUMO shifts who stands sideways where it changes lanes: that is another place.
            while at < last:
                front = course.front_m[rows][at]
                near = np.hypot(*(course.front_m[rows] - front).T) <= PLACE_M
                a = at - int(np.argmin(near[: at + 1][::-1])) + 1 if not near[: at + 1].all() else 0
                a = a if at == first else at
                b = at + int(np.argmin(near[at:])) if not near[at:].all() else len(near)
                again = out and out[-1][0] == who and out[-1][2] >= times[a]
                if b - a >= 2.0 * course.fps and not again:
                    middle = front - 0.5 * course.size_m[rows][at, 0] * course.ahead[rows][at]
                    out.append((who, float(times[a]), float(times[b - 1]), middle, front, at > first))
                at = max(b, at + 1)
    return out
