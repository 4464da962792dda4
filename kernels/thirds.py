"""Pixels of a picture that is exactly three times the network's, as 1080p is for 640 px: means of 3 x 3 samples.

The same means as `shrink` makes, made quicker. Two luma samples are read as one 16-bit word and parted by a mask and a
shift, without the shuffles that widening bytes needs. Samples at even and at odd places then stay apart until
two results are joined to one word. Each row takes two loops, so that no row but the source's leaves the nearest cache.

Colour is multiplied in 16 bits with the high half of each product kept, in 32nds: at most 0.05 is lost beside the
rounding to 8 bits. Factors stand once for each column: a compiler multiplies 16-bit lanes so only where it sees both
numbers loaded, not where one is the same for all.
"""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel
from kernels.pixels import colour_factors

#: Samples between two rows of the working memory; the most words that a row of source may have.
STEP = 2112

#: Rows of the working memory: even and odd luma, U, V, then six of factors.
ROWS, FACTORS_AT = 10, 4

#: Widest output.
WIDTH_MAX_PX = STEP * 2 // 3


def make_work() -> np.ndarray:
    """Return working memory i2[10 * STEP], for any size."""
    return np.zeros(ROWS * STEP, np.int16)


def put_factors(work: np.ndarray, kr: float, kb: float) -> None:
    """Write the factors of `colour_factors` into working memory, as 65536ths that turn 16 * 9 samples into 32nds."""
    gain, offset, *chroma = colour_factors(kr, kb)
    scale = 65536 * 32 / (16 * 9)
    rows = work.reshape(ROWS, STEP)[FACTORS_AT:]
    for row, factor in zip(rows, (gain, *chroma), strict=False):
        row[:] = round(factor * scale)
    rows[5] = 16 - round(32 * offset * gain) + 1  # half of 1 to round, and what two cut products lack


@kernel
def high_product(value, factor):
    """Return value * factor / 65536, rounded down, of two i2."""
    return np.int16(np.int32(np.int32(value) * np.int32(factor)) >> 16)


@kernel
def octet(value):
    """Return an i2 in 32nds as a whole number u2 of 0..255."""
    return np.uint16(min(max(np.int16(value >> 5), np.int16(0)), np.int16(255)))


@kernel
def add_luma(y, row, n, wide):
    """Add the three rows that make output row `row` of y u2[h, words]: even samples into wide[:n], odd from STEP on."""
    r0, r1, r2 = y[3 * row], y[3 * row + 1], y[3 * row + 2]
    low = np.uint16(255)
    for x in range(n):
        a, b, c = r0[x], r1[x], r2[x]
        wide[x] = np.int16(np.uint16(a & low) + np.uint16(b & low) + np.uint16(c & low))
        wide[x + STEP] = np.int16(np.uint16(a >> 8) + np.uint16(b >> 8) + np.uint16(c >> 8))


@kernel
def add_all(y, u, v, row, n, wide):
    """Do as `add_luma`, and add chroma rows u1: twice the row that is whole within the output row, once the halved one.

    U goes to wide[2 * STEP :], V to wide[3 * STEP :].
    """
    r0, r1, r2 = y[3 * row], y[3 * row + 1], y[3 * row + 2]
    near, far = row * 3 // 2 + (row & 1), row * 3 // 2 + 1 - (row & 1)
    u0, u1, v0, v1 = u[near], u[far], v[near], v[far]
    low = np.uint16(255)
    for x in range(n):
        a, b, c = r0[x], r1[x], r2[x]
        wide[x] = np.int16(np.uint16(a & low) + np.uint16(b & low) + np.uint16(c & low))
        wide[x + STEP] = np.int16(np.uint16(a >> 8) + np.uint16(b >> 8) + np.uint16(c >> 8))
        wide[x + 2 * STEP] = np.int16(np.int16(u1[x]) + np.int16(np.int16(u0[x]) << 1))
        wide[x + 3 * STEP] = np.int16(np.int16(v1[x]) + np.int16(np.int16(v0[x]) << 1))


@kernel
def mean_words(wide, n, out):
    """Write the means of 3 x 3 samples into out u2, two a word, n words; wide as `add_luma` leaves it."""
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    step, step_one, step_two = np.uint64(STEP), np.uint64(STEP + 1), np.uint64(STEP + 2)
    # 7282 / 65536 is a little more than a ninth: with 4 added to round, exact for every sum.
    ninth = np.uint32(7282)
    for x in range(n):
        i = np.uint64(x) * three
        even = np.uint16(wide[i] + wide[i + step] + wide[i + one] + 4)
        odd = np.uint16(wide[i + step_one] + wide[i + two] + wide[i + step_two] + 4)
        high = np.uint16(np.uint32(np.uint32(odd) * ninth) >> 16)
        out[x] = np.uint16(np.uint16(np.uint32(np.uint32(even) * ninth) >> 16) | np.uint16(high << 8))


@kernel
def colour_words(wide, n, red, green, blue):
    """Write n words of two pixels each into red, green and blue u2; wide as `add_all` and `put_factors` leave it."""
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    centre = np.int16(128 * 9)
    for x in range(n):
        i = np.uint64(x) * three
        gain, black = np.uint16(wide[x + 4 * STEP]), wide[x + 9 * STEP]
        r_v, g_u = wide[x + 5 * STEP], wide[x + 6 * STEP]
        g_v, b_u = wide[x + 7 * STEP], wide[x + 8 * STEP]
        y0 = np.uint16(wide[i] + wide[i + np.uint64(STEP)] + wide[i + one])
        y1 = np.uint16(wide[i + np.uint64(STEP + 1)] + wide[i + two] + wide[i + np.uint64(STEP + 2)])
        ua, um, ub = wide[i + np.uint64(2 * STEP)], wide[i + np.uint64(2 * STEP + 1)], wide[i + np.uint64(2 * STEP + 2)]
        va, vm, vb = wide[i + np.uint64(3 * STEP)], wide[i + np.uint64(3 * STEP + 1)], wide[i + np.uint64(3 * STEP + 2)]
        u = np.int16(np.int16(np.int16(ua + ua + um) - centre) << 4)
        v = np.int16(np.int16(np.int16(va + va + vm) - centre) << 4)
        light = np.int16(np.int16(np.uint32(np.uint32(np.uint16(y0 << 4)) * np.uint32(gain)) >> 16) + black)
        r0 = octet(np.int16(light + high_product(v, r_v)))
        g0 = octet(np.int16(np.int16(light + high_product(u, g_u)) + high_product(v, g_v)))
        b0 = octet(np.int16(light + high_product(u, b_u)))
        u = np.int16(np.int16(np.int16(ub + ub + um) - centre) << 4)
        v = np.int16(np.int16(np.int16(vb + vb + vm) - centre) << 4)
        light = np.int16(np.int16(np.uint32(np.uint32(np.uint16(y1 << 4)) * np.uint32(gain)) >> 16) + black)
        r1 = octet(np.int16(light + high_product(v, r_v)))
        g1 = octet(np.int16(np.int16(light + high_product(u, g_u)) + high_product(v, g_v)))
        b1 = octet(np.int16(light + high_product(u, b_u)))
        red[x] = np.uint16(r0 | np.uint16(r1 << 8))
        green[x] = np.uint16(g0 | np.uint16(g1 << 8))
        blue[x] = np.uint16(b0 | np.uint16(b1 << 8))


@kernel
def third_plane(src, width, height, work, left, top, out):
    """Shrink src u2[h, words] to a third: `height` rows of `width` words into out u2[H, words] from (left, top) on."""
    for row in range(height):
        add_luma(src, row, 3 * width, work)
        mean_words(work, width, out[top + row][left:])


@kernel
def third_colour(y, u, v, width, height, work, left, top, red, green, blue):
    """Shrink 4:2:0 planes (y u2[h, words], u and v u1) to a third and convert their colour by the factors in `work`.

    Writes `height` rows of `width` words into red, green and blue u2[H, words] from word `left` and row `top` on.
    """
    for row in range(height):
        add_all(y, u, v, row, 3 * width, work)
        at = top + row
        colour_words(work, width, red[at][left:], green[at][left:], blue[at][left:])
