"""Count who walks or rides over a crosswalk to its other side, how fast, after what wait and at what signal."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.crossing import direction_code
from kernels.records import LINE, ZONE, event_dtype
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask
from kernels.signals import state_at
from kernels.walks import ON_ITS_WAY, OVER, WALKS, in_group, side_of, walk_reset, walk_step


class Config(RuleConfig, kw_only=True, frozen=True):
    """The crosswalk is the `zone`; `line` lies across it between the kerbs: who comes on one side of it and goes on the
    other has crossed, also who was first or last seen on the crosswalk itself. `waits`: zones at the kerbs, for
    waiting times. `signal`: what pedestrians see as they step on.
    """

    zone: str
    line: str
    waits: Annotated[tuple[str, ...], msgspec.Meta(max_length=8)] = ()
    signal: str | None = None
    classes: tuple[ClassName, ...] = ("person", "bicycle")


# `time_s` is when it left the crosswalk. NaN: wait_s of who was not seen to come and wait, cross_s and speed_mps of who
# was not seen to step on or off, speed_mps without a ground.
EVENT = event_dtype(
    ("wait_s", "<f4"),  # from the arrival in a zone to wait in to the first step on the crosswalk
    ("cross_s", "<f4"),
    ("speed_mps", "<f4"),
    ("zone", "<i2"),
    ("direction", "<u1"),
    ("signal_state", "<i1"),  # at its first step; -1: no signal, or not seen
    ("group", "<u1"),  # another went the same way near it: some may be hidden
    ("truncated", "<u1"),  # 1: first seen on the crosswalk, 2: last seen there, 4: first seen waiting
    ("reason", "<u1"),
)

SETTINGS = np.dtype(
    [("crosswalk", ZONE), ("zone", ZONE), ("line", LINE), ("index", "<i2"), ("signal", "<i2"), ("classes", "<u4")]
)


def prepare(config, scene):
    """Return a row for each zone to wait in, an empty one where there is none, and nobody on the crosswalk."""
    settings = np.zeros(max(len(config.waits), 1), SETTINGS)
    settings["index"] = scene.zone_names.index(config.zone)
    settings["crosswalk"] = scene.zone_rows[settings["index"][0]]
    settings["line"] = scene.lines[scene.line_names.index(config.line)]
    for row, name in zip(settings, config.waits, strict=False):
        row["zone"] = scene.zone_rows[scene.zone_names.index(name)]
    settings["signal"] = -1 if config.signal is None else scene.signal_names.index(config.signal)
    settings["classes"] = class_mask(config.classes)
    return Prepared(settings, np.zeros(1, WALKS))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each road user that has gone over to the other kerb; return how many."""
    s, walks, n = settings[0], state[0]["walk"], 0
    for i in range(len(tracks)):
        track = tracks[i]
        walk = walks[track["slot"]]
        if walk["track_id"] != track["id"]:
            walk_reset(walk, track["id"])
        now = walk_step(walk, s["crosswalk"], s["line"], settings, track)
        if clock["suspended"] != 0:
            walk["reason"] = clock["suspended"]
        if walk["signal_state"] < 0 and walk["walks"] != 0 and walk["entered"] != 0 and s["signal"] >= 0:
            walk["signal_state"], _ = state_at(signals[s["signal"]], walk["entry"]["time_s"])
        if now == ON_ITS_WAY:
            continue
        if now == OVER and (s["classes"] >> track["class_id"]) & 1 != 0:
            event = out[n]
            n += 1
            entry, leave, seen = walk["entry"], walk["exit"], walk["entered"] != 0 and walk["inside"] == 0
            event["time_s"], event["track_id"], event["score"] = leave["time_s"], track["id"], track["score"]
            event["class_id"], event["zone"], event["reason"] = track["class_id"], s["index"], walk["reason"]
            event["wait_s"], event["cross_s"], event["speed_mps"] = walk["waited_s"], math.nan, math.nan
            event["truncated"] = (1 if walk["entered"] == 0 else 0) + (2 if walk["inside"] != 0 else 0)
            if walk["waited_s"] == math.inf:
                event["wait_s"] = math.nan
                event["truncated"] += 4
            event["signal_state"], event["group"] = walk["signal_state"], in_group(walks, walk)
            event["direction"] = direction_code(s["line"], side_of(s["line"], leave))
            cross_s = leave["time_s"] - entry["time_s"]
            if seen and cross_s > 0.0:
                event["cross_s"] = cross_s
                event["speed_mps"] = math.hypot(leave["x_m"] - entry["x_m"], leave["y_m"] - entry["y_m"]) / cross_s
    return n


RULE = Rule(
    type="crosswalk",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"zone": "zone", "direction": "direction", "signal_state": "signal_state", "reason": "reason"},
    references={"zone": "zone", "line": "line", "waits": "zone", "signal": "signal"},
)
