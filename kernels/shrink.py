"""Pixels by whole numbers: a picture that is two or three times the network's, as 720p and 1080p are for 640 px.

Every output sample is the plain mean of k x k samples, which `pixels` reaches for any size by weights. Here the means
are sums that nothing rounds before the last step, and every pass is a loop that the compiler vectorises: k rows are
added, then k neighbours. Chroma at half size needs 3:2 for k = 3 (each output is two thirds of one sample and a third
of the next) and nothing for k = 2. All sums of a picture are k * k times the mean: colour is converted from sums too.
"""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel
from kernels.pixels import colour_factors

#: Sizes that go by whole numbers.
FACTORS = (2, 3)

#: Fixed-point shift of what a sum is multiplied with.
SHIFT = 16


def sum_matrix(kr: float, kb: float, k: int) -> np.ndarray:
    """Return the coefficients i4[6] of `colour_matrix` for sums that are k * k times the sample."""
    gain, offset, *chroma = colour_factors(kr, kb)
    scale = (1 << SHIFT) / (k * k)
    return np.array([round(gain * scale), offset * k * k, *(round(factor * scale) for factor in chroma)], np.int32)


@kernel
def add_rows(src, first, k, wide):
    """Write the sum of the k rows from `first` on of src u1[h, w] into wide u2[w]; k is 2 or 3."""
    r0, r1, r2 = src[first], src[first + 1], src[first + k - 1]
    if k == 2:
        for x in range(wide.shape[0]):
            wide[x] = np.uint16(np.uint16(r0[x]) + np.uint16(r1[x]))
    else:
        for x in range(wide.shape[0]):
            wide[x] = np.uint16(np.uint16(r0[x]) + np.uint16(r1[x]) + np.uint16(r2[x]))


@kernel
def add_across(wide, k, out):
    """Write the sum of each k neighbours of wide u2[k * w] into out u2[w]; k is 2 or 3."""
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    if k == 2:
        for x in range(out.shape[0]):
            i = np.uint64(x) * two
            out[x] = np.uint16(wide[i] + wide[i + one])
    else:
        for x in range(out.shape[0]):
            i = np.uint64(x) * three
            out[x] = np.uint16(wide[i] + wide[i + one] + wide[i + two])


@kernel
def chroma_row(src, y, k, wide, out):
    """Write row y of a chroma plane u1[h, w] into out u2, at k / 2 of its size: k * k times the mean of its area."""
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    if k == 2:
        row = src[y]
        for x in range(out.shape[0]):
            out[x] = np.uint16(np.uint16(row[x]) << 2)
        return
    # Two thirds of the row that is whole within the output row, one of the row that is halved. Twice is a shift: with
    # a product by a variable the loop would not be vectorised.
    near, far = src[y * 3 // 2 + (y & 1)], src[y * 3 // 2 + 1 - (y & 1)]
    for x in range(wide.shape[0]):
        wide[x] = np.uint16(np.uint16(far[x]) + np.uint16(np.uint16(near[x]) << 1))
    for x in range(out.shape[0] >> 1):
        i, j = np.uint64(x) * three, np.uint64(x) * two
        middle = wide[i + one]
        out[j] = np.uint16(wide[i] + wide[i] + middle)
        out[j + one] = np.uint16(middle + wide[i + two] + wide[i + two])


@kernel
def shrink_plane(src, k, wide, sums, left, top, height, out):
    """Shrink src u1[h, line] by k into `height` rows of out u1[H, W] from (left, top) on; len(sums) is the width."""
    scale, half = np.uint32(((1 << SHIFT) + k * k - 1) // (k * k)), np.uint32(1 << (SHIFT - 1))
    for y in range(height):
        add_rows(src, y * k, k, wide)
        add_across(wide, k, sums)
        row = out[top + y][left:]
        for x in range(sums.shape[0]):
            row[x] = np.uint8(np.uint32(np.uint32(sums[x]) * scale + half) >> np.uint32(SHIFT))


@kernel
def colour_row(sums, matrix, red, green, blue):
    """Convert one row of sums u2[3, w] (Y, U, V) by `sum_matrix` into rows u1 of red, green and blue."""
    gain, offset, r_v, g_u, g_v, b_u = matrix[0], matrix[1], matrix[2], matrix[3], matrix[4], matrix[5]
    zero, full, half = np.int32(0), np.int32(255), np.int32(1 << (SHIFT - 1))
    centre = np.int32(offset * 8)  # 128 to the 16 that black is
    row_y, row_u, row_v = sums[0], sums[1], sums[2]
    for x in range(row_y.shape[0]):
        light = np.int32((np.int32(row_y[x]) - offset) * gain + half)
        u = np.int32(np.int32(row_u[x]) - centre)
        v = np.int32(np.int32(row_v[x]) - centre)
        r = np.int32(light + v * r_v) >> SHIFT
        g = np.int32(light + u * g_u + v * g_v) >> SHIFT
        b = np.int32(light + u * b_u) >> SHIFT
        red[x] = np.uint8(min(max(r, zero), full))
        green[x] = np.uint8(min(max(g, zero), full))
        blue[x] = np.uint8(min(max(b, zero), full))


@kernel
def shrink_colour(y, u, v, k, matrix, wide, sums, left, top, height, red, green, blue):
    """Shrink 4:2:0 planes u1[h, line] by k and convert them into `height` rows of red, green and blue u1[H, W].

    The picture begins at (left, top). wide u2[2, k * width] and sums u2[3, width] are scratch, matrix is `sum_matrix`
    of k. One row at a time, so that all but the source stays in the nearest cache.
    """
    luma, half = wide[0], wide[1][: sums.shape[1] * k // 2]
    for row in range(height):
        add_rows(y, row * k, k, luma)
        add_across(luma, k, sums[0])
        chroma_row(u, row, k, half, sums[1])
        chroma_row(v, row, k, half, sums[2])
        at = top + row
        colour_row(sums, matrix, red[at][left:], green[at][left:], blue[at][left:])
