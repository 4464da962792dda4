"""Slow, obvious twins of `kernels/flow.py`, `kernels/jam.py` and the rule on congestion: a list of every moment."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import naive_footprint
import numpy as np
from naive_shade import shade_add, shade_clear, shade_hidden
from naive_watch import Watch, watch_frame, watch_reset

from kernels.records import CLASSES, SIGNAL_STATES

PIECES = 32
LEAST_M = {"car": 3.3, "bus": 6.0, "truck": 4.8, "motorcycle": 1.6, "bicycle": 1.3, "person": 0.3}
USUAL_M = {"car": 4.5, "bus": 12.0, "truck": 9.0, "motorcycle": 2.2, "bicycle": 1.8, "person": 0.5}


def flow_reset():
    """Moments: (piece's number, watched, way, known, there, covered)."""
    return []


def flow_pass(moments, passed_s, window_s):
    """Number the pieces on and on, and throw away what is 32 of them back."""
    number = moments[-1][0] if moments else 0
    if moments and sum(one[1] for one in moments if one[0] == number) >= window_s / PIECES:
        number += 1
    moments[:] = [one for one in moments if one[0] > number - PIECES]
    moments.append([number, passed_s, 0.0, 0.0, 0.0, 0.0])


def length_of(track):
    """Front to rear, or the usual where nobody of its class is so short."""
    apart = math.dist(
        (float(track["front_x_m"]), float(track["front_y_m"])), (float(track["rear_x_m"]), float(track["rear_y_m"]))
    )
    name = CLASSES[int(track["class_id"])]
    return USUAL_M[name] if apart < LEAST_M[name] else apart


def flow_add(moments, zone, track, rectangle, passed_s):
    """What one vehicle adds to the newest moment."""
    share = naive_footprint.zone_share(zone, rectangle)
    if share <= 0:
        return 0.0
    flow = np.array([zone["flow_x_m"], zone["flow_y_m"]])
    velocity = np.array([track["vx_mps"], track["vy_mps"]], float)
    speed = float(track["speed_mps"]) if np.isnan(flow[0]) else float(velocity @ flow)
    moments[-1][4] += share * passed_s
    if not math.isnan(speed) and not math.isnan(track["speed_mps"]):
        moments[-1][2] += speed * share * passed_s
        moments[-1][3] += share * passed_s
    return share * length_of(track)


def flow_sums(moments):
    """Divide the sums."""
    watched, way, known, there, covered = (sum(one[k] for one in moments) for k in range(1, 6))
    nan = math.nan
    speed = way / known if known else nan
    if not watched:
        return speed, nan, nan, nan, 0.0
    return speed, covered / watched, there / watched, known / there if there else nan, watched


@dataclass
class Jam:
    """One place."""

    moments: list = field(default_factory=flow_reset)
    frames: Watch = field(default_factory=watch_reset)
    run: list = field(default_factory=list)  # (start, length) of each frame that has gone the other way
    since_s: float | None = None
    red_s: float = -math.inf
    reason: int = 0
    began: bool = False


def jam_reset():
    """A place of which nothing is known."""
    return Jam()


def jam_watched_s(s, jam, clock, signals):
    """The time since the frame before, if it counts."""
    now, passed = float(clock["time_s"]), float(clock["dt_s"])
    watch_frame(jam.frames, now, passed, int(clock["suspended"]), 3600.0)
    gap = jam.frames.is_gap(len(jam.frames.frames) - 1)
    first, jam.began = not jam.began, True
    if first:
        return 0.0
    if passed > s["window_s"]:
        jam.moments, jam.run = flow_reset(), []
    if s["signal"] >= 0 and SIGNAL_STATES[signals[int(s["signal"])]["state"]] in ("red", "red_amber"):
        jam.red_s = now
    excused = s["signal"] >= 0 and now - jam.red_s < s["release_s"]
    return 0.0 if gap or clock["suspended"] or excused else passed


def jam_look(s, jam, tracks, passed_s):
    """Everyone in the place at this moment."""
    flow_pass(jam.moments, passed_s, float(s["window_s"]))
    covered_m, shade = 0.0, shade_clear()
    for track in tracks:
        if track["flags"] & 2 or not int(s["classes"]) & (1 << int(track["class_id"])):
            continue
        rectangle = naive_footprint.footprint_fill(naive_footprint.footprint_reset(), track)
        if rectangle is not None:
            own_m = flow_add(jam.moments, s["zone"], track, rectangle, passed_s)
            covered_m += own_m
            if own_m > 0 and s["length_m"] > 0:
                shade_add(shade, s, track, rectangle)
    covered = float(covered_m > 0)
    if s["length_m"] > 0:
        covered = min(covered_m / s["length_m"] / max(0.5, 1 - shade_hidden(shade)), 1.0)
    jam.moments[-1][5] = passed_s * covered


def jam_step(s, jam, tracks, clock, signals):
    """0, 1: it begins, 2: it ends."""
    if clock["last"]:
        return 0 if jam.since_s is None else 2
    passed = jam_watched_s(s, jam, clock, signals)
    if passed <= 0:
        return 0
    jam_look(s, jam, tracks, passed)
    speed, occupancy, _, known, watched = flow_sums(jam.moments)
    blind = not math.isnan(known) and known < 0.5
    if jam.since_s is None:
        other = occupancy > s["occupancy"] and (blind or speed < s["slow_mps"])
    else:
        other = math.isnan(known) or (not blind and speed > s["clear_mps"])
    jam.run = [*jam.run, (float(clock["time_s"]) - passed, passed)] if other else []
    if not other or sum(length for _, length in jam.run) < s["held_s" if jam.since_s is None else "clear_s"] - 1e-9:
        return 0
    if jam.since_s is not None:
        return 2
    if watched < 0.95 * s["window_s"]:
        return 0
    jam.since_s = jam.run[0][0]
    jam.reason = int(s["reason"]) or (4 if blind else 0)
    jam.run = []
    return 1


def congestion_step(tracks, clock, signals, settings, memory):
    """Each place by itself; `memory` is a dict from the place's number to its Jam."""
    events, now, last = [], float(clock["time_s"]), int(clock["last"])
    for k, s in enumerate(settings):
        jam = memory.setdefault(k, jam_reset())
        found = jam_step(s, jam, tracks, clock, signals)
        if found:
            speed, occupancy, vehicles, _, _ = flow_sums(jam.moments)
            until = jam.run[0][0] if found == 2 and not last else now
            events.append(
                {
                    "time_s": now,
                    "track_id": 0,
                    "score": 0.0,
                    "class_id": 0,
                    "flowed_s": now - until,
                    "held_s": now - jam.since_s,
                    "speed_mps": speed,
                    "occupancy": occupancy,
                    "margin_mps": speed - s["clear_mps"] if found == 2 else s["slow_mps"] - speed,
                    "vehicles": vehicles,
                    "lane": int(s["lane_index"]),
                    "zone": int(s["zone_index"]),
                    "phase": found - 1,
                    "truncated": last,
                    "reason": jam.reason,
                    "judgement": int(jam.reason > 0),
                }
            )
            if found == 2:
                jam.since_s, jam.run = None, []
        if last:
            memory[k] = jam_reset()
    return events
