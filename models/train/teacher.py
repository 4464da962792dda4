"""A teacher's boxes for what nobody labelled: `python -m models.train.teacher --data DATA --out .train/teacher.npy`.

The teacher (a card, YOLOX-nano unless told otherwise) runs once over the training pictures. Where it is sure of a road
user that no label and no ignore box covers, its box becomes a label; where it is half sure, an ignore box. Dark
pictures are left out: there it sees little and is wrong often; pictures that the training turns are taken as they
stand, so it is never asked about views from straight above.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from models.train.compose import shared
from models.train.dataset import Cache, open_cache
from vision.evaluate.detector import open_detector, run_detector
from vision.evaluate.labels import IGNORED, read_pictures
from vision.evaluate.matching import overlaps
from vision.evaluate.pictures import Found

SURE, HALF_SURE = 0.55, 0.3
#: A labelled box that overlaps so much, or holds so much of the teacher's, says the same or more (a rider).
IOU_MAX, INSIDE_MAX = 0.3, 0.5
HEIGHT_MIN_PX = 12.0


def more_boxes(found: Found, labels: np.ndarray) -> np.ndarray:
    """Return f4[n, 6] boxes to add to a picture's labels f4[m, 6]: those of a class, and ignore boxes."""
    rows = []
    for box, score, kind in zip(found.xyxy_px, found.score, found.class_id, strict=True):
        if score < HALF_SURE or box[3] - box[1] < HEIGHT_MIN_PX:
            continue
        iou = overlaps(box[None], labels[:, :4].astype(float)).max(initial=0.0)
        if iou > IOU_MAX or (_covered(box, labels) > INSIDE_MAX).any():
            continue
        sure = score >= SURE
        rows.append([*box, kind if sure else IGNORED, float(sure)])
    return np.array(rows, np.float32).reshape(-1, 6)


def _covered(box: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return which share of a box each label covers."""
    return np.array([shared(box[None], label[:4])[0] for label in labels])


def teach(cache: Cache, data: list[Path], card: str, folders: list[Path], limit: int) -> np.ndarray:
    """Return f4[n, 7]: the picture's index in the cache, and a box of `more_boxes`."""
    pictures = [one for path in data for one in read_pictures(path)]
    if [one.path.stem for one in pictures] != cache.names:
        raise SystemExit("the pictures are not those of the cache")
    wanted = [k for k in range(len(cache)) if not cache.pictures["val"][k] and not cache.pictures["dark"][k]][:limit]
    detector = open_detector(card, folders, "cpu", 1)
    rows = []
    results = run_detector(detector, [pictures[k] for k in wanted])
    for number, (k, (found, truth)) in enumerate(zip(wanted, results, strict=True)):
        # The detector saw the file; the cache may hold it smaller.
        ratio = cache.pictures["width_px"][k][0] / truth.size_px[0]
        scaled = found._replace(xyxy_px=found.xyxy_px * ratio)
        rows += [[k, *row] for row in more_boxes(scaled, cache.labels(k))]
        if number % 200 == 0:
            print(f"{number} of {len(wanted)} pictures, {len(rows)} boxes", flush=True)
    return np.array(rows, np.float32).reshape(-1, 7)


def main() -> None:
    """Run the teacher once and store what it adds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--work", type=Path, default=Path(".train"))
    parser.add_argument("--card", default="yolox-nano")
    parser.add_argument("--models", type=Path, nargs="*", default=[], help="folders with the card's file")
    parser.add_argument("--limit", type=int, default=1 << 30)
    parser.add_argument("--out", type=Path, default=Path(".train/teacher.npy"))
    args = parser.parse_args()
    cache = open_cache(args.data, args.work)
    rows = teach(cache, args.data, args.card, args.models, args.limit)
    np.save(args.out, rows)
    said = np.unique(rows[:, 5], return_counts=True)
    print(f"wrote {args.out}: {len(rows)} boxes, by class {dict(zip(*map(np.ndarray.tolist, said), strict=True))}")


if __name__ == "__main__":
    main()
