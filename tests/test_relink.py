"""Tracks that are known again: the kernels against their twins, and what a lost identity does to a count."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import naive_relink
import naive_track as naive
import numpy as np
import pytest
from roadcam import Drive, box_of, drive, pinhole, to_road
from test_counting import count, directions
from test_tracker import plain, same_rows, same_slots
from traffic import HEIGHT_PX, WIDTH_PX, as_detections, follow, instant, sampled, straight

from kernels import relink as kernel
from kernels import track
from kernels.records import ENDED, MAX_TRACKS, RELINKED
from vision.track.tracker import Tracker


def garage(rng: np.random.Generator, n: int = 6) -> tuple[Tracker, list]:
    """Return a tracker with n - 1 lost tracks and one new one, all near each other, and their twins."""
    tracker, twins = Tracker(WIDTH_PX, HEIGHT_PX), []
    settings = plain(tracker)
    size = rng.uniform((30, 20), (60, 50))
    for k in range(n):
        new = k == n - 1
        at, speed = rng.normal((300, 200), 20), rng.normal((40, 0), 20)
        class_id = int(rng.choice([0, 0, 0, 2]))
        slot = tracker._slots[k]
        for step in range(3):
            time_s = 0.1 * step + (1.5 if new else 0.0)
            corner = at + speed * 0.1 * step
            box = np.float32([*corner, *(corner + size * rng.normal(1, 0.1, 2))])
            seen = (tuple(map(float, box)), 0.75, class_id, time_s)
            if step == 0:
                track.track_start(slot, tracker.settings[0], box, 0.75, class_id, time_s, k + 1)
                twins.append(naive.track_start(settings, *seen, k + 1))
            else:
                track.track_predict(slot, tracker.settings[0], 0.1)
                naive.track_predict(twins[-1], settings, 0.1)
                track.track_measure(slot, tracker.settings[0], box, 0.75, class_id, np.eye(3))
                naive.track_measure(twins[-1], settings, *seen, None)
            slot["seen_s"] = time_s
        for _ in range(0 if new else 3):
            track.track_predict(slot, tracker.settings[0], 0.5)
            naive.track_predict(twins[-1], settings, 0.5)
        slot["phase"] = track.TENTATIVE if new else track.LOST
        twins[-1].confirmed = twins[-1].lost = not new
    return tracker, twins


def test_a_lost_track_is_found_and_joined_like_the_twins():
    rng = np.random.default_rng(21)
    met, doubted = [], []
    for _ in range(80):
        tracker, twins = garage(rng)
        for slot, twin in zip(tracker._slots[:5], twins[:5], strict=True):
            found = kernel.relink_distance(slot, tracker._slots[5])
            assert found == pytest.approx(naive_relink.relink_distance(twin, twins[5]), rel=1e-4)
        lost = int(kernel.relink_find(tracker._slots[:6], 5, tracker.settings[0], 1.7))
        twin_lost = naive_relink.relink_find(twins, twins[5], plain(tracker), 1.7)
        assert lost == (-1 if twin_lost is None else twin_lost)
        met.append(lost)
        if lost >= 0:
            kernel.join(tracker._slots, lost, 5, tracker.settings[0], 1.7)
            naive_relink.join(twins, lost, 5, plain(tracker), 1.7)
            same_slots(tracker._slots[:6], twins)
            doubted.append(tracker._slots[lost]["relinked_s"] == 1.7)
    assert 20 < sum(lost < 0 for lost in met) < 60
    assert len(set(met)) > 4
    # In that crowd another could mostly be it.
    assert np.mean(doubted) > 0.5


@pytest.mark.parametrize("age_s", [1.49, 1.51])
def test_after_lost_s_nothing_is_known_again(age_s):
    rng = np.random.default_rng(22)
    found = set()
    for _ in range(40):
        tracker, _ = garage(rng)
        found.add(int(kernel.relink_find(tracker._slots[:6], 5, tracker.settings[0], 0.2 + age_s)) >= 0)
    assert found == ({True, False} if age_s < 1.5 else {False})


# -- behaviour ------------------------------------------------------------------------------------------------------


def short_look(rate_hz: float, speed_px_s: float = 60.0, back_s: float = 1.2) -> list:
    """A car that is seen for 0.4 s, hidden to `back_s` while it crosses y = 200, and seen again."""
    course = straight((300, 165), (0, speed_px_s))
    times = np.arange(0, 3.5, 1 / rate_hz)
    return [(t, [] if 0.4 < t < back_s else found) for t, found in sampled([course], times)]


@pytest.mark.parametrize("rate_hz", [30, 15, 8])
def test_a_car_that_was_hardly_seen_keeps_its_id_behind_a_pole(rate_hz):
    """It was seen for less than it is hidden: it is not followed in the dark, but known again and counted once."""
    frames = short_look(rate_hz)
    rows = np.concatenate(follow(frames))
    assert set(rows["id"]) == {1}
    bridge = rows[(rows["flags"] & RELINKED) != 0]
    assert len(bridge) == 1
    assert np.isneginf(bridge["relinked_s"]), "nobody else could be it"
    assert bridge["prev_time_s"] == pytest.approx(0.4, abs=1.01 / rate_hz)
    assert bridge["birth_s"] == 0.0
    assert np.count_nonzero(rows["flags"] & ENDED) == 1
    assert directions(count(frames)) == ["with_flow"]


@pytest.mark.parametrize(
    ("start", "speed", "size"),
    [
        ((300, 400), (0, -60), (60, 40)),  # comes the other way
        ((400, 165), (0, 60), (60, 40)),  # in the next lane but one
        ((300, 165), (0, 60), (160, 110)),  # a bus
    ],
)
def test_another_road_user_is_not_taken_for_the_lost_one(start, speed, size):
    gone = straight((300, 165), (0, 60), last_s=0.41)
    other = straight(start, speed, size, first_s=1.2)
    rows = np.concatenate(follow(sampled([gone, other], np.arange(0, 3, 0.04))))
    assert set(rows["id"]) == {1, 2}
    assert not np.any(rows["flags"] & RELINKED)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2, 0.3])
def test_lost_identities_do_not_inflate_a_count(share):
    """40 cars in three lanes, a share of which vanishes for 0.3 to 1.2 s near the line: 40 counts within 5 %."""
    rng = np.random.default_rng(23)
    n, headway_s = 40, 0.9
    courses, holes = [], []
    for k in range(n):
        x, speed, first_s = 120 + 200 * (k % 3), float(rng.uniform(70, 140)), headway_s * k
        courses.append(straight((x, 60 - speed * first_s), (0, speed), first_s=first_s, last_s=first_s + 280 / speed))
        line_s = first_s + 140 / speed
        gone_s = rng.uniform(0.3, 1.2) if k < share * n else 0.0
        from_s = line_s - rng.uniform(0.2, 0.8) * gone_s
        holes.append((from_s, from_s + gone_s))
    frames = []
    for time_s in np.arange(0, headway_s * n + 5, 0.08):
        seen = [c for c, (a, b) in zip(courses, holes, strict=True) if not a <= time_s < b]
        frames += [(t, [found[j] for j in rng.permutation(len(found))]) for t, found in sampled(seen, [time_s])]
    rows = np.concatenate(follow(frames))
    switches = len(set(rows["id"])) - n
    events = count(frames)
    print(f"n = {n} cars, {share:.0%} hidden on the line: {switches} more ids than cars, {len(events)} counts")
    assert directions(events) == ["with_flow"] * len(events)
    assert abs(len(events) - n) <= 0.05 * n
    assert math.isclose(switches, 0, abs_tol=0.05 * n)


# -- on the road ----------------------------------------------------------------------------------------------------


def hidden_drive(one: Drive, dark_s: tuple[float, float], others: Sequence[Drive] = ()) -> np.ndarray:
    """Follow drives of which none is seen in `dark_s`, kernels and twins; return the rows of both."""
    camera = pinhole()
    tracker = Tracker(1920, 1080, to_road(camera))
    twins, ids = [None] * MAX_TRACKS, itertools.count(1)
    noise = np.random.default_rng(24)
    rows = []
    for k in range(int(one.lasts_s * 12.5)):
        time_s, dt_s = k * 0.08, 0.08 if k else 0.0
        found = []
        for drive_ in (one, *others):
            box = box_of(camera, *drive_.at(time_s)[:3], drive_.size)
            if not dark_s[0] < time_s < dark_s[1]:
                found.append((tuple(map(float, box + noise.normal(0, 1, 4))), 0.9, 0))
        seen = as_detections(found)
        now = tracker.step(instant(time_s, dt_s), seen)
        boxes = seen.xyxy_px[: seen.n].astype(float)
        sightings = [naive.Sighting(time_s, tuple(box), float(np.float32(0.9)), 0) for box in boxes]
        same_rows(now, naive.tracker_step(twins, plain(tracker), time_s, dt_s, sightings, tracker._to_road, ids))
        rows.append(now.copy())
    return np.concatenate(rows)


CAR = (4.4, 1.8, 1.5)


def test_on_the_road_a_car_is_known_again_after_longer():
    """2.2 s are too long for the picture; on the road it is where its speed lets it be, and has its front."""
    rows = hidden_drive(drive("car", CAR, (-1.0, 20.0), math.pi / 2, 9.0, [(5.5, 0.0)]), (2.0, 4.2))
    assert set(rows["id"]) == {1}
    back = rows[rows["time_s"] > 4.2]
    assert np.isneginf(back["relinked_s"]).all(), "nobody else could be it"
    assert np.hypot(back["front_x_m"] - back["rear_x_m"], back["front_y_m"] - back["rear_y_m"]).min() > 3.0


def test_one_that_stands_again_after_the_dark_keeps_its_front():
    halts = drive("car", CAR, (-1.0, 20.0), math.pi / 2, 8.0, [(1.0, 0.0), (2.0, -4.0), (4.0, 0.0)])
    rows = hidden_drive(halts, (2.4, 4.2))
    assert set(rows["id"]) == {1}
    last = rows[-1]
    assert last["front_y_m"] - last["rear_y_m"] > 3.0


def test_of_two_that_vanish_together_none_is_surely_itself():
    one, other = (drive("car", CAR, (-1.0, y), math.pi / 2, 9.0, [(4.0, 0.0)]) for y in (20.0, 26.0))
    rows = hidden_drive(one, (2.0, 3.0), [other])
    assert set(rows["id"]) == {1, 2}
    late = rows[rows["time_s"] > 3.2]
    assert set(late["id"][np.isfinite(late["relinked_s"])]) == {1, 2}
