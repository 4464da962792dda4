"""Known again: a new track that turns out to be a lost one takes the old id before any rule hears of it.

A track that is about to be confirmed is held against every one that was lost before it began: place, motion and size
as both filters expect them, each in deviations. The gate so grows with the time in hiding by itself. After `lost_s` the
picture's filters know nothing any more; a course on the road, which knows what a vehicle can do, is held on to for
longer.
"""

from __future__ import annotations

import math

from kernels._jit import kernel
from kernels.contact import BOTTOM, LEFT, RIGHT, TOP, pixel_road
from kernels.course import ACCEL_SD, CUBOID, FADE_S, LENGTH, NONE, OMEGA, STATES, TURN, TURN_SD, A, V, X, Y
from kernels.coursebox import box_cut, course_look, course_measure, course_place
from kernels.track import CONFIRMED, CX, CY, FREE, LOST, ROAD_X, ROAD_Y, H, W, elected

#: How far a box is off by itself where a road user is hidden in part, as a share of its size.
PARTLY_HIDDEN = 0.25
#: A road user that comes back overlaps the place where it is expected.
REACH = 1.0
#: From here on a road user that came back may be another, if another could be it: rules do not judge within a second of
#: that.
RELINK_S = 0.5
#: The deviation of a course's foot point on the road while it is hidden, beyond what its covariance says (m).
ROAD_SLACK_M = 0.5
#: A heading less certain than this (rad) is not kept over a gap.
HEADING_SD = 1.0


@kernel
def relink_distance(lost, new):
    """Return the square of the distance of two tracks at the same time, in deviations: place, motion, size.

    Infinite where the boxes are expected more than one box apart.
    """
    w = max(lost["axis"][W]["x"], new["axis"][W]["x"], 1.0)
    h = max(lost["axis"][H]["x"], new["axis"][H]["x"], 1.0)
    total = 0.0
    for k in range(4):
        a, b = lost["axis"][k], new["axis"][k]
        slack = PARTLY_HIDDEN * (w if k in (CX, W) else h)
        off = b["x"] - a["x"]
        if abs(off) > REACH * (w if k in (CX, W) else h):
            return math.inf
        xx = a["xx"] + b["xx"] + slack * slack
        if k in (W, H):
            total += off * off / xx
        else:
            off_v, xv, vv = b["v"] - a["v"], a["xv"] + b["xv"], a["vv"] + b["vv"]
            total += (vv * off * off - 2.0 * xv * off * off_v + xx * off_v * off_v) / (xx * vv - xv * xv)
    return total


@kernel
def swap_seen(course):
    """Exchange a course's state with the one in which it was seen last."""
    for k in range(STATES):
        course["x"][k], course["seen"][k] = course["seen"][k], course["x"][k]


@kernel
def road_distance(lost, new, camera):
    """Return the square of the distance of a lost course and a new track, in deviations: place on the road, box size.

    Infinite where the course's cuboid is not in front of the camera, or the new one's place on the road is not known.
    """
    course = lost["course"]
    there = course_look(course, camera)
    edge, p = course["outline"]["edge"], course["p"]
    width, height = edge[RIGHT] - edge[LEFT], edge[BOTTOM] - edge[TOP]
    x, y = pixel_road(camera, 0.5 * (edge[LEFT] + edge[RIGHT]), edge[BOTTOM])
    # The outline goes on telling of where it was seen last.
    swap_seen(course)
    course_look(course, camera)
    swap_seen(course)
    if new["has_road"] == 0 or not there:
        return math.inf
    own_x, own_y = new["axis"][ROAD_X], new["axis"][ROAD_Y]
    dx, dy = own_x["x"] - x, own_y["x"] - y
    slack = ROAD_SLACK_M * ROAD_SLACK_M
    xx, yy, xy = p[X, X] + own_x["xx"] + slack, p[Y, Y] + own_y["xx"] + slack, p[X, Y]
    total = (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / (xx * yy - xy * xy)
    for k, size in ((W, width), (H, height)):
        axis = new["axis"][k]
        off, spread = axis["x"] - size, PARTLY_HIDDEN * max(size, 1.0)
        total += off * off / (axis["xx"] + spread * spread)
    return total


@kernel
def keep_s(slot, settings):
    """Return for how long (s) a track that is not seen may be known again."""
    return settings["lost_road_s"] if slot["course"]["phase"] == CUBOID else settings["lost_s"]


@kernel
def rivalled(slots, own, new, box_px, since_s, time_s, settings):
    """Say whether another than `own`, last seen at `since_s`, could be what is seen in a box now.

    Another track that was hidden until now and is expected within a box of it, or one that began there since; or one
    from outside the picture, if it was last or is now at its edge. `new` is the track that the box was of so far.
    """
    course, before_px = slots[own]["course"], slots[own]["box_px"]
    for k in range(4):
        if box_cut(course, before_px, k, settings) or box_cut(course, box_px, k, settings):
            return True
    w, h = float(box_px[2]) - float(box_px[0]), float(box_px[3]) - float(box_px[1])
    x, y = 0.5 * (float(box_px[0]) + float(box_px[2])), 0.5 * (float(box_px[1]) + float(box_px[3]))
    for i in range(len(slots)):
        slot = slots[i]
        if slot["phase"] == FREE or i in (own, new):
            continue
        hidden = time_s - slot["seen_s"] > settings["tentative_s"] or slot["relinked_s"] == time_s
        if not hidden and slot["birth_s"] <= since_s:
            continue
        axis = slot["axis"]
        wide, tall = max(w, axis[W]["x"]), max(h, axis[H]["x"])
        if abs(axis[CX]["x"] - x) <= REACH * wide and abs(axis[CY]["x"] - y) <= REACH * tall:
            return True
    return False


@kernel
def relink_find(slots, new, settings, time_s):
    """Return the slot of the lost track that the new one fits best, -1 where it fits none."""
    best = -1
    least = settings["relink_sd"] * settings["relink_sd"]
    for i in range(len(slots)):
        slot = slots[i]
        phase = slot["phase"]
        if (phase != LOST and phase != CONFIRMED) or slot["seen_s"] >= slots[new]["birth_s"]:
            continue
        gap_s = time_s - slot["seen_s"]
        if gap_s > keep_s(slot, settings) or slot["class_id"] != slots[new]["class_id"]:
            continue
        if gap_s > settings["lost_s"]:
            distance = road_distance(slot, slots[new], settings["camera"])
        else:
            distance = relink_distance(slot, slots[new])
        if distance < least:
            best, least = i, distance
    return best


@kernel
def keep_course(old, new, settings):
    """Let the new track go on with the heading and size of the old one's course: one that stands gets none anew.

    Where it is and how fast is the new one's to tell. A heading that is not known to a radian any more is dropped.
    """
    course, p = old["course"], old["course"]["p"]
    if course["phase"] != CUBOID or new["course"]["phase"] != NONE or p[TURN, TURN] > HEADING_SD * HEADING_SD:
        return
    if not road_distance(old, new, settings["camera"]) < settings["relink_sd"] * settings["relink_sd"]:
        return
    x, y = new["axis"][ROAD_X], new["axis"][ROAD_Y]
    new["course"] = course
    course, p = new["course"], new["course"]["p"]
    cos, sin = math.cos(course["x"][TURN]), math.sin(course["x"][TURN])
    for i in range(STATES):
        for j in range(STATES):
            if min(i, j) < LENGTH and not (i == TURN and j == TURN):
                p[i, j] = 0.0
    course["x"][V], course["x"][A], course["x"][OMEGA] = x["v"] * cos + y["v"] * sin, 0.0, 0.0
    p[X, X], p[Y, Y], p[V, V] = 25.0, 25.0, x["vv"] * cos * cos + y["vv"] * sin * sin
    p[A, A], p[OMEGA, OMEGA] = 2.0 * ACCEL_SD * ACCEL_SD * FADE_S, 0.5 * TURN_SD * TURN_SD * FADE_S
    course["strikes"], course["pull"] = 0, 0.0
    if course_place(course, settings["camera"], new["box_px"], settings):
        course_measure(course, settings["camera"], new["box_px"], 1.0, settings)
    else:
        course["phase"], course["has_from"] = NONE, 0
    new["has_road"] = course["phase"] != NONE


@kernel
def join(slots, lost, new, settings, time_s):
    """Let the lost track go on where the new one is, with what was known of both; the new one's slot becomes free."""
    old = slots[lost]
    doubtful = time_s - old["seen_s"] > RELINK_S
    if doubtful:
        doubtful = rivalled(slots, lost, new, slots[new]["box_px"], old["seen_s"], time_s, settings)
    track_id, birth_s, relinked_s = old["id"], old["birth_s"], old["relinked_s"]
    hits, score_sum = old["hits"], old["score_sum"]
    for k in range(4):
        slots[new]["birth_box_px"][k] = old["birth_box_px"][k]
        slots[new]["prev_box_px"][k] = old["box_px"][k]
    for k in range(len(old["votes"])):
        slots[new]["votes"][k] += old["votes"][k]
    keep_course(old, slots[new], settings)
    slots[lost] = slots[new]
    joined = slots[lost]
    joined["id"], joined["birth_s"] = track_id, birth_s
    joined["hits"] += hits
    joined["score_sum"] += score_sum
    joined["class_id"] = elected(joined["votes"])
    joined["relinked_s"] = time_s if doubtful else relinked_s
    joined["phase"] = CONFIRMED
    joined["match"] = -1
    slots[new]["phase"] = FREE
