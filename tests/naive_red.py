"""Slow, obvious twins of `kernels/red.py` and of the rules that judge by it: each row replays a track's whole past."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from naive_rules import speed_at, wanted
from naive_signals import is_unclear, red_seen_until, state_at, stops_traffic, unclear_reason
from naive_standing import doubt, judgement_of

from kernels.crossing import SPEED_BACK_S
from kernels.records import ENDED, REASONS, RELINKED
from kernels.red import COMPLETE, ENTERED, FRESH, LEGAL_TURN, LINGER_S, LOST, NONE, SECOND, STOP, TOLD_S

CLOCK_REASON, TRUNCATED = REASONS.index("signal_clock"), REASONS.index("truncated")
IDENTITY, CALIBRATION = REASONS.index("identity"), REASONS.index("calibration")


@dataclass
class Step:
    """One row of a track: itself, what the camera and the signal said then, and what it crossed (line -> Crossed)."""

    track: object
    clock: object
    signal: object
    crossed: dict
    time_s: float
    ended: bool


@dataclass
class Entry:
    """What follows from a past about the latest way in over the stop line."""

    stage: int = NONE
    began: int = -1
    entered_s: float = math.nan
    left_s: float = math.nan
    colour: int = 0
    red_s: float = math.nan
    sd_s: float = 0.0
    reason: int = 0
    path: int = STOP
    exit: int = -1
    steps: list = field(default_factory=list)


def signal_wait_s(signal):
    """Three deviations of the signal's time where they are no more than three seconds, and what it tells late."""
    sd_s = float(signal["sd_s"])
    return TOLD_S + (3 * sd_s if 3 * sd_s <= 3 else 0)


def entry_lines(memory, lines, track, clock, signal):
    """Add one row to the past of its track, with what it crossed."""
    crossed = {k: memory.cross(s, s["line"], track, k, int(s["anchor"])) for k, s in enumerate(lines)}
    steps = memory.notes.setdefault(int(track["id"]), [])
    ended = bool(int(track["flags"]) & ENDED)
    kept = {k: one for k, one in crossed.items() if one is not None}
    steps.append(Step(track.copy(), clock.copy(), signal.copy(), kept, float(track["time_s"]), ended))
    return steps


def entry_begin(steps, lines):
    """The latest passage of the stop line, where it is a way in that the rule wants."""
    passed = [k for k, step in enumerate(steps) if 0 in step.crossed]
    if not passed:
        return Entry()
    step, s = steps[passed[-1]], lines[0]
    crossed = step.crossed[0]
    if crossed.way < 0 or speed_of(step, s)["speed_mps"] < s["speed_min_mps"] or not wanted(s, step.track):
        return Entry()
    left_s = crossed.left_s if crossed.left_s - crossed.time_s > LINGER_S else crossed.time_s
    return Entry(FRESH, passed[-1], crossed.time_s, left_s, steps=steps)


def hidden_at(dark_s, time_s):
    """Whether a moment lies within the dark."""
    return dark_s[0] < time_s < dark_s[1]


def dark_round(steps, time_s):
    """How long before and after a moment a road user was not seen, where it was hidden for over half a second then."""
    for step in reversed(steps):
        from_s, to_s = float(step.track["prev_time_s"]), step.time_s
        if int(step.track["flags"]) & RELINKED and to_s - from_s > 0.5:
            return (time_s - from_s, to_s - time_s) if hidden_at((from_s, to_s), time_s) else (0.0, 0.0)
    return 0.0, 0.0


def told_by(entry, since_s, first):
    """The first row from `first` on by which the signal has told what it showed at a moment."""
    for k in range(first, len(entry.steps)):
        step = entry.steps[k]
        if step.ended or step.time_s - since_s >= signal_wait_s(step.signal):
            return k
    return None


def entry_colour(entry, grace_s):
    """What the signal showed at the entry; NONE where that is no offence."""
    known = told_by(entry, entry.entered_s, entry.began)
    if known is None:
        return None
    signal = entry.steps[known].signal
    entry.colour, since_s = state_at(signal, entry.entered_s)
    entry.sd_s = float(signal["sd_s"])
    if is_unclear(entry.colour):
        entry.reason = unclear_reason(signal)
    elif not stops_traffic(entry.colour) or entry.entered_s - since_s - grace_s <= 0:
        entry.stage = NONE
        return None
    else:
        entry.red_s = entry.entered_s - since_s
        over_s, sure_s = entry.red_s - grace_s, 3 * entry.sd_s
        early_s, _ = dark_round(entry.steps[: entry.began + 1], entry.entered_s)
        if over_s - early_s <= sure_s:
            entry.reason = IDENTITY if over_s > sure_s else CLOCK_REASON
    entry.stage = ENTERED
    return known


def entry_complete(entry, lines, known):
    """Whether what completes the entry came in the same red, surely."""
    done_s, at = math.nan, None
    for k in range(entry.began, len(entry.steps)):
        for line, crossed in entry.steps[k].crossed.items():
            s = lines[line]
            if s["role"] == SECOND and at is None and not (crossed.way < 0 and s["line"]["has_flow"]):
                done_s, at = max(crossed.time_s, entry.left_s), k
    settled = told_by(entry, done_s, max(at, known)) if at is not None else None
    if settled is None:
        return
    step = entry.steps[settled]
    entry.stage = COMPLETE
    if is_unclear(entry.colour):
        return
    state, since_s = state_at(step.signal, done_s)
    reason = 0
    if is_unclear(state):
        reason = unclear_reason(step.signal)
    elif not stops_traffic(state) or since_s > entry.entered_s:
        entry.stage = NONE
    else:
        left_s = red_seen_until(step.signal, since_s, step.time_s) - done_s
        _, tardy_s = dark_round(entry.steps[: at + 1], done_s)
        sure_s = 3 * float(step.signal["sd_s"])
        if left_s < sure_s:
            reason = CLOCK_REASON
        elif left_s - tardy_s < sure_s:
            reason = IDENTITY
    entry.reason = entry.reason or reason
    entry.sd_s = max(entry.sd_s, float(step.signal["sd_s"]))


def entry_path(entry, lines):
    """The first exit that it passed after it had come in."""
    for step in entry.steps[entry.began :]:
        for line, crossed in step.crossed.items():
            s = lines[line]
            if s["role"] in (STOP, SECOND) or (crossed.way < 0 and s["line"]["has_flow"]):
                continue
            if crossed.time_s >= entry.entered_s:
                entry.path, entry.exit = int(s["role"]), int(s["index"])
                return


def entry_step(memory, lines, signal, track, clock):
    """Where the latest way in of a track stands after this row."""
    steps = entry_lines(memory, lines, track, clock, signal)
    entry = entry_begin(steps, lines)
    if entry.stage == NONE:
        return entry
    entry_path(entry, lines)
    known = entry_colour(entry, lines[0]["grace_s"])
    if known is not None:
        entry_complete(entry, lines, known)
    if entry.stage == ENTERED and steps[-1].ended:
        limit = lines[0]["speed_min_mps"]
        drove = limit > 0 and track["speed_mps"] >= limit and not is_unclear(entry.colour)
        entry.stage, entry.reason = (LOST if drove else NONE), TRUNCATED
    return entry


def entry_reason(entry, limits):
    """The signal's reason, or that of the track now or when it came in, or that it may have been slow."""
    if entry.reason:
        return entry.reason
    now, then = entry.steps[-1], entry.steps[entry.began]
    found = doubt(now.track, now.clock, entry.entered_s, limits["age_min_s"], limits["score_min"])
    found = found or doubt(then.track, then.clock, entry.entered_s, 0.0, 0.0)
    speed = speed_of(then, limits)
    slow = 0 < limits["speed_min_mps"] > speed["speed_mps"] - speed["speed_sd_mps"]
    return found or CALIBRATION * slow


def may_turn(lines, track):
    """Whether a legal exit has an end that is not behind the rear, seen along the way from rear to front."""
    rear, front = (complex(float(track[f"{end}_x_m"]), float(track[f"{end}_y_m"])) for end in ("rear", "front"))
    legal = [s["line"] for s in lines if s["role"] == LEGAL_TURN]
    ends = [complex(float(line[f"x{k}_m"]), float(line[f"y{k}_m"])) for line in legal for k in (1, 2)]
    return not all(((end - rear) * (front - rear).conjugate()).real < 0 for end in ends)


def speed_of(step, s):
    """The speed at the passage: told from a row soon after it, else that of its own row."""
    crossed = step.crossed[0]
    late = step.time_s - crossed.time_s > SPEED_BACK_S
    speeds = crossed.speed if late else speed_at(step.track, crossed.time_s, float(s["scale_sd"]))
    return dict(zip(("speed_mps", "speed_sd_mps"), speeds, strict=True))


def red_light_step(tracks, clock, signals, settings, memory):
    """An event for each way in that is complete, once, when its path is known."""
    s, events = settings[0], []
    told = memory.pasts.setdefault("told", set())
    for track in tracks:
        entry = entry_step(memory, settings, signals[s["signal"]], track, clock)
        key = int(track["id"]), entry.began
        if entry.stage not in (COMPLETE, LOST) or key in told:
            continue
        waited = entry.steps[-1].ended or float(track["time_s"]) - entry.entered_s > s["path_s"]
        if entry.path == STOP and s["exits"] and not waited:
            continue
        told.add(key)
        if entry.path == LEGAL_TURN:
            continue
        reason = entry_reason(entry, s)
        if not reason and entry.path == STOP and s["exits"] in (2, 3) and may_turn(settings, track):
            reason = TRUNCATED
        row = {"time_s": entry.entered_s, "track_id": int(track["id"]), "class_id": int(track["class_id"])}
        row |= {"score": float(track["score"])} | speed_of(entry.steps[entry.began], s)
        row |= {"red_s": entry.red_s, "margin_s": entry.red_s - s["grace_s"]}
        row |= {"signal_sd_s": entry.sd_s, "line": int(s["index"]), "signal": int(s["signal"])}
        row |= {"signal_state": entry.colour, "judgement": judgement_of(reason), "reason": reason}
        events.append(row | {"severe": int(entry.red_s - s["severe_s"] > 3 * entry.sd_s)})
    return events
