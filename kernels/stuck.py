"""A vehicle's visit to a box junction: what room it had when it entered, how long it stood, which way it left."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.crossing import FOOT, crossing_reset, crossing_step
from kernels.exits import ROOM, SEEN, SHARE_MIN, exit_free_m, exit_people
from kernels.flow import LENGTHS_M
from kernels.footprint import footprint_fill, footprint_reset, zone_share
from kernels.guards import doubt
from kernels.lasting import lasted_s
from kernels.records import CALIBRATION, ENDED, MAX_TRACKS, NO_REASON, PEDESTRIAN, STREAM_GAP, TRUNCATED
from kernels.watch import WATCH

#: Where a visit stands. DONE: it is judged, or was none.
OUTSIDE, INSIDE, STOOD, DONE = range(4)

#: One visit. `stood_s`: the present stand, `held_s` the longest; `stood_at_s`: when that was long enough. `path`: the
#: way out that it took, -1 for none; `exempt`: over an exempt line. `outside`: it was seen outside before.
STUCK = np.dtype(
    [
        ("at_s", "<f8"),
        ("entry_s", "<f8"),
        ("stood_s", "<f8"),
        ("held_s", "<f8"),
        ("stood_at_s", "<f8"),
        ("told_s", "<f8"),
        ("length_m", "<f8"),
        ("track_id", "<u4"),
        ("path", "<i2"),
        ("stage", "<u1"),
        ("reason", "<u1"),
        ("exempt", "<u1"),
        ("outside", "<u1"),
    ]
)

#: What is in the box with so little is out of it, with so much has entered it.
OUT_SHARE, IN_SHARE = 0.02, 0.05
#: On a way out with so much it has taken it.
TAKEN_SHARE = 0.3
#: Whose speed is not known goes no faster than it takes to leave a place by this, as for every stop.
STILL_M = 1.0
#: How a line is crossed, as in line_count.
SETTLE_S, BAND_PX, BAND_SHARE = 0.1, 2.0, 0.1


def stuck_states(exits):
    """Return the state of a rule: a SEEN and a STUCK of every slot, its ROOM on each way out, and the frames' WATCH."""
    parts = [("seen", SEEN, (MAX_TRACKS,)), ("visit", STUCK, (MAX_TRACKS,)), ("room", ROOM, (MAX_TRACKS, exits))]
    return np.zeros(1, [*parts, ("watch", WATCH)])


@kernel
def still_step(seen, time_s):
    """Follow for how long a road user has been in one place: where its speed is not known, that bounds it."""
    x, y = seen["footprint"]["x_m"], seen["footprint"]["y_m"]
    if seen["still_s"] != seen["still_s"] or math.hypot(x - seen["x_m"], y - seen["y_m"]) > STILL_M:
        seen["still_s"], seen["x_m"], seen["y_m"] = time_s, x, y
    if seen["speed_mps"] != seen["speed_mps"] and time_s > seen["still_s"]:
        seen["speed_mps"] = STILL_M / (time_s - seen["still_s"])


@kernel
def seen_step(seen, track):
    """Follow one road user; say whether it is on the road where that is measured."""
    if seen["track_id"] != track["id"]:
        seen["track_id"] = track["id"]
        footprint_reset(seen["footprint"])
        seen["still_s"] = math.nan
    seen["alive"], seen["class_id"], seen["speed_mps"] = 0, track["class_id"], track["speed_mps"]
    if track["flags"] & ENDED == 0 and footprint_fill(seen["footprint"], track):
        seen["alive"] = 1
        still_step(seen, track["time_s"])
    return seen["alive"] != 0


@kernel
def user_length_m(footprint, class_id):
    """Return how long (m) a road user is: as its FOOTPRINT, or as is common in its class where that is twice as much.

    A footprint whose length was not measured is a square as wide as the road user.
    """
    length = 2.0 * footprint["half_length_m"]
    return length if length >= 0.5 * LENGTHS_M[class_id] else LENGTHS_M[class_id]


@kernel
def stuck_reset(visit, rooms, track_id):
    """Forget whose slot this was."""
    visit["track_id"], visit["stage"], visit["told_s"], visit["outside"] = track_id, OUTSIDE, -np.inf, 0
    visit["at_s"] = np.inf
    for k in range(len(rooms)):
        crossing_reset(rooms[k]["crossing"])


@kernel
def stuck_forget(known):
    """Forget everyone: the stream or epoch has ended."""
    for i in range(MAX_TRACKS):
        known["seen"][i]["track_id"], known["seen"][i]["alive"], known["visit"][i]["track_id"] = 0, 0, 0


@kernel
def stuck_enter(visit, rooms, me, users, settings, clock):
    """Begin a visit: note how much room there is on each way out now."""
    s = settings[0]
    now = clock["time_s"]
    visit["stage"], visit["entry_s"], visit["path"], visit["exempt"] = INSIDE, now, -1, 0
    visit["stood_s"], visit["held_s"], visit["reason"] = 0.0, 0.0, clock["suspended"]
    visit["length_m"] = user_length_m(me["footprint"], me["class_id"])
    for k in range(len(rooms)):
        if settings[k]["way"]["is_line"] == 0:
            way = settings[k]["way"]
            rooms[k]["free_m"] = exit_free_m(way, s["box"], me, users, s["creep_mps"])
            rooms[k]["people"] = 0
            if way["edge_m"] != way["edge_m"]:
                rooms[k]["free_m"], visit["reason"] = np.nan, CALIBRATION


@kernel
def stuck_stand(visit, rooms, me, users, settings, passed_s):
    """Let time pass for one in the box; when it has stood long enough, look for people on the ways out."""
    s = settings[0]
    if me["speed_mps"] < s["stop_mps"]:
        visit["stood_s"] += passed_s
    elif me["speed_mps"] >= s["stop_mps"]:
        visit["stood_s"] = 0.0
    visit["held_s"] = max(visit["held_s"], visit["stood_s"])
    if visit["stage"] != INSIDE or visit["held_s"] < s["held_s"]:
        return
    visit["stage"], visit["stood_at_s"] = STOOD, visit["at_s"]
    needed_m = visit["length_m"] + s["margin_m"]
    for k in range(len(rooms)):
        way = settings[k]["way"]
        if way["is_line"] == 0 and exit_free_m(way, s["box"], me, users, s["creep_mps"]) >= needed_m:
            rooms[k]["people"] = exit_people(way, s["box"], users, needed_m)


@kernel
def stuck_path(visit, rooms, me, settings, track):
    """Note which way out a vehicle takes, and whether it turns over an exempt line."""
    for k in range(len(rooms)):
        way = settings[k]["way"]
        if way["is_line"] != 0:
            if crossing_step(rooms[k]["crossing"], way["line"], track, FOOT, SETTLE_S, BAND_PX, BAND_SHARE) != 0:
                visit["exempt"] = 1
        elif visit["path"] < 0 and me["alive"] != 0 and zone_share(way["place"], me["footprint"]) > TAKEN_SHARE:
            visit["path"] = k


@kernel
def stuck_step(visit, rooms, me, users, settings, track, clock, watch):
    """Follow one vehicle that `seen_step` has seen, or that has ended; say whether its visit may be judged."""
    if visit["track_id"] != track["id"]:
        stuck_reset(visit, rooms, track["id"])
    s, now = settings[0], clock["time_s"]
    passed_s = lasted_s(watch, clock, visit["at_s"])
    visit["at_s"] = now
    if visit["stage"] != STOOD and me["alive"] != 0:
        share = zone_share(s["box"], me["footprint"])
        if share < OUT_SHARE:
            visit["stage"], visit["outside"] = OUTSIDE, 1
        elif share > IN_SHARE and visit["stage"] == OUTSIDE:
            stuck_enter(visit, rooms, me, users, settings, clock)
            if visit["reason"] == NO_REASON and (visit["outside"] == 0 or not passed_s > 0.0):
                visit["reason"] = TRUNCATED if visit["outside"] == 0 else STREAM_GAP
    stuck_path(visit, rooms, me, settings, track)
    if visit["stage"] in (INSIDE, STOOD) and me["alive"] != 0 and zone_share(s["box"], me["footprint"]) > SHARE_MIN:
        stuck_stand(visit, rooms, me, users, settings, passed_s)
    return visit["stage"] == STOOD


@kernel
def stuck_exit(visit, rooms, settings, ended):
    """Return the way out on which a vehicle that stood had no room: -1 none, -2 not known yet, -3 never known.

    The one that it took; where all or none had no room, and no turn is exempt, it matters not which.
    """
    s = settings[0]
    needed_m = visit["length_m"] + s["margin_m"]
    least, full, exits, lines = -1, 0, 0, 0
    for k in range(len(rooms)):
        if settings[k]["way"]["is_line"] != 0:
            lines += 1
            continue
        exits += 1
        full += not rooms[k]["free_m"] >= needed_m
        if least < 0 or rooms[k]["free_m"] < rooms[least]["free_m"]:
            least = k
    if visit["exempt"] != 0 or full == 0:
        return -1
    if visit["path"] >= 0:
        return -1 if rooms[visit["path"]]["free_m"] >= needed_m else visit["path"]
    if full == exits and lines == 0:
        return least
    return -3 if ended or visit["at_s"] - visit["stood_at_s"] > s["path_s"] else -2


@kernel
def stuck_reason(visit, rooms, k, track, clock, s):
    """Return why a vehicle that had no room on way out `k` (-3: not known which) cannot be judged, 0 where it can."""
    if visit["reason"] != NO_REASON:
        return visit["reason"]
    reason = doubt(track, clock, visit["entry_s"], s["age_min_s"], s["score_min"])
    if reason != NO_REASON:
        return reason
    if s["reason"] != NO_REASON or k < 0:
        return s["reason"] if s["reason"] != NO_REASON else TRUNCATED
    return PEDESTRIAN if rooms[k]["people"] != 0 else NO_REASON
