"""What is true of a rendered scene: boxes, crossings of lines, movements, runs of red; exact, at any instant.

A vehicle's foot point is the middle of the lower edge of its box, as a perfect detector would give it. Crossings are
found on the scene as a function of time, by bisection, so they do not depend on any frame rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vision.demo.render import Stage, box_of, survey
from vision.demo.site import SITE_LINES, SiteLine, site_lines
from vision.demo.traffic import Driver
from vision.demo.world import World

#: Crossings are looked for in steps of this, then narrowed down to a millionth of a second.
SEARCH_S = 0.2
GRACE_S = 0.3
#: No crossing in the first and last moments of the clip, where a tracker cannot yet or no longer see both sides.
MARGIN_S = 0.7
#: So much of a vehicle shows when it crosses a line: nobody can time what nobody sees.
SHOWN_MIN = 0.6
#: A run of red lies at least this far into red.
RUN_MIN_S = 1.0


@dataclass(frozen=True)
class Crossing:
    """A vehicle's foot point passed a line at `time_s`, with the line's flow."""

    time_s: float
    line: str
    vehicle: int
    class_name: str
    direction: str
    x_px: float
    y_px: float


@dataclass(frozen=True)
class Movement:
    """A vehicle came in over one line and went out over another."""

    vehicle: int
    class_name: str
    entry_line: str
    exit_line: str
    entry_s: float
    exit_s: float


@dataclass(frozen=True)
class RedRun:
    """A vehicle passed a stop line `red_s` seconds after its signal had turned red."""

    vehicle: int
    class_name: str
    line: str
    time_s: float
    red_s: float


@dataclass(frozen=True)
class Truth:
    """All that a perfect system would say of the clip."""

    crossings: tuple[Crossing, ...]
    movements: tuple[Movement, ...]
    red_runs: tuple[RedRun, ...]


@dataclass(frozen=True)
class Box:
    """A vehicle's box in one picture as if nothing stood before it, cut at the edge; `visible` is the share seen."""

    vehicle: int
    class_name: str
    xyxy_px: tuple[float, float, float, float]
    visible: float


def frame_boxes(world: World, stage: Stage, time_s: float) -> list[Box]:
    """Return the boxes of all vehicles in the picture at a time."""
    return [Box(one.id, one.class_name, one.xyxy_px, one.visible) for one in survey(stage, world.poses(time_s))]


def foot_px(world: World, driver: Driver, time_s: float) -> tuple[float, float] | None:
    """Return a vehicle's foot point in pixels, or None where it is out of the picture."""
    box = box_of(world.camera, driver.pose(time_s))
    return None if box is None else ((box[0] + box[2]) / 2, box[3])


def find_truth(world: World) -> Truth:
    """Return all crossings, movements and runs of red of a scene, in the order of time."""
    crossings = sorted(
        (one for driver in world.drivers for one in _crossings(world, driver)), key=lambda one: one.time_s
    )
    return Truth(tuple(crossings), tuple(_movements(crossings)), tuple(_red_runs(world, crossings)))


def _crossings(world: World, driver: Driver) -> list[Crossing]:
    lines = site_lines(world.camera, world.layout)
    found = []
    before_s, before = 0.0, None
    for time_s in np.arange(0.0, world.seconds, SEARCH_S).tolist():
        pose = driver.pose(time_s)
        # Far from the junction there is no line: only its middle is looked at.
        close = abs(pose.x_m) < 22 and abs(pose.y_m - world.layout.centre_y_m) < 26
        now = foot_px(world, driver, time_s) if close else None
        if before is not None and now is not None:
            for name, line in lines.items():
                if (line.offset(before) > 0) != (line.offset(now) > 0):
                    at_s = _narrow(world, driver, line, before_s, time_s)
                    point = foot_px(world, driver, at_s)
                    if point is not None and line.holds(point):
                        way = "with_flow" if line.offset(now) > 0 else "against_flow"
                        found.append(Crossing(at_s, name, driver.id, driver.shape.class_name, way, *point))
        before_s, before = time_s, now
    return found


def _narrow(world: World, driver: Driver, line: SiteLine, low_s: float, high_s: float) -> float:
    """Return when the foot point is on the line between two times, in seconds."""
    first = line.offset(foot_px(world, driver, low_s) or (0, 0)) > 0
    while high_s - low_s > 1e-6:
        middle = (low_s + high_s) / 2
        if (line.offset(foot_px(world, driver, middle) or (0, 0)) > 0) == first:
            low_s = middle
        else:
            high_s = middle
    return (low_s + high_s) / 2


def _movements(crossings: list[Crossing]) -> list[Movement]:
    entered: dict[int, Crossing] = {}
    found = []
    for one in crossings:
        if one.direction != "with_flow":
            continue
        if SITE_LINES[one.line].entry:
            entered[one.vehicle] = one
        elif one.vehicle in entered:
            start = entered[one.vehicle]
            found.append(Movement(one.vehicle, one.class_name, start.line, one.line, start.time_s, one.time_s))
    return found


def _red_runs(world: World, crossings: list[Crossing]) -> list[RedRun]:
    found = []
    for one in crossings:
        if SITE_LINES[one.line].clear is None or one.direction != "with_flow":
            continue
        state, _ = world.plan.state("main", one.time_s)
        if state in ("red", "red_amber"):
            onset = max(at for at, name in world.plan.main if name == "red" and at <= one.time_s)
            if one.time_s - onset > GRACE_S:
                found.append(RedRun(one.vehicle, one.class_name, one.line, one.time_s, one.time_s - onset))
    return found


def fit_to_judge(world: World) -> bool:
    """Say whether a scene is rich and clear enough to judge a system by it."""
    truth = cached_truth(world)
    plan = {name: at for at, name in world.plan.main[:3]}
    red, stops = plan["red"], [one for one in truth.crossings if SITE_LINES[one.line].clear is not None]
    if any(not MARGIN_S < one.time_s < world.seconds - MARGIN_S for one in truth.crossings):
        return False
    runners = {driver.id for driver in world.drivers if driver.through == "red"}
    if {run.vehicle for run in truth.red_runs} != runners or any(run.red_s < RUN_MIN_S for run in truth.red_runs):
        return False
    last = [red - one.time_s for one in stops if one.time_s < red]
    if any(one.direction != "with_flow" for one in truth.crossings) or not last or min(last) > 1.2:
        return False
    if not all(_shows(world, one) for one in truth.crossings):
        return False
    # Whoever leaves over a line was seen to come in: no trip began before the clip.
    leaves = [one for one in truth.crossings if not SITE_LINES[one.line].entry]
    return len(truth.movements) == len(leaves) and len({move.exit_line for move in truth.movements}) == 4


def _shows(world: World, crossing: Crossing) -> bool:
    """Say whether no other vehicle hides one from just before it crosses a line to just after."""
    empty = Stage(world.camera, world.light, np.zeros((0, 0, 3), np.uint8))
    return all(
        box.visible >= SHOWN_MIN
        for time_s in (crossing.time_s - 0.2, crossing.time_s, crossing.time_s + 0.2)
        for box in frame_boxes(world, empty, time_s)
        if box.vehicle == crossing.vehicle
    )


@lru_cache(maxsize=4)
def cached_truth(world: World) -> Truth:
    """Return `find_truth` of a scene, found once."""
    return find_truth(world)
