"""Slow, obvious twins of `kernels/yielding.py` and the rule on yielding: whole courses are kept, points are complex."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import naive_footprint
import numpy as np
from naive_geometry import inside_zone_m
from naive_heading import edge_distance
from naive_signals import is_unclear, state_at, stops_traffic, unclear_reason
from naive_standing import doubt

BODY, IDENTITY, CALIBRATION, TRUNCATED = 0.3, 4, 3, 8


@dataclass
class Walker:
    """One who walks."""

    id: int
    kept: list = field(default_factory=list)  # (time, place), a tenth of a second apart
    seen: list = field(default_factory=list)  # (time, place) of every row
    v: complex = 0j
    entered_s: float = math.inf
    on_s: float = -math.inf
    relinked_s: float = -math.inf
    heading: complex = 0j
    on: bool = False
    inside: bool = False
    excused: bool = False
    reason: int = 0


@dataclass
class Driver:
    """One who drives; `stage` is away, over or passed."""

    id: int
    kept: list = field(default_factory=list)  # (time, front, speed, sd, sd of place), a fifth of a second apart
    rect: dict = field(default_factory=naive_footprint.footprint_reset)
    ends: tuple = ()  # (time, front, rear) of the last row
    stage: str = "away"
    began: bool = False
    entered_s: float = 0.0
    entry: complex = 0j
    left_s: float = 0.0
    reason: int = 0
    offers: list = field(default_factory=list)
    row: dict = field(default_factory=dict)


@dataclass
class Crosswalk:
    """Who is where, by slot."""

    walkers: dict = field(default_factory=dict)
    drivers: dict = field(default_factory=dict)


def place(track, part):
    return complex(float(track[f"{part}_x_m"]), float(track[f"{part}_y_m"]))


def is_in(zone, point):
    return inside_zone_m(zone, point.real, point.imag)


def outline_part(zone, x0, y0, x, y):
    """Try 1024 steps along the way; where it changes over is the middle of that step."""
    a, b = complex(x0, y0), complex(x, y)
    if is_in(zone, a) == is_in(zone, b):
        return 1.0
    low, high = 0, 1024  # between two places that differ, look at the middle one
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_in(zone, a + (b - a) * middle / 1024) == is_in(zone, a) else (low, middle)
    return (low + high) / 2048


def beside_m(rect, x, y):
    """The imaginary part, after a turn that lays the driver's way along the real axis."""
    return ((complex(x, y) - complex(rect["x_m"], rect["y_m"])) / complex(rect["ux"], rect["uy"])).imag


def moves_in(zone, track, x, y, kerb_m):
    """Near, fast enough, and inside two seconds later."""
    v = complex(float(track["vx_mps"]), float(track["vy_mps"]))
    near = edge_distance(zone["m"][: int(zone["n"])], x, y) <= kerb_m
    return near and abs(v) >= 0.5 and is_in(zone, complex(x, y) + 2.0 * v)


def walker_step(memory, s, track, clock, signals):
    """One row of one who walks."""
    slot, at, now = int(track["slot"]), place(track, "foot"), float(track["time_s"])
    if slot not in memory.walkers or memory.walkers[slot].id != int(track["id"]):
        memory.walkers[slot] = Walker(int(track["id"]))
    one = memory.walkers[slot]
    if track["flags"] & 2 or math.isnan(at.real + at.imag):
        return
    one.seen.append((now, at))
    one.v = complex(float(track["vx_mps"]), float(track["vy_mps"]))
    one.inside = is_in(s["zone"], at)
    was, one.on = (
        now - one.on_s <= 1.0 or one.on,
        one.inside or moves_in(s["zone"], track, at.real, at.imag, float(s["kerb_m"])),
    )
    if one.on and not was:
        one.entered_s, one.excused, one.reason = now, False, 0
        one.heading = one.v / abs(one.v) if one.v else 0j
        if s["signal"] >= 0:
            signal = signals[int(s["signal"])]
            state = state_at(signal, now)[0]
            one.excused = stops_traffic(state)
            one.reason = unclear_reason(signal) if is_unclear(state) else 0
    one.on_s, one.relinked_s = now if one.on else one.on_s, float(track["relinked_s"])
    age = float(s["age_min_s"]) if one.inside else 0.0
    one.reason = one.reason or doubt(track, clock, -1e9, age, float(s["score_min"]))
    one.reason = one.reason or (CALIBRATION if track["position_sd_m"] > s["position_sd_max_m"] else 0)
    if not one.kept or now - one.kept[-1][0] >= 0.1:
        one.kept.append((now, at))


def driver_step(memory, s, track, clock):
    """One row of one who drives."""
    slot, now = int(track["slot"]), float(track["time_s"])
    old = memory.drivers.get(slot)
    if old is None or old.id != int(track["id"]):
        if old is not None and old.stage != "away":
            old.stage, old.left_s = "passed", -math.inf
            return
        memory.drivers[slot] = Driver(int(track["id"]))
    one = memory.drivers[slot]
    if track["flags"] & 2:
        if one.stage == "over":
            one.stage, one.left_s, one.reason = "passed", now, TRUNCATED
        return
    rect = None if one.stage == "passed" else naive_footprint.footprint_fill(one.rect, track)
    if rect is None:
        return
    one.rect = rect
    front, rear = place(track, "front"), place(track, "rear")
    over = naive_footprint.zone_share(s["zone"], rect) > 1e-12 or is_in(s["zone"], front)
    passed = now - one.ends[0] if one.ends else 0.0
    if over and one.stage == "away":
        one.stage, one.began, one.reason, one.offers = "over", True, 0, []
        one.entered_s, one.entry = now, front
        if not one.ends:
            one.reason = TRUNCATED
        else:
            before = one.ends[1]
            part = outline_part(s["zone"], before.real, before.imag, front.real, front.imag)
            one.entered_s, one.entry = one.ends[0] + part * passed, before + part * (front - before)
    elif not over and one.stage == "over":
        before = one.ends[2]
        part = outline_part(s["zone"], before.real, before.imag, rear.real, rear.imag)
        one.stage, one.left_s = "passed", one.ends[0] + part * passed
    if one.stage != "away" and not one.reason:
        one.reason = doubt(track, clock, one.entered_s, float(s["age_min_s"]), float(s["score_min"]))
        one.reason = one.reason or (IDENTITY if passed > 1.0 else 0)
        one.reason = one.reason or (CALIBRATION if track["position_sd_m"] > s["position_sd_max_m"] else 0)
    one.ends = (now, front, rear)
    one.row = {"track_id": one.id, "score": float(track["score"]), "class_id": int(track["class_id"])}
    if not one.kept or now - one.kept[-1][0] >= 0.2:
        one.kept.append((now, front, *(float(track[n]) for n in ("speed_mps", "speed_sd_mps", "position_sd_m"))))


def need_m(speed):
    """A second, and then a brake of 3.4 m/s2."""
    return speed * 1.0 + speed * speed / 6.8


def speed_at(driver, at_s):
    """A straight line through the places 1.2 s before and after."""
    near = [one for one in driver.kept[-64:] if one[0] <= driver.entered_s and abs(one[0] - at_s) <= 1.2 + 1e-6]
    if len(near) < 4 or near[-1][0] - near[0][0] < 0.9 - 1e-6:
        return math.nan, math.nan
    times = np.array([one[0] for one in near]) - at_s
    lasts = times[-1] - times[0]
    slopes = np.polyfit(times - times.mean(), np.array([[one[1].real, one[1].imag] for one in near]), 1)[0]
    place = float(np.mean([one[4] for one in near]))
    sd = place / lasts * math.sqrt(12.0 / (lasts / 0.6))
    return float(np.hypot(*slopes)), math.sqrt(sd**2 + (0.5 * times.mean()) ** 2)


def room_at(driver, since_s):
    """The place between the walker's entry and the driver's, up to a second after the first, of the most room."""
    kept = [one for one in driver.kept[-64:] if one[0] <= driver.entered_s]
    seen = any(one[0] <= since_s for one in kept)
    choices = []
    for at_s, front, *own in kept:
        slope = speed_at(driver, at_s)
        speed, sd = slope if slope[1] < own[1] or math.isnan(own[0]) else own[:2]
        if at_s >= since_s and not math.isnan(speed):
            way = abs(front - driver.entry)
            choices.append((at_s, way - need_m(speed + 2 * sd), way, speed, sd))
    choices = [one for one in choices if one[0] <= choices[0][0] + 1.0]
    if not choices:
        return 0.0, math.nan, math.nan, seen
    return *max(choices, key=lambda one: one[1])[2:], seen


def nearest_offer(driver, walker, pet_s, first, displaced):
    """Note a walker whom the driver could have stopped for, or may have."""
    if walker.excused or walker.entered_s > driver.entered_s:
        return
    way, speed, sd, seen = room_at(driver, walker.entered_s)
    need, safe = need_m(speed), need_m(speed + 2 * sd)
    if not math.isnan(speed) and way <= need and seen:
        return
    unsure = 0 if way > safe else IDENTITY if not seen or math.isnan(speed) else CALIBRATION
    lost = min(abs(at_s - walker.relinked_s) for at_s in (driver.entered_s, walker.seen[-1][0])) < 1.0
    reason = walker.reason or (IDENTITY if lost else 0) or unsure
    driver.offers.append((reason, pet_s, first, displaced, walker.id, way, need, speed))


def best(offers):
    """Whom the passage came nearest to: of those that can be judged if there are any, the first of equals."""
    sure = [one for one in offers if one[0] == 0] or offers
    chosen = min(sure, key=lambda one: one[1])
    return chosen, any(one[3] for one in sure)


def walker_before(walker, driver, zone, half_m):
    """Back from now: the last place on the driver's way, and from there to its edge."""
    kept = walker.kept[-40:]
    aside = [abs(beside_m(driver.rect, at.real, at.imag)) for _, at in kept]
    for k in reversed(range(len(kept))):
        time_s, at = kept[k]
        if aside[k] <= half_m and is_in(zone, at) and walker.entered_s <= time_s <= driver.entered_s:
            if k + 1 < len(kept) and aside[k + 1] > half_m:
                time_s += (kept[k + 1][0] - time_s) * (half_m - aside[k]) / (aside[k + 1] - aside[k])
            return max(driver.entered_s - time_s, 0.0)
    return math.inf


def meet_step(driver, walker, s, now):
    """One walker and one passage."""
    half_m = driver.rect["half_width_m"] + BODY
    if driver.began:
        pet_s = walker_before(walker, driver, s["zone"], half_m)
        if pet_s < s["pet_s"]:
            nearest_offer(driver, walker, pet_s, False, False)
    if not walker.seen or walker.seen[-1][0] != now or not walker.on:
        return
    at = walker.seen[-1][1]
    beside = beside_m(driver.rect, at.real, at.imag)
    on_way = walker.inside and abs(beside) <= half_m
    if driver.stage == "over":
        if on_way:
            nearest_offer(driver, walker, 0.0, False, False)
            return
        turn = complex(driver.rect["ux"], driver.rect["uy"])
        to_way = -1.0 if beside > 0 else 1.0
        meant, made = ((v / turn).imag * to_way for v in (walker.heading, walker.v))
        pushed = math.hypot(driver.rect["vx_mps"], driver.rect["vy_mps"]) >= 1.4
        if walker.inside and pushed and meant > 0.5 and made < 0.3 and abs(beside) - half_m <= 3.0:
            nearest_offer(driver, walker, math.inf, True, True)
    elif on_way:
        came = now
        if len(walker.seen) > 1:
            before_s, place_before = walker.seen[-2]
            before = abs(beside_m(driver.rect, place_before.real, place_before.imag))
            if before > half_m:
                came = now - (now - before_s) * (half_m - abs(beside)) / (before - abs(beside))
        pet_s = max(came - driver.left_s, 0.0)
        if pet_s < s["pet_s"]:
            nearest_offer(driver, walker, pet_s, True, False)


def yield_crosswalk_step(tracks, clock, signals, settings, memory):
    """Walkers and drivers in their order, each passage with each walker, then what is over."""
    s, now, events = settings[0], float(clock["time_s"]), []
    for track in tracks:
        bit = 1 << int(track["class_id"])
        if int(s["walkers"]) & bit:
            walker_step(memory, s, track, clock, signals)
        elif int(s["classes"]) & bit:
            driver_step(memory, s, track, clock)
    for _, driver in sorted(memory.drivers.items()):
        if driver.stage == "away":
            continue
        for _, walker in sorted(memory.walkers.items()):
            meet_step(driver, walker, s, now)
        driver.began = False
        if not clock["last"] and (driver.stage == "over" or now - driver.left_s < s["pet_s"]):
            continue
        driver.stage = "away"
        if driver.offers:
            (reason, pet, first, _, walker_id, way, need, speed), displaced = best(driver.offers)
            reason = driver.reason or reason
            room = way - speed
            events.append(
                {
                    **driver.row,
                    "time_s": driver.entered_s,
                    "other_track_id": walker_id,
                    "zone": int(s["index"]),
                    "pet_s": math.nan if math.isinf(pet) else pet,
                    "way_m": way,
                    "margin_m": way - need,
                    "speed_mps": speed,
                    "brake_mps2": speed**2 / (2 * room) if room > 0 else math.nan,
                    "vehicle_first": int(first),
                    "displaced": int(displaced),
                    "reason": reason,
                    "judgement": int(reason > 0),
                }
            )
    return events
