"""Slow, obvious twins of courses: numeric slopes, textbook matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from naive_contact import cuboid_outline, pixel_road, point_outline, road_pixel

from kernels import course as constants
from kernels import coursebox as limits
from kernels.contact import SIZE_SDS_M, SIZES_M
from kernels.course import CUBOID, NONE, POINT

#: Where the six numbers that an edge depends on stand in the state.
SEEN = [0, 1, 2, 6, 7, 8]

# -- the fit --------------------------------------------------------------------------------------------------------


@dataclass
class Course:
    phase: int = NONE
    x: np.ndarray = field(default_factory=lambda: np.zeros(9))
    p: np.ndarray = field(default_factory=lambda: np.zeros((9, 9)))
    seen: np.ndarray = field(default_factory=lambda: np.zeros(9))
    edges: np.ndarray | None = None
    slope: np.ndarray | None = None
    variance: list[float] = field(default_factory=lambda: [limits.EDGE_SHARE**2] * 2)
    weight: float = limits.SIGHTINGS
    square: float = limits.SIGHTINGS
    product: float = 0.0
    left: list[float] = field(default_factory=lambda: [math.nan] * 4)
    pull: float = 0.0
    pull_keep: float = 1.0
    way_m: float = 0.0
    start: tuple[float, float] | None = None
    strikes: int = 0
    class_id: int = 0


def course_forget():
    return Course()


def moved(x, dt_s):
    """The state after a time: along the heading at half time, with fading acceleration and turn rate."""
    fade = math.exp(-dt_s / constants.FADE_S)
    gained = constants.FADE_S * (1 - fade)  # the integral of the fade
    gone = constants.FADE_S * (dt_s - gained)  # and its integral
    heading = x[2] + x[5] * gained / 2
    way = x[3] * dt_s + x[4] * gone
    step = [way * math.cos(heading), way * math.sin(heading), x[5] * gained, x[4] * gained]
    return np.array([*(x[:4] + step), x[4] * fade, x[5] * fade, *x[6:]])


def turn_noise(speed_mps):
    """A vehicle turns as fast as its tyres hold and as its wheels are turned, and none faster than that."""
    tyres = constants.ACROSS_SD / abs(speed_mps) if abs(speed_mps) > 1.0 else constants.ACROSS_SD
    wheels = constants.BEND_SD * abs(speed_mps) + constants.REST_SD
    return min([constants.TURN_SD, tyres, wheels])


def course_noise(speed_mps, accel_sd, cos, sin, dt_s):
    """What white noise on acceleration and turn rate has become after `dt_s`: integrated by Gauss's three points."""
    q = np.zeros((9, 9))
    turn_sd = turn_noise(speed_mps)
    nodes, weights = np.polynomial.legendre.leggauss(3)
    for at, weight in zip((nodes + 1) / 2 * dt_s, weights / 2 * dt_s, strict=True):
        along = np.array([at**2 / 2 * cos, at**2 / 2 * sin, 0, at, 1, 0, 0, 0, 0])
        turning = np.array([0, 0, at, 0, 0, 1, 0, 0, 0])
        q += weight * (accel_sd**2 * np.outer(along, along) + turn_sd**2 * np.outer(turning, turning))
    aside = np.array([-sin, cos, 0, 0, 0, 0, 0, 0, 0]) * constants.SLIP_SD_M
    rest = np.diag([constants.PLACE_SD_M**2] * 2 + [0] * 4 + [constants.SIZE_SD_M**2] * 3)
    return q + dt_s * (rest + np.outer(aside, aside))


def course_predict(course, dt_s):
    step = 1e-6
    jacobian = np.array(
        [(moved(course.x + step * e, dt_s) - moved(course.x - step * e, dt_s)) / (2 * step) for e in np.eye(9)]
    ).T
    gained = constants.FADE_S * (1 - math.exp(-dt_s / constants.FADE_S))
    heading = course.x[2] + course.x[5] * gained / 2
    before, course.x = course.x, moved(course.x, dt_s)
    gone = (course.x - before)[:2] @ [math.cos(heading), math.sin(heading)]
    course.way_m = min(constants.WAY_MOST_M, course.way_m + float(gone))
    accel_sd = constants.ACCEL_SD * np.clip((course.pull / constants.PULL) ** 2, 1, constants.PULL_MOST)
    noise = course_noise(course.x[3], accel_sd, math.cos(heading), math.sin(heading), dt_s)
    course.p = jacobian @ course.p @ jacobian.T + noise
    course.pull_keep = math.exp(-dt_s / constants.PULL_S)


def row_of(slope):
    h = np.zeros(9)
    h[SEEN] = slope
    return h


def slope_variance(course, slope):
    return float(row_of(slope) @ course.p @ row_of(slope))


def course_take(course, slope, off, variance):
    """The Kalman gain, and Joseph's form of the new covariance."""
    h = row_of(slope)
    gain = course.p @ h / (h @ course.p @ h + variance)
    left = np.eye(9) - np.outer(gain, h)
    course.x = course.x + gain * off
    course.p = left @ course.p @ left.T + variance * np.outer(gain, gain)


# -- boxes ----------------------------------------------------------------------------------------------------------


def box_size(box, k):
    return [box[2] - box[0], box[3] - box[1]][k % 2]


def box_cut(course, box, k, settings):
    far = [0, 0, settings["frame_width_px"] - 1, settings["frame_height_px"] - 1][k]
    return abs(far - box[k]) < 1 + limits.CUT_SDS * math.sqrt(course.variance[k % 2]) * box_size(box, k) or (
        box[k] < far if k < 2 else box[k] > far
    )


def course_shape(course):
    return course.x[SEEN]


def course_look(course, camera):
    found = (cuboid_outline if course.phase == CUBOID else point_outline)(camera, course_shape(course))
    if found is None:
        return False
    course.edges, course.slope = found
    return True


def box_edge(course, box, k, settings):
    told = (
        {0: box[0], 1: box[1], 2: box[2], 3: box[3]}
        if course.phase == CUBOID
        else {
            0: (box[0] + box[2]) / 2,
            3: box[3],
        }
    )
    return math.nan if box_cut(course, box, k, settings) else told.get(k, math.nan)


def lose(course):
    course.phase, course.start = NONE, None


def course_measure(course, camera, box, doubt, settings):
    if not course_look(course, camera):
        lose(course)
        return
    edges, slope, before = course.edges, course.slope, course_shape(course).copy()
    inflated = (course.square + course.product) / (course.square - course.product)
    heading = np.array([math.cos(before[2]), math.sin(before[2])])
    wild, pulls = 0, []
    for k in range(4):
        told = box_edge(course, box, k, settings)
        if math.isnan(told):
            continue
        off = told - edges[k] - slope[k] @ (course_shape(course) - before)
        variance = inflated * (course.variance[k % 2] * (doubt * box_size(box, k)) ** 2 + limits.RASTER_PX**2)
        spread = slope_variance(course, slope[k]) + variance
        most = off**2 / limits.OFF_MOST**2
        wild += most > spread or abs(off) / box_size(box, k) > limits.OFF_SHARE
        if most > spread:
            variance, spread = variance + most - spread, most
        pulls.append((slope[k][:2] @ heading, off, spread))
        course_take(course, slope[k], off, variance)
    pull = sum(a * off / s for a, off, s in pulls) / math.sqrt(1e-12 + sum(a * a / s for a, _, s in pulls))
    course.pull = course.pull_keep * course.pull + math.sqrt(1 - course.pull_keep**2) * pull
    course.x[6:] = np.maximum(course.x[6:], 0.2)
    course.strikes = course.strikes + 1 if wild >= 2 else 0
    if course.strikes >= limits.STRIKES or not course_look(course, camera):
        lose(course)
        return
    course_learn(course, box, doubt, settings)
    fast = max(limits.BACKWARDS_MPS, limits.SPEED_SDS * math.sqrt(course.p[3, 3]))
    if course.way_m < 0 and course.x[3] < -fast:
        course_turn_round(course)
    course.seen = course.x.copy()


def course_learn(course, box, doubt, settings):
    course.weight = min(course.weight + 1, limits.MEMORY)
    keep, inflated = 1 - 1 / course.weight, (course.square + course.product) / (course.square - course.product)
    for k in range(4):
        told = box_edge(course, box, k, settings)
        if math.isnan(told):
            course.left[k] = math.nan
            continue
        size, own = doubt * box_size(box, k), course.variance[k % 2]
        off = told - course.edges[k]
        sd = math.hypot(math.sqrt(own) * size, limits.RASTER_PX)
        taken = slope_variance(course, course.slope[k]) / (sd**2 * inflated)
        off = float(np.clip(off / sd, -3, 3))
        course.variance[k % 2] += own * (off**2 - max(0, 1 - taken)) / course.weight / 2
        course.variance[k % 2] = min(course.variance[k % 2], limits.SHARE_MOST**2)
        last = course.left[k]
        if not math.isnan(last):
            white = (limits.RASTER_PX / sd) ** 2
            course.square = keep**0.25 * course.square + max(white, (off**2 + last**2) / 2)
            course.product = float(np.clip(keep**0.25 * course.product + off * last, 0, 0.9 * course.square))
        course.left[k] = off


def course_turn_round(course):
    other = np.diag([1, 1, 1, -1, -1, 1, 1, 1, 1]).astype(float)
    course.x = other @ course.x + [0, 0, math.pi, 0, 0, 0, 0, 0, 0]
    course.p = other @ course.p @ other
    course.way_m = 0.0


def course_size(course, class_id):
    course.p[6:], course.p[:, 6:] = 0.0, 0.0
    course.x[6:], course.class_id = SIZES_M[class_id], class_id
    course.p[6:, 6:] = np.diag(np.square(SIZE_SDS_M[class_id]))


def course_class(course, class_id):
    if course.phase == NONE or course.class_id == class_id:
        return
    longer = course.x[6] - SIZES_M[class_id][0]
    course_size(course, class_id)
    course.p[0, 0] += longer**2
    course.p[1, 1] += longer**2


def course_place(course, camera, box, settings):
    """Newton's method with its slopes by steps: where the middle (or the whole side) and the lower edge fit."""
    whole = [k for k in (0, 2) if not box_cut(course, box, k, settings)]
    if not whole:
        return False
    for _ in range(8):
        if not course_look(course, camera):
            return False
        off = np.array([np.mean([box[k] - course.edges[k] for k in whole]), box[3] - course.edges[3]])
        matrix = np.array([course.slope[whole].mean(axis=0)[:2], course.slope[3][:2]])
        if abs(np.linalg.det(matrix)) < 1e-9:
            return False
        course.x[:2] += np.linalg.solve(matrix, off)
        if np.abs(off).max() < 0.01:
            break
    return bool(np.abs(off).max() < 1)


def course_begin(course, camera, box, class_id, x, y, settings):
    """`x` and `y` are the foot point's axes, with a mean and a covariance."""
    if box_cut(course, box, 3, settings):
        course.start = None
        return False
    here, speed = np.array([x.mean[0], y.mean[0]]), math.hypot(x.mean[1], y.mean[1])
    if course.start is None:
        course.start = tuple(here)
        return False
    place_sd, speed_sd = (math.sqrt(max(x.cov[k, k], y.cov[k, k])) for k in (0, 1))
    way = math.dist(here, course.start)
    if speed < limits.KNOWN_SDS * speed_sd or way < limits.MOVED_M or way < limits.KNOWN_SDS * place_sd:
        return False
    course.x, course.p = np.zeros(9), np.zeros((9, 9))
    course_size(course, class_id)
    course.x[:4] = *here, math.atan2(y.mean[1], x.mean[1]), speed
    course.way_m = 0.0
    course.phase = CUBOID if settings["has_pose"] else POINT
    if course.phase == CUBOID and not course_place(course, camera, box, settings):
        course.phase = NONE
        return False
    turn_sd = turn_noise(speed)
    course.p[:6, :6] = np.diag(
        [
            25.0,
            25.0,
            (speed_sd / speed) ** 2 + 0.05**2,
            4 * speed_sd**2 + 0.25,
            2 * constants.ACCEL_SD**2 * constants.FADE_S,
            turn_sd**2 * constants.FADE_S / 2,
        ]
    )
    return True


# -- what the rules see ---------------------------------------------------------------------------------------------


def course_publish(course, camera, scale_sd):
    """What a row says of the road, as a dict."""
    x, y, heading, speed, accel = course.seen[:5]
    ahead = np.array([math.cos(heading), math.sin(heading)])
    row = {"vx_mps": speed * ahead[0], "vy_mps": speed * ahead[1], "accel_mps2": accel * (1 if speed >= 0 else -1)}
    row |= {"speed_mps": abs(speed), "speed_sd_mps": math.hypot(math.sqrt(course.p[3, 3]), speed * scale_sd)}
    half = course.seen[6] / 2 if course.phase == CUBOID else 0.0
    # The front is a sum of states: its covariance follows from theirs.
    front = np.zeros((2, 9))
    front[:, :2] = np.eye(2)
    front[:, 6] = ahead / 2 if course.phase == CUBOID else 0.0
    cov = front @ course.p @ front.T
    aside = np.array([-ahead[1], ahead[0]])
    # Across, the length says nothing; its correlation with the middle is left out there.
    across = aside @ course.p[:2, :2] @ aside
    row["position_sd_m"] = math.sqrt(max(ahead @ cov @ ahead, across))
    for end, sign in (("front", 1), ("rear", -1)):
        at = np.array([x, y]) + sign * half * ahead
        row |= {f"{end}_x_m": at[0], f"{end}_y_m": at[1]}
        if course.phase == CUBOID:
            row |= dict(zip((f"{end}_x_px", f"{end}_y_px"), road_pixel(camera, *at), strict=True))
    foot = (x, y)
    if course.phase == CUBOID:
        row["width_m"] = course.seen[7]
        foot = pixel_road(camera, (course.edges[0] + course.edges[2]) / 2, course.edges[3])
    return row | {"foot_x_m": foot[0], "foot_y_m": foot[1]}


def road_publish(x, y, scale_sd):
    """What a row says of the road from the foot point's axes alone."""
    place = {f"{point}_x_m": x.mean[0] for point in ("foot", "front", "rear")}
    place |= {f"{point}_y_m": y.mean[0] for point in ("foot", "front", "rear")}
    speed = math.hypot(x.mean[1], y.mean[1])
    sd = math.sqrt(max(x.cov[1, 1], y.cov[1, 1]) + (speed * scale_sd) ** 2)
    place |= {"vx_mps": x.mean[1], "vy_mps": y.mean[1], "position_sd_m": math.sqrt(max(x.cov[0, 0], y.cov[0, 0]))}
    return place | {"speed_mps": speed, "speed_sd_mps": sd}
