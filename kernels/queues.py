"""Who queues before a stop line, how many they are, and how far back they reach."""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel
from kernels.geometry import inside_zone_m, line_offset_m
from kernels.records import AT_EDGE, ENDED, MAX_TRACKS

#: One vehicle: whether it queues, since when it is slow, how far (m) its rear is from the line. `edge`: the picture's
#: edge cuts it.
MEMBER = np.dtype(
    [
        ("slow_s", "<f8"),
        ("back_m", "<f8"),
        ("track_id", "<u4"),
        ("slow", "<u1"),
        ("queued", "<u1"),
        ("edge", "<u1"),
    ]
)

#: A queue now, and the most there was in the interval and since the last start of red; `area` in vehicle seconds.
QUEUE = np.dtype(
    [
        ("member", MEMBER, (MAX_TRACKS,)),
        ("area", "<f8"),
        ("back_m", "<f8"),
        ("back_max_m", "<f8"),
        ("cycle_back_m", "<f8"),
        ("vehicles", "<u2"),
        ("vehicles_max", "<u2"),
        ("cycle_vehicles", "<u2"),
        ("truncated", "<u1"),
        ("truncated_max", "<u1"),
        ("cycle_truncated", "<u1"),
        ("colour", "<u1"),
    ]
)

#: So slow for so long a vehicle queues.
SETTLE_S = 1.0
#: Where the last vehicle leaves less room than this to the edge of view, one more would not be seen.
ROOM_M = 7.5


@kernel
def member_step(member, s, track):
    """Follow one vehicle: it queues from a second below `halt_mps` until over `go_mps`, in the place, before the line.

    Where it is, is the middle between its front and rear. A speed that is not known changes nothing.
    """
    if member["track_id"] != track["id"]:
        member["track_id"], member["slow"], member["queued"] = track["id"], 0, 0
    front_x, front_y = float(track["front_x_m"]), float(track["front_y_m"])
    rear_x, rear_y = float(track["rear_x_m"]), float(track["rear_y_m"])
    if track["flags"] & ENDED:
        member["slow"], member["queued"] = 0, 0
        return
    if not (front_x == front_x and rear_x == rear_x):
        return
    x_m, y_m = 0.5 * (front_x + rear_x), 0.5 * (front_y + rear_y)
    speed_mps = track["speed_mps"]
    if not (inside_zone_m(s["place"], x_m, y_m) and line_offset_m(s["line"], x_m, y_m) < 0.0):
        member["slow"], member["queued"] = 0, 0
    elif speed_mps < s["halt_mps"]:
        if member["slow"] == 0:
            member["slow"], member["slow_s"] = 1, track["time_s"]
        if track["time_s"] - member["slow_s"] >= SETTLE_S:
            member["queued"] = 1
    elif speed_mps >= s["halt_mps"]:
        member["slow"] = 0
        if speed_mps > s["go_mps"]:
            member["queued"] = 0
    member["back_m"] = max(-line_offset_m(s["line"], rear_x, rear_y), 0.0)
    member["edge"] = (track["flags"] & AT_EDGE) != 0


@kernel
def queue_sum(queue, reach_m):
    """Count who queues now; `reach_m` is how far back the place reaches."""
    vehicles, back_m, truncated = 0, 0.0, 0
    for i in range(len(queue["member"])):
        member = queue["member"][i]
        if member["queued"] != 0:
            vehicles += 1
            back_m = max(back_m, member["back_m"])
            truncated |= member["edge"] != 0 or member["back_m"] > reach_m - ROOM_M
    queue["vehicles"], queue["back_m"], queue["truncated"] = vehicles, back_m, truncated
    queue["vehicles_max"] = max(queue["vehicles_max"], vehicles)
    queue["cycle_vehicles"] = max(queue["cycle_vehicles"], vehicles)
    queue["back_max_m"], queue["cycle_back_m"] = max(queue["back_max_m"], back_m), max(queue["cycle_back_m"], back_m)
    queue["truncated_max"] |= truncated
    queue["cycle_truncated"] |= truncated


@kernel
def queue_begin(queue):
    """Begin an interval: the most of it is what there is now."""
    queue["area"] = 0.0
    queue["vehicles_max"], queue["back_max_m"] = queue["vehicles"], queue["back_m"]
    queue["truncated_max"] = queue["truncated"]


@kernel
def queue_cycle(queue):
    """Begin a cycle: the most of it is what there is now."""
    queue["cycle_vehicles"], queue["cycle_back_m"] = queue["vehicles"], queue["back_m"]
    queue["cycle_truncated"] = queue["truncated"]


@kernel
def queue_clear(queue):
    """Forget who queues: nothing is seen for a while, or any more."""
    for i in range(len(queue["member"])):
        queue["member"][i]["track_id"], queue["member"][i]["queued"] = 0, 0
    queue["vehicles"], queue["back_m"], queue["truncated"] = 0, 0.0, 0


@kernel
def queue_event(queue, event, time_s, moment):
    """Fill the event of a queue as it is now, with the most there was in the interval, or else in the cycle."""
    event["time_s"], event["moment"], event["reason"] = time_s, moment, 0
    event["vehicles"], event["back_m"] = queue["vehicles"], queue["back_m"]
    event["interval_s"], event["observed_s"], event["mean_vehicles"] = np.nan, np.nan, np.nan
    if moment == 0:
        event["vehicles_max"], event["back_max_m"] = queue["vehicles_max"], queue["back_max_m"]
        event["truncated"] = queue["truncated_max"]
    else:
        event["vehicles_max"], event["back_max_m"] = queue["cycle_vehicles"], queue["cycle_back_m"]
        event["truncated"] = queue["cycle_truncated"]
