"""A junction whose northern exit is blocked now and then: who drives in without room beyond it stands in the box.

A quarter of the drivers keeps the box clear, as SUMO's do; the rest drives in whenever their signal lets them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scenes import junction
from benchmarks.scenes.camera import aimed
from benchmarks.scenes.course import read_course
from benchmarks.scenes.demand import Demand, any_kind, arrivals, pick
from benchmarks.scenes.plan import Plan
from benchmarks.scenes.store import Made
from benchmarks.scenes.sumo import FCD, simulate
from benchmarks.scenes.truth_box import box_truth

#: Who is the first of those that stand so far out on the blocked exit holds the others up.
HELD_M = (9.0, 18.0)
EXITS = ("n_out", "e_out", "s_out", "w_out")


@dataclass(frozen=True)
class Knobs:
    """`per_hour`: vehicles from the south; `blockers`: the share that drives in without room."""

    seed: int = 1
    seconds: float = 900.0
    fps: float = 12.5
    per_hour: float = 950.0
    others: float = 0.35
    blockers: float = 0.75


def make(folder: Path, knobs: Knobs) -> Made:
    """Simulate the junction and tell who stood in its box without having had room beyond it."""
    junction.network(folder)
    (folder / "routes.rou.xml").write_text(_demand(knobs).text())
    (folder / "more.add.xml").write_text(_additional())
    frames = round(knobs.seconds * knobs.fps)
    simulate(folder, frames, knobs.fps, knobs.seed, ["--lanechange.duration", "2.5"], "benchmarks.scenes.spill")
    course = read_course(folder / FCD, knobs.fps, frames)
    drawn = plan()
    return Made(course, drawn, box_truth(course, drawn, drawn.rules[0]), {})


def plan() -> Plan:
    """Return a camera beside the junction, with the box and its ways out drawn into the picture."""
    made = junction.plan(junction.Knobs())
    camera = aimed((42.0, -36.0, 22.0), (0.0, 7.0), 1150.0)
    drawn = Plan("made-box", camera, [(x, y) for y in (-10.0, 10.0, 30.0) for x in (-10.0, 0.0, 10.0)])
    drawn.approaches |= {name: made.approaches[name] for name in EXITS}
    drawn.zones["junction"] = made.zones["junction"]
    lanes = [f"{name}/l{k}" for name in EXITS for k in range(2)]
    drawn.rules = [{"type": "blocked_box", "name": "blocked box", "zone": "junction", "exit_lanes": lanes}]
    return drawn


def _demand(knobs: Knobs) -> Demand:
    rng = np.random.default_rng([knobs.seed, 0xB0C5])
    keeps = {"jmIgnoreKeepClearTime": -1}
    made = Demand({**junction.TRAITS, "": {**junction.TRAITS[""], **keeps}, "blocker": junction.TRAITS["blocker"]})
    traits = {"": 1.0 - knobs.blockers, "blocker": knobs.blockers}
    ways = {"s": ("n", "w", "e"), "e": ("w", "n", "s"), "w": ("e", "n", "s"), "n": ("s", "w", "e")}
    for leg, exits in ways.items():
        per_hour = knobs.per_hour * (1.0 if leg == "s" else knobs.others)
        for time_s in arrivals(rng, per_hour, 0.0, knobs.seconds):
            to = pick(rng, dict(zip(exits, (0.7, 0.2, 0.1), strict=True)))
            made.add(time_s, any_kind(rng), pick(rng, traits), f"{leg}i {to}o")
    return made


def _additional() -> str:
    main, cross, red, stop = "GGGgg", "GGGgg", "rrrrr", "rrrrr"
    phases = [
        (18.0, main, red), (3.0, "yyyyy", red), (2.0, stop, stop),
        (18.0, red, cross), (3.0, red, "yyyyy"), (2.0, stop, stop),
    ]  # fmt: skip
    program = "".join(f'<phase duration="{s:g}" state="{a}{b}{a}{b}"/>' for s, a, b in phases)
    view = '<poly id="view" shape="-45,-45 45,-45 45,75 -45,75" color="red"/>'
    logic = f'<tlLogic id="c" type="static" programID="made" offset="0">{program}</tlLogic>'
    return f"<additional>{logic}{view}</additional>\n"


def steer(sumo: Any, time_s: float, memory: dict[str, Any]) -> None:
    """Hold up the first vehicle on each lane of the northern exit for a while, and let it go for another."""
    rng = memory.setdefault("rng", random.Random(memory["seed"]))
    held: dict[str, str] = memory.setdefault("held", {})
    if time_s >= memory.setdefault("until_s", rng.uniform(15.0, 40.0)):
        blocked = memory["blocked"] = not memory.get("blocked", False)
        memory["until_s"] = time_s + (rng.uniform(35.0, 60.0) if blocked else rng.uniform(25.0, 50.0))
        if not blocked:
            for name in held.values():
                sumo.vehicle.setSpeed(name, -1)
            held.clear()
    if not memory.get("blocked", False):
        return
    for lane in ("no_0", "no_1"):
        there = [(sumo.vehicle.getLanePosition(name), name) for name in sumo.lane.getLastStepVehicleIDs(lane)]
        near = [name for at, name in sorted(there) if HELD_M[0] < at < HELD_M[1]]
        if lane not in held and near:
            held[lane] = near[-1]
            sumo.vehicle.setLaneChangeMode(near[-1], 0)
            sumo.vehicle.setSpeed(near[-1], 0.0)
