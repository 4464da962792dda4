"""Slow, obvious twins of `kernels/approach.py` and of the rule on turns on red: the whole way up is looked at anew."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from naive_past import front_offset_m
from naive_red import entry_reason, entry_step
from naive_standing import judgement_of

from kernels.records import ENDED, REASONS
from kernels.red import COMPLETE, LEGAL_TURN, LOST, STOP


@dataclass
class Way:
    """The rows of the latest way up, as (time, speed, deviation); `seen` has where it began and what came after too.

    Each is a time and whether it was beyond the line then.
    """

    seen: list
    far: bool
    rows: list


def approach_reset(track, far):
    return Way([(float(track["time_s"]), False)], far, [])


def approach_step(rows, s):
    """The latest way up to the line in all rows of a track."""
    way = approach_reset(rows[0], False)
    for row in rows:
        past_m = front_offset_m(s["line"], row)
        if int(row["flags"]) & ENDED:
            continue
        if past_m < -s["stop_m"]:
            way = approach_reset(row, True)
            continue
        beyond = past_m > s["past_m"]
        if math.isnan(past_m) and way.seen[-1][1]:
            continue
        way.seen.append((float(row["time_s"]), bool(beyond)))
        if not beyond:
            speed = math.nan if math.isnan(past_m) else float(row["speed_mps"])
            way.rows.append((float(row["time_s"]), speed, float(row["speed_sd_mps"])))
    return way


def lowest(way):
    known = [(speed, k, sd) for k, (_, speed, sd) in enumerate(way.rows) if not math.isnan(speed)]
    return (min(known)[0], min(known)[2]) if known else (math.nan, 0.0)


def stood_s(way, s):
    """The longest run of rows that are all slow."""
    longest = 0.0
    for slow, run in itertools.groupby(way.rows, lambda row: row[1] < s["stop_mps"]):
        times = [row[0] for row in run]
        longest = max(longest, times[-1] - times[0]) if slow else longest
    return longest


def approach_doubt(way, s):
    """The first of: not seen from the start, seen with holes, speeds that are not sure."""
    holes = [after_s - before_s for (before_s, beyond), (after_s, _) in itertools.pairwise(way.seen) if not beyond]
    speed, sd = lowest(way)
    unsure = math.isnan(speed) or any(math.isnan(row[1]) for row in way.rows) or not speed - 2 * sd >= s["stop_mps"]
    if not way.far:
        return REASONS.index("truncated")
    if any(hole > s["stop_s"] for hole in holes):
        return REASONS.index("identity")
    return REASONS.index("calibration" if unsure else "none")


def turn_on_red_step(tracks, clock, signals, settings, memory):
    """An event for each complete entry under red that left by a legal exit and had not stood."""
    s, events = settings[0], []
    told = memory.pasts.setdefault("told", set())
    for track in tracks:
        entry = entry_step(memory, settings, signals[s["signal"]], track, clock)
        key = int(track["id"]), entry.began
        if entry.stage not in (COMPLETE, LOST) or key in told:
            continue
        if entry.path == STOP and not entry.steps[-1].ended and track["time_s"] - entry.entered_s <= s["path_s"]:
            continue
        told.add(key)
        if entry.stage == LOST or entry.path != LEGAL_TURN:
            continue
        way = approach_step([step.track for step in entry.steps], s)
        if stood_s(way, s) >= s["stop_s"]:
            continue
        reason = entry_reason(entry, s) or approach_doubt(way, s)
        row = {"time_s": entry.entered_s, "track_id": int(track["id"]), "class_id": int(track["class_id"])}
        row |= {"score": float(track["score"]), "red_s": entry.red_s, "signal_sd_s": entry.sd_s}
        row |= {"low_mps": lowest(way)[0], "low_sd_mps": lowest(way)[1], "stood_s": stood_s(way, s)}
        row |= {"line": int(s["index"]), "exit_line": entry.exit, "signal": int(s["signal"])}
        events.append(row | {"signal_state": entry.colour, "judgement": judgement_of(reason), "reason": reason})
    return events
