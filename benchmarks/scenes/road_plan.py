"""Measures and rules of the straight road."""

from __future__ import annotations

from typing import Any

from benchmarks.scenes.plan import Point, box

LANE_M = 3.5
#: The stretch that lanes are drawn over, from the camera's foot northwards.
NEAR_M, FAR_M = 10.0, 110.0
#: Where the line between the middle and the left lane is solid.
SOLID_M = (30.0, 100.0)
#: Where speeds are measured; SUMO's loops lie in the last edge, so it is beyond the solid line.
GATE_M = 28.0
LIMIT_KMH = 80.0
SOUTH = [f"south/l{k}" for k in range(3)]
NORTH = [f"north/l{k}" for k in range(2)]


def lane_box(lane: int) -> list[Point]:
    """Return the outline of a lane to the south; 0 is the rightmost, at the kerb."""
    return box(-(3 - lane) * LANE_M, NEAR_M, -(2 - lane) * LANE_M, FAR_M)


def road_rules(limit_kmh: float) -> list[dict[str, Any]]:
    """Return the rules of the site; those that are not there yet are left out when it is written."""
    south, both = SOUTH, SOUTH + NORTH
    return [
        {"type": "line_count", "name": "count gate", "line": "gate"},
        {"type": "spot", "name": "spot gate", "line": "gate", "lanes": south},
        {"type": "speeding", "name": "speeding", "limit_kmh": limit_kmh, "lanes": south},
        {"type": "solid_line", "name": "solid line", "line": "solid", "lanes": south},
        {"type": "reserved_lane", "name": "bus lane", "lanes": south[:1], "allowed": ["bus", "bicycle"]},
        {"type": "wrong_way", "name": "wrong way", "lanes": south},
        {"type": "stopped_vehicle", "name": "stopped", "lanes": both},
        {"type": "stopping", "name": "no stopping", "zones": ["no_stop"], "dwell_s": 20.0},
        {"type": "pedestrian_on_road", "name": "pedestrian", "zone": "road", "crosswalks": ["crosswalk"]},
        {"type": "tailgating", "name": "tailgating", "speed_min_kmh": 50.0, "gap_s": 0.9, "held_s": 3.0},
        {"type": "slow_vehicle", "name": "slow vehicle", "lanes": south},
        *({"type": "congestion", "name": f"congestion {k}", "lanes": [lane]} for k, lane in enumerate(south)),
        {"type": "conflict", "name": "conflict"},
        {"type": "crash", "name": "crash"},
        {"type": "yield_crosswalk", "name": "yield", "zone": "crosswalk_south"},
    ]
