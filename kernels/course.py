"""A road user's course on the road: a least-squares fit with fading memory of place, heading, speed and size.

The state is the middle of the footprint, heading, speed and acceleration along it, turn rate, length, width and height.
Acceleration and turn rate fade and are renewed by white noise (R. A. Singer, "Estimating optimal tracking filter
performance for manned maneuvering targets", IEEE Trans. AES-6, 1970), so that any time step is right. What the four
edges of a box say is taken in edge by edge; the noise of edges, and how it hangs together from frame to frame, is
learnt from what the fit leaves over.
"""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.contact import OUTLINE

#: The state: m, m, rad, m/s, m/s^2, rad/s, m, m, m.
X, Y, TURN, V, A, OMEGA, LENGTH, WIDTH, HEIGHT = range(9)
STATES = 9
#: The states that a box edge depends on, in the order of a slope's columns.
SEEN = (X, Y, TURN, LENGTH, WIDTH, HEIGHT)

#: `x` and `p` are the state and its covariance, `seen` the state when it was seen last. `variance` is the noise of a
#: box's edge as a share of the box squared (across, down), from `weight` sightings; `product` over `square` its
#: correlation from one sighting to the next. `left` is what the last fit left over of each edge in deviations, NaN for
#: none. `phase`: NONE, POINT (no camera pose) or CUBOID. `from_*`: where on the road its foot point was seen first.
#: `way_m`: how much further it has gone ahead than back, WAY_MOST_M at most.
COURSE = np.dtype(
    [
        ("x", "<f8", (STATES,)),
        ("seen", "<f8", (STATES,)),
        ("p", "<f8", (STATES, STATES)),
        ("gain", "<f8", (STATES,)),
        ("outline", OUTLINE),
        ("variance", "<f8", (2,)),
        ("weight", "<f8"),
        ("square", "<f8"),
        ("product", "<f8"),
        ("left", "<f8", (4,)),
        ("pull", "<f8"),
        ("pull_keep", "<f8"),
        ("from_x", "<f8"),
        ("from_y", "<f8"),
        ("way_m", "<f8"),
        ("strikes", "<u4"),
        ("phase", "<u1"),
        ("class_id", "<u1"),
        ("has_from", "<u1"),
    ]
)
NONE, POINT, CUBOID = range(3)

#: How fast acceleration and turn rate fade, and what renews them: m/s^2 and rad/s over one second.
FADE_S = 1.5
ACCEL_SD = 1.0
TURN_SD = 0.6
#: A vehicle turns no faster than this acceleration across lets it (m/s^2 over one second), nor than its wheels do: who
#: hardly moves hardly turns (rad/m, and rad/s at rest).
ACROSS_SD = 3.0
BEND_SD, REST_SD = 0.25, 0.02
#: Boxes that pull ahead or back for PULL_S by over PULL deviations tell of a sudden change of acceleration: it is
#: renewed by so much more, at most PULL_MOST times.
PULL_S, PULL, PULL_MOST = 0.25, 1.5, 8.0
#: What the model leaves out of a place and of a size, over one second.
PLACE_SD_M = 0.02
#: Its middle does not quite go where it points: so far it may slip aside, over one second.
SLIP_SD_M = 0.15
SIZE_SD_M = 0.003
#: A road user that has gone ahead and then back further than this was headed the other way.
WAY_MOST_M = 10.0


@kernel
def course_predict(course, dt_s):
    """Move a course `dt_s` ahead."""
    x, p = course["x"], course["p"]
    fade = math.exp(-dt_s / FADE_S)
    dv = FADE_S * (1.0 - fade)
    ds = FADE_S * (dt_s - dv)
    heading = x[TURN] + 0.5 * dv * x[OMEGA]
    cos, sin = math.cos(heading), math.sin(heading)
    way = x[V] * dt_s + x[A] * ds
    for j in range(STATES):
        swing = p[TURN, j] + 0.5 * dv * p[OMEGA, j]
        ahead = dt_s * p[V, j] + ds * p[A, j]
        p[X, j] += cos * ahead - sin * way * swing
        p[Y, j] += sin * ahead + cos * way * swing
        p[TURN, j] += dv * p[OMEGA, j]
        p[V, j] += dv * p[A, j]
        p[A, j] *= fade
        p[OMEGA, j] *= fade
    for i in range(STATES):
        swing = p[i, TURN] + 0.5 * dv * p[i, OMEGA]
        ahead = dt_s * p[i, V] + ds * p[i, A]
        p[i, X] += cos * ahead - sin * way * swing
        p[i, Y] += sin * ahead + cos * way * swing
        p[i, TURN] += dv * p[i, OMEGA]
        p[i, V] += dv * p[i, A]
        p[i, A] *= fade
        p[i, OMEGA] *= fade
    x[X] += way * cos
    x[Y] += way * sin
    course["way_m"] = min(course["way_m"] + way, WAY_MOST_M)
    x[TURN] += dv * x[OMEGA]
    x[V] += dv * x[A]
    x[A] *= fade
    x[OMEGA] *= fade
    accel_sd = ACCEL_SD * min(max((course["pull"] / PULL) ** 2, 1.0), PULL_MOST)
    course_noise(p, x[V], accel_sd, cos, sin, dt_s)
    course["pull_keep"] = math.exp(-dt_s / PULL_S)


@kernel
def turn_noise(speed_mps):
    """Return the deviation of the turn rate over one second (rad/s) at a speed."""
    speed_mps = abs(speed_mps)
    return min(TURN_SD, ACROSS_SD / max(speed_mps, 1.0), REST_SD + BEND_SD * speed_mps)


@kernel
def course_noise(p, speed_mps, accel_sd, cos, sin, dt_s):
    """Add to a covariance what `dt_s` of unknown acceleration and turning makes uncertain."""
    q = accel_sd * accel_sd * dt_s
    place = q * dt_s**4 / 20.0
    own, slip = PLACE_SD_M * PLACE_SD_M * dt_s, SLIP_SD_M * SLIP_SD_M * dt_s
    p[X, X] += place * cos * cos + slip * sin * sin + own
    p[Y, Y] += place * sin * sin + slip * cos * cos + own
    p[X, Y] += (place - slip) * cos * sin
    p[Y, X] += (place - slip) * cos * sin
    for end, share in ((V, q * dt_s**3 / 8.0), (A, q * dt_s**2 / 6.0)):
        p[X, end] += share * cos
        p[end, X] += share * cos
        p[Y, end] += share * sin
        p[end, Y] += share * sin
    p[V, V] += q * dt_s**2 / 3.0
    p[V, A] += q * dt_s / 2.0
    p[A, V] += q * dt_s / 2.0
    p[A, A] += q
    turn_sd = turn_noise(speed_mps)
    q = turn_sd * turn_sd * dt_s
    p[TURN, TURN] += q * dt_s**2 / 3.0
    p[TURN, OMEGA] += q * dt_s / 2.0
    p[OMEGA, TURN] += q * dt_s / 2.0
    p[OMEGA, OMEGA] += q
    for k in (LENGTH, WIDTH, HEIGHT):
        p[k, k] += SIZE_SD_M * SIZE_SD_M * dt_s


@kernel
def course_take(course, slope, off, variance):
    """Take one measurement in: `off` is it less what was predicted, `slope` f8[6] its slope in the states seen."""
    x, p, gain = course["x"], course["p"], course["gain"]
    spread = variance
    for i in range(STATES):
        sum_ = 0.0
        for k in range(len(SEEN)):
            sum_ += p[i, SEEN[k]] * slope[k]
        gain[i] = sum_
    for k in range(len(SEEN)):
        spread += slope[k] * gain[SEEN[k]]
    for i in range(STATES):
        part = gain[i] / spread
        x[i] += part * off
        for j in range(i + 1):
            p[i, j] -= part * gain[j]
            p[j, i] = p[i, j]


@kernel
def slope_variance(course, slope):
    """Return the variance of what a slope f8[6] reads off the state."""
    p = course["p"]
    total = 0.0
    for k in range(len(SEEN)):
        for j in range(len(SEEN)):
            total += slope[k] * slope[j] * p[SEEN[k], SEEN[j]]
    return total
