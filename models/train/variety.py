"""Batches of training pictures: random cuts, mirrored pictures, brightness, colour and grain."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from models.train.scenes import HEIGHT_PX, WIDTH_PX


class Batches:
    """Sets in memory-mapped arrays, shuffled anew each time round."""

    def __init__(self, folders: list[Path], seed: int) -> None:
        self.planes = [np.load(folder / "frames.npy", mmap_mode="r") for folder in folders]
        self.labels = [np.load(folder / "labels.npy") for folder in folders]
        self.rng = np.random.default_rng(seed)
        self.all = [(k, i) for k, planes in enumerate(self.planes) for i in range(len(planes))]
        self.queue: list[tuple[int, int]] = []

    def take(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return planes u1[count, h * 3 // 2, w] and labels f4[count, 48, 6], varied."""
        while len(self.queue) < count:
            self.queue += [self.all[i] for i in self.rng.permutation(len(self.all))]
        picked = [self.queue.pop(0) for _ in range(count)]
        varied = [vary(self.planes[k][i], self.labels[k][i], self.rng) for k, i in picked]
        return np.stack([planes for planes, _ in varied]), np.stack([labels for _, labels in varied])


def vary(planes: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture cut, scaled, mirrored and recoloured at random, and its labels f4[48, 6] to match."""
    half_h, half_w = HEIGHT_PX // 2, WIDTH_PX // 2
    y = np.array(planes[:HEIGHT_PX])
    u, v = np.array(planes[HEIGHT_PX:]).reshape(2, half_h, half_w)
    labels = labels.copy()
    if rng.random() < 0.6:
        ratio = rng.uniform(0.8, 1.3)
        shift = rng.uniform(-0.5, 0.5, 2) * (ratio - 1) * (WIDTH_PX, HEIGHT_PX) + rng.uniform(-12, 12, 2)
        move = np.array([WIDTH_PX, HEIGHT_PX]) * (1 - ratio) / 2 + shift
        y, u, v = (
            _moved(plane, ratio, move * share, fill)
            for plane, share, fill in ((y, 1, 114), (u, 0.5, 128), (v, 0.5, 128))
        )
        labels = _cut(labels, ratio, move)
    if rng.random() < 0.5:
        y, u, v = y[:, ::-1], u[:, ::-1], v[:, ::-1]
        labels[:, [0, 2]] = np.where(labels[:, 2:3] > 0, WIDTH_PX - labels[:, [2, 0]], 0)
    y = cv2.convertScaleAbs(y, alpha=rng.uniform(0.85, 1.15), beta=rng.uniform(-10, 10))
    gain = rng.uniform(0.75, 1.25)
    u, v = (cv2.convertScaleAbs(plane, alpha=gain, beta=128 * (1 - gain) + rng.uniform(-5, 5)) for plane in (u, v))
    return np.concatenate([y, np.concatenate([u.reshape(-1, WIDTH_PX), v.reshape(-1, WIDTH_PX)])]), labels


def _moved(plane: np.ndarray, ratio: float, move: np.ndarray, fill: int) -> np.ndarray:
    """Return a plane scaled and moved; pixel centres lie at halves."""
    shift = move + 0.5 * ratio - 0.5
    warp = np.array([[ratio, 0, shift[0]], [0, ratio, shift[1]]])
    return cv2.warpAffine(plane, warp, plane.shape[::-1], flags=cv2.INTER_LINEAR, borderValue=fill)


def _cut(labels: np.ndarray, ratio: float, move: np.ndarray) -> np.ndarray:
    """Return labels moved with the picture and cut at its edges; the share that shows falls with the cut."""
    boxes = labels[:, :4] * ratio + np.tile(move, 2)
    whole = np.maximum((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), 1e-6)
    boxes[:, [0, 2]] = boxes[:, [0, 2]].clip(0, WIDTH_PX)
    boxes[:, [1, 3]] = boxes[:, [1, 3]].clip(0, HEIGHT_PX)
    left = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / whole
    labels[:, :4] = np.where(labels[:, 5:6] > 0, boxes, 0)
    labels[:, 5] *= left
    labels[labels[:, 5] <= 0] = 0
    return labels
