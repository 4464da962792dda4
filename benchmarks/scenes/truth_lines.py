"""Truth of counts, movements and turns; SUMO's own loops beside what the course says."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scenes.course import Course
from benchmarks.scenes.kinds import KINDS
from benchmarks.scenes.look import Seen
from benchmarks.scenes.noise import Noise
from benchmarks.scenes.passages import Passage, foot_passages, passages, trips
from benchmarks.scenes.plan import Plan
from benchmarks.scenes.tables import Event, Truth

#: Who is to be seen for less than this on one side of a line cannot be counted, whoever looks; so far around it (s).
SEEN_S, AROUND_S = 0.5, 10.0
#: Nor can who is to be seen for less than this share of its last AROUND_S on a crosswalk, among the others there.
SEEN_SHARE = 0.5
MOTOR = ("car", "bus", "truck", "motorcycle")


def class_of(course: Course, who: int) -> str:
    """Return the class of a road user."""
    return KINDS[course.kind_name(who)].class_


def line_truth(course: Course, plan: Plan) -> Truth:
    """Return an event for each count, movement and forbidden turn of the plan's rules, and the fronts' passages."""
    table: list[dict[str, Any]] = []
    for name, line in plan.lines.items():
        table += [_row(course, name, one) for one in passages(course, line)]
    feet = {name: foot_passages(course, line, plan.camera) for name, line in plan.lines.items()}
    events: list[Event] = []
    for rule in plan.rules:
        if rule["type"] in ("line_count", "spot"):
            # A volume is of the foot point, a spot measure of the front.
            passed = passages(course, plan.lines[rule["line"]]) if rule["type"] == "spot" else feet[rule["line"]]
            events += [
                Event(
                    one.front_s,
                    rule["name"],
                    class_of(course, one.who),
                    "with_flow" if one.way > 0 else "against_flow",
                    one.speed_mps * 3.6,
                    one.who,
                )
                for one in passed
            ]
        elif rule["type"] in ("movement", "forbidden_turn", "u_turn"):
            events += [
                Event(trip.exit_s, rule["name"], class_of(course, trip.who), None, None, trip.who)
                for trip in trips(feet, rule["entry"], rule["exit"])
                if rule["type"] == "movement" or class_of(course, trip.who) in MOTOR
            ]
    return Truth(events, [], {"passages": sorted(table, key=lambda row: (row["front_s"], row["line"]))})


def without_hidden(truth: Truth, plan: Plan, seen: Seen, noise: Noise, fps: float) -> Truth:
    """Return a truth in which counts of who nobody could see pass are unsure.

    Nobody could who was in view, and hidden by no more than the detector bears, for less than `SEEN_S` of the
    `AROUND_S` before its passage, or of those after it; on a crosswalk for less than `SEEN_SHARE` of those before.
    """
    walks = {str(rule["name"]) for rule in plan.rules if rule["type"] == "crosswalk"}
    counts = {str(rule["name"]) for rule in plan.rules if rule["type"] == "line_count"}
    clear = seen.keep((seen.inside >= noise.inside_min) & (seen.hidden <= noise.hidden_max))
    order = np.argsort(clear.who, kind="stable")
    who, times = clear.who[order], clear.frame[order] / fps
    events: list[Event] = []
    unsure = list(truth.unsure)
    for event in truth.events:
        low, high = np.searchsorted(who, [event.track_id or 0, (event.track_id or 0) + 1])
        since = times[low:high] - event.time_s
        before = int(((since <= 0.0) & (since > -AROUND_S)).sum())
        after = int(((since > 0.0) & (since < AROUND_S)).sum())
        gone = event.rule in counts and min(before, after) < SEEN_S * fps
        gone |= event.rule in walks and before < SEEN_SHARE * AROUND_S * fps
        (unsure if gone else events).append(event)
    return Truth(events, unsure, truth.tables)


def _row(course: Course, line: str, one: Passage) -> dict[str, Any]:
    return {
        "line": line,
        "front_s": one.front_s,
        "rear_s": one.rear_s,
        "way": one.way,
        "speed_kmh": one.speed_mps * 3.6,
        "along_m": one.along_m,
        "class": class_of(course, one.who),
        "track_id": one.who,
    }


def loop_rows(path: Path, course: Course) -> list[dict[str, Any]]:
    """Return what SUMO's instant loops told: lane, state (enter, leave), time_s, track_id, speed_kmh.

    Who changes lanes on a loop enters twice.
    """
    number = {name: k + 1 for k, name in enumerate(course.names)}
    out = []
    for text in re.findall(r"<instantOut ([^>]*)/>", path.read_text()):
        told = dict(re.findall(r'(\w+)="([^"]*)"', text))
        if told["state"] in ("enter", "leave"):
            out.append(
                {
                    "lane": told["id"].removeprefix("i_"),
                    "state": told["state"],
                    "time_s": float(told["time"]),
                    "track_id": number.get(told["vehID"], 0),
                    "speed_kmh": float(told["speed"]) * 3.6,
                }
            )
    return out


def interval_rows(path: Path, numbers: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the intervals of a SUMO detector's output: id, begin_s, end_s and the named figures."""
    out = []
    for text in re.findall(r"<interval ([^>]*)/>", path.read_text()):
        told = dict(re.findall(r'(\w+)="([^"]*)"', text))
        row: dict[str, Any] = {
            "id": told["id"].partition("_")[2],
            "begin_s": float(told["begin"]),
            "end_s": float(told["end"]),
        }
        row |= {name: float(told[name]) if told.get(name) else math.nan for name in numbers}
        out.append(row)
    return out
