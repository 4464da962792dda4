"""Since when a road user stands: the primitive that stops, queues, parking and incidents share."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel

#: Where a track stands since when. `on_road`: (x, y) are metres on the road, else pixels.
STANDING = np.dtype([("since_s", "<f8"), ("x", "<f4"), ("y", "<f4"), ("known", "<u1"), ("on_road", "<u1")])


@kernel
def standing_reset(state):
    """Forget a track."""
    state["known"] = 0


@kernel
def standing_step(state, track, radius_m, radius_share):
    """Return for how long (s) a road user has stayed in one place, 0 when it has just moved on.

    In one place is within `radius_m` of the point where it came to rest, on the road; without a road point within
    `radius_share` of its box height, in the picture. Time in which it is hidden counts when it is there afterwards.
    """
    on_road = track["foot_x_m"] == track["foot_x_m"]
    x, y, radius = track["foot_x_m"], track["foot_y_m"], radius_m
    if not on_road:
        x, y, radius = track["foot_x_px"], track["foot_y_px"], radius_share * (track["y2_px"] - track["y1_px"])
    same = state["known"] != 0 and (state["on_road"] != 0) == on_road
    if same and math.hypot(x - state["x"], y - state["y"]) <= radius:
        return track["time_s"] - state["since_s"]
    state["known"], state["on_road"] = 1, on_road
    state["x"], state["y"], state["since_s"] = x, y, track["time_s"]
    return 0.0
