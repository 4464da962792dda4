"""A straight road of three lanes to the south and two to the north, under a camera that traffic comes to.

What nobody may do is done on edges of its own that lie over the road: SUMO lets nobody drive against its lanes or walk
across them. A story says who is there (`road_stories`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.scenes import road_stories
from benchmarks.scenes.camera import aimed
from benchmarks.scenes.course import read_course
from benchmarks.scenes.plan import Line, Plan, box
from benchmarks.scenes.road_plan import FAR_M, GATE_M, LANE_M, LIMIT_KMH, NEAR_M, SOLID_M, lane_box, road_rules
from benchmarks.scenes.store import Made
from benchmarks.scenes.sumo import FCD, make_network, simulate
from benchmarks.scenes.tables import Truth, joined
from benchmarks.scenes.truth_lines import line_truth, loop_rows
from benchmarks.scenes.truth_pairs import ssm_truth
from benchmarks.scenes.truth_road import road_truth

#: Where the road begins and ends.
TOP_M, BOTTOM_M = 420.0, -220.0

#: SUMO's own safety device, for every vehicle.
SSM = [
    *("--device.ssm.probability", "1", "--device.ssm.measures", "TTC DRAC", "--device.ssm.thresholds", "3.0 3.0"),
    *("--device.ssm.range", "60", "--device.ssm.file", "ssm.xml", "--device.ssm.extratime", "3"),
]


@dataclass(frozen=True)
class Knobs:
    """`per_hour`: vehicles to the south on all lanes; `often_s`: one violation in about so many seconds.

    `k1` bends the camera's lens; only if `lens_told` the site file says so.
    """

    story: str = "speed"
    seed: int = 1
    seconds: float = 600.0
    fps: float = 12.5
    per_hour: float = 900.0
    often_s: float = 20.0
    rules: tuple[str, ...] = ()
    k1: float = 0.0
    lens_told: bool = True


def make(folder: Path, knobs: Knobs) -> Made:
    """Simulate a story of the road and tell the truth of it."""
    build(folder, knobs)
    frames = round(knobs.seconds * knobs.fps)
    course = read_course(folder / FCD, knobs.fps, frames)
    drawn = plan(knobs.rules, knobs.k1, knobs.lens_told)
    truth = joined(
        [
            line_truth(course, drawn),
            road_truth(course, drawn),
            ssm_truth(folder / "ssm.xml", course, {"name": "conflict"}) if knobs.story == "near" else Truth([], [], {}),
            Truth([], [], {"loops": loop_rows(folder / "instant.xml", course)}),
        ]
    )
    return Made(course, drawn, truth, {})


def build(folder: Path, knobs: Knobs) -> None:
    """Simulate a story of the road into a folder."""
    network(folder)
    rng = np.random.default_rng([knobs.seed, 0x20AD])
    story = road_stories.STORIES[knobs.story]
    made = story(rng, knobs.seconds, knobs.per_hour, knobs.often_s)
    (folder / "routes.rou.xml").write_text(made.text())
    tools = "".join(
        f'<instantInductionLoop id="i_s3_{lane}" lane="s3_{lane}" pos="{SOLID_M[0] - GATE_M}" file="instant.xml"/>'
        for lane in range(3)
    )
    tools += '<poly id="view" shape="-40,-30 40,-30 40,150 -40,150" color="red"/>'
    (folder / "more.add.xml").write_text(f"<additional>{tools}</additional>\n")
    options = ["--lanechange.duration", "2.5", "--collision.action", "none", "--fcd-output.filter-shapes", "view"]
    if knobs.story == "near":
        options += SSM
    steer = "benchmarks.scenes.road_steer" if knobs.story in road_stories.STEERED else None
    simulate(folder, round(knobs.seconds * knobs.fps), knobs.fps, knobs.seed, options, steer, knobs.story)


def network(folder: Path) -> None:
    """Make the road's network in a folder."""
    # A lane inside a node is 0.1 m long even where the edges meet: who drives over it stands still for so long.
    straight = ["--no-turnarounds", "true", "--no-internal-links", "true"]
    make_network(folder, {"nod": _nodes(), "edg": _edges(), "con": _connections()}, straight)


def plan(rules: tuple[str, ...] = (), k1: float = 0.0, lens_told: bool = True) -> Plan:
    """Return the camera over the road and all that is drawn into its picture; only the named rules, or all."""
    camera = aimed((-4.0, -16.0, 14.0), (-4.0, 32.0), 1350.0, k1)
    ground = [(x, y) for y in (8.0, 30.0, 60.0, 110.0) for x in (-10.5, -3.5, 7.0)]
    made = Plan("made-road", camera, ground, lens_told=lens_told)
    arrow = ((-5.25, FAR_M), (-5.25, NEAR_M))
    made.approaches["south"] = (arrow, {f"l{k}": lane_box(k) for k in range(3)})
    back = ((3.5, NEAR_M), (3.5, FAR_M))
    made.approaches["north"] = (
        back,
        {f"l{k}": box((1 - k) * LANE_M, NEAR_M, (2 - k) * LANE_M, FAR_M) for k in range(2)},
    )
    made.lines["gate"] = Line(((-11.3, GATE_M), (0.3, GATE_M)), (0.0, -1.0))
    made.lines["solid"] = Line(((-LANE_M, SOLID_M[0]), (-LANE_M, SOLID_M[1])), (1.0, 0.0))
    made.zones["road"] = box(-3 * LANE_M, NEAR_M, 2 * LANE_M, FAR_M)
    made.zones["crosswalk"] = box(-3 * LANE_M, 22.0, 2 * LANE_M, 26.0)
    made.zones["crosswalk_south"] = box(-3 * LANE_M, 22.0, 0.0, 26.0)
    made.zones["no_stop"] = lane_box(0)
    made.rules = [rule for rule in road_rules(LIMIT_KMH) if not rules or rule["name"] in rules]
    return made


def _nodes() -> str:
    places = {
        "top": (0.0, TOP_M), "far": (0.0, SOLID_M[1]), "near": (0.0, SOLID_M[0]), "bottom": (0.0, BOTTOM_M),
        "top2": (0.0, TOP_M + 1), "bottom2": (0.0, BOTTOM_M - 1),
    }  # fmt: skip
    for name, (x1, y1, x2, y2) in road_stories.WAYS.items():
        places |= {f"{name}_a": (x1, y1), f"{name}_b": (x2, y2)}
    nodes = "".join(f'<node id="{name}" x="{x}" y="{y}" type="unregulated"/>' for name, (x, y) in places.items())
    return f"<nodes>{nodes}</nodes>"


def _edges() -> str:
    speed = LIMIT_KMH / 3.6
    out = []
    bus = 'allow="bus bicycle custom2"'
    solid = '<lane index="1" changeLeft="custom1"/><lane index="2" changeRight="custom1"/>'
    for name, a, b in (("s1", "top", "far"), ("s2", "far", "near"), ("s3", "near", "bottom")):
        lanes = f'<lane index="0" {bus}/>' + (solid if name == "s2" else "")
        out.append(
            f'<edge id="{name}" from="{a}" to="{b}" numLanes="3" speed="{speed:.3f}" width="{LANE_M}" '
            f'spreadType="right">{lanes}</edge>'
        )
    out.append(
        f'<edge id="n1" from="bottom2" to="top2" numLanes="2" speed="{speed:.3f}" width="{LANE_M}" spreadType="right"/>'
    )
    for name in road_stories.WAYS:
        out.append(
            f'<edge id="{name}" from="{name}_a" to="{name}_b" numLanes="1" speed="30" width="1" spreadType="center"/>'
        )
    return f"<edges>{''.join(out)}</edges>"


def _connections() -> str:
    pairs = (("s1", "s2"), ("s2", "s3"))
    out = "".join(
        f'<connection from="{a}" to="{b}" fromLane="{lane}" toLane="{lane}"/>' for a, b in pairs for lane in range(3)
    )
    return f"<connections>{out}</connections>"
