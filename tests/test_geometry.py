"""The geometry kernels against their twins, and on the cases that matter by hand."""

from __future__ import annotations

import math

import naive_geometry as naive
import numpy as np
import pytest

from kernels import geometry
from kernels.records import LINE, ZONE
from vision.ground import make_lens

#: A camera 8 m above the road: the horizon is at y = -560 px.
TO_ROAD = np.array([[9.7e-03, 5.2e-03, -6.0], [4.7e-04, -5.2e-02, 51.8], [0.0, 8.0e-04, 0.45]])


def line_row(x1: float, y1: float, x2: float, y2: float) -> np.ndarray:
    row = np.zeros(1, LINE)
    length = math.hypot(x2 - x1, y2 - y1)
    row["x1_px"], row["y1_px"], row["x2_px"], row["y2_px"] = x1, y1, x2, y2
    row["nx"], row["ny"] = -(y2 - y1) / length, (x2 - x1) / length
    return row[0]


def test_segment_crossing_like_its_twin():
    rng = np.random.default_rng(1)
    passed = 0
    for _ in range(500):
        line = line_row(*rng.uniform(0, 100, 4))
        way = rng.uniform(0, 100, 4)
        margin = rng.choice([0.0, 5.0])
        found = geometry.segment_crossing(line, *way, margin)
        assert found == pytest.approx(naive.segment_crossing(line, *way, margin), abs=1e-9)
        passed += found >= 0
    assert 50 < passed < 450


def test_a_way_through_the_line_passes_once_also_with_a_stop_on_it():
    line = line_row(0, 10, 20, 10)
    assert geometry.segment_crossing(line, 5.0, 6.0, 5.0, 16.0, 0.0) == pytest.approx(0.4)
    halves = [(5.0, 6.0, 5.0, 10.0), (5.0, 10.0, 5.0, 16.0)]
    assert sum(geometry.segment_crossing(line, *half, 0.0) >= 0 for half in halves) == 1
    back = [(5.0, 16.0, 5.0, 10.0), (5.0, 10.0, 5.0, 6.0)]
    assert sum(geometry.segment_crossing(line, *half, 0.0) >= 0 for half in back) == 1


@pytest.mark.parametrize(("x", "margin", "passes"), [(-1.0, 0.0, False), (-1.0, 2.0, True), (23.0, 2.0, False)])
def test_the_margin_lengthens_the_line(x, margin, passes):
    found = geometry.segment_crossing(line_row(0, 10, 20, 10), x, 0.0, x, 20.0, margin)
    assert found == (0.5 if passes else -1.0)


def test_inside_polygon_like_its_twin():
    rng = np.random.default_rng(2)
    inside = 0
    for _ in range(300):
        points = rng.integers(0, 12, (rng.integers(3, 8), 2)).astype(float)
        x, y = rng.integers(0, 12, 2).astype(float)
        found = geometry.inside_polygon(points, x, y)
        assert found == naive.inside_polygon(points, x, y)
        inside += found
    assert inside > 30


def test_every_point_of_a_tiled_square_lies_in_exactly_one_tile():
    left = np.array([[0.0, 0.0], [5.0, 0.0], [3.0, 10.0], [0.0, 10.0]])
    right = np.array([[5.0, 0.0], [10.0, 0.0], [10.0, 10.0], [3.0, 10.0]])
    for x in np.arange(0.0, 10.0, 0.5):
        for y in np.arange(0.0, 10.0, 0.5):
            assert geometry.inside_polygon(left, x, y) + geometry.inside_polygon(right, x, y) == 1


def test_polygon_area_like_its_twin():
    rng = np.random.default_rng(3)
    for _ in range(100):
        points = rng.uniform(0, 1000, (rng.integers(3, 9), 2)) + rng.choice([0.0, 5.8e6])
        assert geometry.polygon_area(points) == pytest.approx(naive.polygon_area(points), rel=1e-9, abs=1e-6)
    assert geometry.polygon_area(np.array([[0.0, 0.0], [0.0, 3.0], [4.0, 3.0], [4.0, 0.0]])) == 12.0


def test_road_point_and_scale_like_their_twins():
    rng = np.random.default_rng(4)
    for lens, n in ((make_lens(1920, 1080), 50), (make_lens(1920, 1080, k1=-0.3, k2=0.04), 3)):
        for x, y in rng.uniform(0, 1080, (n, 2)):
            place = TO_ROAD, lens, x, y
            assert geometry.road_point(*place) == pytest.approx(naive.road_point(*place))
            assert geometry.metres_per_px(*place) == pytest.approx(naive.metres_per_px(*place), rel=1e-3)


@pytest.mark.parametrize("y", [-562.5, -563.0, -2000.0])
def test_there_is_no_road_at_or_above_the_horizon(y):
    for module in (geometry, naive):
        assert np.isnan(module.road_point(TO_ROAD, make_lens(1920, 1080), 100.0, y)).all()
        assert np.isnan(module.metres_per_px(TO_ROAD, make_lens(1920, 1080), 100.0, y))


def test_zones_and_lines_in_metres_like_their_twins():
    rng = np.random.default_rng(9)
    zone = np.zeros(1, ZONE)[0]
    corners = np.array([[10.0, 10.0], [60.0, 15.0], [50.0, 70.0], [12.0, 55.0]])
    zone["n"], zone["px"][:4], zone["m"][:4] = 4, corners, corners / 10
    points = rng.uniform(0, 80, (200, 2))
    inside = [geometry.inside_zone(zone, x, y) for x, y in points]
    assert inside == [naive.inside_zone(zone, x, y) for x, y in points]
    assert inside == [geometry.inside_zone_m(zone, x / 10, y / 10) for x, y in points]
    assert 20 < sum(inside) < 180
    assert not geometry.inside_zone_m(zone, math.nan, 3.0)
    zone["m"] = math.nan
    assert not any(geometry.inside_zone_m(zone, x / 10, y / 10) for x, y in points)
    line = np.zeros(1, LINE)[0]
    line["x1_m"], line["y1_m"], line["x2_m"], line["y2_m"], line["nx_m"], line["ny_m"] = 1, 1, 4, 5, -0.8, 0.6
    offsets = [geometry.line_offset_m(line, x, y) for x, y in points]
    assert offsets == pytest.approx([naive.line_offset_m(line, x, y) for x, y in points])
    assert min(offsets) < 0 < max(offsets)
