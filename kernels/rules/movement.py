"""Tell how each road user went through the site: over which entry line in, over which exit line out."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.crossing import CROSSING, FOOT, crossing_reset, crossing_step
from kernels.records import LINE, MAX_TRACKS, event_dtype
from kernels.rule import Prepared, Rule, RuleConfig, class_mask


class Config(RuleConfig, kw_only=True, frozen=True):
    """`entry` and `exit`: names of lines; a line with a flow counts only along it. Other fields as in line_count."""

    entry: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=32)]
    exit: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=32)]
    settle_s: Annotated[float, msgspec.Meta(ge=0.0, le=5.0)] = 0.1
    band_px: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] = 2.0
    band_share: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.1


# `time_s` is the exit's; a road user first seen inside has no entry: entry_line -1, entry_s NaN.
EVENT = event_dtype(("entry_s", "<f8"), ("entry_line", "<i2"), ("exit_line", "<i2"))

SETTINGS = np.dtype(
    [
        ("line", LINE),
        ("index", "<i2"),
        ("is_exit", "<u1"),
        ("classes", "<u4"),
        ("settle_s", "<f8"),
        ("band_px", "<f8"),
        ("band_share", "<f8"),
    ]
)
STATE = np.dtype([("crossing", CROSSING), ("track_id", "<u4"), ("entry_line", "<i2"), ("entry_s", "<f8")])


def prepare(config, scene):
    """Return a settings row for each line, entries first, and a state for each track slot and line."""
    names = (*config.entry, *config.exit)
    settings = np.zeros(len(names), SETTINGS)
    for row, name in zip(settings, names, strict=True):
        index = scene.line_names.index(name)
        row["line"], row["index"] = scene.lines[index], index
    settings["is_exit"][len(config.entry) :] = 1
    settings["classes"], settings["settle_s"] = class_mask(config.classes), config.settle_s
    settings["band_px"], settings["band_share"] = config.band_px, config.band_share
    return Prepared(settings, np.zeros((MAX_TRACKS, len(names)), STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each road user that left over an exit line in this step; return how many."""
    n = 0
    for i in range(len(tracks)):
        track = tracks[i]
        lines = state[track["slot"]]
        trip = lines[0]
        if trip["track_id"] != track["id"]:
            trip["track_id"] = track["id"]
            trip["entry_line"] = -1
            trip["entry_s"] = np.nan
            for k in range(len(settings)):
                crossing_reset(lines[k]["crossing"])
        for k in range(len(settings)):
            s = settings[k]
            crossing = lines[k]["crossing"]
            way = crossing_step(crossing, s["line"], track, FOOT, s["settle_s"], s["band_px"], s["band_share"])
            if way == 0 or (s["line"]["has_flow"] and way < 0) or not (s["classes"] >> track["class_id"]) & 1:
                continue
            if s["is_exit"] == 0:
                trip["entry_line"], trip["entry_s"] = s["index"], crossing["time_s"]
                continue
            event = out[n]
            n += 1
            event["time_s"] = crossing["time_s"]
            event["track_id"] = track["id"]
            event["score"] = track["score"]
            event["class_id"] = track["class_id"]
            event["entry_s"], event["entry_line"] = trip["entry_s"], trip["entry_line"]
            event["exit_line"] = s["index"]
            trip["entry_line"] = -1
            trip["entry_s"] = np.nan
    return n


RULE = Rule(
    type="movement",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"entry_line": "line", "exit_line": "line"},
    references={"entry": "line", "exit": "line"},
)
