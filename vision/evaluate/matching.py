"""Pairs of found and true things: instants in their order, and boxes or tracks by what they share."""

from __future__ import annotations

import numpy as np

from kernels.assign import assign


def match_times(found_s: np.ndarray, true_s: np.ndarray, within_s: float) -> list[tuple[int, int]]:
    """Return pairs (index of found, index of true) of rising instants that differ by `within_s` at most.

    The most pairs there are, and of those the ones with the least sum of differences; pairs do not cross in time.
    """
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < len(found_s) and j < len(true_s):
        # A stretch without a pause longer than `within_s` is matched by itself.
        a, b = i, j
        last = min(found_s[i], true_s[j])
        while True:
            if a < len(found_s) and found_s[a] <= last + within_s:
                last = max(last, found_s[a])
                a += 1
            elif b < len(true_s) and true_s[b] <= last + within_s:
                last = max(last, true_s[b])
                b += 1
            else:
                break
        pairs += [(i + x, j + y) for x, y in _align(found_s[i:a], true_s[j:b], within_s)]
        i, j = a, b
    return pairs


def _align(found_s: np.ndarray, true_s: np.ndarray, within_s: float) -> list[tuple[int, int]]:
    """Match two short series: (pairs, least sum) by dynamic programming over their prefixes."""
    n, m = len(found_s), len(true_s)
    best = np.zeros((n + 1, m + 1, 2))  # pairs, minus the sum of differences
    step = np.zeros((n + 1, m + 1), np.int8)
    for x in range(1, n + 1):
        for y in range(1, m + 1):
            ways = [tuple(best[x - 1, y]), tuple(best[x, y - 1])]
            apart = abs(found_s[x - 1] - true_s[y - 1])
            if apart <= within_s:
                ways.append((best[x - 1, y - 1, 0] + 1, best[x - 1, y - 1, 1] - apart))
            step[x, y] = max(range(len(ways)), key=ways.__getitem__)
            best[x, y] = ways[step[x, y]]
    pairs = []
    x, y = n, m
    while x and y:
        if step[x, y] == 2:
            pairs.append((x - 1, y - 1))
        x, y = x - (step[x, y] != 1), y - (step[x, y] != 0)
    return pairs[::-1]


def heaviest(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of the one-to-one pairs with the largest sum of weights f8[n, m]; none of weight 0."""
    n, m = weight.shape
    column_of, row_of = np.zeros(max(n, 1), np.int32), np.zeros(max(m, 1), np.int32)
    scratch = n + m + 2
    assign(-weight, n, m, 0.0, column_of, row_of, np.zeros((4, scratch)), np.zeros((6, scratch), np.int32))
    rows = np.flatnonzero(column_of[:n] >= 0)
    return rows, column_of[rows]


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the intersection over union of boxes f8[n, 4] and f8[m, 4] as f8[n, m]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = np.prod(np.clip(high - low, 0.0, None), axis=2)
    area_a, area_b = np.prod(a[:, 2:] - a[:, :2], axis=1), np.prod(b[:, 2:] - b[:, :2], axis=1)
    union = area_a[:, None] + area_b[None, :] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)
