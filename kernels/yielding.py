"""Who crossed a crosswalk before whom: walkers and drivers, the time between them, and the room there was to stop."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.footprint import FOOTPRINT, footprint_fill, footprint_reset, zone_share
from kernels.geometry import inside_zone_m
from kernels.guards import RELINK_CLEAR_S, doubt
from kernels.records import CALIBRATION, ENDED, IDENTITY, NO_REASON, TRUNCATED
from kernels.signals import is_unclear, state_at, stops_traffic, unclear_reason
from kernels.zones import edge_distance

#: Places kept of a walker and of a driver, and how far apart in time they are at least.
WALKER_KEEP, DRIVER_KEEP = 40, 64
WALKER_STEP_S, DRIVER_STEP_S = 0.1, 0.2

#: One who walks, by track slot. `entered_s`: since when it is on the crosswalk, or at its kerb and moving in (`on`);
#: (hx, hy) is the way it then went. `excused`: it had red. `at`, `x`, `y`, `kept`: where it has been; `n` of them.
WALKER = np.dtype(
    [
        ("at_s", "<f8", (WALKER_KEEP,)),
        ("x", "<f8", (WALKER_KEEP,)),
        ("y", "<f8", (WALKER_KEEP,)),
        ("entered_s", "<f8"),
        ("on_s", "<f8"),
        ("relinked_s", "<f8"),
        ("seen_s", "<f8"),
        ("before_s", "<f8"),
        ("x_m", "<f8"),
        ("y_m", "<f8"),
        ("before_x_m", "<f8"),
        ("before_y_m", "<f8"),
        ("vx_mps", "<f8"),
        ("vy_mps", "<f8"),
        ("hx", "<f8"),
        ("hy", "<f8"),
        ("track_id", "<u4"),
        ("n", "<i4"),
        ("on", "<u1"),
        ("inside", "<u1"),
        ("excused", "<u1"),
        ("reason", "<u1"),
    ]
)

#: One who drives, by track slot: where its front has been and how fast, and its passage. `stage`: AWAY, OVER the
#: crosswalk, or PASSED, after which others may still come onto its way.
DRIVER = np.dtype(
    [
        ("at_s", "<f8", (DRIVER_KEEP,)),
        ("x", "<f8", (DRIVER_KEEP,)),
        ("y", "<f8", (DRIVER_KEEP,)),
        ("speed", "<f8", (DRIVER_KEEP,)),
        ("speed_sd", "<f8", (DRIVER_KEEP,)),
        ("place_sd", "<f8", (DRIVER_KEEP,)),
        ("footprint", FOOTPRINT),
        ("entered_s", "<f8"),
        ("left_s", "<f8"),
        ("seen_s", "<f8"),
        ("entry_x", "<f8"),
        ("entry_y", "<f8"),
        ("front_x", "<f8"),
        ("front_y", "<f8"),
        ("rear_x", "<f8"),
        ("rear_y", "<f8"),
        ("score", "<f4"),
        ("track_id", "<u4"),
        ("n", "<i4"),
        ("class_id", "<u1"),
        ("known", "<u1"),
        ("stage", "<u1"),
        ("began", "<u1"),
        ("reason", "<u1"),
    ]
)

#: The one whom a passage came nearest to in time, so far. `found`: there is one.
NEAREST = np.dtype(
    [
        ("pet_s", "<f8"),
        ("way_m", "<f8"),
        ("need_m", "<f8"),
        ("speed_mps", "<f8"),
        ("walker_id", "<u4"),
        ("found", "<u1"),
        ("first", "<u1"),
        ("displaced", "<u1"),
        ("reason", "<u1"),
    ]
)

AWAY, OVER, PASSED = range(3)

#: Half a walker's width, which belongs to the way that a driver and it share.
BODY_M = 0.3
#: Who moves in will be on the crosswalk so soon, at such a speed.
MOVING_IN_S, MOVING_MPS = 2.0, 0.5
#: Who was not on its way for no longer than this is on it still.
STAGGER_S = 1.0
#: One on its way who makes less than this of it, so near to the driver's way, was made to stop or step back.
STOPPED_MPS, DISPLACED_M = 0.3, 3.0
#: A driver that is slower drives nobody back.
PUSHING_MPS = 1.4
#: Between rows further apart nobody knows who came first.
STEP_MAX_S = 1.0
#: Time to react and a brake's comfortable limit (domain: d > v 1.0 + v^2 / (2 * 3.4)).
REACT_S, BRAKE_MPS2 = 1.0, 3.4
#: A driver's speed at a moment is the slope of its way over so much before and after (s), if that is FIT_MIN_S or more.
#: Its places hang together for TIED_S, and nobody drives quite evenly (m/s^2).
FIT_S, FIT_MIN_S, FIT_PLACES = 1.2, 0.9, 4
TIED_S, UNEVEN_MPS2 = 0.6, 0.5
#: It surely could stop if it could at a speed so many deviations higher.
SURE_SDS = 2.0
#: Halvings of a step until the place of passage is known.
HALVINGS = 10


@kernel
def outline_part(zone, x0, y0, x, y):
    """Return which part of a way on the road lies before a zone's outline; 1 where both ends are on one side of it."""
    began = inside_zone_m(zone, x0, y0)
    if inside_zone_m(zone, x, y) == began:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        part = 0.5 * (low + high)
        if inside_zone_m(zone, x0 + part * (x - x0), y0 + part * (y - y0)) == began:
            low = part
        else:
            high = part
    return 0.5 * (low + high)


@kernel
def beside_m(footprint, x, y):
    """Return how far (m) to the left of a driver's way, negative to the right, a point lies."""
    return footprint["ux"] * (y - footprint["y_m"]) - footprint["uy"] * (x - footprint["x_m"])


@kernel
def moves_in(zone, track, x, y, kerb_m):
    """Say whether one beside a crosswalk is within `kerb_m` of it and will soon be on it."""
    vx, vy = float(track["vx_mps"]), float(track["vy_mps"])
    if not math.hypot(vx, vy) >= MOVING_MPS or edge_distance(zone["m"][: zone["n"]], x, y) > kerb_m:
        return False
    return inside_zone_m(zone, x + MOVING_IN_S * vx, y + MOVING_IN_S * vy)


@kernel
def walker_step(own, s, track, clock, signals):
    """Follow one who walks (or rides) over the crosswalk."""
    x, y, now = float(track["foot_x_m"]), float(track["foot_y_m"]), track["time_s"]
    if own["track_id"] != track["id"]:
        own["track_id"], own["n"], own["on"], own["inside"], own["seen_s"] = track["id"], 0, 0, 0, -math.inf
        own["entered_s"], own["on_s"], own["excused"], own["reason"] = math.inf, -math.inf, 0, NO_REASON
    if track["flags"] & ENDED or not (x == x and y == y):
        return
    own["before_s"], own["before_x_m"], own["before_y_m"] = own["seen_s"], own["x_m"], own["y_m"]
    own["seen_s"], own["x_m"], own["y_m"] = now, x, y
    own["vx_mps"], own["vy_mps"] = track["vx_mps"], track["vy_mps"]
    inside = inside_zone_m(s["zone"], x, y)
    on = inside or moves_in(s["zone"], track, x, y, s["kerb_m"])
    # Who walks on from the kerb is on the way already; who turned away from it is not, but a stagger is no turn.
    if on and own["on"] == 0 and now - own["on_s"] > STAGGER_S:
        own["entered_s"], own["excused"], own["reason"] = now, 0, NO_REASON
        speed = math.hypot(own["vx_mps"], own["vy_mps"])
        own["hx"], own["hy"] = (own["vx_mps"] / speed, own["vy_mps"] / speed) if speed > 0.0 else (0.0, 0.0)
        if s["signal"] >= 0:
            signal = signals[max(s["signal"], 0)]
            state, _ = state_at(signal, now)
            own["excused"] = stops_traffic(state)
            if is_unclear(state):
                own["reason"] = unclear_reason(signal)
    own["on"], own["inside"], own["relinked_s"] = on, inside, track["relinked_s"]
    if on:
        own["on_s"] = now
    if own["reason"] == NO_REASON:
        # Whether it was lost and found again counts at the moment of a passage.
        own["reason"] = doubt(track, clock, math.inf, s["age_min_s"] if inside else 0.0, s["score_min"])
        if own["reason"] == NO_REASON and track["position_sd_m"] > s["position_sd_max_m"]:
            own["reason"] = CALIBRATION
    if own["n"] == 0 or now - own["at_s"][(own["n"] - 1) % WALKER_KEEP] >= WALKER_STEP_S:
        k = own["n"] % WALKER_KEEP
        own["at_s"][k], own["x"][k], own["y"][k] = now, x, y
        own["n"] += 1


@kernel
def driver_step(own, nearest, s, track, clock):
    """Follow one who drives; its passage begins with its front and ends with its rear."""
    now = track["time_s"]
    if own["track_id"] != track["id"]:
        if own["stage"] != AWAY:
            # The slot's passage is told of first, with what is known by now.
            own["stage"], own["left_s"] = PASSED, -math.inf
            return
        own["track_id"], own["n"], own["known"] = track["id"], 0, 0
        footprint_reset(own["footprint"])
    if track["flags"] & ENDED:
        if own["stage"] == OVER:
            own["stage"], own["left_s"], own["reason"] = PASSED, now, TRUNCATED
        return
    if own["stage"] == PASSED:
        return
    if not footprint_fill(own["footprint"], track):
        return
    front_x, front_y = float(track["front_x_m"]), float(track["front_y_m"])
    rear_x, rear_y = float(track["rear_x_m"]), float(track["rear_y_m"])
    # A front that is on the outline covers nothing of the crosswalk yet.
    over = zone_share(s["zone"], own["footprint"]) > 0.0 or inside_zone_m(s["zone"], front_x, front_y)
    passed_s = now - own["seen_s"] if own["known"] != 0 else 0.0
    if over and own["stage"] == AWAY:
        own["stage"], own["began"], own["reason"] = OVER, 1, NO_REASON
        nearest["found"], nearest["displaced"], nearest["reason"] = 0, 0, NO_REASON
        own["entered_s"], own["entry_x"], own["entry_y"] = now, front_x, front_y
        if own["known"] == 0:
            own["reason"] = TRUNCATED
        else:
            part = outline_part(s["zone"], own["front_x"], own["front_y"], front_x, front_y)
            own["entered_s"] = own["seen_s"] + part * passed_s
            own["entry_x"] = own["front_x"] + part * (front_x - own["front_x"])
            own["entry_y"] = own["front_y"] + part * (front_y - own["front_y"])
    elif not over and own["stage"] == OVER:
        part = outline_part(s["zone"], own["rear_x"], own["rear_y"], rear_x, rear_y)
        own["stage"], own["left_s"] = PASSED, own["seen_s"] + part * passed_s
    if own["stage"] != AWAY and own["reason"] == NO_REASON:
        own["reason"] = doubt(track, clock, own["entered_s"], s["age_min_s"], s["score_min"])
        if own["reason"] == NO_REASON and (passed_s > STEP_MAX_S or track["position_sd_m"] > s["position_sd_max_m"]):
            own["reason"] = IDENTITY if passed_s > STEP_MAX_S else CALIBRATION
    own["front_x"], own["front_y"], own["rear_x"], own["rear_y"] = front_x, front_y, rear_x, rear_y
    own["seen_s"], own["known"], own["score"], own["class_id"] = now, 1, track["score"], track["class_id"]
    if own["n"] == 0 or now - own["at_s"][(own["n"] - 1) % DRIVER_KEEP] >= DRIVER_STEP_S:
        k = own["n"] % DRIVER_KEEP
        own["at_s"][k], own["x"][k], own["y"][k] = now, front_x, front_y
        own["speed"][k], own["speed_sd"][k] = track["speed_mps"], track["speed_sd_mps"]
        own["place_sd"][k] = track["position_sd_m"]
        own["n"] += 1


@kernel
def speed_at(driver, at_s):
    """Return (speed, deviation) in m/s of a driver at a moment, from its way around it; NaN for too little of it.

    The deviation of a slope is that of a place over the time, times the root of 12 over the number of places (domain
    3.2); of places that hang together only one in TIED_S counts.
    """
    n, t, tt, x, xt, y, yt, sd_m = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    low_s, high_s = math.inf, -math.inf
    for i in range(max(driver["n"] - DRIVER_KEEP, 0), driver["n"]):
        k = i % DRIVER_KEEP
        after_s = driver["at_s"][k] - at_s
        if abs(after_s) > FIT_S + 1e-6 or driver["at_s"][k] > driver["entered_s"]:
            continue
        dx, dy = driver["x"][k] - driver["entry_x"], driver["y"][k] - driver["entry_y"]
        n, t, tt, sd_m = n + 1.0, t + after_s, tt + after_s * after_s, sd_m + driver["place_sd"][k]
        x, xt, y, yt = x + dx, xt + dx * after_s, y + dy, yt + dy * after_s
        low_s, high_s = min(low_s, after_s), max(high_s, after_s)
    lasts_s = high_s - low_s
    if n < FIT_PLACES or not lasts_s >= FIT_MIN_S - 1e-6:
        return math.nan, math.nan
    spread = n * tt - t * t
    speed = math.hypot(n * xt - t * x, n * yt - t * y) / spread
    own_sd = sd_m / n * math.sqrt(12.0 * TIED_S / lasts_s) / lasts_s
    return speed, math.hypot(own_sd, UNEVEN_MPS2 * t / n)


@kernel
def need_m(speed):
    """Return how far (m) a driver needs to stop."""
    return speed * REACT_S + speed * speed / (2.0 * BRAKE_MPS2)


@kernel
def room_at(driver, since_s):
    """Return (way to the crosswalk m, speed m/s, its deviation, whether known by then) of a driver at a moment.

    Of the places with a speed in the time to react from then on, that from which it could stop most surely: who could
    from there could have before. NaN where there is none.
    """
    known, way, speed, sd, room, until_s = False, 0.0, math.nan, math.nan, -math.inf, math.inf
    for i in range(max(driver["n"] - DRIVER_KEEP, 0), driver["n"]):
        k = i % DRIVER_KEEP
        at_s = driver["at_s"][k]
        if at_s > min(driver["entered_s"], until_s):
            continue
        known = known or at_s <= since_s
        if at_s < since_s:
            continue
        v, v_sd = speed_at(driver, at_s)
        if not v_sd < driver["speed_sd"][k] and driver["speed"][k] == driver["speed"][k]:
            v, v_sd = driver["speed"][k], driver["speed_sd"][k]
        if v != v:
            continue
        until_s = min(until_s, at_s + REACT_S)
        to_go = math.hypot(driver["x"][k] - driver["entry_x"], driver["y"][k] - driver["entry_y"])
        if to_go - need_m(v + SURE_SDS * v_sd) > room:
            way, speed, sd, room = to_go, v, v_sd, to_go - need_m(v + SURE_SDS * v_sd)
    return way, speed, sd, known


@kernel
def nearest_offer(nearest, driver, walker, pet_s, first, displaced):
    """Take a walker as the nearest of a passage, where the driver could have stopped for it and no other came nearer.

    `first`: the driver was. A driver of whom it is not known whether it could have stopped cannot be judged.
    """
    if walker["excused"] != 0 or not walker["entered_s"] <= driver["entered_s"]:
        return
    way, speed, sd, seen = room_at(driver, walker["entered_s"])
    need = need_m(speed)
    sure = way > need_m(speed + SURE_SDS * sd)
    if speed == speed and not way > need and seen:
        return
    reason = walker["reason"]
    for at_s in (driver["entered_s"], walker["seen_s"]):
        if reason == NO_REASON and abs(at_s - walker["relinked_s"]) < RELINK_CLEAR_S:
            reason = IDENTITY
    if reason == NO_REASON and not sure:
        reason = IDENTITY if not seen or speed != speed else CALIBRATION
    old = nearest["found"] != 0
    # Who can be judged comes before who cannot.
    better = (reason == NO_REASON) > (nearest["reason"] == NO_REASON)
    same = (reason == NO_REASON) == (nearest["reason"] == NO_REASON)
    if old and not better and not (same and pet_s < nearest["pet_s"]):
        nearest["displaced"] |= displaced and same
        return
    nearest["displaced"] = displaced or (old and same and nearest["displaced"] != 0)
    nearest["pet_s"], nearest["first"], nearest["walker_id"] = pet_s, first, walker["track_id"]
    nearest["way_m"], nearest["need_m"], nearest["speed_mps"] = way, need, speed
    nearest["found"], nearest["reason"] = 1, reason


@kernel
def walker_before(walker, driver, zone, half_m):
    """Return how long (s) before a driver's entry a walker was last on its way; infinite for never."""
    later_s, later = math.inf, 0.0
    for i in range(walker["n"] - 1, max(walker["n"] - WALKER_KEEP, 0) - 1, -1):
        k = i % WALKER_KEEP
        at_s, aside = walker["at_s"][k], abs(beside_m(driver["footprint"], walker["x"][k], walker["y"][k]))
        on_way = aside <= half_m and inside_zone_m(zone, walker["x"][k], walker["y"][k])
        if on_way and at_s <= driver["entered_s"] and at_s >= walker["entered_s"]:
            left_s = at_s
            if later_s < math.inf and later > half_m:
                left_s += (later_s - at_s) * (half_m - aside) / (later - aside)
            return max(driver["entered_s"] - left_s, 0.0)
        later_s, later = at_s, aside
    return math.inf


@kernel
def meet_step(driver, nearest, walker, s, now):
    """Hold a walker against a driver's passage: before, during and after it."""
    half_m = driver["footprint"]["half_width_m"] + BODY_M
    if driver["began"] != 0:
        pet_s = walker_before(walker, driver, s["zone"], half_m)
        if pet_s < s["pet_s"]:
            nearest_offer(nearest, driver, walker, pet_s, False, False)
    if walker["seen_s"] != now or walker["on"] == 0:
        return
    beside = beside_m(driver["footprint"], walker["x_m"], walker["y_m"])
    on_way = walker["inside"] != 0 and abs(beside) <= half_m
    if driver["stage"] == OVER:
        if on_way:
            nearest_offer(nearest, driver, walker, 0.0, False, False)
            return
        ux, uy = driver["footprint"]["ux"], driver["footprint"]["uy"]
        side = 1.0 if beside > 0.0 else -1.0
        goes = -side * (ux * walker["hy"] - uy * walker["hx"])
        makes = -side * (ux * walker["vy_mps"] - uy * walker["vx_mps"])
        driven = math.hypot(driver["footprint"]["vx_mps"], driver["footprint"]["vy_mps"]) >= PUSHING_MPS
        near = abs(beside) - half_m <= DISPLACED_M
        if walker["inside"] != 0 and driven and near and goes > 0.5 and makes < STOPPED_MPS:
            nearest_offer(nearest, driver, walker, math.inf, True, True)
    elif on_way:
        before = abs(beside_m(driver["footprint"], walker["before_x_m"], walker["before_y_m"]))
        came_s = now
        if before > half_m and walker["before_s"] > -math.inf:
            came_s -= (now - walker["before_s"]) * (half_m - abs(beside)) / (before - abs(beside))
        pet_s = max(came_s - driver["left_s"], 0.0)
        if pet_s < s["pet_s"]:
            nearest_offer(nearest, driver, walker, pet_s, True, False)
