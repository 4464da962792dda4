"""The tracker against its twin on random scenes, and on the cases that its users suffered from."""

from __future__ import annotations

import itertools
import math

import naive_track as naive
import numpy as np
import pytest
from traffic import HEIGHT_PX, TO_ROAD, WIDTH_PX, as_detections, follow, instant, random_scene, sampled, straight

from kernels import track as kernel
from kernels.course import NONE
from kernels.records import AT_EDGE, CLASSES, ENDED, MAX_TRACKS, OBSERVED, RELINKED, TRACK
from kernels.tracker import AREA_PX, search_area
from vision.track.tracker import Tracker

AXES = ("cx", "cy", "w", "h", "road_x", "road_y")
CLOSE = {"rtol": 2e-4, "atol": 2e-3}


def plain(tracker: Tracker) -> dict:
    """The settings as the twin reads them."""
    settings = {name: tracker.settings[name][0].tolist() for name in tracker.settings.dtype.names}
    return settings | {"camera": tracker.settings["camera"][0]}


def same_rows(rows: np.ndarray, twins: list[dict]) -> None:
    assert rows["id"].tolist() == [twin["id"] for twin in twins]
    for row, twin in zip(rows, twins, strict=True):
        assert set(twin) == set(TRACK.names)
        for name, value in twin.items():
            assert np.allclose(row[name], value, equal_nan=True, **CLOSE), (name, row[name], value)


def same_slots(slots: np.ndarray, twins: list[naive.Track | None]) -> None:
    """Compare everything that a slot remembers with what follows from the twin's sightings."""
    for slot, twin in zip(slots, twins, strict=True):
        if twin is None:
            assert slot["phase"] == kernel.FREE
            continue
        phase = kernel.LOST if twin.lost else kernel.CONFIRMED
        assert slot["phase"] == (phase if twin.confirmed else kernel.TENTATIVE)
        assert (slot["id"], slot["hits"], bool(slot["person"])) == (twin.id, len(twin.seen), twin.person)
        assert (slot["birth_s"], slot["seen_s"]) == (twin.seen[0].time_s, twin.last_s)
        assert bool(slot["has_road"]) == ("road_x" in twin.axes)
        assert np.allclose(slot["box_px"], twin.box)
        assert np.allclose(slot["birth_box_px"], twin.seen[0].box)
        assert np.allclose(slot["votes"], twin.votes(), **CLOSE)
        for axis, name in zip(slot["axis"], AXES, strict=True):
            if name in twin.axes:
                ours = [axis["x"], axis["v"], axis["xx"], axis["xv"], axis["vv"]]
                cov = twin.axes[name].cov
                assert np.allclose(ours, [*twin.axes[name].mean, cov[0, 0], cov[0, 1], cov[1, 1]], **CLOSE), name


def same_fits(slots: np.ndarray, twins: list[naive.Track | None]) -> None:
    """Let the twins' fits go on from the kernel's state: one that knows little would blow up their rounding in time."""
    for slot, twin in zip(slots, twins, strict=True):
        if twin is None or twin.course.phase == NONE:
            continue
        course = slot["course"]
        for name in ("x", "p", "seen"):
            assert np.allclose(course[name], getattr(twin.course, name), rtol=1e-2, atol=1e-2), name
            setattr(twin.course, name, course[name].copy())


@pytest.mark.parametrize(("seed", "to_road"), [(1, TO_ROAD), (2, None), (3, TO_ROAD), (4, None)])
def test_every_slot_and_row_like_the_twin(seed, to_road):
    rng = np.random.default_rng(seed)
    settings = {"lost_s": float(rng.uniform(0.5, 2.0)), "speed_hits_min": 4}
    tracker = Tracker(WIDTH_PX, HEIGHT_PX, to_road, settings)
    twins: list = [None] * MAX_TRACKS
    ids, before_s, seen = itertools.count(1), 0.0, 0
    for time_s, found in random_scene(rng, 250):
        rows = tracker.step(instant(time_s, time_s - before_s), as_detections(found))
        sightings = [naive.Sighting(time_s, *one) for one in found]
        expected = naive.tracker_step(twins, plain(tracker), time_s, time_s - before_s, sightings, to_road, ids)
        same_rows(rows, expected)
        same_slots(tracker._slots, twins)
        same_fits(tracker._slots, twins)
        before_s = time_s
        seen |= int(np.bitwise_or.reduce(rows["flags"], initial=0))
    assert seen == OBSERVED | ENDED | RELINKED | AT_EDGE  # the scene held every case
    same_rows(tracker.end(), naive.tracker_end(twins, plain(tracker)))
    assert (tracker._slots["phase"] == kernel.FREE).all()


def test_overlap_like_its_twin():
    rng = np.random.default_rng(5)
    boxes = rng.uniform(0, 20, (300, 2, 4))
    boxes[..., 2:] = boxes[..., :2] + rng.uniform(0, 15, (300, 2, 2))
    found = [kernel.overlap(*a, *b) for a, b in boxes]
    assert np.allclose(found, [naive.overlap(a, b) for a, b in boxes])
    assert 0 < np.count_nonzero(found) < 300


def one_track(rng: np.random.Generator, to_road: np.ndarray | None) -> tuple[np.ndarray, naive.Track, Tracker]:
    """A track after a random past, as a SLOT row and as its twin."""
    tracker = Tracker(WIDTH_PX, HEIGHT_PX, to_road)
    x, y, w, h = rng.uniform((50, 100, 20, 20), (500, 300, 60, 60))
    box = tuple(float(v) for v in np.float32([x, y, x + w, y + h]))
    slot = tracker._slots[0]
    kernel.track_start(slot, tracker.settings[0], np.float32(box), 0.75, 2, 1.0, 9)
    twin = naive.track_start(plain(tracker), box, 0.75, 2, 1.0, 9)
    for k in range(int(rng.integers(0, 4))):
        kernel.track_predict(slot, tracker.settings[0], 0.1)
        naive.track_predict(twin, plain(tracker), 0.1)
        score = 0.25 if k == 1 else 0.5
        moved = tuple(float(v) for v in np.float32(box) + np.float32(3 * k))
        road = np.eye(3) if to_road is None else to_road
        kernel.track_measure(slot, tracker.settings[0], np.float32(moved), score, k, road)
        slot["seen_s"] = 1.0 + k
        naive.track_measure(twin, plain(tracker), moved, score, k, 1.0 + k, to_road)
    return slot, twin, tracker


def test_association_cost_like_its_twin():
    rng = np.random.default_rng(6)
    found, expected = [], []
    for k in range(200):
        slot, twin, tracker = one_track(rng, None)
        x1, y1, x2, y2 = twin.box
        grow = rng.uniform(-0.6, 0.8)
        half_w, half_h = (x2 - x1) * (1 + grow) / 2, (y2 - y1) * (1 + grow) / 2
        x, y = (x1 + x2) / 2 + rng.normal(0, 20), (y1 + y2) / 2 + rng.normal(0, 20)
        box = np.float32([[x - half_w, y - half_h, x + half_w, y + half_h]])
        score = float(rng.random())
        found.append(kernel.association_cost(slot, box, 0, score, tracker.settings[0], k % 2))
        expected.append(naive.association_cost(twin, tuple(map(float, box[0])), score, plain(tracker), k % 2))
    assert np.allclose(found, expected, atol=1e-5)
    assert 20 < sum(cost == 2.0 for cost in found) < 150


def test_search_area_like_its_twin_and_nothing_outside_of_it_overlaps():
    rng = np.random.default_rng(8)
    outside = 0
    for k in range(200):
        slot, twin, tracker = one_track(rng, None)
        area = search_area(slot, tracker.settings[0])
        assert np.allclose(area, naive.widened(naive.search_area(twin, plain(tracker)), AREA_PX, AREA_PX), **CLOSE)
        x, y = (np.array(area).reshape(2, 2).mean(axis=0) + rng.normal(0, 90, 2)).tolist()
        half_w, half_h = (np.array(twin.box)[2:] - np.array(twin.box)[:2]) / 2
        box = np.float32([[x - half_w, y - half_h, x + half_w, y + half_h]])[0]
        if box[0] > area[2] or box[2] < area[0] or box[1] > area[3] or box[3] < area[1]:
            assert kernel.association_cost(slot, box[None], 0, 0.9, tracker.settings[0], k % 2) == 2.0
            outside += 1
    assert 20 < outside < 180


def test_one_track_like_its_twin():
    rng = np.random.default_rng(7)
    for trial in range(60):
        to_road = TO_ROAD if trial % 2 else None
        slot, twin, tracker = one_track(rng, to_road)
        same_slots(tracker._slots[:1], [twin])
        row = np.zeros(1, TRACK)
        kernel.publish(row[0], slot, 7, tracker.settings[0], twin.last_s, 1.0, slot["birth_box_px"], ENDED)
        same_rows(row, [naive.publish(twin, 7, plain(tracker), naive.Sighting(1.0, twin.seen[0].box, 0, 0), ENDED)])


@pytest.mark.parametrize("y", [-159.0, -158.0, 0.0, 200.0])
def test_a_foot_point_is_measured_below_the_horizon_only(y):
    """The horizon of this camera is at y = -158.73 px."""
    rng = np.random.default_rng(8)
    slot, twin, tracker = one_track(rng, TO_ROAD)
    slot["has_road"] = 0
    twin.axes = {name: axis for name, axis in twin.axes.items() if not name.startswith("road")}
    kernel.road_measure(slot, tracker.settings[0], 120.0, y, 1.5, TO_ROAD)
    naive.road_measure(twin, 120.0, y, 1.5, TO_ROAD)
    assert bool(slot["has_road"]) == (y > -158.73)
    same_slots(tracker._slots[:1], [twin])


def test_a_foot_point_exactly_on_the_horizon_is_no_road_point():
    slot, _, tracker = one_track(np.random.default_rng(9), None)
    kernel.road_measure(slot, tracker.settings[0], 1.0, 2.0, 1.0, np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 1.0, -2.0]]))
    assert slot["has_road"] == 0


# -- behaviour ------------------------------------------------------------------------------------------------------


def all_rows(rows: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(rows)


def test_nobody_hears_of_a_track_before_it_is_confirmed():
    """A detection that comes twice within confirm_s, and one that comes once, give no row at all."""
    frames = list(sampled([straight((100, 200), (50, 0), last_s=0.11)], np.arange(0, 3, 0.04)))
    assert sum(len(found) for _, found in frames) == 3
    assert len(all_rows(follow(frames))) == 0
    frames = list(sampled([straight((100, 200), (50, 0), last_s=0.21)], np.arange(0, 3, 0.04)))
    rows = all_rows(follow(frames))
    assert rows["time_s"][0] - rows["birth_s"][0] >= 0.1
    assert rows["flags"].tolist() == [OBSERVED, OBSERVED, OBSERVED, ENDED]


def test_the_first_row_reaches_back_to_the_birth():
    rows = all_rows(follow(sampled([straight((100, 200), (100, 0))], np.arange(0, 1, 0.04))))
    assert rows["prev_time_s"][0] == rows["birth_s"][0] == 0.0
    assert rows["prev_foot_x_px"][0] == pytest.approx(100.0)
    assert rows["prev_foot_x_px"][1:-1] == pytest.approx(rows["foot_x_px"][:-2])
    assert rows["prev_time_s"][1:-1] == pytest.approx(rows["time_s"][:-2])


@pytest.mark.parametrize("interval_s", [1 / 30, 1 / 15, 1 / 5])
def test_one_road_user_is_one_track_at_any_rate(interval_s):
    courses = [straight((40, 100), (150, 10)), straight((600, 200), (-150, 0)), straight((300, 40), (0, 60), (25, 40))]
    rows = all_rows(follow(sampled(courses, np.arange(0, 3.3, interval_s))))
    assert set(rows["id"]) == {1, 2, 3}
    last = rows[(rows["flags"] & ENDED) == 0]
    last = {int(i): last[last["id"] == i][-1] for i in (1, 2, 3)}
    assert [float(last[i]["vx_px_s"]) for i in (1, 2, 3)] == pytest.approx([150, -150, 0], abs=15)


def test_a_gap_is_bridged_and_flagged():
    times = np.arange(0, 4, 0.04)
    frames = [(t, [] if 1.5 < t < 2.5 else found) for t, found in sampled([straight((40, 200), (120, 0))], times)]
    rows = all_rows(follow(frames))
    assert set(rows["id"]) == {1}
    assert np.count_nonzero(rows["flags"] & RELINKED) == 1
    bridge = rows[(rows["flags"] & RELINKED) != 0][0]
    assert bridge["time_s"] - bridge["prev_time_s"] == pytest.approx(1.04)


def test_a_gap_longer_than_lost_s_ends_the_track():
    times = np.arange(0, 6, 0.04)
    frames = [(t, [] if 1.0 < t < 3.0 else found) for t, found in sampled([straight((40, 200), (60, 0))], times)]
    rows = all_rows(follow(frames))
    assert set(rows["id"]) == {1, 2}
    assert np.count_nonzero(rows["flags"] & ENDED) == 2
    ended = rows[(rows["id"] == 1) & ((rows["flags"] & ENDED) != 0)][0]
    assert ended["time_s"] == pytest.approx(1.0)  # its last sighting, not when it was given up


def test_a_stop_in_the_stream_is_flagged_as_a_bridge():
    """Nobody saw the 20 s: whoever stands there afterwards is followed on, but the step says that it is a bridge."""
    times = [*np.arange(0, 1, 0.04), *np.arange(21, 22, 0.04)]
    rows = all_rows(follow(sampled([straight((300, 200), (0, 0))], times)))
    assert set(rows["id"]) == {1}
    assert rows["time_s"][(rows["flags"] & RELINKED) != 0].tolist() == [21.0]


def test_crossing_paths_keep_their_ids():
    courses = [straight((100, 200), (100, 0), (40, 30)), straight((300, 120), (0, 60), (25, 50))]
    courses += [straight((520, 205), (-110, 0), (40, 30))]
    times = np.arange(0, 4, 0.04)
    rows = follow(sampled(courses, times), end=False)
    for time_s, now in zip(times, rows, strict=True):
        for row in now:
            whole = courses[row["id"] - 1](float(time_s))
            assert abs(row["foot_x_px"] - (whole[0] + whole[2]) / 2) < 3


def test_a_person_never_becomes_a_vehicle():
    """A pedestrian walks off where a car stood: another id, and no row ever mixes the two."""
    person = CLASSES.index("person")
    frames = [(t, [((100, 100, 140, 180), 0.9, 0 if t < 1 else person)]) for t in np.arange(0, 2, 0.04)]
    rows = all_rows(follow(frames))
    assert {(int(r["id"]), int(r["class_id"])) for r in rows} == {(1, 0), (2, person)}


def test_a_doubled_detection_begins_no_second_track():
    frames = [(t, [((100, 100, 160, 160), 0.9, 0), ((102, 101, 161, 162), 0.8, 2)]) for t in np.arange(0, 2, 0.04)]
    assert set(all_rows(follow(frames))["id"]) == {1}


def test_a_weak_detection_carries_a_track_but_begins_none():
    weak = [(t, [((100, 100, 160, 160), 0.2, 0)]) for t in np.arange(0, 2, 0.04)]
    assert len(all_rows(follow(weak))) == 0
    carried = [(t, [((100, 100, 160, 160), 0.9 if t < 0.4 else 0.2, 0)]) for t in np.arange(0, 2, 0.04)]
    rows = all_rows(follow(carried))
    assert set(rows["id"]) == {1}
    assert not np.any(rows["flags"] & RELINKED)


def test_more_road_users_than_slots():
    """300 boxes: 256 tracks, the rest waits; no slot is used twice at once."""
    boxes = [((x * 30.0, y * 22.0, x * 30 + 20.0, y * 22 + 15.0), 0.9, 0) for x in range(20) for y in range(15)]
    rows = follow([(t, boxes) for t in (0.0, 0.1, 0.2, 0.3)], end=False)
    assert [len(now) for now in rows] == [0, MAX_TRACKS, MAX_TRACKS, MAX_TRACKS]
    assert len(set(rows[-1]["slot"])) == MAX_TRACKS


@pytest.mark.parametrize("steps", [[0.0], [1e-9], [1e4], [0.0, 1e6, 0.0, 1e-6]])
def test_no_step_of_time_makes_nonsense(steps):
    """No time at all, next to none, and hours: what is published stays finite and every id is one track."""
    rng = np.random.default_rng(11)
    tracker = Tracker(WIDTH_PX, HEIGHT_PX, TO_ROAD)
    time_s, before_s, ended = 0.0, 0.0, set()
    for k, (_, found) in enumerate(random_scene(rng, 220)):
        time_s += steps[(k // 10) % len(steps)] if k % 10 == 9 else 0.04
        rows = tracker.step(instant(time_s, time_s - before_s), as_detections(found))
        before_s = time_s
        for name in ("x1_px", "y1_px", "x2_px", "y2_px", "prev_foot_x_px", "vx_px_s", "vy_px_s", "score"):
            assert np.isfinite(rows[name]).all(), name
        assert np.isfinite(tracker._slots["axis"]["x"]).all()
        assert len(set(rows["id"])) == len(rows)
        assert not ended & set(rows["id"].tolist())
        ended |= set(rows["id"][(rows["flags"] & ENDED) != 0].tolist())
    assert len(ended) > 3


def test_the_same_input_gives_the_same_bytes():
    runs = [b"".join(rows.tobytes() for rows in follow(random_scene(np.random.default_rng(12), 200))) for _ in range(2)]
    assert runs[0] == runs[1]


def test_a_speed_comes_with_a_deviation_or_not_at_all():
    """12 m/s towards the camera with 1 px of noise: the true speed is within 2 deviations 90 % of the time."""
    rng = np.random.default_rng(13)
    from_road = np.linalg.inv(TO_ROAD)
    within, given_hits = [], []
    for _ in range(12):
        tracker = Tracker(WIDTH_PX, HEIGHT_PX, TO_ROAD)
        for k in range(60):
            u, v, w = from_road @ [2.0, 45.0 - 12.0 * k * 0.04, 1.0]
            x, y = np.array([u / w, v / w]) + rng.normal(0, 1.0, 2)
            rows = tracker.step(
                instant(k * 0.04, 0.04 if k else 0.0), as_detections([((x - 20, y - 30, x + 20, y), 0.9, 0)])
            )
            for row in rows:
                assert math.isnan(row["speed_mps"]) == math.isnan(row["speed_sd_mps"])
                if not math.isnan(row["speed_mps"]):
                    given_hits.append(int(row["hits"]))
                    within.append(abs(row["speed_mps"] - 12.0) < 2 * row["speed_sd_mps"])
    assert min(given_hits) >= 8
    assert len(within) > 200
    assert np.mean(within) > 0.9
