"""Flag a vehicle that stands in a no-stop zone for longer than the sign allows, unless it only queues."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from kernels import stays
from kernels._jit import kernel
from kernels.footprint import zone_share
from kernels.guards import doubt
from kernels.records import ENDED, NO_REASON, QUEUE, ZONE, event_dtype
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask
from kernels.signals import stops_traffic

#: An event waits so long for doubt about its track to clear.
DOUBT_S = 1.0


class Config(RuleConfig, kw_only=True, frozen=True):
    """`share_min` of the road user lies in one of `zones` and stays within `radius_m` for `dwell_s`, as the sign says.

    Time with a road user that stands within `queue_m` ahead, or while `signal` stops its traffic, is queueing; it must
    go on within `release_s`; behind one that was told of it cannot be judged. No stop is shorter than `settle_s`.
    `classes` leaves out who may. A lost track's place is kept for `memory_s`. `report_end`: another event as it leaves.
    """

    zones: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=32)]
    classes: tuple[ClassName, ...] = ("car", "truck", "motorcycle")
    signal: str | None = None
    dwell_s: Annotated[float, msgspec.Meta(ge=0.0, le=86400.0)] = 120.0
    settle_s: Annotated[float, msgspec.Meta(ge=1.0, le=60.0)] = 3.0
    share_min: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)] = 0.5
    radius_m: Annotated[float, msgspec.Meta(gt=0.0, le=5.0)] = 1.0
    queue_m: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] = 8.0
    release_s: Annotated[float, msgspec.Meta(ge=0.0, le=120.0)] = 10.0
    memory_s: Annotated[float, msgspec.Meta(ge=0.0, le=3600.0)] = 60.0
    score_min: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5
    report_end: bool = False


EVENT = event_dtype(
    ("since_s", "<f8"),  # when it came to stand
    ("held_s", "<f4"),  # how long it had stood at `time_s`
    ("margin_s", "<f4"),  # held_s over the limit
    ("x_m", "<f4"),
    ("y_m", "<f4"),
    ("zone", "<i2"),
    ("share_percent", "<u1"),  # of its footprint in the zone
    ("phase", "<u1"),
    ("truncated", "<u1"),  # it stood before it was seen, or was lost from view: held_s is the least
    ("judgement", "<u1"),
    ("reason", "<u1"),
)

LIMITS = ("dwell_s", "settle_s", "share_min", "radius_m", "queue_m", "release_s", "memory_s", "score_min", "report_end")
SETTINGS = np.dtype(
    [
        ("zone", ZONE),
        ("index", "<i2"),
        ("signal", "<i2"),
        ("classes", "<u4"),
        ("followed", "<u4"),
        *((name, "<f8") for name in LIMITS),
    ]
)


def prepare(config, scene):
    """Return a settings row for each zone, and the stays of all tracks."""
    settings = np.zeros(len(config.zones), SETTINGS)
    for row, name in zip(settings, config.zones, strict=True):
        row["index"] = scene.zone_names.index(name)
        row["zone"] = scene.zone_rows[row["index"]]
    settings["signal"] = -1 if config.signal is None else scene.signal_names.index(config.signal)
    settings["classes"] = class_mask(config.classes)
    settings["followed"] = class_mask(config.classes) | (1 << stays.PERSON) - 1  # a bus may be what a queue waits for
    for name in LIMITS:
        settings[name] = getattr(config, name)
    return Prepared(settings, np.zeros(1, stays.STAYS))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each road user that has stood too long, and where asked for when it left; return how many."""
    s, known, now, n = settings[0], state[0], clock["time_s"], 0
    limit_s = max(s["dwell_s"], s["settle_s"])
    for i in range(len(tracks)):
        track = tracks[i]
        if track["flags"] & ENDED:
            stays.stay_end(known, track)
        elif (s["followed"] >> track["class_id"]) & 1:
            stays.stay_step(known, track, s["radius_m"])
    for i in range(len(tracks)):
        track = tracks[i]
        own = known["own"][track["slot"]]
        here = own["alive"] != 0 and own["track_id"] == track["id"] and own["seen_s"] == track["time_s"]
        if not here or own["reported"] != 0 or own["held_s"] < stays.SETTLE_S:
            continue
        ux, uy = own["footprint"]["ux"], own["footprint"]["uy"]
        # Where its heading is unknown nothing is ahead.
        around = stays.queue_around(known, own, ux, uy, s["queue_m"]) if ux != 0.0 or uy != 0.0 else 0
        red = s["signal"] >= 0 and stops_traffic(signals[max(s["signal"], 0)]["state"])
        if around & stays.AHEAD or red:
            own["queued_s"] = now
        due_s = max(own["since_s"] + limit_s, own["queued_s"] + s["release_s"])
        reason = doubt(track, clock, now, 1.0, s["score_min"])
        if around & stays.TOLD_AHEAD:
            own["behind_s"], reason = now, reason if reason != NO_REASON else QUEUE
        else:
            due_s = max(due_s, own["behind_s"] + s["release_s"])
        due_s += DOUBT_S if reason != NO_REASON else 0.0
        if now < due_s or not (s["classes"] >> track["class_id"]) & 1:
            continue
        share, own["lane"] = 0.0, 0
        for k in range(len(settings)):
            inside = zone_share(settings[k]["zone"], own["footprint"])
            if inside > share:
                share, own["lane"] = inside, k
        if share >= s["share_min"]:
            stays.begin_event(out[n], own, track, now, reason)
            out[n]["margin_s"], out[n]["share_percent"] = own["held_s"] - limit_s, round(100.0 * share)
            out[n]["zone"] = settings[own["lane"]]["index"]
            n += 1
    for i in range(len(known["places"])):
        place = known["places"][i]
        if stays.place_expired(place, clock, s["memory_s"]):
            place["used"] = 0
            if place["reported"] != 0 and s["report_end"] != 0.0 and n < len(out):
                stays.end_event(out[n], place)
                out[n]["margin_s"], out[n]["share_percent"] = out[n]["held_s"] - limit_s, 0
                out[n]["zone"] = settings[place["lane"]]["index"]
                n += 1
    if clock["last"] != 0:
        stays.stays_reset(known)
    return n


RULE = Rule(
    type="stopping",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"zone": "zone", "phase": "phase", "judgement": "judgement", "reason": "reason"},
    references={"zones": "zone", "signal": "signal"},
    needs_ground=True,
)
