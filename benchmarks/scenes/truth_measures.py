"""Truth of measures that SUMO's instruments do not tell in the same terms: Edie's sums and occupancy, by minutes.

SUMO's lane-area detector counts a vehicle for as long as any part of it is there; Edie's sums are of a point of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.scenes.course import Course
from benchmarks.scenes.plan import Point
from benchmarks.scenes.truth_lines import MOTOR, class_of


def edie_rows(course: Course, name: str, outline: list[Point], cell_s: float) -> list[dict[str, Any]]:
    """Return distance (m) and time (s) that fronts spent in an upright rectangle, by interval."""
    corners = np.array(outline)
    low, high = corners.min(axis=0), corners.max(axis=0)
    follows = (course.who[1:] == course.who[:-1]) & (course.frame[1:] == course.frame[:-1] + 1)
    middle = (course.front_m[1:] + course.front_m[:-1]) / 2
    motor = np.array([class_of(course, who + 1) in MOTOR for who in range(len(course.names))])
    steps = follows & ((middle >= low) & (middle <= high)).all(axis=1) & motor[course.who[1:] - 1]
    way = np.hypot(*(course.front_m[1:] - course.front_m[:-1]).T)
    cell = (course.frame[:-1] / course.fps // cell_s).astype(int)
    cells = int(course.frames / course.fps // cell_s)
    distance = np.bincount(cell[steps], way[steps], minlength=cells + 1)
    time_s = np.bincount(cell[steps], minlength=cells + 1) / course.fps
    return [
        {"id": name, "begin_s": k * cell_s, "distance_m": float(distance[k]), "inside_s": float(time_s[k])}
        for k in range(cells)
    ]


def occupancy_rows(course: Course, name: str, outline: list[Point], cell_s: float) -> list[dict[str, Any]]:
    """Return the share of time (%) in which any vehicle's footprint is over an upright rectangle, by interval.

    As for a loop in the road, a part of a vehicle is enough: who straddles two lanes is over both of their loops.
    """
    corners = np.array(outline)
    low, high = corners.min(axis=0), corners.max(axis=0)
    over = np.concatenate([_meets(course.corners_m(part)[:, :4, :2], low, high) for part in course.parts()])
    on = np.zeros(course.frames, bool)
    on[course.frame[over]] = True
    rows = round(cell_s * course.fps)
    cells = course.frames // rows
    share = on[: cells * rows].reshape(cells, rows).mean(axis=1)
    return [{"id": name, "begin_s": k * cell_s, "occupancy": 100 * float(share[k])} for k in range(cells)]


def _meets(base: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Say which rectangles with the corners f8[n, 4, 2] (front, rear, other front, other rear) meet an upright one.

    Two convex shapes are apart where one of their sides' normals parts them.
    """
    over = ((base.min(axis=1) <= high) & (base.max(axis=1) >= low)).all(axis=1)
    box = np.array([low, (low[0], high[1]), high, (high[0], low[1])])
    for way in (base[:, 0] - base[:, 2], base[:, 0] - base[:, 1]):
        own, its = np.einsum("nij,nj->ni", base, way), box @ way.T
        over &= (own.min(axis=1) <= its.max(axis=0)) & (own.max(axis=1) >= its.min(axis=0))
    return over
