"""An entry over a stop line and what the signal showed: shared by the rules on red lights.

An entry counts when the front passes the stop line under red, after the grace, and the rear passes it too (or the front
passes a second line) in that same red. Nothing is said before the signal can have told what it showed then, and
before the end of red is certain: a controller's clock may be off, a lamp is told two frames late.
"""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.crossing import CROSSING, FOOT, FRONT, REAR, SPEED_BACK_S, crossing_reset, crossing_step, speed_at
from kernels.guards import doubt
from kernels.records import (
    CALIBRATION,
    ENDED,
    IDENTITY,
    LINE,
    MAX_TRACKS,
    NO_REASON,
    RELINKED,
    SIGNAL_CLOCK,
    TRUNCATED,
)
from kernels.relink import RELINK_S
from kernels.rule import class_mask
from kernels.signals import is_unclear, red_seen_until, state_at, stops_traffic, unclear_reason

#: A signal tells of a change at most so much later: two frames at 8 Hz.
TOLD_S = 0.25
#: The longest wait for a signal's clock: one that is less certain is never certain enough.
WAIT_MAX_S = 3.0
#: A road user that takes longer to leave the stop line's dead band has stood on it; at 8 km/h this is 1.1 m.
LINGER_S = 0.5
#: So many standard deviations of the signal's time must lie within a margin.
SURE_SD = 3.0

#: So many deviations above the least speed of an offence a speed must lie to be surely none of less.
SLOW_SD = 1.0

#: What a line of an entry is for: the stop line (front), what completes the entry, a way out that is allowed on red,
#: another way out.
STOP, SECOND, LEGAL_TURN, OTHER_EXIT = range(4)
#: Where an entry stands. LOST: the track ended while it drove on, before it was complete.
NONE, FRESH, ENTERED, COMPLETE, LOST = range(5)

#: The lines of a rule on red lights, each with the limits that all share; 0 for those that the rule does not have.
RED_LINES = np.dtype(
    [
        ("line", LINE),
        ("index", "<i2"),
        ("role", "<u1"),
        ("anchor", "<u1"),
        ("signal", "<i2"),
        ("exits", "<u1"),
        ("classes", "<u4"),
        ("grace_s", "<f8"),
        ("speed_min_mps", "<f8"),
        ("severe_s", "<f8"),
        ("path_s", "<f8"),
        ("age_min_s", "<f8"),
        ("score_min", "<f8"),
        ("settle_s", "<f8"),
        ("band_px", "<f8"),
        ("band_share", "<f8"),
        ("past_m", "<f8"),
        ("past_share", "<f8"),
        ("stop_m", "<f8"),
        ("stop_mps", "<f8"),
        ("stop_s", "<f8"),
        ("scale_sd", "<f8"),
    ]
)

LIMITS = (
    *("grace_s", "severe_s", "path_s", "age_min_s", "score_min", "settle_s", "band_px", "band_share"),
    *("past_m", "past_share", "stop_m", "stop_s"),
)

#: One road user and one line; the entry is in the row of the first line. `path` is the role of the exit it took.
#: `bridge_*`: between which moments it was last not seen for long; so much before `entered_s` it may have been
#: (`early_s`), so much after `done_s` (`tardy_s`), where it was hidden then.
ENTRY = np.dtype(
    [
        ("crossing", CROSSING),
        ("entered_s", "<f8"),
        ("left_s", "<f8"),
        ("done_s", "<f8"),
        ("red_since_s", "<f8"),
        ("bridge_from_s", "<f8"),
        ("bridge_to_s", "<f8"),
        ("early_s", "<f4"),
        ("tardy_s", "<f4"),
        ("speed_mps", "<f4"),
        ("speed_sd_mps", "<f4"),
        ("sd_s", "<f4"),
        ("track_id", "<u4"),
        ("exit", "<i2"),
        ("stage", "<u1"),
        ("colour", "<u1"),
        ("reason", "<u1"),
        ("doubt", "<u1"),
        ("path", "<u1"),
        ("spare", "<u1"),
    ]
)


def red_lines(config, scene, legal=(), other=()):
    """Return RED_LINES of a rule's Config: stop line, what completes the entry, the exits; and its ENTRY states."""
    clear = getattr(config, "clear_line", None)
    second = (clear, FRONT) if clear is not None else (config.line, REAR)
    lines = [(config.line, STOP, FRONT), (second[0], SECOND, second[1])]
    lines += [(name, LEGAL_TURN, FOOT) for name in legal] + [(name, OTHER_EXIT, FOOT) for name in other]
    settings = np.zeros(len(lines), RED_LINES)
    for row, (name, role, anchor) in zip(settings, lines, strict=True):
        row["index"] = scene.line_names.index(name)
        row["line"], row["role"], row["anchor"] = scene.lines[row["index"]], role, anchor
    settings["signal"], settings["classes"] = scene.signal_names.index(config.signal), class_mask(config.classes)
    settings["exits"] = (len(legal) > 0) + 2 * (len(other) > 0)
    settings["speed_min_mps"] = getattr(config, "speed_min_kmh", 0.0) / 3.6
    settings["stop_mps"] = getattr(config, "stop_kmh", 0.0) / 3.6
    settings["scale_sd"] = scene.scale_sd
    for name in LIMITS:
        settings[name] = getattr(config, name, 0.0)
    return settings, np.zeros((MAX_TRACKS, len(lines)), ENTRY)


@kernel
def signal_wait_s(signal):
    """Return how long (s) after a moment a signal has told what it showed then, as surely as it ever will."""
    sure_s = SURE_SD * signal["sd_s"]
    return TOLD_S + (sure_s if sure_s <= WAIT_MAX_S else 0.0)


@kernel
def entry_colour(entry, signal, grace_s):
    """Settle what a signal showed at an entry; an entry that was no offence is dropped (stage NONE)."""
    colour, since_s = state_at(signal, entry["entered_s"])
    entry["colour"], entry["sd_s"], entry["red_since_s"] = colour, signal["sd_s"], math.nan
    entry["stage"] = ENTERED
    if is_unclear(colour):
        entry["reason"] = unclear_reason(signal)
        return
    over_s = entry["entered_s"] - since_s - grace_s
    if not stops_traffic(colour) or over_s <= 0.0:
        entry["stage"] = NONE
        return
    entry["red_since_s"] = since_s
    sure_s = SURE_SD * signal["sd_s"]
    if not over_s - entry["early_s"] > sure_s:
        entry["reason"] = IDENTITY if over_s > sure_s else SIGNAL_CLOCK


@kernel
def entry_complete(entry, signal, time_s):
    """Settle whether an entry was completed in the same red, and how surely; else it is dropped (stage NONE)."""
    entry["stage"] = COMPLETE
    if is_unclear(entry["colour"]):
        return
    colour, since_s = state_at(signal, entry["done_s"])
    reason = NO_REASON
    if is_unclear(colour):
        reason = unclear_reason(signal)
    elif not stops_traffic(colour) or since_s > entry["entered_s"]:
        entry["stage"] = NONE
    else:
        left_s, sure_s = red_seen_until(signal, since_s, time_s) - entry["done_s"], SURE_SD * signal["sd_s"]
        if left_s - entry["tardy_s"] < sure_s:
            reason = SIGNAL_CLOCK if left_s < sure_s else IDENTITY
    if entry["reason"] == NO_REASON:
        entry["reason"] = reason
    entry["sd_s"] = max(entry["sd_s"], signal["sd_s"])


@kernel
def hidden_at(entry, time_s):
    """Say whether a moment lies where the road user was last not seen for long."""
    return entry["bridge_from_s"] < time_s < entry["bridge_to_s"]


@kernel
def entry_begin(entry, crossing, track):
    """Begin an entry with a front that has settled beyond the stop line."""
    entry["stage"], entry["reason"], entry["path"] = FRESH, NO_REASON, STOP
    entry["entered_s"], entry["done_s"], entry["exit"] = crossing["time_s"], math.nan, -1
    # One that stood on the line before it went on entered the junction only then.
    lingered = crossing["pending_s"] - crossing["time_s"] > LINGER_S
    entry["left_s"] = crossing["pending_s"] if lingered else crossing["time_s"]
    entry["early_s"] = entry["entered_s"] - entry["bridge_from_s"] if hidden_at(entry, entry["entered_s"]) else 0.0
    entry["tardy_s"] = 0.0


@kernel
def entry_lines(rows, lines, track, clock):
    """Follow a road user (TRACK row) over the lines of a rule, and note what that means for its entry."""
    entry = rows[0]
    if entry["track_id"] != track["id"]:
        entry["track_id"], entry["stage"] = track["id"], NONE
        entry["bridge_from_s"], entry["bridge_to_s"] = math.nan, math.nan
        for k in range(len(lines)):
            crossing_reset(rows[k]["crossing"])
    if (track["flags"] & RELINKED) != 0 and track["time_s"] - track["prev_time_s"] > RELINK_S:
        entry["bridge_from_s"], entry["bridge_to_s"] = track["prev_time_s"], track["time_s"]
    for k in range(len(lines)):
        s = lines[k]
        crossing = rows[k]["crossing"]
        way = crossing_step(crossing, s["line"], track, s["anchor"], s["settle_s"], s["band_px"], s["band_share"])
        if way == 0:
            continue
        if s["role"] == STOP:
            # The speed at the line: when the front has settled beyond it, who moves off is faster.
            entry["speed_mps"], entry["speed_sd_mps"] = crossing["speed_mps"], crossing["speed_sd_mps"]
            if track["time_s"] - crossing["time_s"] <= SPEED_BACK_S:
                entry["speed_mps"], entry["speed_sd_mps"] = speed_at(track, crossing["time_s"], s["scale_sd"])
            # NaN (no calibrated speed) is not slow.
            slow = entry["speed_mps"] < s["speed_min_mps"]
            entry["stage"] = NONE
            if way > 0 and not slow and (s["classes"] >> track["class_id"]) & 1 != 0:
                entry_begin(entry, crossing, track)
                entry["doubt"] = doubt(track, clock, entry["entered_s"], 0.0, 0.0)
        elif entry["stage"] == NONE or (way < 0 and s["line"]["has_flow"] != 0):
            continue
        elif s["role"] == SECOND:
            if entry["done_s"] != entry["done_s"]:
                entry["done_s"] = max(crossing["time_s"], entry["left_s"])
                hidden = hidden_at(entry, entry["done_s"])
                entry["tardy_s"] = entry["bridge_to_s"] - entry["done_s"] if hidden else 0.0
        elif entry["path"] == STOP and crossing["time_s"] >= entry["entered_s"]:
            entry["path"], entry["exit"] = s["role"], s["index"]


@kernel
def entry_step(rows, lines, signal, track, clock):
    """Follow a road user and its signal; return the stage of its entry, COMPLETE or LOST when it is to be judged."""
    entry_lines(rows, lines, track, clock)
    entry, s = rows[0], lines[0]
    time_s, ended = track["time_s"], (track["flags"] & ENDED) != 0
    wait_s = signal_wait_s(signal)
    if entry["stage"] == FRESH and (ended or time_s - entry["entered_s"] >= wait_s):
        entry_colour(entry, signal, s["grace_s"])
    done = entry["done_s"] == entry["done_s"]
    if entry["stage"] == ENTERED and done and (ended or time_s - entry["done_s"] >= wait_s):
        entry_complete(entry, signal, time_s)
    if entry["stage"] == ENTERED and ended:
        # It drove on: what it would have done is not known. One that stood, or crept, had stopped behind the line.
        drove = s["speed_min_mps"] > 0.0 and track["speed_mps"] >= s["speed_min_mps"]
        entry["stage"] = LOST if drove and not is_unclear(entry["colour"]) else NONE
        entry["reason"] = TRUNCATED
    return entry["stage"]


@kernel
def entry_reason(entry, track, clock, limits):
    """Return why a completed entry cannot be judged, 0 where it can: by its signal, its track, or its speed."""
    if entry["reason"] != NO_REASON:
        return entry["reason"]
    now = doubt(track, clock, entry["entered_s"], limits["age_min_s"], limits["score_min"])
    if now == NO_REASON:
        now = entry["doubt"]
    # It may have been slower than what is asked for.
    least_mps = limits["speed_min_mps"]
    slow = least_mps > 0.0 and entry["speed_mps"] - SLOW_SD * entry["speed_sd_mps"] < least_mps
    if now == NO_REASON and slow:
        return CALIBRATION
    return now


@kernel
def may_turn(lines, track):
    """Say whether a road user could still leave by a turn that is legal on red: an end of its exit is not behind it."""
    ux, uy = float(track["front_x_m"] - track["rear_x_m"]), float(track["front_y_m"] - track["rear_y_m"])
    x, y = float(track["rear_x_m"]), float(track["rear_y_m"])
    for k in range(len(lines)):
        if lines[k]["role"] == LEGAL_TURN:
            line = lines[k]["line"]
            first = (line["x1_m"] - x) * ux + (line["y1_m"] - y) * uy
            last = (line["x2_m"] - x) * ux + (line["y2_m"] - y) * uy
            # False where the road or its heading is not known.
            if not (first < 0.0 and last < 0.0):
                return True
    return False
