"""How long and how far a vehicle has driven against the flow of its lane without a break."""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel
from kernels.heading import PLACE, heading_to, leapt, place_keep, way_since
from kernels.zones import zone_at

#: A run against the flow: since when, how far, how long of that in a lane; `lane` is the row of the last one.
RUN = np.dtype(
    [
        ("last", PLACE),
        ("since_s", "<f8"),
        ("inside_s", "<f8"),
        ("way_m", "<f8"),
        ("cosine", "<f8"),
        ("lane", "<i2"),
        ("running", "<u1"),
        ("inside", "<u1"),
        ("suspended", "<u1"),
    ]
)


@kernel
def against_reset(run):
    """Forget a track: it was in no lane."""
    run["last"]["known"], run["running"], run["lane"] = 0, 0, -1


@kernel
def against_step(run, track, lanes, suspended):
    """Follow one vehicle; `run` then tells of its run against the flow, if it is `running`.

    `lanes` are rows with `zone`, `cosine_max`, `speed_min_mps` and `box_height_m`. Out of every lane a vehicle is held
    to the flow of the one it was in. A leap or a gap begins the run anew: it may be another vehicle since.
    """
    lane = zone_at(lanes, track["foot_x_px"], track["foot_y_px"])
    if lane >= 0:
        run["lane"] = lane
    if run["lane"] < 0:
        return
    row = lanes[run["lane"]]
    last, box_height_m = run["last"], row["box_height_m"]
    run["cosine"], speed_mps = heading_to(track, row["zone"], box_height_m)
    against = run["cosine"] < row["cosine_max"] and speed_mps > row["speed_min_mps"]
    mixed_up = leapt(last, track, box_height_m) or track["relinked_s"] > last["time_s"]
    if run["running"] != 0 and against and not mixed_up:
        dx, dy, on_road = way_since(last, track, box_height_m)
        flow_x, flow_y = row["zone"]["flow_x"], row["zone"]["flow_y"]
        if on_road:
            flow_x, flow_y = row["zone"]["flow_x_m"], row["zone"]["flow_y_m"]
        run["way_m"] -= dx * flow_x + dy * flow_y
        if lane >= 0 and run["inside"] != 0:
            run["inside_s"] += track["time_s"] - last["time_s"]
    else:
        run["running"] = against and lane >= 0
        run["since_s"], run["inside_s"], run["way_m"], run["suspended"] = track["time_s"], 0.0, 0.0, 0
    run["inside"] = lane >= 0
    if suspended != 0:
        run["suspended"] = suspended
    place_keep(last, track, box_height_m)
