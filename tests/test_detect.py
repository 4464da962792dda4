"""Detection: every head on models of known output, what does not fit its card, and a real network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from tiny_models import GREY, KINDS, OBJECTS, card_text, write_card, write_model

import models
from kernels.records import CLASSES
from vision.card import Card, open_model, read_card
from vision.decode.worker import DecodeWorker
from vision.detect.providers import make_provider
from vision.detect.registry import check_model, model_rows, template_names
from vision.detect.session import Detector, physical_cores
from vision.errors import ModelError
from vision.frame import Detections, Placement, place

CPU = make_provider("cpu")
PLAIN = Placement(1.0, 1.0, 0, 0, tiny_models.WIDTH_PX, tiny_models.HEIGHT_PX)
ROWS = KINDS["rows"][1]

#: Class, score and box of a detection.
Found = tuple[str, float, tuple[float, ...]]


def opened(folder: Path, kind: str = "rows", batch: int = 0, more: str = "", **settings: Any) -> Detector:
    """Write a model of a kind and its card, and open it."""
    make, output = KINDS[kind]
    settings.setdefault("sizes", "size" if kind == "rows apart" else "")
    extra_input = settings.pop("extra_input", "")
    write_card(folder, card_text(output, more=more, extra_input=extra_input))
    write_model(folder / "tiny.onnx", settings.pop("outputs", None) or make(), **settings)
    return Detector(*open_model("tiny", [folder]), CPU, threads=1, batch=batch)


def picture(detector: Detector, value: int = GREY) -> np.ndarray:
    return np.full(detector.fit_spec.shape, value, np.uint8)


def found(
    detector: Detector, index: int = 0, placement: Placement = PLAIN
) -> list[tuple[str, float, tuple[float, ...]]]:
    """Return the detections of a picture as plain values."""
    out = Detections()
    detector.detections(index, placement, out)
    return [
        (CLASSES[out.class_id[i]], round(float(out.score[i]), 3), tuple(np.round(out.xyxy_px[i], 2).tolist()))
        for i in range(out.n)
    ]


def expected(*rows: int, factor: float = 1.0) -> list[Found]:
    names = {index: name for name, index in tiny_models.COCO.items()}
    return [
        (names[int(OBJECTS[i][5])], round(OBJECTS[i][4] * factor, 3), tuple(v * factor for v in OBJECTS[i][:4]))
        for i in rows
    ]


# -- Right models -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_head_sees_the_same(tmp_path: Path, kind: str) -> None:
    detector = opened(tmp_path, kind)
    assert detector.batch_size == 1
    detector.infer([picture(detector)])
    assert found(detector) == expected(0, 2, 1, 3)
    suppressing = opened(tmp_path, kind, more="iou_max = 0.6")
    suppressing.infer([picture(detector)])
    assert found(suppressing) == expected(0, 2, 3)  # the truck is the car; the rider and the motorcycle stay


@pytest.mark.parametrize("kind", ["yolov8", "yolov8 turned", "rows apart"])
def test_batches_keep_their_order(tmp_path: Path, kind: str) -> None:
    detector = opened(tmp_path, kind, batch=4)
    assert detector.batch_size == 4
    for count in (4, 1, 3):
        outputs = detector.infer([picture(detector, GREY if i != 1 else GREY // 2) for i in range(count)])
        assert len(outputs[0]) == count
        assert found(detector, 0) == expected(0, 2, 1, 3)
        if count > 1:
            assert found(detector, 1) == expected(0, 2, 1, 3, factor=0.5)
            assert found(detector, 2) == expected(0, 2, 1, 3)


@pytest.mark.parametrize(("size", "batch"), [(1, 8), (3, 0)])
def test_a_fixed_batch_is_kept(tmp_path: Path, size: int, batch: int) -> None:
    detector = Detector(*fixed(tmp_path, size), CPU, 1, batch)
    assert detector.batch_size == size
    outputs = detector.infer([picture(detector)])
    assert len(outputs[0]) == size
    assert found(detector) == expected(0, 2, 1, 3)


def fixed(folder: Path, size: int) -> tuple[Card, Path]:
    write_card(folder, card_text(ROWS))
    write_model(folder / "tiny.onnx", KINDS["rows"][0](), batch=size)
    return open_model("tiny", [folder])


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
@pytest.mark.parametrize("batch", [1, 2])
def test_input_types(tmp_path: Path, dtype: str, batch: int) -> None:
    detector = opened(tmp_path, batch=batch, dtype=dtype, extra_input=f'dtype = "{dtype}"')
    planes = picture(detector)
    outputs = detector.infer([planes] * batch)
    assert found(detector, batch - 1) == expected(0, 2, 1, 3)
    assert outputs[0].dtype == np.float32


def test_planes_of_yuv(tmp_path: Path) -> None:
    shape = (tiny_models.HEIGHT_PX * 3 // 2, tiny_models.WIDTH_PX)
    text = card_text(ROWS, extra_input='dtype = "uint8"').replace('"bgr"', '"i420"')
    write_card(tmp_path, text)
    write_model(tmp_path / "tiny.onnx", KINDS["rows"][0](), dtype="uint8", shape=shape)
    detector = Detector(*open_model("tiny", [tmp_path]), CPU, 1)
    assert detector.fit_spec.shape == shape
    detector.infer([picture(detector)])
    assert found(detector) == expected(0, 2, 1, 3)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_bytes_are_scaled_as_the_card_says(tmp_path: Path, dtype: str) -> None:
    """The model's factor is the mean of what it gets: of three grey channels, each with its own mean and deviation."""
    scaling = "scale = 0.25\nmean = [1.0, 2.0, 3.0]\nstd = [0.5, 0.25, 0.125]\npad = 40\n"
    row = np.array([[10, 10, 20, 20, 0.9, 2]], np.float32)
    detector = opened(tmp_path, dtype=dtype, extra_input=f'{scaling}dtype = "{dtype}"', outputs={"rows": row * 0.2})
    given = np.stack([np.full((tiny_models.HEIGHT_PX, tiny_models.WIDTH_PX), byte, np.uint8) for byte in (8, 20, 36)])
    outputs = detector.infer([given])
    value = ((2 - 1) / 0.5 + (5 - 2) / 0.25 + (9 - 3) / 0.125) / 3
    np.testing.assert_allclose(outputs[0][0], row * 0.2 * value / GREY, rtol=2e-3)


def test_source_pixels_and_the_edge_of_the_frame(tmp_path: Path) -> None:
    detector = opened(tmp_path)
    detector.infer([picture(detector)])
    placement = Placement(0.5, 0.25, 4, 8, 20, 10)  # a frame of 40 x 40
    assert found(detector, placement=placement) == [
        ("car", 0.9, (8.0, 0.0, 40.0, 40.0)),
        ("truck", 0.7, (10.0, 0.0, 40.0, 40.0)),
    ]


def test_the_same_again(tmp_path: Path) -> None:
    detector = opened(tmp_path, "yolox")
    first = detector.infer([picture(detector, 90)])[0].tobytes()
    assert detector.infer([picture(detector, 200)])[0].tobytes() != first
    assert detector.infer([picture(detector, 90)])[0].tobytes() == first


def test_describe(tmp_path: Path) -> None:
    detector = opened(tmp_path)
    about = detector.describe()
    assert (about["model"], about["provider"], about["threads"], about["batch"]) == ("tiny", "CPU", 1, 1)
    assert len(str(about["sha256"])) == 64
    assert 1 <= physical_cores() <= 4096


# -- Models that do not fit their card --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"input_name": "image"}, "has no input 'images'; it has 'image'"),
        ({"sizes": "extra"}, "wants the input 'extra' too, which the card does not name"),
        ({"dtype": "uint8"}, r"takes 'images' as tensor\(uint8\); input.dtype = 'float32' is another"),
        ({"shape": (3, 64, 48)}, r"of shape \[n, 3, 64, 48\]; .*bgr, 64x48 px\) gives \[n, 3, 48, 64\]"),
        ({"shape": (48, 64)}, r"of shape \[n, 48, 64\]"),
        ({"outputs": {"boxes": np.zeros((4, 6), np.float32)}}, "has no output 'rows'; it has 'boxes'"),
        ({"outputs": {"rows": np.zeros((4, 7), np.float32)}}, r"shape \[1, 4, 7\] for 1 picture; .* \[n, rows, 6\]"),
        ({"outputs": {"rows": np.zeros((6,), np.float32)}}, r"wants \[n, rows, 6\]"),
        ({"outputs": {"rows": np.full((4, 6), np.nan, np.float32)}}, r"'rows' with NaN \(24 of 24 values\) on a grey"),
        ({"outputs": {"rows": np.full((4, 6), np.inf, np.float32)}}, r"'rows' with infinity \(24 of 24 values\)"),
        ({"outputs": {"rows": np.full((4, 6), 5, np.float32)}}, "'rows' holds scores above 1, which are no prob"),
        (
            {"outputs": {"rows": np.array([[1, 1, 9, 9, 0.5, 80]], np.float32)}},
            "'rows' holds a class that the model is not said to know",
        ),
    ],
)
def test_refused_at_opening(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        opened(tmp_path, **settings)
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).startswith("model tiny: tiny.onnx")


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_shapes_of_each_head(tmp_path: Path, kind: str) -> None:
    outputs = KINDS[kind][0]()
    name = list(outputs)[-1]
    outputs[name] = outputs[name][..., None]
    with pytest.raises(ModelError, match=rf"gives .*'{name}' of shape .* wants \[n, "):
        opened(tmp_path, kind, outputs=outputs)


@pytest.mark.parametrize(("value", "said"), [(np.nan, "NaN"), (np.inf, "infinity")])
@pytest.mark.parametrize("kind", KINDS)
def test_not_finite_later(tmp_path: Path, kind: str, value: float, said: str) -> None:
    detector = opened(tmp_path, kind, batch=2, when_black=value)
    detector.infer([picture(detector), picture(detector, 0)])
    assert found(detector) == expected(0, 2, 1, 3)
    with pytest.raises(ModelError, match=rf"^model tiny: tiny.onnx: frame 17: output '\w+' holds {said} \(\d+ of"):
        detector.detections(1, PLAIN, Detections(), 17)
    with pytest.raises(ModelError, match="picture 2 of a batch: output"):
        detector.detections(1, PLAIN, Detections())


def test_boxes_that_grow_beyond_numbers(tmp_path: Path) -> None:
    outputs = KINDS["yolox"][0]()
    outputs["output"][0, 2] = 500  # exp(500) is no 32-bit number
    with pytest.raises(ModelError, match="output 'output' gives boxes that are not finite"):
        opened(tmp_path, "yolox", outputs=outputs)


@pytest.mark.parametrize("content", [b"not a model", b"\x08\x07" * 50])
def test_no_model(tmp_path: Path, content: bytes) -> None:
    write_card(tmp_path, card_text(ROWS))
    (tmp_path / "tiny.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"tiny\.onnx cannot be opened by onnxruntime \d") as caught:
        Detector(*open_model("tiny", [tmp_path]), CPU)
    assert len(str(caught.value).splitlines()) == 1


# -- What `gantry models` shows ---------------------------------------------------------------------------------------


def test_rows_and_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANTRY_MODELS", raising=False)
    opened(tmp_path)
    write_card(tmp_path, card_text(ROWS, name="gone"), "gone")
    write_card(tmp_path, "name = 3", "bad")
    rows = {row.name: row for row in model_rows([tmp_path])}
    assert rows["tiny"].state == "ready (the card has no hash: any file of that name is taken)"
    assert rows["tiny"][1:5] == (", ".join(CLASSES), "64x48 bgr float32", "rows", "none")
    assert "gone.onnx is not there" in rows["gone"].state
    assert "bad.toml" in rows["bad"].state
    assert "yolox-nano" in rows
    said = "\n".join(check_model("tiny", [tmp_path], CPU, threads=1))
    for part in ("SHA-256", "input 'images' 64x48 bgr float32, head 'rows'", "runs on CPU", "median of 20 runs"):
        assert part in said
    with pytest.raises(ModelError, match=r"gone\.onnx is not there"):
        check_model("gone", [tmp_path], CPU)
    assert template_names() == ["d-fine", "rf-detr", "rt-detr", "yolov8"]


@pytest.mark.parametrize("name", ["yolov8", "rt-detr", "d-fine", "rf-detr"])
def test_templates_open_models_of_their_form(tmp_path: Path, name: str) -> None:
    text = (models.TEMPLATES / f"{name}.toml").read_text()
    (tmp_path / f"{name}.toml").write_text(text)
    card = read_card(tmp_path / f"{name}.toml")
    outputs = {
        "yolov8": {"output0": np.zeros((84, 8400), np.float32)},
        "rt-detr": {
            "labels": np.zeros(300, np.int64),
            "boxes": np.zeros((300, 4), np.float32),
            "scores": np.zeros(300, np.float32),
        },
        "d-fine": {"logits": np.full((300, 80), -9, np.float32), "pred_boxes": np.zeros((300, 4), np.float32)},
        "rf-detr": {"dets": np.zeros((300, 4), np.float32), "labels": np.zeros((300, 91), np.float32)},
    }[name]
    sizes = "orig_target_sizes" if name == "rt-detr" else ""
    shape = card.fit_spec.shape
    write_model(tmp_path / card.file, outputs, input_name=card.input.name, shape=shape, sizes=sizes)
    assert Detector(*open_model(name, [tmp_path]), CPU, 1).batch_size == 1


# -- A real network ---------------------------------------------------------------------------------------------------


@pytest.mark.shared
def test_yolox_nano_against_a_plain_reference(shared_data: Path) -> None:
    card, path = open_model("yolox-nano", [shared_data / "models"])
    detector = Detector(card, path, CPU)
    with_worker = DecodeWorker(shared_data / "clips" / "uk_junction_720p.mp4", detector.fit_spec)
    info = with_worker.start()
    try:
        frame = with_worker.read(60.0)
        assert frame is not None
        planes = frame.planes.copy()
    finally:
        with_worker.close()
    detector.infer([planes])
    out = Detections()
    detector.detections(0, place(detector.fit_spec, info.width_px, info.height_px), out)
    want = reference(path, planes, min(416 / info.width_px, 416 / info.height_px), card.score_min, card.iou_max or 1)
    assert out.n == len(want) >= 5
    for i, (box, score, name) in enumerate(want):
        np.testing.assert_allclose(out.xyxy_px[i], np.clip(box, 0, [info.width_px, info.height_px] * 2), atol=1.0)
        assert out.score[i] == pytest.approx(score, abs=1e-4)
        assert CLASSES[out.class_id[i]] == name


def reference(path: Path, planes: np.ndarray, ratio: float, score_min: float, iou_max: float) -> list[Any]:
    """Decode YOLOX and suppress doubles as its own demo does, in plain numpy."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    raw = session.run(None, {"images": planes[None].astype(np.float32)})[0][0]
    start = 0
    for stride in (8, 16, 32):
        side = 416 // stride
        ys, xs = np.mgrid[:side, :side]
        part = raw[start : start + side * side]
        part[:, 0], part[:, 1] = (part[:, 0] + xs.ravel()) * stride, (part[:, 1] + ys.ravel()) * stride
        part[:, 2:4] = np.exp(part[:, 2:4]) * stride
        start += side * side
    names = {0: "person", 1: "bicycle", 2: "car", 3: "motorcycle", 5: "bus", 7: "truck"}
    value = raw[:, 5:] * raw[:, 4:5]
    kind = np.array(list(names))[value[:, list(names)].argmax(1)]
    best = value[:, list(names)].max(1)
    box = np.concatenate([raw[:, :2] - raw[:, 2:4] / 2, raw[:, :2] + raw[:, 2:4] / 2], 1) / ratio
    kept: list[Any] = []
    for i in np.argsort(-best):
        if best[i] < score_min:
            break
        name = names[int(kind[i])]
        group = {"person": 0, "bicycle": 1, "motorcycle": 1}.get(name, 2)
        if all(g != group or iou(box[i], b) <= iou_max for b, _, _, g in kept):
            kept.append((box[i], best[i], name, group))
    return [(b, s, n) for b, s, n, _ in kept]


def iou(a: np.ndarray, b: np.ndarray) -> float:
    side = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    return float(side.prod() / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - side.prod()))
