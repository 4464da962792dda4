"""Vehicles cut out of the training pictures, to be pasted elsewhere: GrabCut's masks inside their boxes.

GrabCut: Rother et al. 2004, ACM TOG 23(3). Prepared once a cache; only pictures that train are cut.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from models.train.dataset import Cache, Planes, cut_planes
from vision.evaluate.matching import overlaps

HEIGHTS_PX = (22, 110)
MOST = 1500
#: Of the box that the mask must and may fill: less is a lost outline, more is a box without one.
FILLED = (0.4, 0.96)
#: Of the box's sides that the mask must reach over.
REACH = 0.8
CUTOUT = np.dtype([("offset", "i8"), ("width_px", "i4"), ("height_px", "i4"), ("class_id", "i4"), ("picture", "i4")])


class Cutout(NamedTuple):
    """A vehicle: its planes (even sizes), how much of each luma pixel is its own (u1, 255: all), its class."""

    planes: Planes
    cover: np.ndarray
    class_id: int


class Cutouts:
    """The vehicles cut from a cache; `allowed` are the pictures that train."""

    def __init__(self, folder: Path, allowed: np.ndarray) -> None:
        self._table = np.load(folder / "cutouts.npy")
        self._table = self._table[np.isin(self._table["picture"], allowed)]
        self._bytes = np.fromfile(folder / "cutouts.bin", np.uint8)

    def __len__(self) -> int:
        return len(self._table)

    def class_of(self) -> np.ndarray:
        """Return the class of each."""
        return self._table["class_id"]

    def get(self, index: int) -> Cutout:
        """Return one of them."""
        one = self._table[index]
        width, height = int(one["width_px"]), int(one["height_px"])
        data = self._bytes[one["offset"] :]
        cover = data[width * height * 3 // 2 : width * height * 5 // 2].reshape(height, width)
        return Cutout(cut_planes(data, height, width), cover, int(one["class_id"]))


def open_cutouts(cache: Cache, allowed: np.ndarray) -> Cutouts:
    """Return the cut-outs of a cache's training pictures, made where they are not yet."""
    if not (cache.folder / "cutouts.npy").exists():
        print("cutting vehicles out", flush=True)
        _cut_all(cache)
    return Cutouts(cache.folder, allowed)


def _cut_all(cache: Cache) -> None:
    rng = np.random.default_rng(11)
    wanted = [
        (int(k), row) for k in np.flatnonzero(~cache.pictures["val"]) for row in _free_boxes(cache.labels(int(k)))
    ]
    # Rare classes first, so that the many cars do not take all places.
    counts = np.bincount([int(row[4]) for _, row in wanted], minlength=8)
    order = sorted(range(len(wanted)), key=lambda k: (rng.random() * counts[int(wanted[k][1][4])], k))
    table, at = [], 0
    with (cache.folder / "cutouts.bin").open("wb") as file:
        for picture, row in (wanted[k] for k in order[:MOST]):
            found = _cut(cache.planes(picture), row[:4])
            if found is None:
                continue
            planes, cover = found
            table.append((at, cover.shape[1], cover.shape[0], int(row[4]), picture))
            for part in (*planes, cover):
                file.write(part.tobytes())
            at += cover.size * 5 // 2
    np.save(cache.folder / "cutouts.npy", np.array(table, CUTOUT))


def _free_boxes(boxes: np.ndarray) -> np.ndarray:
    """Return the rows of vehicles of a fitting size that nothing labelled touches."""
    height = boxes[:, 3] - boxes[:, 1]
    free = overlaps(boxes[:, :4].astype(float), boxes[:, :4].astype(float)) - np.eye(len(boxes))
    fits = (height >= HEIGHTS_PX[0]) & (height <= HEIGHTS_PX[1]) & (boxes[:, 2] - boxes[:, 0] >= 24)
    return boxes[fits & (boxes[:, 4] >= 0) & (boxes[:, 4] < 5) & (free.max(1, initial=0.0) < 0.02)]


def _cut(planes: Planes, box: np.ndarray) -> tuple[Planes, np.ndarray] | None:
    """Return a vehicle's planes and cover, None where its outline was not found or the picture cuts it."""
    height_px, width_px = planes.y.shape
    x1, y1 = (int(v) // 2 * 2 for v in box[:2])
    x2, y2 = (-(-int(np.ceil(v)) // 2) * 2 for v in box[2:])
    if x1 < 2 or y1 < 2 or x2 > width_px - 2 or y2 > height_px - 2:
        return None
    rim = max(6, (y2 - y1) // 5) // 2 * 2
    left, top = max(0, x1 - rim), max(0, y1 - rim)
    right, bottom = min(width_px, x2 + rim), min(height_px, y2 + rim)
    around = np.concatenate(
        [
            planes.y[top:bottom, left:right].reshape(-1),
            *(plane[top // 2 : bottom // 2, left // 2 : right // 2].reshape(-1) for plane in (planes.u, planes.v)),
        ]
    ).reshape((bottom - top) * 3 // 2, right - left)
    bgr = cv2.cvtColor(around, cv2.COLOR_YUV2BGR_I420)
    mask = np.zeros(bgr.shape[:2], np.uint8)
    inner = (x1 - left, y1 - top, x2 - x1, y2 - y1)
    try:
        cv2.setRNGSeed(1)
        cv2.grabCut(bgr, mask, inner, np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # one of the two has no pixel left
        return None
    own = ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(own)
    if count < 2:
        return None
    own = (parts == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())).astype(np.uint8)
    own = cv2.morphologyEx(own, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    own = own[inner[1] : inner[1] + inner[3], inner[0] : inner[0] + inner[2]]
    # A mask that falls far short of the box's sides has lost a part of the vehicle.
    reach = [np.flatnonzero(own.any(axis)) for axis in (0, 1)]
    if not all(len(r) and r[-1] - r[0] + 1 >= REACH * n for r, n in zip(reach, own.shape[::-1], strict=True)):
        return None
    if not FILLED[0] <= own.mean() <= FILLED[1]:
        return None
    (a, b), (c, d) = ((r[0] // 2 * 2, r[-1] // 2 * 2 + 2) for r in reach)
    own = own[c:d, a:b]
    x1, y1, x2, y2 = x1 + a, y1 + c, x1 + b, y1 + d
    cover = cv2.GaussianBlur(own * 255, (3, 3), 0)
    cut = Planes(
        planes.y[y1:y2, x1:x2],
        *(plane[y1 // 2 : y2 // 2, x1 // 2 : x2 // 2] for plane in (planes.u, planes.v)),
    )
    return cut, cover
