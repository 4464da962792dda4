"""A vehicle's way through a stretch of road: how far, how long and how often it stood, in pieces of an interval."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.geometry import inside_zone_m, polygon_area

#: One road user and the stretch: where its front was at its last row, the piece that runs and the whole passage.
#: `along_m` is its place along the stretch. `stands`: since it was slow it has not been fast.
RUN = np.dtype(
    [
        ("time_s", "<f8"),
        ("x_m", "<f8"),
        ("y_m", "<f8"),
        ("along_m", "<f8"),
        ("entry_s", "<f8"),
        ("piece_s", "<f8"),
        ("piece_m", "<f8"),
        ("stop_s", "<f8"),
        ("track_id", "<u4"),
        ("stops", "<u2"),
        ("known", "<u1"),
        ("inside", "<u1"),
        ("stands", "<u1"),
        ("first", "<u1"),
        ("truncated", "<u1"),
    ]
)

#: Halvings of a step until the place of entry is known: a 4096th of the step.
HALVINGS = 12


def stretch_axis(place):
    """Return the unit vector on the road along a ZONE: a lane's flow, of a zone its longest side."""
    if place["flow_x_m"] == place["flow_x_m"]:
        return float(place["flow_x_m"]), float(place["flow_y_m"])
    points = place["m"][: place["n"]]
    sides = np.roll(points, -1, axis=0) - points
    lengths = np.hypot(sides[:, 0], sides[:, 1])
    longest = sides[np.argmax(lengths)] / lengths.max()
    return float(longest[0]), float(longest[1])


def stretch_length_m(place):
    """Return how long (m) a ZONE is in the mean of its width: its area over its width; NaN where it is not all road."""
    points = place["m"][: place["n"]]
    if not np.isfinite(points).all():
        return math.nan
    x, y = stretch_axis(place)
    across = points @ np.array([-y, x])
    return float(polygon_area(points)) / float(np.ptp(across))


@kernel
def run_reset(run):
    """Forget a track: it is nowhere."""
    run["known"], run["inside"], run["stands"] = 0, 0, 0


@kernel
def zone_part(zone, px, py, qx, qy):
    """Return which part of the way from p to q (m) lies before a zone's outline; p and q are either side of it."""
    began = inside_zone_m(zone, px, py)
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        part = 0.5 * (low + high)
        if inside_zone_m(zone, px + part * (qx - px), py + part * (qy - py)) == began:
            low = part
        else:
            high = part
    return 0.5 * (low + high)


@kernel
def run_enter(run, time_s, along_m, truncated):
    """Begin a passage, and its first piece."""
    run["inside"], run["first"], run["truncated"], run["entry_s"] = 1, 1, truncated, time_s
    run["stands"], run["stops"], run["stop_s"] = 0, 0, 0.0
    run["piece_s"], run["piece_m"] = time_s, along_m


@kernel
def run_speed_mps(run, track, x_m, y_m):
    """Return how fast a road user is: its track's speed, else that of its last step."""
    if track["speed_mps"] == track["speed_mps"]:
        return float(track["speed_mps"])
    passed_s = track["time_s"] - run["time_s"]
    if run["known"] == 0 or not passed_s > 0.0:
        return math.nan
    return math.hypot(x_m - run["x_m"], y_m - run["y_m"]) / passed_s


@kernel
def run_stand(run, speed_mps, passed_s, halt_mps, go_mps):
    """Let `passed_s` pass at a speed; count a stop when it becomes slower than `halt_mps` after it had been gone."""
    if speed_mps < halt_mps:
        run["stop_s"] += passed_s
        if run["stands"] == 0:
            run["stands"] = 1
            run["stops"] += 1
    elif speed_mps > go_mps:
        run["stands"] = 0


@kernel
def piece_event(run, event, track, time_s, along_m):
    """Fill the event of the piece that ends at a time and place, and begin the next."""
    event["time_s"], event["track_id"], event["score"] = time_s, track["id"], track["score"]
    event["class_id"], event["entry_s"] = track["class_id"], run["entry_s"]
    event["distance_m"], event["inside_s"] = along_m - run["piece_m"], time_s - run["piece_s"]
    event["stop_s"], event["stops"], event["begins"] = run["stop_s"], run["stops"], run["first"]
    event["ends"], event["truncated"], event["reason"] = 0, run["truncated"], 0
    run["piece_s"], run["piece_m"], run["stop_s"], run["stops"], run["first"] = time_s, along_m, 0.0, 0, 0
