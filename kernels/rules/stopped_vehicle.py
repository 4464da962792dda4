"""Alarm of a vehicle that stands in a lane while traffic does not, and say when it has moved on."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from kernels import stays
from kernels._jit import kernel
from kernels.geometry import inside_zone_m
from kernels.guards import doubt
from kernels.records import ENDED, NO_REASON, ZONE, event_dtype
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask
from kernels.signals import stops_traffic

#: An alarm waits so long for doubt about its track to clear.
DOUBT_S = 1.0
#: Traffic beside a standing vehicle flows when one moved there so little ago.
FLOW_S = 10.0


class Config(RuleConfig, kw_only=True, frozen=True):
    """`lanes` are watched. Stands: stays within `radius_m` for `dwell_s`. Queues: one stands within `queue_m` ahead.

    It queues too where vehicles stand beside it and none moves, for `blocked_s` at most, and while `signal` stops its
    traffic. What has queued must go on within `release_s`. A lost track's place is remembered for `memory_s`.
    """

    lanes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=32)]
    classes: tuple[ClassName, ...] = ("car", "bus", "truck", "motorcycle")
    signal: str | None = None
    dwell_s: Annotated[float, msgspec.Meta(ge=2.0, le=3600.0)] = 5.0
    radius_m: Annotated[float, msgspec.Meta(gt=0.0, le=5.0)] = 1.0
    queue_m: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] = 20.0
    blocked_s: Annotated[float, msgspec.Meta(ge=0.0, le=3600.0)] = 120.0
    release_s: Annotated[float, msgspec.Meta(ge=0.0, le=120.0)] = 10.0
    memory_s: Annotated[float, msgspec.Meta(ge=0.0, le=600.0)] = 10.0
    score_min: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5


EVENT = event_dtype(
    ("since_s", "<f8"),  # when it came to stand
    ("held_s", "<f4"),  # how long it had stood at `time_s`
    ("x_m", "<f4"),
    ("y_m", "<f4"),
    ("lane", "<i2"),
    ("phase", "<u1"),
    ("truncated", "<u1"),  # it stood before it was seen, or was lost from view: held_s is the least
    ("judgement", "<u1"),
    ("reason", "<u1"),
)

LIMITS = ("dwell_s", "radius_m", "queue_m", "blocked_s", "release_s", "memory_s", "score_min")
SETTINGS = np.dtype(
    [
        ("lane", ZONE),
        ("index", "<i2"),
        ("signal", "<i2"),
        ("classes", "<u4"),
        ("followed", "<u4"),
        *((name, "<f8") for name in LIMITS),
    ]
)


def prepare(config, scene):
    """Return a settings row for each lane, and the stays of all tracks."""
    settings = np.zeros(len(config.lanes), SETTINGS)
    for row, name in zip(settings, config.lanes, strict=True):
        row["index"] = scene.lane_names.index(name)
        row["lane"] = scene.lane_rows[row["index"]]
    settings["signal"] = -1 if config.signal is None else scene.signal_names.index(config.signal)
    settings["classes"] = class_mask(config.classes)
    settings["followed"] = (
        class_mask(config.classes) | (1 << stays.PERSON) - 1
    )  # every vehicle may be what a queue waits for
    for name in LIMITS:
        settings[name] = getattr(config, name)
    return Prepared(settings, np.zeros(1, stays.STAYS))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each vehicle that is found to stand and each that stands no more; return how many."""
    s, known, now, n = settings[0], state[0], clock["time_s"], 0
    for i in range(len(tracks)):
        track = tracks[i]
        own = known["own"][track["slot"]]
        if track["flags"] & ENDED:
            stays.stay_end(known, track)
        elif (s["followed"] >> track["class_id"]) & 1:
            on_road = stays.stay_step(known, track, s["radius_m"])
            own["lane"] = own["lane"] if own["reported"] != 0 else -1
            for k in range(len(settings)):
                if on_road and own["lane"] < 0:
                    x_m, y_m = own["footprint"]["x_m"], own["footprint"]["y_m"]
                    own["lane"] = k if inside_zone_m(settings[k]["lane"], x_m, y_m) else -1
    for i in range(len(tracks)):
        track = tracks[i]
        own = known["own"][track["slot"]]
        here = own["alive"] != 0 and own["track_id"] == track["id"] and own["seen_s"] == track["time_s"]
        if not here or own["reported"] != 0 or own["lane"] < 0 or own["held_s"] < stays.SETTLE_S:
            continue
        lane = settings[own["lane"]]["lane"]
        around = stays.queue_around(known, own, lane["flow_x_m"], lane["flow_y_m"], s["queue_m"])
        if around & stays.FLOWING:
            own["flowed_s"] = now
        beside = around & stays.BESIDE and now - own["flowed_s"] > FLOW_S and own["held_s"] < s["blocked_s"]
        red = s["signal"] >= 0 and stops_traffic(signals[max(s["signal"], 0)]["state"])
        if around & (stays.AHEAD | stays.TOLD_AHEAD) or beside or red:
            own["queued_s"] = now
        due_s = max(own["since_s"] + s["dwell_s"], own["queued_s"] + s["release_s"])
        reason = doubt(track, clock, now, 1.0, s["score_min"])
        if (
            now < due_s
            or (reason != NO_REASON and now < due_s + DOUBT_S)
            or not (s["classes"] >> track["class_id"]) & 1
        ):
            continue
        stays.begin_event(out[n], own, track, now, reason)
        out[n]["lane"] = settings[own["lane"]]["index"]
        n += 1
    for i in range(len(known["places"])):
        place = known["places"][i]
        if stays.place_expired(place, clock, s["memory_s"]):
            place["used"] = 0
            if place["reported"] != 0 and n < len(out):
                stays.end_event(out[n], place)
                out[n]["lane"] = settings[place["lane"]]["index"]
                n += 1
    if clock["last"] != 0:
        stays.stays_reset(known)
    return n


RULE = Rule(
    type="stopped_vehicle",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"lane": "lane", "phase": "phase", "judgement": "judgement", "reason": "reason"},
    references={"lanes": "lane", "signal": "signal"},
    needs_ground=True,
)
