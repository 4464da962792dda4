"""Flag a road user that crosses a stop line after its signal has turned red and goes on into the junction."""

from __future__ import annotations

from typing import Annotated

import msgspec

from kernels._jit import kernel
from kernels.guards import judgement_of
from kernels.records import ENDED, NO_REASON, TRUNCATED, event_dtype
from kernels.red import (
    COMPLETE,
    LEGAL_TURN,
    LOST,
    NONE,
    STOP,
    SURE_SD,
    entry_reason,
    entry_step,
    may_turn,
    red_lines,
)  # fmt: skip
from kernels.rule import Prepared, Rule, RuleConfig

#: Bits of `exits`: the site names ways out that are legal on red, and other ways out.
HAS_LEGAL, HAS_OTHER = 1, 2


class Config(RuleConfig, kw_only=True, frozen=True):
    """`grace_s` into red is forgiven, more than `severe_s` is severe.

    The front must pass `clear_line` in the same red, or without one the rear the stop line. `turn_exempt`: exit lines
    of turns that are legal on red; an event waits until its path is known, at most `path_s`. With `other_exits`, a
    track that ends before it has passed an exit, and while a legal turn is not behind it, cannot be judged; without, it
    is held not to have turned.
    """

    line: str
    signal: str
    clear_line: str | None = None
    turn_exempt: Annotated[tuple[str, ...], msgspec.Meta(max_length=16)] = ()
    other_exits: Annotated[tuple[str, ...], msgspec.Meta(max_length=16)] = ()
    grace_s: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 0.3
    severe_s: Annotated[float, msgspec.Meta(ge=0.0, le=60.0)] = 1.0
    path_s: Annotated[float, msgspec.Meta(ge=0.0, le=600.0)] = 30.0
    speed_min_kmh: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] = 8.0
    age_min_s: Annotated[float, msgspec.Meta(ge=0.0, le=60.0)] = 1.0
    score_min: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5
    settle_s: Annotated[float, msgspec.Meta(ge=0.0, le=5.0)] = 0.1
    band_px: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] = 2.0
    band_share: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.1


EVENT = event_dtype(
    ("red_s", "<f4"),  # since the signal turned red, at the stop line; NaN where its state was unclear
    ("margin_s", "<f4"),  # red_s over the grace
    ("signal_sd_s", "<f4"),
    ("speed_mps", "<f4"),
    ("speed_sd_mps", "<f4"),
    ("line", "<i2"),
    ("signal", "<i2"),
    ("signal_state", "<u1"),
    ("judgement", "<u1"),
    ("reason", "<u1"),
    ("severe", "<u1"),
)


def prepare(config, scene):
    """Return the stop line, what completes an entry and the exits, and per track slot an entry and its crossings."""
    return Prepared(*red_lines(config, scene, config.turn_exempt, config.other_exits))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each run through red that is complete in this step; return how many."""
    s = settings[0]
    signal = signals[s["signal"]]
    n = 0
    for i in range(len(tracks)):
        track = tracks[i]
        rows = state[track["slot"]]
        entry = rows[0]
        stage = entry_step(rows, settings, signal, track, clock)
        if stage not in (COMPLETE, LOST):
            continue
        ended = (track["flags"] & ENDED) != 0
        if entry["path"] == LEGAL_TURN:
            entry["stage"] = NONE
            continue
        late = track["time_s"] - entry["entered_s"] > s["path_s"]
        if s["exits"] != 0 and entry["path"] == STOP and not (ended or late):
            continue
        reason = entry_reason(entry, track, clock, s)
        if reason == NO_REASON and entry["path"] == STOP and s["exits"] & HAS_OTHER and may_turn(settings, track):
            reason = TRUNCATED
        red_s = entry["entered_s"] - entry["red_since_s"]
        event = out[n]
        n += 1
        event["time_s"], event["track_id"], event["score"] = entry["entered_s"], track["id"], track["score"]
        event["class_id"] = track["class_id"]
        event["red_s"], event["margin_s"], event["signal_sd_s"] = red_s, red_s - s["grace_s"], entry["sd_s"]
        event["speed_mps"], event["speed_sd_mps"] = entry["speed_mps"], entry["speed_sd_mps"]
        event["line"], event["signal"], event["signal_state"] = s["index"], s["signal"], entry["colour"]
        event["judgement"], event["reason"] = judgement_of(reason), reason
        event["severe"] = red_s - s["severe_s"] > SURE_SD * entry["sd_s"]
        entry["stage"] = NONE
    return n


RULE = Rule(
    type="red_light",
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
    references={
        "line": "flow_line",
        "clear_line": "line",
        "signal": "signal",
        "turn_exempt": "line",
        "other_exits": "line",
    },
)
