"""How well are identities kept on ten KITTI sequences, beside SORT and ByteTrack on the same detections?

Car boxes of PointRCNN at 10 and at 5 Hz, scored by TrackEval with KITTI's preprocessing. Every tracker runs twice: with
its default settings, and with the score thresholds of a small grid that give it the best HOTA on these sequences. The
ceiling is what perfect identities make of the same detections, and of the boxes that our tracker shows. Our tracker was
tuned on these sequences: the spread over them is told too.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import itertools
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._kitti import Drive, evaluate, read_drives, write_truth
from benchmarks._kitti_trackers import Run, Runner, ceiling, known_boxes, run_ours, run_peer

FOLDER = Path(__file__).parents[2] / "shared/data/tracking/kitti_tune"
#: As a card says it: from one half on a detection is more likely right than wrong.
OURS = {"score_high": 0.5, "score_birth": 0.5, "score_low": 0.1}
OURS_GRID = [{"score_high": s, "score_birth": s, "score_low": 0.1} for s in (0.4, 0.5, 0.6)]
SORT_GRID = [
    {"track_activation_threshold": start, "least": least}
    for start, least in itertools.product((0.25, 0.5, 0.7), (0.0, 0.3, 0.5))
]
BYTETRACK_GRID = [
    {"track_activation_threshold": start, "high_conf_det_threshold": high, "least": least}
    for start, high, least in itertools.product((0.5, 0.7), (0.3, 0.5), (0.1, 0.3))
]
COLUMNS = ("hota", "det_a", "ass_a", "loc_a", "idf1", "mota")


def score(folder: Path, drives: Sequence[Drive], name: str, run: Runner, settings: Mapping[str, float]) -> dict:
    """Return the figures of one tracker with these settings over all drives."""
    runs: list[Run] = [run(drive, settings) for drive in drives]
    figures = evaluate(folder, drives, name, [one.tracks for one in runs])
    frames = sum(len(drive.boxes) for drive in drives)
    spent_s = sum(one.spent_s for one in runs)
    figures |= {"frames": frames, "tracks": sum(len(np.unique(one.tracks[:, 1])) for one in runs)}
    return figures | {"frames_per_s": frames / spent_s if spent_s else None, "settings": dict(settings)}


def show(rate_hz: float, name: str, figures: Mapping[str, Any]) -> None:
    """Print one line of the table."""
    speed = "-" if figures["frames_per_s"] is None else f"{figures['frames_per_s']:.0f}"
    shares = "".join(f"{figures[column]:>7.2f}" for column in COLUMNS)
    counts = f"{figures['switches']:>6}{figures['fragments']:>6}{figures['frames']:>8}{figures['tracks']:>8}"
    print(f"{rate_hz:>4.0f}  {name:<22}{shares}{counts}{speed:>10}", flush=True)


def peers() -> tuple[dict[str, tuple[Runner, list]], dict[str, str]]:
    """Return the other trackers with their grids, and the versions; none where the package is absent."""
    if importlib.util.find_spec("trackers") is None:
        print("SORT and ByteTrack are left out: the package `trackers` is not installed (pip install trackers)")
        return {}, {}
    package = importlib.import_module("trackers")
    found: dict[str, tuple[Runner, list]] = {
        "SORT": (run_peer(package.SORTTracker), SORT_GRID),
        "ByteTrack": (run_peer(package.ByteTrackTracker), BYTETRACK_GRID),
    }
    return found, {"trackers": importlib.metadata.version("trackers")}


def run() -> dict[str, Any]:
    """Print the table; passed where ours leads in HOTA and IDF1 and switches least, best against best at 10 Hz."""
    if importlib.util.find_spec("trackeval") is None or not FOLDER.exists():
        print(f"not run: needs trackeval (make peers) and the sequences in {FOLDER}")
        return {"passed": True, "skipped": "trackeval or the sequences are absent"}
    others, versions = peers()
    versions["trackeval"] = importlib.metadata.version("trackeval")
    contest: dict[str, tuple[Runner, Mapping[str, float], list]] = {"Gantry": (run_ours, OURS, OURS_GRID)}
    contest |= {name: (runner, {}, grid) for name, (runner, grid) in others.items()}
    run_ours(read_drives(FOLDER)[0], OURS)  # compiles
    heads = "".join(f"{column:>7}" for column in ("HOTA", "DetA", "AssA", "LocA", "IDF1", "MOTA"))
    print(f"  Hz  {'tracker':<22}{heads}  IDSW  Frag  frames  tracks  frames/s")
    table: dict[str, dict[str, Any]] = {}
    best: dict[str, Mapping[str, float]] = {}
    for every in (1, 2):
        drives = read_drives(FOLDER, every)
        with tempfile.TemporaryDirectory() as name_of_folder:
            folder = Path(name_of_folder)
            write_truth(folder, drives)
            for name, (runner, default, grid) in contest.items():
                lines = {f"{name} default": score(folder, drives, name, runner, default)}
                if every == 1:
                    tried = [score(folder, drives, name, runner, settings) for settings in grid]
                    lines[f"{name} adapted"] = max(tried, key=lambda figures: figures["hota"])
                    best[name] = lines[f"{name} adapted"]["settings"]
                else:
                    lines[f"{name} adapted"] = score(folder, drives, name, runner, best[name])
                for line, figures in lines.items():
                    show(drives[0].rate_hz, line, figures)
                    table[f"{line} {drives[0].rate_hz:.0f} Hz"] = figures
            figures = score(folder, drives, "known", known_boxes(run_ours), OURS)
            show(drives[0].rate_hz, "ours, true ids, on cars", figures)
            table[f"Gantry's boxes with true ids {drives[0].rate_hz:.0f} Hz"] = figures
            for least in (0.1, 0.5):
                figures = score(folder, drives, "ceiling", ceiling, {"least": least})
                show(drives[0].rate_hz, f"ceiling, score >= {least}", figures)
                table[f"ceiling {least} {drives[0].rate_hz:.0f} Hz"] = figures
    spread(table)
    ours = table["Gantry adapted 10 Hz"]
    rivals = [table[f"{name} adapted 10 Hz"] for name in others]
    passed = all(
        ours["hota"] > rival["hota"] and ours["idf1"] > rival["idf1"] and ours["switches"] < rival["switches"]
        for rival in rivals
    )
    print("ours leads in HOTA, IDF1 and switches, best against best:", "yes" if passed else "NO")
    return {"passed": passed, "date": time.strftime("%Y-%m-%d"), "versions": versions, "table": table}


def spread(table: Mapping[str, Mapping[str, Any]]) -> None:
    """Print how much the lead in HOTA depends on single sequences: each left out in turn."""
    ours = table["Gantry adapted 10 Hz"]["hota_without"]
    for line in ("SORT adapted 10 Hz", "ByteTrack adapted 10 Hz"):
        if line in table:
            leads = [ours[name] - other for name, other in table[line]["hota_without"].items()]
            print(f"lead over {line} with one sequence left out: {min(leads):+.2f} to {max(leads):+.2f} HOTA (n = 10)")
