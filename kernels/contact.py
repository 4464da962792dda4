"""Where a road user's box comes from: a cuboid on the road, seen by the camera; each edge of the box by one corner.

With the heading known, a box edge is a smooth function of six numbers: the middle of the footprint (m), the heading
(rad), length, width and height (m). What is not a cuboid (no camera pose) is a point on the road: the foot point.
"""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.lens import LENS, distort, distort_slope, undistort

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

#: A camera: `matrix` turns road coordinates and height in m into plumb pixels, with a positive depth in front of it;
#: its lens turns those into the picture's.
CAMERA = np.dtype([("matrix", "<f8", (3, 4)), ("lens", LENS)])

#: What a cuboid looks like: the edges of its box in px, and how each changes with the six numbers.
OUTLINE = np.dtype([("edge", "<f8", (4,)), ("slope", "<f8", (4, SHAPE))])


@kernel
def corner_slope(outline, k, row, camera, shape, corner):
    """Write edge `k` and its slope: the plumb picture's coordinate `row` (0: x, 1: y) of one corner of a cuboid.

    `shape` is (x_m, y_m, heading, length_m, width_m, height_m); `corner` says which: +-1 ahead, +-1 to the left, 0 or 1
    for below or on top.
    """
    matrix = camera["matrix"]
    cos, sin = math.cos(shape[2]), math.sin(shape[2])
    ahead, aside = 0.5 * corner[0] * shape[3], 0.5 * corner[1] * shape[4]
    off_x, off_y = ahead * cos - aside * sin, ahead * sin + aside * cos
    x, y, z = shape[0] + off_x, shape[1] + off_y, corner[2] * shape[5]
    depth = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
    value = (matrix[row, 0] * x + matrix[row, 1] * y + matrix[row, 2] * z + matrix[row, 3]) / depth
    by_x = (matrix[row, 0] - value * matrix[2, 0]) / depth
    by_y = (matrix[row, 1] - value * matrix[2, 1]) / depth
    by_z = (matrix[row, 2] - value * matrix[2, 2]) / depth
    outline["edge"][k] = value
    slope = outline["slope"]
    slope[k, 0], slope[k, 1], slope[k, 2] = by_x, by_y, by_y * off_x - by_x * off_y
    slope[k, 3] = 0.5 * corner[0] * (by_x * cos + by_y * sin)
    slope[k, 4] = 0.5 * corner[1] * (by_y * cos - by_x * sin)
    slope[k, 5] = corner[2] * by_z


@kernel
def bent_corner(outline, k, row, camera, shape, corner):
    """Write edge `k` and its slope as `corner_slope` does, of the picture that a lens bends."""
    edge, slope = outline["edge"], outline["slope"]
    corner_slope(outline, k, 0, camera, shape, corner)
    u, across = edge[k], (slope[k, 0], slope[k, 1], slope[k, 2], slope[k, 3], slope[k, 4], slope[k, 5])
    corner_slope(outline, k, 1, camera, shape, corner)
    seen_x, seen_y, xx, xy, yx, yy = distort_slope(camera["lens"], u, edge[k])
    edge[k], by_u, by_v = (seen_x, xx, xy) if row == 0 else (seen_y, yx, yy)
    for j in range(SHAPE):
        slope[k, j] = by_u * across[j] + by_v * slope[k, j]


@kernel
def cuboid_outline(outline, camera, shape):
    """Write the box of a cuboid and its slopes; return False where a part of it is not in front of the camera.

    `camera` is a CAMERA.
    """
    # A lens has a loop of its own: within this one it would cost those that have none three times the time.
    if camera["lens"]["bends"] != 0:
        return bent_outline(outline, camera, shape)
    matrix = camera["matrix"]
    cos, sin = 0.5 * math.cos(shape[2]), 0.5 * math.sin(shape[2])
    least, most = (math.inf, math.inf), (-math.inf, -math.inf)
    none = (0.0, 0.0, 0.0)
    left, top, right, bottom = none, none, none, none
    for number in range(8):
        corner = (2.0 * (number & 1) - 1.0, float(number & 2) - 1.0, float(number >> 2))
        x = shape[0] + corner[0] * shape[3] * cos - corner[1] * shape[4] * sin
        y = shape[1] + corner[0] * shape[3] * sin + corner[1] * shape[4] * cos
        z = corner[2] * shape[5]
        depth = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
        if depth <= 0.0:
            return False
        u = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]) / depth
        v = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]) / depth
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
def bent_outline(outline, camera, shape):
    """Write the box of a cuboid and its slopes through a lens; return False as above.

    The box is that of the eight corners: the bow of a cuboid's edge between them is left out (0.2 px of 100).
    """
    cos, sin = 0.5 * math.cos(shape[2]), 0.5 * math.sin(shape[2])
    least, most = (math.inf, math.inf), (-math.inf, -math.inf)
    none = (0.0, 0.0, 0.0)
    left, top, right, bottom = none, none, none, none
    matrix = camera["matrix"]
    for number in range(8):
        corner = (2.0 * (number & 1) - 1.0, float(number & 2) - 1.0, float(number >> 2))
        x = shape[0] + corner[0] * shape[3] * cos - corner[1] * shape[4] * sin
        y = shape[1] + corner[0] * shape[3] * sin + corner[1] * shape[4] * cos
        z = corner[2] * shape[5]
        depth = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
        if depth <= 0.0:
            return False
        u = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]) / depth
        v = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]) / depth
        u, v = distort(camera["lens"], u, v)
        left = corner if u < least[0] else left
        top = corner if v < least[1] else top
        right = corner if u > most[0] else right
        bottom = corner if v > most[1] else bottom
        least, most = (min(u, least[0]), min(v, least[1])), (max(u, most[0]), max(v, most[1]))
    bent_corner(outline, LEFT, 0, camera, shape, left)
    bent_corner(outline, TOP, 1, camera, shape, top)
    bent_corner(outline, RIGHT, 0, camera, shape, right)
    bent_corner(outline, BOTTOM, 1, camera, shape, bottom)
    return True


@kernel
def point_outline(outline, camera, shape):
    """Write a road point's x for the left and the right edge and its y for the lower and the upper; False as above."""
    matrix = camera["matrix"]
    depth = matrix[2, 0] * shape[0] + matrix[2, 1] * shape[1] + matrix[2, 3]
    if depth <= 0.0:
        return False
    flat = (shape[0], shape[1], 0.0, 0.0, 0.0, 0.0)
    for k in range(4):
        if camera["lens"]["bends"] == 0:
            corner_slope(outline, k, k & 1, camera, flat, (0.0, 0.0, 0.0))
        else:
            bent_corner(outline, k, k & 1, camera, flat, (0.0, 0.0, 0.0))
    return True


@kernel
def road_pixel(camera, x_m, y_m):
    """Return the pixel (x, y) of a road point; NaN where it is not in front of the camera."""
    matrix = camera["matrix"]
    depth = matrix[2, 0] * x_m + matrix[2, 1] * y_m + matrix[2, 3]
    if depth <= 0.0:
        return math.nan, math.nan
    x = (matrix[0, 0] * x_m + matrix[0, 1] * y_m + matrix[0, 3]) / depth
    y = (matrix[1, 0] * x_m + matrix[1, 1] * y_m + matrix[1, 3]) / depth
    if camera["lens"]["bends"] != 0:
        return distort(camera["lens"], x, y)
    return x, y


@kernel
def pixel_road(camera, x_px, y_px):
    """Return the road point (x, y) in m that a pixel shows."""
    if camera["lens"]["bends"] != 0:
        x_px, y_px = undistort(camera["lens"], x_px, y_px)
    matrix = camera["matrix"]
    a, b = matrix[0, 0] - x_px * matrix[2, 0], matrix[0, 1] - x_px * matrix[2, 1]
    c, d = matrix[1, 0] - y_px * matrix[2, 0], matrix[1, 1] - y_px * matrix[2, 1]
    e, f = x_px * matrix[2, 3] - matrix[0, 3], y_px * matrix[2, 3] - matrix[1, 3]
    det = a * d - b * c
    return (e * d - b * f) / det, (a * f - e * c) / det
