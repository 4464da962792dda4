"""Compile every kernel once, with the types that the pipeline uses: `python -m kernels.warm`.

A cold compile costs 0.15 to 10 s a kernel. It is paid at install and at start, never on the first frame.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np

from kernels import boxes, lamps, pixels, planes, shrink, thirds, track, tracker
from kernels.judge import Judge
from kernels.lens import LENS, distort_points, lens_reach, undistort_points
from kernels.records import CLOCK, LAMP, LINE, MAX_DETECTIONS, MAX_TRACKS, SIGNAL, TRACK, ZONE
from kernels.rule import Rule
from kernels.rules import REGISTRY


def warm_tracker() -> None:
    """Compile the tracker."""
    slots = np.zeros(MAX_TRACKS, track.SLOT)
    settings = np.zeros(1, track.SETTINGS)
    for name, value in track.DEFAULTS.items():
        settings[name] = value
    out = np.zeros(MAX_TRACKS, TRACK)
    xyxy_px = np.array([[10, 10, 30, 30], [12, 12, 32, 32]], np.float32)
    tracker.tracker_step(
        slots,
        settings,
        np.zeros(1, CLOCK),
        np.ones(1, np.uint32),
        xyxy_px,
        np.array([0.9, 0.8], np.float32),
        np.zeros(2, np.int16),
        np.eye(3),
        np.zeros((MAX_TRACKS, MAX_DETECTIONS), np.float32),
        np.zeros((4, tracker.WORK)),
        np.zeros((6, tracker.WORK), np.int32),
        np.zeros((5, tracker.WORK), np.int32),
        out,
    )
    tracker.tracker_end(slots, settings[0], out)


def example_config(rule: Rule) -> Any:
    """Return a rule's Config that names the line, zone and signal `a` wherever it must name something."""
    given: dict[str, Any] = {"type": rule.type, "name": "warm"}
    fields = [field for field in msgspec.structs.fields(rule.config) if field.name in rule.references]
    given |= {field.name: ["a"] if "tuple" in str(field.type) else "a" for field in fields if field.required}
    for field in fields:
        try:
            return msgspec.convert(given, rule.config)
        except msgspec.ValidationError:  # one of several names is needed
            given.setdefault(field.name, "a")
    return msgspec.convert(given, rule.config)


def warm_rule(rule: Rule) -> None:
    """Compile one rule's step on a scene of one line, zone, lane and signal."""
    lines = np.zeros(1, LINE)
    lines["x2_px"], lines["ny"], lines["has_flow"] = 100.0, 1.0, 1
    lines["x2_m"], lines["ny_m"] = 10.0, 1.0
    zones = np.zeros(1, ZONE)
    zones["px"][0, :3] = zones["m"][0, :3] = [[0.0, 0.0], [9.0, 0.0], [9.0, 9.0]]
    zones["n"], zones["flow_y"], zones["flow_y_m"] = 3, 1.0, 1.0
    scene = SimpleNamespace(
        camera="warm",
        width_px=100,
        height_px=100,
        line_names=("a",),
        zone_names=("a",),
        lane_names=("a",),
        approach_names=("a",),
        signal_names=("a",),
        lines=lines,
        zone_rows=zones,
        lane_rows=zones,
        flows=np.array([[[0.0, 0.0], [0.0, 9.0]]]),
        to_road=np.eye(3),
        from_road=np.eye(3),
        ground_error_m=0.1,
        scale_sd=0.0,
    )
    prepared = rule.prepare(example_config(rule), scene)
    Judge([rule], [prepared]).step(np.zeros(1, TRACK), np.zeros(1, CLOCK), np.zeros(1, SIGNAL))


def warm_signals() -> None:
    """Compile the reading of lamps."""
    lamps.signal_step(np.zeros(1, SIGNAL)[0], np.zeros(1, lamps.LAMP_STATE)[0], np.zeros(3, LAMP), 0.0)


def warm_pixels() -> None:
    """Compile the fitting of frames; decode workers then load it."""
    yuv = np.zeros((3, 8, 8), np.uint8)
    taps = pixels.axis_taps(8, 4)
    pixels.resize_plane(yuv[0], taps, taps, pixels.make_scratch(8, 4), 0, 0, np.zeros((8, 8), np.uint8))
    pixels.convert_colour(yuv, pixels.colour_matrix(0.299, 0.114), 0, 0, *np.zeros((3, 8, 8), np.uint8))
    wide, sums, matrix = np.zeros((2, 8), np.uint16), np.zeros((3, 4), np.uint16), shrink.sum_matrix(0.299, 0.114, 2)
    shrink.shrink_plane(yuv[0], 2, wide[0], sums[0], 0, 0, 4, np.zeros((8, 8), np.uint8))
    shrink.shrink_colour(yuv[0], yuv[1], yuv[2], 2, matrix, wide, sums, 0, 0, 4, *np.zeros((3, 8, 8), np.uint8))
    work, words = thirds.make_work(), np.zeros((3, 3, 3), np.uint16)
    thirds.third_plane(words[0], 1, 1, work, 0, 0, words[1])
    thirds.third_colour(words[0], yuv[1], yuv[2], 1, 1, work, 0, 0, *words)
    lamp_boxes = np.zeros((1, 3, 4), np.int32)
    pixels.lamp_means(yuv[0], yuv[1], yuv[2], lamp_boxes, np.zeros((1, 3), LAMP))


def warm_boxes() -> None:
    """Compile what lies between planes and detections, for every head."""
    used, ours, score_min = np.zeros(1, np.int64), np.zeros(1, np.int16), np.float32(0.1)
    found = (np.zeros((2, 4), np.float32), np.zeros(2, np.float32), np.zeros(2, np.int16))
    raw, pair = np.zeros((2, 6), np.float32), np.zeros(2, np.float32)
    boxes.yolox_head(raw, np.zeros((2, 3), np.float32), False, used, ours, score_min, *found)
    boxes.yolov8_head(np.zeros((6, 2), np.float32), used, ours, score_min, *found)
    boxes.yolov8_head(raw.T, used, ours, score_min, *found)
    boxes.detr_head(found[0], raw, True, pair, used, ours, score_min, *found)
    boxes.rows_head(raw[:, :4], raw[:, 4], raw[:, 5], ours, score_min, *found)
    boxes.rows_head(found[0], pair, np.zeros(2, np.int64), ours, score_min, *found)
    boxes.select(*found, 2, np.zeros(2, np.int64), 0.5, np.ones(6), *found)
    picture = np.zeros((3, 4, 4), np.uint8)
    gain = np.zeros(3, np.float32)
    blank = np.zeros((3, 4), np.uint8)
    planes.normalise(picture, gain, gain, 114, blank, np.zeros((3, 4, 4), np.float32))
    planes.look_up(picture, np.zeros((3, 256), np.uint16), 114, blank, np.zeros((3, 4, 4), np.uint16))


def warm_lens() -> None:
    """Compile the lens for points, as scenes and records need it."""
    lens = np.zeros(1, LENS)
    lens["focal_px"], lens["reach"], lens["bends"] = 1.0, np.inf, 1
    points = np.zeros((1, 2))
    lens_reach(lens[0], 1.0, 1.0)
    distort_points(lens[0], points, points)
    undistort_points(lens[0], points, points)


def warm() -> None:
    """Compile every kernel that the pipeline calls."""
    warm_tracker()
    warm_signals()
    warm_pixels()
    warm_boxes()
    warm_lens()
    for rule in REGISTRY.values():
        warm_rule(rule)


if __name__ == "__main__":
    warm()
