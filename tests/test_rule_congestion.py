"""Congestion in a lane or zone: when it begins and ends, and what only looks like it."""

from __future__ import annotations

import math

import naive_footprint
import naive_jam as naive
import naive_shade
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standrows import SCALE, RoadJudge, box, random_road, road_row, road_scene, same_events
from trackrows import signal_row

from kernels.flow import FLOW, flow_add, flow_pass, flow_reset, flow_sums
from kernels.footprint import FOOTPRINT, footprint_fill
from kernels.records import BEGIN, CALIBRATION, CAMERA_MOVED, CANNOT_JUDGE, END, IDENTITY, VIOLATION
from kernels.shade import COVERED, HIDDEN, SHADE, shade_add, shade_clear, shade_fill, shade_hidden

LANES = {"east/one": (box(0, 0, 100, 3.5), (1, 0)), "east/two": (box(0, 3.5, 100, 7), (1, 0))}
SCENE = road_scene(lanes=LANES, zones={"loop": box(40, 0, 42, 3.5)}, signals=["lamp"])


def judge(**config) -> RoadJudge:
    return RoadJudge("congestion", SCENE, **{"lanes": ("east/one",), **config})


def platoon(time_s: float, speed: float, spacing: float, first_id: int = 0, y: float = 1.75, **more) -> list:
    """Return rows of an endless row of cars, each `spacing` behind the one ahead, with its share of the way moved."""
    shift = (speed * time_s) % spacing
    xs = np.arange(shift, 104.5, spacing)
    moved = int(speed * time_s // spacing)
    return [road_row(1 + (moved - k + first_id) % 200, time_s, (x, y), (speed, 0.0), **more) for k, x in enumerate(xs)]


def flow(one: RoadJudge, until_s: float, speed: float, spacing: float, start_s=0.0, step_s=0.2, **more) -> np.ndarray:
    """Judge a platoon from `start_s` to `until_s`."""
    suspended, signals = more.pop("suspended", 0), more.pop("signals", None)
    times = np.arange(round(start_s / step_s), round(until_s / step_s)) * step_s
    found = [one.at(float(t), platoon(t, speed, spacing, **more), suspended, signals) for t in times]
    return np.concatenate(found)


JAM, FREE, SLOW, DENSE = (2.0, 8.0), (20.0, 50.0), (2.0, 40.0), (15.0, 10.0)


@pytest.mark.parametrize(
    ("seed", "config"),
    [
        (1, {"lanes": ("east/one", "east/two"), "occupancy": 0.05, "held_s": 2.0, "clear_s": 1.0, "window_s": 4.0}),
        (2, {"zones": ("loop",), "occupancy": 0.1, "held_s": 1.0, "clear_s": 2.0, "clear_kmh": 20.0}),
        (3, {"occupancy": 0.05, "held_s": 1.0, "clear_s": 1.0, "window_s": 3.0, "signal": "lamp", "release_s": 0.2}),
    ],
)
def test_like_its_twin(seed, config):
    rng, one, memory, seen = np.random.default_rng(seed), judge(**config), {}, []
    for time_s, tracks in random_road(rng, 600):
        if rng.random() < 0.05:
            tracks["speed_mps"] = np.nan
        time_s += 5.0 * (time_s > 60.0)
        state = str(rng.choice(["green", "green", "green", "red"]))
        clock = one.clock(time_s, CAMERA_MOVED * int(rng.random() < 0.02), int(time_s > 70.0 and rng.random() < 0.02))
        signals = signal_row(state, time_s)
        events = one(tracks, clock, signals)
        same_events(events, naive.congestion_step(tracks, clock, signals, one.prepared.settings, memory))
        seen += events["phase"].tolist()
    assert len(seen) >= 4
    assert set(seen) == {BEGIN, END}


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(-5, 110), st.floats(0, 30)), min_size=1, max_size=40))
def test_the_window_is_like_its_twin(steps):
    own, moments = np.zeros(1, FLOW)[0], naive.flow_reset()
    flow_reset(own)
    zone, rectangle = SCENE.lane_rows[0], np.zeros(1, FOOTPRINT)[0]
    for passed_s, x, speed in steps:
        flow_pass(own, passed_s, 8.0)
        naive.flow_pass(moments, passed_s, 8.0)
        track = road_row(1, 0.0, (x, 1.0), (speed, 0.0))[0]
        assert footprint_fill(rectangle, track)
        assert flow_add(own, zone, track, rectangle, passed_s) == pytest.approx(
            naive.flow_add(moments, zone, track, rectangle, passed_s), abs=1e-6
        )
        assert flow_sums(own) == pytest.approx(naive.flow_sums(moments), rel=1e-5, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("step_s", [0.1, 0.2, 1.0])
def test_traffic_that_jams_is_told_within_a_minute_at_any_frame_rate(step_s):
    one = judge()
    assert len(flow(one, 60.0, *FREE, step_s=step_s)) == 0
    events = flow(one, 130.0, *JAM, start_s=60.0, step_s=step_s)
    assert events["phase"].tolist() == [BEGIN]
    begin = events[0]
    assert 90.0 <= begin["time_s"] <= 112.0
    assert begin["held_s"] == pytest.approx(30.0, abs=1.1)
    assert begin["flowed_s"] == 0.0
    assert begin["speed_mps"] == pytest.approx(2.0, abs=0.01)
    assert begin["margin_mps"] == pytest.approx(20 / 3.6 - 2.0, abs=0.01)
    assert begin["occupancy"] == pytest.approx(4.5 / 8.0, abs=0.03)
    assert begin["vehicles"] == pytest.approx(0.5625 * 100 / 4.5, abs=0.6)
    assert (begin["lane"], begin["zone"], begin["judgement"], begin["truncated"]) == (0, -1, VIOLATION, 0)


def test_it_ends_when_traffic_has_flowed_for_a_minute():
    one = judge()
    flow(one, 60.0, *JAM)
    events = flow(one, 160.0, *FREE, start_s=60.0)
    assert events["phase"].tolist() == [END]
    assert 120.0 <= events["time_s"][0] <= 131.0
    assert events["flowed_s"][0] == pytest.approx(60.0, abs=0.5)
    assert events["held_s"][0] == pytest.approx(events["time_s"][0], abs=1.0)
    assert events["margin_mps"][0] > 0.0


def test_it_goes_on_between_the_two_speeds():
    """At 30 km/h it neither begins nor ends."""
    one = judge()
    assert len(flow(one, 100.0, 30 / 3.6, 8.0)) == 0
    assert len(flow(one, 160.0, *JAM, start_s=100.0)) == 1
    assert len(flow(one, 260.0, 30 / 3.6, 8.0, start_s=160.0)) == 0
    assert flow(one, 360.0, *FREE, start_s=260.0)["phase"].tolist() == [END]


@pytest.mark.parametrize("traffic", [FREE, SLOW, DENSE])
def test_slow_alone_and_dense_alone_are_no_congestion(traffic):
    assert len(flow(judge(), 100.0, *traffic)) == 0


def test_a_jam_of_less_than_the_time_is_none():
    one = judge()
    assert len(flow(one, 24.0, *JAM)) == 0
    assert len(flow(one, 100.0, *FREE, start_s=24.0)) == 0


def test_an_empty_lane_is_not_congested_and_ends_it():
    one = judge()
    assert sum(len(one.at(0.2 * k, [])) for k in range(500)) == 0
    assert len(flow(one, 150.0, *JAM, start_s=100.0)) == 1
    events = np.concatenate([one.at(150.0 + 0.2 * k, []) for k in range(500)])
    assert events["phase"].tolist() == [END]
    assert math.isnan(events["speed_mps"][0])


def test_the_other_lane_and_other_classes_count_for_nothing():
    assert len(flow(judge(), 60.0, *JAM, y=5.25)) == 0
    assert len(flow(judge(), 60.0, *JAM, name="bicycle")) == 0


def test_two_lanes_are_judged_by_themselves():
    events = flow(judge(lanes=("east/two", "east/one")), 60.0, *JAM, y=5.25)
    assert events["lane"].tolist() == [1]


def test_one_that_stands_counts_through_edie():
    """Half of them stand, half go at 30 km/h: 15 km/h on average."""
    one, found = judge(), []
    for k in range(300):
        rows = [road_row(n, 0.2 * k, (8.0 * n, 1.75), (8.0 * (n % 2), 0.0)) for n in range(1, 13)]
        found += list(one.at(0.2 * k, rows))
    assert [float(event["speed_mps"]) for event in found] == [pytest.approx(4.0, abs=0.05)]


def test_a_zone_is_occupied_for_as_long_as_it_is_covered():
    events = flow(judge(lanes=(), zones=("loop",)), 60.0, *JAM)
    assert (events["zone"].tolist(), events["lane"].tolist()) == ([0], [-1])
    assert events["occupancy"][0] == pytest.approx((4.5 + 2.0) / 8.0, abs=0.1)


def test_a_car_of_which_only_the_front_shows_is_as_long_as_usual():
    """In a queue the rest of it is hidden: 2 m are no car."""
    whole, cut = flow(judge(), 60.0, *JAM), flow(judge(), 60.0, *JAM, length=2.0)
    assert len(whole) == len(cut) == 1
    assert cut["occupancy"] == pytest.approx(whole["occupancy"], abs=0.04)


def test_without_front_and_rear_the_usual_length_stands_in():
    same = flow(judge(), 60.0, *JAM, length=0.0)
    assert len(same) == 1
    assert same["occupancy"][0] == pytest.approx(4.5 / 8.0, abs=0.05)


# -- red lights, gaps, suspensions ----------------------------------------------------------------------------------


def cycles(one: RoadJudge, queued_s: float = 45.0, cycle_s: float = 90.0, n: int = 5) -> np.ndarray:
    """Judge a queue in half the lane that stands in red and goes at 43 km/h in green."""
    found = []
    for k in range(round(n * cycle_s / 0.5)):
        t = 0.5 * k
        red = t % cycle_s < queued_s
        rows = platoon(t, 0.0, 8.0)[7:] if red else platoon(t, 12.0, 30.0)
        found.append(one.at(t, rows, 0, signal_row("red" if red else "green", t - t % cycle_s)))
    return np.concatenate(found)


@pytest.mark.parametrize(("config", "told"), [({}, True), ({"signal": "lamp"}, False), ({"window_s": 90.0}, False)])
def test_a_red_queue_is_congestion_only_for_who_knows_no_signal(config, told):
    assert (len(cycles(judge(occupancy=0.23, **config))) > 0) == told


def test_who_does_not_move_in_green_is_congested_with_a_signal_too():
    one, found = judge(signal="lamp"), []
    for k in range(600):
        t = 0.5 * k
        signals = signal_row("red" if t % 60 < 30 else "green", t - t % 30)
        found.append(one.at(t, platoon(t, 1.0, 8.0), 0, signals))
    events = np.concatenate(found)
    assert events["phase"].tolist() == [BEGIN]
    assert 60.0 < events["time_s"][0] <= 120.0  # 20 s of each green count


def test_a_suspended_camera_stops_the_clock():
    one = judge()
    assert len(flow(one, 25.0, *JAM)) == 0
    assert len(flow(one, 33.0, *JAM, start_s=25.0, suspended=CAMERA_MOVED)) == 0
    events = flow(one, 60.0, *JAM, start_s=33.0)
    assert events["time_s"].tolist() == pytest.approx([38.0], abs=0.5)


def test_a_gap_stops_the_clock_and_a_long_one_sets_it_back():
    for gap_s, at_s in ((8.0, 38.0), (12.0, 67.0)):
        one = judge()
        assert len(flow(one, 25.0, *JAM)) == 0
        events = flow(one, 80.0, *JAM, start_s=25.0 + gap_s)
        assert events["time_s"].tolist() == pytest.approx([at_s], abs=0.5)


def test_the_end_of_the_stream_ends_it():
    one = judge()
    flow(one, 50.0, *JAM)
    events = one.end()
    assert (events["phase"].tolist(), events["truncated"].tolist()) == ([END], [1])
    assert len(one.end()) == 0
    assert len(flow(one, 20.0, *JAM)) == 0


def test_tracks_that_take_over_slots_change_nothing():
    """The window holds no tracks: ten short-lived ones in one slot are as good as one."""
    one, found = judge(), []
    for k in range(300):
        rows = [road_row(20 * (k // 30) + n, 0.2 * k, (8.0 * n, 1.75), (1.0, 0.0), slot=n) for n in range(1, 13)]
        found += list(one.at(0.2 * k, rows))
    assert len(found) == 1


# -- what it cannot judge ---------------------------------------------------------------------------------------------


def test_without_known_speeds_it_says_so():
    events = flow(judge(), 60.0, *JAM, speed_mps=np.nan)
    assert (events["judgement"].tolist(), events["reason"].tolist()) == ([CANNOT_JUDGE], [IDENTITY])


@pytest.mark.parametrize("error_m", [5.0, math.nan])
def test_a_poor_ground_bears_no_judgement(error_m):
    scene = road_scene(lanes=LANES)
    scene.ground_error_m = error_m
    events = flow(RoadJudge("congestion", scene, lanes=("east/one",)), 60.0, *JAM)
    assert (events["judgement"].tolist(), events["reason"].tolist()) == ([CANNOT_JUDGE], [CALIBRATION])


def test_rows_without_a_place_on_the_road_say_nothing():
    assert len(flow(judge(), 60.0, *JAM, foot_x_m=np.nan)) == 0


@pytest.mark.parametrize(("config", "said"), [({"lanes": ()}, "no place"), ({"clear_kmh": 10.0}, "clear_kmh 10")])
def test_what_makes_no_sense_is_refused(config, said):
    with pytest.raises(ValueError, match=said):
        judge(**config)


# -- what is hidden -------------------------------------------------------------------------------------------------


def hides(rows: list, behind_m: float) -> list:
    """Let each road user, seen from ahead of it, hide so much of the road behind its middle."""
    for row in rows:
        for name in ("x1_px", "x2_px"):
            row[name] -= behind_m * SCALE
    return rows


def test_what_is_hidden_like_its_twin():
    rng, s = np.random.default_rng(4), judge().prepared.settings[0].copy()
    for _ in range(40):
        shade, stretches, own = np.zeros(1, SHADE)[0], naive_shade.shade_clear(), np.zeros(1, FOOTPRINT)[0]
        shade_clear(shade)
        s["to_road"][2] = *rng.normal(0, 0.0004, 2), 1.0  # some boxes lie over the horizon
        for _ in range(int(rng.integers(0, 6))):
            (row,) = hides([road_row(1, 0.0, (rng.uniform(-5, 110), 1.75), (2.0, 0.0))], rng.uniform(-20, 30))
            assert footprint_fill(own, row[0])
            rectangle = naive_footprint.footprint_fill(naive_footprint.footprint_reset(), row[0])
            shade_add(shade, s, row[0], own)
            naive_shade.shade_add(stretches, s, row[0], rectangle)
        low, high = np.sort(rng.uniform(-0.2, 1.2, 2))
        for code, name in ((COVERED, "covered"), (HIDDEN, "hidden")):
            shade_fill(shade, low, high, code)
            naive_shade.shade_fill(stretches, low, high, name)
            assert shade_hidden(shade) == naive_shade.shade_hidden(stretches)
            low, high = low - 0.3, high - 0.1


def test_road_that_is_hidden_is_not_taken_for_empty():
    for behind_m, found in ((0.0, 0), (9.0, 1)):
        one = judge()
        rows = [one.at(0.5 * k, hides(platoon(0.5 * k, 2.0, 16.0), behind_m)) for k in range(120)]
        assert len(np.concatenate(rows)) == found


def test_one_truck_that_hides_the_lane_makes_no_jam_of_it():
    one = judge()
    truck = [
        hides([road_row(1, 0.5 * k, (90.0, 1.75), (2.0, 0.0), length=12.0, name="truck")], 90.0) for k in range(120)
    ]
    assert len(np.concatenate([one.at(0.5 * k, rows) for k, rows in enumerate(truck)])) == 0
