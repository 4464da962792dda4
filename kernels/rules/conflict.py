"""Tell of two road users who nearly met: time to contact, needed braking, and how soon one came after the other."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.encounter import encounter_kind, severity
from kernels.guards import judgement_of
from kernels.later import LATER, later_due, later_next, later_push, later_reset
from kernels.meeting import MAX_MEETINGS, NEAR_LIMITS, NEARNESS, meetings_step
from kernels.passing import PASSINGS, passings_reset, passings_step
from kernels.records import REAR_END, event_dtype
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask


class Config(RuleConfig, kw_only=True, frozen=True):
    """Contact within `ttc_max_s` if both went on, or the second within `pet_report_s` where the first was.

    One behind another counts too who would have to brake with `drac_mps2`, within `horizon_s`. A post-encroachment time
    up to `pet_max_s` is told with the rest. One of the two has `speed_min_mps`, and both `closing_min_mps` to each
    other; the places of both are known to `position_sd_max_m`, and both have been seen for `age_min_s`.
    """

    classes: tuple[ClassName, ...] = ()
    ttc_max_s: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)] = 1.5
    pet_report_s: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 1.5
    pet_max_s: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)] = 5.0
    drac_mps2: Annotated[float, msgspec.Meta(gt=0.0, le=100.0)] = 3.35
    horizon_s: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)] = 3.0
    speed_min_mps: Annotated[float, msgspec.Meta(ge=0.0, le=20.0)] = 1.0
    closing_min_mps: Annotated[float, msgspec.Meta(ge=0.0, le=20.0)] = 1.0
    position_sd_max_m: Annotated[float, msgspec.Meta(gt=0.0, le=5.0)] = 0.5
    age_min_s: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 1.0
    score_min: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5

    def __post_init__(self) -> None:
        """Refuse a horizon below what it must show, and a report of what is not measured."""
        if self.horizon_s < self.ttc_max_s:
            raise ValueError(f"has horizon_s {self.horizon_s:g}; allowed is ttc_max_s ({self.ttc_max_s:g}) or more")
        if self.pet_max_s < self.pet_report_s:
            raise ValueError(
                f"has pet_max_s {self.pet_max_s:g}; allowed is pet_report_s ({self.pet_report_s:g}) or more"
            )


# `track_id` is who approached more, or came second; `time_s` is when the time to contact was least, or the second came.
EVENT = event_dtype(
    ("other_track_id", "<u4"),
    ("ttc_s", "<f4"),  # NaN where they were never about to meet
    ("pet_s", "<f4"),  # NaN where none came onto the other's way
    ("drac_mps2", "<f4"),  # the most; NaN as ttc_s
    ("x_m", "<f4"),  # where they would have met
    ("y_m", "<f4"),
    ("speed_kmh", "<u1"),
    ("other_speed_kmh", "<u1"),
    ("ttc_sd_cs", "<u1"),  # hundredths of a second; 255 is that or more
    ("severity", "<u1"),  # 3 below 0.5 s, 2 below 1.0 s, 1 below 1.5 s
    ("other_class", "<u1"),
    ("encounter", "<u1"),
    ("judgement", "<u1"),
    ("reason", "<u1"),
)

LIMITS = ("ttc_max_s", "pet_report_s", "pet_max_s", "drac_mps2")
SETTINGS = np.dtype([("near", NEARNESS), *((name, "<f8") for name in LIMITS)])
STATE = np.dtype([("later", LATER), ("passings", PASSINGS)])
#: So many encounters are kept free: the longest quiet one is closed before there is no place.
SPARE = 32


def prepare(config, scene):
    """Return one settings row, and the road users, their trails and encounters."""
    settings = np.zeros(1, SETTINGS)
    settings["near"]["classes"] = class_mask(config.classes)
    for name in NEAR_LIMITS:
        settings["near"][name] = getattr(config, name)
    for name in LIMITS:
        settings[name] = getattr(config, name)
    return Prepared(settings, np.zeros(1, STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each encounter that is over and was a conflict; return how many.

    Encounters are followed a moment late, when it is known what came after.
    """
    s, later, passings, n = settings[0], state[0]["later"], state[0]["passings"], 0
    known, now = passings["meetings"], later["now"]
    later_push(later, tracks, clock)
    while later_due(later, clock["last"] != 0):
        later_next(later)
        meetings_step(known, later["out"][: later["n"]], now, s["near"])
        passings_step(passings, now, s["near"], s["pet_max_s"])
    used, oldest_s = 0, np.inf
    for i in range(known["top"]):
        if known["open"][i]["used"] != 0:
            used, oldest_s = used + 1, min(oldest_s, known["open"][i]["active_s"])
    crowded = used > MAX_MEETINGS - SPARE
    for i in range(known["top"]):
        one = known["open"][i]
        quiet = now["time_s"] - one["active_s"] > s["pet_max_s"] or (crowded and one["active_s"] <= oldest_s)
        if one["used"] == 0 or not (quiet or clock["last"] != 0) or n == len(out):
            continue
        one["used"] = 0
        kind = encounter_kind(one["angle_deg"])
        braked = kind == REAR_END and one["ttc_s"] < np.inf and one["drac_mps2"] >= s["drac_mps2"]
        if not (one["ttc_s"] <= s["ttc_max_s"] or one["pet_s"] < s["pet_report_s"] or braked):
            continue
        event, lead = out[n], one["lead"]
        n += 1
        met = one["ttc_s"] < np.inf
        event["time_s"], event["track_id"], event["other_track_id"] = one["at_s"], one["id"][lead], one["id"][1 - lead]
        event["class_id"], event["other_class"] = one["class_id"][lead], one["class_id"][1 - lead]
        event["score"] = min(one["score"][0], one["score"][1])
        event["speed_kmh"] = min(3.6 * one["speed_mps"][lead] + 0.5, 255.0)
        event["other_speed_kmh"] = min(3.6 * one["speed_mps"][1 - lead] + 0.5, 255.0)
        event["ttc_s"], event["drac_mps2"] = (one["ttc_s"], one["drac_mps2"]) if met else (np.nan, np.nan)
        event["ttc_sd_cs"] = min(100.0 * one["ttc_sd_s"] + 0.5, 255.0) if met else 255
        event["pet_s"], event["x_m"], event["y_m"] = one["pet_s"], one["x_m"], one["y_m"]
        event["severity"], event["encounter"] = severity(one["ttc_s"], one["pet_s"]), kind
        event["judgement"], event["reason"] = judgement_of(one["reason"]), one["reason"]
    if clock["last"] != 0:
        passings_reset(passings)
        later_reset(later)
    return n


RULE = Rule(
    type="conflict",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"other_class": "class", "encounter": "encounter", "judgement": "judgement", "reason": "reason"},
    needs_ground=True,
)
