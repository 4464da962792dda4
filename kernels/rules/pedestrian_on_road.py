"""Raise an alarm for a pedestrian on the carriageway who is not on a crosswalk: for safety, not for enforcement."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.guards import doubt
from kernels.records import ENDED, MAX_TRACKS, NO_REASON, ZONE, event_dtype
from kernels.riders import rides
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask
from kernels.stay import STAY, stay_reset, stay_step
from kernels.verdict import REPEAT_S, verdict
from kernels.zones import zone_depth_m


class Config(RuleConfig, kw_only=True, frozen=True):
    """In `zone`, the carriageway, `edge_m` from its edge for `held_s`, and not within `beside_m` of a crosswalk.

    No pedestrian is who rides, so whose box overlaps that of a bicycle or motorcycle by `rider_overlap`, or is faster
    than `speed_max_kmh`. `box_height_m`: how many metres a box height stands for where the road is unknown.
    """

    zone: str
    crosswalks: Annotated[tuple[str, ...], msgspec.Meta(max_length=32)] = ()
    classes: tuple[ClassName, ...] = ("person",)
    held_s: Annotated[float, msgspec.Meta(ge=0.0, le=600.0)] = 2.0
    edge_m: Annotated[float, msgspec.Meta(ge=0.0, le=20.0)] = 1.0
    beside_m: Annotated[float, msgspec.Meta(ge=0.0, le=20.0)] = 1.0
    leave_s: Annotated[float, msgspec.Meta(ge=0.0, le=30.0)] = 0.5
    rider_overlap: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)] = 0.3
    rider_s: Annotated[float, msgspec.Meta(ge=0.0, le=60.0)] = 1.0
    speed_max_kmh: Annotated[float, msgspec.Meta(gt=0.0, le=100.0)] = 15.0
    box_height_m: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)] = 1.7
    age_min_s: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 1.0
    score_min: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5


# `time_s` is the alarm's; the pedestrian had been there for `held_s`.
EVENT = event_dtype(
    ("held_s", "<f4"),
    ("margin_s", "<f4"),  # held_s over its limit
    ("edge_m", "<f4"),  # from the carriageway's edge
    ("margin_m", "<f4"),  # edge_m over its limit
    ("speed_mps", "<f4"),
    ("speed_sd_mps", "<f4"),
    ("zone", "<i2"),
    ("judgement", "<u1"),
    ("reason", "<u1"),
)

LIMITS = (
    "held_s", "edge_m", "beside_m", "leave_s", "rider_overlap", "rider_s", "box_height_m", "age_min_s", "score_min",
)  # fmt: skip
SETTINGS = np.dtype(
    [
        ("zone", ZONE),
        ("index", "<i2"),
        ("classes", "<u4"),
        ("speed_max_mps", "<f8"),
        *((name, "<f8") for name in LIMITS),
    ]
)
STATE = np.dtype([("stay", STAY), ("rode_s", "<f8"), ("told_s", "<f8"), ("track_id", "<u4")])


def prepare(config, scene):
    """Return a settings row for the carriageway and each crosswalk, in that order, and a stay for each track slot."""
    names = (config.zone, *config.crosswalks)
    settings = np.zeros(len(names), SETTINGS)
    for row, name in zip(settings, names, strict=True):
        row["index"] = scene.zone_names.index(name)
        row["zone"] = scene.zone_rows[row["index"]]
    settings["classes"], settings["speed_max_mps"] = class_mask(config.classes), config.speed_max_kmh / 3.6
    for name in LIMITS:
        settings[name] = getattr(config, name)
    return Prepared(settings, np.zeros(MAX_TRACKS, STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each pedestrian who has been on the carriageway for long enough; return how many."""
    s = settings[0]
    n = 0
    for i in range(len(tracks)):
        track = tracks[i]
        own = state[track["slot"]]
        stay = own["stay"]
        if own["track_id"] != track["id"]:
            own["track_id"], own["told_s"], own["rode_s"] = track["id"], -np.inf, -np.inf
            stay_reset(stay)
        if track["flags"] & ENDED or not (s["classes"] >> track["class_id"]) & 1:
            continue
        if rides(tracks, i, s["rider_overlap"]):
            own["rode_s"] = track["time_s"]
        edge_m = zone_depth_m(s["zone"], track, s["box_height_m"])
        on_road = edge_m >= s["edge_m"] and track["time_s"] - own["rode_s"] > s["rider_s"]
        # NaN (no calibrated speed) is not fast.
        on_road = on_road and not track["speed_mps"] > s["speed_max_mps"]
        for k in range(1, len(settings)):
            on_road = on_road and zone_depth_m(settings[k]["zone"], track, s["box_height_m"]) < -s["beside_m"]
        stay_step(stay, track, on_road, s["leave_s"], clock["suspended"], s["box_height_m"])
        # One unbroken stay is told once, however long it lasts.
        told = own["told_s"] >= stay["since_s"] or track["time_s"] - own["told_s"] < REPEAT_S
        if not on_road or stay["inside_s"] < s["held_s"] or told:
            continue
        own["told_s"] = track["time_s"]
        reason = stay["suspended"]
        if reason == NO_REASON:
            reason = doubt(track, clock, track["time_s"], s["age_min_s"], s["score_min"])
        event = out[n]
        n += 1
        verdict(event, track, track["time_s"], reason)
        event["held_s"], event["margin_s"] = stay["inside_s"], stay["inside_s"] - s["held_s"]
        event["edge_m"], event["margin_m"] = edge_m, edge_m - s["edge_m"]
        event["zone"] = s["index"]
    return n


RULE = Rule(
    type="pedestrian_on_road",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"zone": "zone", "judgement": "judgement", "reason": "reason"},
    references={"zone": "zone", "crosswalks": "zone"},
)
