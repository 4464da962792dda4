"""Tell when a zone is occupied, as a loop in the road does: on while any road user's footprint is over it."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.loops import LOOP, loop_close, loop_follow, loop_tell
from kernels.records import STREAM_GAP, ZONE, event_dtype
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask
from kernels.watch import WATCH, watch_frame


class Config(RuleConfig, kw_only=True, frozen=True):
    """The zone stays on through absences of up to `hold_s`. Only persons among the `classes`: a pedestrian detector."""

    zone: str
    classes: tuple[ClassName, ...] = ("car", "bus", "truck", "motorcycle", "bicycle")
    hold_s: Annotated[float, msgspec.Meta(ge=0.0, le=60.0)] = 0.0


# On and off alternate, their times rise. `vehicles`: how many road users have been over the zone since it went on.
# `held_s`: how long it was on, at its off. `reason`: why it is off although somebody may be over it.
EVENT = event_dtype(("held_s", "<f4"), ("vehicles", "<u2"), ("zone", "<i2"), ("on", "<u1"), ("reason", "<u1"))

SETTINGS = np.dtype([("zone", ZONE), ("index", "<i2"), ("on_road", "<u1"), ("classes", "<u4"), ("hold_s", "<f8")])
STATE = np.dtype([("loop", LOOP), ("watch", WATCH)])


def prepare(config, scene):
    """Return the zone's outline, in px where it is not all on the road, and a loop that nobody is over."""
    settings = np.zeros(1, SETTINGS)
    index = scene.zone_names.index(config.zone)
    zone = scene.zone_rows[index].copy()
    on_road = bool(np.isfinite(zone["m"][: zone["n"]]).all())
    if not on_road:
        zone["m"] = zone["px"]
    settings["zone"], settings["index"], settings["on_road"] = zone, index, on_road
    settings["classes"], settings["hold_s"] = class_mask(config.classes), config.hold_s
    return Prepared(settings, np.zeros(1, STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event each time that the zone came to be occupied or free; return how many."""
    s, loop, watch = settings[0], state[0]["loop"], state[0]["watch"]
    now_s, n = clock["time_s"], 0
    if loop["runs"] == 0:
        loop["runs"], loop["from_s"], loop["told_s"], watch["runs"] = 1, now_s, now_s, 0
    if clock["last"] == 0:
        watch_frame(watch, clock, 3600.0)
        reason = clock["suspended"]
        if reason == 0 and watch["gap"] != 0:
            reason = STREAM_GAP
        if reason != 0:
            n = loop_close(loop, now_s - clock["dt_s"], reason, out, n)
            loop["from_s"] = now_s
            loop["told_s"] = max(now_s, loop["told_s"])
    if clock["suspended"] == 0:
        for i in range(len(tracks)):
            body = loop["body"][tracks[i]["slot"]]
            # Who is over it stays so when its class is taken for another on the way.
            holds = body["over"] != 0 and body["track_id"] == tracks[i]["id"]
            if holds or (s["classes"] >> tracks[i]["class_id"]) & 1 != 0:
                loop_follow(loop, s["zone"], tracks[i], i, s["on_road"] != 0)
        n += loop_tell(loop, tracks, now_s, s["hold_s"], out[n:])
    if clock["last"] != 0:
        n = loop_close(loop, now_s, 0, out, n)
        loop["runs"] = 0
    for k in range(n):
        out[k]["zone"] = s["index"]
    return n


RULE = Rule(
    type="presence",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"zone": "zone", "reason": "reason"},
    references={"zone": "zone"},
)
