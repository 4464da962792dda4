"""The rendered junction: same seed, same scene; its truth is true; the check sees every kind of mistake."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from vision.demo import check, clip, compare, draw_summary
from vision.demo.render import Front, Pose, draw_frame, look, survey
from vision.demo.site import RED_LIGHT_GRACE_S, SITE_LINES, lamp_boxes, site_lines
from vision.demo.space import overlaps
from vision.demo.truth import GRACE_S, MARGIN_S, RUN_MIN_S, cached_truth, find_truth, foot_px
from vision.demo.vehicles import CLASSES, SIZES_M, build_shape
from vision.demo.world import World, build_world, collides
from vision.errors import StoreError
from vision.scene import build_scene
from vision.site import load_site


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(7)


@pytest.fixture(scope="module")
def painter(world: World) -> clip.Painter:
    return clip.Painter(world)


@pytest.fixture(scope="module")
def demo(world: World, tmp_path_factory: pytest.TempPathFactory) -> clip.Demo:
    """Return the demo rendered at 2 frames a second."""
    return clip.render_world(tmp_path_factory.mktemp("demo"), world, clip.even_times(world.seconds, 2.0), 2.0)


def perfect_events(world: World) -> list[dict[str, Any]]:
    truth = cached_truth(world)
    events: list[dict[str, Any]] = []
    for one in truth.crossings:
        fields = {"line": one.line, "direction": one.direction, "class": one.class_name, "track_id": one.vehicle}
        events.append({"type": "line_count", "time_s": one.time_s, **fields})
    for move in truth.movements:
        fields = {"entry_line": move.entry_line, "exit_line": move.exit_line, "class": move.class_name}
        events.append({"type": "movement", "time_s": move.exit_s, "track_id": move.vehicle, **fields})
    for run in truth.red_runs:
        fields = {"line": run.line, "class": run.class_name, "track_id": run.vehicle, "red_s": run.red_s}
        events.append({"type": "red_light", "time_s": run.time_s, "judgement": "violation", **fields})
    return events


def test_the_same_seed_gives_the_same_scene(world: World) -> None:
    again, other = build_world(7), build_world(8)
    assert find_truth(again) == cached_truth(world)
    assert cached_truth(other) != cached_truth(world)
    assert np.array_equal(again.drivers[3].along_m, world.drivers[3].along_m)


@pytest.mark.parametrize("class_name", CLASSES)
def test_bodies_keep_within_the_sizes_of_their_class(class_name: str) -> None:
    for seed in range(20):
        shape = build_shape(class_name, seed)
        low, high = shape.points_m.min(axis=0), shape.points_m.max(axis=0)
        for size, named, (least, most) in zip(
            high - low, (shape.length_m, shape.width_m, shape.height_m), SIZES_M[class_name], strict=True
        ):
            assert least <= named <= most
            assert 0.7 * named < size < named + 0.15  # an open load may be lower than a box
        assert abs(low[2]) < 0.03  # wheels on the road
        assert np.allclose(np.linalg.norm(shape.normals, axis=1), 1)


def test_vehicles_move_forward_without_jumps_and_never_touch(world: World) -> None:
    times = np.arange(0, world.seconds, 0.037)
    for driver in world.drivers:
        places = np.array([driver.place_m(float(time_s)) for time_s in times])
        steps = np.diff(places)
        assert steps.min() >= -1e-9
        assert steps.max() < 0.037 * 60 / 3.6
    assert not collides(world, 0.17, margin_m=0.05)


def test_overlap_is_seen_where_grounds_meet_and_only_there() -> None:
    car = build_shape("car", 1)
    here = Pose(1, car, 0.0, 0.0, 0.0)
    assert overlaps(here, Pose(2, car, car.length_m - 0.1, 0.0, 0.0))
    assert not overlaps(here, Pose(2, car, car.length_m + 0.1, 0.0, 0.0))
    # The boxes around both along the axes meet, the grounds do not.
    assert not overlaps(here, Pose(2, car, car.length_m / 2 + 1.9, car.width_m / 2 + 1.4, np.pi / 4))
    assert overlaps(here, Pose(2, car, car.length_m + 0.1, 0.0, 0.0), margin_m=0.2)


@pytest.mark.parametrize(
    ("class_name", "x_m", "y_m", "heading_deg"),
    [
        ("car", 1.75, 17, 90),
        ("bus", -1.75, 32, -90),
        ("truck", -8, 23, 0),
        ("motorcycle", 4, 20, 40),
        ("car", 10, 27, 180),
    ],
)
def test_a_box_holds_exactly_the_pixels_that_its_vehicle_changes(
    painter: clip.Painter, class_name: str, x_m: float, y_m: float, heading_deg: float
) -> None:
    light = replace(painter.stage.light, shadow=1.0)
    empty = np.full_like(painter.stage.backdrop, 255)
    stage = replace(painter.stage, light=light, backdrop=empty, fronts=())
    pose = Pose(1, build_shape(class_name, 5), x_m, y_m, np.radians(heading_deg))
    seen = look(stage.camera, pose)
    assert seen is not None
    changed = np.argwhere((draw_frame(stage, [pose]) < 250).any(axis=2))
    (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0) + 1
    assert np.allclose(seen.xyxy_px, (left, top, right, bottom), atol=1.3)


def test_the_share_that_shows_falls_with_what_stands_before(painter: clip.Painter) -> None:
    stage = replace(painter.stage, fronts=())
    pose = Pose(1, build_shape("car", 2), 2.0, 22.0, np.pi / 2)
    (alone,) = survey(stage, [pose])
    assert alone.visible > 0.9
    x1, y1, x2, y2 = (int(v) for v in alone.xyxy_px)
    wall = np.full((y2 - y1, (x2 - x1) // 2), 255, np.uint8)
    for depth_m, least, most in ((3.0, 0.25, 0.75), (60.0, 0.9, 1.0)):
        front = Front(x1, y1, np.zeros((*wall.shape, 3), np.uint8), wall, depth_m)
        (hidden,) = survey(replace(stage, fronts=(front,)), [pose])
        assert least <= hidden.visible <= most
        assert hidden.xyxy_px == alone.xyxy_px
    far, near = survey(stage, [Pose(2, build_shape("bus", 2), 1.0, 14.0, np.pi / 2), pose])
    assert (far.id, near.id) == (1, 2)
    assert far.visible < alone.visible


def test_crossings_lie_on_their_lines_and_agree_with_a_search_by_small_steps(world: World) -> None:
    lines = site_lines(world.camera, world.layout)
    truth = cached_truth(world)
    drivers = {driver.id: driver for driver in world.drivers}
    for one in truth.crossings:
        line, driver = lines[one.line], drivers[one.vehicle]
        assert abs(line.offset((one.x_px, one.y_px))) < 0.01
        assert line.holds((one.x_px, one.y_px))
        before, after = foot_px(world, driver, one.time_s - 0.01), foot_px(world, driver, one.time_s + 0.01)
        assert before is not None
        assert after is not None
        assert line.offset(before) < 0 < line.offset(after)
    found = 0
    for driver in world.drivers[:6]:
        times = np.arange(0, world.seconds, 0.05)
        feet = [foot_px(world, driver, float(time_s)) for time_s in times]
        for name, line in lines.items():
            for k in range(1, len(times)):
                a, b = feet[k - 1], feet[k]
                if a is None or b is None or (line.offset(a) > 0) == (line.offset(b) > 0) or not line.holds(b):
                    continue
                found += 1
                assert any(
                    one.vehicle == driver.id and one.line == name and times[k - 1] <= one.time_s <= times[k]
                    for one in truth.crossings
                )
    assert found == sum(one.vehicle <= 6 for one in truth.crossings)


def test_the_scene_can_be_judged(world: World) -> None:
    truth = cached_truth(world)
    assert len(truth.red_runs) >= 3
    assert all(run.red_s >= RUN_MIN_S for run in truth.red_runs)
    assert all(MARGIN_S < one.time_s < world.seconds - MARGIN_S for one in truth.crossings)
    assert {one.class_name for one in truth.crossings} == set(CLASSES)
    assert {one.line for one in truth.crossings} == set(SITE_LINES)
    turns = {(move.entry_line, move.exit_line) for move in truth.movements}
    assert ("north_stop", "east_out") in turns
    assert ("east_stop", "south_out") in turns
    onset = next(at for at, state in world.plan.main if state == "red")
    assert any(0 < onset - one.time_s < 1.2 for one in truth.crossings if one.line in ("north_stop", "south_stop"))
    assert GRACE_S == RED_LIGHT_GRACE_S


def test_both_site_files_are_read_and_their_lines_face_the_same_way(demo: clip.Demo) -> None:
    for path in (demo.site, demo.site_log):
        site = load_site(path)
        scene = build_scene("junction", site.cameras["junction"], 1280, 720, site.folder)
        lines = site_lines(demo.world.camera, demo.world.layout)
        for name, row in zip(scene.line_names, scene.lines, strict=True):
            assert np.allclose((row["nx"], row["ny"]), lines[name].normal, atol=1e-6)
            assert row["has_flow"]
    with demo.signal_log.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["green", "amber", "red", "red_amber", "green"]
    assert [float(row["time_s"]) for row in rows] == [at for at, _ in demo.world.plan.main]


def test_the_clip_is_h264_with_the_times_asked_for(demo: clip.Demo) -> None:
    painter = clip.Painter(demo.world)
    boxes = lamp_boxes(demo.head)
    with av.open(str(demo.video)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 1280, 720)
        times = []
        for number, frame in enumerate(container.decode(stream)):
            times.append(frame.time)
            planes = frame.to_ndarray(format="yuv420p")
            if number % 12 == 0:
                wanted = painter.planes(demo.times_s[number], number)
                assert cv2.PSNR(planes, wanted) > 30
            state, _ = demo.world.plan.state("main", demo.times_s[number])
            bright = {lamp: planes[y1:y2, x1:x2].mean() for lamp, (x1, y1, x2, y2) in boxes.items()}
            for lamp, mean in bright.items():
                assert (mean > 90) == (lamp in state.split("_"))
    assert np.allclose(times, demo.times_s, atol=1e-4)


def test_uneven_times_vary_and_stay_in_the_clip() -> None:
    times = np.array(clip.uneven_times(10.0, 20.0))
    steps = np.diff(times)
    assert times[0] == 0
    assert times[-1] < 10
    assert steps.min() > 0.02
    assert steps.max() < 0.08
    assert steps.max() > 1.5 * steps.min()
    assert clip.even_times(2.0, 12.5) == [index / 12.5 for index in range(25)]


def test_an_encoder_that_fails_says_so(tmp_path: Path, painter: clip.Painter) -> None:
    with pytest.raises(OSError, match="directory"):
        clip.encode(tmp_path / "absent" / "clip.mp4", painter, [0.0, 0.1], 10.0)


def test_perfect_events_pass(world: World) -> None:
    report = compare(cached_truth(world), perfect_events(world))
    assert report.passed
    assert report.error_s(0.95) == 0
    assert len(report.errors_s) == report.crossings
    assert not any("differs" in line or "FAIL" in line for line in report.lines())


def _late(events: list[dict[str, Any]]) -> None:
    for event in events[::8]:
        event["time_s"] += 0.06


def _first(events: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(event for event in events if event["type"] == kind)


MISTAKES = {
    "a crossing is lost": lambda events: events.remove(_first(events, "line_count")),
    "a crossing is counted twice": lambda events: events.append({**_first(events, "line_count"), "track_id": 99}),
    "a class is wrong": lambda events: _first(events, "line_count").update({"class": "person"}),
    "a direction is wrong": lambda events: _first(events, "line_count").update(direction="against_flow"),
    "one time in eight is late": _late,
    "a movement is wrong": lambda events: _first(events, "movement").update(entry_line=None),
    "a run is missed": lambda events: events.remove(_first(events, "red_light")),
    "a run is not judged": lambda events: _first(events, "red_light").update(judgement="cannot_judge"),
    "a run is invented": lambda events: events.append({**_first(events, "red_light"), "track_id": 99, "time_s": 3.0}),
    "a run is another vehicle's": lambda events: _first(events, "red_light").update(track_id=1),
    "nothing is found": lambda events: events.clear(),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_kind_of_mistake_fails(world: World, mistake: str) -> None:
    events = perfect_events(world)
    MISTAKES[mistake](events)
    report = compare(cached_truth(world), events)
    assert not report.passed
    assert any("FAIL" in line for line in report.lines())


def test_times_are_matched_nearest_first_and_used_once(world: World) -> None:
    crossings = [one for one in cached_truth(world).crossings if one.line == "north_stop"][:2]
    first = crossings[0]
    events = [
        {"time_s": first.time_s + shift, "line": "north_stop", "direction": "with_flow", "class": first.class_name}
        for shift in (-0.3, 0.01)
    ]
    assert check.match(crossings[:1], events) == [(0, 1)]
    assert check.nearest_rank([1.0, 2.0, 3.0, 4.0], 0.5) == 2.0
    assert check.nearest_rank([1.0, 2.0, 3.0, 4.0], 0.95) == 4.0


def test_the_summary_is_a_picture_and_an_unwritable_place_is_an_error(demo: clip.Demo, tmp_path: Path) -> None:
    events = perfect_events(demo.world)
    report = compare(demo.truth, events)
    draw_summary(report, demo, events, tmp_path / "summary.png")
    picture = cv2.imread(str(tmp_path / "summary.png"))
    assert picture.shape == (1200, 1920, 3)
    draw_summary(compare(demo.truth, []), demo, [], tmp_path / "none.png")
    assert not np.array_equal(cv2.imread(str(tmp_path / "none.png")), picture)
    with pytest.raises(StoreError, match="cannot write the summary"):
        draw_summary(report, demo, events, tmp_path / "absent" / "summary.png")
