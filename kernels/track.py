"""One track: what is known of a road user, how it moves on, takes a detection in and is shown to the rules."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.contact import BOTTOM, CAMERA
from kernels.course import COURSE, NONE, course_predict
from kernels.coursebox import (
    EDGE_SHARE,
    box_cut,
    course_begin,
    course_class,
    course_forget,
    course_measure,
    course_publish,
)
from kernels.lens import distort_slope, undistort
from kernels.motion import AXIS, axis_predict, axis_start, axis_update
from kernels.records import AT_EDGE, CLASSES

#: A lost track takes no detection any more; until `lost_s` a new track may turn out to be it.
FREE, LOST, TENTATIVE, CONFIRMED = 0, 1, 2, 3
#: No road user is faster (250 km/h): such a speed comes of wrong stamps or of two road users in one track.
SPEED_MAX_MPS = 70.0
PERSON = CLASSES.index("person")

#: The axes of a track: box centre, box size, foot point on the road (m).
CX, CY, W, H, ROAD_X, ROAD_Y = range(6)

SLOT = np.dtype(
    [
        ("axis", AXIS, (6,)),
        ("course", COURSE),
        ("box_px", "<f4", (4,)),
        ("prev_box_px", "<f4", (4,)),
        ("birth_box_px", "<f4", (4,)),
        ("votes", "<f4", (len(CLASSES),)),
        ("birth_s", "<f8"),
        ("seen_s", "<f8"),
        ("score_sum", "<f8"),
        ("relinked_s", "<f8"),
        ("id", "<u4"),
        ("hits", "<u4"),
        ("score", "<f4"),
        ("phase", "<u1"),
        ("has_road", "<u1"),
        ("person", "<u1"),
        ("class_id", "<u1"),
        ("match", "<i2"),
    ]
)

#: Settings: scores 0..1, times in s, noise as a share of the box's height (position, size) and height/s^2.
SETTINGS = np.dtype(
    [
        ("score_high", "<f8"),
        ("score_low", "<f8"),
        ("score_birth", "<f8"),
        ("cost_high", "<f8"),
        ("cost_low", "<f8"),
        ("doubt_cost", "<f8"),
        ("class_cost", "<f8"),
        ("confirm_s", "<f8"),
        ("tentative_s", "<f8"),
        ("lost_s", "<f8"),
        ("lost_road_s", "<f8"),
        ("relink_sd", "<f8"),
        ("birth_iou_max", "<f8"),
        ("position_sd", "<f8"),
        ("speed_sd", "<f8"),
        ("accel_sd", "<f8"),
        ("size_accel_sd", "<f8"),
        ("widen_max", "<f8"),
        ("size_change", "<f8"),
        ("jump_sd", "<f8"),
        ("frame_width_px", "<f8"),
        ("frame_height_px", "<f8"),
        ("road_accel_mps2", "<f8"),
        ("speed_hits_min", "<u4"),
        ("has_road", "<u4"),
        # Camera and lens, whether it has more than the homography (a pose); deviation of the ground's scale.
        ("camera", CAMERA),
        ("has_pose", "<u4"),
        ("scale_sd", "<f8"),
    ]
)

DEFAULTS = {
    "score_high": 0.4,
    "score_low": 0.1,
    "score_birth": 0.4,
    "cost_high": 0.7,
    "cost_low": 0.5,
    "doubt_cost": 0.3,
    "class_cost": 0.15,
    "confirm_s": 0.15,
    "tentative_s": 0.25,
    "lost_s": 1.5,
    "lost_road_s": 3.0,
    "relink_sd": 2.5,
    "birth_iou_max": 0.6,
    "position_sd": 0.05,
    "speed_sd": 4.0,
    "accel_sd": 1.8,
    "size_accel_sd": 1.0,
    "widen_max": 0.5,
    "size_change": 0.6,
    "jump_sd": 6.0,
    "road_accel_mps2": 2.5,
    "speed_hits_min": 8,
}


@kernel
def overlap(ax1, ay1, ax2, ay2, bx1, by1, bx2, by2):
    """Return the intersection over union of two boxes, 0 where either is empty."""
    width = min(ax2, bx2) - max(ax1, bx1)
    height = min(ay2, by2) - max(ay1, by1)
    if width <= 0.0 or height <= 0.0:
        return 0.0
    common = width * height
    return common / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - common)


@kernel
def association_cost(slot, xyxy_px, detection, score, settings, hidden):
    """Return 1 - overlap of a track's predicted box with a detection, both widened by the track's uncertainty.

    The widening is two deviations of the predicted centre, at most `widen_max` of the box. The cost rises slightly
    with the centres' distance and falls with the score, which decides between equals.
    """
    axis = slot["axis"]
    w, h = max(axis[W]["x"], 1.0), max(axis[H]["x"], 1.0)
    x, y = axis[CX]["x"], axis[CY]["x"]
    bx1, by1, bx2, by2 = xyxy_px[detection, 0], xyxy_px[detection, 1], xyxy_px[detection, 2], xyxy_px[detection, 3]
    bw, bh = bx2 - bx1, by2 - by1
    # A change of size that no vehicle makes in the time: another object, or two that were taken for one.
    size_change, widen_max, jump_sd = settings["size_change"], settings["widen_max"], settings["jump_sd"]
    noise_px = settings["position_sd"] * h
    if abs(bw - w) > size_change * min(bw, w) + 2.0 * math.sqrt(axis[W]["xx"]):
        return 2.0
    if abs(bh - h) > size_change * min(bh, h) + 2.0 * math.sqrt(axis[H]["xx"]):
        return 2.0
    # A jump that neither the motion nor the box's own noise explains. A road user that goes behind something shows a
    # part of itself last, so for a `hidden` one the prediction is no measure.
    noise = noise_px * noise_px
    off_x, off_y = (bx1 + bx2) / 2 - x, (by1 + by2) / 2 - y
    limit = jump_sd * jump_sd
    far_x, far_y = off_x * off_x > limit * (axis[CX]["xx"] + noise), off_y * off_y > limit * (axis[CY]["xx"] + noise)
    if (far_x or far_y) and not hidden:
        return 2.0
    wide_x = min(2.0 * math.sqrt(axis[CX]["xx"]), widen_max * max(w, h))
    wide_y = min(2.0 * math.sqrt(axis[CY]["xx"]), widen_max * h)
    iou = overlap(
        x - w / 2 - wide_x,
        y - h / 2 - wide_y,
        x + w / 2 + wide_x,
        y + h / 2 + wide_y,
        bx1 - wide_x,
        by1 - wide_y,
        bx2 + wide_x,
        by2 + wide_y,
    )
    if iou <= 0.0:
        return 2.0
    far = math.hypot(off_x, off_y) / (w + h)
    return 1.0 - iou + 0.05 * far + 0.02 * (1.0 - score)


@kernel
def track_start(slot, settings, box_px, score, class_id, time_s, track_id):
    """Begin a track in a free slot from one detection."""
    w, h = box_px[2] - box_px[0], box_px[3] - box_px[1]
    sd = settings["position_sd"] * h
    axis = slot["axis"]
    axis_start(axis[CX], (box_px[0] + box_px[2]) / 2.0, sd, settings["speed_sd"] * h)
    axis_start(axis[CY], (box_px[1] + box_px[3]) / 2.0, sd, settings["speed_sd"] * h)
    axis_start(axis[W], w, sd, 0.5 * h)
    axis_start(axis[H], h, sd, 0.5 * h)
    slot["has_road"] = 0
    course_forget(slot["course"])
    for k in range(4):
        slot["box_px"][k] = box_px[k]
        slot["birth_box_px"][k] = box_px[k]
    for k in range(len(slot["votes"])):
        slot["votes"][k] = 0.0
    slot["votes"][class_id] = score
    slot["class_id"] = class_id
    slot["birth_s"] = time_s
    slot["seen_s"] = time_s
    slot["relinked_s"] = -math.inf
    slot["score_sum"] = score
    slot["score"] = score
    slot["id"] = track_id
    slot["hits"] = 1
    slot["phase"] = TENTATIVE
    slot["person"] = class_id == PERSON
    slot["match"] = -1


@kernel
def track_predict(slot, settings, dt_s):
    """Move every axis of a track ahead."""
    axis = slot["axis"]
    h = max(axis[H]["x"], 1.0)
    axis_predict(axis[CX], dt_s, settings["accel_sd"] * h)
    axis_predict(axis[CY], dt_s, settings["accel_sd"] * h)
    axis_predict(axis[W], dt_s, settings["size_accel_sd"] * h)
    axis_predict(axis[H], dt_s, settings["size_accel_sd"] * h)
    if slot["course"]["phase"] != NONE:
        course_predict(slot["course"], dt_s)
    elif slot["has_road"] != 0:
        axis_predict(axis[ROAD_X], dt_s, settings["road_accel_mps2"])
        axis_predict(axis[ROAD_Y], dt_s, settings["road_accel_mps2"])


@kernel
def elected(votes):
    """Return the class with most votes, the first among equals."""
    best = 0
    for k in range(len(votes)):
        if votes[k] > votes[best]:
            best = k
    return best


@kernel
def track_measure(slot, settings, box_px, score, class_id, to_road):
    """Take a matched detection into a track: box, score, class vote, foot point on the road."""
    axis = slot["axis"]
    w, h = box_px[2] - box_px[0], box_px[3] - box_px[1]
    # A weak detection is a less certain box.
    sd = settings["position_sd"] * h * (1.0 if score >= settings["score_high"] else 2.0)
    axis_update(axis[CX], (box_px[0] + box_px[2]) / 2.0, sd)
    axis_update(axis[CY], (box_px[1] + box_px[3]) / 2.0, sd)
    axis_update(axis[W], w, sd)
    axis_update(axis[H], h, sd)
    for k in range(4):
        slot["box_px"][k] = box_px[k]
    slot["votes"][class_id] += score
    slot["class_id"] = elected(slot["votes"])
    slot["score_sum"] += score
    slot["score"] = score
    slot["hits"] += 1
    if settings["has_road"] != 0:
        course, camera, doubt = slot["course"], settings["camera"], sd / (settings["position_sd"] * h)
        course_class(course, slot["class_id"])
        if course["phase"] == NONE:
            if box_cut(course, box_px, BOTTOM, settings):
                # What lies on the picture's edge does not move: nothing follows from it.
                slot["has_road"] = 0
            road_measure(slot, settings, (box_px[0] + box_px[2]) / 2.0, box_px[3], EDGE_SHARE * doubt * h, to_road)
            if slot["has_road"] != 0:
                course_begin(course, camera, box_px, slot["class_id"], axis[ROAD_X], axis[ROAD_Y], settings)
        if course["phase"] != NONE:
            course_measure(course, camera, box_px, doubt, settings)
            # Where a course is lost the foot point begins anew.
            slot["has_road"] = course["phase"] != NONE


@kernel
def road_measure(slot, settings, x, y, sd_px, to_road):
    """Take a foot point into the two road axes; its deviation in m follows from the local scale of the homography.

    `to_road` is of plumb pixels. A point at or above the horizon is no road point and is left out.
    """
    lens = settings["camera"]["lens"]
    if lens["bends"] != 0:
        x, y = undistort(lens, x, y)
    depth = to_road[2, 0] * x + to_road[2, 1] * y + to_road[2, 2]
    if depth <= 0.0:
        return
    road_x = (to_road[0, 0] * x + to_road[0, 1] * y + to_road[0, 2]) / depth
    road_y = (to_road[1, 0] * x + to_road[1, 1] * y + to_road[1, 2]) / depth
    # Jacobian of the homography: how many metres a pixel to the right and a pixel down are here.
    xu = (to_road[0, 0] - road_x * to_road[2, 0]) / depth
    xv = (to_road[0, 1] - road_x * to_road[2, 1]) / depth
    yu = (to_road[1, 0] - road_y * to_road[2, 0]) / depth
    yv = (to_road[1, 1] - road_y * to_road[2, 1]) / depth
    if lens["bends"] != 0:
        # So far per plumb pixel; per pixel of the picture by the inverse of the lens's slopes.
        _, _, xx, xy, yx, yy = distort_slope(lens, x, y)
        det = xx * yy - xy * yx
        xu, xv = (xu * yy - xv * yx) / det, (xv * xx - xu * xy) / det
        yu, yv = (yu * yy - yv * yx) / det, (yv * xx - yu * xy) / det
    sd_x = sd_px * math.sqrt(xu * xu + xv * xv)
    sd_y = sd_px * math.sqrt(yu * yu + yv * yv)
    axis = slot["axis"]
    if slot["has_road"] == 0:
        axis_start(axis[ROAD_X], road_x, sd_x, 20.0)
        axis_start(axis[ROAD_Y], road_y, sd_y, 20.0)
        slot["has_road"] = 1
    else:
        axis_update(axis[ROAD_X], road_x, sd_x)
        axis_update(axis[ROAD_Y], road_y, sd_y)


@kernel
def publish(row, slot, number, settings, time_s, previous_s, previous_px, flags):
    """Write a track's row for the rules. `previous_px` is its last observed box before this one."""
    box = slot["box_px"]
    row["time_s"] = time_s
    row["prev_time_s"] = previous_s
    row["birth_s"] = slot["birth_s"]
    row["id"] = slot["id"]
    row["slot"] = number
    row["class_id"] = slot["class_id"]
    row["x1_px"], row["y1_px"], row["x2_px"], row["y2_px"] = box[0], box[1], box[2], box[3]
    row["foot_x_px"], row["foot_y_px"] = 0.5 * (box[0] + box[2]), box[3]
    row["prev_foot_x_px"], row["prev_foot_y_px"] = 0.5 * (previous_px[0] + previous_px[2]), previous_px[3]
    row["prev_centre_x_px"] = 0.5 * (previous_px[0] + previous_px[2])
    row["prev_centre_y_px"] = 0.5 * (previous_px[1] + previous_px[3])
    axis = slot["axis"]
    row["vx_px_s"], row["vy_px_s"] = axis[CX]["v"], axis[CY]["v"]
    row["score"] = slot["score_sum"] / slot["hits"]
    row["hits"] = slot["hits"]
    right, bottom = settings["frame_width_px"] - 2.0, settings["frame_height_px"] - 2.0
    if box[0] < 1.0 or box[1] < 1.0 or box[2] > right or box[3] > bottom:
        flags |= AT_EDGE
    row["flags"] = flags
    row["relinked_s"] = slot["relinked_s"]
    row["front_x_px"], row["front_y_px"] = row["foot_x_px"], row["foot_y_px"]
    row["rear_x_px"], row["rear_y_px"] = row["foot_x_px"], row["foot_y_px"]
    row["foot_x_m"], row["foot_y_m"], row["speed_mps"], row["speed_sd_mps"] = math.nan, math.nan, math.nan, math.nan
    row["front_x_m"], row["front_y_m"], row["rear_x_m"], row["rear_y_m"] = math.nan, math.nan, math.nan, math.nan
    row["width_m"], row["position_sd_m"], row["accel_mps2"] = math.nan, math.nan, math.nan
    row["vx_mps"], row["vy_mps"] = math.nan, math.nan
    if slot["has_road"] == 0:
        return
    if slot["course"]["phase"] != NONE:
        course_publish(row, slot["course"], settings["camera"], settings["scale_sd"])
    else:
        road_publish(row, axis[ROAD_X], axis[ROAD_Y], settings["scale_sd"])
    # Withheld when too wide: a speed is only given with a deviation that makes it worth having.
    speed, sd = row["speed_mps"], row["speed_sd_mps"]
    believed = sd <= 1.0 + 0.2 * speed and speed <= SPEED_MAX_MPS
    if slot["hits"] < settings["speed_hits_min"] or not believed:
        row["speed_mps"], row["speed_sd_mps"] = math.nan, math.nan


@kernel
def road_publish(row, x, y, scale_sd):
    """Write what a TRACK row says of the road while there is no course: from the axes of the foot point alone."""
    row["foot_x_m"], row["foot_y_m"] = x["x"], y["x"]
    row["front_x_m"], row["front_y_m"], row["rear_x_m"], row["rear_y_m"] = x["x"], y["x"], x["x"], y["x"]
    row["vx_mps"], row["vy_mps"] = x["v"], y["v"]
    row["position_sd_m"] = math.sqrt(max(x["xx"], y["xx"]))
    speed = math.hypot(x["v"], y["v"])
    row["speed_mps"] = speed
    row["speed_sd_mps"] = math.sqrt(max(x["vv"], y["vv"]) + speed * speed * scale_sd * scale_sd)
