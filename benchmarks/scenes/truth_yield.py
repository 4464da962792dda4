"""Truth of drivers at a crosswalk: who went over it right before or behind a pedestrian, and could have stopped."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.scenes.course import Course
from benchmarks.scenes.plan import Plan
from benchmarks.scenes.tables import Event, Truth
from benchmarks.scenes.truth_lines import MOTOR, class_of

KERB_M, PET_S = 1.0, 3.0
REACT_S, BRAKE_MPS2 = 1.0, 3.4
#: So near a threshold nobody can be sure: of the time between the two, and of the way to stop.
NEAR_S, NEAR_M = 0.3, 4.0


def yield_truth(course: Course, plan: Plan, rule: dict[str, Any]) -> Truth:
    """Time between driver and pedestrian on their common way below 3 s, and the driver could stop when it was entered.

    Traffic goes south, pedestrians go across. The common way is as wide as the vehicle and as deep as the pedestrian.
    The event is when the driver's front comes onto the crosswalk.
    """
    corners = np.array(plan.zones[rule["zone"]])
    low, high = corners.min(axis=0), corners.max(axis=0)
    rows_of = dict(course.each())
    drivers = [(who, rows, *_over(course, rows, low, high)) for who, rows in rows_of.items() if _drives(course, who)]
    drivers = [one for one in drivers if np.isfinite(one[2])]
    events: dict[int, Event] = {}
    unsure: dict[int, Event] = {}
    for _, rows in ((who, rows) for who, rows in rows_of.items() if class_of(course, who) == "person"):
        place, times = course.front_m[rows] - 0.2 * course.ahead[rows], course.time_s[rows]
        on = (
            (place[:, 0] > low[0] - KERB_M) & (place[:, 0] < high[0]) & (place[:, 1] > low[1]) & (place[:, 1] < high[1])
        )
        if not on.any():
            continue
        begin_s, end_s = float(times[on][0]), float(times[on][-1])
        for who, own, enter_s in drivers:
            if not begin_s - 8.0 < enter_s < end_s + 5.0:
                continue
            pet_s = _between_s(course, own, place, times)
            way_m, need_m = _way(course, own, begin_s, high[1])
            if pet_s is None or enter_s <= begin_s or pet_s > PET_S + NEAR_S or way_m < need_m - NEAR_M:
                continue
            one = Event(enter_s, str(rule["name"]), class_of(course, who), None, None, who)
            sure = pet_s < PET_S - NEAR_S and way_m > need_m + NEAR_M and enter_s > begin_s + 0.2
            (events if sure else unsure)[who] = one
    return Truth(list(events.values()), [one for who, one in unsure.items() if who not in events], {})


def _drives(course: Course, who: int) -> bool:
    return class_of(course, who) in MOTOR


def _over(course: Course, rows: slice, low: np.ndarray, high: np.ndarray) -> tuple[float]:
    """Return when a front that goes south comes onto the zone, infinite if it does not."""
    front = course.front_m[rows]
    inside = (front[:, 0] > low[0]) & (front[:, 0] < high[0]) & (course.ahead[rows][:, 1] < -0.9)
    came = inside[1:] & (front[:-1, 1] > high[1]) & (front[1:, 1] <= high[1])
    return (float(course.time_s[rows][1:][came][0]) if came.any() else float("inf"),)


def _between_s(course: Course, own: slice, place: np.ndarray, times: np.ndarray) -> float | None:
    """Return the time between the two on their common way, 0 where they were there at once."""
    front, rear = course.front_m[own], course.rear_m[own]
    deep = place[:, 1].mean()
    over = (front[:, 1] <= deep + 0.25) & (rear[:, 1] >= deep - 0.25)
    if not over.any():
        return None
    middle, half = float(front[over][:, 0].mean()), float(course.size_m[own][0, 1]) / 2 + 0.25
    walked = np.abs(place[:, 0] - middle) < half
    if not walked.any():
        return None
    drove_s, walked_s = course.time_s[own][over], times[walked]
    return float(max(walked_s[0] - drove_s[-1], drove_s[0] - walked_s[-1], 0.0))


def _way(course: Course, own: slice, time_s: float, edge_m: float) -> tuple[float, float]:
    """Return how far (m) the driver was from the crosswalk at a time, and how far it needs to stop."""
    at = int(np.argmin(np.abs(course.time_s[own] - time_s)))
    speed = float(course.speed_mps[own][at])
    way_m = float(course.front_m[own][at, 1]) - edge_m
    # Who was not in the picture's reach yet was further away.
    if course.time_s[own][0] > time_s + 0.5 / course.fps:
        way_m = 200.0
    return way_m, speed * REACT_S + speed * speed / (2 * BRAKE_MPS2)
