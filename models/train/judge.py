"""Judge weights while they train: average precision of vehicles on the pictures set aside, by the verb's own code."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch

from kernels import boxes as kernel
from models.train.compose import GREY, NEUTRAL
from models.train.dataset import Cache
from models.train.network import Detector, Exported, Sizes
from vision.evaluate.pictures import SCORE_MIN, Curve, Found, Marks, Truth, vehicle_marks
from vision.frame import Detections, FitSpec, Placement, place

#: As in the cards.
IOU_MAX = 0.55
BATCH = 16


def fitted(cache: Cache, index: int, sizes: Sizes) -> tuple[np.ndarray, Placement]:
    """Return a picture letterboxed into the network's planes, and where it lies there."""
    source = cache.planes(index)
    height, width = source.y.shape
    at = place(FitSpec(sizes.width_px, sizes.height_px), width, height)
    planes = np.full(sizes.planes_shape, GREY, np.uint8)
    planes[sizes.height_px :] = NEUTRAL
    halves = planes[sizes.height_px :].reshape(2, sizes.height_px // 2, sizes.width_px // 2)
    for plane, into, half in zip(source, (planes[: sizes.height_px], *halves), (1, 2, 2), strict=True):
        size = (at.width_px // half, at.height_px // half)
        way = cv2.INTER_AREA if size[0] < plane.shape[1] else cv2.INTER_LINEAR
        left, top = at.offset_x_px // half, at.offset_y_px // half
        into[top : top + size[1], left : left + size[0]] = cv2.resize(plane, size, interpolation=way)
    return planes, at


def found_in(rows: np.ndarray, at: Placement, width_px: int, height_px: int, classes: int) -> Found:
    """Return the rows f4[n, 6] of one picture as the runtime reads them: without doubles, in the picture's pixels."""
    xyxy, score, class_id = (np.zeros(shape, kind) for shape, kind in _columns(len(rows)))
    ours = np.arange(classes, dtype=np.int16)
    n = kernel.rows_head(rows[:, :4], rows[:, 4], rows[:, 5], ours, np.float32(SCORE_MIN), xyxy, score, class_id)
    if n < 0:
        raise ValueError("the network gives values that are not finite")
    order = np.zeros(min(len(rows), kernel.MAX_CANDIDATES), np.int32)
    frame = np.array([at.scale_x, at.scale_y, at.offset_x_px, at.offset_y_px, width_px, height_px], np.float64)
    out = Detections()
    n = kernel.select(xyxy, score, class_id, n, order, IOU_MAX, frame, out.xyxy_px, out.score, out.class_id)
    return Found(out.xyxy_px[:n].astype(float), out.score[:n].astype(float), out.class_id[:n].astype(np.int64))


def _columns(rows: int) -> tuple[tuple[tuple[int, ...], type], ...]:
    return ((rows, 4), np.float32), ((rows,), np.float32), ((rows,), np.int16)


@torch.no_grad()
def run(detector: Detector, cache: Cache, indices: np.ndarray, precision: torch.dtype) -> Iterator[tuple[int, Found]]:
    """Give what the network finds in each picture of a cache."""
    exported = Exported(detector).eval()
    device = detector.points.device
    for begin in range(0, len(indices), BATCH):
        some = indices[begin : begin + BATCH]
        pictures = [fitted(cache, int(index), detector.sizes) for index in some]
        planes = torch.from_numpy(np.stack([planes for planes, _ in pictures])).to(device)
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            rows = exported(planes).float().cpu().numpy()
        for index, (_, at), own in zip(some, pictures, rows, strict=True):
            height, width = cache.planes(int(index)).y.shape
            yield int(index), found_in(own, at, width, height, len(detector.sizes.classes))


def judge(detector: Detector, cache: Cache, indices: np.ndarray, precision: torch.dtype) -> dict[str, float]:
    """Return AP50 of vehicles on all pictures of `indices` and on those of each source; NaN where none is labelled."""
    marks: dict[str, list[Marks]] = {}
    for index, found in run(detector, cache, indices, precision):
        own = cache.labels(index)
        truth = Truth(own[:, :4].astype(float), own[:, 4].astype(np.int64))
        mark = vehicle_marks([found], [truth])[0]
        for name in ("ap50", f"ap50_{cache.source(index)}"):
            marks.setdefault(name, []).append(mark)
    return {name: round(Curve(own, 0).precision(), 4) for name, own in sorted(marks.items())} or {"ap50": float("nan")}
