"""Truth of traffic that flows badly: one that crawls among faster ones, and lanes that are slow and dense."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.scenes.course import Course
from benchmarks.scenes.plan import Plan
from benchmarks.scenes.tables import Event, Truth
from benchmarks.scenes.truth_lines import MOTOR, class_of

SLOW_MPS, MEDIAN_MPS = 30.0 / 3.6, 60.0 / 3.6
HELD_S, WINDOW_S = 5.0, 60.0
#: Who is slow this near behind a slow one only follows it.
FOLLOWS_M = 50.0


def _lane(course: Course, plan: Plan, name: str) -> np.ndarray:
    """Say which rows are motor vehicles with their fronts in a lane."""
    approach, _, lane = name.partition("/")
    corners = np.array(plan.approaches[approach][1][lane])
    motor = np.array([class_of(course, who + 1) in MOTOR for who in range(len(course.names))])
    there = ((course.front_m >= corners.min(axis=0)) & (course.front_m <= corners.max(axis=0))).all(axis=1)
    return there & motor[course.who - 1]


def slow_truth(course: Course, plan: Plan, rule: dict[str, Any]) -> Truth:
    """Slower than 30 km/h for 5 s, not standing, while the median of the lane's others of a minute is over 60 km/h."""
    events: list[Event] = []
    unsure: list[Event] = []
    for name in rule["lanes"]:
        view = course.part(_lane(course, plan, name))
        passed = [(view.time_s[rows].max(), np.median(view.speed_mps[rows]), who) for who, rows in view.each()]
        for who, rows in view.each():
            slow = (view.speed_mps[rows] < SLOW_MPS) & (view.speed_mps[rows] > 1.0)
            edges = np.flatnonzero(np.diff(np.r_[0, slow.astype(np.int8), 0]))
            for a, b in zip(edges[::2], edges[1::2], strict=True):
                if b - a < (HELD_S - 1.0) * view.fps:
                    continue
                times = view.time_s[rows]
                at_s = float(times[a]) + HELD_S
                others = [v for t, v, other in passed if other != who and at_s - WINDOW_S < t < at_s + 5.0]
                median = float(np.median(others)) if others else 0.0
                if median < MEDIAN_MPS - 3.0:
                    continue
                one = Event(at_s, str(rule["name"]), class_of(view, who), None, None, who)
                behind = _behind_slow(view, who, float(times[a]), view.front_m[rows][a])
                sure = len(others) >= 4 and median > MEDIAN_MPS + 2.0 and b - a > (HELD_S + 2.0) * view.fps
                (events if sure and not behind else unsure).append(one)
                break
    return Truth(events, unsure, {})


def _behind_slow(view: Course, who: int, time_s: float, front: np.ndarray) -> bool:
    """Say whether another slow one is right ahead (to the south) at a time."""
    now = (view.frame == round(time_s * view.fps)) & (view.who != who) & (view.speed_mps < SLOW_MPS)
    ahead = front[1] - view.front_m[now][:, 1]
    return bool(((ahead > 0.0) & (ahead < FOLLOWS_M)).any())


def congestion_truth(course: Course, plan: Plan, rule: dict[str, Any]) -> Truth:
    """Edie's speed below 20 km/h and more than 35 % of the lane covered, over 10 s, for 30 s."""
    (name,) = rule["lanes"]
    rows = _lane(course, plan, name)
    approach, _, lane = name.partition("/")
    corners = np.array(plan.approaches[approach][1][lane])
    length_m = float(np.ptp(corners[:, 1]))
    window = np.ones(round(10.0 * course.fps))

    def over_window(weights: np.ndarray) -> np.ndarray:
        by_frame = np.bincount(course.frame[rows], weights, minlength=course.frames)
        return np.convolve(by_frame, window)[: course.frames]

    count = over_window(np.ones(int(rows.sum())))
    speed = over_window(course.speed_mps[rows]) / np.maximum(count, 1.0)
    covered = over_window(course.size_m[rows][:, 0]) / (len(window) * length_m)
    events: list[Event] = []
    unsure: list[Event] = []
    for margin, into in ((1.1, events), (0.9, unsure)):
        bad = (count > 0) & (speed < 20.0 / 3.6 / margin) & (covered > 0.35 * margin)
        edges = np.flatnonzero(np.diff(np.r_[0, bad.astype(np.int8), 0]))
        for a, b in zip(edges[::2], edges[1::2], strict=True):
            at_s = a / course.fps + 30.0
            if b - a < 30.0 * margin * course.fps or any(abs(one.time_s - at_s) < 90.0 for one in events):
                continue
            into.append(Event(at_s, str(rule["name"]), None, None, None, None))
    spread = [one._replace(time_s=one.time_s + shift) for one in unsure for shift in (-20.0, 0.0, 20.0)]
    return Truth(events, spread, {})
