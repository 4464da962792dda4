"""The hand on the wheel: who crosses the solid line, who brakes hard, who notices too late."""

from __future__ import annotations

import random
from typing import Any

from benchmarks.scenes.road_plan import SOLID_M

#: Who brakes does it down to about this, so fast; who notices late brakes as hard as that.
SLOW_MPS, BRAKE_S, HARD_MPS2 = 4.0, 2.0, 7.0


def steer(sumo: Any, time_s: float, memory: dict[str, Any]) -> None:
    """Lead all violators of this step."""
    rng = memory.setdefault("rng", random.Random(memory["seed"]))
    told: dict[str, float] = memory.setdefault("told", {})
    for name in sumo.edge.getLastStepVehicleIDs("s2"):
        if name.startswith("solid"):
            _over_the_line(sumo, name, told, rng)
        elif name.startswith("braker"):
            _brake(sumo, name, told, rng)
    for edge in ("s2", "s3"):
        for name in sumo.edge.getLastStepVehicleIDs(edge):
            if name.startswith("late"):
                _notice(sumo, name, told, rng)


def _over_the_line(sumo: Any, name: str, told: dict[str, float], rng: random.Random) -> None:
    """Change to the other lane once, somewhere along the line."""
    at = told.setdefault(name, rng.uniform(SOLID_M[0] + 36.0, SOLID_M[1] - 4.0))
    if sumo.vehicle.getPosition(name)[1] >= at:
        return
    told[name] = -1e9
    lane = sumo.vehicle.getLaneIndex(name)
    if lane in (1, 2):
        sumo.vehicle.setLaneChangeMode(name, 0)
        sumo.vehicle.changeLane(name, 3 - lane, 60.0)


def _brake(sumo: Any, name: str, told: dict[str, float], rng: random.Random) -> None:
    """Brake hard once, in view; the driver behind does not look from now on."""
    at = told.setdefault(name, rng.uniform(60.0, 80.0))
    if sumo.vehicle.getPosition(name)[1] >= at:
        return
    told[name] = -1e9
    sumo.vehicle.slowDown(name, SLOW_MPS + rng.uniform(0.0, 5.0), BRAKE_S)
    behind = sumo.vehicle.getFollower(name, 40.0)[0]
    if behind.startswith("late") and behind not in told:
        # Half of them come nearer than a second and a half, the rest does not.
        told[behind] = rng.choice([rng.uniform(0.5, 1.4), rng.uniform(1.8, 3.0)])
        sumo.vehicle.setSpeedMode(behind, 0)
        sumo.vehicle.setLaneChangeMode(behind, 0)
        sumo.vehicle.setSpeed(behind, sumo.vehicle.getSpeed(behind))


def _notice(sumo: Any, name: str, told: dict[str, float], rng: random.Random) -> None:
    """Go on blindly until the time to contact is what this driver has, then brake below the leader's speed."""
    if told.get(name, -1.0) < 0.0:
        return
    leader = sumo.vehicle.getLeader(name, 60.0)
    if not leader:
        return
    speed, slower = sumo.vehicle.getSpeed(name), sumo.vehicle.getSpeed(leader[0])
    gap = leader[1] + sumo.vehicle.getMinGap(name)
    if speed > slower and gap / (speed - slower) < told[name]:
        told[name] = -1.0
        aim = max(slower - 2.0, 0.5)
        sumo.vehicle.setSpeed(name, -1)
        sumo.vehicle.slowDown(name, aim, (speed - aim) / HARD_MPS2)
