"""Where a crash may have happened, and who stands there afterwards."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.encounter import encounter_angle
from kernels.meeting import MEETINGS, meetings_reset
from kernels.records import MAX_TRACKS

#: Which way a road user went, at two moments TURN_S apart, as of a track id.
WAY = np.dtype(
    [("at_s", "<f8", (2,)), ("vx_mps", "<f8", (2,)), ("vy_mps", "<f8", (2,)), ("id", "<u4"), ("spare", "<u4")]
)

#: Since when a track is in one place, and where that is.
STAND = np.dtype([("since_s", "<f8"), ("x_m", "<f8"), ("y_m", "<f8"), ("id", "<u4"), ("spare", "<u4")])

#: What may have been a crash, of one or two tracks (0: none): when and where, by how much, and whether it was told;
#: `seen_s`: when each of the two was seen last.
IMPACT = np.dtype(
    [
        ("time_s", "<f8"),
        ("x_m", "<f8"),
        ("y_m", "<f8"),
        ("ttc_s", "<f8"),
        ("braking_mps2", "<f8"),
        ("turned_deg", "<f8"),
        ("seen_s", "<f8", (2,)),
        ("id", "<u4", (2,)),
        ("class_id", "<u1", (2,)),
        ("reason", "<u1"),
        ("used", "<u1"),
        ("told", "<u1"),
        ("stopped", "<u1"),
        ("score", "<f4"),
    ]
)
MAX_IMPACTS = 16
IMPACTS = np.dtype(
    [
        ("meetings", MEETINGS),
        ("ways", WAY, (MAX_TRACKS,)),
        ("stands", STAND, (MAX_TRACKS,)),
        ("impacts", IMPACT, (MAX_IMPACTS,)),
    ]
)

#: What makes an impact and an alarm of it.
IMPACT_LIMITS = ("ttc_max_s", "braking_mps2", "turn_deg", "turn_speed_mps", "stand_s", "place_m", "alarm_s")
LIMITS = np.dtype([(name, "<f8") for name in IMPACT_LIMITS])

#: So little before contact footprints do touch: they are no better known.
CONTACT_S = 0.1
#: One that was last seen when it would have had to brake with more than this, harder than any road user can, and is not
#: seen for GONE_S since, has met the other.
DRAC_MAX_MPS2, GONE_S = 12.0, 0.5
#: Braking so near to the moment belongs to it, and an encounter is over so long after it.
NEAR_S, QUIET_S = 1.0, 2.0
#: A heading is compared with that of so long before; no road user turns with more than this on its own.
TURN_S, TURN_MPS2 = 0.4, 8.0
#: What happens near a place that was told of within this is the same incident.
SAME_S = 60.0
#: In one place is within this, as for every stop: after a blow the fit of speed and acceleration takes seconds to come
#: to rest, the place does not.
PLACE_M = 1.0
#: Those who met slide and are pushed on: they may stand so many times further from the place than others who stop.
SLIDE_TIMES = 3.0
#: Who was not seen for so long is not known to stand. But who met another and is hidden from then on, by the one that
#: it ran into, stands behind it when that one stands.
UNSEEN_S = 2.0


@kernel
def impacts_reset(known):
    """Forget everything."""
    meetings_reset(known["meetings"])
    for i in range(len(known["ways"])):
        known["ways"][i]["id"], known["stands"][i]["id"] = 0, 0
    for i in range(len(known["impacts"])):
        known["impacts"][i]["used"] = 0


@kernel
def way_turned(way, user):
    """Return (angle in degrees, m/s before, over how long in s) by which a road user has turned of late, 0 for none."""
    now, v = user["time_s"], user["footprint"]
    if way["id"] != user["id"] or now - way["at_s"][1] > 2.0 * TURN_S:
        way["id"] = user["id"]
        for k in range(2):
            way["at_s"][k], way["vx_mps"][k], way["vy_mps"][k] = now, v["vx_mps"], v["vy_mps"]
    elif now - way["at_s"][1] >= TURN_S:
        way["at_s"][0], way["vx_mps"][0], way["vy_mps"][0] = way["at_s"][1], way["vx_mps"][1], way["vy_mps"][1]
        way["at_s"][1], way["vx_mps"][1], way["vy_mps"][1] = now, v["vx_mps"], v["vy_mps"]
    before = math.hypot(way["vx_mps"][0], way["vy_mps"][0])
    # Who stands, or nearly, points nowhere.
    if user["speed_mps"] < 1.0 or before < 1.0:
        return 0.0, before, 0.0
    turned = encounter_angle(way["vx_mps"][0], way["vy_mps"][0], v["vx_mps"], v["vy_mps"])
    return turned, before, now - way["at_s"][0]


@kernel
def stand_step(stand, user):
    """Note since when a road user has been within PLACE_M of one place."""
    x, y = user["footprint"]["x_m"], user["footprint"]["y_m"]
    if stand["id"] == user["id"] and math.hypot(x - stand["x_m"], y - stand["y_m"]) <= PLACE_M:
        return
    stand["id"], stand["x_m"], stand["y_m"], stand["since_s"] = user["id"], x, y, user["time_s"]


@kernel
def impact_add(known, a, b, time_s):
    """Return the place for an impact of two tracks (the same one twice: of one), -1 where there is one already.

    The oldest gives way where there is no place.
    """
    other, at = b["id"] if b["id"] != a["id"] else 0, 0
    low, high = min(a["id"], other), max(a["id"], other)
    for i in range(len(known["impacts"])):
        one = known["impacts"][i]
        if one["used"] != 0 and one["id"][0] == low and one["id"][1] == high:
            return -1
        if known["impacts"][at]["used"] != 0 and (one["used"] == 0 or one["time_s"] < known["impacts"][at]["time_s"]):
            at = i
    one = known["impacts"][at]
    one["used"], one["told"], one["time_s"], one["stopped"] = 1, 0, time_s, 0
    one["ttc_s"], one["braking_mps2"], one["turned_deg"] = np.nan, np.nan, np.nan
    first, second = (a, b) if a["id"] == low or low == 0 else (b, a)
    one["id"][0], one["id"][1], one["seen_s"][:] = low, high, max(a["time_s"], b["time_s"])
    one["class_id"][0], one["class_id"][1] = first["class_id"], second["class_id"]
    one["reason"] = a["reason"] if a["reason"] != 0 else b["reason"]
    one["score"] = min(a["score"], b["score"])
    return at


@kernel
def impacts_see(impacts, user):
    """Note of each impact of a road user that it is seen now."""
    for i in range(len(impacts)):
        for k in range(2):
            if impacts[i]["used"] != 0 and impacts[i]["id"][k] == user["id"]:
                impacts[i]["seen_s"][k] = user["time_s"]


@kernel
def impacts_step(known, clock, s):
    """Note who met, nearly met while braking hard, or was turned round; let go of what is over."""
    meetings, now = known["meetings"], clock["time_s"]
    for i in range(meetings["top"]):
        one = meetings["open"][i]
        if one["used"] == 0:
            continue
        a, b = meetings["users"][one["slot"][0]], meetings["users"][one["slot"][1]]
        ours = a["id"] == one["id"][0] and b["id"] == one["id"][1]
        braking = -np.inf
        for user in (a, b):
            if ours and abs(user["brake_s"] - one["at_s"]) <= NEAR_S:
                braking = max(braking, user["brake_mps2"])
        met = one["ttc_s"] <= CONTACT_S or (one["ttc_s"] < s["ttc_max_s"] and braking >= s["braking_mps2"])
        seen_s = min(a["time_s"], b["time_s"])
        met |= one["drac_mps2"] > DRAC_MAX_MPS2 and now - seen_s > GONE_S and seen_s - one["at_s"] < CONTACT_S
        if ours and met:
            at = impact_add(known, a, b, one["at_s"])
            if at >= 0:
                impact = known["impacts"][at]
                impact["x_m"], impact["y_m"], impact["reason"] = one["x_m"], one["y_m"], one["reason"]
                impact["ttc_s"] = one["ttc_s"]
                impact["braking_mps2"] = braking if braking > -np.inf else np.nan
        if now - one["active_s"] > QUIET_S:
            one["used"] = 0
    for k in range(meetings["n"]):
        slot = meetings["here"][k]
        user = meetings["users"][slot]
        impacts_see(known["impacts"], user)
        stand_step(known["stands"][slot], user)
        turned_deg, before_mps, passed_s = way_turned(known["ways"][slot], user)
        hard = passed_s > 0.0 and before_mps * math.radians(turned_deg) >= TURN_MPS2 * passed_s
        if hard and turned_deg >= s["turn_deg"] and before_mps >= s["turn_speed_mps"]:
            at = impact_add(known, user, user, now)
            if at >= 0:
                impact = known["impacts"][at]
                impact["x_m"], impact["y_m"] = user["footprint"]["x_m"], user["footprint"]["y_m"]
                impact["turned_deg"] = turned_deg


@kernel
def impact_due(known, i, clock, s):
    """Say whether it is time to raise the alarm of an impact: two stand there, one of those who met among them.

    Who stood there before does not count, unless it was hit. One near another that was told of, or of one of the same
    two, is the same.
    """
    one, now = known["impacts"][i], clock["time_s"]
    if one["used"] == 0:
        return False
    if now - one["time_s"] > (SAME_S if one["told"] != 0 else s["alarm_s"]):
        one["used"] = 0
    if one["used"] == 0 or one["told"] != 0:
        return False
    stopped, parties = 0, 0
    for k in range(len(known["ways"])):
        user, stand = known["meetings"]["users"][k], known["stands"][k]
        party = user["id"] == one["id"][0] or user["id"] == one["id"][1]
        lost = user["alive"] == 0 or user["placed"] == 0 or now - user["time_s"] > UNSEEN_S
        stands = stand["id"] == user["id"] and now - stand["since_s"] >= s["stand_s"]
        if user["id"] == 0 or lost or not stands or not (party or stand["since_s"] >= one["time_s"] - NEAR_S):
            continue
        dx, dy = user["footprint"]["x_m"] - one["x_m"], user["footprint"]["y_m"] - one["y_m"]
        if math.sqrt(dx * dx + dy * dy) <= s["place_m"] * (SLIDE_TIMES if party else 1.0):
            stopped, parties = stopped + 1, parties + party
    for k in range(2):
        hidden = now - one["seen_s"][k] > UNSEEN_S and one["seen_s"][k] <= one["time_s"] + NEAR_S
        stopped += parties == 1 and one["id"][0] != 0 and hidden
    one["stopped"] = min(stopped, 255)
    if stopped < 2 or parties == 0:
        return False
    for k in range(len(known["impacts"])):
        other = known["impacts"][k]
        near = math.hypot(other["x_m"] - one["x_m"], other["y_m"] - one["y_m"]) <= s["place_m"]
        for m in range(2):
            near |= other["id"][m] != 0 and (other["id"][m] == one["id"][0] or other["id"][m] == one["id"][1])
        if k != i and other["used"] != 0 and other["told"] != 0 and near:
            one["used"] = 0
            return False
    one["told"] = 1
    return True
