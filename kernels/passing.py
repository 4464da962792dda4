"""Who comes soon after another onto its way: post-encroachment times of crossing and merging road users."""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel
from kernels.meeting import MEETINGS, doubles, meeting_find, meeting_note, meeting_open, meetings_reset
from kernels.records import MAX_TRACKS
from kernels.trail import TRAIL, TRAIL_LENGTH, trail_add, trail_pet, trail_reset

#: Encounters with the trails of all tracks, each as of a track id.
PASSINGS = np.dtype([("meetings", MEETINGS), ("trails", TRAIL, (MAX_TRACKS,)), ("of", "<u4", (MAX_TRACKS,))])

#: Who moves the same way (cosine) as one with a straight trail only follows it.
SAME_WAY = 0.87
#: Who was not seen for so long may have come onto a way anywhere.
PASS_GAP_S = 1.0


@kernel
def passings_reset(passings):
    """Forget every road user, encounter and trail."""
    meetings_reset(passings["meetings"])
    for i in range(len(passings["of"])):
        passings["of"][i], passings["trails"][i]["n"] = 0, 0


@kernel
def pass_onto(passings, owner, trail, user, pet_max_s):
    """Write down in their encounter how soon a road user has come onto another's trail, if it has just done so."""
    known, p, q = passings["meetings"], owner["footprint"], user["footprint"]
    if trail["straight"] != 0 and p["ux"] * q["ux"] + p["uy"] * q["uy"] > SAME_WAY:
        return
    pet_s, angle_deg = trail_pet(trail, user["was"], q, user["was_s"], user["time_s"])
    if not 0.0 < pet_s <= pet_max_s or doubles(owner, user):
        return
    at = meeting_find(known, owner, user)
    if at < 0:
        at = meeting_open(known, owner, user)
    if at < 0:
        return
    one = known["open"][at]
    one["active_s"] = user["time_s"]
    if one["pet_s"] <= pet_s:
        return
    one["pet_s"] = pet_s
    if one["ttc_s"] == np.inf:
        meeting_note(one, owner, user, user["time_s"], 0.0)
        one["angle_deg"], one["lead"] = angle_deg, user["id"] > owner["id"]
        one["x_m"], one["y_m"] = q["x_m"] + q["half_length_m"] * q["ux"], q["y_m"] + q["half_length_m"] * q["uy"]


@kernel
def passings_step(passings, clock, near, pet_max_s):
    """Let the trails of those seen now grow, and look who comes onto whose within `pet_max_s`."""
    known, now, step_s = passings["meetings"], clock["time_s"], pet_max_s / (TRAIL_LENGTH - 2)
    for k in range(known["n"]):
        slot = known["here"][k]
        user, trail = known["users"][slot], passings["trails"][slot]
        if passings["of"][slot] != user["id"]:
            passings["of"][slot] = user["id"]
            trail_reset(trail)
        trail_add(trail, user["footprint"], now, step_s)
    for slot in range(len(passings["of"])):
        owner, trail = known["users"][slot], passings["trails"][slot]
        fresh = trail["n"] > 1 and now - owner["time_s"] <= pet_max_s
        if not fresh or passings["of"][slot] != owner["id"]:
            continue
        bounds, reach_m = trail["bounds_m"], owner["reach_m"]
        low_x, low_y, high_x, high_y = (
            bounds[0] - reach_m,
            bounds[1] - reach_m,
            bounds[2] + reach_m,
            bounds[3] + reach_m,
        )
        if high_x - low_x + high_y - low_y < 4.0 * reach_m + 1.0:
            continue  # it stands: it has left nothing
        for k in range(known["n"]):
            x_m, y_m, far_m = known["spots_m"][k, 0], known["spots_m"][k, 1], known["spots_m"][k, 2]
            if x_m + far_m < low_x or x_m - far_m > high_x or y_m + far_m < low_y or y_m - far_m > high_y:
                continue
            user = known["users"][known["here"][k]]
            if user["id"] != owner["id"] and now - user["was_s"] <= PASS_GAP_S:
                pass_onto(passings, owner, trail, user, pet_max_s)
