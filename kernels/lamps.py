"""The state of a signal from the pixels of its lamps: a lamp is lit or dark against what it looked like before."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.records import AMBER, DARK, FLASHING, GREEN, RED, RED_AMBER, UNKNOWN
from kernels.signals import stops_traffic

#: What one signal remembers: the dark and lit level of each lamp; the state its lamps show, since when, and one that
#: may replace it; how many quick changes to or from dark lie behind it; the deviations of those times, and of what
#: camera and encoder add to them. `seen`: the lamp has been seen lit.
LAMP_STATE = np.dtype(
    [
        ("dark", "<f8", (3,)),
        ("lit", "<f8", (3,)),
        ("last_s", "<f8"),
        ("shown_s", "<f8"),
        ("shown_sd_s", "<f8"),
        ("pending_s", "<f8"),
        ("pending_sd_s", "<f8"),
        ("change_sd_s", "<f8"),
        ("clock_sd_s", "<f8"),
        ("latency_sd_s", "<f8"),
        ("present", "<u1", (3,)),
        ("seen", "<u1", (3,)),
        ("shown", "<u1"),
        ("pending", "<u1"),
        ("blinks", "<u1"),
        ("known", "<u1"),
    ]
)

#: `pending` where nothing is.
NO_STATE = 255
#: A new state must have begun this long ago before it is believed: two frames at 30 fps. It began halfway between its
#: first frame and the one before.
HOLD_S = 0.045
#: A lamp that goes off and on within this time each blinks: 40 to 60 a minute by the usual norms.
BLINK_S = 1.2
#: Unseen for longer, a whole red may have come and gone.
GAP_S = 2.0
#: Time constant with which the remembered dark and lit levels follow daylight.
LEVEL_S = 60.0
#: Least difference (0..255) between a lit and a dark lamp.
CONTRAST = 24.0
#: All lamps dark is told only where a lit one would be seen: a lamp was seen lit so many times as strongly, and none is
#: as bright as an overexposed picture. What is as black as this may be a signal that is off or a picture that is.
SURE_TIMES, GLARE_Y, BLACK_Y = 2.0, 235.0, 24.0
#: The bit of lamps_lit for lamps that nothing can be said of.
NO_GROUND = 8


@kernel
def lamp_level(lamp, which):
    """Return how strongly a lamp shines in its own colour: brightness plus chroma towards it (0..about 400)."""
    red = lamp["v"] - 128.0
    blue = lamp["u"] - 128.0
    if which == 0:
        return lamp["y"] + max(red, 0.0)
    if which == 1:
        return lamp["y"] + max(-blue, 0.0)
    return lamp["y"] + max(-red, 0.0)


@kernel
def dark_sure(memory, lamps, contrast):
    """Say whether a picture in which no lamp is lit shows that all are dark, and not that it shows nothing of them."""
    strongest = 0.0
    for k in range(3):
        if memory["present"][k] == 0:
            continue
        if lamps[k]["y"] > GLARE_Y or abs(lamp_level(lamps[k], k) - memory["dark"][k]) > CONTRAST:
            return False
        if memory["seen"][k] != 0:
            strongest = max(strongest, memory["lit"][k] - memory["dark"][k])
    return contrast <= CONTRAST and strongest >= SURE_TIMES * CONTRAST


@kernel
def lamps_black(memory, lamps):
    """Say whether all lamps are as black as a picture of nothing."""
    brightest = 0.0
    for k in range(3):
        if memory["present"][k] != 0:
            brightest = max(brightest, lamps[k]["y"])
    return brightest <= BLACK_Y


@kernel
def lamps_lit(memory, lamps, dt_s):
    """Return the bits of the lamps that are lit (1 red, 2 amber, 4 green) and follow their dark and lit levels.

    NO_GROUND where none is lit and the picture does not show that all are dark: its levels teach nothing either.
    """
    lowest, highest = np.inf, -np.inf
    for k in range(3):
        if memory["present"][k]:
            level = lamp_level(lamps[k], k)
            lowest, highest = min(lowest, level), max(highest, level)
    share = min(dt_s / LEVEL_S, 1.0)
    contrast = highest - lowest
    bits = 0
    if memory["known"] == 0:
        memory["dark"][:], memory["lit"][:], memory["known"] = lowest, max(highest, lowest + CONTRAST), 1
    sure = dark_sure(memory, lamps, contrast)
    for k in range(3):
        if memory["present"][k] == 0:
            continue
        level = lamp_level(lamps[k], k)
        shines = contrast > CONTRAST and highest - level < 0.5 * contrast
        if shines and level > 0.5 * (memory["dark"][k] + memory["lit"][k]):
            bits |= 1 << k
            if memory["seen"][k] == 0:
                memory["seen"][k], memory["lit"][k] = 1, level
        # One that shines among the others but less than it did: the whole picture has become darker.
        if shines:
            memory["lit"][k] += (level - memory["lit"][k]) * share
        elif sure or contrast > CONTRAST:
            memory["dark"][k] += (level - memory["dark"][k]) * share
        memory["lit"][k] = max(memory["lit"][k], memory["dark"][k] + CONTRAST)
    return bits if bits != 0 or sure else NO_GROUND


@kernel
def lamp_state(bits):
    """Return the state of a signal whose lit lamps are these bits (1 red, 2 amber, 4 green)."""
    if bits == 0:
        return DARK
    if bits == 1:
        return RED
    if bits == 3:
        return RED_AMBER
    if bits == 2:
        return AMBER
    if bits == 4:
        return GREEN
    return UNKNOWN


@kernel
def signal_change(signal, memory, state, since_s, sd_s):
    """Give a SIGNAL row a new state since `since_s`; its deviation is the worst of the two changes it tells of."""
    signal["prev_state"], signal["prev_since_s"] = signal["state"], signal["since_s"]
    if stops_traffic(state) and not stops_traffic(signal["state"]):
        signal["red_since_s"] = since_s
    signal["state"], signal["since_s"] = state, since_s
    signal["sd_s"] = max(sd_s, memory["change_sd_s"], memory["clock_sd_s"])
    memory["change_sd_s"] = sd_s


@kernel
def signal_step(signal, memory, lamps, time_s):
    """Take one frame's lamp pixels, LAMP[3], into a SIGNAL row; return 1 where its state changed.

    The deviation of a change's time is that of a moment somewhere between two frames, interval / sqrt(12), and that of
    the picture's latency. After `GAP_S` unseen the state is unknown; lamps that go off and on quickly are FLASHING.
    """
    dt_s = max(time_s - memory["last_s"], 0.0) if memory["known"] else 0.0
    changed = 0
    if dt_s > GAP_S:
        memory["shown"], memory["pending"], memory["blinks"] = UNKNOWN, NO_STATE, 0
        if signal["state"] != UNKNOWN:
            signal_change(signal, memory, UNKNOWN, memory["last_s"], 0.0)
            changed = 1
    memory["last_s"] = time_s
    state = lamp_state(lamps_lit(memory, lamps, dt_s))
    # Off between two flashes is black at night; what stays black may be the picture.
    lasting = UNKNOWN if state == DARK and lamps_black(memory, lamps) else state
    if state == memory["shown"]:
        memory["pending"] = NO_STATE
        if signal["state"] == FLASHING and time_s - memory["shown_s"] > BLINK_S:
            signal_change(signal, memory, lasting, memory["shown_s"], memory["shown_sd_s"])
            return 1
        return changed
    if state != memory["pending"]:
        memory["pending"] = state
        memory["pending_s"] = time_s - 0.5 * dt_s
        memory["pending_sd_s"] = math.hypot(dt_s / math.sqrt(12.0), memory["latency_sd_s"])
        return changed
    if time_s - memory["pending_s"] < HOLD_S:
        return changed
    off_or_on = (state == DARK) != (memory["shown"] == DARK) and memory["shown"] != UNKNOWN and state != UNKNOWN
    quick = off_or_on and memory["pending_s"] - memory["shown_s"] < BLINK_S
    memory["blinks"] = min(memory["blinks"] + 1, 2) if quick else 0
    memory["shown"], memory["shown_s"], memory["shown_sd_s"] = state, memory["pending_s"], memory["pending_sd_s"]
    memory["pending"] = NO_STATE
    if memory["blinks"] >= 2:
        lasting = FLASHING
    if lasting == signal["state"]:
        return changed
    signal_change(signal, memory, lasting, memory["shown_s"], memory["shown_sd_s"])
    return 1
