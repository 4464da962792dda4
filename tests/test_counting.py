"""Counting from boxes to events: tracker and rule together, on what made other counters count wrong."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from traffic import Course, as_detections, line_row, sampled, small_scene, straight

from kernels.records import DIRECTIONS
from kernels.rules import REGISTRY
from vision.track.lane import Lane

LINE = line_row(0, 200, 640, 200, (0, 1))
NO_LAMPS = np.zeros((0, 3), np.float32)


def lane(line: np.ndarray = LINE, **config: object) -> Lane:
    rule = REGISTRY["line_count"].config(type="line_count", name="n", line="a", **config)
    return Lane(small_scene({"a": line}), [rule])


def count(frames: Iterable, line: np.ndarray = LINE, **config: object) -> np.ndarray:
    """Return the events of a whole stream, its end included."""
    counter, events = lane(line, **config), []
    for number, (time_s, found) in enumerate(frames):
        events += [batch for _, batch in counter.step(as_detections(found), number, time_s, 0, NO_LAMPS)]
    events += [batch for _, batch in counter.end()]
    return np.concatenate([*events, np.zeros(0, REGISTRY["line_count"].event)])


def directions(events: np.ndarray) -> list[str]:
    return [DIRECTIONS[code] for code in events["direction"]]


def moving(*legs: tuple[float, float], x: float = 300.0, size: tuple[float, float] = (60, 40)) -> Course:
    """The course of a foot point whose y follows (time, y) legs."""
    times, ys = zip(*legs, strict=True)

    def box(time_s: float) -> tuple[float, float, float, float] | None:
        y = float(np.interp(time_s, times, ys))
        return (x - size[0] / 2, y - size[1], x + size[0] / 2, y) if times[0] <= time_s <= times[-1] else None

    return box


def shaken(frames: Iterable, rng: np.random.Generator, share: float) -> Iterable:
    """Shake every edge of every box by a share of its height (one standard deviation)."""
    for time_s, found in frames:
        yield (
            time_s,
            [
                (tuple(np.array(box) + rng.normal(0, share * (box[3] - box[1]), 4)), score, kind)
                for box, score, kind in found
            ],
        )


# -- jitter and stops -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate_hz", "wait_s"), [(25, 30.0), (5, 150.0)])
def test_a_car_that_stops_on_the_line_counts_once(rate_hz, wait_s):
    """4 cars wait on the line, shaken by 2 % of their height, then drive on: one count each, none back."""
    rng = np.random.default_rng(1)
    for offset in (-1.2, -0.4, 0.4, 1.2):
        course = moving((0, 100), (2, 200 + offset), (2 + wait_s, 200 + offset), (4 + wait_s, 300), x=300.0)
        events = count(shaken(sampled([course], np.arange(0, 4 + wait_s, 1 / rate_hz)), rng, 0.02))
        assert directions(events) == ["with_flow"], f"stopped {offset:+.1f} px from the line"


@pytest.mark.parametrize("rate_hz", [30, 10])
def test_shaken_cars_count_once_each(rate_hz):
    """20 cars pass at 15 to 150 px/s, every edge shaken by 4 % of the height: 20 counts."""
    rng = np.random.default_rng(2)
    for speed in np.linspace(15, 150, 20):
        course = straight((300, 200 - 1.5 * speed), (0, speed), first_s=0, last_s=3)
        assert directions(count(shaken(sampled([course], np.arange(0, 3, 1 / rate_hz)), rng, 0.04))) == ["with_flow"]


def test_a_turn_on_the_line_is_no_crossing():
    for y in (199.0, 200.5, 201.5):
        course = moving((0, 120), (2, y), (3, y), (5, 120))
        assert len(count(sampled([course], np.arange(0, 5, 0.04)))) == 0


def test_a_turn_behind_the_line_is_one_crossing_each_way():
    course = moving((0, 120), (2, 240), (4, 120))
    assert directions(count(sampled([course], np.arange(0, 4, 0.04)))) == ["with_flow", "against_flow"]


def test_a_car_that_backs_up_and_goes_on_is_not_counted_twice():
    course = moving((0, 120), (2, 240), (3, 240), (5, 150), (6, 150), (8, 280))
    assert directions(count(sampled([course], np.arange(0, 8, 0.04)))) == ["with_flow", "against_flow"]


# -- direction ------------------------------------------------------------------------------------------------------


def test_the_order_of_the_clicks_and_a_mirror_change_nothing():
    course = straight((150, 100), (30, 60), last_s=3)
    mirrored = straight((490, 100), (-30, 60), last_s=3)
    times = np.arange(0, 3, 0.04)
    found = []
    for way, line in (
        (course, line_row(40, 190, 400, 210, (0.2, 1))),
        (course, line_row(400, 210, 40, 190, (0.2, 1))),
        (mirrored, line_row(600, 190, 240, 210, (-0.2, 1))),
        (mirrored, line_row(240, 210, 600, 190, (-0.2, 1))),
    ):
        found.append(count(sampled([way], times), line))
    assert [directions(events) for events in found] == [["with_flow"]] * 4
    assert np.ptp([float(events["time_s"][0]) for events in found]) < 1e-4


# -- tracks that come late, leave early or are lost ----------------------------------------------------------------


def test_missed_for_a_second_while_crossing_is_one_bridged_count():
    frames = sampled([straight((300, 100), (0, 50), last_s=4)], np.arange(0, 4, 0.04))
    events = count((t, [] if 1.5 < t < 2.5 else found) for t, found in frames)
    assert directions(events) == ["with_flow"]
    assert events["bridged"].tolist() == [1]
    assert events["time_s"][0] == pytest.approx(2.0, abs=0.04)


def test_missed_elsewhere_is_not_bridged():
    frames = sampled([straight((300, 100), (0, 50), last_s=4)], np.arange(0, 4, 0.04))
    assert count((t, [] if 0.5 < t < 1.5 else found) for t, found in frames)["bridged"].tolist() == [0]


def test_born_before_the_line_and_confirmed_behind_it_counts():
    """First seen 6 px before the line, 5 px behind it when it is confirmed."""
    events = count(sampled([straight((300, 194), (0, 60), last_s=2)], np.arange(0, 2, 0.06)))
    assert directions(events) == ["with_flow"]
    assert events["time_s"][0] == pytest.approx(0.1, abs=0.01)


def test_gone_right_behind_the_line_counts():
    """Last seen 4 px behind the line, long before the side could settle."""
    events = count(sampled([straight((300, 100), (0, 50), last_s=2.09)], np.arange(0, 6, 0.04)))
    assert directions(events) == ["with_flow"]


def test_out_of_the_picture_right_behind_the_line_counts():
    """The line lies 1.5 px above the lower edge: the cut box never gets out of the dead band."""
    line = line_row(0, 358.5, 640, 358.5, (0, 1))
    events = count(sampled([straight((300, 250), (0, 80))], np.arange(0, 4, 0.04)), line)
    assert directions(events) == ["with_flow"]


def test_what_is_never_confirmed_is_never_counted():
    """Ghosts over the line that last 0.1 s each."""
    ghosts = [moving((k, 180), (k + 0.1, 240), x=50 + 12.0 * k) for k in range(40)]
    frames = list(sampled(ghosts, np.arange(0, 41, 0.04)))
    assert sum(len(found) for _, found in frames) > 80
    assert len(count(frames)) == 0


# -- time -----------------------------------------------------------------------------------------------------------


def variable(rng: np.random.Generator, end_s: float) -> np.ndarray:
    times = np.cumsum(rng.choice([1 / 30, 1 / 15, 1 / 10, 1 / 5], 2000))
    return times[times < end_s]


@pytest.mark.parametrize("rate_hz", [30, 15, 5, 0])
def test_the_same_traffic_at_any_frame_rate(rate_hz):
    """9 cars at known times: the same 9 crossings, each within one frame interval of the truth (rate 0: variable)."""
    rng = np.random.default_rng(3)
    truth, courses = [], []
    for k in range(9):
        way = 1 if k % 3 else -1
        crossed_s, speed = 2.0 + 1.7 * k + rng.uniform(0, 0.4), way * rng.uniform(40, 110)
        x, size = 70 + 60 * k, (50, 36)
        from_s, to_s = crossed_s - 1.4, crossed_s + 1.4
        courses.append(straight((x, 200 - speed * crossed_s), (0, speed), size, from_s, to_s))
        truth.append((crossed_s, "with_flow" if way > 0 else "against_flow"))
    times = np.arange(0, 19, 1 / rate_hz) if rate_hz else variable(rng, 19)
    events = np.sort(count(sampled(courses, times)), order="time_s")
    assert directions(events) == [way for _, way in sorted(truth)]
    for event, (crossed_s, _) in zip(events, sorted(truth), strict=True):
        # Exact boxes at constant speed: interpolation gives the very time, whatever the interval.
        assert event["time_s"] == pytest.approx(crossed_s, abs=1e-3)


@pytest.mark.parametrize("rate_hz", [30, 15, 5])
def test_a_braking_car_is_timed_within_a_frame(rate_hz):
    """y = 100 + 120 t - 24 t^2: over the line at t = 1.0505 s with 70 px/s."""

    def course(time_s: float) -> tuple[float, float, float, float] | None:
        y = 100 + 120 * time_s - 24 * time_s**2
        return (270, y - 40, 330, y) if time_s < 2.4 else None

    events = count(sampled([course], np.arange(0, 2.4, 1 / rate_hz)))
    assert events["time_s"].tolist() == pytest.approx([(120 - (120**2 - 9600) ** 0.5) / 48], abs=1 / rate_hz / 8)


def test_the_centre_crosses_when_the_centre_does():
    course = straight((300, 100), (0, 50), size=(60, 40), last_s=4)
    foot, centre = (count(sampled([course], np.arange(0, 4, 0.04)), anchor=anchor) for anchor in ("foot", "centre"))
    assert foot["time_s"].tolist() == pytest.approx([2.0], abs=1e-3)
    assert centre["time_s"].tolist() == pytest.approx([2.4], abs=1e-3)
