"""Who of those on foot is none: a person on a bicycle or motorcycle; and who walks together."""

from __future__ import annotations

import math

from kernels._jit import kernel
from kernels.heading import guess_m
from kernels.records import CLASSES, ENDED

PERSON, BICYCLE, MOTORCYCLE = CLASSES.index("person"), CLASSES.index("bicycle"), CLASSES.index("motorcycle")


@kernel
def shared_part(one, other):
    """Return which part of the smaller of two tracks' boxes lies in the other."""
    width = min(one["x2_px"], other["x2_px"]) - max(one["x1_px"], other["x1_px"])
    height = min(one["y2_px"], other["y2_px"]) - max(one["y1_px"], other["y1_px"])
    if width <= 0.0 or height <= 0.0:
        return 0.0
    area = (one["x2_px"] - one["x1_px"]) * (one["y2_px"] - one["y1_px"])
    area = min(area, (other["x2_px"] - other["x1_px"]) * (other["y2_px"] - other["y1_px"]))
    return width * height / max(area, 1.0)


@kernel
def rides(tracks, i, overlap_min):
    """Say whether a person's box overlaps that of a bicycle or motorcycle by `overlap_min` of the smaller one."""
    if tracks[i]["class_id"] != PERSON:
        return False
    for k in range(len(tracks)):
        kind = tracks[k]["class_id"]
        if (kind != BICYCLE and kind != MOTORCYCLE) or tracks[k]["flags"] & ENDED:
            continue
        if shared_part(tracks[i], tracks[k]) >= overlap_min:
            return True
    return False


@kernel
def apart_m(one, other, box_height_m):
    """Return how far (m) two road users are from each other, guessed from their boxes where the road is unknown."""
    dx = float(one["foot_x_m"]) - float(other["foot_x_m"])
    dy = float(one["foot_y_m"]) - float(other["foot_y_m"])
    if not (dx == dx and dy == dy):
        scale = 0.5 * (guess_m(one, box_height_m) + guess_m(other, box_height_m))
        dx = (float(one["foot_x_px"]) - float(other["foot_x_px"])) * scale
        dy = (float(one["foot_y_px"]) - float(other["foot_y_px"])) * scale
    return math.hypot(dx, dy)


@kernel
def has_company(tracks, i, classes, group_m, box_height_m):
    """Say whether another of these classes (a bit mask) is within `group_m` and does not go the other way."""
    one = tracks[i]
    for k in range(len(tracks)):
        other = tracks[k]
        if k == i or other["flags"] & ENDED or not (classes >> other["class_id"]) & 1:
            continue
        together = one["vx_px_s"] * other["vx_px_s"] + one["vy_px_s"] * other["vy_px_s"] >= 0.0
        if together and apart_m(one, other, box_height_m) <= group_m:
            return True
    return False
