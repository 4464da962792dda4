"""Turning movement counts as UTDF and counts for SUMO: every cell against a plain count of the events."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import traffic_runs

from kernels.records import CLASSES, REASONS
from vision.errors import StoreError
from vision.ground import fit_ground, lens_facts, make_lens
from vision.record.export import export
from vision.record.formats import Options
from vision.record.reader import Records

WAYS = ("south", "north", "west", "east")  # the side of the junction a line lies on
LINES = tuple(f"{way}_{end}" for way in WAYS for end in ("in", "out"))
ENTRIES, EXITS = tuple(f"{way}_in" for way in WAYS), tuple(f"{way}_out" for way in WAYS)
HEADINGS = {"south": 0, "west": 90, "north": 180, "east": 270}  # of traffic that comes in there
VEHICLES = ("car", "bus", "truck", "motorcycle")
START = "2026-05-04T06:38:00Z"


def turn_of(entry: str, leave: str) -> str:
    """Return the movement from the compass, by a table of its own."""
    heading = HEADINGS[entry.split("_")[0]]
    change = (HEADINGS[leave.split("_")[0]] + 180 - heading) % 360
    return {0: "NB", 90: "EB", 180: "SB", 270: "WB"}[heading] + {0: "T", 90: "R", 180: "U", 270: "L"}[change]


NAMED = {f"{entry} -> {leave}": turn_of(entry, leave) for entry in ENTRIES for leave in EXITS}


def geometry(mirrored: bool = False, north_deg: float = 0.0) -> dict[str, Any]:
    """Return lines on a ground plane whose y axis points to this bearing, seen by a camera that is turned by 33 deg."""
    turn, compass = np.radians(33.0), np.radians(north_deg)
    image, plane = [], []
    for east, north in ((-20, -20), (20, -20), (20, 20), (-20, 20), (5, 3)):
        right, up = east * np.cos(turn) - north * np.sin(turn), east * np.sin(turn) + north * np.cos(turn)
        image.append((640 + 10 * right, 400 - 8 * up))
        x = east * np.cos(compass) - north * np.sin(compass)
        y = east * np.sin(compass) + north * np.cos(compass)
        plane.append((-x if mirrored else x, y))
    ground = fit_ground(np.array(image), np.array(plane))
    rows = []
    for way in WAYS:
        for end in ("in", "out"):
            bearing = np.radians(HEADINGS[way] + (180 if end == "out" else 0))
            east, north = np.sin(bearing), np.cos(bearing)
            nx, ny = (
                east * np.cos(compass) - north * np.sin(compass),
                east * np.sin(compass) + north * np.cos(compass),
            )
            ends = {"x1_px": 600.0, "y1_px": 400.0, "x2_px": 640.0, "y2_px": 400.0}
            rows.append(
                {
                    "name": f"{way}_{end}",
                    "has_flow": 1,
                    "nx_m": float(-nx if mirrored else nx),
                    "ny_m": float(ny),
                    **ends,
                }
            )
    return {"lines": rows, "ground": {"to_road": ground.to_road.tolist()}}


def trips(n: int, span_s: float, seed: int = 0) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        entry = int(rng.integers(-1, len(ENTRIES)))
        entered = float(rng.uniform(0, span_s))
        found.append(
            {
                "time_s": entered + float(rng.uniform(1, 30)),
                "entry_s": entered if entry >= 0 else np.nan,
                "entry_line": LINES.index(ENTRIES[entry]) if entry >= 0 else -1,
                "exit_line": LINES.index(EXITS[int(rng.integers(len(EXITS)))]),
                "class_id": int(rng.integers(len(CLASSES))),
            }
        )
    return found


def covered(*shares: float) -> list[dict[str, Any]]:
    reason = REASONS.index("stream_gap")
    return [
        {"time_s": 60.0 * (k + 1), "interval_s": 60, "observed_s": 60 * share, "reason": reason}
        for k, share in enumerate(shares)
    ]


def made(folder: Path, events: list[dict[str, Any]], cover: list[dict[str, Any]], **more: Any) -> Records:
    rules: list[traffic_runs.Rule] = [
        ("ways", "movement", {"entry": list(ENTRIES), "exit": list(EXITS)}),
        ("coverage", "coverage", {}),
        ("edge", "line_count", {"line": "south_in"}),
    ]
    head = traffic_runs.header(rules, lines=LINES, **({"start_utc": START} | more))
    return traffic_runs.write(folder, head, {0: events, 1: cover})


def read_utdf(path: Path) -> list[dict[str, str]]:
    title, interval, names, *rows = path.read_text("ascii").splitlines()
    assert title == "Turning Movement Count"
    assert interval in ("15 Minute Counts", "60 Minute Counts")
    assert names == "DATE,TIME,INTID,NBL,NBT,NBR,SBL,SBT,SBR,EBL,EBT,EBR,WBL,WBT,WBR"
    return [dict(zip(names.split(","), row.split(","), strict=True)) for row in rows]


def expected_cells(events: list[dict[str, Any]], minutes: int, u_turns: bool) -> Counter[tuple[str, str, str]]:
    """Count each vehicle in the interval of the wall clock in which it entered."""
    found: Counter[tuple[str, str, str]] = Counter()
    for event in events:
        if event["entry_line"] < 0 or CLASSES[event["class_id"]] not in VEHICLES:
            continue
        turn = turn_of(LINES[event["entry_line"]], LINES[event["exit_line"]])
        if turn.endswith("U"):
            if not u_turns:
                continue
            turn = turn[:2] + "L"
        moment = datetime.fromisoformat(START) + timedelta(seconds=event["entry_s"])
        local = moment.astimezone(ZoneInfo("Europe/Berlin"))
        begin = local.replace(minute=local.minute // minutes * minutes if minutes < 60 else 0)
        found[f"{begin:%m/%d/%Y}", f"{begin:%H%M}", turn] += 1
    return found


@pytest.mark.parametrize("minutes", [15, 60])
@pytest.mark.parametrize("u_turns", ["left", "omit"])
def test_every_cell_of_a_turning_count(tmp_path: Path, minutes: int, u_turns: Any) -> None:
    events = trips(3000, 2 * 3600 - 40)
    records = made(tmp_path / "run", events, covered(*[1.0] * 120))
    options = Options(device=6, interval_min=minutes, movements=NAMED, u_turns=u_turns)
    notes: list[str] = []
    n = export(records, "utdf", tmp_path / "t.csv", options=options, notes=notes)
    expected = expected_cells(events, minutes, u_turns == "left")
    rows = read_utdf(tmp_path / "t.csv")
    cells = {
        (row["DATE"], row["TIME"], name): row[name] for row in rows for name in row if name not in ("DATE", "TIME")
    }
    withheld = {key for key, cell in cells.items() if cell == "*"}
    assert all(key[1] == ("0830" if minutes == 15 else "0800") for key in withheld)
    for key, cell in cells.items():
        if key[2] == "INTID":
            assert cell == "6"
        elif cell != "*":
            assert int(cell) == expected[key], key
    assert n == sum(expected[key] for key in cells if key not in withheld)
    assert n > 900
    assert [row["TIME"] for row in rows][:2] == (["0830", "0845"] if minutes == 15 else ["0800", "0900"])
    assert any("U-turns" in note for note in notes)
    assert any("not seen entering" in note for note in notes)
    assert any("other classes" in note for note in notes)


@pytest.mark.parametrize("north_deg", [0.0, 25.0, 90.0, 200.0])
@pytest.mark.parametrize("mirrored", [False, True])
def test_movements_from_the_ground_plane(tmp_path: Path, north_deg: float, mirrored: bool) -> None:
    events = trips(400, 3000)
    plane = geometry(mirrored, north_deg)
    records = made(tmp_path / "run", events, covered(*[1.0] * 60), geometry=plane)
    export(records, "utdf", tmp_path / "named.csv", options=Options(device=6, movements=NAMED))
    export(records, "utdf", tmp_path / "told.csv", options=Options(device=6, north_deg=north_deg))
    assert (tmp_path / "told.csv").read_text() == (tmp_path / "named.csv").read_text()


def test_movements_are_the_same_through_a_lens(tmp_path: Path) -> None:
    """A lens turns nothing round, so the side of the plane's axes is as it was: the lines are only seen elsewhere."""
    lens = lens_facts(make_lens(1280, 720, k1=-0.3, k2=0.05))
    records = made(tmp_path / "run", trips(100, 800), covered(*[1.0] * 37), geometry=geometry(True) | {"lens": lens})
    export(records, "utdf", tmp_path / "named.csv", options=Options(device=6, movements=NAMED))
    export(records, "utdf", tmp_path / "told.csv", options=Options(device=6, north_deg=0.0))
    assert (tmp_path / "told.csv").read_text() == (tmp_path / "named.csv").read_text()


def test_what_is_not_available_is_a_star(tmp_path: Path) -> None:
    events = [{"time_s": 200.0, "entry_s": 190.0, "entry_line": LINES.index("south_in"), "exit_line": 3}]
    events += [{**events[0], "time_s": 1500.0, "entry_s": 1490.0}]
    records = made(tmp_path / "run", events, covered(*[1.0] * 7, *[0.4] * 15, *[0.9] * 15))
    few = {key: turn for key, turn in NAMED.items() if key.startswith(("south_in", "west_in"))}
    notes: list[str] = []
    export(records, "utdf", tmp_path / "t.csv", options=Options(device=6, movements=few), notes=notes)
    rows = read_utdf(tmp_path / "t.csv")
    assert [row["TIME"] for row in rows] == ["0830", "0845", "0900"]
    assert [row["NBT"] for row in rows] == ["*", "*", "1"]
    assert [rows[2][name] for name in ("NBL", "EBT", "SBT", "WBR")] == ["0", "0", "*", "*"]
    assert notes == [
        "2 of 3 intervals were observed for less than half: withheld",
        "1 of 3 intervals were observed for less than 95 %: not scaled up",
    ]


def test_small_counts_are_withheld_when_asked(tmp_path: Path) -> None:
    records = made(tmp_path / "run", trips(60, 800), covered(*[1.0] * 37), start_utc="2026-05-04T06:30:00Z")
    export(records, "utdf", tmp_path / "all.csv", options=Options(device=6, movements=NAMED))
    export(records, "utdf", tmp_path / "k.csv", options=Options(device=6, movements=NAMED, k=5))
    whole, some = read_utdf(tmp_path / "all.csv")[0], read_utdf(tmp_path / "k.csv")[0]
    assert {name for name in whole if some[name] == "*"} == {n for n, cell in whole.items() if cell in set("1234")}
    assert "*" in some.values()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Options(movements=NAMED), "device = NUMBER"),
        (Options(device=6), "give north_deg, or a table"),
        (Options(device=6, north_deg=0.0), "has no flow on the ground plane"),
        (Options(device=6, movements={"south_in => north_out": "NBT"}), "names no entry and exit line"),
        (Options(device=6, movements=NAMED, interval_min=5), "UTDF allows 15 or 60"),
        (Options(device=6, movements=NAMED, classes=("tram",)), "'tram' is not a class"),
    ],
)
def test_what_a_turning_count_lacks_is_said(tmp_path: Path, options: Options, said: str) -> None:
    records = made(tmp_path / "run", trips(5, 100), covered(1.0, 1.0))
    with pytest.raises(StoreError) as caught:
        export(records, "utdf", tmp_path / "t.csv", options=options)
    assert said in str(caught.value)
    assert not (tmp_path / "t.csv").exists()


# -- SUMO -------------------------------------------------------------------------------------------------------------

EDGES = {f"{way}_in": f"{way[0]}i" for way in WAYS} | {f"{way}_out": f"{way[0]}o" for way in WAYS}


def crossings(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the line counts of the vehicles that came in."""
    came = [event for event in events if event["entry_line"] >= 0]
    return [{"time_s": e["entry_s"], "line": e["entry_line"], "class_id": e["class_id"]} for e in came]


def sumo_run(folder: Path) -> tuple[Records, list[dict[str, Any]]]:
    events = [e for e in trips(500, 1790) if turn_of(LINES[max(e["entry_line"], 0)], LINES[e["exit_line"]])[2] != "U"]
    rules: list[traffic_runs.Rule] = [
        ("ways", "movement", {"entry": list(ENTRIES), "exit": list(EXITS)}),
        ("coverage", "coverage", {}),
        ("edge", "line_count", {"line": "south_in"}),
    ]
    head = traffic_runs.header(rules, lines=LINES, start_utc=None)
    records = traffic_runs.write(folder, head, {0: events, 1: covered(*[1.0] * 30), 2: crossings(events)})
    return records, [e for e in events if e["entry_line"] >= 0 and CLASSES[e["class_id"]] in VEHICLES]


def test_edges_and_turns(tmp_path: Path) -> None:
    records, events = sumo_run(tmp_path / "run")
    options = Options(edges=EDGES)
    assert export(records, "sumo-edges", tmp_path / "e.xml", options=options) == len(events)
    assert export(records, "sumo-turns", tmp_path / "t.xml", options=options) == len(events)
    edges = Counter((e["entry_s"] // 900, EDGES[LINES[e["entry_line"]]]) for e in events)
    turns = Counter((e["entry_s"] // 900, EDGES[LINES[e["entry_line"]]], EDGES[LINES[e["exit_line"]]]) for e in events)
    intervals = ET.parse(tmp_path / "e.xml").getroot().findall("interval")
    assert [(i.get("begin"), i.get("end")) for i in intervals] == [("0.00", "900.00"), ("900.00", "1800.00")]
    for at, interval in enumerate(intervals):
        for edge in interval:
            assert int(edge.attrib["entered"]) == edges[at, edge.attrib["id"]]
        assert len(interval) == len(ENTRIES)  # nobody counts the exits
    for at, interval in enumerate(ET.parse(tmp_path / "t.xml").getroot()):
        for turn in interval:
            assert int(turn.attrib["count"]) == turns[at, turn.attrib["from"], turn.attrib["to"]]


def test_route_sampler_fits_both_files_exactly(tmp_path: Path) -> None:
    sumo = pytest.importorskip("sumo", reason="SUMO is not installed: make peers")
    tool = Path(sumo.SUMO_HOME) / "tools" / "routeSampler.py"
    if not tool.is_file():
        pytest.skip("this SUMO has no routeSampler.py")
    records, events = sumo_run(tmp_path / "run")
    for form in ("edges", "turns"):
        export(records, f"sumo-{form}", tmp_path / f"{form}.xml", options=Options(edges=EDGES))
    pairs = [(f"{a[0]}i", f"{b[0]}o") for a in WAYS for b in WAYS if a != b]
    routes = "".join(f'<route id="r{k}" edges="{one} {other}"/>' for k, (one, other) in enumerate(pairs))
    (tmp_path / "r.xml").write_text(f"<routes>{routes}</routes>")
    command = [sys.executable, str(tool), "-r", "r.xml", "--edgedata-files", "edges.xml", "--turn-files", "turns.xml"]
    done = subprocess.run(
        [*command, "-o", "out.xml", "--optimize", "full", "--seed", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"SUMO_HOME": sumo.SUMO_HOME, "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = ET.parse(tmp_path / "out.xml").getroot().findall("vehicle")
    assert len(written) == len(events)
    assert "GEH<5 for 100.00%" in done.stdout.replace("100%", "100.00%")


def test_lines_without_a_flow_count_by_direction(tmp_path: Path) -> None:
    records, _ = sumo_run(tmp_path / "run")
    down = Options(edges={"south_in:down": "x"})
    assert export(records, "sumo-edges", tmp_path / "e.xml", options=down) == 0
    for wrong in ({"nowhere": "x"}, {"south_in:sideways": "x"}, {}):
        with pytest.raises(StoreError, match="line"):
            export(records, "sumo-edges", tmp_path / "none.xml", options=Options(edges=wrong))
