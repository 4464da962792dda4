"""What two road users do to each other, as far as a camera can see both."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.scenes.look import Seen
from benchmarks.scenes.noise import Noise
from benchmarks.scenes.tables import Event, Truth

#: Times to contact (s) below which there is a conflict, and up to which nobody can be sure.
SURE_S, UNSURE_S = 1.4, 1.6


def pairs_in_view(truth: Truth, seen: Seen, noise: Noise, fps: float) -> Truth:
    """Return a truth in which what two do to each other is told by the moments in which both are in clear view.

    That is in the picture, and hidden by no more than the detector bears. Who was seen behind its leader for less than
    the rule asks for is unsure and stands in the table `unseen`; a conflict is as near as it came in view.
    """
    clear = seen.keep((seen.inside >= noise.inside_min) & (seen.hidden <= noise.hidden_max))
    view = _key(clear.who, clear.frame)
    events, unsure, unseen = list(truth.events), list(truth.unsure), []
    for rule, ego, _, rows in _pairs(truth.tables.get("followings", [])):
        if len(_both(rows, view)) < rows[0]["held_s"] * fps:
            gone = [one for one in events if one.rule == rule and one.track_id == ego]
            events = [one for one in events if one not in gone]
            unsure += gone
            unseen += [{"rule": rule, "track_id": ego, "time_s": one.time_s} for one in gone]
    conflicts: list[dict[str, Any]] = []
    for rule, ego, foe, rows in _pairs(truth.tables.get("closings", [])):
        near = min(rows, key=lambda row: float(row["ttc_s"]))
        one = Event(near["frame"] / fps, rule, near["class"], None, None, ego)
        there = _both(rows, view)
        if there:
            near = min(there, key=lambda row: float(row["ttc_s"]))
            drac = max(float(row["drac_mps2"]) for row in there)
            conflicts.append({**near, "time_s": near["frame"] / fps, "drac_mps2": drac})
            one = one._replace(time_s=near["frame"] / fps)
        if there and near["ttc_s"] <= SURE_S:
            events.append(one)
        elif min(float(row["ttc_s"]) for row in rows) <= UNSURE_S:
            unsure.append(one)
            if not there or near["ttc_s"] > UNSURE_S:
                unseen.append({"rule": rule, "track_id": ego, "time_s": one.time_s, "foe": foe})
    tables = {name: rows for name, rows in truth.tables.items() if name not in ("followings", "closings")}
    told_of_pairs = len(tables) < len(truth.tables)
    if "closings" in truth.tables:
        tables["conflicts"] = conflicts
    if told_of_pairs:
        tables["unseen"] = unseen
    return Truth(events, unsure, tables)


def _key(who: np.ndarray, frame: np.ndarray) -> set[tuple[int, int]]:
    return set(zip(who.tolist(), frame.tolist(), strict=True))


def _pairs(rows: list[dict[str, Any]]) -> list[tuple[str, int, int, list[dict[str, Any]]]]:
    """Return (rule, road user, other, rows) of each pair."""
    found: dict[tuple[str, int, int], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["rule"], row["ego"], row["foe"]), []).append(row)
    return [(*key, own) for key, own in found.items()]


def _both(rows: list[dict[str, Any]], view: set[tuple[int, int]]) -> list[dict[str, Any]]:
    """Return the rows in which both are in view."""
    return [row for row in rows if (row["ego"], row["frame"]) in view and (row["foe"], row["frame"]) in view]
