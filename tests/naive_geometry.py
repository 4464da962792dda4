"""Slow, obvious twins of the kernels in `kernels/geometry.py`."""

from __future__ import annotations

import math
from fractions import Fraction

import naive_lens
import numpy as np


def segment_crossing(line, px, py, qx, qy, margin_px):
    """Solve p + t (q - p) = a + s (b - a) with exact fractions, after the sides say that there is a passage."""
    normal = np.array([line["nx"], line["ny"]])
    start = np.array([line["x1_px"], line["y1_px"]])
    before = float(np.dot(np.array([px, py]) - start, normal))
    after = float(np.dot(np.array([qx, qy]) - start, normal))
    if (before > 0) == (after > 0):
        return -1.0
    ax, ay, bx, by, *way = (
        Fraction(float(v)) for v in (*(line[k] for k in ("x1_px", "y1_px", "x2_px", "y2_px")), px, py, qx, qy)
    )
    x0, y0, x1, y1 = way
    denominator = (x1 - x0) * (by - ay) - (y1 - y0) * (bx - ax)
    part = ((ax - x0) * (by - ay) - (ay - y0) * (bx - ax)) / denominator
    share = ((x0 + part * (x1 - x0) - ax) * (bx - ax) + (y0 + part * (y1 - y0) - ay) * (by - ay)) / (
        (bx - ax) ** 2 + (by - ay) ** 2
    )
    along = float(share) * math.dist((ax, ay), (bx, by))
    if along < -margin_px or along > math.dist((ax, ay), (bx, by)) + margin_px:
        return -1.0
    return float(part)


def inside_polygon(points, x, y):
    """Count the edges that a ray to the right meets, with exact fractions."""
    met = 0
    for (ax, ay), (bx, by) in zip(points, np.roll(points, -1, axis=0), strict=True):
        low, high = sorted([(Fraction(float(ay)), Fraction(float(ax))), (Fraction(float(by)), Fraction(float(bx)))])
        if low[0] <= y < high[0]:
            at = low[1] + (Fraction(float(y)) - low[0]) * (high[1] - low[1]) / (high[0] - low[0])
            met += Fraction(float(x)) < at
    return met % 2 == 1


def polygon_area(points):
    """Sum the signed areas of the trapezoids under the edges, with exact fractions."""
    exact = [(Fraction(float(x)), Fraction(float(y))) for x, y in points]
    edges = zip(exact, exact[1:] + exact[:1], strict=True)
    return float(abs(sum((bx - ax) * (ay + by) / 2 for (ax, ay), (bx, by) in edges)))


def road_point(to_road, lens, x, y):
    """Take the lens off, multiply and divide."""
    if lens["bends"]:
        x, y = naive_lens.undistort(lens, x, y)
    u, v, w = to_road @ np.array([x, y, 1.0])
    return (u / w, v / w) if w > 0 else (math.nan, math.nan)


def metres_per_px(to_road, lens, x, y):
    """Walk a hundredth of a pixel in every direction and keep the longest step on the road."""
    here = np.array(road_point(to_road, lens, x, y))
    if np.isnan(here[0]):
        return math.nan
    step = 0.01
    turns = np.linspace(0, 2 * math.pi, 720, endpoint=False)
    ends = [road_point(to_road, lens, x + step * math.cos(turn), y + step * math.sin(turn)) for turn in turns]
    return max(math.dist(here, end) for end in ends) / step


def inside_zone(zone, x, y):
    """The polygon of its first n pixels."""
    return inside_polygon(zone["px"][: zone["n"]], x, y)


def inside_zone_m(zone, x, y):
    """The polygon of its first n road points."""
    points = zone["m"][: zone["n"]]
    return not np.isnan(points).any() and not math.isnan(x) and not math.isnan(y) and inside_polygon(points, x, y)


def line_offset_m(line, x, y):
    """Distance from the line through both ends, with the sign of the side that the normal points to."""
    start, end = np.array([line["x1_m"], line["y1_m"]]), np.array([line["x2_m"], line["y2_m"]])
    along = (end - start) / np.linalg.norm(end - start)
    apart = np.array([x, y]) - start
    side = np.dot(apart, [line["nx_m"], line["ny_m"]])
    return math.copysign(float(np.linalg.norm(apart - np.dot(apart, along) * along)), side)
