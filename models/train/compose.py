"""One training sample: pictures scaled, turned and laid side by side on the network's planes, vehicles pasted in.

Everything about sample number N of seed S follows from (S, N), whoever makes it and in which order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from models.train.cutouts import Cutouts
from models.train.dataset import LEVELS, Cache, Planes
from models.train.loss import SQUARE_PX
from models.train.network import Sizes
from models.train.weather import weather
from vision.evaluate.labels import IGNORED

MOST_LABELS = 160
GREY, NEUTRAL = 114, 128
#: From this share of the training on samples look like what a camera gives: few mosaics, little weather.
REST_FROM = 0.85
#: Chances of one picture, four, and many, before and after that.
LAYOUTS = {False: (0.30, 0.40, 0.30), True: (0.70, 0.20, 0.10)}
#: Sources of fixed cameras: shown more often, and pasted into.
FIXED = ("atl", "manaus", "tfl", "rendered")
#: Sources whose cameras look down on the road: turned at times as if seen from above.
STEEP = ("atl", "tfl", "rendered")
#: How tall a road user should come out where pictures are shown small, in px.
SMALL_PX = (12.0, 70.0)
_TALL = {0: 1.0, 1: 1.7, 2: 1.4, 3: 0.75, 4: 0.75}


class Member(NamedTuple):
    """A set of pictures that samples are drawn from, and how large a part of them it has."""

    cache: Cache
    train: np.ndarray
    part: float


class Cell(NamedTuple):
    """A part of the planes that one picture fills, in px; all sides are multiples of 8."""

    left: int
    top: int
    right: int
    bottom: int


class Composer:
    """Makes samples for a network of some sizes."""

    def __init__(
        self, sizes: Sizes, members: Sequence[Member], cutouts: Cutouts | None, seed: int, fixed_weight: float = 6.0
    ) -> None:
        self.sizes, self.members, self.cutouts, self.seed = sizes, members, cutouts, seed
        self._parts = np.array([member.part for member in members]) / sum(member.part for member in members)
        self._chances = []
        for member in members:
            fixed = np.isin([member.cache.source(k) for k in member.train], FIXED)
            weight = np.where(fixed, fixed_weight, 1.0)
            self._chances.append(np.cumsum(weight / weight.sum()))
        if cutouts is not None and len(cutouts):
            counts = np.bincount(cutouts.class_of(), minlength=6)
            weight = 1.0 / np.sqrt(counts[cutouts.class_of()])
            self._cut_chances = np.cumsum(weight / weight.sum())

    def sample(self, number: int, share: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return planes u1[h * 3 / 2, w], labels f4[160, 6] and the known classes' bits u1[h / 8, w / 8].

        `share` of the training that is done, 0..1. A label is x1, y1, x2, y2 in px, class, share that shows; an ignore
        box shows 0; unused rows are 0.
        """
        rng = np.random.default_rng((self.seed, number))
        width, height = self.sizes.width_px, self.sizes.height_px
        rest = share >= REST_FROM
        planes = Planes(
            np.full((height, width), GREY, np.uint8),
            np.full((height // 2, width // 2), NEUTRAL, np.uint8),
            np.full((height // 2, width // 2), NEUTRAL, np.uint8),
        )
        known = np.full((height // SQUARE_PX, width // SQUARE_PX), 255, np.uint8)
        layout = int(rng.choice(3, p=LAYOUTS[rest]))
        labels = []
        for cell in cells(layout, width, height, rng):
            member, picture = self._pick(rng)
            own = lay(planes, cell, member.cache, picture, rng, alone=layout == 0, rest=rest)
            bits = member.cache.pictures["known"][picture]
            step = SQUARE_PX
            known[cell.top // step : cell.bottom // step, cell.left // step : cell.right // step] = bits
            if self.cutouts is not None and len(self.cutouts) and member.cache.source(picture) in FIXED:
                own = self._paste(planes, cell, own, rng)
            labels.append(own)
        found = np.concatenate(labels).astype(np.float32)
        planes = weather(planes, rng, found[found[:, 4] >= 0], mild=rest)
        flat = np.concatenate([planes.y, planes.u.reshape(-1, width), planes.v.reshape(-1, width)])
        return flat, as_rows(found), known

    def _pick(self, rng: np.random.Generator) -> tuple[Member, int]:
        k = int(rng.choice(len(self.members), p=self._parts))
        member = self.members[k]
        at = min(int(np.searchsorted(self._chances[k], rng.random())), len(member.train) - 1)
        return member, int(member.train[at])

    def _paste(self, planes: Planes, cell: Cell, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Paste a few vehicles beside labelled ones, as tall as these; return all labels."""
        hosts = labels[(labels[:, 4] >= 0) & (labels[:, 4] < 4) & (labels[:, 3] - labels[:, 1] >= 9)]
        if len(hosts) == 0 or rng.random() < 0.4:
            return labels
        for _ in range(int(rng.integers(1, 5))):
            host = hosts[rng.integers(len(hosts))]
            index = min(int(np.searchsorted(self._cut_chances, rng.random())), len(self.cutouts) - 1)
            cut = self.cutouts.get(index)
            tall = (host[3] - host[1]) * rng.uniform(0.8, 1.2) * _TALL[cut.class_id] / _TALL[int(host[4])]
            h = 2 * round(tall / 2)
            w = 2 * round(tall * cut.cover.shape[1] / cut.cover.shape[0] / 2)
            x = host[[0, 2]].mean() + rng.choice([-1, 1]) * rng.uniform(0.7, 3.0) * (host[2] - host[0]) - w / 2
            y = host[3] + rng.uniform(-0.3, 0.3) * (host[3] - host[1]) - h
            left, top = 2 * round(x / 2), 2 * round(y / 2)
            box = np.array([left, top, left + w, top + h], np.float32)
            if h < 8 or w < 8 or left < cell.left or top < cell.top or box[2] > cell.right or box[3] > cell.bottom:
                continue
            hidden = shared(labels[:, :4], box)
            if (hidden > 0.3).any():
                continue
            labels[:, 5] *= 1 - hidden
            blend(planes, cut.planes, cut.cover, (left, top, w, h), rng)
            labels = np.vstack([labels, [*box, cut.class_id, 1.0]])
        return labels


def cells(layout: int, width_px: int, height_px: int, rng: np.random.Generator) -> list[Cell]:
    """Return the parts of the planes: one, four around a random middle, or a grid of 2 x 3 to 4 x 6."""
    if layout == 0:
        return [Cell(0, 0, width_px, height_px)]
    if layout == 1:
        across = [0, _eight(width_px * rng.uniform(0.3, 0.7)), width_px]
        down = [0, _eight(height_px * rng.uniform(0.3, 0.7)), height_px]
    else:
        columns, rows = int(rng.integers(3, 7)), int(rng.integers(2, 5))
        across = [_eight(width_px * k / columns) for k in range(columns + 1)]
        down = [_eight(height_px * k / rows) for k in range(rows + 1)]
    return [
        Cell(across[i], down[j], across[i + 1], down[j + 1])
        for j in range(len(down) - 1)
        for i in range(len(across) - 1)
    ]


def _eight(value: float) -> int:
    return round(value / SQUARE_PX) * SQUARE_PX


def lay(
    planes: Planes, cell: Cell, cache: Cache, picture: int, rng: np.random.Generator, alone: bool, rest: bool
) -> np.ndarray:
    """Draw a picture into a cell and return its labels f4[n, 6] there, cut at the cell's edges."""
    one = cache.pictures[picture]
    boxes = cache.labels(picture)
    size = np.array([one["width_px"][0], one["height_px"][0]], float)
    room = np.array([cell.right - cell.left, cell.bottom - cell.top], float)
    turn = draw_turn(rng, cache.source(picture) in STEEP)
    if abs(math.sin(turn)) > 0.7:
        fit, cover = sorted(room / size[::-1])
    else:
        fit, cover = sorted(room / size)
    scale = draw_scale(rng, fit, cover, boxes, alone, rest)
    stretch = math.exp(rng.uniform(-0.12, 0.12)) if rng.random() < 0.5 else 1.0
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    c, s = math.cos(turn), math.sin(turn)
    matrix = np.array([[c, -s], [s, c]]) @ np.diag([scale * stretch * mirror, scale / stretch])
    drawn = np.abs(matrix) @ size  # sides of what is drawn
    spare = room - drawn
    shift = rng.uniform(0, 1, 2) if not (alone and rest) else np.full(2, 0.5) + rng.uniform(-0.1, 0.1, 2)
    offset = spare * shift + drawn / 2 - matrix @ (size / 2)
    level = min(LEVELS - 1, max(0, math.floor(-math.log2(scale) + 0.3)))
    source = cache.planes(picture, level)
    shrunk = size / (one["width_px"][level], one["height_px"][level])
    for part, (plane, into) in enumerate(zip(source, planes, strict=True)):
        half = 2 if part else 1
        view = into[cell.top // half : cell.bottom // half, cell.left // half : cell.right // half]
        linear = matrix @ np.diag(shrunk)
        # OpenCV counts from the middle of a pixel, boxes from its edge.
        move = linear @ (0.5, 0.5) + offset / half - 0.5
        warp = np.column_stack([linear, move])
        fill = NEUTRAL if part else GREY
        view[...] = cv2.warpAffine(plane, warp, view.shape[::-1], flags=cv2.INTER_LINEAR, borderValue=fill)
    return moved(boxes, matrix, offset, cell)


def draw_turn(rng: np.random.Generator, steep: bool) -> float:
    """Return by how much a picture is turned, in radians: any way at times where the camera looks down on the road."""
    pick = rng.random()
    if steep and pick < 0.08:
        return float(rng.choice([0.5, 1.0, 1.5])) * math.pi
    if steep and pick < 0.16:
        return rng.uniform(0, 2 * math.pi)
    return math.radians(rng.normal(0, 3.5)) if pick > 0.8 else 0.0


def draw_scale(rng: np.random.Generator, fit: float, cover: float, boxes: np.ndarray, alone: bool, rest: bool) -> float:
    """Return the scale of a picture whose whole fits at `fit` and which fills at `cover`."""
    if alone and rest:
        return fit * math.exp(rng.uniform(-0.15, 0.25))
    scale = math.exp(rng.uniform(math.log(0.85 * fit), math.log(1.5 * cover)))
    tall = boxes[boxes[:, 4] >= 0]
    if len(tall) and rng.random() < 0.4:
        median = float(np.median(tall[:, 3] - tall[:, 1]))
        wanted = math.exp(rng.uniform(*np.log(SMALL_PX))) / max(median, 1.0)
        scale = min(scale, max(wanted, 0.5 * fit))
    return scale


def moved(boxes: np.ndarray, matrix: np.ndarray, offset: np.ndarray, cell: Cell) -> np.ndarray:
    """Return boxes f4[n, 6] after a linear map and a shift into a cell, cut there; their last column falls by the cut.

    A turned body fills its box's corners no more: the new box is that of a shape between the rectangle and the ellipse.
    """
    middle = (boxes[:, :2] + boxes[:, 2:4]) / 2 @ matrix.T + offset + (cell.left, cell.top)
    half = (boxes[:, 2:4] - boxes[:, :2]) / 2
    power = 1.5
    reach = np.stack([((half * np.abs(row)) ** power).sum(1) ** (1 / power) for row in matrix], 1)
    low, high = middle - reach, middle + reach
    inner_low = low.clip((cell.left, cell.top), (cell.right, cell.bottom))
    inner_high = high.clip((cell.left, cell.top), (cell.right, cell.bottom))
    shows = (inner_high - inner_low).prod(1) / np.maximum((high - low).prod(1), 1e-6)
    moved_boxes = np.column_stack([inner_low, inner_high, boxes[:, 4], boxes[:, 5] * shows])
    return moved_boxes[((inner_high - inner_low) > 0.5).all(1)]


def shared(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return which share of each of the boxes f[n, 4] another one covers."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    return (high - low).clip(0).prod(1) / np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1e-6)


def blend(
    planes: Planes, cut: Planes, cover: np.ndarray, at: tuple[int, int, int, int], rng: np.random.Generator
) -> None:
    """Paste planes in place at left, top, width, height (even), as bright as what lies there, perhaps mirrored."""
    left, top, width, height = at
    mirror = rng.random() < 0.5
    bright = 0.0
    for part, (plane, into) in enumerate(zip(cut, planes, strict=True)):
        half = 2 if part else 1
        size = (width // half, height // half)
        own = cv2.resize(plane, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        opaque = cv2.resize(cover, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        if mirror:
            own, opaque = own[:, ::-1], opaque[:, ::-1]
        y, x = top // half, left // half
        view = into[y : y + size[1], x : x + size[0]]
        if not part:
            bright = 0.5 * (float(view.mean()) - float(own.mean())) + rng.normal(0, 8)
        view[...] = (view + (own + (0.0 if part else bright) - view) * opaque).clip(0, 255)


def as_rows(found: np.ndarray) -> np.ndarray:
    """Return labels as f4[160, 6], the largest where there are more; ignore boxes show 0 and have a class."""
    if len(found) > MOST_LABELS:
        area = (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])
        found = found[np.argsort(-area)[:MOST_LABELS]]
    rows = np.zeros((MOST_LABELS, 6), np.float32)
    rows[: len(found)] = found
    ignored = rows[:, 4] == IGNORED
    rows[ignored, 4:] = 0.0
    return rows
