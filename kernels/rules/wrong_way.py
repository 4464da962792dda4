"""Flag a vehicle that drives against the flow of its lane, as a violation and as an incident."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.against import RUN, against_reset, against_step
from kernels.guards import doubt
from kernels.records import ENDED, MAX_TRACKS, ZONE, event_dtype
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask
from kernels.verdict import REPEAT_S, verdict


class Config(RuleConfig, kw_only=True, frozen=True):
    """Against the flow for `held_s` and `against_m`, and no reversing: that is slower and shorter than `reverse_*`.

    `box_height_m`: how many metres a box height stands for where the road is unknown. Bicycles are exempt by default.
    """

    lanes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=32)]
    classes: tuple[ClassName, ...] = ("car", "bus", "truck", "motorcycle")
    held_s: Annotated[float, msgspec.Meta(ge=0.0, le=30.0)] = 1.0
    against_m: Annotated[float, msgspec.Meta(ge=0.0, le=500.0)] = 10.0
    cosine_max: Annotated[float, msgspec.Meta(ge=-1.0, le=0.0)] = -0.5
    speed_min_kmh: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] = 5.0
    inside_share: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.8
    reverse_m: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] = 15.0
    reverse_kmh: Annotated[float, msgspec.Meta(ge=0.0, le=50.0)] = 10.0
    box_height_m: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)] = 3.0
    age_min_s: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 1.0
    score_min: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5


# `time_s` is the alarm's; it began to drive against the flow `held_s` before.
EVENT = event_dtype(
    ("held_s", "<f4"),
    ("against_m", "<f4"),
    ("margin_m", "<f4"),  # against_m over its limit
    ("cosine", "<f4"),  # of the angle from the flow to its velocity
    ("inside_share", "<f4"),  # of held_s in a lane
    ("speed_mps", "<f4"),
    ("speed_sd_mps", "<f4"),
    ("lane", "<i2"),
    ("judgement", "<u1"),
    ("reason", "<u1"),
)

LIMITS = ("held_s", "against_m", "cosine_max", "inside_share", "reverse_m", "box_height_m", "age_min_s", "score_min")
SETTINGS = np.dtype(
    [
        ("zone", ZONE),
        ("index", "<i2"),
        ("classes", "<u4"),
        ("speed_min_mps", "<f8"),
        ("reverse_mps", "<f8"),
        *((name, "<f8") for name in LIMITS),
    ]
)
STATE = np.dtype([("run", RUN), ("told_s", "<f8"), ("track_id", "<u4")])


def prepare(config, scene):
    """Return a settings row for each lane, and a run for each track slot."""
    settings = np.zeros(len(config.lanes), SETTINGS)
    for row, name in zip(settings, config.lanes, strict=True):
        index = scene.lane_names.index(name)
        row["zone"], row["index"] = scene.lane_rows[index], index
    settings["classes"] = class_mask(config.classes)
    settings["speed_min_mps"], settings["reverse_mps"] = config.speed_min_kmh / 3.6, config.reverse_kmh / 3.6
    for name in LIMITS:
        settings[name] = getattr(config, name)
    return Prepared(settings, np.zeros(MAX_TRACKS, STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each vehicle that has driven against the flow for long and far enough; return how many."""
    s = settings[0]
    n = 0
    for i in range(len(tracks)):
        track = tracks[i]
        own = state[track["slot"]]
        run = own["run"]
        if own["track_id"] != track["id"]:
            own["track_id"], own["told_s"] = track["id"], -np.inf
            against_reset(run)
        if track["flags"] & ENDED:
            continue
        against_step(run, track, settings, clock["suspended"])
        held_s, way_m = track["time_s"] - run["since_s"], run["way_m"]
        enough = run["running"] != 0 and held_s >= s["held_s"] and way_m >= s["against_m"]
        reversing = way_m <= s["reverse_m"] and way_m < s["reverse_mps"] * held_s
        inside = run["inside_s"] >= s["inside_share"] * held_s
        again = track["time_s"] - own["told_s"] < REPEAT_S
        if not enough or reversing or not inside or again or not (s["classes"] >> track["class_id"]) & 1:
            continue
        own["told_s"] = track["time_s"]
        reason = run["suspended"]
        if reason == 0:
            reason = doubt(track, clock, track["time_s"], s["age_min_s"], s["score_min"])
        event = out[n]
        n += 1
        verdict(event, track, track["time_s"], reason)
        event["held_s"], event["against_m"], event["margin_m"] = held_s, way_m, way_m - s["against_m"]
        event["cosine"], event["inside_share"] = run["cosine"], run["inside_s"] / max(held_s, 1e-9)
        event["lane"] = settings[run["lane"]]["index"]
    return n


RULE = Rule(
    type="wrong_way",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"lane": "lane", "judgement": "judgement", "reason": "reason"},
    references={"lanes": "lane"},
)
