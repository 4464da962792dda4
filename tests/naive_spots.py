"""Slow, obvious twins of `kernels/spots.py` and `kernels/rules/spot.py`: all passages are kept."""

from __future__ import annotations

import math
from types import SimpleNamespace

from naive_geometry import inside_zone
from naive_rules import crossing_reset, crossing_step, direction_code, speed_at, wanted
from naive_watch import usual_s

from kernels.crossing import FRONT, REAR
from kernels.records import ENDED


def lane_of_crossing(rows, point, line, track, way):
    """Try the place on the line, then 0.3 box heights back, then ahead."""
    height = float(track["y2_px"]) - float(track["y1_px"])
    for share in (0.0, -0.3, 0.3):
        x = point[0] + share * way * height * float(line["nx"])
        y = point[1] + share * way * height * float(line["ny"])
        for k, row in enumerate(rows):
            if row["zone"]["n"] and inside_zone(row["zone"], x, y):
                return k
    return -1


def passages_reset():
    """Nobody went before."""
    return []


def passage_add(passages, track_id, front_s, lane, way):
    """One more; no more than the last 64 count."""
    passages.append(SimpleNamespace(track_id=track_id, front_s=front_s, rear_s=math.nan, lane=lane, way=way))
    return passages[-1]


def passage_leader(passages, front_s, lane, way):
    """The latest of those that were earlier."""
    before = [one for one in passages[-64:] if one.front_s < front_s and (one.lane, one.way) == (lane, way)]
    leader = max(before, key=lambda one: one.front_s, default=None)
    return (leader.front_s, leader.rear_s) if leader else (math.nan, math.nan)


def spot_step(tracks, clock, settings, memory):
    """One frame: an event for each vehicle that is through; `memory` is empty at first."""
    s, events = settings[0], []
    line = s["line"]
    passages = memory.setdefault("passages", passages_reset())
    users, steps = memory.setdefault("users", {}), memory.setdefault("steps", [])
    if not clock["last"]:
        dt_s = float(clock["dt_s"])
        if clock["suspended"] or dt_s > max(1.0, 3 * usual_s(steps)):
            passages.clear()
        steps.append(dt_s)
    for track in tracks:
        user = users.setdefault(
            int(track["id"]), SimpleNamespace(front=crossing_reset(), rear=crossing_reset(), waits=None, told=set())
        )
        limits = s["settle_s"], s["band_px"], s["band_share"]
        front = crossing_step(user.front, line, track, FRONT, *limits)
        rear = crossing_step(user.rear, line, track, REAR, *limits)
        t = {name: float(track[name]) for name in track.dtype.names}
        point_px = math.dist((t["front_x_px"], t["front_y_px"]), (t["rear_x_px"], t["rear_y_px"])) < 1.0
        fits = front is not None and wanted(s, track) and not (line["has_flow"] and front.way < 0)
        if fits and user.waits is None and front.way not in user.told:
            user.told.add(front.way)
            row = lane_of_crossing(settings, front.point, line, track, front.way)
            lane = int(settings[row]["lane_index"]) if row >= 0 else -1
            length_m = math.dist((t["front_x_m"], t["front_y_m"]), (t["rear_x_m"], t["rear_y_m"]))
            speed_mps, sd_mps = speed_at(track, front.time_s, float(s["scale_sd"]))
            user.waits = {
                "speed_mps": speed_mps,
                "speed_sd_mps": sd_mps,
                "time_s": front.time_s,
                "lane": lane,
                "line": int(s["index"]),
                "direction": direction_code(line, front.way),
                "reason": int(clock["suspended"]),
                "bridged": int(front.bridged),
                "length_m": length_m if length_m >= 0.3 else math.nan,
                "passage_s": math.nan,
            }
            user.way, user.mine = front.way, passage_add(passages, int(track["id"]), front.time_s, lane, front.way)
        if user.waits is None:
            continue
        followed = rear is not None and rear.way == user.way
        if followed and not point_px:
            user.mine.rear_s = rear.time_s
            user.waits["passage_s"] = max(rear.time_s - user.waits["time_s"], 0.0)
        if followed or point_px or int(track["flags"]) & ENDED:
            front_s = user.waits["time_s"]
            before_s, left_s = passage_leader(passages, front_s, user.waits["lane"], user.way)
            who = {"track_id": int(track["id"]), "class_id": int(track["class_id"]), "score": t["score"]}
            events.append({**user.waits, **who, "headway_s": front_s - before_s, "gap_s": front_s - left_s})
            user.waits = None
    if clock["last"]:
        memory.clear()
    return events
