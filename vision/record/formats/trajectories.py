"""The tracks of a run as a compact Parquet table, and back as arrays.

| column                 | meaning                                    | resolution    | stored as             |
|------------------------|--------------------------------------------|---------------|-----------------------|
| track_id               | the track, counted within the run          | exact         | u4, differences       |
| frame                  | the frame, from 0                          | exact         | u4, differences       |
| time_us                | stream time                                | 1 microsecond | i8, differences       |
| class                  | name of the class                          | exact         | text, by dictionary   |
| score                  | mean score of the track, 255 is 1          | 1/255         | u1                    |
| left, top, width, height | the box, in tenths of a pixel            | 0.1 px        | i4, i4, u2, u2, differences |

Rows are sorted by track and frame, so that differences are small. Nothing beyond this resolution is lost. Every Parquet
reader takes the file: columns are whole numbers (DELTA_BINARY_PACKED), packed by zstd. Run, picture size and frame rate
stand in the metadata under "gantry_tracks". The `road` table holds track_id, time_us, class, x_cm and y_cm instead: the
foot point on the ground plane, to a centimetre.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec
import numpy as np

from kernels.records import CLASSES
from vision.errors import StoreError
from vision.ground import lens_of, transform, undistorted
from vision.record.files import TRACKS_TABLE, replacing
from vision.record.formats.request import Request
from vision.record.tracks import TrackLog

if TYPE_CHECKING:
    import pyarrow as pa

#: A box as it is given back: `left` to `height` in tenths of a pixel.
TRAJECTORY = np.dtype(
    [
        ("track_id", "<u4"),
        ("frame", "<u4"),
        ("time_us", "<i8"),
        ("left", "<i4"),
        ("top", "<i4"),
        ("width", "<u2"),
        ("height", "<u2"),
        ("class_id", "<u1"),
        ("score", "<u1"),
    ]
)
#: A foot point on the road as it is given back.
ROAD = np.dtype([("track_id", "<u4"), ("time_us", "<i8"), ("x_cm", "<i4"), ("y_cm", "<i4"), ("class_id", "<u1")])
_META = b"gantry_tracks"
_ROWS_AT_ONCE = 1 << 20
#: Further away than 10 km nothing is measured.
_FAR_CM = 1e6
_UNITS = dict.fromkeys(("left", "top", "width", "height"), "0.1 px") | {
    "time_us": "us",
    "x_cm": "cm",
    "y_cm": "cm",
    "score": "1/255",
}


class Facts(msgspec.Struct, frozen=True):
    """What is the same for all tracks of a run; `frames` is how many were seen, `context` the run's short id."""

    camera: str
    width_px: int
    height_px: int
    fps: float
    frames: int
    context: str
    start_utc: str | None = None
    classes: tuple[str, ...] = CLASSES


def trajectories(log: TrackLog) -> np.ndarray:
    """Return TRAJECTORY[n] of a run's boxes, sorted by track and frame."""
    rows, time_s = log.samples()
    found = np.zeros(len(rows), TRAJECTORY)
    for name in ("frame", "left", "top", "width", "height", "class_id"):
        found[name] = rows[name]
    found["track_id"], found["time_us"] = rows["id"], np.rint(time_s * 1e6)
    found["score"] = np.rint(rows["score"] / 257.0)  # 65535 = 255 * 257
    return found[np.lexsort((found["frame"], found["track_id"]))]


def write_run_tracks(path: Path, log: TrackLog, facts: Facts, force: bool = False) -> None:
    """Write a run's tracks into its folder."""
    with replacing(path, force) as stream:
        write_trajectories(trajectories(log), facts, stream)


def write_trajectories(rows: np.ndarray, facts: Facts, stream: IO[bytes]) -> int:
    """Write TRAJECTORY[n], sorted by track and frame, or ROAD[n]; return how many."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [name for name in rows.dtype.names or () if name != "class_id"]
    kinds = pa.array(list(facts.classes), pa.string())
    fields = [_field(name, pa.from_numpy_dtype(rows.dtype[name])) for name in names]
    fields.append(pa.field("class", pa.dictionary(pa.int8(), pa.string())))
    schema = pa.schema(fields, {_META: msgspec.json.encode(facts, order="sorted")})
    packed = {name: "DELTA_BINARY_PACKED" for name in names if name != "score"}
    with pq.ParquetWriter(
        stream,
        schema,
        compression="zstd",
        compression_level=9,
        use_dictionary=["class"],
        column_encoding=packed | ({"score": "PLAIN"} if "score" in names else {}),
        data_page_version="2.0",
        write_statistics=["track_id", "time_us"],
    ) as writer:
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[start : start + _ROWS_AT_ONCE]
            arrays = [pa.array(np.ascontiguousarray(part[name])) for name in names]
            arrays.append(pa.DictionaryArray.from_arrays(pa.array(part["class_id"].astype(np.int8)), kinds))
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
    return len(rows)


def read_trajectories(path: str | os.PathLike[str]) -> tuple[np.ndarray, Facts]:
    """Return what `write_trajectories` was given, TRAJECTORY[n] or ROAD[n]; a StoreError for another file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(os.fspath(path))
        facts = msgspec.json.decode((table.schema.metadata or {})[_META], type=Facts)
        dtype = ROAD if "x_cm" in table.column_names else TRAJECTORY
        rows = np.zeros(table.num_rows, dtype)
        for name in dtype.names or ():
            if name != "class_id":
                rows[name] = table[name].to_numpy()
        kinds = table["class"].combine_chunks()
        kinds = kinds.chunk(0) if isinstance(kinds, pa.ChunkedArray) and kinds.num_chunks == 1 else kinds
        index = {name: k for k, name in enumerate(facts.classes)}
        if table.num_rows:
            ours = np.array([index[name] for name in kinds.dictionary.to_pylist()], np.uint8)
            rows["class_id"] = ours[kinds.indices.to_numpy()]
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (KeyError, ValueError, AttributeError, pa.ArrowException, msgspec.MsgspecError) as error:
        raise StoreError(f"{path}: is no table of tracks that gantry wrote: {str(error).splitlines()[0]}") from None
    return rows, facts


def run_tracks(request: Request) -> tuple[np.ndarray, Facts]:
    """Return the tracks of a run that are asked for, TRAJECTORY[n]; a StoreError says how to get some."""
    path = request.records.path.parent / TRACKS_TABLE
    if not path.is_file():
        raise StoreError(f"{path}: is not there, and this format is made from it; replay with --tracks")
    rows, facts = read_trajectories(path)
    if rows.dtype != TRAJECTORY:
        raise StoreError(f"{path}: holds points on the road, no boxes; replay with --tracks")
    if facts.context != request.records.header.context_hex:
        raise StoreError(f"{path}: is of another run than {request.records.path.name}; replay with --tracks")
    asked = request.window
    wanted = np.ones(len(rows), bool)
    if asked.tracks:
        wanted &= np.isin(rows["track_id"], np.array(asked.tracks, np.int64))
    if asked.classes:
        wanted &= np.isin(rows["class_id"], [k for k, name in enumerate(facts.classes) if name in asked.classes])
    if asked.from_s is not None:
        wanted &= rows["time_us"] >= round(asked.from_s * 1e6)
    if asked.to_s is not None:
        wanted &= rows["time_us"] < round(asked.to_s * 1e6)
    return rows[wanted], facts


def write_boxes(request: Request, stream: IO[bytes]) -> int:
    """Write the tracks that are asked for, as boxes; return how many samples."""
    return write_trajectories(*run_tracks(request), stream)


def write_road(request: Request, stream: IO[bytes]) -> int:
    """Write the foot points of the tracks on the road plane, where the box has one; return how many samples."""
    ground = request.geometry.get("ground")
    if not isinstance(ground, dict):
        raise StoreError(f"{request.records.path}: has no ground, so no metres; give the camera ground points")
    rows, facts = run_tracks(request)
    boxes = boxes_px(rows)
    feet = np.column_stack([boxes[:, 0] + boxes[:, 2] / 2.0, boxes[:, 1] + boxes[:, 3]])
    feet = undistorted(lens_of(request.geometry), feet)
    points_cm = np.rint(transform(np.array(ground["to_road"], np.float64), feet) * 100.0)
    seen = (np.abs(points_cm) < _FAR_CM).all(axis=1)  # what is above the horizon, or far beyond sight, is no road
    if not seen.all():
        request.notes.append(f"{int((~seen).sum())} samples lie off the road plane and are left out")
    found = np.zeros(int(seen.sum()), ROAD)
    for name in ("track_id", "time_us", "class_id"):
        found[name] = rows[name][seen]
    found["x_cm"], found["y_cm"] = points_cm[seen].T
    return write_trajectories(found, facts, stream)


def boxes_px(rows: np.ndarray) -> np.ndarray:
    """Return left, top, width, height in pixels, f8[n, 4]."""
    return np.column_stack([rows[name] for name in ("left", "top", "width", "height")]) / 10.0


def _field(name: str, kind: pa.DataType) -> pa.Field:
    import pyarrow as pa

    return pa.field(name, kind, False, {"unit": _UNITS[name]} if name in _UNITS else None)
