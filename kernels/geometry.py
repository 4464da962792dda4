"""Plane geometry for rules and pictures: segments, polygons, and the ground homography at a point."""

from __future__ import annotations

import math

from kernels._jit import kernel
from kernels.lens import distort_slope, undistort


@kernel
def segment_crossing(line, px, py, qx, qy, margin_px):
    """Return where the way from p to q passes through a line, as a fraction of that way; -1 where it does not.

    `line` is a LINE row; passages up to `margin_px` beyond its ends count. A point on the line is on the side the
    normal points away from, so a way that ends there and goes on later passes once.
    """
    before = (px - line["x1_px"]) * line["nx"] + (py - line["y1_px"]) * line["ny"]
    after = (qx - line["x1_px"]) * line["nx"] + (qy - line["y1_px"]) * line["ny"]
    if (before > 0.0) == (after > 0.0):
        return -1.0
    part = before / (before - after)
    dx = line["x2_px"] - line["x1_px"]
    dy = line["y2_px"] - line["y1_px"]
    length = math.sqrt(dx * dx + dy * dy)
    x = px + part * (qx - px)
    y = py + part * (qy - py)
    along = ((x - line["x1_px"]) * dx + (y - line["y1_px"]) * dy) / length
    if along < -margin_px or along > length + margin_px:
        return -1.0
    return part


@kernel
def inside_polygon(points, x, y):
    """Say whether a point lies in a polygon f8[n, 2] by the even-odd rule.

    Edges are half open, so of two polygons that share an edge a point on it lies in exactly one.
    """
    inside = False
    n = len(points)
    j = n - 1
    for i in range(n):
        x1, y1 = points[j, 0], points[j, 1]
        x2, y2 = points[i, 0], points[i, 1]
        if (y1 > y) != (y2 > y):
            # From the lower end always, so that a shared edge is met at the same x from both sides.
            if y1 > y2:
                x1, y1, x2, y2 = x2, y2, x1, y1
            if x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
                inside = not inside
        j = i
    return inside


@kernel
def inside_zone(zone, x, y):
    """Say whether a pixel lies in a ZONE."""
    return inside_polygon(zone["px"][: zone["n"]], x, y)


@kernel
def inside_zone_m(zone, x, y):
    """Say whether a road point in metres lies in a ZONE; no where either is unknown."""
    return inside_polygon(zone["m"][: zone["n"]], x, y)


@kernel
def line_offset_m(line, x, y):
    """Return the signed distance of a road point from a LINE in m, positive on the side its normal points to."""
    return (x - line["x1_m"]) * line["nx_m"] + (y - line["y1_m"]) * line["ny_m"]


@kernel
def polygon_area(points):
    """Return the area of a polygon f8[n, 2] in squared units of its points, whichever way round it is drawn."""
    n = len(points)
    twice = 0.0
    for i in range(n):
        j = (i + 1) % n
        # From the first point, so that large coordinates (a national grid) do not cancel.
        ax, ay = points[i, 0] - points[0, 0], points[i, 1] - points[0, 1]
        bx, by = points[j, 0] - points[0, 0], points[j, 1] - points[0, 1]
        twice += ax * by - bx * ay
    return abs(twice) / 2.0


@kernel
def road_point(to_road, lens, x, y):
    """Return the road point (x_m, y_m) seen at a pixel; NaN at and above the horizon.

    `to_road` is f8[3, 3] from plumb pixels, scaled so that its third coordinate is positive on the road side of the
    horizon; `lens` is a LENS.
    """
    if lens["bends"] != 0:
        x, y = undistort(lens, x, y)
    depth = to_road[2, 0] * x + to_road[2, 1] * y + to_road[2, 2]
    if not depth > 0.0:
        return math.nan, math.nan
    x_m = (to_road[0, 0] * x + to_road[0, 1] * y + to_road[0, 2]) / depth
    y_m = (to_road[1, 0] * x + to_road[1, 1] * y + to_road[1, 2]) / depth
    return x_m, y_m


@kernel
def metres_per_px(to_road, lens, x, y):
    """Return how far (m) the road point moves for a step of one pixel in the worst direction; NaN above the horizon.

    The larger singular value of the Jacobian of homography and lens.
    """
    x_m, y_m = road_point(to_road, lens, x, y)
    if x_m != x_m:
        return math.nan
    if lens["bends"] != 0:
        x, y = undistort(lens, x, y)
    depth = to_road[2, 0] * x + to_road[2, 1] * y + to_road[2, 2]
    a = (to_road[0, 0] - x_m * to_road[2, 0]) / depth
    b = (to_road[0, 1] - x_m * to_road[2, 1]) / depth
    c = (to_road[1, 0] - y_m * to_road[2, 0]) / depth
    d = (to_road[1, 1] - y_m * to_road[2, 1]) / depth
    if lens["bends"] != 0:
        # A pixel of the picture is so many plumb pixels: the inverse of the lens's slopes.
        _, _, xx, xy, yx, yy = distort_slope(lens, x, y)
        det = xx * yy - xy * yx
        a, b = (a * yy - b * yx) / det, (b * xx - a * xy) / det
        c, d = (c * yy - d * yx) / det, (d * xx - c * xy) / det
    # Singular values of a 2x2 matrix: half the sum of the lengths of its conformal and anticonformal parts.
    return (math.hypot(a + d, b - c) + math.hypot(a - d, b + c)) / 2.0
