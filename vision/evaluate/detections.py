"""Detections against labelled boxes: average precision, as COCO counts it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kernels.records import CLASSES
from vision.evaluate.matching import overlaps
from vision.mottext import Boxes

#: Overlaps over which COCO takes the mean.
IOUS = np.arange(0.5, 0.96, 0.05)
_RECALLS = np.linspace(0.0, 1.0, 101)
#: The boxes of one class in one frame that count at most, the best first.
_MOST = 100


class DetectionScore(NamedTuple):
    """Average precision 0..1 of one class, and how many boxes there were; NaN where none is labelled."""

    name: str
    ap50: float
    ap: float
    true: int
    found: int


def score_detections(found: Boxes, true: Boxes) -> list[DetectionScore]:
    """Return the average precision of each class that either file holds, 101-point interpolated (COCO)."""
    present = sorted(set(found.class_id.tolist()) | set(true.class_id.tolist()))
    return [_class_score(found, true, class_id) for class_id in present]


def _class_score(found: Boxes, true: Boxes, class_id: int) -> DetectionScore:
    ours, theirs = np.flatnonzero(found.class_id == class_id), np.flatnonzero(true.class_id == class_id)
    scores, hits = [np.zeros(0)], [np.zeros((0, len(IOUS)), bool)]
    for frame in np.unique(found.frame[ours]):
        here = ours[slice(*np.searchsorted(found.frame[ours], (frame, frame + 1)))][:_MOST]
        labelled = theirs[slice(*np.searchsorted(true.frame[theirs], (frame, frame + 1)))]
        iou = overlaps(found.xyxy_px[here].astype(float), true.xyxy_px[labelled].astype(float))
        scores.append(found.score[here])
        hits.append(_hits(iou))
    score, hit = np.concatenate(scores), np.concatenate(hits)
    order = np.argsort(-score, kind="mergesort")
    values = [average_precision(hit[order, k], len(theirs)) for k in range(len(IOUS))]
    return DetectionScore(CLASSES[class_id], values[0], float(np.mean(values)), len(theirs), len(ours))


def _hits(iou: np.ndarray) -> np.ndarray:
    """Return bool[n, k]: whether each detection, the best first, takes a labelled box that is still free."""
    hit = np.zeros((len(iou), len(IOUS)), bool)
    if iou.shape[1] == 0:
        return hit
    for k, least in enumerate(IOUS):
        free = iou.copy()
        for row in range(len(iou)):
            best = int(free[row].argmax())
            if free[row, best] >= least - 1e-10:
                hit[row, k] = True
                free[:, best] = -1.0
    return hit


def average_precision(hit: np.ndarray, n_true: int) -> float:
    """Return the 101-point interpolated precision of detections, best first: bool[n] whether each is right."""
    if n_true == 0:
        return float("nan")
    right = np.cumsum(hit)
    recall, precision = right / n_true, right / np.arange(1, len(hit) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, _RECALLS, side="left")
    return float(np.where(at < len(hit), np.append(envelope, 0.0)[np.minimum(at, len(hit))], 0.0).mean())
