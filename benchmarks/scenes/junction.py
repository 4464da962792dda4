"""A junction with signals, two lanes each way, under a camera that looks at its northern approach.

The site's stop lines lie `SETBACK_M` before the ends of SUMO's lanes: whom SUMO stops there has overrun the line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.scenes.camera import aimed
from benchmarks.scenes.course import Course, read_course
from benchmarks.scenes.demand import Demand, any_kind, arrivals, pick
from benchmarks.scenes.plan import Line, Plan, box
from benchmarks.scenes.store import Made
from benchmarks.scenes.sumo import FCD, SIGNALS, make_network, simulate
from benchmarks.scenes.tables import Truth, joined
from benchmarks.scenes.truth_lines import interval_rows, line_truth, loop_rows
from benchmarks.scenes.truth_measures import edie_rows, occupancy_rows
from benchmarks.scenes.truth_signals import EMERGENCY, read_signal, signal_text, signal_truth

LANE_M = 3.2
#: Half the strip between the two directions: who turns round needs room for it.
MEDIAN_M = 1.5
#: Lines are drawn wider than the lanes, as a person does: a bus that turns is seen beside its lane.
BESIDE_M = 0.3
#: Where SUMO's lanes end, and where the site's stop lines lie, from the middle of the junction.
EDGE_M = 11.9
SETBACK_M = 3.0
STOP_M = EDGE_M + SETBACK_M
CLEAR_M = 1.0
ARM_M = 200.0
#: How far upstream of the stop line lanes are drawn, and queues and flow measured.
QUEUE_M = 75.0
#: Loops lie so far upstream of the stop line, and are so long.
LOOP_M, LOOP_LONG_M = 25.0, 2.0
WIDE_M = 2 * LANE_M

#: Figures of SUMO's loops and lane-area detectors that truth keeps.
E1 = ("nVehContrib", "flow", "occupancy", "speed", "harmonicMeanSpeed", "nVehEntered")
E2 = (
    "meanSpeed",
    "meanOccupancy",
    "maxJamLengthInVehicles",
    "maxJamLengthInMeters",
    "maxVehicleNumber",
    "sampledSeconds",
)

#: Where a leg lies, and the way out over it.
LEGS = {"n": (0.0, 1.0), "e": (1.0, 0.0), "s": (0.0, -1.0), "w": (-1.0, 0.0)}
ENTRIES = ("n_in", "e_in", "s_in", "w_in")


@dataclass(frozen=True)
class Knobs:
    """`per_hour`: vehicles from the north; the other legs have `others` of that. Shares are of all from the north.

    `emergency`: ambulances, which do not wait for green.
    """

    seed: int = 1
    seconds: float = 600.0
    fps: float = 25.0
    per_hour: float = 900.0
    others: float = 0.35
    runners: float = 0.0
    overruns: float = 0.0
    turn_on_red: bool = True
    left: float = 0.15
    right: float = 0.25
    u_turn: float = 0.03
    green_s: float = 20.0
    cross_s: float = 20.0
    jam_s: float = 0.0
    emergency: float = 0.0


#: A driver as a rule stops short of the site's line; who overruns it stops beyond it, but before SUMO's lane ends.
#: Nobody slides sideways while standing, as SUMO lets who changes lanes unless told so: a wheel turns by 22 degrees.
TRAITS: dict[str, dict[str, object]] = {
    "": {
        "jmStoplineGap": SETBACK_M + 0.8,
        "speedFactor": "normc(1.0,0.08,0.8,1.2)",
        "jmStopSignWait": 1.0,
        "lcMaxSpeedLatStanding": 0.0,
        "lcMaxSpeedLatFactor": 0.4,
    },
    "runner": {"jmDriveAfterRedTime": 1000, "jmDriveAfterYellowTime": 1000, "jmIgnoreFoeProb": 1.0},
    "overrun": {"jmStoplineGap": 1.4},
    # It gives way to who has green, and drives into a red at half speed. Nobody clears a lane for it: SUMO's blue light
    # moves the others aside only where lanes are split, and then everybody drives otherwise than without it.
    EMERGENCY: {"vClass": "emergency", "jmDriveAfterRedTime": 1000, "jmDriveRedSpeed": 7.0, "speedFactor": 1.1},
    "hasty": {"jmStopSignWait": 0.0, "jmDriveAfterRedTime": 0},
    "blocker": {"jmIgnoreKeepClearTime": 0, "impatience": 1.0},
}


def _measures(course: Course, drawn: Plan) -> Truth:
    edie: list[dict[str, object]] = []
    occupancy: list[dict[str, object]] = []
    for k in range(2):
        edie += edie_rows(course, f"ni_{k}", drawn.approaches["n_in"][1][f"l{k}"], 60.0)
        occupancy += occupancy_rows(course, f"ni_{k}", drawn.zones[f"loop_{k}"], 60.0)
    return Truth([], [], {"edie": edie, "occupancy": occupancy})


def network(folder: Path) -> None:
    """Make the junction's network in a folder."""
    nodes = "".join(f'<node id="{leg}" x="{x * ARM_M}" y="{y * ARM_M}"/>' for leg, (x, y) in LEGS.items())
    lanes = f'numLanes="2" speed="13.89" width="{LANE_M}"'
    edges = "".join(
        f'<edge id="{leg}{way}" from="{a}" to="{b}" {lanes} spreadType="right" shape="{_shape(leg, way)}"/>'
        for leg in LEGS
        for way, a, b in (("i", leg, "c"), ("o", "c", leg))
    )
    texts = {
        "nod": f'<nodes><node id="c" x="0" y="0" type="traffic_light"/>{nodes}</nodes>',
        "edg": f"<edges>{edges}</edges>",
        "con": f"<connections>{_connections()}</connections>",
    }
    make_network(folder, texts, ["--no-turnarounds", "true"])


def build(folder: Path, knobs: Knobs) -> Plan:
    """Simulate the junction into a folder; return what its camera's picture shows."""
    network(folder)
    (folder / "routes.rou.xml").write_text(demand(knobs).text())
    (folder / "more.add.xml").write_text(_additional(knobs))
    simulate(folder, round(knobs.seconds * knobs.fps), knobs.fps, knobs.seed, ["--lanechange.duration", "2.5"])
    return plan(knobs)


def across(leg: str, way: str, from_m: float) -> Callable[[float], tuple[float, float]]:
    """Return what turns a distance to the right of a leg's middle, seen along a way ("in", "out"), into a road point.

    The point lies `from_m` from the junction's middle.
    """
    x, y = LEGS[leg]
    sign = -1.0 if way.startswith("i") else 1.0
    return lambda right_m: (x * from_m + sign * y * right_m, y * from_m - sign * x * right_m)


def _shape(leg: str, way: str) -> str:
    (x1, y1), (x2, y2) = across(leg, way, ARM_M)(MEDIAN_M), across(leg, way, 0.0)(MEDIAN_M)
    ends = [f"{x1:g},{y1:g}", f"{x2:g},{y2:g}"]
    return " ".join(ends if way == "i" else ends[::-1])


#: The links of a leg in the order of the program's letters: exit and lane.
_LINKS = (("right", 0, 0), ("through", 0, 0), ("through", 1, 1), ("left", 1, 1), ("u_turn", 1, 0))


def _exit(leg: str, turn: str) -> str:
    ring = "nesw"
    steps = {"right": 3, "through": 2, "left": 1, "u_turn": 0}[turn]
    return ring[(ring.index(leg) + steps) % 4]


def _connections() -> str:
    out = []
    for k, leg in enumerate(LEGS):
        for j, (turn, lane, into) in enumerate(_LINKS):
            out.append(
                f'<connection from="{leg}i" to="{_exit(leg, turn)}o" fromLane="{lane}" toLane="{into}" '
                f'tl="c" linkIndex="{5 * k + j}"/>'
            )
    return "".join(out)


def _additional(knobs: Knobs) -> str:
    """Return the signal program and the instruments."""
    turn = "s" if knobs.turn_on_red else "r"
    main, cross, red = "GGGgg", "GGGgg", f"{turn}rrrr"
    stop = "rrrrr"
    phases = [
        (knobs.green_s, main, red), (3.0, "yyyyy", red), (2.0, stop, stop),
        (knobs.cross_s, red, cross), (3.0, red, "yyyyy"), (2.0, stop, stop),
    ]  # fmt: skip
    program = "".join(f'<phase duration="{s:g}" state="{a}{b}{a}{b}"/>' for s, a, b in phases)
    tools = [f'<tlLogic id="c" type="static" programID="made" offset="0">{program}</tlLogic>']
    tools += ['<timedEvent type="SaveTLSStates" source="c" dest="states.xml"/>']
    for lane in ("ni_0", "ni_1", "so_0", "so_1", "wo_0", "wo_1", "eo_0", "eo_1", "no_0", "no_1"):
        at = -SETBACK_M if lane[1] == "i" else SETBACK_M
        tools.append(f'<instantInductionLoop id="i_{lane}" lane="{lane}" pos="{at}" file="instant.xml"/>')
    for lane in ("ni_0", "ni_1"):
        where = f'pos="-{SETBACK_M + LOOP_M}" length="{LOOP_LONG_M}"'
        tools.append(f'<inductionLoop id="e1_{lane}" lane="{lane}" {where} period="60" file="e1.xml"/>')
        tools.append(
            f'<laneAreaDetector id="e2_{lane}" lane="{lane}" pos="-{QUEUE_M + SETBACK_M}" '
            f'endPos="-{SETBACK_M}" period="60" '
            'file="e2.xml" timeThreshold="1" speedThreshold="1.39" jamThreshold="10"/>'
        )
    tools.append('<poly id="view" shape="-45,-45 60,-45 60,110 -45,110" color="red"/>')
    return "<additional>\n" + "\n".join(tools) + "\n</additional>\n"


def demand(knobs: Knobs) -> Demand:
    """Return the vehicles of all legs."""
    rng = np.random.default_rng([knobs.seed, 0x3C7])
    made = Demand(TRAITS)
    through = 1.0 - knobs.left - knobs.right - knobs.u_turn
    turns = {"through": through, "left": knobs.left, "right": knobs.right, "u_turn": knobs.u_turn}
    traits = {"": 1.0 - knobs.runners - knobs.overruns - knobs.emergency, "runner": knobs.runners}
    traits |= {"overrun": knobs.overruns, EMERGENCY: knobs.emergency}
    for time_s in arrivals(rng, knobs.per_hour, 0.0, knobs.seconds):
        turn, trait, kind = pick(rng, turns), pick(rng, traits), any_kind(rng)
        if turn == "u_turn" and kind in ("truck", "bus"):
            turn = "through"
        if trait == EMERGENCY:
            kind = "van"
        made.add(time_s, kind, trait, f"ni {_exit('n', turn)}o")
    for leg in "esw":
        for time_s in arrivals(rng, knobs.per_hour * knobs.others, 0.0, knobs.seconds):
            turn = pick(rng, {"through": 0.7, "left": 0.15, "right": 0.15})
            made.add(time_s, any_kind(rng), "", f"{leg}i {_exit(leg, turn)}o")
    return made


def plan(knobs: Knobs) -> Plan:
    """Return the camera on the junction's far side and all that is drawn into its picture."""
    camera = aimed((-3.5, -34.0, 16.0), (-0.5, 4.0), 1200.0)
    ground = [(x, y) for y in (-18.0, 0.0, 20.0, 50.0) for x in (-8.0, 0.0, 8.0)]
    made = Plan("made-junction", camera, ground)
    far = {"n": STOP_M + QUEUE_M, "e": 30.0, "s": 20.0, "w": 22.0}
    for leg, (x, y) in LEGS.items():
        for way, sign in (("in", -1.0), ("out", 1.0)):
            near, away = across(leg, way, STOP_M), across(leg, way, far[leg])
            made.lines[f"{leg}_{way}"] = Line(
                (near(BESIDE_M), near(2 * MEDIAN_M + WIDE_M - BESIDE_M)), (sign * x, sign * y)
            )
            ends = (away, near) if way == "in" else (near, away)
            flow = ends[0](MEDIAN_M + LANE_M), ends[1](MEDIAN_M + LANE_M)
            lanes = {}
            for k in range(2):
                inner, outer = MEDIAN_M + (1 - k) * LANE_M, MEDIAN_M + (2 - k) * LANE_M
                lanes[f"l{k}"] = [ends[0](inner), ends[1](inner), ends[1](outer), ends[0](outer)]
            made.approaches[f"{leg}_{way}"] = (flow, lanes)
    # The edge of what others drive through: who passes it under red has not only overrun the stop line.
    clear = across("n", "in", EDGE_M - CLEAR_M)
    made.lines["n_clear"] = Line((clear(BESIDE_M), clear(2 * MEDIAN_M + WIDE_M)), (0.0, -1.0))
    made.zones["junction"] = box(-EDGE_M, -EDGE_M, EDGE_M, EDGE_M)
    for k in range(2):
        right, low = -MEDIAN_M - (1 - k) * LANE_M, STOP_M + LOOP_M - LOOP_LONG_M
        made.zones[f"loop_{k}"] = box(right - LANE_M, low, right, low + LOOP_LONG_M)
    made.signals["north"] = "signals.csv"
    made.rules = _rules()
    return made


def _rules() -> list[dict[str, object]]:
    rules: list[dict[str, object]] = []
    for line in ("n_in", "n_out", "s_out", "w_out", "e_out"):
        rules.append({"type": "line_count", "name": f"count {line}", "line": line})
    rules.append({"type": "spot", "name": "spot n_in", "line": "n_in"})
    exits = ["n_out", "s_out", "w_out", "e_out"]
    rules.append({"type": "movement", "name": "movements", "entry": list(ENTRIES), "exit": exits})
    rules.append(
        {
            "type": "red_light", "name": "red light", "line": "n_in", "clear_line": "n_clear", "signal": "north",
            "turn_exempt": ["w_out"], "other_exits": ["n_out", "s_out", "e_out"],
        }
    )  # fmt: skip
    overrun = {"type": "stop_line_overrun", "name": "overrun", "line": "n_in", "clear_line": "n_clear"}
    rules.append({**overrun, "signal": "north"})
    on_red: dict[str, object] = {"type": "turn_on_red", "name": "turn on red", "line": "n_in", "exits": ["w_out"]}
    on_red["signal"] = "north"
    rules.append(on_red)
    for k in range(2):
        rules.append({"type": "presence", "name": f"loop {k}", "zone": f"loop_{k}"})
        rules.append({"type": "section", "name": f"section {k}", "lane": f"n_in/l{k}"})
        rules.append({"type": "queue", "name": f"queue {k}", "line": "n_in", "lane": f"n_in/l{k}"})
    rules.append({"type": "u_turn", "name": "u turn", "entry": ["n_in"], "exit": ["n_out"]})
    rules.append({"type": "forbidden_turn", "name": "forbidden turn", "entry": ["n_in"], "exit": ["e_out"]})
    return rules


def make(folder: Path, knobs: Knobs) -> Made:
    """Simulate the junction and tell the truth of it."""
    drawn = build(folder, knobs)
    course = read_course(folder / FCD, knobs.fps, round(knobs.seconds * knobs.fps))
    signal = read_signal(folder / SIGNALS, 1)
    truth = joined(
        [
            line_truth(course, drawn),
            signal_truth(course, drawn, signal, "n_in", ["w_out"], ["n_out", "s_out", "w_out", "e_out"], "n_clear"),
            Truth([], [], {"loops": loop_rows(folder / "instant.xml", course)}),
            Truth([], [], {"e1": interval_rows(folder / "e1.xml", E1)}),
            Truth([], [], {"e2": interval_rows(folder / "e2.xml", E2)}),
            _measures(course, drawn),
        ]
    )
    return Made(course, drawn, truth, {"signals.csv": signal_text(signal)})
