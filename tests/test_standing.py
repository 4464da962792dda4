"""Since when a road user stands, and whether its track bears a judgement: the kernels against their twins."""

from __future__ import annotations

import math

import naive_standing as naive
import numpy as np
import pytest
from trackrows import random_rows, track_row
from traffic import instant

from kernels.guards import doubt, judgement_of
from kernels.records import CAMERA_MOVED, CANNOT_JUDGE, IDENTITY, VIOLATION
from kernels.standing import STANDING, standing_reset, standing_step


@pytest.mark.parametrize("on_road", [False, True])
def test_standing_like_its_twin(on_road):
    rng = np.random.default_rng(5)
    states, pasts, stays = {}, {}, []
    for _, rows in random_rows(rng, 400):
        for row in rows:
            if on_road and row["slot"] % 2:
                row["foot_x_m"], row["foot_y_m"] = row["foot_x_px"] / 20, row["foot_y_px"] / 20
            number = int(row["id"])
            state = states.setdefault(number, np.zeros(1, STANDING))[0]
            found = standing_step(state, row, 1.0, 0.5)
            assert found == pytest.approx(
                naive.standing_step(pasts.setdefault(number, naive.standing_reset()), row, 1.0, 0.5)
            )
            stays.append(found)
    assert sum(stay == 0 for stay in stays) > 100
    assert sum(stay > 0.5 for stay in stays) > 100


def test_a_reset_begins_anew():
    state = np.zeros(1, STANDING)[0]
    rows = [track_row(1, t, (50.0, 50.0), (t - 1, (50.0, 50.0)))[0] for t in (1.0, 2.0, 3.0)]
    assert [standing_step(state, row, 1.0, 0.1) for row in rows] == [0.0, 1.0, 2.0]
    standing_reset(state)
    assert standing_step(state, rows[2], 1.0, 0.1) == 0.0


@pytest.mark.parametrize("relinked_s", [-math.inf, 4.5, 5.9, 6.5, 3.0])
@pytest.mark.parametrize(("birth_s", "score"), [(0.0, 0.9), (5.5, 0.9), (0.0, 0.3)])
@pytest.mark.parametrize("suspended", [0, CAMERA_MOVED])
def test_doubt_like_its_twin(relinked_s, birth_s, score, suspended):
    row = track_row(1, 6.0, (5, 5), (5.9, (5, 5)), birth_s=birth_s, score=score, relinked_s=relinked_s)[0]
    clock = instant(6.0, 0.1)
    clock["suspended"] = suspended
    found = doubt(row, clock[0], 5.0, 1.0, 0.5)
    assert found == naive.doubt(row, clock[0], 5.0, 1.0, 0.5)
    assert judgement_of(found) == naive.judgement_of(found)
    sound = birth_s == 0.0 and score == 0.9 and abs(5.0 - relinked_s) >= 1.0
    assert found == (suspended or (0 if sound else IDENTITY))
    assert judgement_of(found) == (VIOLATION if found == 0 else CANNOT_JUDGE)
