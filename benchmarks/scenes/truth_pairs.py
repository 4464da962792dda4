"""Truth of two road users in one lane: who follows too closely; and what SUMO's own safety device saw."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scenes.course import Course
from benchmarks.scenes.plan import Plan
from benchmarks.scenes.tables import Event, Truth
from benchmarks.scenes.truth_lines import MOTOR, class_of

#: A leader is in the same lane, so its middle line is this near, and this far ahead at most.
BESIDE_M, AHEAD_M = 1.4, 60.0
#: While a leader brakes like this, or has within `BRAKED_S`, the gap is not the follower's doing.
BRAKES_MPS2, BRAKED_S = 1.0, 2.0
#: SUMO's code for an encounter in which ego follows.
FOLLOWS = "2"
#: Slower than this two do not close in (the rule's `closing_min_mps`).
CLOSING_MPS = 1.0


def tailgating_truth(course: Course, plan: Plan, rule: dict[str, Any]) -> Truth:
    """Time gap below `gap_s` behind the same leader for `held_s`, over the speed limit of the rule; both in view.

    The event is when the gap was least. Within a tenth of a threshold nobody can be sure. The table `followings` has a
    row for each frame in which an event's two were so close.
    """
    outline = np.concatenate([np.array(lane) for _, lanes in plan.approaches.values() for lane in lanes.values()])
    low, high = outline.min(axis=0), outline.max(axis=0)
    view = course.part(((course.front_m >= low) & (course.front_m <= high)).all(axis=1))
    view = view.part(np.isin(view.who, [who for who, _ in view.each() if class_of(view, who) in MOTOR]))
    events: list[Event] = []
    unsure: list[Event] = []
    table: list[dict[str, Any]] = []
    for (who, ahead), rows in _followed(view).items():
        frame, gap_m, speed, brakes = (np.array(column) for column in zip(*rows, strict=True))
        gap_s = gap_m / np.maximum(speed, 0.1)
        braked = _lately(brakes, round(BRAKED_S * course.fps))
        for factor, into in ((0.9, events), (1.1, unsure)):
            close = (gap_s < factor * rule["gap_s"]) & (speed > rule["speed_min_kmh"] / 3.6 / factor) & ~braked
            need = rule["held_s"] / factor * course.fps
            edges = np.flatnonzero(np.diff(np.r_[0, close.astype(np.int8), 0]))
            spans = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= need]
            for a, b in spans[:1]:
                at = a + int(np.argmin(gap_s[a:b]))
                event = Event(frame[at] / course.fps, rule["name"], class_of(course, who), None, None, who)
                if into is events or all(each.track_id != who for each in events):
                    into.append(event)
                    pair = {"rule": rule["name"], "ego": who, "foe": ahead, "held_s": rule["held_s"]}
                    table += [{**pair, "frame": int(each)} for each in frame[a:b] if into is events]
    return Truth(events, unsure, {"followings": table})


def _lately(held: np.ndarray, rows: int) -> np.ndarray:
    """Say where something held within the last `rows` rows."""
    last = np.maximum.accumulate(np.where(held, np.arange(len(held)), -(10**9)))
    return np.arange(len(held)) - last <= rows


def _followed(course: Course) -> dict[tuple[int, int], list[tuple[int, float, float, bool]]]:
    """Return rows (frame, gap m, own speed, leader brakes) for each pair of follower and leader, frame after frame."""
    accel = np.zeros(len(course.frame))
    for _, rows in course.each():
        accel[rows] = np.gradient(course.speed_mps[rows]) * course.fps if rows.stop - rows.start > 1 else 0.0
    out: dict[tuple[int, int], list[tuple[int, float, float, bool]]] = {}
    order = np.argsort(course.frame, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(course.frame[order]) > 0, True])
    rear = course.rear_m
    for a, b in zip(starts[:-1], np.r_[starts[1:-1], len(order)], strict=True):
        here = order[a:b]
        front, ahead = course.front_m[here], course.ahead[here]
        offset = rear[here][None, :, :] - front[:, None, :]
        along = np.einsum("ijk,ik->ij", offset, ahead)
        aside = np.abs(offset[:, :, 0] * ahead[:, None, 1] - offset[:, :, 1] * ahead[:, None, 0])
        same = (aside < BESIDE_M) & (along > -1.0) & (along < AHEAD_M) & (ahead @ ahead.T > 0.9)
        np.fill_diagonal(same, False)
        gap = np.where(same, along, np.inf)
        for i in np.flatnonzero(same.any(axis=1)):
            j = int(np.argmin(gap[i]))
            pair = int(course.who[here[i]]), int(course.who[here[j]])
            brakes = bool(accel[here[j]] < -BRAKES_MPS2)
            row = int(course.frame[here[i]]), float(gap[i, j]), float(course.speed_mps[here[i]]), brakes
            out.setdefault(pair, []).append(row)
    return out


def ssm_truth(path: Path, course: Course, rule: dict[str, Any]) -> Truth:
    """Return a table `closings` of each frame in which two of whom SUMO's safety device told a conflict closed in.

    The rows are the follower's. SUMO tells each conflict once for each of the two; the follower's is kept. Its device
    tells gap over closing speed, bumper to bumper, but loses the two while one of them is on the next edge; so the
    times are taken from the courses by that same definition (equal to 0.001 s where the device saw the least).
    """
    out: list[dict[str, Any]] = []
    rows_of = dict(course.each())
    done: set[tuple[int, int]] = set()
    for row in ssm_rows(path, course):
        ego, foe = row["ego"], row["foe"]
        if row["type"] != FOLLOWS or not ego or not foe or (ego, foe) in done:
            continue
        done.add((ego, foe))
        a, b = rows_of[ego], rows_of[foe]
        frame = np.intersect1d(course.frame[a], course.frame[b])
        i = a.start + np.searchsorted(course.frame[a], frame)
        j = b.start + np.searchsorted(course.frame[b], frame)
        gap = np.einsum("ij,ij->i", course.rear_m[j] - course.front_m[i], course.ahead[i])
        closing = course.speed_mps[i] - course.speed_mps[j]
        for k in np.flatnonzero((closing > CLOSING_MPS) & (gap > 0.0)):
            one = {"rule": rule["name"], "ego": ego, "foe": foe, "class": class_of(course, ego), "frame": int(frame[k])}
            one |= {"ttc_s": float(gap[k] / closing[k]), "drac_mps2": float(closing[k] ** 2 / (2 * gap[k]))}
            out.append({**one, "device_s": row["ttc_s"], "at_s": row["time_s"]})
    return Truth([], [], {"closings": out})


def ssm_rows(path: Path, course: Course) -> list[dict[str, Any]]:
    """Return the conflicts that SUMO's safety device told: both road users, least time to contact, when and where."""
    number = {name: k + 1 for k, name in enumerate(course.names)}
    out: list[dict[str, Any]] = []
    for begin, text in re.findall(r"<conflict ([^>]*)>(.*?)</conflict>", path.read_text(), re.DOTALL):
        told = dict(re.findall(r'(\w+)="([^"]*)"', begin))
        least = re.search(r"<minTTC ([^>]*)/>", text)
        worst = re.search(r"<maxDRAC ([^>]*)/>", text)
        ttc = dict(re.findall(r'(\w+)="([^"]*)"', least[1])) if least else {}
        drac = dict(re.findall(r'(\w+)="([^"]*)"', worst[1])) if worst else {}
        if ttc.get("value", "NA") == "NA":
            continue
        x, _, y = ttc["position"].partition(",")
        out.append(
            {
                "time_s": float(ttc["time"]),
                "ttc_s": float(ttc["value"]),
                "drac_mps2": float(drac.get("value", "nan").replace("NA", "nan")),
                "x_m": float(x),
                "y_m": float(y),
                "ego": number.get(told["ego"], 0),
                "foe": number.get(told["foe"], 0),
                "type": ttc.get("type", ""),
            }
        )
    return sorted(out, key=lambda row: (row["time_s"], row["ego"]))
