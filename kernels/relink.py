"""Known again: a new track that turns out to be a lost one takes the old id before any rule hears of it.

A track that is about to be confirmed is held against every one that was lost before it began: place, motion and size
as both filters expect them, each in deviations. The gate so grows with the time in hiding by itself.
"""

from __future__ import annotations

import math

from kernels._jit import kernel
from kernels.track import CONFIRMED, CX, FREE, LOST, H, W, elected

#: How far a box is off by itself where a road user is hidden in part, as a share of its size.
PARTLY_HIDDEN = 0.25
#: A road user that comes back overlaps the place where it is expected.
REACH = 1.0
#: From here on a road user that came back may be another: rules do not judge within a second of that.
RELINK_S = 0.5


@kernel
def relink_distance(lost, new):
    """Return the square of the distance of two tracks at the same time, in deviations: place, motion, size.

    Infinite where the boxes are expected more than one box apart.
    """
    w = max(lost["axis"][W]["x"], new["axis"][W]["x"], 1.0)
    h = max(lost["axis"][H]["x"], new["axis"][H]["x"], 1.0)
    total = 0.0
    for k in range(4):
        a, b = lost["axis"][k], new["axis"][k]
        slack = PARTLY_HIDDEN * (w if k in (CX, W) else h)
        off = b["x"] - a["x"]
        if abs(off) > REACH * (w if k in (CX, W) else h):
            return math.inf
        xx = a["xx"] + b["xx"] + slack * slack
        if k in (W, H):
            total += off * off / xx
        else:
            off_v, xv, vv = b["v"] - a["v"], a["xv"] + b["xv"], a["vv"] + b["vv"]
            total += (vv * off * off - 2.0 * xv * off * off_v + xx * off_v * off_v) / (xx * vv - xv * xv)
    return total


@kernel
def relink_find(slots, new, settings, time_s):
    """Return the slot of the lost track that the new one fits best, -1 where it fits none."""
    best = -1
    least = settings["relink_sd"] * settings["relink_sd"]
    for i in range(len(slots)):
        slot = slots[i]
        phase = slot["phase"]
        if (phase != LOST and phase != CONFIRMED) or slot["seen_s"] >= slots[new]["birth_s"]:
            continue
        if time_s - slot["seen_s"] > settings["lost_s"] or slot["class_id"] != slots[new]["class_id"]:
            continue
        distance = relink_distance(slot, slots[new])
        if distance < least:
            best, least = i, distance
    return best


@kernel
def join(slots, lost, new, time_s):
    """Let the lost track go on where the new one is, with what was known of both; the new one's slot becomes free."""
    old = slots[lost]
    track_id, birth_s, seen_s, relinked_s = old["id"], old["birth_s"], old["seen_s"], old["relinked_s"]
    hits, score_sum = old["hits"], old["score_sum"]
    for k in range(4):
        slots[new]["birth_box_px"][k] = old["birth_box_px"][k]
        slots[new]["prev_box_px"][k] = old["box_px"][k]
    for k in range(len(old["votes"])):
        slots[new]["votes"][k] += old["votes"][k]
    slots[lost] = slots[new]
    joined = slots[lost]
    joined["id"], joined["birth_s"] = track_id, birth_s
    joined["hits"] += hits
    joined["score_sum"] += score_sum
    joined["class_id"] = elected(joined["votes"])
    joined["relinked_s"] = time_s if time_s - seen_s > RELINK_S else relinked_s
    joined["phase"] = CONFIRMED
    joined["match"] = -1
    slots[new]["phase"] = FREE
