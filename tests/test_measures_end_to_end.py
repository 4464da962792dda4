"""From boxes to tables: the rules and the tables agree with the courses that were driven, and with each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from vision.cli import app
from vision.record.export import rows
from vision.record.reader import open_records

#: Ten pixels are a metre; traffic goes down the picture in one lane, 30 m of which lie before the stop line.
SITE = """
name = "made"
timezone = "Europe/Berlin"

[camera.one]
url = "v.mp4"
model = "none"

[camera.one.ground]
image_px = [[0, 0], [640, 0], [640, 480], [0, 480]]
plane_m = [[0, 48], [64, 48], [64, 0], [0, 0]]

[camera.one.approach.south]
flow_px = [[320, 20], [320, 400]]
lanes.a = [[300, 60], [340, 60], [340, 360], [300, 360]]

[camera.one.line.stop]
approach = "south"
ends_px = [[290, 360], [350, 360]]

[camera.one.zone.loop]
points_px = [[300, 200], [340, 200], [340, 220], [300, 220]]

[[camera.one.rule]]
type = "spot"
name = "spot"
line = "stop"
lanes = ["south/a"]

[[camera.one.rule]]
type = "section"
name = "section"
lane = "south/a"
interval_s = 20

[[camera.one.rule]]
type = "presence"
name = "loop"
zone = "loop"

[[camera.one.rule]]
type = "queue"
name = "queue"
lane = "south/a"
line = "stop"

[[camera.one.rule]]
type = "line_count"
name = "count"
line = "stop"
"""
FPS, N, HEADWAY_S, SPEED_PX_S = 10.0, 28, 4.0, 80.0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of two minutes: a vehicle every four seconds at 8 m/s."""
    folder = tmp_path_factory.mktemp("measures")
    (folder / "site.toml").write_text(SITE)
    lines = []
    for number in range(N):
        for frame in range(1200):
            y = 22.0 + SPEED_PX_S * (frame / FPS - HEADWAY_S * number)
            if 22.0 <= y < 470.0:
                lines.append(f"{frame + 1},{number + 1},305,{y - 20:.3f},30,20,0.9,1")
    (folder / "boxes.txt").write_text("\n".join(sorted(lines, key=lambda line: int(line.split(",")[0]))))
    words = (
        "replay",
        folder / "site.toml",
        folder / "boxes.txt",
        "--out",
        folder / "run",
        "--fps",
        "10",
        "--size",
        "640x480",
    )
    done = CliRunner().invoke(app, [str(word) for word in (*words, "--start-utc", "2026-05-04T06:30:00Z")])
    assert done.exit_code == 0, done.output
    (folder / "options.toml").write_text("interval_min = 1\n")
    words = (
        "export",
        folder / "run",
        "--format",
        "measures-parquet",
        "--out",
        folder / "out",
        "--options",
        folder / "options.toml",
    )
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return folder


def table(run: Path, name: str) -> list[dict]:
    found: list[dict] = pq.read_table(run / "out" / f"{name}.parquet").to_pylist()
    return found


def test_what_was_watched(run: Path) -> None:
    told = table(run, "coverage")
    assert [row["observed_s"] for row in told] == pytest.approx([60.0, 53.6], abs=0.01)  # to the last box
    assert [row["status"] for row in told] == ["ok", "partial"]


def test_flow_headway_and_speed_at_the_line(run: Path) -> None:
    first = next(row for row in table(run, "spots") if row["lane"] == "south/a")
    assert (first["n"], first["flow_veh_per_h"]) == (14, pytest.approx(3600 * 14 / 60, rel=0.02))  # from 4.2 s on
    assert first["headway_mean_s"] == pytest.approx(HEADWAY_S, abs=0.02)
    assert first["time_mean_speed_kmh"] == pytest.approx(28.8, rel=0.02)
    assert first["harmonic_speed_kmh"] <= first["time_mean_speed_kmh"] + 1e-9


def test_edie_in_the_lane(run: Path) -> None:
    second = table(run, "stretches")[1]
    assert second["stretch_m"] == pytest.approx(30.0, rel=1e-6)
    assert second["speed_kmh"] == pytest.approx(28.8, rel=0.02)
    expected_t = sum(
        max(min(4 * k + 0.475 + 3.75, 120) - max(4 * k + 0.475, 60), 0) for k in range(N)
    )  # in at 60 px, out at 360 px
    assert second["time_s"] == pytest.approx(expected_t, rel=0.03)
    assert second["flow_veh_per_h"] == pytest.approx(second["density_veh_per_km"] * second["speed_kmh"], rel=1e-9)


def test_the_loop_is_on_while_a_vehicle_is_over_it(run: Path) -> None:
    events = [row for row in rows(open_records(run / "run")) if row["type"] == "presence"]
    assert [row["on"] for row in events] == [1, 0] * N
    held = np.array([row["held_s"] for row in events if row["on"] == 0])
    # Front and rear are not known from these boxes: the footprint is as wide as long.
    expected = np.median(held)
    assert expected == pytest.approx((2.0 + 1.8) / 8.0, abs=0.3)
    assert held == pytest.approx(np.full(N, expected), abs=0.02)
    second = table(run, "occupancies")[1]
    assert second["occupancy_percent"] == pytest.approx(100 * expected / HEADWAY_S, rel=0.1)
    ons = np.array([row["time_s"] for row in events if row["on"]])
    assert np.diff(ons) == pytest.approx(np.full(N - 1, HEADWAY_S), abs=0.02)


def test_counts_agree_with_passages_and_nobody_queued(run: Path) -> None:
    volume = [row for row in table(run, "volumes") if row["class"] == "all" and row["direction"] == "with_flow"]
    spots = [row for row in table(run, "spots") if row["lane"] == "all"]
    assert [row["n"] for row in volume] == [row["n"] for row in spots]
    assert sum(row["n"] for row in volume) == N
    assert [row["vehicles_max"] for row in table(run, "queues")] == [0, 0]
    delay = table(run, "delays")[0]
    assert delay["control_delay_mean_s"] == pytest.approx(0.0, abs=0.2)
    assert delay["LOS (from measured control delay)"] == "A"
