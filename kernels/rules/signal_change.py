"""Record each change of a signal's state."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.records import UNKNOWN, event_dtype
from kernels.rule import Prepared, Rule, RuleConfig


class Config(RuleConfig, kw_only=True, frozen=True):
    """The signal whose changes are recorded; classes mean nothing here."""

    signal: str


# `time_s` is that of the change, or of the first frame where the state began before it; `since_s` is the change's own.
EVENT = event_dtype(
    ("since_s", "<f8"),
    ("sd_s", "<f4"),
    ("signal", "<i2"),
    ("signal_state", "<u1"),
    ("prev_state", "<u1"),
)

SETTINGS = np.dtype([("signal", "<i2")])
STATE = np.dtype([("from_s", "<f8"), ("since_s", "<f8"), ("state", "<u1"), ("started", "<u1")])


def prepare(config, scene):
    """Return the signal's number, and the change that was told last."""
    settings = np.zeros(1, SETTINGS)
    settings["signal"] = scene.signal_names.index(config.signal)
    return Prepared(settings, np.zeros(1, STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each change that the signal has told since the step before; return how many."""
    own, index = state[0], settings[0]["signal"]
    signal = signals[index]
    if own["started"] == 0:
        own["started"], own["from_s"], own["since_s"], own["state"] = 1, clock["time_s"], -math.inf, UNKNOWN
    n = 0
    # A state that came and went between two frames is the one before the present one.
    for back in (1, 0):
        since_s = signal["prev_since_s"] if back else signal["since_s"]
        colour = signal["prev_state"] if back else signal["state"]
        if colour == own["state"] or since_s <= own["since_s"] or (back and since_s < own["from_s"]):
            continue
        event = out[n]
        n += 1
        event["time_s"], event["since_s"], event["sd_s"] = max(since_s, own["from_s"]), since_s, signal["sd_s"]
        event["track_id"], event["score"], event["class_id"] = 0, 0.0, 0
        event["signal"], event["signal_state"], event["prev_state"] = index, colour, own["state"]
        own["since_s"], own["state"] = since_s, colour
    if clock["last"] != 0:
        own["started"] = 0
    return n


RULE = Rule(
    type="signal_change",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"signal": "signal", "signal_state": "signal_state", "prev_state": "signal_state"},
    references={"signal": "signal"},
)
