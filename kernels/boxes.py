"""From a network's raw output to the detections of a frame: heads, ranking, suppression of doubles, source pixels.

A head writes candidates into columns that were allocated once (`xyxy_px` f4[n, 4] in network px, `score` f4[n],
`class_id` i2[n], with room for every row of the output) and returns how many, or why the output cannot be used. It
looks only at the classes in use. `used` i8[k] holds their indices in the output, `ours` i2[k] our class of each.
"""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.records import CLASSES
from kernels.track import overlap

#: What a head returns for an output that cannot be used.
NOT_FINITE, BAD_SCORE, BAD_CLASS = -1, -2, -3

#: Scores of half-precision networks may round to a little over 1.
SCORE_MAX = 1.01

#: Most candidates of a frame that are compared with each other; the best by score.
MAX_CANDIDATES = 1000

#: Within a group boxes compete, as one vehicle is often both car and truck to a network. Riders do not compete with
#: what they ride, nor a motorcycle with the car behind it.
GROUPS = {"car": 0, "bus": 0, "truck": 0, "motorcycle": 1, "bicycle": 1, "person": 2}
GROUP_OF = np.array([GROUPS[name] for name in CLASSES], np.int8)

#: A box that is smaller within the frame says nothing.
SIDE_MIN_PX = 1.0

#: Cells that are looked at together, where a class is nowhere and where it is somewhere.
_LONG_BLOCK, _BLOCK = 1024, 64
#: The lower half of a key: what is left of it after a candidate's number.
_LAST = (1 << 31) - 1


@kernel
def put_middle(cx_px, cy_px, width_px, height_px, n, xyxy_px):
    """Write row n of `xyxy_px` from a box's middle and size; say whether all of it is finite."""
    xyxy_px[n, 0] = cx_px - width_px * 0.5
    xyxy_px[n, 1] = cy_px - height_px * 0.5
    xyxy_px[n, 2] = cx_px + width_px * 0.5
    xyxy_px[n, 3] = cy_px + height_px * 0.5
    total = xyxy_px[n, 0] + xyxy_px[n, 1] + xyxy_px[n, 2] + xyxy_px[n, 3]
    return math.isfinite(total) and math.isfinite(width_px + height_px)


@kernel
def yolox_head(raw, cells, decoded, used, ours, score_min, xyxy_px, score, class_id):
    """Read YOLOX rows f4[n, 5 + c] (box, objectness, class scores; all scores 0..1): score = objectness * class score.

    `cells` f4[n, 3] holds column, row and stride in px of each row's cell: a box is ((p + cell) * stride,
    exp(p) * stride) unless `decoded` (Ge et al. 2021, arXiv:2107.08430).
    """
    n = 0
    for i in range(raw.shape[0]):
        objectness = raw[i, 4]
        if objectness < score_min:  # a class score is at most 1
            continue
        best, kind = np.float32(-1.0), 0
        for k in range(used.shape[0]):
            value = objectness * raw[i, 5 + used[k]]
            if not math.isfinite(value):
                return NOT_FINITE
            if value > best:
                best, kind = value, k
        if best < score_min:
            continue
        if best > SCORE_MAX:
            return BAD_SCORE
        x, y, w, h = raw[i, 0], raw[i, 1], raw[i, 2], raw[i, 3]
        if not decoded:
            stride = cells[i, 2]
            x, y = (x + cells[i, 0]) * stride, (y + cells[i, 1]) * stride
            w, h = math.exp(w) * stride, math.exp(h) * stride
        if not put_middle(x, y, w, h, n, xyxy_px):
            return NOT_FINITE
        score[n], class_id[n] = best, ours[kind]
        n += 1
    return n


@kernel
def strong_in(values, score_min):
    """Return how many of values f4[n] are not below score_min; NaN is not.

    Nearly all cells are empty: counting is a loop without branches, many cells at once.
    """
    hits = np.int32(0)
    for i in range(values.shape[0]):
        hits = np.int32(hits + np.int32(not values[i] < score_min))
    return hits


@kernel
def take_best(row, start, stop, k, score_min, score, kind):
    """Write into score and kind where class k's scores row f4[n] are strong and above what stands there.

    Looks at cells start to stop - 1. Returns 0, or why the output cannot be used.
    """
    for i in range(start, stop):
        value = row[i]
        if value < score_min:
            continue
        if not math.isfinite(value):
            return NOT_FINITE
        if value > SCORE_MAX:
            return BAD_SCORE
        if value > score[i]:
            score[i], kind[i] = value, k
    return 0


@kernel
def best_of_cells(raw, used, score_min, score, kind):
    """Write the best class score of each column of raw f4[4 + c, n] and which of `used` it is; -1 where all are below.

    Returns 0, or why the output cannot be used.
    """
    cells = raw.shape[1]
    score[:cells] = np.float32(-1.0)
    for k in range(used.shape[0]):
        row = raw[4 + used[k]]
        for begin in range(0, cells, _LONG_BLOCK):
            end = min(begin + _LONG_BLOCK, cells)
            left = strong_in(row[begin:end], score_min)
            start = begin
            while left > 0:
                stop = min(start + _BLOCK, end)
                here = strong_in(row[start:stop], score_min)
                if here != 0:
                    wrong = take_best(row, start, stop, k, score_min, score, kind)
                    if wrong != 0:
                        return wrong
                left -= here
                start = stop
    return 0


@kernel
def yolov8_head(raw, used, ours, score_min, xyxy_px, score, class_id):
    """Read columns f4[4 + c, n] as YOLOv8 and YOLOv11 export them: middle and size in px, class scores 0..1.

    `score` and `class_id` first hold the best of every column, then those that are strong enough, moved together.
    """
    wrong = best_of_cells(raw, used, score_min, score, class_id)
    if wrong != 0:
        return wrong
    n = 0
    for start in range(0, raw.shape[1], _BLOCK):
        stop = min(start + _BLOCK, raw.shape[1])
        if strong_in(score[start:stop], score_min) == 0:
            continue
        for i in range(start, stop):
            if score[i] < score_min:
                continue
            if not put_middle(raw[0, i], raw[1, i], raw[2, i], raw[3, i], n, xyxy_px):
                return NOT_FINITE
            score[n], class_id[n] = score[i], ours[class_id[i]]
            n += 1
    return n


@kernel
def detr_head(boxes, scores, sigmoid, size_px, used, ours, score_min, xyxy_px, score, class_id):
    """Read queries: boxes f4[q, 4] (middle and size, 0..1 of `size_px` f4[2]), class scores f4[q, c].

    With `sigmoid` the scores are logits. A query is one object, of the class with the best score.
    """
    level = np.float32(score_min)
    if sigmoid:
        level = np.float32(math.log(score_min / (1.0 - score_min)))
    n = 0
    for i in range(scores.shape[0]):
        best, kind = np.float32(-math.inf), -1
        for k in range(used.shape[0]):
            value = scores[i, used[k]]
            if not math.isfinite(value):
                return NOT_FINITE
            if value > best:
                best, kind = value, k
        if best < level:
            continue
        if sigmoid:
            best = np.float32(1.0 / (1.0 + math.exp(-best)))
        if best > SCORE_MAX:
            return BAD_SCORE
        w, h = size_px[0], size_px[1]
        if not put_middle(boxes[i, 0] * w, boxes[i, 1] * h, boxes[i, 2] * w, boxes[i, 3] * h, n, xyxy_px):
            return NOT_FINITE
        score[n], class_id[n] = best, ours[kind]
        n += 1
    return n


@kernel
def rows_head(boxes, scores, labels, ours_of, score_min, xyxy_px, score, class_id):
    """Read finished rows: boxes f4[k, 4] (corners in network px), scores f4[k] 0..1, labels[k] of any number type.

    `ours_of` i2[c] is our class of each label, -1 where it is not in use.
    """
    n = 0
    for i in range(scores.shape[0]):
        value = scores[i]
        if value < score_min:
            continue
        if not math.isfinite(value):
            return NOT_FINITE
        if value > SCORE_MAX:
            return BAD_SCORE
        if not (labels[i] >= 0 and labels[i] < ours_of.shape[0]):
            return BAD_CLASS
        kind = ours_of[int(labels[i])]
        if kind < 0:
            continue
        for side in range(4):
            if not math.isfinite(boxes[i, side]):
                return NOT_FINITE
            xyxy_px[n, side] = boxes[i, side]
        score[n], class_id[n] = value, kind
        n += 1
    return n


@kernel
def sink(keys, top, n):
    """Let the key at `top` of the heap keys[:n] sink below every smaller one."""
    moving = keys[top]
    while 2 * top + 1 < n:
        child = 2 * top + 1
        if child + 1 < n and keys[child + 1] < keys[child]:
            child += 1
        if keys[child] >= moving:
            break
        keys[top] = keys[child]
        top = child
    keys[top] = moving


@kernel
def rank(score, n, order):
    """Fill `order` i8[most] with the best of n candidates, best first, and return how many there are.

    By score, then by number, so that the order is always the same. Both stand in one key: the bits of floats that are
    not negative are ordered as they are.
    """
    kept = min(n, order.shape[0])
    bits = score.view(np.int32)
    for i in range(kept):
        order[i] = np.int64(bits[i]) << 31 | (_LAST - i)
    for top in range(kept // 2 - 1, -1, -1):
        sink(order, top, kept)
    for i in range(kept, n):
        key = np.int64(bits[i]) << 31 | (_LAST - i)
        if key > order[0]:
            order[0] = key
            sink(order, 0, kept)
    for last in range(kept - 1, 0, -1):
        order[0], order[last] = order[last], order[0]
        sink(order, 0, last)
    for i in range(kept):
        order[i] = _LAST - (order[i] & _LAST)
    return kept


@kernel
def suppress(xyxy_px, class_id, order, n, iou_max, most):
    """Keep, at the front of order[:n], each candidate that overlaps no better one of its group by more than iou_max.

    Returns how many are kept, `most` at the most. Greedy, best first (the usual non-maximum suppression).
    """
    kept = 0
    for at in range(n):
        if kept == most:
            break
        i = order[at]
        group = GROUP_OF[class_id[i]]
        x1, y1, x2, y2 = xyxy_px[i, 0], xyxy_px[i, 1], xyxy_px[i, 2], xyxy_px[i, 3]
        free = True
        for before in range(kept):
            j = order[before]
            # Most pairs lie apart: that is seen without a division.
            if x1 >= xyxy_px[j, 2] or xyxy_px[j, 0] >= x2 or y1 >= xyxy_px[j, 3] or xyxy_px[j, 1] >= y2:
                continue
            if group != GROUP_OF[class_id[j]]:
                continue
            iou = overlap(x1, y1, x2, y2, xyxy_px[j, 0], xyxy_px[j, 1], xyxy_px[j, 2], xyxy_px[j, 3])
            if iou > iou_max:
                free = False
                break
        if free:
            order[kept] = i
            kept += 1
    return kept


@kernel
def select(
    xyxy_px,
    score,
    class_id,
    n,
    order,
    iou_max,
    frame,
    out_xyxy_px,
    out_score,
    out_class_id,
):
    """Turn n candidates in network px into a frame's detections in source px, best first; return how many.

    `frame` f8[6] holds scale x and y, offset x and y in network px, width and height of the frame in source px. Boxes
    are clipped to the frame. With iou_max of 1 or more nothing is suppressed. `order` i8[most] is scratch.
    """
    ranked = rank(score, n, order)
    if iou_max < 1.0:
        ranked = suppress(xyxy_px, class_id, order, ranked, iou_max, out_score.shape[0])
    m = 0
    for at in range(ranked):
        if m == out_score.shape[0]:
            break
        i = order[at]
        x1 = min(max((xyxy_px[i, 0] - frame[2]) / frame[0], 0.0), frame[4])
        y1 = min(max((xyxy_px[i, 1] - frame[3]) / frame[1], 0.0), frame[5])
        x2 = min(max((xyxy_px[i, 2] - frame[2]) / frame[0], 0.0), frame[4])
        y2 = min(max((xyxy_px[i, 3] - frame[3]) / frame[1], 0.0), frame[5])
        if x2 - x1 < SIDE_MIN_PX or y2 - y1 < SIDE_MIN_PX:
            continue
        out_xyxy_px[m, 0], out_xyxy_px[m, 1], out_xyxy_px[m, 2], out_xyxy_px[m, 3] = x1, y1, x2, y2
        out_score[m], out_class_id[m] = min(score[i], 1.0), class_id[i]
        m += 1
    return m
