"""Slow, obvious twins of `kernels/visit.py` and of the rules about turns: a visit is told anew from all the past."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

from naive_heading import leapt, numbers, place_keep, turns_of, verdict
from naive_lanes import of_class
from naive_rules import crossing_step
from naive_standing import doubt

from kernels.crossing import FOOT
from kernels.records import ENDED, REASONS


@dataclass
class Travel:
    """All that was seen of a track: its rows, its way over each line, and when the view was suspended."""

    rows: list = field(default_factory=list)
    steps: list = field(default_factory=list)  # each step's (time, suspended)
    sides: dict = field(default_factory=dict)
    passages: list = field(default_factory=list)  # (number of steps before, row of the line, way, time)
    waits: dict | None = None
    entered: int = 0  # the step of the latest way in


def visit_reset():
    """Nothing seen."""
    return Travel()


def visit_step(travel, rows, track, suspended, box_height_m):
    """Add a row; tell the visit that ends in this very step, or None."""
    t = numbers(track)
    if not t["flags"] & ENDED:
        travel.rows.append(place_keep(t, box_height_m) | {"step": len(travel.steps)})
    travel.steps.append((t["time_s"], suspended))
    for k, row in enumerate(rows):
        one = row["visit_line"]
        past = travel.sides.setdefault(k, [])
        limits = (float(one[name]) for name in ("settle_s", "band_px", "band_share"))
        crossed = crossing_step(past, one["line"], track, FOOT, *limits)
        if crossed is not None:
            travel.passages.append((len(travel.steps) - 1, k, crossed.way, crossed.time_s))
    return visit_of(travel, rows, box_height_m)


def visit_of(travel, rows, box_height_m):
    """Replay all passages, step by step: the latest way in that was neither undone nor ended, and a way out now."""
    entry, now = None, len(travel.steps) - 1
    for step, passages in itertools.groupby(travel.passages, key=lambda passage: passage[0]):
        left = None
        for _, k, way, time_s in passages:
            one = rows[k]["visit_line"]
            index, both = int(one["index"]), bool(one["both"])
            along = not one["line"]["has_flow"] or way > 0
            back = entry is not None and (index, way) == (entry["line"], -entry["way"])
            if one["is_exit"]:
                if entry is not None and (back if both else along):
                    left = {"exit_s": time_s, "exit_line": index}
            elif along and not (back and both):
                entry = {"line": index, "way": way, "entry_s": time_s, "step": step}
                travel.entered = step
            elif back and not both:
                entry = None
        if left is not None and step == now:
            return left | entry
        entry = None if left is not None else entry
    return None


def turned_since(travel, step, box_height_m):
    """The angles turned after each row since a step, nothing first; and the sharp turns of those rows."""
    turns = turns_of(travel.rows, box_height_m)
    after_s = travel.steps[step][0]
    since = [turn for turn in turns if turn[0] > after_s]
    return [0.0, *itertools.accumulate(angle for _, angle, _ in since)], since


def mixed_up(travel, step, box_height_m):
    """Whether a row after a step was reached by a leap or a sharp turn at speed."""
    leaps = any(b["step"] > step and leapt(a, b, box_height_m) for a, b in itertools.pairwise(travel.rows))
    _, since = turned_since(travel, step, box_height_m)
    return leaps or any(kind == "swapped" for *_, kind in since)


def visit_reason(travel, visit, t, clock, s):
    """The first thing that makes it doubtful."""
    blind = [code for _, code in travel.steps[visit["step"] :] if code]
    if blind:
        return blind[-1]
    at_entry = doubt(t, clock, visit["entry_s"], 0.0, float(s["score_min"]))
    if at_entry or mixed_up(travel, visit["step"], s["box_height_m"]):
        return REASONS.index("identity")
    return doubt(t, clock, visit["exit_s"], float(s["age_min_s"]), float(s["score_min"]))


def visit_event(travel, visit, t, clock, s):
    event = verdict(t, visit["exit_s"], visit_reason(travel, visit, t, clock, s))
    lines = {"entry_line": visit["line"], "exit_line": visit["exit_line"]}
    return event | lines | {"entry_s": visit["entry_s"]}


def forbidden_turn_step(tracks, clock, settings, files):
    """An event for each way out that follows a way in, unless it went round or took for ever."""
    s, events = settings[0], []
    for track in tracks:
        t = numbers(track)
        travel = files.past(t, visit_reset)
        visit = visit_step(travel, settings, track, int(clock["suspended"]), s["box_height_m"])
        if visit is None:
            continue
        angles, _ = turned_since(travel, visit["step"], s["box_height_m"])
        round_it = max(map(abs, angles)) >= s["turned_max"]
        if round_it or visit["exit_s"] - visit["entry_s"] > s["visit_max_s"] or not of_class(s, t):
            continue
        events.append(visit_event(travel, visit, t, clock, s) | {"turned_deg": math.degrees(angles[-1])})
    return events


def u_turn_step(tracks, clock, settings, files):
    """An event when the angle since the way in, or the way back and forth, is enough soon after the way out."""
    s, events = settings[0], []
    for track in tracks:
        t = numbers(track)
        travel = files.past(t, visit_reset)
        visit = visit_step(travel, settings, track, int(clock["suspended"]), s["box_height_m"])
        if visit is not None:
            brief = visit["exit_s"] - visit["entry_s"] <= s["visit_max_s"]
            event = visit_event(travel, visit, t, clock, s)
            travel.waits = {"event": event, "step": visit["step"]} if brief else None
        if travel.waits is None:
            continue
        event = travel.waits["event"]
        # A new way in begins the angle anew.
        angles, since = turned_since(travel, travel.entered, s["box_height_m"])
        done = abs(angles[-1]) >= s["turned_min"]
        if any(kind == "reversed" for *_, kind in since):
            done = bool(s["three_point"])
        late = t["time_s"] - event["time_s"] > s["after_s"]
        if late or done:
            travel.waits = None
        if done and not late and of_class(s, t):
            margin = abs(angles[-1]) - s["turned_min"]
            events.append(event | {"turned_deg": math.degrees(angles[-1]), "margin_deg": math.degrees(margin)})
    return events
