"""Slow, obvious twins of kernels/thirds.py; same names, same arguments, plain Python."""

from __future__ import annotations

import math

from kernels.thirds import STEP


def _bytes(row):
    """Return the samples of a row of words, the lower half of each first."""
    return [part for word in row.tolist() for part in (word % 256, word // 256)]


def high_product(value, factor):
    return math.floor(int(value) * int(factor) / 65536)


def octet(value):
    return min(255, max(0, math.floor(int(value) / 32)))


def add_luma(y, row, n, wide):
    columns = list(zip(*(_bytes(y[3 * row + r]) for r in range(3)), strict=True))[: 2 * n]
    wide[:n] = [sum(column) for column in columns[::2]]
    wide[STEP : STEP + n] = [sum(column) for column in columns[1::2]]


def _chroma_rows(row):
    """Return how many halves of each chroma row lie in an output row, which is one and a half rows high."""
    halves = [(3 * row + k) // 2 for k in range(3)]
    return {at: halves.count(at) for at in halves}


def add_all(y, u, v, row, n, wide):
    add_luma(y, row, n, wide)
    for place, plane in ((2, u), (3, v)):
        for x in range(n):
            wide[place * STEP + x] = sum(times * int(plane[at, x]) for at, times in _chroma_rows(row).items())


def _sums(wide, n):
    """Return the sums of three neighbours of 2 n outputs."""
    samples = [int(wide[half * STEP + x]) for x in range(3 * n) for half in (0, 1)]
    return [sum(samples[3 * x : 3 * x + 3]) for x in range(2 * n)]


def _chroma_sums(wide, n, place):
    doubled = [int(wide[place * STEP + x // 2]) for x in range(6 * n)]
    return [sum(doubled[3 * x : 3 * x + 3]) for x in range(2 * n)]


def _words(samples):
    return [low + 256 * high for low, high in zip(samples[::2], samples[1::2], strict=True)]


def mean_words(wide, n, out):
    out[:n] = _words([math.floor(total / 9 + 0.5) for total in _sums(wide, n)])


def colour_words(wide, n, red, green, blue):
    gain, r_v, g_u, g_v, b_u, black = (int(wide[place * STEP]) for place in range(4, 10))
    rows = ([], [], [])
    for y, u, v in zip(_sums(wide, n), _chroma_sums(wide, n, 2), _chroma_sums(wide, n, 3), strict=True):
        light = high_product(16 * y, gain) + black
        u, v = 16 * (u - 1152), 16 * (v - 1152)
        parts = (high_product(v, r_v), high_product(u, g_u) + high_product(v, g_v), high_product(u, b_u))
        for row, part in zip(rows, parts, strict=True):
            row.append(octet(light + part))
    for out, row in zip((red, green, blue), rows, strict=True):
        out[:n] = _words(row)


def third_plane(src, width, height, work, left, top, out):
    for row in range(height):
        add_luma(src, row, 3 * width, work)
        mean_words(work, width, out[top + row, left:])


def third_colour(y, u, v, width, height, work, left, top, red, green, blue):
    for row in range(height):
        add_all(y, u, v, row, 3 * width, work)
        colour_words(work, width, *(plane[top + row, left:] for plane in (red, green, blue)))
