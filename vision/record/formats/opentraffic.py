"""Tracks and lines as OpenTrafficCam's OTAnalytics reads them: .ottrk (bz2 of JSON) and .otflow (JSON).

Boxes are left, top, width, height in pixels (otdet_version 1.2) within the picture, frames count from 1, times are Unix
seconds. A line of
the site becomes a section that is crossed by the same point of the box as in the run's `line_count` rules, a
movement from entry to exit line becomes a flow.
"""

from __future__ import annotations

import bz2
import re
from datetime import UTC, datetime
from typing import IO, Any

import msgspec
import numpy as np

from vision.errors import StoreError
from vision.record.formats.request import Request
from vision.record.formats.trajectories import Facts, boxes_px, run_tracks

#: What OTVision calls our classes.
OTC_CLASSES = {
    "car": "car",
    "bus": "bus",
    "truck": "truck",
    "motorcycle": "motorcyclist",
    "bicycle": "bicyclist",
    "person": "pedestrian",
}
#: The point of the box that crosses a line, as shares of its width and height.
ANCHORS = {"foot": (0.5, 1.0), "centre": (0.5, 0.5)}


class Detection(
    msgspec.Struct,
    rename={
        "kind": "class",
        "interpolated": "interpolated-detection",
        "track_id": "track-id",
    },
):
    """A box of a track as .ottrk has it."""

    kind: str
    confidence: float
    x: float
    y: float
    w: float
    h: float
    frame: int
    occurrence: float
    input_file_path: str
    interpolated: bool
    first: bool
    finished: bool
    track_id: int


def write_ottrk(request: Request, stream: IO[bytes]) -> int:
    """Write the tracks; return how many samples."""
    rows, facts = run_tracks(request)
    start_s = _start_s(request)
    kinds = [OTC_CLASSES.get(kind, "other") for kind in facts.classes]
    edge = np.flatnonzero(np.diff(rows["track_id"])) if len(rows) else np.zeros(0, np.intp)
    first, last = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
    first[:1], last[-1:] = True, True
    first[edge + 1], last[edge] = True, True
    order = np.lexsort((rows["track_id"], rows["frame"]))
    columns = (
        rows["class_id"],
        np.round(rows["score"] / 255.0, 3),
        *_in_picture(boxes_px(rows), facts).T,
        rows["frame"].astype(np.int64) + 1,
        np.round(start_s + rows["time_us"] / 1e6, 6),
        first,
        last,
        rows["track_id"],
    )
    video = _video_name(facts, start_s)
    found = [
        Detection(kinds[kind], score, x, y, w, h, frame, time, f"{video}.mp4", False, new, end, track)
        for kind, score, x, y, w, h, frame, time, new, end, track in zip(
            *(column[order].tolist() for column in columns), strict=True
        )
    ]
    content = {"metadata": _metadata(facts, start_s, kinds), "data": {"detections": found}}
    stream.write(bz2.compress(msgspec.json.encode(content)))
    return len(rows)


def write_otflow(request: Request, stream: IO[bytes]) -> int:
    """Write the site's lines as sections and its movements as flows; return how many sections."""
    lines = request.geometry.get("lines") or []
    if not lines:
        raise StoreError(f"{request.records.path}: the site has no lines, so there is nothing to cross")
    anchors = _anchors(request)
    sections = [
        {
            "id": line["name"],
            "name": line["name"],
            "type": "line",
            "relative_offset_coordinates": {"section-enter": dict(zip("xy", anchors[line["name"]], strict=True))},
            "coordinates": [{"x": line["x1_px"], "y": line["y1_px"]}, {"x": line["x2_px"], "y": line["y2_px"]}],
            "plugin_data": {},
        }
        for line in lines
    ]
    flows = [
        {"id": f"{entry} --> {leave}", "name": f"{entry} --> {leave}", "start": entry, "end": leave, "distance": None}
        for entry, leave in _movements(request)
    ]
    stream.write(msgspec.json.format(msgspec.json.encode({"sections": sections, "flows": flows}), indent=2) + b"\n")
    return len(sections)


def _in_picture(boxes: np.ndarray, facts: Facts) -> np.ndarray:
    """Return the part of boxes f8[n, 4] that is in the picture: OTAnalytics stops at a coordinate below 0."""
    size = np.array([facts.width_px, facts.height_px], np.float64)
    low, high = np.clip(boxes[:, :2], 0.0, size), np.clip(boxes[:, :2] + boxes[:, 2:], 0.0, size)
    return np.round(np.column_stack([low, high - low]), 1)


def _start_s(request: Request) -> float:
    if request.records.header.start is None:
        request.notes.append("the run has no date: its times count from 1970; replay with --start-utc for true ones")
        return 0.0
    return request.start_us / 1e6


def _anchors(request: Request) -> dict[str, tuple[float, float]]:
    """Return which point of the box crosses each line."""
    found = {line["name"]: ANCHORS["foot"] for line in request.geometry["lines"]}
    for rule, entry in enumerate(request.records.header.rules):
        config = request.config(rule)
        if entry.type == "line_count" and config.get("line") in found:
            found[config["line"]] = ANCHORS.get(config.get("anchor", "foot"), ANCHORS["foot"])
    return found


def _movements(request: Request) -> list[tuple[str, str]]:
    pairs = []
    for rule, entry in enumerate(request.records.header.rules):
        if entry.type == "movement":
            config = request.config(rule)
            pairs += [(one, other) for one in config.get("entry", ()) for other in config.get("exit", ())]
    return [pair for pair in dict.fromkeys(pairs) if pair[0] != pair[1]]


def _metadata(facts: Facts, start_s: float, kinds: list[str]) -> dict[str, Any]:
    length_s = facts.frames / facts.fps if facts.fps > 0 else 0.0
    return {
        "otdet_version": "1.2",
        "ottrk_version": "1.1",
        "video": {
            "filename": _video_name(facts, start_s),
            "filetype": ".mp4",
            "width": facts.width_px,
            "height": facts.height_px,
            "recorded_fps": facts.fps,
            "actual_fps": facts.fps,
            "number_of_frames": facts.frames,
            "recorded_start_date": start_s,
            "expected_duration": length_s,
            "length": _clock(length_s),
        },
        "detection": {
            "otvision_version": "gantry",
            "model": {
                "name": "gantry",
                "weights": "",
                "iou_threshold": 0.0,
                "image_size": facts.width_px,
                "max_confidence": 1.0,
                "half_precision": False,
                "classes": {str(k): kind for k, kind in enumerate(kinds)},
            },
            "chunksize": 1,
            "normalized_bbox": False,
        },
        "tracking": {
            "otvision_version": "gantry",
            "tracking_run_id": facts.context,
            "frame_group": "0",
            "first_tracked_video_start": start_s,
            "last_tracked_video_end": start_s + length_s,
            "tracker": {
                "name": "gantry",
                "sigma_l": 0.0,
                "sigma_h": 0.0,
                "sigma_iou": 0.0,
                "t_min": 0,
                "t_miss_max": 0,
            },
        },
    }


def _video_name(facts: Facts, start_s: float) -> str:
    """Return a name in OTCamera's pattern, as readers take host and date from it; no file of that name needs to be."""
    host = re.sub(r"[^A-Za-z0-9]", "", facts.camera) or "camera"
    return f"{host}_FR{round(facts.fps)}_{datetime.fromtimestamp(start_s, UTC):%Y-%m-%d_%H-%M-%S}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:09.6f}"
