"""The lens: its kernels against their twins and OpenCV, what it refuses, and what it does to places and speeds."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import naive_lens as naive
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from roadcam import HEIGHT_PX, WIDTH_PX, Jitter, box_of, cut, drive, pinhole, seen, to_road
from traffic import as_detections, instant

from benchmarks.scenes import road
from benchmarks.scenes.camera import aimed
from kernels import lens as kernel
from kernels.contact import pixel_road, road_pixel
from vision.ground import LensError, distorted, fit_ground, lens_facts, lens_of, make_lens, transform, undistorted
from vision.scene import site_scene
from vision.site import parse_site
from vision.track.tracker import Tracker

SIZE_PX = WIDTH_PX, HEIGHT_PX

#: Barrel, barrel that straightens towards the edges, pincushion, everything at once, off the middle.
LENSES = (
    make_lens(*SIZE_PX, k1=-0.25, focal_px=1600.0),
    make_lens(*SIZE_PX, k1=-0.33, k2=0.11, focal_px=1200.0),
    make_lens(*SIZE_PX, k1=0.15, k2=-0.02),
    make_lens(*SIZE_PX, k1=-0.3, k2=0.09, p1=0.002, p2=-0.003, k3=-0.01, focal_px=1300.0),
    make_lens(*SIZE_PX, k1=-0.2, p1=-0.002, focal_px=1500.0, centre_px=(900.0, 580.0)),
)


def grid(step: int = 60) -> np.ndarray:
    """Pixels all over the picture, its border too."""
    x, y = np.meshgrid(np.linspace(0, WIDTH_PX, WIDTH_PX // step + 1), np.linspace(0, HEIGHT_PX, HEIGHT_PX // step + 1))
    return np.column_stack([x.ravel(), y.ravel()])


def opencv(lens: np.void) -> tuple[np.ndarray, np.ndarray]:
    """The camera matrix and the coefficients as OpenCV takes them."""
    matrix = np.array([[lens["focal_px"], 0, lens["x_px"]], [0, lens["focal_px"], lens["y_px"]], [0, 0, 1.0]])
    return matrix, np.array([lens[name] for name in ("k1", "k2", "p1", "p2", "k3")])


# -- twins and judges -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lens", LENSES)
def test_a_lens_like_its_twin(lens: np.void):
    rng = np.random.default_rng(1)
    for x, y in rng.uniform(-1.6, 1.6, (40, 2)):
        if abs(math.hypot(x, y) - lens["reach"]) > 1e-4:
            assert kernel.bend(lens, x, y) == pytest.approx(naive.bend(lens, x, y), abs=1e-6)
    for x, y in rng.uniform(-500, 2500, (40, 2)):
        assert kernel.distort(lens, x, y) == pytest.approx(naive.distort(lens, x, y), abs=1e-6)
        assert kernel.undistort(lens, x, y) == pytest.approx(naive.undistort(lens, x, y), abs=1e-5)
        near = math.hypot(x - lens["x_px"], y - lens["y_px"]) / lens["focal_px"] - lens["reach"]
        if abs(near) > 1e-4:
            assert kernel.distort_slope(lens, x, y) == pytest.approx(naive.distort_slope(lens, x, y), abs=1e-5)
    points = rng.uniform(0, 1080, (9, 2))
    for ours, theirs in (
        (kernel.distort_points, naive.distort_points),
        (kernel.undistort_points, naive.undistort_points),
    ):
        out = np.zeros((9, 2))
        ours(lens, points, out)
        assert np.allclose(out, theirs(lens, points), atol=1e-5)


@pytest.mark.parametrize("lens", LENSES)
def test_the_reach_of_a_lens_like_its_twin(lens: np.void):
    free = lens.copy()
    free["reach"] = np.inf
    reach, x, y = kernel.lens_reach(free, float(WIDTH_PX), float(HEIGHT_PX))
    assert reach == lens["reach"]
    assert math.isnan(x)
    assert math.isnan(y)
    # The kernel goes on to the end of its step.
    assert reach == pytest.approx(naive.lens_reach(lens, WIDTH_PX, HEIGHT_PX), rel=0.04)


@pytest.mark.parametrize("lens", LENSES)
def test_opencv_agrees_over_the_whole_picture(lens: np.void):
    pixels = grid()
    matrix, coefficients = opencv(lens)
    plumb = undistorted(lens, pixels)
    enough = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 500, 1e-12)
    theirs = cv2.undistortPoints(pixels[:, None], matrix, coefficients, P=matrix, criteria=enough)[:, 0]
    # OpenCV's iteration does not end well far out in strong lenses: judged where its own way back holds.
    rays = np.column_stack([(plumb - matrix[:2, 2]) / lens["focal_px"], np.ones(len(plumb))])
    back = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), matrix, coefficients)[0][:, 0]
    assert np.abs(back - pixels).max() < 1e-6
    assert np.abs(distorted(lens, plumb) - back).max() < 1e-6
    own = np.column_stack([(theirs - matrix[:2, 2]) / lens["focal_px"], np.ones(len(theirs))])
    sound = (
        np.abs(cv2.projectPoints(own, np.zeros(3), np.zeros(3), matrix, coefficients)[0][:, 0] - pixels).max(1) < 1e-6
    )
    assert sound.mean() > 0.6
    assert np.abs(theirs - plumb)[sound].max() < 1e-4


coefficient = st.floats(-0.6, 0.6)


@given(coefficient, coefficient, st.floats(-0.2, 0.2), st.floats(-0.01, 0.01), st.floats(800.0, 4000.0))
def test_there_and_back_is_where_it_was_in_every_lens_that_is_let_in(k1, k2, k3, p1, focal_px):
    try:
        lens = make_lens(*SIZE_PX, k1=k1, k2=k2, p1=p1, p2=-p1 / 2, k3=k3, focal_px=focal_px)
    except LensError:
        assume(False)
    pixels = grid(240)
    plumb = undistorted(lens, pixels)
    assert np.abs(distorted(lens, plumb) - pixels).max() < 1e-3
    assert np.abs(undistorted(lens, distorted(lens, plumb)) - plumb).max() < 1e-3


def test_without_a_lens_nothing_moves():
    lens, pixels = make_lens(*SIZE_PX), grid()
    assert lens["bends"] == 0
    assert np.array_equal(undistorted(lens, pixels), pixels)
    assert np.array_equal(distorted(lens, pixels), pixels)
    assert (lens["focal_px"], lens["x_px"], lens["y_px"]) == (1920.0, 960.0, 540.0)


def test_what_has_no_place_has_none_through_a_lens():
    assert np.isnan(distorted(LENSES[0], np.array([[np.nan, np.nan]]))).all()
    assert np.isnan(undistorted(LENSES[0], np.array([[np.nan, np.nan]]))).all()


@pytest.mark.parametrize("lens", LENSES)
def test_what_lies_outside_the_picture_is_not_folded_back_in(lens: np.void):
    """A model that folds over brings far points back into the picture; here they stay outside, in order."""
    out = [np.hypot(*(np.array(kernel.distort(lens, 960.0 + r, 540.0)) - [960, 540])) for r in range(0, 20_000, 50)]
    assert np.all(np.diff(out) > 0.0)
    assert undistorted(lens, distorted(lens, np.array([[9000.0, -7000.0]])))[0] == pytest.approx([9000.0, -7000.0])


# -- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "numbers", [{"k1": -0.25, "focal_px": 1350.0}, {"k1": -0.6}, {"k1": 0.3, "k2": -2.0}, {"k1": 0.0, "p1": 0.4}]
)
def test_a_lens_that_folds_over_in_the_picture_is_refused(numbers: dict[str, float]):
    with pytest.raises(LensError, match=r"folds the picture over at \[\d+, \d+\]; allowed: a lens that squeezes"):
        make_lens(*SIZE_PX, **numbers)
    lens = make_lens(*SIZE_PX, k1=1e-9)
    for name, value in numbers.items():
        lens[name] = value
    assert math.isnan(naive.lens_reach(lens, WIDTH_PX, HEIGHT_PX))


def test_a_lens_comes_back_from_a_record():
    for lens in (*LENSES, make_lens(*SIZE_PX)):
        back = lens_of({"lens": lens_facts(lens)} if lens["bends"] else {})
        assert back["bends"] == lens["bends"]
        assert np.array_equal(undistorted(back, grid()), undistorted(lens, grid()))


# -- places and speeds ----------------------------------------------------------------------------------------------

#: A wide lens: k1 = -0.25 at 1600 px moves the corner of the picture by 240 px.
WIDE, MATRIX = LENSES[0], pinhole(8.0, 1600.0, 26.0)
#: Points are known in the middle of the road; traffic is judged all over the picture.
GROUND_M = np.array([(x, y) for y in (15.0, 21.0, 30.0, 42.0) for x in (-3.5, 0.0, 3.5)])


def ground_px() -> np.ndarray:
    return seen(MATRIX, np.column_stack([GROUND_M, np.zeros(len(GROUND_M))]), WIDE)


def passages(with_lens: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return errors of speed (km/h) and of the middle's place (m) of cars that cross the picture, in every lane."""
    rng, speeds, places = np.random.default_rng(5), [], []
    fit = fit_ground(ground_px(), GROUND_M, WIDE if with_lens else None)
    for lane_m in (-8.0, -4.0, 0.0, 4.0, 8.0):
        for towards in (True, False):
            start = lane_m, 48.0 if towards else 12.0
            one = drive("car", (4.5, 1.8, 1.5), start, math.pi / 2 * (1 - 2 * towards), 12.0, [(3.0, 0.0)])
            tracker = Tracker(*SIZE_PX, fit.to_road, lens=fit.lens if with_lens else None)
            jitter = Jitter(rng, share=0.01, missed=0.0)
            for k in range(38):
                now_s = k / 12.5
                x, y, heading, speed = one.at(now_s)
                box = cut(jitter(box_of(MATRIX, x, y, heading, one.size, WIDE)))
                found = [] if box is None else [(tuple(box), 0.9, 0)]
                for row in tracker.step(instant(now_s, 0.08 if k else 0.0, k), as_detections(found)):
                    if row["flags"] & 1 and k > 10 and np.isfinite(row["speed_mps"]):
                        speeds.append(3.6 * (row["speed_mps"] - speed))
                        middle = (row["front_x_m"] + row["rear_x_m"]) / 2, (row["front_y_m"] + row["rear_y_m"]) / 2
                        places.append(math.dist(middle, (x, y)))
    return np.array(speeds), np.array(places)


def test_a_bent_lens_that_is_known_costs_neither_speed_nor_place():
    """k1 = -0.25: known, p95 is below 1.2 km/h and 0.2 m; unknown, speeds are 1.5 times, places 3 times worse."""
    speeds, places = passages(with_lens=True)
    wrong_speeds, wrong_places = passages(with_lens=False)
    told = (
        f"with the lens: bias {speeds.mean():.2f} km/h, p95 {np.percentile(np.abs(speeds), 95):.2f} km/h, place p95 "
        f"{np.percentile(places, 95):.2f} m, n {len(speeds)}; without: bias {wrong_speeds.mean():.2f} km/h, p95 "
        f"{np.percentile(np.abs(wrong_speeds), 95):.2f} km/h, place p95 {np.percentile(wrong_places, 95):.2f} m, n "
        f"{len(wrong_speeds)}"
    )
    print(told)
    assert len(speeds) > 150, told
    assert abs(speeds.mean()) < 0.3, told
    assert np.percentile(np.abs(speeds), 95) < 1.2, told
    assert np.percentile(places, 95) < 0.2, told
    assert np.percentile(np.abs(wrong_speeds), 95) > 1.5 * np.percentile(np.abs(speeds), 95), told
    assert np.percentile(wrong_places, 95) > 3.0 * np.percentile(places, 95), told


def test_a_contact_point_in_px_is_where_the_picture_shows_it():
    fit = fit_ground(ground_px(), GROUND_M, WIDE)
    tracker = Tracker(*SIZE_PX, fit.to_road, lens=fit.lens)
    camera = tracker.settings["camera"][0]
    assert tracker.settings["has_pose"][0]
    for x, y in GROUND_M:
        expected = seen(MATRIX, np.array([[x, y, 0.0]]), WIDE)[0]
        assert road_pixel(camera, x, y) == pytest.approx(expected, abs=1e-3)
        assert pixel_road(camera, *expected) == pytest.approx((x, y), abs=1e-4)


def test_a_ground_through_a_lens_is_exact_and_without_it_is_metres_off_at_the_edges():
    bent, plain = fit_ground(ground_px(), GROUND_M, WIDE), fit_ground(ground_px(), GROUND_M)
    assert bent.holdout_max_m < 1e-6
    assert plain.holdout_max_m > 0.1
    edge_m = np.array([(x, y) for y in (16.0, 22.0, 34.0) for x in (-0.55 * y, 0.55 * y)])
    edge_px = seen(MATRIX, np.column_stack([edge_m, np.zeros(6)]), WIDE)
    assert np.all((edge_px > 0) & (edge_px < SIZE_PX))
    assert np.abs(bent.road_m(edge_px) - edge_m).max() < 1e-6
    off = np.linalg.norm(plain.road_m(edge_px) - edge_m, axis=1)
    assert off.max() > 1.0, off
    assert np.abs(bent.road_m(ground_px()) - GROUND_M).max() < 1e-6
    assert np.abs(bent.picture_px(GROUND_M) - ground_px()).max() < 1e-6
    assert np.abs(transform(to_road(MATRIX), undistorted(WIDE, ground_px())) - GROUND_M).max() < 1e-6


# -- the scenes' camera ---------------------------------------------------------------------------------------------


def test_the_bent_camera_of_the_scenes_is_that_of_opencv():
    camera = aimed((-4.0, -16.0, 14.0), (-4.0, 32.0), 1350.0, -0.2)
    rng = np.random.default_rng(6)
    points = np.column_stack([rng.uniform(-20, 12, 60), rng.uniform(-2, 120, 60), rng.uniform(0, 3, 60)])
    straight = replace(camera, k1=0.0).project(points)[0]
    bent = camera.project(points)[0]
    assert np.abs(bent - straight).max() > 50.0
    lens = make_lens(*SIZE_PX, k1=-0.2, focal_px=1350.0)
    rays = np.column_stack([(straight - [960.0, 540.0]) / 1350.0, np.ones(60)])
    theirs = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), *opencv(lens))[0][:, 0]
    assert np.abs(bent - theirs).max() < 1e-6
    seen_px = bent[np.all((bent > 0) & (bent < SIZE_PX), axis=1)]
    assert len(seen_px) > 30
    assert np.abs(distorted(lens, straight)[np.all((bent > 0) & (bent < SIZE_PX), axis=1)] - seen_px).max() < 1e-6


def test_the_site_of_a_bent_scene_tells_its_lens_unless_it_is_to_be_kept_back():
    for told in (True, False):
        site = parse_site(road.plan(("spot gate",), -0.2, told).site([]), "a.toml", {})
        assert (site.cameras["main"].lens is not None) == told
        scene = site_scene(site, "main", *SIZE_PX)
        assert scene.ground is not None
        assert (scene.ground.holdout_rms_m < 0.01) == told
