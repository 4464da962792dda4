"""Slow, obvious twins of `kernels/fast.py` and of speeding: a run is found by going back through all rows."""

from __future__ import annotations

import itertools
import math

from naive_heading import leapt, numbers, place_keep, verdict, way_since, zone_at
from naive_lanes import of_class, reason_of
from naive_rules import crossing_step

from kernels.crossing import FRONT
from kernels.records import ENDED, REASONS


def over_limit_mps(t, limit_mps, tolerance_mps, tolerance_share, age_min_s):
    """The lower end of the speed's interval over the limit and the larger tolerance, a second after a gap."""
    if t["time_s"] < t["birth_s"] + float(age_min_s) or t["time_s"] < t["relinked_s"] + 1.0:
        return math.nan
    tolerance = max(float(tolerance_mps), float(tolerance_share) * t["speed_mps"])
    return t["speed_mps"] - 2 * t["speed_sd_mps"] - float(limit_mps) - tolerance


def fast_reset():
    """No past."""
    return []


def fast_step(past, t, margin_mps, suspended):
    """Add a row; the run that it ends, or None where there is none."""
    past.append(place_keep(t, 1.0) | {"margin_mps": float(margin_mps), "suspended": suspended})
    first = None
    for k in range(len(past) - 1, -1, -1):
        row, before = past[k], past[k - 1] if k else None
        if row["margin_mps"] <= 0:
            break
        if row["margin_mps"] > 0:
            first = k
        if before is None or leapt(before, row, 1.0) or row["relinked_s"] > before["time_s"]:
            break
    if first is None:
        return None
    run = past[first:]
    over = [row for row in run if row["margin_mps"] > 0]
    top = max(over, key=lambda row: row["margin_mps"])  # the first of equals
    codes = [row["suspended"] for row in run if row["suspended"]]
    return {
        "observations": len(over),
        "over_m": sum(abs(complex(*way_since(a, b, 1.0)[:2])) for a, b in itertools.pairwise(run)),
        "top": top,
        "suspended": codes[-1] if codes else 0,
    }


def fast_best(run, waiting, t, clock, place, limit_mps):
    """The event that waits from now on: the run's, if it is long enough and not below the one that waits."""
    if run is None or run["observations"] < place["observations_min"] or run["over_m"] < place["way_m"]:
        return waiting
    if waiting is not None and run["top"]["margin_mps"] < waiting["margin_mps"] - 1e-6:
        return waiting
    top = run["top"]
    reason = reason_of(run["suspended"], t, clock, top["time_s"], place)
    if not reason and place["poor_ground"]:
        reason = REASONS.index("calibration")
    event = verdict(t, top["time_s"], reason) | {name: top[name] for name in ("speed_mps", "speed_sd_mps")}
    event |= {"limit_mps": limit_mps, "margin_mps": top["margin_mps"], "over_m": run["over_m"]}
    where = {name: int(place[f"{name}_index"]) for name in ("line", "zone", "lane")}
    return event | where | {"observations": run["observations"]}


def speeding_step(tracks, clock, settings, files):
    """An event when a vehicle has left its place, its track or crossed its line, and one waits."""
    s, events = settings[0], []
    for track in tracks:
        t = numbers(track)
        own = files.past(t, lambda: {"past": fast_reset(), "sides": [], "waiting": None, "seen_s": -math.inf})
        ended = bool(t["flags"] & ENDED)
        k = 0 if s["anywhere"] else zone_at([row["zone"] for row in settings], t["foot_x_px"], t["foot_y_px"])
        if k < 0:
            own["past"] = fast_reset()
            own["run"] = None
        elif not ended:
            limit_mps = float(s["limit_mps"][t["class_id"]])
            margin_mps = over_limit_mps(t, limit_mps, s["tolerance_mps"], s["tolerance_share"], s["age_min_s"])
            own["run"] = fast_step(own["past"], t, margin_mps, int(clock["suspended"]))
            own["waiting"] = fast_best(own["run"], own["waiting"], t, clock, settings[k], limit_mps)
            own["seen_s"] = t["time_s"]
        passed = ended or (k < 0 and t["time_s"] - own["seen_s"] > 1.0)
        if s["line_index"] >= 0:
            passed = crossing_step(own["sides"], s["line"], track, FRONT, 0.1, 2.0, 0.1) is not None
            if not ended and own["run"] is None:
                own["waiting"] = None
        if passed and own["waiting"] is not None:
            if of_class(s, t):
                events.append(own["waiting"])
            own["waiting"] = None
    return events
