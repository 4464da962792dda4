"""Flag a road user that crosses a stop line after its signal has turned red and goes on into the junction."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.crossing import CROSSING, FOOT, crossing_reset, crossing_step
from kernels.records import CANNOT_JUDGE, LINE, MAX_TRACKS, VIOLATION, event_dtype
from kernels.rule import Prepared, Rule, RuleConfig, class_mask
from kernels.signals import state_at, stops_traffic


class Config(RuleConfig, kw_only=True, frozen=True):
    """`grace_s` into red is forgiven. With `clear_line` the road user must pass that line too, in the same red."""

    line: str
    signal: str
    clear_line: str | None = None
    grace_s: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 0.3
    speed_min_kmh: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] = 8.0
    settle_s: Annotated[float, msgspec.Meta(ge=0.0, le=5.0)] = 0.1
    band_px: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] = 2.0
    band_share: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.1


EVENT = event_dtype(
    ("red_s", "<f4"),  # since the signal turned red, at the stop line
    ("margin_s", "<f4"),  # red_s over the grace
    ("signal_sd_s", "<f4"),
    ("speed_mps", "<f4"),
    ("speed_sd_mps", "<f4"),
    ("line", "<i2"),
    ("signal", "<i2"),
    ("signal_state", "<u1"),
    ("judgement", "<u1"),
)

SETTINGS = np.dtype(
    [
        ("line", LINE),
        ("clear", LINE),
        ("index", "<i2"),
        ("signal", "<i2"),
        ("has_clear", "<u1"),
        ("classes", "<u4"),
        ("grace_s", "<f8"),
        ("speed_min_mps", "<f8"),
        ("settle_s", "<f8"),
        ("band_px", "<f8"),
        ("band_share", "<f8"),
    ]
)
STATE = np.dtype([("stop", CROSSING), ("clear", CROSSING), ("pending", EVENT), ("track_id", "<u4"), ("waits", "<u1")])


def prepare(config, scene):
    """Return the two lines, the signal and the limits, and per track slot both crossings and an event that waits."""
    settings = np.zeros(1, SETTINGS)
    index = scene.line_names.index(config.line)
    settings["line"], settings["index"] = scene.lines[index], index
    if config.clear_line is not None:
        settings["clear"], settings["has_clear"] = scene.lines[scene.line_names.index(config.clear_line)], 1
    settings["signal"], settings["classes"] = scene.signal_names.index(config.signal), class_mask(config.classes)
    settings["grace_s"], settings["speed_min_mps"] = config.grace_s, config.speed_min_kmh / 3.6
    settings["settle_s"] = config.settle_s
    settings["band_px"], settings["band_share"] = config.band_px, config.band_share
    return Prepared(settings, np.zeros(MAX_TRACKS, STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each run through red that is complete in this step; return how many."""
    s = settings[0]
    signal = signals[s["signal"]]
    n = 0
    for i in range(len(tracks)):
        track = tracks[i]
        own = state[track["slot"]]
        if own["track_id"] != track["id"]:
            own["track_id"] = track["id"]
            own["waits"] = 0
            crossing_reset(own["stop"])
            crossing_reset(own["clear"])
        way = crossing_step(own["stop"], s["line"], track, FOOT, s["settle_s"], s["band_px"], s["band_share"])
        event = own["pending"]
        if way > 0:
            crossed_s = own["stop"]["time_s"]
            colour, since_s = state_at(signal, crossed_s)
            red_s = crossed_s - since_s
            # NaN (no calibrated speed) is not slow.
            slow = track["speed_mps"] < s["speed_min_mps"]
            wanted = (s["classes"] >> track["class_id"]) & 1 != 0
            own["waits"] = wanted and stops_traffic(colour) and red_s > s["grace_s"] and not slow
            event["time_s"], event["track_id"], event["score"] = crossed_s, track["id"], track["score"]
            event["red_s"], event["margin_s"] = red_s, red_s - s["grace_s"]
            event["signal_sd_s"], event["signal_state"] = signal["sd_s"], colour
            event["speed_mps"], event["speed_sd_mps"] = track["speed_mps"], track["speed_sd_mps"]
            event["line"], event["signal"] = s["index"], s["signal"]
            # The onset must be known better than the margin: three deviations of its time.
            sure = red_s - s["grace_s"] > 3.0 * signal["sd_s"]
            event["judgement"] = VIOLATION if sure else CANNOT_JUDGE
        complete = way > 0
        if s["has_clear"] != 0:
            passed = crossing_step(own["clear"], s["clear"], track, FOOT, s["settle_s"], s["band_px"], s["band_share"])
            complete = passed != 0
            if complete and own["waits"] != 0:
                colour, since_s = state_at(signal, own["clear"]["time_s"])
                own["waits"] = stops_traffic(colour) and since_s <= event["time_s"]
        if complete and own["waits"] != 0:
            event["class_id"] = track["class_id"]
            out[n] = event
            n += 1
            own["waits"] = 0
    return n


RULE = Rule(
    type="red_light",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"line": "line", "signal": "signal", "signal_state": "signal_state", "judgement": "judgement"},
    references={"line": "flow_line", "clear_line": "line", "signal": "signal"},
)
