"""Train the detector of `gantry demo` on rendered junctions and export it: `python -m models.train.demo --help`.

Needs the `train` extra (torch). Everything is seeded; the same machine and thread count give the same weights for the
same number of steps.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import math
import time
from pathlib import Path

import cv2
import torch

from models.train.data import Batches
from models.train.loss import loss
from models.train.network import HEIGHT_PX, WIDTH_PX, Detector, Exported
from models.train.scenes import render_set


def train(folders: list[Path], minutes: float, batch: int, rate: float, seed: int, start: Path | None) -> Detector:
    """Train for a number of minutes and return the averaged network; progress is printed."""
    torch.manual_seed(seed)
    detector = Detector()
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
        warm = min(1.0, (step + 1) / 100) if start is None else 1.0
        for group in optimiser.param_groups:
            group["lr"] = rate * warm * (0.01 + 0.99 * (1 + math.cos(math.pi * min(share, 1.0))) / 2)
        planes, labels = batches.take(batch)
        raw, boxes = detector(torch.from_numpy(planes))
        value, parts = loss(raw, boxes, detector.points, torch.from_numpy(labels))
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), 10.0)
        optimiser.step()
        follow(average, detector, min(0.998, (step + 1) / (step + 10)))
        step += 1
        if step % 20 == 0:
            said = " ".join(f"{name} {number:.3f}" for name, number in parts.items())
            print(f"{share:4.0%} step {step} loss {value.item():.3f} {said}", flush=True)
        if step % 200 == 0:
            torch.save(average.state_dict(), folders[0] / "average.pt")
    torch.save(average.state_dict(), folders[0] / "average.pt")
    return average


@torch.no_grad()
def follow(average: Detector, detector: Detector, keep: float) -> None:
    """Move the averaged weights towards the present ones."""
    for mean, now in zip(average.state_dict().values(), detector.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.mul_(keep).add_(now, alpha=1 - keep)
        else:
            mean.copy_(now)


def export(detector: Detector, path: Path) -> None:
    """Write the network as ONNX (opset 17) with any batch size and all else fixed."""
    planes = torch.zeros(2, HEIGHT_PX * 3 // 2, WIDTH_PX, dtype=torch.uint8)
    torch.onnx.export(
        Exported(detector.to(memory_format=torch.contiguous_format)).eval(),
        (planes,),
        str(path),
        opset_version=17,
        input_names=["planes"],
        output_names=["rows"],
        dynamic_axes={"planes": {0: "batch"}, "rows": {0: "batch"}},
        dynamo=False,
    )


CARD = """# Written by models/train/demo.py; do not edit the hash by hand.
name = "gantry-demo"
file = "{file}"
sha256 = "{sha256}"
bytes = {bytes}
licence = "Apache-2.0"
source = "made by models/train/demo.py from rendered junctions alone; not for real streets"
score_min = 0.25
score_strong = 0.5 # below, fewer than half are right (seeds 1 to 10 without 7, 1,080 pictures, 12,706 boxes)
iou_max = 0.5

[input]
name = "planes"
width_px = 512
height_px = 288
layout = "i420"
fit = "letterbox"
dtype = "uint8"

[output]
head = "rows"
output = "rows"
n_classes = 4

[classes]
car = [0]
bus = [1]
truck = [2]
motorcycle = [3]
"""


def write_card(model: Path) -> None:
    """Write the model's card beside it."""
    data = model.read_bytes()
    text = CARD.format(file=model.name, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    model.with_suffix(".toml").write_text(text, encoding="utf-8")


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
    write_card(args.out)
    print(f"wrote {args.out}: {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
