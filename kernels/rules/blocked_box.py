"""Flag a vehicle that stops in a box junction, having entered it when there was no room beyond it on its way out."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.exits import EXIT, exit_row
from kernels.guards import judgement_of
from kernels.lasting import RHYTHM_S
from kernels.records import CALIBRATION, ENDED, NO_REASON, ZONE, event_dtype
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask
from kernels.stuck import DONE, seen_step, stuck_exit, stuck_forget, stuck_reason, stuck_states, stuck_step
from kernels.verdict import REPEAT_S
from kernels.watch import watch_frame, watch_reset

Exits = Annotated[tuple[str, ...], msgspec.Meta(max_length=16)]


class Config(RuleConfig, kw_only=True, frozen=True):
    """Slower than `stop_kmh` for `held_s` in `zone`, and at its entry less room than its length and `margin_m` beyond.

    `exit_lanes` and `exit_zones` are its ways out; what is slower than `creep_kmh` there takes room. `turn_exempt`:
    lines, not on these ways out, over which those leave who may wait in it for oncoming traffic; an event waits until
    the path is known, at most `path_s`.
    """

    zone: str
    exit_lanes: Exits
    exit_zones: Exits = ()
    turn_exempt: Exits = ()
    classes: tuple[ClassName, ...] = ("car", "bus", "truck", "motorcycle")
    stop_kmh: Annotated[float, msgspec.Meta(gt=0.0, le=20.0)] = 3.0
    creep_kmh: Annotated[float, msgspec.Meta(gt=0.0, le=30.0)] = 10.0
    held_s: Annotated[float, msgspec.Meta(ge=0.0, le=600.0)] = 3.0
    margin_m: Annotated[float, msgspec.Meta(ge=0.0, le=20.0)] = 1.0
    path_s: Annotated[float, msgspec.Meta(ge=0.0, le=600.0)] = 60.0
    ground_error_max_m: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 1.0
    age_min_s: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 1.0
    score_min: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5

    def __post_init__(self) -> None:
        """Refuse a box without a way out."""
        if not self.exit_lanes and not self.exit_zones:
            raise ValueError("names no way out; allowed: at least one of exit_lanes, exit_zones")


# `time_s` is when it was judged, `entry_s` when it entered.
EVENT = event_dtype(
    ("entry_s", "<f8"),
    ("stood_s", "<f4"),  # in the box, up to `time_s`
    ("free_m", "<f4"),  # beyond the box when it entered; NaN where its way out is not known
    ("length_m", "<f4"),  # its own
    ("margin_m", "<f4"),  # what it lacked: its length and margin_m less free_m
    ("zone", "<i2"),
    ("judgement", "<u1"),
    ("reason", "<u1"),
)

LIMITS = ("held_s", "margin_m", "path_s", "age_min_s", "score_min")
SETTINGS = np.dtype(
    [("way", EXIT), ("box", ZONE), ("index", "<i2"), ("classes", "<u4"), ("reason", "<u1")]
    + [(name, "<f8") for name in ("stop_mps", "creep_mps", *LIMITS)]
)


def prepare(config, scene):
    """Return a settings row for each way out and each exempt line, and what is known of each road user."""
    index = scene.zone_names.index(config.zone)
    box = scene.zone_rows[index]
    places = [scene.lane_rows[scene.lane_names.index(name)] for name in config.exit_lanes]
    places += [scene.zone_rows[scene.zone_names.index(name)] for name in config.exit_zones]
    settings = np.zeros(len(places) + len(config.turn_exempt), SETTINGS)
    for row, place in zip(settings, places, strict=False):
        row["way"] = exit_row(box, place)[0]
    for row, name in zip(settings[len(places) :], config.turn_exempt, strict=True):
        row["way"]["line"], row["way"]["is_line"] = scene.lines[scene.line_names.index(name)], 1
    settings["box"], settings["index"], settings["classes"] = box, index, class_mask(config.classes)
    settings["reason"] = NO_REASON if scene.ground_error_m <= config.ground_error_max_m else CALIBRATION
    settings["stop_mps"], settings["creep_mps"] = config.stop_kmh / 3.6, config.creep_kmh / 3.6
    for name in LIMITS:
        settings[name] = getattr(config, name)
    return Prepared(settings, stuck_states(len(settings)))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each vehicle that stood in the box and had no room beyond it; return how many."""
    known, s, n = state[0], settings[0], 0
    watch_frame(known["watch"], clock, RHYTHM_S)
    for i in range(len(tracks)):
        seen_step(known["seen"][tracks[i]["slot"]], tracks[i])
    for i in range(len(tracks)):
        track = tracks[i]
        ended = track["flags"] & ENDED != 0
        visit, rooms = known["visit"][track["slot"]], known["room"][track["slot"]]
        me = known["seen"][track["slot"]]
        if not (s["classes"] >> track["class_id"]) & 1:
            continue
        if not stuck_step(visit, rooms, me, known["seen"], settings, track, clock, known["watch"]):
            continue
        k = stuck_exit(visit, rooms, settings, ended)
        if k == -2 or (clock["suspended"] != 0 and not ended):
            continue
        visit["stage"] = DONE
        if k == -1 or clock["time_s"] - visit["told_s"] < REPEAT_S:
            continue
        visit["told_s"] = clock["time_s"]
        event, reason = out[n], stuck_reason(visit, rooms, k, track, clock, s)
        n += 1
        free_m = rooms[k]["free_m"] if k >= 0 else math.nan
        event["time_s"], event["track_id"], event["score"] = clock["time_s"], track["id"], track["score"]
        event["class_id"], event["zone"], event["entry_s"] = track["class_id"], s["index"], visit["entry_s"]
        event["stood_s"], event["free_m"], event["length_m"] = visit["held_s"], free_m, visit["length_m"]
        event["margin_m"] = visit["length_m"] + s["margin_m"] - free_m
        event["judgement"], event["reason"] = judgement_of(reason), reason
    if clock["last"] != 0:
        watch_reset(known["watch"])
        stuck_forget(known)
    return n


RULE = Rule(
    type="blocked_box",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"zone": "zone", "judgement": "judgement", "reason": "reason"},
    references={"zone": "zone", "exit_lanes": "lane", "exit_zones": "zone", "turn_exempt": "line"},
    needs_ground=True,
)
