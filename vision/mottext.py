"""Boxes from a text file instead of a network: MOTChallenge lines, plain or gzipped."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from kernels.records import CLASSES, MAX_DETECTIONS
from vision.errors import InputError

_BYTES_MAX = 2 << 30
_COLUMNS = ("frame", "id", "x", "y", "w", "h", "score", "class")
_ALLOWED = "allowed: frame (from 1), id (-1: a detection), x, y, w, h in px, score, class, at least the first six"
#: A line has at most so many values; what stands behind the class (visibility, coordinates) is not read.
_MOST_VALUES = 10


@dataclass(frozen=True, eq=False)
class Boxes:
    """The boxes of a file in the order of their frames; `n_dropped` are those beyond what one frame may hold."""

    path: Path
    sha256: str
    frame: np.ndarray  # i8[n], from 0
    track_id: np.ndarray  # i8[n], -1: a detection
    xyxy_px: np.ndarray  # f4[n, 4]
    score: np.ndarray  # f4[n]
    class_id: np.ndarray  # i2[n]
    n_dropped: int = 0

    @property
    def frames(self) -> int:
        """Frames from the first to the last one that holds a box."""
        return int(self.frame[-1]) + 1

    @property
    def tracked(self) -> bool:
        """Say whether the boxes carry the ids of road users."""
        return bool(self.track_id[0] >= 0)


def is_boxes(path: Path) -> bool:
    """Say whether a file's name is that of boxes as text."""
    endings = [ending.lower() for ending in path.suffixes]
    return endings[-1:] in ([".txt"], [".csv"]) or endings[-2:] in ([".txt", ".gz"], [".csv", ".gz"])


def class_map(text: str | None) -> dict[int, int]:
    """Return what the classes of a file mean, from "3=car,6=bus"; without it 0..5 are ours and none is a car."""
    if text is None:
        return {**{k: k for k in range(len(CLASSES))}, -1: 0}
    found = {}
    for part in text.split(","):
        number, _, name = part.partition("=")
        try:
            found[int(number)] = CLASSES.index(name.strip())
        except ValueError:
            allowed = f"allowed: number=class pairs such as 3=car,6=bus with classes {', '.join(CLASSES)}"
            raise InputError(f"classes: {part!r} is not a pair; {allowed}") from None
    return found


def read_boxes(path: Path, classes: Mapping[int, int] | None = None) -> Boxes:
    """Read a file of boxes; an InputError says what is wrong, with the line where there is one.

    `classes` maps the file's numbers to ours; boxes of other numbers are refused. Boxes without an area are dropped.
    """
    data = _read(path)
    values = _parse(path, data)
    n = len(values["frame"])
    if n == 0:
        raise InputError(f"{path}: holds no boxes; {_ALLOWED}")
    frame = values["frame"]
    _refuse(path, frame != np.floor(frame), frame, "frame", "whole numbers from 1")
    _refuse(path, (frame < 1) | (frame > 1e9), frame, "frame", "whole numbers from 1")
    for name in ("x", "y", "w", "h"):
        _refuse(path, ~(np.abs(values[name]) < 1e6), values[name], name, "pixels")
    score = values.get("score", np.ones(n))
    score = np.where(np.isnan(score) | (score < 0.0), 1.0, np.minimum(score, 1.0))
    kind = values.get("class", np.full(n, -1.0))
    known = class_map(None) if classes is None else dict(classes)
    _refuse(path, ~np.isin(kind, list(known)), kind, "class", f"{sorted(known)} (say what others mean with --classes)")
    ours = np.zeros(n, np.int16)
    for number, class_id in known.items():
        ours[kind == number] = class_id
    track_id = values["id"].astype(np.int64)
    _refuse(path, (track_id >= 0) != (track_id[0] >= 0), values["id"], "id", "ids for all boxes, or -1 for all")
    _refuse(path, track_id >= 2**32 - 1, values["id"], "id", "below 4294967295")
    if track_id[0] >= 0:
        _, counted = np.unique(np.column_stack([frame, track_id]), axis=0, return_inverse=True)
        twice = np.bincount(counted.ravel())[counted.ravel()] > 1
        _refuse(path, twice, values["id"], "id", "each id once in a frame")
    order = np.lexsort((-score, frame))
    keep = order[(values["w"][order] > 0.0) & (values["h"][order] > 0.0)]
    if len(keep) == 0:
        raise InputError(f"{path}: holds no box with an area; {_ALLOWED}")
    first = np.searchsorted(frame[keep], frame[keep], side="left")
    keep = keep[np.arange(len(keep)) - first < MAX_DETECTIONS]
    x, y, w, h = (values[name][keep] for name in ("x", "y", "w", "h"))
    return Boxes(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        frame=frame[keep].astype(np.int64) - 1,
        track_id=track_id[keep],
        xyxy_px=np.column_stack([x, y, x + w, y + h]).astype(np.float32),
        score=score[keep].astype(np.float32),
        class_id=ours[keep],
        n_dropped=n - len(keep),
    )


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        if path.suffix.lower() == ".gz":
            with gzip.open(io.BytesIO(data)) as stream:
                data = stream.read(_BYTES_MAX + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > _BYTES_MAX:
        raise InputError(f"{path}: is larger than {_BYTES_MAX} bytes; split it")
    return data


def _parse(path: Path, data: bytes) -> dict[str, np.ndarray]:
    """Return the file's columns as f8; NaN where a value is empty."""
    width = min(data[: data.find(b"\n") if b"\n" in data else len(data)].count(b",") + 1, _MOST_VALUES)
    if width < 6:
        raise InputError(f"{path}:1: has {width} values; {_ALLOWED}")
    names = [*_COLUMNS, *(f"more{k}" for k in range(_MOST_VALUES))][:width]
    try:
        table = csv.read_csv(
            io.BytesIO(data),
            read_options=csv.ReadOptions(column_names=names, use_threads=False),
            convert_options=csv.ConvertOptions(
                column_types={name: pa.float64() for name in names}, include_columns=names[: len(_COLUMNS)]
            ),
        )
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: is no table of boxes: {str(error).splitlines()[0][:200]}; {_ALLOWED}") from None
    return {name: table[name].to_numpy().astype(np.float64) for name in table.column_names}


def _refuse(path: Path, wrong: np.ndarray, values: np.ndarray, name: str, allowed: str) -> None:
    """Raise an InputError about the first wrong value."""
    if wrong.any():
        at = int(np.argmax(wrong))
        raise InputError(f"{path}:{at + 1}: {name} = {values[at]:g}; allowed: {allowed}")
