"""The state of a signal at a moment that lies a little back: crossings settle after they happened."""

from __future__ import annotations

from kernels._jit import kernel
from kernels.records import RED, RED_AMBER, UNKNOWN


@kernel
def state_at(signal, time_s):
    """Return (state, since when in s) of a SIGNAL row at `time_s`; UNKNOWN before the state before the present one.

    A state that stops traffic counts from the onset of its red, so that red and amber is no fresh start.
    """
    if time_s >= signal["since_s"]:
        state, since_s = signal["state"], signal["since_s"]
    elif time_s >= signal["prev_since_s"]:
        state, since_s = signal["prev_state"], signal["prev_since_s"]
    else:
        return UNKNOWN, time_s
    if stops_traffic(state):
        since_s = signal["red_since_s"]
    return state, since_s


@kernel
def stops_traffic(state):
    """Say whether a state forbids entering: red, also with amber."""
    return state in (RED, RED_AMBER)
