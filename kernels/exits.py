"""Ways out of a box junction: how much room a vehicle that enters it has beyond it, and whether people stand there."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.crossing import CROSSING
from kernels.footprint import FOOTPRINT, reach_m, zone_share
from kernels.geometry import inside_zone_m
from kernels.records import CLASSES, LINE, ZONE
from kernels.stretch import stretch_axis

#: A way out: a zone or lane, its middle, its axis away from the box, half its width, and how far from its middle along
#: the axis the box ends. A row with `is_line` is a line over which an exempt turn leaves instead.
EXIT = np.dtype(
    [
        ("place", ZONE),
        ("line", LINE),
        ("is_line", "<u1"),
        *((name, "<f8") for name in ("x_m", "y_m", "ux", "uy", "half_width_m", "edge_m")),
    ]
)

#: One road user and one way out: how much room was there when it entered, whether people and no traffic stand there
#: since it stands, and its crossing where this is a line.
ROOM = np.dtype([("crossing", CROSSING), ("free_m", "<f8"), ("people", "<u1")])

#: A road user as the others see it. `still_s`: since when it is near `x_m`, `y_m`.
SEEN = np.dtype(
    [
        ("footprint", FOOTPRINT),
        *((name, "<f8") for name in ("still_s", "x_m", "y_m")),
        ("speed_mps", "<f4"),
        ("track_id", "<u4"),
        ("class_id", "<u1"),
        ("alive", "<u1"),
    ]
)

#: It is on a way out or in the box with more than this share of its footprint.
SHARE_MIN = 0.1
#: Traffic that blocks a way out points within 60 degrees of it.
SAME_WAY = 0.5
#: Steps in which the end of the box is looked for along a way out.
SEARCH_M = 0.1

PERSON = CLASSES.index("person")


def exit_row(box, place):
    """Return EXIT[1] of a ZONE on the way out of another, `box`; `edge_m` is NaN where they are not all road."""
    row = np.zeros(1, EXIT)
    points, box_middle = place["m"][: place["n"]], box["m"][: box["n"]].mean(axis=0)
    middle = points.mean(axis=0)
    ux, uy = stretch_axis(place)
    axis = np.array([ux, uy])
    if np.isnan(place["flow_x_m"]):
        # A zone may be wider than long: of its four ways the one that leads away from the box.
        axis = max(
            (axis, -axis, np.array([-uy, ux]), np.array([uy, -ux])), key=lambda one: np.dot(middle - box_middle, one)
        )
    along = (points - middle) @ axis
    across = (points - middle) @ np.array([-axis[1], axis[0]])
    # Where the box ends on the way out's middle line; where they do not meet there, the way out begins at its own edge.
    first_m, last_m = along.min() - np.ptp(box["m"][: box["n"]], axis=0).max(), along.max()
    steps = np.arange(first_m, last_m, SEARCH_M) if np.isfinite(first_m + last_m) else np.zeros(0)
    inside = [t for t in steps if inside_zone_m(box, middle[0] + t * axis[0], middle[1] + t * axis[1])]
    row["place"], row["x_m"], row["y_m"], row["ux"], row["uy"] = place, middle[0], middle[1], axis[0], axis[1]
    row["half_width_m"], row["edge_m"] = (
        np.ptp(across) / 2.0,
        max(inside, default=first_m if np.isnan(first_m) else along.min()),
    )
    return row


@kernel
def exit_gap_m(way, footprint):
    """Return how far (m) beyond the end of the box the near end of a FOOTPRINT is on a way out; infinite beside it."""
    dx, dy = footprint["x_m"] - way["x_m"], footprint["y_m"] - way["y_m"]
    if abs(dx * way["uy"] - dy * way["ux"]) > way["half_width_m"]:
        return math.inf
    return dx * way["ux"] + dy * way["uy"] - reach_m(footprint, way["ux"], way["uy"]) - way["edge_m"]


@kernel
def blocks(way, box, me, other, creep_mps):
    """Say whether a road user stands or creeps ahead of another on a way out, in it or still in the box."""
    if other["alive"] == 0 or other["track_id"] == me["track_id"] or other["class_id"] == PERSON:
        return False
    its, mine = other["footprint"], me["footprint"]
    ahead = (its["x_m"] - mine["x_m"]) * way["ux"] + (its["y_m"] - mine["y_m"]) * way["uy"] > 0.0
    heading = its["ux"] * way["ux"] + its["uy"] * way["uy"]
    turned = (its["ux"] != 0.0 or its["uy"] != 0.0) and heading < SAME_WAY
    if not ahead or turned or not other["speed_mps"] < creep_mps:
        return False
    return zone_share(way["place"], its) > SHARE_MIN or zone_share(box, its) > SHARE_MIN


@kernel
def exit_free_m(way, box, me, users, creep_mps):
    """Return how much room (m) there is beyond the box on a way out before the traffic that stands or creeps there.

    Negative where that stands in the box itself, infinite where there is none. `users` is a SEEN of every slot.
    """
    free_m = math.inf
    for i in range(len(users)):
        other = users[i]
        if blocks(way, box, me, other, creep_mps):
            gap_m = exit_gap_m(way, other["footprint"])
            free_m = gap_m if gap_m < free_m else free_m
    return free_m


@kernel
def exit_people(way, box, users, within_m):
    """Say whether anyone on foot is in the box, or on a way out within so much (m) of it."""
    for i in range(len(users)):
        other = users[i]
        if other["alive"] == 0 or other["class_id"] != PERSON:
            continue
        its = other["footprint"]
        if inside_zone_m(box, its["x_m"], its["y_m"]) or -within_m < exit_gap_m(way, its) < within_m:
            return True
    return False
