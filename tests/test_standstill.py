"""What stands, stops or turns on a line is counted once or not at all, however long its box trembles there."""

from __future__ import annotations

import numpy as np
import pytest
from test_lane import make_lane
from traffic import as_detections

from kernels.records import LAMP
from vision.track.lane import Lane

NO_LAMPS = np.zeros((0, 3), LAMP)
LINE_Y_PX = 200.0
SIZE_PX = (60.0, 40.0)
RULES = (
    {"type": "line_count", "line": "stop"},
    {"type": "line_count", "line": "stop", "anchor": "centre"},
    {"type": "movement", "entry": ["stop"], "exit": ["stop"]},
)


def counted(feet: np.ndarray, interval_s: float, seed: int, jitter: float = 0.025, missed: float = 0.05) -> list[int]:
    """Return how often each rule counted a box whose foot point is at these y, with noise and misses of its box."""
    rng = np.random.default_rng(seed)
    lane, counts = make_lane(RULES), [0] * len(RULES)
    noise = rng.normal(0.0, jitter, (len(feet), 4)) * (SIZE_PX[0], SIZE_PX[1], SIZE_PX[0], SIZE_PX[1])
    seen, scores = rng.random(len(feet)) >= missed, rng.uniform(0.5, 1.0, len(feet))
    for k, y in enumerate(feet):
        box = np.array([270.0, y - SIZE_PX[1], 270.0 + SIZE_PX[0], y]) + noise[k]
        found = [(tuple(box), float(scores[k]), 0)] if seen[k] else []
        for rule, events in lane.step(as_detections(found), k, k * interval_s, 0, NO_LAMPS):
            counts[rule] += len(events)
    for rule, events in lane.end():
        counts[rule] += len(events)
    return counts


@pytest.mark.parametrize(("beyond_px", "hours"), [(-4.0, 1), (0.0, 8), (3.0, 1)])
def test_a_car_parked_on_the_line_for_hours(beyond_px, hours):
    interval_s = 0.2
    drive = np.arange(100.0, LINE_Y_PX + beyond_px, 12.0)
    # The centre stands on the line in a second stay, so that both anchors tremble about it for hours.
    stays = np.repeat([LINE_Y_PX + beyond_px, LINE_Y_PX + SIZE_PX[1] / 2 + beyond_px], int(hours * 1800 / interval_s))
    counts = counted(np.concatenate([drive, stays]), interval_s, seed=int(beyond_px) + 9)
    assert max(counts) <= 1, counts


@pytest.mark.parametrize("fps", [5, 10, 25])
@pytest.mark.parametrize("stay_s", [1.0, 60.0])
def test_a_stop_on_the_line_is_one_count(fps, stay_s):
    for seed in range(6):
        beyond = np.linspace(-6, 6, 6)[seed]
        go = np.arange(100.0, 200.0 + beyond, 60.0 / fps)
        on = np.arange(200.0 + beyond, 320.0, 60.0 / fps)
        counts = counted(np.concatenate([go, np.full(int(stay_s * fps), 200.0 + beyond), on]), 1 / fps, seed)
        assert counts[:2] == [1, 1], (seed, counts)


@pytest.mark.parametrize("fps", [5, 10, 25])
def test_a_turn_on_the_line_is_one_count_or_none(fps):
    for seed in range(8):
        turn = 200.0 + np.linspace(-4, 4, 8)[seed]
        there = np.arange(100.0, turn, 40.0 / fps)
        counts = counted(np.concatenate([there, there[::-1]]), 1 / fps, seed)
        assert counts[0] <= 1, (seed, counts)


def test_the_lane_would_count_one_that_really_drives_to_and_fro():
    there = np.arange(100.0, 300.0, 4.0)
    assert counted(np.concatenate([there, there[::-1]]), 0.04, seed=1)[0] == 2


def test_the_same_frames_give_the_same_bytes():
    def run() -> bytes:
        rng = np.random.default_rng(3)
        lane: Lane = make_lane(RULES)
        told = b""
        for k in range(200):
            box = np.array([270.0, 80.0 + k, 330.0, 120.0 + k]) + rng.normal(0, 1, 4)
            for _, events in lane.step(as_detections([(tuple(box), 0.9, 0)]), k, k * 0.04, 0, NO_LAMPS):
                told += events.tobytes()
        return told + b"".join(events.tobytes() for _, events in lane.end())

    assert run() == run() != b""
