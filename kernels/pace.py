"""How fast traffic in a lane usually goes, and who is slow against it: what the rule on slow vehicles follows."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.geometry import inside_zone_m
from kernels.records import ENDED, MAX_TRACKS

#: Most vehicles of a lane that are remembered.
MEMORY = 64

#: The latest vehicles of a lane: their mean speed over the `rows` in which they were seen in it: who brakes behind a
#: slow one at last does not make the lane slow. `mark` tells who counted already.
PACE = np.dtype(
    [
        ("seen_s", "<f8", (MEMORY,)),
        ("speed_mps", "<f8", (MEMORY,)),
        ("track_id", "<u4", (MEMORY,)),
        ("rows", "<u4", (MEMORY,)),
        ("used", "<u1", (MEMORY,)),
        ("mark", "<u1", (MEMORY,)),
    ]
)

#: A vehicle in a lane. `run_s`: for how much watched time it has been slow since `turn_s`; `quick_s`: since it was told
#: of, not slow any more. `slow_s`: when it was last slow; `lane`: -1 for none.
SLOW = np.dtype(
    [
        ("at_s", "<f8"),
        ("run_s", "<f8"),
        ("turn_s", "<f8"),
        ("quick_s", "<f8"),
        ("slow_s", "<f8"),
        ("x_m", "<f8"),
        ("y_m", "<f8"),
        ("median_mps", "<f4"),
        ("speed_mps", "<f4"),
        ("speed_sd_mps", "<f4"),
        ("score", "<f4"),
        ("track_id", "<u4"),
        ("lane", "<i2"),
        ("class_id", "<u1"),
        ("reported", "<u1"),
        ("alive", "<u1"),
    ]
)

SLOWS = np.dtype([("own", SLOW, (MAX_TRACKS,)), ("lanes", PACE, (32,))])


@kernel
def pace_note(pace, track_id, speed_mps, time_s):
    """Take a vehicle's speed in; it takes its own place, a free one, or that of who was seen longest ago."""
    at = 0
    for k in range(MEMORY):
        if pace["used"][k] != 0 and pace["track_id"][k] == track_id:
            at = k
            break
        older = pace["used"][k] == 0 or pace["seen_s"][k] < pace["seen_s"][at]
        if pace["used"][at] != 0 and older:
            at = k
    if pace["used"][at] == 0 or pace["track_id"][at] != track_id:
        pace["rows"][at], pace["speed_mps"][at] = 0, 0.0
    pace["used"][at], pace["track_id"][at], pace["seen_s"][at] = 1, track_id, time_s
    pace["rows"][at] += 1
    pace["speed_mps"][at] += (speed_mps - pace["speed_mps"][at]) / pace["rows"][at]


@kernel
def pace_median_mps(pace, track_id, since_s, others_min):
    """Return the median speed (m/s) of the others in a lane since a time; NaN where they are fewer than `others_min`.

    Of an even number the lower of the two in the middle, so that it is a vehicle's.
    """
    n = 0
    for k in range(MEMORY):
        pace["mark"][k] = pace["used"][k] == 0 or pace["track_id"][k] == track_id or pace["seen_s"][k] < since_s
        n += pace["mark"][k] == 0
    if n < max(others_min, 1):
        return math.nan
    at = 0
    for _ in range((n + 1) // 2):
        at = -1
        for k in range(MEMORY):
            if pace["mark"][k] == 0 and (at < 0 or pace["speed_mps"][k] < pace["speed_mps"][at]):
                at = k
        pace["mark"][at] = 1
    return pace["speed_mps"][at]


@kernel
def slows_forget(slows):
    """Forget every vehicle and how fast lanes were: the stream or epoch has ended."""
    for i in range(MAX_TRACKS):
        slows["own"][i]["track_id"], slows["own"][i]["lane"], slows["own"][i]["alive"] = 0, -1, 0
    for k in range(len(slows["lanes"])):
        for j in range(MEMORY):
            slows["lanes"][k]["used"][j] = 0


@kernel
def slow_reset(own, track):
    """Forget whose slot this was; a TRACK row says whose it is."""
    own["track_id"], own["at_s"], own["run_s"], own["quick_s"], own["slow_s"] = track["id"], np.inf, 0.0, 0.0, -np.inf
    own["lane"], own["reported"], own["alive"], own["class_id"] = -1, 0, 0, track["class_id"]


@kernel
def slow_place(slows, settings, track):
    """Note in which lane a vehicle is and how fast; say whether it is seen in one."""
    own = slows["own"][track["slot"]]
    if own["track_id"] != track["id"]:
        slow_reset(own, track)
    if track["flags"] & ENDED:
        own["alive"] = 0
        return False
    own["x_m"], own["y_m"], lane = float(track["foot_x_m"]), float(track["foot_y_m"]), -1
    for k in range(len(settings)):
        if inside_zone_m(settings[k]["lane"], own["x_m"], own["y_m"]):
            lane = k
            break
    if lane != own["lane"] and own["reported"] == 0:
        own["run_s"] = 0.0
    own["lane"] = lane if lane >= 0 or own["reported"] == 0 else own["lane"]
    own["alive"], own["speed_mps"], own["speed_sd_mps"] = lane >= 0, track["speed_mps"], track["speed_sd_mps"]
    own["score"], own["class_id"] = track["score"], track["class_id"]
    if lane >= 0 and track["speed_mps"] == track["speed_mps"]:
        pace_note(slows["lanes"][lane], track["id"], float(track["speed_mps"]), float(track["time_s"]))
    return lane >= 0


@kernel
def slow_limit_mps(s, median_mps):
    """Return below which speed (m/s) a vehicle is slow: the fixed one, or its share of the median if that is more."""
    limit = s["slow_share"] * median_mps
    return limit if limit > s["slow_mps"] else s["slow_mps"]  # NaN is not higher


@kernel
def slow_now(own, s, track):
    """Say whether a vehicle is slow: 1 surely so and while the others are fast, -1 not, 0 where that is not told.

    Not told while it speeds up or brakes (it enters, leaves or turns), or its speed is not known well enough.
    """
    if not own["median_mps"] > s["median_min_mps"]:
        return -1
    limit, speed, sd = slow_limit_mps(s, own["median_mps"]), own["speed_mps"], own["speed_sd_mps"]
    if speed - 2.0 * sd >= limit or speed < s["stand_mps"]:
        return -1
    if not speed + 2.0 * sd < limit or abs(track["accel_mps2"]) > s["accel_max_mps2"]:
        return 0
    return 1


@kernel
def slow_ahead(slows, own, s):
    """Say whether another vehicle of its lane, at most `queue_m` ahead, is slow or stands: who follows it must be."""
    ux, uy = s["lane"]["flow_x_m"], s["lane"]["flow_y_m"]
    for i in range(MAX_TRACKS):
        other = slows["own"][i]
        if other["alive"] == 0 or other["lane"] != own["lane"] or other["track_id"] == own["track_id"]:
            continue
        ahead_m = (other["x_m"] - own["x_m"]) * ux + (other["y_m"] - own["y_m"]) * uy
        if 0.0 < ahead_m <= s["queue_m"] and other["speed_mps"] < slow_limit_mps(s, own["median_mps"]):
            return True
    return False


@kernel
def slow_run(own, found, passed_s, time_s):
    """Let a vehicle's run go on (`found` 1), pause (0) or end (-1)."""
    if found > 0:
        if own["run_s"] == 0.0:
            own["turn_s"] = time_s - passed_s
        own["run_s"] += passed_s
        own["slow_s"], own["quick_s"] = time_s, 0.0
    elif found < 0:
        own["quick_s"] += passed_s
        own["run_s"] = own["run_s"] if own["reported"] != 0 else 0.0


@kernel
def slow_event(event, own, s, time_s, reason):
    """Fill the event of a vehicle that is slow, or was until `time_s`."""
    event["time_s"], event["track_id"], event["class_id"] = time_s, own["track_id"], own["class_id"]
    event["score"], event["held_s"] = own["score"], time_s - own["turn_s"]
    event["speed_mps"], event["speed_sd_mps"] = own["speed_mps"], own["speed_sd_mps"]
    event["median_mps"], event["reason"] = own["median_mps"], reason
    limit = slow_limit_mps(s, own["median_mps"])
    event["margin_mps"] = limit - own["speed_mps"] - 2.0 * own["speed_sd_mps"]
