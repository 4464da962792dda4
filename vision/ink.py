"""Drawing on pictures: text, arrows, outlines, boxes of road users, panels. Sizes follow the picture's height.

Every stroke has a dark halo, so that it reads on bright and dark ground alike. All functions draw in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

import cv2
import numpy as np

Colour = tuple[int, int, int]  # blue, green, red
Place = Sequence[float] | np.ndarray  # x, y in px

#: The palette of Okabe and Ito ("Color Universal Design", 2008): told apart also by colour-blind eyes.
ORANGE: Colour = (0, 159, 230)
SKY: Colour = (233, 180, 86)
GREEN: Colour = (115, 158, 0)
YELLOW: Colour = (66, 228, 240)
BLUE: Colour = (178, 114, 0)
VERMILION: Colour = (0, 94, 213)
PURPLE: Colour = (167, 121, 204)
WHITE: Colour = (245, 245, 245)
GREY: Colour = (170, 170, 170)
DARK: Colour = (28, 24, 22)

#: Colour of a road user by class_id: car, bus, truck, motorcycle, bicycle, person.
CLASS_COLOURS: tuple[Colour, ...] = (SKY, YELLOW, ORANGE, PURPLE, GREEN, VERMILION)

_SHIFT = 4  # bits of fraction in coordinates: strokes do not jump from pixel to pixel
_FAR_PX = 20_000.0


@dataclass(frozen=True)
class Pen:
    """Sizes in pixels that suit a picture."""

    stroke: int
    text: int
    gap: int

    @classmethod
    def of(cls, picture: np.ndarray) -> Pen:
        """Return the pen for a picture of this height."""
        height = picture.shape[0]
        text = max(11, round(height / 45))
        return cls(stroke=max(1, round(height / 360)), text=text, gap=max(2, text // 4))


@cache
def _font() -> cv2.FontFace:
    return cv2.FontFace("sans")


def text_size(text: str, size: int, weight: int = 500) -> tuple[int, int]:
    """Return the width and height in pixels of a line of text; all lines of one size have one height."""
    _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), _font(), size, weight)
    return width, round(size * 1.2)


def put_text(
    picture: np.ndarray, text: str, x: float, y: float, size: int, colour: Colour = WHITE, outline: bool = True
) -> None:
    """Write a line of text with its top left corner at (x, y), with a dark outline where nothing dark lies beneath."""
    left, base = round(x), round(y + size)
    if outline:
        for dx, dy in ((-1, -1), (1, -1), (-1, 1), (1, 1), (0, 1), (0, -1), (1, 0), (-1, 0)):
            cv2.putText(picture, text, (left + dx, base + dy), DARK, _font(), size, 500)
    cv2.putText(picture, text, (left, base), colour, _font(), size, 500)


def shade(picture: np.ndarray, x: float, y: float, width: float, height: float, strength: float = 0.8) -> None:
    """Darken a rectangle of the picture, so that text can be read on it."""
    rows = slice(max(0, round(y)), max(0, round(y + height)))
    columns = slice(max(0, round(x)), max(0, round(x + width)))
    part = picture[rows, columns]
    if part.size:
        tone = np.full_like(part, DARK)
        part[:] = cv2.addWeighted(part, 1.0 - strength, tone, strength, 0.0)


def text_box(picture: np.ndarray, text: str, x: float, y: float, size: int, colour: Colour = WHITE) -> None:
    """Write a line of text on a dark ground with a bar of its colour at the left; (x, y) is the box's top left."""
    width, height = box_size(text, size)
    bar = max(2, size // 6)
    shade(picture, x, y, width, height)
    cv2.rectangle(picture, (round(x), round(y)), (round(x) + bar - 1, round(y + height) - 1), colour, cv2.FILLED)
    put_text(picture, text, x + bar + size // 3, y + (height - size * 1.2) / 2, size, outline=False)


def box_size(text: str, size: int) -> tuple[int, int]:
    """Return the width and height in pixels of a text box."""
    width, height = text_size(text, size)
    return width + max(2, size // 6) + 2 * (size // 3), height + size // 4


def stroke(
    picture: np.ndarray,
    points: np.ndarray | Sequence,
    colour: Colour,
    width: int,
    closed: bool = False,
    halo: bool = True,
) -> None:
    """Draw a line through points f[n, 2] in px; parts through points that are not finite are left out."""
    for run in _runs(np.asarray(points, np.float64).reshape(-1, 2)):
        fixed = [_fixed(run)]
        if halo:
            cv2.polylines(picture, fixed, closed, DARK, width + 2, cv2.LINE_AA, _SHIFT)
        cv2.polylines(picture, fixed, closed, colour, width, cv2.LINE_AA, _SHIFT)


def tint(picture: np.ndarray, points: np.ndarray, colour: Colour, strength: float = 0.2) -> None:
    """Tint the inside of a polygon f[n, 2] in px."""
    low = np.clip(np.floor(points.min(axis=0)).astype(int), 0, picture.shape[1::-1])
    high = np.clip(np.ceil(points.max(axis=0)).astype(int) + 1, 0, picture.shape[1::-1])
    part = picture[low[1] : high[1], low[0] : high[0]]
    if not part.size:
        return
    filled = part.copy()
    cv2.fillPoly(filled, [_fixed(points - low)], colour, cv2.LINE_AA, _SHIFT)
    part[:] = cv2.addWeighted(part, 1.0 - strength, filled, strength, 0.0)


def arrow(picture: np.ndarray, tail: Place, tip: Place, colour: Colour, width: int, both: bool = False) -> None:
    """Draw an arrow with a filled head; `both` puts a head at either end."""
    start, end = np.asarray(tail, np.float64), np.asarray(tip, np.float64)
    length = float(np.linalg.norm(end - start))
    if length < 1.0:
        return
    along = (end - start) / length
    across = np.array([-along[1], along[0]])
    head = min(4.5 * width + 3.0, length * (0.45 if both else 0.8))
    heads = [[end, end - along * head + across * head * 0.5, end - along * head - across * head * 0.5]]
    if both:
        heads.append([start, start + along * head + across * head * 0.5, start + along * head - across * head * 0.5])
    stroke(picture, [start + along * head * 0.8 * both, end - along * head * 0.8], colour, width)
    for points in heads:
        fixed = [_fixed(np.array(points))]
        cv2.polylines(picture, fixed, True, DARK, 3, cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(picture, fixed, colour, cv2.LINE_AA, _SHIFT)


def draw_track(
    picture: np.ndarray,
    box_px: Sequence[float],
    label: str,
    colour: Colour,
    trail_px: np.ndarray | None = None,
    pen: Pen | None = None,
) -> None:
    """Draw a road user: its box x1, y1, x2, y2, a label above it, and its trail f[n, 2] in px, oldest first."""
    pen = pen or Pen.of(picture)
    x1, y1, x2, y2 = (float(edge) for edge in box_px)
    if trail_px is not None and len(trail_px) > 1:
        stroke(picture, trail_px, colour, pen.stroke)
    stroke(picture, [(x1, y1), (x2, y1), (x2, y2), (x1, y2)], colour, pen.stroke, closed=True)
    if trail_px is not None and len(trail_px) and np.all(np.isfinite(trail_px[-1])):
        foot = _fixed(trail_px[-1:])[0]
        cv2.circle(picture, foot.tolist(), (pen.stroke + 2) << _SHIFT, DARK, cv2.FILLED, cv2.LINE_AA, _SHIFT)
        cv2.circle(picture, foot.tolist(), (pen.stroke + 1) << _SHIFT, colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)
    if label:
        size = max(10, round(pen.text * 0.85))
        width, height = box_size(label, size)
        above = y1 - height - 1
        left = min(max(0.0, x1), picture.shape[1] - width)
        text_box(picture, label, left, above if above >= 0 else y1 + 1, size, colour)


def draw_panel(
    picture: np.ndarray,
    title: str,
    rows: Sequence[tuple[str, str, Colour]],
    right: bool = False,
    bottom: bool = False,
    pen: Pen | None = None,
) -> None:
    """Draw a panel in a corner: a title, then rows of a name, a value at the right, and a colour."""
    pen = pen or Pen.of(picture)
    size, pad = pen.text, pen.text // 2
    line = round(size * 1.45)
    names = max((text_size(name, size)[0] for name, _, _ in rows), default=0) + size
    values = max((text_size(value, size)[0] for _, value, _ in rows), default=0)
    width = max(names + size + values, text_size(title, size)[0]) + 2 * pad
    height = line * (len(rows) + bool(title)) + pad
    x = picture.shape[1] - width - pad if right else pad
    y = picture.shape[0] - height - pad if bottom else pad
    shade(picture, x, y, width, height)
    top = y + pad // 2 + (line - size * 1.2) / 2
    if title:
        put_text(picture, title, x + pad, top, size, WHITE, outline=False)
        top += line
    for name, value, colour in rows:
        swatch = size // 2
        corner = (x + pad, round(top + size * 0.35))
        cv2.rectangle(picture, corner, (corner[0] + swatch, corner[1] + swatch), colour, cv2.FILLED, cv2.LINE_AA)
        put_text(picture, name, x + pad + size, top, size, GREY, outline=False)
        end = x + width - pad - text_size(value, size)[0]
        put_text(picture, value, end, top, size, WHITE, outline=False)
        top += line


@dataclass
class Labels:
    """Labels that keep out of each other's way and inside the picture."""

    picture: np.ndarray
    size: int
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def keep_free(self, points: np.ndarray | Sequence, reach: float) -> None:
        """Keep labels off these points."""
        for x, y in np.asarray(points, np.float64).reshape(-1, 2):
            self.taken.append((x - reach, y - reach, x + reach, y + reach))

    def put_right(self, text: str, at: Place, colour: Colour) -> None:
        """Write a label right of a point, or nothing where that place is taken or outside the picture."""
        width, height = box_size(text, self.size)
        left, top = float(at[0]) + self.size * 0.4, float(at[1]) - height / 2
        box = (left, top, left + width, top + height)
        inside = left >= 0 and top >= 0 and box[2] <= self.picture.shape[1] and box[3] <= self.picture.shape[0]
        if inside and not any(_shared(box, other) for other in self.taken):
            self.taken.append(box)
            text_box(self.picture, text, left, top, self.size, colour)

    def put(self, text: str, at: Place, colour: Colour) -> None:
        """Write a label near a point, where it covers least."""
        width, height = box_size(text, self.size)
        best, least = (0.0, 0.0), np.inf
        for x, y in self._places(float(at[0]), float(at[1]), width, height):
            left = min(max(0.0, x), max(0.0, self.picture.shape[1] - width))
            top = min(max(0.0, y), max(0.0, self.picture.shape[0] - height))
            cost = sum(_shared((left, top, left + width, top + height), other) for other in self.taken)
            cost += 0.5 * (abs(left - x) + abs(top - y))
            if cost < least:
                best, least = (left, top), cost
            if cost == 0.0:
                break
        self.taken.append((best[0], best[1], best[0] + width, best[1] + height))
        text_box(self.picture, text, best[0], best[1], self.size, colour)

    def _places(self, x: float, y: float, width: int, height: int) -> Iterable[tuple[float, float]]:
        """Yield top left corners, nearest to the point first."""
        for away in (0.4, 1.2, 2.4):
            gap = self.size * away
            yield x - width / 2, y - height - gap
            yield x - width / 2, y + gap
            yield x + gap, y - height / 2
            yield x - width - gap, y - height / 2
            yield x + gap, y - height - gap
            yield x - width - gap, y + gap


def _shared(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Return the area that two rectangles share."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _runs(points: np.ndarray) -> Iterable[np.ndarray]:
    """Yield the stretches of finite points, two points or more each."""
    sound = np.isfinite(points).all(axis=1) & (np.abs(points) < _FAR_PX).all(axis=1)
    for run in np.split(np.arange(len(points)), np.flatnonzero(np.diff(sound)) + 1):
        if len(run) > 1 and sound[run[0]]:
            yield points[run]


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(np.clip(points, -_FAR_PX, _FAR_PX) * (1 << _SHIFT)).astype(np.int32)
