"""Slow, obvious twins of `kernels/stretch.py` and `kernels/rules/section.py`: steps are cut where anything changes."""

from __future__ import annotations

import math
from fractions import Fraction
from types import SimpleNamespace

from naive_geometry import inside_zone_m
from naive_watch import usual_s

from kernels.records import ENDED


def run_reset():
    """A track of which nothing is known: no place, no passage."""
    return SimpleNamespace(last=None, passage=None)


def zone_part(zone, px, py, qx, qy):
    """Halve the way 50 times."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        same = inside_zone_m(zone, px + middle * (qx - px), py + middle * (qy - py)) == inside_zone_m(zone, px, py)
        low, high = (middle, high) if same else (low, middle)
    return low


def run_enter(time_s, along_m, truncated):
    """A passage with nothing in it."""
    return {"entry_s": time_s, "since": (time_s, along_m), "stop_s": 0.0, "stops": 0, "stands": False, "begins": 1} | {
        "truncated": int(truncated)
    }


def run_speed_mps(run, track, x_m, y_m):
    """The track's, or way over time."""
    given = float(track["speed_mps"])
    if not math.isnan(given):
        return given
    if run.last is None or float(track["time_s"]) <= run.last[0]:
        return math.nan
    return math.dist((x_m, y_m), run.last[1:3]) / (float(track["time_s"]) - run.last[0])


def run_stand(passage, speed_mps, passed_s, halt_mps, go_mps):
    """Time passes."""
    slow = speed_mps < halt_mps
    passage["stop_s"] += passed_s if slow else 0.0
    passage["stops"] += slow and not passage["stands"]
    passage["stands"] = slow or (passage["stands"] and not speed_mps > go_mps)


def piece_event(passage, track, time_s, along_m, ends=0, reason=0):
    """A piece, and a new one begins."""
    since_s, since_m = passage["since"]
    event = {name: passage[name] for name in ("entry_s", "stop_s", "stops", "begins", "truncated")} | {
        "time_s": time_s,
        "distance_m": along_m - since_m,
        "inside_s": time_s - since_s,
        "ends": ends,
        "reason": reason,
        "track_id": int(track["id"]),
        "class_id": int(track["class_id"]),
        "score": float(track["score"]),
    }
    passage.update(since=(time_s, along_m), stop_s=0.0, stops=0, begins=0)
    return event


def cuts(from_s, until_s, interval_s):
    """Multiples of the interval after `from_s`, up to `until_s`."""
    k = (Fraction(from_s) / Fraction(interval_s) + Fraction(1, 10**9)) // 1 + 1
    found = []
    while float(k * Fraction(interval_s)) <= until_s:
        found.append(float(k * Fraction(interval_s)))
        k += 1
    return found


def section_step(memory, tracks, clock, settings):
    """One frame: the pieces that it completes; `memory` is empty at first."""
    s, events = settings[0], []
    runs, steps = memory.setdefault("runs", {}), memory.setdefault("steps", [])
    gap = memory.get("gap", False)
    if not clock["last"]:
        gap = memory["gap"] = float(clock["dt_s"]) > max(1.0, 3 * usual_s(steps))
        steps.append(float(clock["dt_s"]))
    reason = int(clock["suspended"])
    for track in tracks:
        run = runs.setdefault(int(track["id"]), run_reset())
        x_m, y_m, time_s = float(track["front_x_m"]), float(track["front_y_m"]), float(track["time_s"])
        ended, known = bool(track["flags"] & ENDED), not math.isnan(x_m + y_m)
        if not (run.passage or int(s["classes"]) >> int(track["class_id"]) & 1) or not (known or ended):
            continue
        if ended or reason or gap:
            if run.passage:
                run.passage["truncated"] |= 2
                events.append(piece_event(run.passage, track, run.last[0], run.last[3], 1, reason))
            run.last = run.passage = None
        if ended or reason:
            continue
        along_m = x_m * float(s["along_x"]) + y_m * float(s["along_y"])
        speed = run_speed_mps(run, track, x_m, y_m), float(s["halt_mps"]), float(s["go_mps"])
        inside = inside_zone_m(s["place"], x_m, y_m)
        edge_s, edge_m, from_s = time_s, along_m, time_s
        if run.last:
            from_s = run.last[0]
            if inside != (run.passage is not None):
                part = zone_part(s["place"], *run.last[1:3], x_m, y_m)
                edge_s = from_s + part * (time_s - from_s)
                edge_m = run.last[3] + part * (along_m - run.last[3])
        if inside and not run.passage:
            run.passage, from_s = run_enter(edge_s, edge_m, run.last is None), edge_s
        if run.passage:
            until_s = time_s if inside else edge_s
            for cut_s in cuts(from_s, until_s, float(s["interval_s"])):
                run_stand(run.passage, speed[0], cut_s - from_s, *speed[1:])
                share = (cut_s - run.last[0]) / (time_s - run.last[0])
                events.append(piece_event(run.passage, track, cut_s, run.last[3] + share * (along_m - run.last[3])))
                from_s = cut_s
            run_stand(run.passage, speed[0], until_s - from_s, *speed[1:])
            if not inside:
                events.append(piece_event(run.passage, track, edge_s, edge_m, 1))
                run.passage = None
        run.last = (time_s, x_m, y_m, along_m)
    if clock["last"]:
        memory.clear()
    return [{**event, "lane": int(s["lane"]), "zone": int(s["zone"])} for event in events]
