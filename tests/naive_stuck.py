"""Slow, obvious twins of `kernels/exits.py`, `kernels/stuck.py` and the rule on box junctions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import naive_footprint
from naive_geometry import inside_zone_m
from naive_lasting import lasted_s
from naive_rules import crossing_step
from naive_standing import doubt, judgement_of

from kernels.crossing import FOOT
from kernels.records import CLASSES, ENDED, REASONS

LENGTHS_M = {0: 4.5, 1: 12.0, 2: 9.0, 3: 2.2, 4: 1.8, 5: 0.5}
OUTSIDE, INSIDE, STOOD, DONE = "outside", "inside", "stood", "done"


@dataclass
class User:
    number: int
    rect: dict = field(default_factory=naive_footprint.footprint_reset)
    alive: bool = False
    name: str = ""
    speed: float = math.nan
    still: tuple | None = None


@dataclass
class Visit:
    stage: str = OUTSIDE
    at_s: float = math.inf
    told_s: float = -math.inf
    outside: bool = False
    entry_s: float = 0.0
    stood: float = 0.0
    held: float = 0.0
    stood_at_s: float = 0.0
    length: float = 0.0
    path: int | None = None
    exempt: bool = False
    reason: str = "none"
    free: dict = field(default_factory=dict)
    people: dict = field(default_factory=dict)
    crossings: dict = field(default_factory=dict)


@dataclass
class Box:
    users: dict = field(default_factory=dict)
    visits: dict = field(default_factory=dict)
    steps: list = field(default_factory=list)


def user_length_m(footprint, class_id):
    """Half of the common length at least, or it was not measured."""
    common = LENGTHS_M[class_id]
    measured = 2 * footprint["half_length_m"]
    return common if measured < common / 2 else measured


def stuck_forget():
    """Nobody is known."""
    return Box()


def stuck_reset():
    """One that was never here."""
    return Visit()


def still_step(user, now):
    """An unknown speed is no more than a metre in the time that it has been within a metre of a place."""
    here = (user.rect["x_m"], user.rect["y_m"])
    if user.still is None or math.dist(here, user.still[1]) > 1.0:
        user.still = (now, here)
    elif math.isnan(user.speed) and now > user.still[0]:
        user.speed = 1.0 / (now - user.still[0])


def seen_step(memory, track):
    """The latest of each track that is not lost."""
    user = memory.users.setdefault(int(track["id"]), User(int(track["id"])))
    rect = None if track["flags"] & ENDED else naive_footprint.footprint_fill(user.rect, track)
    user.alive, user.rect = rect is not None, rect or user.rect
    user.name, user.speed = CLASSES[track["class_id"]], float(track["speed_mps"])
    if user.alive:
        still_step(user, float(track["time_s"]))
    return user.alive


def exit_gap_m(way, rect):
    """The nearest corner's distance from the end of the box, for whose middle is on the way out."""
    axis = complex(way["ux"], way["uy"])
    offset = complex(rect["x_m"] - way["x_m"], rect["y_m"] - way["y_m"]) * axis.conjugate()
    if abs(offset.imag) > way["half_width_m"]:
        return math.inf
    corners = [
        complex(*(corner - [way["x_m"], way["y_m"]])) * axis.conjugate() for corner in naive_footprint.corners(rect)
    ]
    return min(corner.real for corner in corners) - float(way["edge_m"])


def blocks(way, box, me, other, creep_mps):
    """All that must be so."""
    if not other.alive:
        return False
    axis = complex(way["ux"], way["uy"])
    apart = complex(other.rect["x_m"] - me.rect["x_m"], other.rect["y_m"] - me.rect["y_m"])
    heading = complex(other.rect["ux"], other.rect["uy"])
    return (
        other is not me
        and other.name != "person"
        and (apart * axis.conjugate()).real > 0
        and (heading == 0 or (heading * axis.conjugate()).real >= 0.5)
        and other.speed < creep_mps
        and any(naive_footprint.zone_share(place, other.rect) > 0.1 for place in (way["place"], box))
    )


def exit_free_m(way, box, me, users, creep_mps):
    """The least of all gaps."""
    return min(
        (exit_gap_m(way, other.rect) for other in users.values() if blocks(way, box, me, other, creep_mps)),
        default=math.inf,
    )


def exit_people(way, box, users, within_m):
    """Anyone on foot will do."""
    walkers = [user.rect for user in users.values() if user.alive and user.name == "person"]
    return any(
        inside_zone_m(box, rect["x_m"], rect["y_m"]) or abs(exit_gap_m(way, rect)) < within_m for rect in walkers
    )


def ways_of(settings):
    """The ways out and the lines, by number."""
    exits = {k: s["way"] for k, s in enumerate(settings) if not s["way"]["is_line"]}
    return exits, {k: s["way"]["line"] for k, s in enumerate(settings) if s["way"]["is_line"]}


def stuck_enter(visit, me, users, settings, clock):
    """What it sees as it comes in."""
    s = settings[0]
    visit.stage, visit.entry_s, visit.path, visit.exempt = INSIDE, float(clock["time_s"]), None, False
    visit.stood = visit.held = 0.0
    visit.reason, visit.length = REASONS[clock["suspended"]], user_length_m(me.rect, CLASSES.index(me.name))
    visit.free = {k: exit_free_m(way, s["box"], me, users, s["creep_mps"]) for k, way in ways_of(settings)[0].items()}
    visit.people = {}
    for k, way in ways_of(settings)[0].items():
        if math.isnan(way["edge_m"]):
            visit.free[k], visit.reason = math.nan, "calibration"


def stuck_stand(visit, me, users, settings, passed_s):
    """It stands, or not; NaN is neither."""
    s = settings[0]
    if not math.isnan(me.speed):
        visit.stood = visit.stood + passed_s if me.speed < s["stop_mps"] else 0.0
    visit.held = max(visit.held, visit.stood)
    if visit.stage == INSIDE and visit.held >= s["held_s"]:
        visit.stage, visit.stood_at_s = STOOD, visit.at_s
        needed = visit.length + float(s["margin_m"])
        for k, way in ways_of(settings)[0].items():
            clear = exit_free_m(way, s["box"], me, users, s["creep_mps"]) >= needed
            visit.people[k] = clear and exit_people(way, s["box"], users, needed)


def stuck_path(visit, me, settings, track):
    """The first way out of those it is on, and any exempt line."""
    exits, lines = ways_of(settings)
    for k, line in lines.items():
        past = visit.crossings.setdefault(k, [])
        visit.exempt |= crossing_step(past, line, track, FOOT, 0.1, 2.0, 0.1) is not None
    on = [k for k, way in exits.items() if me.alive and naive_footprint.zone_share(way["place"], me.rect) > 0.3]
    if visit.path is None and on:
        visit.path = on[0]


def stuck_step(visit, me, users, settings, track, clock, steps):
    """Whether it stood."""
    s, now = settings[0], float(clock["time_s"])
    passed, visit.at_s = lasted_s(steps, clock, visit.at_s), now
    share = naive_footprint.zone_share(s["box"], me.rect) if me.alive else math.nan
    if visit.stage != STOOD:
        if share < 0.02:
            visit.stage, visit.outside = OUTSIDE, True
        elif share > 0.05 and visit.stage == OUTSIDE:
            stuck_enter(visit, me, users, settings, clock)
            if visit.reason == "none" and not visit.outside:
                visit.reason = "truncated"
            elif visit.reason == "none" and passed <= 0:
                visit.reason = "stream_gap"
    stuck_path(visit, me, settings, track)
    if visit.stage in (INSIDE, STOOD) and share > 0.1:
        stuck_stand(visit, me, users, settings, passed)
    return visit.stage == STOOD


def stuck_exit(visit, settings, ended):
    """The number of a way out without room, or why there is none."""
    s = settings[0]
    needed = visit.length + float(s["margin_m"])
    full = [k for k, free in visit.free.items() if not free >= needed]
    if visit.exempt or not full:
        return -1
    if visit.path is not None:
        return visit.path if visit.path in full else -1
    if len(full) == len(settings):
        return min(full, key=lambda k: visit.free[k])
    return -3 if ended or visit.at_s - visit.stood_at_s > s["path_s"] else -2


def stuck_reason(visit, k, track, clock, s):
    """The first that applies, as a code."""
    of_track = REASONS[doubt(track, clock, visit.entry_s, s["age_min_s"], s["score_min"])]
    lost, people = "truncated" if k < 0 else "none", "pedestrian" if visit.people.get(k) else "none"
    all_of = [visit.reason, of_track, REASONS[int(s["reason"])], lost, people]
    return REASONS.index(next((reason for reason in all_of if reason != "none"), "none"))


def blocked_box_step(tracks, clock, signals, settings, memory):
    """`memory`: Box."""
    s, now, events = settings[0], float(clock["time_s"]), []
    memory.steps.append(float(clock["dt_s"]))
    for track in tracks:
        seen_step(memory, track)
    for track in tracks:
        ended = bool(track["flags"] & ENDED)
        if not int(s["classes"]) & 1 << int(track["class_id"]):
            continue
        me, visit = memory.users[int(track["id"])], memory.visits.setdefault(int(track["id"]), stuck_reset())
        if not stuck_step(visit, me, memory.users, settings, track, clock, memory.steps):
            continue
        k = stuck_exit(visit, settings, ended)
        if k == -2 or (clock["suspended"] and not ended):
            continue
        visit.stage = DONE
        if k == -1 or now - visit.told_s < 30:
            continue
        visit.told_s = now
        reason, free = stuck_reason(visit, k, track, clock, s), visit.free.get(k, math.nan)
        events.append({
            "time_s": now, "track_id": me.number, "score": track["score"], "class_id": track["class_id"],
            "zone": s["index"], "entry_s": visit.entry_s, "stood_s": visit.held, "free_m": free,
            "length_m": visit.length, "margin_m": visit.length + s["margin_m"] - free,
            "judgement": judgement_of(reason), "reason": reason,
        })  # fmt: skip
    if clock["last"]:
        memory.__init__()
    return events
