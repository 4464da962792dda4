"""Slow, obvious twins of `kernels/past.py` and of the rule on stop-line overruns: each row replays the track's past."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from naive_red import entry_begin, entry_colour, entry_lines, entry_reason, signal_wait_s
from naive_signals import is_unclear, red_seen_until, state_at, stops_traffic, unclear_reason
from naive_standing import judgement_of, standing_step

from kernels.records import REASONS
from kernels.red import NONE, SECOND


@dataclass
class Stand:
    """A stand beyond the line as it is at one row: since when, by how much at the least, in m or box heights."""

    since_s: float
    now_s: float
    past: float
    on_road: bool

    @property
    def held_s(self):
        return self.now_s - self.since_s


def past_reset():
    """A track without rows."""
    return []


def front_offset_m(line, track):
    """The part along the normal of the way from the line's first end to the front."""
    way = complex(track["front_x_m"] - line["x1_m"], track["front_y_m"] - line["y1_m"])
    return (way * complex(float(line["nx_m"]), -float(line["ny_m"]))).real


def how_far(s, track):
    """(offset, whether that is far enough, whether it is in m) of one row."""
    past_m = front_offset_m(s["line"], track)
    if not math.isnan(past_m):
        return past_m, past_m > s["past_m"], True
    line, height = s["line"], float(track["y2_px"]) - float(track["y1_px"])
    x, y = float(track["front_x_px"]) - float(line["x1_px"]), float(track["front_y_px"]) - float(line["y1_px"])
    share = (x * float(line["nx"]) + y * float(line["ny"])) / height
    return share, share > s["past_share"], False


def past_step(past, s, track):
    """Add a row to the past of a track; return the stand that it ends with, None where its front is not beyond."""
    walked = past[-1]["walked"] if past else []
    now_s = float(track["time_s"])
    stays_s = now_s - standing_step(walked, track, s["stop_mps"] * s["stop_s"], s["past_share"])
    offset, far, on_road = how_far(s, track)
    past.append({"walked": walked, "time": now_s, "stays": stays_s, "offset": offset, "far": far, "road": on_road})
    run = list(itertools.takewhile(lambda one: one["far"] and one["road"] == on_road, reversed(past)))
    run = [one for one in run if one["stays"] == stays_s]
    return Stand(run[-1]["time"], now_s, min(one["offset"] for one in run), on_road) if run else None


def past_stood(entry, s, k, stands):
    """Whether the stand at row k counts: None not yet, False never, True; an unclear state gives the entry a reason."""
    step, stand = entry.steps[k], stands[k]
    if stand is None or stand.held_s < s["stop_s"]:
        return None
    at_s = stand.since_s + s["stop_s"]
    if not step.ended and step.time_s - at_s < signal_wait_s(step.signal):
        return None
    colour, red_s = state_at(step.signal, at_s)
    if is_unclear(colour) or is_unclear(entry.colour):
        entry.reason = entry.reason or unclear_reason(step.signal)
        return True
    return bool(stops_traffic(colour) and red_s <= entry.entered_s)


def second_s(entry, lines, k):
    """When it completed its way in, as known at row k."""
    for step in entry.steps[entry.began : k + 1]:
        for line, crossed in step.crossed.items():
            s = lines[line]
            if s["role"] == SECOND and not (crossed.way < 0 and s["line"]["has_flow"]):
                return max(crossed.time_s, entry.left_s)
    return math.nan


def overrun_step(entry, lines, began, stands, back):
    """(stand, since when, until when, end of the red) of what is to be told at the last row, else None."""
    s, counted, since_s, until_s, red_end_s = lines[0], None, math.nan, math.nan, math.nan
    last = len(entry.steps) - 1
    for k in range(began, len(entry.steps)):
        step, going_back = entry.steps[k], back and k == last
        if not going_back:
            if counted is None:
                verdict = past_stood(entry, s, k, stands)
                if verdict is False:
                    return None
                if verdict:
                    counted, since_s = stands[k], stands[k].since_s
            if counted is not None and stands[k] is not None and stands[k].since_s == since_s and stands[k].held_s > 0:
                until_s = step.time_s
        elif counted is None:
            return None
        if not is_unclear(entry.colour) and math.isnan(red_end_s):
            seen_s = red_seen_until(step.signal, entry.entered_s - entry.red_s, step.time_s)
            red_end_s = seen_s if seen_s < step.time_s else math.nan
        done_s = second_s(entry, lines, k)
        if not math.isnan(done_s) and not done_s > red_end_s:
            return None
        over = step.time_s - red_end_s >= signal_wait_s(step.signal)
        if going_back or step.ended or over or (is_unclear(entry.colour) and counted):
            if counted is None or k < last:
                return None
            cut = step.ended and math.isnan(red_end_s)
            reason = overrun_doubt(since_s + s["stop_s"], done_s, red_end_s, step.signal, cut)
            entry.reason = entry.reason or reason
            return counted, since_s, until_s, red_end_s
    return None


def overrun_doubt(settled_s, done_s, red_end_s, signal, cut):
    """Cut off under red, or too near the end of the red for the signal's clock."""
    near = [red_end_s - settled_s, abs(done_s - red_end_s)]
    if cut:
        return REASONS.index("truncated")
    return REASONS.index("signal_clock" if any(one < 3 * float(signal["sd_s"]) for one in near) else "none")


def stop_line_overrun_step(tracks, clock, signals, settings, memory):
    """An event for each stand beyond the line, when its red is over."""
    s, events = settings[0], []
    for track in tracks:
        signal = signals[s["signal"]]
        steps = entry_lines(memory, settings, track, clock, signal)
        past, stands = memory.pasts.setdefault((int(track["id"]), "stands"), (past_reset(), []))
        stands.append(past_step(past, s, track))
        back = 0 in steps[-1].crossed and steps[-1].crossed[0].way < 0
        entry = entry_begin(steps[:-1] if back else steps, settings)
        if entry.stage == NONE:
            continue
        began = entry_colour(entry, s["grace_s"])
        if began is None:
            continue
        entry.steps = steps
        told = overrun_step(entry, settings, began, stands, back)
        if told is None:
            continue
        stand, since_s, until_s, red_end_s = told
        reason = entry_reason(entry, s)
        if not reason and stand.on_road and stand.past - s["past_m"] < track["position_sd_m"]:
            reason = REASONS.index("calibration")
        row = {"time_s": entry.entered_s, "track_id": int(track["id"]), "class_id": int(track["class_id"])}
        row |= {"score": float(track["score"]), "red_s": entry.red_s}
        row |= {"past_m": stand.past if stand.on_road else math.nan}
        row |= {"past_share": math.nan if stand.on_road else stand.past}
        row |= {"stood_s": (red_end_s if red_end_s < until_s else until_s) - since_s}
        row |= {"signal_sd_s": max(entry.sd_s, float(signal["sd_s"])), "line": int(s["index"])}
        row |= {"signal": int(s["signal"]), "signal_state": entry.colour}
        events.append(row | {"judgement": judgement_of(reason), "reason": reason})
    return events
