"""Slow, obvious twins of kernels/boxes.py and kernels/planes.py; same names, same arguments, plain Python."""

from __future__ import annotations

import math

from kernels.boxes import BAD_CLASS, BAD_SCORE, NOT_FINITE, SCORE_MAX, SIDE_MIN_PX
from kernels.records import CLASSES


def put_middle(cx_px, cy_px, width_px, height_px, n, xyxy_px):
    corners = [cx_px - width_px / 2, cy_px - height_px / 2, cx_px + width_px / 2, cy_px + height_px / 2]
    xyxy_px[n] = corners
    return all(math.isfinite(value) for value in [*corners, width_px, height_px])


def _put(best, kind, middle, n, xyxy_px, score, class_id):
    """Write a candidate; return the new count or a negative code."""
    if best > SCORE_MAX:
        return BAD_SCORE
    if not put_middle(*middle, n, xyxy_px):
        return NOT_FINITE
    score[n], class_id[n] = best, kind
    return n + 1


def yolox_head(raw, cells, decoded, used, ours, score_min, xyxy_px, score, class_id):
    n = 0
    for row, (column, line, stride) in zip(raw.tolist(), cells.tolist(), strict=True):
        if row[4] < score_min:
            continue
        products = [row[4] * row[5 + index] for index in used]
        if not all(math.isfinite(value) for value in products):
            return NOT_FINITE
        best = max(products)
        if best < score_min:
            continue
        x, y, w, h = row[:4]
        if not decoded:
            x, y, w, h = (x + column) * stride, (y + line) * stride, math.exp(w) * stride, math.exp(h) * stride
        n = _put(best, ours[products.index(best)], (x, y, w, h), n, xyxy_px, score, class_id)
        if n < 0:
            return n
    return n


def strong_in(values, score_min):
    return sum(not value < score_min for value in values.tolist())


def take_best(row, start, stop, k, score_min, score, kind):
    for i, value in list(enumerate(row.tolist()))[start:stop]:
        if value < score_min:
            continue
        if not math.isfinite(value):
            return NOT_FINITE
        if value > SCORE_MAX:
            return BAD_SCORE
        was = float(score[i])
        score[i], kind[i] = max(was, value), k if value > was else kind[i]
    return 0


def best_of_cells(raw, used, score_min, score, kind):
    strong = [float(raw[4 + index, i]) for index in used for i in range(raw.shape[1])]
    for value in strong:
        if not value < score_min and not math.isfinite(value):
            return NOT_FINITE
        if value > SCORE_MAX:
            return BAD_SCORE
    for i in range(raw.shape[1]):
        scores = [float(raw[4 + index, i]) for index in used]
        best = max(scores)
        if best < score_min:
            score[i] = -1.0
        else:
            score[i], kind[i] = best, scores.index(best)
    return 0


def yolov8_head(raw, used, ours, score_min, xyxy_px, score, class_id):
    best, kind = [-1.0] * raw.shape[1], [0] * raw.shape[1]
    wrong = best_of_cells(raw, used, score_min, best, kind)
    if wrong:
        return wrong
    n = 0
    for i, column in enumerate(raw[:4].T.tolist()):
        if best[i] < score_min:
            continue
        n = _put(best[i], ours[kind[i]], column, n, xyxy_px, score, class_id)
        if n < 0:
            return n
    return n


def detr_head(boxes, scores, sigmoid, size_px, used, ours, score_min, xyxy_px, score, class_id):
    n = 0
    width, height = size_px.tolist()
    for box, row in zip(boxes.tolist(), scores.tolist(), strict=True):
        wanted = [row[index] for index in used]
        if not all(math.isfinite(value) for value in wanted):
            return NOT_FINITE
        best = max(wanted)
        value = 1 / (1 + math.exp(-best)) if sigmoid else best
        if value < score_min:
            continue
        middle = (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
        n = _put(value, ours[wanted.index(best)], middle, n, xyxy_px, score, class_id)
        if n < 0:
            return n
    return n


def rows_head(boxes, scores, labels, ours_of, score_min, xyxy_px, score, class_id):
    n = 0
    for box, value, label in zip(boxes.tolist(), scores.tolist(), labels.tolist(), strict=True):
        if value < score_min:
            continue
        if not math.isfinite(value):
            return NOT_FINITE
        if value > SCORE_MAX:
            return BAD_SCORE
        if not math.isfinite(label) or int(label) not in range(len(ours_of)) or label < 0:
            return BAD_CLASS
        if ours_of[int(label)] < 0:
            continue
        if not all(math.isfinite(side) for side in box):
            return NOT_FINITE
        xyxy_px[n], score[n], class_id[n] = box, value, ours_of[int(label)]
        n += 1
    return n


def sink(keys, top, n):
    children = [child for child in (2 * top + 1, 2 * top + 2) if child < n]
    if not children:
        return
    least = min(children, key=lambda child: keys[child])
    if keys[least] < keys[top]:
        keys[top], keys[least] = keys[least], keys[top]
        sink(keys, least, n)


def rank(score, n, order):
    best = sorted(range(n), key=lambda i: (-score[i], i))[: len(order)]
    order[: len(best)] = best
    return len(best)


def _group(class_id):
    name = CLASSES[class_id]
    return {"motorcycle": "two wheels", "bicycle": "two wheels", "person": "person"}.get(name, "four wheels")


def _iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (both - width * height)


def suppress(xyxy_px, class_id, order, n, iou_max, most):
    kept = []
    for i in order[:n].tolist():
        rivals = [j for j in kept if _group(class_id[j]) == _group(class_id[i])]
        if all(_iou(xyxy_px[i].tolist(), xyxy_px[j].tolist()) <= iou_max for j in rivals):
            kept.append(i)
    kept = kept[:most]
    order[: len(kept)] = kept
    return len(kept)


def select(xyxy_px, score, class_id, n, order, iou_max, frame, out_xyxy_px, out_score, out_class_id):
    count = rank(score, n, order)
    if iou_max < 1:
        count = suppress(xyxy_px, class_id, order, count, iou_max, len(out_score))
    scale_x, scale_y, offset_x, offset_y, width, height = frame.tolist()
    found = []
    for i in order[:count].tolist():
        x1, y1, x2, y2 = xyxy_px[i].tolist()
        x1, x2 = (min(max((x - offset_x) / scale_x, 0.0), width) for x in (x1, x2))
        y1, y2 = (min(max((y - offset_y) / scale_y, 0.0), height) for y in (y1, y2))
        if x2 - x1 >= SIDE_MIN_PX and y2 - y1 >= SIDE_MIN_PX:
            found.append(((x1, y1, x2, y2), min(score[i], 1.0), class_id[i]))
    found = found[: len(out_score)]
    for m, (box, value, kind) in enumerate(found):
        out_xyxy_px[m], out_score[m], out_class_id[m] = box, value, kind
    return len(found)


def row_is(row, value):
    return set(row.tolist()) == {value}


def normalise(planes, gain, bias, pad, blank, out):
    for c in range(len(planes)):
        for y, row in enumerate(planes[c]):
            if row_is(row, pad) and blank[c, y]:
                continue
            out[c, y] = [float(byte) * float(gain[c]) + float(bias[c]) for byte in row]
            blank[c, y] = row_is(row, pad)


def look_up(planes, table, pad, blank, out):
    for c in range(len(planes)):
        for y, row in enumerate(planes[c]):
            if row_is(row, pad) and blank[c, y]:
                continue
            out[c, y] = [table[c][byte] for byte in row]
            blank[c, y] = row_is(row, pad)
