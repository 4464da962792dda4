"""The rectangle that a road user covers on the road: what zones, queues and conflicts measure, not the box."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel

#: A rectangle on the road: its centre, the unit vector along it, half its length and width, its velocity.
FOOTPRINT = np.dtype(
    [
        ("x_m", "<f8"),
        ("y_m", "<f8"),
        ("ux", "<f8"),
        ("uy", "<f8"),
        ("half_length_m", "<f8"),
        ("half_width_m", "<f8"),
        ("vx_mps", "<f8"),
        ("vy_mps", "<f8"),
    ]
)

#: How wide a road user is whose width was not measured, by class: common vehicles' widths without mirrors.
WIDTHS_M = (1.8, 2.5, 2.5, 0.8, 0.6, 0.5)

#: Front and rear so near to each other say nothing of the length and the heading.
LENGTH_MIN_M = 0.3
#: A road user that moves so fast moves the way it points.
HEADING_SPEED_MPS = 0.5


@kernel
def footprint_reset(footprint):
    """Forget a road user: its heading is unknown, (0, 0)."""
    footprint["ux"], footprint["uy"] = 0.0, 0.0


@kernel
def footprint_fill(footprint, track):
    """Fill a FOOTPRINT from a TRACK row; say whether it could be: the row has a road point.

    Where front and rear do not tell the length it is a square as wide as the road user about its foot point, which
    points where it moves, or moved last. An unknown velocity is NaN.
    """
    if not (track["foot_x_m"] == track["foot_x_m"] and track["foot_y_m"] == track["foot_y_m"]):
        return False
    width = track["width_m"]
    if not width > 0.0:
        width = WIDTHS_M[track["class_id"]]
    x, y, length = track["foot_x_m"], track["foot_y_m"], width
    vx, vy = track["vx_mps"], track["vy_mps"]
    dx, dy = track["front_x_m"] - track["rear_x_m"], track["front_y_m"] - track["rear_y_m"]
    measured, speed = math.hypot(dx, dy), math.hypot(vx, vy)
    if measured >= LENGTH_MIN_M:
        footprint["ux"], footprint["uy"], length = dx / measured, dy / measured, measured
        x, y = 0.5 * (track["front_x_m"] + track["rear_x_m"]), 0.5 * (track["front_y_m"] + track["rear_y_m"])
    elif speed >= HEADING_SPEED_MPS:
        footprint["ux"], footprint["uy"] = vx / speed, vy / speed
    footprint["x_m"], footprint["y_m"], footprint["vx_mps"], footprint["vy_mps"] = x, y, vx, vy
    footprint["half_length_m"], footprint["half_width_m"] = 0.5 * length, 0.5 * width
    return True


@kernel
def reach_m(footprint, nx, ny):
    """Return how far (m) a footprint reaches from its centre along a unit vector; of unknown heading, as along x."""
    ux, uy = footprint["ux"], footprint["uy"]
    if ux == 0.0 and uy == 0.0:
        ux = 1.0
    along, across = abs(ux * nx + uy * ny), abs(ux * ny - uy * nx)
    return footprint["half_length_m"] * along + footprint["half_width_m"] * across


@kernel
def area_below(y, half):
    """Return the integral of a height that is cut to a strip, measured from its lower edge -half, up to y."""
    if y <= -half:
        return 0.0
    if y >= half:
        return 2.0 * half * y
    return 0.5 * (y + half) * (y + half)


@kernel
def zone_share(zone, footprint):
    """Return which share (0 to 1) of a footprint's area lies in a ZONE; exact for every simple outline.

    In the footprint's own axes the area in common is the integral along the zone's outline of its height cut to the
    rectangle (Green's theorem), so no outline of the overlap is built.
    """
    n = zone["n"]
    ux, uy = footprint["ux"], footprint["uy"]
    if ux == 0.0 and uy == 0.0:
        ux = 1.0
    length, width = footprint["half_length_m"], footprint["half_width_m"]
    area = 0.0
    for i in range(n):
        j = i - 1 if i > 0 else n - 1
        px, py = zone["m"][j, 0] - footprint["x_m"], zone["m"][j, 1] - footprint["y_m"]
        qx, qy = zone["m"][i, 0] - footprint["x_m"], zone["m"][i, 1] - footprint["y_m"]
        x1, y1 = px * ux + py * uy, py * ux - px * uy
        x2, y2 = qx * ux + qy * uy, qy * ux - qx * uy
        a, b = min(max(x1, -length), length), min(max(x2, -length), length)
        if a == b:
            continue
        ya, yb = y1 + (y2 - y1) * (a - x1) / (x2 - x1), y1 + (y2 - y1) * (b - x1) / (x2 - x1)
        if abs(yb - ya) > 1e-9:
            height = (area_below(yb, width) - area_below(ya, width)) / (yb - ya)
        else:
            height = min(max(ya, -width), width) + width
        area += (b - a) * height
    return abs(area) / (4.0 * length * width)
