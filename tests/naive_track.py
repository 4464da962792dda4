"""Slow, obvious twins of the tracking kernels: textbook matrices, exhaustive pairing, tracks as Python objects."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import naive_course
import naive_lens
import numpy as np
from naive_assign import assign
from naive_motion import Axis, axis_predict, axis_start, axis_update
from naive_relink import elected, join, keep_s, middle, relink_find, rivalled

from kernels.course import NONE
from kernels.coursebox import EDGE_SHARE
from kernels.records import AT_EDGE, CLASSES, ENDED, OBSERVED, RELINKED

PERSON = CLASSES.index("person")

# -- one track ------------------------------------------------------------------------------------------------------


@dataclass
class Sighting:
    time_s: float
    box: tuple[float, ...]
    score: float
    class_id: int


@dataclass
class Track:
    """All that was ever seen of a road user; what the kernel remembers follows from it."""

    id: int
    person: bool
    axes: dict[str, Axis]
    seen: list[Sighting] = field(default_factory=list)
    confirmed: bool = False
    lost: bool = False
    relinked_s: float = -math.inf
    match: int = -1
    course: naive_course.Course = field(default_factory=naive_course.Course)

    @property
    def last_s(self):
        return self.seen[-1].time_s

    @property
    def box(self):
        return self.seen[-1].box

    def votes(self):
        return [sum(s.score for s in self.seen if s.class_id == k) for k in range(len(CLASSES))]


def area(box):
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def overlap(a, b):
    """Area of the common box over area of the union."""
    common = area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    return common / (area(a) + area(b) - common) if common > 0 else 0.0


def widened(box, by_x, by_y):
    return box[0] - by_x, box[1] - by_y, box[2] + by_x, box[3] + by_y


def association_cost(track, box, score, settings, hidden):
    """1 - overlap of the two boxes, both widened by two deviations of the prediction, and the tie-breakers."""
    x, y = track.axes["cx"].mean[0], track.axes["cy"].mean[0]
    w, h = max(track.axes["w"].mean[0], 1.0), max(track.axes["h"].mean[0], 1.0)
    for name, own, other in (("w", w, box[2] - box[0]), ("h", h, box[3] - box[1])):
        if abs(other - own) > settings["size_change"] * min(other, own) + 2 * math.sqrt(track.axes[name].cov[0, 0]):
            return 2.0
    for name, found, expected in zip(("cx", "cy"), middle(box), (x, y), strict=True):
        sd = math.hypot(math.sqrt(track.axes[name].cov[0, 0]), settings["position_sd"] * h)
        if abs(found - expected) > settings["jump_sd"] * sd and not hidden:
            return 2.0
    widen_max = settings["widen_max"]
    wide_x = min(2 * math.sqrt(track.axes["cx"].cov[0, 0]), widen_max * max(w, h))
    wide_y = min(2 * math.sqrt(track.axes["cy"].cov[0, 0]), widen_max * h)
    own = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
    iou = overlap(widened(own, wide_x, wide_y), widened(box, wide_x, wide_y))
    if iou == 0:
        return 2.0
    return 1 - iou + 0.05 * math.dist((x, y), middle(box)) / (w + h) + 0.02 * (1 - score)


def search_area(track, settings):
    """Widen the predicted box twice: once for itself and once for the detection."""
    x, y = track.axes["cx"].mean[0], track.axes["cy"].mean[0]
    w, h = max(track.axes["w"].mean[0], 1.0), max(track.axes["h"].mean[0], 1.0)
    wide_x = min(2 * math.sqrt(track.axes["cx"].cov[0, 0]), settings["widen_max"] * max(w, h))
    wide_y = min(2 * math.sqrt(track.axes["cy"].cov[0, 0]), settings["widen_max"] * h)
    return widened((x - w / 2, y - h / 2, x + w / 2, y + h / 2), 2 * wide_x, 2 * wide_y)


def track_start(settings, box, score, class_id, time_s, track_id):
    h = box[3] - box[1]
    sd = settings["position_sd"] * h
    axes = {
        name: axis_start(z, sd, settings["speed_sd"] * h) for name, z in zip(("cx", "cy"), middle(box), strict=True)
    }
    axes |= {"w": axis_start(box[2] - box[0], sd, 0.5 * h), "h": axis_start(h, sd, 0.5 * h)}
    return Track(track_id, class_id == PERSON, axes, [Sighting(time_s, box, score, class_id)])


def track_predict(track, settings, dt_s):
    h = max(track.axes["h"].mean[0], 1.0)
    noise = {"cx": settings["accel_sd"] * h, "cy": settings["accel_sd"] * h}
    noise |= {"w": settings["size_accel_sd"] * h, "h": settings["size_accel_sd"] * h}
    noise |= dict.fromkeys(("road_x", "road_y"), settings["road_accel_mps2"])
    on_course = track.course.phase != NONE
    if on_course:
        naive_course.course_predict(track.course, dt_s)
    track.axes = {
        name: axis if on_course and name.startswith("road") else axis_predict(axis, dt_s, noise[name])
        for name, axis in track.axes.items()
    }


def track_measure(track, settings, box, score, class_id, time_s, to_road):
    h = box[3] - box[1]
    sd = settings["position_sd"] * h * (1 if score >= settings["score_high"] else 2)
    for name, z in zip(("cx", "cy", "w", "h"), (*middle(box), box[2] - box[0], h), strict=True):
        track.axes[name] = axis_update(track.axes[name], z, sd)
    track.seen.append(Sighting(time_s, box, score, class_id))
    if to_road is None:
        return
    course, camera, doubt = track.course, settings["camera"], 1 if score >= settings["score_high"] else 2
    naive_course.course_class(course, elected(track.votes()))
    if course.phase == NONE:
        if naive_course.box_cut(course, box, 3, settings):
            forget_road(track)
        road_measure(track, middle(box)[0], box[3], EDGE_SHARE * doubt * h, to_road, camera["lens"])
        if "road_x" in track.axes:
            road = track.axes["road_x"], track.axes["road_y"]
            naive_course.course_begin(course, camera, box, elected(track.votes()), *road, settings)
    if course.phase != NONE:
        naive_course.course_measure(course, camera, box, doubt, settings)
        if course.phase == NONE:
            forget_road(track)


def forget_road(track):
    track.axes = {name: axis for name, axis in track.axes.items() if not name.startswith("road")}


def on_road(to_road, x, y, lens):
    if lens is not None and lens["bends"]:
        x, y = naive_lens.undistort(lens, x, y)
    u, v, w = to_road @ np.array([x, y, 1.0])
    return np.array([u / w, v / w]) if w > 0 else None


def road_measure(track, x, y, sd_px, to_road, lens=None):
    """Project the foot point; its deviation by stepping a thousandth of a pixel to each side."""
    here = on_road(to_road, x, y, lens)
    if here is None:
        return
    step = 1e-3
    right = (on_road(to_road, x + step, y, lens) - on_road(to_road, x - step, y, lens)) / (2 * step)
    down = (on_road(to_road, x, y + step, lens) - on_road(to_road, x, y - step, lens)) / (2 * step)
    for name, z, sd in zip(("road_x", "road_y"), here, sd_px * np.hypot(right, down), strict=True):
        axis = track.axes.get(name)
        track.axes[name] = axis_start(z, sd, 20.0) if axis is None else axis_update(axis, z, sd)


def publish(track, number, settings, previous, flags):
    """The row that the rules see, as a dict; `previous` is the sighting before."""
    last, (x1, y1, x2, y2) = track.seen[-1], track.box
    foot, prev = (middle(track.box)[0], y2), middle(previous.box)
    if x1 < 1 or y1 < 1 or x2 > settings["frame_width_px"] - 2 or y2 > settings["frame_height_px"] - 2:
        flags |= AT_EDGE
    row = {
        "time_s": last.time_s,
        "prev_time_s": previous.time_s,
        "birth_s": track.seen[0].time_s,
        "id": track.id,
        "slot": number,
        "class_id": elected(track.votes()),
        "flags": flags,
        "score": np.mean([s.score for s in track.seen]),
        "hits": len(track.seen),
    }
    row |= dict(zip(("x1_px", "y1_px", "x2_px", "y2_px"), track.box, strict=True))
    row |= {"foot_x_px": foot[0], "foot_y_px": foot[1], "prev_foot_x_px": prev[0], "prev_foot_y_px": previous.box[3]}
    row |= {"prev_centre_x_px": prev[0], "prev_centre_y_px": prev[1]}
    row |= {"vx_px_s": track.axes["cx"].mean[1], "vy_px_s": track.axes["cy"].mean[1]}
    row |= {"front_x_px": foot[0], "front_y_px": foot[1], "rear_x_px": foot[0], "rear_y_px": foot[1]}
    row |= dict.fromkeys(("foot_x_m", "foot_y_m", "front_x_m", "front_y_m", "rear_x_m", "rear_y_m"), math.nan)
    row |= dict.fromkeys(("width_m", "position_sd_m", "vx_mps", "vy_mps", "accel_mps2"), math.nan)
    row |= {"speed_mps": math.nan, "speed_sd_mps": math.nan, "relinked_s": track.relinked_s}
    if "road_x" in track.axes:
        if track.course.phase != NONE:
            row |= naive_course.course_publish(track.course, settings["camera"], settings["scale_sd"])
        else:
            row |= naive_course.road_publish(track.axes["road_x"], track.axes["road_y"], settings["scale_sd"])
        sd, speed = row["speed_sd_mps"], row["speed_mps"]
        if len(track.seen) < settings["speed_hits_min"] or sd > 1 + 0.2 * speed or speed > 70:
            row |= {"speed_mps": math.nan, "speed_sd_mps": math.nan}
    return row


# -- all tracks -----------------------------------------------------------------------------------------------------


def match_pass(tracks, settings, found, free, gate, shown_s, handicap=0.0):
    """Pair these tracks with the free detections (a set of numbers), which loses those that were taken.

    A track last seen before `shown_s` is hidden; `handicap` is what hidden and unconfirmed ones pay on top.
    """
    numbers = sorted(free)
    cost = []
    for track in tracks:
        hidden = track.last_s < shown_s
        row = []
        for one in (found[j] for j in numbers):
            price = association_cost(track, one.box, one.score, settings, hidden)
            price += handicap * (hidden or not track.confirmed)
            price += settings["class_cost"] * (one.class_id != elected(track.votes()))
            row.append(price if track.person == (one.class_id == PERSON) else 2.0)
        cost.append(row)
    for i, j in assign(cost, gate):
        tracks[i].match = numbers[j]
        free.remove(numbers[j])


def associate(slots, settings, time_s, dt_s, found):
    """Strong detections to all tracks, any left to confirmed ones seen lately, strong ones left to any."""
    for track in filter(None, slots):
        track.match = -1
    alive = [track for track in slots if track is not None and not track.lost]
    free = {j for j, one in enumerate(found) if one.score >= settings["score_low"]}
    strong = {j for j in free if found[j].score >= settings["score_high"]}
    weak = free - strong
    shown_s = time_s - dt_s - 1e-6
    match_pass(alive, settings, found, strong, settings["cost_high"], shown_s, settings["doubt_cost"])
    left = strong | weak
    lately_s = max(dt_s + 1e-6, settings["tentative_s"])
    waiting = [track for track in alive if track.confirmed and track.match < 0 and time_s - track.last_s <= lately_s]
    match_pass(waiting, settings, found, left, settings["cost_low"], shown_s)
    strong = {j for j in left if found[j].score >= settings["score_high"]}
    match_pass([track for track in alive if track.match < 0], settings, found, strong, settings["cost_high"], shown_s)


def births(slots, settings, time_s, ids, found):
    """A new track for each strong detection that no track has taken and that doubles no box seen now."""
    taken = {track.match for track in slots if track is not None}
    for j, one in enumerate(found):
        now = [track for track in slots if track is not None and track.last_s == time_s]
        doubles = any(
            track.person == (one.class_id == PERSON) and overlap(track.box, one.box) > settings["birth_iou_max"]
            for track in now
        )
        if j in taken or one.score < settings["score_birth"] or doubles or None not in slots:
            continue
        slots[slots.index(None)] = track_start(settings, one.box, one.score, one.class_id, time_s, next(ids))


def proven(track, settings, time_s):
    """Seen twice, for `confirm_s` at a mean score of `score_high`, in inverse proportion, at least two thirds of it."""
    mean = np.mean([s.score for s in track.seen])
    needed_s = settings["confirm_s"] * max(settings["score_high"] / mean, 2 / 3)
    return len(track.seen) > 1 and time_s - track.seen[0].time_s >= needed_s - 1e-9


def tracker_step(slots, settings, time_s, dt_s, found, to_road, ids):
    """One frame: `slots` is a list of tracks or None, `found` a list of sightings; returns the rows as dicts."""
    for track in filter(None, slots):
        track_predict(track, settings, dt_s)
    associate(slots, settings, time_s, dt_s, found)
    rows = []
    for number, track in enumerate(slots):
        if track is None:
            continue
        gap_s = time_s - track.last_s
        if track.match < 0:
            patience_s = max(settings["tentative_s"], 1.5 * dt_s)
            if gap_s > (keep_s(track, settings) if track.confirmed else patience_s):
                rows += [publish(track, number, settings, track.seen[-1], ENDED)] if track.confirmed else []
                slots[number] = None
            track.lost |= gap_s > max(patience_s, track.last_s - track.seen[0].time_s) or gap_s > settings["lost_s"]
            continue
        one = found[track.match]
        bridges = gap_s > 1.5 * dt_s or gap_s > settings["lost_s"]
        doubtful = bridges and gap_s > 0.5 and rivalled(slots, track, [], one.box, time_s, settings)
        track_measure(track, settings, one.box, one.score, one.class_id, time_s, to_road)
        first, previous = track.seen[0], track.seen[-2]
        if doubtful:
            track.relinked_s = time_s
        if track.confirmed:
            rows.append(publish(track, number, settings, previous, OBSERVED | RELINKED * bridges))
        elif proven(track, settings, time_s):
            lost = relink_find(slots, track, settings, time_s)
            if lost is None:
                track.confirmed = True
                rows.append(publish(track, number, settings, first, OBSERVED))
            else:
                previous = slots[lost].seen[-1]
                join(slots, lost, number, settings, time_s)
                rows.append(publish(slots[lost], lost, settings, previous, OBSERVED | RELINKED))
    births(slots, settings, time_s, ids, found)
    return rows


def tracker_end(slots, settings):
    """The last rows of the confirmed tracks; every slot is free afterwards."""
    rows = [publish(t, i, settings, t.seen[-1], ENDED) for i, t in enumerate(slots) if t is not None and t.confirmed]
    slots[:] = [None] * len(slots)
    return rows
