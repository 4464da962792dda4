"""When two road users' footprints meet, if both go on as they do now: time to contact, and how bad that is."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.footprint import reach_m
from kernels.records import CROSSING_PATHS, LANE_CHANGE, REAR_END

#: Angles between two headings (degrees) up to which an encounter is of a kind (SSAM).
REAR_END_DEG, LANE_CHANGE_DEG = 30.0, 85.0
#: Below these (s) a time to contact or a post-encroachment time is of severity 1, 2, 3.
SEVERITY_S = (1.5, 1.0, 0.5)
#: So many moments are looked at on curved ways.
ARC_STEPS = 24


@kernel
def contact_window(a, b, shrink_m):
    """Return (enter, leave) in s from now: when two FOOTPRINTs overlap at constant velocity; (inf, inf) for never.

    Exact, by separating axes: along each side of either rectangle the overlap lasts for one interval, and they overlap
    while all four do. Either is taken `shrink_m` smaller all round. Touching is no overlap. Negative is past.
    """
    dx, dy = b["x_m"] - a["x_m"], b["y_m"] - a["y_m"]
    vx, vy = b["vx_mps"] - a["vx_mps"], b["vy_mps"] - a["vy_mps"]
    enter, leave = -math.inf, math.inf
    for k in range(4):
        one = a if k < 2 else b
        nx, ny = one["ux"], one["uy"]
        if nx == 0.0 and ny == 0.0:
            nx = 1.0
        if k % 2 == 1:
            nx, ny = -ny, nx
        reach = reach_m(a, nx, ny) + reach_m(b, nx, ny) - 2.0 * shrink_m
        at, speed = dx * nx + dy * ny, vx * nx + vy * ny
        if abs(speed) < 1e-9:
            if not abs(at) < reach:
                return math.inf, math.inf
            continue
        first, last = (-reach - at) / speed, (reach - at) / speed
        if speed < 0.0:
            first, last = last, first
        enter, leave = max(enter, first), min(leave, last)
    if not enter < leave:
        return math.inf, math.inf
    return enter, leave


@kernel
def on_arc(footprint, turn_rps, after_s):
    """Return (x, y, ux, uy) of a footprint `after_s` later that turns at a constant rate (rad/s, to the left)."""
    x, y, ux, uy = footprint["x_m"], footprint["y_m"], footprint["ux"], footprint["uy"]
    vx, vy = footprint["vx_mps"], footprint["vy_mps"]
    angle = turn_rps * after_s
    c, s = math.cos(angle), math.sin(angle)
    along, across = after_s, 0.0
    if abs(angle) > 1e-6:
        along, across = s / turn_rps, (1.0 - c) / turn_rps
    return x + vx * along - vy * across, y + vy * along + vx * across, ux * c - uy * s, ux * s + uy * c


@kernel
def arcs_meet(a, turn_a_rps, b, turn_b_rps, until_s):
    """Say whether two footprints that turn at constant rates overlap at one of ARC_STEPS moments up to `until_s`."""
    for k in range(ARC_STEPS + 1):
        after_s = until_s * k / ARC_STEPS
        ax, ay, aux, auy = on_arc(a, turn_a_rps, after_s)
        bx, by, bux, buy = on_arc(b, turn_b_rps, after_s)
        dx, dy = bx - ax, by - ay
        cos, sin = abs(aux * bux + auy * buy), abs(aux * buy - auy * bux)
        al, aw, bl, bw = a["half_length_m"], a["half_width_m"], b["half_length_m"], b["half_width_m"]
        apart = abs(dx * aux + dy * auy) >= al + bl * cos + bw * sin
        apart = apart or abs(dx * auy - dy * aux) >= aw + bl * sin + bw * cos
        apart = apart or abs(dx * bux + dy * buy) >= bl + al * cos + aw * sin
        if not (apart or abs(dx * buy - dy * bux) >= bw + al * sin + aw * cos):
            return True
    return False


@kernel
def encounter_angle(aux, auy, bux, buy):
    """Return the angle (degrees, 0 to 180) between two headings, NaN where one is unknown."""
    if (aux == 0.0 and auy == 0.0) or (bux == 0.0 and buy == 0.0):
        return math.nan
    return abs(math.degrees(math.atan2(aux * buy - auy * bux, aux * bux + auy * buy)))


@kernel
def encounter_kind(angle_deg):
    """Return the code of ENCOUNTERS for an angle; who stands with an unknown heading is run into from behind."""
    if not angle_deg >= REAR_END_DEG:
        return REAR_END
    return LANE_CHANGE if angle_deg <= LANE_CHANGE_DEG else CROSSING_PATHS


@kernel
def severity(ttc_s, pet_s):
    """Return how serious a conflict is, 0 (over every threshold) to 3; NaN is none."""
    found = 0
    for k in range(len(SEVERITY_S)):
        if ttc_s < SEVERITY_S[k] or pet_s < SEVERITY_S[k]:
            found = k + 1
    return found


@kernel
def ttc_sd(ttc_s, closing_mps, position_sd_m, speed_sd_mps):
    """Return the standard deviation (s) of a time to contact from those of the distance and of the closing speed."""
    if not closing_mps > 0.0:
        return math.nan
    return math.hypot(position_sd_m, ttc_s * speed_sd_mps) / closing_mps


#: Estimates of when two meet: the latest in the time slice that runs and in the one before it.
HOLD = np.dtype([("start_s", "<f8"), ("last_s", "<f8"), ("now_s", "<f8"), ("before_s", "<f8")])
#: Two slices so long must agree; after so long without an estimate they begin anew.
SLICE_S, FORGET_S = 0.1, 1.5


@kernel
def hold_reset(hold):
    """Forget all estimates."""
    hold["last_s"] = -math.inf


@kernel
def hold_step(hold, time_s, contact_s):
    """Take an estimate of the moment of contact (stream s, inf for none) and return the time to it that holds, in s.

    That is the latest of the last 0.1 to 0.2 s and of two observations at least, so that one noisy frame makes none.
    Moments are compared, not times to them: at constant velocity they stay the same, so nothing lags.
    """
    if time_s - hold["last_s"] > FORGET_S:
        hold["start_s"], hold["now_s"], hold["before_s"] = time_s, contact_s, math.inf
    elif time_s - hold["start_s"] >= SLICE_S - 1e-6:
        hold["start_s"], hold["before_s"], hold["now_s"] = time_s, hold["now_s"], contact_s
    else:
        hold["now_s"] = max(hold["now_s"], contact_s)
    hold["last_s"] = time_s
    return max(max(hold["now_s"], hold["before_s"]) - time_s, 0.0)
