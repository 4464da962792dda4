"""Who drives behind whom, and how closely: the leader on one's own way, the gap to it, and since when it is so."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.footprint import reach_m
from kernels.records import CALIBRATION, NO_REASON
from kernels.verdict import REPEAT_S, verdict

#: A run of a follower close behind one leader: its first and last row, its way, its least time gap and what was then,
#: of rows that bear a judgement (`clear`) where there are any; since when the gap is surely too small, and how long and
#: far it was at most; why rows of it do not count (`reason`), and why its last one could not (`late`).
CLOSE = np.dtype(
    [
        ("since_s", "<f8"),
        ("last_s", "<f8"),
        ("seen_s", "<f8"),
        ("told_s", "<f8"),
        ("sure_s", "<f8"),
        ("sure_held_s", "<f8"),
        ("sure_way_m", "<f8"),
        ("sure_from_m", "<f8"),
        ("way_m", "<f8"),
        ("least_s", "<f8"),
        ("gap_s", "<f8"),
        ("gap_m", "<f8"),
        ("gap_sd_m", "<f8"),
        ("limit_m", "<f8"),
        ("speed_mps", "<f8"),
        ("speed_sd_mps", "<f8"),
        ("leader", "<u4"),
        ("told", "<u4"),
        ("runs", "<u1"),
        ("reason", "<u1"),
        ("late", "<u1"),
        ("clear", "<u1"),
        ("leader_slot", "<u2"),
    ]
)

#: Leader and follower point the same way within 30 degrees.
SAME_WAY = math.cos(math.radians(30.0))
#: Rows further apart break a run: what was between is not known.
BREAK_S = 1.0


@kernel
def close_reset(close):
    """Forget a follower's leader and run."""
    close["leader"], close["runs"], close["seen_s"], close["told_s"] = 0, 0, -np.inf, -np.inf


@kernel
def gap_ahead(a, b):
    """Return the gap (m) from a FOOTPRINT's front to the rear of another ahead on its way, inf for one that is not.

    On its way: it points the same way, and their widths overlap across the way.
    """
    ux, uy = a["ux"], a["uy"]
    if ux * b["ux"] + uy * b["uy"] < SAME_WAY:
        return math.inf
    dx, dy = b["x_m"] - a["x_m"], b["y_m"] - a["y_m"]
    along, across = dx * ux + dy * uy, abs(dx * uy - dy * ux)
    if along <= 0.0 or across >= reach_m(a, -uy, ux) + reach_m(b, -uy, ux):
        return math.inf
    return max(along - a["half_length_m"] - reach_m(b, ux, uy), 0.0)


@kernel
def leader_of(footprints, n, i, range_m):
    """Return (index, gap in m) of the nearest of `n` FOOTPRINTs ahead of the i-th within `range_m`; (-1, inf): none."""
    found, least_m = -1, math.inf
    a = footprints[i]
    for k in range(n):
        b = footprints[k]
        dx, dy = b["x_m"] - a["x_m"], b["y_m"] - a["y_m"]
        far_m = range_m + a["half_length_m"] + b["half_length_m"]
        # Far away or behind: most of them, told at once.
        if k == i or dx * a["ux"] + dy * a["uy"] <= 0.0 or dx * dx + dy * dy > far_m * far_m:
            continue
        gap_m = gap_ahead(a, b)
        if gap_m < least_m and gap_m <= range_m:
            found, least_m = k, gap_m
    return found, least_m


@kernel
def close_follow(close, track, leader, leader_slot):
    """Note who leads now (a track id, 0 for nobody); another one, or a break, begins anew."""
    time_s = track["time_s"]
    if leader != close["leader"] or time_s - close["seen_s"] > BREAK_S:
        close["leader"], close["leader_slot"], close["runs"] = leader, leader_slot, 0
    close["seen_s"] = time_s


@kernel
def close_step(close, track, gap_m, gap_sd_m, limit_m, reason, late):
    """Take a row with a gap below its limit (m) into the run behind one leader; surely below is by two deviations.

    A row with a `reason` is no evidence. `late` says why the two cannot be judged yet: it passes as they get older.
    """
    now, speed_mps = track["time_s"], float(track["speed_mps"])
    if close["runs"] == 0:
        close["runs"], close["since_s"], close["last_s"], close["way_m"] = 1, now, now, 0.0
        close["clear"], close["least_s"], close["reason"], close["sure_s"] = 0, math.inf, NO_REASON, math.nan
        close["sure_held_s"], close["sure_way_m"] = 0.0, 0.0
    close["way_m"] += speed_mps * (now - close["last_s"])
    close["last_s"], close["late"] = now, late
    clear = reason == NO_REASON
    if not clear:
        close["reason"] = reason
    if clear and gap_m + 2.0 * gap_sd_m < limit_m:
        if math.isnan(close["sure_s"]):
            close["sure_s"], close["sure_from_m"] = now, close["way_m"]
        close["sure_held_s"] = max(close["sure_held_s"], now - close["sure_s"])
        close["sure_way_m"] = max(close["sure_way_m"], close["way_m"] - close["sure_from_m"])
    else:
        close["sure_s"] = math.nan
    gap_s = gap_m / speed_mps
    better = clear and close["clear"] == 0
    same = clear == (close["clear"] != 0)
    if better or close["least_s"] == math.inf or (same and gap_s < close["gap_s"]):
        close["clear"] = clear
        close["least_s"], close["gap_s"], close["gap_m"], close["gap_sd_m"] = now, gap_s, gap_m, gap_sd_m
        close["limit_m"], close["speed_mps"], close["speed_sd_mps"] = limit_m, speed_mps, track["speed_sd_mps"]


@kernel
def close_end(close, event, track, held_min_s, way_min_m):
    """End a run; fill its event where it was long enough and was not told of just now, and say whether.

    It is judged by now, when both are as old and as well seen as they got. Where it was surely too close for less than
    that, it cannot be.
    """
    close["runs"] = 0
    held_s = close["last_s"] - close["since_s"]
    again = close["told"] == close["leader"] and close["since_s"] - close["told_s"] < REPEAT_S
    if again or (held_s < held_min_s and close["way_m"] < way_min_m):
        return False
    close["told"], close["told_s"] = close["leader"], close["last_s"]
    reason = close["late"]
    if close["sure_held_s"] < held_min_s and close["sure_way_m"] < way_min_m:
        if close["reason"] != NO_REASON:
            reason = close["reason"]
        elif reason == NO_REASON:
            reason = CALIBRATION
    verdict(event, track, close["least_s"], reason)
    event["speed_mps"], event["speed_sd_mps"] = close["speed_mps"], close["speed_sd_mps"]
    event["leader_track_id"], event["held_s"], event["way_m"] = close["leader"], held_s, min(close["way_m"], 65535.0)
    event["gap_s"], event["gap_m"], event["limit_m"] = close["gap_s"], close["gap_m"], close["limit_m"]
    return True
