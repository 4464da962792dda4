"""Contact points and speeds: the kernels against their twins, and courses whose truth is known against the truth."""

from __future__ import annotations

import itertools
import math

import naive_course as naive
import naive_motion
import naive_track
import numpy as np
import pytest
from roadcam import HEIGHT_PX, WIDTH_PX, Jitter, box_of, cut, drive, pinhole, some_size, to_road
from test_tracker import plain, same_rows
from traffic import as_detections, instant

from kernels import contact, course, coursebox
from kernels.motion import AXIS
from kernels.records import CLASSES, MAX_TRACKS, TRACK
from kernels.track import road_publish
from vision.ground import camera_matrix
from vision.track.tracker import Tracker

pytestmark = pytest.mark.kernels

KMH = 3.6


def some_shape(rng: np.random.Generator) -> tuple[float, ...]:
    x, y, heading = rng.uniform(-8, 8), rng.uniform(12, 70), rng.uniform(-math.pi, math.pi)
    return (x, y, heading, *some_size(rng, str(rng.choice(CLASSES))))


# -- twins ----------------------------------------------------------------------------------------------------------


def test_outlines_and_their_slopes_like_their_twins():
    rng = np.random.default_rng(1)
    camera, outline = pinhole(), np.zeros(1, contact.OUTLINE)[0]
    for _ in range(100):
        shape = some_shape(rng)
        for ours, theirs in (
            (contact.cuboid_outline, naive.cuboid_outline),
            (contact.point_outline, naive.point_outline),
        ):
            assert ours(outline, camera, shape)
            edges, slopes = theirs(camera, shape)
            assert np.allclose(outline["edge"], edges)
            assert np.allclose(outline["slope"], slopes, rtol=1e-4, atol=1e-4)
        corner = float(rng.choice([-1, 1])), float(rng.choice([-1, 1])), float(rng.choice([0, 1]))
        contact.corner_slope(outline, 2, 1, camera, shape, corner)
        value, slope = naive.corner_slope(camera, shape, 1, corner)
        assert outline["edge"][2] == pytest.approx(value)
        assert np.allclose(outline["slope"][2], slope, rtol=1e-4, atol=1e-4)
        x, y = contact.road_pixel(camera, shape[0], shape[1])
        assert (x, y) == pytest.approx(naive.road_pixel(camera, shape[0], shape[1]))
        assert contact.pixel_road(camera, x, y) == pytest.approx(shape[:2])
        assert contact.pixel_road(camera, x, y) == pytest.approx(naive.pixel_road(camera, x, y))


def test_what_is_behind_the_camera_has_no_outline():
    camera, outline, behind = pinhole(), np.zeros(1, contact.OUTLINE)[0], (0.0, -30.0, 0.0, 4.0, 2.0, 1.5)
    assert not contact.cuboid_outline(outline, camera, behind)
    assert not contact.point_outline(outline, camera, behind)
    assert naive.cuboid_outline(camera, behind) is None
    assert naive.point_outline(camera, behind) is None
    assert math.isnan(contact.road_pixel(camera, 0.0, -30.0)[0])
    assert math.isnan(naive.road_pixel(camera, 0.0, -30.0)[0])


def some_course(rng: np.random.Generator) -> tuple[np.ndarray, naive.Course]:
    ours, twin = np.zeros(1, course.COURSE)[0], naive.Course(course.CUBOID)
    coursebox.course_forget(ours)
    ours["phase"], ours["pull"] = course.CUBOID, twin.pull
    twin.x = rng.normal(0, 1, 9) * [5, 20, 2, 8, 1, 0.2, 0, 0, 0] + [0, 40, 0, 0, 0, 0, 4.5, 1.8, 1.5]
    root = rng.normal(0, 0.3, (9, 9))
    twin.p = root @ root.T + 0.01 * np.eye(9)
    twin.pull = ours["pull"] = rng.normal(0, 2)
    ours["x"], ours["p"], ours["seen"], twin.seen = twin.x, twin.p, twin.x, twin.x.copy()
    return ours, twin


def same_course(ours: np.ndarray, twin: naive.Course) -> None:
    assert np.allclose(ours["x"], twin.x, rtol=1e-6, atol=1e-6)
    assert np.allclose(ours["p"], twin.p, rtol=1e-5, atol=1e-6)
    assert np.allclose(ours["variance"], twin.variance)
    assert ours["phase"] == twin.phase


def test_a_step_of_the_fit_like_its_twin():
    rng = np.random.default_rng(2)
    for _ in range(60):
        ours, twin = some_course(rng)
        dt_s = float(rng.choice([0.0, 0.04, 0.2, 1.5]))
        course.course_predict(ours, dt_s)
        naive.course_predict(twin, dt_s)
        same_course(ours, twin)
        slope, off, variance = rng.normal(0, 5, 6), rng.normal(0, 3), rng.uniform(0.1, 9)
        assert course.slope_variance(ours, slope) == pytest.approx(naive.slope_variance(twin, slope))
        course.course_take(ours, slope, off, variance)
        naive.course_take(twin, slope, off, variance)
        same_course(ours, twin)
        p = np.zeros((9, 9))
        course.course_noise(p, 9.0, 1.2, 0.6, 0.8, dt_s)
        assert np.allclose(p, naive.course_noise(9.0, 1.2, 0.6, 0.8, dt_s))
        coursebox.course_turn_round(ours)
        naive.course_turn_round(twin)
        same_course(ours, twin)
        for name in (1, 1, 3):
            coursebox.course_class(ours, name)
            naive.course_class(twin, name)
            same_course(ours, twin)
        assert coursebox.course_shape(ours) == pytest.approx(tuple(naive.course_shape(twin)))


def test_a_forgotten_course_is_a_new_one():
    ours, _ = some_course(np.random.default_rng(3))
    coursebox.course_forget(ours)
    twin = naive.course_forget()
    assert (ours["phase"], ours["has_from"], ours["product"]) == (twin.phase, twin.start is not None, twin.product)
    assert np.allclose(ours["variance"], twin.variance)
    assert np.isnan(ours["left"]).all()


@pytest.mark.parametrize(
    ("seed", "kind", "away", "straight_down"),
    [(1, "car", False, False), (2, "bus", True, False), (3, "motorcycle", True, False), (4, "car", False, True)],
)
def test_a_whole_drive_like_its_twin(seed, kind, away, straight_down):
    """Every row of a drive with jitter, misses, cut boxes, a wrong class and a box that belongs to something else."""
    rng = np.random.default_rng(seed)
    camera = pinhole(9.0)
    road = np.diag([0.05, -0.05, 1.0]) if straight_down else to_road(camera)
    tracker = Tracker(WIDTH_PX, HEIGHT_PX, road, {"speed_hits_min": 4}, 0.01)
    assert bool(tracker.settings["has_pose"][0]) != straight_down
    one = drive(kind, some_size(rng, kind), (2.0, 8.0 if away else 45.0), math.pi / 2 * (1 if away else -1), 11.0)
    jitter, ids, twins, before_s, phases = Jitter(rng), itertools.count(1), [None] * MAX_TRACKS, 0.0, set()
    for k in range(60):
        time_s = 0.06 * k
        box = cut(box_of(camera, *one.at(time_s)[:3], one.size))
        box = None if box is None else jitter(box)
        found = []
        if box is not None:
            box = np.clip(box + (25.0 if 30 <= k < 32 else 0.0), 0, [WIDTH_PX, HEIGHT_PX] * 2)
            found = [(tuple(map(float, np.float32(box))), 0.9 if k % 7 else 0.3, 2 if k in (2, 3) else one.class_id)]
        rows = tracker.step(instant(time_s, time_s - before_s), as_detections(found))
        sightings = [naive_track.Sighting(time_s, *each) for each in found]
        expected = naive_track.tracker_step(twins, plain(tracker), time_s, time_s - before_s, sightings, road, ids)
        same_rows(rows, expected)
        phases |= {twin.course.phase for twin in twins if twin is not None}
        before_s = time_s
    assert phases == {course.NONE, course.POINT if straight_down else course.CUBOID}


def test_a_foot_point_alone_is_told_like_by_its_twin():
    axes = np.zeros(2, AXIS)
    for name, values in {"x": (3, 40), "v": (1, -9), "xx": (0.2, 0.3), "xv": (0.1, 0.1), "vv": (0.5, 0.4)}.items():
        axes[name] = values
    twins = [
        naive_motion.Axis(np.array([a["x"], a["v"]]), np.array([[a["xx"], a["xv"]], [a["xv"], a["vv"]]])) for a in axes
    ]
    row = np.zeros(1, TRACK)[0]
    road_publish(row, axes[0], axes[1], 0.02)
    expected = naive.road_publish(*twins, 0.02)
    assert {name: row[name] for name in expected} == pytest.approx(expected)


# -- the camera's pose ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("height_m", "focal_px", "down_m", "turned"), [(8, 1400, 30, 0.2), (4, 900, 18, -1.2), (15, 3000, 90, 2.5)]
)
@pytest.mark.parametrize("mirrored", [False, True])
def test_an_exact_pinhole_camera_is_recovered(height_m, focal_px, down_m, turned, mirrored):
    camera = pinhole(height_m, focal_px, down_m, turned)
    if mirrored:
        camera = camera * np.array([-1.0, 1.0, 1.0, 1.0])
    found = camera_matrix(np.linalg.inv(to_road(camera)), WIDTH_PX, HEIGHT_PX)
    assert found is not None
    assert np.allclose(found / found[2, 3], camera / camera[2, 3], rtol=1e-7, atol=1e-7)


def test_a_view_from_straight_above_has_no_pose():
    assert camera_matrix(np.linalg.inv(np.diag([0.02, -0.02, 1.0])), WIDTH_PX, HEIGHT_PX) is None
    assert (
        camera_matrix(np.array([[9.0, 5.0, 100.0], [0.0, 4.0, 90.0], [0.002, 0.03, 1.0]]), WIDTH_PX, HEIGHT_PX) is None
    )
