"""Flag a road user that goes in over one line and out over another where that turn is forbidden."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.crossing import CROSSING
from kernels.records import MAX_TRACKS, event_dtype
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask
from kernels.verdict import verdict
from kernels.visit import VISIT, VISIT_LINE, visit_lines, visit_reason, visit_reset, visit_step


class Config(RuleConfig, kw_only=True, frozen=True):
    """From any line of `entry` to any of `exit` is forbidden. Who turns by `turned_max_deg` goes round an island.

    A visit longer than `visit_max_s` is no turn. `box_height_m` as in wrong_way, other fields as in line_count.
    """

    entry: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=32)]
    exit: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=32)]
    classes: tuple[ClassName, ...] = ("car", "bus", "truck", "motorcycle")
    turned_max_deg: Annotated[float, msgspec.Meta(gt=0.0, le=720.0)] = 150.0
    visit_max_s: Annotated[float, msgspec.Meta(gt=0.0, le=3600.0)] = 120.0
    settle_s: Annotated[float, msgspec.Meta(ge=0.0, le=5.0)] = 0.1
    band_px: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] = 2.0
    band_share: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.1
    box_height_m: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)] = 3.0
    age_min_s: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 1.0
    score_min: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5


# `time_s` is when it crossed the exit line.
EVENT = event_dtype(
    ("entry_s", "<f8"),
    ("turned_deg", "<f4"),  # since the entry line
    ("speed_mps", "<f4"),
    ("speed_sd_mps", "<f4"),
    ("entry_line", "<i2"),
    ("exit_line", "<i2"),
    ("judgement", "<u1"),
    ("reason", "<u1"),
)

SETTINGS = np.dtype(
    [
        ("visit_line", VISIT_LINE),
        ("classes", "<u4"),
        ("turned_max", "<f8"),
        ("visit_max_s", "<f8"),
        ("box_height_m", "<f8"),
        ("age_min_s", "<f8"),
        ("score_min", "<f8"),
    ]
)
STATE = np.dtype([("crossing", CROSSING), ("visit", VISIT), ("track_id", "<u4")])


def prepare(config, scene):
    """Return a settings row and, for each track slot, a state for each line; the first holds the visit."""
    lines = visit_lines(config, scene)
    settings = np.zeros(len(lines), SETTINGS)
    settings["visit_line"], settings["classes"] = lines, class_mask(config.classes)
    settings["turned_max"], settings["visit_max_s"] = math.radians(config.turned_max_deg), config.visit_max_s
    for name in ("box_height_m", "age_min_s", "score_min"):
        settings[name] = getattr(config, name)
    return Prepared(settings, np.zeros((MAX_TRACKS, len(lines)), STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each road user that left over an exit line in this step; return how many."""
    s = settings[0]
    n = 0
    for i in range(len(tracks)):
        track = tracks[i]
        states = state[track["slot"]]
        own = states[0]
        if own["track_id"] != track["id"]:
            own["track_id"] = track["id"]
            visit_reset(states)
        left = visit_step(states, settings, track, clock["suspended"], s["box_height_m"])
        if left < 0:
            continue
        visit = own["visit"]
        exit_s, entry_line = states[left]["crossing"]["time_s"], visit["entry_line"]
        visit["entry_line"] = -1
        island = max(visit["most"], -visit["least"]) >= s["turned_max"]
        late = exit_s - visit["entry_s"] > s["visit_max_s"]
        if island or late or not (s["classes"] >> track["class_id"]) & 1:
            continue
        event = out[n]
        n += 1
        reason = visit_reason(visit, track, clock, exit_s, s["age_min_s"], s["score_min"])
        verdict(event, track, exit_s, reason)
        event["entry_s"], event["entry_line"] = visit["entry_s"], entry_line
        event["exit_line"] = settings[left]["visit_line"]["index"]
        event["turned_deg"] = math.degrees(visit["turning"]["turned"] - visit["entry_turned"])
    return n


RULE = Rule(
    type="forbidden_turn",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"entry_line": "line", "exit_line": "line", "judgement": "judgement", "reason": "reason"},
    references={"entry": "line", "exit": "line"},
)
