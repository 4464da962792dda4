"""The KITTI tuning sequences (labels and PointRCNN car detections) and their evaluation by TrackEval."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

#: KITTI's pictures differ by a few px between drives; the boxes are cut off at about these.
WIDTH_PX, HEIGHT_PX = 1242, 375
RATE_HZ = 10.0

#: PointRCNN's scores are logits of no scale that means anything. A logistic fit of "overlaps a labelled car or van by
#: half" on the ten sequences (n = 25,325 detections outside the regions that nobody labelled) makes them the share of
#: detections that are right; the order stays.
SCORE_MIDDLE, SCORE_SPREAD = 2.6, 1.1


@dataclass(frozen=True)
class Drive:
    """One sequence: its boxes by frame as f4[n, 5] (corners in px, score 0..1) and its labels as lines by frame."""

    name: str
    boxes: list[np.ndarray]
    labels: list[list[list[str]]]
    rate_hz: float


#: What a tracker says of a drive: rows of (frame, track id, x1, y1, x2, y2).
Tracks = np.ndarray


def probability(score: np.ndarray) -> np.ndarray:
    """Map PointRCNN's scores to 0..1."""
    return 1.0 / (1.0 + np.exp(-(score - SCORE_MIDDLE) / SCORE_SPREAD))


def read_drives(folder: Path, every: int = 1) -> list[Drive]:
    """Read all sequences of a folder, each `every`-th frame of them."""
    drives = []
    for path in sorted(folder.glob("*.label.txt")):
        name = path.name.split(".")[0]
        lines = [line.split() for line in path.read_text().splitlines()]
        found = np.loadtxt(path.with_name(f"{name}.det.txt"), delimiter=",", ndmin=2)
        frames = 1 + max(max(int(line[0]) for line in lines), int(found[:, 0].max()))
        boxes, labels = [], []
        for frame in range(0, frames, every):
            now = found[found[:, 0] == frame]
            boxes.append(np.column_stack([now[:, 2:6], probability(now[:, 6])]).astype(np.float32))
            labels.append([line[1:] for line in lines if int(line[0]) == frame])
        drives.append(Drive(name, boxes, labels, RATE_HZ / every))
    return drives


def write_truth(folder: Path, drives: Sequence[Drive]) -> None:
    """Write the labels in TrackEval's layout."""
    (folder / "gt" / "label_02").mkdir(parents=True)
    with (folder / "gt" / "evaluate_tracking.seqmap.training").open("w") as seqmap:
        for drive in drives:
            seqmap.write(f"{drive.name} empty 000000 {len(drive.boxes):06d}\n")
            lines = [f"{k} {' '.join(line)}\n" for k, now in enumerate(drive.labels) for line in now]
            (folder / "gt" / "label_02" / f"{drive.name}.txt").write_text("".join(lines))


def evaluate(folder: Path, drives: Sequence[Drive], name: str, tracks: Sequence[Tracks]) -> dict[str, Any]:
    """Return TrackEval's figures for the car class over all drives, and HOTA and switches of each."""
    metrics = importlib.import_module("trackeval.metrics")
    out = folder / "trackers" / name / "data"
    out.mkdir(parents=True, exist_ok=True)
    for drive, rows in zip(drives, tracks, strict=True):
        lines = [
            f"{int(frame)} {int(track_id)} Car -1 -1 -10 {x1:.4f} {y1:.4f} {x2:.4f} {y2:.4f}{' -1' * 7} 1\n"
            for frame, track_id, x1, y1, x2, y2 in rows
        ]
        (out / f"{drive.name}.txt").write_text("".join(lines))
    with contextlib.redirect_stdout(io.StringIO()):
        data = importlib.import_module("trackeval.datasets").Kitti2DBox(
            {
                "GT_FOLDER": str(folder / "gt"),
                "TRACKERS_FOLDER": str(folder / "trackers"),
                "TRACKERS_TO_EVAL": [name],
                "CLASSES_TO_EVAL": ["car"],
                "PRINT_CONFIG": False,
            }
        )
        kinds = {"hota": metrics.HOTA(), "clear": metrics.CLEAR({"PRINT_CONFIG": False})}
        kinds["identity"] = metrics.Identity({"PRINT_CONFIG": False})
        found: dict[str, dict[str, Any]] = {kind: {} for kind in kinds}
        for drive in drives:
            now = data.get_preprocessed_seq_data(data.get_raw_seq_data(name, drive.name), "car")
            for kind, metric in kinds.items():
                found[kind][drive.name] = metric.eval_sequence(now)
        total = {kind: metric.combine_sequences(found[kind]) for kind, metric in kinds.items()}
        without = {
            drive.name: kinds["hota"].combine_sequences({k: v for k, v in found["hota"].items() if k != drive.name})
            for drive in drives
        }
    clear = total["clear"]
    return {
        "hota": 100 * float(total["hota"]["HOTA"].mean()),
        "det_a": 100 * float(total["hota"]["DetA"].mean()),
        "ass_a": 100 * float(total["hota"]["AssA"].mean()),
        "loc_a": 100 * float(total["hota"]["LocA"].mean()),
        "idf1": 100 * float(total["identity"]["IDF1"]),
        "mota": 100 * float(clear["MOTA"]),
        "switches": int(clear["IDSW"]),
        "fragments": int(clear["Frag"]),
        "missed": int(clear["CLR_FN"]),
        "invented": int(clear["CLR_FP"]),
        "hota_of": {k: 100 * float(v["HOTA"].mean()) for k, v in found["hota"].items()},
        "switches_of": {k: int(v["IDSW"]) for k, v in found["clear"].items()},
        "hota_without": {k: 100 * float(v["HOTA"].mean()) for k, v in without.items()},
    }
