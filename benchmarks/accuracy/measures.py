"""Flow, occupancy, Edie's speed and queues on perfect tracks, against SUMO's own instruments and courses.

Occupancy and Edie's sums are of SUMO's courses: its E1 loop forgets who changes lanes on it, its lane-area detector
counts vehicles by any part of them. Where nobody changes lanes, loop and courses differ by 0.1 point (seed 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.accuracy.figures import Figure, most
from benchmarks.accuracy.junction import NOISY, traffic
from benchmarks.accuracy.runs import Run, run_scene
from benchmarks.scenes.junction import make

CELL_S = 60.0
#: The first cells have vehicles that were there before the rules looked, and an empty road.
WARM_S = 60.0
LANES = (0, 1)


def run(seeds: Sequence[int]) -> list[Figure]:
    """Return the figures of all measures whose rules are there."""
    runs = [run_scene("junction", make, traffic(seed), NOISY, "all_tracks") for seed in seeds[:2]]
    out: list[Figure] = [*_flow(runs)]
    parts: list[tuple[str, Callable[[Sequence[Run]], list[Figure]]]] = [
        ("loop", _occupancy), ("section", _speed), ("queue", _queue),
    ]  # fmt: skip
    for rule, figures in parts:
        if any(run.rule(f"{rule} 0") for run in runs):
            out += figures(runs)
    return out


def _cells(run: Run) -> np.ndarray:
    """Return the beginnings (s) of the whole cells of a run."""
    return np.arange(WARM_S, run.seconds - CELL_S + 1.0, CELL_S)


def _told_by_sumo(run: Run, table: str, lane: int, figure: str) -> dict[float, float]:
    rows = run.table(table)
    return {float(row["begin_s"]): float(row[figure] or "nan") for row in rows if row["id"] == f"ni_{lane}"}


def _flow(runs: Sequence[Run]) -> list[Figure]:
    worst, n = 0.0, 0
    for run in runs:
        sumo = {row["track_id"] for row in run.table("loops") if row["lane"][:2] == "ni" and row["state"] == "enter"}
        ours = len(run.rule("count n_in"))
        n += len(sumo)
        worst = max(worst, abs(ours - len(sumo)) / len(sumo))
    return [
        most("flow over the stop line, perfect tracks: largest error of a quarter of an hour", 100 * worst, n, 1.0, "%")
    ]


def _occupancy(runs: Sequence[Run]) -> list[Figure]:
    off = []
    for run in runs:
        for lane in LANES:
            sumo = _told_by_sumo(run, "occupancy", lane, "occupancy")
            spans, on_s = [], None
            for one in run.rule(f"loop {lane}"):
                if one.row["on"]:
                    on_s = one.time_s
                elif on_s is not None:
                    spans.append((on_s, one.time_s))
                    on_s = None
            for begin in _cells(run):
                held = sum(max(0.0, min(b, begin + CELL_S) - max(a, begin)) for a, b in spans)
                off.append(100 * held / CELL_S - sumo[begin])
    p95 = float(np.percentile(np.abs(off), 95))
    return [
        most("occupancy, perfect tracks: mean error of minutes", float(np.mean(off)), len(off), 1.0, "points"),
        most("occupancy, perfect tracks: p95 of minutes", p95, len(off), 1.0, "points"),
    ]


def _speed(runs: Sequence[Run]) -> list[Figure]:
    off = []
    for run in runs:
        for lane in LANES:
            way = _told_by_sumo(run, "edie", lane, "distance_m")
            busy = _told_by_sumo(run, "edie", lane, "inside_s")
            for begin in _cells(run):
                pieces = [one.row for one in run.rule(f"section {lane}") if begin < one.time_s - 1e-6 <= begin + CELL_S]
                inside = sum(row["inside_s"] for row in pieces)
                if inside > 0.0 and busy[begin] >= CELL_S / 2:
                    speed, true = sum(row["distance_m"] for row in pieces) / inside, way[begin] / busy[begin]
                    off.append(100 * (speed / true - 1.0))
    p95 = float(np.percentile(np.abs(off), 95))
    return [
        most("Edie's speed in a lane, perfect tracks: mean error of minutes", float(np.mean(off)), len(off), 2.0, "%"),
        most("Edie's speed in a lane, perfect tracks: p95 of minutes", p95, len(off), 2.0, "%"),
    ]


def _queue(runs: Sequence[Run]) -> list[Figure]:
    off = []
    for run in runs:
        for lane in LANES:
            sumo = _told_by_sumo(run, "e2", lane, "maxJamLengthInVehicles")
            ours = {
                round(one.time_s - CELL_S): one.row["vehicles_max"]
                for one in run.rule(f"queue {lane}")
                if np.isfinite(one.row["interval_s"]) and one.row["interval_s"] > CELL_S - 1.0
            }
            off += [ours[int(begin)] - sumo[begin] for begin in _cells(run) if int(begin) in ours]
    worst = float(np.abs(off).max()) if off else float("nan")
    within = 100.0 * float(np.mean(np.abs(off) <= 1.0)) if off else float("nan")
    return [
        most("longest queue in a minute, perfect tracks: largest error", worst, len(off), 1.0, "vehicles", 0),
        Figure(
            "longest queue in a minute: minutes within 1 vehicle", f"{within:.1f} %", len(off), "", "", None, within
        ),
    ]
