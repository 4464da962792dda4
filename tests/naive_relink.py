"""Slow, obvious twin of `kernels/relink.py`: who is known again, and how surely."""

from __future__ import annotations

import math
from dataclasses import replace

import naive_course
import numpy as np


def middle(box):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def elected(votes):
    return max(range(len(votes)), key=lambda k: (votes[k], -k))


def relink_distance(lost, new):
    """Mahalanobis distances of (place, speed) along both axes of the picture and of both sizes, squared and added."""
    size = {n: max(lost.axes[n].mean[0], new.axes[n].mean[0], 1.0) for n in ("w", "h")}
    total = 0.0
    for name, scale in (("cx", size["w"]), ("cy", size["h"]), ("w", size["w"]), ("h", size["h"])):
        difference = new.axes[name].mean - lost.axes[name].mean
        cov = new.axes[name].cov + lost.axes[name].cov + np.diag([(scale / 4) ** 2, 0.0])
        if abs(difference[0]) > scale:
            return math.inf
        known = 2 if name in ("cx", "cy") else 1
        total += difference[:known] @ np.linalg.inv(cov[:known, :known]) @ difference[:known]
    return total


def road_distance(lost, new, settings):
    """Mahalanobis distance of the foot points on the road, the lost one's being that of its cuboid's box, and sizes."""
    found = naive_course.cuboid_outline(settings["camera"], naive_course.course_shape(lost.course))
    if found is None or "road_x" not in new.axes:
        return math.inf
    left, top, right, bottom = found[0]
    expected = np.array(naive_course.pixel_road(settings["camera"], (left + right) / 2, bottom))
    road = new.axes["road_x"], new.axes["road_y"]
    off = np.array([axis.mean[0] for axis in road]) - expected
    cov = lost.course.p[:2, :2] + np.diag([axis.cov[0, 0] + 0.25 for axis in road])
    total = off @ np.linalg.inv(cov) @ off
    for name, size in (("w", right - left), ("h", bottom - top)):
        axis = new.axes[name]
        total += (axis.mean[0] - size) ** 2 / (axis.cov[0, 0] + (max(size, 1.0) / 4) ** 2)
    return total


def keep_s(track, settings):
    """Longer where it has a cuboid on the road."""
    return settings["lost_road_s" if track.course.phase == naive_course.CUBOID else "lost_s"]


def rivalled(slots, own, others, box, time_s, settings):
    """Whether there are tracks near this box that were hidden or began since; at an edge it may be anybody."""
    if any(naive_course.box_cut(own.course, one, k, settings) for one in (box, own.box) for k in range(4)):
        return True
    found = []
    for track in slots:
        if track is None or any(track is one for one in (own, *others)):
            continue
        hidden = time_s - track.last_s > settings["tentative_s"] or track.relinked_s == time_s
        if not (hidden or track.seen[0].time_s > own.last_s):
            continue
        boxes = max(box[2] - box[0], track.axes["w"].mean[0]), max(box[3] - box[1], track.axes["h"].mean[0])
        apart = [abs(track.axes[n].mean[0] - z) for n, z in zip(("cx", "cy"), middle(box), strict=True)]
        if apart[0] <= boxes[0] and apart[1] <= boxes[1]:
            found.append(track.id)
    return bool(found)


def relink_find(slots, new, settings, time_s):
    """The number of the nearest track that was gone before the new one came, or None."""
    distances = {}
    for number, track in enumerate(slots):
        if track is None or not track.confirmed or track.last_s >= new.seen[0].time_s:
            continue
        gap_s = time_s - track.last_s
        if gap_s <= keep_s(track, settings) and elected(track.votes()) == elected(new.votes()):
            late = gap_s > settings["lost_s"]
            distances[number] = road_distance(track, new, settings) if late else relink_distance(track, new)
    near = {number: d for number, d in distances.items() if d < settings["relink_sd"] ** 2}
    return min(near, key=lambda number: (near[number], number)) if near else None


def again(course, axes, box, settings):
    """A course of the same heading and size, begun where the box is, at the foot point's speed."""
    ahead = np.array([math.cos(course.x[2]), math.sin(course.x[2])])
    road = [axes[name] for name in ("road_x", "road_y")]
    p = np.zeros((9, 9))
    p[6:, 6:] = course.p[6:, 6:]
    speed_var = ahead**2 @ [axis.cov[1, 1] for axis in road]
    p[:6, :6] = np.diag([25, 25, course.p[2, 2], speed_var, 2 * 1.0**2 * 1.5, 0.5 * 0.6**2 * 1.5])
    course.x[3:6] = ahead @ [axis.mean[1] for axis in road], 0.0, 0.0
    course.p, course.strikes, course.pull = p, 0, 0.0
    if naive_course.course_place(course, settings["camera"], box, settings):
        naive_course.course_measure(course, settings["camera"], box, 1, settings)
    else:
        naive_course.lose(course)
    return course


def keep_course(old, young, settings):
    """The course that goes on: the old one's, begun anew where the box is, if that leads there, else the new one's."""
    first, second = old.course, young.course
    if first.phase != naive_course.CUBOID or second.phase != naive_course.NONE or first.p[2, 2] > 1.0:
        return second
    near = road_distance(old, young, settings) < settings["relink_sd"] ** 2
    return again(first, young.axes, young.box, settings) if near else second


def swap_seen(course):
    """The state is now what it was when it was seen, and the other way round."""
    course.x, course.seen = course.seen, course.x


def join(slots, lost, new, settings, time_s):
    """One track with the sightings of both, in the old place with the old id; it moves as the new one does."""
    old, young = slots[lost], slots[new]
    doubtful = time_s - old.last_s > 0.5 and rivalled(slots, old, [young], young.box, time_s, settings)
    since_s = time_s if doubtful else old.relinked_s
    course, axes = keep_course(old, young, settings), young.axes
    if course is old.course and course.phase == naive_course.NONE:
        axes = {name: axis for name, axis in axes.items() if not name.startswith("road")}
    both = old.seen + young.seen
    told = {"axes": axes, "seen": both, "relinked_s": since_s, "course": course}
    slots[lost] = replace(old, confirmed=True, lost=False, match=-1, **told)
    slots[new] = None
