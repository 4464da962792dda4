"""Slow, obvious twins of `kernels/heading.py`, `zones.py`, `against.py` and `verdict.py`, from the whole past."""

from __future__ import annotations

import cmath
import itertools
import math

import numpy as np

from kernels.records import CANNOT_JUDGE, VIOLATION

# -- places and headings ---------------------------------------------------------------------------------------------


def numbers(track):
    """A TRACK row as a dictionary of Python numbers."""
    return {name: track[name].item() if hasattr(track[name], "item") else track[name] for name in track.dtype.names}


def guess_m(t, box_height_m):
    """The rule of three, for boxes of a pixel and more."""
    height_px = t["y2_px"] - t["y1_px"]
    return box_height_m / height_px if height_px > 1 else box_height_m


def velocity_of(t, box_height_m):
    """On the road if there, else scaled."""
    if not math.isnan(t["vx_mps"]):
        return t["vx_mps"], t["vy_mps"], True
    return t["vx_px_s"] * guess_m(t, box_height_m), t["vy_px_s"] * guess_m(t, box_height_m), False


def flow_of(zone, on_road):
    end = "_m" if on_road else ""
    return complex(float(zone[f"flow_x{end}"]), float(zone[f"flow_y{end}"]))


def heading_to(t, zone, box_height_m):
    """The angle by complex arguments."""
    vx, vy, on_road = velocity_of(t, box_height_m)
    if math.hypot(vx, vy) == 0:
        return 0.0, 0.0
    return math.cos(cmath.phase(complex(vx, vy)) - cmath.phase(flow_of(zone, on_road))), abs(complex(vx, vy))


def place_keep(t, box_height_m):
    """The place is the row itself."""
    return t | {"place_speed_mps": math.hypot(*velocity_of(t, box_height_m)[:2])}


def middle_m(t):
    """The mean of front and rear on the road, where they are two points."""
    front, rear = ((t[f"{end}_x_m"], t[f"{end}_y_m"]) for end in ("front", "rear"))
    return tuple(np.mean([front, rear], axis=0)) if front != rear else (math.nan, math.nan)


def way_since(place, t, box_height_m):
    """The difference of two middles, else of two points, on the road if both lie there."""
    if place is None:
        return 0.0, 0.0, False
    before, after = (np.array(middle_m(p)) for p in (place, t))
    if not np.isnan([before, after]).any():
        return (*(after - before), True)
    ends = [np.array([p["foot_x_m"], p["foot_y_m"]]) for p in (place, t)]
    if not np.isnan(ends).any():
        return (*(ends[1] - ends[0]), True)
    ends = [np.array([p["foot_x_px"], p["foot_y_px"]]) for p in (place, t)]
    return (*((ends[1] - ends[0]) * guess_m(t, box_height_m)), False)


def leapt(place, t, box_height_m):
    """Further than 1.5 m, twice the speed and a start at 3 m/s^2 allow."""
    if place is None:
        return False
    dx, dy, _ = way_since(place, t, box_height_m)
    unseen_s = t["time_s"] - place["time_s"]
    return abs(complex(dx, dy)) > 1.5 + place["place_speed_mps"] * 2 * unseen_s + 1.5 * unseen_s**2


def turning_reset():
    """No past."""
    return []


def turning_step(past, t, box_height_m):
    """Walk the past anew. Returns (angle turned, whether it reversed, whether it was swapped)."""
    past.append(t)
    turns = turns_of(past, box_height_m)
    kinds = [kind for *_, kind in turns]
    return sum(angle for _, angle, _ in turns), "reversed" in kinds, "swapped" in kinds


def turns_of(past, box_height_m):
    """Each turn (time, angle, what it must be) between ways that join points two metres apart."""
    corners = past[:1]
    ways = []
    for one in past[1:]:
        dx, dy, on_road = way_since(corners[-1], one, box_height_m)
        if abs(complex(dx, dy)) >= 2.0:
            ways.append((complex(dx, dy), on_road, one["time_s"] - corners[-1]["time_s"], one["time_s"]))
            corners.append(one)
    turns = []
    for (first, on_road, *_), (second, there, passed_s, time_s) in itertools.pairwise(ways):
        if on_road != there:
            continue
        angle = cmath.phase(second / first)
        # Between the middles of two ways a circle of four metres turns by their mean length over four.
        possible = math.radians(120)
        if abs(second) / passed_s <= 10 / 3.6:
            kind = "reversed" if abs(angle) > possible else ""
        else:
            possible = min(possible, (abs(first) + abs(second)) / 8 + 0.6) if on_road else possible
            kind = "swapped" if abs(angle) > possible else ""
        turns.append((time_s, angle, kind))
    return turns


# -- zones -----------------------------------------------------------------------------------------------------------


def holds(points, x, y):
    """Wind round the point: the angles to the corners add up to a turn inside, to nothing outside."""
    corners = np.array([complex(*point) for point in points]) - complex(x, y)
    if (np.abs(corners) < 1e-9).any():
        return False
    angles = np.angle(np.roll(corners, -1) / corners)
    return round(float(angles.sum()) / (2 * math.pi)) % 2 != 0


def outline_px(zone):
    return zone["px"][: zone["n"]]


def zone_at(zones, x, y):
    """The first of those that hold the point."""
    return next((k for k, zone in enumerate(zones) if holds(outline_px(zone), x, y)), -1)


def edge_distance(points, x, y):
    """The least distance to each edge, by its three cases: before, beside, beyond it."""
    found = [math.inf]
    for a, b in zip(np.array(points), np.roll(points, -1, axis=0), strict=True):
        point, length = np.array([x, y]), math.dist(a, b)
        if np.isnan(length) or math.isnan(x):
            continue
        if length == 0 or np.dot(point - a, b - a) <= 0:
            found.append(math.dist(point, a))
        elif np.dot(point - b, a - b) <= 0:
            found.append(math.dist(point, b))
        else:
            found.append(abs((b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])) / length)
    return min(found)


def zone_depth_m(zone, t, box_height_m):
    """The distance with the sign of inside."""
    x, y = t["foot_x_px"], t["foot_y_px"]
    depth_m = edge_distance(zone["m"][: zone["n"]], t["foot_x_m"], t["foot_y_m"])
    if math.isinf(depth_m):
        depth_m = edge_distance(outline_px(zone), x, y) * guess_m(t, box_height_m)
    return depth_m if holds(outline_px(zone), x, y) else -depth_m


def edge_part(zone, px, py, qx, qy):
    """Walk in 4096 steps; the middle of the step that passes the outline."""
    points = [(px + k / 4096 * (qx - px), py + k / 4096 * (qy - py)) for k in range(4097)]
    inside = [holds(outline_px(zone), *point) for point in points]
    return (next(k for k in range(4096) if inside[k + 1] != inside[0]) + 0.5) / 4096


# -- against the flow ------------------------------------------------------------------------------------------------


def against_reset():
    """No past."""
    return []


def against_step(past, t, lanes, suspended):
    """Add a row; go back from it as far as the run reaches; None where there is none.

    A run is rows that head against the flow of the lane they are or were in, without a leap or a gap between.
    """
    s = lanes[0]
    lane = zone_at([row["zone"] for row in lanes], t["foot_x_px"], t["foot_y_px"])
    held_to = lane if lane >= 0 else past[-1]["held_to"] if past else -1
    one = place_keep(t, s["box_height_m"]) | {"lane": lane, "held_to": held_to, "suspended": suspended}
    if held_to < 0:
        return None
    past.append(one)
    one["cosine"], speed_mps = heading_to(t, lanes[held_to]["zone"], s["box_height_m"])
    one["against"] = one["cosine"] < s["cosine_max"] and speed_mps > s["speed_min_mps"]
    before = past[-2] if len(past) > 1 else None
    one["joined"] = (
        before is not None
        and not leapt(before, t, s["box_height_m"])
        and t["relinked_s"] <= before["time_s"]
        and one["against"]
        and before["run"] is not None
    )
    first = None
    if one["joined"]:
        first = before["run"]
    elif one["against"] and lane >= 0:
        first = len(past) - 1
    one["run"] = first
    if first is None:
        return None
    run = past[first:]
    steps = list(itertools.pairwise(run))
    way_m = 0.0
    for a, b in steps:
        dx, dy, on_road = way_since(a, b, s["box_height_m"])
        flow = flow_of(lanes[b["held_to"]]["zone"], on_road)
        way_m -= (complex(dx, dy) * flow.conjugate()).real
    return {
        "held_s": run[-1]["time_s"] - run[0]["time_s"],
        "way_m": way_m,
        "inside_s": sum(b["time_s"] - a["time_s"] for a, b in steps if a["lane"] >= 0 <= b["lane"]),
        "lane": held_to,
        "cosine": one["cosine"],
        "suspended": next((r["suspended"] for r in reversed(run) if r["suspended"]), 0),
    }


# -- verdicts --------------------------------------------------------------------------------------------------------


def verdict(t, time_s, reason):
    """The common fields of a violation."""
    same = ("class_id", "score", "speed_mps", "speed_sd_mps")
    judgement = CANNOT_JUDGE if reason else VIOLATION
    return {name: t[name] for name in same} | {
        "time_s": time_s,
        "track_id": t["id"],
        "judgement": judgement,
        "reason": reason,
    }
