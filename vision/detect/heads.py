"""Heads: which outputs of a model are read, what shapes they must have, and the kernel that reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from kernels import boxes
from kernels.records import CLASSES
from vision.card import Card, DetrHead, RowsHead, Yolov8Head, YoloxHead

Shape = tuple[int, ...]


class Candidates:
    """Columns that a head writes its candidates into, with room for every row of the output."""

    def __init__(self, rows: int) -> None:
        self.xyxy_px = np.zeros((rows, 4), np.float32)
        self.score = np.zeros(rows, np.float32)
        self.class_id = np.zeros(rows, np.int16)
        self.order = np.zeros(min(rows, boxes.MAX_CANDIDATES), np.int64)


class HeadReader(Protocol):
    """Reads the outputs of one model."""

    outputs: tuple[str, ...]

    def fit(self, shapes: Sequence[Shape]) -> int:
        """Take note of the outputs' shapes and return how many rows a picture has, 0 where they do not fit."""

    def wanted(self) -> str:
        """Return in words the shapes that fit."""

    def read(self, tensors: Sequence[np.ndarray], index: int, into: Candidates) -> int:
        """Write the candidates of picture `index`; return how many, or a negative code of kernels.boxes."""


class ClassMap(NamedTuple):
    """Classes in use: `used` i8[k] indices in the output, `ours` i2[k] our class of each; `ours_of` i2[c] of all."""

    used: np.ndarray
    ours: np.ndarray
    ours_of: np.ndarray


def class_map(card: Card) -> ClassMap:
    """Return the card's classes as arrays, in the order of the model's indices."""
    ours_of = np.full(card.output.n_classes, -1, np.int16)
    for name, indices in card.classes.used().items():
        ours_of[list(indices)] = CLASSES.index(name)
    used = np.flatnonzero(ours_of >= 0)
    return ClassMap(used.astype(np.int64), ours_of[used], ours_of)


def make_head(card: Card) -> HeadReader:
    """Return the reader of the card's head."""
    match card.output:
        case YoloxHead():
            return _Yolox(card, card.output)
        case Yolov8Head():
            return _Yolov8(card, card.output)
        case DetrHead():
            return _Detr(card, card.output)
        case RowsHead():
            return _Rows(card, card.output) if card.output.output else _SplitRows(card, card.output)
    raise TypeError(f"head {card.output!r} has no reader")


class _Yolox:
    def __init__(self, card: Card, head: YoloxHead) -> None:
        self.outputs: tuple[str, ...] = (head.output,)
        self._classes, self._score_min = class_map(card), np.float32(card.score_min)
        self._decoded, self._width = head.decoded, 5 + head.n_classes
        self._cells = grid_cells(card.input.width_px, card.input.height_px, head.strides)

    def fit(self, shapes: Sequence[Shape]) -> int:
        return len(self._cells) if shapes[0][1:] == (len(self._cells), self._width) else 0

    def wanted(self) -> str:
        return f"[n, {len(self._cells)}, {self._width}]"

    def read(self, tensors: Sequence[np.ndarray], index: int, into: Candidates) -> int:
        used, ours, _ = self._classes
        return boxes.yolox_head(
            tensors[0][index],
            self._cells,
            self._decoded,
            used,
            ours,
            self._score_min,
            into.xyxy_px,
            into.score,
            into.class_id,
        )


class _Yolov8:
    def __init__(self, card: Card, head: Yolov8Head) -> None:
        self.outputs: tuple[str, ...] = (head.output,)
        self._classes, self._score_min = class_map(card), np.float32(card.score_min)
        self._width, self._turned = 4 + head.n_classes, False

    def fit(self, shapes: Sequence[Shape]) -> int:
        shape = shapes[0]
        if len(shape) != 3 or self._width not in shape[1:]:
            return 0
        self._turned = shape[1] != self._width
        return shape[1] if self._turned else shape[2]

    def wanted(self) -> str:
        return f"[n, {self._width}, cells] or [n, cells, {self._width}]"

    def read(self, tensors: Sequence[np.ndarray], index: int, into: Candidates) -> int:
        used, ours, _ = self._classes
        raw = tensors[0][index]
        return boxes.yolov8_head(
            raw.T if self._turned else raw, used, ours, self._score_min, into.xyxy_px, into.score, into.class_id
        )


class _Detr:
    def __init__(self, card: Card, head: DetrHead) -> None:
        self.outputs: tuple[str, ...] = (head.boxes, head.scores)
        self._classes, self._score_min = class_map(card), np.float32(card.score_min)
        self._sigmoid, self._width = head.sigmoid, head.n_classes
        self._size_px = np.array([card.input.width_px, card.input.height_px], np.float32)

    def fit(self, shapes: Sequence[Shape]) -> int:
        found, scores = shapes
        fits = len(found) == 3 and found[2] == 4 and scores[1:] == (found[1], self._width)
        return found[1] if fits else 0

    def wanted(self) -> str:
        return f"[n, queries, 4] and [n, queries, {self._width}]"

    def read(self, tensors: Sequence[np.ndarray], index: int, into: Candidates) -> int:
        used, ours, _ = self._classes
        return boxes.detr_head(
            tensors[0][index],
            tensors[1][index],
            self._sigmoid,
            self._size_px,
            used,
            ours,
            self._score_min,
            into.xyxy_px,
            into.score,
            into.class_id,
        )


class _Rows:
    def __init__(self, card: Card, head: RowsHead) -> None:
        self.outputs: tuple[str, ...] = (head.output,)
        self._ours_of, self._score_min = class_map(card).ours_of, np.float32(card.score_min)

    def fit(self, shapes: Sequence[Shape]) -> int:
        shape = shapes[0]
        return shape[1] if len(shape) == 3 and shape[2] == 6 else 0

    def wanted(self) -> str:
        return "[n, rows, 6]"

    def read(self, tensors: Sequence[np.ndarray], index: int, into: Candidates) -> int:
        rows = tensors[0][index]
        return boxes.rows_head(
            rows[:, :4],
            rows[:, 4],
            rows[:, 5],
            self._ours_of,
            self._score_min,
            into.xyxy_px,
            into.score,
            into.class_id,
        )


class _SplitRows:
    def __init__(self, card: Card, head: RowsHead) -> None:
        self.outputs: tuple[str, ...] = (head.boxes, head.scores, head.labels)
        self._ours_of, self._score_min = class_map(card).ours_of, np.float32(card.score_min)

    def fit(self, shapes: Sequence[Shape]) -> int:
        found, scores, labels = shapes
        fits = len(found) == 3 and found[2] == 4 and scores[1:] == labels[1:] == (found[1],)
        return found[1] if fits else 0

    def wanted(self) -> str:
        return "[n, rows, 4], [n, rows] and [n, rows]"

    def read(self, tensors: Sequence[np.ndarray], index: int, into: Candidates) -> int:
        found, scores, labels = tensors
        return boxes.rows_head(
            found[index],
            scores[index],
            labels[index],
            self._ours_of,
            self._score_min,
            into.xyxy_px,
            into.score,
            into.class_id,
        )


def grid_cells(width_px: int, height_px: int, strides: Sequence[int]) -> np.ndarray:
    """Return column, row and stride in px of each cell, f4[n, 3]: row by row, one stride after the other."""
    parts = []
    for stride in strides:
        columns, rows = width_px // stride, height_px // stride
        y, x = np.divmod(np.arange(columns * rows), columns)
        parts.append(np.stack([x, y, np.full(columns * rows, stride)], 1))
    return np.concatenate(parts).astype(np.float32)
