"""Train the detector of `gantry demo` on rendered junctions and export it: `python -m models.train.demo --help`.

Needs the `train` extra (torch). Everything is seeded; the same machine and thread count give the same weights for the
same number of steps.
"""

from __future__ import annotations

import argparse
import copy
import time
from pathlib import Path

import cv2
import torch

from models.train.export import export, write_card
from models.train.loss import loss
from models.train.network import SIZES, Detector
from models.train.scenes import render_set
from models.train.schedule import follow, keep_at, rate_at
from models.train.variety import Batches


def train(folders: list[Path], minutes: float, batch: int, rate: float, seed: int, start: Path | None) -> Detector:
    """Train for a number of minutes and return the averaged network; progress is printed."""
    torch.manual_seed(seed)
    detector = Detector(SIZES["demo"])
    if start is not None:
        detector.load_state_dict(torch.load(start, weights_only=True))
    detector = detector.to(memory_format=torch.channels_last)
    average = copy.deepcopy(detector).eval()
    optimiser = torch.optim.AdamW(detector.parameters(), lr=rate, weight_decay=0.02)
    batches = Batches(folders, seed)
    begin, step, share = time.monotonic(), 0, 0.0
    while share < 1.0:
        # The schedule follows the time left, so that a slow machine still ends with small steps.
        share = (time.monotonic() - begin) / (60 * minutes)
        for group in optimiser.param_groups:
            group["lr"] = rate_at(share, step, rate, 100 if start is None else 0)
        planes, labels = batches.take(batch)
        raw, boxes = detector(torch.from_numpy(planes))
        value, parts = loss(raw, boxes, detector, torch.from_numpy(labels))
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), 10.0)
        optimiser.step()
        follow(average, detector, keep_at(step, 0.998))
        step += 1
        if step % 20 == 0:
            said = " ".join(f"{name} {number.item():.3f}" for name, number in parts.items())
            print(f"{share:4.0%} step {step} loss {value.item():.3f} {said}", flush=True)
        if step % 200 == 0:
            torch.save(average.state_dict(), folders[0] / "average.pt")
    torch.save(average.state_dict(), folders[0] / "average.pt")
    return average


def main() -> None:
    """Render what is missing, train, export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("models/gantry-demo.onnx"))
    parser.add_argument(
        "--folder", type=Path, nargs="+", default=[Path(".train")], help="rendered sets; weights go to the first"
    )
    parser.add_argument("--frames", type=int, default=4800, help="pictures to render where the folder has none")
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=2.5e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--start", type=Path, help="weights to go on from")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    for index, folder in enumerate(args.folder):
        if not (folder / "labels.npy").exists():
            render_set(folder, args.frames, first=index * args.frames)
    detector = train(args.folder, args.minutes, args.batch, args.rate, args.seed, args.start)
    export(detector, args.out)
    source = "made by models/train/demo.py from rendered junctions alone; not for real streets"
    # Below 0.5 fewer than half are right (seeds 1 to 10 without 7, 1,080 pictures, 12,706 boxes).
    write_card(args.out, SIZES["demo"], source, score_min=0.25, strong=0.5, iou=0.5)
    print(f"wrote {args.out}: {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
