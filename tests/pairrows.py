"""Makers of road users who meet, for the tests of rules about pairs: who moves how, and the rows that come of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from roadrows import Court, road_scene
from standrows import road_row

from kernels.records import ENDED, TRACK

#: Where a road user's front is at a time and its velocity: (x, y, vx, vy) in m and m/s; None while it is not there.
Motion = Callable[[float], tuple[float, float, float, float] | None]
SCENE = road_scene()


def steady(x: float, y: float, vx: float, vy: float, first_s: float = 0.0, last_s: float = 1e9) -> Motion:
    """Return a motion at constant velocity from (x, y) at time 0."""
    return lambda t: (x + vx * t, y + vy * t, vx, vy) if first_s <= t <= last_s else None


def braking(x: float, y: float, speed: float, decel: float, from_s: float, to_mps: float = 0.0) -> Motion:
    """Return a motion along x from (x, y) that slows down from a time on, to a speed."""

    def motion(t: float) -> tuple[float, float, float, float]:
        lasts = min(max(t - from_s, 0.0), (speed - to_mps) / decel)
        v = speed - decel * lasts
        rest = max(t - from_s - lasts, 0.0)
        return x + speed * min(t, from_s) + (speed + v) / 2 * lasts + v * rest, y, v, 0.0

    return motion


def rows_of(
    motions: Mapping[int, Motion],
    end_s: float,
    fps: float = 10.0,
    angle: float = 0.0,
    noise_m: float = 0.0,
    headings: Mapping[int, Sequence[float]] | None = None,
    sizes: Mapping[int, Sequence[float]] | None = None,
    each: Mapping[int, Mapping[str, object]] | None = None,
    seed: int = 0,
    **more: object,
) -> list[np.ndarray]:
    """Return TRACK[n] of each time; a track's last row is ENDED. The whole road may be turned about the origin."""
    rng, c, s = np.random.default_rng(seed), math.cos(angle), math.sin(angle)
    steps, last, facing = [], {}, dict(headings or {})
    for k in range(round(end_s * fps) + 1):
        rows, time_s = [], k / fps
        for number, motion in motions.items():
            at = motion(time_s)
            if at is None:
                if number in last:
                    gone = last.pop(number)
                    gone["flags"] = ENDED
                    rows.append(gone)
                continue
            x, y, vx, vy = at
            if math.hypot(vx, vy) > 0.01 and not (headings and number in headings):
                facing[number] = (vx, vy)
            ux, uy = facing.get(number, (1.0, 0.0))
            x, y = np.array([x, y]) + rng.normal(0, noise_m, 2) if noise_m else (x, y)
            length, width = (sizes or {}).get(number, (4.5, 1.8))
            row = road_row(
                number, time_s, (c * x - s * y, s * x + c * y), (c * vx - s * vy, s * vx + c * vy),
                (c * ux - s * uy, s * ux + c * uy), length, width,
                **{"birth_s": -9.0, "position_sd_m": 0.05, "speed_sd_mps": 0.1, **more, **(each or {}).get(number, {})},
            )  # fmt: skip
            rows.append(row)
            last[number] = row.copy()
        steps.append(np.concatenate([*rows, np.zeros(0, TRACK)]))
    return steps


def told(kind: str, steps: list[np.ndarray], fps: float = 10.0, ends: bool = True, **config: object) -> np.ndarray:
    """Return the events of a rule on these rows, those that the end of the stream brings included."""
    court = Court(kind, SCENE, **config)
    events = [court(rows) for rows in steps]
    if ends:
        gone = steps[-1].copy()
        gone["flags"] = ENDED
        events.append(court(gone, last=1))
    return np.concatenate(events)
