"""One camera's lane: detections in, events out, in the order and with the frame that they belong to."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from test_signal import pixels
from traffic import as_detections, line_row, random_scene, sampled, small_scene, straight

from kernels.records import ENDED, LAMP
from kernels.rules import REGISTRY
from vision.track.lane import Lane

LINES = {"stop": line_row(0, 200, 640, 200, (0, 1)), "out": line_row(0, 260, 640, 260, (0, 1))}
NO_LAMPS = np.zeros((0, 3), LAMP)
RULES = (
    {"type": "line_count", "line": "stop"},
    {"type": "movement", "entry": ["stop"], "exit": ["out"]},
    {"type": "line_count", "line": "out"},
)


def make_lane(rules: Iterable[dict] = RULES, **more) -> Lane:
    configs = [REGISTRY[rule["type"]].config(name=str(k), **rule) for k, rule in enumerate(rules)]
    return Lane(small_scene(LINES, **more), configs, camera=3, context=77)


def drive(lane: Lane, frames: Iterable, first: int = 0, epoch: int = 0, lamps=NO_LAMPS, skip: int = 1) -> list:
    """Return [(rule, events)] of frames, kept as the lane gave them."""
    given = []
    for number, (time_s, found) in enumerate(frames):
        given += list(lane.step(as_detections(found), first + number * skip, time_s, epoch, lamps))
    return given


def down(first_s: float = 0.0, x: float = 300.0):
    """Over the stop line 1 s after its start, over the way out 1.6 s after it, gone after 2.4 s."""
    return straight((x, 100 - 100 * first_s), (0, 100), first_s=first_s, last_s=first_s + 2.4)


TIMES = np.arange(0, 3, 0.04)


def test_each_rule_gives_its_own_events_in_order():
    lane = make_lane()
    given = drive(lane, sampled([down()], TIMES)) + list(lane.end())
    assert [(rule, len(events)) for rule, events in given] == [(0, 1), (1, 1), (2, 1)]
    for rule, events in given:
        assert events.dtype == REGISTRY[RULES[rule]["type"]].event
        assert (events["rule"][0], events["camera"][0], events["context"][0], events["epoch"][0]) == (rule, 3, 77, 0)
    assert [float(events["time_s"][0]) for _, events in given] == pytest.approx([1.0, 1.6, 1.6], abs=1e-4)


@pytest.mark.parametrize(("first", "skip"), [(0, 1), (1000, 1), (0, 2), (5000, 3)])
def test_an_event_names_the_last_frame_before_it(first, skip):
    """Also where frames were dropped before the detector: a frame that the lane never saw is never named."""
    times = np.arange(0, 3, 0.04 * skip) + 0.013
    events = drive(make_lane(), sampled([down(0.013)], times), first=first, skip=skip)[0][1]
    at = int((events["frame"][0] - first) / skip)
    assert (events["frame"][0] - first) % skip == 0
    assert times[at] <= events["time_s"][0] < times[at + 1]


def test_a_crossing_that_settles_minutes_later_names_the_oldest_frame_kept(monkeypatch):
    """It stops with its foot point 1 px behind the line for 40 s, then goes on: the crossing is 40 s old."""

    def course(time_s: float):
        y = float(np.interp(time_s, (0, 1, 41, 43), (100, 201, 201, 300)))
        return (270, y - 40, 330, y)

    monkeypatch.setattr("vision.track.lane._HISTORY", 256)
    lane = make_lane(RULES[:1])
    events = drive(lane, sampled([course], np.arange(0, 43, 0.04)))[0][1]
    # It stops within no time, which no parabola follows: up to 0.1 s off.
    assert events["time_s"][0] < 1.1
    assert 700 < events["frame"][0] < 1075
    assert len(lane._frames) <= 256


def test_a_new_epoch_ends_every_track_and_no_event_spans_two():
    """The stream breaks while the car is on its way: it never crossed, whatever comes after."""
    lane = make_lane()
    assert drive(lane, sampled([down()], np.arange(0, 0.9, 0.04))) == []
    old = set(lane.tracks["id"].tolist())
    assert old == {1}
    after = drive(lane, sampled([down()], np.arange(1.12, 2.2, 0.04)), first=30, epoch=1) + list(lane.end())
    assert [rule for rule, _ in after] == [1, 2]  # over the way out only, by a track that came in unseen
    assert after[0][1]["entry_line"].tolist() == [-1]
    for _, events in after:
        assert not old & set(events["track_id"].tolist())
        assert events["epoch"].tolist() == [1]
        assert events["frame"][0] >= 30


def test_an_epoch_s_last_events_belong_to_it():
    """Last seen 10 px behind the line when the stream breaks: settled by the end, under the old epoch."""
    lane = make_lane(RULES[:1])
    drive(lane, sampled([down()], np.arange(0, 1.06, 0.04)))
    given = list(lane.step(as_detections([]), 400, 9.0, 5, NO_LAMPS))
    assert [events["epoch"].tolist() for _, events in given] == [[0]]
    assert given[0][1]["frame"][0] == 25
    assert given[0][1]["time_s"][0] == pytest.approx(1.0)
    assert list(lane.end()) == []


def test_no_row_of_an_ended_track_after_the_epoch():
    lane = make_lane(())
    seen: list[set] = [set(), set()]
    frames = list(random_scene(np.random.default_rng(1), 200))
    for number, (time_s, found) in enumerate(frames):
        epoch = int(number >= 100)
        list(lane.step(as_detections(found), number, time_s, epoch, NO_LAMPS))
        seen[epoch] |= set(lane.tracks["id"].tolist())
    list(lane.end())
    assert (lane.tracks["flags"] & ENDED == ENDED).all()
    assert seen[0]
    assert seen[1]
    assert not seen[0] & seen[1]


def test_events_stay_as_they_were_given():
    """Events kept from one step are not written over by the next ones."""
    cars = [down(k * 0.5, 60.0 + 90 * k) for k in range(6)]
    lane = make_lane()
    given, copies = [], []
    for number, (time_s, found) in enumerate(sampled(cars, np.arange(0, 6, 0.04))):
        batch = list(lane.step(as_detections(found), number, time_s, number // 60, NO_LAMPS))
        given += batch
        copies += [events.copy() for _, events in batch]
    assert len(given) > 8
    assert [events.tobytes() for _, events in given] == [copy.tobytes() for copy in copies]


def test_the_same_detections_give_the_same_bytes():
    runs = []
    for _ in range(2):
        lane = make_lane()
        given = drive(lane, random_scene(np.random.default_rng(2), 400)) + list(lane.end())
        runs.append(b"".join(bytes([rule]) + events.tobytes() for rule, events in given))
    assert runs[0]
    assert runs[0] == runs[1]


def test_a_stream_without_a_frame_ends_without_an_event():
    lane = make_lane()
    assert list(lane.end()) == []
    assert len(lane.tracks) == 0


def test_the_tracks_of_a_step_are_there_after_it():
    lane = make_lane(())
    drive(lane, sampled([down(), down(0.0, 500.0)], np.arange(0, 1, 0.04)))
    assert lane.tracks["id"].tolist() == [1, 2]
    assert lane.tracks["time_s"].tolist() == pytest.approx([0.96, 0.96])


def red_lane() -> Lane:
    return make_lane([{"type": "red_light", "line": "stop", "signal": "lamp"}], logs={"lamp": None})


def watched(lane: Lane, frames: Iterable, shown, epoch_from_s: float = 1e9) -> list:
    rng, given = np.random.default_rng(3), []
    for number, (time_s, found) in enumerate(frames):
        lamps = pixels(shown(time_s), rng)[None]
        given += list(lane.step(as_detections(found), number, time_s, int(time_s >= epoch_from_s), lamps))
    return given + list(lane.end())


def test_lamps_and_boxes_make_a_red_light_run():
    """The lamps turn red at 3.0 s; three cars cross at 2.5, 3.2 and 4.5 s: one run, 1.5 s into red."""
    cars = [down(1.5, 100.0), down(2.2, 300.0), down(3.5, 500.0)]
    frames = sampled(cars, np.arange(0, 8, 0.04))
    given = watched(red_lane(), frames, lambda t: "green" if t < 2.99 else "red")
    assert len(given) == 1
    event = given[0][1][0]
    assert event["time_s"] == pytest.approx(4.5, abs=0.001)
    assert event["red_s"] == pytest.approx(1.51, abs=0.02)
    assert event["signal_sd_s"] == pytest.approx(0.04 / 12**0.5, rel=0.01)


def test_a_red_from_before_the_stream_broke_is_not_believed():
    """Red before and after the break, which the stream's clock does not show: the red is as old as the new epoch."""
    frames = list(sampled([down(5.2)], np.arange(0, 8, 0.04)))
    for broke_s, runs in ((1e9, 1), (6.0, 0), (5.5, 1)):
        given = watched(red_lane(), frames, lambda t: "red", epoch_from_s=broke_s)
        assert sum(len(events) for _, events in given) == runs
        if broke_s == 5.5:
            assert given[0][1]["red_s"][0] == pytest.approx(0.7, abs=0.05)
