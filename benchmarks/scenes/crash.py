"""Rear-end crashes on the straight road: SUMO finds the contact and writes it down.

Left alone it lets one drive through the other. So from the contact on both are led: as one mass, braking to a stand.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scenes import road
from benchmarks.scenes.course import Course, read_course
from benchmarks.scenes.demand import Demand, any_kind, arrivals, pick
from benchmarks.scenes.road_plan import FAR_M, NEAR_M
from benchmarks.scenes.road_stories import NORTH, SOUTH, TRAITS
from benchmarks.scenes.store import Made
from benchmarks.scenes.sumo import FCD, simulate
from benchmarks.scenes.tables import Event, Truth
from benchmarks.scenes.truth_lines import class_of

COLLISIONS = "collisions.xml"
#: Two that touched slide so hard to a stand, and stand for so long.
SLIDE_MPS2, STAND_S = 7.0, 20.0
#: What weighs how much (t).
MASS_T = {"small": 1.1, "sedan": 1.5, "van": 2.2, "truck": 9.0, "bus": 13.0, "motorcycle": 0.3}
#: Who brakes stops so fast, and stands so long where nobody runs into it.
BRAKE_S, PAUSE_S = (1.6, 2.6), (8.0, 16.0)
#: Who notices in time brakes as hard as this, from so little time to contact on.
HARD_MPS2, NOTICE_S = 8.0, (1.5, 2.2)
#: Alarm: two stand for 3 s within 10 s of the contact. Slower than this is standing; a softer touch is no crash.
ALARM_S, STILL_S, STILL_MPS, CLOSING_MPS = 10.0, 3.0, 0.5, 2.0
#: So near the drawn road's ends nobody can be sure of what is still seen of both.
MARGIN_M = 8.0


@dataclass(frozen=True)
class Knobs:
    """`per_hour`: vehicles to the south; `often_s`: one that brakes to a stand in about so many seconds."""

    seed: int = 1
    seconds: float = 1800.0
    fps: float = 25.0
    per_hour: float = 300.0
    often_s: float = 75.0


def make(folder: Path, knobs: Knobs) -> Made:
    """Simulate the road and tell which contacts there were."""
    road.network(folder)
    (folder / "routes.rou.xml").write_text(_demand(knobs).text())
    view = '<poly id="view" shape="-40,-30 40,-30 40,150 -40,150" color="red"/>'
    (folder / "more.add.xml").write_text(f"<additional>{view}</additional>\n")
    options = ["--lanechange.duration", "2.5", "--fcd-output.filter-shapes", "view"]
    options += ["--collision.action", "warn", "--collision.mingap-factor", "0", "--collision-output", COLLISIONS]
    frames = round(knobs.seconds * knobs.fps)
    simulate(folder, frames, knobs.fps, knobs.seed, options, "benchmarks.scenes.crash")
    course = read_course(folder / FCD, knobs.fps, frames)
    drawn = road.plan(("crash",))
    return Made(course, drawn, crash_truth(course, read_collisions(folder / COLLISIONS), "crash"), {})


def _demand(knobs: Knobs) -> Demand:
    """Return thin traffic with pairs: the first brakes to a stand in view, the second looks away or notices late."""
    rng = np.random.default_rng([knobs.seed, 0xC4A5])
    made = Demand({**TRAITS, "asleep": TRAITS["late"]})
    for time_s in arrivals(rng, knobs.per_hour, 0.0, knobs.seconds, 1.0):
        made.add(time_s, any_kind(rng), "", SOUTH)
    for time_s in arrivals(rng, knobs.per_hour / 2, 0.0, knobs.seconds, 1.0):
        made.add(time_s, any_kind(rng), "", NORTH, departLane="random")
    at = 5.0
    while (at := at + knobs.often_s * rng.uniform(0.8, 1.2)) < knobs.seconds:
        lane, trait = int(rng.integers(1, 3)), pick(rng, {"asleep": 0.7, "late": 0.3})
        made.add(at, any_kind(rng), "braker", SOUTH, departLane=lane, departSpeed="18")
        kind = pick(rng, {"sedan": 1.0, "small": 1.0, "van": 0.5, "truck": 0.3, "motorcycle": 0.2})
        made.add(at + 1.8, kind, trait, SOUTH, departLane=lane, departSpeed="18")
    return made


def steer(sumo: Any, time_s: float, memory: dict[str, Any]) -> None:
    """Let the first of each pair brake to a stand and go on later, and the second see it too late or not at all."""
    rng = memory.setdefault("rng", random.Random(memory["seed"]))
    told: dict[str, float] = memory.setdefault("told", {})
    for edge in ("s2", "s3"):
        for name in sumo.edge.getLastStepVehicleIDs(edge):
            if any(name in pair for pair in memory.get("wrecks", ())):
                continue
            if name.startswith("braker"):
                _brake(sumo, name, time_s, told, rng)
            elif name.startswith("late") and told.get(name, -1.0) > 0.0:
                _notice(sumo, name, told)
    _slide(sumo, time_s, memory)


def _slide(sumo: Any, time_s: float, memory: dict[str, Any]) -> None:
    """Let two that touched go on at their common speed, brake to a stand, and go their ways later."""
    wrecks: dict[tuple[str, str], tuple[float, float]] = memory.setdefault("wrecks", {})
    there = set(sumo.vehicle.getIDList())
    for one in sumo.simulation.getCollisions():
        pair = one.collider, one.victim
        if pair in wrecks or not there.issuperset(pair):
            continue
        mass = [MASS_T[sumo.vehicle.getTypeID(name).partition(".")[0]] for name in pair]
        pull = sum(m * sumo.vehicle.getSpeed(name) for m, name in zip(mass, pair, strict=True))
        wrecks[pair] = time_s, pull / sum(mass)
        for name in pair:
            sumo.vehicle.setSpeedMode(name, 0)
            sumo.vehicle.setLaneChangeMode(name, 0)
    for pair, (since_s, speed) in wrecks.items():
        over = time_s - since_s
        for name in there.intersection(pair) if over < STAND_S + 1.0 else ():
            sumo.vehicle.setSpeed(name, max(0.0, speed - SLIDE_MPS2 * over) if over < STAND_S else -1)
            if over >= STAND_S:
                sumo.vehicle.setSpeedMode(name, 31)


def _brake(sumo: Any, name: str, time_s: float, told: dict[str, float], rng: random.Random) -> None:
    at = told.setdefault(name, rng.uniform(58.0, 85.0))
    until = told.setdefault(f"{name} until", 0.0)
    if until > 0.0:
        if time_s > until:
            sumo.vehicle.setSpeed(name, -1)
            told[f"{name} until"] = -1.0
        return
    if until < 0.0 or sumo.vehicle.getPosition(name)[1] >= at:
        return
    told[f"{name} until"] = time_s + rng.uniform(*PAUSE_S)
    sumo.vehicle.setSpeedMode(name, 0)
    sumo.vehicle.slowDown(name, 0.0, rng.uniform(*BRAKE_S))
    behind = sumo.vehicle.getFollower(name, 60.0)[0]
    if behind.startswith(("late", "asleep")) and behind not in told:
        told[behind] = rng.uniform(*NOTICE_S)
        sumo.vehicle.setSpeedMode(behind, 0)
        sumo.vehicle.setLaneChangeMode(behind, 0)
        sumo.vehicle.setSpeed(behind, sumo.vehicle.getSpeed(behind))


def _notice(sumo: Any, name: str, told: dict[str, float]) -> None:
    """Go on blindly until the time to contact is what this driver has, then brake to a stand behind the leader."""
    leader = sumo.vehicle.getLeader(name, 60.0)
    if not leader:
        return
    speed, slower = sumo.vehicle.getSpeed(name), sumo.vehicle.getSpeed(leader[0])
    gap = leader[1] + sumo.vehicle.getMinGap(name)
    if speed > slower and gap / (speed - slower) < told[name]:
        told[name] = -1.0
        sumo.vehicle.setSpeed(name, -1)
        sumo.vehicle.setSpeedMode(name, 31)
        sumo.vehicle.setDecel(name, HARD_MPS2)


def read_collisions(path: Path) -> list[tuple[float, str, str]]:
    """Return (time in s, who ran into, whom) of SUMO's collision output, the first contact of each pair."""
    found: dict[tuple[str, str], float] = {}
    for text in re.findall(r"<collision ([^>]*)/>", path.read_text()):
        one = dict(re.findall(r'(\w+)="([^"]*)"', text))
        found.setdefault((one["collider"], one["victim"]), float(one["time"]))
    return [(time_s, a, b) for (a, b), time_s in found.items()]


def crash_truth(course: Course, collisions: list[tuple[float, str, str]], rule: str) -> Truth:
    """Two touched, and both then stand for 3 s within 10 s, in view; the event is when they have.

    Who touched too softly to be told from standing close, or at the ends of the view, may be told or not; so may what
    others do near the place within the minute of the same incident.
    """
    number = {name: k + 1 for k, name in enumerate(course.names)}
    rows = dict(course.each())
    events: list[Event] = []
    unsure: list[Event] = []
    table: list[dict[str, Any]] = []
    for time_s, collider, victim in collisions:
        both = [number.get(collider, 0), number.get(victim, 0)]
        if not all(who in rows for who in both):
            continue
        places = [_at(course, rows[who], time_s) for who in both]
        stood = [_stood_s(course, rows[who], time_s) for who in both]
        before = [float(course.speed_mps[rows[who]][_row(course, rows[who], time_s - 0.3)]) for who in both]
        closing = before[0] - before[1]
        seen = all(NEAR_M + MARGIN_M < y < FAR_M - MARGIN_M for y in places)
        due_s = max(stood)
        sure = seen and due_s < time_s + ALARM_S - 1.0 and closing > CLOSING_MPS + 1.0
        at = due_s if np.isfinite(due_s) else time_s + STILL_S
        one = Event(float(at), rule, class_of(course, both[0]), None, None, both[0])
        (events if sure else unsure).append(one)
        table.append(
            {
                "time_s": time_s, "collider": both[0], "victim": both[1], "closing_mps": closing,
                "y_m": places[0], "due_s": due_s,
            }
        )  # fmt: skip
    return Truth(events, unsure, {"crashes": table})


def _row(course: Course, rows: slice, time_s: float) -> int:
    return int(np.argmin(np.abs(course.time_s[rows] - time_s)))


def _at(course: Course, rows: slice, time_s: float) -> float:
    return float(course.front_m[rows][_row(course, rows, time_s)][1])


def _stood_s(course: Course, rows: slice, time_s: float) -> float:
    """Return when it has stood for 3 s after a time, infinite where it does not."""
    times = course.time_s[rows]
    still = (course.speed_mps[rows] < STILL_MPS) & (times >= time_s - 1.0)
    need = round(STILL_S * course.fps)
    run = 0
    for k, held in enumerate(still):
        run = run + 1 if held else 0
        if run >= need:
            return float(times[k])
    return float("inf")
