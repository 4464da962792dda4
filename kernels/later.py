"""Road users as they were a moment ago: place and velocity by a fit over what was seen before and after.

A filter that runs with time learns of braking only as it goes on, so closing speeds lag; what may be told later is
better told from both sides (a local quadratic, W. S. Cleveland, "Robust locally weighted regression", JASA 74, 1979).
"""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.records import CLOCK, ENDED, MAX_TRACKS, TRACK
from kernels.track import SPEED_MAX_MPS

#: So much before and after (s) is fitted, and two sightings on either side, where they are not further away than
#: APART_S.
WIDE_S, APART_S = 0.4, 1.0
SIDE = 2
#: Frames that are kept: at higher rates than 75 a second the fit spans less time.
KEEP = 64

#: The last frames in a ring of which `pushed` were put in and `done` are told of: each slot's row of a frame and
#: whether there is one. `out` are the `n` rows of the frame told last, `now` is its clock.
LATER = np.dtype(
    [
        ("clock", CLOCK, (KEEP,)),
        ("rows", TRACK, (KEEP, MAX_TRACKS)),
        ("has", "<u1", (KEEP, MAX_TRACKS)),
        ("out", TRACK, (MAX_TRACKS,)),
        ("now", CLOCK),
        ("pushed", "<i8"),
        ("done", "<i8"),
        ("n", "<i4"),
        ("spare", "<i4"),
    ]
)


@kernel
def later_push(later, tracks, clock):
    """Keep a frame."""
    at = later["pushed"] % KEEP
    later["clock"][at] = clock
    has, rows = later["has"][at], later["rows"][at]
    for k in range(MAX_TRACKS):
        has[k] = 0
    for i in range(len(tracks)):
        slot = tracks[i]["slot"]
        rows[slot] = tracks[i]
        has[slot] = 1
    later["pushed"] += 1


@kernel
def later_reset(later):
    """Forget all frames."""
    later["pushed"], later["done"], later["n"] = 0, 0, 0


@kernel
def later_due(later, ends):
    """Say whether the oldest frame that was not told of can be: enough is known of after it, or nothing follows."""
    waiting = later["pushed"] - later["done"]
    if waiting <= 0:
        return False
    if ends:
        return True
    first = later["clock"][later["done"] % KEEP]["time_s"]
    last = later["clock"][(later["pushed"] - 1) % KEEP]["time_s"]
    wide = waiting > SIDE and last - first >= WIDE_S - 1e-6
    return wide or waiting >= KEEP // 2


@kernel
def later_next(later):
    """Tell of the oldest frame that was not told of: fill `out` and `now` with it as it is seen from today."""
    n, frame = 0, later["done"]
    at = frame % KEEP
    later["now"] = later["clock"][at]
    for slot in range(MAX_TRACKS):
        if later["has"][at, slot] != 0:
            later["out"][n] = later["rows"][at, slot]
            if later["out"][n]["flags"] & ENDED == 0:
                later_fit(later, frame, slot, later["out"][n])
            n += 1
    later["n"], later["done"] = n, frame + 1


@kernel
def later_fit(later, frame, slot, row):
    """Put a row where a quadratic through the middles seen around it is, with its velocity; NaN where none can be."""
    own = later["rows"][frame % KEEP, slot]
    x0 = 0.5 * (float(own["front_x_m"]) + own["rear_x_m"])
    y0 = 0.5 * (float(own["front_y_m"]) + own["rear_y_m"])
    one, t1, t2, t3, t4 = 1.0, 0.0, 0.0, 0.0, 0.0
    x, xt, xtt, y, yt, ytt = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    least = max(later["pushed"] - KEEP, 0)
    enough = x0 == x0 and y0 == y0
    for side in range(2):
        step, found = 2 * side - 1, 0
        other = frame + step
        while least <= other < later["pushed"]:
            at = other % KEEP
            t = later["clock"][at]["time_s"] - own["time_s"]
            if abs(t) > (WIDE_S + 1e-6 if found >= SIDE else APART_S):
                break
            seen = later["rows"][at, slot]
            dx = 0.5 * (float(seen["front_x_m"]) + seen["rear_x_m"]) - x0
            dy = 0.5 * (float(seen["front_y_m"]) + seen["rear_y_m"]) - y0
            here = later["has"][at, slot] != 0 and seen["id"] == own["id"] and seen["flags"] & ENDED == 0
            if here and dx == dx and dy == dy:
                found += 1
                one, t1, t2, t3, t4 = one + 1.0, t1 + t, t2 + t * t, t3 + t**3, t4 + t**4
                x, xt, xtt = x + dx, xt + t * dx, xtt + t * t * dx
                y, yt, ytt = y + dy, yt + t * dy, ytt + t * t * dy
            other += step
        enough = enough and found >= SIDE
    row["vx_mps"], row["vy_mps"], row["speed_mps"] = math.nan, math.nan, math.nan
    if not enough:
        return
    # Cramer's rule on the normal equations of place and velocity.
    a, b, c = t2 * t4 - t3 * t3, t1 * t4 - t2 * t3, t1 * t3 - t2 * t2
    d, e, f = one * t4 - t2 * t2, one * t3 - t1 * t2, one * a - t1 * b + t2 * c
    if not f > 0.0:
        return
    vx, vy = (d * xt - b * x - e * xtt) / f, (d * yt - b * y - e * ytt) / f
    if not math.hypot(vx, vy) <= SPEED_MAX_MPS:
        return
    dx, dy = (a * x - b * xt + c * xtt) / f, (a * y - b * yt + c * ytt) / f
    row["vx_mps"], row["vy_mps"], row["speed_mps"] = vx, vy, math.hypot(vx, vy)
    row["foot_x_m"] += dx
    row["front_x_m"] += dx
    row["rear_x_m"] += dx
    row["foot_y_m"] += dy
    row["front_y_m"] += dy
    row["rear_y_m"] += dy
