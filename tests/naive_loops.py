"""Slow, obvious twins of `kernels/loops.py` and `kernels/rules/presence.py`: every edge is kept, all by track id."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import SimpleNamespace

import naive_footprint

from kernels.records import ENDED, STREAM_GAP


@dataclass
class Loop:
    """Who is known (by track id: covers, since when, is over), the edges of a step, and what has been told."""

    users: dict = field(default_factory=dict)
    edges: list = field(default_factory=list)  # (time, is off, order, event fields)
    from_s: float = 0.0
    told_s: float = 0.0
    on_s: float | None = None
    off_s: float = 0.0
    since_on: int = 0
    inside: int = 0
    last: dict = field(default_factory=dict)
    steps: list = field(default_factory=list)


def body_fill(before, track, on_road):
    """A rectangle: on the road, or the lowest 15 % of the box."""
    if on_road:
        return naive_footprint.footprint_fill(before, track)
    x1, y1, x2, y2 = (float(track[f"{name}_px"]) for name in ("x1", "y1", "x2", "y2"))
    if not (x2 > x1 and y2 > y1):
        return None
    top = y2 - 0.15 * (y2 - y1)
    return {
        "x_m": (x1 + x2) / 2,
        "y_m": (top + y2) / 2,
        "ux": 1.0,
        "uy": 0.0,
        "half_length_m": (x2 - x1) / 2,
        "half_width_m": (y2 - top) / 2,
        "vx_mps": float(track["vx_px_s"]),
        "vy_mps": float(track["vy_px_s"]),
    }


def body_over(was, now, zone, part):
    """Cut the rectangle that lies so far between the two with the zone."""
    blend = {k: was[k] + part * (now[k] - was[k]) for k in ("x_m", "y_m", "half_length_m", "half_width_m")}
    return naive_footprint.zone_share(zone, {**now, **blend}) > 1e-6


def body_clear(was, now, zone):
    """The box around both rectangles' circles does not meet the box around the outline."""
    points = [tuple(map(float, point)) for point in zone["m"][: zone["n"]]]
    far = max(float(one["half_length_m"]) + float(one["half_width_m"]) for one in (was, now))
    for name, axis in (("x_m", 0), ("y_m", 1)):
        mine, theirs = [float(one[name]) for one in (was, now)], [point[axis] for point in points]
        if max(theirs) < min(mine) - far or min(theirs) > max(mine) + far:
            return True
    return False


def loop_edge(loop, time_s, up, who):
    """One more edge; sorted when told."""
    loop.edges.append((time_s, not up, len(loop.edges), who))


def loop_follow(loop, zone, track, on_road):
    """Find where the rectangle's way meets the zone, by halving each part of the way 30 times."""
    number, time_s = int(track["id"]), float(track["time_s"])
    who = {
        name: float(track[other]) for name, other in (("track_id", "id"), ("class_id", "class_id"), ("score", "score"))
    }
    user = loop.users.setdefault(
        number, SimpleNamespace(covers=naive_footprint.footprint_reset(), seen_s=None, over=False)
    )
    if track["flags"] & ENDED:
        if user.over:
            loop_edge(loop, user.seen_s, False, who)
        del loop.users[number]
        return
    now = body_fill(user.covers, track, on_road)
    if now is None:
        return
    was, before_s = user.covers, user.seen_s
    if before_s is None:
        birth_s = max(float(track["prev_time_s"]), loop.from_s)
        before_s = birth_s if birth_s < time_s else time_s
        known = not math.isnan(now["vx_mps"])
        shift = (before_s - time_s) if known else 0.0
        was = {**now, "x_m": now["x_m"] + shift * (now["vx_mps"] if known else 0)}
        was["y_m"] = now["y_m"] + shift * (now["vy_mps"] if known else 0)
        if body_over(was, now, zone, 0.0):
            user.over = True
            loop_edge(loop, before_s, True, who)
    way = math.dist((was["x_m"], was["y_m"]), (now["x_m"], now["y_m"]))
    parts = min(max(math.ceil(way / (2 * now["half_length_m"])), 1), 32)
    for k in range(parts):
        after = body_over(was, now, zone, (k + 1) / parts)
        if after == user.over:
            continue
        low, high = k / parts, (k + 1) / parts
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (low, middle) if body_over(was, now, zone, middle) == after else (middle, high)
        loop_edge(loop, before_s + low * (time_s - before_s), after, who)
        user.over = after
    user.covers, user.seen_s = now, time_s


def loop_event(loop, time_s, on, reason=0):
    """The event, and what it changes."""
    held_s = math.nan if on else time_s - loop.on_s
    loop.on_s = time_s if on else None
    return {"time_s": time_s, "on": on, "held_s": held_s, "vehicles": loop.since_on, "reason": reason, **loop.last}


def loop_tell(loop, now_s, hold_s):
    """Walk through the edges in their order."""
    found = []
    for edge_s, goes, _, who in sorted(loop.edges, key=lambda edge: edge[:3]):
        time_s = loop.told_s = max(edge_s, loop.told_s)
        if goes:
            loop.inside -= 1
            loop.off_s = time_s
        else:
            if loop.on_s is not None and loop.inside == 0 and time_s > loop.off_s + hold_s:
                found.append(loop_event(loop, loop.off_s, 0))
            loop.inside += 1
            loop.since_on = 1 if loop.on_s is None else loop.since_on + 1
        loop.last = who
        if loop.on_s is None and loop.inside > 0:
            found.append(loop_event(loop, time_s, 1))
    loop.edges = []
    if loop.on_s is not None and loop.inside == 0 and now_s >= loop.off_s + hold_s:
        found.append(loop_event(loop, loop.off_s, 0))
    return found


def loop_close(loop, time_s, reason):
    """Off, if it was on; nobody is known any more."""
    found = []
    if loop.on_s is not None:
        loop.told_s = loop.off_s if loop.inside == 0 else max(time_s, loop.told_s)
        found.append(loop_event(loop, loop.told_s, 0, reason if loop.inside else 0))
    loop.users, loop.edges, loop.inside, loop.since_on = {}, [], 0, 0
    return found


def presence_step(memory, tracks, clock, settings):
    """One frame: the events that each change of the zone makes; `memory` is empty at first."""
    s, now_s = settings[0], float(clock["time_s"])
    if "loop" not in memory:
        memory["loop"] = Loop(from_s=now_s, told_s=now_s, last={"track_id": 0, "class_id": 0, "score": 0})
    loop, found = memory["loop"], []
    if not clock["last"]:
        dt_s = float(clock["dt_s"])
        usual = 0.0
        for step in (step for step in loop.steps if step > 0):
            usual = min(step, 1.0) if usual == 0.0 else 0.95 * usual + 0.05 * min(step, 3 * usual)
        loop.steps.append(dt_s)
        reason = int(clock["suspended"]) or (STREAM_GAP if dt_s > max(1.0, 3 * usual) else 0)
        if reason:
            found += loop_close(loop, now_s - dt_s, reason)
            loop.from_s, loop.told_s = now_s, max(now_s, loop.told_s)
    if not clock["suspended"]:
        for track in tracks:
            user = loop.users.get(int(track["id"]))
            if (user and user.over) or int(s["classes"]) >> int(track["class_id"]) & 1:
                loop_follow(loop, s["zone"], track, bool(s["on_road"]))
        found += loop_tell(loop, now_s, float(s["hold_s"]))
    if clock["last"]:
        found += loop_close(loop, now_s, 0)
        memory.clear()
    return [{**event, "zone": int(s["index"])} for event in found]
