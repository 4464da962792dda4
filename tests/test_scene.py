"""The scene of a camera: lines that point along the flow, the ground homography and its errors, what is refused."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision.errors import SiteError
from vision.ground import GroundError, fit_ground, transform
from vision.scene import build_scene, lamp_boxes, site_scene
from vision.site import Approach, Camera, Ground, Lamps, Line, Signal, Zone, parse_site

IMAGE = ((412.0, 388.0), (1490.0, 402.0), (1866.0, 1012.0), (88.0, 996.0))
PLANE = ((0.0, 42.0), (14.0, 42.0), (14.0, 0.0), (0.0, 0.0))

#: A made-up camera: metre -> pixel of 8 m height, looking along y.
FROM_ROAD = np.array([[900.0, 500.0, 4000.0], [0.0, 260.0, 8000.0], [0.0, 1.0, 8.0]])


def camera(**parts: object) -> Camera:
    return msgspec.structs.replace(Camera(url="a.mp4", model="m"), **parts)


def lines_of(**lines: Line) -> np.ndarray:
    ways = {
        "down": Approach(flow_px=((50.0, 0.0), (60.0, 100.0))),
        "up": Approach(flow_px=((60.0, 100.0), (50.0, 0.0))),
    }
    return build_scene("north", camera(lines=lines, approaches=ways), 1920, 1080).lines


def test_names_become_arrays_in_the_order_of_the_file(tmp_path):
    seen = Signal(source="vision", lamp_px=Lamps(red=(1, 2, 3, 4), green=(1, 12, 3, 14)), clock_sd_s=0.5)
    given_camera = camera(
        ground=Ground(IMAGE, PLANE),
        approaches={"a": Approach(((5.0, 5.0), (5.0, 50.0)), {"l1": ((1.0, 1.0), (9.0, 1.0), (9.0, 9.0))})},
        lines={"z": Line(((0.0, 9.0), (20.0, 9.0)), approach="a"), "b": Line(((0.0, 5.0), (20.0, 5.0)))},
        zones={"box": Zone(((1.0, 1.0), (9.0, 1.0), (9.0, 9.0)))},
        signals={"log": Signal(source="log", path="s.csv"), "seen": seen},
    )
    scene = build_scene("north", given_camera, 1920, 1080, tmp_path)
    assert (scene.line_names, scene.zone_names, scene.signal_names) == (("z", "b"), ("box",), ("log", "seen"))
    assert scene.lines["has_flow"].tolist() == [1, 0]
    assert scene.zones[0].shape == (3, 2)
    assert scene.signal_logs == (tmp_path / "s.csv", None)
    assert scene.signal_sd_s.tolist() == [0.0, 0.5]
    assert scene.lamp_boxes.tolist() == [[[-1] * 4] * 3, [[1, 2, 3, 4], [-1] * 4, [1, 12, 3, 14]]]
    assert scene.lamp_boxes.dtype == np.int32
    assert np.array_equal(lamp_boxes(given_camera), scene.lamp_boxes)
    assert scene.flows.tolist() == [[[5.0, 5.0], [5.0, 50.0]]]
    assert (scene.lanes[0].approach, scene.lanes[0].name) == ("a", "l1")
    assert np.allclose(transform(scene.to_road, np.array(IMAGE)), PLANE)
    assert np.allclose(transform(scene.from_road, np.array(PLANE)), IMAGE)


def test_a_camera_with_nothing_drawn_has_empty_arrays():
    scene = build_scene("north", camera(), 640, 480)
    assert (len(scene.lines), scene.zones, scene.lamp_boxes.shape, scene.flows.shape) == (0, (), (0, 3, 4), (0, 2, 2))
    assert scene.to_road is None
    assert scene.from_road is None


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize(
    ("ends", "extra", "normal", "upright"),
    [
        (((0.0, 50.0), (100.0, 50.0)), {"approach": "down"}, (0.0, 1.0), 0),
        (((0.0, 50.0), (100.0, 50.0)), {"approach": "up"}, (0.0, -1.0), 0),
        (((0.0, 50.0), (100.0, 50.0)), {"flow_px": ((50.0, 90.0), (50.0, 10.0))}, (0.0, -1.0), 0),
        (((0.0, 50.0), (100.0, 50.0)), {}, (0.0, 1.0), 0),
        (((50.0, 0.0), (50.0, 100.0)), {}, (1.0, 0.0), 1),
        (((50.0, 0.0), (50.0, 100.0)), {"flow_px": ((90.0, 50.0), (10.0, 50.0))}, (-1.0, 0.0), 1),
        (((0.0, 0.0), (100.0, 100.0)), {}, (-(0.5**0.5), 0.5**0.5), 0),
    ],
)
def test_the_flow_decides_and_the_order_of_clicks_means_nothing(ends, extra, normal, upright, swap):
    (row,) = lines_of(a=Line(ends[::-1] if swap else ends, **extra))
    assert (row["nx"], row["ny"]) == pytest.approx(normal)
    assert not (np.signbit(row["nx"]) and row["nx"] == 0)
    assert row["upright"] == upright
    assert row["has_flow"] == bool(extra)


def test_everything_outside_the_picture_is_told_at_once():
    bad = camera(
        ground=Ground(IMAGE, PLANE),
        approaches={"a": Approach(((5.0, 5.0), (5.0, 5000.0)), {"l1": ((1.0, 1.0), (2000.0, 1.0), (9.0, 9.0))})},
        lines={"z": Line(((0.0, 9.0), (20.0, 9.0)), flow_px=((3.0, 3.0), (3.0, 1090.0)))},
        zones={"box": Zone(((1.0, 1.0), (9.0, 1.0), (9.0, 4000.0)))},
        signals={"seen": Signal(source="vision", lamp_px=Lamps(red=(1, 2, 3, 4), green=(1, 12, 3, 1400)))},
    )
    with pytest.raises(SiteError) as caught:
        build_scene("north", bad, 1800, 1080)
    told = caught.value.mistakes
    assert told[0] == (
        "camera.north.ground.image_px = [1866, 1012] lies outside the picture; allowed: x 0 to 1800, y 0 to 1080"
    )
    places = ["image_px", "a.flow_px", "lanes.l1", "z.flow_px", "zone.box.points_px", "seen.lamp_px.green"]
    assert [next(p for p in places if p in line) for line in told] == places


def test_the_edges_of_the_picture_are_inside():
    assert len(build_scene("n", camera(lines={"a": Line(((0.0, 0.0), (352.0, 288.0)))}), 352, 288).lines) == 1


def test_a_scene_of_a_site_names_the_file():
    site = parse_site(
        'name="a"\ntimezone="UTC"\n[camera.n]\nurl="a.mp4"\nmodel="m"\nline.a.ends_px=[[0,0],[99,9]]', "elm.toml", {}
    )
    assert site_scene(site, "n", 100, 10).line_names == ("a",)
    with pytest.raises(SiteError, match=r"^elm\.toml: camera\.n\.line\.a\.ends_px = \[99, 9\] lies outside"):
        site_scene(site, "n", 50, 10)


def seen(plane: np.ndarray) -> np.ndarray:
    return transform(FROM_ROAD, plane)


ROAD = np.array([[x, y] for x in (0.0, 7.0, 14.0) for y in (0.0, 15.0, 40.0)])


def test_ground_points_give_back_the_camera():
    fit = fit_ground(seen(ROAD), ROAD)
    assert np.allclose(fit.from_road / fit.from_road[2, 2], FROM_ROAD / FROM_ROAD[2, 2], rtol=1e-6, atol=1e-6)
    for error in (fit.residual_rms_m, fit.residual_max_m, fit.holdout_rms_m, fit.holdout_max_m):
        assert error < 1e-6
    depth = np.column_stack([fit.image_px, np.ones(9)]) @ fit.to_road[2]
    assert np.all(depth > 0)
    assert depth.mean() == pytest.approx(1.0)
    assert np.isnan(transform(fit.to_road, np.array([[900.0, 100.0]]))).all()


def test_four_points_have_no_hold_out_and_fit_exactly():
    fit = fit_ground(np.array(IMAGE), np.array(PLANE))
    assert fit.residual_max_m < 1e-9
    assert np.isnan(fit.holdout_rms_m)


def test_errors_of_noisy_clicks_are_of_their_size():
    rng = np.random.default_rng(5)
    fits = [fit_ground(seen(ROAD) + rng.normal(0, 1.0, (9, 2)), ROAD) for _ in range(20)]
    residual = np.mean([fit.residual_rms_m for fit in fits])
    assert 0.01 < residual < 0.5
    assert all(fit.residual_rms_m <= fit.residual_max_m for fit in fits)
    assert np.mean([fit.holdout_rms_m for fit in fits]) > residual


def test_the_fit_is_least_squares_in_the_picture():
    """No small change of the homography may lessen the squared distance of the points in the picture."""
    rng = np.random.default_rng(6)
    image = seen(ROAD) + rng.normal(0, 2.0, (9, 2))
    fit = fit_ground(image, ROAD)
    best = np.sum((transform(fit.from_road, ROAD) - image) ** 2)
    for _ in range(200):
        other = fit.from_road * (1 + rng.normal(0, 1e-5, (3, 3)))
        assert np.sum((transform(other, ROAD) - image) ** 2) >= best * (1 - 1e-6)


def test_national_grid_coordinates_are_counted_from_an_origin():
    grid = np.array([692_000.0, 5_335_000.0])
    fit = fit_ground(seen(ROAD), ROAD + grid)
    assert np.abs(fit.plane_m).max() < 100.0
    assert np.allclose(transform(fit.to_road, seen(ROAD)) + fit.origin_m, ROAD + grid, atol=1e-5)
    assert fit_ground(seen(ROAD), ROAD).origin_m == (0.0, 0.0)


@pytest.mark.parametrize(
    ("image", "plane", "expected"),
    [
        (np.array([[0, 0], [10, 10], [20, 20], [30, 30]]), np.array(PLANE), "no homography"),
        (seen(ROAD), ROAD + np.eye(9, 2, -4) * [6.0, 0.0], r"does not fit: point \d is off by .* m; allowed: 4\.24 m"),
        (seen(ROAD), ROAD[::-1] * [1.0, 0.3], "does not fit|horizon"),
        (seen(ROAD), ROAD * 1000.0, r"makes a pixel .* m wide; allowed: 5 m \(is plane_m in metres\?\)"),
        (np.array(IMAGE), np.array(PLANE)[[0, 2, 1, 3]], "puts the horizon between its points"),
    ],
)
def test_a_fit_that_nobody_should_measure_with_is_refused(image, plane, expected):
    with pytest.raises(GroundError, match=expected):
        fit_ground(np.asarray(image, float), plane)


def test_bad_ground_is_told_as_a_mistake_of_the_site():
    with pytest.raises(SiteError, match=r"^camera\.n\.ground makes a pixel .* m wide"):
        build_scene("n", camera(ground=Ground(IMAGE, tuple((x * 5000, y * 5000) for x, y in PLANE))), 1920, 1080)


POINTS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=4, max_size=6)


@given(image=POINTS, plane=POINTS)
@settings(max_examples=150, deadline=None)
def test_any_points_are_fitted_or_refused(image, plane):
    n = min(len(image), len(plane))
    try:
        fit = fit_ground(np.array(image[:n], float) * 50.0, np.array(plane[:n], float))
    except GroundError:
        return
    assert np.isfinite(fit.to_road).all()
    assert np.isfinite(fit.residual_max_m)
    assert np.allclose(transform(fit.to_road, transform(fit.from_road, fit.plane_m)), fit.plane_m, atol=1e-3)


def test_a_ground_that_does_not_fit_is_told_before_any_picture_is_seen():
    text = (
        'name = "a"\ntimezone = "UTC"\n[camera.n]\nurl = "a.mp4"\nmodel = "m"\n[camera.n.ground]\n'
        "image_px = [[260, 700], [1100, 700], [760, 330], [520, 330], [640, 500]]\n"
        "plane_m = [[0, 0], [9, 0], [9, 30], [0, 30], [4.6, 9.5]]\n"
    )
    with pytest.raises(SiteError) as caught:
        parse_site(text, "elm.toml", {})
    assert caught.value.mistakes == [
        "elm.toml: camera.n.ground does not fit: point 4 is off by 3.55 m; allowed: 3.13 m (check its coordinates)"
    ]
