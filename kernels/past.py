"""Road users that stand with their front beyond a line: what a stop-line overrun is made of."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.records import ENDED, NO_REASON, SIGNAL_CLOCK, TRUNCATED
from kernels.red import ENTERED, FRESH, NONE, SURE_SD, entry_colour, signal_wait_s
from kernels.signals import is_unclear, red_seen_until, state_at, stops_traffic, unclear_reason
from kernels.standing import STANDING, standing_reset, standing_step

#: A stand beyond a line: since when and how far at the least, `past` in m, or in box heights where not `on_road`. Once
#: it `stood` long enough, `stood_*` are of the stand that counts,
#: `stood_past` of its first `stop_s`: the way back would lessen it. `red_end_s`: when the red of the entry ended, NaN
#: while it lasts.
PAST = np.dtype(
    [
        ("standing", STANDING),
        ("since_s", "<f8"),
        ("stood_since_s", "<f8"),
        ("stood_until_s", "<f8"),
        ("red_end_s", "<f8"),
        ("past", "<f4"),
        ("stood_past", "<f4"),
        ("track_id", "<u4"),
        ("on_road", "<u1"),
        ("stood", "<u1"),
    ]
)


@kernel
def past_reset(own, track_id):
    """Forget a track; the next is `track_id`."""
    standing_reset(own["standing"])
    own["since_s"], own["red_end_s"] = math.nan, math.nan
    own["track_id"], own["stood"] = track_id, 0


@kernel
def front_offset_m(line, track):
    """Return how far a road user's front is beyond a line in m, negative before it; NaN without a ground."""
    return (track["front_x_m"] - line["x1_m"]) * line["nx_m"] + (track["front_y_m"] - line["y1_m"]) * line["ny_m"]


@kernel
def past_step(own, limits, track):
    """Return for how long (s) a road user has stood with its front beyond the line, 0 while it does not.

    Beyond is by more than `past_m`, without a ground by `past_share` of its box height, in every row of the stand.
    Standing is slower on the whole than `stop_mps`, or without a ground within `past_share` of the box height.
    """
    line = limits["line"]
    radius_m = limits["stop_mps"] * limits["stop_s"]
    held_s = standing_step(own["standing"], track, radius_m, limits["past_share"])
    past, least, on_road = front_offset_m(line, track), limits["past_m"], 1
    if past != past:
        past = (track["front_x_px"] - line["x1_px"]) * line["nx"] + (track["front_y_px"] - line["y1_px"]) * line["ny"]
        past, least, on_road = past / (track["y2_px"] - track["y1_px"]), limits["past_share"], 0
    if not past > least:
        own["since_s"] = math.nan
        return 0.0
    if own["since_s"] != own["since_s"] or held_s == 0.0 or own["on_road"] != on_road:
        own["since_s"], own["past"], own["on_road"] = track["time_s"], past, on_road
    own["past"] = min(own["past"], past)
    return track["time_s"] - own["since_s"]


@kernel
def past_stood(own, entry, limits, signal, track, held_s):
    """Follow the stand of a road user that has entered under red (ENTRY): long enough, in that red, until when."""
    if own["stood"] == 0:
        at_s = own["since_s"] + limits["stop_s"]
        told = track["time_s"] - at_s >= signal_wait_s(signal) or (track["flags"] & ENDED) != 0
        if held_s < limits["stop_s"] or not told:
            return
        colour, red_since_s = state_at(signal, at_s)
        if is_unclear(entry["colour"]) or is_unclear(colour):
            if entry["reason"] == NO_REASON:
                entry["reason"] = unclear_reason(signal)
        elif not stops_traffic(colour) or red_since_s > entry["entered_s"]:
            entry["stage"] = NONE
            return
        own["stood"], own["stood_since_s"], own["stood_past"] = 1, own["since_s"], own["past"]
    if held_s > 0.0 and own["since_s"] == own["stood_since_s"]:
        own["stood_until_s"] = track["time_s"]


@kernel
def overrun_step(own, entry, limits, signal, track):
    """Follow a road user whose front has passed the stop line (ENTRY); return 1 once its overrun can be told of.

    It is told of when the red has ended, the track has ended or the road user has gone back: until then it may go on
    under red, which is another offence. Then the entry is dropped (stage NONE).
    """
    time_s, ended = track["time_s"], (track["flags"] & ENDED) != 0
    wait_s = signal_wait_s(signal)
    held_s = past_step(own, limits, track)
    if entry["stage"] == FRESH and (ended or time_s - entry["entered_s"] >= wait_s):
        entry_colour(entry, signal, limits["grace_s"])
        own["stood"], own["red_end_s"] = 0, math.nan
    back = entry["stage"] == NONE and own["stood"] != 0
    if entry["stage"] != ENTERED and not back:
        return 0
    if not back:
        past_stood(own, entry, limits, signal, track, held_s)
    unclear = is_unclear(entry["colour"])
    if not unclear and own["red_end_s"] != own["red_end_s"]:
        until_s = red_seen_until(signal, entry["red_since_s"], time_s)
        own["red_end_s"] = until_s if until_s < time_s else math.nan
    lasts = own["red_end_s"] != own["red_end_s"]
    if entry["done_s"] == entry["done_s"] and (lasts or entry["done_s"] <= own["red_end_s"]):
        entry["stage"], own["stood"] = NONE, 0
        return 0
    if not (back or ended or (unclear and own["stood"] != 0) or (not lasts and time_s - own["red_end_s"] >= wait_s)):
        return 0
    told = own["stood"]
    entry["stage"], own["stood"] = NONE, 0
    if entry["reason"] == NO_REASON:
        entry["reason"] = overrun_doubt(own, entry, limits, signal, ended and lasts)
    return told


@kernel
def overrun_doubt(own, entry, limits, signal, cut):
    """Return why an overrun is not sure by its signal or its end, 0 where it is; `cut`: the track ended under red."""
    if cut:
        return TRUNCATED
    sure_s = SURE_SD * signal["sd_s"]
    near_s = own["red_end_s"] - own["stood_since_s"] - limits["stop_s"]
    if near_s < sure_s or abs(entry["done_s"] - own["red_end_s"]) < sure_s:
        return SIGNAL_CLOCK
    return NO_REASON
