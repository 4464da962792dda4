"""How long and how far a road user has been in a place, short absences forgiven."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.heading import PLACE, place_keep, way_since

#: A stay: since when, the time and the way spent inside, when it was inside last. `present`: the stay goes on,
#: `inside`: the row before was inside. `suspended`: the last code of REASONS since it began, for which geometry is not
#: trusted.
STAY = np.dtype(
    [
        ("last", PLACE),
        ("since_s", "<f8"),
        ("inside_s", "<f8"),
        ("way_m", "<f8"),
        ("seen_s", "<f8"),
        ("present", "<u1"),
        ("inside", "<u1"),
        ("suspended", "<u1"),
    ]
)


@kernel
def stay_reset(stay):
    """Forget a track: it is nowhere."""
    stay["present"], stay["inside"], stay["last"]["known"] = 0, 0, 0


@kernel
def stay_step(stay, track, inside, leave_s, suspended, box_height_m):
    """Take a row of a road user that is `inside` the place or not; the stay ends after `leave_s` outside.

    Time in which it was hidden counts when it was inside before and after.
    """
    if not inside:
        if stay["present"] != 0 and track["time_s"] - stay["seen_s"] > leave_s:
            stay["present"] = 0
    elif stay["inside"] != 0:
        dx, dy, _ = way_since(stay["last"], track, box_height_m)
        stay["inside_s"] += track["time_s"] - stay["last"]["time_s"]
        stay["way_m"] += math.hypot(dx, dy)
    elif stay["present"] == 0 or track["time_s"] - stay["seen_s"] > leave_s:
        stay["present"], stay["suspended"] = 1, 0
        stay["since_s"], stay["inside_s"], stay["way_m"] = track["time_s"], 0.0, 0.0
    if inside:
        stay["seen_s"] = track["time_s"]
    if suspended != 0:
        stay["suspended"] = suspended
    stay["inside"] = inside
    place_keep(stay["last"], track, box_height_m)
