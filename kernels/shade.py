"""Which parts of a lane nobody could be seen in: behind the lower halves of the road users that are.

A line of sight past the middle of a box meets the road behind its road user. Nearer than that, one as high is more than
half hidden, and no detector can be asked for it. Parts are cells along the lane's flow.
"""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel

#: Cells of a lane: below a metre each in lanes of up to a hundred.
CELLS = 128

#: What is known of each cell: nothing is there, nothing could be seen there, somebody is there.
SHADE = np.dtype([("cell", "<u1", (CELLS,))])
OPEN, HIDDEN, COVERED = range(3)


@kernel
def shade_clear(shade):
    """Begin a moment: the whole lane is seen and empty."""
    for k in range(CELLS):
        shade["cell"][k] = OPEN


@kernel
def shade_fill(shade, low, high, what):
    """Note what is known of the cells whose middles lie between two shares of the lane's length; the most counts."""
    first, last = max(math.ceil(low * CELLS - 0.5), 0), min(math.floor(high * CELLS - 0.5), CELLS - 1)
    for k in range(first, last + 1):
        shade["cell"][k] = max(shade["cell"][k], what)


@kernel
def shade_add(shade, s, track, footprint):
    """Take a road user in the lane in: what it covers, and what it hides."""
    ux, uy, from_m, length_m = s["zone"]["flow_x_m"], s["zone"]["flow_y_m"], s["from_m"], s["length_m"]
    at_m = footprint["x_m"] * ux + footprint["y_m"] * uy - from_m
    half_m = footprint["half_length_m"]
    shade_fill(shade, (at_m - half_m) / length_m, (at_m + half_m) / length_m, COVERED)
    x, y = 0.5 * (float(track["x1_px"]) + float(track["x2_px"])), 0.5 * (float(track["y1_px"]) + float(track["y2_px"]))
    road = s["to_road"]
    depth = road[2, 0] * x + road[2, 1] * y + road[2, 2]
    if not depth > 0.0:  # over the horizon: how far it hides the road is not told
        return
    x_m = (road[0, 0] * x + road[0, 1] * y + road[0, 2]) / depth
    y_m = (road[1, 0] * x + road[1, 1] * y + road[1, 2]) / depth
    to_m = x_m * ux + y_m * uy - from_m
    shade_fill(shade, min(at_m, to_m) / length_m, max(at_m, to_m) / length_m, HIDDEN)


@kernel
def shade_hidden(shade):
    """Return the share of the lane that nobody could be seen in."""
    hidden = 0
    for k in range(CELLS):
        hidden += shade["cell"][k] == HIDDEN
    return hidden / CELLS
