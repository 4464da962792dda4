"""Slow, obvious twins of `kernels/later.py`: every frame is kept, a frame is told once enough is known of after it."""

from __future__ import annotations

import numpy as np

from kernels.records import ENDED

WIDE_S, APART_S, SIDE, KEEP = 0.4, 1.0, 2, 64


class Later:
    """All frames as (clock, {slot: row}), and how many were told of."""

    def __init__(self):
        self.frames, self.done = [], 0


def later_reset():
    return Later()


def later_push(later, tracks, clock):
    later.frames.append((clock.copy(), {int(row["slot"]): row.copy() for row in tracks}))


def later_due(later, ends):
    """Two frames after it and 0.4 s, or the end, or no room for more."""
    waiting = later.frames[later.done :]
    if not waiting or ends:
        return bool(waiting)
    lasts_s = float(waiting[-1][0]["time_s"]) - float(waiting[0][0]["time_s"])
    return (len(waiting) > SIDE and lasts_s >= WIDE_S - 1e-6) or len(waiting) >= KEEP // 2


def later_next(later):
    """Return (rows, clock) of the next frame."""
    clock, rows = later.frames[later.done]
    told = [later_fit(later, later.done, slot) for slot in sorted(rows)]
    later.done += 1
    return told, clock


def middle(row):
    ends = [[float(row[f"{end}_{axis}_m"]) for axis in "xy"] for end in ("front", "rear")]
    return np.mean(ends, axis=0)


def later_fit(later, frame, slot):
    """A quadratic through the middles of the same road user; numpy's own least squares."""
    row = later.frames[frame][1][slot].copy()
    if int(row["flags"]) & ENDED:
        return row
    points, sides = [(0.0, middle(row))], []
    for number, (clock, rows) in enumerate(later.frames):
        other = rows.get(slot)
        if number == frame or other is None or int(other["id"]) != int(row["id"]) or int(other["flags"]) & ENDED:
            continue
        if number >= len(later.frames) - KEEP and not np.isnan(middle(other)).any():
            points.append((float(clock["time_s"]) - float(row["time_s"]), middle(other)))
    for sign in (-1, 1):
        side = sorted((one for one in points if one[0] * sign > 0), key=lambda one: abs(one[0]))
        side = [one for k, one in enumerate(side) if abs(one[0]) <= (APART_S if k < SIDE else WIDE_S + 1e-6)]
        sides.append(side)
    for name in ("vx_mps", "vy_mps", "speed_mps"):
        row[name] = np.nan
    if min(map(len, sides)) < SIDE or np.isnan(middle(row)).any():
        return row
    points = [points[0], *sides[0], *sides[1]]
    place, speed, _ = np.polynomial.polynomial.polyfit([t for t, _ in points], [at for _, at in points], 2)
    if np.hypot(*speed) > 70.0:
        return row
    shift = place - middle(row)
    row["vx_mps"], row["vy_mps"], row["speed_mps"] = *speed, np.hypot(*speed)
    for end in ("foot", "front", "rear"):
        row[f"{end}_x_m"] += shift[0]
        row[f"{end}_y_m"] += shift[1]
    return row
