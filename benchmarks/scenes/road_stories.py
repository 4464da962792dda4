"""Who is on the road in each story: ordinary traffic, and violators by SUMO's own means."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.scenes.demand import Demand, any_kind, arrivals, pick
from benchmarks.scenes.road_plan import LANE_M

#: Ways of their own over the road, from end to end (x1, y1, x2, y2) in m: against the lanes to the south, across the
#: road, over its crosswalk, and beside it.
WAYS = {
    "wrong0": (-1.5 * LANE_M - LANE_M, -220.0, -2.5 * LANE_M, 420.0),
    "wrong1": (-1.5 * LANE_M, -220.0, -1.5 * LANE_M, 420.0),
    "wrong2": (-0.5 * LANE_M, -220.0, -0.5 * LANE_M, 420.0),
    "across1": (-14.0, 45.0, 10.0, 45.0),
    "across2": (10.0, 62.0, -14.0, 60.0),
    "along": (-9.0, 110.0, -9.0, -5.0),
    "zebra": (-14.0, 24.0, 10.0, 24.0),
    "beside": (-12.3, 115.0, -12.3, -5.0),
}
#: Stories that need a hand on the wheel.
STEERED = ("lanes", "near", "slow", "jam", "yield")
SOUTH, NORTH = "s1 s2 s3", "n1"

TRAITS: dict[str, dict[str, object]] = {
    "": {"speedFactor": "normc(0.90,0.05,0.7,0.985)", "tau": 1.6, "lcStrategic": 1.0, "lcKeepRight": 0.2},
    "fast": {"speedFactor": "norm(1.3,0.12)", "tau": 1.2, "lcSpeedGain": 3.0},
    "near": {"speedFactor": "norm(1.05,0.03)"},
    "solid": {"vClass": "custom1"},
    "misuser": {"vClass": "custom2", "lcKeepRight": 50.0},
    "close": {"speedFactor": "norm(1.02,0.02)", "tau": 0.35, "minGap": 1.0, "lcSpeedGain": 0.0, "lcKeepRight": 0.0},
    "wrong": {"speedFactor": "norm(0.5,0.12)"},
    "walker": {"speedFactor": 1.0, "maxSpeed": 1.35, "vClass": "passenger", "sigma": 0.0},
    "stopper": {},
    "braker": {},
    "late": {"tau": 1.0, "speedFactor": "norm(1.0,0.01)", "lcSpeedGain": 0.0, "lcKeepRight": 0.0},
    "crawler": {"speedFactor": "norm(0.9,0.02)"},
    "rude": {},
}


def _traffic(rng: np.random.Generator, seconds: float, per_hour: float, shares: dict[str, float]) -> Demand:
    """Return ordinary traffic both ways; `shares` are traits of those to the south, the rest has none."""
    made = Demand(TRAITS)
    rest = {"": 1.0 - sum(shares.values()), **shares}
    for time_s in arrivals(rng, per_hour, 0.0, seconds, 1.0):
        trait, kind = pick(rng, rest), any_kind(rng)
        if trait == "misuser" and kind == "bus":
            trait = ""
        lane = {"departLane": "0"} if trait == "misuser" or (kind == "bus" and not trait) else {"departLane": "best"}
        made.add(time_s, kind, trait, SOUTH, **lane)
    for time_s in arrivals(rng, per_hour / 2, 0.0, seconds, 1.0):
        made.add(time_s, any_kind(rng), "", NORTH, departLane="random")
    return made


def speed(rng: np.random.Generator, seconds: float, per_hour: float, often_s: float) -> Demand:
    """Return traffic with speeders, and some near the limit that may or may not be told."""
    return _traffic(rng, seconds, per_hour, {"fast": min(3600.0 / often_s / per_hour, 0.5), "near": 0.05})


def lanes(rng: np.random.Generator, seconds: float, per_hour: float, often_s: float) -> Demand:
    """Return traffic with some who change over the solid line and some who use the bus lane."""
    share = min(3600.0 / often_s / per_hour, 0.4)
    return _traffic(rng, seconds, per_hour, {"solid": share, "misuser": share / 2})


def close(rng: np.random.Generator, seconds: float, per_hour: float, often_s: float) -> Demand:
    """Return pairs of which the second follows closely, in ordinary traffic."""
    made = _traffic(rng, seconds, per_hour, {})
    at = 5.0
    while (at := at + often_s * rng.uniform(0.6, 1.4)) < seconds:
        lane = int(rng.integers(1, 3))
        made.add(at, any_kind(rng), "", SOUTH, departLane=lane, departSpeed="18")
        made.add(at + 1.1, pick(rng, {"sedan": 1.0, "small": 1.0, "van": 0.5}), "close", SOUTH, departLane=lane)
    return made


def stops(rng: np.random.Generator, seconds: float, per_hour: float, often_s: float) -> Demand:
    """Return traffic in which some break down in a lane or stop at the kerb, for 4 to 90 s."""
    made = _traffic(rng, seconds, per_hour, {})
    at = 5.0
    while (at := at + often_s * rng.uniform(0.6, 1.4)) < seconds:
        lane, edge = int(rng.integers(0, 3)), pick(rng, {"s2": 0.7, "s3": 0.3})
        end = float(rng.uniform(15.0, 65.0)) if edge == "s2" else float(rng.uniform(4.0, 14.0))
        lasts = float(rng.choice([3.0, 12.0, 35.0, 60.0]) + rng.uniform(0.0, 8.0))
        stop = f'<stop lane="{edge}_{lane}" startPos="{end - 4:.1f}" endPos="{end:.1f}" duration="{lasts:.1f}"/>'
        kind = pick(rng, {"sedan": 0.5, "small": 0.3, "van": 0.2}) if lane else pick(rng, {"sedan": 0.6, "bus": 0.4})
        trait = "misuser" if lane == 0 and kind != "bus" else "stopper"
        made.add(at, kind, trait, SOUTH, stop, departLane=lane)
    return made


def kerb(rng: np.random.Generator, seconds: float, per_hour: float, often_s: float) -> Demand:
    """Return traffic in which many stop at the kerb, for 3 to 55 s; a bus may."""
    made = _traffic(rng, seconds, per_hour, {})
    at = 5.0
    while (at := at + often_s * rng.uniform(0.6, 1.4)) < seconds:
        end, lasts = float(rng.uniform(15.0, 65.0)), float(rng.choice([3.0, 25.0, 45.0]) + rng.uniform(0.0, 10.0))
        stop = f'<stop lane="s2_0" startPos="{end - 4:.1f}" endPos="{end:.1f}" duration="{lasts:.1f}"/>'
        kind = pick(rng, {"sedan": 0.35, "small": 0.2, "van": 0.2, "motorcycle": 0.1, "bus": 0.15})
        made.add(at, kind, "misuser" if kind != "bus" else "stopper", SOUTH, stop, departLane=0)
    return made


def wrong(rng: np.random.Generator, seconds: float, per_hour: float, often_s: float) -> Demand:
    """Return thin traffic and drivers against it."""
    made = _traffic(rng, seconds, per_hour, {})
    at = 5.0
    while (at := at + often_s * rng.uniform(0.6, 1.4)) < seconds:
        made.add(at, any_kind(rng), "wrong", f"wrong{rng.integers(0, 3)}", departLane=0)
    return made


def walks(rng: np.random.Generator, seconds: float, per_hour: float, often_s: float) -> Demand:
    """Return thin traffic, pedestrians across and along the road, and as many where they may be."""
    made = _traffic(rng, seconds, per_hour, {})
    at = 5.0
    while (at := at + often_s * rng.uniform(0.6, 1.4)) < seconds:
        way = pick(rng, {"across1": 0.25, "across2": 0.2, "along": 0.05, "zebra": 0.25, "beside": 0.25})
        made.add(at, "person", "walker", way, departLane=0)
    return made


def slow(rng: np.random.Generator, seconds: float, per_hour: float, often_s: float) -> Demand:
    """Return traffic with some who begin to crawl in view."""
    return _traffic(rng, seconds, per_hour, {"crawler": min(3600.0 / often_s / per_hour, 0.2)})


def jam(rng: np.random.Generator, seconds: float, per_hour: float, often_s: float) -> Demand:
    """Return dense traffic that is slowed down beyond the view now and then."""
    return _traffic(rng, seconds, per_hour, {})


def yields(rng: np.random.Generator, seconds: float, per_hour: float, often_s: float) -> Demand:
    """Return pedestrians on the crosswalk, drivers that stop for them and drivers that do not."""
    made = _traffic(rng, seconds, per_hour, {"rude": 0.4})
    at = 5.0
    while (at := at + often_s * rng.uniform(0.6, 1.4)) < seconds:
        made.add(at, "person", "walker", "zebra", departLane=0)
    return made


def near(rng: np.random.Generator, seconds: float, per_hour: float, often_s: float) -> Demand:
    """Return thin traffic with pairs of which the first brakes hard in view and the second notices late."""
    made = _traffic(rng, seconds, per_hour, {})
    at = 5.0
    while (at := at + often_s * rng.uniform(0.8, 1.2)) < seconds:
        lane = int(rng.integers(1, 3))
        made.add(at, any_kind(rng), "braker", SOUTH, departLane=lane, departSpeed="18")
        kind = pick(rng, {"sedan": 1.0, "small": 1.0, "van": 0.5, "truck": 0.2})
        made.add(at + 1.6, kind, "late", SOUTH, departLane=lane, departSpeed="18")
    return made


def day(rng: np.random.Generator, seconds: float, per_hour: float, often_s: float) -> Demand:
    """Return thin traffic by the hour of the day with rare stops and wrong-way drivers, and what looks like either."""
    made = Demand(TRAITS)
    for begin in np.arange(0.0, seconds, 3600.0):
        busy = 0.15 + 0.85 * max(0.0, float(np.sin(np.pi * ((begin / 3600.0) % 24.0 - 5.0) / 18.0)))
        end = min(begin + 3600.0, seconds)
        for time_s in arrivals(rng, per_hour * busy, begin, end, 1.0):
            made.add(time_s, any_kind(rng), "", SOUTH)
        for time_s in arrivals(rng, per_hour * busy / 2, begin, end, 1.0):
            made.add(time_s, any_kind(rng), "", NORTH, departLane="random")
    at = 60.0
    while (at := at + often_s * rng.uniform(0.6, 1.4)) < seconds - 120.0:
        what = pick(rng, {"stop": 0.4, "wrong": 0.4, "pause": 0.1, "walk": 0.1})
        if what == "wrong":
            made.add(at, any_kind(rng), "wrong", f"wrong{rng.integers(0, 3)}", departLane=0)
        elif what == "walk":
            made.add(at, "person", "walker", pick(rng, {"beside": 1.0, "zebra": 1.0, "along": 1.0}), departLane=0)
        else:
            lasts = rng.uniform(8.0, 90.0) if what == "stop" else rng.uniform(1.0, 3.0)
            lane, end = int(rng.integers(1, 3)), float(rng.uniform(15.0, 65.0))
            stop = f'<stop lane="s2_{lane}" startPos="{end - 4:.1f}" endPos="{end:.1f}" duration="{lasts:.1f}"/>'
            made.add(at, any_kind(rng), "stopper", SOUTH, stop, departLane=lane)
    return made


Story = Callable[[np.random.Generator, float, float, float], Demand]
STORIES: dict[str, Story] = {
    "speed": speed, "lanes": lanes, "close": close, "stops": stops, "wrong": wrong, "walks": walks, "slow": slow,
    "near": near, "day": day, "kerb": kerb,
    "jam": jam, "yield": yields,
}  # fmt: skip
