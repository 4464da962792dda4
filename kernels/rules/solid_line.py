"""Flag a vehicle that changes its lane across a solid line."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.guards import doubt
from kernels.records import CALIBRATION, ENDED, LINE, MAX_TRACKS, NO_REASON, ZONE, event_dtype
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask
from kernels.sides import SIDE, past_line_m, side_reset, side_step
from kernels.verdict import REPEAT_S, verdict
from kernels.zones import zone_at


class Config(RuleConfig, kw_only=True, frozen=True):
    """Front and rear must change from one of `lanes` to another over `line`, `past_m` beyond it, for `keep_s`.

    `from_lanes`: only from these lanes, for a line that is solid on one side; all where none is named.
    """

    line: str
    lanes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=32)]
    from_lanes: Annotated[tuple[str, ...], msgspec.Meta(max_length=32)] = ()
    classes: tuple[ClassName, ...] = ("car", "bus", "truck", "motorcycle")
    past_m: Annotated[float, msgspec.Meta(ge=0.0, le=5.0)] = 0.5
    keep_s: Annotated[float, msgspec.Meta(ge=0.0, le=30.0)] = 1.0
    age_min_s: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 1.0
    score_min: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5


# `time_s` is when front and rear were both past the line.
EVENT = event_dtype(
    ("kept_s", "<f4"),  # on the new side until it was judged
    ("past_m", "<f4"),  # how far front and rear both were past the line then
    ("margin_m", "<f4"),  # past_m over its limit
    ("position_sd_m", "<f4"),
    ("speed_mps", "<f4"),
    ("speed_sd_mps", "<f4"),
    ("line", "<i2"),
    ("from_lane", "<i2"),
    ("to_lane", "<i2"),
    ("judgement", "<u1"),
    ("reason", "<u1"),
)

SETTINGS = np.dtype(
    [
        ("line", LINE),
        ("zone", ZONE),
        ("index", "<i2"),
        ("lane", "<i2"),
        ("is_from", "<u1"),
        ("classes", "<u4"),
        ("ground_sd_m", "<f8"),
        ("past_m", "<f8"),
        ("keep_s", "<f8"),
        ("age_min_s", "<f8"),
        ("score_min", "<f8"),
    ]
)
STATE = np.dtype([("side", SIDE), ("told_s", "<f8"), ("track_id", "<u4"), ("lane", "<i2"), ("suspended", "<u1")])


def prepare(config, scene):
    """Return a settings row for each lane, and per track slot the side of the line and the lane it was in."""
    settings = np.zeros(len(config.lanes), SETTINGS)
    for row, name in zip(settings, config.lanes, strict=True):
        row["lane"] = scene.lane_names.index(name)
        row["zone"], row["is_from"] = scene.lane_rows[row["lane"]], not config.from_lanes or name in config.from_lanes
    settings["index"] = scene.line_names.index(config.line)
    settings["line"], settings["classes"] = scene.lines[settings["index"][0]], class_mask(config.classes)
    settings["ground_sd_m"] = scene.ground_error_m
    for name in ("past_m", "keep_s", "age_min_s", "score_min"):
        settings[name] = getattr(config, name)
    return Prepared(settings, np.zeros(MAX_TRACKS, STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each vehicle that has kept to the other side of the line for long enough; return how many."""
    s = settings[0]
    n = 0
    for i in range(len(tracks)):
        track = tracks[i]
        own = state[track["slot"]]
        if own["track_id"] != track["id"]:
            own["track_id"], own["lane"], own["told_s"], own["suspended"] = track["id"], -1, -np.inf, 0
            side_reset(own["side"])
        if track["flags"] & ENDED:
            continue
        if clock["suspended"] != 0:
            own["suspended"] = clock["suspended"]
        # In a lane is a vehicle whose front and rear are.
        lane = zone_at(settings, track["front_x_px"], track["front_y_px"])
        if lane != zone_at(settings, track["rear_x_px"], track["rear_y_px"]):
            lane = -1
        # It changes into a lane: between two it has not changed yet.
        changed = side_step(own["side"], s["line"], track, s["past_m"], s["keep_s"] if lane >= 0 else np.inf)
        before, reason = own["lane"], own["suspended"]
        if own["side"]["here"] != 0 and own["side"]["here"] == own["side"]["side"]:
            own["lane"] = lane if lane >= 0 else before
            own["suspended"] = clock["suspended"]
        if changed == 0 or before < 0 or lane == before:
            continue
        at_s = own["side"]["past_s"]
        inside = own["side"]["front_inside"] != 0 and own["side"]["rear_inside"] != 0
        told = at_s - own["told_s"] < REPEAT_S
        if not inside or told or settings[before]["is_from"] == 0 or not (s["classes"] >> track["class_id"]) & 1:
            continue
        own["told_s"] = at_s
        past_m = past_line_m(s["line"], track, float(changed))
        if reason == NO_REASON:
            reason = doubt(track, clock, at_s, s["age_min_s"], s["score_min"])
        # It must be past the line by more than its place is uncertain; an unknown uncertainty is too much.
        if reason == NO_REASON and not past_m > 2.0 * math.hypot(track["position_sd_m"], s["ground_sd_m"]):
            reason = CALIBRATION
        event = out[n]
        n += 1
        verdict(event, track, at_s, reason)
        event["kept_s"], event["past_m"], event["margin_m"] = track["time_s"] - at_s, past_m, past_m - s["past_m"]
        event["position_sd_m"], event["line"] = track["position_sd_m"], s["index"]
        event["from_lane"], event["to_lane"] = settings[before]["lane"], settings[lane]["lane"]
    return n


RULE = Rule(
    type="solid_line",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"line": "line", "from_lane": "lane", "to_lane": "lane", "judgement": "judgement", "reason": "reason"},
    references={"line": "line", "lanes": "lane", "from_lanes": "lane"},
    needs_ground=True,
)
