"""When a moving point has crossed a line for good: the primitive that counts, movements and violations share.

A crossing is one from a settled side to the other side, settled there: outside a dead band for a time. Jitter on the
line, a stop on it or a step back over it is no crossing. Its time is interpolated between the two observed points
either side of the line, so it does not depend on the frame rate: in metres where the point is one of a course on the
road, which is smooth, else in pixels with the help of the points around.
"""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.course import ACCEL_SD
from kernels.geometry import line_offset_m
from kernels.records import AT_EDGE, ENDED

#: Offsets that are kept; enough for FIT_S at 100 frames/s.
SAMPLES = 32

#: Where one track stands to one line. `side` is the settled side (0: none yet), `pending` the side it may settle on
#: since `pending_s`; the last passage through the line lies at `time_s` if `inside` its ends. `near`: it has crossed
#: and not been well away from the line since. `known`: the point is that of a front or rear that can be told from the
#: foot point; `last_m` is its last offset in metres, NaN for none. `first_*`: where the foot point was first.
#: `speed_*`: in the row of the last passage. `lean_px_s`: the offset towards the settled side, summed over the time
#: since the point was last beyond the dead band there; `lean_most_px_s`: that at the passage that is kept. `fit`: sums
#: of the offsets around that passage, of 1, t, t^2, t^3, t^4, o, t o, t^2 o, with t in units of FIT_S since it.
CROSSING = np.dtype(
    [
        ("time_s", "<f8"),
        ("pending_s", "<f8"),
        ("x_px", "<f4"),
        ("y_px", "<f4"),
        ("last_x_px", "<f4"),
        ("last_y_px", "<f4"),
        ("side", "<i1"),
        ("pending", "<i1"),
        ("inside", "<u1"),
        ("bridged", "<u1"),
        ("near", "<u1"),
        ("known", "<u1"),
        ("crossed", "<u1"),
        ("first_s", "<f8"),
        ("first_x_px", "<f4"),
        ("first_y_px", "<f4"),
        ("last_m", "<f8"),
        ("lean_px_s", "<f8"),
        ("lean_most_px_s", "<f8"),
        ("speed_mps", "<f4"),
        ("speed_sd_mps", "<f4"),
        ("samples", "<u4"),
        ("sample_s", "<f8", (SAMPLES,)),
        ("sample_px", "<f8", (SAMPLES,)),
        ("fit", "<f8", (8,)),
    ]
)

#: The time of a passage is that of a parabola (steady acceleration) through the offsets seen so long before and after
#: it.
FIT_S = 0.3
#: The fit may move the passage by so much at most; beyond, the motion was no such thing.
FIT_MOVE_S = 0.1
#: A front that can be told only now was where the foot point was, one vehicle further, for so long at most.
UNKNOWN_S = 1.0
#: The speed at a passage is told from that of a row so much later at most; else it is that of the passage's own row.
SPEED_BACK_S = 0.6
#: Of two passages before which the offsets sum up to the same the later one counts.
TIE_PX_S = 1e-6

#: After a crossing the line is armed again once the point has been so many dead bands beyond it: a box that flickers
#: near the line it has just crossed does not cross back.
REARM_BANDS = 2.5

#: The point of a road user whose passage counts.
ANCHORS = ("foot", "centre", "front", "rear")
FOOT, CENTRE, FRONT, REAR = range(4)


@kernel
def crossing_reset(state):
    """Forget a track: no side, no passage."""
    state["side"] = 0
    state["pending"] = 0
    state["inside"] = 0
    state["bridged"] = 0
    state["near"] = 0
    state["samples"] = 0
    state["known"] = 0
    state["crossed"] = 0
    state["pending_s"] = 0.0
    state["time_s"] = 0.0
    state["last_m"] = math.nan
    state["lean_px_s"], state["lean_most_px_s"] = 0.0, 0.0
    state["fit"][:] = 0.0


@kernel
def line_offset(line, x, y):
    """Return the signed distance of a point from the line in px, positive on the side its normal points to."""
    return (x - line["x1_px"]) * line["nx"] + (y - line["y1_px"]) * line["ny"]


@kernel
def within_ends(line, x, y):
    """Say whether the point's foot on the line lies between its ends."""
    dx = line["x2_px"] - line["x1_px"]
    dy = line["y2_px"] - line["y1_px"]
    along = (x - line["x1_px"]) * dx + (y - line["y1_px"]) * dy
    return 0.0 <= along <= dx * dx + dy * dy


@kernel
def sample_add(state, time_s, offset_px):
    """Keep one more offset from the line; the last SAMPLES are kept."""
    at = state["samples"] % SAMPLES
    state["sample_s"][at] = time_s
    state["sample_px"][at] = offset_px
    state["samples"] += 1


@kernel
def fit_begin(state):
    """Begin the fit of a passage at `time_s` with the offsets that are kept."""
    state["fit"][:] = 0.0
    for k in range(min(state["samples"], SAMPLES)):
        fit_add(state, state["sample_s"][k], state["sample_px"][k])


@kernel
def fit_add(state, time_s, offset_px):
    """Take an offset into the fit of the passage, where it lies near it."""
    t, part = (time_s - state["time_s"]) / FIT_S, 1.0
    if abs(t) > 1.0:
        return
    for k in range(5):
        state["fit"][k] += part
        if k < 3:
            state["fit"][5 + k] += part * offset_px
        part *= t


@kernel
def passage_s(state):
    """Return the time of the last passage in s: of a least-squares parabola through the offsets around it.

    A box's edge is noisy by more than a slow road user moves in a frame; several offsets know better than two, and with
    a steady acceleration they may be of a start from rest. Where fewer than four are near, or the parabola has its zero
    elsewhere, it is the passage between the two points.
    """
    n, t, tt, ttt, tttt = state["fit"][0], state["fit"][1], state["fit"][2], state["fit"][3], state["fit"][4]
    o, to, tto = state["fit"][5], state["fit"][6], state["fit"][7]
    # Cramer's rule for the offset, its slope and its bend; the determinant is positive where three times are distinct.
    c = o * (tt * tttt - ttt * ttt) - to * (t * tttt - tt * ttt) + tto * (t * ttt - tt * tt)
    b = n * (to * tttt - tto * ttt) - t * (o * tttt - tto * tt) + tt * (o * ttt - to * tt)
    a = n * (tt * tto - ttt * to) - t * (t * tto - ttt * o) + tt * (t * to - tt * o)
    root = b * b - 4.0 * a * c
    if n < 4.0 or root < 0.0:
        return state["time_s"]
    slope = abs(b) + math.sqrt(root)
    if abs(c) * 2.0 * FIT_S >= FIT_MOVE_S * slope:
        return state["time_s"]
    return state["time_s"] - math.copysign(2.0 * c * FIT_S / slope, b * c)


@kernel
def end_now(line, track, anchor):
    """Return (x, y) in px of a road user's front or rear, and its offset from the line in m, NaN where that is unknown.

    The offset of a foot point is left out: it is not smooth.
    """
    x, y = track["front_x_px"], track["front_y_px"]
    x_m, y_m = float(track["front_x_m"]), float(track["front_y_m"])
    if anchor == REAR:
        x, y = track["rear_x_px"], track["rear_y_px"]
        x_m, y_m = float(track["rear_x_m"]), float(track["rear_y_m"])
    if line["nx_m"] * line["nx_m"] + line["ny_m"] * line["ny_m"] > 0.5 and told_apart(track):
        return x, y, line_offset_m(line, x_m, y_m)
    return x, y, math.nan


@kernel
def told_apart(track):
    """Say whether a road user's front and rear are told from its foot point."""
    return track["front_x_px"] != track["rear_x_px"] or track["front_y_px"] != track["rear_y_px"]


@kernel
def end_before(state, track, anchor):
    """Return (time, x, y) in s and px of a road user's front or rear at its step before.

    At its first row, or when they can be told from the foot point only now (or no longer), it has moved as the foot
    point did: for the last second or so, unless it has crossed in it. What was seen of the other point is forgotten.
    """
    x, y = track["front_x_px"], track["front_y_px"]
    if anchor == REAR:
        x, y = track["rear_x_px"], track["rear_y_px"]
    known, same = told_apart(track), state["samples"] != 0 and (state["known"] != 0) == told_apart(track)
    if state["samples"] == 0 or (same and not known and track["time_s"] - state["first_s"] > UNKNOWN_S):
        state["first_s"] = track["prev_time_s"]
        state["first_x_px"], state["first_y_px"] = track["prev_foot_x_px"], track["prev_foot_y_px"]
    if same:
        return track["prev_time_s"], state["last_x_px"], state["last_y_px"]
    early = known and state["crossed"] == 0 and track["time_s"] - state["first_s"] <= UNKNOWN_S
    crossed = state["crossed"]
    crossing_reset(state)
    state["known"], state["crossed"] = known, crossed
    x, y = x - track["foot_x_px"], y - track["foot_y_px"]
    if early:
        return state["first_s"], x + state["first_x_px"], y + state["first_y_px"]
    return track["prev_time_s"], x + track["prev_foot_x_px"], y + track["prev_foot_y_px"]


@kernel
def crossing_step(state, line, track, anchor, settle_s, band_px, band_share):
    """Follow one track against one line; return +1 or -1 (along or against the normal) when a crossing has settled.

    `track` is a TRACK row. The dead band is `band_px`, or `band_share` of the box height where that is more. A track
    that ends on its new side settles at once: nothing more will come of it. After a crossing the next one counts only
    when the point has been well away from the line in between.
    """
    x, y = track["foot_x_px"], track["foot_y_px"]
    x0, y0 = track["prev_foot_x_px"], track["prev_foot_y_px"]
    if anchor == CENTRE:
        x, y = 0.5 * (track["x1_px"] + track["x2_px"]), 0.5 * (track["y1_px"] + track["y2_px"])
        x0, y0 = track["prev_centre_x_px"], track["prev_centre_y_px"]
    before_s, before_m, now_m = track["prev_time_s"], math.nan, math.nan
    if anchor in (FRONT, REAR):
        before_s, x0, y0 = end_before(state, track, anchor)
        x, y, now_m = end_now(line, track, anchor)
        before_m = state["last_m"]
        state["last_x_px"], state["last_y_px"], state["last_m"] = x, y, now_m
    band = max(band_px, band_share * (track["y2_px"] - track["y1_px"]))
    ended = (track["flags"] & ENDED) != 0
    offset = line_offset(line, x, y)
    if offset * state["side"] > REARM_BANDS * band:
        state["near"] = 0
    if ended:
        # No more evidence will come: the last side holds from closer to the line.
        band = max(band_px, band / REARM_BANDS)
    if not ended and x0 == x0:
        offset0 = line_offset(line, x0, y0)
        if state["samples"] == 0:
            sample_add(state, before_s, offset0)
        sample_add(state, track["time_s"], offset)
        if state["side"] == 0 and abs(offset0) > band:
            state["side"] = 1 if offset0 > 0.0 else -1
        through = (offset0 > 0.0) != (offset > 0.0)
        if through and state["side"] != 0:
            # Who stands in the dead band shakes through the line for long. It has passed where, all in all, it was on
            # the old side before and on the new one after: where the sum of its offsets is greatest.
            through = (offset > 0.0) != (state["side"] > 0) and state["lean_px_s"] > state["lean_most_px_s"] - TIE_PX_S
        if through:
            state["lean_most_px_s"] = max(state["lean_px_s"], state["lean_most_px_s"])
            part = offset0 / (offset0 - offset)
            if before_m * now_m < 0.0:
                part = before_m / (before_m - now_m)
            state["time_s"] = before_s + (track["time_s"] - before_s) * part
            state["x_px"] = x0 + (x - x0) * part
            state["y_px"] = y0 + (y - y0) * part
            state["inside"] = within_ends(line, state["x_px"], state["y_px"])
            state["speed_mps"], state["speed_sd_mps"] = track["speed_mps"], track["speed_sd_mps"]
            state["bridged"] = track["flags"]
            fit_begin(state)
        else:
            fit_add(state, track["time_s"], offset)
        state["lean_px_s"] += 0.5 * (offset0 + offset) * state["side"] * (track["time_s"] - before_s)
        if offset * state["side"] > band:
            state["lean_px_s"], state["lean_most_px_s"] = 0.0, 0.0
    here = 0
    if offset > band:
        here = 1
    elif offset < -band:
        here = -1
    if here == 0 or here == state["side"]:
        # Leaving the frame over a line at its edge: the box is cut, its foot point stays within the band for ever.
        cut = ended and (track["flags"] & AT_EDGE) != 0 and state["side"] != 0 and here == 0
        if not (cut and (offset > 0.0) != (state["side"] > 0)):
            state["pending"] = 0
            return 0
        here = -state["side"]
        state["pending_s"] = track["time_s"]
    elif state["pending"] != here:
        state["pending"] = here
        state["pending_s"] = track["time_s"]
    if not ended and track["time_s"] - state["pending_s"] < settle_s:
        return 0
    before = state["side"]
    state["side"] = here
    state["pending"] = 0
    state["lean_px_s"], state["lean_most_px_s"] = 0.0, 0.0
    if before == 0 or state["inside"] == 0:
        return 0
    state["inside"] = 0
    if state["near"] != 0:
        return 0
    state["near"] = abs(offset) <= REARM_BANDS * band
    state["crossed"] = 1
    if state["known"] == 0:
        state["time_s"] = passage_s(state)
    return here


@kernel
def direction_code(line, way):
    """Return the index into DIRECTIONS of a crossing along (+1) or against (-1) the line's normal."""
    base = 0
    if line["has_flow"] == 0:
        base = 4 if line["upright"] != 0 else 2
    return base + (0 if way > 0 else 1)


@kernel
def speed_at(track, time_s, scale_sd):
    """Return (speed, deviation) in m/s of a TRACK row's road user at a moment shortly before; NaN where withheld.

    What was seen since tells of that moment too. How much follows from the steady state of the fit, whose covariance of
    speed and acceleration is 2 q^2 / w^2 and 2 q^2 / w for a variance of speed 3 q^2 / w^3 (q: ACCEL_SD); the ground's
    scale (`scale_sd`, a share) is as unsure then as now.
    """
    speed, sd = float(track["speed_mps"]), float(track["speed_sd_mps"])
    accel_mps2, back_s = float(track["accel_mps2"]), track["time_s"] - time_s
    scale = scale_sd * speed * scale_sd * speed
    own = sd * sd - scale
    if not (accel_mps2 == accel_mps2 and own > 0.0 and back_s > 0.0):
        return speed, sd
    q = ACCEL_SD * ACCEL_SD
    w = (3.0 * q / own) ** (1.0 / 3.0)
    told_s = min(back_s, 1.0 / w)
    own += told_s * (told_s * 2.0 * q / w - 4.0 * q / (w * w))
    return max(speed - accel_mps2 * back_s, 0.0), math.sqrt(own + scale)
