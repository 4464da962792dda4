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


def boxes_ms(name: str, folders: list[Path], times: int = 60) -> tuple[float, float]:
    """Return the processor time from a decoded frame of 1920 x 1080 to boxes, and of its fitting alone, in ms."""
    import av

    from vision.decode.fit import Fitter
    from vision.evaluate.detector import open_detector
    from vision.frame import Detections

    detector = open_detector(name, folders, "cpu", 1, score_min=0.1)
    rng = np.random.default_rng(1)
    picture = cv2.resize(rng.integers(0, 255, (108, 192, 3)).astype(np.uint8), (1920, 1080))
    frame = av.VideoFrame.from_ndarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), format="yuv420p")
    fitter = Fitter(detector.fit_spec, 1920, 1080, np.zeros((0, 3, 4), np.int32))
    planes, lamps, out = np.zeros(detector.fit_spec.shape, np.uint8), np.zeros((0, 3), np.float32), Detections()
    fitter.pad(planes)
    spent = []
    for _ in range(times):
        begin = time.process_time()
        fitter.fit(frame, planes, lamps)
        fitted = time.process_time()
        detector.infer([planes])
        detector.detections(0, fitter.place, out)
        spent.append((1000 * (time.process_time() - begin), 1000 * (fitted - begin)))
    whole, fit = np.quantile(np.array(spent), 0.2, axis=0)
    return float(whole), float(fit)


def main() -> None:
    """Print a line for each size, and one for samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+")
    parser.add_argument("--sizes", nargs="*", choices=sorted(SIZES), default=["demo", "nano", "small"])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--cards", nargs="*", default=[], help="models to time from decoded frame to boxes")
    parser.add_argument("--models", type=Path, nargs="*", default=[], help="folders with their cards and files")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for name in args.cards:
        whole, fit = boxes_ms(name, args.models)
        print(f"{name}: decoded 1080p frame to boxes {whole:.1f} ms, of which fitting {fit:.1f} ms", flush=True)
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
