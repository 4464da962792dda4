"""Measure the demo's detector on the demo's own clip, after H.264: `python -m models.train.evaluate`.

The clip's seed is never trained on. Prints recall, precision and the error of the foot point, with their numbers.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import onnxruntime

from vision.decode.fit import Fitter
from vision.decode.reader import decode_frames
from vision.demo.clip import Painter, encode, even_times
from vision.demo.truth import frame_boxes
from vision.demo.vehicles import CLASSES
from vision.demo.world import build_world
from vision.frame import FitSpec

SCORE_MIN, IOU_MIN, IOU_MAX = 0.4, 0.5, 0.6
VISIBLE_MIN, HEIGHT_MIN_PX = 0.4, 14


def iou(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the intersection over union of a box f[4] with boxes f[n, 4]."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    inner = np.maximum(high - low, 0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return inner / (areas - inner + 1e-9)


def suppress(rows: np.ndarray) -> np.ndarray:
    """Return rows f[n, 6] of enough score without doubles, best first."""
    rows = rows[rows[:, 4] >= SCORE_MIN]
    rows = rows[np.argsort(-rows[:, 4])]
    kept: list[np.ndarray] = []
    for row in rows:
        if not kept or iou(row[:4], np.array(kept)[:, :4]).max() < IOU_MAX:
            kept.append(row)
    return np.array(kept).reshape(-1, 6)


def main() -> None:
    """Render, encode, decode, detect, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/gantry-demo.onnx"))
    parser.add_argument("--video", type=Path, default=Path(".train/junction.mp4"), help="rendered where it is absent")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--every", type=int, default=3, help="judge every so many frames")
    args = parser.parse_args()
    world = build_world(args.seed)
    painter = Painter(world)
    if not args.video.exists():
        args.video.parent.mkdir(parents=True, exist_ok=True)
        encode(args.video, painter, even_times(world.seconds, 25.0), 25.0)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(args.model), options, providers=["CPUExecutionProvider"])
    spec = FitSpec(512, 288)
    fitter, planes = Fitter(spec, 1280, 720, np.zeros((0, 3, 4), np.int32)), np.zeros(spec.shape, np.uint8)
    found = wanted = right = shown = wrong_class = 0
    feet: list[tuple[float, float]] = []
    spent_s = 0.0
    for frame, number, time_s in decode_frames(args.video):
        if number % args.every:
            continue
        fitter.fit(frame, planes, np.zeros((0, 3), np.float32))
        begin = time.perf_counter()
        rows = session.run(None, {"planes": planes[None]})[0][0]
        spent_s += time.perf_counter() - begin
        rows = suppress(rows)
        rows[:, :4] *= 2.5
        boxes = frame_boxes(world, painter.stage, time_s)
        free = np.ones(len(rows), bool)
        shown += len(rows)
        for box in boxes:
            x1, y1, x2, y2 = box.xyxy_px
            asked = box.visible > VISIBLE_MIN and y2 - y1 >= HEIGHT_MIN_PX and x2 - x1 >= 8
            fits = iou(np.array(box.xyxy_px), rows[:, :4]) * free if len(rows) else np.zeros(1)
            best = int(fits.argmax())
            hit = fits[best] >= IOU_MIN
            wanted += asked
            if hit:
                free[best] = False
                right += 1
                found += asked
                wrong_class += asked and CLASSES[int(rows[best, 5])] != box.class_name
                if asked and y1 > 200:  # nearer than the far end of the junction, where the lines are
                    feet.append((rows[best, 3] - y2, (rows[best, 0] + rows[best, 2] - x1 - x2) / 2))
    miss = np.abs(np.array(feet))
    print(f"recall {found / wanted:.4f} ({found} of {wanted}), precision {right / shown:.4f} ({right} of {shown})")
    print(f"wrong class {wrong_class} of {found}")
    for name, column in (("down", 0), ("across", 1)):
        p50, p95 = np.quantile(miss[:, column], (0.5, 0.95))
        bias = float(np.mean(np.array(feet)[:, column]))
        said = f"mean {miss[:, column].mean():.2f} px, p50 {p50:.2f}, p95 {p95:.2f}, bias {bias:+.2f}"
        print(f"foot point {name}: {said} (n = {len(miss)}, 1280 px wide)")
    print(f"one forward {1000 * spent_s / max(1, -(-600 // args.every)):.1f} ms on one thread")


if __name__ == "__main__":
    main()
