"""Which road users come dangerously near to each other: what conflicts and crashes share.

Every step follows the road users seen, finds the pairs that would meet soon, and keeps an encounter for each of them
until nothing has happened between the two for a while.
"""

from __future__ import annotations

import math

import numpy as np

from kernels import encounter
from kernels._jit import kernel
from kernels.footprint import FOOTPRINT, footprint_fill, footprint_reset
from kernels.guards import doubt
from kernels.records import CALIBRATION, ENDED, MAX_TRACKS, NO_REASON
from kernels.track import overlap

#: A road user as encounters see it: its footprint now and before, since when it stands, the bounds of where it is and
#: will be within the horizon, and of which other track it was born the double. `brake_s`: when it
#: braked hardest of late, and how hard.
USER = np.dtype(
    [
        ("footprint", FOOTPRINT),
        ("was", FOOTPRINT),
        ("bounds_m", "<f8", (4,)),
        ("time_s", "<f8"),
        ("was_s", "<f8"),
        ("birth_s", "<f8"),
        ("relinked_s", "<f8"),
        ("moved_s", "<f8"),
        ("brake_s", "<f8"),
        ("brake_mps2", "<f8"),
        ("turn_rps", "<f8"),
        ("reach_m", "<f8"),
        ("speed_mps", "<f8"),
        ("speed_sd_mps", "<f8"),
        ("position_sd_m", "<f8"),
        ("score", "<f4"),
        ("box_px", "<f4", (4,)),
        ("id", "<u4"),
        ("double_of", "<u4"),
        ("slot", "<u2"),
        ("class_id", "<u1"),
        ("reason", "<u1"),
        ("alive", "<u1"),
        ("placed", "<u1"),
    ]
)

#: An encounter of two tracks in two slots, the lower id first. `active_s`: when they last came near;
#: `ttc_s` the least time to contact that held, and what was then; `lead`: which of the two approached more (0, 1).
MEETING = np.dtype(
    [
        ("hold", encounter.HOLD),
        ("active_s", "<f8"),
        ("at_s", "<f8"),
        ("ttc_s", "<f8"),
        ("ttc_sd_s", "<f8"),
        ("pet_s", "<f8"),
        ("drac_mps2", "<f8"),
        ("angle_deg", "<f8"),
        ("x_m", "<f8"),
        ("y_m", "<f8"),
        ("speed_mps", "<f8", (2,)),
        ("score", "<f4", (2,)),
        ("id", "<u4", (2,)),
        ("slot", "<u2", (2,)),
        ("class_id", "<u1", (2,)),
        ("lead", "<u1"),
        ("reason", "<u1"),
        ("used", "<u1"),
    ]
)

#: Most encounters that are open at once.
MAX_MEETINGS = 256

#: `missed` counts encounters for which there was no place; `here` are the slots of the `n` seen now,
#: `bounds_m` their bounds, `spots_m` where each is and how far it reaches (x, y, m): -inf for who stands.
MEETINGS = np.dtype(
    [
        ("users", USER, (MAX_TRACKS,)),
        ("open", MEETING, (MAX_MEETINGS,)),
        ("bounds_m", "<f8", (MAX_TRACKS, 4)),
        ("spots_m", "<f8", (MAX_TRACKS, 3)),
        ("here", "<i4", (MAX_TRACKS,)),
        ("n", "<i4"),
        ("top", "<i4"),
        ("missed", "<i4"),
    ]
)

#: What counts: contact within `horizon_s`, one of the two at `speed_min_mps`, both at `closing_min_mps` to each other.
NEAR_LIMITS = ("horizon_s", "speed_min_mps", "closing_min_mps", "position_sd_max_m", "age_min_s", "score_min")
NEARNESS = np.dtype([("classes", "<u4"), *((name, "<f8") for name in NEAR_LIMITS)])

#: A track born with so much of its box in another's is the same road user: a change of id.
DOUBLE_IOU = 0.5
#: The other was seen so little before.
DOUBLE_S = 1.5
#: The rate of turning is smoothed over so long and begins anew after a gap; a slower one is noise, as is the heading of
#: who is slower.
TURN_SMOOTH_S, TURN_GAP_S, TURN_MIN_RPS, TURN_SPEED_MPS = 0.3, 0.5, 0.1, 1.0
#: Turns may become so many times sharper than they are: the rate lags, and grows at a turn's beginning.
SHARPER = (1.0, 2.0)
#: The hardest braking is remembered for so long.
BRAKE_S = 1.0
#: Slower than this it stands.
STAND_MPS = 0.5


@kernel
def meetings_reset(known):
    """Forget every road user and every encounter."""
    for i in range(len(known["users"])):
        known["users"][i]["id"], known["users"][i]["alive"] = 0, 0
    for i in range(known["top"]):
        known["open"][i]["used"] = 0
    known["top"], known["n"] = 0, 0


@kernel
def user_born(known, user, track):
    """Begin to follow a track; where its box lies over that of another, it is that one's double."""
    user["id"], user["birth_s"], user["double_of"], user["turn_rps"] = track["id"], track["birth_s"], 0, 0.0
    user["time_s"], user["was_s"], user["moved_s"], user["brake_s"] = -np.inf, -np.inf, -np.inf, -np.inf
    user["placed"], user["slot"], user["brake_mps2"] = 0, track["slot"], 0.0
    footprint_reset(user["footprint"])
    most = DOUBLE_IOU
    for i in range(len(known["users"])):
        other = known["users"][i]
        if other["id"] == 0 or other["id"] == track["id"] or track["time_s"] - other["time_s"] > DOUBLE_S:
            continue
        box = other["box_px"]
        iou = overlap(track["x1_px"], track["y1_px"], track["x2_px"], track["y2_px"], box[0], box[1], box[2], box[3])
        if iou > most:
            most, user["double_of"] = iou, other["id"]


@kernel
def user_turn(user, track):
    """Follow how fast a road user turns (rad/s), from the direction of its velocity."""
    passed_s = track["time_s"] - user["time_s"]
    was_x, was_y = user["footprint"]["vx_mps"], user["footprint"]["vy_mps"]
    vx, vy = float(track["vx_mps"]), float(track["vy_mps"])
    was, now, least = was_x * was_x + was_y * was_y, vx * vx + vy * vy, TURN_SPEED_MPS * TURN_SPEED_MPS
    if not (0.0 < passed_s < TURN_GAP_S and was > least and now > least):
        user["turn_rps"] = 0.0
        return
    # From one row to the next the angle is as good as its sine.
    turned = (was_x * vy - was_y * vx) / math.sqrt(was * now)
    user["turn_rps"] += (turned / passed_s - user["turn_rps"]) * passed_s / (passed_s + TURN_SMOOTH_S)


@kernel
def user_step(known, track, clock, near):
    """Follow one track that is seen; say whether its place and velocity on the road are known."""
    user = known["users"][track["slot"]]
    if user["id"] != track["id"]:
        user_born(known, user, track)
    user["alive"] = 1
    user_turn(user, track)
    user["was"]["x_m"], user["was"]["y_m"] = user["footprint"]["x_m"], user["footprint"]["y_m"]
    user["was_s"] = user["time_s"] if user["placed"] != 0 else -np.inf
    user["box_px"][0], user["box_px"][1] = track["x1_px"], track["y1_px"]
    user["box_px"][2], user["box_px"][3] = track["x2_px"], track["y2_px"]
    user["time_s"], user["relinked_s"] = track["time_s"], track["relinked_s"]
    user["class_id"], user["score"] = track["class_id"], track["score"]
    footprint = user["footprint"]
    on_road = footprint_fill(footprint, track)
    vx, vy = footprint["vx_mps"], footprint["vy_mps"]
    if not (on_road and vx == vx and vy == vy):
        user["placed"] = 0
        return False
    user["placed"] = 1
    user["speed_mps"] = math.sqrt(vx * vx + vy * vy)
    user["speed_sd_mps"] = track["speed_sd_mps"] if track["speed_sd_mps"] == track["speed_sd_mps"] else 0.0
    user["position_sd_m"] = track["position_sd_m"]
    now = track["time_s"]
    if user["speed_mps"] > STAND_MPS:
        user["moved_s"] = now
    braking_mps2 = -float(track["accel_mps2"])
    if braking_mps2 >= user["brake_mps2"] or (braking_mps2 == braking_mps2 and now - user["brake_s"] > BRAKE_S):
        user["brake_s"], user["brake_mps2"] = now, braking_mps2
    reason = doubt(track, clock, track["time_s"], near["age_min_s"], near["score_min"])
    if reason == NO_REASON and not track["position_sd_m"] < near["position_sd_max_m"]:
        reason = CALIBRATION
    user["reason"] = reason
    reach = math.sqrt(footprint["half_length_m"] ** 2 + footprint["half_width_m"] ** 2)
    user["reach_m"] = reach
    bounds, ahead_x, ahead_y = user["bounds_m"], vx * near["horizon_s"], vy * near["horizon_s"]
    bounds[0], bounds[1] = footprint["x_m"] + min(ahead_x, 0.0) - reach, footprint["y_m"] + min(ahead_y, 0.0) - reach
    bounds[2], bounds[3] = footprint["x_m"] + max(ahead_x, 0.0) + reach, footprint["y_m"] + max(ahead_y, 0.0) + reach
    return True


@kernel
def doubles(a, b):
    """Say whether two tracks are one road user: either was born over the other."""
    return a["double_of"] == b["id"] or b["double_of"] == a["id"]


@kernel
def contact_in(a, b, near):
    """Return after how long (s) two road users meet, inf where they do not within the horizon.

    A contact that a deviation of their positions would undo is none, nor one that the curves undo on which they are.
    """
    one, other = a["footprint"], b["footprint"]
    dx, dy = other["x_m"] - one["x_m"], other["y_m"] - one["y_m"]
    vx, vy = other["vx_mps"] - one["vx_mps"], other["vy_mps"] - one["vy_mps"]
    closing, reach_m = math.sqrt(vx * vx + vy * vy), a["reach_m"] + b["reach_m"]
    if closing < near["closing_min_mps"] or max(a["speed_mps"], b["speed_mps"]) < near["speed_min_mps"]:
        return math.inf
    far_m = reach_m + closing * near["horizon_s"]
    square = dx * dx + dy * dy
    if square > far_m * far_m or (dx * vx + dy * vy > 0.0 and square > reach_m * reach_m):
        return math.inf
    enter_s, leave_s = encounter.contact_window(one, other, 0.0)
    if not (leave_s > 0.0 and enter_s <= near["horizon_s"]) or doubles(a, b):
        return math.inf
    sd_m = math.hypot(a["position_sd_m"], b["position_sd_m"])
    if sd_m > 0.0:
        surely_s = encounter.contact_window(one, other, 0.5 * sd_m)[1]
        if not 0.0 < surely_s < math.inf:
            return math.inf
    turn_a, turn_b = a["turn_rps"], b["turn_rps"]
    if max(abs(turn_a), abs(turn_b)) > TURN_MIN_RPS:
        until_s = max(1.5 * enter_s, 0.0) + 0.5
        for k in range(len(SHARPER)):
            if not encounter.arcs_meet(one, SHARPER[k] * turn_a, other, SHARPER[k] * turn_b, until_s):
                return math.inf
    return max(enter_s, 0.0)


@kernel
def meeting_find(known, a, b):
    """Return which open encounter is that of two tracks, -1 for none."""
    low, high = min(a["id"], b["id"]), max(a["id"], b["id"])
    for i in range(known["top"]):
        one = known["open"][i]
        if one["used"] != 0 and one["id"][0] == low and one["id"][1] == high:
            return i
    return -1


@kernel
def meeting_open(known, a, b):
    """Return a place for an encounter of two tracks, -1 (and it is counted) where there is none."""
    at = 0
    while at < len(known["open"]) and known["open"][at]["used"] != 0:
        at += 1
    if at == len(known["open"]):
        known["missed"] += 1
        return -1
    known["top"] = max(known["top"], at + 1)
    one = known["open"][at]
    if a["id"] > b["id"]:
        a, b = b, a
    one["used"], one["id"][0], one["id"][1] = 1, a["id"], b["id"]
    one["slot"][0], one["slot"][1] = a["slot"], b["slot"]
    one["ttc_s"], one["ttc_sd_s"], one["pet_s"], one["drac_mps2"] = np.inf, np.nan, np.nan, 0.0
    one["angle_deg"], one["at_s"], one["reason"] = np.nan, -np.inf, NO_REASON
    encounter.hold_reset(one["hold"])
    return at


@kernel
def meeting_note(one, a, b, time_s, ttc_s):
    """Write down of an encounter who meets, where they would after `ttc_s`, and which of the two approaches more."""
    if a["id"] > b["id"]:
        a, b = b, a
    p, q = a["footprint"], b["footprint"]
    dx, dy = q["x_m"] - p["x_m"], q["y_m"] - p["y_m"]
    one["lead"] = p["vx_mps"] * dx + p["vy_mps"] * dy < -q["vx_mps"] * dx - q["vy_mps"] * dy
    one["at_s"] = time_s
    one["x_m"] = 0.5 * (p["x_m"] + q["x_m"] + ttc_s * (p["vx_mps"] + q["vx_mps"]))
    one["y_m"] = 0.5 * (p["y_m"] + q["y_m"] + ttc_s * (p["vy_mps"] + q["vy_mps"]))
    one["speed_mps"][0], one["speed_mps"][1] = a["speed_mps"], b["speed_mps"]
    one["score"][0], one["score"][1] = a["score"], b["score"]
    one["class_id"][0], one["class_id"][1] = a["class_id"], b["class_id"]
    one["reason"] = a["reason"] if a["reason"] != NO_REASON else b["reason"]


@kernel
def meeting_step(one, a, b, contact_s, near):
    """Take an estimate of an encounter's time to contact (inf for none); keep the least that holds.

    One that can be judged counts before one that cannot.
    """
    time_s = max(a["time_s"], b["time_s"])
    ttc_s = encounter.hold_step(one["hold"], time_s, time_s + contact_s)
    if not ttc_s <= near["horizon_s"]:
        return
    one["active_s"] = time_s
    p, q = a["footprint"], b["footprint"]
    closing = math.hypot(q["vx_mps"] - p["vx_mps"], q["vy_mps"] - p["vy_mps"])
    if ttc_s > 0.0:
        one["drac_mps2"] = max(one["drac_mps2"], 0.5 * closing / ttc_s)
    judged = a["reason"] == NO_REASON and b["reason"] == NO_REASON
    known_judged = one["at_s"] > -np.inf and one["reason"] == NO_REASON
    if (known_judged and not judged) or (judged == known_judged and ttc_s >= one["ttc_s"]):
        return
    meeting_note(one, a, b, time_s, ttc_s)
    one["ttc_s"], one["angle_deg"] = ttc_s, encounter.encounter_angle(p["ux"], p["uy"], q["ux"], q["uy"])
    sd_m, sd_mps = math.hypot(a["position_sd_m"], b["position_sd_m"]), math.hypot(a["speed_sd_mps"], b["speed_sd_mps"])
    one["ttc_sd_s"] = encounter.ttc_sd(ttc_s, closing, sd_m, sd_mps)


@kernel
def boxes_apart(a, b):
    """Say whether two bounds (low x, low y, high x, high y) do not touch."""
    return a[0] > b[2] or b[0] > a[2] or a[1] > b[3] or b[1] > a[3]


@kernel
def meetings_follow(known, tracks, clock, near):
    """Follow every track that is seen, and the encounters that are open between two of them."""
    n, now = 0, clock["time_s"]
    for i in range(len(tracks)):
        track = tracks[i]
        user = known["users"][track["slot"]]
        if track["flags"] & ENDED:
            user["alive"] = 0 if user["id"] == track["id"] else user["alive"]
        elif (near["classes"] >> track["class_id"]) & 1:
            placed = user_step(known, track, clock, near)
            # Too young a track has no velocity to speak of.
            if placed and track["time_s"] - track["birth_s"] >= near["age_min_s"]:
                known["here"][n] = track["slot"]
                spot = known["spots_m"][n]
                spot[0], spot[1], spot[2] = user["footprint"]["x_m"], user["footprint"]["y_m"], user["reach_m"]
                if user["speed_mps"] < near["speed_min_mps"]:
                    spot[2] = -np.inf
                for k in range(4):
                    known["bounds_m"][n, k] = user["bounds_m"][k]
                n += 1
    known["n"] = n
    for i in range(known["top"]):
        one = known["open"][i]
        if one["used"] == 0:
            continue
        a, b = known["users"][one["slot"][0]], known["users"][one["slot"][1]]
        ours = a["id"] == one["id"][0] and b["id"] == one["id"][1] and a["placed"] != 0 and b["placed"] != 0
        if ours and a["time_s"] == now and b["time_s"] == now:
            meeting_step(one, a, b, contact_in(a, b, near), near)


@kernel
def meetings_step(known, tracks, clock, near):
    """Follow every track and open encounter, and open one for each pair that now closes in on each other.

    Who was never seen apart does not meet: a rider and the bicycle, the doubles of one vehicle.
    """
    meetings_follow(known, tracks, clock, near)
    for i in range(known["n"]):
        a, bounds = known["users"][known["here"][i]], known["bounds_m"][i]
        for k in range(i + 1, known["n"]):
            if boxes_apart(bounds, known["bounds_m"][k]):
                continue
            b = known["users"][known["here"][k]]
            contact_s = contact_in(a, b, near)
            if not 0.0 < contact_s < np.inf or meeting_find(known, a, b) >= 0:
                continue
            at = meeting_open(known, a, b)
            if at >= 0:
                known["open"][at]["active_s"] = clock["time_s"]
                meeting_step(known["open"][at], a, b, contact_s, near)
