"""Slow, obvious twins of kernels/pixels.py; same names, same arguments, plain Python."""

from __future__ import annotations

import math

import numpy as np


def blend_row(src, first, weight, wide, out):
    for x in range(src.shape[1]):
        total = sum(int(src[int(first) + k, x]) * int(weight[k]) for k in range(len(weight)))
        out[x] = (total + 127) // 256


def pack_rows(rows, packed):
    for x in range(len(packed)):
        packed[x] = sum(int(rows[r, x]) * 65_536**r for r in range(4))


def gather_rows(packed, first, weight, sums, out0, out1, out2, out3):
    for r, out in enumerate((out0, out1, out2, out3)):
        for x in range(len(first)):
            lanes = [int(packed[int(first[x]) + k]) // 65_536**r % 65_536 for k in range(len(weight))]
            total = sum(lane * int(weight[k, x]) for k, lane in enumerate(lanes))
            out[x] = (total + 128) // 256


def resize_plane(src, down, across, scratch, left, top, out):
    for y in range(len(down.first)):
        row = np.zeros(src.shape[1], np.uint8)
        blend_row(src, down.first[y], down.weight[:, y], None, row)
        for x in range(len(across.first)):
            start = int(across.first[x])
            total = sum(int(row[start + k]) * int(across.weight[k, x]) for k in range(len(across.weight)))
            out[top + y, left + x] = (total + 128) // 256


def convert_colour(yuv, matrix, left, top, red, green, blue):
    gain, offset, r_v, g_u, g_v, b_u = (int(value) for value in matrix)
    for y in range(yuv.shape[1]):
        for x in range(yuv.shape[2]):
            luma, u, v = int(yuv[0, y, x]) - offset, int(yuv[1, y, x]) - 128, int(yuv[2, y, x]) - 128
            for plane, value in ((red, r_v * v), (green, g_u * u + g_v * v), (blue, b_u * u)):
                plane[top + y, left + x] = min(255, max(0, (gain * luma + value + 4096) // 8192))


def box_mean(plane, x1, y1, x2, y2):
    height, width = plane.shape
    values = [int(plane[y, x]) for y in range(y1, y2) for x in range(x1, x2) if 0 <= x < width and 0 <= y < height]
    return sum(values) / len(values) if values else math.nan


def lamp_means(luma, u, v, boxes, out):
    for s in range(boxes.shape[0]):
        for k in range(boxes.shape[1]):
            x1, y1, x2, y2 = (int(value) for value in boxes[s, k])
            if x1 < 0:
                out[s, k] = (math.nan, math.nan, math.nan)
                continue
            half = (x1 // 2, y1 // 2, (x2 + 1) // 2, (y2 + 1) // 2)
            out[s, k] = (box_mean(luma, x1, y1, x2, y2), box_mean(u, *half), box_mean(v, *half))
