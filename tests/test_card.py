"""Cards: what they say is taken, and what is wrong with them or their files is said in full."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_models
from tiny_models import card_text, write_card

import models
from kernels.records import CLASSES
from vision import card as module
from vision.card import Classes, RowsHead, find_model, list_cards, load_card, model_folders, open_model, read_card
from vision.errors import ModelError
from vision.frame import FitSpec

ROWS = tiny_models.KINDS["rows"][1]


@pytest.fixture(autouse=True)
def _no_folders_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANTRY_MODELS", raising=False)


def mistakes(folder: Path, text: str) -> str:
    """Return what reading a card complains of."""
    with pytest.raises(ModelError) as caught:
        read_card(write_card(folder, text))
    assert caught.value.exit_code == 1
    return str(caught.value)


def test_a_card_is_read(tmp_path: Path) -> None:
    card = read_card(write_card(tmp_path, card_text(ROWS, more="iou_max = 0.4", extra_input="scale = 0.5\npad = 7")))
    assert (card.name, card.file, card.sha256, card.bytes) == ("tiny", "tiny.onnx", "", None)
    assert card.fit_spec == FitSpec(64, 48, "bgr", "letterbox", 7)
    assert (card.input.scale, card.input.std, card.score_min, card.iou_max) == (0.5, (1, 1, 1), 0.2, 0.4)
    assert card.output == RowsHead(head="rows", n_classes=80, output="rows")
    assert card.classes.used()["truck"] == (7,)
    assert card.path == tmp_path / "tiny.toml"


def test_classes_are_those_of_the_records() -> None:
    assert Classes.__struct_fields__ == CLASSES


def test_every_mistake_at_once(tmp_path: Path) -> None:
    said = mistakes(
        tmp_path,
        """
        name = "other"
        file = "../tiny.onnx"
        sha256 = "ABC"
        bytes = 0
        licence = ""
        score_min = 0.0
        colour = 3
        [input]
        name = "images"
        width_px = 63
        height_px = 48
        layout = "i420"
        fit = "middle"
        dtype = "float32"
        std = [1, 0, 1]
        [output]
        head = "yolox"
        n_classes = 80
        strides = [8, 0]
        [classes]
        car = [2, 80]
        truck = [2]
        lorry = [7]
        """,
    )
    wanted = [
        "name = 'other' is not the file's name; allowed: tiny",
        "file = '../tiny.onnx' is not allowed; allowed: the name of an .onnx file, no folder",
        "sha256 = 'ABC' is not allowed; allowed: 64 digits 0-9 a-f",
        "bytes = 0 is out of range",
        "licence = '' is not allowed",
        "source is missing",
        "score_min = 0.0 is out of range; allowed: >= 0.001 and <= 0.99",
        "colour is not known",
        "input.width_px = 63 is odd; allowed with layout i420: even sizes",
        "input.fit = 'middle' is not known; allowed: corner, letterbox, stretch",
        "input.dtype = 'float32' does not go with layout i420; allowed: uint8",
        "input.std = [1.0, 0.0, 1.0] has a 0",
        "output.output is missing",
        "output.strides#2 = 0 is out of range; allowed: >= 1 and <= 256",
        "classes.lorry is not known",
    ]
    for part in wanted:
        assert part in said
    assert len(said.splitlines()) == len(wanted)
    assert all(line.startswith(str(tmp_path / "tiny.toml")) for line in said.splitlines())


@pytest.mark.parametrize(
    ("output", "part"),
    [
        (
            'head = "yolo"\nn_classes = 80',
            "output.head = 'yolo' is not known; did you mean yolox? allowed: yolox,",
        ),
        ("n_classes = 80", "output.head is missing; allowed: yolox, yolov8, detr, rows"),
        ("head = 3", "output.head = 3 is not known"),
        ('head = "rows"\nn_classes = 80', "output wants either output (one tensor) or boxes, scores and labels"),
        ('head = "rows"\nn_classes = 80\nboxes = "b"', "output wants either output"),
        ('head = "rows"\nn_classes = 80\noutput = "r"\nboxes = "b"\nscores = "s"\nlabels = "l"', "output wants either"),
        ('head = "rows"\nn_classes = 7\noutput = "r"', "classes.truck#1 = 7 is out of range; allowed: 0 to 6"),
    ],
)
def test_wrong_heads(tmp_path: Path, output: str, part: str) -> None:
    assert f"tiny.toml: {part}" in mistakes(tmp_path, card_text(output))


def test_wrong_classes(tmp_path: Path) -> None:
    text = card_text(ROWS, classes={"car": 2, "bus": 2})
    assert "classes.bus#1 = 2 is a car already; allowed: each index once" in mistakes(tmp_path, text)
    assert "classes has no entry" in mistakes(tmp_path, card_text(ROWS, classes={}))


def test_bytes_are_not_scaled(tmp_path: Path) -> None:
    said = mistakes(tmp_path, card_text(ROWS, extra_input='dtype = "uint8"\nscale = 0.5'))
    assert "input.scale is not used with dtype uint8" in said


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe", b"a = " + b"9" * 5000, b"#" * 70_000])
def test_no_toml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tiny.toml"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_card(path)
    assert len(str(caught.value).splitlines()) == 1
    assert str(path) in str(caught.value)


def test_unknown_name(tmp_path: Path) -> None:
    write_card(tmp_path, card_text(ROWS))
    with pytest.raises(ModelError, match=r"model 'tony' has no card; did you mean tiny\? cards here: .*tiny.*--models"):
        load_card("tony", [tmp_path])


def test_folders_come_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        write_card(folder, card_text(ROWS))
    monkeypatch.setenv("GANTRY_MODELS", f"{second}::{first}")
    assert model_folders() == [second, first, models.FOLDER]
    assert list_cards()["tiny"] == second / "tiny.toml"
    assert list_cards([first])["tiny"] == first / "tiny.toml"
    assert list_cards([tmp_path / "absent"])["tiny"] == second / "tiny.toml"


def test_the_file_is_found_and_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards, files = tmp_path / "cards", tmp_path / "files"
    cards.mkdir()
    files.mkdir()
    content = b"not really a model"
    digest = "5d8ce1ef4a3ef9fbbbb3ad1a9bbb4bd42ea9c2ab3c8ed0c1bb6bd9a2d5bd5f7b"
    write_card(cards, card_text(ROWS, more=f'sha256 = "{digest}"'))
    card = load_card("tiny", [cards])
    with pytest.raises(ModelError, match=r"tiny\.onnx is not there \(looked in .*cards.*\); get it from a test"):
        find_model(card, [files])
    (files / "tiny.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=rf"has SHA-256 [0-9a-f]{{64}}, its card .* wants {digest}"):
        find_model(card, [files])
    right = module.file_sha256(files / "tiny.onnx")
    write_card(cards, card_text(ROWS, more=f'sha256 = "{right}"\nbytes = {len(content)}'))
    assert find_model(load_card("tiny", [cards]), [files]) == files / "tiny.onnx"
    monkeypatch.setenv("GANTRY_MODELS", str(files))
    assert open_model("tiny", [cards]) == (load_card("tiny", [cards]), files / "tiny.onnx")
    write_card(cards, card_text(ROWS, more=f'sha256 = "{right}"\nbytes = 9'))
    with pytest.raises(ModelError, match=r"has 18 bytes, its card .* wants 9"):
        find_model(load_card("tiny", [cards]))
    (cards / "tiny.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match="is empty"):
        find_model(load_card("tiny", [cards]))
    (cards / "tiny.onnx").unlink()
    (cards / "tiny.onnx").mkdir()
    with pytest.raises(ModelError, match="is no file"):
        find_model(load_card("tiny", [cards]))


def test_without_a_hash_any_file_is_taken_and_its_hash_told(tmp_path: Path) -> None:
    write_card(tmp_path, card_text(ROWS))
    (tmp_path / "tiny.onnx").write_bytes(b"abc")
    card, path = open_model("tiny", [tmp_path])
    assert path == tmp_path / "tiny.onnx"
    assert card.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_cards_that_ship() -> None:
    names = list_cards()
    assert "yolox-nano" in names
    for name in names:
        card = load_card(name)
        assert len(card.sha256) == 64, f"{name}: a shipped card names its file's hash"
        assert card.bytes
        if (models.FOLDER / card.file).exists():
            assert find_model(card) == models.FOLDER / card.file


@pytest.mark.parametrize("name", ["yolov8", "rt-detr", "d-fine", "rf-detr"])
def test_the_templates_are_sound(name: str) -> None:
    card = read_card(models.TEMPLATES / f"{name}.toml")
    assert card.sha256 == ""
    assert set(card.classes.used()) == set(CLASSES)
    assert name not in list_cards()
