"""Where a road user is among zones and lanes: in which one, how deep inside, and where on its way it went in."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.geometry import inside_zone
from kernels.heading import guess_m
from kernels.records import ZONE

#: A zone or lane that a rule names, with its number among those of the scene (-1: it is of the other kind).
PLACE_ROW = np.dtype([("zone", ZONE), ("zone_index", "<i2"), ("lane_index", "<i2")])

#: Halvings of a step until the place of entry is known: a 4096th of the step.
HALVINGS = 12


def place_rows(scene, zones, lanes):
    """Return PLACE_ROW[n] of the named zones and lanes."""
    rows = np.zeros(len(zones) + len(lanes), PLACE_ROW)
    rows["zone_index"], rows["lane_index"] = -1, -1
    for row, name in zip(rows, zones, strict=False):
        row["zone_index"] = scene.zone_names.index(name)
        row["zone"] = scene.zone_rows[row["zone_index"]]
    for row, name in zip(rows[len(zones) :], lanes, strict=True):
        row["lane_index"] = scene.lane_names.index(name)
        row["zone"] = scene.lane_rows[row["lane_index"]]
    return rows


@kernel
def zone_at(rows, x, y):
    """Return which of the rows has a `zone` that holds a pixel, the first of several; -1 for none."""
    for k in range(len(rows)):
        if inside_zone(rows[k]["zone"], x, y):
            return k
    return -1


@kernel
def edge_distance(points, x, y):
    """Return how far a point is from the outline of a polygon f8[n, 2], in their unit; infinite where it is unknown."""
    least = math.inf
    n = len(points)
    for i in range(n):
        x1, y1 = points[i, 0], points[i, 1]
        dx, dy = points[(i + 1) % n, 0] - x1, points[(i + 1) % n, 1] - y1
        square = dx * dx + dy * dy
        part = ((x - x1) * dx + (y - y1) * dy) / square if square > 0.0 else 0.0
        part = min(max(part, 0.0), 1.0)
        apart = math.hypot(x - x1 - part * dx, y - y1 - part * dy)
        # False for NaN: an edge that lies partly above the horizon.
        if apart < least:
            least = apart
    return least


@kernel
def zone_depth_m(zone, track, box_height_m):
    """Return how far in m a road user's foot point is within a zone's outline, negative outside.

    On the road; where that is unknown guessed from the picture, its box height standing for `box_height_m`.
    """
    x, y = float(track["foot_x_px"]), float(track["foot_y_px"])
    sign = 1.0 if inside_zone(zone, x, y) else -1.0
    depth_m = math.inf
    if track["foot_x_m"] == track["foot_x_m"]:
        depth_m = edge_distance(zone["m"][: zone["n"]], float(track["foot_x_m"]), float(track["foot_y_m"]))
    if depth_m == math.inf:
        depth_m = edge_distance(zone["px"][: zone["n"]], x, y) * guess_m(track, box_height_m)
    return sign * depth_m


@kernel
def edge_part(zone, px, py, qx, qy):
    """Return which part of the way from p to q (pixels) lies before a zone's outline; p and q are either side of it."""
    began = inside_zone(zone, px, py)
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        part = 0.5 * (low + high)
        if inside_zone(zone, px + part * (qx - px), py + part * (qy - py)) == began:
            low = part
        else:
            high = part
    return 0.5 * (low + high)
