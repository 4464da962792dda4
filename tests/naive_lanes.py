"""Slow, obvious twins of the rules about lanes: each keeps every row of a track and decides from all of them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np
from naive_geometry import line_offset_m
from naive_heading import against_reset, against_step, numbers, verdict, way_since, zone_at
from naive_standing import doubt

from kernels.records import ENDED, REASONS


@dataclass
class Files:
    """What a twin knows of each track, by its id: nothing here knows of slots."""

    pasts: dict = field(default_factory=dict)
    told: dict = field(default_factory=dict)  # the times of the events before

    def past(self, t, empty=list):
        return self.pasts.setdefault(t["id"], empty())

    def repeats(self, t, time_s, since_s=math.inf):
        """Told less than half a minute ago, or in what goes on since `since_s`."""
        return any(time_s - before < 30 or before >= since_s for before in self.told.setdefault(t["id"], []))


def of_class(s, t):
    return int(s["classes"]) & 2 ** t["class_id"] != 0


def reason_of(suspended, t, clock, at_s, s):
    return int(suspended) or doubt(t, clock, at_s, float(s["age_min_s"]), float(s["score_min"]))


# -- sides of a line ------------------------------------------------------------------------------------------------


def ends_of(t):
    """Front and rear on the road."""
    return [np.array([t[f"{end}_x_m"], t[f"{end}_y_m"]]) for end in ("front", "rear")]


def past_line_m(line, t, side):
    return min(side * line_offset_m(line, *end) for end in ends_of(t))


def passes_inside(line, x0, y0, x, y):
    """Turn the plane so that the line lies on the axis, its first end at zero."""
    ends = [complex(line[f"x{k}_m"], line[f"y{k}_m"]) for k in (1, 2)]
    turn = (ends[1] - ends[0]) / abs(ends[1] - ends[0])
    p, q = ((complex(*map(float, point)) - ends[0]) / turn for point in ((x0, y0), (x, y)))
    side = 1 if (complex(line["nx_m"], line["ny_m"]) / turn).imag > 0 else -1
    if (side * p.imag > 0) == (side * q.imag > 0):
        return -1
    at = p.real + (q.real - p.real) * p.imag / (p.imag - q.imag)
    return int(0 <= at <= abs(ends[1] - ends[0]))


def side_reset():
    """No past."""
    return []


def side_step(past, line, t, past_m, keep_s):
    """Add a row; the new side if this row settles it, else 0. Settled sides are found by replaying the whole past."""
    past.append({"t": t, "keep_s": keep_s} if not np.isnan(ends_of(t)).any() else None)
    return sides_of(past, line, past_m)[-1][1] if past[-1] else 0


def sides_of(past, line, past_m):
    """For each known row: (its side, the side that it changes to or 0, the settled side, since when it is past)."""
    rows = [row for row in past if row]
    here = [next((side for side in (1, -1) if past_line_m(line, row["t"], side) >= past_m), 0) for row in rows]
    found, settled = [], 0
    for k, row in enumerate(rows):
        changed, since_s = 0, None
        if here[k] and not settled:
            settled = here[k]
        elif here[k] not in (0, settled):
            first = k
            while first > 0 and here[first - 1] == here[k] and not found[first - 1][1]:
                first -= 1
            since_s = rows[first]["t"]["time_s"]
            if row["t"]["time_s"] - since_s >= row["keep_s"]:
                changed = settled = here[k]
        found.append((here[k], changed, settled, since_s))
    return found


def last_ways(past, line):
    """How front and rear last met the line, 0 where they never did."""
    rows = [ends_of(row["t"]) for row in past if row]
    ways = [[passes_inside(line, *a[end], *b[end]) for a, b in itertools.pairwise(rows)] for end in (0, 1)]
    return [next((way for way in reversed(one) if way >= 0), 0) for one in ways]


def lane_of(settings, t):
    """The lane of front and rear, -1 where they differ."""
    lanes = {
        zone_at([row["zone"] for row in settings], t[f"{end}_x_px"], t[f"{end}_y_px"]) for end in ("front", "rear")
    }
    return lanes.pop() if len(lanes) == 1 else -1


def solid_line_step(tracks, clock, settings, files):
    """An event when the side changes and the lane with it, both ways through the line between its ends."""
    s, events = settings[0], []
    for t in map(numbers, tracks):
        if t["flags"] & ENDED:
            continue
        past, lane = files.past(t, side_reset), lane_of(settings, t)
        changed = side_step(past, s["line"], t, s["past_m"], float(s["keep_s"]) if lane >= 0 else math.inf)
        known = past[-1] is not None
        past[-1] = past[-1] or {"unknown": True}
        past[-1] |= {"lane": lane, "suspended": int(clock["suspended"]), "time_s": t["time_s"]}
        if not known:
            past[-1]["settled"] = past[-2]["settled"] if len(past) > 1 else False
        rows = [row for row in past if "t" in row]
        sides = sides_of(rows, s["line"], s["past_m"])
        if known:
            past[-1]["settled"] = sides[-1][0] != 0 and sides[-1][0] == sides[-1][2]
        if not changed:
            continue
        before = [row["lane"] for row in past[:-1] if row["settled"] and row["lane"] >= 0]
        since = max((k for k, row in enumerate(past[:-1]) if row["settled"]), default=0)
        codes = [row["suspended"] for row in past[since:] if row["suspended"]]
        at_s = sides[-1][3]
        if not before or before[-1] == lane or last_ways(rows, s["line"]) != [1, 1] or files.repeats(t, at_s):
            continue
        if not settings[before[-1]]["is_from"] or not of_class(s, t):
            continue
        files.told[t["id"]].append(at_s)
        past_m = past_line_m(s["line"], t, changed)
        reason = reason_of(codes[-1] if codes else 0, t, clock, at_s, s)
        sure = past_m > 2 * math.hypot(t["position_sd_m"], s["ground_sd_m"])
        event = verdict(t, at_s, reason or (0 if sure else REASONS.index("calibration")))
        event |= {"kept_s": t["time_s"] - at_s, "past_m": past_m, "margin_m": past_m - s["past_m"]}
        lanes = {"from_lane": int(settings[before[-1]]["lane"]), "to_lane": int(settings[lane]["lane"])}
        events.append(event | lanes | {"line": int(s["index"]), "position_sd_m": t["position_sd_m"]})
    return events


# -- rules ----------------------------------------------------------------------------------------------------------


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


# -- stays ----------------------------------------------------------------------------------------------------------


def stay_reset():
    """No past."""
    return []


def stay_step(past, t, inside, leave_s, suspended, box_height_m):
    """Add a row; the stay that goes on, or None. It began with the last inside row that no other was near before."""
    past.append({"t": t, "inside": bool(inside), "suspended": suspended})
    within = [k for k, row in enumerate(past) if row["inside"]]
    last_s = t["time_s"]
    if not within or (not inside and last_s - past[within[-1]]["t"]["time_s"] > leave_s):
        return None
    first = within[-1]
    # Back from inside row to inside row, over rows outside only where they are short.
    for a, b in reversed(list(itertools.pairwise(within))):
        apart_s = past[b]["t"]["time_s"] - past[a]["t"]["time_s"]
        outside = [row["t"]["time_s"] - past[a]["t"]["time_s"] for row in past[a + 1 : b]]
        if outside and (apart_s > leave_s or max(outside) > leave_s):
            break
        first = a
    steps = [(a, b) for a, b in itertools.pairwise(past[first:]) if a["inside"] and b["inside"]]
    codes = [row["suspended"] for row in past[first:] if row["suspended"]]
    return {
        "first": first,
        "since_s": past[first]["t"]["time_s"],
        "inside_s": sum(b["t"]["time_s"] - a["t"]["time_s"] for a, b in steps),
        "way_m": sum(abs(complex(*way_since(a["t"], b["t"], box_height_m)[:2])) for a, b in steps),
        "suspended": codes[-1] if codes else 0,
    }


def reserved_lane_step(tracks, clock, settings, files):
    """An event when a stay outside the free part is long or far enough."""
    s, events = settings[0], []
    zones = [row["zone"] for row in settings]
    for t in map(numbers, tracks):
        if t["flags"] & ENDED:
            continue
        lane = zone_at(zones, t["front_x_px"], t["front_y_px"])
        inside, unknown = min(lane, zone_at(zones, t["rear_x_px"], t["rear_y_px"])) >= 0, False
        if inside and s["has_line"]:
            unknown = math.isnan(t["front_x_m"])
            inside = unknown or -line_offset_m(s["line"], t["front_x_m"], t["front_y_m"]) > s["free_before_m"]
        past = files.past(t, stay_reset)
        stay = stay_step(past, t, inside, s["leave_s"], int(clock["suspended"]), s["box_height_m"])
        past[-1]["unknown"] = unknown
        if stay is None or not inside or files.repeats(t, t["time_s"], stay["since_s"]) or not of_class(s, t):
            continue
        if stay["inside_s"] < s["held_s"] and stay["way_m"] < s["way_m"]:
            continue
        files.told[t["id"]].append(t["time_s"])
        reason = reason_of(stay["suspended"], t, clock, t["time_s"], s)
        if not reason and any(row["unknown"] for row in past[stay["first"] :]):
            reason = REASONS.index("calibration")
        event = verdict(t, t["time_s"], reason) | {"lane": int(settings[lane]["index"])}
        event |= {"held_s": stay["inside_s"], "margin_s": stay["inside_s"] - s["held_s"]}
        events.append(event | {"way_m": stay["way_m"], "margin_m": stay["way_m"] - s["way_m"]})
    return events
