"""Slow, obvious twins of the rules' kernels: each keeps the whole past of a track and decides from all of it anew."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from kernels.course import ACCEL_SD
from kernels.crossing import (
    CENTRE,
    FIT_MOVE_S,
    FIT_S,
    FOOT,
    FRONT,
    REAR,
    REARM_BANDS,
    SPEED_BACK_S,
    TIE_PX_S,
    UNKNOWN_S,
)
from kernels.records import AT_EDGE, DIRECTIONS, ENDED, RELINKED

# -- crossing a line ------------------------------------------------------------------------------------------------


def line_offset(line, x, y):
    """Length of the part of the way from the line's first end that runs along the normal."""
    way = complex(x - float(line["x1_px"]), y - float(line["y1_px"]))
    return (way * complex(float(line["nx"]), -float(line["ny"]))).real


def within_ends(line, x, y):
    """Seen from either end, the point lies towards the other."""
    a, b = np.array([line["x1_px"], line["y1_px"]]), np.array([line["x2_px"], line["y2_px"]])
    point = np.array([x, y])
    return bool(np.dot(point - a, b - a) >= 0 and np.dot(point - b, a - b) >= 0)


@dataclass
class Row:
    """What a TRACK row says to one line."""

    time_s: float
    before: tuple[float, float, float]  # time, x, y of the previous point
    point: tuple[float, float]
    band: float
    flags: int
    offset: float
    offset_before: float
    well_away: int  # the side, 0 near the line
    known: bool = False  # front and rear are told from the foot point
    offset_m: float = math.nan
    crossed: bool = False
    first: tuple[float, float, float] = (math.nan, math.nan, math.nan)  # the foot point's first time, x, y
    speed: tuple[float, float] = (math.nan, math.nan)


@dataclass
class Crossed:
    way: int
    time_s: float
    point: tuple[float, float]
    bridged: bool
    speed: tuple[float, float] = (math.nan, math.nan)  # in the row of the passage
    left_s: float = math.nan  # since when it has been outside the dead band


def crossing_reset():
    """A track without a past."""
    return []


def seen_row(past, track, line, anchor, band_px, band_share):
    t = {name: float(track[name]) for name in track.dtype.names}
    point, before = (t["foot_x_px"], t["foot_y_px"]), (t["prev_foot_x_px"], t["prev_foot_y_px"])
    if anchor == CENTRE:
        point = (t["x1_px"] + t["x2_px"]) / 2, (t["y1_px"] + t["y2_px"]) / 2
        before = t["prev_centre_x_px"], t["prev_centre_y_px"]
    known, offset_m, crossed, before_s = False, math.nan, False, t["prev_time_s"]
    first = (before_s, *before)
    if anchor in (FRONT, REAR):
        foot, before_foot = point, before
        point, offset_m = end_of(t, line, "front" if anchor == FRONT else "rear")
        known = ends_apart(t)
        if past:
            first, crossed = past[-1].first, any(row.crossed for row in past)
        if past and past[-1].known == known:
            before = past[-1].point
            if not known and t["time_s"] - first[0] > UNKNOWN_S:
                first = (t["prev_time_s"], *before_foot)
        else:
            if past and (not known or crossed or t["time_s"] - first[0] > UNKNOWN_S):
                since, step = t["prev_time_s"], before_foot
            else:
                since, step = first[0], first[1:]
            past.clear()
            # The front is one vehicle ahead of the foot point, now as then.
            before = tuple(p + (s - f) for p, s, f in zip(point, step, foot, strict=True))
            before_s = since
    band = max(band_px, band_share * (t["y2_px"] - t["y1_px"]))
    offsets = line_offset(line, *point), line_offset(line, *before)
    well_away = int(math.copysign(1, offsets[0])) if abs(offsets[0]) > REARM_BANDS * band else 0
    if int(track["flags"]) & ENDED:
        band = max(band_px, band / REARM_BANDS)
    return Row(
        t["time_s"],
        (before_s, *before),
        point,
        band,
        int(track["flags"]),
        *offsets,
        well_away,
        known,
        offset_m,
        crossed,
        first,
        (t["speed_mps"], t["speed_sd_mps"]),
    )


def ends_apart(t):
    return (t["front_x_px"], t["front_y_px"]) != (t["rear_x_px"], t["rear_y_px"])


def end_of(t, line, end):
    """The end's place in px, and in m from the line where both are known on the road."""
    point = t[f"{end}_x_px"], t[f"{end}_y_px"]
    if not ends_apart(t) or not math.hypot(float(line["nx_m"]), float(line["ny_m"])) > 0.9:
        return point, math.nan
    normal = complex(float(line["nx_m"]), -float(line["ny_m"]))
    way = complex(t[f"{end}_x_m"] - float(line["x1_m"]), t[f"{end}_y_m"] - float(line["y1_m"]))
    return point, (way * normal).real


def kept_way(past, ways, since, side):
    """Of the rows that pass to the new side: the last one with the largest area under the offsets since `since`."""
    areas = []
    for k in ways:
        steps = [row for row in past[since:k] if row.before[1] == row.before[1]]
        areas.append(sum(side * (row.time_s - row.before[0]) * (row.offset + row.offset_before) / 2 for row in steps))
    good = [k for k, area in zip(ways, areas, strict=True) if area > max(0.0, *areas) - TIE_PX_S]
    return good[-1] if good else None


def crossings(past, settle_s):
    """Every change of the settled side in the past of a track: (row, new side, row of the last passage).

    A side is settled by a run of rows outside the band on it that lasts `settle_s` or ends the track; the first known
    side is also that of a previous point outside the band. A track that ends at the picture's edge within the band,
    beyond the line, settles there too.
    """
    places = [0 if abs(row.offset) <= row.band else int(math.copysign(1, row.offset)) for row in past]
    found, side, last_way, since, ways = [], 0, None, 0, []
    for k, row in enumerate(past):
        ended = bool(row.flags & ENDED)
        if not ended:
            if side == 0 and abs(row.offset_before) > row.band:
                side, since = int(math.copysign(1, row.offset_before)), k
            if (row.offset_before > 0) != (row.offset > 0):
                if side == 0:
                    last_way = k
                elif (row.offset > 0) == (side < 0):
                    ways.append(k)
                    kept = kept_way(past, ways, since, side)
                    last_way = last_way if kept is None else kept
            if side * row.offset > row.band:
                since, ways = k + 1, []
        run = k
        while run > 0 and places[run - 1] == places[k]:
            run -= 1
        now = places[k] if ended or row.time_s - past[run].time_s >= settle_s else 0
        beyond = 1 if row.offset > 0 else -1
        if ended and row.flags & AT_EDGE and places[k] == 0 and side != 0 and beyond != side:
            now = beyond
        if now in (0, side):
            continue
        if side != 0 and last_way is not None:
            found.append((k, now, last_way))
        side, last_way, since, ways = now, None, k + 1, []
    return found


def outside_since(past):
    """When the present run of rows on one side of the band began; now where the last row lies within it."""
    first = past[-1]
    for row in reversed(past):
        if abs(row.offset) <= row.band or row.offset * past[-1].offset < 0:
            break
        first = row
    return first.time_s


def passage(line, row, way, row_before=None):
    """Where and when the step of a row meets the line: by halving it 60 times; by its metres where both rows have."""
    low, high = 0.0, 1.0
    if row_before is not None and row.offset_m * row_before.offset_m < 0:
        high = float(np.interp(0.0, *zip(*sorted([(row_before.offset_m, 0.0), (row.offset_m, 1.0)]), strict=True)))
        low = high
    start, end = np.array([row.before[1], row.before[2], row.before[0]]), np.array([*row.point, row.time_s])
    for _ in range(60):
        part = (low + high) / 2
        same_side = (line_offset(line, *(start + part * (end - start))[:2]) > 0) == (row.offset_before > 0)
        low, high = (part, high) if same_side else (low, part)
    x, y, time_s = start + high * (end - start)
    return Crossed(way, time_s, (x, y), bool(row.flags & RELINKED))


def told_apart(track):
    return ends_apart({name: float(track[name]) for name in track.dtype.names})


def end_now(line, track, anchor):
    row = {name: float(track[name]) for name in track.dtype.names}
    point, offset_m = end_of(row, line, "front" if anchor == FRONT else "rear")
    return (*point, offset_m)


def end_before(past, track, line, anchor):
    return seen_row(list(past), track, line, anchor, 0.0, 0.0).before


def sample_add(samples, time_s, offset_px):
    """One offset more."""
    return [*samples, (time_s, offset_px)]


def fit_add(near, passed_s, time_s, offset_px):
    """One offset more of those near a passage, in units of FIT_S since it."""
    if abs(time_s - passed_s) > FIT_S:
        return near
    return [*near, ((time_s - passed_s) / FIT_S, offset_px)]


def fit_begin(samples, passed_s):
    """All offsets near a passage."""
    return [one for time_s, offset_px in samples for one in fit_add([], passed_s, time_s, offset_px)]


def passage_s(samples, time_s):
    """The zero of a parabola (numpy's fit) through the offsets near the passage, if it lies near it too."""
    near = [(t - time_s, offset) for t, offset in samples if abs(t - time_s) <= FIT_S]
    if len(near) < 4 or len({t for t, _ in near}) < 3:
        return time_s
    zeros = np.roots(np.polyfit(*zip(*near, strict=True), 2))
    moves = [float(zero.real) for zero in zeros if abs(zero.imag) < 1e-12 and abs(zero) < FIT_MOVE_S]
    return time_s + min(moves, key=abs, default=0.0)


def offsets_of(past):
    """The samples of a past: a first row brings its previous point too."""
    samples = []
    for row in past:
        if not row.flags & ENDED and row.before[1] == row.before[1]:
            if not samples:
                samples = sample_add(samples, row.before[0], row.offset_before)
            samples = sample_add(samples, row.time_s, row.offset)
    return samples


def crossing_step(past, line, track, anchor, settle_s, band_px, band_share):
    """Add the row to the past; return what settles in this very row, or None."""
    past.append(seen_row(past, track, line, anchor, band_px, band_share))
    changes = crossings(past, settle_s)
    if not changes or changes[-1][0] != len(past) - 1:
        return None
    told = None
    for k, way, last_way in changes:
        crossed = passage(line, past[last_way], way, past[last_way - 1] if last_way else None)
        if not within_ends(line, *crossed.point):
            continue
        # Well away on the side that was settled then; the crossing's own row may be that already.
        away = told is None or any(
            past[at].well_away
            == next(side for change, side, _ in reversed(changes) if change < at or at == told == change)
            for at in range(told, k + 1)
        )
        if away:
            told = k
        if k == len(past) - 1 and away:
            past[-1].crossed, crossed.speed = True, past[last_way].speed
            if not past[-1].known:
                crossed.time_s = passage_s(offsets_of(past), crossed.time_s)
            crossed.left_s = outside_since(past)
            return crossed
    return None


def speed_at(track, time_s, scale_sd):
    """The covariance of (speed, acceleration) in the steady state, taken back by the time since."""
    speed, sd, accel = (float(track[name]) for name in ("speed_mps", "speed_sd_mps", "accel_mps2"))
    back_s, own = float(track["time_s"]) - time_s, sd**2 - (scale_sd * speed) ** 2
    if math.isnan(accel) or not own > 0 or back_s <= 0:
        return speed, sd
    w = np.cbrt(3 * ACCEL_SD**2 / own)
    cov = ACCEL_SD**2 * np.array([[3 / w**3, 2 / w**2], [2 / w**2, 2 / w]])
    row = np.array([1.0, -min(back_s, 1 / w)])
    return max(speed - accel * back_s, 0.0), math.sqrt(row @ cov @ row + (scale_sd * speed) ** 2)


def direction_code(line, way):
    names = {True: ("with_flow", "against_flow")}.get(bool(line["has_flow"]))
    names = names or (("right", "left") if line["upright"] else ("down", "up"))
    return DIRECTIONS.index(names[0 if way > 0 else 1])


# -- rules ----------------------------------------------------------------------------------------------------------


@dataclass
class Memory:
    """What a rule's twin knows of each track, by its id: nothing here knows of slots."""

    pasts: dict = field(default_factory=dict)
    notes: dict = field(default_factory=dict)

    def cross(self, s, line, track, key, anchor=FOOT):
        past = self.pasts.setdefault((int(track["id"]), key), crossing_reset())
        return crossing_step(past, line, track, anchor, s["settle_s"], s["band_px"], s["band_share"])


def wanted(s, track):
    return int(s["classes"]) & 2 ** int(track["class_id"]) != 0


def event_of(track, crossed):
    row = {"time_s": crossed.time_s, "track_id": int(track["id"]), "class_id": int(track["class_id"])}
    return row | {"score": float(track["score"])}


def line_count_step(tracks, settings, memory):
    """An event for each crossing of a wanted class, one for each track and direction."""
    s, events = settings[0], []
    for track in tracks:
        crossed = memory.cross(s, s["line"], track, 0, int(s["anchor"]))
        if crossed is None or not wanted(s, track):
            continue
        direction = direction_code(s["line"], crossed.way)
        if direction in memory.notes.setdefault(int(track["id"]), set()):
            continue
        memory.notes[int(track["id"])].add(direction)
        place = {"x_px": crossed.point[0], "y_px": crossed.point[1], "bridged": int(crossed.bridged)}
        told = crossed.speed
        if float(track["time_s"]) - crossed.time_s <= SPEED_BACK_S:
            told = speed_at(track, crossed.time_s, s["scale_sd"])
        speed = dict(zip(("speed_mps", "speed_sd_mps"), told, strict=True))
        event = event_of(track, crossed) | speed | place
        events.append(event | {"line": int(s["index"]), "direction": direction})
    return events


def movement_step(tracks, settings, memory):
    """An event for each way out; it tells the latest way in since the way out before."""
    events = []
    for track in tracks:
        for k, s in enumerate(settings):
            crossed = memory.cross(s, s["line"], track, k)
            if crossed is None or not wanted(s, track) or (s["line"]["has_flow"] and crossed.way < 0):
                continue
            trip = memory.notes.setdefault(int(track["id"]), [])
            if not s["is_exit"]:
                trip.append((int(s["index"]), crossed.time_s))
                continue
            entry_line, entry_s = trip[-1] if trip else (-1, math.nan)
            trip.clear()
            ways = {"entry_line": entry_line, "entry_s": entry_s, "exit_line": int(s["index"])}
            events.append(event_of(track, crossed) | ways)
    return events
