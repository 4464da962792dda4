"""The gated assignment against exhaustive search."""

from __future__ import annotations

import naive_assign as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.config import DISABLE_JIT

from kernels import assign as kernel

#: An index that holds this was not written.
UNTOUCHED = -7


def scratch(n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full((4, n + m + 2), np.nan), np.full((6, n + m + 2), UNTOUCHED, np.int32)


def assigned(cost: np.ndarray, gate: float) -> set[tuple[int, int]]:
    """Run the kernel; its two results and its count must tell the same pairs."""
    n, m = cost.shape
    column_of, row_of = np.full(n + 1, UNTOUCHED, np.int32), np.full(m + 1, UNTOUCHED, np.int32)
    pairs = kernel.assign(cost, n, m, gate, column_of, row_of, *scratch(n, m))
    found = {(i, int(j)) for i, j in enumerate(column_of[:n]) if j >= 0}
    assert found == {(int(i), j) for j, i in enumerate(row_of[:m]) if i >= 0}
    assert pairs == len(found)
    assert (column_of[n], row_of[m]) == (UNTOUCHED, UNTOUCHED)
    return found


def saved(cost: np.ndarray, gate: float, pairs: set[tuple[int, int]]) -> float:
    return sum(gate - float(cost[i, j]) for i, j in pairs)


def costs(rng: np.random.Generator, n: int, m: int, dense: float) -> np.ndarray:
    return np.where(rng.random((n, m)) < dense, rng.random((n, m)), 2.0).astype(np.float32)


@pytest.mark.parametrize("dense", [0.1, 0.3, 1.0])
def test_assign_like_its_twin(dense):
    rng = np.random.default_rng(1)
    most = 7 if dense == 1.0 else 12
    for _ in range(150):
        cost = costs(rng, *rng.integers(0, most, 2), dense)
        gate = rng.uniform(0.2, 1.1)
        assert assigned(cost, gate) == naive.assign(cost.tolist(), gate)


@settings(deadline=None)  # the first example pays the compile
@given(st.data())
def test_assign_saves_as_much_as_its_twin_with_ties(data):
    n, m = data.draw(st.integers(0, 6)), data.draw(st.integers(0, 6))
    flat = data.draw(st.lists(st.integers(0, 5), min_size=n * m, max_size=n * m))
    cost = np.array(flat, np.float32).reshape(n, m)
    found = assigned(cost, 4.0)
    assert all(cost[i, j] < 4.0 for i, j in found)
    assert saved(cost, 4.0, found) == pytest.approx(saved(cost, 4.0, naive.assign(cost.tolist(), 4.0)))


def test_solve_like_its_twin_both_ways_round():
    rng = np.random.default_rng(2)
    for _ in range(150):
        n, m = np.sort(rng.integers(1, 6, 2))
        near, far = rng.permutation(9)[:n].astype(np.int32), rng.permutation(9)[:m].astype(np.int32)
        cost = rng.random((9, 9)).astype(np.float32)
        for flipped in (False, True):
            inner = cost[np.ix_(far, near)].T if flipped else cost[np.ix_(near, far)]
            column_of, row_of = np.full(9, -1, np.int32), np.full(9, -1, np.int32)
            pairs = kernel.solve(cost, 0.6, near, n, far, m, flipped, column_of, row_of, *scratch(9, 9))
            expected = {(int(near[a]), int(far[b])) for a, b in naive.solve(inner.tolist(), 0.6)}
            expected = {(j, i) for i, j in expected} if flipped else expected
            assert {(i, int(j)) for i, j in enumerate(column_of) if j >= 0} == expected
            assert pairs == len(expected)


def test_count_pairs_like_its_twin():
    rng = np.random.default_rng(5)
    for _ in range(50):
        n, m = rng.integers(1, 30, 2)
        cost = costs(rng, n, m, 0.3)
        cost[0, 0] = np.nan
        _, index = scratch(n, m)
        kernel.count_pairs(cost, n, m, 0.8, index)
        rows, columns = naive.count_pairs(cost.tolist(), 0.8)
        assert (-1 - index[0, :n]).tolist() == rows
        assert (-1 - index[1, :m]).tolist() == columns


def test_component_like_its_twin():
    rng = np.random.default_rng(3)
    sizes = []
    for _ in range(200):
        n, m = rng.integers(1, 10, 2)
        cost = costs(rng, n, m, 0.2)
        _, index = scratch(n, m)
        kernel.count_pairs(cost, n, m, 0.8, index)
        seed = int(rng.integers(n))
        rows, columns = kernel.component(cost, n, m, 0.8, seed, index)
        found = set(index[2, :rows].tolist()), set(index[3, :columns].tolist())
        assert found == naive.component(cost.tolist(), 0.8, seed)
        assert (len(found[0]), len(found[1])) == (rows, columns)
        assert set(np.flatnonzero(index[0, :n] >= 0)) == found[0]
        sizes.append(rows)
    assert min(sizes) == 1
    assert max(sizes) > 4


def test_a_pair_is_left_out_where_it_costs_more_than_it_brings():
    cost = np.array([[0.1, 0.5], [0.5, 1.4]], np.float32)
    assert assigned(cost, 1.0) == {(0, 1), (1, 0)}
    assert assigned(cost, 0.55) == {(0, 0)}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_cost_that_is_no_number_is_no_pair(bad):
    cost = np.array([[bad, 0.3], [bad, 0.2]], np.float32)
    assert assigned(cost, 1.0) == {(1, 1)}


def test_a_full_frame_is_solved():
    """256 tracks, 300 detections, all of them possible: as large as it gets; every row finds its own column."""
    rng = np.random.default_rng(4)
    n, m = (40, 50) if DISABLE_JIT else (256, 300)
    cost = rng.uniform(0.5, 1.0, (n, m)).astype(np.float32)
    own = rng.permutation(m)[:n]
    cost[np.arange(n), own] = 0.001
    assert assigned(cost, 1.0) == {(i, int(j)) for i, j in enumerate(own)}
