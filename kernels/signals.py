"""The state of a signal at a moment that lies a little back: crossings settle after they happened."""

from __future__ import annotations

from kernels._jit import kernel
from kernels.records import DARK, FLASHING, NO_REASON, RED, RED_AMBER, SIGNAL_STATE, UNKNOWN


@kernel
def state_at(signal, time_s):
    """Return (state, since when in s) of a SIGNAL row at `time_s`; UNKNOWN before what the row tells of.

    A state that stops traffic counts from the onset of its red, so that red and amber is no fresh start.
    """
    if time_s >= signal["since_s"]:
        state, since_s = signal["state"], signal["since_s"]
    elif time_s >= signal["prev_since_s"]:
        state, since_s = signal["prev_state"], signal["prev_since_s"]
    elif stops_traffic(signal["prev_state"]) and time_s >= signal["red_since_s"]:
        state, since_s = RED, signal["red_since_s"]  # the red that red and amber went on with
    else:
        return UNKNOWN, time_s
    if stops_traffic(state):
        since_s = signal["red_since_s"]
    return state, since_s


@kernel
def stops_traffic(state):
    """Say whether a state forbids entering: red, also with amber."""
    return state in (RED, RED_AMBER)


@kernel
def is_unclear(state):
    """Say whether nobody can tell from a state who may go: unknown, dark or flashing."""
    return state in (UNKNOWN, DARK, FLASHING)


@kernel
def unclear_reason(signal):
    """Return the code of REASONS for a state that is unclear."""
    return signal["reason"] if signal["reason"] != NO_REASON else SIGNAL_STATE


@kernel
def red_seen_until(signal, red_since_s, time_s):
    """Return until when (s) the red that began at `red_since_s` was seen to last, at most until now (`time_s`)."""
    if stops_traffic(signal["state"]) and signal["red_since_s"] <= red_since_s:
        return time_s
    if stops_traffic(signal["prev_state"]) and not stops_traffic(signal["state"]):
        return min(signal["since_s"], time_s)
    return min(signal["prev_since_s"], time_s)
