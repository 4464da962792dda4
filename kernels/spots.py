"""Who went over a line before whom: the fronts that have crossed, so that a vehicle finds its leader."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.zones import zone_at

#: A front that crossed: when, in which lane and way, when the rear followed (NaN: not yet, or not known).
FRONT_ROW = np.dtype(
    [("front_s", "<f8"), ("rear_s", "<f8"), ("track_id", "<u4"), ("lane", "<i2"), ("way", "<i1"), ("used", "<u1")]
)

#: Fronts that are remembered; of an older one nobody is the follower.
FRONTS = 64

#: The last fronts, in a ring. `told`: how many there have been.
PASSAGES = np.dtype([("row", FRONT_ROW, (FRONTS,)), ("told", "<u4")])


#: The lane of a crossing is that of its place on the line, else of so much of a box height before it, or behind.
LANE_SHARES = (0.0, -0.3, 0.3)


@kernel
def lane_of_crossing(rows, crossing, line, track, way):
    """Return which of the rows has the `zone` in which a vehicle went over a line; -1 for none.

    Outlines of lanes often end at the line, or a little before it.
    """
    lane = -1
    for share in LANE_SHARES:
        if lane < 0:
            aside = share * way * (track["y2_px"] - track["y1_px"])
            lane = zone_at(rows, crossing["x_px"] + aside * line["nx"], crossing["y_px"] + aside * line["ny"])
    return lane


@kernel
def passages_reset(passages):
    """Forget who went before: what comes next has no leader."""
    for k in range(len(passages["row"])):
        passages["row"][k]["used"] = 0


@kernel
def passage_add(passages, track_id, front_s, lane, way):
    """Remember a front that has crossed, in place of the oldest; return where."""
    at = passages["told"] % FRONTS
    passages["told"] += 1
    row = passages["row"][at]
    row["used"], row["track_id"], row["front_s"], row["rear_s"] = 1, track_id, front_s, math.nan
    row["lane"], row["way"] = lane, way
    return at


@kernel
def passage_leader(passages, front_s, lane, way):
    """Return (front, rear): when the last vehicle before this one crossed in its lane and way, s; NaN for unknown."""
    found = -1
    for k in range(len(passages["row"])):
        row = passages["row"][k]
        if row["used"] == 0 or row["lane"] != lane or row["way"] != way or not row["front_s"] < front_s:
            continue
        if found < 0 or row["front_s"] > passages["row"][found]["front_s"]:
            found = k
    if found < 0:
        return math.nan, math.nan
    return passages["row"][found]["front_s"], passages["row"][found]["rear_s"]
