"""What a camera sees of a course: boxes in the picture, and how much of each is hidden."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.scenes.camera import Camera
from benchmarks.scenes.course import Course
from benchmarks.scenes.kinds import CLASS_ID

#: A hidden share is told by so many points across and down a box.
_GRID = 12
_CHUNK = 200_000


class Seen(NamedTuple):
    """Boxes in the order of (frame, road user), cut to the picture."""

    frame: np.ndarray  # i4[n]
    who: np.ndarray  # i4[n]
    class_id: np.ndarray  # i2[n]
    xyxy_px: np.ndarray  # f8[n, 4]
    inside: np.ndarray  # f8[n], share of the box that lies in the picture
    hidden: np.ndarray  # f8[n], share of what lies in it that nearer road users hide

    def keep(self, rows: np.ndarray) -> Seen:
        """Return some of the boxes."""
        return Seen(*(column[rows] for column in self))


def look(course: Course, camera: Camera, height_min_px: float = 8.0) -> Seen:
    """Return the boxes of all road users in view that are `height_min_px` high or more."""
    parts = [_look(course, camera, part) for part in course.parts()]
    rows, box, whole, depth = (np.concatenate(column) for column in zip(*parts, strict=True))
    tall = box[:, 3] - box[:, 1] >= height_min_px
    rows, box, whole, depth = rows[tall], box[tall], whole[tall], depth[tall]
    order = np.lexsort((course.who[rows], course.frame[rows]))
    rows, box, whole, depth = rows[order], box[order], whole[order], depth[order]
    seen = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    return Seen(
        frame=course.frame[rows],
        who=course.who[rows],
        class_id=CLASS_ID[course.kind[course.who[rows] - 1]],
        xyxy_px=box,
        inside=seen / np.maximum(whole, 1e-9),
        hidden=hidden_share(course.frame[rows], box, depth),
    )


def _look(course: Course, camera: Camera, part: slice) -> tuple[np.ndarray, ...]:
    """Return rows, their cut boxes, the areas of their whole boxes and their distances, of those in the picture."""
    points, depth = camera.project(course.corners_m(part))
    box = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
    whole = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    cut = np.clip(box, 0.0, np.tile([camera.width_px, camera.height_px], 2))
    # A NaN (a corner behind the camera) compares as false.
    there = (cut[:, 2] - cut[:, 0] > 1.0) & (cut[:, 3] - cut[:, 1] > 1.0)
    return np.flatnonzero(there) + part.start, cut[there], whole[there], depth.min(axis=1)[there]


def hidden_share(frame: np.ndarray, xyxy_px: np.ndarray, depth_m: np.ndarray) -> np.ndarray:
    """Return how much of each box (0..1) lies behind boxes of the same frame that are nearer; frames must rise."""
    share = np.zeros(len(frame))
    a, b = _neighbours(frame)
    x1, y1, x2, y2 = xyxy_px.T
    over = (x1[a] < x2[b]) & (x1[b] < x2[a]) & (y1[a] < y2[b]) & (y1[b] < y2[a])
    a, b = a[over], b[over]
    behind = depth_m[a] > depth_m[b]
    back, front = np.where(behind, a, b), np.where(behind, b, a)
    order = np.argsort(back, kind="stable")
    back, front = back[order], front[order]
    at = (np.arange(_GRID) + 0.5) / _GRID
    for low in range(0, len(back), _CHUNK):
        # A hidden box's pairs stay together.
        first = low if low == 0 else int(np.searchsorted(back, back[low - 1], side="right"))
        last = len(back) if low + _CHUNK >= len(back) else int(np.searchsorted(back, back[low + _CHUNK - 1], "right"))
        if last <= first:
            continue
        i, j = back[first:last], front[first:last]
        px = x1[i, None] + (x2 - x1)[i, None] * at
        py = y1[i, None] + (y2 - y1)[i, None] * at
        across = (px >= x1[j, None]) & (px <= x2[j, None])
        down = (py >= y1[j, None]) & (py <= y2[j, None])
        starts = np.flatnonzero(np.r_[True, i[1:] != i[:-1]])
        covered = np.logical_or.reduceat(across[:, :, None] & down[:, None, :], starts, axis=0)
        share[i[starts]] = covered.mean(axis=(1, 2))
    return share


def _neighbours(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs of rows of one frame, each once."""
    ends = np.searchsorted(frame, frame, side="right")
    count = ends - np.arange(len(frame)) - 1
    a = np.repeat(np.arange(len(frame)), count)
    offset = np.arange(len(a)) - np.repeat(np.cumsum(count) - count, count)
    return a, a + 1 + offset
