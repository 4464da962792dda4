"""Count each road user once per direction when it has crossed a line for good."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.crossing import ANCHORS, CROSSING, SPEED_BACK_S, crossing_reset, crossing_step, direction_code, speed_at
from kernels.records import LINE, MAX_TRACKS, RELINKED, event_dtype
from kernels.rule import Prepared, Rule, RuleConfig, class_mask


class Config(RuleConfig, kw_only=True, frozen=True):
    """`band_px`/`band_share`: dead band either side of the line; `settle_s`: time outside it until the side counts."""

    line: str
    anchor: Literal["foot", "centre", "front", "rear"] = "foot"
    settle_s: Annotated[float, msgspec.Meta(ge=0.0, le=5.0)] = 0.1
    band_px: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] = 2.0
    band_share: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.1


EVENT = event_dtype(
    ("x_px", "<f4"),
    ("y_px", "<f4"),
    ("speed_mps", "<f4"),
    ("speed_sd_mps", "<f4"),
    ("line", "<i2"),
    ("direction", "<i2"),
    ("bridged", "<u1"),
)

SETTINGS = np.dtype(
    [
        ("line", LINE),
        ("index", "<i2"),
        ("anchor", "<u1"),
        ("classes", "<u4"),
        ("settle_s", "<f8"),
        ("band_px", "<f8"),
        ("band_share", "<f8"),
        ("scale_sd", "<f8"),
    ]
)
STATE = np.dtype([("crossing", CROSSING), ("track_id", "<u4"), ("counted", "<u1")])


def prepare(config, scene):
    """Return the line's geometry and one crossing state per track slot."""
    settings = np.zeros(1, SETTINGS)
    index = scene.line_names.index(config.line)
    settings["line"], settings["index"] = scene.lines[index], index
    settings["anchor"], settings["classes"] = ANCHORS.index(config.anchor), class_mask(config.classes)
    settings["settle_s"] = config.settle_s
    settings["band_px"], settings["band_share"] = config.band_px, config.band_share
    settings["scale_sd"] = scene.scale_sd
    return Prepared(settings, np.zeros(MAX_TRACKS, STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each crossing that settled in this step; return how many."""
    s = settings[0]
    line = s["line"]
    n = 0
    for i in range(len(tracks)):
        track = tracks[i]
        own = state[track["slot"]]
        if own["track_id"] != track["id"]:
            own["track_id"] = track["id"]
            own["counted"] = 0
            crossing_reset(own["crossing"])
        way = crossing_step(own["crossing"], line, track, s["anchor"], s["settle_s"], s["band_px"], s["band_share"])
        bit = 1 if way > 0 else 2
        if way == 0 or own["counted"] & bit or not (s["classes"] >> track["class_id"]) & 1:
            continue
        own["counted"] |= bit
        event = out[n]
        n += 1
        event["time_s"] = own["crossing"]["time_s"]
        event["track_id"] = track["id"]
        event["score"] = track["score"]
        event["class_id"] = track["class_id"]
        event["x_px"], event["y_px"] = own["crossing"]["x_px"], own["crossing"]["y_px"]
        passed = own["crossing"]
        event["speed_mps"], event["speed_sd_mps"] = passed["speed_mps"], passed["speed_sd_mps"]
        if track["time_s"] - passed["time_s"] <= SPEED_BACK_S:
            event["speed_mps"], event["speed_sd_mps"] = speed_at(track, passed["time_s"], s["scale_sd"])
        event["line"] = s["index"]
        event["direction"] = direction_code(line, way)
        event["bridged"] = 1 if own["crossing"]["bridged"] & RELINKED else 0
    return n


RULE = Rule(
    type="line_count",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"line": "line", "direction": "direction"},
    references={"line": "line"},
)
