"""The trackers that the KITTI benchmark compares: ours, and SORT and ByteTrack of the package `trackers`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from benchmarks._kitti import HEIGHT_PX, WIDTH_PX, Drive, Tracks
from kernels.records import CLOCK, OBSERVED
from vision.frame import Detections
from vision.track.tracker import Tracker


class Run(NamedTuple):
    """What a tracker published frame by frame, where it said that a track had begun earlier, and its time."""

    tracks: Tracks
    begun: Tracks
    spent_s: float


#: Runs one drive with given settings.
Runner = Callable[[Drive, Mapping[str, float]], Run]


def run_ours(drive: Drive, settings: Mapping[str, float]) -> Run:
    """Run our tracker as a lane does, without a ground."""
    tracker, found, clock = Tracker(WIDTH_PX, HEIGHT_PX, None, settings), Detections(), np.zeros(1, CLOCK)
    rows, begun, spent_s = [], [], 0.0
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
        first = now[now["prev_time_s"] == now["birth_s"]]
        begun.append(np.column_stack([np.rint(first["birth_s"] * drive.rate_hz), first["id"], *previous_box(first)]))
    return Run(np.concatenate(rows), np.concatenate(begun), spent_s)


def previous_box(rows: np.ndarray) -> list[np.ndarray]:
    """Return the corners of the box before, of which a row keeps the middle and the foot; the shape is today's."""
    half_h = rows["prev_foot_y_px"] - rows["prev_centre_y_px"]
    half_w = half_h * (rows["x2_px"] - rows["x1_px"]) / (rows["y2_px"] - rows["y1_px"])
    x, y = rows["prev_centre_x_px"], rows["prev_centre_y_px"]
    return [x - half_w, y - half_h, x + half_w, y + half_h]


def filled(run: Run) -> Tracks:
    """Return the tracks with straight lines through what was not published: the steps that the rules judge."""
    rows = np.concatenate([run.begun, run.tracks])
    out = []
    for track_id in np.unique(rows[:, 1]):
        own = rows[rows[:, 1] == track_id]
        own = own[np.unique(own[:, 0], return_index=True)[1]]
        frames = np.arange(own[0, 0], own[-1, 0] + 1)
        boxes = [np.interp(frames, own[:, 0], own[:, k]) for k in range(2, 6)]
        out.append(np.column_stack([frames, np.full(len(frames), track_id), *boxes]))
    return np.concatenate(out) if out else rows


def run_peer(make: Callable[..., Any]) -> Runner:
    """Return a runner of a tracker of the package; `least` drops detections below that score beforehand."""
    import supervision

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
        return Run(np.concatenate(rows), np.zeros((0, 6)), spent_s)

    return run
