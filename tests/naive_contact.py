"""Slow, obvious twins of what a camera sees: explicit corners, slopes by steps, a lens where there is one."""

from __future__ import annotations

import math

import naive_lens
import numpy as np


def pixel(camera, point):
    u, v, w = camera["matrix"] @ [*point, 1.0]
    if w <= 0:
        return None
    return np.array(naive_lens.distort(camera["lens"], u / w, v / w) if camera["lens"]["bends"] else (u / w, v / w))


def cuboid_corners(shape):
    x, y, heading, length, width, height = shape
    turn = np.array([[math.cos(heading), -math.sin(heading)], [math.sin(heading), math.cos(heading)]])
    flat = [(x, y) + turn @ (a * length, b * width) for a in (-0.5, 0.5) for b in (-0.5, 0.5)]
    return [(*point, z) for point in flat for z in (0.0, height)]


def cuboid_edges(camera, shape):
    """(left, top, right, bottom) of the box around the eight corners; None where one is behind the camera."""
    found = [pixel(camera, corner) for corner in cuboid_corners(shape)]
    if any(one is None for one in found):
        return None
    return np.array([*np.min(found, axis=0), *np.max(found, axis=0)])


def point_edges(camera, shape):
    found = pixel(camera, (shape[0], shape[1], 0.0))
    return None if found is None else np.array([*found, *found])


def slopes(edges, camera, shape, step=1e-6):
    """Each edge's slope in each number, by a step to either side."""
    columns = []
    for k in range(6):
        ahead, back = (edges(camera, [v + sign * step * (j == k) for j, v in enumerate(shape)]) for sign in (1, -1))
        columns.append((ahead - back) / (2 * step))
    return np.array(columns).T


def cuboid_outline(camera, shape):
    edges = cuboid_edges(camera, shape)
    return None if edges is None else (edges, slopes(cuboid_edges, camera, shape))


def point_outline(camera, shape):
    edges = point_edges(camera, shape)
    return None if edges is None else (edges, slopes(point_edges, camera, shape))


def corner_slope(camera, shape, row, corner):
    """One corner's coordinate and its slopes."""

    def coordinate(camera, shape):
        along, across = shape[3] / 2 * corner[0], shape[4] / 2 * corner[1]
        turned = complex(along, across) * complex(math.cos(shape[2]), math.sin(shape[2]))
        return np.array([pixel(camera, (shape[0] + turned.real, shape[1] + turned.imag, shape[5] * corner[2]))[row]])

    return coordinate(camera, shape)[0], slopes(coordinate, camera, shape)[0]


def bent_corner(camera, shape, row, corner):
    """A corner is seen through the camera's lens anyhow."""
    return corner_slope(camera, shape, row, corner)


def bent_outline(camera, shape):
    """So is the box of all corners."""
    return cuboid_outline(camera, shape)


def road_pixel(camera, x, y):
    found = pixel(camera, (x, y, 0.0))
    return (math.nan, math.nan) if found is None else tuple(found)


def pixel_road(camera, x, y):
    if camera["lens"]["bends"]:
        x, y = naive_lens.undistort(camera["lens"], x, y)
    u, v, w = np.linalg.inv(camera["matrix"][:, [0, 1, 3]]) @ [x, y, 1.0]
    return u / w, v / w
