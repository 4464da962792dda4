"""Who stands where since when, and who only queues: what illegal stopping and stopped vehicles share.

A stay that ends becomes a place that is remembered for a while. A track that stands there without having been seen to
arrive (the old one was hidden too long), or the same track after one bad box, takes the stay over.
"""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.footprint import FOOTPRINT, footprint_fill, footprint_reset, reach_m
from kernels.guards import judgement_of
from kernels.records import BEGIN, CLASSES, END, MAX_TRACKS, NO_REASON
from kernels.standing import STANDING, standing_reset, standing_step

#: What a track's stay is. `since_s`: since when it stands. `unseen`: it stood at its first row, so it may have stood
#: there for longer. `settled`: where it came to rest is known. `lane`: where it is (the rule's own numbers, -1
#: outside). `queued_s`: when it last only queued; `behind_s`: when one that was told of last stood ahead; `flowed_s`:
#: when traffic beside it last moved. `reported`: the rule has told of it, as of `event_id`.
STAY = np.dtype(
    [
        ("standing", STANDING),
        ("footprint", FOOTPRINT),
        ("since_s", "<f8"),
        ("held_s", "<f8"),
        ("seen_s", "<f8"),
        ("queued_s", "<f8"),
        ("behind_s", "<f8"),
        ("flowed_s", "<f8"),
        ("speed_mps", "<f4"),
        ("score", "<f4"),
        ("track_id", "<u4"),
        ("event_id", "<u4"),
        ("lane", "<i2"),
        ("class_id", "<u1"),
        ("alive", "<u1"),
        ("unseen", "<u1"),
        ("reported", "<u1"),
        ("taken", "<u1"),
        ("settled", "<u1"),
    ]
)

#: Most places that are remembered at once.
MAX_PLACES = 64

#: Where a stay was that has ended, last seen at `seen_s`; `lost`: its track was given up there.
PLACE = np.dtype(
    [
        ("since_s", "<f8"),
        ("seen_s", "<f8"),
        ("x_m", "<f8"),
        ("y_m", "<f8"),
        ("score", "<f4"),
        ("track_id", "<u4"),
        ("event_id", "<u4"),
        ("lane", "<i2"),
        ("class_id", "<u1"),
        ("used", "<u1"),
        ("lost", "<u1"),
        ("unseen", "<u1"),
        ("reported", "<u1"),
    ]
)

STAYS = np.dtype([("own", STAY, (MAX_TRACKS,)), ("places", PLACE, (MAX_PLACES,))])

#: A road user that stood so long did stand; shorter stays leave no place behind.
SETTLE_S = 1.0
#: One that stood so soon after its first row was not seen to arrive.
ARRIVAL_S = 1.0
#: After a move the old place is remembered for so long: one bad box is no departure.
LEFT_S = 3.0
#: How far from a lost track's place another may take it over, in radii: its foot point is measured anew.
TAKE_RADII = 1.5
#: In one place may be this many times the radius where a position is poorly known: beyond, it has moved.
WIDEST_RADII = 2.0
#: So slow a vehicle ahead makes a queue; so fast a one beside means that traffic flows.
CREEP_MPS, FLOW_MPS = 2.0, 5.0
#: Queues stand behind one another within so much across.
ACROSS_M = 1.75
#: Who stopped so little later may still be the cause: the last metre of braking takes a second, on either side.
SAME_S = 2.0

#: Traffic that flows the same way points within 60 degrees of it.
SAME_WAY = 0.5

PERSON = CLASSES.index("person")

#: What stands or moves around a road user: bits of queue_around.
AHEAD, BESIDE, FLOWING, TOLD_AHEAD = 1, 2, 4, 8


@kernel
def stays_reset(stays):
    """Forget every stay and every place."""
    for i in range(len(stays["own"])):
        stays["own"][i]["track_id"] = 0
        stays["own"][i]["alive"] = 0
    for i in range(len(stays["places"])):
        stays["places"][i]["used"] = 0


@kernel
def place_keep(stays, own, lost):
    """Remember where a stay has been; where every place is taken, in place of the one that was seen longest ago."""
    places = stays["places"]
    at = 0
    for i in range(len(places)):
        if places[i]["used"] == 0:
            at = i
            break
        if places[i]["seen_s"] < places[at]["seen_s"]:
            at = i
    place = places[at]
    place["used"], place["lost"] = 1, lost
    place["x_m"], place["y_m"] = own["standing"]["x"], own["standing"]["y"]
    place["since_s"], place["seen_s"], place["lane"] = own["since_s"], own["seen_s"], own["lane"]
    place["track_id"], place["event_id"], place["class_id"] = own["track_id"], own["event_id"], own["class_id"]
    place["unseen"], place["reported"], place["score"] = own["unseen"], own["reported"], own["score"]


@kernel
def place_take(stays, own, radius_m):
    """Give a stay the past of the place that it is at, if there is one that can be its own; say whether."""
    for i in range(len(stays["places"])):
        place = stays["places"][i]
        if place["used"] == 0 or (place["track_id"] != own["track_id"] and own["unseen"] == 0):
            continue
        reach = radius_m if place["track_id"] == own["track_id"] else TAKE_RADII * radius_m
        if math.hypot(place["x_m"] - own["standing"]["x"], place["y_m"] - own["standing"]["y"]) > reach:
            continue
        place["used"] = 0
        own["taken"], own["since_s"], own["unseen"] = 1, min(own["since_s"], place["since_s"]), place["unseen"]
        if place["reported"] != 0:
            own["reported"], own["event_id"], own["lane"] = 1, place["event_id"], place["lane"]
        return True
    return False


@kernel
def place_expired(place, clock, memory_s):
    """Say whether a place is no longer remembered: `memory_s` after a lost track, LEFT_S after a move, at the end."""
    kept_s = memory_s if place["lost"] != 0 else LEFT_S
    return place["used"] != 0 and (clock["last"] != 0 or clock["time_s"] - place["seen_s"] > kept_s)


@kernel
def stay_step(stays, track, radius_m):
    """Follow one track that is seen; say whether it is on the road where that is measured.

    In one place is within `radius_m`, or three deviations of its position where these are more, up to WIDEST_RADII. It
    rests where it is SETTLE_S after it came so near: its last metre of braking is no way from there. Who was told of
    has moved on only beyond the widest: where it came to rest was read off one noisy box.
    """
    own = stays["own"][track["slot"]]
    if own["track_id"] != track["id"]:
        own["track_id"], own["since_s"], own["taken"], own["reported"] = track["id"], track["time_s"], 0, 0
        own["held_s"], own["queued_s"], own["behind_s"], own["flowed_s"] = 0.0, -np.inf, -np.inf, -np.inf
        own["lane"] = -1
        standing_reset(own["standing"])
        footprint_reset(own["footprint"])
    if not footprint_fill(own["footprint"], track):
        return False
    radius = radius_m
    if 3.0 * track["position_sd_m"] > radius:
        radius = min(3.0 * track["position_sd_m"], WIDEST_RADII * radius_m)
    if own["reported"] != 0:
        radius = WIDEST_RADII * radius_m
    x, y = own["standing"]["x"], own["standing"]["y"]
    held_s = standing_step(own["standing"], track, radius, 0.0)
    if held_s == 0.0:
        if own["held_s"] >= SETTLE_S:
            moved_x, moved_y = own["standing"]["x"], own["standing"]["y"]
            own["standing"]["x"], own["standing"]["y"] = x, y
            place_keep(stays, own, 0)
            own["standing"]["x"], own["standing"]["y"] = moved_x, moved_y
        own["since_s"], own["taken"], own["reported"] = track["time_s"], 0, 0
        own["queued_s"], own["behind_s"], own["flowed_s"] = -np.inf, -np.inf, -np.inf
        own["settled"] = 0
        own["unseen"] = track["time_s"] - track["birth_s"] <= ARRIVAL_S
    own["alive"], own["seen_s"], own["speed_mps"] = 1, track["time_s"], track["speed_mps"]
    own["class_id"], own["score"] = track["class_id"], track["score"]
    if held_s >= SETTLE_S and own["settled"] == 0:
        own["settled"] = 1
        own["standing"]["x"], own["standing"]["y"] = track["foot_x_m"], track["foot_y_m"]
    if held_s >= SETTLE_S and own["taken"] == 0:
        place_take(stays, own, radius)
    own["held_s"] = track["time_s"] - own["since_s"]
    return True


@kernel
def stay_end(stays, track):
    """Let go of a track that is given up; where it stood is remembered."""
    own = stays["own"][track["slot"]]
    if own["track_id"] == track["id"] and own["alive"] != 0:
        if own["held_s"] >= SETTLE_S:
            place_keep(stays, own, 1)
        own["alive"] = 0


@kernel
def queue_around(stays, me, ux, uy, range_m):
    """Return what stands or moves around a stay `me`, looking along the unit vector (ux, uy): bits.

    AHEAD: within `range_m` and in line, a road user that creeps, or stands and did so before me; TOLD_AHEAD: one that
    was itself told of. BESIDE: one that stands or creeps next to that line. FLOWING: one passes
    near by. Hidden road users count as they were last seen until their track is given up.
    """
    found = 0
    mine = me["footprint"]
    for i in range(len(stays["own"])):
        other = stays["own"][i]
        if other["alive"] == 0 or other["track_id"] == me["track_id"] or other["class_id"] == PERSON:
            continue
        its = other["footprint"]
        dx, dy = its["x_m"] - mine["x_m"], its["y_m"] - mine["y_m"]
        along, across = dx * ux + dy * uy, abs(dx * uy - dy * ux)
        gap = abs(along) - reach_m(its, ux, uy) - reach_m(mine, ux, uy)
        same_way = its["ux"] * ux + its["uy"] * uy
        if gap > range_m or same_way < 0.0:
            continue
        if other["speed_mps"] > FLOW_MPS:
            if same_way > SAME_WAY:
                found |= FLOWING
            continue
        stands = other["held_s"] >= SETTLE_S
        if not stands and not other["speed_mps"] < CREEP_MPS:
            continue
        if across > ACROSS_M:
            found |= BESIDE
        elif along > 0.0 and (not stands or other["since_s"] <= me["since_s"] + SAME_S):
            found |= TOLD_AHEAD if other["reported"] != 0 else AHEAD
    return found


@kernel
def begin_event(event, own, track, time_s, reason):
    """Fill the event of a stay that has lasted long enough now."""
    own["reported"], own["event_id"] = 1, track["id"]
    event["time_s"], event["track_id"], event["class_id"] = time_s, track["id"], track["class_id"]
    event["score"], event["since_s"], event["held_s"] = track["score"], own["since_s"], own["held_s"]
    event["x_m"], event["y_m"] = own["standing"]["x"], own["standing"]["y"]
    event["phase"], event["truncated"] = BEGIN, own["unseen"]
    event["judgement"], event["reason"] = judgement_of(reason), reason


@kernel
def end_event(event, place):
    """Fill the event of a stay that was told of and has ended, at the time it was last seen."""
    event["time_s"], event["track_id"], event["class_id"] = place["seen_s"], place["event_id"], place["class_id"]
    event["score"], event["since_s"] = place["score"], place["since_s"]
    event["held_s"] = place["seen_s"] - place["since_s"]
    event["x_m"], event["y_m"] = place["x_m"], place["y_m"]
    event["phase"], event["truncated"] = END, place["unseen"] | place["lost"]
    event["judgement"], event["reason"] = judgement_of(NO_REASON), NO_REASON
