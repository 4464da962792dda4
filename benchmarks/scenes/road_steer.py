"""The hand on the wheel: who crosses the solid line, brakes hard, notices too late, crawls, or stops for walkers."""

from __future__ import annotations

import random
from typing import Any

from benchmarks.scenes.road_plan import LIMIT_KMH, SOLID_M

#: Who gives way stops here, before the crosswalk.
GIVE_WAY_M = 27.5
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
        elif name.startswith("crawler"):
            _crawl(sumo, name, told, rng)
    if any(True for _ in sumo.edge.getLastStepVehicleIDs("zebra")) or "waits" in memory:
        _give_way(sumo, memory)
    if memory["story"] == "jam":
        _slow_down(sumo, time_s, memory, rng)
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


def _crawl(sumo: Any, name: str, told: dict[str, float], rng: random.Random) -> None:
    """Slow down to walking pace of a car, once, soon after coming into view."""
    at = told.setdefault(name, rng.uniform(92.0, 99.0))
    if sumo.vehicle.getPosition(name)[1] < at:
        told[name] = -1e9
        sumo.vehicle.slowDown(name, rng.uniform(4.5, 6.5), 3.0)
        sumo.vehicle.setMaxSpeed(name, 6.0)


def _slow_down(sumo: Any, time_s: float, memory: dict[str, Any], rng: random.Random) -> None:
    """Slow the road beyond the view down for a while, and let it flow again."""
    if time_s >= memory.setdefault("until_s", rng.uniform(20.0, 60.0)):
        slow = memory["slow"] = not memory.get("slow", False)
        memory["until_s"] = time_s + (rng.uniform(25.0, 150.0) if slow else rng.uniform(150.0, 240.0))
        sumo.edge.setMaxSpeed("s3", rng.uniform(1.0, 2.2) if slow else LIMIT_KMH / 3.6)


def _give_way(sumo: Any, memory: dict[str, Any]) -> None:
    """Let all but the rude stop before the crosswalk while somebody walks over their half of it."""
    walkers = [sumo.vehicle.getPosition(name)[0] for name in sumo.edge.getLastStepVehicleIDs("zebra")]
    blocked = any(-14.0 < x < 0.5 for x in walkers)
    waits: set[str] = memory.setdefault("waits", set())
    there = [name for edge in ("s2", "s3") for name in sumo.edge.getLastStepVehicleIDs(edge)]
    for name in there:
        if name.startswith("rude"):
            continue
        way_m = sumo.vehicle.getPosition(name)[1] - GIVE_WAY_M
        speed = sumo.vehicle.getSpeed(name)
        if blocked and (name in waits or (way_m > 0.0 and speed * speed / 7.0 < way_m < 60.0)):
            waits.add(name)
            sumo.vehicle.setSpeed(name, min(speed, (5.0 * max(way_m, 0.0)) ** 0.5))
        elif name in waits and not blocked:
            waits.discard(name)
            sumo.vehicle.setSpeed(name, -1)
    waits.intersection_update(there)
