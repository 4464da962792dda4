"""The hand on the wheel: sends over the solid line who was made to cross it."""

from __future__ import annotations

import random
from typing import Any

from benchmarks.scenes.road_plan import SOLID_M


def steer(sumo: Any, time_s: float, memory: dict[str, Any]) -> None:
    """Tell each violator once, somewhere along the line, to change to the other lane."""
    rng = memory.setdefault("rng", random.Random(memory["seed"]))
    told: dict[str, float] = memory.setdefault("told", {})
    for name in sumo.edge.getLastStepVehicleIDs("s2"):
        if not name.startswith("solid"):
            continue
        if name not in told:
            told[name] = rng.uniform(SOLID_M[0] + 36.0, SOLID_M[1] - 4.0)
        if sumo.vehicle.getPosition(name)[1] < told[name]:
            told[name] = -1e9
            lane = sumo.vehicle.getLaneIndex(name)
            if lane in (1, 2):
                sumo.vehicle.setLaneChangeMode(name, 0)
                sumo.vehicle.changeLane(name, 3 - lane, 60.0)
