"""Virtual loops: when a road user came over a zone and when it left it, between two frames."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.footprint import FOOTPRINT, footprint_fill, footprint_reset, zone_share
from kernels.records import ENDED, MAX_TRACKS

#: Most edges of one step: a road user has two at most unless its track leaps.
MAX_EDGES = 250

#: What one road user covers now and covered at its row before, and whether that is over the zone. Metres where the
#: zone is on the road, else pixels.
BODY = np.dtype(
    [
        ("now", FOOTPRINT),
        ("was", FOOTPRINT),
        ("time_s", "<f8"),
        ("track_id", "<u4"),
        ("known", "<u1"),
        ("over", "<u1"),
    ]
)

#: A loop: who is over it, the edges of this step, and what was told. `inside`: how many are over it, `users`: how many
#: have been since it went on, `off_s`: since when nobody is, `from_s`: nothing is known from before.
LOOP = np.dtype(
    [
        ("body", BODY, (MAX_TRACKS,)),
        ("between", FOOTPRINT),
        ("edge_s", "<f8", (MAX_EDGES,)),
        ("edge_up", "<u1", (MAX_EDGES,)),
        ("edge_row", "<i4", (MAX_EDGES,)),
        ("edges", "<i4"),
        ("from_s", "<f8"),
        ("told_s", "<f8"),
        ("on_s", "<f8"),
        ("off_s", "<f8"),
        ("score", "<f4"),
        ("track_id", "<u4"),
        ("inside", "<i4"),
        ("users", "<i4"),
        ("class_id", "<u1"),
        ("on", "<u1"),
        ("runs", "<u1"),
    ]
)

#: Without a ground a road user covers this share of its box, at the bottom.
STRIP_SHARE = 0.15
#: A share of the footprint below this is a touch, which no loop feels.
TOUCH_SHARE = 1e-6
#: A step is looked at in parts no longer than the footprint, this many at most, each edge to a 1024th of a part.
PARTS_MAX, HALVINGS = 32, 10


@kernel
def body_fill(footprint, track, on_road):
    """Fill a FOOTPRINT in metres, or in px the bottom strip of the box; say whether it could be."""
    if on_road:
        return footprint_fill(footprint, track)
    height = float(track["y2_px"]) - float(track["y1_px"])
    half_width = 0.5 * (float(track["x2_px"]) - float(track["x1_px"]))
    if not (height > 0.0 and half_width > 0.0):
        return False
    footprint["x_m"] = 0.5 * (float(track["x1_px"]) + float(track["x2_px"]))
    footprint["y_m"] = float(track["y2_px"]) - 0.5 * STRIP_SHARE * height
    footprint["ux"], footprint["uy"] = 1.0, 0.0
    footprint["half_length_m"], footprint["half_width_m"] = half_width, 0.5 * STRIP_SHARE * height
    footprint["vx_mps"], footprint["vy_mps"] = track["vx_px_s"], track["vy_px_s"]
    return True


@kernel
def body_over(loop, body, zone, part):
    """Say whether a body was over the zone after this part (0 to 1) of its last step."""
    was, now, mid = body["was"], body["now"], loop["between"]
    for_was = 1.0 - part
    mid["x_m"] = for_was * was["x_m"] + part * now["x_m"]
    mid["y_m"] = for_was * was["y_m"] + part * now["y_m"]
    mid["half_length_m"] = for_was * was["half_length_m"] + part * now["half_length_m"]
    mid["half_width_m"] = for_was * was["half_width_m"] + part * now["half_width_m"]
    mid["ux"], mid["uy"] = now["ux"], now["uy"]
    return zone_share(zone, mid) > TOUCH_SHARE


@kernel
def body_clear(was, now, zone):
    """Say whether a body stays beside, above or below a whole zone on its way between two footprints.

    It is then never over it: most are not, and this is seen with a few comparisons.
    """
    reach = max(was["half_length_m"] + was["half_width_m"], now["half_length_m"] + now["half_width_m"])
    low_x, high_x = min(was["x_m"], now["x_m"]) - reach, max(was["x_m"], now["x_m"]) + reach
    low_y, high_y = min(was["y_m"], now["y_m"]) - reach, max(was["y_m"], now["y_m"]) + reach
    left, right, below, above = True, True, True, True
    for i in range(zone["n"]):
        x, y = zone["m"][i, 0], zone["m"][i, 1]
        left, right = left & (x > high_x), right & (x < low_x)
        below, above = below & (y > high_y), above & (y < low_y)
    return left or right or below or above


@kernel
def loop_edge(loop, body, time_s, up, row):
    """Note that a body came over the zone or left it; say whether there was room to."""
    if loop["edges"] >= MAX_EDGES:
        return False
    at = loop["edges"]
    # In the order of time; at one instant who comes is before who goes, so that the loop stays on.
    while at > 0 and (
        loop["edge_s"][at - 1] > time_s or (loop["edge_s"][at - 1] == time_s and up > loop["edge_up"][at - 1])
    ):
        loop["edge_s"][at], loop["edge_up"][at] = loop["edge_s"][at - 1], loop["edge_up"][at - 1]
        loop["edge_row"][at] = loop["edge_row"][at - 1]
        at -= 1
    loop["edge_s"][at], loop["edge_up"][at], loop["edge_row"][at] = time_s, up, row
    loop["edges"] += 1
    body["over"] = up
    return True


@kernel
def loop_follow(loop, zone, track, row, on_road):
    """Follow one road user: note each time at which it came over the zone or left it since its row before."""
    body = loop["body"][track["slot"]]
    if body["track_id"] != track["id"]:
        body["track_id"], body["known"], body["over"] = track["id"], 0, 0
        footprint_reset(body["now"])
    if track["flags"] & ENDED:
        if body["over"] != 0:
            loop_edge(loop, body, body["time_s"], 0, row)
        body["known"] = 0
        return
    body["was"] = body["now"]
    if not body_fill(body["now"], track, on_road):
        return
    was, now = body["was"], body["now"]
    time_s, before_s, new = track["time_s"], body["time_s"], body["known"] == 0
    if new:
        before_s = max(track["prev_time_s"], loop["from_s"])
        if not before_s < time_s:  # also where it is not known
            before_s = time_s
        back_s = before_s - time_s
        body["was"] = now
        if now["vx_mps"] == now["vx_mps"]:
            was["x_m"], was["y_m"] = now["x_m"] + back_s * now["vx_mps"], now["y_m"] + back_s * now["vy_mps"]
    body["known"], body["time_s"] = 1, time_s
    if body["over"] == 0 and body_clear(was, now, zone):
        return
    if new and body_over(loop, body, zone, 0.0):
        loop_edge(loop, body, before_s, 1, row)
    moved = math.hypot(now["x_m"] - was["x_m"], now["y_m"] - was["y_m"])
    parts = min(max(math.ceil(moved / (2.0 * now["half_length_m"])), 1), PARTS_MAX)
    for k in range(parts):
        over = body_over(loop, body, zone, (k + 1.0) / parts)
        if over == (body["over"] != 0):
            continue
        low, high = k / parts, (k + 1.0) / parts
        for _ in range(HALVINGS):
            part = 0.5 * (low + high)
            if body_over(loop, body, zone, part) == over:
                high = part
            else:
                low = part
        loop_edge(loop, body, before_s + 0.5 * (low + high) * (time_s - before_s), 1 if over else 0, row)


@kernel
def loop_event(loop, event, time_s, on, reason):
    """Fill the event of a loop that goes on or off, and note it."""
    event["time_s"], event["on"], event["reason"], event["vehicles"] = time_s, on, reason, loop["users"]
    event["held_s"] = math.nan if on != 0 else time_s - loop["on_s"]
    event["track_id"], event["class_id"], event["score"] = loop["track_id"], loop["class_id"], loop["score"]
    loop["on"] = on
    if on != 0:
        loop["on_s"] = time_s


@kernel
def loop_tell(loop, tracks, now_s, hold_s, out):
    """Write an event each time that the loop went on or off by the edges of this step; return how many.

    It stays on through times of up to `hold_s` in which nobody is over it.
    """
    n = 0
    for k in range(loop["edges"]):
        time_s = max(loop["edge_s"][k], loop["told_s"])
        loop["told_s"] = time_s
        if loop["edge_up"][k] == 0:
            loop["inside"] -= 1
            loop["off_s"] = time_s
        else:
            if loop["on"] != 0 and loop["inside"] == 0 and time_s - loop["off_s"] > hold_s:
                loop_event(loop, out[n], loop["off_s"], 0, 0)
                n += 1
            loop["inside"] += 1
            loop["users"] = loop["users"] + 1 if loop["on"] != 0 else 1
        track = tracks[loop["edge_row"][k]]
        loop["track_id"], loop["class_id"], loop["score"] = track["id"], track["class_id"], track["score"]
        if loop["on"] == 0 and loop["inside"] > 0:
            loop_event(loop, out[n], time_s, 1, 0)
            n += 1
    loop["edges"] = 0
    if loop["on"] != 0 and loop["inside"] == 0 and now_s - loop["off_s"] >= hold_s:
        loop_event(loop, out[n], loop["off_s"], 0, 0)
        n += 1
    return n


@kernel
def loop_close(loop, time_s, reason, out, n):
    """Forget everybody, as nothing is known from `time_s` on; write that the loop is off, if it was on; return n."""
    if loop["on"] != 0:
        at_s = loop["off_s"] if loop["inside"] == 0 else max(time_s, loop["told_s"])
        loop_event(loop, out[n], at_s, 0, reason if loop["inside"] != 0 else 0)
        loop["told_s"] = at_s
        n += 1
    for i in range(len(loop["body"])):
        loop["body"][i]["track_id"], loop["body"][i]["over"] = 0, 0
    loop["inside"], loop["edges"], loop["users"] = 0, 0, 0
    return n
