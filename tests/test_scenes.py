"""Scenes with truth: the camera by hand calculation, truth as it was made, the same bytes twice."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made import course, south

from benchmarks.scenes import junction, road
from benchmarks.scenes.camera import Camera, aimed
from benchmarks.scenes.course import read_course
from benchmarks.scenes.look import Seen, hidden_share, look
from benchmarks.scenes.noise import Noise, detect, mixed_up
from benchmarks.scenes.passages import passages, trips
from benchmarks.scenes.plan import Line
from benchmarks.scenes.store import scene_folder
from benchmarks.scenes.sumo import FCD, MISSING, available
from benchmarks.scenes.tables import read_events, read_table
from benchmarks.scenes.truth_signals import Signal, signal_truth
from vision.ground import fit_ground, transform
from vision.site import load_site

needs_sumo = pytest.mark.skipif(not available(), reason=MISSING)
LEVEL = Camera((0.0, 0.0, 5.0), heading_deg=0.0, tilt_deg=0.0, focal_px=1000.0)


# -- the camera -----------------------------------------------------------------------------------------------------


def test_a_point_straight_ahead_is_in_the_middle_and_the_road_below_it():
    pixels, depth = LEVEL.project(np.array([[0.0, 20.0, 5.0], [2.0, 20.0, 0.0]]))
    assert pixels.tolist() == [[960.0, 540.0], [960.0 + 1000 * 2 / 20, 540.0 + 1000 * 5 / 20]]
    assert depth.tolist() == [20.0, 20.0]


def test_a_camera_that_looks_down_sees_the_point_it_is_aimed_at_in_the_middle():
    camera = aimed((10.0, -30.0, 12.0), (-2.0, 4.0), 900.0)
    assert camera.tilt_deg == pytest.approx(math.degrees(math.atan2(12.0, math.hypot(12.0, 34.0))))
    assert camera.road_px(-2.0, 4.0) == pytest.approx((960.0, 540.0))


def test_what_lies_behind_the_camera_has_no_pixel():
    pixels, _ = LEVEL.project(np.array([[0.0, -3.0, 0.0]]))
    assert np.isnan(pixels).all()


def test_a_car_at_a_known_place_has_the_box_of_a_hand_calculation():
    # A sedan (4.6 x 1.8 x 1.46 m) comes straight to the camera: front at 20 m, rear at 24.6 m.
    seen = look(course(10.0, ("sedan", south(np.array([20.0, 20.0]), 0.0), np.array([0.0, -1.0]))), LEVEL)
    left, bottom = 960 - 1000 * 0.9 / 20, 540 + 1000 * 5 / 20
    top = 540 + 1000 * (5 - 1.46) / 24.6
    assert seen.xyxy_px[0].tolist() == pytest.approx([left, top, 1920 - left, bottom])
    assert seen.inside[0] == pytest.approx(1.0)
    assert seen.hidden.tolist() == [0.0, 0.0]


def test_a_box_is_cut_to_the_picture_and_says_by_how_much():
    # 19.2 m ahead the picture's edge lies 18.432 m to the right: there is the middle of the car's front.
    points = south(np.array([19.2, 19.2]), 18.432)
    left, right = 960 + 1000 * 17.532 / 23.8, 960 + 1000 * 19.332 / 19.2
    seen = look(course(10.0, ("sedan", points, np.array([0.0, -1.0]))), LEVEL)
    assert seen.xyxy_px[0, 2] == 1920.0
    assert seen.inside[0] == pytest.approx((1920 - left) / (right - left))


def test_the_nearer_of_two_hides_the_other():
    box = np.array([[0, 0, 100, 100], [50, 0, 150, 100], [0, 0, 100, 100.0]])
    frame = np.array([0, 0, 1])
    assert hidden_share(frame, box, np.array([30.0, 20.0, 10.0])).tolist() == [0.5, 0.0, 0.0]
    assert hidden_share(frame, box, np.array([20.0, 30.0, 10.0])).tolist() == [0.0, 0.5, 0.0]


def test_ground_points_of_a_site_lead_back_to_the_road():
    plan = junction.plan(junction.Knobs())
    pixels = np.array([plan.camera.road_px(*point) for point in plan.ground_m])
    fit = fit_ground(pixels, np.array(plan.ground_m))
    there = transform(fit.to_road, np.array([plan.camera.road_px(-3.0, 13.4)]))
    assert there[0].tolist() == pytest.approx([-3.0, 13.4], abs=1e-6)


# -- the detector ---------------------------------------------------------------------------------------------------


def seen_boxes(n: int) -> Seen:
    """Return one road user in n frames, 200 px wide and 100 high."""
    box = np.tile([500.0, 400.0, 700.0, 500.0], (n, 1))
    zeros, ones = np.zeros(n), np.ones(n)
    return Seen(np.arange(n, dtype=np.int32), np.ones(n, np.int32), np.zeros(n, np.int16), box, ones, zeros)


def test_noise_is_what_it_says():
    seen = seen_boxes(4000)
    found = detect(seen, Noise(jitter=0.025, missed=0.1, false_per_s=0.0), 10.0, (1920, 1080), 3)
    assert len(found.frame) == pytest.approx(3600, rel=0.02)
    error = found.xyxy_px - seen.xyxy_px[0]
    assert error.std(axis=0).tolist() == pytest.approx([5.0, 2.5, 5.0, 2.5], rel=0.06)
    ghosts = detect(seen, Noise(false_per_s=2.0), 10.0, (1920, 1080), 3)
    assert len(ghosts.frame) - 0.95 * 4000 == pytest.approx(800, rel=0.25)


def test_noise_that_lasts_is_as_large_and_correlated():
    seen = seen_boxes(6000)
    found = detect(seen, Noise(jitter_s=0.5, missed=0.0, false_per_s=0.0), 10.0, (1920, 1080), 3)
    error = (found.xyxy_px - seen.xyxy_px[0])[:, 1]
    assert error.std() == pytest.approx(2.5, rel=0.2)
    assert np.corrcoef(error[1:], error[:-1])[0, 1] == pytest.approx(math.exp(-0.2), abs=0.05)


def test_ids_are_swapped_where_boxes_meet_and_only_there():
    frame = np.array([0, 0, 1, 1, 2, 2], np.int32)
    box = np.array([[0, 0, 9, 9], [20, 0, 29, 9], [8, 0, 17, 9], [12, 0, 21, 9], [20, 0, 29, 9], [0, 0, 9, 9.0]])
    seen = Seen(frame, np.array([1, 2] * 3, np.int32), np.zeros(6, np.int16), box, np.ones(6), np.zeros(6))
    assert mixed_up(seen, 0.0, 1).tolist() == [1, 2, 1, 2, 1, 2]
    assert mixed_up(seen, 1.0, 1).tolist() == [1, 2, 2, 1, 2, 1]


# -- truth ----------------------------------------------------------------------------------------------------------

STOP = Line(((-6.0, 10.0), (0.0, 10.0)), (0.0, -1.0))
OUT = Line(((-6.0, -10.0), (0.0, -10.0)), (0.0, -1.0))
RED_AT_2 = Signal(np.array([0.0, 2.0, 30.0]), ("green", "red", "green"))


def test_a_passage_is_timed_between_frames_and_its_rear_follows():
    one = course(10.0, ("sedan", south(20.0 - 1.03 * np.arange(30)), np.array([0.0, -1.0])))
    (found,) = passages(one, STOP)
    assert found.front_s == pytest.approx(10.0 / 10.3)
    assert found.rear_s == pytest.approx(14.6 / 10.3)
    assert (found.way, found.speed_mps) == (1, pytest.approx(10.3))


def truths_of(y_m: np.ndarray):
    """Return the events of one car on its way south over the stop line, at 10 frames a second."""
    plan = junction.plan(junction.Knobs())
    plan.lines = {"stop": STOP, "out": OUT}
    made = course(10.0, ("sedan", south(y_m), np.array([0.0, -1.0])))
    truth = signal_truth(made, plan, RED_AT_2, "stop", [], ["out"])
    return [(one.rule, round(one.time_s, 2)) for one in truth.events], truth


@pytest.mark.parametrize(
    ("at_s", "events"), [(1.95, []), (2.2, []), (2.5, [("red light", 2.5)]), (9.0, [("red light", 9.0)])]
)
def test_truth_has_a_runner_where_one_was_made(at_s: float, events: list):
    assert truths_of(10.0 - 10.0 * (np.arange(200) / 10.0 - at_s))[0] == events


@pytest.mark.parametrize(("trait", "theirs"), [("emergency", [1]), ("runner", [0])])
def test_the_run_of_an_emergency_vehicle_is_a_run_and_the_table_says_that_it_is_theirs(trait: str, theirs: list[int]):
    plan = junction.plan(junction.Knobs())
    plan.lines = {"stop": STOP, "out": OUT}
    made = course(10.0, ("van", south(40.0 - np.arange(60)), np.array([0.0, -1.0])), trait=trait)
    truth = signal_truth(made, plan, RED_AT_2, "stop", [], ["out"])
    assert [one.rule for one in truth.events] == ["red light"]
    assert [row["emergency_run"] for row in truth.tables["entries"]] == theirs


def test_an_emergency_vehicle_under_green_has_run_no_light():
    plan = junction.plan(junction.Knobs())
    plan.lines = {"stop": STOP, "out": OUT}
    made = course(10.0, ("van", south(20.0 - np.arange(60)), np.array([0.0, -1.0])), trait="emergency")
    truth = signal_truth(made, plan, RED_AT_2, "stop", [], ["out"])
    assert [row["emergency_run"] for row in truth.tables["entries"]] == [0]


def test_no_emergency_vehicle_drives_unless_asked_for():
    knobs = junction.Knobs(seconds=300.0, runners=0.3, overruns=0.2)
    assert "emergency" not in junction.demand(knobs).text()
    some = junction.demand(replace(knobs, emergency=0.3))
    assert 'id="van.emergency"' in some.text()
    assert 'vClass="emergency"' in some.types["van.emergency"]


def test_truth_has_no_runner_who_was_in_the_junction_before_the_red():
    y_m = np.r_[20.0 - np.arange(16), np.full(20, 4.5), 4.0 - np.arange(20)]
    assert truths_of(y_m)[0] == []


def test_truth_has_an_overrun_where_one_stopped_beyond_the_line():
    y_m = np.r_[np.maximum(34.0 - np.arange(40), 8.9), np.full(400, 8.9)]
    assert truths_of(y_m)[0] == [("overrun", pytest.approx(2.4, abs=0.05))]


def test_a_trip_is_in_over_one_line_and_out_over_another():
    one = course(10.0, ("sedan", south(20.0 - np.arange(60)), np.array([0.0, -1.0])))
    found = {"stop": passages(one, STOP), "out": passages(one, OUT)}
    (trip,) = trips(found, ["stop"], ["out"])
    assert (trip.entry_s, trip.exit_s) == pytest.approx((1.0, 3.0))


# -- whole scenes ---------------------------------------------------------------------------------------------------


@needs_sumo
def test_a_scene_is_the_same_bytes_twice_and_a_site_that_can_be_read(tmp_path: Path):
    knobs = junction.Knobs(seconds=30.0, fps=12.5, per_hour=1200.0)
    folders = [scene_folder("junction", junction.make, knobs, Noise(), tmp_path / name) for name in "ab"]
    files = [sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file()) for folder in folders]
    assert files[0] == files[1]
    assert len(files[0]) >= 9
    for name in files[0]:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name
    assert load_site(folders[0] / "site.toml").cameras["main"].rules
    assert len(read_events(folders[0] / "truth" / "events.csv")) > 5


@needs_sumo
def test_passages_are_those_of_the_simulators_own_loops(tmp_path: Path):
    knobs = junction.Knobs(seconds=60.0, fps=25.0, per_hour=1500.0)
    folder = scene_folder("junction", junction.make, knobs, Noise(), tmp_path)
    loops: dict[str, float] = {}
    for row in read_table(folder / "truth" / "loops.csv"):
        if row["lane"].startswith("ni") and row["state"] == "enter":
            loops.setdefault(row["track_id"], float(row["time_s"]))
    passed = {
        row["track_id"]: float(row["front_s"])
        for row in read_table(folder / "truth" / "passages.csv")
        if row["line"] == "n_in"
    }
    assert len(passed) >= 5
    assert passed == pytest.approx(loops, abs=0.002)


@needs_sumo
def test_nobody_on_the_road_moves_by_less_than_the_speed_told(tmp_path: Path):
    knobs = road.Knobs(seconds=60.0, fps=25.0, per_hour=1500.0)
    road.build(tmp_path, knobs)
    course = read_course(tmp_path / FCD, knobs.fps, 1500)
    follows = (np.diff(course.who) == 0) & (np.diff(course.frame) == 1) & (course.ahead[1:, 1] < -0.99)
    moved_m = -np.diff(course.front_m, axis=0)[follows, 1]
    told_m = (-course.speed_mps[1:] * course.ahead[1:, 1] / knobs.fps)[follows]
    assert len(moved_m) > 1000
    assert np.abs(moved_m - told_m).max() < 0.02
