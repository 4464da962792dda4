"""Traffic in a place over a sliding window of time: Edie's speed and occupancy, at any frame rate.

The window is cut into pieces of stream time, the oldest of which is forgotten when a new one begins. Only time in which
the camera watched is in it. Speed is way over time of all vehicles (Edie), so one that stands counts as it should.
"""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.footprint import zone_share

#: Pieces of a window.
PIECES = 32

#: What was watched in a window of time: for how long, how far and for how long vehicles of known speed went, for how
#: long vehicles of any speed were there, and the integral of the occupied share. `piece` is where time goes now.
FLOW = np.dtype(
    [
        ("watched_s", "<f8", (PIECES,)),
        ("way_m", "<f8", (PIECES,)),
        ("known_s", "<f8", (PIECES,)),
        ("there_s", "<f8", (PIECES,)),
        ("covered_s", "<f8", (PIECES,)),
        ("piece", "<i4"),
    ]
)

#: How long a road user is whose length was not measured, by class: common vehicles.
LENGTHS_M = (4.5, 12.0, 9.0, 2.2, 1.8, 0.5)
#: The shortest of each class; what is measured shorter is half hidden: in a queue only the front shows.
SHORTEST_M = (3.3, 6.0, 4.8, 1.6, 1.3, 0.3)


@kernel
def flow_reset(flow):
    """Forget what was watched."""
    for k in range(PIECES):
        flow["watched_s"][k], flow["way_m"][k], flow["known_s"][k] = 0.0, 0.0, 0.0
        flow["there_s"][k], flow["covered_s"][k] = 0.0, 0.0
    flow["piece"] = 0


@kernel
def flow_pass(flow, passed_s, window_s):
    """Let watched time pass: begin the next piece of the window where the one that runs is full."""
    k = flow["piece"]
    if flow["watched_s"][k] >= window_s / PIECES:
        k = (k + 1) % PIECES
        flow["piece"] = k
        flow["watched_s"][k], flow["way_m"][k], flow["known_s"][k] = 0.0, 0.0, 0.0
        flow["there_s"][k], flow["covered_s"][k] = 0.0, 0.0
    flow["watched_s"][k] += passed_s


@kernel
def length_of(track):
    """Return the length of a road user in m: from its front to its rear where that is all of it, else the common."""
    length = math.hypot(track["front_x_m"] - track["rear_x_m"], track["front_y_m"] - track["rear_y_m"])
    return length if length >= SHORTEST_M[track["class_id"]] else LENGTHS_M[track["class_id"]]


@kernel
def flow_add(flow, zone, track, footprint, passed_s):
    """Take in one vehicle for a moment; return how many m of the place it covers, 0 where it is not there.

    Its way is along the lane's flow, so that noise cancels; in a zone it is that of its speed.
    """
    share = zone_share(zone, footprint)
    if not share > 0.0:
        return 0.0
    k = flow["piece"]
    # By the part of it that is there: who straddles two lanes is half in each.
    there_s = share * passed_s
    flow["there_s"][k] += there_s
    speed = track["speed_mps"]
    if zone["flow_x_m"] == zone["flow_x_m"]:
        speed = track["vx_mps"] * zone["flow_x_m"] + track["vy_mps"] * zone["flow_y_m"]
    if track["speed_mps"] == track["speed_mps"] and speed == speed:
        flow["known_s"][k] += there_s
        flow["way_m"][k] += speed * there_s
    return share * length_of(track)


@kernel
def flow_sums(flow):
    """Return (speed m/s, occupied share, vehicles at once, share of them of known speed, watched s); NaN for none."""
    watched_s, way_m, known_s, there_s, covered_s = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(PIECES):
        watched_s += flow["watched_s"][k]
        way_m += flow["way_m"][k]
        known_s += flow["known_s"][k]
        there_s += flow["there_s"][k]
        covered_s += flow["covered_s"][k]
    speed = way_m / known_s if known_s > 0.0 else math.nan
    if not watched_s > 0.0:
        return speed, math.nan, math.nan, math.nan, 0.0
    known = known_s / there_s if there_s > 0.0 else math.nan
    return speed, covered_s / watched_s, there_s / watched_s, known, watched_s
