"""Slow, obvious twins of `kernels/encounter.py` and `kernels/trail.py`: shapes as lists of corners.

One shape meets another where the origin lies in their Minkowski difference, so motion is a line cut by its outline.
"""

from __future__ import annotations

import math

import naive_footprint
import numpy as np

from kernels.records import ENCOUNTERS

NEVER = (math.inf, math.inf)


def fields(footprint):
    """A FOOTPRINT as a dictionary."""
    return footprint if isinstance(footprint, dict) else {n: float(footprint[n]) for n in footprint.dtype.names}


def hull(points):
    """The corners of the convex hull, counter-clockwise (Andrew)."""
    points = sorted({(round(float(x), 12), round(float(y), 12)) for x, y in points})
    chains = []
    for ordered in (points, points[::-1]):
        chain = []
        for p in ordered:
            while len(chain) > 1 and turn(chain[-2], chain[-1], p) <= 0:
                chain.pop()
            chain.append(p)
        chains += chain[:-1]
    return chains


def turn(a, b, c):
    """Positive where a, b, c turn to the left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def line_in(outline, start, way):
    """The part (from, to) of start + t way that lies inside a convex outline."""
    enter, leave = -math.inf, math.inf
    for p, q in zip(outline, outline[1:] + outline[:1], strict=True):
        inside = turn(p, q, start)
        change = turn(p, q, (start[0] + way[0], start[1] + way[1])) - inside
        scale = math.dist(p, q)
        if abs(change) < 1e-9 * scale:
            if inside <= 0:
                return NEVER
        elif change > 0:
            enter = max(enter, -inside / change)
        else:
            leave = min(leave, -inside / change)
    return (enter, leave) if enter < leave else NEVER


def difference(ones, others):
    """The outline of all differences between points of two convex shapes."""
    return hull([(q[0] - p[0], q[1] - p[1]) for p in ones for q in others])


def smaller(footprint, by_m):
    one = dict(fields(footprint))
    one["half_length_m"] -= by_m
    one["half_width_m"] -= by_m
    return one


def contact_window(a, b, shrink_m):
    """When the origin passes through the difference of the rectangles; a shrunk one may be turned inside out."""
    a, b = fields(a), fields(b)
    corners_a, corners_b = naive_footprint.corners(smaller(a, 0.0)), naive_footprint.corners(smaller(b, 0.0))
    outline = difference(corners_a, corners_b)
    if shrink_m:
        outline = shrunk(a, b, shrink_m)
        if outline is None:
            return NEVER
    way = (a["vx_mps"] - b["vx_mps"], a["vy_mps"] - b["vy_mps"])
    return line_in(outline, (0.0, 0.0), way)


def shrunk(a, b, shrink_m):
    """The outline of the difference with each of its sides drawn in by the shrinking of both rectangles."""
    sides = []
    for one in (a, b):
        u = np.array([one["ux"], one["uy"]])
        u = u if u.any() else np.array([1.0, 0.0])
        sides += [u, np.array([-u[1], u[0]])]
    centre = np.array([b["x_m"] - a["x_m"], b["y_m"] - a["y_m"]])
    big = [centre + np.array(p) for p in ((-1e3, -1e3), (1e3, -1e3), (1e3, 1e3), (-1e3, 1e3))]
    for side in sides:
        reach = naive_footprint.reach_m({**a}, *side) + naive_footprint.reach_m({**b}, *side) - 2 * shrink_m
        for n in (side, -side):
            big = cut(big, n, np.dot(n, centre) + reach)
    return [tuple(p) for p in big] if len(big) > 2 else None


def cut(points, n, limit):
    """The part of a polygon with n.p <= limit."""
    kept = []
    for p, q in zip(points, points[1:] + points[:1], strict=True):
        a, b = np.dot(n, p) - limit, np.dot(n, q) - limit
        if a <= 0:
            kept.append(p)
        if (a < 0 < b) or (b < 0 < a):
            kept.append(p + (q - p) * a / (a - b))
    return kept


def on_arc(footprint, turn_rps, after_s):
    """Many short straight ways."""
    one, steps = fields(footprint), 2000
    ways = np.exp(1j * turn_rps * after_s * (np.arange(steps) + 0.5) / steps) * after_s / steps
    at = complex(one["x_m"], one["y_m"]) + complex(one["vx_mps"], one["vy_mps"]) * ways.sum()
    u = complex(one["ux"], one["uy"]) * np.exp(1j * turn_rps * after_s)
    return at.real, at.imag, u.real, u.imag


def common_area(a, b):
    """The area of the overlap of two rectangles."""
    points = [np.array(p) for p in naive_footprint.corners(a)]
    for sign, side in ((1, 0), (-1, 0), (1, 1), (-1, 1)):
        u = np.array([b["ux"], b["uy"]]) if b["ux"] or b["uy"] else np.array([1.0, 0.0])
        n = sign * (u if side == 0 else np.array([-u[1], u[0]]))
        half = b["half_length_m"] if side == 0 else b["half_width_m"]
        points = cut(points, n, np.dot(n, [b["x_m"], b["y_m"]]) + half) if points else []
    return abs(naive_footprint.shoelace(points)) if len(points) > 2 else 0.0


def arcs_meet(a, turn_a_rps, b, turn_b_rps, until_s):
    """Look at the overlap of both at each moment."""
    for k in range(25):
        both = []
        for one, rate in ((a, turn_a_rps), (b, turn_b_rps)):
            x, y, ux, uy = on_arc(one, rate, until_s * k / 24)
            both.append({**fields(one), "x_m": x, "y_m": y, "ux": ux, "uy": uy})
        if common_area(*both) > 1e-9:
            return True
    return False


def encounter_angle(aux, auy, bux, buy):
    """The arc cosine."""
    lengths = math.hypot(aux, auy) * math.hypot(bux, buy)
    if lengths == 0:
        return math.nan
    return math.degrees(math.acos(max(-1.0, min(1.0, (aux * bux + auy * buy) / lengths))))


def encounter_kind(angle_deg):
    """SSAM's three kinds."""
    if math.isnan(angle_deg) or angle_deg < 30:
        return ENCOUNTERS.index("rear_end")
    return ENCOUNTERS.index("crossing" if angle_deg > 85 else "lane_change")


def severity(ttc_s, pet_s):
    """How many of the three limits the lesser one is below."""
    least = min([value for value in (ttc_s, pet_s) if not math.isnan(value)], default=math.inf)
    return sum(least < limit for limit in (1.5, 1.0, 0.5))


def ttc_sd(ttc_s, closing_mps, position_sd_m, speed_sd_mps):
    """From the derivatives of D / dv."""
    if not closing_mps > 0:
        return math.nan
    distance = ttc_s * closing_mps
    return math.sqrt((position_sd_m / closing_mps) ** 2 + (distance / closing_mps**2 * speed_sd_mps) ** 2)


def hold_reset():
    """No estimates."""
    return []


def hold_step(estimates, time_s, contact_s):
    """Cut all estimates since the last long pause into slices; the latest of the last two."""
    estimates.append((time_s, contact_s))
    begin = max(k for k in range(len(estimates)) if k == 0 or estimates[k][0] - estimates[k - 1][0] > 1.5)
    slices = []
    for at_s, moment_s in estimates[begin:]:
        if not slices or at_s - slices[-1][0][0] >= 0.1 - 1e-6:
            slices.append([])
        slices[-1].append((at_s, moment_s))
    if len(slices) < 2:
        return math.inf
    return max(0.0, max(moment for one in slices[-2:] for _, moment in one) - time_s)


# -- trails ---------------------------------------------------------------------------------------------------------


def trail_reset():
    """No samples: each is (time, footprint)."""
    return []


def trail_add(trail, footprint, time_s, step_s):
    """The last sample is where it is now, the others are `step_s` apart."""
    if len(trail) >= 2 and time_s - trail[-2][0] < step_s:
        trail.pop()
    trail.append((time_s, dict(fields(footprint))))
    del trail[:-32]


def trail_rect(trail, k):
    """A sample as a rectangle of the size that is known now."""
    return {**trail[k][1], **{n: trail[-1][1][n] for n in ("half_length_m", "half_width_m")}}


def trail_reach(rect, nx, ny):
    """The furthest corner."""
    return naive_footprint.reach_m(rect, nx, ny)


def first_touch(p, q, was, now):
    """Where the way from `was` to `now` enters the difference of what is swept from p to q and the rectangle."""
    now = fields(now)
    lengths = [one["half_length_m"] + one["half_width_m"] for one in (p, now)]
    ways = [math.dist(*((one["x_m"], one["y_m"]) for one in pair)) for pair in ((p, q), (was, now), (p, now))]
    if ways[2] > ways[0] + ways[1] + sum(lengths):
        return math.inf  # so far apart that no outline need be drawn
    swept = hull(naive_footprint.corners(p) + naive_footprint.corners({**p, "x_m": q["x_m"], "y_m": q["y_m"]}))
    shape = naive_footprint.corners({**now, "x_m": 0.0, "y_m": 0.0})
    start = (float(was["x_m"]), float(was["y_m"]))
    enter, leave = line_in(difference(shape, swept), start, (now["x_m"] - start[0], now["y_m"] - start[1]))
    return max(enter, 0.0) if max(enter, 0.0) < min(leave, 1.0) else math.inf


def trail_pet(trail, was, now, was_s, now_s):
    """The first piece that is touched; from there on the moment at which the strip is behind, looked at finely."""
    now = fields(now)
    touches = [
        first_touch(trail_rect(trail, k), trail_rect(trail, k + 1), was, now) for k in range(len(trail) - 1)
    ] or [math.inf]
    share = min(touches)
    if share in (0.0, math.inf):
        return math.nan, math.nan
    k = touches.index(share)
    at = trail[k][1]
    angle = encounter_angle(at["ux"], at["uy"], now["ux"], now["uy"])
    if not angle >= 30:
        return math.nan, math.nan
    normal = np.array([-now["uy"], now["ux"]])
    middle = np.dot(normal, [now["x_m"], now["y_m"]])
    for i in range(k, len(trail) - 1):
        newer = trail_rect(trail, i + 1)
        offs = [np.dot(normal, [trail[j][1]["x_m"], trail[j][1]["y_m"]]) - middle for j in (i, i + 1)]
        side = 1.0 if offs[1] >= offs[0] else -1.0
        strip = trail_reach(newer, *normal) + now["half_width_m"]
        if side * offs[0] < strip <= side * offs[1]:
            left_s = float(np.interp(strip, [side * offs[0], side * offs[1]], [trail[i][0], trail[i + 1][0]]))
            return was_s + share * (now_s - was_s) - left_s, angle
    return math.nan, math.nan
