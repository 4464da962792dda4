"""The detector: fitted planes of a batch of frames through one onnxruntime session into detections."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kernels import boxes
from kernels.planes import look_up, normalise
from vision.card import Card, RowsHead
from vision.detect.heads import Candidates, make_head
from vision.detect.providers import LONG_NAMES, Provider, load_onnxruntime
from vision.errors import DeviceError, ModelError
from vision.frame import Detections, FitSpec, Placement

#: Frames a batch where the model takes any number: a GPU wants company, CPU cores are busy with one.
BATCH_CPU, BATCH_GPU = 1, 8

_INPUT_TYPES = {"uint8": "tensor(uint8)", "float32": "tensor(float)", "float16": "tensor(float16)"}
_NUMPY_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}

_MISFITS = {
    boxes.BAD_SCORE: "holds scores above 1, which are no probabilities; correct the card's [output] (sigmoid?)",
    boxes.BAD_CLASS: "holds a class that the model is not said to know; correct the card's output.n_classes",
}


class Detector:
    """A model on a provider. `threads` is for the CPU, 0 for all physical cores; `batch` the most frames at once.

    Opening runs the model once on grey pictures, so that what does not fit its card is refused before the first frame.
    ModelError says what is needed and what was found; DeviceError that the provider does not run it.
    """

    def __init__(self, card: Card, model_path: Path, provider: Provider, threads: int = 0, batch: int = 0) -> None:
        self.card, self.provider = card, provider
        self.threads = threads or physical_cores()
        self.fit_spec: FitSpec = card.fit_spec
        self._file = model_path.name
        self._head = make_head(card)
        self._session = _open(card, model_path, provider, self.threads)
        static = self._check_input()
        self.batch_size: int = static or batch or (BATCH_GPU if provider.on_gpu else BATCH_CPU)
        self._fixed = bool(static)
        self._dtype = np.dtype(card.input.dtype)
        self._batch = np.zeros((self.batch_size, *self.fit_spec.shape), self._dtype)
        # Which rows of the batch hold padding, so that it is not written again with each frame.
        self._blank = np.zeros((self.batch_size, 3, self.fit_spec.height_px), np.uint8)
        self._sizes = np.array([[self.fit_spec.width_px, self.fit_spec.height_px]] * self.batch_size, np.int64)
        self._gain, self._bias, self._table = _scaling(card)
        self._outputs: list[np.ndarray] = []
        self._frames: dict[Placement, np.ndarray] = {}
        self._candidates = self._try_out()

    def infer(self, planes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run the model on 1 to `batch_size` frames, u1 of `fit_spec.shape` each; `planes` are free again afterwards.

        Returns the raw outputs, valid until the next call; `detections` reads them.
        """
        n = len(planes)
        if self._dtype == np.uint8 and n == self.batch_size == 1:
            feed = planes[0][np.newaxis]
        else:
            for picture, into, blank in zip(planes, self._batch, self._blank, strict=False):
                self._fill(picture, into, blank)
            feed = self._batch if self._fixed else self._batch[:n]
        self._outputs = self._run(feed)
        return self._outputs

    def detections(self, index: int, placement: Placement, out: Detections, frame: int | None = None) -> None:
        """Fill `out` with the detections of frame `index` of the batch in source px, best first.

        ModelError where an output cannot be used; it names `frame` where that is given.
        """
        found = self._candidates
        n = self._head.read(self._outputs, index, found)
        if n < 0:
            raise ModelError(self._misfit(n, index, frame))
        bounds = self._frames.get(placement)
        if bounds is None:
            bounds = self._frames[placement] = _bounds(placement)
        iou_max = 1.0 if self.card.iou_max is None else self.card.iou_max
        out.n = boxes.select(
            found.xyxy_px,
            found.score,
            found.class_id,
            n,
            found.order,
            iou_max,
            bounds,
            out.xyxy_px,
            out.score,
            out.class_id,
        )

    def describe(self) -> dict[str, str | int]:
        """Return what the model runs on, for logs and records."""
        return {
            "model": self.card.name,
            "sha256": self.card.sha256,
            "provider": self.provider.describe(),
            "onnxruntime": str(load_onnxruntime().__version__),
            "threads": self.threads,
            "batch": self.batch_size,
        }

    # -- Batches ------------------------------------------------------------------------------------------------------

    def _fill(self, picture: np.ndarray, into: np.ndarray, blank: np.ndarray) -> None:
        if self._dtype == np.uint8:
            into[...] = picture
        elif self._table is not None:
            look_up(picture, self._table, self.fit_spec.pad, blank, into.view(np.uint16))
        else:
            normalise(picture, self._gain, self._bias, self.fit_spec.pad, blank, into)

    def _run(self, feed: np.ndarray) -> list[np.ndarray]:
        given = {self.card.input.name: feed}
        if isinstance(self.card.output, RowsHead) and self.card.output.sizes:
            given[self.card.output.sizes] = self._sizes[: len(feed)]
        try:
            outputs = self._session.run(list(self._head.outputs), given)
        except Exception as error:  # onnxruntime's own exceptions have no common base
            said = f"model {self.card.name}: {self._file} fails on {self.provider.describe()}: {_line(error)}"
            raise (DeviceError if self.provider.on_gpu else ModelError)(said) from None
        # Half-precision outputs; everything else is taken as it comes.
        return [tensor.astype(np.float32) if tensor.dtype == np.float16 else tensor for tensor in outputs]

    # -- What must fit the card ---------------------------------------------------------------------------------------

    def _wrong(self, problem: str) -> ModelError:
        return ModelError(f"model {self.card.name}: {self._file} {problem} (card: {self.card.path})")

    def _check_input(self) -> int:
        """Check names, types and shapes of what goes in, and the names of what comes out; return a fixed batch size."""
        inputs = {node.name: node for node in self._session.get_inputs()}
        outputs = {node.name: node for node in self._session.get_outputs()}
        wanted = self.card.input
        sizes = self.card.output.sizes if isinstance(self.card.output, RowsHead) else ""
        for name in filter(None, (wanted.name, sizes)):
            if name not in inputs:
                raise self._wrong(f"has no input {name!r}; it has {_names(inputs)}")
        if extra := [name for name in inputs if name not in (wanted.name, sizes)]:
            raise self._wrong(f"wants the input {extra[0]!r} too, which the card does not name")
        for name in self._head.outputs:
            if name not in outputs:
                raise self._wrong(f"has no output {name!r}; it has {_names(outputs)}")
            if outputs[name].type not in _NUMPY_TYPES:
                raise self._wrong(f"gives {name!r} as {outputs[name].type}; allowed: {', '.join(_NUMPY_TYPES)}")
        node = inputs[wanted.name]
        if node.type != _INPUT_TYPES[wanted.dtype]:
            raise self._wrong(f"takes {wanted.name!r} as {node.type}; input.dtype = {wanted.dtype!r} is another")
        shape, needed = node.shape, self.fit_spec.shape
        same = len(shape) == 1 + len(needed) and all(
            not isinstance(found, int) or found == side for found, side in zip(shape[1:], needed, strict=True)
        )
        if not same:
            raise self._wrong(
                f"takes {wanted.name!r} of shape {_shape(shape)}; the card's [input] ({wanted.layout}, "
                f"{wanted.width_px}x{wanted.height_px} px) gives {_shape(['n', *needed])}"
            )
        return shape[0] if isinstance(shape[0], int) else 0

    def _try_out(self) -> Candidates:
        """Run the model once on grey pictures and check what comes out."""
        grey = [np.full(self.fit_spec.shape, self.fit_spec.pad, np.uint8)] * self.batch_size
        outputs = self.infer(grey)
        shapes = [tensor.shape for tensor in outputs]
        named = list(zip(self._head.outputs, outputs, strict=True))
        rows = self._head.fit(shapes)
        if not rows or any(not shape or shape[0] != self.batch_size for shape in shapes):
            found = ", ".join(f"{name!r} of shape {_shape(tensor.shape)}" for name, tensor in named)
            raise self._wrong(
                f"gives {found} for {self.batch_size} picture{'s' * (self.batch_size > 1)}; head "
                f"{self.card.output.head!r} with {self.card.output.n_classes} classes wants {self._head.wanted()}"
            )
        for name, tensor in named:
            if not np.isfinite(tensor).all():
                raise self._wrong(f"gives {name!r} with {_not_finite(tensor)} on a grey picture; export it again")
        self._candidates = Candidates(rows)
        plain = Placement(1.0, 1.0, 0, 0, self.fit_spec.width_px, self.fit_spec.height_px)
        self.detections(0, plain, Detections())
        return self._candidates

    def _misfit(self, code: int, index: int, frame: int | None) -> str:
        """Say which output holds what it must not."""
        where = f"picture {index + 1} of a batch" if frame is None else f"frame {frame}"
        head = f"model {self.card.name}: {self._file}: {where}:"
        if code == boxes.NOT_FINITE:
            for name, tensor in zip(self._head.outputs, self._outputs, strict=True):
                if not np.isfinite(tensor[index]).all():
                    said = _not_finite(tensor[index])
                    return f"{head} output {name!r} holds {said}; try --provider cpu, else export the model again"
            return f"{head} output {self._head.outputs[0]!r} gives boxes that are not finite; check the card's [output]"
        # A bad class stands in the last output, a bad score in the one before where boxes, scores and labels are apart.
        names = self._head.outputs
        name = names[1] if len(names) > 1 and code == boxes.BAD_SCORE else names[-1]
        return f"{head} output {name!r} {_MISFITS[code]}"


def _open(card: Card, path: Path, provider: Provider, threads: int) -> Any:
    ort = load_onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    # A thread that spins between operators takes its core from the decoders.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(path, options, providers=list(provider.options))
    except Exception as error:  # onnxruntime's own exceptions have no common base
        raise ModelError(
            f"model {card.name}: {path} cannot be opened by onnxruntime {ort.__version__}: {_line(error)}"
        ) from None
    if LONG_NAMES[provider.name] not in session.get_providers():
        raise DeviceError(
            f"model {card.name}: a session on {provider.name} runs on {session.get_providers()[0]}; use --provider cpu"
        )
    return session


def _scaling(card: Card) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return gain and bias f4[3] of each channel, and for half precision the value of every byte u2[3, 256]."""
    given = card.input
    mean, std = np.array(given.mean), np.array(given.std)
    gain, bias = given.scale / std, -mean / std
    table = None
    if given.dtype == "float16":
        table = (np.arange(256) * gain[:, None] + bias[:, None]).astype(np.float16).view(np.uint16)
    return gain.astype(np.float32), bias.astype(np.float32), table


def _bounds(at: Placement) -> np.ndarray:
    """Return a placement as `boxes.select` wants it: scales, offsets and the size of the source frame."""
    size = (round(at.width_px / at.scale_x), round(at.height_px / at.scale_y))
    return np.array([at.scale_x, at.scale_y, at.offset_x_px, at.offset_y_px, *size], np.float64)


def physical_cores() -> int:
    """Return how many physical cores this process may use: two threads of one core do not multiply faster."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    cores = set()
    for cpu in allowed:
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
        try:
            cores.add((topology / "thread_siblings_list").read_text())
        except OSError:
            cores.add(str(cpu))
    return max(1, len(cores))


def _not_finite(tensor: np.ndarray) -> str:
    n_nan, n_inf = int(np.isnan(tensor).sum()), int(np.isinf(tensor).sum())
    parts = [f"NaN ({n_nan} of {tensor.size} values)"] * (n_nan > 0)
    parts += [f"infinity ({n_inf} of {tensor.size} values)"] * (n_inf > 0)
    return " and ".join(parts)


def _names(nodes: dict[str, Any]) -> str:
    return ", ".join(repr(name) for name in nodes)


def _shape(shape: Sequence[Any]) -> str:
    return "[" + ", ".join(str(side) for side in shape) + "]"


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:297]}..."
