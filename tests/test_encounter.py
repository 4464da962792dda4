"""Time to contact and post-encroachment time of footprints: the kernels against their twins, and cases by hand."""

from __future__ import annotations

import math

import naive_encounter as naive
import numpy as np
import pytest

from kernels import encounter, trail
from kernels.footprint import FOOTPRINT
from kernels.records import CROSSING_PATHS, LANE_CHANGE, REAR_END


def rect(x=0.0, y=0.0, vx=0.0, vy=0.0, heading_deg=0.0, length=4.0, width=2.0) -> np.void:
    """Return a FOOTPRINT row about its centre."""
    row = np.zeros(1, FOOTPRINT)[0]
    row["x_m"], row["y_m"], row["vx_mps"], row["vy_mps"] = x, y, vx, vy
    row["ux"], row["uy"] = math.cos(math.radians(heading_deg)), math.sin(math.radians(heading_deg))
    row["half_length_m"], row["half_width_m"] = length / 2, width / 2
    return row


def random_rect(rng: np.random.Generator, spread: float = 8.0) -> np.void:
    x, y = rng.normal(0, spread, 2)
    vx, vy = rng.normal(0, 6, 2)
    return rect(x, y, vx, vy, rng.uniform(0, 360), rng.uniform(0.5, 9), rng.uniform(0.4, 2.5))


def turned(one: np.void, angle: float) -> np.void:
    """Return a footprint of a road that is turned about the origin and moved."""
    other, c, s = one.copy(), math.cos(angle), math.sin(angle)
    for x, y in (("x_m", "y_m"), ("vx_mps", "vy_mps"), ("ux", "uy")):
        other[x], other[y] = c * one[x] - s * one[y], s * one[x] + c * one[y]
    other["x_m"], other["y_m"] = other["x_m"] + 31.0, other["y_m"] - 17.0
    return other


def test_contact_like_its_twin():
    rng, kinds = np.random.default_rng(1), []
    for _ in range(400):
        a, b, shrink = random_rect(rng), random_rect(rng), float(rng.choice([0.0, 0.0, 0.1, 0.3]))
        window = encounter.contact_window(a, b, shrink)
        assert window == pytest.approx(naive.contact_window(a, b, shrink), abs=1e-6)
        kinds.append("never" if window[0] == math.inf else "past" if window[1] < 0 else "comes")
    assert min(kinds.count(kind) for kind in ("never", "past", "comes")) > 30


def test_contact_is_when_rectangles_begin_and_cease_to_overlap():
    """By brute force: the overlap's area at finely sampled times."""
    rng, met = np.random.default_rng(2), 0
    for _ in range(60):
        a, b = random_rect(rng), random_rect(rng)
        enter, leave = encounter.contact_window(a, b, 0.0)
        for after in np.linspace(-3, 3, 61):
            if min(abs(after - enter), abs(after - leave)) < 1e-3:
                continue
            both = [{**naive.fields(one)} for one in (a, b)]
            for one in both:
                one["x_m"], one["y_m"] = one["x_m"] + after * one["vx_mps"], one["y_m"] + after * one["vy_mps"]
            assert (naive.common_area(*both) > 1e-9) == (enter < after < leave)
        met += enter < 3
    assert met > 10


@pytest.mark.parametrize(
    ("a", "b", "ttc_s"),
    [
        (rect(0, 0, 10), rect(20, 0, 4), 16 / 6),  # following
        (rect(0, 0, 10), rect(20, 0, 0), 1.6),  # standing
        (rect(0, 0, 10), rect(40, 0, -8, heading_deg=180), 2.0),  # head-on
        (rect(-13, 0, 10), rect(0, -13, 0, 10, heading_deg=90), 1.0),  # perpendicular: to 3 m from the middle
        (rect(0, 0, 10), rect(20, 0, 12), -12.0),  # it draws away: that would have been
        (rect(0, 0, 10), rect(9, 2.0, 4), math.inf),  # parallel, side by side: touching is no contact
        (rect(0, 0, 10), rect(9, 1.99, 4), 5 / 6),  # grazing
        (rect(0, 0, 10), rect(9, 2.01, 4), math.inf),
        (rect(0, 0, 10), rect(40, 3.5, -10, heading_deg=180), math.inf),  # opposite traffic on the next lane
        (rect(0, 0, 3), rect(1, 0, 3), -math.inf),  # for ever one in the other
    ],
)
def test_contact_by_hand(a, b, ttc_s):
    assert encounter.contact_window(a, b, 0.0)[0] == pytest.approx(ttc_s)
    assert encounter.contact_window(b, a, 0.0)[0] == pytest.approx(ttc_s)


def test_contact_is_the_same_turned_and_swapped():
    rng = np.random.default_rng(3)
    for _ in range(100):
        a, b, angle = random_rect(rng), random_rect(rng), rng.uniform(0, 7)
        window = encounter.contact_window(a, b, 0.0)
        assert encounter.contact_window(b, a, 0.0) == pytest.approx(window, abs=1e-6)
        assert encounter.contact_window(turned(a, angle), turned(b, angle), 0.0) == pytest.approx(window, abs=1e-6)


def test_arcs_like_their_twins():
    rng, answers = np.random.default_rng(4), []
    for _ in range(40):
        a, b = random_rect(rng), random_rect(rng)
        rates = rng.normal(0, 0.5, 2) * (rng.random(2) < 0.8)
        assert encounter.on_arc(a, rates[0], 1.3) == pytest.approx(naive.on_arc(a, rates[0], 1.3), abs=1e-4)
        answers.append(encounter.arcs_meet(a, rates[0], b, rates[1], 2.0))
        assert answers[-1] == naive.arcs_meet(a, rates[0], b, rates[1], 2.0)
    assert 5 < sum(answers) < 35


def test_who_goes_round_a_bend_does_not_meet_who_stands_straight_ahead():
    car, waiting = rect(0, 0, 6), rect(9, 0)
    assert encounter.contact_window(car, waiting, 0.0)[0] < 1.0
    assert encounter.arcs_meet(car, 0.0, waiting, 0.0, 1.5)
    assert not encounter.arcs_meet(car, 0.8, waiting, 0.0, 1.5)


def test_angles_kinds_and_severity_like_their_twins():
    rng = np.random.default_rng(5)
    for _ in range(200):
        a, b = rng.uniform(0, 7, 2)
        u = math.cos(a), math.sin(a), math.cos(b), math.sin(b)
        angle = encounter.encounter_angle(*u)
        assert angle == pytest.approx(naive.encounter_angle(*u), abs=1e-4)
        assert encounter.encounter_kind(angle) == naive.encounter_kind(angle)
        ttc_s, pet_s = (math.nan if rng.random() < 0.3 else float(rng.uniform(0, 2)) for _ in range(2))
        assert encounter.severity(ttc_s, pet_s) == naive.severity(ttc_s, pet_s)
        given = (float(rng.uniform(0, 3)), float(rng.uniform(0.1, 9)), *map(float, rng.uniform(0, 1, 2)))
        assert encounter.ttc_sd(*given) == pytest.approx(naive.ttc_sd(*given))
    assert math.isnan(encounter.encounter_angle(0.0, 0.0, 1.0, 0.0))
    assert math.isnan(encounter.ttc_sd(1.0, 0.0, 0.1, 0.1))
    kinds = {29.9: REAR_END, 30.0: LANE_CHANGE, 85.0: LANE_CHANGE, 85.1: CROSSING_PATHS, math.nan: REAR_END}
    assert {angle: encounter.encounter_kind(angle) for angle in kinds} == kinds
    assert [encounter.severity(ttc, math.nan) for ttc in (0.4, 0.5, 1.0, 1.5)] == [3, 2, 1, 0]


def test_what_holds_like_its_twin():
    rng, hold, twin, found = np.random.default_rng(6), np.zeros(1, encounter.HOLD)[0], naive.hold_reset(), 0
    encounter.hold_reset(hold)
    time_s = 0.0
    for _ in range(400):
        time_s += float(rng.choice([0.02, 0.04, 0.1, 0.5, 2.0], p=[0.3, 0.4, 0.2, 0.08, 0.02]))
        contact_s = math.inf if rng.random() < 0.1 else time_s + float(rng.normal(0.8, 0.5))
        held = encounter.hold_step(hold, time_s, contact_s)
        assert held == pytest.approx(naive.hold_step(twin, time_s, contact_s))
        found += held < math.inf
    assert 30 < found < 370


@pytest.mark.parametrize("fps", [5, 10, 25, 60])
def test_one_noisy_frame_holds_nothing_and_a_steady_approach_at_once(fps):
    hold = np.zeros(1, encounter.HOLD)[0]
    encounter.hold_reset(hold)
    held = [encounter.hold_step(hold, k / fps, 0.1 + k / fps if k == 7 else math.inf) for k in range(3 * fps)]
    assert set(held) == {math.inf}
    encounter.hold_reset(hold)
    held = [encounter.hold_step(hold, k / fps, 2.0) for k in range(fps + 1)]
    assert held[-1] == pytest.approx(1.0)
    assert sum(value == math.inf for value in held) <= max(0.1 * fps + 1, 1)


# -- trails ---------------------------------------------------------------------------------------------------------


def drive(start, velocity, times, heading_deg, turn_dps=0.0, **size) -> list[np.void]:
    """Return the footprints of who drives from `start` at time 0."""
    rows, at = [], complex(*start)
    for k, time_s in enumerate(times):
        angle = heading_deg + turn_dps * time_s
        v = velocity * complex(math.cos(math.radians(angle)), math.sin(math.radians(angle)))
        at += v * (time_s - times[k - 1]) if k else 0
        rows.append(rect(at.real, at.imag, v.real, v.imag, angle, **size))
    return rows


def test_trails_like_their_twins():
    rng, seen = np.random.default_rng(7), []
    for _ in range(40):
        times = np.cumsum(rng.uniform(0.03, 0.12, 60))
        own = drive((-20, 0), rng.uniform(4, 9), times, 0.0, rng.uniform(-15, 15), length=rng.uniform(1, 6))
        angle = rng.uniform(0, 360)
        start = 25 * np.array([-math.cos(math.radians(angle)), -math.sin(math.radians(angle))])
        other = drive(start, rng.uniform(4, 9), times, angle, length=rng.uniform(1, 6))
        kept, twin = np.zeros(1, trail.TRAIL)[0], naive.trail_reset()
        trail.trail_reset(kept)
        for k in range(1, 60):
            trail.trail_add(kept, own[k], times[k], 0.15)
            naive.trail_add(twin, own[k], times[k], 0.15)
            assert kept["n"] == len(twin)
            found = trail.trail_pet(kept, other[k - 1], other[k], times[k - 1], times[k])
            expected = naive.trail_pet(twin, other[k - 1], other[k], times[k - 1], times[k])
            assert found == pytest.approx(expected, abs=1e-5, nan_ok=True)
            seen += [found[0]] * (not math.isnan(found[0]))
        p = twin[3][1]
        samples = kept["samples"]
        oldest = kept["next"] - kept["n"]
        touch = trail.first_touch(kept, samples[(oldest + 3) % 32], samples[(oldest + 4) % 32], own[0], other[30])
        rects = [naive.trail_rect(twin, k) for k in (3, 4)]
        assert touch == pytest.approx(naive.first_touch(*rects, own[0], other[30]), abs=1e-6)
        n = math.cos(angle), math.sin(angle)
        reach = trail.trail_reach(kept, p["ux"], p["uy"], *n)
        assert reach == pytest.approx(naive.trail_reach(rects[0], *n))
    assert len(seen) > 5
    assert min(seen) < 0.5 < max(seen)


def test_the_bounds_and_the_straightness_of_a_trail():
    for turn_dps, straight in ((0.0, 1), (40.0, 0)):
        kept = np.zeros(1, trail.TRAIL)[0]
        trail.trail_reset(kept)
        rows = drive((0, 0), 8.0, [0.2 * k for k in range(12)], 0.0, turn_dps)
        for k, row in enumerate(rows):
            trail.trail_add(kept, row, 0.2 * k, 0.15)
        assert kept["straight"] == straight
        points = np.array([(row["x_m"], row["y_m"]) for row in rows])
        assert kept["bounds_m"].tolist() == pytest.approx([*points.min(axis=0), *points.max(axis=0)])


@pytest.mark.parametrize("fps", [8, 25, 50])
@pytest.mark.parametrize(("later_s", "pet_s"), [(0.0, None), (1.0, 0.2), (2.0, 1.2)])
def test_post_encroachment_time_by_hand(fps, later_s, pet_s):
    """Both at 10 m/s: the first has left 3 m + 1 m past the middle, the second comes 3 m - 1 m before it."""
    times = [k / fps for k in range(6 * fps)]
    first, second = drive((-20, 0), 10.0, times, 0.0), drive((0, -20 - 10 * later_s), 10.0, times, 90.0)
    kept = np.zeros(1, trail.TRAIL)[0]
    trail.trail_reset(kept)
    found = []
    for k in range(1, len(times)):
        trail.trail_add(kept, first[k], times[k], 5 / 30)
        pet = trail.trail_pet(kept, second[k - 1], second[k], times[k - 1], times[k])
        found += [pet] * (not math.isnan(pet[0]))
    left_s, came_s = 2.0 + 0.3, 2.0 + later_s - 0.3
    assert [one[0] for one in found] == ([] if pet_s is None else [pytest.approx(came_s - left_s, abs=0.01)])
    assert all(one[1] == pytest.approx(90.0) for one in found)
