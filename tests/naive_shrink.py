"""Slow, obvious twins of kernels/shrink.py; same names, same arguments, plain Python."""

from __future__ import annotations

from fractions import Fraction


def _area(src, top, left, size_y, size_x):
    """Return the sum over a rectangle whose edges may lie within samples, as a fraction."""
    total = Fraction(0)
    for y in range(src.shape[0]):
        down = min(top + size_y, y + 1) - max(top, y)
        if down <= 0:
            continue
        for x in range(src.shape[1]):
            across = min(left + size_x, x + 1) - max(left, x)
            if across > 0:
                total += down * across * int(src[y, x])
    return total


def add_rows(src, first, k, wide):
    for x in range(len(wide)):
        wide[x] = sum(int(src[first + r, x]) for r in range(k))


def add_across(wide, k, out):
    for x in range(len(out)):
        out[x] = sum(wide[k * x : k * x + k].tolist())


def chroma_row(src, y, k, wide, out):
    side = Fraction(k, 2)
    for x in range(len(out)):
        out[x] = int(_area(src, y * side, x * side, side, side) * 4)


def shrink_plane(src, k, wide, sums, left, top, height, out):
    for y in range(height):
        for x in range(len(sums)):
            out[top + y, left + x] = int(_area(src, k * y, k * x, k, k) / (k * k) + Fraction(1, 2))


def colour_row(sums, matrix, red, green, blue):
    gain, black, r_v, g_u, g_v, b_u = matrix.tolist()
    for x, (y, u, v) in enumerate(sums.T.tolist()):
        light, u, v = (y - black) * gain, u - 8 * black, v - 8 * black
        for row, value in ((red, r_v * v), (green, g_u * u + g_v * v), (blue, b_u * u)):
            row[x] = min(255, max(0, (light + value + 32768) // 65536))


def shrink_colour(y, u, v, k, matrix, wide, sums, left, top, height, red, green, blue):
    width = sums.shape[1]
    for line in range(height):
        for x in range(width):
            sums[0, x] = int(_area(y, k * line, k * x, k, k))
        chroma_row(u, line, k, None, sums[1])
        chroma_row(v, line, k, None, sums[2])
        rows = (plane[top + line, left : left + width] for plane in (red, green, blue))
        colour_row(sums, matrix, *rows)
