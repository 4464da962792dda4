"""Where a road user's box comes from: a cuboid on the road, seen by the camera; each edge of the box by one corner.

With the heading known, a box edge is a smooth function of six numbers: the middle of the footprint (m), the heading
(rad), length, width and height (m). What is not a cuboid (no camera pose) is a point on the road: the foot point.
"""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel

#: The edges of a box in the order of its numbers, and the two of the foot point: its middle and its lower edge.
LEFT, TOP, RIGHT, BOTTOM = range(4)

#: The numbers that an edge depends on, in the order of the columns of `slope`.
SHAPE = 6

#: Mean and deviation of length, width and height by class in m: common vehicles with their riders, without mirrors.
SIZES_M = (
    (4.5, 1.8, 1.5),
    (11.5, 2.5, 3.2),
    (8.0, 2.4, 3.0),
    (2.1, 0.8, 1.5),
    (1.8, 0.6, 1.7),
    (0.5, 0.6, 1.7),
)
SIZE_SDS_M = (
    (0.45, 0.1, 0.2),
    (1.5, 0.1, 0.3),
    (2.0, 0.15, 0.5),
    (0.25, 0.12, 0.15),
    (0.15, 0.1, 0.12),
    (0.15, 0.12, 0.12),
)

#: What a cuboid looks like: the edges of its box in px, and how each changes with the six numbers.
OUTLINE = np.dtype([("edge", "<f8", (4,)), ("slope", "<f8", (4, SHAPE))])


@kernel
def corner_slope(outline, k, row, camera, shape, corner):
    """Write edge `k` and its slope: the picture's coordinate `row` (0: x, 1: y) of one corner of a cuboid.

    `shape` is (x_m, y_m, heading, length_m, width_m, height_m); `corner` says which: +-1 ahead, +-1 to the left, 0 or 1
    for below or on top.
    """
    cos, sin = math.cos(shape[2]), math.sin(shape[2])
    ahead, aside = 0.5 * corner[0] * shape[3], 0.5 * corner[1] * shape[4]
    off_x, off_y = ahead * cos - aside * sin, ahead * sin + aside * cos
    x, y, z = shape[0] + off_x, shape[1] + off_y, corner[2] * shape[5]
    depth = camera[2, 0] * x + camera[2, 1] * y + camera[2, 2] * z + camera[2, 3]
    value = (camera[row, 0] * x + camera[row, 1] * y + camera[row, 2] * z + camera[row, 3]) / depth
    by_x = (camera[row, 0] - value * camera[2, 0]) / depth
    by_y = (camera[row, 1] - value * camera[2, 1]) / depth
    by_z = (camera[row, 2] - value * camera[2, 2]) / depth
    outline["edge"][k] = value
    slope = outline["slope"]
    slope[k, 0], slope[k, 1], slope[k, 2] = by_x, by_y, by_y * off_x - by_x * off_y
    slope[k, 3] = 0.5 * corner[0] * (by_x * cos + by_y * sin)
    slope[k, 4] = 0.5 * corner[1] * (by_y * cos - by_x * sin)
    slope[k, 5] = corner[2] * by_z


@kernel
def cuboid_outline(outline, camera, shape):
    """Write the box of a cuboid and its slopes; return False where a part of it is not in front of the camera.

    `camera` f8[3, 4] turns road coordinates and height in m into pixels, with a positive depth in front of it.
    """
    cos, sin = 0.5 * math.cos(shape[2]), 0.5 * math.sin(shape[2])
    least, most = (math.inf, math.inf), (-math.inf, -math.inf)
    none = (0.0, 0.0, 0.0)
    left, top, right, bottom = none, none, none, none
    for number in range(8):
        corner = (2.0 * (number & 1) - 1.0, float(number & 2) - 1.0, float(number >> 2))
        x = shape[0] + corner[0] * shape[3] * cos - corner[1] * shape[4] * sin
        y = shape[1] + corner[0] * shape[3] * sin + corner[1] * shape[4] * cos
        z = corner[2] * shape[5]
        depth = camera[2, 0] * x + camera[2, 1] * y + camera[2, 2] * z + camera[2, 3]
        if depth <= 0.0:
            return False
        u = (camera[0, 0] * x + camera[0, 1] * y + camera[0, 2] * z + camera[0, 3]) / depth
        v = (camera[1, 0] * x + camera[1, 1] * y + camera[1, 2] * z + camera[1, 3]) / depth
        if u < least[0]:
            left = corner
        if v < least[1]:
            top = corner
        if u > most[0]:
            right = corner
        if v > most[1]:
            bottom = corner
        least, most = (min(u, least[0]), min(v, least[1])), (max(u, most[0]), max(v, most[1]))
    corner_slope(outline, LEFT, 0, camera, shape, left)
    corner_slope(outline, TOP, 1, camera, shape, top)
    corner_slope(outline, RIGHT, 0, camera, shape, right)
    corner_slope(outline, BOTTOM, 1, camera, shape, bottom)
    return True


@kernel
def point_outline(outline, camera, shape):
    """Write a road point's x for the left and the right edge and its y for the lower and the upper; False as above."""
    depth = camera[2, 0] * shape[0] + camera[2, 1] * shape[1] + camera[2, 3]
    if depth <= 0.0:
        return False
    flat = (shape[0], shape[1], 0.0, 0.0, 0.0, 0.0)
    for k in range(4):
        corner_slope(outline, k, k & 1, camera, flat, (0.0, 0.0, 0.0))
    return True


@kernel
def road_pixel(camera, x_m, y_m):
    """Return the pixel (x, y) of a road point; NaN where it is not in front of the camera."""
    depth = camera[2, 0] * x_m + camera[2, 1] * y_m + camera[2, 3]
    if depth <= 0.0:
        return math.nan, math.nan
    x = (camera[0, 0] * x_m + camera[0, 1] * y_m + camera[0, 3]) / depth
    return x, (camera[1, 0] * x_m + camera[1, 1] * y_m + camera[1, 3]) / depth


@kernel
def pixel_road(camera, x_px, y_px):
    """Return the road point (x, y) in m that a pixel shows."""
    a, b = camera[0, 0] - x_px * camera[2, 0], camera[0, 1] - x_px * camera[2, 1]
    c, d = camera[1, 0] - y_px * camera[2, 0], camera[1, 1] - y_px * camera[2, 1]
    e, f = x_px * camera[2, 3] - camera[0, 3], y_px * camera[2, 3] - camera[1, 3]
    det = a * d - b * c
    return (e * d - b * f) / det, (a * f - e * c) / det
