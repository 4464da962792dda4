"""Pixels: resize a plane, convert colour, average lamps; from a decoder's 4:2:0 planes to what a network reads.

Resizing is separable: every output sample is a weighted mean of neighbours along one axis, then along the other. The
weights decide what it is: the share of area when shrinking (no aliasing), the linear blend when enlarging. Weights are
whole 256ths, so that four rows fit side by side into one 64-bit word and the gathering pass, which cannot be
vectorised, is done for four rows at once. Both passes round to 8 bits: within 1 of the exact mean, 0.1 on average.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kernels._jit import kernel

#: Sum of the weights of one output sample.
WEIGHT_SUM = 256

#: Rows that are carried in one 64-bit word.
PACKED_ROWS = 4

#: Fixed-point shift of the colour matrix.
COLOUR_SHIFT = 13


class Taps(NamedTuple):
    """Which samples of an axis make each output sample: from `first` on, with these weights (sum WEIGHT_SUM)."""

    first: np.ndarray  # u8[n_out]
    weight: np.ndarray  # u2[taps, n_out]


class Scratch(NamedTuple):
    """Working memory of `resize_plane`, for one length of source line and one width of output at most."""

    rows: np.ndarray  # u1[4, line]
    wide: np.ndarray  # u2[line]
    packed: np.ndarray  # u8[line]
    sums: np.ndarray  # u8[width]


def make_scratch(line: int, width: int) -> Scratch:
    """Return working memory for source lines of `line` samples and outputs up to `width` samples wide."""
    return Scratch(
        np.zeros((PACKED_ROWS, line), np.uint8),
        np.zeros(line, np.uint16),
        np.zeros(line, np.uint64),
        np.zeros(width, np.uint64),
    )


def axis_taps(n_in: int, n_out: int) -> Taps:
    """Return the taps that resize an axis of n_in samples to n_out.

    Area shares when shrinking, linear blend of two when enlarging (sample centres at half integers, edges held).
    """
    scale = n_in / n_out
    if scale >= 1.0:
        low, high = np.arange(n_out) * scale, np.arange(1, n_out + 1) * scale
        first = np.floor(low + 1e-9).astype(np.int64)
        taps = int((np.ceil(high - 1e-9).astype(np.int64) - first).max())
        first = np.minimum(first, n_in - taps)
        left = first + np.arange(taps)[:, None]
        share = np.clip(np.minimum(high, left + 1) - np.maximum(low, left), 0.0, None) / scale
    else:
        centre = np.clip((np.arange(n_out) + 0.5) * scale - 0.5, 0.0, n_in - 1.0)
        first = np.minimum(np.floor(centre).astype(np.int64), max(n_in - 2, 0))
        share = np.stack([1.0 - (centre - first), centre - first])[: min(2, n_in)]
    return Taps(first.astype(np.uint64), _whole(share).astype(np.uint16))


def _whole(share: np.ndarray) -> np.ndarray:
    """Return shares f8[taps, n] as whole numbers that sum to WEIGHT_SUM: the largest remainders are rounded up."""
    exact = share * WEIGHT_SUM
    whole = np.floor(exact).astype(np.int64)
    missing = WEIGHT_SUM - whole.sum(axis=0)
    rank = np.argsort(np.argsort(whole - exact, axis=0, kind="stable"), axis=0, kind="stable")
    return np.asarray(whole + (rank < missing))


def colour_factors(kr: float, kb: float) -> tuple[float, int, float, float, float, float]:
    """Return from limited-range YUV to RGB: gain and offset of Y, then V to R, U and V to G, U to B.

    `kr` and `kb` are the luma weights of red and blue (ITU-R BT.601 section 2.5.1, BT.709 section 3.2).
    """
    kg = 1.0 - kr - kb
    c_gain = 255 / 224
    return (
        255 / 219,
        16,
        2 * (1 - kr) * c_gain,
        -2 * kb * (1 - kb) / kg * c_gain,
        -2 * kr * (1 - kr) / kg * c_gain,
        2 * (1 - kb) * c_gain,
    )


def colour_matrix(kr: float, kb: float) -> np.ndarray:
    """Return the fixed-point coefficients i4[6] of `colour_factors`."""
    gain, offset, *chroma = colour_factors(kr, kb)
    whole = [round(factor * (1 << COLOUR_SHIFT)) for factor in (gain, *chroma)]
    return np.array([whole[0], offset, *whole[1:]], np.int32)


@kernel
def blend_row(src, first, weight, wide, out):
    """Write the weighted mean of rows first.. of src u1[h, w] into out u1[w]; weight u2[taps], wide u2[w] scratch."""
    n = src.shape[1]
    taps = weight.shape[0]
    i = np.intp(first)
    half = np.uint16(WEIGHT_SUM // 2 - 1)  # halves go down here and up in gather_rows: no bias in sum
    # One plain loop for each usual number of taps: the compiler vectorises these, but no loop within a loop, and only
    # where each product is narrowed at once.
    if taps == 1:
        r0 = src[i]
        for x in range(n):
            out[x] = r0[x]
    elif taps == 2:
        r0, r1 = src[i], src[i + 1]
        a, b = weight[0], weight[1]
        for x in range(n):
            out[x] = np.uint8(np.uint16(np.uint16(r0[x] * a) + np.uint16(r1[x] * b) + half) >> 8)
    elif taps == 3:
        r0, r1, r2 = src[i], src[i + 1], src[i + 2]
        a, b, c = weight[0], weight[1], weight[2]
        for x in range(n):
            s = np.uint16(np.uint16(r0[x] * a) + np.uint16(r1[x] * b) + np.uint16(r2[x] * c) + half)
            out[x] = np.uint8(s >> 8)
    elif taps == 4:
        r0, r1, r2, r3 = src[i], src[i + 1], src[i + 2], src[i + 3]
        a, b, c, d = weight[0], weight[1], weight[2], weight[3]
        for x in range(n):
            s = np.uint16(
                np.uint16(r0[x] * a) + np.uint16(r1[x] * b) + np.uint16(r2[x] * c) + np.uint16(r3[x] * d) + half
            )
            out[x] = np.uint8(s >> 8)
    else:
        wide[:n] = half
        for k in range(taps):
            row = src[i + k]
            share = weight[k]
            for x in range(n):
                wide[x] = np.uint16(wide[x] + np.uint16(row[x] * share))
        for x in range(n):
            out[x] = np.uint8(wide[x] >> 8)


@kernel
def pack_rows(rows, packed):
    """Put four rows u1[4, w] side by side into packed u8[w], 16 bits each, row 0 in the lowest."""
    r0, r1, r2, r3 = rows[0], rows[1], rows[2], rows[3]
    for x in range(packed.shape[0]):
        low = np.uint64(r0[x]) | (np.uint64(r1[x]) << np.uint64(16))
        packed[x] = low | (np.uint64(r2[x]) << np.uint64(32)) | (np.uint64(r3[x]) << np.uint64(48))


@kernel
def gather_rows(packed, first, weight, sums, out0, out1, out2, out3):
    """Write the weighted means along four packed rows into out0..out3 u1[w].

    first u8[w], weight u2[taps, w], sums u8[w] scratch. Unsigned 64-bit throughout: a signed index would be tested for
    being negative at each access.
    """
    taps, width = weight.shape
    half = np.uint64(0x0080_0080_0080_0080)
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    if taps == 2:
        w0, w1 = weight[0], weight[1]
        for x in range(width):
            i = first[x]
            sums[x] = half + packed[i] * np.uint64(w0[x]) + packed[i + one] * np.uint64(w1[x])
    elif taps == 3:
        w0, w1, w2 = weight[0], weight[1], weight[2]
        for x in range(width):
            i = first[x]
            s = half + packed[i] * np.uint64(w0[x]) + packed[i + one] * np.uint64(w1[x])
            sums[x] = s + packed[i + two] * np.uint64(w2[x])
    elif taps == 4:
        w0, w1, w2, w3 = weight[0], weight[1], weight[2], weight[3]
        for x in range(width):
            i = first[x]
            s = half + packed[i] * np.uint64(w0[x]) + packed[i + one] * np.uint64(w1[x])
            sums[x] = s + packed[i + two] * np.uint64(w2[x]) + packed[i + three] * np.uint64(w3[x])
    else:
        for x in range(width):
            s = half
            for k in range(taps):
                s += packed[first[x] + np.uint64(k)] * np.uint64(weight[k, x])
            sums[x] = s
    # The high byte of each 16 bits is the mean. Apart from the sums, taking it is a loop that the compiler vectorises.
    octets = sums[:width].view(np.uint8)
    for x in range(width):
        out0[x] = octets[8 * x + 1]
    for x in range(width):
        out1[x] = octets[8 * x + 3]
    for x in range(width):
        out2[x] = octets[8 * x + 5]
    for x in range(width):
        out3[x] = octets[8 * x + 7]


@kernel
def resize_plane(src, down, across, scratch, left, top, out):
    """Resize src u1[h, line] into out u1[H, W] from column `left` and row `top` on, by the Taps `down` and `across`.

    Both are whole C-contiguous planes, with offsets instead of views: strides would keep the loops from vectorising.
    Columns of src behind the picture's width (padding of a decoder's lines) have no weight and change nothing.
    """
    rows, packed = scratch.rows, scratch.packed
    last = down.first.shape[0] - 1
    for y in range(0, last + 1, PACKED_ROWS):
        # At the bottom the last row is made again: cheaper than a second way for one to three rows.
        for r in range(PACKED_ROWS):
            z = min(y + r, last)
            blend_row(src, down.first[z], down.weight[:, z], scratch.wide, rows[r])
        pack_rows(rows, packed)
        out0, out1 = out[top + y][left:], out[top + min(y + 1, last)][left:]
        out2, out3 = out[top + min(y + 2, last)][left:], out[top + min(y + 3, last)][left:]
        gather_rows(packed, across.first, across.weight, scratch.sums, out0, out1, out2, out3)


@kernel
def convert_colour(yuv, matrix, left, top, red, green, blue):
    """Convert yuv u1[3, h, w] by `colour_matrix` into the planes red, green, blue u1[H, W] from (left, top) on."""
    gain, offset, r_v, g_u, g_v, b_u = matrix[0], matrix[1], matrix[2], matrix[3], matrix[4], matrix[5]
    zero, full = np.int32(0), np.int32(255)
    half = np.int32(1 << (COLOUR_SHIFT - 1))
    centre = np.int32(128)
    for y in range(yuv.shape[1]):
        row_y, row_u, row_v = yuv[0, y], yuv[1, y], yuv[2, y]
        row_r, row_g, row_b = red[top + y][left:], green[top + y][left:], blue[top + y][left:]
        for x in range(yuv.shape[2]):
            light = np.int32((np.int32(row_y[x]) - offset) * gain + half)
            u = np.int32(row_u[x]) - centre
            v = np.int32(row_v[x]) - centre
            r = np.int32(light + v * r_v) >> COLOUR_SHIFT
            g = np.int32(light + u * g_u + v * g_v) >> COLOUR_SHIFT
            b = np.int32(light + u * b_u) >> COLOUR_SHIFT
            row_r[x] = np.uint8(min(max(r, zero), full))
            row_g[x] = np.uint8(min(max(g, zero), full))
            row_b[x] = np.uint8(min(max(b, zero), full))


@kernel
def box_mean(plane, x1, y1, x2, y2):
    """Return the mean (0..255) of a plane u1[h, w] over columns x1..x2 - 1 and rows y1..y2 - 1; NaN where empty."""
    x1, y1 = max(x1, 0), max(y1, 0)
    x2, y2 = min(x2, plane.shape[1]), min(y2, plane.shape[0])
    if x2 <= x1 or y2 <= y1:
        return np.nan
    total = np.int64(0)
    for y in range(y1, y2):
        for x in range(x1, x2):
            total += np.int64(plane[y, x])
    return total / ((x2 - x1) * (y2 - y1))


@kernel
def lamp_means(luma, u, v, boxes, out):
    """Write the mean of each lamp's pixels into out LAMP[n, k] from planes u1 (u, v at half size).

    boxes i4[n, k, 4] holds x1, y1, x2, y2 in luma px, x2 and y2 exclusive; x1 < 0 is an absent lamp and gives NaN, as a
    box outside the picture does.
    """
    for s in range(boxes.shape[0]):
        for k in range(boxes.shape[1]):
            x1, y1, x2, y2 = boxes[s, k, 0], boxes[s, k, 1], boxes[s, k, 2], boxes[s, k, 3]
            if x1 < 0:
                x1 = x2 = 0
            out[s, k]["y"] = box_mean(luma, x1, y1, x2, y2)
            out[s, k]["u"] = box_mean(u, x1 // 2, y1 // 2, (x2 + 1) // 2, (y2 + 1) // 2)
            out[s, k]["v"] = box_mean(v, x1 // 2, y1 // 2, (x2 + 1) // 2, (y2 + 1) // 2)
