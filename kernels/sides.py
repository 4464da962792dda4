"""On which side of a line a whole vehicle is, front and rear, and when it has changed to the other for good."""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel
from kernels.geometry import line_offset_m

#: `side` is the settled side of front and rear (0: none yet), `here` the one they are both on now (0: not both on
#: one), `pending` the one it may change to, since `past_s`. `*_inside`: their last way through the line was between
#: its ends.
SIDE = np.dtype(
    [
        ("past_s", "<f8"),
        ("front_x_m", "<f8"),
        ("front_y_m", "<f8"),
        ("rear_x_m", "<f8"),
        ("rear_y_m", "<f8"),
        ("side", "<i1"),
        ("here", "<i1"),
        ("pending", "<i1"),
        ("front_inside", "<u1"),
        ("rear_inside", "<u1"),
        ("known", "<u1"),
    ]
)


@kernel
def side_reset(state):
    """Forget a track: no side, no way through the line."""
    state["side"], state["here"], state["pending"], state["known"] = 0, 0, 0, 0
    state["front_inside"], state["rear_inside"] = 0, 0


@kernel
def passes_inside(line, x0, y0, x, y):
    """Say how a way on the road meets a line: 1 between its ends, 0 beyond them, -1 not at all."""
    before, after = line_offset_m(line, x0, y0), line_offset_m(line, x, y)
    if (before > 0.0) == (after > 0.0):
        return -1
    part = before / (before - after)
    dx, dy = line["x2_m"] - line["x1_m"], line["y2_m"] - line["y1_m"]
    along = (x0 + part * (x - x0) - line["x1_m"]) * dx + (y0 + part * (y - y0) - line["y1_m"]) * dy
    return 1 if 0.0 <= along <= dx * dx + dy * dy else 0


@kernel
def past_line_m(line, track, side):
    """Return how far in m front and rear both are on a side (+1 or -1) of a line; negative where one is not."""
    front_m = side * line_offset_m(line, float(track["front_x_m"]), float(track["front_y_m"]))
    rear_m = side * line_offset_m(line, float(track["rear_x_m"]), float(track["rear_y_m"]))
    return min(front_m, rear_m)


@kernel
def side_step(state, line, track, past_m, keep_s):
    """Follow one vehicle; return +1 or -1, the new side, when front and rear have changed to it for `keep_s`, else 0.

    They are on a side when both are `past_m` beyond the line. A row without a place on the road says nothing.
    """
    front_x, front_y = float(track["front_x_m"]), float(track["front_y_m"])
    rear_x, rear_y = float(track["rear_x_m"]), float(track["rear_y_m"])
    if not (front_x == front_x and rear_x == rear_x):
        return 0
    if state["known"] != 0:
        way = passes_inside(line, state["front_x_m"], state["front_y_m"], front_x, front_y)
        if way >= 0:
            state["front_inside"] = way
        way = passes_inside(line, state["rear_x_m"], state["rear_y_m"], rear_x, rear_y)
        if way >= 0:
            state["rear_inside"] = way
    state["front_x_m"], state["front_y_m"], state["known"] = front_x, front_y, 1
    state["rear_x_m"], state["rear_y_m"] = rear_x, rear_y
    here = 0
    if past_line_m(line, track, 1.0) >= past_m:
        here = 1
    elif past_line_m(line, track, -1.0) >= past_m:
        here = -1
    state["here"] = here
    if here == 0 or here == state["side"]:
        state["pending"] = 0
        return 0
    if state["side"] == 0:
        state["side"] = here
        return 0
    if state["pending"] != here:
        state["pending"], state["past_s"] = here, track["time_s"]
    if track["time_s"] - state["past_s"] < keep_s:
        return 0
    state["side"], state["pending"] = here, 0
    return here
