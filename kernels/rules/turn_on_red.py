"""Flag a road user that turns on red, where that is legal after a full stop, without one."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.approach import APPROACH, approach_doubt, approach_step
from kernels.guards import judgement_of
from kernels.records import ENDED, MAX_TRACKS, NO_REASON, event_dtype
from kernels.red import COMPLETE, ENTRY, LEGAL_TURN, LOST, NONE, STOP, entry_reason, entry_step, red_lines
from kernels.rule import Prepared, Rule, RuleConfig

#: Most exits of a rule: the state of each track has a place for every line.
EXITS_MAX = 4


class Config(RuleConfig, kw_only=True, frozen=True):
    """`exits` are the turns that are legal on red after a stop; give the same to `red_light` as `turn_exempt`.

    A full stop: slower than `stop_kmh` for `stop_s`, the front within `stop_m` before the line and `past_m` beyond.
    """

    line: str
    signal: str
    exits: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=EXITS_MAX)]
    clear_line: str | None = None
    stop_m: Annotated[float, msgspec.Meta(gt=0.0, le=50.0)] = 5.0
    past_m: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 0.3
    stop_kmh: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)] = 1.0
    stop_s: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 0.5
    grace_s: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 0.3
    path_s: Annotated[float, msgspec.Meta(ge=0.0, le=600.0)] = 30.0
    age_min_s: Annotated[float, msgspec.Meta(ge=0.0, le=60.0)] = 1.0
    score_min: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5
    settle_s: Annotated[float, msgspec.Meta(ge=0.0, le=5.0)] = 0.1
    band_px: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] = 2.0
    band_share: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.1


EVENT = event_dtype(
    ("low_mps", "<f4"),  # the lowest speed on the way up to the line; NaN where it was not seen
    ("low_sd_mps", "<f4"),
    ("stood_s", "<f4"),  # the longest time below the speed of a stop
    ("red_s", "<f4"),  # since the signal turned red, at the stop line; NaN where its state was unclear
    ("signal_sd_s", "<f4"),
    ("line", "<i2"),
    ("exit_line", "<i2"),
    ("signal", "<i2"),
    ("signal_state", "<u1"),
    ("judgement", "<u1"),
    ("reason", "<u1"),
)

STATE = np.dtype([("entry", ENTRY, (2 + EXITS_MAX,)), ("approach", APPROACH)])


def prepare(config, scene):
    """Return the stop line, what completes an entry and the exits, and per track slot an entry and the way up."""
    settings, _ = red_lines(config, scene, config.exits)
    return Prepared(settings, np.zeros(MAX_TRACKS, STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each turn on red without a full stop that is complete in this step; return how many."""
    s = settings[0]
    signal = signals[s["signal"]]
    n = 0
    for i in range(len(tracks)):
        track = tracks[i]
        rows, approach = state[track["slot"]]["entry"], state[track["slot"]]["approach"]
        approach_step(approach, s, track)
        stage, entry = entry_step(rows, settings, signal, track, clock), rows[0]
        if stage not in (COMPLETE, LOST):
            continue
        over = (track["flags"] & ENDED) != 0 or track["time_s"] - entry["entered_s"] > s["path_s"]
        if entry["path"] == STOP and not over:
            continue
        # Where it went another way, or nobody knows which, red_light judges it.
        judged = stage == COMPLETE and entry["path"] == LEGAL_TURN and not approach["stood_s"] >= s["stop_s"]
        entry["stage"] = NONE
        if not judged:
            continue
        reason = entry_reason(entry, track, clock, s)
        if reason == NO_REASON:
            reason = approach_doubt(approach, s)
        event = out[n]
        n += 1
        event["time_s"], event["track_id"], event["score"] = entry["entered_s"], track["id"], track["score"]
        event["class_id"] = track["class_id"]
        event["low_mps"] = approach["low_mps"] if approach["low_mps"] < np.inf else np.nan
        event["low_sd_mps"], event["stood_s"] = approach["low_sd_mps"], approach["stood_s"]
        event["red_s"], event["signal_sd_s"] = entry["entered_s"] - entry["red_since_s"], entry["sd_s"]
        event["line"], event["exit_line"], event["signal"] = s["index"], entry["exit"], s["signal"]
        event["signal_state"], event["judgement"], event["reason"] = entry["colour"], judgement_of(reason), reason
    return n


RULE = Rule(
    type="turn_on_red",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={
        "line": "line",
        "exit_line": "line",
        "signal": "signal",
        "signal_state": "signal_state",
        "judgement": "judgement",
        "reason": "reason",
    },
    references={"line": "flow_line", "clear_line": "line", "signal": "signal", "exits": "line"},
    needs_ground=True,
)
