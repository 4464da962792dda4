"""When a point has crossed a line for good: the kernel against its twin, and the cases that make double counts."""

from __future__ import annotations

import math

import naive_rules as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trackrows import course_rows, random_rows
from traffic import line_row

from kernels import crossing as kernel
from kernels.records import AT_EDGE, DIRECTIONS, MAX_TRACKS, RELINKED
from vision.ground import fit_ground, transform
from vision.scene import _fill_road

LINE = line_row(0, 100, 200, 100)
RULE = (0.1, 2.0, 0.04)


def ways(rows: list[np.ndarray], line: np.ndarray = LINE, rule: tuple = RULE, anchor: int = kernel.FOOT) -> list[tuple]:
    """Return (way, time) of every crossing that settles."""
    state = np.zeros(1, kernel.CROSSING)[0]
    found = []
    for row in rows:
        way = kernel.crossing_step(state, line[0], row[0], anchor, *rule)
        if way:
            found.append((way, float(state["time_s"])))
    return found


def up_and_down(y: list[float], step_s: float = 0.05, **more) -> list[np.ndarray]:
    return course_rows(1, [(50.0, v) for v in y], [step_s * k for k in range(len(y))], **more)


#: A road on which 20 px are about a metre, further away more.
WARP = np.array([[0.05, 0.0, 0.0], [0.0, 0.06, 0.0], [0.0, -0.001, 1.0]])
_CORNERS = np.array([[10.0, 10.0], [190.0, 10.0], [190.0, 190.0], [10.0, 190.0]])
GROUND = fit_ground(_CORNERS, transform(WARP, _CORNERS))


def on_road(row: np.ndarray, number: int) -> None:
    """Give a TRACK row's front and rear their road points, or take them away: some are never told, some late."""
    if number % 3 == 0 or (number % 3 == 1 and math.sin(number + 3 * row["time_s"]) > 0.7):
        for end in ("front", "rear"):
            row[f"{end}_x_px"], row[f"{end}_y_px"] = row["foot_x_px"], row["foot_y_px"]
    for end in ("front", "rear"):
        (x, y), *_ = transform(WARP, np.array([[row[f"{end}_x_px"], row[f"{end}_y_px"]]], float))
        row[f"{end}_x_m"], row[f"{end}_y_m"] = x, y


# -- twins ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "anchor"), list(enumerate(range(len(kernel.ANCHORS)), 1)))
def test_crossing_step_like_its_twin(seed, anchor):
    rng = np.random.default_rng(seed)
    states, pasts = np.zeros(MAX_TRACKS * 8, kernel.CROSSING), {}
    settled = bridged = 0
    for turn in range(4):
        turned = rng.uniform(0, 2 * math.pi)
        way = np.array([math.cos(turned), math.sin(turned)]) * 30
        line = line_row(100 - way[0], 100 - way[1], 100 + way[0], 100 + way[1], (-way[1], way[0]))
        if turn % 2:
            _fill_road(line, GROUND)
        rule = float(rng.choice([0.0, 0.1, 0.3])), float(rng.uniform(0, 4)), float(rng.uniform(0, 0.1))
        for _, rows in random_rows(rng, 250):
            for row in rows:
                on_road(row, int(row["id"]))
                past = pasts.setdefault((turn, int(row["id"])), naive.crossing_reset())
                state = states[(int(row["id"]) * 4 + turn) % len(states)]
                if not past:
                    kernel.crossing_reset(state)
                found = kernel.crossing_step(state, line[0], row, anchor, *rule)
                twin = naive.crossing_step(past, line[0], row, anchor, *rule)
                assert found == (0 if twin is None else twin.way)
                if twin is not None:
                    settled += 1
                    bridged += twin.bridged
                    place = state["time_s"], state["x_px"], state["y_px"]
                    assert place == pytest.approx((twin.time_s, *twin.point), abs=1e-3)
                    assert bool(state["bridged"] & RELINKED) == twin.bridged
    assert settled > 40
    assert bridged > 0


@settings(deadline=None)
@given(st.lists(st.integers(-9, 9), min_size=2, max_size=25), st.sampled_from([0.0, 0.1, 0.2]), st.booleans())
def test_any_course_on_a_line_like_its_twin(offsets, settle_s, at_edge):
    # Steps of no round length: no observation lies on the very rim of the fit, where rounding decides.
    rows = up_and_down([100.0 + k for k in offsets], step_s=0.049731, edge=AT_EDGE if at_edge else 0)
    past = naive.crossing_reset()
    rule = (settle_s, 2.0, 0.0)
    twins = [twin for row in rows if (twin := naive.crossing_step(past, LINE[0], row[0], kernel.FOOT, *rule))]
    assert ways(rows, rule=rule) == [(twin.way, pytest.approx(twin.time_s)) for twin in twins]


def test_the_sums_of_a_fit_like_their_twins():
    rng = np.random.default_rng(6)
    for _ in range(50):
        state, samples = np.zeros(1, kernel.CROSSING)[0], []
        state["time_s"] = 1.0
        for time_s in np.cumsum(rng.uniform(0.02, 0.15, 30)):
            offset = rng.normal()
            kernel.sample_add(state, time_s, offset)
            samples = naive.sample_add(samples, time_s, offset)
        kernel.fit_begin(state)
        near = naive.fit_begin(samples, 1.0)
        for time_s in (1.2, 1.4):
            kernel.fit_add(state, time_s, 3.0)
            near = naive.fit_add(near, 1.0, time_s, 3.0)
        sums = [sum(t**k for t, _ in near) for k in range(5)] + [sum(o * t**k for t, o in near) for k in range(3)]
        assert list(state["fit"]) == pytest.approx(sums)
        assert kernel.passage_s(state) == pytest.approx(naive.passage_s([*samples, (1.2, 3.0), (1.4, 3.0)], 1.0))


def test_points_and_lines_like_their_twins():
    rng = np.random.default_rng(4)
    inside = 0
    for _ in range(300):
        line = line_row(*rng.uniform(0, 100, 4), rng.normal(0, 1, 2) if rng.random() < 0.5 else None)[0]
        x, y = rng.uniform(0, 100, 2)
        assert kernel.line_offset(line, x, y) == pytest.approx(naive.line_offset(line, x, y), abs=1e-9)
        found = kernel.within_ends(line, x, y)
        assert found == naive.within_ends(line, x, y)
        inside += found
        for way in (1, -1):
            assert kernel.direction_code(line, way) == naive.direction_code(line, way)
    assert 50 < inside < 250


def test_a_reset_forgets_everything():
    state = np.zeros(1, kernel.CROSSING)[0]
    for row in up_and_down([90, 95, 104], ends=False):
        kernel.crossing_step(state, LINE[0], row[0], kernel.FOOT, *RULE)
    assert (state["side"], state["pending"], state["inside"]) == (-1, 1, 1)
    kernel.crossing_reset(state)
    untouched = np.zeros(1, kernel.CROSSING)[0]
    # What is never read before it is written again is kept.
    kept = ("x_px", "y_px", "sample_s", "sample_px", "first_s", "first_x_px", "first_y_px", "last_x_px", "last_y_px")
    kept += ("speed_mps", "speed_sd_mps")
    untouched["last_m"] = state["last_m"] if math.isnan(state["last_m"]) else 0.0
    assert all(
        np.array_equal(state[name], untouched[name], equal_nan=True)
        for name in kernel.CROSSING.names
        if name not in kept
    )
    assert naive.crossing_reset() == []


# -- behaviour ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "y", "expected"),
    [
        ("over it", [80, 90, 110, 120, 130], [1]),
        ("back over it", [120, 110, 90, 80, 70], [-1]),
        ("over and back", [80, 95, 110, 115, 120, 105, 90, 85, 80], [1, -1]),
        ("a turn in the dead band", [80, 95, 101, 102, 101, 99, 95, 80, 70], []),
        ("a turn beyond, too quick", [80, 95, 104, 99, 95, 80, 70], []),
        ("beside it for ever", [80, 95, 96, 95, 96, 95, 96], []),
        ("one jump to the other side and back", [80, 85, 125, 86, 87, 88], []),
        ("born in the band", [99, 101, 110, 120, 130], []),
        ("ends on the new side at once", [80, 95, 104], [1]),
        ("ends in the band", [80, 95, 101], []),
    ],
)
def test_what_is_a_crossing(name, y, expected):
    assert [way for way, _ in ways(up_and_down(y))] == expected


def test_a_track_cut_off_at_the_edge_within_the_band_has_crossed():
    assert [way for way, _ in ways(up_and_down([80, 95, 101], edge=AT_EDGE))] == [1]
    assert ways(up_and_down([80, 95, 99], edge=AT_EDGE)) == []


def test_its_time_lies_between_the_points_either_side():
    assert ways(up_and_down([70, 90, 110, 130, 150], 0.2)) == [(1, pytest.approx(0.3))]
    assert ways(up_and_down([70, 95, 110, 130, 150], 0.2)) == [(1, pytest.approx(0.2 + 0.2 / 3))]


def test_the_last_of_several_passages_is_the_crossing():
    """A car noses over the line, rolls back, waits and goes: it has crossed when it went."""
    y = [80, 95, 101, 99, 98, 99, 98, 104, 120, 140, 160]
    # The line through the offsets takes the wait for a part of the motion: it is off by less than a frame.
    assert ways(up_and_down(y, 0.1)) == [(1, pytest.approx(0.6 + 0.1 / 3, abs=0.1))]


def test_who_stands_beyond_the_line_has_passed_when_it_came():
    """A car stands 0.2 px beyond the line, or before it, for 20 s; its box shakes by 0.5 px."""
    rng = np.random.default_rng(5)
    for beyond_px, truth_s in ((0.2, 1.0), (-0.2, 21.0)):
        for _ in range(20):
            y = [80 + 0.5 * k for k in range(40)] + [100 + beyond_px] * 800
            y += [100 + beyond_px + 2.0 * (k + 1) for k in range(20)]
            found = ways(up_and_down(list(np.array(y) + rng.normal(0, 0.5, len(y))), 0.025), rule=(0.1, 2.0, 0.1))
            assert found == [(1, pytest.approx(truth_s, abs=0.5))]


@pytest.mark.parametrize("fps", [25, 30, 60, 100])
@pytest.mark.parametrize(("speed_px_s", "band_px"), [(60.0, 2.0), (60.0, 15.0)])
def test_the_time_of_a_noisy_passage_is_that_of_the_motion(fps, speed_px_s, band_px):
    """Steady motion, offsets off by up to 2 px, settled soon or late: the fit beats two points at any frame rate."""
    rng = np.random.default_rng(3)
    raw, fitted = [], []
    for _ in range(60):
        start = rng.uniform(70, 75)
        y = start + np.arange(round(1.1 * fps)) * speed_px_s / fps + rng.uniform(-2, 2, round(1.1 * fps))
        found = ways(up_and_down(list(y), 1 / fps), rule=(0.1, band_px, 0.0))
        after = next(k for k in range(len(y) - 1, 0, -1) if y[k] > 100 >= y[k - 1])
        truth_s = (100 - start) / speed_px_s
        assert [way for way, _ in found] == [1]
        fitted.append(abs(found[0][1] - truth_s))
        raw.append(abs((after - 1 + (100 - y[after - 1]) / (y[after] - y[after - 1])) / fps - truth_s))
    assert np.mean(fitted) < 0.75 * np.mean(raw), f"{np.mean(fitted):.4f} s against {np.mean(raw):.4f} s, n = 60"


def test_only_between_its_ends():
    times = [0.1 * k for k in range(5)]
    for x, expected in ((250.0, []), (-1.0, []), (1.0, [1]), (199.0, [1])):
        rows = course_rows(1, [(x, y) for y in (80.0, 95.0, 110.0, 120.0, 130.0)], times)
        assert [way for way, _ in ways(rows)] == expected


def test_around_its_end_and_back_through_it_is_one_way():
    """Round the end to the far side, then through the line back: one crossing, against the normal."""
    points = [(190, 80), (220, 90), (220, 110), (190, 120), (150, 115), (150, 95), (150, 85), (150, 80), (150, 70)]
    assert [way for way, _ in ways(course_rows(1, points, [0.1 * k for k in range(9)]))] == [-1]


def test_the_order_of_its_ends_means_nothing():
    rows = up_and_down([80, 90, 110, 120, 130])
    for flow in (None, (0.0, 1.0), (0.0, -1.0)):
        there, back = line_row(0, 100, 200, 100, flow), line_row(200, 100, 0, 100, flow)
        assert ways(rows, there) == ways(rows, back)
        names = {DIRECTIONS[kernel.direction_code(line[0], ways(rows, line)[0][0])] for line in (there, back)}
        assert names == {{None: "down", (0.0, 1.0): "with_flow", (0.0, -1.0): "against_flow"}[flow]}


def test_a_mirrored_picture_gives_the_mirrored_direction():
    line, mirrored = line_row(100, 20, 110, 180), line_row(540, 20, 530, 180)
    points = [(60.0 + 10 * k, 120.0) for k in range(12)]
    times = [0.1 * k for k in range(12)]
    there = ways(course_rows(1, points, times), line)
    back = ways(course_rows(1, [(640.0 - x, y) for x, y in points], times), mirrored)
    assert [DIRECTIONS[kernel.direction_code(line[0], way)] for way, _ in there] == ["right"]
    assert [DIRECTIONS[kernel.direction_code(mirrored[0], way)] for way, _ in back] == ["left"]
    assert there[0][1] == pytest.approx(back[0][1])


def test_a_large_box_has_a_wide_band():
    """4 % of a box 200 px high are 8 px; the same jitter is a crossing for a small box."""
    y = [80, 95, 105, 105, 105, 95, 95, 95, 95]
    assert len(ways(up_and_down(y))) == 1
    assert ways(up_and_down(y, size=(200.0, 200.0))) == []


def test_the_way_back_counts_only_from_well_away():
    """Flicker over a line that was just crossed is no crossing back; a road user that goes on and returns is one."""
    near = [80, 90, 98, 104, 104, 104, 96, 96, 96, 104, 104, 104]
    far = [80, 90, 98, 104, 112, 120, 112, 104, 96, 88, 88, 88]
    assert [way for way, _ in ways(up_and_down(near))] == [1]
    assert [way for way, _ in ways(up_and_down(far))] == [1, -1]


def test_a_front_in_metres_is_timed_in_metres():
    """10 m/s away from the camera: the picture's steps grow shorter, the road's do not."""
    line = line_row(0, 100, 200, 100, (0, -1))
    _fill_road(line, GROUND)
    (_, at_m), *_ = transform(WARP, np.array([[100.0, 100.0]]))
    rows = []
    for k in range(12):
        y_m = at_m + 2.3 - 0.5 * k
        y = y_m / (0.06 + 0.001 * y_m)
        row = course_rows(1, [(100, y + 3), (100, y)], [0.05 * k - 0.05, 0.05 * k], ends=False)[0]
        row["rear_y_px"] += 10.0
        row["front_y_m"], row["front_x_m"] = y_m, 100 * 0.05 / (1 - 0.001 * y)
        rows.append(row)
    found = ways(rows, line, anchor=kernel.FRONT)
    assert found == [(1, pytest.approx(0.23, abs=1e-4))]


@pytest.mark.parametrize(("told_s", "crossed"), [(0.2, True), (2.0, False)])
def test_a_front_that_is_told_late_has_crossed_before(told_s, crossed):
    """The foot point stops 7 px before the line; the front, 30 px further, was over it before it could be told."""
    rows = []
    for k in range(60):
        y, before = (min(65.0 + 2.0 * j, 93.0) for j in (k, k - 1))
        row = course_rows(1, [(50, before), (50, y)], [0.05 * k - 0.05, 0.05 * k], ends=False)[0]
        if 0.05 * k >= told_s:
            row["front_y_px"] += 30.0
        rows.append(row)
    assert [way for way, _ in ways(rows, rule=(0.1, 2.0, 0.0), anchor=kernel.FRONT)] == [1] * crossed


def test_a_start_from_rest_is_timed_by_its_acceleration():
    """Exact offsets of a vehicle that starts 4 px before the line with 60 px/s2: within 10 ms."""
    y = [96.0] * 10 + [96.0 + 30.0 * (0.04 * k) ** 2 for k in range(30)]
    found = ways(up_and_down(y, 0.04), rule=(0.1, 2.0, 0.0))
    assert found == [(1, pytest.approx(0.4 + math.sqrt(4 / 30), abs=0.01))]


def test_a_speed_at_a_moment_like_its_twin():
    rng = np.random.default_rng(8)
    withheld = 0
    for _ in range(200):
        row = course_rows(1, [(0, 0), (0, 9)], [3.9, 4.0], ends=False)[0]
        row["speed_mps"], row["speed_sd_mps"], row["accel_mps2"] = (
            rng.uniform(0, 20),
            rng.uniform(0.05, 2),
            rng.normal(),
        )
        for name in ("speed_mps", "speed_sd_mps", "accel_mps2"):
            row[name] = np.nan if rng.random() < 0.1 else row[name]
        at_s, scale_sd = 4.0 - rng.uniform(-0.1, 1.0), rng.choice([0.0, 0.01, 0.1])
        found = kernel.speed_at(row[0], at_s, scale_sd)
        assert found == pytest.approx(naive.speed_at(row[0], at_s, scale_sd), nan_ok=True)
        withheld += math.isnan(found[0])
    assert 5 < withheld < 50
