"""Passages of fronts and rears over lines, told from the course by plane geometry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.scenes.camera import Camera
from benchmarks.scenes.course import Course
from benchmarks.scenes.plan import Line


class Passage(NamedTuple):
    """A road user's front over a line; `rear_s` is when its rear followed, NaN where it did not."""

    who: int
    front_s: float
    rear_s: float
    way: int  # +1 with the line's flow, -1 against it
    speed_mps: float
    along_m: float  # from the line's first end


def passages(course: Course, line: Line) -> list[Passage]:
    """Return the passages of fronts over a line, by time."""
    found = _through(course, line, course.front_m)
    rears = _through(course, line, course.rear_m)
    after: dict[tuple[int, int], list[float]] = {}
    for one in rears:
        after.setdefault((one.who, one.way), []).append(one.front_s)
    out = []
    for one in found:
        later = [time_s for time_s in after.get((one.who, one.way), []) if time_s >= one.front_s]
        out.append(one._replace(rear_s=min(later, default=float("nan"))))
    return sorted(out, key=lambda one: (one.front_s, one.who))


def foot_passages(course: Course, line: Line, camera: Camera) -> list[Passage]:
    """Return the passages of the middle of the boxes' lower edges over a line in the picture; `rear_s` is NaN.

    This is the point whose passage makes a volume.
    """
    points = np.concatenate([camera.project(course.corners_m(part))[0] for part in course.parts()])
    foot = np.stack(
        [(points[:, :, 0].min(axis=1) + points[:, :, 0].max(axis=1)) / 2, points[:, :, 1].max(axis=1)], axis=1
    )
    ends = [np.array(camera.road_px(*end)) for end in line.ends_m]
    middle = np.mean(line.ends_m, axis=0)
    flow = np.array(camera.road_px(*(middle + 0.1 * line.normal))) - np.array(camera.road_px(*middle))
    drawn = Line((_pair(ends[0]), _pair(ends[1])), _pair(flow))
    return _through(course, drawn, foot)


def _pair(point: np.ndarray) -> tuple[float, float]:
    return float(point[0]), float(point[1])


def _through(course: Course, line: Line, point: np.ndarray) -> list[Passage]:
    a, b = np.array(line.ends_m[0]), np.array(line.ends_m[1])
    length = float(np.hypot(*(b - a)))
    offset = (point - a) @ line.normal
    along = (point - a) @ (b - a) / length
    follows = (course.who[1:] == course.who[:-1]) & (course.frame[1:] == course.frame[:-1] + 1)
    turned = follows & ((offset[1:] > 0.0) != (offset[:-1] > 0.0)) & np.isfinite(offset[1:] - offset[:-1])
    out = []
    for k in np.flatnonzero(turned):
        part = offset[k] / (offset[k] - offset[k + 1])
        at = along[k] + part * (along[k + 1] - along[k])
        if not 0.0 <= at <= length:
            continue
        time_s = (course.frame[k] + part) / course.fps
        # A step's speed is what it moved by (Euler).
        speed = float(course.speed_mps[k + 1])
        way = 1 if offset[k + 1] > 0.0 else -1
        out.append(Passage(int(course.who[k]), float(time_s), float("nan"), way, speed, float(at)))
    return sorted(out, key=lambda one: one.front_s)


class Trip(NamedTuple):
    """In over one line, out over another."""

    who: int
    entry: str
    exit: str
    entry_s: float
    exit_s: float


def trips(found: Mapping[str, Sequence[Passage]], entries: Sequence[str], exits: Sequence[str]) -> list[Trip]:
    """Return who went in over which line and out over which, each with the flow of its line; `found`: by line."""
    went: dict[int, list[tuple[float, str]]] = {}
    for name in (*entries, *exits):
        for one in found[name]:
            if one.way > 0:
                went.setdefault(one.who, []).append((one.front_s, name))
    out = []
    for who, seen in went.items():
        entry: tuple[float, str] | None = None
        for time_s, name in sorted(seen):
            if name in entries:
                entry = time_s, name
            elif entry is not None:
                out.append(Trip(who, entry[1], name, entry[0], time_s))
                entry = None
    return sorted(out, key=lambda trip: trip.exit_s)
