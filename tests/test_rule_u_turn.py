"""Turning round: who is flagged, who backs, swaps or only passes, and the rule against its twin."""

from __future__ import annotations

import naive_lanes
import naive_turns as naive
import numpy as np
import pytest
from roadrows import Court, along, bend, drive, every, random_road_rows, road_line, road_scene, same_events
from test_rule_forbidden_turn import LEFT, STRAIGHT_ON, crossroads, judged
from traffic import instant

from kernels.records import CAMERA_MOVED, CANNOT_JUDGE, IDENTITY, VIOLATION
from kernels.visit import VISIT, visit_reason

#: Down, half round to the left with 5 m, up again.
ROUND = [(25, 0), (25, 24), *bend((30, 24), 5.0, 180, 0), (35, 0)]
LEG = {"entry": ("north_in",), "exit": ("north_out",)}


def turned(corners, **more):
    return judged(corners, rule="u_turn", config=LEG | more.pop("config", {}), **more)


@pytest.mark.parametrize("ground", [True, False])
@pytest.mark.parametrize("flow", [True, False])
@pytest.mark.parametrize(("speed_mps", "step_s"), [(3.0, 0.2), (6.0, 0.2), (6.0, 1 / 12), (8.0, 1 / 30)])
def test_who_turns_round_is_flagged_once(ground, flow, speed_mps, step_s):
    events = turned(ROUND, ground=ground, flow=flow, speed_mps=speed_mps, step_s=step_s)
    assert events["judgement"].tolist() == [VIOLATION]
    assert (events["entry_line"][0], events["exit_line"][0]) == (0, 1)
    assert abs(events["turned_deg"][0]) == pytest.approx(180.0, abs=30.0)
    assert events["margin_deg"][0] == pytest.approx(abs(events["turned_deg"][0]) - 150.0, abs=1e-3)


@pytest.mark.parametrize("flow", [(0, 1), None])
def test_one_line_may_be_both_ways_of_its_leg(flow):
    lines = {"leg": road_line(20, 20, 40, 20, flow)}
    config = {"entry": ("leg",), "exit": ("leg",)}
    assert len(judged(ROUND, rule="u_turn", lines=lines, config=config)) == 1
    assert len(judged(LEFT, rule="u_turn", lines=lines, config=config)) == 0


@pytest.mark.parametrize("corners", [LEFT, STRAIGHT_ON, [(60, 36), (35, 36), (35, 0)], ROUND[::-1]])
def test_who_only_passes_is_not(corners):
    assert len(turned(corners)) == 0


def test_the_turn_may_end_behind_the_line():
    """The exit line is crossed at a bit more than a right angle, the rest of the turn follows."""
    lines = crossroads() | {"north_out": road_line(31, 30, 33, 26, (1, -0.2))}
    for after_s, flagged in ((2.0, 1), (0.2, 0)):
        assert len(turned(ROUND, lines=lines, config={"after_s": after_s}, speed_mps=5.0)) == flagged


def three_point(**more) -> np.ndarray:
    """To the left, back to the right, off to the left: out on the leg it came in on."""
    court = Court("u_turn", road_scene(lines=crossroads()), **LEG, **more)
    ahead, first_s = along((25, 0), (25, 24), (27, 28), (32, 29), speed_mps=3.0)
    back, second_s = along((32, 29), (27, 30), (27, 30.5), speed_mps=1.5)
    off, third_s = along((27, 30.5), (33, 28), (35, 22), (35, 0), speed_mps=3.0)

    def course(t: float):
        if t < first_s:
            return ahead(t)
        return back(t - first_s) if t < first_s + second_s else off(t - first_s - second_s)

    return court.all_of(drive(1, course, every(0.1, first_s + second_s + third_s)))


def test_a_three_point_turn_counts_only_where_asked_for():
    assert len(three_point()) == 0
    assert three_point(three_point=True)["judgement"].tolist() == [VIOLATION]


@pytest.mark.parametrize("corners", [[(29.5, 0), (29.5, 28), (33, 0)], [(28, 0), (28, 26), (31.5, 26), (31.5, 0)]])
def test_two_road_users_that_swap_are_no_turn(corners):
    """One comes in at 10 m/s, its box goes on with one that leaves beside it: no vehicle turns so tightly."""
    course, takes_s = along(*corners, speed_mps=10.0)
    for step_s in (0.1, 0.04):
        court = Court("u_turn", road_scene(lines=crossroads()), **LEG)
        events = court.all_of(drive(1, course, every(step_s, takes_s)))
        assert (events["judgement"].tolist(), events["reason"].tolist()) == ([CANNOT_JUDGE], [IDENTITY])


def test_what_it_cannot_judge_it_says():
    assert turned(ROUND, score=0.4)["reason"].tolist() == [IDENTITY]
    for suspended, mixed_up, expected in ((CAMERA_MOVED, 0, CAMERA_MOVED), (0, 1, IDENTITY), (0, 0, 0)):
        visit = np.zeros(1, VISIT)
        visit["suspended"], visit["mixed_up"] = suspended, mixed_up
        row = drive(1, lambda t: (t, t), [0.0, 1.0])[0][0]
        assert visit_reason(visit[0], row, instant(1.0, 0.1)[0], 1.0, 1.0, 0.5) == expected


def test_who_waits_for_long_is_not_forgotten():
    """It stands for ten seconds within the turn, with a trembling box."""
    noise = np.random.default_rng(1).normal(0, 0.2, (2000, 2))
    course, takes_s = along(*ROUND, speed_mps=5.0)
    held = lambda t: np.array(course(t if t < 6 else max(6.0, t - 10.0))) + noise[round(t * 10)]  # noqa: E731
    court = Court("u_turn", road_scene(lines=crossroads()), **LEG)
    rows = drive(1, held, every(0.1, takes_s + 10.0))
    for row in rows:
        row["vx_mps"], row["vy_mps"] = 5.0, 0.0  # what a filter makes of the trembling
    assert court.all_of(rows)["judgement"].tolist() == [VIOLATION]


@pytest.mark.parametrize(("seed", "ground", "three"), [(1, True, False), (2, False, True), (3, True, True)])
def test_u_turn_step_like_its_twin(seed, ground, three):
    lines = {
        "a": road_line(4, 10, 16, 10.5, (0, 1), ground),
        "b": road_line(5, 11.2, 15, 10.8, None, ground),
    }
    config = {"entry": ("a", "b"), "exit": ("b", "a"), "settle_s": 0.05, "band_px": 1.0, "three_point": three}
    config |= {"turned_min_deg": 60.0, "after_s": 0.5, "age_min_s": 0.5}
    court = Court("u_turn", road_scene(lines=lines, ground=ground), **config)
    files, seen = naive_lanes.Files(), []
    for time_s, tracks, suspended in random_road_rows(np.random.default_rng(seed), 1200, ground, 20.0, 3.0):
        events = court(tracks, suspended=suspended)
        clock = {"suspended": suspended, "time_s": time_s}
        same_events(events, naive.u_turn_step(tracks, clock, court.prepared.settings, files))
        seen += events["judgement"].tolist()
    assert CANNOT_JUDGE in seen
    assert len(seen) > 8
