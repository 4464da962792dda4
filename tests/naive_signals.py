"""Slow, obvious twins of `kernels/signals.py` and `kernels/lamps.py`."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

from kernels import lamps as lamps_module
from kernels.records import REASONS, SIGNAL_STATES

# -- signals --------------------------------------------------------------------------------------------------------


def stops_traffic(state):
    return SIGNAL_STATES[state] in ("red", "red_amber")


def state_at(signal, time_s):
    """Look through the periods that a SIGNAL row tells of, the later ones first."""
    red_s = float(signal["red_since_s"])
    periods = [(int(signal[f"{when}state"]), float(signal[f"{when}since_s"])) for when in ("", "prev_")]
    if stops_traffic(periods[-1][0]):
        periods.append((SIGNAL_STATES.index("red"), red_s))
    for state, since_s in periods:
        if time_s >= since_s:
            return state, red_s if stops_traffic(state) else since_s
    return SIGNAL_STATES.index("unknown"), time_s


def is_unclear(state):
    return SIGNAL_STATES[state] in ("unknown", "dark", "flashing")


def unclear_reason(signal):
    return int(signal["reason"]) or REASONS.index("signal_state")


def red_seen_until(signal, red_since_s, time_s):
    """The red of this onset shows still, or ended with the latest change, or with the one before."""
    now, before = (stops_traffic(signal[name]) for name in ("state", "prev_state"))
    if now and not signal["red_since_s"] > red_since_s:
        return time_s
    ended_s = signal["since_s"] if before and not now else signal["prev_since_s"]
    return min(float(ended_s), time_s)


# -- lamps ----------------------------------------------------------------------------------------------------------


def lamp_level(lamp, which):
    """Brightness, and chroma towards red, towards yellow (away from blue), towards green (away from red)."""
    towards = {0: lamp["v"] - 128.0, 1: 128.0 - lamp["u"], 2: 128.0 - lamp["v"]}[which]
    return float(lamp["y"]) + max(0.0, float(towards))


@dataclass
class Lamps:
    """What one signal's twin remembers; `raw` is the past of what its lamps showed: [state, since, deviation]."""

    present: list[bool]
    latency_sd_s: float = 0.0
    seen: set = field(default_factory=set)
    dark: dict = field(default_factory=dict)
    lit: dict = field(default_factory=dict)
    raw: list = field(default_factory=list)
    frames: list = field(default_factory=list)  # (time, state, time since the frame before), from the last settled on
    told: list = field(default_factory=lambda: [("unknown", -math.inf, 0.0)])  # (state, since, deviation)
    blinks: int = 0


def lamps_black(memory, lamps):
    """No lamp that is there is brighter than black."""
    return not any(memory.present[k] and lamps[k]["y"] > 24 for k in range(3))


def dark_sure(memory, lamps, levels, alike):
    """All are as they were when they were off, none is overexposed, and one that was lit stood out twice enough."""
    known = [memory.lit[k] - memory.dark[k] for k in memory.seen if k in levels]
    as_before = all(abs(level - memory.dark[k]) <= lamps_module.CONTRAST for k, level in levels.items())
    glare = any(lamps[k]["y"] > 235 for k in levels)
    return alike and as_before and not glare and max(known, default=0) >= 48


def lamps_lit(memory, lamps, dt_s):
    """The lamps that outshine the others and themselves: in the upper half of the frame's span and of their own.

    None where nothing can be said: no lamp is lit, and they are not as all were when one that shone brightly was off.
    """
    levels = {k: lamp_level(lamps[k], k) for k in range(3) if memory.present[k]}
    low, high = min(levels.values()), max(levels.values())
    if not memory.dark:
        memory.dark = dict.fromkeys(levels, low)
        memory.lit = dict.fromkeys(levels, max(high, low + lamps_module.CONTRAST))
    alike = high - low <= lamps_module.CONTRAST
    off = dark_sure(memory, lamps, levels, alike)
    share = min(dt_s / lamps_module.LEVEL_S, 1.0)
    lit = set()
    for k, level in levels.items():
        shines = not alike and level > (low + high) / 2
        if shines and level > (memory.dark[k] + memory.lit[k]) / 2:
            lit.add(("red", "amber", "green")[k])
            if k not in memory.seen:
                memory.seen.add(k)
                memory.lit[k] = level
        if shines or not alike or off:
            followed = memory.lit if shines else memory.dark
            followed[k] = (1 - share) * followed[k] + share * level
        memory.lit[k] = max(memory.lit[k], memory.dark[k] + lamps_module.CONTRAST)
    return lit if lit or off else None


def lamp_state(lit):
    if lit is None:
        return "unknown"
    names = {(): "dark", ("red",): "red", ("amber", "red"): "red_amber", ("amber",): "amber", ("green",): "green"}
    return names.get(tuple(sorted(lit)), "unknown")


def signal_change(memory, state, since_s, sd_s):
    memory.told.append((state, since_s, sd_s))


def told(memory, clock_sd_s=0.0):
    """The SIGNAL row that follows from everything told so far."""
    past = [("unknown", -math.inf, 0.0), *memory.told]
    (before, before_s, before_sd), (now, now_s, now_sd) = past[-2:]
    onsets = [
        since
        for (was, *_), (state, since, _) in itertools.pairwise(past)
        if state in ("red", "red_amber") and was not in ("red", "red_amber")
    ]
    row = {"state": now, "since_s": now_s, "prev_state": before, "prev_since_s": before_s}
    return row | {"red_since_s": onsets[-1] if onsets else -math.inf, "sd_s": max(now_sd, before_sd, clock_sd_s)}


def signal_step(memory, lamps, time_s):
    """Tell a state when all frames since its first sight show it and it began HOLD_S ago or longer."""
    last_s = memory.frames[-1][0] if memory.frames else time_s
    dt_s = time_s - last_s
    if dt_s > lamps_module.GAP_S:
        memory.raw, memory.frames, memory.blinks = [], [], 0
        if memory.told[-1][0] != "unknown":
            signal_change(memory, "unknown", last_s, 0.0)
    state = lamp_state(lamps_lit(memory, lamps, dt_s))
    lasting = "unknown" if state == "dark" and lamps_black(memory, lamps) else state
    shown, shown_s, shown_sd = memory.raw[-1] if memory.raw else ("unknown", math.nan, 0.0)
    memory.frames.append((time_s, state, dt_s))
    if state == shown:
        memory.frames = memory.frames[-1:]
        if memory.told[-1][0] == "flashing" and time_s - shown_s > lamps_module.BLINK_S:
            signal_change(memory, lasting, shown_s, shown_sd)
        return
    first = len(memory.frames) - 1
    while first > 0 and memory.frames[first - 1][1] == state:
        first -= 1
    first_s, _, before_s = memory.frames[first]
    since_s, sd_s = first_s - before_s / 2, math.hypot(before_s / math.sqrt(12), memory.latency_sd_s)
    if first == len(memory.frames) - 1 or time_s - since_s < lamps_module.HOLD_S:
        return
    blinked = "unknown" not in (state, shown) and "dark" in (state, shown) and since_s - shown_s < lamps_module.BLINK_S
    memory.blinks = memory.blinks + 1 if blinked else 0
    memory.raw.append((state, since_s, sd_s))
    memory.frames = memory.frames[-1:]
    tell = "flashing" if memory.blinks >= 2 else lasting
    if tell != memory.told[-1][0]:
        signal_change(memory, tell, since_s, sd_s)
