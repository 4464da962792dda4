"""How events are held against truth: same vehicle, close in time, one to one, and what counts for neither side."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.accuracy.drive import People, Told
from benchmarks.accuracy.figures import least, most, share, table
from benchmarks.accuracy.score import score
from benchmarks.scenes.camera import aimed
from benchmarks.scenes.look import Seen
from benchmarks.scenes.noise import Noise
from benchmarks.scenes.plan import Plan
from benchmarks.scenes.tables import Event, joined, read_events, write_truth
from benchmarks.scenes.tables import Truth as Table
from benchmarks.scenes.truth_lines import without_hidden
from kernels.records import OBSERVED, TRACK
from vision.evaluate.events import read_truth
from vision.evaluate.stats import wilson


def told(time_s: float, who: int, *, judged: bool = True, direction: int = 0) -> Told:
    """Return an event of a rule."""
    return Told("rule", time_s, who, judged, "none", {"direction": direction})


def true(time_s: float, who: int, direction: str | None = None) -> Event:
    """Return what really happened."""
    return Event(time_s, "rule", "car", direction, None, who)


def test_an_event_is_right_for_the_same_vehicle_within_a_second():
    found = score([told(10.4, 1), told(20.0, 2), told(31.2, 3)], [true(10.0, 1), true(20.0, 9), true(30.0, 3)])
    assert [one.who for one, _ in found.pairs] == [1]
    assert sorted(one.who for one in found.invented) == [2, 3]
    assert sorted(event.track_id or 0 for event in found.missed) == [3, 9]
    assert (found.precision.k, found.precision.n, found.recall.n) == (1, 3, 3)


def test_one_truth_is_found_once():
    found = score([told(10.0, 1), told(10.5, 1)], [true(10.1, 1)])
    assert (len(found.pairs), len(found.invented)) == (1, 1)


def test_the_direction_counts_where_truth_tells_it():
    events = [told(10.0, 1, direction=1)]
    assert len(score(events, [true(10.0, 1, "with_flow")]).missed) == 1
    assert len(score(events, [true(10.0, 1, "against_flow")]).pairs) == 1


def test_what_is_unsure_is_neither_right_nor_wrong():
    found = score([told(10.0, 1), told(50.0, 1)], [], [true(10.5, 1)])
    assert ([one.time_s for one in found.invented], found.neutral) == ([50.0], 1)


def test_what_could_not_be_judged_is_neither_but_its_truth_is_missed():
    found = score([told(10.0, 1, judged=False)], [true(10.0, 1)])
    assert (len(found.invented), len(found.missed), len(found.doubted)) == (0, 1, 1)


def test_a_second_alarm_of_one_incident_is_false_only_later():
    events = [told(10.0, 1), told(40.0, 1), told(90.0, 1)]
    assert [one.time_s for one in score(events, [true(10.0, 1)], again_s=60.0).invented] == [90.0]
    assert [one.time_s for one in score(events, [true(10.0, 1)]).invented] == [40.0, 90.0]


def test_what_is_true_at_the_very_end_need_not_be_told():
    found = score([told(99.0, 2)], [true(98.0, 1)], ends_s=95.0)
    assert (found.missed, found.invented, found.neutral) == ([], [], 1)


def test_an_event_belongs_to_the_true_box_under_its_track():
    class Boxes:
        frames = 2
        frame = np.array([0, 0, 1])
        track_id = np.array([7, 8, 7])
        xyxy_px = np.array([[0, 0, 10, 10], [50, 0, 60, 10], [2, 0, 12, 10]], np.float32)

    people = People(Boxes(), None)  # type: ignore[arg-type]
    rows = np.zeros(1, TRACK)
    rows["id"], rows["flags"] = 3, OBSERVED
    rows["x1_px"], rows["y1_px"], rows["x2_px"], rows["y2_px"] = 51, 0, 61, 10
    people.look(0, 0.0, rows)
    assert people.who(3, 0.2) == 8
    assert people.who(4, 0.2) == 0


def test_a_figure_says_whether_its_target_is_met():
    assert share("q", wilson(99, 100), 0.99).passed
    assert not share("q", wilson(99, 100), 0.99, 0.97).passed
    assert not share("q", wilson(0, 0), 0.5).passed
    assert most("q", -0.4, 10, 0.5).passed
    assert not most("q", -0.6, 10, 0.5).passed
    assert not most("q", 0.0, 0, 0.5).passed
    assert not most("q", float("nan"), 5, 0.5).passed
    assert not least("q", 3, 4).passed
    assert [line.split()[-1] for line in table([least("a", 5, 4), least("b", 3, 4)]).splitlines()[1:]] == [
        "pass",
        "FAIL",
    ]


def test_truth_is_written_as_gantry_eval_reads_it(tmp_path):
    events = [true(2.0, 4, "with_flow"), Event(1.0, "other", None, None, 51.25, None)]
    write_truth(tmp_path, joined([Table(events, [], {}), Table([], [true(3.0, 1)], {"more": [{"a": 1.5, "b": "x"}]})]))
    assert read_events(tmp_path / "events.csv") == [events[1], events[0]]
    (first, second) = read_truth(tmp_path / "events.csv")
    assert (first.rule, first.speed_kmh, first.track_id) == ("other", pytest.approx(51.25), None)
    assert (second.direction, second.class_, second.track_id) == ("with_flow", "car", 4)
    assert (tmp_path / "more.csv").read_text() == "a,b\n1.5,x\n"


def test_nobody_is_asked_to_count_who_is_hidden_on_one_side_of_a_line():
    plan = Plan("made", aimed((0.0, -10.0, 8.0), (0.0, 10.0), 1000.0), [])
    plan.rules = [{"type": "line_count", "name": "count"}, {"type": "speeding", "name": "speed"}]
    frames = np.repeat(np.arange(100, dtype=np.int32), 2)
    who = np.tile(np.array([1, 2], np.int32), 100)
    hidden = np.where((who == 2) & (frames >= 54), 0.7, 0.0)
    seen = Seen(frames, who, np.zeros(200, np.int16), np.zeros((200, 4)), np.ones(200), hidden)
    events = [Event(5.0, rule, "car", None, None, user) for rule in ("count", "speed") for user in (1, 2)]
    found = without_hidden(Table(events, [], {}), plan, seen, Noise(), 10.0)
    assert [(one.rule, one.track_id) for one in found.events] == [("count", 1), ("speed", 1), ("speed", 2)]
    assert [(one.rule, one.track_id) for one in found.unsure] == [("count", 2)]
    longer = seen._replace(hidden=np.where(frames < 60, 0.0, hidden))
    assert len(without_hidden(Table(events, [], {}), plan, longer, Noise(), 10.0).unsure) == 0
