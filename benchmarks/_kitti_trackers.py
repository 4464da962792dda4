"""The trackers that the KITTI benchmark compares: ours, and SORT and ByteTrack of the package `trackers`."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from benchmarks._kitti import HEIGHT_PX, WIDTH_PX, Drive, Tracks
from kernels.records import CLOCK, OBSERVED
from vision.evaluate.matching import heaviest, overlaps
from vision.evaluate.tracks import IOU_MIN
from vision.frame import Detections
from vision.track.tracker import Tracker


class Run(NamedTuple):
    """What a tracker published frame by frame, and how long its steps took."""

    tracks: Tracks
    spent_s: float


#: Runs one drive with given settings.
Runner = Callable[[Drive, Mapping[str, float]], Run]


def run_ours(drive: Drive, settings: Mapping[str, float]) -> Run:
    """Run our tracker as a lane does, without a ground."""
    tracker, found, clock = Tracker(WIDTH_PX, HEIGHT_PX, None, settings), Detections(), np.zeros(1, CLOCK)
    rows, spent_s = [], 0.0
    for frame, boxes in enumerate(drive.boxes):
        found.n = len(boxes)
        found.xyxy_px[: found.n], found.score[: found.n], found.class_id[: found.n] = boxes[:, :4], boxes[:, 4], 0
        clock["time_s"], clock["dt_s"] = frame / drive.rate_hz, 1.0 / drive.rate_hz if frame else 0.0
        began_s = time.perf_counter()
        now = tracker.step(clock, found)
        spent_s += time.perf_counter() - began_s
        now = now[(now["flags"] & OBSERVED) != 0]
        corners = [now[name] for name in ("x1_px", "y1_px", "x2_px", "y2_px")]
        rows.append(np.column_stack([np.full(len(now), frame), now["id"], *corners]))
    return Run(np.concatenate(rows), spent_s)


def ceiling(drive: Drive, settings: Mapping[str, float]) -> Run:
    """Give each detection from `least` on that overlaps a labelled car or van by half its true id; drop the others."""
    rows = [np.zeros((0, 6))]
    for frame, (boxes, labels) in enumerate(zip(drive.boxes, drive.labels, strict=True)):
        cars = [line for line in labels if line[1] in ("Car", "Van")]
        true = np.array([line[5:9] for line in cars], float).reshape(-1, 4)
        kept = boxes[boxes[:, 4] >= settings["least"], :4].astype(float)
        iou = overlaps(true, kept)
        at, to = heaviest(np.where(iou >= IOU_MIN, iou, 0.0))
        ids = np.array([int(line[0]) for line in cars], int)[at] if cars else np.zeros(0, int)
        rows.append(np.column_stack([np.full(len(to), frame), ids, kept[to]]))
    return Run(np.concatenate(rows), 0.0)


def known_boxes(run: Runner) -> Runner:
    """Return a runner that gives a tracker's own boxes their true ids and drops those on nobody: what ids cost it."""

    def known(drive: Drive, settings: Mapping[str, float]) -> Run:
        tracks = run(drive, settings).tracks
        shown = [tracks[tracks[:, 0] == frame, 2:6].astype(np.float32) for frame in range(len(drive.boxes))]
        boxes = [np.column_stack([now, np.ones(len(now), np.float32)]) for now in shown]
        return ceiling(replace(drive, boxes=boxes), {"least": 0.0})

    return known


def run_peer(make: Callable[..., Any]) -> Runner:
    """Return a runner of a tracker of the package; `least` drops detections below that score beforehand."""
    supervision = importlib.import_module("supervision")

    def run(drive: Drive, settings: Mapping[str, float]) -> Run:
        options = {name: value for name, value in settings.items() if name != "least"}
        tracker = make(frame_rate=drive.rate_hz, **options)
        rows, spent_s = [], 0.0
        for frame, boxes in enumerate(drive.boxes):
            kept = boxes[boxes[:, 4] >= settings.get("least", 0.0)]
            found = supervision.Detections(
                xyxy=kept[:, :4].astype(float), confidence=kept[:, 4], class_id=np.zeros(len(kept), int)
            )
            began_s = time.perf_counter()
            now = tracker.update(found)
            spent_s += time.perf_counter() - began_s
            known = now.tracker_id >= 0 if len(now) else np.zeros(0, bool)
            ids, corners = now.tracker_id[known] if len(now) else np.zeros(0), now.xyxy[known]
            rows.append(np.column_stack([np.full(len(corners), frame), ids, corners]))
        return Run(np.concatenate(rows), spent_s)

    return run
