"""Flag a vehicle that passes a stop line under red, stands beyond it, and does not go on into the junction."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.guards import judgement_of
from kernels.past import PAST, overrun_step, past_reset
from kernels.records import CALIBRATION, MAX_TRACKS, NO_REASON, event_dtype
from kernels.red import ENTRY, entry_lines, entry_reason, red_lines
from kernels.rule import ClassName, Prepared, Rule, RuleConfig


class Config(RuleConfig, kw_only=True, frozen=True):
    """The front must stand `past_m` beyond the line for `stop_s`; `past_share` of a box height without a ground.

    It passed the line more than `grace_s` into that red. Whoever passes `clear_line` in the same red, or without one
    with the rear the stop line, has not stopped: that is for `red_light`. A camera that cannot tell front from rear
    needs `clear_line`. Bicycles may have a box of their own before the line, so they are not among the `classes`.
    """

    line: str
    signal: str
    clear_line: str | None = None
    classes: tuple[ClassName, ...] = ("car", "bus", "truck", "motorcycle")
    past_m: Annotated[float, msgspec.Meta(ge=0.0, le=20.0)] = 0.3
    past_share: Annotated[float, msgspec.Meta(ge=0.0, le=5.0)] = 0.2
    stop_s: Annotated[float, msgspec.Meta(ge=0.2, le=60.0)] = 1.0
    stop_kmh: Annotated[float, msgspec.Meta(gt=0.0, le=20.0)] = 3.0
    grace_s: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 0.3
    age_min_s: Annotated[float, msgspec.Meta(ge=0.0, le=60.0)] = 1.0
    score_min: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5
    settle_s: Annotated[float, msgspec.Meta(ge=0.0, le=5.0)] = 0.1
    band_px: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] = 2.0
    band_share: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.1


EVENT = event_dtype(
    ("past_m", "<f4"),  # the least in the stand; NaN without a ground
    ("past_share", "<f4"),  # in box heights; NaN with a ground
    ("red_s", "<f4"),  # since the signal turned red, when the front passed the line; NaN where its state was unclear
    ("stood_s", "<f4"),  # beyond the line, under red
    ("signal_sd_s", "<f4"),
    ("line", "<i2"),
    ("signal", "<i2"),
    ("signal_state", "<u1"),
    ("judgement", "<u1"),
    ("reason", "<u1"),
)

STATE = np.dtype([("entry", ENTRY, (2,)), ("past", PAST)])


def prepare(config, scene):
    """Return the stop line and what completes an entry, and per track slot an entry and a stand."""
    settings, _ = red_lines(config, scene)
    return Prepared(settings, np.zeros(MAX_TRACKS, STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each stand beyond the line that can be told of in this step; return how many."""
    s = settings[0]
    signal = signals[s["signal"]]
    n = 0
    for i in range(len(tracks)):
        track = tracks[i]
        past, rows = state[track["slot"]]["past"], state[track["slot"]]["entry"]
        if past["track_id"] != track["id"]:
            past_reset(past, track["id"])
        entry_lines(rows, settings, track, clock)
        entry = rows[0]
        if overrun_step(past, entry, s, signal, track) == 0:
            continue
        reason = entry_reason(entry, track, clock, s)
        over_m = past["stood_past"] - s["past_m"]
        if reason == NO_REASON and past["on_road"] != 0 and over_m < track["position_sd_m"]:
            reason = CALIBRATION
        until_s = past["stood_until_s"]
        if past["red_end_s"] < until_s:
            until_s = past["red_end_s"]
        event = out[n]
        n += 1
        event["time_s"], event["track_id"], event["score"] = entry["entered_s"], track["id"], track["score"]
        event["class_id"] = track["class_id"]
        event["past_m"] = past["stood_past"] if past["on_road"] != 0 else np.nan
        event["past_share"] = past["stood_past"] if past["on_road"] == 0 else np.nan
        event["red_s"], event["stood_s"] = entry["entered_s"] - entry["red_since_s"], until_s - past["stood_since_s"]
        event["signal_sd_s"] = max(entry["sd_s"], signal["sd_s"])
        event["line"], event["signal"], event["signal_state"] = s["index"], s["signal"], entry["colour"]
        event["judgement"], event["reason"] = judgement_of(reason), reason
    return n


RULE = Rule(
    type="stop_line_overrun",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={
        "line": "line",
        "signal": "signal",
        "signal_state": "signal_state",
        "judgement": "judgement",
        "reason": "reason",
    },
    references={"line": "flow_line", "clear_line": "line", "signal": "signal"},
)
