"""Truth of a box junction: who stood in it and had no room beyond it when it drove in."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.scenes.course import Course
from benchmarks.scenes.plan import Plan
from benchmarks.scenes.tables import Event, Truth
from benchmarks.scenes.truth_lines import MOTOR, class_of, decisive_row

STOP_MPS, HELD_S, CREEP_MPS, ROOM_M = 3.0 / 3.6, 3.0, 10.0 / 3.6, 1.0
#: It has driven in with so much of it, and stands in it with so much.
IN_SHARE, STAND_SHARE = 0.05, 0.1
#: So near a threshold nobody can be sure: of room, of how long one stands, of how fast the one ahead creeps.
NEAR_M, NEAR_S, NEAR_MPS = 1.5, 0.8, 2.0 / 3.6
#: A footprint is as many points along and across.
_GRID = (9, 5)


def footprint_share(course: Course, rows: slice, outline: list[tuple[float, float]]) -> np.ndarray:
    """Return the share (0..1) of each row's footprint that lies in an upright rectangle."""
    corners = np.array(outline)
    low, high = corners.min(axis=0), corners.max(axis=0)
    ahead, size = course.ahead[rows], course.size_m[rows]
    left = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
    inside = np.zeros(len(ahead))
    for back in (np.arange(_GRID[0]) + 0.5) / _GRID[0]:
        for side in (np.arange(_GRID[1]) + 0.5) / _GRID[1] - 0.5:
            point = course.front_m[rows] - back * size[:, :1] * ahead + side * size[:, 1:2] * left
            inside += ((point >= low) & (point <= high)).all(axis=1)
    return inside / (_GRID[0] * _GRID[1])


def box_truth(course: Course, plan: Plan, rule: dict[str, Any]) -> Truth:
    """Stops (below 3 km/h for 3 s) in the box; as it drove in there was less room than its length and 1 m beyond it.

    Room: on the lane that it left by, from the end of the box to the rear of whoever is slower than 10 km/h there, or
    is still in the box on its way there. Who left nowhere before the end is not told of. Decisive: how it drove in and
    came to stand, who took its room as it drove in, and how it drove out.
    """
    outline = plan.zones[rule["zone"]]
    reach_m = float(np.abs(np.array(outline)).max())
    frames: dict[int, list[int]] = {}
    for row, frame in enumerate(course.frame):
        frames.setdefault(int(frame), []).append(row)
    share = np.zeros(len(course.frame))
    for _, rows in course.each():
        share[rows] = footprint_share(course, rows, outline)
    leaves = {who: _way_out(course, rows) for who, rows in course.each()}
    events: list[Event] = []
    unsure: list[Event] = []
    table: list[dict[str, Any]] = []
    decisive: list[dict[str, Any]] = []
    for who, rows in course.each():
        if class_of(course, who) not in MOTOR:
            continue
        inside = share[rows]
        first = int(np.argmax(inside > IN_SHARE))
        if not (inside > IN_SHARE).any() or first == 0:
            continue
        stands = (course.speed_mps[rows] < STOP_MPS) & (inside > STAND_SHARE)
        stood_s, since = _longest(stands, course.fps)
        if stood_s < HELD_S - NEAR_S:
            continue
        lane, length = leaves[who], float(course.size_m[rows][0, 0])
        at = rows.start + first
        free, doubtful, taker = _room_m(course, at, frames, lane, leaves, share, reach_m)
        lacks = length + ROOM_M - free
        sure = abs(lacks) > NEAR_M and stood_s > HELD_S + NEAR_S and not doubtful and lane is not None
        one = Event(
            float(course.time_s[rows][since]) + HELD_S, str(rule["name"]), class_of(course, who), None, None, who
        )
        if not sure:
            unsure.append(one)
        elif lacks > 0.0:
            events.append(one)
            entry_s, since_s = float(course.time_s[at]), float(course.time_s[rows][since])
            left_s = float(course.time_s[rows][_left(course, rows)])
            decisive += [
                decisive_row(one, entry_s, since_s + HELD_S, through=True),
                decisive_row(one, min(since_s + stood_s, left_s), left_s, through=True),
                decisive_row(one, entry_s, entry_s, through=False, whom=taker),
            ]
        table.append(
            {
                "track_id": who, "entry_s": float(course.time_s[at]), "stood_s": stood_s, "free_m": free,
                "length_m": length, "lane": lane or "", "sure": int(sure), "blocked": int(lacks > 0.0),
                "trait": course.trait[who - 1],
            }
        )  # fmt: skip
    return Truth(events, unsure, {"boxed": table, "decisive": decisive})


def _way_out(course: Course, rows: slice) -> str | None:
    """Return the lane by which it left the junction, None where it did not."""
    first = _left(course, rows)
    return None if first < 0 else course.lane_names[course.lane[rows][first]]


def _left(course: Course, rows: slice) -> int:
    """Return the first of the rows beyond the junction, -1 for none."""
    out = np.array([name[1:3] == "o_" for name in course.lane_names])[course.lane[rows]]
    return int(out.argmax()) if out.any() else -1


_AWAY = {"n": (0.0, 1.0), "e": (1.0, 0.0), "s": (0.0, -1.0), "w": (-1.0, 0.0)}


def _room_m(
    course: Course,
    at: int,
    frames: dict[int, list[int]],
    lane: str | None,
    leaves: dict[int, str | None],
    share: np.ndarray,
    reach_m: float,
) -> tuple[float, bool, int]:
    """Return the room (m) on a lane beyond the box in a row's frame, if it is unsure, and who takes it.

    Infinite, and 0, where all of it is free.
    """
    if lane is None:
        return float("nan"), True, 0
    away = np.array(_AWAY[lane[0]])
    free, doubtful, taker = float("inf"), False, 0
    for row in frames[int(course.frame[at])]:
        other = int(course.who[row])
        if row == at or class_of(course, other) == "person":
            continue
        there = course.lane_names[course.lane[row]] == lane
        coming = leaves.get(other) == lane and share[row] > STAND_SHARE and not there
        # Who comes behind it takes no room from it.
        if coming and float((course.front_m[row] - course.front_m[at]) @ away) <= 0.0:
            continue
        if not there and not coming:
            continue
        speed = float(course.speed_mps[row])
        gap = float(course.rear_m[row] @ away) - reach_m
        if abs(speed - CREEP_MPS) < NEAR_MPS and gap < 14.0:
            doubtful = True
        # One that turns into the lane is seen to stand in the box, not where it goes.
        doubtful |= coming and speed < CREEP_MPS and float(course.ahead[row] @ away) < 0.6
        if speed < CREEP_MPS and gap < free:
            free, taker = gap, other
    return free, doubtful, taker


def _longest(held: np.ndarray, fps: float) -> tuple[float, int]:
    """Return how long (s) the longest run of true is, and where it begins."""
    edges = np.flatnonzero(np.diff(np.r_[0, held.astype(np.int8), 0]))
    if not len(edges):
        return 0.0, 0
    length = edges[1::2] - edges[::2]
    k = int(length.argmax())
    return float(length[k] / fps), int(edges[::2][k])
