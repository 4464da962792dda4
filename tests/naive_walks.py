"""Slow, obvious twins of `kernels/walks.py` and `kernels/rules/crosswalk.py`: each track keeps all its places."""

from __future__ import annotations

import math
from types import SimpleNamespace

from naive_geometry import inside_zone
from naive_rules import direction_code, line_offset
from naive_signals import state_at

from kernels.records import AT_EDGE, ENDED


def walk_reset():
    """A track that has been nowhere."""
    return SimpleNamespace(places=[], walk=None, entries=[], edge_s=set())


def foot_between(a, b, part):
    """A place (time, x px, y px, x m, y m) on the way from a to b."""
    return tuple(one + part * (other - one) for one, other in zip(a, b, strict=True))


def foot_at(track):
    """The place of a row."""
    return tuple(float(track[name]) for name in ("time_s", "foot_x_px", "foot_y_px", "foot_x_m", "foot_y_m"))


def side_of(line, place):
    """+1 or -1."""
    return 1 if line_offset(line, place[1], place[2]) > 0 else -1


def edge(zone, a, b):
    """Where the way from a to b meets the outline, by halving it 40 times."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        place = foot_between(a, b, middle)
        same = inside_zone(zone, place[1], place[2]) == inside_zone(zone, a[1], a[2])
        low, high = (middle, high) if same else (low, middle)
    return foot_between(a, b, low)


def waits_on(places, k, time_s, number):
    """Whether it was away for a second at most between a place and the one of this time and number, or not seen."""
    return time_s - places[k][0] <= 1.0 or number - k == 1


def wait_step(places, zone, waits, entry_s, edge_s=()):
    """How long one had waited when it stepped on: back through the places at a kerb.

    Where it was seen elsewhere in between, a second is forgiven. Infinite where it was not seen beside the crosswalk
    before. `edge_s`: times at which it only shook off the kerb.
    """
    kerb = []
    for k, (time_s, x, y, _, _) in enumerate(places):
        beside = not inside_zone(zone, x, y)
        at_kerb = beside and any(row["zone"]["n"] and inside_zone(row["zone"], x, y) for row in waits)
        if at_kerb or time_s in edge_s:
            kerb.append(k)
    if not kerb or not waits_on(places, kerb[-1], entry_s, len(places)):
        return math.nan
    first = kerb[-1]
    for k in reversed(kerb):
        if not waits_on(places, k, places[first][0], first):
            break
        first = k
    before = [place for place in places[:first] if not inside_zone(zone, place[1], place[2])]
    return entry_s - places[first][0] if before else math.inf


def heights_in(walk, now):
    """How many of its heights it is from its first step."""
    return math.dist(walk.entry[1:3], now[1:3]) / walk.height


def near_entry(walk, now, heights=0.6):
    """So near to its first step one only shakes."""
    return heights_in(walk, now) <= heights


def edge_step(user, walk, zone, waits, now):
    """It is on the crosswalk, where it stepped on: it waits on there, and where it stands it has not stepped off."""
    waits_on = not math.isnan(wait_step(user.places, zone, waits, now[0], user.edge_s))
    if near_entry(walk, now) and waits_on and not math.isnan(walk.waited_s):
        user.edge_s.add(now[0])
    if not near_entry(walk, now, 0.15):
        walk.stands = False
    elif walk.stands or now[0] - walk.entry[0] > 1.0:
        walk.stands, walk.state = True, None
        walk.waited_s += now[0] - walk.entry[0]
        walk.entry = (now[0], *walk.entry[1:])


def walk_step(user, zone, line, waits, track):
    """One more row; return the walk that it ends (over or back), or None."""
    now = foot_at(track)
    walk = user.walk
    if track["flags"] & ENDED:
        if walk is None:
            return None
        walk.lost, walk.cut = walk.inside, bool(track["flags"] & AT_EDGE)
        walk.exit = user.places[-1] if walk.inside else walk.exit
        user.walk = None
        return walk
    here = inside_zone(zone, now[1], now[2])
    before = user.places[-1] if user.places else None
    if here and walk is None:
        entry = edge(zone, before, now) if before else now
        user.walk = walk = SimpleNamespace(
            entry=entry,
            exit=None,
            side=side_of(line, entry) if before else 0,
            seen=before is not None,
            waited_s=wait_step(user.places, zone, waits, entry[0], user.edge_s) if before else math.nan,
            height=float(track["y2_px"]) - float(track["y1_px"]),
            reason=0,
            state=None,
            lost=False,
            stands=False,
            cut=False,
        )
        user.entries = [walk]
    elif walk is not None and here and not walk.inside and walk.seen and near_entry(walk, now):
        walk.entry = edge(zone, before, now)
        walk.side = side_of(line, walk.entry)
        walk.waited_s = wait_step(user.places, zone, waits, walk.entry[0], user.edge_s)
        walk.stands = False
        walk.height = float(track["y2_px"]) - float(track["y1_px"])
        walk.state = None
    elif walk is not None and not here and walk.inside:
        walk.exit = edge(zone, before, now)
    if here and walk.seen:
        edge_step(user, walk, zone, waits, now)
    user.places.append(now)
    if walk is not None:
        walk.inside = here
        if not here and now[0] - walk.exit[0] > 1.0:
            user.walk = None
            return walk
    return None


def walk_over(walk, line):
    """It left on another side than it came from; lost on it means nothing but at the picture's edge.

    First seen on it, it must have gone 0.6 of its heights.
    """
    if walk.lost and not walk.cut:
        return False
    if walk.side == 0:
        return math.dist(walk.entry[1:3], walk.exit[1:3]) >= 0.6 * walk.height
    return side_of(line, walk.exit) != walk.side


def in_group(users, number, walk):
    """Is there another whose entry is near?"""
    for other, user in users.items():
        for one in user.entries:
            if other == number or not one.seen or one.side != walk.side or abs(one.entry[0] - walk.entry[0]) > 2.0:
                continue
            apart_m = math.dist(one.entry[3:], walk.entry[3:])
            apart_px = math.dist(one.entry[1:3], walk.entry[1:3])
            if apart_m <= 2.0 or (math.isnan(apart_m) and apart_px <= walk.height):
                return 1
    return 0


def crosswalk_step(tracks, clock, signals, settings, users):
    """One frame: who has crossed; `users` is empty at first, kept by slot as an entry counts until its slot is used."""
    s, events = settings[0], []
    for track in tracks:
        slot, number = int(track["slot"]), int(track["id"])
        if slot not in users or users[slot].number != number:
            users[slot] = walk_reset()
            users[slot].number = number
        user = users[slot]
        ended = walk_step(user, s["crosswalk"], s["line"], settings, track)
        walk = ended or user.walk
        if clock["suspended"] and walk:
            walk.reason = int(clock["suspended"])
        if user.walk and user.walk.state is None and user.walk.seen and s["signal"] >= 0:
            user.walk.state = int(state_at(signals[int(s["signal"])], user.walk.entry[0])[0])
        if not ended or not walk_over(walk, s["line"]):
            continue
        if not int(s["classes"]) >> int(track["class_id"]) & 1:
            continue
        whole = walk.seen and not walk.lost and walk.exit[0] > walk.entry[0]
        cross_s = walk.exit[0] - walk.entry[0] if whole else math.nan
        events.append(
            {
                "time_s": walk.exit[0],
                "track_id": number,
                "score": float(track["score"]),
                "class_id": int(track["class_id"]),
                "zone": int(s["index"]),
                "wait_s": math.nan if walk.waited_s == math.inf else walk.waited_s,
                "cross_s": cross_s,
                "speed_mps": math.dist(walk.entry[3:], walk.exit[3:]) / cross_s if whole else math.nan,
                "direction": direction_code(s["line"], side_of(s["line"], walk.exit)),
                "signal_state": -1 if walk.state is None else walk.state,
                "group": in_group({k: u for k, u in users.items() if u is not user}, None, walk),
                "truncated": int(not walk.seen) + 2 * int(walk.lost) + 4 * int(walk.waited_s == math.inf),
                "reason": walk.reason,
            }
        )
    return events
