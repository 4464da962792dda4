"""Contact points and speeds: the kernels against their twins, and courses whose truth is known against the truth."""

from __future__ import annotations

import itertools
import math

import naive_contact
import naive_course as naive
import naive_motion
import naive_track
import numpy as np
import pytest
from roadcam import (
    HEIGHT_PX,
    WIDTH_PX,
    Drive,
    Jitter,
    as_camera,
    box_of,
    cut,
    drive,
    pinhole,
    some_size,
    to_road,
    watch,
)
from test_tracker import plain, same_rows
from traffic import as_detections, instant

from kernels import contact, course, coursebox
from kernels.motion import AXIS
from kernels.records import CLASSES, MAX_TRACKS, TRACK
from kernels.track import road_publish
from vision.ground import camera_matrix, make_lens
from vision.track.tracker import Tracker

KMH = 3.6
#: A wide lens: the corners of the picture are a fifth nearer to the middle than they should be.
BENT = make_lens(WIDTH_PX, HEIGHT_PX, k1=-0.32, k2=0.05, p1=0.004, p2=-0.003, centre_px=(930.0, 560.0))


def some_shape(rng: np.random.Generator) -> tuple[float, ...]:
    x, y, heading = rng.uniform(-8, 8), rng.uniform(12, 70), rng.uniform(-math.pi, math.pi)
    return (x, y, heading, *some_size(rng, str(rng.choice(CLASSES))))


# -- twins ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lens", [None, BENT], ids=["pinhole", "lens"])
def test_outlines_and_their_slopes_like_their_twins(lens):
    rng = np.random.default_rng(1)
    camera, outline = as_camera(pinhole(), lens), np.zeros(1, contact.OUTLINE)[0]
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
        for row in (0, 1):
            one = contact.corner_slope if lens is None else contact.bent_corner
            twin = naive_contact.corner_slope if lens is None else naive_contact.bent_corner
            one(outline, 2, row, camera, shape, corner)
            value, slope = twin(camera, shape, row, corner)
            assert outline["edge"][2] == pytest.approx(value)
            assert np.allclose(outline["slope"][2], slope, rtol=1e-4, atol=1e-4)
        if lens is not None:
            assert contact.bent_outline(outline, camera, shape)
            edges, slopes = naive_contact.bent_outline(camera, shape)
            assert np.allclose(outline["edge"], edges)
            assert np.allclose(outline["slope"], slopes, rtol=1e-4, atol=1e-4)
        x, y = contact.road_pixel(camera, shape[0], shape[1])
        assert (x, y) == pytest.approx(naive.road_pixel(camera, shape[0], shape[1]))
        assert contact.pixel_road(camera, x, y) == pytest.approx(shape[:2])
        assert contact.pixel_road(camera, x, y) == pytest.approx(naive.pixel_road(camera, x, y))


def test_what_is_behind_the_camera_has_no_outline():
    camera, outline, behind = as_camera(pinhole()), np.zeros(1, contact.OUTLINE)[0], (0.0, -30.0, 0.0, 4.0, 2.0, 1.5)
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
    assert ours["way_m"] == pytest.approx(twin.way_m, abs=1e-6)


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
    ("seed", "kind", "away", "straight_down", "lens"),
    [
        (1, "car", False, False, None),
        (2, "bus", True, False, None),
        (3, "motorcycle", True, False, None),
        (4, "car", False, True, None),
        (5, "car", True, False, BENT),
        (6, "car", False, True, BENT),
    ],
)
def test_a_whole_drive_like_its_twin(seed, kind, away, straight_down, lens):
    """Every row of a drive with jitter, misses, cut boxes, a wrong class and a box that belongs to something else."""
    rng = np.random.default_rng(seed)
    camera = pinhole(9.0)
    road = np.diag([0.05, -0.05, 1.0]) if straight_down else to_road(camera)
    tracker = Tracker(WIDTH_PX, HEIGHT_PX, road, {"speed_hits_min": 4}, 0.01, lens)
    assert bool(tracker.settings["has_pose"][0]) != straight_down
    one = drive(kind, some_size(rng, kind), (2.0, 8.0 if away else 45.0), math.pi / 2 * (1 if away else -1), 11.0)
    jitter, ids, twins, before_s, phases = Jitter(rng), itertools.count(1), [None] * MAX_TRACKS, 0.0, set()
    for k in range(60):
        time_s = 0.06 * k
        box = cut(box_of(camera, *one.at(time_s)[:3], one.size, lens))
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


# -- against the truth ----------------------------------------------------------------------------------------------


def some_drives(rng: np.random.Generator, n: int) -> list[Drive]:
    """Drives to and from the camera, of every kind of vehicle: steady, slowing down, speeding up, from rest."""
    found = []
    for k in range(n):
        kind, towards = ("car", "truck", "bus", "motorcycle")[k % 4], (k // 4) % 2 == 0
        speed, phases = (
            (rng.uniform(7, 17), [(3.5, 0.0)]),
            (rng.uniform(10, 17), [(1.5, 0.0), (2.0, rng.uniform(-2.5, -1.0))]),
            (rng.uniform(5, 9), [(1.5, 0.0), (2.5, rng.uniform(0.5, 1.8))]),
            (0.0, [(1.0, 0.0), (5.0, rng.uniform(1.0, 2.0))]),
        )[(k // 8) % 4]
        start_m = (30.0 if speed == 0.0 else 62.0) if towards else 14.0
        heading = math.pi / 2 * (-1 if towards else 1) + rng.normal(0, 0.05)
        found.append(drive(kind, some_size(rng, kind), (rng.uniform(-5, 5), start_m), heading, speed, phases))
    return found


def test_a_noisy_speed_is_near_and_as_sure_as_it_says():
    """2.5 % of jitter, 5 % missed, 10 to 60 m: bias to 0.5 km/h, 95 % within 4 km/h, two deviations hold 90 to 99 %."""
    rng, off, sure = np.random.default_rng(77), [], []
    for one in some_drives(rng, 32):
        rows, truth = watch(pinhole(rng.uniform(6, 10)), one, Jitter(rng))
        known = (rows["time_s"] - rows["birth_s"] > 1.0) & np.isfinite(rows["speed_mps"]) & (truth[:, 1] < 60.0)
        off += list((rows["speed_mps"] - truth[:, 3])[known] * KMH)
        sure += list(np.abs(rows["speed_mps"] - truth[:, 3])[known] < 2.0 * rows["speed_sd_mps"][known])
    p95 = np.percentile(np.abs(off), 95)
    told = f"bias {np.mean(off):.2f} km/h, p95 {p95:.2f} km/h, held {np.mean(sure):.3f}, n {len(off)}"
    assert len(off) > 1000
    assert abs(np.mean(off)) < 0.5, told
    assert p95 < 4.0, told
    assert 0.90 < np.mean(sure) < 0.99, told


def test_an_exact_front_meets_a_line_in_time():
    """Towards the camera, from rest too: 95 % of the passages of lines at 15 to 45 m within 0.04 s."""
    rng, off = np.random.default_rng(78), []
    for one in [one for one in some_drives(rng, 64) if abs(one.at(0.0)[2] + math.pi / 2) < 1.0]:
        rows, _ = watch(pinhole(), one)
        fine_s = np.arange(0.0, one.lasts_s, 0.002)
        fronts = np.array([one.front(t)[1] for t in fine_s])
        y = rows["front_y_m"].astype(float)
        for line_m in (15.0, 25.0, 35.0, 45.0):
            if not (y[0] > line_m > y[-1] and rows["front_y_px"][y > line_m][-1] != rows["rear_y_px"][y > line_m][-1]):
                continue
            k = int(np.argmax(y <= line_m))
            part = (y[k - 1] - line_m) / (y[k - 1] - y[k])
            found_s = rows["time_s"][k - 1] + part * (rows["time_s"][k] - rows["time_s"][k - 1])
            off.append(abs(found_s - np.interp(-line_m, -fronts, fine_s)))
    assert len(off) > 40
    assert np.percentile(off, 95) < 0.04, f"p95 {np.percentile(off, 95):.3f} s, n {len(off)}"


def test_a_standing_vehicle_stands_and_keeps_its_heading():
    """It brakes to a stop at 25 m: within 1.5 km/h of 0 and headed as before, three seconds later."""
    one = drive("car", (4.6, 1.8, 1.5), (1.0, 50.0), -math.pi / 2, 10.0, [(0.5, 0.0), (4.0, -2.5), (3.0, 0.0)])
    rows, truth = watch(pinhole(), one, Jitter(np.random.default_rng(79), share=0.015))
    assert truth[-1, 3] == 0.0
    last = rows[-40:]
    assert np.mean(last["speed_mps"]) < 1.5 / KMH
    assert np.mean(last["speed_mps"] < 2.0 * last["speed_sd_mps"]) > 0.9
    assert (last["front_y_m"] < last["rear_y_m"] - 3.0).all()


def test_who_stands_for_a_minute_stays_as_long_as_it_was():
    """Towards the camera, 2.5 % of jitter: in a minute of standing its length changes by 0.6 m or a fifth at most.

    Its front is within half a metre, that of a bus within a twentieth of its length.
    """
    for seed, size in enumerate([(4.5, 1.8, 1.5), (3.9, 1.7, 1.45), (11.0, 2.5, 3.1)]):
        kind = "bus" if size[0] > 10 else "car"
        one = drive(kind, size, (1.0, 60.0), -math.pi / 2, 10.0, [(1.5, 0.0), (4.0, -2.5), (60.0, 0.0)])
        rows, _ = watch(pinhole(), one, Jitter(np.random.default_rng(seed)), fps=10.0)
        lengths = (rows["rear_y_m"] - rows["front_y_m"])[rows["time_s"] > 6.0]
        assert np.ptp(lengths) < max(0.6, 0.2 * size[0]), (lengths.min(), lengths.max())
        assert np.abs(rows["front_y_m"][-100:] - one.front(60.0)[1]).max() < max(0.5, 0.05 * size[0])


def test_exact_boxes_tell_a_long_approach_how_long_a_car_is():
    for length_m in (3.8, 5.3):
        one = drive("car", (length_m, 1.8, 1.5), (1.0, 70.0), -math.pi / 2, 10.0, [(5.0, 0.0)])
        rows, _ = watch(pinhole(), one)
        assert float(rows["rear_y_m"][-1] - rows["front_y_m"][-1]) == pytest.approx(length_m, abs=0.06)


def test_a_course_far_off_its_boxes_ends_however_noisy_they_seem():
    camera = as_camera(pinhole())
    settings = Tracker(WIDTH_PX, HEIGHT_PX, to_road(pinhole()), {}, 0.01).settings[0]
    for share, phase in ((0.2, course.CUBOID), (0.35, course.NONE)):
        ours, twin = some_course(np.random.default_rng(6))
        twin.p = 0.001 * np.eye(9)
        ours["p"], ours["x"][3:6], ours["variance"] = twin.p, 0.0, coursebox.SHARE_MOST**2
        ours["square"], ours["product"] = 100.0, 90.0
        for _ in range(coursebox.STRIKES):
            if ours["phase"] == course.CUBOID:
                assert coursebox.course_look(ours, camera)
                box = np.array(ours["outline"]["edge"])
                box[1::2] += share * (box[3] - box[1])
                coursebox.course_measure(ours, camera, box, 1.0, settings)
        assert ours["phase"] == phase


def test_who_reverses_is_headed_the_way_it_travels():
    ours, _ = some_course(np.random.default_rng(5))
    ours["x"][course.V], ours["x"][course.A] = -3.0, -0.5
    heading = float(ours["x"][course.TURN])
    coursebox.course_turn_round(ours)
    assert (ours["x"][course.V], ours["x"][course.A]) == (3.0, 0.5)
    assert ours["x"][course.TURN] == pytest.approx(heading + math.pi)


def test_who_brakes_hard_to_a_stand_keeps_its_front_and_who_then_reverses_too():
    course_m = [(2.5, 0.0), (2.5, -4.0), (3.0, 0.0), (2.0, -1.5)]
    for seed in range(4):
        one = drive("car", (4.6, 1.8, 1.5), (1.0, 60.0), -math.pi / 2, 10.0, course_m)
        rows, _ = watch(pinhole(), one, Jitter(np.random.default_rng(seed)))
        assert (rows[40:]["front_y_m"] < rows[40:]["rear_y_m"] - 2.0).all()


def test_who_has_gone_further_back_than_ahead_was_headed_the_other_way():
    for way_m, turned in ((-0.5, True), (0.5, False)):
        ours, twin = some_course(np.random.default_rng(6))
        matrix = pinhole()
        camera = as_camera(matrix)
        settings = Tracker(WIDTH_PX, HEIGHT_PX, to_road(matrix), {}, 0.01).settings[0]
        twin.x[course.V], twin.way_m, twin.p = -3.0, way_m, 0.001 * np.eye(9)
        ours["x"], ours["way_m"], ours["p"] = twin.x, way_m, twin.p
        assert coursebox.course_look(ours, camera)
        box = np.array(ours["outline"]["edge"])
        coursebox.course_measure(ours, camera, box, 1.0, settings)
        assert (ours["x"][course.V] > 0.0) == turned


def test_before_a_heading_is_known_front_and_rear_are_the_foot_point():
    one = drive("car", (4.6, 1.8, 1.5), (1.0, 30.0), -math.pi / 2, 0.0, [(2.0, 0.0)])
    rows, _ = watch(pinhole(), one)
    for end in ("front", "rear"):
        assert np.array_equal(rows[f"{end}_x_m"], rows["foot_x_m"])
        assert np.array_equal(rows[f"{end}_y_px"], rows["foot_y_px"])
    assert np.isnan(rows["width_m"]).all()
