"""Makes runs whose tracks are known, for exports of tracks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import traffic_runs

from kernels.records import CLASSES, OBSERVED, TRACK
from vision.record.files import TRACKS_TABLE
from vision.record.formats.trajectories import Facts, write_run_tracks
from vision.record.header import Header
from vision.record.reader import Records
from vision.record.tracks import TrackLog

FPS, FRAMES, WIDTH, HEIGHT = 25.0, 250, 1280, 720
# No foot point can lie on a line, as they are multiples of 0.05 px: OTAnalytics counts such a passage twice.
LINES = (("first", 300.03), ("second", 700.03), ("third", 1000.03))
GEOMETRY = {
    "lines": [
        {"name": name, "x1_px": x, "y1_px": 0.0, "x2_px": x, "y2_px": 720.0, "has_flow": 1, "nx_m": 1.0, "ny_m": 0.0}
        for name, x in LINES
    ],
    "ground": {"to_road": [[0.05, 0.0, -10.0], [0.0, -0.08, 40.0], [0.0, 0.0, 1.0]]},
}


def moving(n: int = 12, noise_px: float = 0.0, seed: int = 1, first_px: float = -100.0) -> TrackLog:
    """Return vehicles that drive to the right at speeds of their own, with the rounding of the log."""
    rng = np.random.default_rng(seed)
    start, speed = rng.uniform(first_px, 250, n), rng.uniform(40, 140, n)
    top, size = rng.uniform(50, 600, n), rng.uniform(40, 90, (n, 2))
    log = TrackLog()
    for frame in range(FRAMES):
        time_s = frame / FPS
        rows = np.zeros(n, TRACK)
        rows["time_s"], rows["flags"], rows["id"] = time_s, OBSERVED, np.arange(n) + 1
        rows["class_id"], rows["score"] = np.arange(n) % len(CLASSES), 0.5 + 0.04 * np.arange(n)
        left = start + speed * time_s + rng.normal(0, noise_px, n)
        rows["x1_px"], rows["y1_px"] = left, top + rng.normal(0, noise_px, n)
        rows["x2_px"], rows["y2_px"] = left + size[:, 0], rows["y1_px"] + size[:, 1]
        log.append(frame, time_s, rows[(rows["x2_px"] > 0) & (rows["x1_px"] < WIDTH)])
    return log


def facts_of(head: Header) -> Facts:
    return Facts("north", WIDTH, HEIGHT, FPS, FRAMES, head.context_hex, traffic_runs.START)


def run(folder: Path, log: TrackLog | None = None, **more: Any) -> Records:
    rules: list[traffic_runs.Rule] = [(f"count {name}", "line_count", {"line": name}) for name, _ in LINES]
    rules.append(("ways", "movement", {"entry": ["first"], "exit": ["second", "third"]}))
    head = traffic_runs.header(rules, lines=tuple(name for name, _ in LINES), geometry=GEOMETRY, **more)
    records = traffic_runs.write(folder, head, {})
    write_run_tracks(folder / TRACKS_TABLE, moving() if log is None else log, facts_of(head))
    return records
