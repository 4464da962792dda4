"""A signalled crosswalk over a straight road: SUMO's pedestrians and cyclists wait at the kerb, cross, or walk past."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scenes.camera import aimed
from benchmarks.scenes.course import Course, read_course
from benchmarks.scenes.demand import Demand, any_kind, arrivals, pick
from benchmarks.scenes.plan import Line, Plan, box
from benchmarks.scenes.store import Made
from benchmarks.scenes.sumo import FCD, SIGNALS, make_network, simulate
from benchmarks.scenes.tables import Event, Truth
from benchmarks.scenes.truth_lines import class_of
from benchmarks.scenes.truth_signals import Signal, read_signal, signal_text

LANE_M, WALK_M, CROSS_M, ARM_M = 3.5, 3.0, 4.0, 120.0
HALF_M = 2 * LANE_M
#: Zones to wait in are so deep.
WAIT_M = 2.5
#: So near the end of a crosswalk or a change of the signal nobody can be sure.
NEAR_S = 0.3
#: An absence this short from the kerb is none.
LEAVE_S = 1.0
#: The pedestrians' link among the signal's.
LINK = 4


@dataclass(frozen=True)
class Knobs:
    """`walkers`: people an hour over the crosswalk, `cyclists`: the share that rides, `past`: that only passes by."""

    seed: int = 1
    seconds: float = 900.0
    fps: float = 12.5
    per_hour: float = 500.0
    walkers: float = 360.0
    cyclists: float = 0.25
    past: float = 0.25


#: Pedestrians go at 1.0 to 1.5 m/s; cyclists ride as SUMO's pedestrians do, only faster.
TRAITS: dict[str, dict[str, object]] = {
    "": {"speedFactor": "normc(0.95,0.08,0.8,1.1)"},
    "walker": {"vClass": "pedestrian", "speedFactor": "normc(1.0,0.12,0.75,1.3)", "maxSpeed": 1.3},
    "rider": {"vClass": "pedestrian", "speedFactor": "normc(1.0,0.15,0.75,1.4)", "maxSpeed": 3.2},
}


def make(folder: Path, knobs: Knobs) -> Made:
    """Simulate the crosswalk and tell who went over it."""
    _network(folder)
    (folder / "routes.rou.xml").write_text(_demand(knobs).text())
    (folder / "more.add.xml").write_text(_additional())
    frames = round(knobs.seconds * knobs.fps)
    simulate(folder, frames, knobs.fps, knobs.seed)
    whole = read_course(folder / FCD, knobs.fps, frames)
    course = whole.part((whole.front_m[:, 1] > -20.0) & (whole.front_m[:, 1] < 60.0))
    signal = read_signal(folder / SIGNALS, LINK)
    drawn = plan()
    truth = crosswalk_truth(course, drawn, drawn.rules[0], signal)
    return Made(course, drawn, truth, {"signals.csv": signal_text(signal)})


def _network(folder: Path) -> None:
    lanes = f'numLanes="2" speed="13.89" width="{LANE_M}" sidewalkWidth="{WALK_M}"'
    ends = {"n": (0.0, ARM_M), "s": (0.0, -ARM_M)}
    nodes = "".join(f'<node id="{leg}" x="{x}" y="{y}"/>' for leg, (x, y) in ends.items())
    edges = "".join(
        f'<edge id="{leg}{way}" from="{a}" to="{b}" {lanes} spreadType="right"/>'
        for leg in ends
        for way, a, b in (("i", leg, "c"), ("o", "c", leg))
    )
    links = "".join(
        f'<connection from="{a}i" to="{b}o" fromLane="{k}" toLane="{k}" tl="c" linkIndex="{2 * j + k - 1}"/>'
        for j, (a, b) in enumerate((("n", "s"), ("s", "n")))
        for k in (1, 2)
    )
    crossing = f'<crossing node="c" edges="ni no" width="{CROSS_M}" priority="false" linkIndex="{LINK}"/>'
    texts = {
        "nod": f'<nodes><node id="c" x="0" y="0" type="traffic_light"/>{nodes}</nodes>',
        "edg": f"<edges>{edges}</edges>",
        "con": f"<connections>{links}{crossing}</connections>",
    }
    make_network(folder, texts, ["--no-turnarounds", "true"])


def _additional() -> str:
    phases = [(26.0, "GGGGr"), (3.0, "yyyyr"), (2.0, "rrrrr"), (12.0, "rrrrG"), (8.0, "rrrrr")]
    program = "".join(f'<phase duration="{s:g}" state="{state}"/>' for s, state in phases)
    tools = f'<tlLogic id="c" type="static" programID="made" offset="0">{program}</tlLogic>'
    tools += '<timedEvent type="SaveTLSStates" source="c" dest="states.xml"/>'
    return f"<additional>{tools}</additional>\n"


def _demand(knobs: Knobs) -> Demand:
    """Return traffic both ways, people over the crosswalk from either side, and others who only walk past it."""
    rng = np.random.default_rng([knobs.seed, 0x3A1C])
    made = Demand(TRAITS)
    # SUMO's table has columns for vehicles only where its first road user is one.
    made.add(0.0, "sedan", "", "ni so")
    for a, b in (("n", "s"), ("s", "n")):
        for time_s in arrivals(rng, knobs.per_hour, 2.0, knobs.seconds):
            made.add(time_s, any_kind(rng), "", f"{a}i {b}o")
    # Sidewalks lie to the right of each edge: who goes from one side's to the other's crosses.
    for time_s in arrivals(rng, knobs.walkers, 5.0, knobs.seconds - 60.0, 0.5):
        kind, trait = pick(rng, {"person": 1.0 - knobs.cyclists, "bicycle": knobs.cyclists}), "walker"
        if kind == "bicycle":
            trait = "rider"
        crosses = rng.random() >= knobs.past
        route = pick(rng, {"ni no": 1.0, "no ni": 1.0} if crosses else {"ni so": 1.0, "no si": 1.0})
        start, end = rng.uniform(5.0, 35.0), rng.uniform(5.0, 35.0)
        for k in range(int(rng.choice([1, 2, 3], p=[0.8, 0.14, 0.06]))):
            made.walk(
                time_s + 0.7 * k, route, trait, kind=kind,
                departPos=f"{-start:.1f}" if route[1] == "i" else f"{start:.1f}", arrivalPos=f"{end:.1f}",
            )  # fmt: skip
    return made


def plan() -> Plan:
    """Return a camera beside the road and what is drawn: the crosswalk, its middle line, the kerbs to wait at."""
    camera = aimed((12.0, -13.0, 9.0), (-0.5, 1.0), 1000.0)
    made = Plan("made-crosswalk", camera, [(x, y) for y in (-4.0, 4.0, 16.0) for x in (-8.0, 0.0, 8.0)])
    low, high = CROSSING_Y
    made.zones["crosswalk"] = box(-HALF_M, low, HALF_M, high)
    made.zones["west"] = box(-HALF_M - WAIT_M, low, -HALF_M, high)
    made.zones["east"] = box(HALF_M, low, HALF_M + WAIT_M, high)
    made.lines["middle"] = Line(((0.0, low - 1.0), (0.0, high + 1.0)), (1.0, 0.0))
    made.signals["walk"] = "signals.csv"
    made.rules = [
        {
            "type": "crosswalk", "name": "crosswalk", "zone": "crosswalk", "line": "middle",
            "waits": ["west", "east"], "signal": "walk",
        }
    ]  # fmt: skip
    return made


#: Along the road, where SUMO lays the crossing (2 m either side), drawn wider as a person does.
CROSSING_Y = (-2.5, 2.5)


def crosswalk_truth(course: Course, plan: Plan, rule: dict[str, Any], signal: Signal) -> Truth:
    """Middle on the crosswalk, come onto it on one side of the middle line and gone from it on the other.

    The event is when it left, with the flow where it went east. A table tells wait, time on it and what the signal
    showed at the first step.
    """
    corners = np.array(plan.zones[rule["zone"]])
    low, high = corners.min(axis=0), corners.max(axis=0)
    events: list[Event] = []
    unsure: list[Event] = []
    table: list[dict[str, Any]] = []
    for who, rows in course.each():
        if class_of(course, who) not in ("person", "bicycle"):
            continue
        middle = course.front_m[rows] - 0.5 * course.size_m[rows][:, :1] * course.ahead[rows]
        times = course.time_s[rows]
        on = ((middle >= low) & (middle <= high)).all(axis=1)
        edges = np.flatnonzero(np.diff(np.r_[0, on.astype(np.int8), 0]))
        for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            came, went = middle[a, 0], middle[b - 1, 0]
            if came * went > 0.0 or b - a < 2:
                continue
            whole = a > 0 and b < len(on)
            one = Event(
                float(times[min(b, len(times) - 1)]), str(rule["name"]), class_of(course, who),
                "with_flow" if went > 0.0 else "against_flow", None, who,
            )  # fmt: skip
            (events if whole else unsure).append(one)
            state, since_s, until_s = signal.at(float(times[a]))
            near = min(float(times[a]) - since_s, until_s - float(times[a])) < NEAR_S
            table.append(
                {
                    "track_id": who, "time_s": one.time_s, "entry_s": float(times[a]),
                    "wait_s": _wait_s(middle[:a], times[:a], low, high), "signal": state, "near_change": int(near),
                    "speed_mps": float(np.hypot(*(middle[b - 1] - middle[a])) / max(times[b - 1] - times[a], 0.04)),
                }
            )  # fmt: skip
    return Truth(events, unsure, {"walks": table})


def _wait_s(middle: np.ndarray, times: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Return how long (s) it was in the zone at the kerb until its first step, with short absences; NaN for never."""
    beside = (np.abs(middle[:, 0]) > HALF_M) & (np.abs(middle[:, 0]) < HALF_M + WAIT_M)
    there = beside & (middle[:, 1] >= low[1]) & (middle[:, 1] <= high[1])
    if not there.any() or times[-1] - times[there][-1] > LEAVE_S:
        return float("nan")
    seen = times[there]
    gaps = np.flatnonzero(np.diff(seen) > LEAVE_S)
    return float(times[-1] - seen[gaps[-1] + 1 if len(gaps) else 0])
