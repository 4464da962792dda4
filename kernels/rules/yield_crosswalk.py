"""Flag a driver that does not give way to one on a crosswalk, or about to be, although it could have stopped."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.guards import judgement_of
from kernels.records import MAX_TRACKS, NO_REASON, ZONE, event_dtype
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask
from kernels.yielding import (
    AWAY,
    DRIVER,
    NEAREST,
    PASSED,
    REACT_S,
    WALKER,
    driver_step,
    meet_step,
    walker_step,
)  # fmt: skip


class Config(RuleConfig, kw_only=True, frozen=True):
    """`zone` is the crosswalk over one carriageway. One follows the other on the same way within `pet_s`.

    Who is within `kerb_m` of it and moves in counts as on it, but not who enters while `signal`, the walkers' own, is
    red. `walkers` may be cyclists too.
    """

    zone: str
    classes: tuple[ClassName, ...] = ("car", "bus", "truck", "motorcycle")
    walkers: tuple[ClassName, ...] = ("person",)
    signal: str | None = None
    pet_s: Annotated[float, msgspec.Meta(gt=0.0, le=3.0)] = 3.0
    kerb_m: Annotated[float, msgspec.Meta(ge=0.0, le=5.0)] = 1.0
    position_sd_max_m: Annotated[float, msgspec.Meta(gt=0.0, le=5.0)] = 0.5
    age_min_s: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 1.0
    score_min: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5

    def __post_init__(self) -> None:
        """Refuse a class that both drives and walks, and one that is neither."""
        if not self.classes or not self.walkers:
            raise ValueError("names no classes or no walkers; allowed: at least one of each")
        if both := [name for name in self.walkers if name in self.classes]:
            raise ValueError(f"has {both[0]!r} among classes and walkers; allowed: one of the two")


# `time_s` is when the driver's front came onto the crosswalk.
EVENT = event_dtype(
    ("other_track_id", "<u4"),  # who walked
    ("pet_s", "<f4"),  # from when the first left their common way until the second came; NaN where it never did
    ("way_m", "<f4"),  # of the driver to the crosswalk when the other entered it
    ("margin_m", "<f4"),  # over what it needs to stop
    ("speed_mps", "<f4"),  # of the driver at that time
    ("brake_mps2", "<f4"),  # what it would have taken to stop
    ("zone", "<i2"),
    ("vehicle_first", "<u1"),
    ("displaced", "<u1"),  # the other stopped or stepped back
    ("judgement", "<u1"),
    ("reason", "<u1"),
)

LIMITS = ("pet_s", "kerb_m", "position_sd_max_m", "age_min_s", "score_min")
SETTINGS = np.dtype(
    [("zone", ZONE), ("index", "<i2"), ("signal", "<i2"), ("classes", "<u4"), ("walkers", "<u4")]
    + [(name, "<f8") for name in LIMITS]
)
STATE = np.dtype([("walker", WALKER), ("driver", DRIVER), ("nearest", NEAREST)])


def prepare(config, scene):
    """Return the crosswalk, and for each track slot one who walks and one who drives."""
    settings = np.zeros(1, SETTINGS)
    settings["index"] = scene.zone_names.index(config.zone)
    settings["zone"] = scene.zone_rows[settings["index"][0]]
    settings["signal"] = -1 if config.signal is None else scene.signal_names.index(config.signal)
    settings["classes"], settings["walkers"] = class_mask(config.classes), class_mask(config.walkers)
    for name in LIMITS:
        settings[name] = getattr(config, name)
    return Prepared(settings, np.zeros(MAX_TRACKS, STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each passage that is over and was a failure to yield; return how many."""
    s, now, n = settings[0], clock["time_s"], 0
    for i in range(len(tracks)):
        track = tracks[i]
        own = state[track["slot"]]
        if (s["walkers"] >> track["class_id"]) & 1:
            walker_step(own["walker"], s, track, clock, signals)
        elif (s["classes"] >> track["class_id"]) & 1:
            driver_step(own["driver"], own["nearest"], s, track, clock)
    for i in range(len(state)):
        driver, nearest = state[i]["driver"], state[i]["nearest"]
        if driver["stage"] == AWAY:
            continue
        for j in range(len(state)):
            if state[j]["walker"]["n"] > 0:
                meet_step(driver, nearest, state[j]["walker"], s, now)
        driver["began"] = 0
        if clock["last"] == 0 and (driver["stage"] != PASSED or now - driver["left_s"] < s["pet_s"]):
            continue
        driver["stage"] = AWAY
        if nearest["found"] != 0:
            event, reason = out[n], driver["reason"] if driver["reason"] != NO_REASON else nearest["reason"]
            n += 1
            event["time_s"], event["track_id"], event["score"] = (
                driver["entered_s"],
                driver["track_id"],
                driver["score"],
            )
            event["class_id"], event["zone"], event["other_track_id"] = (
                driver["class_id"],
                s["index"],
                nearest["walker_id"],
            )
            event["pet_s"] = nearest["pet_s"] if nearest["pet_s"] < math.inf else math.nan
            event["way_m"], event["margin_m"] = nearest["way_m"], nearest["way_m"] - nearest["need_m"]
            event["speed_mps"], event["brake_mps2"] = nearest["speed_mps"], math.nan
            braking_m = nearest["way_m"] - nearest["speed_mps"] * REACT_S
            if braking_m > 0.0:
                event["brake_mps2"] = nearest["speed_mps"] * nearest["speed_mps"] / (2.0 * braking_m)
            event["vehicle_first"], event["displaced"] = nearest["first"], nearest["displaced"]
            event["judgement"], event["reason"] = judgement_of(reason), reason
    return n


RULE = Rule(
    type="yield_crosswalk",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"zone": "zone", "judgement": "judgement", "reason": "reason"},
    references={"zone": "zone", "signal": "signal"},
    needs_ground=True,
)
