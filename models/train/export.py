"""Write trained weights as ONNX with their card: `python -m models.train.export --weights .train/nano/final.pt ...`.

`nano` goes out in single precision and, with `--int8`, quantised (static, QDQ), which is kept only where it is faster
and costs one point of AP50 at most; `small` goes out in half precision. Nothing is written into `models/` unless
`--out` says so.
"""

from __future__ import annotations

import argparse
import hashlib
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from models.train.dataset import Cache, choose, open_cache
from models.train.judge import IOU_MAX, fitted, found_in
from models.train.network import SIZES, Detector, Exported, Sizes
from models.train.schedule import load_weights
from vision.evaluate.pictures import Curve, Truth, vehicle_marks

#: Points of AP50 that integers may cost.
MOST_LOST = 0.01
CALIBRATION = 200


def fused(detector: Detector) -> Detector:
    """Return a copy for use alone, each normalisation folded into its convolution."""
    copied = Detector(detector.sizes)
    copied.load_state_dict(detector.state_dict())
    copied.eval()
    for block in list(copied.modules()):
        if isinstance(block, nn.Sequential) and len(block) == 3 and isinstance(block[1], nn.BatchNorm2d):
            block[0] = nn.utils.fuse_conv_bn_eval(block[0], block[1])
            block[1] = nn.Identity()
    return copied


def export(detector: Detector, path: Path, half: bool = False) -> None:
    """Write the network as ONNX (opset 17) with any batch size and all else fixed; `half`: 16-bit weights."""
    ready = fused(detector)
    if half:
        ready.half()
        ready.steps, ready.points = ready.steps.float(), ready.points.float()
    planes = torch.zeros(2, *detector.sizes.planes_shape, dtype=torch.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter by tracing is the one that keeps opset 17
        torch.onnx.export(
            Exported(ready).eval(),
            (planes,),
            str(path),
            opset_version=17,
            input_names=["planes"],
            output_names=["rows"],
            dynamic_axes={"planes": {0: "batch"}, "rows": {0: "batch"}},
            dynamo=False,
        )


def write_card(
    model: Path, sizes: Sizes, source: str, score_min: float = 0.1, strong: float | None = 0.4, iou: float = IOU_MAX
) -> Path:
    """Write the model's card beside it and return its path."""
    data = model.read_bytes()
    lines = [
        "# Written by models/train; do not edit the hash by hand.",
        f'name = "{model.stem}"',
        f'file = "{model.name}"',
        f'sha256 = "{hashlib.sha256(data).hexdigest()}"',
        f"bytes = {len(data)}",
        'licence = "Apache-2.0"',
        f'source = "{source}"',
        f"score_min = {score_min}",
        *([f"score_strong = {strong}"] if strong is not None else []),
        f"iou_max = {iou}",
        "",
        "[input]",
        'name = "planes"',
        f"width_px = {sizes.width_px}",
        f"height_px = {sizes.height_px}",
        'layout = "i420"',
        'fit = "letterbox"',
        'dtype = "uint8"',
        "",
        "[output]",
        'head = "rows"',
        'output = "rows"',
        f"n_classes = {len(sizes.classes)}",
        "",
        "[classes]",
        *(f"{name} = [{index}]" for index, name in enumerate(sizes.classes)),
    ]
    path = model.with_suffix(".toml")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


# -- Integers ---------------------------------------------------------------------------------------------------------


class Calibration:
    """Pictures that set the ranges of the integers, one at a time, as onnxruntime asks for them."""

    def __init__(self, pictures: Iterator[np.ndarray]) -> None:
        self._pictures = pictures

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next picture, None after the last."""
        planes = next(self._pictures, None)
        return None if planes is None else {"planes": planes[None]}


def quantise(model: Path, path: Path, pictures: Iterator[np.ndarray]) -> None:
    """Write the model with its convolutions in 8 bits: static ranges from some pictures, weights by channel.

    The last convolutions, which say scores and edges, and all after them stay as they are: there each digit counts.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(path),
        Calibration(pictures),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "Add", "MaxPool", "Concat", "Resize"],
        nodes_to_exclude=exact_nodes(onnx.load(str(prepared)).graph),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
    )
    prepared.unlink()


def exact_nodes(graph: onnx.GraphProto) -> list[str]:
    """Return the nodes that stay exact: before the first convolution, the last convolutions and all that follows."""
    after: set[str] = set()
    begun, exact = False, []
    for node in graph.node:  # in the order of their running
        begun |= node.op_type == "Conv"
        last = node.op_type == "Conv" and ("/scores" in node.name or "/edges" in node.name)
        if not begun or last or after & set(node.input):
            exact.append(node.name)
        if last or after & set(node.input):
            after |= set(node.output)
    return exact


def open_session(model: Path) -> onnxruntime.InferenceSession:
    """Return a session on one CPU thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def forward_ms(model: Path, sizes: Sizes, times: int = 60) -> float:
    """Return the processor time of one forward pass on one thread in ms: the lower fifth of some."""
    session, planes = open_session(model), np.full((1, *sizes.planes_shape), 90, np.uint8)
    spent = []
    for _ in range(times):
        begin = time.process_time()
        session.run(None, {"planes": planes})
        spent.append(1000 * (time.process_time() - begin))
    return float(np.quantile(spent, 0.2))


def ap50(model: Path, sizes: Sizes, cache: Cache, indices: np.ndarray) -> float:
    """Return AP50 of vehicles of an exported model on pictures of a cache."""
    session, marks = open_session(model), []
    for index in map(int, indices):
        planes, at = fitted(cache, index, sizes)
        rows = session.run(None, {"planes": planes[None]})[0][0]
        height, width = cache.planes(index).y.shape
        own = cache.labels(index)
        truth = Truth(own[:, :4].astype(float), own[:, 4].astype(np.int64))
        marks += vehicle_marks([found_in(rows, at, width, height, len(sizes.classes))], [truth])
    return Curve(marks, 0).precision()


def main() -> None:
    """Export, and quantise where asked; print what it costs and brings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--size", choices=sorted(SIZES), default="nano")
    parser.add_argument("--out", type=Path, help="the model's file; .train/gantry-SIZE.onnx without")
    parser.add_argument("--data", type=Path, nargs="+", help="labelled sets: to judge, and to calibrate integers")
    parser.add_argument("--work", type=Path, default=Path(".train"))
    parser.add_argument("--int8", action="store_true")
    parser.add_argument("--source", default="trained by models/train/detector.py")
    args = parser.parse_args()
    sizes = SIZES[args.size]
    out = args.out or args.work / f"gantry-{args.size}.onnx"
    detector = Detector(sizes)
    if missing := load_weights(detector, args.weights):
        raise SystemExit(f"{args.weights}: {missing} tensors do not fit a network of size {args.size}")
    export(detector, out, half=args.size == "small")
    write_card(out, sizes, args.source)
    ms = forward_ms(out, sizes)
    print(f"wrote {out}: {out.stat().st_size} bytes, {ms:.1f} ms a picture on one CPU thread")
    if not args.data:
        return
    cache = open_cache(args.data, args.work)
    choice = choose(cache)
    plain = ap50(out, sizes, cache, choice.val)
    print(f"AP50 of vehicles on {len(choice.val)} pictures: {plain:.4f}")
    if args.int8:
        keep_integers(out, sizes, cache, plain, ms)


def keep_integers(model: Path, sizes: Sizes, cache: Cache, plain: float, ms: float) -> None:
    """Quantise a model beside it; delete the result where it is no faster or loses too much."""
    choice, rng = choose(cache), np.random.default_rng(5)
    some = rng.choice(choice.train, min(CALIBRATION, len(choice.train)), replace=False)
    small = model.with_name(f"{model.stem}-int8.onnx")
    quantise(model, small, (fitted(cache, int(index), sizes)[0] for index in some))
    got, spent = ap50(small, sizes, cache, choice.val), forward_ms(small, sizes)
    print(f"8 bits: AP50 {got:.4f}, {spent:.1f} ms, {small.stat().st_size} bytes")
    if got < plain - MOST_LOST or spent >= ms:
        small.unlink()
        print("not kept: no faster, or it loses more than a point")
        return
    write_card(small, sizes, f"{model.name} in 8 bits")


if __name__ == "__main__":
    main()
