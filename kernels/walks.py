"""A walk over a crosswalk: from which side, since when, to which side, and after what wait."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.crossing import line_offset
from kernels.geometry import inside_zone
from kernels.records import AT_EDGE, ENDED, MAX_TRACKS
from kernels.zones import edge_part, zone_at

#: A place at a time, in the picture and on the road.
FOOT = np.dtype([("time_s", "<f8"), ("x_px", "<f8"), ("y_px", "<f8"), ("x_m", "<f8"), ("y_m", "<f8")])

#: One road user: where it was last, where it went in (or was first seen) and out, from which side of the line across
#: the crosswalk it went in (+1 or -1; 0: first seen on it). `known`: it was seen, `off`: beside the crosswalk. `walks`:
#: it is on its way, `inside`: on the crosswalk, `entered`: it was seen to step on, `stood`: it stands where it went in,
#: and has not stepped off yet. `wait_s`: since when it waits, last seen to at `wait_seen_s`; `waited_s`: how long it
#: had; -infinite and infinite where it was first seen waiting: nobody knows since when.
WALK = np.dtype(
    [
        ("last", FOOT),
        ("entry", FOOT),
        ("exit", FOOT),
        ("wait_s", "<f8"),
        ("wait_seen_s", "<f8"),
        ("waited_s", "<f8"),
        ("height_px", "<f4"),
        ("track_id", "<u4"),
        ("side", "<i1"),
        ("signal_state", "<i1"),
        ("known", "<u1"),
        ("off", "<u1"),
        ("walks", "<u1"),
        ("inside", "<u1"),
        ("entered", "<u1"),
        ("stood", "<u1"),
        ("reason", "<u1"),
    ]
)
WALKS = np.dtype([("walk", WALK, (MAX_TRACKS,))])

#: An absence this short from the crosswalk or the kerb is none.
LEAVE_S = 1.0
#: Who goes the same way so near to each other in time and place is a group, in which some may be hidden.
GROUP_S, GROUP_M = 2.0, 2.0
#: Who was first seen on the crosswalk must have walked so many of its heights on it; nearer to a first step it shakes.
WAY_HEIGHTS = 0.6
#: Who stays so near to where it went in for longer than LEAVE_S stands at the edge.
STAND_HEIGHTS = 0.15
#: What a walk is after a row: going on or none, over to the other side, back to its own.
ON_ITS_WAY, OVER, BACK = range(3)


@kernel
def walk_reset(walk, track_id):
    """Forget a track: it is nowhere."""
    walk["track_id"], walk["known"], walk["walks"], walk["inside"], walk["entered"] = track_id, 0, 0, 0, 0
    walk["off"], walk["stood"] = 0, 0
    walk["wait_s"], walk["wait_seen_s"], walk["waited_s"] = math.nan, -math.inf, math.nan


@kernel
def foot_at(foot, track):
    """Fill a FOOT with where a TRACK row is."""
    foot["time_s"], foot["x_px"], foot["y_px"] = track["time_s"], track["foot_x_px"], track["foot_y_px"]
    foot["x_m"], foot["y_m"] = track["foot_x_m"], track["foot_y_m"]


@kernel
def foot_between(foot, last, track, part):
    """Fill a FOOT that lies so far (0 to 1) from the last one to a TRACK row."""
    foot["time_s"] = last["time_s"] + part * (track["time_s"] - last["time_s"])
    foot["x_px"] = last["x_px"] + part * (track["foot_x_px"] - last["x_px"])
    foot["y_px"] = last["y_px"] + part * (track["foot_y_px"] - last["y_px"])
    foot["x_m"] = last["x_m"] + part * (track["foot_x_m"] - last["x_m"])
    foot["y_m"] = last["y_m"] + part * (track["foot_y_m"] - last["y_m"])


@kernel
def side_of(line, foot):
    """Return on which side of a line a place is: +1 where its normal points to, else -1."""
    return 1 if line_offset(line, foot["x_px"], foot["y_px"]) > 0.0 else -1


@kernel
def waits_on(walk, time_s):
    """Say whether one that waited does so still: it was away for a short time, or only not seen."""
    return time_s - walk["wait_seen_s"] <= LEAVE_S or walk["last"]["time_s"] <= walk["wait_seen_s"]


@kernel
def wait_step(walk, track, waits):
    """Note since when a road user waits at a kerb: in one of the rows' zones, with short absences."""
    if zone_at(waits, float(track["foot_x_px"]), float(track["foot_y_px"])) >= 0:
        if not waits_on(walk, track["time_s"]):
            walk["wait_s"] = track["time_s"] if walk["off"] != 0 else -math.inf
        walk["wait_seen_s"] = track["time_s"]


@kernel
def heights_in(walk, track):
    """Return how many of its heights a road user is from where it went onto the crosswalk."""
    dx, dy = track["foot_x_px"] - walk["entry"]["x_px"], track["foot_y_px"] - walk["entry"]["y_px"]
    return math.hypot(dx, dy) / walk["height_px"]


@kernel
def edge_step(walk, track):
    """Let one that waits at the very edge, and is seen on the crosswalk there, go on waiting."""
    now, heights = track["time_s"], heights_in(walk, track)
    waited = walk["waited_s"] == walk["waited_s"]
    if heights <= WAY_HEIGHTS and waited and waits_on(walk, now):
        walk["wait_seen_s"] = now
    stood_s = now - walk["entry"]["time_s"]
    walk["stood"] = heights <= STAND_HEIGHTS and (walk["stood"] != 0 or stood_s > LEAVE_S)
    if walk["stood"] != 0:
        walk["entry"]["time_s"], walk["signal_state"] = now, -1
        walk["waited_s"] += stood_s


@kernel
def walk_over(walk, line):
    """Say whether a walk led to the other side; one that was first seen on the crosswalk must have come some way."""
    entry, leave = walk["entry"], walk["exit"]
    way_px = math.hypot(leave["x_px"] - entry["x_px"], leave["y_px"] - entry["y_px"])
    return side_of(line, leave) != walk["side"] and (walk["side"] != 0 or way_px >= WAY_HEIGHTS * walk["height_px"])


@kernel
def walk_step(walk, zone, line, waits, track):
    """Follow one road user; return what its walk is: OVER or BACK when it has ended or its track has."""
    if track["flags"] & ENDED:
        if walk["walks"] == 0:
            return ON_ITS_WAY
        cut = track["flags"] & AT_EDGE != 0
        if walk["inside"] != 0:
            walk["exit"] = walk["last"]
        walk["walks"] = 0
        # Who is lost among others on the way is found again as a new track, and counted when that one leaves.
        return OVER if walk_over(walk, line) and (walk["inside"] == 0 or cut) else BACK
    x, y = float(track["foot_x_px"]), float(track["foot_y_px"])
    here = inside_zone(zone, x, y)
    last = walk["last"]
    # Who waits at the very edge shakes onto the crosswalk and off it: the first step is the last of these.
    again = walk["walks"] != 0 and walk["entered"] != 0 and heights_in(walk, track) <= WAY_HEIGHTS
    if here and walk["inside"] == 0 and (walk["walks"] == 0 or again):
        if walk["known"] != 0:
            part = edge_part(zone, last["x_px"], last["y_px"], x, y)
            foot_between(walk["entry"], last, track, part)
        else:
            foot_at(walk["entry"], track)
        walk["reason"] = walk["reason"] if again else 0
        walk["walks"], walk["height_px"] = 1, track["y2_px"] - track["y1_px"]
        walk["entered"], walk["signal_state"], walk["stood"] = walk["known"], -1, 0
        walk["side"] = side_of(line, walk["entry"]) if walk["known"] != 0 else 0
        waited = walk["known"] != 0 and waits_on(walk, walk["entry"]["time_s"])
        walk["waited_s"] = walk["entry"]["time_s"] - walk["wait_s"] if waited else math.nan
    elif not here and walk["inside"] != 0:
        foot_between(walk["exit"], last, track, edge_part(zone, last["x_px"], last["y_px"], x, y))
    if not here:
        wait_step(walk, track, waits)
        walk["off"] = 1
    elif walk["walks"] != 0 and walk["entered"] != 0:
        edge_step(walk, track)
    walk["inside"], walk["known"] = here, 1
    foot_at(last, track)
    if here or walk["walks"] == 0 or track["time_s"] - walk["exit"]["time_s"] <= LEAVE_S:
        return ON_ITS_WAY
    walk["walks"] = 0
    return OVER if walk_over(walk, line) else BACK


@kernel
def in_group(walks, walk):
    """Say whether another went onto the crosswalk from the same side near this one, in time and place."""
    mine = walk["entry"]
    for i in range(len(walks)):
        other = walks[i]
        its = other["entry"]
        if other["entered"] == 0 or other["track_id"] == walk["track_id"] or other["side"] != walk["side"]:
            continue
        if abs(its["time_s"] - mine["time_s"]) > GROUP_S:
            continue
        apart_m = math.hypot(its["x_m"] - mine["x_m"], its["y_m"] - mine["y_m"])
        apart_px = math.hypot(its["x_px"] - mine["x_px"], its["y_px"] - mine["y_px"])
        # Without a ground a box height stands for two metres.
        if apart_m <= GROUP_M or (apart_m != apart_m and apart_px <= walk["height_px"]):
            return True
    return False
