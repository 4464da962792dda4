"""Flag a vehicle that drives fast and too close behind the one ahead, for long enough and behind the same one."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.following import BREAK_S, CLOSE, close_end, close_follow, close_reset, close_step, leader_of
from kernels.footprint import FOOTPRINT, footprint_fill, footprint_reset
from kernels.guards import doubt
from kernels.records import ENDED, MAX_TRACKS, NO_REASON, event_dtype
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask


class Config(RuleConfig, kw_only=True, frozen=True):
    """At over `speed_min_kmh` behind the same leader for `held_s` or over `way_m`, with too small a gap.

    Too small is under `gap_s` of time; with `form = "half_speed"` under `tenths` tenths of half the speed value in m.
    While the leader brakes with `braking_mps2`, or for `braking_s` after it has, the gap is not the follower's doing.
    """

    classes: tuple[ClassName, ...] = ("car", "bus", "truck", "motorcycle")
    form: Literal["time", "half_speed"] = "time"
    gap_s: Annotated[float, msgspec.Meta(gt=0.0, le=5.0)] = 0.9
    tenths: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)] = 5.0
    speed_min_kmh: Annotated[float, msgspec.Meta(ge=5.0, le=400.0)] = 80.0
    held_s: Annotated[float, msgspec.Meta(gt=0.0, le=600.0)] = 3.0
    way_m: Annotated[float, msgspec.Meta(gt=0.0, le=5000.0)] = 250.0
    braking_mps2: Annotated[float, msgspec.Meta(gt=0.0, le=20.0)] = 1.0
    braking_s: Annotated[float, msgspec.Meta(ge=0.0, le=30.0)] = 2.0
    age_min_s: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 1.0
    score_min: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5


# `time_s` is when the time gap was least.
EVENT = event_dtype(
    ("leader_track_id", "<u4"),
    ("gap_s", "<f4"),
    ("gap_m", "<f4"),
    ("limit_m", "<f4"),  # what the gap should have been at that speed
    ("held_s", "<f4"),
    ("speed_mps", "<f4"),
    ("speed_sd_mps", "<f4"),
    ("way_m", "<u2"),
    ("judgement", "<u1"),
    ("reason", "<u1"),
)

LIMITS = ("gap_s", "tenths", "held_s", "way_m", "braking_mps2", "braking_s", "age_min_s", "score_min")
SETTINGS = np.dtype(
    [("classes", "<u4"), ("half_speed", "<u1"), ("speed_min_mps", "<f8"), *((name, "<f8") for name in LIMITS)]
)
OWN = np.dtype(
    [("footprint", FOOTPRINT), ("close", CLOSE), ("braked_s", "<f8"), ("seen_s", "<f8"), ("id", "<u4"), ("at", "<i4")]
)
#: Each slot's own, and the footprints of those here now with their rows.
STATE = np.dtype([("own", OWN, (MAX_TRACKS,)), ("here", FOOTPRINT, (MAX_TRACKS,)), ("row", "<i4", (MAX_TRACKS,))])
#: No one further ahead is followed, in seconds.
AHEAD_S = 3.0


def prepare(config, scene):
    """Return one settings row, and for each track slot its footprint and its run."""
    settings = np.zeros(1, SETTINGS)
    settings["classes"], settings["half_speed"] = class_mask(config.classes), config.form == "half_speed"
    settings["speed_min_mps"] = config.speed_min_kmh / 3.6
    for name in LIMITS:
        settings[name] = getattr(config, name)
    return Prepared(settings, np.zeros(1, STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each run of too close following that has ended and was long enough; return how many."""
    s, known, here, n = settings[0], state[0], 0, 0
    for i in range(len(tracks)):
        track = tracks[i]
        own = known["own"][track["slot"]]
        if own["id"] != track["id"]:
            own["id"], own["braked_s"] = track["id"], -np.inf
            footprint_reset(own["footprint"])
            close_reset(own["close"])
        own["at"], own["seen_s"] = -1, -np.inf
        if track["flags"] & ENDED == 0 and footprint_fill(own["footprint"], track):
            if track["accel_mps2"] < -s["braking_mps2"]:
                own["braked_s"] = track["time_s"]
            known["here"][here], known["row"][here] = own["footprint"], i
            own["at"], own["seen_s"] = here, track["time_s"]
            here += 1
    for i in range(len(tracks)):
        track = tracks[i]
        own, now, speed = known["own"][track["slot"]], track["time_s"], float(track["speed_mps"])
        close, leader, gap_m, limit_m = own["close"], track, np.inf, 0.0
        ahead, near = -1, False
        # NaN is not fast: a speed that is withheld bears no gap.
        fast = own["at"] >= 0 and (s["classes"] >> track["class_id"]) & 1 != 0 and speed > s["speed_min_mps"]
        if fast:
            ahead, gap_m = leader_of(known["here"], here, own["at"], AHEAD_S * speed)
            leader = tracks[known["row"][max(ahead, 0)]]
            limit_m = 0.18 * s["tenths"] * speed if s["half_speed"] != 0 else s["gap_s"] * speed
            braked_s = known["own"][leader["slot"]]["braked_s"]
            near = ahead >= 0 and gap_m < limit_m and now - braked_s >= s["braking_s"]
        same = ahead >= 0 and leader["id"] == close["leader"]
        led = known["own"][close["leader_slot"]]
        hidden = led["id"] == close["leader"] and led["seen_s"] < now and now - led["seen_s"] <= BREAK_S
        if fast and not same and close["runs"] != 0 and hidden:
            continue  # the leader was not found in this frame
        if close["runs"] != 0 and not (near and same and now - close["last_s"] <= BREAK_S):
            n += close_end(close, out[n], track, s["held_s"], s["way_m"])
        if fast:
            close_follow(close, track, leader["id"] if ahead >= 0 else 0, leader["slot"])
        if near:
            gap_sd_m = math.hypot(track["position_sd_m"], leader["position_sd_m"])
            # What passes as a track goes on, its youth or a weak beginning, only counts at the end of the run.
            reason, late = doubt(track, clock, now, 0.0, 0.0), doubt(track, clock, now, s["age_min_s"], s["score_min"])
            if reason == NO_REASON:
                reason = doubt(leader, clock, now, 0.0, 0.0)
            if late == NO_REASON:
                late = doubt(leader, clock, now, s["age_min_s"], s["score_min"])
            close_step(close, track, gap_m, gap_sd_m, limit_m, reason, late)
    return n


RULE = Rule(
    type="tailgating",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"judgement": "judgement", "reason": "reason"},
    needs_ground=True,
)
