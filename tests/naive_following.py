"""Slow, obvious twins of `kernels/following.py` and `tailgating`: every follower's whole past, judged anew."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import naive_footprint
import numpy as np
from naive_standing import doubt, judgement_of

from kernels.records import ENDED, REASONS


@dataclass
class Follower:
    """A track: its rectangle, when it was seen and braked last, the run it is in and what was told of it."""

    id: int
    rect: dict = field(default_factory=naive_footprint.footprint_reset)
    seen_s: float = -math.inf
    braked_s: float = -math.inf
    leader: int = 0
    followed_s: float = -math.inf
    run: list = field(default_factory=list)
    told: dict = field(default_factory=dict)


def close_reset():
    """Nobody is followed."""
    return Follower(0)


def gap_ahead(a, b):
    """Project all corners on the way and across it."""
    u = np.array([a["ux"], a["uy"]])
    side = np.array([-u[1], u[0]])
    if not np.dot(u, [b["ux"], b["uy"]]) >= math.cos(math.radians(30)):
        return math.inf
    spans = [[np.dot(c, axis) for c in naive_footprint.corners(one)] for axis in (u, side) for one in (a, b)]
    if min(max(spans[2]), max(spans[3])) <= max(min(spans[2]), min(spans[3])):
        return math.inf
    if np.dot(u, [b["x_m"] - a["x_m"], b["y_m"] - a["y_m"]]) <= 0:
        return math.inf
    return max(0.0, min(spans[1]) - max(spans[0]))


def leader_of(rects, i, range_m):
    """The least gap of all."""
    gaps = [(gap_ahead(rects[i], b), k) for k, b in enumerate(rects) if k != i]
    near = []
    for gap, k in gaps:
        apart = math.dist((rects[i]["x_m"], rects[i]["y_m"]), (rects[k]["x_m"], rects[k]["y_m"]))
        if gap <= range_m and apart <= range_m + rects[i]["half_length_m"] + rects[k]["half_length_m"]:
            near.append((gap, k))
    return min(near, default=(math.inf, -1))[::-1]


def close_follow(follower, time_s, leader):
    """A new leader, or the old one after a break."""
    if leader != follower.leader or time_s - follower.followed_s > 1.0:
        follower.leader, follower.run = leader, []
    follower.followed_s = time_s


def close_step(follower, row):
    """One more row of the run: (time, speed, speed sd, gap, its sd, limit, reason, late)."""
    follower.run.append(row)


def ways(run):
    """How far it had come at each row."""
    return np.cumsum([0.0] + [b["speed"] * (b["time"] - a["time"]) for a, b in pairwise(run)])


def close_end(follower, track, held_min_s, way_min_m):
    """What is told of a run that is over, if anything."""
    run, follower.run = follower.run, []
    way = ways(run)
    held = run[-1]["time"] - run[0]["time"]
    if held < held_min_s and way[-1] < way_min_m:
        return None
    if follower.told.get("leader") == follower.leader and run[0]["time"] - follower.told["time"] < 30.0:
        return None
    follower.told = {"leader": follower.leader, "time": run[-1]["time"]}
    stretches, start = [(0.0, 0.0)], None
    for k, row in enumerate(run):
        sure = not row["reason"] and row["gap"] + 2 * row["sd"] < row["limit"]
        start = (k if start is None else start) if sure else None
        if sure:
            stretches.append((row["time"] - run[start]["time"], way[k] - way[start]))
    surely = max(t for t, _ in stretches) >= held_min_s or max(w for _, w in stretches) >= way_min_m
    reasons = [row["reason"] for row in run if row["reason"]]
    late = run[-1]["late"]
    reason = late if surely else (*reasons, late or REASONS.index("calibration"))[max(len(reasons) - 1, 0)]
    least = min([row for row in run if not row["reason"]] or run, key=lambda row: row["gap"] / row["speed"])
    return {
        "time_s": least["time"],
        "track_id": follower.id,
        "leader_track_id": follower.leader,
        "class_id": int(track["class_id"]),
        "score": float(track["score"]),
        "gap_s": least["gap"] / least["speed"],
        "gap_m": least["gap"],
        "limit_m": least["limit"],
        "held_s": held,
        "speed_mps": least["speed"],
        "speed_sd_mps": least["speed_sd"],
        "way_m": int(way[-1]),
        "judgement": judgement_of(reason),
        "reason": reason,
    }


def tailgating_step(tracks, clock, settings, memory):
    """`memory`: slot -> Follower."""
    s, here, events = settings[0], [], []
    for track in tracks:
        slot = int(track["slot"])
        if slot not in memory or memory[slot].id != int(track["id"]):
            memory[slot] = Follower(int(track["id"]))
        one = memory[slot]
        one.seen_s = -math.inf
        rect = None if int(track["flags"]) & ENDED else naive_footprint.footprint_fill(one.rect, track)
        if rect is not None:
            one.rect, one.seen_s = rect, float(track["time_s"])
            if float(track["accel_mps2"]) < -s["braking_mps2"]:
                one.braked_s = one.seen_s
            here.append((one, track))
    for track in tracks:
        one, now, speed = memory[int(track["slot"])], float(track["time_s"]), float(track["speed_mps"])
        place = next((k for k, (other, _) in enumerate(here) if other is one), None)
        wanted = place is not None and int(s["classes"]) >> int(track["class_id"]) & 1 and speed > s["speed_min_mps"]
        led, gap, lead_row = None, math.inf, None
        if wanted:
            k, gap = leader_of([other.rect for other, _ in here], place, 3.0 * speed)
            led, lead_row = here[k] if k >= 0 else (None, None)
        limit = speed * 3.6 / 2 * s["tenths"] / 10 if s["half_speed"] else s["gap_s"] * speed
        near = led is not None and gap < limit and now - led.braked_s >= s["braking_s"]
        same = led is not None and led.id == one.leader
        if wanted and not same and one.run:
            old = next((other for other in memory.values() if other.id == one.leader), None)
            if old is not None and 0 < now - old.seen_s <= 1.0:
                continue
        if one.run and not (near and same and now - one.run[-1]["time"] <= 1.0):
            event = close_end(one, track, s["held_s"], s["way_m"])
            events += [event] if event else []
        if wanted:
            close_follow(one, now, led.id if led else 0)
        if near:
            reasons, lates = (
                [doubt(row, clock, now, *least) for row in (track, lead_row)]
                for least in ((0.0, 0.0), (s["age_min_s"], s["score_min"]))
            )
            sd = math.hypot(float(track["position_sd_m"]), float(lead_row["position_sd_m"]))
            row = {"time": now, "speed": speed, "speed_sd": float(track["speed_sd_mps"]), "gap": gap, "sd": sd}
            close_step(one, {**row, "limit": limit, "reason": reasons[0] or reasons[1], "late": lates[0] or lates[1]})
    return events
