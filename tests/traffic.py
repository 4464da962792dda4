"""Makers of road users for tests: random scenes of boxes, and exact courses sampled at any times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from types import SimpleNamespace

import numpy as np

from kernels.records import CLOCK, LINE, SIGNAL_STATES, ZONE
from vision.frame import Detections
from vision.site import Signal
from vision.track.tracker import Tracker

WIDTH_PX, HEIGHT_PX = 640, 360

#: A box, its score, its class.
Found = tuple[tuple[float, float, float, float], float, int]
#: A box at a time, None where the road user is not in the picture.
Course = Callable[[float], tuple[float, float, float, float] | None]

#: A camera 6 m above a road: y = 0 is 60 m away, y = 360 is 8 m away.
TO_ROAD = np.array([[0.05, 0.0, -16.0], [0.0, -0.052, 60.0], [0.0, 0.0063, 1.0]])


def as_detections(found: Sequence[Found]) -> Detections:
    """Return the columns that a tracker reads."""
    columns = Detections()
    columns.n = len(found)
    for k, (box, score, class_id) in enumerate(found):
        columns.xyxy_px[k], columns.score[k], columns.class_id[k] = box, score, class_id
    return columns


def instant(time_s: float, dt_s: float, frame: int = 0, epoch: int = 0) -> np.ndarray:
    """Return CLOCK[1]."""
    clock = np.zeros(1, CLOCK)
    clock["time_s"], clock["dt_s"], clock["frame"], clock["epoch"] = time_s, dt_s, frame, epoch
    return clock


def random_scene(rng: np.random.Generator, steps: int, users: int = 7) -> Iterator[tuple[float, list[Found]]]:
    """Yield (time, what is found): vehicles and persons that come, stop, turn, are missed, hidden and found twice."""
    time_s = 0.0
    people: list[dict] = []
    for step in range(steps):
        dt_s = (
            float(rng.choice([0.04, 0.04, 0.04, 0.1, 0.0, 0.7], p=[0.4, 0.2, 0.2, 0.15, 0.02, 0.03])) if step else 0.0
        )
        time_s += dt_s
        if len(people) < users and rng.random() < 0.15:
            size = rng.uniform(15, 60, 2)
            people.append(
                {
                    "at": rng.uniform((0, 40), (WIDTH_PX, HEIGHT_PX)),
                    "speed": rng.normal(0, 60, 2),
                    "size": size,
                    "class_id": int(rng.integers(0, 6)),
                    "hidden_s": 0.0,
                }
            )
        found: list[Found] = []
        for one in people:
            one["speed"] = one["speed"] + rng.normal(0, 20, 2) * dt_s
            one["at"] = one["at"] + one["speed"] * dt_s
            one["hidden_s"] = rng.uniform(0.2, 2.0) if rng.random() < 0.01 else one["hidden_s"] - dt_s
            if one["hidden_s"] > 0 or rng.random() < 0.08:
                continue
            for copy in range(1 + int(rng.random() < 0.05)):
                middle = one["at"] + rng.normal(0, 0.03, 2) * one["size"] + 4 * copy
                half = one["size"] * rng.normal(1, 0.04, 2) / 2
                class_id = one["class_id"] if rng.random() < 0.9 else int(rng.integers(0, 6))
                box = np.float32([*(middle - half), *(middle + half)])
                found.append((tuple(map(float, box)), float(np.float32(rng.uniform(0.05, 1.0))), class_id))
        people = [one for one in people if abs(one["at"][0] - 320) < 400 and abs(one["at"][1] - 180) < 260]
        if rng.random() < 0.1:
            x, y, w, h = np.float32([*rng.uniform(0, 300, 2), *rng.uniform(5, 60, 2)])
            found.append(((float(x), float(y), float(x + w), float(y + h)), 0.5, int(rng.integers(0, 6))))
        order = rng.permutation(len(found))
        yield time_s, [found[k] for k in order]


def straight(
    start: Sequence[float],
    speed: Sequence[float],
    size: Sequence[float] = (60, 40),
    first_s: float = 0.0,
    last_s: float = 1e9,
) -> Course:
    """Return the course of a box whose foot point is at `start` px at time 0 and moves with `speed` px/s."""

    def box(time_s: float) -> tuple[float, float, float, float] | None:
        x, y = start[0] + speed[0] * time_s, start[1] + speed[1] * time_s
        seen = first_s <= time_s <= last_s
        return (x - size[0] / 2, y - size[1], x + size[0] / 2, y) if seen else None

    return box


def cut(box: tuple[float, float, float, float]) -> tuple[float, float, float, float] | None:
    """Return a box cut to the picture, None where nothing is left of it."""
    x1, y1, x2, y2 = max(box[0], 0.0), max(box[1], 0.0), min(box[2], WIDTH_PX), min(box[3], HEIGHT_PX)
    return (x1, y1, x2, y2) if x2 - x1 > 4 and y2 - y1 > 4 else None


def sampled(courses: Iterable[Course], times: Iterable[float], score: float = 0.9, class_id: int = 0) -> Iterator:
    """Yield (time, what is found) of exact courses."""
    courses = list(courses)
    for time_s in times:
        boxes = [box for course in courses if (box := course(time_s)) is not None]
        yield float(time_s), [(box, score, class_id) for whole in boxes if (box := cut(whole)) is not None]


def follow(frames: Iterable[tuple[float, list[Found]]], end: bool = True, **settings: float) -> list[np.ndarray]:
    """Return the TRACK rows of each frame, and of the end of the stream, from a tracker with these settings."""
    tracker = Tracker(WIDTH_PX, HEIGHT_PX, None, settings)
    rows, before_s = [], None
    for time_s, found in frames:
        dt_s = 0.0 if before_s is None else time_s - before_s
        rows.append(tracker.step(instant(time_s, dt_s), as_detections(found)).copy())
        before_s = time_s
    if end:
        rows.append(tracker.end().copy())
    return rows


def line_row(x1: float, y1: float, x2: float, y2: float, flow: Sequence[float] | None = None) -> np.ndarray:
    """Return LINE[1] with its normal along `flow`, else down the picture, or to the right where it is upright."""
    row = np.zeros(1, LINE)
    dx, dy = x2 - x1, y2 - y1
    upright = abs(dx) < abs(dy)
    ahead = flow if flow is not None else ((1.0, 0.0) if upright else (0.0, 1.0))
    nx, ny = -dy / np.hypot(dx, dy), dx / np.hypot(dx, dy)
    sign = 1.0 if nx * ahead[0] + ny * ahead[1] > 0 else -1.0
    row["x1_px"], row["y1_px"], row["x2_px"], row["y2_px"] = x1, y1, x2, y2
    row["nx"], row["ny"], row["has_flow"], row["upright"] = sign * nx, sign * ny, flow is not None, upright
    return row


def small_scene(lines: dict[str, np.ndarray], logs: dict | None = None, **more: object) -> SimpleNamespace:
    """Return a scene with these lines (name -> LINE[1]) and signals (name -> path of a log, None: lamps)."""
    logs = logs or {}
    n = len(logs)
    boxes = np.full((n, 3, 4), -1, np.int32)
    for k, path in enumerate(logs.values()):
        boxes[k] = -1 if path is not None else 10
    scene = {
        "camera": "north",
        "lens": None,
        "width_px": WIDTH_PX,
        "height_px": HEIGHT_PX,
        "line_names": tuple(lines),
        "lines": np.concatenate([*lines.values(), np.zeros(0, LINE)]),
        "zone_names": (),
        "zones": (),
        "zone_rows": np.zeros(0, ZONE),
        "lane_names": (),
        "lane_rows": np.zeros(0, ZONE),
        "approach_names": (),
        "flows": np.zeros((0, 2, 2)),
        "signal_names": tuple(logs),
        "signal_logs": tuple(logs.values()),
        "signal_sd_s": np.zeros(n, np.float32),
        "signal_sources": tuple(
            Signal(source="vision", latency_sd_s=0.0) if path is None else Signal(source="log", path=str(path))
            for path in logs.values()
        ),
        "timezone": "UTC",
        "lamp_boxes": boxes,
        "to_road": None,
        "from_road": None,
        "ground_error_m": np.nan,
        "scale_sd": 0.0,
    }
    return SimpleNamespace(**{**scene, **more})


def state(name: str) -> int:
    """Return the code of a signal's state."""
    return SIGNAL_STATES.index(name)
