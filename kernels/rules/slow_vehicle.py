"""Alarm of a vehicle that is much slower than the traffic of its lane, and say when it no longer is."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from kernels import pace
from kernels._jit import kernel
from kernels.guards import doubt, judgement_of
from kernels.lasting import RHYTHM_S, lasted_s
from kernels.records import BEGIN, CALIBRATION, END, ENDED, NO_REASON, ZONE, event_dtype
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask
from kernels.watch import WATCH, watch_frame, watch_reset

#: An alarm waits so long for doubt about its track to clear.
DOUBT_S = 1.0


class Config(RuleConfig, kw_only=True, frozen=True):
    """Slower than `slow_kmh`, or than `slow_share` of the others, for `held_s` while the others exceed `median_kmh`.

    The others: the median of `others_min` or more vehicles of its lane in the last `window_s`. Who changes speed by
    more than `accel_max_mps2` enters or leaves; below `stand_kmh` it stands; within `queue_m` it follows another slow
    one. It ends when it has been faster for `clear_s`, or leaves the lanes.
    """

    lanes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=32)]
    classes: tuple[ClassName, ...] = ("car", "bus", "truck", "motorcycle")
    slow_kmh: Annotated[float, msgspec.Meta(gt=0.0, le=200.0)] = 30.0
    slow_share: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] = 0.5
    median_kmh: Annotated[float, msgspec.Meta(gt=0.0, le=200.0)] = 60.0
    others_min: Annotated[int, msgspec.Meta(ge=1, le=50)] = 3
    window_s: Annotated[float, msgspec.Meta(ge=1.0, le=600.0)] = 60.0
    held_s: Annotated[float, msgspec.Meta(ge=0.0, le=600.0)] = 5.0
    clear_s: Annotated[float, msgspec.Meta(ge=0.0, le=600.0)] = 3.0
    stand_kmh: Annotated[float, msgspec.Meta(ge=0.0, le=30.0)] = 3.0
    accel_max_mps2: Annotated[float, msgspec.Meta(gt=0.0, le=20.0)] = 0.7
    queue_m: Annotated[float, msgspec.Meta(ge=0.0, le=500.0)] = 50.0
    ground_error_max_m: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 2.0
    age_min_s: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 1.0
    score_min: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5

    def __post_init__(self) -> None:
        """Refuse traffic that is itself slow."""
        if self.median_kmh < self.slow_kmh:
            raise ValueError(f"has median_kmh {self.median_kmh:g}; allowed: slow_kmh ({self.slow_kmh:g}) or more")


# `time_s` is the alarm's, at the end when it was last slow.
EVENT = event_dtype(
    ("held_s", "<f4"),  # since it began to be slow
    ("speed_mps", "<f4"),
    ("speed_sd_mps", "<f4"),
    ("median_mps", "<f4"),  # of the others in its lane
    ("margin_mps", "<f4"),  # its speed and two deviations, below the limit
    ("lane", "<i2"),
    ("phase", "<u1"),
    ("truncated", "<u1"),  # at the end: its track ended before it was faster
    ("judgement", "<u1"),
    ("reason", "<u1"),
)

LIMITS = ("slow_share", "others_min", "window_s", "held_s", "clear_s", "accel_max_mps2", "queue_m", "age_min_s",
          "score_min")  # fmt: skip
SETTINGS = np.dtype(
    [("lane", ZONE), ("index", "<i2"), ("classes", "<u4"), ("reason", "<u1")]
    + [(f"{name}_mps", "<f8") for name in ("slow", "median_min", "stand")]
    + [(name, "<f8") for name in LIMITS]
)
STATE = np.dtype([("slows", pace.SLOWS), ("watch", WATCH)])


def prepare(config, scene):
    """Return a settings row for each lane, and what is known of vehicles and lanes."""
    settings = np.zeros(len(config.lanes), SETTINGS)
    for row, name in zip(settings, config.lanes, strict=True):
        row["index"] = scene.lane_names.index(name)
        row["lane"] = scene.lane_rows[row["index"]]
    settings["classes"] = class_mask(config.classes)
    settings["reason"] = NO_REASON if scene.ground_error_m <= config.ground_error_max_m else CALIBRATION
    for name, kmh in (("slow", config.slow_kmh), ("median_min", config.median_kmh), ("stand", config.stand_kmh)):
        settings[f"{name}_mps"] = kmh / 3.6
    for name in LIMITS:
        settings[name] = getattr(config, name)
    return Prepared(settings, np.zeros(1, STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each vehicle that is found slow and each that no longer is; return how many."""
    slows, watch, now, n = state[0]["slows"], state[0]["watch"], clock["time_s"], 0
    watch_frame(watch, clock, RHYTHM_S)
    for i in range(len(tracks)):
        if (settings[0]["classes"] >> tracks[i]["class_id"]) & 1:
            pace.slow_place(slows, settings, tracks[i])
    for i in range(len(tracks)):
        track = tracks[i]
        own = slows["own"][track["slot"]]
        if own["track_id"] != track["id"] or own["lane"] < 0:
            continue
        s, ended = settings[own["lane"]], track["flags"] & ENDED != 0
        passed_s = lasted_s(watch, clock, own["at_s"])
        own["at_s"] = now
        if not ended:
            others_min = s["others_min"]
            median = pace.pace_median_mps(slows["lanes"][own["lane"]], track["id"], now - s["window_s"], others_min)
            own["median_mps"] = median
            found = pace.slow_now(own, s, track) if own["alive"] != 0 else -1
            if found > 0 and own["reported"] == 0 and pace.slow_ahead(slows, own, s):
                found = -1
            pace.slow_run(own, found, passed_s, now)
        reason = doubt(track, clock, now, s["age_min_s"], s["score_min"])
        reason = s["reason"] if reason == NO_REASON else reason
        due_s = s["held_s"] + (DOUBT_S if reason not in (NO_REASON, CALIBRATION) else 0.0)
        begins = own["reported"] == 0 and not ended and own["slow_s"] == now and own["run_s"] >= due_s
        # What left the lanes has ended at once.
        ends = own["reported"] != 0 and (ended or own["alive"] == 0 or own["quick_s"] >= s["clear_s"])
        if (clock["suspended"] != 0 and not ended) or not (begins or ends):
            continue
        pace.slow_event(out[n], own, s, now if begins else own["slow_s"], reason if begins else NO_REASON)
        out[n]["phase"], out[n]["truncated"] = BEGIN if begins else END, ended
        out[n]["judgement"], out[n]["lane"] = judgement_of(out[n]["reason"]), s["index"]
        own["reported"], own["run_s"], own["quick_s"] = begins, own["run_s"] if begins else 0.0, 0.0
        n += 1
    if clock["last"] != 0:
        watch_reset(watch)
        pace.slows_forget(slows)
    return n


RULE = Rule(
    type="slow_vehicle",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"lane": "lane", "phase": "phase", "judgement": "judgement", "reason": "reason"},
    references={"lanes": "lane"},
    needs_ground=True,
)
