"""Tracks as text for evaluation programs: MOTChallenge (frames count from 1) and KITTI (frames count from 0)."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import IO

import numpy as np

from vision.record.formats.request import Request
from vision.record.formats.trajectories import boxes_px, run_tracks

_LINES_AT_ONCE = 1 << 16
#: What KITTI calls our classes; it has no other word for a bus or a motorcycle than "Misc".
KITTI_CLASSES = {
    "car": "Car",
    "bus": "Misc",
    "truck": "Truck",
    "motorcycle": "Misc",
    "bicycle": "Cyclist",
    "person": "Pedestrian",
}


def write_mot(request: Request, stream: IO[bytes]) -> int:
    """Write frame, id, left, top, width, height, score, -1, -1, -1 a line; return how many.

    The class is not in it: TrackEval refuses files with classes other than its own; choose one with --class.
    """
    rows, _ = run_tracks(request)
    rows = _by_frame(rows)
    return _write(stream, _mot_lines(rows))


def write_mot_gz(request: Request, stream: IO[bytes]) -> int:
    """Write the same gzipped; return how many lines."""
    with gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as packed:
        return write_mot(request, packed)  # type: ignore[arg-type]


def write_kitti(request: Request, stream: IO[bytes]) -> int:
    """Write KITTI tracking text with boxes in the picture only; return how many lines."""
    rows, facts = run_tracks(request)
    return _write(stream, _kitti_lines(_by_frame(rows), [KITTI_CLASSES.get(name, "Misc") for name in facts.classes]))


def _mot_lines(rows: np.ndarray) -> Iterator[str]:
    for chunk in _chunks(rows):
        boxes = boxes_px(chunk).tolist()
        numbers = zip(chunk["frame"].tolist(), chunk["track_id"].tolist(), boxes, chunk["score"].tolist(), strict=True)
        for frame, track, (left, top, width, height), score in numbers:
            yield f"{frame + 1},{track},{left:.1f},{top:.1f},{width:.1f},{height:.1f},{score / 255:.3f},-1,-1,-1\n"


def _kitti_lines(rows: np.ndarray, kinds: list[str]) -> Iterator[str]:
    unknown = "-1 -1 -1 -1000 -1000 -1000 -10"  # size, place and angle in space
    for chunk in _chunks(rows):
        boxes = boxes_px(chunk).tolist()
        of = (chunk[name].tolist() for name in ("frame", "track_id", "class_id", "score"))
        for frame, track, kind, score, (left, top, width, height) in zip(*of, boxes, strict=True):
            box = f"{left:.1f} {top:.1f} {left + width:.1f} {top + height:.1f}"
            yield f"{frame} {track} {kinds[kind]} -1 -1 -10 {box} {unknown} {score / 255:.3f}\n"


def _by_frame(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows[np.lexsort((rows["track_id"], rows["frame"]))])


def _chunks(rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), _LINES_AT_ONCE):
        yield rows[start : start + _LINES_AT_ONCE]


def _write(stream: IO[bytes], lines: Iterator[str]) -> int:
    n = 0
    for n, line in enumerate(lines, 1):  # noqa: B007 - the number is what is asked for
        stream.write(line.encode("ascii"))
    return n
