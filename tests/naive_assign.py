"""Twins of the assignment: every pairing is tried."""

from __future__ import annotations

import itertools


def assign(cost, gate):
    """Try every way to give each row one free column or none, and keep the one that saves most against the gate."""
    options = [[j for j, c in enumerate(row) if c < gate] for row in cost]
    later = [set(itertools.chain.from_iterable(options[i:])) for i in range(len(options) + 1)]
    known = {}

    def best(row, taken):
        if row == len(options):
            return 0.0, ()
        key = (row, taken & frozenset(later[row]))
        if key not in known:
            found = best(row + 1, taken)
            for j in options[row]:
                if j not in taken:
                    saved, pairs = best(row + 1, taken | {j})
                    saved += gate - cost[row][j]
                    if saved > found[0]:
                        found = saved, ((row, j), *pairs)
            known[key] = found
        return known[key]

    return set(best(0, frozenset())[1])


def count_pairs(cost, gate):
    """Return how many prices are below the gate in each row, and in each column."""
    return [sum(c < gate for c in row) for row in cost], [
        sum(c < gate for c in column) for column in zip(*cost, strict=True)
    ]


def component(cost, gate, seed):
    """Add what is one pair away until nothing is."""
    rows, columns = {seed}, set()
    while True:
        more_columns = {j for i in rows for j, c in enumerate(cost[i]) if c < gate}
        more_rows = rows | {i for i, row in enumerate(cost) for j in more_columns if row[j] < gate}
        if (more_rows, more_columns) == (rows, columns):
            return rows, columns
        rows, columns = more_rows, more_columns


def solve(cost, gate):
    """Try every order of the far items: cost[near][far], no more near than far; pairs at the gate are none."""
    ways = itertools.permutations(range(len(cost[0])), len(cost))
    way = min(ways, key=lambda way: sum(min(row[j], gate) for row, j in zip(cost, way, strict=True)))
    return {(i, j) for i, j in enumerate(way) if cost[i][j] < gate}
