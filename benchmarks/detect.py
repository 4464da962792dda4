"""What does it cost to turn a network's answer, f4[84, 8400] with 50 objects, into boxes?

Scores below 0.25 are left out, doubles above an overlap of 0.5 suppressed. Ours reads all 80 classes, as the others do,
and the six classes of road users alone, as cards have it. Whether all see the same boxes is told too: the same
objects must be found by all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import _peers
from benchmarks._bench import ROUNDS, Figure, contest, microseconds, outcome, recorded, scaled, times
from benchmarks._made import CELLS, CLASSES, ROAD_CLASSES, head_answer
from kernels import boxes
from vision.detect.heads import Candidates
from vision.frame import Detections

OBJECTS = 50
OURS, USED, OPENCV = "Gantry, 80 classes", "Gantry, classes in use", "OpenCV batched"


def reader(raw: np.ndarray, used: np.ndarray, ours: np.ndarray) -> tuple[Callable[[], int], Detections]:
    """Return the path from a raw answer to detections as a Detector runs it, and where they come out."""
    found, out = Candidates(CELLS), Detections()
    bounds = np.array([1.0, 1.0, 0.0, 0.0, 640.0, 640.0])
    score_min = np.float32(_peers.SCORE_MIN)

    def read() -> int:
        n = boxes.yolov8_head(raw, used, ours, score_min, found.xyxy_px, found.score, found.class_id)
        out.n = boxes.select(
            found.xyxy_px, found.score, found.class_id, n, found.order, _peers.IOU_MAX, bounds,
            out.xyxy_px, out.score, out.class_id,
        )  # fmt: skip
        return out.n

    return read, out


def calls(peers: bool = False) -> dict[str, Callable[[], object]]:
    """Return the contestants."""
    raw = head_answer(OBJECTS)
    road = np.array(ROAD_CLASSES, np.int64)
    found: dict[str, Callable[[], object]] = {
        # Our classes are six: where all 80 are read they share them.
        OURS: reader(raw, np.arange(CLASSES), np.arange(CLASSES, dtype=np.int16) % 6)[0],
        USED: reader(raw, road, np.arange(6, dtype=np.int16))[0],
        OPENCV: _peers.opencv_head(raw),
    }
    if peers:
        found["supervision"] = _peers.supervision_head(raw)
    return found


def missed(raw: np.ndarray) -> int:
    """Return how many of OpenCV's boxes have none of ours within 0.01 px: its suppression is by class, ours by kind."""
    read, out = reader(raw, np.array(ROAD_CLASSES, np.int64), np.arange(6, dtype=np.int16))
    n = read()
    theirs = np.asarray(_peers.opencv_head(raw)()[0])  # type: ignore[index]
    theirs = np.clip(theirs, 0.0, 640.0)
    ours = out.xyxy_px[:n]
    return int(sum(np.abs(ours - box).max(axis=1).min() > 0.01 for box in theirs))


def run(peers: bool = False, rounds: int = ROUNDS) -> dict[str, Any]:
    """Print the cost of an answer and how many times longer the others take."""
    peers = _peers.wanted(peers)
    spent = contest(calls(peers), rounds)
    figures: dict[str, Figure] = {name: microseconds(timing) for name, timing in spent.items()}
    figures["OpenCV / Gantry, 80 classes"] = times(spent[OPENCV], spent[OURS])
    figures["OpenCV / Gantry, classes in use"] = times(spent[OPENCV], spent[USED])
    if peers:
        figures["supervision / Gantry, 80 classes"] = times(spent["supervision"], spent[OURS])
    note = f"recorded {recorded('Ultralytics, head'):,.0f} us, scaled"
    rival = scaled("Ultralytics, head", "OpenCV, head", spent[OPENCV])
    figures["Ultralytics / Gantry, 80 classes"] = times(rival, spent[OURS], note)
    figures["OpenCV's boxes that ours lack"] = Figure(float(missed(head_answer(OBJECTS))), "boxes", OBJECTS)
    return outcome("detect", figures, versions=_peers.versions() if peers else {})
