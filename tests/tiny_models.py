"""Makers of tiny ONNX models and their cards: outputs are fixed tables, scaled by how bright the picture is."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from kernels.boxes import GROUPS

GREY = 114
WIDTH_PX, HEIGHT_PX = 64, 48
#: Classes of COCO that are in use, by our name.
COCO = {"person": 0, "bicycle": 1, "car": 2, "motorcycle": 3, "bus": 5, "truck": 7}

_TYPES = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}
_OUT_TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}


def write_model(
    path: Path,
    outputs: Mapping[str, np.ndarray],
    *,
    input_name: str = "images",
    shape: tuple[int, ...] = (3, HEIGHT_PX, WIDTH_PX),
    batch: int | str = "n",
    dtype: str = "float32",
    sizes: str = "",
    when_black: float | None = None,
) -> Path:
    """Write a model that gives each of `outputs` [...] for a picture of mean value 114, and times mean / 114 else.

    Whole numbers are given as they are. `when_black` is added to everything where the mean is 0, after the scaling.
    `sizes` is a second input, which does nothing.
    """
    nodes, constants, declared = [], [], []

    def constant(name: str, value: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    def node(kind: str, takes: list[str], gives: str, **settings: Any) -> str:
        nodes.append(helper.make_node(kind, takes, [gives], **settings))
        return gives

    as_float = node("Cast", [input_name], "as_float", to=TensorProto.FLOAT)
    mean = node("ReduceMean", [as_float], "mean", axes=list(range(1, 1 + len(shape))), keepdims=0)
    factor = node("Div", [mean, constant("grey", np.float32([GREY]))], "factor")
    if when_black is not None:
        # 1 where the picture is black, else 0; times the value, without 0 * infinity where it is not black.
        dark = node("Equal", [mean, constant("zero", np.float32([0]))], "dark")
        extra = constant("extra", np.float32([when_black]))
        trouble = node("Where", [dark, extra, constant("none", np.float32([0]))], "trouble")
    for name, table in outputs.items():
        ones = constant(f"{name}_sides", np.array([-1] + [1] * table.ndim, np.int64))
        shaped = node("Reshape", [factor, ones], f"{name}_factor")
        if table.dtype == np.int64:
            whole = node("Cast", [node("Mul", [shaped, constant(f"{name}_0", np.float32([0]))], f"{name}_none")],
                         f"{name}_whole", to=TensorProto.INT64)  # fmt: skip
            node("Add", [whole, constant(f"{name}_table", table[None])], name)
        elif when_black is None:
            node("Mul", [shaped, constant(f"{name}_table", table[None])], name)
        else:
            scaled = node("Mul", [shaped, constant(f"{name}_table", table[None])], f"{name}_scaled")
            node("Add", [scaled, node("Reshape", [trouble, ones], f"{name}_trouble")], name)
        declared.append(
            helper.make_tensor_value_info(
                name, _OUT_TYPES[table.dtype], [batch, *(f"{name}{i}" for i in range(table.ndim))]
            )
        )
    inputs = [helper.make_tensor_value_info(input_name, _TYPES[dtype], [batch, *shape])]
    if sizes:
        inputs.append(helper.make_tensor_value_info(sizes, TensorProto.INT64, [batch, 2]))
    graph = helper.make_graph(nodes, "tiny", inputs, declared, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def card_text(
    output: str, *, name: str = "tiny", classes: Mapping[str, int] = COCO, more: str = "", extra_input: str = ""
) -> str:
    """Return the TOML of a card for a model of `write_model`; `output` is the [output] table."""
    known = "\n".join(f"{kind} = [{index}]" for kind, index in classes.items() if kind in GROUPS)
    return (
        textwrap.dedent(f"""\
        name = "{name}"
        file = "{name}.onnx"
        licence = "none"
        source = "a test"
        score_min = 0.2
        {more}

        [input]
        name = "images"
        width_px = {WIDTH_PX}
        height_px = {HEIGHT_PX}
        layout = "bgr"
        {extra_input}

        [output]
        """)
        + textwrap.dedent(output)
        + "\n[classes]\n"
        + known
        + "\n"
    )


def write_card(folder: Path, text: str, name: str = "tiny") -> Path:
    """Write a card and return its path."""
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


# -- The same objects as each head would say them ---------------------------------------------------------------------

#: x1, y1, x2, y2 in network px, score, class index of COCO.
OBJECTS = (
    (8.0, 6.0, 30.0, 20.0, 0.9, 2),
    (9.0, 6.5, 31.0, 20.5, 0.7, 7),  # the same vehicle, as a truck
    (40.0, 10.0, 48.0, 30.0, 0.8, 0),
    (39.0, 12.0, 49.0, 32.0, 0.6, 3),  # the motorcycle under that person
    (2.0, 30.0, 12.0, 44.0, 0.5, 56),  # a chair
    (50.0, 30.0, 60.0, 40.0, 0.1, 2),  # too weak
)


def as_middle(objects: tuple[tuple[float, ...], ...] = OBJECTS) -> np.ndarray:
    """Return middle and size of each object, f4[n, 4]."""
    box = np.array(objects, np.float32)[:, :4]
    return np.concatenate([(box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]], 1)


def class_table(low: float, of: Any = lambda score: score) -> np.ndarray:
    """Return class scores f4[n, 80] of the objects: `of(score)` at their class, `low` else."""
    table = np.full((len(OBJECTS), 80), low, np.float32)
    for row, entry in zip(table, OBJECTS, strict=True):
        row[int(entry[5])] = of(entry[4])
    return table


def yolox_outputs() -> dict[str, np.ndarray]:
    """Return `output` f4[62, 85], undecoded, strides 8, 16, 32: the objects stand in cells spread over the grid."""
    cells = [
        (x, y, stride) for stride in (8, 16, 32) for y in range(HEIGHT_PX // stride) for x in range(WIDTH_PX // stride)
    ]
    raw = np.zeros((len(cells), 85), np.float32)
    middle, scores = as_middle(), class_table(0.0)
    for k, row in enumerate((0, 7, 30, 50, 58, 61)):
        x, y, stride = cells[row]
        raw[row, :2] = middle[k, :2] / stride - (x, y)
        raw[row, 2:4] = np.log(middle[k, 2:] / stride)
        raw[row, 4], raw[row, 5:] = 0.95, scores[k] / 0.95
    return {"output": raw}


def yolox_decoded_outputs() -> dict[str, np.ndarray]:
    """Return the same with boxes in pixels."""
    raw = yolox_outputs()["output"]
    raw[[0, 7, 30, 50, 58, 61], :4] = as_middle()
    return {"output": raw}


def yolov8_outputs() -> dict[str, np.ndarray]:
    """Return `output0` f4[84, 100]."""
    raw = np.zeros((84, 100), np.float32)
    raw[:, [3, 10, 40, 60, 61, 99]] = np.concatenate([as_middle(), class_table(0.0)], 1).T
    return {"output0": raw}


def yolov8_turned_outputs() -> dict[str, np.ndarray]:
    """Return `output0` f4[100, 84]."""
    return {"output0": np.ascontiguousarray(yolov8_outputs()["output0"].T)}


def detr_outputs() -> dict[str, np.ndarray]:
    """Return `boxes` f4[6, 4] as shares of the picture and `logits` f4[6, 80]."""
    share = as_middle() / np.array([WIDTH_PX, HEIGHT_PX] * 2, np.float32)
    return {"boxes": share, "logits": class_table(-9.0, lambda score: np.log(score / (1 - score)))}


def detr_probability_outputs() -> dict[str, np.ndarray]:
    """Return the same with scores 0..1."""
    return {"boxes": detr_outputs()["boxes"], "logits": class_table(0.0)}


def rows_outputs() -> dict[str, np.ndarray]:
    """Return `rows` f4[9, 6]; the last three are empty."""
    return {"rows": np.concatenate([np.array(OBJECTS, np.float32), np.zeros((3, 6), np.float32)])}


def split_rows_outputs() -> dict[str, np.ndarray]:
    """Return `boxes`, `scores` and `labels` apart."""
    rows = np.array(OBJECTS, np.float32)
    return {"boxes": rows[:, :4], "scores": rows[:, 4], "labels": rows[:, 5].astype(np.int64)}


#: For each kind of output: its maker and its [output] table.
KINDS = {
    "yolox": (yolox_outputs, 'head = "yolox"\noutput = "output"\nn_classes = 80\n'),
    "yolox decoded": (yolox_decoded_outputs, 'head = "yolox"\noutput = "output"\nn_classes = 80\ndecoded = true\n'),
    "yolov8": (yolov8_outputs, 'head = "yolov8"\noutput = "output0"\nn_classes = 80\n'),
    "yolov8 turned": (yolov8_turned_outputs, 'head = "yolov8"\noutput = "output0"\nn_classes = 80\n'),
    "detr": (detr_outputs, 'head = "detr"\nboxes = "boxes"\nscores = "logits"\nn_classes = 80\n'),
    "detr probabilities": (
        detr_probability_outputs,
        'head = "detr"\nboxes = "boxes"\nscores = "logits"\nsigmoid = false\nn_classes = 80\n',
    ),
    "rows": (rows_outputs, 'head = "rows"\noutput = "rows"\nn_classes = 80\n'),
    "rows apart": (
        split_rows_outputs,
        'head = "rows"\nboxes = "boxes"\nscores = "scores"\nlabels = "labels"\nsizes = "size"\nn_classes = 80\n',
    ),
}
