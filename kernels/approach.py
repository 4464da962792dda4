"""How slowly a road user came up to a line, and whether all of it was seen: for stops that must be full ones."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.past import front_offset_m
from kernels.records import CALIBRATION, ENDED, IDENTITY, NO_REASON, TRUNCATED

#: So many deviations of a speed must lie above the speed of a stop for it to have been none.
SLOW_SD = 2.0

#: The latest way up to a line: the lowest speed and its deviation, the longest stop, the longest time without a row.
#: `far`: it was seen before the stretch began; `blind`: its speed was withheld in it; `over`: it is beyond the line.
APPROACH = np.dtype(
    [
        ("last_s", "<f8"),
        ("slow_since_s", "<f8"),
        ("low_mps", "<f4"),
        ("low_sd_mps", "<f4"),
        ("stood_s", "<f4"),
        ("gap_s", "<f4"),
        ("track_id", "<u4"),
        ("far", "<u1"),
        ("blind", "<u1"),
        ("over", "<u1"),
    ]
)


@kernel
def approach_reset(own, track, far):
    """Begin a way up to the line at a row."""
    own["track_id"], own["last_s"], own["slow_since_s"] = track["id"], track["time_s"], math.nan
    own["low_mps"], own["low_sd_mps"], own["stood_s"], own["gap_s"] = math.inf, 0.0, 0.0, 0.0
    own["far"], own["blind"], own["over"] = far, 0, 0


@kernel
def approach_step(own, limits, track):
    """Follow a road user's front over the last `stop_m` before the line, up to `past_m` beyond it."""
    if own["track_id"] != track["id"]:
        approach_reset(own, track, 0)
    if (track["flags"] & ENDED) != 0:
        return
    past_m = front_offset_m(limits["line"], track)
    if past_m < -limits["stop_m"]:
        approach_reset(own, track, 1)
        return
    if own["over"] != 0 and past_m != past_m:
        return  # it has left the stretch: where it is now, nobody asks
    speed, time_s = track["speed_mps"], track["time_s"]
    if own["over"] == 0:
        own["gap_s"] = max(own["gap_s"], time_s - own["last_s"])
    own["last_s"], own["over"] = time_s, past_m > limits["past_m"]
    if own["over"] != 0:
        return
    if past_m != past_m or speed != speed:
        own["blind"], own["slow_since_s"] = 1, math.nan
        return
    if speed < own["low_mps"]:
        own["low_mps"], own["low_sd_mps"] = speed, track["speed_sd_mps"]
    if not speed < limits["stop_mps"]:
        own["slow_since_s"] = math.nan
    elif own["slow_since_s"] != own["slow_since_s"]:
        own["slow_since_s"] = time_s
    else:
        own["stood_s"] = max(own["stood_s"], time_s - own["slow_since_s"])


@kernel
def approach_doubt(own, limits):
    """Return why a way up to the line without a full stop in it may have had one, 0 where it had none."""
    if own["far"] == 0:
        return TRUNCATED
    if own["gap_s"] > limits["stop_s"]:
        return IDENTITY
    if own["blind"] != 0 or not own["low_mps"] - SLOW_SD * own["low_sd_mps"] >= limits["stop_mps"]:
        return CALIBRATION
    return NO_REASON
