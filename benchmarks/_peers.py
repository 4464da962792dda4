"""The libraries that a user would pick instead, as contestants: each does the same work on the same input.

They are an extra (`peers` in pyproject.toml) and imported only here, on demand; `NEEDED` says which packages. What
cannot stand beside us (another OpenCV, gigabytes of CUDA, a licence that we do not mix with) is held against by its
recorded figures, scaled by a peer that was measured both there and here (budgets.toml).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from benchmarks._made import CLASSES, FPS, Seen, back_and_forth, line_ends, zone_corners

NEEDED = ("supervision", "trackers")
SCORE_MIN, IOU_MAX = 0.25, 0.5


def here() -> bool:
    """Say whether the peers are installed."""
    return all(importlib.util.find_spec(name) is not None for name in NEEDED)


def wanted(peers: bool) -> bool:
    """Return whether peers take part; say so where they were asked for and are absent."""
    if peers and not here():
        print(f"peers are left out: not installed ({', '.join(NEEDED)}; make peers)")
    return peers and here()


def versions() -> dict[str, str]:
    """Return the versions of the peers."""
    return {name: importlib.metadata.version(name) for name in NEEDED} | {"opencv": cv2.__version__}


def detections(seen: Seen) -> Any:
    """Return boxes as supervision's Detections."""
    supervision = importlib.import_module("supervision")
    return supervision.Detections(
        xyxy=seen.xyxy_px.astype(np.float64), confidence=seen.score, class_id=seen.class_id.astype(int)
    )


def bytetrack(frames: Sequence[Seen]) -> Callable[[], object]:
    """Return one update of Roboflow's ByteTrack; its input is made beforehand."""
    tracker = importlib.import_module("trackers").ByteTrackTracker(frame_rate=FPS, track_activation_threshold=0.5)
    given = [detections(seen) for seen in frames]
    order = back_and_forth(len(frames))
    return lambda: tracker.update(given[next(order)])


def zones(frames: Sequence[Seen]) -> Callable[[], object]:
    """Return one look of supervision's eight lines and eight zones at tracks that are followed already."""
    supervision = importlib.import_module("supervision")
    given = [detections(seen) for seen in frames]
    for one in given:
        one.tracker_id = np.arange(1, len(one) + 1)
    anchors = [supervision.Position.BOTTOM_CENTER]
    ends = [[supervision.Point(*end) for end in line_ends(k)] for k in range(8)]
    lines = [supervision.LineZone(a, b, triggering_anchors=anchors) for a, b in ends]
    areas = [supervision.PolygonZone(np.array(zone_corners(k)), triggering_anchors=anchors) for k in range(8)]
    order = back_and_forth(len(frames))

    def look() -> None:
        now = given[next(order)]
        for line in lines:
            line.trigger(now)
        for area in areas:
            area.trigger(now)

    return look


# -- Heads ------------------------------------------------------------------------------------------------------------


def candidates(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return corners f4[n, 4], scores f4[n] and classes i8[n] of an answer f4[84, 8400], as is usual with numpy."""
    scores = raw[4 : 4 + CLASSES]
    best = scores.max(axis=0)
    kept = np.flatnonzero(best >= SCORE_MIN)
    middle, size = raw[:2, kept].T, raw[2:4, kept].T
    return np.hstack([middle - size / 2, middle + size / 2]), best[kept], scores[:, kept].argmax(axis=0)


def opencv_head(raw: np.ndarray) -> Callable[[], object]:
    """Return the usual path with OpenCV's suppression by class."""

    def read() -> object:
        corners, score, kind = candidates(raw)
        boxes = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
        suppress: Any = cv2.dnn.NMSBoxesBatched  # its hints ask for lists; arrays are what is quick
        kept = suppress(boxes, score, kind, SCORE_MIN, IOU_MAX)
        return corners[kept], score[kept], kind[kept]

    return read


def supervision_head(raw: np.ndarray) -> Callable[[], object]:
    """Return the usual path with supervision: numpy, then its suppression by class."""
    supervision = importlib.import_module("supervision")

    def read() -> object:
        rows = raw.T
        score = rows[:, 4:].max(axis=1)
        kind = rows[:, 4:].argmax(axis=1)
        corners = np.hstack([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2])
        found = supervision.Detections(xyxy=corners, confidence=score, class_id=kind)
        return found[found.confidence >= SCORE_MIN].with_nms(IOU_MAX)

    return read


# -- Fit --------------------------------------------------------------------------------------------------------------


def letterbox(frame: Any, side_px: int) -> np.ndarray:
    """Return f4[1, 3, side, side] of a decoded frame on the usual path: BGR, letterbox, RGB planes, 0..1."""
    bgr = frame.to_ndarray(format="bgr24")
    height, width = bgr.shape[:2]
    ratio = min(side_px / width, side_px / height)
    inner = (round(width * ratio), round(height * ratio))
    small = cv2.resize(bgr, inner, interpolation=cv2.INTER_LINEAR)
    left, top = (side_px - inner[0]) // 2, (side_px - inner[1]) // 2
    right, bottom = side_px - inner[0] - left, side_px - inner[1] - top
    boxed = cv2.copyMakeBorder(small, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(114, 114, 114))
    return np.ascontiguousarray(boxed[..., ::-1].transpose(2, 0, 1)[None], np.float32) / np.float32(255.0)


def opencv_fit(planes: np.ndarray, side_px: int, interpolation: int) -> Callable[[], np.ndarray]:
    """Return the best path that OpenCV alone offers: planes are shrunk first, then colour and numbers, buffers kept
    and padding written once.

    `planes` u1[h * 3 / 2, w] are 4:2:0; the picture must be of 16:9.
    """
    rows, line = planes.shape[0] * 2 // 3, planes.shape[1]
    luma, chroma = planes[:rows], planes[rows:].reshape(2, rows // 2, line // 2)
    height, width = side_px * 9 // 16, side_px
    small = np.empty((height * 3 // 2, width), np.uint8)
    halves = small[height:].reshape(2, height // 2, width // 2)
    rgb = np.empty((height, width, 3), np.uint8)
    batch = np.full((1, 3, side_px, side_px), 114 / 255, np.float32)
    top = (side_px - height) // 2
    inner = batch[0, :, top : top + height]

    def fit() -> np.ndarray:
        cv2.resize(luma, (width, height), dst=small[:height], interpolation=interpolation)
        for k in range(2):
            cv2.resize(chroma[k], (width // 2, height // 2), dst=halves[k], interpolation=interpolation)
        cv2.cvtColor(small, cv2.COLOR_YUV2RGB_I420, dst=rgb)
        for k, plane in enumerate(cv2.split(rgb)):
            np.multiply(plane, np.float32(1 / 255), out=inner[k])
        return batch

    return fit
