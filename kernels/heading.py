"""Where a road user heads: to a lane's direction, how far it has turned, and when it leaps as only a mix-up can.

All in metres: on the road where it is known, else guessed from the picture, a box height standing for so many metres.
Motion in depth looks shorter than it is, so a guess is low: who moves that way is judged later, not wrongly.
"""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel

#: Where a road user was seen last, and how fast it was there. (middle_x_m, middle_y_m) is halfway between its front and
#: rear, NaN where these cannot be told apart: while it turns, the lower middle of its box jumps from corner to corner.
PLACE = np.dtype(
    [
        ("time_s", "<f8"),
        ("x_m", "<f8"),
        ("y_m", "<f8"),
        ("middle_x_m", "<f8"),
        ("middle_y_m", "<f8"),
        ("x_px", "<f8"),
        ("y_px", "<f8"),
        ("speed_mps", "<f8"),
        ("known", "<u1"),
    ]
)

#: How far a road user has turned in all, in radians, and whether a turn was so sharp that it must have reversed (at
#: walking pace) or have been taken for another (at speed). (x, y) is its heading, that of its last way of `way_m`.
TURNING = np.dtype(
    [
        ("place", PLACE),
        ("x", "<f8"),
        ("y", "<f8"),
        ("way_m", "<f8"),
        ("turned", "<f8"),
        ("headed", "<u1"),
        ("on_road", "<u1"),
        ("reversed", "<u1"),
        ("swapped", "<u1"),
    ]
)

#: A heading is that of a way of this length: shorter ones turn with the noise of the box.
HEADING_STEP_M = 2.0
#: No vehicle turns further from one such way to the next while it drives forwards.
SHARPEST = math.radians(120.0)
#: A sharper turn at more than this is no reversing.
REVERSING_MPS = 10.0 / 3.6
#: At speed no vehicle follows a tighter circle on the road; the noise of a heading comes on top (rad).
TIGHTEST_M, HEADING_NOISE = 4.0, 0.6
#: A step may be this long before it is a leap, beyond twice what the speed explains and what it may have gained unseen.
LEAP_M = 1.5
LEAP_MPS2 = 3.0


@kernel
def guess_m(track, box_height_m):
    """Return how many metres a pixel at a road user stands for, if its box height stands for `box_height_m`."""
    return box_height_m / max(float(track["y2_px"]) - float(track["y1_px"]), 1.0)


@kernel
def velocity_of(track, box_height_m):
    """Return (vx, vy, on_road): a road user's velocity in m/s, in the picture's axes where the road's is unknown."""
    if track["vx_mps"] == track["vx_mps"]:
        return float(track["vx_mps"]), float(track["vy_mps"]), True
    scale = guess_m(track, box_height_m)
    return float(track["vx_px_s"]) * scale, float(track["vy_px_s"]) * scale, False


@kernel
def heading_to(track, zone, box_height_m):
    """Return (cosine of the angle from a lane's flow to a road user's velocity, its speed in m/s)."""
    vx, vy, on_road = velocity_of(track, box_height_m)
    flow_x, flow_y = zone["flow_x"], zone["flow_y"]
    if on_road:
        flow_x, flow_y = zone["flow_x_m"], zone["flow_y_m"]
    speed_mps = math.hypot(vx, vy)
    if not speed_mps > 0.0:
        return 0.0, 0.0
    return (vx * flow_x + vy * flow_y) / speed_mps, speed_mps


@kernel
def middle_m(track):
    """Return (x, y) in m on the road of the middle between a road user's front and rear; NaN where these are one."""
    front_x, front_y = float(track["front_x_m"]), float(track["front_y_m"])
    rear_x, rear_y = float(track["rear_x_m"]), float(track["rear_y_m"])
    if front_x == rear_x and front_y == rear_y:
        return math.nan, math.nan
    return 0.5 * (front_x + rear_x), 0.5 * (front_y + rear_y)


@kernel
def place_keep(place, track, box_height_m):
    """Keep where a road user is now."""
    vx, vy, _ = velocity_of(track, box_height_m)
    place["middle_x_m"], place["middle_y_m"] = middle_m(track)
    place["time_s"], place["speed_mps"], place["known"] = track["time_s"], math.hypot(vx, vy), 1
    place["x_m"], place["y_m"] = track["foot_x_m"], track["foot_y_m"]
    place["x_px"], place["y_px"] = track["foot_x_px"], track["foot_y_px"]


@kernel
def way_since(place, track, box_height_m):
    """Return (dx, dy, on_road): the way of a road user since a kept place in m; none where the place is unknown.

    It is that of its middle, or of its foot point where the middle is not known here and there.
    """
    if place["known"] == 0:
        return 0.0, 0.0, False
    x, y = middle_m(track)
    dx, dy = x - place["middle_x_m"], y - place["middle_y_m"]
    if dx == dx:
        return dx, dy, True
    dx, dy = float(track["foot_x_m"]) - place["x_m"], float(track["foot_y_m"]) - place["y_m"]
    if dx == dx:
        return dx, dy, True
    scale = guess_m(track, box_height_m)
    return (
        (float(track["foot_x_px"]) - place["x_px"]) * scale,
        (float(track["foot_y_px"]) - place["y_px"]) * scale,
        False,
    )


@kernel
def leapt(place, track, box_height_m):
    """Say whether a road user is further from where it was last seen than twice its speed, and a start, explain."""
    dx, dy, _ = way_since(place, track, box_height_m)
    waited_s = track["time_s"] - place["time_s"] if place["known"] != 0 else 0.0
    driven_m = 2.0 * place["speed_mps"] * waited_s + 0.5 * LEAP_MPS2 * waited_s * waited_s
    return math.hypot(dx, dy) > driven_m + LEAP_M


@kernel
def turning_reset(state):
    """Forget a track: no heading, nothing turned."""
    state["place"]["known"], state["headed"], state["turned"] = 0, 0, 0.0
    state["reversed"], state["swapped"] = 0, 0


@kernel
def turning_step(state, track, box_height_m):
    """Add to `turned` the angle by which a road user's heading has changed, once it has moved far enough to tell."""
    place = state["place"]
    if place["known"] == 0:
        place_keep(place, track, box_height_m)
        return
    dx, dy, on_road = way_since(place, track, box_height_m)
    moved_m = math.hypot(dx, dy)
    if moved_m < HEADING_STEP_M:
        return
    # A heading on the road and one in the picture have no angle between them.
    if state["headed"] != 0 and (state["on_road"] != 0) == on_road:
        turn = math.atan2(state["x"] * dy - state["y"] * dx, state["x"] * dx + state["y"] * dy)
        state["turned"] += turn
        slow = moved_m <= REVERSING_MPS * (track["time_s"] - place["time_s"])
        # Flattened by perspective, a circle in the picture has sharp ends.
        tightest = 0.5 * (moved_m + state["way_m"]) / TIGHTEST_M + HEADING_NOISE
        if slow and abs(turn) > SHARPEST:
            state["reversed"] = 1
        if not slow and abs(turn) > (min(tightest, SHARPEST) if on_road else SHARPEST):
            state["swapped"] = 1
    state["way_m"] = moved_m
    state["x"], state["y"], state["headed"], state["on_road"] = dx / moved_m, dy / moved_m, 1, on_road
    place_keep(place, track, box_height_m)
