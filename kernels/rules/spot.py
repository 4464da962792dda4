"""Measure each vehicle at a line: when its front and rear went over it, how fast, and how far behind its leader."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.crossing import CROSSING, FRONT, REAR, crossing_reset, crossing_step, direction_code, speed_at
from kernels.records import ENDED, LINE, MAX_TRACKS, RELINKED, ZONE, event_dtype
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask
from kernels.spots import PASSAGES, lane_of_crossing, passage_add, passage_leader, passages_reset
from kernels.watch import WATCH, watch_frame


class Config(RuleConfig, kw_only=True, frozen=True):
    """`lanes`: a leader is the one before in the same lane; without them, over the same line. Else as in line_count."""

    line: str
    lanes: Annotated[tuple[str, ...], msgspec.Meta(max_length=32)] = ()
    classes: tuple[ClassName, ...] = ("car", "bus", "truck", "motorcycle", "bicycle")
    settle_s: Annotated[float, msgspec.Meta(ge=0.0, le=5.0)] = 0.1
    band_px: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] = 2.0
    band_share: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.1


# `time_s` is the front's. NaN where unknown: headway and gap at the first vehicle after the stream's start, a gap or a
# suspension; what needs the rear, where front and rear are one point.
EVENT = event_dtype(
    ("headway_s", "<f4"),  # from the leader's front to this front
    ("gap_s", "<f4"),  # from the leader's rear to this front
    ("passage_s", "<f4"),  # from front to rear
    ("speed_mps", "<f4"),
    ("speed_sd_mps", "<f4"),
    ("length_m", "<f4"),
    ("line", "<i2"),
    ("lane", "<i2"),
    ("direction", "<u1"),
    ("reason", "<u1"),
    ("bridged", "<u1"),
)

#: Front and rear so near to each other in the picture are one point.
LENGTH_MIN_PX, LENGTH_MIN_M = 1.0, 0.3

LIMITS = ("settle_s", "band_px", "band_share")
SETTINGS = np.dtype(
    [("line", LINE), ("zone", ZONE), ("index", "<i2"), ("lane_index", "<i2"), ("classes", "<u4")]
    + [(name, "<f8") for name in (*LIMITS, "scale_sd")]
)
OWN = np.dtype(
    [
        ("front", CROSSING),
        ("rear", CROSSING),
        ("event", EVENT),
        ("track_id", "<u4"),
        ("at", "<u4"),
        ("waits", "<i1"),
        ("told", "<u1"),
    ]
)
STATE = np.dtype([("own", OWN, (MAX_TRACKS,)), ("passages", PASSAGES), ("watch", WATCH)])


def prepare(config, scene):
    """Return a settings row for each lane, one that holds nothing where there is none, and who went before."""
    settings = np.zeros(max(len(config.lanes), 1), SETTINGS)
    settings["index"] = scene.line_names.index(config.line)
    settings["line"], settings["lane_index"] = scene.lines[settings["index"][0]], -1
    for row, name in zip(settings, config.lanes, strict=False):
        row["lane_index"] = scene.lane_names.index(name)
        row["zone"] = scene.lane_rows[row["lane_index"]]
    settings["classes"], settings["scale_sd"] = class_mask(config.classes), scene.scale_sd
    for name in LIMITS:
        settings[name] = getattr(config, name)
    return Prepared(settings, np.zeros(1, STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each vehicle that has gone over the line, once its rear has too; return how many."""
    s, passages, watch, n = settings[0], state[0]["passages"], state[0]["watch"], 0
    line, settle_s, band_px, band_share = s["line"], s["settle_s"], s["band_px"], s["band_share"]
    if clock["last"] == 0:
        watch_frame(watch, clock, 3600.0)
        if clock["suspended"] != 0 or watch["gap"] != 0:
            passages_reset(passages)
    for i in range(len(tracks)):
        track = tracks[i]
        own = state[0]["own"][track["slot"]]
        event, front, rear = own["event"], own["front"], own["rear"]
        if own["track_id"] != track["id"]:
            own["track_id"], own["waits"], own["told"] = track["id"], 0, 0
            crossing_reset(front)
            crossing_reset(rear)
        way = crossing_step(front, line, track, FRONT, settle_s, band_px, band_share)
        followed = crossing_step(rear, line, track, REAR, settle_s, band_px, band_share)
        wanted = (s["classes"] >> track["class_id"]) & 1 != 0 and (line["has_flow"] == 0 or way > 0)
        bit = 1 if way > 0 else 2
        if way != 0 and wanted and own["waits"] == 0 and own["told"] & bit == 0:
            own["told"] |= bit
            lane = lane_of_crossing(settings, front, line, track, way)
            event["lane"] = settings[lane]["lane_index"] if lane >= 0 else -1
            event["time_s"], event["passage_s"] = front["time_s"], math.nan
            event["speed_mps"], event["speed_sd_mps"] = speed_at(track, front["time_s"], s["scale_sd"])
            event["line"], event["direction"], event["reason"] = (
                s["index"],
                direction_code(line, way),
                clock["suspended"],
            )
            event["bridged"] = 1 if front["bridged"] & RELINKED else 0
            length_m = math.hypot(track["front_x_m"] - track["rear_x_m"], track["front_y_m"] - track["rear_y_m"])
            event["length_m"] = length_m if length_m >= LENGTH_MIN_M else math.nan
            own["waits"] = way
            own["at"] = passage_add(passages, track["id"], front["time_s"], event["lane"], way)
        if own["waits"] == 0:
            continue
        apart_px = math.hypot(track["front_x_px"] - track["rear_x_px"], track["front_y_px"] - track["rear_y_px"])
        point = apart_px < LENGTH_MIN_PX
        mine = passages["row"][own["at"]]
        if followed == own["waits"] and not point:
            event["passage_s"] = max(rear["time_s"] - event["time_s"], 0.0)
            if mine["track_id"] == track["id"] and mine["front_s"] == event["time_s"]:
                mine["rear_s"] = rear["time_s"]
        if followed == own["waits"] or point or track["flags"] & ENDED:
            before_s, left_s = passage_leader(passages, event["time_s"], event["lane"], own["waits"])
            event["headway_s"], event["gap_s"] = event["time_s"] - before_s, event["time_s"] - left_s
            event["track_id"], event["class_id"], event["score"] = track["id"], track["class_id"], track["score"]
            own["waits"] = 0
            out[n] = event
            n += 1
    if clock["last"] != 0:
        passages_reset(passages)
        watch["runs"] = 0
    return n


RULE = Rule(
    type="spot",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"line": "line", "lane": "lane", "direction": "direction", "reason": "reason"},
    references={"line": "line", "lanes": "lane"},
)
