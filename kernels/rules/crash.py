"""Raise an alarm where two road users seem to have crashed: they met or nearly so, and then stand there."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.guards import judgement_of
from kernels.impact import IMPACT_LIMITS, IMPACTS, LIMITS, MAX_IMPACTS, impact_due, impacts_reset, impacts_step
from kernels.meeting import NEAR_LIMITS, NEARNESS, meetings_step
from kernels.records import event_dtype
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask


class Config(RuleConfig, kw_only=True, frozen=True):
    """Contact, or less than `ttc_max_s` to it and braking with `braking_mps2`, or a turn by `turn_deg` at speed.

    Then two of those within `place_m` of it stand for `stand_s`, who moved before, one of the two that met among them.
    What is not followed by that within `alarm_s` was none. Who meets at less than `closing_min_mps` does no harm.
    """

    classes: tuple[ClassName, ...] = ()
    ttc_max_s: Annotated[float, msgspec.Meta(gt=0.0, le=2.0)] = 0.3
    braking_mps2: Annotated[float, msgspec.Meta(gt=0.0, le=30.0)] = 6.0
    turn_deg: Annotated[float, msgspec.Meta(gt=0.0, le=180.0)] = 45.0
    turn_speed_mps: Annotated[float, msgspec.Meta(gt=0.0, le=50.0)] = 5.0
    stand_s: Annotated[float, msgspec.Meta(ge=1.0, le=60.0)] = 3.0
    place_m: Annotated[float, msgspec.Meta(gt=0.0, le=100.0)] = 15.0
    alarm_s: Annotated[float, msgspec.Meta(ge=3.0, le=120.0)] = 10.0
    closing_min_mps: Annotated[float, msgspec.Meta(gt=0.0, le=20.0)] = 2.0
    position_sd_max_m: Annotated[float, msgspec.Meta(gt=0.0, le=5.0)] = 1.0
    age_min_s: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 1.0
    score_min: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5

    def __post_init__(self) -> None:
        """Refuse an alarm that would come too late for who stands."""
        if self.alarm_s <= self.stand_s:
            raise ValueError(f"has alarm_s {self.alarm_s:g}; allowed is more than stand_s ({self.stand_s:g})")


# `time_s` is the alarm's; it happened `after_s` before.
EVENT = event_dtype(
    ("other_track_id", "<u4"),  # 0: of one that was turned round
    ("after_s", "<f4"),
    ("ttc_s", "<f4"),  # the least time to contact, 0 for contact; NaN where it was turned round
    ("braking_mps2", "<f4"),
    ("turned_deg", "<f4"),
    ("x_m", "<f4"),
    ("y_m", "<f4"),
    ("stopped", "<u1"),  # how many stand there
    ("other_class", "<u1"),
    ("judgement", "<u1"),
    ("reason", "<u1"),
)

SETTINGS = np.dtype([("near", NEARNESS), ("limits", LIMITS)])
#: Encounters are followed from so long before contact; then what is left of the time is told by several frames.
HORIZON_S = 1.0


def prepare(config, scene):
    """Return one settings row, and the road users with their encounters and what may have been a crash."""
    settings = np.zeros(1, SETTINGS)
    settings["near"]["classes"] = class_mask(config.classes)
    settings["near"]["horizon_s"] = max(HORIZON_S, config.ttc_max_s)
    settings["near"]["speed_min_mps"] = config.closing_min_mps / 2
    for name in NEAR_LIMITS:
        if hasattr(config, name):
            settings["near"][name] = getattr(config, name)
    for name in IMPACT_LIMITS:
        settings["limits"][name] = getattr(config, name)
    return Prepared(settings, np.zeros(1, IMPACTS))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each place where there seems to have been a crash; return how many."""
    s, known, n = settings[0]["limits"], state[0], 0
    meetings_step(known["meetings"], tracks, clock, settings[0]["near"])
    impacts_step(known, clock, s)
    for i in range(MAX_IMPACTS):
        if not impact_due(known, i, clock, s):
            continue
        one, event = known["impacts"][i], out[n]
        n += 1
        first = 0 if one["id"][0] != 0 else 1
        event["time_s"], event["score"] = clock["time_s"], one["score"]
        event["track_id"], event["class_id"] = one["id"][first], one["class_id"][first]
        event["other_track_id"], event["other_class"] = one["id"][1] * (1 - first), one["class_id"][1]
        event["after_s"], event["ttc_s"] = clock["time_s"] - one["time_s"], one["ttc_s"]
        event["braking_mps2"], event["turned_deg"] = one["braking_mps2"], one["turned_deg"]
        event["x_m"], event["y_m"], event["stopped"] = one["x_m"], one["y_m"], one["stopped"]
        reason = one["reason"] if one["reason"] != 0 else clock["suspended"]
        event["judgement"], event["reason"] = judgement_of(reason), reason
    if clock["last"] != 0:
        impacts_reset(known)
    return n


RULE = Rule(
    type="crash",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"other_class": "class", "judgement": "judgement", "reason": "reason"},
    needs_ground=True,
)
