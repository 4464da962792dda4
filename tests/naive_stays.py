"""Slow, obvious twins of `kernels/stays.py` and of the rules about road users that stand."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import naive_footprint
from naive_geometry import inside_zone_m
from naive_standing import doubt, judgement_of, standing_step

from kernels.records import CLASSES, ENDED, REASONS, SIGNAL_STATES


@dataclass
class User:
    """One track, by its id: nothing here knows of slots. `stay` is what is held of its present stay."""

    past: list = field(default_factory=list)
    radii: list = field(default_factory=list)
    rect: dict = field(default_factory=naive_footprint.footprint_reset)
    stay: dict = field(default_factory=dict)


@dataclass
class Stays:
    users: dict = field(default_factory=dict)
    places: list = field(default_factory=list)


def stays_reset():
    """Nobody is known."""
    return Stays()


def place_keep(memory, stay, lost):
    """A copy of the stay, as it was last seen."""
    memory.places.append({**stay, "lost": lost})


def place_take(memory, user, radius_m):
    """The oldest place that is the same track's, or near by a track's that was never seen to arrive."""
    for place in memory.places:
        same = place["id"] == user.stay["id"]
        near = math.dist(place["at"], user.stay["at"]) <= radius_m * (1 if same else 1.5)
        if near and (same or user.stay["unseen"]):
            memory.places.remove(place)
            user.stay.update(taken=True, since=min(place["since"], user.stay["since"]), unseen=place["unseen"])
            if place["reported"]:
                user.stay.update(reported=True, event_id=place["event_id"], lane=place["lane"])
            return True
    return False


def place_expired(place, clock, memory_s):
    """Too long ago, or the end of everything."""
    age = float(clock["time_s"]) - place["seen"]
    return bool(clock["last"]) or age > (memory_s if place["lost"] else 3.0)


def stay_step(memory, track, radius_m):
    """The stay that the whole past of a track ends with."""
    number, now = int(track["id"]), float(track["time_s"])
    user = memory.users.setdefault(number, User())
    user.stay = user.stay or {"id": number, "held": 0.0, "lane": -1}
    rect = naive_footprint.footprint_fill(user.rect, track)
    if rect is None:
        return False
    user.rect = rect
    sd = float(track["position_sd_m"])
    told = bool(user.stay.get("reported"))
    radius = radius_m if math.isnan(sd) else sorted([radius_m, 3 * sd, 2 * radius_m])[1]
    radius = 2 * radius_m if told else radius
    stood = standing_step(user.past, track, radius, 0.0)
    if stood == 0:
        if user.stay["held"] >= 1.0:
            place_keep(memory, user.stay, False)
        never = -math.inf
        user.stay = {
            "id": number, "since": now, "lane": user.stay["lane"], "taken": False, "reported": False, "queued": never,
            "flowed": never, "behind": never, "began": now, "event_id": 0,
            "at": (float(track["foot_x_m"]), float(track["foot_y_m"])), "unseen": now - float(track["birth_s"]) <= 1.0,
        }  # fmt: skip
    user.stay.update(seen=now, speed=float(track["speed_mps"]), class_id=int(track["class_id"]))
    user.stay.update(score=float(track["score"]), alive=True)
    if stood >= 1.0 and len(user.past) > 1 and not user.stay.get("rest"):
        # From now on the place is this one, entered when the stay began.
        rest = (float(track["foot_x_m"]), float(track["foot_y_m"]))
        user.stay.update(rest=True, at=rest)
        user.past = [(user.stay["began"], True, list(rest), radius)]
    if stood >= 1.0 and not user.stay["taken"]:
        place_take(memory, user, radius)
    user.stay["held"] = now - user.stay["since"]
    return True


def stay_end(memory, track):
    """Its place is remembered as that of a lost one."""
    user = memory.users.pop(int(track["id"]), None)
    if user is not None and user.stay.get("alive") and user.stay["held"] >= 1.0:
        place_keep(memory, user.stay, True)


def queue_around(memory, me, ux, uy, range_m):
    """Each of the others in turn, in axes along and across."""
    found, heading = set(), complex(ux, uy)
    for other in memory.users.values():
        if other is me or not other.stay.get("alive") or CLASSES[other.stay["class_id"]] == "person":
            continue
        way = complex(other.rect["x_m"] - me.rect["x_m"], other.rect["y_m"] - me.rect["y_m"]) * heading.conjugate()
        reach = sum(naive_footprint.reach_m(one.rect, ux, uy) for one in (me, other))
        same = (complex(other.rect["ux"], other.rect["uy"]) * heading.conjugate()).real
        if abs(way.real) - reach > range_m or same < 0:
            continue
        if other.stay["speed"] > 5:
            found |= {4} if same > 0.5 else set()
        elif other.stay["held"] >= 1 or other.stay["speed"] < 2:
            before = other.stay["held"] < 1 or other.stay["since"] <= me.stay["since"] + 2
            if abs(way.imag) > 1.75:
                found.add(2)
            elif way.real > 0 and before:
                found.add(8 if other.stay["reported"] else 1)
    return sum(found)


def begin_event(user, track, time_s, reason):
    """What is told of a stay that has lasted long enough."""
    user.stay.update(reported=True, event_id=int(track["id"]))
    return told(user.stay, int(track["id"]), time_s, 0, user.stay["unseen"], reason)


def end_event(place):
    """What is told of a stay that is over."""
    return told(place, place["event_id"], place["seen"], 1, place["unseen"] or place["lost"], 0)


def told(stay, number, time_s, phase, truncated, reason):
    return {
        "time_s": time_s, "track_id": number, "class_id": stay["class_id"], "score": stay["score"],
        "since_s": stay["since"], "held_s": time_s - stay["since"], "x_m": stay["at"][0], "y_m": stay["at"][1],
        "phase": phase, "truncated": int(truncated), "judgement": judgement_of(reason), "reason": reason,
    }  # fmt: skip


def ends_of(memory, clock, memory_s):
    """Take the places that are over and were told of from the memory."""
    over = [place for place in memory.places if place_expired(place, clock, memory_s)]
    memory.places = [place for place in memory.places if place not in over]
    return [place for place in over if place["reported"]]


def followed(s, track):
    return CLASSES[track["class_id"]] != "person" or int(s["classes"]) >> int(track["class_id"]) & 1


def stopped_vehicle_step(tracks, clock, signals, settings, memory):
    """Each vehicle's stay, then who is due, then what is over."""
    s, now, events = settings[0], float(clock["time_s"]), []
    for track in tracks:
        if track["flags"] & ENDED:
            stay_end(memory, track)
        elif followed(s, track):
            on_road = stay_step(memory, track, s["radius_m"])
            user = memory.users[int(track["id"])]
            if not user.stay.get("reported"):
                at = [
                    k for k, row in enumerate(settings)
                    if on_road and inside_zone_m(row["lane"], user.rect["x_m"], user.rect["y_m"])
                ]  # fmt: skip
                user.stay["lane"] = min(at, default=-1)
    for track in tracks:
        user = memory.users.get(int(track["id"]))
        if user is None or user.stay.get("seen") != track["time_s"] or user.stay["reported"]:
            continue
        if user.stay["lane"] < 0 or user.stay["held"] < 1.0:
            continue
        row = settings[user.stay["lane"]]
        around = queue_around(memory, user, row["lane"]["flow_x_m"], row["lane"]["flow_y_m"], s["queue_m"])
        if around & 4:
            user.stay["flowed"] = now
        still = around & 2 and now - user.stay["flowed"] > 10 and user.stay["held"] < s["blocked_s"]
        red = s["signal"] >= 0 and SIGNAL_STATES[signals[s["signal"]]["state"]] in ("red", "red_amber")
        if around & 9 or still or red:
            user.stay["queued"] = now
        wait_s = now - max(user.stay["since"] + s["dwell_s"], user.stay["queued"] + s["release_s"])
        reason = doubt(track, clock, now, 1.0, s["score_min"])
        if int(s["classes"]) >> int(track["class_id"]) & 1 and wait_s >= (1.0 if reason else 0.0):
            events.append({**begin_event(user, track, now, reason), "lane": int(row["index"])})
    for place in ends_of(memory, clock, s["memory_s"]):
        events.append({**end_event(place), "lane": int(settings[place["lane"]]["index"])})
    if clock["last"]:
        memory.users.clear()
    return events


def stopping_step(tracks, clock, signals, settings, memory):
    """Each vehicle's stay, then who is due where, then what is over."""
    s, now, events = settings[0], float(clock["time_s"]), []
    limit_s = max(s["dwell_s"], s["settle_s"])
    for track in tracks:
        if track["flags"] & ENDED:
            stay_end(memory, track)
        elif followed(s, track):
            stay_step(memory, track, s["radius_m"])
    for track in tracks:
        user = memory.users.get(int(track["id"]))
        if user is None or user.stay.get("seen") != track["time_s"] or user.stay["reported"] or user.stay["held"] < 1.0:
            continue
        heading = user.rect["ux"], user.rect["uy"]
        around = queue_around(memory, user, *heading, s["queue_m"]) if heading != (0, 0) else 0
        if around & 1 or (s["signal"] >= 0 and SIGNAL_STATES[signals[s["signal"]]["state"]] in ("red", "red_amber")):
            user.stay["queued"] = now
        wait_s = now - max(user.stay["since"] + limit_s, user.stay["queued"] + s["release_s"])
        reason = doubt(track, clock, now, 1.0, s["score_min"])
        if around & 8:
            reason = reason or REASONS.index("queue")
            user.stay["behind"] = now
        else:
            wait_s = min(wait_s, now - user.stay["behind"] - s["release_s"])
        if not int(s["classes"]) >> int(track["class_id"]) & 1 or wait_s < (1.0 if reason else 0.0):
            continue
        shares = [naive_footprint.zone_share(row["zone"], user.rect) for row in settings]
        if max(shares) >= s["share_min"]:
            user.stay["lane"] = shares.index(max(shares))
            event = begin_event(user, track, now, reason)
            events.append(zone_event(event, settings, user.stay["lane"], limit_s, round(100 * max(shares))))
    for place in ends_of(memory, clock, s["memory_s"]):
        if s["report_end"]:
            events.append(zone_event(end_event(place), settings, place["lane"], limit_s, 0))
    if clock["last"]:
        memory.users.clear()
    return events


def zone_event(event, settings, zone, limit_s, share):
    more = {"zone": int(settings[zone]["index"]), "margin_s": event["held_s"] - limit_s, "share_percent": share}
    return {**event, **more}
