"""Slow, obvious twins of `kernels/queues.py` and `kernels/rules/queue.py`: tracks keep all their rows."""

from __future__ import annotations

import math
from types import SimpleNamespace

import naive_watch
from naive_geometry import inside_zone_m, line_offset_m
from naive_signals import stops_traffic

from kernels.records import AT_EDGE, ENDED, SIGNAL_STATES, STREAM_GAP


def member_step(rows, s, track):
    """Add a row; return None, or (rear's distance, cut by the edge) of one that queues, by all its rows."""
    t = {name: float(track[name]) for name in track.dtype.names}
    if int(track["flags"]) & ENDED:
        rows.clear()
    elif not math.isnan(t["front_x_m"] + t["rear_x_m"]):
        x, y = (t["front_x_m"] + t["rear_x_m"]) / 2, (t["front_y_m"] + t["rear_y_m"]) / 2
        here = inside_zone_m(s["place"], x, y) and line_offset_m(s["line"], x, y) < 0
        back_m = max(-line_offset_m(s["line"], t["rear_x_m"], t["rear_y_m"]), 0.0)
        edge = bool(int(track["flags"]) & AT_EDGE)
        rows.append((t["time_s"], here, float(track["speed_mps"]), back_m, edge))
    queued, slow_s = False, None
    for time_s, here, speed, _, _ in rows:
        if not here:
            queued, slow_s = False, None
        elif speed < float(s["halt_mps"]):
            slow_s = time_s if slow_s is None else slow_s
            queued = queued or time_s - slow_s >= 1.0
        elif speed >= float(s["halt_mps"]):
            slow_s = None
            queued = queued and not speed > float(s["go_mps"])
    return rows[-1][3:] if queued else None


def queue_sum(queue, reach_m):
    """Vehicles, metres, whether more may be out of view."""
    members = list(queue.queued.values())
    truncated = any(edge or back_m > reach_m - 7.5 for back_m, edge in members)
    queue.now = (len(members), max([back_m for back_m, _ in members], default=0.0), int(truncated))
    queue.interval.append(queue.now)
    queue.cycle.append(queue.now)


def queue_begin(queue):
    """Only what is now."""
    queue.interval, queue.area = [queue.now], 0.0


def queue_cycle(queue):
    """Only what is now."""
    queue.cycle = [queue.now]


def queue_clear(queue):
    """Nobody."""
    queue.rows, queue.queued, queue.now = {}, {}, (0, 0.0, 0)


def queue_event(queue, time_s, moment):
    """The event as it would be told now."""
    most = queue.interval if moment == 0 else queue.cycle
    return {
        "time_s": time_s,
        "moment": moment,
        "reason": 0,
        "vehicles": queue.now[0],
        "back_m": queue.now[1],
        "vehicles_max": max(one[0] for one in most),
        "back_max_m": max(one[1] for one in most),
        "truncated": max(one[2] for one in most),
        "interval_s": math.nan,
        "observed_s": math.nan,
        "mean_vehicles": math.nan,
    }


def queue_step(memory, tracks, clock, signals, settings):
    """One frame; `memory` is empty at first."""
    s, events, now_s = settings[0], [], float(clock["time_s"])
    last, reason = bool(clock["last"]), int(clock["suspended"])
    if not memory:
        if last:
            return []
        queue = SimpleNamespace(colour="unknown")
        queue_clear(queue)
        queue_begin(queue)
        queue_cycle(queue)
        memory.update(queue=queue, watch=naive_watch.watch_reset())
    queue, watch = memory["queue"], memory["watch"]
    if not last:
        naive_watch.watch_frame(watch, now_s, float(clock["dt_s"]), reason, float(s["interval_s"]))
    while True:
        until_s, over = min(watch.bounds[1], now_s), now_s >= watch.bounds[1]
        seen_s = watch.shares()[0]["observed"]
        naive_watch.watch_pass(watch, until_s)
        shares, why = watch.shares()
        queue.area += queue.now[0] * (shares["observed"] - seen_s)
        if over or (last and until_s > watch.bounds[0]):
            event = queue_event(queue, until_s, 0)
            event |= {"interval_s": until_s - watch.bounds[0], "observed_s": shares["observed"]}
            event["mean_vehicles"] = queue.area / shares["observed"] if shares["observed"] > 0 else math.nan
            event["reason"] = why or (STREAM_GAP if shares["gap"] > 0 else 0)
            events.append(event)
            queue_begin(queue)
            naive_watch.watch_begin(watch, until_s, watch.bounds[1] + float(s["interval_s"]))
        if not over:
            break
    if reason or watch.is_gap(len(watch.frames) - 1):
        queue_clear(queue)
    for track in tracks:
        number = int(track["id"])
        if not reason and (number in queue.queued or int(s["classes"]) >> int(track["class_id"]) & 1):
            found = member_step(queue.rows.setdefault(number, []), s, track)
            queue.queued.pop(number, None)
            if found:
                queue.queued[number] = found
    queue_sum(queue, float(s["reach_m"]))
    if s["signal"] >= 0 and not last:
        signal = signals[int(s["signal"])]
        colour = int(signal["state"])
        before, queue.colour = queue.colour, SIGNAL_STATES[colour]
        goes = queue.colour == "green" and before != "green"
        stops = stops_traffic(colour) and before not in ("red", "red_amber")
        if before != "unknown" and (goes or stops):
            event = queue_event(queue, max(float(signal["since_s"]), now_s - float(clock["dt_s"])), 1 if goes else 2)
            events.append({**event, "reason": reason})
            if stops:
                queue_cycle(queue)
    if last:
        memory.clear()
    who = {"lane": int(s["lane"]), "zone": int(s["zone"]), "track_id": 0, "class_id": 0, "score": 0.0}
    return [{**event, **who} for event in events]
