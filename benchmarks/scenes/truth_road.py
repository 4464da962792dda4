"""Truth of what happens on a road, by the definitions of the field, from courses in metres."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.scenes.course import Course
from benchmarks.scenes.plan import Plan, Point
from benchmarks.scenes.tables import Event, Truth, joined
from benchmarks.scenes.truth_flow import congestion_truth, slow_truth
from benchmarks.scenes.truth_lines import MOTOR, class_of
from benchmarks.scenes.truth_pairs import tailgating_truth
from benchmarks.scenes.truth_standing import standing_truth
from benchmarks.scenes.truth_yield import yield_truth

#: Truth of a kind of rule: (course, plan, rule) -> its events.
Teller = Callable[[Course, Plan, dict[str, Any]], Truth]


#: The same rule on the same road user within this time is one violation.
REPEAT_S = 30.0


def road_truth(course: Course, plan: Plan) -> Truth:
    """Return what each rule of the plan should tell, for the rules that have a truth here."""
    return joined([TELLERS[rule["type"]](course, plan, rule) for rule in plan.rules if rule["type"] in TELLERS])


def inside(points_m: np.ndarray, outline: list[Point]) -> np.ndarray:
    """Say which points f8[n, 2] lie in an upright rectangle, bool[n]."""
    corners = np.array(outline)
    low, high = corners.min(axis=0), corners.max(axis=0)
    return ((points_m >= low) & (points_m <= high)).all(axis=1)


def runs(held: np.ndarray) -> list[tuple[int, int]]:
    """Return the first and the last row after each run of true."""
    edges = np.flatnonzero(np.diff(np.r_[0, held.astype(np.int8), 0]))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def lane_outline(plan: Plan, name: str) -> list[Point]:
    """Return the outline of "approach/lane"."""
    approach, _, lane = name.partition("/")
    return plan.approaches[approach][1][lane]


def _event(course: Course, rule: dict[str, Any], who: int, time_s: float, speed_mps: float | None = None) -> Event:
    kmh = None if speed_mps is None else speed_mps * 3.6
    return Event(float(time_s), str(rule["name"]), class_of(course, who), None, kmh, who)


def speeding(course: Course, plan: Plan, rule: dict[str, Any]) -> Truth:
    """Over the limit and its tolerance (3 km/h, or 3 %) for 10 m; within 5 km/h of that nobody can be sure."""
    events: list[Event] = []
    unsure: list[Event] = []
    limit = rule["limit_kmh"]
    outlines = [lane_outline(plan, name) for name in rule["lanes"]]
    for who, rows in course.each():
        if class_of(course, who) not in MOTOR:
            continue
        there = np.any([inside(course.front_m[rows], outline) for outline in outlines], axis=0)
        kmh = course.speed_mps[rows] * 3.6
        margin = kmh - limit - np.maximum(3.0, 0.03 * kmh)
        best = max((_held(margin[a:b], kmh[a:b], course.fps) for a, b in runs(there)), default=-99.0)
        if best > -5.0:
            at = int(np.argmax(np.where(there, margin, -99.0)))
            one = _event(course, rule, who, course.time_s[rows][at], course.speed_mps[rows][at])
            (events if best > 5.0 else unsure).append(one)
    return Truth(events, unsure, {})


def _held(margin: np.ndarray, kmh: np.ndarray, fps: float) -> float:
    """Return the greatest margin that was held for 10 m and 1 s."""
    rows = max(int(fps), int(np.ceil(10.0 / max(kmh.mean() / 3.6 / fps, 0.01))))
    if len(margin) < rows:
        return -99.0
    return float(np.lib.stride_tricks.sliding_window_view(margin, rows).min(axis=1).max())


def solid_line(course: Course, plan: Plan, rule: dict[str, Any]) -> Truth:
    """Front and rear are 0.5 m past the line, both passed it between its ends, and stay for 1 s."""
    line = plan.lines[rule["line"]]
    a, b = np.array(line.ends_m[0]), np.array(line.ends_m[1])
    way = (b - a) / np.hypot(*(b - a))
    normal, length = line.normal, float(np.hypot(*(b - a)))
    outlines = [lane_outline(plan, name) for name in rule["lanes"]]
    events: list[Event] = []
    unsure: list[Event] = []
    for who, rows in course.each():
        if class_of(course, who) not in MOTOR:
            continue
        front, rear = course.front_m[rows], course.rear_m[rows]
        known = np.any([inside(front, outline) for outline in outlines], axis=0)
        f, r = (front - a) @ normal, (rear - a) @ normal
        side = np.where((f > 0.0) & (r > 0.0), 1, np.where((f < 0.0) & (r < 0.0), -1, 0))
        settled = np.flatnonzero((side != 0) & known)
        for i, k in pairwise(settled):
            if side[i] == side[k]:
                continue
            spot = [(front[k] - a) @ way, (rear[k] - a) @ way, (front[i] - a) @ way]
            within = all(0.0 <= at <= length for at in spot)
            after = slice(k, k + round(1.5 * course.fps))
            deep = np.minimum(f[after] * side[k], r[after] * side[k]) if len(f) > k else np.zeros(1)
            stays = len(deep) >= 1.4 * course.fps and deep.max() >= 0.5 and (deep > 0.0).all() and known[after].all()
            one = _event(course, rule, who, course.time_s[rows][k])
            if within and stays:
                events.append(one)
            elif any(-8.0 <= at <= length + 8.0 for at in spot):
                unsure.append(one)
    return Truth(events, unsure, {})


def reserved_lane(course: Course, plan: Plan, rule: dict[str, Any]) -> Truth:
    """Front and rear in the lane for 3 s or 30 m, in a class that it is not for."""
    outlines = [lane_outline(plan, name) for name in rule["lanes"]]
    events: list[Event] = []
    unsure: list[Event] = []
    for who, rows in course.each():
        if class_of(course, who) in (*rule["allowed"], "person"):
            continue
        front, rear = course.front_m[rows], course.rear_m[rows]
        there = np.any([inside(front, one) & inside(rear, one) for one in outlines], axis=0)
        for a, b in runs(there):
            way = np.r_[0.0, np.cumsum(np.hypot(*np.diff(front[a:b], axis=0).T))]
            held = np.arange(b - a) / course.fps
            enough = (held >= 3.0) | (way >= 30.0)
            if enough.any():
                at = a + int(np.argmax(enough))
                one = _event(course, rule, who, course.time_s[rows][at])
                # Within 30 s the same is told once: if perhaps it was told already, perhaps not again.
                again = any(each.track_id == who and one.time_s - each.time_s < REPEAT_S for each in unsure)
                (unsure if again else events).append(one)
                break
            if held[-1] >= 2.0 or way[-1] >= 20.0:
                unsure.append(_event(course, rule, who, course.time_s[rows][b - 1]))
    return Truth(events, unsure, {})


def wrong_way(course: Course, plan: Plan, rule: dict[str, Any]) -> Truth:
    """Against the lane (cosine below -0.5) for 1 s and 10 m, faster than 5 km/h; `table`: since when in view."""
    events: list[Event] = []
    table: list[dict[str, Any]] = []
    outlines = {name: lane_outline(plan, name) for name in rule["lanes"]}
    for who, rows in course.each():
        if class_of(course, who) not in MOTOR:
            continue
        front = course.front_m[rows]
        against = np.zeros(len(front), bool)
        for name, outline in outlines.items():
            flow = np.subtract(*plan.approaches[name.partition("/")[0]][0][::-1])
            flow /= np.hypot(*flow)
            against |= inside(front, outline) & (course.ahead[rows] @ flow < -0.5)
        against &= course.speed_mps[rows] > 5.0 / 3.6
        for a, b in runs(against):
            way = np.r_[0.0, np.cumsum(np.hypot(*np.diff(front[a:b], axis=0).T))]
            enough = (np.arange(b - a) / course.fps >= 1.0) & (way >= 10.0)
            if enough.any():
                at = a + int(np.argmax(enough))
                events.append(_event(course, rule, who, course.time_s[rows][at]))
                table.append({"track_id": who, "onset_s": float(course.time_s[rows][a]), "rule": rule["name"]})
                break
    return Truth(events, [], {"onsets": table})


def pedestrian(course: Course, plan: Plan, rule: dict[str, Any]) -> Truth:
    """On the carriageway for 2 s, 1 m from its edge, and not within 1 m of a crosswalk."""
    corners = np.array(plan.zones[rule["zone"]])
    low, high = corners.min(axis=0) + 1.0, corners.max(axis=0) - 1.0
    events: list[Event] = []
    unsure: list[Event] = []
    table: list[dict[str, Any]] = []
    for who, rows in course.each():
        if class_of(course, who) != "person":
            continue
        middle = course.front_m[rows] - 0.5 * course.size_m[rows][:, :1] * course.ahead[rows]
        there = ((middle > low) & (middle < high)).all(axis=1)
        for name in rule["crosswalks"]:
            walk = np.array(plan.zones[name])
            there &= ~((middle > walk.min(axis=0) - 1.0) & (middle < walk.max(axis=0) + 1.0)).all(axis=1)
        last_s = -np.inf
        for a, b in runs(there):
            if b - a >= 2.0 * course.fps:
                at = min(a + round(2.0 * course.fps), b - 1)
                one = _event(course, rule, who, course.time_s[rows][at])
                sure = b - a >= 2.4 * course.fps and one.time_s - last_s >= REPEAT_S
                (events if sure else unsure).append(one)
                table.append({"track_id": who, "onset_s": float(course.time_s[rows][a]), "rule": rule["name"]})
                last_s = one.time_s
    return Truth(events, unsure, {"onsets": table})


TELLERS: dict[str, Teller] = {
    "speeding": speeding,
    "solid_line": solid_line,
    "reserved_lane": reserved_lane,
    "wrong_way": wrong_way,
    "pedestrian_on_road": pedestrian,
    "stopped_vehicle": standing_truth,
    "stopping": standing_truth,
    "tailgating": tailgating_truth,
    "slow_vehicle": slow_truth,
    "congestion": congestion_truth,
    "yield_crosswalk": yield_truth,
}
