"""Slow, obvious twins of `kernels/impact.py` and `crash`: every user's past is kept whole."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import naive_meeting
from naive_encounter import encounter_angle
from naive_standing import judgement_of


@dataclass
class Scene:
    """The road users with their encounters, the ways of each track, and what may have been crashes."""

    world: naive_meeting.World = field(default_factory=naive_meeting.World)
    ways: dict = field(default_factory=dict)
    impacts: list = field(default_factory=list)
    stands: dict = field(default_factory=dict)  # slot: (id, place, since)


def impacts_reset():
    """Nothing is known."""
    return Scene()


def way_turned(marks, user):
    """`marks`: the (time, velocity) that were set, the last two count; one is set each 0.4 s, after a break both."""
    now, v = user.time_s, complex(user.rect["vx_mps"], user.rect["vy_mps"])
    if not marks or now - marks[-1][0] > 0.8:
        marks[:] = [(now, v), (now, v)]
    elif now - marks[-1][0] >= 0.4:
        marks.append((now, v))
    then, u = marks[-2]
    if abs(v) < 1 or abs(u) < 1:
        return 0.0, abs(u), 0.0
    return encounter_angle(u.real, u.imag, v.real, v.imag), abs(u), now - then


def impact_add(scene, users, time_s, place, **more):
    """A new one, unless there is one of the same."""
    ids = tuple(sorted({user.id for user in users}))
    if any(one["ids"] == ids for one in scene.impacts):
        return
    low = min(users, key=lambda user: user.id)
    high = max(users, key=lambda user: user.id)
    reasons = [user.reason for user in (low, high) if user.reason]
    scene.impacts.append(
        {
            "ids": ids,
            "time": time_s,
            "place": place,
            "told": False,
            "classes": (int(low.row["class_id"]), int(high.row["class_id"])),
            "score": min(low.row["score"], high.row["score"]),
            "reason": reasons[0] if reasons else 0,
            "ttc": math.nan,
            "braking": math.nan,
            "turned": math.nan,
            "seen": dict.fromkeys(ids, max(user.time_s for user in users)),
            **more,
        }
    )


def impacts_see(impacts, user):
    """Whoever is seen is seen now, for each impact that it has a part in."""
    for one in impacts:
        if user.id in one["ids"]:
            one["seen"][user.id] = user.time_s


def stand_step(stands, user):
    """It stands until it is more than a metre from where it came to stand."""
    place = (user.rect["x_m"], user.rect["y_m"])
    number, there, _ = stands.get(user.row["slot"], (0, place, 0.0))
    if number != user.id or math.dist(place, there) > 1.0:
        stands[user.row["slot"]] = (user.id, place, user.time_s)


def impacts_step(scene, clock, s):
    """Who met and who was turned round."""
    now = float(clock["time_s"])
    for one in list(scene.world.open):
        users = [user for number in one.ids for user in scene.world.users.values() if user.id == number]
        if len(users) == 2 and one.worst is not None:
            brakes = [u.braking[1] for u in users if abs(u.braking[0] - one.worst["time_s"]) <= 1.0]
            hard = max(brakes, default=-math.inf)
            last_s = min(u.time_s for u in users)
            unseen = now - last_s > 0.5 and last_s - one.worst["time_s"] < 0.1
            if (
                (one.drac > 12.0 and unseen)
                or one.ttc_s <= 0.1
                or (one.ttc_s < s["ttc_max_s"] and hard >= s["braking_mps2"])
            ):
                braking = hard if brakes and hard > -math.inf else math.nan
                note = {"ttc": one.ttc_s, "braking": braking, "reason": one.worst["reason"]}
                impact_add(scene, users, one.worst["time_s"], one.worst["at"], **note)
        if now - one.active_s > 2.0:
            scene.world.open.remove(one)
    for user in scene.world.here:
        stand_step(scene.stands, user)
        impacts_see(scene.impacts, user)
        turned, before, passed = way_turned(scene.ways.setdefault(user.id, []), user)
        hard = passed > 0 and before * math.radians(turned) / passed >= 8.0
        if hard and turned >= s["turn_deg"] and before >= s["turn_speed_mps"]:
            impact_add(scene, [user], now, [user.rect["x_m"], user.rect["y_m"]], turned=turned)


def impact_due(scene, one, clock, s):
    """Who stands there, and whether that is an alarm."""
    now = float(clock["time_s"])
    if now - one["time"] > (60.0 if one["told"] else s["alarm_s"]):
        scene.impacts.remove(one)
        return False
    if one["told"]:
        return False
    stand = []
    for user in scene.world.users.values():
        if not user.alive or not user.placed or now - user.time_s > 2.0:
            continue
        far = math.dist((user.rect["x_m"], user.rect["y_m"]), one["place"])
        there = far <= (3 * s["place_m"] if user.id in one["ids"] else s["place_m"])
        number, _, since_s = scene.stands.get(user.row["slot"], (0, None, 0.0))
        involved = user.id in one["ids"] or since_s >= one["time"] - 1.0
        if there and involved and number == user.id and now - since_s >= s["stand_s"]:
            stand.append(user.id)
    hidden = [who for who in one["ids"] if now - one["seen"][who] > 2.0 and one["seen"][who] <= one["time"] + 1.0]
    if len(one["ids"]) == 2 and len(set(stand) & set(one["ids"])) == 1:
        stand += hidden
    one["stopped"] = len(stand)
    if len(stand) < 2 or not set(stand) & set(one["ids"]):
        return False
    told = [other for other in scene.impacts if other["told"]]
    if any(
        set(other["ids"]) & set(one["ids"]) or math.dist(other["place"], one["place"]) <= s["place_m"] for other in told
    ):
        scene.impacts.remove(one)
        return False
    one["told"] = True
    return True


def crash_step(tracks, clock, settings, scene):
    """The alarms of one step."""
    s, events = settings[0]["limits"], []
    naive_meeting.meetings_step(scene.world, tracks, clock, settings[0]["near"])
    impacts_step(scene, clock, s)
    for one in list(scene.impacts):
        if impact_due(scene, one, clock, s):
            now, pair = float(clock["time_s"]), len(one["ids"]) == 2
            reason = one["reason"] or int(clock["suspended"])
            events.append(
                {
                    "time_s": now,
                    "track_id": one["ids"][0],
                    "other_track_id": one["ids"][1] if pair else 0,
                    "class_id": one["classes"][0],
                    "other_class": one["classes"][1],
                    "score": one["score"],
                    "after_s": now - one["time"],
                    "ttc_s": one["ttc"],
                    "braking_mps2": one["braking"],
                    "turned_deg": one["turned"],
                    "x_m": one["place"][0],
                    "y_m": one["place"][1],
                    "stopped": one["stopped"],
                    "judgement": judgement_of(reason),
                    "reason": reason,
                }
            )
    if clock["last"]:
        scene.__init__()
    return events
