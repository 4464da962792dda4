"""Measures of perfect tracks against the detectors of SUMO, which knows nothing of Gantry: a lane before a signal."""

from __future__ import annotations

import math
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from roadrows import road_line
from standrows import SCALE, RoadJudge, box, ended, road_row, road_scene

from kernels.records import TRACK

sumo = pytest.importorskip("sumo", reason="SUMO is not installed: make peers")

SECONDS, PERIOD_S, STEP_S = 360, 120, 0.2
LOOP_M, LOOP_LENGTH_M = 200.0, 0.02  # a loop of SUMO is a point
NODES = """<nodes>
<node id="a" x="0" y="200"/><node id="b" x="300" y="200" type="traffic_light"/><node id="c" x="500" y="200"/>
<node id="d" x="300" y="0"/><node id="e" x="300" y="400"/></nodes>"""
EDGES = """<edges>
<edge id="ab" from="a" to="b" numLanes="2" speed="13.9"/><edge id="bc" from="b" to="c" numLanes="2" speed="13.9"/>
<edge id="db" from="d" to="b" numLanes="1" speed="13.9"/><edge id="be" from="b" to="e" numLanes="1" speed="13.9"/>
</edges>"""
ROUTES = f"""<routes><vType id="v" length="5" sigma="0.5" speedDev="0.1"/><route id="r" edges="ab bc"/>
<flow id="f" type="v" route="r" begin="0" end="{SECONDS}" vehsPerHour="1100" departLane="best" departSpeed="desired"/>
</routes>"""
DETECTORS = f"""<additional>
<inductionLoop id="e1" lane="ab_0" pos="{LOOP_M}" period="{PERIOD_S}" file="e1.xml"/>
<instantInductionLoop id="i1" lane="ab_0" pos="{LOOP_M}" file="i1.xml"/>
<laneAreaDetector id="e2" lane="ab_0" pos="0" endPos="-0.1" period="60" file="e2.xml" speedThreshold="1.39"
 timeThreshold="1"/>
<laneData id="ld" period="{PERIOD_S}" file="ld.xml"/>
</additional>"""


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a simulation with what each detector told and every vehicle's course."""
    folder = tmp_path_factory.mktemp("sumo")
    files = {"n.nod.xml": NODES, "n.edg.xml": EDGES, "r.rou.xml": ROUTES, "add.xml": DETECTORS}
    for name, text in files.items():
        (folder / name).write_text(text)
    for words in (
        "netconvert -n n.nod.xml -e n.edg.xml -o n.net.xml --offset.disable-normalization",
        f"sumo -n n.net.xml -r r.rou.xml -a add.xml --fcd-output fcd.xml --step-length 0.1 -e {SECONDS} --seed 3",
    ):
        program, *rest = words.split()
        done = subprocess.run(
            [Path(sumo.SUMO_HOME) / "bin" / program, *rest], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def measured(simulated: Path) -> dict[str, np.ndarray]:
    """Return the events of each rule on these courses, every second step of them."""
    net = ET.parse(simulated / "n.net.xml").getroot()
    lane = next(one for edge in net.iter("edge") for one in edge.iter("lane") if one.get("id") == "ab_0")
    (x0, y), (x1, _) = [tuple(map(float, point.split(","))) for point in lane.attrib["shape"].split()]
    low, high = y - 1.6, y + 1.6
    scene = road_scene(
        lanes={"a/a": (box(x0, low, x1, high), (1, 0))},
        zones={"loop": box(x0 + LOOP_M, low, x0 + LOOP_M + LOOP_LENGTH_M, high)},
    )
    lines = [road_line(x, low, x, high, (1, 0)) for x in (x1, x0 + LOOP_M)]
    for line in lines:
        for name in ("x1_px", "y1_px", "x2_px", "y2_px"):
            line[name] *= SCALE / 10.0
    scene.line_names, scene.lines = ("stop", "middle"), np.concatenate(lines)
    rules = {
        "presence": RoadJudge("presence", scene, zone="loop"),
        "spot": RoadJudge("spot", scene, line="middle"),
        "section": RoadJudge("section", scene, lane="a/a"),
        "queue": RoadJudge("queue", scene, lane="a/a", line="stop"),
    }
    found: dict[str, list[np.ndarray]] = {name: [] for name in rules}
    last: dict[int, np.ndarray] = {}
    for time_s, rows in courses(simulated / "fcd.xml"):
        gone = [ended(last.pop(number)) for number in set(last) - set(rows)]
        for number, row in rows.items():
            before = last.get(number, row)
            row["prev_time_s"] = before["time_s"]
            row["prev_foot_x_px"], row["prev_foot_y_px"] = before["foot_x_px"], before["foot_y_px"]
            last[number] = row
        tracks = np.concatenate([*gone, *rows.values(), np.zeros(0, TRACK)])
        for name, rule in rules.items():
            found[name].append(rule(tracks, rule.clock(time_s)))
    closing = np.concatenate([*map(ended, last.values()), np.zeros(0, TRACK)])
    for name, rule in rules.items():
        found[name].append(rule(closing, rule.clock(time_s, last=1)))
    return {name: np.concatenate(events) for name, events in found.items()}


def courses(path: Path) -> Any:
    """Yield (time, row of each vehicle by its number) of every second step."""
    numbers: dict[str, int] = {}
    for _, element in ET.iterparse(path):
        if element.tag != "timestep":
            continue
        time_s, rows = float(element.attrib["time"]), {}
        if round(time_s * 10) % round(STEP_S * 10) == 0:
            for one in element:
                number = numbers.setdefault(one.attrib["id"], len(numbers) + 1)
                turn, speed = math.radians(float(one.attrib["angle"])), float(one.attrib["speed"])
                way = (math.sin(turn), math.cos(turn))
                front = (float(one.attrib["x"]), float(one.attrib["y"]))
                rows[number] = road_row(number, time_s, front, (way[0] * speed, way[1] * speed), way, 5.0)
            yield time_s, rows
        element.clear()


def periods(path: Path, key: str, name: str) -> list[dict[str, str]]:
    return [dict(one.attrib) for one in ET.parse(path).iter(key) if one.get("id") == name]


def test_a_loop_goes_on_and_off_when_that_of_sumo_does(simulated: Path, measured: dict[str, np.ndarray]) -> None:
    events = measured["presence"]
    for state, on in (("enter", 1), ("leave", 0)):
        true = [
            float(one.attrib["time"]) for one in ET.parse(simulated / "i1.xml").getroot() if one.get("state") == state
        ]
        ours = events["time_s"][events["on"] == on]
        assert len(ours) == len(true) > 40
        assert np.abs(np.array(true) - ours).max() <= 0.04


def test_occupancy_flow_and_speeds_of_a_loop(simulated: Path, measured: dict[str, np.ndarray]) -> None:
    off, spots = measured["presence"][measured["presence"]["on"] == 0], measured["spot"]
    told = periods(simulated / "e1.xml", "interval", "e1")
    assert len(told) == 3
    for one in told:
        begin_s, end_s = float(one["begin"]), float(one["end"])
        on_s = np.clip(np.minimum(off["time_s"], end_s) - np.maximum(off["time_s"] - off["held_s"], begin_s), 0, None)
        assert 100 * on_s.sum() / (end_s - begin_s) == pytest.approx(float(one["occupancy"]), abs=0.2)
        passed = spots[(spots["time_s"] >= begin_s) & (spots["time_s"] < end_s)]
        assert len(passed) == int(one["nVehEntered"])
        speed = passed["speed_mps"].astype(float)
        assert speed.mean() == pytest.approx(float(one["speed"]), rel=0.01)
        assert len(speed) / (1 / speed).sum() == pytest.approx(float(one["harmonicMeanSpeed"]), rel=0.01)


def test_edie_speed_and_density_of_a_lane(simulated: Path, measured: dict[str, np.ndarray]) -> None:
    pieces = measured["section"]
    n = 0
    for interval in ET.parse(simulated / "ld.xml").iter("interval"):
        begin_s, end_s = float(interval.attrib["begin"]), float(interval.attrib["end"])
        lane = next(one for one in interval.iter("lane") if one.get("id") == "ab_0")
        here = pieces[(pieces["time_s"] > begin_s + 1e-6) & (pieces["time_s"] <= end_s + 1e-6)]
        way_m, time_s = float(here["distance_m"].sum()), float(here["inside_s"].sum())
        assert way_m / time_s == pytest.approx(float(lane.attrib["speed"]), rel=0.02)
        density = 1000 * time_s / (296.0 * (end_s - begin_s))
        assert density == pytest.approx(float(lane.attrib["density"]), rel=0.02)
        n += 1
    assert n == 3


def test_the_longest_queue_of_a_minute(simulated: Path, measured: dict[str, np.ndarray]) -> None:
    told = periods(simulated / "e2.xml", "interval", "e2")
    ours = measured["queue"][measured["queue"]["moment"] == 0]
    assert len(ours) == len(told) == 6
    true = [float(one["maxJamLengthInVehicles"]) for one in told]
    assert max(true) >= 5
    assert np.abs(ours["vehicles_max"] - np.array(true)).max() <= 1
