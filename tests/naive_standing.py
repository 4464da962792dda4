"""Slow, obvious twins of `kernels/standing.py` and `kernels/guards.py`."""

from __future__ import annotations

import math

from kernels.records import REASONS


def standing_reset():
    """A track without a past."""
    return []


def standing_step(past, track, radius_m, radius_share):
    """Walk the whole past: a stay begins anew with each point that lies outside the circle about its first."""
    on_road = not math.isnan(track["foot_x_m"])
    place = (track["foot_x_m"], track["foot_y_m"]) if on_road else (track["foot_x_px"], track["foot_y_px"])
    radius = radius_m if on_road else radius_share * (float(track["y2_px"]) - float(track["y1_px"]))
    past.append((float(track["time_s"]), on_road, [float(v) for v in place], radius))
    first = past[0]
    for row in past[1:]:
        if row[1] != first[1] or math.dist(row[2], first[2]) > row[3]:
            first = row
    return past[-1][0] - first[0]


def doubt(track, clock, at_s, age_min_s, score_min):
    """The first of the guards that does not hold."""
    if clock["suspended"]:
        return int(clock["suspended"])
    sound = [
        track["time_s"] >= track["birth_s"] + age_min_s,
        track["score"] >= score_min,
        not (-1 < at_s - track["relinked_s"] < 1),
    ]
    return REASONS.index("none" if all(sound) else "identity")


def judgement_of(reason):
    """0 is a violation, 1 cannot be judged."""
    return 0 if REASONS[reason] == "none" else 1
