"""The rectangle on the road and its share of a zone: the kernels against their twins."""

from __future__ import annotations

import math

import naive_footprint as naive
import numpy as np
import pytest
from standrows import box, road_row, zone_row

from kernels.footprint import FOOTPRINT, area_below, footprint_fill, footprint_reset, reach_m, zone_share


def footprint(**values: float) -> np.void:
    """Return a FOOTPRINT row."""
    row = np.zeros(1, FOOTPRINT)
    for name, value in {"ux": 1.0, "half_length_m": 2.0, "half_width_m": 1.0, **values}.items():
        row[name] = value
    return row[0]


def random_footprint(rng: np.random.Generator, spread: float = 4.0) -> np.void:
    angle = rng.uniform(0, 2 * math.pi)
    x, y, vx, vy = rng.normal(0, spread, 4)
    return footprint(
        x_m=x, y_m=y, ux=math.cos(angle), uy=math.sin(angle), half_length_m=rng.uniform(0.3, 5),
        half_width_m=rng.uniform(0.3, 2), vx_mps=vx, vy_mps=vy,
    )  # fmt: skip


def test_filling_like_its_twin():
    rng = np.random.default_rng(1)
    state, twin, kinds = np.zeros(1, FOOTPRINT)[0], naive.footprint_reset(), set()
    footprint_reset(state)
    for k in range(400):
        if k % 50 == 49:
            footprint_reset(state)
            twin = naive.footprint_reset()
        row = road_row(1, k, rng.normal(0, 9, 2), rng.normal(0, 1, 2), rng.normal(0, 1, 2), name="bus")[0]
        if rng.random() < 0.5:
            row["front_x_m"], row["front_y_m"] = row["rear_x_m"], row["rear_y_m"] = row["foot_x_m"], row["foot_y_m"]
        if rng.random() < 0.3:
            row["vx_mps"] = row["vy_mps"] = 0.0
        if rng.random() < 0.2:
            row["width_m"] = np.nan
        if rng.random() < 0.1:
            row["foot_x_m"] = np.nan
        known = footprint_fill(state, row)
        filled = naive.footprint_fill(twin, row)
        assert known == (filled is not None)
        kinds.add((known, bool(row["width_m"] > 0)))
        if filled is not None:
            twin = filled
            for name, value in twin.items():
                assert state[name] == pytest.approx(value, abs=1e-6, nan_ok=True), name
    assert len(kinds) == 4


def test_a_standing_road_user_points_where_it_last_went():
    state = np.zeros(1, FOOTPRINT)[0]
    for speed in (3.0, 0.1):
        row = road_row(1, 0.0, (0.0, 0.0), (0.0, speed))[0]
        row["front_x_m"] = row["rear_x_m"] = row["foot_x_m"]
        row["front_y_m"] = row["rear_y_m"] = row["foot_y_m"]
        assert footprint_fill(state, row)
        assert (state["ux"], state["uy"]) == (0.0, 1.0)
        assert state["half_length_m"] == state["half_width_m"]


def test_reach_and_area_like_their_twins():
    rng = np.random.default_rng(2)
    for _ in range(100):
        one, angle = random_footprint(rng), rng.uniform(0, 7)
        n = math.cos(angle), math.sin(angle)
        assert reach_m(one, *n) == pytest.approx(naive.reach_m(one, *n))
    for y in (-3.0, -1.0, -0.3, 0.0, 0.9, 1.0, 4.0):
        assert area_below(y, 1.0) == pytest.approx(naive.area_below(y, 1.0), abs=1e-3)


def star(rng: np.random.Generator, n: int) -> list[tuple[float, float]]:
    """Return a simple outline of n points that is seldom convex."""
    angles = np.sort(rng.uniform(0, 2 * math.pi, n))
    radii = rng.uniform(1.0, 8.0, n)
    return list(zip(radii * np.cos(angles), radii * np.sin(angles), strict=True))


def test_share_like_its_twin():
    rng, shares = np.random.default_rng(3), []
    for _ in range(300):
        zone, one = zone_row(star(rng, int(rng.integers(3, 12)))[:: rng.choice([-1, 1])]), random_footprint(rng)
        shares.append(zone_share(zone, one))
        assert shares[-1] == pytest.approx(naive.zone_share(zone, one), abs=1e-9)
    assert sum(share == 0 for share in shares) > 10
    assert sum(0.02 < share < 0.98 for share in shares) > 80


@pytest.mark.parametrize(
    ("outline", "share"),
    [
        (box(-9, -9, 9, 9), 1.0),
        (box(0, -9, 9, 9), 0.5),
        (box(0, 0, 9, 9), 0.25),
        (box(3, -9, 9, 9), 0.0),
        (box(-1, -0.5, 1, 0.5), 0.25),
        ([(-2, -1), (2, -1), (2, 1)], 0.5),
        ([(-9, -9), (9, -9), (9, 9), (1, 9), (1, -0.5), (-1, -0.5), (-1, 9), (-9, 9)], 1 - 2 * 1.5 / 8),  # a notch
    ],
)
def test_share_by_hand(outline, share):
    assert zone_share(zone_row(outline), footprint()) == pytest.approx(share)
    assert zone_share(zone_row(outline[::-1]), footprint()) == pytest.approx(share)
    assert zone_share(zone_row(outline), footprint(ux=0.0)) == pytest.approx(share)  # unknown heading: as along x
