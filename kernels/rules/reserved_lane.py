"""Flag a road user in a lane that is reserved for other classes, such as a bus or cycle lane."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.geometry import line_offset_m
from kernels.guards import doubt
from kernels.records import CALIBRATION, ENDED, LINE, MAX_TRACKS, NO_REASON, ZONE, event_dtype
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask
from kernels.stay import STAY, stay_reset, stay_step
from kernels.verdict import REPEAT_S, verdict
from kernels.zones import zone_at


class Config(RuleConfig, kw_only=True, frozen=True):
    """In one of `lanes`, with front and rear, for `held_s` or `way_m`; absences up to `leave_s` are forgiven.

    `allowed`: the classes it is for. Who turns may use the last `free_before_m` before `line` and what lies beyond it.
    `box_height_m` as in wrong_way.
    """

    lanes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=32)]
    allowed: tuple[ClassName, ...] = ("bus", "bicycle", "person")
    line: str | None = None
    free_before_m: Annotated[float, msgspec.Meta(ge=0.0, le=500.0)] = 30.0
    held_s: Annotated[float, msgspec.Meta(ge=0.0, le=600.0)] = 3.0
    way_m: Annotated[float, msgspec.Meta(ge=0.0, le=1000.0)] = 30.0
    leave_s: Annotated[float, msgspec.Meta(ge=0.0, le=30.0)] = 1.0
    box_height_m: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)] = 3.0
    age_min_s: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 1.0
    score_min: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5


# `time_s` is when it had been there for long or far enough.
EVENT = event_dtype(
    ("held_s", "<f4"),  # in the lane
    ("margin_s", "<f4"),  # held_s over its limit; negative where the way decided
    ("way_m", "<f4"),  # in the lane
    ("margin_m", "<f4"),
    ("speed_mps", "<f4"),
    ("speed_sd_mps", "<f4"),
    ("lane", "<i2"),
    ("judgement", "<u1"),
    ("reason", "<u1"),
)

LIMITS = ("free_before_m", "held_s", "way_m", "leave_s", "box_height_m", "age_min_s", "score_min")
SETTINGS = np.dtype(
    [
        ("line", LINE),
        ("zone", ZONE),
        ("index", "<i2"),
        ("has_line", "<u1"),
        ("classes", "<u4"),
        *((name, "<f8") for name in LIMITS),
    ]
)
STATE = np.dtype([("stay", STAY), ("told_s", "<f8"), ("track_id", "<u4"), ("unknown", "<u1")])


def prepare(config, scene):
    """Return a settings row for each lane, and a stay for each track slot."""
    settings = np.zeros(len(config.lanes), SETTINGS)
    for row, name in zip(settings, config.lanes, strict=True):
        row["index"] = scene.lane_names.index(name)
        row["zone"] = scene.lane_rows[row["index"]]
    if config.line is not None:
        settings["line"], settings["has_line"] = scene.lines[scene.line_names.index(config.line)], 1
    allowed = class_mask(config.allowed) if config.allowed else 0
    settings["classes"] = class_mask(config.classes) & ~allowed
    for name in LIMITS:
        settings[name] = getattr(config, name)
    return Prepared(settings, np.zeros(MAX_TRACKS, STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each road user that has been in a lane of others for long enough; return how many."""
    s = settings[0]
    n = 0
    for i in range(len(tracks)):
        track = tracks[i]
        own = state[track["slot"]]
        stay = own["stay"]
        if own["track_id"] != track["id"]:
            own["track_id"], own["told_s"] = track["id"], -np.inf
            stay_reset(stay)
        if track["flags"] & ENDED:
            continue
        lane = zone_at(settings, track["front_x_px"], track["front_y_px"])
        inside = lane >= 0 and zone_at(settings, track["rear_x_px"], track["rear_y_px"]) >= 0
        unknown = False
        if inside and s["has_line"] != 0:
            before_m = -line_offset_m(s["line"], float(track["front_x_m"]), float(track["front_y_m"]))
            unknown = before_m != before_m
            inside = unknown or before_m > s["free_before_m"]
        stay_step(stay, track, inside, s["leave_s"], clock["suspended"], s["box_height_m"])
        if stay["since_s"] == track["time_s"]:
            own["unknown"] = 0
        own["unknown"] = own["unknown"] != 0 or unknown
        enough = stay["inside_s"] >= s["held_s"] or stay["way_m"] >= s["way_m"]
        # One unbroken stay is told once, however long it lasts.
        told = own["told_s"] >= stay["since_s"] or track["time_s"] - own["told_s"] < REPEAT_S
        if not inside or not enough or told or not (s["classes"] >> track["class_id"]) & 1:
            continue
        own["told_s"] = track["time_s"]
        reason = stay["suspended"]
        if reason == NO_REASON:
            reason = doubt(track, clock, track["time_s"], s["age_min_s"], s["score_min"])
        if reason == NO_REASON and own["unknown"] != 0:
            reason = CALIBRATION
        event = out[n]
        n += 1
        verdict(event, track, track["time_s"], reason)
        event["held_s"], event["margin_s"] = stay["inside_s"], stay["inside_s"] - s["held_s"]
        event["way_m"], event["margin_m"] = stay["way_m"], stay["way_m"] - s["way_m"]
        event["lane"] = settings[lane]["index"]
    return n


RULE = Rule(
    type="reserved_lane",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"lane": "lane", "judgement": "judgement", "reason": "reason"},
    references={"lanes": "lane", "line": "flow_line"},
)
