"""Slow, obvious twins of the lens: the formula as OpenCV's manual has it, slopes by steps, the inverse by bisection."""

from __future__ import annotations

import math

import numpy as np

from kernels import lens as limits


def formula(lens, x, y):
    """The model itself, without a reach."""
    r = np.hypot(x, y)
    radial = 1 + lens["k1"] * r**2 + lens["k2"] * r**4 + lens["k3"] * r**6
    return np.array(
        [
            x * radial + 2 * lens["p1"] * x * y + lens["p2"] * (r**2 + 2 * x**2),
            y * radial + lens["p1"] * (r**2 + 2 * y**2) + 2 * lens["p2"] * x * y,
        ]
    )


def carried_on(lens, x, y):
    """Beyond the reach as far out, in proportion, as the point of the reach in the same direction."""
    r = math.hypot(x, y)
    if not r > lens["reach"]:
        return formula(lens, x, y)
    angle = math.atan2(y, x)
    edge = formula(lens, lens["reach"] * math.cos(angle), lens["reach"] * math.sin(angle))
    return edge * r / lens["reach"]


def by_steps(function, x, y, step=1e-6):
    right = (function(x + step, y) - function(x - step, y)) / (2 * step)
    down = (function(x, y + step) - function(x, y - step)) / (2 * step)
    return (*function(x, y), right[0], down[0], right[1], down[1])


def bend(lens, x, y):
    return by_steps(lambda a, b: carried_on(lens, a, b), x, y)


def distort(lens, x_px, y_px):
    centre = np.array([lens["x_px"], lens["y_px"]])
    return tuple(centre + lens["focal_px"] * carried_on(lens, *((np.array([x_px, y_px]) - centre) / lens["focal_px"])))


def distort_slope(lens, x_px, y_px):
    return by_steps(lambda a, b: np.array(distort(lens, a, b)), x_px, y_px, 1e-3)


def undistort(lens, x_px, y_px):
    """Halve the distance from the centre until it fits; what bends sideways is taken off beforehand, over and over."""
    centre = np.array([lens["x_px"], lens["y_px"]])
    seen = (np.array([x_px, y_px]) - centre) / lens["focal_px"]
    if np.isnan(seen).any():
        return math.nan, math.nan
    found = seen
    for _ in range(60):
        straight = {name: lens[name] for name in ("k1", "k2", "k3", "reach")} | {"p1": 0.0, "p2": 0.0}
        wanted = seen - (carried_on(lens, *found) - carried_on(straight, *found))
        length = np.linalg.norm(wanted)
        low, high = 0.0, 1.0
        while np.linalg.norm(carried_on(straight, high, 0.0)) < length:
            high *= 2
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if carried_on(straight, middle, 0.0)[0] < length else (low, middle)
        moved = (low + high) / 2 * wanted / max(length, 1e-300)
        if np.linalg.norm(moved - found) < 1e-13:
            break
        found = moved
    return tuple(centre + lens["focal_px"] * found)


def distort_points(lens, points):
    return np.array([distort(lens, *point) for point in points])


def undistort_points(lens, points):
    return np.array([undistort(lens, *point) for point in points])


def lens_reach(lens, width_px, height_px):
    """Look along rays of five degrees until they leave the picture; NaN where one is squeezed too much before."""
    free = {name: lens[name] for name in ("k1", "k2", "k3", "p1", "p2")}
    most, way = 0.0, np.linspace(0.0, 12.0 * max(width_px, height_px) / lens["focal_px"], 12_000)
    towards = [math.atan2(y - lens["y_px"], x - lens["x_px"]) for x in (0, width_px) for y in (0, height_px)]
    for angle in (*towards, *np.linspace(0, 2 * math.pi, 72, endpoint=False)):
        x, y = way * math.cos(angle), way * math.sin(angle)
        at = lambda dx, dy: formula(free, x + dx, y + dy)  # noqa: B023, E731 - used within this turn only
        step = 1e-5
        right, down = (at(step, 0) - at(-step, 0)) / (2 * step), (at(0, step) - at(0, -step)) / (2 * step)
        u, v = np.array([[lens["x_px"]], [lens["y_px"]]]) + lens["focal_px"] * at(0, 0)
        outside = (u < 0) | (u > width_px) | (v < 0) | (v > height_px)
        least = np.linalg.svd(np.array([right, down]).transpose(2, 0, 1), compute_uv=False)[:, 1]
        folded = (least < limits.SQUEEZE_MIN) | (right[0] * down[1] < right[1] * down[0])
        if folded.any() and not outside[: folded.argmax() + 1].any():
            return math.nan
        most = max(most, way[outside.argmax()])
    return most
