"""Slow, obvious twins of `kernels/meeting.py`, `kernels/passing.py` and `conflict`: encounters as objects in lists."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import naive_encounter as twins
import naive_footprint
import naive_later
import numpy as np
from naive_standing import doubt, judgement_of

from kernels.records import ENDED, REASONS, TRACK


@dataclass
class User:
    """One track as it was seen last, and where it was before."""

    id: int
    born_s: float
    double_of: int = 0
    rect: dict = field(default_factory=naive_footprint.footprint_reset)
    was: dict | None = None
    time_s: float = -math.inf
    was_s: float = -math.inf
    turn: float = 0.0
    placed: bool = False
    alive: bool = True
    moved_s: float = -math.inf
    braking: tuple = (-math.inf, 0.0)
    row: dict = field(default_factory=dict)
    reason: int = 0

    @property
    def speed(self):
        return math.hypot(self.rect["vx_mps"], self.rect["vy_mps"])


@dataclass
class Meeting:
    """Two tracks (lower id first), every estimate of when they meet, and what was at the worst one."""

    ids: tuple
    estimates: list = field(default_factory=twins.hold_reset)
    active_s: float = -math.inf
    worst: dict | None = None
    ttc_s: float = math.inf
    ttc_sd_s: float = math.nan
    pet_s: float = math.nan
    drac: float = 0.0
    angle: float = math.nan


@dataclass
class World:
    """Who was last in each slot, who is here, which encounters are open, who has been where."""

    users: dict = field(default_factory=dict)
    here: list = field(default_factory=list)
    open: list = field(default_factory=list)
    later: naive_later.Later = field(default_factory=naive_later.Later)
    trails: dict = field(default_factory=dict)


def meetings_reset():
    return World()


def passings_reset():
    return World()


def numbers(track):
    return {name: float(track[name]) for name in track.dtype.names}


def share_of_boxes(a, b):
    """Intersection over union."""
    w = min(a["x2_px"], b["x2_px"]) - max(a["x1_px"], b["x1_px"])
    h = min(a["y2_px"], b["y2_px"]) - max(a["y1_px"], b["y1_px"])
    if w <= 0 or h <= 0:
        return 0.0
    areas = sum((one["x2_px"] - one["x1_px"]) * (one["y2_px"] - one["y1_px"]) for one in (a, b))
    return w * h / (areas - w * h)


def user_born(world, track):
    """A new user; the double of the one whose box it covers most, if by more than half."""
    row = numbers(track)
    user = User(int(track["id"]), row["birth_s"])
    others = [one for one in world.users.values() if row["time_s"] - one.time_s <= 1.5 and one.id != user.id]
    shares = [(share_of_boxes(row, one.row), one.id) for one in others]
    if shares and max(shares)[0] > 0.5:
        user.double_of = max(shares)[1]
    return user


def user_turn(user, track):
    """A running mean of how the direction of motion changes."""
    row = numbers(track)
    gone = row["time_s"] - user.time_s
    before = complex(user.rect.get("vx_mps", math.nan), user.rect.get("vy_mps", math.nan))
    now = complex(row["vx_mps"], row["vy_mps"])
    if not 0 < gone < 0.5 or not (abs(before) > 1 and abs(now) > 1):
        return 0.0
    rate = (now / before).imag / abs(now / before) / gone
    return user.turn + (rate - user.turn) * gone / (gone + 0.3)


def user_step(world, track, clock, near):
    """Take a row in; say whether the place and the velocity are known."""
    slot = int(track["slot"])
    if slot not in world.users or world.users[slot].id != int(track["id"]):
        world.users[slot] = user_born(world, track)
    user, row = world.users[slot], numbers(track)
    user.turn = user_turn(user, track)
    user.was, user.was_s = (dict(user.rect), user.time_s) if user.placed else (None, -math.inf)
    user.time_s, user.row = row["time_s"], row
    rect = naive_footprint.footprint_fill(user.rect, track)
    user.rect = rect if rect is not None else user.rect
    user.placed = rect is not None and not math.isnan(rect["vx_mps"] + rect["vy_mps"])
    if not user.placed:
        return False
    user.moved_s = row["time_s"] if user.speed > 0.5 else user.moved_s
    braking = -row["accel_mps2"]
    if braking >= user.braking[1] or (row["time_s"] - user.braking[0] > 1.0 and not math.isnan(braking)):
        user.braking = (row["time_s"], braking)
    user.reason = doubt(track, clock, row["time_s"], near["age_min_s"], near["score_min"])
    if not user.reason and not row["position_sd_m"] < near["position_sd_max_m"]:
        user.reason = REASONS.index("calibration")
    return True


def doubles(a, b):
    return a.double_of == b.id or b.double_of == a.id


def relative(a, b):
    return math.hypot(a.rect["vx_mps"] - b.rect["vx_mps"], a.rect["vy_mps"] - b.rect["vy_mps"])


def boxes_apart(a, b):
    """Intervals that do not touch in x or in y."""
    return any(a[k] > b[k + 2] or b[k] > a[k + 2] for k in (0, 1))


def contact_in(a, b, near):
    """The moment of contact, with each way in which it does not count."""
    if relative(a, b) < near["closing_min_mps"] or max(a.speed, b.speed) < near["speed_min_mps"] or doubles(a, b):
        return math.inf
    enter, leave = twins.contact_window(a.rect, b.rect, 0.0)
    if not leave > 0 or enter > near["horizon_s"]:
        return math.inf
    sd = math.hypot(a.row["position_sd_m"], b.row["position_sd_m"])
    if sd > 0 and not 0 < twins.contact_window(a.rect, b.rect, sd / 2)[1] < math.inf:
        return math.inf
    if max(abs(a.turn), abs(b.turn)) > 0.1:
        until = max(1.5 * enter, 0.0) + 0.5
        if not all(twins.arcs_meet(a.rect, k * a.turn, b.rect, k * b.turn, until) for k in (1, 2)):
            return math.inf
    return max(enter, 0.0)


def meeting_find(world, a, b):
    """The open encounter of the two, if any."""
    return next((one for one in world.open if one.ids == tuple(sorted((a.id, b.id)))), None)


def meeting_open(world, a, b):
    one = Meeting(tuple(sorted((a.id, b.id))))
    world.open.append(one)
    return one


def meeting_note(a, b, time_s, ttc_s):
    """What is written down of a moment, of the lower id first; who approaches more leads."""
    low, high = sorted((a, b), key=lambda one: one.id)
    p, q = low.rect, high.rect
    between = (q["x_m"] - p["x_m"], q["y_m"] - p["y_m"])
    toward = [
        sum(v * d for v, d in zip((one["vx_mps"], one["vy_mps"]), between, strict=True)) * sign
        for one, sign in ((p, 1), (q, -1))
    ]
    middle = [(p[k] + q[k]) / 2 + ttc_s * (p[v] + q[v]) / 2 for k, v in (("x_m", "vx_mps"), ("y_m", "vy_mps"))]
    return {
        "time_s": time_s,
        "lead": int(toward[0] < toward[1]),
        "at": middle,
        "speeds": (low.speed, high.speed),
        "scores": (low.row["score"], high.row["score"]),
        "classes": (int(low.row["class_id"]), int(high.row["class_id"])),
        "reason": low.reason or high.reason,
    }


def meeting_step(one, a, b, contact_s, near):
    """Take an estimate in."""
    time_s = max(a.time_s, b.time_s)
    ttc_s = twins.hold_step(one.estimates, time_s, time_s + contact_s)
    if ttc_s > near["horizon_s"]:
        return
    one.active_s = time_s
    closing = relative(a, b)
    if ttc_s > 0:
        one.drac = max(one.drac, closing**2 / (2 * closing * ttc_s))
    note = meeting_note(a, b, time_s, ttc_s)
    if one.worst is not None:
        rank = (one.worst["reason"] != 0, one.ttc_s), (note["reason"] != 0, ttc_s)
        if rank[1] >= rank[0]:
            return
    one.worst, one.ttc_s = note, ttc_s
    one.angle = twins.encounter_angle(*(r[n] for r in (a.rect, b.rect) for n in ("ux", "uy")))
    sds = [math.hypot(*(u.row[n] if not math.isnan(u.row[n]) else fill for u in (a, b)))
           for n, fill in (("position_sd_m", math.nan), ("speed_sd_mps", 0.0))]  # fmt: skip
    one.ttc_sd_s = twins.ttc_sd(ttc_s, closing, *sds)


def meetings_follow(world, tracks, clock, near):
    """Who is here now and old enough, and how the open encounters go on."""
    world.here = []
    for track in tracks:
        known = world.users.get(int(track["slot"]))
        if int(track["flags"]) & ENDED and known is not None and known.id == int(track["id"]):
            known.alive = False
        wanted = int(near["classes"]) >> int(track["class_id"]) & 1
        if not int(track["flags"]) & ENDED and wanted and user_step(world, track, clock, near):
            user = world.users[int(track["slot"])]
            if user.time_s - user.born_s >= near["age_min_s"]:
                world.here.append(user)
    seen = {user.id: user for user in world.users.values() if user.placed and user.time_s == float(clock["time_s"])}
    for one in world.open:
        if set(one.ids) <= set(seen):
            a, b = (seen[number] for number in one.ids)
            meeting_step(one, a, b, contact_in(a, b, near), near)


def meetings_step(world, tracks, clock, near):
    """And every pair of those here that begins to close in."""
    meetings_follow(world, tracks, clock, near)
    for i, a in enumerate(world.here):
        for b in world.here[i + 1 :]:
            contact_s = contact_in(a, b, near)
            if 0 < contact_s < math.inf and meeting_find(world, a, b) is None:
                one = meeting_open(world, a, b)
                one.active_s = float(clock["time_s"])
                meeting_step(one, a, b, contact_s, near)


def pass_onto(world, owner, user, pet_max_s):
    """Somebody may just have come onto the trail of somebody else."""
    trail = world.trails[owner.id]
    pet_s, angle = twins.trail_pet(trail, user.was, user.rect, user.was_s, user.time_s)
    if not 0 < pet_s <= pet_max_s or doubles(owner, user):
        return
    one = meeting_find(world, owner, user) or meeting_open(world, owner, user)
    one.active_s = user.time_s
    if one.pet_s <= pet_s:
        return
    one.pet_s = pet_s
    if one.ttc_s == math.inf:
        r = user.rect
        front = [r["x_m"] + r["half_length_m"] * r["ux"], r["y_m"] + r["half_length_m"] * r["uy"]]
        lead = int(user.id > owner.id)
        one.worst = {**meeting_note(owner, user, user.time_s, 0.0), "at": front, "lead": lead}
        one.angle = angle


def passings_step(world, clock, near, pet_max_s):
    """Each owner of a trail with each who moves here."""
    now = float(clock["time_s"])
    for user in world.here:
        twins.trail_add(world.trails.setdefault(user.id, twins.trail_reset()), user.rect, now, pet_max_s / 30)
    for slot in sorted(world.users):
        owner = world.users[slot]
        if len(world.trails.get(owner.id, ())) < 2 or now - owner.time_s > pet_max_s:
            continue
        for user in world.here:
            moves = user.speed >= near["speed_min_mps"] and user.was is not None and now - user.was_s <= 1.0
            if moves and user is not owner:
                pass_onto(world, owner, user, pet_max_s)


def conflict_step(tracks, clock, settings, world):
    """Close what has been quiet for long enough; tell of what was a conflict."""
    s = {name: float(settings[0][name]) for name in ("ttc_max_s", "pet_report_s", "pet_max_s", "drac_mps2")}
    near, events = settings[0]["near"], []
    naive_later.later_push(world.later, tracks, clock)
    while naive_later.later_due(world.later, bool(clock["last"])):
        rows, then = naive_later.later_next(world.later)
        meetings_step(world, np.array(rows, TRACK), then, near)
        passings_step(world, then, near, s["pet_max_s"])
    now = float(world.later.frames[world.later.done - 1][0]["time_s"]) if world.later.done else -math.inf
    for one in list(world.open):
        if not (now - one.active_s > s["pet_max_s"] or clock["last"]):
            continue
        world.open.remove(one)
        kind, met = twins.encounter_kind(one.angle), one.ttc_s < math.inf
        if (
            one.ttc_s <= s["ttc_max_s"]
            or one.pet_s < s["pet_report_s"]
            or (kind == 0 and met and one.drac >= s["drac_mps2"])
        ):
            note, lead = one.worst, one.worst["lead"]
            kmh = [int(min(255, round(3.6 * v))) for v in note["speeds"]]
            events.append(
                {
                    "time_s": note["time_s"],
                    "track_id": one.ids[lead],
                    "other_track_id": one.ids[1 - lead],
                    "class_id": note["classes"][lead],
                    "other_class": note["classes"][1 - lead],
                    "score": min(note["scores"]),
                    "speed_kmh": kmh[lead],
                    "other_speed_kmh": kmh[1 - lead],
                    "ttc_s": one.ttc_s if met else math.nan,
                    "drac_mps2": one.drac if met else math.nan,
                    "ttc_sd_cs": min(255, round(100 * one.ttc_sd_s)) if met else 255,
                    "pet_s": one.pet_s,
                    "x_m": note["at"][0],
                    "y_m": note["at"][1],
                    "severity": twins.severity(one.ttc_s, one.pet_s),
                    "encounter": kind,
                    "judgement": judgement_of(note["reason"]),
                    "reason": note["reason"],
                }
            )
    if clock["last"]:
        world.__init__()
    return events
