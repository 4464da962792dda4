"""What a box says to a road user's course, how a course begins, and what the rules are told of it."""

from __future__ import annotations

import math

from kernels._jit import kernel
from kernels.contact import (
    BOTTOM,
    LEFT,
    RIGHT,
    SIZE_SDS_M,
    SIZES_M,
    TOP,
    cuboid_outline,
    pixel_road,
    point_outline,
    road_pixel,
)
from kernels.course import (
    ACCEL_SD,
    CUBOID,
    FADE_S,
    HEIGHT,
    LENGTH,
    NONE,
    OMEGA,
    POINT,
    STATES,
    TURN,
    WIDTH,
    A,
    V,
    X,
    Y,
    course_take,
    slope_variance,
    turn_noise,
)

#: The deviation of a box's edge as a share of the box before any is known, what the picture's raster adds (px), and how
#: many sightings that first value counts for.
EDGE_SHARE, RASTER_PX, SIGHTINGS = 0.025, 0.2, 8.0
#: A noisier box than this does not follow its road user. So many sightings are remembered in the noise.
SHARE_MOST = 0.15
MEMORY = 150.0
#: An edge that is so many deviations from the picture's edge may lie on it.
CUT_SDS = 2.5
#: An edge that is off by more deviations is something else's; so often in a row for two edges, and the course is lost.
OFF_MOST, STRIKES = 3.0, 5
#: So is one that is off by this share of the box, however noisy its boxes seem to be: noise is learnt from what is off.
OFF_SHARE = 0.25
#: A heading is known when the road user has moved so far, and its way and its speed are so many deviations.
MOVED_M, KNOWN_SDS = 1.0, 4.0
#: Backwards faster than this, and by so many deviations, it was headed the other way: where it has gone further back
#: than ahead. Who brakes to a stand seems to roll back, and who reverses keeps its front.
BACKWARDS_MPS, SPEED_SDS = 1.0, 3.0


@kernel
def box_size(box, k):
    """Return a box's width in px for a left or right edge `k`, else its height."""
    return float(box[2 + (k & 1)]) - float(box[k & 1])


@kernel
def box_cut(course, box, k, settings):
    """Say whether edge `k` of a box may lie on the picture's edge, as far as its noise lets it: it goes on unseen."""
    near = 1.0 + CUT_SDS * math.sqrt(course["variance"][k & 1]) * box_size(box, k)
    if k in (LEFT, TOP):
        return box[k] < near
    if k == RIGHT:
        return box[k] > settings["frame_width_px"] - 1.0 - near
    return box[k] > settings["frame_height_px"] - 1.0 - near


@kernel
def course_shape(course):
    """Return (x_m, y_m, heading, length_m, width_m, height_m) of a course."""
    x = course["x"]
    return x[X], x[Y], x[TURN], x[LENGTH], x[WIDTH], x[HEIGHT]


@kernel
def course_look(course, camera):
    """Bring a course's outline up to its state; return False where it is not in front of the camera."""
    if course["phase"] == CUBOID:
        return cuboid_outline(course["outline"], camera, course_shape(course))
    return point_outline(course["outline"], camera, course_shape(course))


@kernel
def box_edge(course, box, k, settings):
    """Return what a box says of edge `k`, NaN where it says nothing; of a point the left edge is its middle."""
    if box_cut(course, box, k, settings):
        return math.nan
    if course["phase"] == CUBOID:
        return float(box[k])
    if k == LEFT:
        return 0.5 * (float(box[LEFT]) + float(box[RIGHT]))
    return float(box[BOTTOM]) if k == BOTTOM else math.nan


@kernel
def course_measure(course, camera, box, doubt, settings):
    """Take a box into a course; `doubt` multiplies its noise. A course that its boxes leave for good ends."""
    if not course_look(course, camera):
        course["phase"], course["has_from"] = NONE, 0
        return
    outline, x = course["outline"], course["x"]
    before = course_shape(course)
    tied = course["product"] / course["square"]
    tied = (1.0 + tied) / (1.0 - tied)
    off_edges, pull, weight = 0, 0.0, 1e-12
    cos, sin = math.cos(before[2]), math.sin(before[2])
    for k in range(4):
        value = box_edge(course, box, k, settings)
        if value != value:
            continue
        slope = outline["slope"][k]
        now = course_shape(course)
        off = value - outline["edge"][k]
        for j in range(6):
            off -= slope[j] * (now[j] - before[j])
        size = doubt * box_size(box, k)
        variance = tied * (course["variance"][k & 1] * size * size + RASTER_PX * RASTER_PX)
        spread = slope_variance(course, slope) + variance
        wild = off * off > OFF_MOST * OFF_MOST * spread
        off_edges += 1 if wild or abs(off) > OFF_SHARE * box_size(box, k) else 0
        if wild:
            variance += off * off / (OFF_MOST * OFF_MOST) - spread
            spread = off * off / (OFF_MOST * OFF_MOST)
        ahead = slope[0] * cos + slope[1] * sin
        pull += ahead * off / spread
        weight += ahead * ahead / spread
        course_take(course, slope, off, variance)
    keep = course["pull_keep"]
    course["pull"] = keep * course["pull"] + math.sqrt(1.0 - keep * keep) * pull / math.sqrt(weight)
    for k in (LENGTH, WIDTH, HEIGHT):
        x[k] = max(x[k], 0.2)
    course["strikes"] = course["strikes"] + 1 if off_edges >= 2 else 0
    if course["strikes"] >= STRIKES or not course_look(course, camera):
        course["phase"], course["has_from"] = NONE, 0
        return
    course_learn(course, box, doubt, settings)
    backwards = x[V] < -BACKWARDS_MPS and x[V] * x[V] > SPEED_SDS * SPEED_SDS * course["p"][V, V]
    if backwards and course["way_m"] < 0.0:
        course_turn_round(course)
    for k in range(STATES):
        course["seen"][k] = x[k]


@kernel
def course_learn(course, box, doubt, settings):
    """Learn the noise of edges, and its correlation, from what the fit leaves over; robust against single edges.

    What is left over is less than the noise by the share that the fit has taken up: an observation's redundancy (W.
    Foerstner, "Ein Verfahren zur Schaetzung von Varianz- und Kovarianzkomponenten", 1979).
    """
    outline, left = course["outline"], course["left"]
    tied = course["product"] / course["square"]
    tied = (1.0 + tied) / (1.0 - tied)
    course["weight"] = min(course["weight"] + 1.0, MEMORY)
    keep = 1.0 - 1.0 / course["weight"]
    for k in range(4):
        value = box_edge(course, box, k, settings)
        if value != value:
            left[k] = math.nan
            continue
        size = doubt * box_size(box, k)
        own = course["variance"][k & 1]
        off = value - outline["edge"][k]
        noise = own * size * size + RASTER_PX * RASTER_PX
        redundancy = max(1.0 - slope_variance(course, outline["slope"][k]) / (tied * noise), 0.0)
        change = min(off * off / noise, OFF_MOST * OFF_MOST) - redundancy
        course["variance"][k & 1] = min(own * (1.0 + 0.5 * (1.0 - keep) * change), SHARE_MOST * SHARE_MOST)
        off /= math.sqrt(noise)
        off = max(-OFF_MOST, min(OFF_MOST, off))
        if left[k] == left[k]:
            # What the raster adds is there in each picture, and new in each.
            square = max(0.5 * (off * off + left[k] * left[k]), RASTER_PX * RASTER_PX / noise)
            course["square"] = keep**0.25 * course["square"] + square
            course["product"] = max(keep**0.25 * course["product"] + off * left[k], 0.0)
            course["product"] = min(course["product"], 0.9 * course["square"])
        left[k] = off


@kernel
def course_turn_round(course):
    """Head a course the other way: what was its rear is its front."""
    x, p = course["x"], course["p"]
    x[TURN] += math.pi
    course["way_m"] = 0.0
    for k in (V, A):
        x[k] = -x[k]
        for j in range(STATES):
            p[k, j] = -p[k, j]
        for j in range(STATES):
            p[j, k] = -p[j, k]


@kernel
def course_class(course, class_id):
    """Give a course the usual size of its class, where that has changed."""
    if course["phase"] == NONE or course["class_id"] == class_id:
        return
    x, p = course["x"], course["p"]
    place = abs(x[LENGTH] - SIZES_M[class_id][0])
    course_size(course, class_id)
    p[X, X] += place * place
    p[Y, Y] += place * place


@kernel
def course_size(course, class_id):
    """Set a course's size to the usual one of a class."""
    x, p = course["x"], course["p"]
    for k in range(3):
        for j in range(STATES):
            p[LENGTH + k, j] = 0.0
            p[j, LENGTH + k] = 0.0
        x[LENGTH + k] = SIZES_M[class_id][k]
        p[LENGTH + k, LENGTH + k] = SIZE_SDS_M[class_id][k] * SIZE_SDS_M[class_id][k]
    course["class_id"] = class_id


@kernel
def course_forget(course):
    """Forget a road user: no course, nowhere it came from, the usual noise."""
    course["phase"], course["has_from"], course["strikes"] = NONE, 0, 0
    for k in range(2):
        course["variance"][k] = EDGE_SHARE * EDGE_SHARE
    course["weight"], course["square"], course["product"] = SIGHTINGS, SIGHTINGS, 0.0
    course["pull"], course["pull_keep"] = 0.0, 1.0
    for k in range(4):
        course["left"][k] = math.nan


@kernel
def course_place(course, camera, box, settings):
    """Move a course's cuboid to where its lower edge and its middle (or its one whole side) are the box's; else False.

    Newton's method; the size and the heading are held.
    """
    left_cut, right_cut = box_cut(course, box, LEFT, settings), box_cut(course, box, RIGHT, settings)
    if left_cut and right_cut:
        return False
    left = 0.0 if left_cut else (1.0 if right_cut else 0.5)
    outline, x = course["outline"], course["x"]
    edge, slope = outline["edge"], outline["slope"]
    off = math.inf
    for _ in range(8):
        if not course_look(course, camera):
            return False
        off_u = left * (box[LEFT] - edge[LEFT]) + (1.0 - left) * (box[RIGHT] - edge[RIGHT])
        off_v = box[BOTTOM] - edge[BOTTOM]
        off = max(abs(off_u), abs(off_v))
        ux, uy = (
            left * slope[LEFT, 0] + (1 - left) * slope[RIGHT, 0],
            left * slope[LEFT, 1] + (1 - left) * slope[RIGHT, 1],
        )
        vx, vy = slope[BOTTOM, 0], slope[BOTTOM, 1]
        det = ux * vy - uy * vx
        if abs(det) < 1e-9:
            return False
        x[X] += (vy * off_u - uy * off_v) / det
        x[Y] += (ux * off_v - vx * off_u) / det
        if off < 0.01:
            break
    return off < 1.0


@kernel
def course_begin(course, camera, box, class_id, x, y, settings):
    """Begin a course once the foot point's axes `x` and `y` on the road tell a heading; return whether there is one."""
    if box_cut(course, box, BOTTOM, settings):
        course["has_from"] = 0
        return False
    if course["has_from"] == 0:
        course["from_x"], course["from_y"], course["has_from"] = x["x"], y["x"], 1
        return False
    speed, speed_sd = math.hypot(x["v"], y["v"]), math.sqrt(max(x["vv"], y["vv"]))
    moved = math.hypot(x["x"] - course["from_x"], y["x"] - course["from_y"])
    if speed < KNOWN_SDS * speed_sd or moved < max(MOVED_M, KNOWN_SDS * math.sqrt(max(x["xx"], y["xx"]))):
        return False
    state, p = course["x"], course["p"]
    for i in range(STATES):
        state[i] = 0.0
        for j in range(STATES):
            p[i, j] = 0.0
    course_size(course, class_id)
    state[X], state[Y], state[TURN], state[V] = x["x"], y["x"], math.atan2(y["v"], x["v"]), speed
    course["way_m"] = 0.0
    course["phase"] = CUBOID if settings["has_pose"] != 0 else POINT
    if course["phase"] == CUBOID and not course_place(course, camera, box, settings):
        course["phase"] = NONE
        return False
    p[X, X], p[Y, Y], p[V, V] = 25.0, 25.0, 4.0 * speed_sd * speed_sd + 0.25
    p[TURN, TURN] = (speed_sd * speed_sd) / (speed * speed) + 0.0025
    p[A, A] = 2.0 * ACCEL_SD * ACCEL_SD * FADE_S
    turn_sd = turn_noise(speed)
    p[OMEGA, OMEGA] = 0.5 * turn_sd * turn_sd * FADE_S
    return True


@kernel
def course_publish(row, course, camera, scale_sd):
    """Write what a TRACK row says of the road from a course; `scale_sd` is the deviation of the ground's scale.

    The foot point on the road is that of the cuboid's box, so that it is where the picture's foot point is. A road
    user that is not seen any more is where it was seen last.
    """
    x, p, edge = course["seen"], course["p"], course["outline"]["edge"]
    cos, sin = math.cos(x[TURN]), math.sin(x[TURN])
    row["vx_mps"], row["vy_mps"], row["accel_mps2"] = x[V] * cos, x[V] * sin, x[A] if x[V] >= 0.0 else -x[A]
    row["speed_mps"] = abs(x[V])
    row["speed_sd_mps"] = math.sqrt(p[V, V] + x[V] * x[V] * scale_sd * scale_sd)
    along = p[X, X] * cos * cos + 2.0 * p[X, Y] * cos * sin + p[Y, Y] * sin * sin
    across = p[X, X] * sin * sin - 2.0 * p[X, Y] * cos * sin + p[Y, Y] * cos * cos
    if course["phase"] == POINT:
        row["foot_x_m"], row["foot_y_m"] = x[X], x[Y]
        row["front_x_m"], row["front_y_m"], row["rear_x_m"], row["rear_y_m"] = x[X], x[Y], x[X], x[Y]
        row["position_sd_m"] = math.sqrt(max(along, across))
        return
    row["foot_x_m"], row["foot_y_m"] = pixel_road(camera, 0.5 * (edge[LEFT] + edge[RIGHT]), edge[BOTTOM])
    half = 0.5 * x[LENGTH]
    row["front_x_m"], row["front_y_m"] = x[X] + half * cos, x[Y] + half * sin
    row["rear_x_m"], row["rear_y_m"] = x[X] - half * cos, x[Y] - half * sin
    row["front_x_px"], row["front_y_px"] = road_pixel(camera, x[X] + half * cos, x[Y] + half * sin)
    row["rear_x_px"], row["rear_y_px"] = road_pixel(camera, x[X] - half * cos, x[Y] - half * sin)
    row["width_m"] = x[WIDTH]
    along += 0.25 * p[LENGTH, LENGTH] + cos * p[X, LENGTH] + sin * p[Y, LENGTH]
    row["position_sd_m"] = math.sqrt(max(along, across))
