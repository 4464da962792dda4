"""Flag a road user that turns round within one visit and leaves on the leg that it came in on."""

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
    """`entry` and `exit`: the lines of one leg. The turn may end up to `after_s` after the exit line.

    `three_point`: flag turns with reversing too. `box_height_m` as in wrong_way, other fields as in forbidden_turn.
    """

    entry: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=32)]
    exit: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=32)]
    classes: tuple[ClassName, ...] = ("car", "bus", "truck", "motorcycle")
    turned_min_deg: Annotated[float, msgspec.Meta(gt=0.0, le=360.0)] = 150.0
    after_s: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 2.0
    three_point: bool = False
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
    ("margin_deg", "<f4"),  # turned_deg, whichever way round, over its limit
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
        ("three_point", "<u1"),
        ("turned_min", "<f8"),
        ("after_s", "<f8"),
        ("visit_max_s", "<f8"),
        ("box_height_m", "<f8"),
        ("age_min_s", "<f8"),
        ("score_min", "<f8"),
    ]
)
STATE = np.dtype([("crossing", CROSSING), ("visit", VISIT), ("pending", EVENT), ("track_id", "<u4"), ("waits", "<u1")])


def prepare(config, scene):
    """Return a settings row and, for each track slot, a state for each line; the first holds the visit."""
    lines = visit_lines(config, scene)
    settings = np.zeros(len(lines), SETTINGS)
    settings["visit_line"], settings["classes"] = lines, class_mask(config.classes)
    settings["turned_min"], settings["three_point"] = math.radians(config.turned_min_deg), config.three_point
    for name in ("after_s", "visit_max_s", "box_height_m", "age_min_s", "score_min"):
        settings[name] = getattr(config, name)
    return Prepared(settings, np.zeros((MAX_TRACKS, len(lines)), STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each road user whose turn is complete in this step; return how many."""
    s = settings[0]
    n = 0
    for i in range(len(tracks)):
        track = tracks[i]
        states = state[track["slot"]]
        own = states[0]
        if own["track_id"] != track["id"]:
            own["track_id"], own["waits"] = track["id"], 0
            visit_reset(states)
        left = visit_step(states, settings, track, clock["suspended"], s["box_height_m"])
        visit, event = own["visit"], own["pending"]
        if left >= 0:
            exit_s = states[left]["crossing"]["time_s"]
            own["waits"] = exit_s - visit["entry_s"] <= s["visit_max_s"]
            verdict(event, track, exit_s, visit_reason(visit, track, clock, exit_s, s["age_min_s"], s["score_min"]))
            event["entry_s"], event["entry_line"] = visit["entry_s"], visit["entry_line"]
            event["exit_line"] = settings[left]["visit_line"]["index"]
            visit["entry_line"] = -1
        if own["waits"] == 0:
            continue
        turned = visit["turning"]["turned"] - visit["entry_turned"]
        done = abs(turned) >= s["turned_min"]
        if visit["turning"]["reversed"] != 0:
            # The angle of a way back and forth says nothing; that it came back out on its leg does.
            done = s["three_point"] != 0
        if track["time_s"] - event["time_s"] > s["after_s"]:
            own["waits"] = 0
        elif done:
            own["waits"] = 0
            if (s["classes"] >> track["class_id"]) & 1 != 0:
                event["turned_deg"] = math.degrees(turned)
                event["margin_deg"] = math.degrees(abs(turned) - s["turned_min"])
                out[n] = event
                n += 1
    return n


RULE = Rule(
    type="u_turn",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"entry_line": "line", "exit_line": "line", "judgement": "judgement", "reason": "reason"},
    references={"entry": "line", "exit": "line"},
)
