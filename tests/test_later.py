"""Road users as they were a moment ago: the fit over what was seen before and after, against its twin."""

from __future__ import annotations

import math

import naive_later
import numpy as np
import pytest
from pairrows import rows_of, steady
from traffic import instant

from kernels.later import KEEP, LATER, later_due, later_fit, later_next, later_push, later_reset
from kernels.records import ENDED


@pytest.mark.parametrize(("seed", "gap_s"), [(1, 0.01), (2, 0.04), (3, 0.3)])
def test_later_like_its_twin(seed, gap_s):
    """Rows of three slots, lost, used again, ended, off the road; at rates at which the ring is full, and others."""
    rng, later, twin = np.random.default_rng(seed), np.zeros(1, LATER)[0], naive_later.later_reset()
    time_s, ids, told_of, fitted = 0.0, [1, 2, 3], 0, 0
    for number in range(3 * KEEP):
        time_s += gap_s * float(rng.choice([1.0, 1.5, 6.0], p=[0.8, 0.19, 0.01]))
        rows = rows_of({1: steady(0, 0, 1, 0)}, 0.0)[0][:0]
        for slot in range(3):
            ids[slot] += 3 * int(rng.random() < 0.01)
            if rng.random() < 0.1:
                continue
            (row,) = rows_of({ids[slot]: steady(*rng.normal(0, 3, 2), *rng.normal(0, 3, 2))}, 0.0)[0]
            row["time_s"], row["slot"] = time_s, slot
            row["flags"] = ENDED if rng.random() < 0.01 else row["flags"]
            row["front_x_m"] = np.nan if rng.random() < 0.02 else row["front_x_m"]
            rows = np.append(rows, row)
        clock = instant(time_s, gap_s)[0]
        later_push(later, rows, clock)
        naive_later.later_push(twin, rows, clock)
        ends = number == 3 * KEEP - 1
        assert later_due(later, ends) == naive_later.later_due(twin, ends)
        while later_due(later, ends):
            later_next(later)
            expected, then = naive_later.later_next(twin)
            assert (later["now"]["time_s"], later["n"]) == (then["time_s"], len(expected))
            for mine, other in zip(later["out"][: later["n"]], expected, strict=True):
                assert mine["id"] == other["id"]
                for name in ("foot_x_m", "front_y_m", "rear_x_m", "vx_mps", "vy_mps", "speed_mps"):
                    assert mine[name] == pytest.approx(other[name], rel=1e-4, abs=1e-4, nan_ok=True)
                fitted += not math.isnan(mine["speed_mps"])
            told_of += 1
    assert (told_of, fitted > 2 * KEEP) == (3 * KEEP, True)
    later_fit(later, 3 * KEEP - 1, 0, later["out"][0])
    assert math.isnan(later["out"][0]["vx_mps"])
    later_reset(later)
    assert not later_due(later, ends=True)
