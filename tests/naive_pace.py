"""Slow, obvious twins of `kernels/pace.py` and the rule on slow vehicles: vehicles by id, their past in lists."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from naive_geometry import inside_zone_m
from naive_lasting import lasted_s
from naive_standing import doubt, judgement_of

from kernels.records import ENDED, REASONS

NAN = math.nan


@dataclass
class Vehicle:
    number: int
    lane: int | None = None
    alive: bool = False
    at_s: float = math.inf
    place: complex = 0
    row: object = None
    median: float = NAN
    run: list = field(default_factory=list)  # (time, passed) while it was slow
    quick: float = 0.0
    reported: bool = False


@dataclass
class Slows:
    """`lanes`: by lane, what was seen last of each vehicle: id -> (time, speed)."""

    vehicles: dict = field(default_factory=dict)
    lanes: dict = field(default_factory=dict)
    steps: list = field(default_factory=list)


def slows_forget():
    """Nothing is known."""
    return Slows()


def pace_note(lane, track_id, speed_mps, time_s):
    """The latest 64 by when they were seen last."""
    _, speeds = lane.get(track_id, (0.0, []))
    lane[track_id] = (time_s, [*speeds, speed_mps])
    while len(lane) > 64:
        del lane[min(lane, key=lambda number: lane[number][0])]


def mean_of(speeds):
    """Each speed draws the mean of those before towards it; rounded like that too."""
    mean = 0.0
    for k, speed in enumerate(speeds):
        mean += (speed - mean) / (k + 1)
    return mean


def pace_median_mps(lane, track_id, since_s, others_min):
    """The lower middle one of the others'."""
    others = [own for number, (seen, own) in lane.items() if number != track_id and seen >= since_s]
    speeds = sorted(mean_of(own) for own in others)
    return speeds[(len(speeds) - 1) // 2] if speeds and len(speeds) >= others_min else NAN


def slow_reset(track):
    """A vehicle seen for the first time."""
    return Vehicle(int(track["id"]))


def slow_place(memory, settings, track):
    """The first lane that holds its foot point."""
    number = int(track["id"])
    own = memory.vehicles.setdefault(number, slow_reset(track))
    if track["flags"] & ENDED:
        own.alive = False
        return False
    own.place = complex(track["foot_x_m"], track["foot_y_m"])
    inside = [k for k, s in enumerate(settings) if inside_zone_m(s["lane"], own.place.real, own.place.imag)]
    lane = inside[0] if inside else None
    if lane != own.lane and not own.reported:
        own.run = []
    if lane is not None or not own.reported:
        own.lane = lane
    own.alive, own.row = lane is not None, track.copy()
    if lane is not None and not math.isnan(track["speed_mps"]):
        pace_note(memory.lanes.setdefault(lane, {}), number, float(track["speed_mps"]), float(track["time_s"]))
    return lane is not None


def slow_limit_mps(s, median_mps):
    """The higher of what there is."""
    shares = [] if math.isnan(median_mps) else [float(s["slow_share"]) * median_mps]
    return max([float(s["slow_mps"]), *shares])


def slow_now(own, s, track):
    """Fast, slow or neither."""
    if math.isnan(own.median) or own.median <= s["median_min_mps"]:
        return -1
    speed, sd, limit = float(own.row["speed_mps"]), float(own.row["speed_sd_mps"]), slow_limit_mps(s, own.median)
    if math.isnan(speed + sd):
        return 0 if math.isnan(speed) or speed >= s["stand_mps"] else -1
    if speed < s["stand_mps"] or speed - 2 * sd >= limit:
        return -1
    changes = not math.isnan(track["accel_mps2"]) and abs(track["accel_mps2"]) > s["accel_max_mps2"]
    return 0 if changes or speed + 2 * sd >= limit else 1


def slow_ahead(memory, own, s):
    """Any other."""
    heading = complex(s["lane"]["flow_x_m"], s["lane"]["flow_y_m"])
    limit = slow_limit_mps(s, own.median)
    return any(
        other.alive
        and other.lane == own.lane
        and other is not own
        and 0 < ((other.place - own.place) * heading.conjugate()).real <= s["queue_m"]
        and float(other.row["speed_mps"]) < limit
        for other in memory.vehicles.values()
    )


def slow_run(own, found, passed_s, time_s):
    """Grows, waits or ends."""
    if found == 1:
        own.run.append((time_s, passed_s))
        own.quick = 0.0
    elif found == -1:
        own.quick += passed_s
        if not own.reported:
            own.run = []


def slow_event(own, s, time_s, reason):
    """The event as a dictionary."""
    # A run begins when time first passes in it.
    began = next((at - passed for at, passed in own.run if passed > 0), own.run[-1][0])
    first_zero = own.run[0][0] if own.run[0][1] == 0 else None
    began = began if any(passed > 0 for _, passed in own.run) else first_zero
    speed, sd = float(own.row["speed_mps"]), float(own.row["speed_sd_mps"])
    return {
        "time_s": time_s, "track_id": own.number, "class_id": int(own.row["class_id"]), "score": own.row["score"],
        "held_s": time_s - began, "speed_mps": speed, "speed_sd_mps": sd, "median_mps": own.median,
        "margin_mps": slow_limit_mps(s, own.median) - speed - 2 * sd, "reason": reason,
        "judgement": judgement_of(reason), "lane": int(s["index"]),
    }  # fmt: skip


def slow_vehicle_step(tracks, clock, signals, settings, memory):
    """`memory`: Slows."""
    now, events = float(clock["time_s"]), []
    memory.steps.append(float(clock["dt_s"]))
    for track in tracks:
        if int(settings[0]["classes"]) & 1 << int(track["class_id"]):
            slow_place(memory, settings, track)
    for track in tracks:
        own = memory.vehicles.get(int(track["id"]))
        if own is None or own.lane is None:
            continue
        s, ended = settings[own.lane], bool(track["flags"] & ENDED)
        passed = lasted_s(memory.steps, clock, own.at_s)
        own.at_s, found = now, None
        if not ended:
            since = now - float(s["window_s"])
            own.median = pace_median_mps(memory.lanes.get(own.lane, {}), own.number, since, int(s["others_min"]))
            found = slow_now(own, s, track) if own.alive else -1
            if found == 1 and not own.reported and slow_ahead(memory, own, s):
                found = -1
            slow_run(own, found, passed, now)
        reason = doubt(track, clock, now, s["age_min_s"], s["score_min"]) or int(s["reason"])
        wait = 1.0 if REASONS[reason] not in ("none", "calibration") else 0.0
        long = sum(passed for _, passed in own.run) >= s["held_s"] + wait
        begins = not own.reported and found == 1 and long
        ends = own.reported and (ended or not own.alive or own.quick >= s["clear_s"])
        if (begins or ends) and (ended or not clock["suspended"]):
            at, why = (now, reason) if begins else (own.run[-1][0], 0)
            events.append({**slow_event(own, s, at, why), "phase": int(not begins), "truncated": ended})
            own.reported, own.quick = begins, 0.0
            own.run = own.run if begins else []
    if clock["last"]:
        memory.__init__()
    return events
