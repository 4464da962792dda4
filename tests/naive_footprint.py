"""Slow, obvious twins of `kernels/footprint.py` and `kernels/pairs.py`: rectangles as lists of corners."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

WIDTHS_M = {0: 1.8, 1: 2.5, 2: 2.5, 3: 0.8, 4: 0.6, 5: 0.5}


def footprint_reset():
    """A road user whose heading is unknown."""
    return {"ux": 0.0, "uy": 0.0}


def footprint_fill(footprint, track):
    """The rectangle as a dictionary of FOOTPRINT's fields, or None without a road point."""
    t = {name: float(track[name]) for name in track.dtype.names}
    if math.isnan(t["foot_x_m"] + t["foot_y_m"]):
        return None
    width = t["width_m"] if t["width_m"] > 0 else WIDTHS_M[int(track["class_id"])]
    front, rear = complex(t["front_x_m"], t["front_y_m"]), complex(t["rear_x_m"], t["rear_y_m"])
    speed = complex(t["vx_mps"], t["vy_mps"])
    centre, length = complex(t["foot_x_m"], t["foot_y_m"]), width
    heading = complex(footprint["ux"], footprint["uy"])
    if abs(front - rear) >= 0.3:
        centre, length, heading = (front + rear) / 2, abs(front - rear), (front - rear) / abs(front - rear)
    elif abs(speed) >= 0.5:
        heading = speed / abs(speed)
    return {
        "x_m": centre.real,
        "y_m": centre.imag,
        "ux": heading.real,
        "uy": heading.imag,
        "half_length_m": length / 2,
        "half_width_m": width / 2,
        "vx_mps": speed.real,
        "vy_mps": speed.imag,
    }


def corners(footprint, after_s=0.0):
    """The four corners in order, so much later."""
    u = np.array([footprint["ux"], footprint["uy"]])
    u = u if u.any() else np.array([1.0, 0.0])
    side = np.array([-u[1], u[0]])
    along, across = footprint["half_length_m"] * u, footprint["half_width_m"] * side
    centre = np.array([footprint["x_m"], footprint["y_m"]])
    if after_s:
        centre = centre + after_s * np.array([footprint["vx_mps"], footprint["vy_mps"]])
    return [centre + along + across, centre - along + across, centre - along - across, centre + along - across]


def reach_m(footprint, nx, ny):
    """The furthest corner along the vector."""
    at = {**footprint, "x_m": 0.0, "y_m": 0.0} if isinstance(footprint, dict) else footprint
    centre = np.array([at["x_m"], at["y_m"]])
    return max(float(np.dot(corner - centre, [nx, ny])) for corner in corners(at))


def area_below(y, half):
    """The sum of many thin slices."""
    heights = np.linspace(min(y, -half) - 1.0, y, 20_001)
    return float(np.trapezoid(np.clip(heights, -half, half) + half, heights))


def shoelace(points):
    """Signed area of a polygon."""
    return sum(a[0] * b[1] - a[1] * b[0] for a, b in pairwise([*points, points[0]])) / 2 if points else 0.0


def zone_share(zone, footprint):
    """Cut the zone's outline with each side of the rectangle in turn (Sutherland and Hodgman), then its area."""
    rectangle = corners(footprint)
    points = [np.array(point) for point in zone["m"][: int(zone["n"])]]
    for a, b in pairwise([*rectangle, rectangle[0]]):
        inward = np.array([-(b - a)[1], (b - a)[0]])
        kept = []
        for p, q in pairwise([*points, points[0]] if points else []):
            before, after = np.dot(p - a, inward), np.dot(q - a, inward)
            if (before >= 0) != (after >= 0):
                kept.append(p + (q - p) * before / (before - after))
            if after >= 0:
                kept.append(q)
        points = kept
    return abs(shoelace(points)) / abs(shoelace(rectangle))
