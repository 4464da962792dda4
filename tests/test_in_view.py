"""Truth of two road users as far as a camera sees both: who was behind whom, how near they came."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.scenes.in_view import pairs_in_view
from benchmarks.scenes.look import Seen
from benchmarks.scenes.noise import Noise
from benchmarks.scenes.tables import Event, Truth

FPS, NOISE = 10.0, Noise()


def seen(hidden_until: int) -> Seen:
    """Return two in view for 60 frames, of whom the second is hidden in the first ones."""
    frame, who = np.repeat(np.arange(60), 2), np.tile([1, 2], 60)
    hidden = np.where((who == 2) & (frame < hidden_until), 0.9, 0.0)
    whole = np.ones(len(frame))
    return Seen(frame, who, np.zeros(len(frame), np.int16), np.zeros((len(frame), 4)), whole, hidden)


@pytest.mark.parametrize(("hidden_until", "kept"), [(0, 1), (30, 1), (31, 0)])
def test_who_was_seen_behind_its_leader_for_less_than_is_asked_is_unsure(hidden_until: int, kept: int):
    pair = {"rule": "close", "ego": 2, "foe": 1, "held_s": 3.0}
    event = Event(4.0, "close", "car", None, None, 2)
    truth = Truth([event], [], {"followings": [{**pair, "frame": k} for k in range(60)]})
    told = pairs_in_view(truth, seen(hidden_until), NOISE, FPS)
    assert (told.events, told.unsure) == ([event] * kept, [event] * (1 - kept))
    assert len(told.tables.get("unseen", [])) == 1 - kept
    assert "followings" not in told.tables


@pytest.mark.parametrize(
    ("hidden_until", "ttc_s", "counts"), [(0, 1.0, (1, 0)), (21, 1.5, (0, 1)), (25, 1.7, (0, 1)), (60, None, (0, 1))]
)
def test_a_conflict_is_as_near_as_it_came_in_view(hidden_until: int, ttc_s: float | None, counts: tuple[int, int]):
    """It is nearest in frame 20, and less near in each frame after it."""
    one = {"rule": "conflict", "ego": 2, "foe": 1, "class": "car", "device_s": 1.0, "at_s": 2.0, "drac_mps2": 3.0}
    times = {20: 1.0, 21: 1.5, 25: 1.7, 30: 2.0}
    truth = Truth([], [], {"closings": [{**one, "frame": k, "ttc_s": t} for k, t in times.items()]})
    told = pairs_in_view(truth, seen(hidden_until), NOISE, FPS)
    assert (len(told.events), len(told.unsure)) == counts
    assert [row["ttc_s"] for row in told.tables.get("conflicts", [])] == ([] if ttc_s is None else [ttc_s])
