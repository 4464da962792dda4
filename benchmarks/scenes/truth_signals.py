"""Truth of what a signal forbids, by the definitions of the field.

Red light: the front passes the stop line more than the grace after the signal turned red and faster than 8 km/h, the
rear passes it in the same red (or the front a second line, where the site has one), and the way out is no turn that is
legal on red. Overrun: the front passes the line after the grace and is more than 0.3 m past it in red, stands there
(below 3 km/h) for 1 s, and does not go on so in that red; where the scene ends before that red does, nobody knows. Turn
on red: who takes the legal turn in red, with its rear over the line, had to stop (below 1 km/h for 0.5 s) before it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.scenes.course import Course
from benchmarks.scenes.passages import Passage, passages, trips
from benchmarks.scenes.plan import Line, Plan
from benchmarks.scenes.tables import Event, Truth
from benchmarks.scenes.truth_lines import class_of, decisive_row

GRACE_S = 0.3
SPEED_MIN_MPS = 8.0 / 3.6
#: The trait of who need not wait for green. No camera knows: its runs are true ones, for the operator to excuse.
EMERGENCY = "emergency"
#: So near a threshold truth is one for nobody: half a frame at 10 Hz, a speed's honest error.
NEAR_S = 0.05
NEAR_MPS = 1.0 / 3.6


class Signal(NamedTuple):
    """The changes of a signal: times (s) and states (red, amber, green)."""

    time_s: np.ndarray
    state: tuple[str, ...]

    def at(self, time_s: float) -> tuple[str, float, float]:
        """Return the state at a time, since when and until when (s) it lasts."""
        k = max(int(np.searchsorted(self.time_s, time_s, side="right")) - 1, 0)
        until = self.time_s[k + 1] if k + 1 < len(self.time_s) else np.inf
        return self.state[k], float(self.time_s[k]), float(until)


_LETTERS = {"r": "red", "s": "red", "y": "amber", "g": "green", "G": "green", "u": "red_amber"}


def read_signal(path: Path, link: int) -> Signal:
    """Read the states of one link from SUMO's SaveTLSStates; a step's state holds from the step's stamp on."""
    times: list[float] = []
    states: list[str] = []
    for time_s, state in re.findall(r'<tlsState time="([\d.]+)"[^>]*state="([^"]*)"', path.read_text()):
        name = _LETTERS[state[link]]
        if not states or states[-1] != name:
            times.append(float(time_s))
            states.append(name)
    return Signal(np.array(times), tuple(states))


def signal_text(signal: Signal) -> str:
    """Return the log of a signal as a site reads it."""
    rows = (f"{time_s:.3f},{state}" for time_s, state in zip(signal.time_s, signal.state, strict=True))
    return "time_s,state\n" + "\n".join(rows) + "\n"


def signal_truth(
    course: Course,
    plan: Plan,
    signal: Signal,
    line: str,
    legal: list[str],
    exits: list[str],
    clear: str | None = None,
) -> Truth:
    """Return the events of red light, overrun and turn on red at one stop line, and every passage with its signal.

    `clear`: the line whose passage by the front makes a red-light run; without it that of the rear over `line`.
    """
    events: list[Event] = []
    unsure: list[Event] = []
    table: list[dict[str, Any]] = []
    decisive: list[dict[str, Any]] = []
    fronts = {name: passages(course, plan.lines[name]) for name in (line, *exits)}
    out = {(trip.who, round(trip.entry_s, 6)): trip.exit for trip in trips(fronts, [line], exits)}
    rows = dict(course.each())
    cleared: dict[int, list[float]] = {}
    for passed in passages(course, plan.lines[clear]) if clear is not None else ():
        if passed.way > 0:
            cleared.setdefault(passed.who, []).append(passed.front_s)
    for one in fronts[line]:
        if one.way < 0:
            continue
        state, since_s, until_s = signal.at(one.front_s)
        way_out = out.get((one.who, round(one.front_s, 6)))
        red_s = one.front_s - since_s if state == "red" else float("nan")
        followed = one.rear_s < until_s
        done_s = one.rear_s
        if clear is not None:
            done_s = min((at for at in cleared.get(one.who, ()) if at > one.front_s), default=float("nan"))
        done = done_s < until_s
        stood_s = _stood_s(course, rows[one.who], plan.lines[line], one, until_s) if state == "red" else 0.0
        table.append(
            {
                "front_s": one.front_s, "rear_s": one.rear_s, "signal": state, "red_s": red_s,
                "speed_kmh": one.speed_mps * 3.6, "exit": way_out or "", "rear_in_same_red": int(followed),
                "stood_over_s": stood_s, "class": class_of(course, one.who), "track_id": one.who,
                "trait": course.trait[one.who - 1], "emergency_run": 0,
            }
        )  # fmt: skip
        if state != "red":
            continue
        ends = until_s < course.frames / course.fps
        event = Event(one.front_s, "red light", class_of(course, one.who), None, one.speed_mps * 3.6, one.who)
        near = abs(red_s - GRACE_S) < NEAR_S or abs(one.speed_mps - SPEED_MIN_MPS) < NEAR_MPS
        near |= abs(done_s - until_s) < NEAR_S
        if way_out in legal:
            stopped_s = _stopped_before_s(course, rows[one.who], plan.lines[line], one, 5.0)
            further_s = _stopped_before_s(course, rows[one.who], plan.lines[line], one, 10.0)
            table[-1]["stopped_before_s"] = stopped_s
            if red_s > GRACE_S and followed:
                turn = event._replace(rule="turn on red")
                came_s = _reached_s(course, rows[one.who], plan.lines[line], one, 5.0)
                decisive.append(decisive_row(turn, came_s, one.front_s, through=True))
                if stopped_s < 0.5:
                    (unsure if red_s - GRACE_S < NEAR_S or further_s > 0.3 else events).append(turn)
                elif stopped_s < 0.7:
                    unsure.append(turn)
        elif near and red_s > GRACE_S - NEAR_S and one.speed_mps > SPEED_MIN_MPS - NEAR_MPS:
            unsure.append(event)
        elif red_s > GRACE_S and one.speed_mps > SPEED_MIN_MPS and done:
            events.append(event)
            table[-1]["emergency_run"] = int(course.trait[one.who - 1] == EMERGENCY)
            decisive.append(decisive_row(event, one.front_s, one.front_s, through=False))
        if not done and stood_s >= 0.7 and red_s > GRACE_S - NEAR_S:
            sure = stood_s >= 1.0 and red_s > GRACE_S + NEAR_S and ends
            stood = event._replace(rule="overrun")
            (events if sure else unsure).append(stood)
            # Its stop, and a second of its stand.
            decisive.append(decisive_row(stood, one.front_s, _stands_s(course, rows[one.who], one) + 1.0, through=True))
    for row in table:
        row.setdefault("stopped_before_s", float("nan"))
    return Truth(events, unsure, {"entries": table, "decisive": decisive})


def _stands_s(course: Course, rows: slice, one: Passage) -> float:
    """Return when it first stands after its passage."""
    time_s = course.time_s[rows]
    after = (time_s > one.front_s) & (course.speed_mps[rows] < 3.0 / 3.6)
    return float(time_s[after].min())


def _reached_s(course: Course, rows: slice, line: Line, one: Passage, reach_m: float) -> float:
    """Return when its front was last `reach_m` before the line on its way to its passage."""
    past = (course.front_m[rows] - np.array(line.ends_m[0])) @ line.normal
    time_s = course.time_s[rows]
    further = (past < -reach_m) & (time_s < one.front_s)
    return float(time_s[further].max(initial=time_s[0]))


def _stood_s(course: Course, rows: slice, line: Line, one: Passage, until_s: float) -> float:
    """Return for how long (s) it stood with its front more than 0.3 m past the line before the red was over."""
    past = (course.front_m[rows] - np.array(line.ends_m[0])) @ line.normal
    time_s = course.time_s[rows]
    stands = (past > 0.3) & (course.speed_mps[rows] < 3.0 / 3.6) & (time_s > one.front_s) & (time_s < until_s)
    return longest(stands) / course.fps


def _stopped_before_s(course: Course, rows: slice, line: Line, one: Passage, reach_m: float) -> float:
    """Return for how long (s) it stood within `reach_m` before the line in the 60 s before its passage."""
    past = (course.front_m[rows] - np.array(line.ends_m[0])) @ line.normal
    time_s = course.time_s[rows]
    stands = (past > -reach_m) & (past <= 0.0) & (course.speed_mps[rows] < 1.0 / 3.6)
    stands &= (time_s < one.front_s) & (time_s > one.front_s - 60.0)
    return longest(stands) / course.fps


def longest(held: np.ndarray) -> int:
    """Return the length of the longest run of true."""
    edges = np.flatnonzero(np.diff(np.r_[0, held.astype(np.int8), 0]))
    return int((edges[1::2] - edges[::2]).max(initial=0))
