"""Gated assignment: rows to columns by least cost, exact, one small connected component at a time.

Pairs at or above the gate are no pairs. What is maximised is the sum of (gate - cost), so that a pair is left out
where taking it would cost more than it brings (the same optimum as LAPJV with a cost limit). Gating cuts the problem
into components that are mostly one row and one column; larger ones are solved by shortest augmenting paths
(Jonker, Volgenant, Computing 38, 1987).
"""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel


@kernel
def assign(cost, n, m, gate, column_of, row_of, work, index):
    """Fill `column_of[n]` and `row_of[m]` (-1: none) for cost[:n, :m] and return the number of pairs.

    `work` is f8[4, k] and `index` i4[6, k] of scratch with k >= n + m + 2.
    """
    column_of[:n] = -1
    row_of[:m] = -1
    count_pairs(cost, n, m, gate, index)
    row_label = index[0]
    pairs = 0
    for seed in range(n):
        if row_label[seed] >= -1:  # of another seed's component, or without a column
            continue
        rows, columns = component(cost, n, m, gate, seed, index)
        if columns == 0:
            continue
        if rows == 1 and columns == 1:
            column_of[seed] = index[3][0]
            row_of[index[3][0]] = seed
            pairs += 1
        elif rows <= columns:
            pairs += solve(cost, gate, index[2], rows, index[3], columns, False, column_of, row_of, work, index)
        else:
            pairs += solve(cost, gate, index[3], columns, index[2], rows, True, column_of, row_of, work, index)
    return pairs


@kernel
def count_pairs(cost, n, m, gate, index):
    """Label each row (index[0]) and column (index[1]) with -1 less how many of the other side are below the gate."""
    row_label, column_label = index[0], index[1]
    column_label[:m] = -1
    for row in range(n):
        prices = cost[row]
        count = np.int32(0)
        for column in range(m):
            below = np.int32(prices[column] < gate)
            count = np.int32(count + below)
            column_label[column] = np.int32(column_label[column] - below)
        row_label[row] = -1 - count


@kernel
def component(cost, n, m, gate, seed, index):
    """Collect the rows (index[2]) and columns (index[3]) connected to row `seed`; return how many of each.

    Labels are those of `count_pairs`; those that are collected become `seed`. As it is known how many of the other side
    each has, a search ends with the last of them.
    """
    row_label, column_label, rows, columns = index[0], index[1], index[2], index[3]
    of_row, of_column = index[4], index[5]
    rows[0], of_row[0] = seed, -1 - row_label[seed]
    row_label[seed] = seed
    n_rows = 1
    n_columns = 0
    done_rows = 0
    done_columns = 0
    while done_rows < n_rows or done_columns < n_columns:
        if done_rows < n_rows:
            row, left = rows[done_rows], of_row[done_rows]
            done_rows += 1
            column = 0
            while left > 0 and column < m:
                if cost[row, column] < gate:
                    left -= 1
                    if column_label[column] < 0:
                        columns[n_columns], of_column[n_columns] = column, -1 - column_label[column]
                        column_label[column] = seed
                        n_columns += 1
                column += 1
        else:
            column, left = columns[done_columns], of_column[done_columns]
            done_columns += 1
            row = 0
            while left > 0 and row < n:
                if cost[row, column] < gate:
                    left -= 1
                    if row_label[row] < 0:
                        rows[n_rows], of_row[n_rows] = row, -1 - row_label[row]
                        row_label[row] = seed
                        n_rows += 1
                row += 1
    return n_rows, n_columns


@kernel
def solve(cost, gate, near, n, far, m, flipped, column_of, row_of, work, index):
    """Assign n `near` items to m >= n `far` items by least cost; return the pairs below the gate.

    `flipped`: near items are columns of `cost`. Potentials and slacks live in `work`, links in index[4:6].
    """
    near_price, far_price, slack = work[0], work[1], work[2]
    owner, way = index[4], index[5]
    near_price[: n + 1] = 0.0
    far_price[: m + 1] = 0.0
    owner[: m + 1] = 0
    visited = work[3]
    for i in range(1, n + 1):
        owner[0] = i
        j0 = 0
        slack[: m + 1] = np.inf
        visited[: m + 1] = 0.0
        while True:
            visited[j0] = 1.0
            i0 = owner[j0]
            delta = np.inf
            j1 = 0
            for j in range(1, m + 1):
                if visited[j] != 0.0:
                    continue
                c = cost[far[j - 1], near[i0 - 1]] if flipped else cost[near[i0 - 1], far[j - 1]]
                reduced = min(c, gate) - near_price[i0] - far_price[j]
                if reduced < slack[j]:
                    slack[j] = reduced
                    way[j] = j0
                if slack[j] < delta:
                    delta = slack[j]
                    j1 = j
            for j in range(m + 1):
                if visited[j] != 0.0:
                    near_price[owner[j]] += delta
                    far_price[j] -= delta
                else:
                    slack[j] -= delta
            j0 = j1
            if owner[j0] == 0:
                break
        while j0 != 0:
            owner[j0] = owner[way[j0]]
            j0 = way[j0]
    pairs = 0
    for j in range(1, m + 1):
        if owner[j] == 0:
            continue
        row = far[j - 1] if flipped else near[owner[j] - 1]
        column = near[owner[j] - 1] if flipped else far[j - 1]
        if cost[row, column] < gate:
            column_of[row] = column
            row_of[column] = row
            pairs += 1
    return pairs
