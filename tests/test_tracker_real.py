"""The tracker on noisy detections of a simulated junction with known identities: how often it loses them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from traffic import instant

from vision.frame import Detections
from vision.track.tracker import Tracker

pytestmark = pytest.mark.shared

FRAMES = 3000
RATE_HZ = 25.0
#: Boxes that are hidden for more than this share, or smaller, are not asked for.
VISIBLE_MIN, HEIGHT_MIN_PX = 0.5, 16.0
IOU_MIN = 0.5


def rows_by_frame(path: Path) -> list[np.ndarray]:
    """Read MOT text: one array of rows for each of the first frames."""
    with gzip.open(path, "rt") as lines:
        rows = []
        for line in lines:
            values = [float(value) for value in line.split(",")]
            if values[0] > FRAMES:
                break
            rows.append(values)
    table = np.array(rows)
    return [table[table[:, 0] == frame] for frame in range(1, FRAMES + 1)]


def corners(rows: np.ndarray) -> np.ndarray:
    return np.column_stack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]])


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (a, b)]
    return common / (areas[0][:, None] + areas[1][None, :] - common)


def pairs(true_boxes: np.ndarray, boxes: np.ndarray) -> list[tuple[int, int]]:
    """Pair the most overlapping boxes first, each once."""
    iou = overlaps(true_boxes, boxes)
    found = []
    while iou.size and iou.max() >= IOU_MIN:
        i, j = np.unravel_index(int(iou.argmax()), iou.shape)
        found.append((int(i), int(j)))
        iou[i, :] = iou[:, j] = 0.0
    return found


def test_identities_on_a_simulated_junction(shared_data):
    folder = shared_data / "sumo_junction"
    tracker, columns = Tracker(1920, 1080), Detections()
    last: dict[int, int] = {}
    ids: dict[int, set[int]] = {}
    switches = covered = wanted = published = false = 0
    for frame, (seen, true) in enumerate(
        zip(rows_by_frame(folder / "det.txt.gz"), rows_by_frame(folder / "gt.txt.gz"), strict=True)
    ):
        columns.n = len(seen)
        columns.xyxy_px[: len(seen)] = corners(seen)
        columns.score[: len(seen)], columns.class_id[: len(seen)] = seen[:, 6], seen[:, 7]
        tracks = tracker.step(instant(frame / RATE_HZ, 1 / RATE_HZ if frame else 0.0), columns)
        tracks = tracks[(tracks["flags"] & 1) != 0]
        boxes = np.column_stack([tracks[name] for name in ("x1_px", "y1_px", "x2_px", "y2_px")]).reshape(-1, 4)
        asked = (true[:, 8] >= VISIBLE_MIN) & (true[:, 5] >= HEIGHT_MIN_PX)
        wanted += int(asked.sum())
        published += len(tracks)
        met = pairs(corners(true), boxes)
        false += len(tracks) - len(met)
        for i, j in met:
            who, track_id = int(true[i, 1]), int(tracks["id"][j])
            covered += bool(asked[i])
            switches += last.get(who, track_id) != track_id
            last[who] = track_id
            ids.setdefault(who, set()).add(track_id)
    share, extra = covered / wanted, false / published
    said = (
        f"n = {len(last)} road users, {wanted} boxes in {FRAMES} frames: {switches} switches, "
        f"{share:.3f} of the boxes covered, {extra:.4f} of the published boxes false"
    )
    print(said)
    assert len(last) > 20, said
    assert switches <= 0.10 * len(last), said
    assert share >= 0.92, said
    assert extra <= 0.005, said
