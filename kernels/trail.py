"""Where a road user's footprint has been in the last seconds, and how soon after it another comes there."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.encounter import REAR_END_DEG, encounter_angle
from kernels.footprint import reach_m

#: Samples that a trail keeps.
TRAIL_LENGTH = 32
SAMPLE = np.dtype([("time_s", "<f8"), ("x_m", "<f8"), ("y_m", "<f8"), ("ux", "<f8"), ("uy", "<f8")])

#: A trail: its samples in a ring of which `n` count and `next` is written next; the bounds of its points; whether it
#: is straight.
TRAIL = np.dtype(
    [
        ("samples", SAMPLE, (TRAIL_LENGTH,)),
        ("bounds_m", "<f8", (4,)),
        ("half_length_m", "<f8"),
        ("half_width_m", "<f8"),
        ("n", "<i4"),
        ("next", "<i4"),
        ("straight", "<u1"),
    ]
)
#: Headings within this of each other (cosine) make a straight trail.
STRAIGHT = math.cos(math.radians(15.0))


@kernel
def trail_reset(trail):
    """Forget where a road user has been."""
    trail["n"], trail["next"], trail["straight"] = 0, 0, 1


@kernel
def trail_add(trail, footprint, time_s, step_s):
    """Note where a footprint is, unless the sample before is younger than `step_s`: then the last one moves on.

    The newest sample is thus where the road user is now, and the others are `step_s` or more apart.
    """
    samples, n, at = trail["samples"], trail["n"], trail["next"]
    moves = n >= 2 and time_s - samples[(at - 2) % TRAIL_LENGTH]["time_s"] < step_s
    if moves:
        at = (at - 1) % TRAIL_LENGTH
    else:
        trail["n"], trail["next"] = min(n + 1, TRAIL_LENGTH), (at + 1) % TRAIL_LENGTH
    sample = samples[at]
    sample["time_s"], sample["x_m"], sample["y_m"] = time_s, footprint["x_m"], footprint["y_m"]
    sample["ux"], sample["uy"] = footprint["ux"], footprint["uy"]
    trail["half_length_m"], trail["half_width_m"] = footprint["half_length_m"], footprint["half_width_m"]
    bounds = trail["bounds_m"]
    if not moves:
        bounds[0], bounds[1], bounds[2], bounds[3] = math.inf, math.inf, -math.inf, -math.inf
        trail["straight"] = 1
    # While only the last sample moves, the bounds can only grow.
    for k in range(at if moves else 0, at + 1 if moves else trail["n"]):
        one = samples[k]
        bounds[0], bounds[1] = min(bounds[0], one["x_m"]), min(bounds[1], one["y_m"])
        bounds[2], bounds[3] = max(bounds[2], one["x_m"]), max(bounds[3], one["y_m"])
        if one["ux"] * footprint["ux"] + one["uy"] * footprint["uy"] < STRAIGHT:
            trail["straight"] = 0


@kernel
def trail_reach(trail, ux, uy, nx, ny):
    """Return how far (m) the footprint that left a trail reaches along (nx, ny) where it pointed along (ux, uy)."""
    if ux == 0.0 and uy == 0.0:
        ux = 1.0
    return trail["half_length_m"] * abs(ux * nx + uy * ny) + trail["half_width_m"] * abs(ux * ny - uy * nx)


@kernel
def first_touch(trail, p, q, was, now):
    """Return at which share (0 to 1) of the way from `was` to `now` a footprint first overlaps a trail from p to q.

    inf for nowhere. Exact for footprints that keep their heading, by separating axes: the sides of both and of the way.
    """
    dx, dy = q["x_m"] - p["x_m"], q["y_m"] - p["y_m"]
    way = math.hypot(dx, dy)
    first, last = 0.0, 1.0
    for k in range(5 if way > 1e-9 else 4):
        if k == 4:
            nx, ny = -dy / way, dx / way
        else:
            nx, ny = (p["ux"], p["uy"]) if k < 2 else (now["ux"], now["uy"])
            if nx == 0.0 and ny == 0.0:
                nx = 1.0
            if k % 2 == 1:
                nx, ny = -ny, nx
        reach = trail_reach(trail, p["ux"], p["uy"], nx, ny) + reach_m(now, nx, ny)
        at, to = p["x_m"] * nx + p["y_m"] * ny, q["x_m"] * nx + q["y_m"] * ny
        low, high = min(at, to) - reach, max(at, to) + reach
        start, end = was["x_m"] * nx + was["y_m"] * ny, now["x_m"] * nx + now["y_m"] * ny
        if abs(end - start) < 1e-9:
            if not low < start < high:
                return math.inf
            continue
        a, b = (low - start) / (end - start), (high - start) / (end - start)
        first, last = max(first, min(a, b)), min(last, max(a, b))
    return first if first < last else math.inf


@kernel
def trail_pet(trail, was, now, was_s, now_s):
    """Return (post-encroachment time in s, angle in degrees) of who has just come onto a trail; NaN where nobody has.

    From the moment at which the trail's owner left the strip that the other drives along, to the moment at which the
    other came onto the trail. NaN too for who was on it before, or comes onto it along it: it only follows.
    """
    samples, n, oldest = trail["samples"], trail["n"], trail["next"] - trail["n"]
    own = math.hypot(now["half_length_m"], now["half_width_m"])
    far = own + math.hypot(trail["half_length_m"], trail["half_width_m"])
    far += abs(now["x_m"] - was["x_m"]) + abs(now["y_m"] - was["y_m"])
    share, entered = math.inf, -1
    for k in range(n - 1):
        p, q = samples[(oldest + k) % TRAIL_LENGTH], samples[(oldest + k + 1) % TRAIL_LENGTH]
        near = far + abs(q["x_m"] - p["x_m"]) + abs(q["y_m"] - p["y_m"])
        if abs(now["x_m"] - p["x_m"]) > near or abs(now["y_m"] - p["y_m"]) > near:
            continue
        touch = first_touch(trail, p, q, was, now)
        if touch == 0.0:
            return math.nan, math.nan
        if touch < share:
            share, entered = touch, k
    if entered < 0:
        return math.nan, math.nan
    at = samples[(oldest + entered) % TRAIL_LENGTH]
    angle_deg = encounter_angle(at["ux"], at["uy"], now["ux"], now["uy"])
    if not angle_deg >= REAR_END_DEG:
        return math.nan, math.nan
    nx, ny = -now["uy"], now["ux"]
    for k in range(entered, n - 1):
        p, q = samples[(oldest + k) % TRAIL_LENGTH], samples[(oldest + k + 1) % TRAIL_LENGTH]
        off = (p["x_m"] - now["x_m"]) * nx + (p["y_m"] - now["y_m"]) * ny
        further = (q["x_m"] - now["x_m"]) * nx + (q["y_m"] - now["y_m"]) * ny
        if further < off:
            off, further = -off, -further
        strip = trail_reach(trail, q["ux"], q["uy"], nx, ny) + now["half_width_m"]
        if off < strip <= further:
            left_s = p["time_s"] + (q["time_s"] - p["time_s"]) * (strip - off) / (further - off)
            return was_s + share * (now_s - was_s) - left_s, angle_deg
    return math.nan, math.nan
