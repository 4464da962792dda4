"""Measure the networks and the making of samples on this machine: `python -m models.train.measure [--data DATA]`.

Prints multiply-accumulates, parameters, file size, one forward pass in onnxruntime, a step of training, and a sample,
all in processor time of one thread: a busy machine changes it little.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from models.train.compose import Composer, Member
from models.train.dataset import choose, open_cache
from models.train.export import export, forward_ms
from models.train.loss import loss
from models.train.network import SIZES, Detector, Sizes, multiplications
from models.train.schedule import half_precision, make_optimiser


def step_ms(sizes: Sizes, batch: int, times: int = 6) -> float:
    """Return the processor time of a step of training, in ms a picture, with a few boxes in each."""
    detector = Detector(sizes).to(memory_format=torch.channels_last)
    optimiser, half = make_optimiser(detector, 1e-3), half_precision(torch.device("cpu"))
    rng = np.random.default_rng(1)
    planes = torch.from_numpy(rng.integers(0, 255, (batch, *sizes.planes_shape), np.uint8))
    labels = torch.zeros(batch, 12, 6)
    labels[..., :2] = torch.rand(batch, 12, 2) * 200
    labels[..., 2:4] = labels[..., :2] + 20 + torch.rand(batch, 12, 2) * 60
    labels[..., 5] = 1.0
    spent = []
    for _ in range(times):
        begin = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            raw, boxes = detector(planes)
        value, _ = loss(raw, boxes, detector, labels)
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        optimiser.step()
        spent.append(1000 * (time.process_time() - begin) / batch)
    return float(np.median(spent[1:]))


def main() -> None:
    """Print a line for each size, and one for samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+")
    parser.add_argument("--sizes", nargs="+", choices=sorted(SIZES), default=["demo", "nano", "small"])
    parser.add_argument("--batch", type=int, default=16)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for name in args.sizes:
        sizes = SIZES[name]
        detector = Detector(sizes).eval()
        weights = sum(p.numel() for p in detector.parameters())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            export(detector, path, half=name == "small")
            forward, size = forward_ms(path, sizes), path.stat().st_size
        print(
            f"{name}: {multiplications(detector) / 1e9:.3f} GMAC, {weights / 1e6:.2f} M weights, {size} bytes, forward "
            f"{forward:.1f} ms, step {step_ms(sizes, args.batch):.1f} ms a picture",
            flush=True,
        )
    if args.data:
        cache = open_cache(args.data, Path(".train"))
        composer = Composer(SIZES["nano"], [Member(cache, choose(cache).train, 1.0)], None, 1)
        begin = time.process_time()
        for number in range(150):
            composer.sample(number, 0.1)
        print(f"sample: {1000 * (time.process_time() - begin) / 150:.1f} ms (n = 150)")


if __name__ == "__main__":
    main()
