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
    decisive: list[dict[str, Any]] = []
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
            for trip in trips(feet, rule["entry"], rule["exit"]):
                if rule["type"] == "movement" or class_of(course, trip.who) in MOTOR:
                    turn = Event(trip.exit_s, rule["name"], class_of(course, trip.who), None, None, trip.who)
                    events.append(turn)
                    decisive.append(decisive_row(turn, trip.entry_s, trip.exit_s, through=False))
    tables = {"passages": sorted(table, key=lambda row: (row["front_s"], row["line"])), "decisive": decisive}
    return Truth(events, [], tables)


def without_hidden(truth: Truth, plan: Plan, seen: Seen, noise: Noise, fps: float) -> Truth:
    """Return a truth in which what nobody could see is unsure.

    Nobody could see a passage of who was in view, and hidden by no more than the detector bears, for less than `SEEN_S`
    of the `AROUND_S` before it, or of those after it: counts, both passages of a turn, the entry of an offence; on a
    crosswalk for less than `SEEN_SHARE` of those before. Nor could anybody tell how who was hidden for longer than
    `SEEN_S` at a stretch did what the table `decisive` has (rule, track_id, time_s, from_s, to_s, whether all of it
    decides, `through`, not its two ends alone, and who is to be seen for it, `whom`).
    """
    walks = {str(rule["name"]) for rule in plan.rules if rule["type"] == "crosswalk"}
    counts = {str(rule["name"]) for rule in plan.rules if rule["type"] == "line_count"}
    clear = seen.keep((seen.inside >= noise.inside_min) & (seen.hidden <= noise.hidden_max))
    order = np.argsort(clear.who, kind="stable")
    who, times = clear.who[order], clear.frame[order] / fps

    def seen_around(track_id: int, time_s: float) -> tuple[int, int]:
        low, high = np.searchsorted(who, [track_id, track_id + 1])
        since = times[low:high] - time_s
        before = int(((since <= 0.0) & (since > -AROUND_S)).sum())
        return before, int(((since > 0.0) & (since < AROUND_S)).sum())

    def seeable(track_id: int, time_s: float) -> bool:
        return min(seen_around(track_id, time_s)) >= SEEN_S * fps

    def longest_hidden_s(track_id: int, from_s: float, to_s: float) -> float:
        low, high = np.searchsorted(who, [track_id, track_id + 1])
        inside = times[low:high][(times[low:high] > from_s) & (times[low:high] < to_s)]
        return float(np.diff(np.r_[from_s, inside, to_s]).max())

    gone: set[tuple[str, int, float]] = set()
    for row in truth.tables.get("decisive", []):
        whom, ends = int(row["whom"]), (float(row["from_s"]), float(row["to_s"]))
        hidden = row["through"] and longest_hidden_s(whom, *ends) > SEEN_S
        if hidden or not all(seeable(whom, time_s) for time_s in ends):
            gone.add((str(row["rule"]), int(row["track_id"]), float(row["time_s"])))
    events: list[Event] = []
    unsure = list(truth.unsure)
    for event in truth.events:
        track_id = event.track_id or 0
        lost = (event.rule, track_id, event.time_s) in gone
        lost |= event.rule in counts and not seeable(track_id, event.time_s)
        lost |= event.rule in walks and seen_around(track_id, event.time_s)[0] < SEEN_SHARE * AROUND_S * fps
        (unsure if lost else events).append(event)
    return Truth(events, unsure, truth.tables)


def decisive_row(event: Event, from_s: float, to_s: float, through: bool, whom: int | None = None) -> dict[str, Any]:
    """Return a row of the table `decisive`: from when to when, and by whom if not its own, an event is shown true."""
    own = event.track_id or 0
    named = {"rule": event.rule, "track_id": own, "time_s": event.time_s, "whom": own if whom is None else whom}
    return {**named, "from_s": from_s, "to_s": to_s, "through": int(through)}


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
