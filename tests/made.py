"""Courses that a test makes itself, for the truth that scenes tell of them."""

from __future__ import annotations

import numpy as np

from benchmarks.scenes.course import Course
from benchmarks.scenes.kinds import NAMES


def course(fps: float, *users: tuple[str, np.ndarray, np.ndarray], trait: str = "") -> Course:
    """Return the course of road users, each (kind, front f8[n, 2] in m from frame 0 on, ahead f8[2] or f8[n, 2])."""
    frame, who, front, ahead, speed = [], [], [], [], []
    for number, (_, points, way) in enumerate(users, 1):
        n = len(points)
        step = np.hypot(*np.diff(points, axis=0).T) * fps
        frame.append(np.arange(n))
        who.append(np.full(n, number))
        front.append(points)
        ahead.append(np.broadcast_to(np.asarray(way, float), (n, 2)))
        speed.append(np.r_[step[:1], step])
    rows = sum(map(len, frame))
    return Course(
        fps=fps,
        frames=max(map(len, frame)),
        frame=np.concatenate(frame).astype(np.int32),
        who=np.concatenate(who).astype(np.int32),
        front_m=np.concatenate(front).astype(float),
        ahead=np.concatenate(ahead),
        speed_mps=np.concatenate(speed),
        pos_m=np.zeros(rows),
        lane=np.zeros(rows, np.int16),
        lane_names=("",),
        names=tuple(str(k) for k in range(len(users))),
        kind=np.array([NAMES.index(kind) for kind, _, _ in users], np.int16),
        trait=tuple(trait for _ in users),
    )


def south(y_m: np.ndarray, x_m: float = -3.0) -> np.ndarray:
    """Return fronts on the way south along `x_m`."""
    return np.column_stack([np.full(len(y_m), x_m), y_m])
