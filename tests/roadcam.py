"""Makes boxes of cuboids that drive before a pinhole camera, with a detector's noise, and their truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import naive_lens
import numpy as np
from traffic import as_detections, instant

from kernels.contact import CAMERA
from kernels.records import CLASSES
from vision.track.tracker import Tracker

WIDTH_PX, HEIGHT_PX, FPS = 1920, 1080, 25.0

#: Lengths, widths and heights in m that road users of a class may have: not the kernels' own means.
SIZES_M = {
    "car": ((3.9, 5.0), (1.65, 1.95), (1.4, 1.75)),
    "bus": ((9.5, 13.0), (2.45, 2.6), (2.8, 3.4)),
    "truck": ((6.0, 10.5), (2.2, 2.55), (2.4, 3.6)),
    "motorcycle": ((1.9, 2.3), (0.7, 0.95), (1.4, 1.7)),
    "bicycle": ((1.7, 1.95), (0.5, 0.7), (1.6, 1.85)),
    "person": ((0.4, 0.6), (0.5, 0.7), (1.6, 1.9)),
}


def pinhole(
    height_m: float = 8.0,
    focal_px: float = 1400.0,
    down_m: float = 30.0,
    turned: float = 0.0,
    size=(WIDTH_PX, HEIGHT_PX),
) -> np.ndarray:
    """Return f8[3, 4] of a camera above (0, 0) that looks at the road point `down_m` ahead, `turned` rad off +y."""
    ahead = np.array([math.sin(turned) * down_m, math.cos(turned) * down_m, -height_m])
    ahead /= np.linalg.norm(ahead)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.array([right, np.cross(ahead, right), ahead])
    inner = np.array([[focal_px, 0, size[0] / 2], [0, focal_px, size[1] / 2], [0, 0, 1.0]])
    return inner @ np.column_stack([rotation, -rotation @ [0.0, 0.0, height_m]])


def to_road(camera: np.ndarray) -> np.ndarray:
    """Return the homography px -> m of a camera, with a positive third coordinate on the road."""
    found = np.linalg.inv(camera[:, (0, 1, 3)])
    depth = (found @ [WIDTH_PX / 2, HEIGHT_PX / 2, 1.0])[2]
    return found / depth


def as_camera(matrix: np.ndarray, lens: np.void | None = None) -> np.void:
    """Return the CAMERA of a pinhole camera behind a lens."""
    camera = np.zeros(1, CAMERA)
    camera["matrix"] = matrix
    if lens is not None:
        camera["lens"] = lens
    return camera[0]


def seen(camera: np.ndarray, points: np.ndarray, lens: np.void | None = None) -> np.ndarray:
    """Return f8[n, 2] px of points f8[n, 3] m, through a lens where there is one."""
    mapped = np.column_stack([points, np.ones(len(points))]) @ camera.T
    plumb = mapped[:, :2] / mapped[:, 2:]
    return plumb if lens is None else np.array([naive_lens.distort(lens, *point) for point in plumb])


def corners(x: float, y: float, heading: float, size: Sequence[float]) -> np.ndarray:
    """Return f8[8, 3], the corners of a cuboid whose footprint's middle is (x, y)."""
    ahead, left = np.array([math.cos(heading), math.sin(heading)]), np.array([-math.sin(heading), math.cos(heading)])
    return np.array(
        [
            [*((x, y) + a * size[0] / 2 * ahead + b * size[1] / 2 * left), z]
            for a in (-1, 1)
            for b in (-1, 1)
            for z in (0.0, size[2])
        ]
    )


def box_of(
    camera: np.ndarray, x: float, y: float, heading: float, size: Sequence[float], lens: np.void | None = None
) -> np.ndarray:
    points = seen(camera, corners(x, y, heading, size), lens)
    return np.array([*points.min(axis=0), *points.max(axis=0)])


def cut(box: np.ndarray) -> np.ndarray | None:
    """Return a box cut to the picture; None where less than a third of its height or width is left."""
    low, high = np.maximum(box[:2], 0.0), np.minimum(box[2:], [WIDTH_PX, HEIGHT_PX])
    return np.array([*low, *high]) if np.all(high - low > (box[2:] - box[:2]) / 3) else None


@dataclass(frozen=True)
class Drive:
    """A drive: where the footprint's middle is, how it is headed and how fast it is at a time since its begin."""

    kind: str
    size: tuple[float, float, float]
    at: Callable[[float], tuple[float, float, float, float]]
    lasts_s: float

    @property
    def class_id(self) -> int:
        return CLASSES.index(self.kind)

    def front(self, time_s: float) -> np.ndarray:
        x, y, heading, _ = self.at(time_s)
        return np.array([x, y]) + self.size[0] / 2 * np.array([math.cos(heading), math.sin(heading)])


def some_size(rng: np.random.Generator, kind: str) -> tuple[float, float, float]:
    length, width, height = (float(rng.uniform(*bounds)) for bounds in SIZES_M[kind])
    return length, width, height


def drive(
    kind: str,
    size: tuple[float, float, float],
    start: Sequence[float],
    heading: float,
    speed_mps: float,
    phases: Sequence[tuple[float, float]] = (),
    turn_m: float = math.inf,
    turn_from_m: float = 0.0,
    turn_to_m: float = math.inf,
) -> Drive:
    """Return a drive from `start`: `phases` are (seconds, m/s^2) one after the other, never backwards.

    Between `turn_from_m` and `turn_to_m` of its way it follows a circle of radius `turn_m`, to the left where positive.
    """
    lasts_s = sum(seconds for seconds, _ in phases)

    def way(time_s: float) -> tuple[float, float]:
        gone, speed = 0.0, speed_mps
        for seconds, accel in (*phases, (math.inf, 0.0)):
            dt = min(seconds, time_s)
            moving = min(dt, speed / -accel) if accel < 0 else dt
            gone += speed * moving + accel * moving * moving / 2
            speed = max(speed + accel * dt, 0.0)
            time_s -= dt
            if time_s <= 0:
                break
        return gone, speed

    def at(time_s: float) -> tuple[float, float, float, float]:
        gone, speed = way(time_s)
        x, y = start
        first = min(gone, turn_from_m)
        x, y = x + first * math.cos(heading), y + first * math.sin(heading)
        arc = max(0.0, min(gone, turn_to_m) - turn_from_m) if math.isfinite(turn_m) else 0.0
        now = heading
        if arc > 0:
            now = heading + arc / turn_m
            x += turn_m * (math.sin(now) - math.sin(heading))
            y -= turn_m * (math.cos(now) - math.cos(heading))
        rest = gone - first - arc
        return x + rest * math.cos(now), y + rest * math.sin(now), now, speed

    return Drive(kind, size, at, lasts_s)


class Jitter:
    """A detector's noise: each edge off by `share` of the box, correlated by `tie` from frame to frame; some missed."""

    def __init__(self, rng: np.random.Generator, share: float = 0.025, tie: float = 0.0, missed: float = 0.05) -> None:
        self.rng, self.share, self.tie, self.missed = rng, share, tie, missed
        self.off = rng.normal(0, 1, 4)

    def __call__(self, box: np.ndarray) -> np.ndarray | None:
        self.off = self.tie * self.off + math.sqrt(1 - self.tie**2) * self.rng.normal(0, 1, 4)
        size = box[2:] - box[:2]
        box = box + self.share * self.off * np.array([*size, *size])
        return None if self.rng.random() < self.missed else box


def watch(
    camera: np.ndarray, one: Drive, jitter: Jitter | None = None, fps: float = FPS, first_s: float = 0.0, scale_sd=0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Follow one drive alone; return its TRACK rows that were observed, and (x, y, heading, speed) at each."""
    tracker = Tracker(WIDTH_PX, HEIGHT_PX, to_road(camera), scale_sd=scale_sd)
    rows, truth, before_s = [], [], None
    for k in range(int(one.lasts_s * fps) + 1):
        time_s = first_s + k / fps
        box = cut(box_of(camera, *one.at(time_s)[:3], one.size))
        box = box if box is None or jitter is None else jitter(box)
        if box is not None:
            box = np.clip(box, 0, [WIDTH_PX, HEIGHT_PX, WIDTH_PX, HEIGHT_PX])
        found = [] if box is None else [(tuple(box), 0.9, one.class_id)]
        now = tracker.step(instant(time_s, 0.0 if before_s is None else time_s - before_s, k), as_detections(found))
        before_s = time_s
        for row in now:
            if row["flags"] & 1:
                rows.append(row.copy())
                truth.append(one.at(time_s))
    return np.array(rows), np.array(truth)
