"""Counts and movements: each rule against its twin on random rows, and what each must and must not report."""

from __future__ import annotations

import itertools
import math

import naive_rules as naive
import numpy as np
import pytest
from trackrows import Judge, course_rows, events_of, random_rows, same_events
from traffic import line_row, small_scene

from kernels.records import CLASSES

LINES = {
    "near": line_row(40, 100, 160, 105),
    "far": line_row(50, 112, 150, 108, (0.0, 1.0)),
    "side": line_row(108, 60, 104, 150, (1.0, 0.2)),
}
SCENE = small_scene(LINES, {"lamp": None})


@pytest.mark.parametrize(
    ("seed", "anchor", "classes"), [(1, "foot", ()), (2, "centre", ("car", "bus")), (3, "foot", ())]
)
def test_line_count_step_like_its_twin(seed, anchor, classes):
    judge = Judge("line_count", SCENE, line="near", anchor=anchor, classes=classes, settle_s=0.1 * (seed % 3))
    memory, seen = naive.Memory(), 0
    for _, tracks in random_rows(np.random.default_rng(seed), 350):
        events = judge(tracks)
        same_events(events, naive.line_count_step(tracks, judge.prepared.settings, memory))
        seen += len(events)
    assert seen > 8


@pytest.mark.parametrize("seed", [4, 5])
def test_movement_step_like_its_twin(seed):
    judge = Judge("movement", SCENE, entry=("near", "side"), exit=("far", "side"), settle_s=0.05, band_px=1.0)
    memory, seen = naive.Memory(), []
    for _, tracks in random_rows(np.random.default_rng(seed), 350):
        events = judge(tracks)
        same_events(events, naive.movement_step(tracks, judge.prepared.settings, memory))
        seen += events["entry_line"].tolist()
    assert {-1, 0} <= set(seen)
    assert len(seen) > 15


# -- line_count -----------------------------------------------------------------------------------------------------


def over(track_id: int, start_s: float = 0.0, x: float = 80.0, **more) -> list[np.ndarray]:
    """A track that goes down over `near` and `far` at 50 px/s: over y = 101.7 about 1 s after its start."""
    times = [start_s + 0.1 * k for k in range(20)]
    return course_rows(track_id, [(x, 52.0 + 5 * k) for k in range(20)], times, **more)


def test_a_slot_that_is_used_again_inherits_nothing():
    """A track ends behind the line; the next one in its slot starts behind it and leaves away from it: no count."""
    judge = Judge("line_count", SCENE, line="near")
    assert len(events_of(judge, over(1))) == 1
    behind = course_rows(2, [(80.0, 110.0 + 5 * k) for k in range(6)], [5 + 0.1 * k for k in range(6)], slot=1)
    assert len(events_of(judge, behind)) == 0
    again = over(3, 9.0, slot=1)
    assert events_of(judge, again)["track_id"].tolist() == [3]


def test_the_old_track_of_a_slot_is_not_asked_for_its_side():
    """The first track was before the line, the second is born behind it in the same slot: nobody has crossed."""
    judge = Judge("line_count", SCENE, line="near")
    before = course_rows(1, [(80.0, 60.0 + 5 * k) for k in range(5)], [0.1 * k for k in range(5)], ends=False)
    behind = course_rows(2, [(80.0, 120.0)] * 5, [0.5 + 0.1 * k for k in range(5)], slot=1)
    assert len(events_of(judge, before + behind)) == 0


def test_once_in_each_direction():
    y = [80, 90, 120, 130, 90, 80, 120, 130, 90, 80, 120, 130]
    rows = course_rows(1, [(80.0, float(v)) for v in y], [0.2 * k for k in range(len(y))])
    assert events_of(Judge("line_count", SCENE, line="near"), rows)["direction"].tolist() == [2, 3]  # down, up


def test_only_the_classes_that_were_asked_for():
    judge = Judge("line_count", SCENE, line="near", classes=("bus", "truck"))
    for class_id, name in enumerate(CLASSES):
        events = events_of(judge, over(10 + class_id, class_id=class_id))
        assert len(events) == (name in ("bus", "truck"))


def test_an_event_says_what_was_seen():
    event = events_of(
        Judge("line_count", SCENE, line="near"), over(5, 3.0, class_id=2, speed_mps=7.5, speed_sd_mps=0.5)
    )[0]
    assert (event["track_id"], event["class_id"], event["line"], event["bridged"]) == (5, 2, 0, 0)
    assert event["time_s"] == pytest.approx(3.0 + (101.6667 - 52) / 50, abs=1e-3)
    assert (event["x_px"], event["y_px"]) == pytest.approx((80.0, 101.6667), abs=1e-3)
    assert (event["speed_mps"], event["speed_sd_mps"], event["score"]) == pytest.approx((7.5, 0.5, 0.8))


# -- movement -------------------------------------------------------------------------------------------------------

CROSSROADS = {
    "north_in": line_row(80, 60, 100, 60, (0, 1)),
    "north_out": line_row(100, 60, 120, 60, (0, -1)),
    "south_out": line_row(80, 140, 100, 140, (0, 1)),
    "east_out": line_row(140, 80, 140, 120, (1, 0)),
}


def movements(points: list[tuple[float, float]], **config) -> list[tuple[int, int]]:
    config = {"entry": ("north_in",), "exit": ("south_out", "east_out", "north_out"), **config}
    judge = Judge("movement", small_scene(CROSSROADS), **config)
    times = [0.1 * k for k in range(len(points))]
    events = events_of(judge, course_rows(1, points, times))
    for event in events:
        assert math.isnan(event["entry_s"]) == (event["entry_line"] == -1)
        assert not event["entry_s"] > event["time_s"]
    return [(int(event["entry_line"]), int(event["exit_line"])) for event in events]


def way(*corners: tuple[float, float]) -> list[tuple[float, float]]:
    """Points every 4 px or so along the way between the corners."""
    points = []
    for a, b in itertools.pairwise(corners):
        n = max(int(math.dist(a, b) / 4), 1)
        points += [(a[0] + (b[0] - a[0]) * k / n, a[1] + (b[1] - a[1]) * k / n) for k in range(n)]
    return [*points, corners[-1]]


@pytest.mark.parametrize(
    ("name", "corners", "expected"),
    [
        ("straight on", [(90, 20), (90, 170)], [(0, 2)]),
        ("left", [(90, 20), (90, 100), (170, 100)], [(0, 3)]),
        ("turns round", [(90, 20), (90, 100), (110, 100), (110, 20)], [(0, 1)]),
        ("first seen inside", [(90, 90), (90, 170)], [(-1, 2)]),
        ("stays inside", [(90, 20), (90, 120)], []),
        ("backs out over its entry", [(90, 20), (90, 90), (90, 20)], []),
        ("in against the flow of an exit", [(90, 180), (90, 100), (170, 100)], [(-1, 3)]),
        ("two ways out, one way in", [(90, 20), (90, 170), (130, 170), (130, 100), (170, 100)], [(0, 2), (-1, 3)]),
        ("comes in twice", [(90, 20), (90, 70), (70, 70), (70, 20), (90, 20), (90, 170)], [(0, 2)]),
    ],
)
def test_movements(name, corners, expected):
    assert movements(way(*corners)) == expected


def test_a_movement_counts_only_the_classes_asked_for():
    assert movements(way((90, 20), (90, 170)), classes=("person",)) == []


def test_lines_without_a_flow_count_both_ways():
    lines = {"a": line_row(80, 60, 100, 60), "b": line_row(80, 140, 100, 140)}
    for corners, expected in (
        (((90, 20), (90, 170)), [(0, 1)]),
        (((90, 120), (90, 20), (70, 20), (70, 180), (90, 180), (90, 120)), [(0, 1)]),
    ):
        judge = Judge("movement", small_scene(lines), entry=("a",), exit=("b",))
        points = way(*corners)
        events = events_of(judge, course_rows(1, points, [0.1 * k for k in range(len(points))]))
        assert [(int(e["entry_line"]), int(e["exit_line"])) for e in events] == expected


def test_a_movement_says_when_it_began():
    judge = Judge("movement", small_scene(CROSSROADS), entry=("north_in",), exit=("south_out",))
    points = [(90.0, 20.0 + 5 * k) for k in range(30)]
    event = events_of(judge, course_rows(1, points, [0.1 * k for k in range(30)]))[0]
    assert (event["entry_s"], event["time_s"]) == (pytest.approx(0.8), pytest.approx(2.4))
