"""Slow, obvious twins of the rules about lanes: each keeps every row of a track and decides from all of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from naive_heading import against_reset, against_step, numbers, verdict
from naive_standing import doubt

from kernels.records import ENDED


@dataclass
class Files:
    """What a twin knows of each track, by its id: nothing here knows of slots."""

    pasts: dict = field(default_factory=dict)
    told: dict = field(default_factory=dict)  # the times of the events before

    def past(self, t, empty=list):
        return self.pasts.setdefault(t["id"], empty())

    def repeats(self, t, time_s):
        return any(time_s - before < 30 for before in self.told.setdefault(t["id"], []))


def of_class(s, t):
    return int(s["classes"]) & 2 ** t["class_id"] != 0


def reason_of(suspended, t, clock, at_s, s):
    return int(suspended) or doubt(t, clock, at_s, float(s["age_min_s"]), float(s["score_min"]))


def wrong_way_step(tracks, clock, settings, files):
    """An event when a run is long, far, mostly inside and no reversing, and none was told lately."""
    s, events = settings[0], []
    for t in map(numbers, tracks):
        if t["flags"] & ENDED:
            continue
        run = against_step(files.past(t, against_reset), t, settings, int(clock["suspended"]))
        if run is None or run["held_s"] < s["held_s"] or run["way_m"] < s["against_m"]:
            continue
        parking = run["way_m"] <= s["reverse_m"] and run["way_m"] / max(run["held_s"], 1e-9) < s["reverse_mps"]
        inside_share = run["inside_s"] / max(run["held_s"], 1e-9)
        mostly = run["inside_s"] >= s["inside_share"] * run["held_s"]
        if parking or not mostly or files.repeats(t, t["time_s"]) or not of_class(s, t):
            continue
        files.told[t["id"]].append(t["time_s"])
        event = verdict(t, t["time_s"], reason_of(run["suspended"], t, clock, t["time_s"], s))
        event |= {"held_s": run["held_s"], "against_m": run["way_m"], "margin_m": run["way_m"] - s["against_m"]}
        event |= {"cosine": run["cosine"], "inside_share": inside_share}
        events.append(event | {"lane": int(settings[run["lane"]]["index"])})
    return events
