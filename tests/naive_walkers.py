"""Slow, obvious twins of `kernels/riders.py`, `walk.py` and of the rules about people on foot."""

from __future__ import annotations

import math

from naive_heading import guess_m, numbers, verdict, zone_depth_m
from naive_lanes import of_class, reason_of, stay_reset, stay_step

from kernels.records import CLASSES, ENDED


def sides(t):
    return [(t["x1_px"], t["x2_px"]), (t["y1_px"], t["y2_px"])]


def shared_part(one, other):
    """Area by area."""
    shared = [max(0.0, min(a[1], b[1]) - max(a[0], b[0])) for a, b in zip(sides(one), sides(other), strict=True)]
    areas = [math.prod(high - low for low, high in sides(t)) for t in (one, other)]
    return math.prod(shared) / max(min(areas), 1.0)


def rides(rows, i, overlap_min):
    """Any two-wheeler will do."""
    wheels = [t for t in rows if CLASSES[t["class_id"]] in ("bicycle", "motorcycle") and not t["flags"] & ENDED]
    on_foot = CLASSES[rows[i]["class_id"]] != "person"
    return not on_foot and any(shared_part(rows[i], t) >= overlap_min for t in wheels)


def apart_m(one, other, box_height_m):
    """Pythagoras, on the road or in guessed metres."""
    road = math.dist(*((t["foot_x_m"], t["foot_y_m"]) for t in (one, other)))
    if not math.isnan(road):
        return road
    scale = (guess_m(one, box_height_m) + guess_m(other, box_height_m)) / 2
    return scale * math.dist(*((t["foot_x_px"], t["foot_y_px"]) for t in (one, other)))


def has_company(rows, i, classes, group_m, box_height_m):
    """Any other who is near and goes along."""
    me = rows[i]
    others = [t for k, t in enumerate(rows) if k != i and not t["flags"] & ENDED and classes & 2 ** t["class_id"]]
    near = [t for t in others if apart_m(me, t, box_height_m) <= group_m]
    return any(me["vx_px_s"] * t["vx_px_s"] + me["vy_px_s"] * t["vy_px_s"] >= 0 for t in near)


def pedestrian_on_road_step(tracks, clock, settings, files):
    """An event when a stay that is deep enough, off the crosswalks and not on wheels is long enough."""
    s, events = settings[0], []
    rows = [numbers(track) for track in tracks]
    for i, t in enumerate(rows):
        if t["flags"] & ENDED or not of_class(s, t):
            continue
        own = files.past(t, lambda: {"stay": stay_reset(), "rode": []})
        if rides(rows, i, float(s["rider_overlap"])):
            own["rode"].append(t["time_s"])
        depths = [zone_depth_m(row["zone"], t, s["box_height_m"]) for row in settings]
        on_foot = all(t["time_s"] - rode > s["rider_s"] for rode in own["rode"])
        on_foot = on_foot and (math.isnan(t["speed_mps"]) or t["speed_mps"] <= s["speed_max_mps"])
        there = on_foot and depths[0] >= s["edge_m"] and all(depth < -s["beside_m"] for depth in depths[1:])
        stay = stay_step(own["stay"], t, there, s["leave_s"], int(clock["suspended"]), s["box_height_m"])
        if not there or stay["inside_s"] < s["held_s"] or files.repeats(t, t["time_s"], stay["since_s"]):
            continue
        files.told[t["id"]].append(t["time_s"])
        event = verdict(t, t["time_s"], reason_of(stay["suspended"], t, clock, t["time_s"], s))
        event |= {"held_s": stay["inside_s"], "margin_s": stay["inside_s"] - s["held_s"], "zone": int(s["index"])}
        events.append(event | {"edge_m": depths[0], "margin_m": depths[0] - s["edge_m"]})
    return events
