"""Detections on labelled pictures: average precision with ignore boxes, by class, size and group, with intervals.

As COCO counts it (Lin et al. 2014, arXiv:1405.0312, and its evaluation code), with two differences: a box is small or
large by its height in the picture, and an interval is drawn from pictures taken again and again (bootstrap: Efron
1979), since the boxes of one picture stand or fall together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from kernels.records import CLASSES
from vision.evaluate.detections import IOUS, average_precision
from vision.evaluate.labels import IGNORED
from vision.evaluate.matching import overlaps

VEHICLES = tuple(CLASSES.index(name) for name in ("car", "bus", "truck", "motorcycle"))
#: Road users lower than this are neither asked for nor held against a detector.
HEIGHT_MIN_PX = 16.0
SIZES_PX = {"16-32 px": (16.0, 32.0), "32-64 px": (32.0, 64.0), "64- px": (64.0, math.inf)}
#: Share of a detection that must lie in an ignore box to be left out.
INSIDE_MIN = 0.5
PRECISION = 0.9
#: Average precision looks at weak detections too, whatever a card says: the same for all cards.
SCORE_MIN = 0.01
SAMPLES = 400


class Found(NamedTuple):
    """What a detector says of one picture, best first: boxes f8[n, 4] in px, scores f8[n], classes i8[n]."""

    xyxy_px: np.ndarray
    score: np.ndarray
    class_id: np.ndarray


class Truth(NamedTuple):
    """What is labelled in one picture: boxes f8[n, 4] in px and classes i8[n], IGNORED where neither way counts."""

    xyxy_px: np.ndarray
    class_id: np.ndarray
    unlabelled: tuple[int, ...] = ()  # classes that may be visible without a box
    groups: tuple[str, ...] = ()  # names under which figures are given besides those of all pictures
    size_px: tuple[int, int] = (0, 0)  # of the picture: width, height


class Question(NamedTuple):
    """Which boxes are asked for: those of some classes (one for all), of a height in px from `low` to below `high`."""

    classes: tuple[int, ...]
    low: float = HEIGHT_MIN_PX
    high: float = math.inf


class Marks(NamedTuple):
    """A picture's detections, best first: scores f8[n], bool[n, k] right and counted at each overlap; boxes asked."""

    score: np.ndarray
    hit: np.ndarray
    counts: np.ndarray
    n_true: int


class Figure(NamedTuple):
    """Figures of one question on one group of pictures; NaN where nothing is asked."""

    of: str
    pictures: int
    boxes: int
    ap50: float
    low: float  # of the 95 % interval of ap50
    high: float
    ap: float  # mean over the overlaps 0.50 to 0.95
    recall: float  # at a precision of 0.9, overlap 0.5


def mark(found: Found, truth: Truth, question: Question) -> Marks:
    """Return which detections of a picture are right, wrong or not counted."""
    height = truth.xyxy_px[:, 3] - truth.xyxy_px[:, 1]
    ours = np.isin(truth.class_id, question.classes)
    asked = ours & (height >= question.low) & (height < question.high)
    mine = np.isin(found.class_id, question.classes)
    boxes = found.xyxy_px[mine]
    iou = overlaps(boxes, truth.xyxy_px[asked])
    hit = np.zeros((len(boxes), len(IOUS)), bool)
    for k, least in enumerate(IOUS):
        free = iou.copy()
        for row in range(len(boxes) if free.shape[1] else 0):
            best = int(free[row].argmax())
            if free[row, best] >= least - 1e-10:
                hit[row, k] = True
                free[:, best] = -1.0
    tall = boxes[:, 3] - boxes[:, 1]
    vague = (tall < question.low) | (tall >= question.high)
    vague |= (inside(boxes, truth.xyxy_px[truth.class_id == IGNORED]) >= INSIDE_MIN).any(1)
    aside = overlaps(boxes, truth.xyxy_px[ours & ~asked]).max(1, initial=0.0)
    counts = hit | ~(vague[:, None] | (aside[:, None] >= IOUS - 1e-10))
    return Marks(found.score[mine], hit, counts, int(asked.sum()))


def inside(boxes: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Return which share of each of the boxes f8[n, 4] lies in each of the areas f8[m, 4], as f8[n, m]."""
    low = np.maximum(boxes[:, None, :2], areas[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], areas[None, :, 2:])
    own = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)[:, None]
    return np.prod(np.clip(high - low, 0.0, None), axis=2) / np.maximum(own, 1e-9)


class Curve:
    """The detections of some pictures in one order, best first, so that pictures can be weighed anew cheaply."""

    def __init__(self, marks: Sequence[Marks], k: int) -> None:
        score = np.concatenate([one.score for one in marks]) if marks else np.zeros(0)
        counts = np.concatenate([one.counts[:, k] for one in marks]) if marks else np.zeros(0, bool)
        picture = np.repeat(np.arange(len(marks)), [len(one.score) for one in marks])
        hit = np.concatenate([one.hit[:, k] for one in marks]) if marks else np.zeros(0, bool)
        order = np.argsort(-score, kind="mergesort")
        order = order[counts[order]]
        self._hit, self._picture = hit[order], picture[order]
        self._true = np.array([one.n_true for one in marks], float)

    def precision(self, times: np.ndarray | None = None) -> float:
        """Return the average precision where each picture stands `times` in the set (none: once)."""
        if times is None:
            return average_precision(self._hit, int(self._true.sum()))
        return average_precision(np.repeat(self._hit, times[self._picture]), int((self._true * times).sum()))

    def recall(self, least: float) -> float:
        """Return the largest recall at which the precision is at least `least`; 0 where it never is."""
        if not self._true.sum():
            return math.nan
        right = np.cumsum(self._hit)
        good = right / np.arange(1, len(right) + 1) >= least
        return float(right[good].max(initial=0) / self._true.sum())


def figure(of: str, marks: Sequence[Marks], seed: int = 1, samples: int = SAMPLES) -> Figure:
    """Return the figures of some pictures' marks."""
    curve = Curve(marks, 0)
    low, high = interval(lambda times: curve.precision(times), len(marks), seed, samples)
    aps = [curve.precision(), *(Curve(marks, k).precision() for k in range(1, len(IOUS)))]
    boxes = sum(one.n_true for one in marks)
    return Figure(of, len(marks), boxes, aps[0], low, high, float(np.mean(aps)), curve.recall(PRECISION))


def interval(value: Callable[[np.ndarray], float], pictures: int, seed: int, samples: int) -> tuple[float, float]:
    """Return the 95 % interval of a value of weighed pictures, taken again `samples` times."""
    rng = np.random.default_rng(seed)
    drawn = [
        value(rng.multinomial(pictures, np.full(pictures, 1 / pictures))) for _ in range(samples if pictures else 0)
    ]
    sound = [one for one in drawn if math.isfinite(one)]
    return (float(np.quantile(sound, 0.025)), float(np.quantile(sound, 0.975))) if sound else (math.nan, math.nan)


def difference(ours: Sequence[Marks], theirs: Sequence[Marks], seed: int = 1) -> tuple[float, float, float]:
    """Return by how much AP50 is higher than that of another detector on the same pictures, and its interval."""
    a, b = Curve(ours, 0), Curve(theirs, 0)
    low, high = interval(lambda times: a.precision(times) - b.precision(times), len(ours), seed, SAMPLES)
    return a.precision() - b.precision(), low, high


def vehicle_marks(found: Sequence[Found], truth: Sequence[Truth]) -> list[Marks]:
    """Return the marks of vehicles, whatever their class, picture by picture."""
    return [mark(one, true, Question(VEHICLES)) for one, true in zip(found, truth, strict=True)]


def figures(found: Sequence[Found], truth: Sequence[Truth]) -> list[Figure]:
    """Return the figures of vehicles on all pictures and each group, by size, and of each class."""
    marks = vehicle_marks(found, truth)
    rows = [figure("vehicles", marks)]
    for name in sorted({group for one in truth for group in one.groups}):
        rows.append(figure(f"vehicles, {name}", [m for m, one in zip(marks, truth, strict=True) if name in one.groups]))
    for name, (low, high) in SIZES_PX.items():
        question = Question(VEHICLES, low, high)
        rows.append(figure(f"vehicles, {name}", [mark(f, t, question) for f, t in zip(found, truth, strict=True)]))
    for class_id, name in enumerate(CLASSES):
        pairs = [(f, t) for f, t in zip(found, truth, strict=True) if class_id not in t.unlabelled]
        rows.append(figure(name, [mark(f, t, Question((class_id,))) for f, t in pairs]))
    return rows


def confusion(found: Sequence[Found], truth: Sequence[Truth], score_min: float) -> np.ndarray:
    """Return how often a labelled class (row) was found as each class (column), i8[7, 7]; the last: not at all.

    Pairs overlap by half at least, the best first; the last row holds what was found where nothing is labelled.
    """
    n = len(CLASSES)
    table = np.zeros((n + 1, n + 1), np.int64)
    for one, true in zip(found, truth, strict=True):
        tall = true.xyxy_px[:, 3] - true.xyxy_px[:, 1] >= HEIGHT_MIN_PX
        asked = (true.class_id != IGNORED) & tall
        strong = one.score >= score_min
        boxes, kinds = one.xyxy_px[strong], one.class_id[strong]
        iou, free = overlaps(boxes, true.xyxy_px), np.ones(len(true.class_id), bool)
        vague = (inside(boxes, true.xyxy_px[true.class_id == IGNORED]) >= INSIDE_MIN).any(1)
        vague |= (boxes[:, 3] - boxes[:, 1] < HEIGHT_MIN_PX) | np.isin(kinds, true.unlabelled)
        for row, kind in enumerate(kinds):
            fits = np.where(free, iou[row], 0.0)
            best = int(fits.argmax()) if len(fits) else -1
            if best >= 0 and fits[best] >= 0.5:
                free[best] = False
                if asked[best]:
                    table[true.class_id[best], kind] += 1
            elif not vague[row]:
                table[n, kind] += 1
        for kind in true.class_id[asked & free]:
            table[kind, n] += 1
    return table
