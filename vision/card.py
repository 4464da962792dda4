"""A card says what a model file is: which file with which hash, what goes in, what comes out, which classes.

Cards are TOML files, `NAME.toml`, in `models/` and in the folders that a user names; the model file lies beside its
card or in any of those folders. A bad card is refused with every mistake in it.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

import models
from vision.errors import ModelError
from vision.frame import FitMode, FitSpec, Layout
from vision.schema import WRONG, Reader, join, listing, show, suggest

#: A card larger than this is none.
MOST_BYTES = 1 << 16

_STRICT = {"frozen": True, "forbid_unknown_fields": True}

CardName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"\A[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}\Z",
        description="a name of letters, digits, - _ and . (not first), at most 64",
    ),
]
FileName = Annotated[
    str, msgspec.Meta(pattern=r"\A[^/\\\x00-\x1f]{1,200}\.onnx\Z", description="the name of an .onnx file, no folder")
]
Sha256 = Annotated[
    str, msgspec.Meta(pattern=r"\A([0-9a-f]{64})?\Z", description="64 digits 0-9 a-f, or empty where it is not known")
]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=300, description="text of 1 to 300 letters")]
Side = Annotated[int, msgspec.Meta(ge=16, le=8192)]
Grey = Annotated[int, msgspec.Meta(ge=0, le=255)]
Channels = Annotated[tuple[float, float, float], msgspec.Meta(description="a list of three numbers, one a channel")]
Count = Annotated[int, msgspec.Meta(ge=1, le=10000)]
Index = Annotated[int, msgspec.Meta(ge=0, le=9999)]
Indices = Annotated[tuple[Index, ...], msgspec.Meta(description="a list of the model's class indices")]
Stride = Annotated[int, msgspec.Meta(ge=1, le=256)]


class Input(msgspec.Struct, **_STRICT):
    """The picture that the model reads: value = (byte * scale - mean) / std, in the order of the layout's channels."""

    name: Text
    width_px: Side
    height_px: Side
    layout: Layout
    fit: FitMode = "letterbox"
    pad: Grey = 114
    dtype: Literal["uint8", "float32", "float16"] = "float32"
    scale: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    mean: Channels = (0.0, 0.0, 0.0)
    std: Channels = (1.0, 1.0, 1.0)


class Head(msgspec.Struct, **_STRICT):
    """How the outputs are read; `head` chooses one of the kinds below. `n_classes` is how many the model knows."""

    head: str
    n_classes: Count


class YoloxHead(Head, **_STRICT):
    """One output [n, cells, 5 + classes]; `decoded` where the export already turned it into pixels."""

    output: Text
    strides: Annotated[tuple[Stride, ...], msgspec.Meta(min_length=1, max_length=8)] = (8, 16, 32)
    decoded: bool = False


class Yolov8Head(Head, **_STRICT):
    """One output [n, 4 + classes, cells] or [n, cells, 4 + classes] in pixels, scores 0..1."""

    output: Text


class DetrHead(Head, **_STRICT):
    """Boxes [n, queries, 4] as shares of the picture, scores [n, queries, classes]: logits where `sigmoid`."""

    boxes: Text
    scores: Text
    sigmoid: bool = True


class RowsHead(Head, **_STRICT):
    """Finished rows in the picture's pixels: `output` [n, rows, 6] (corners, score, class), or three outputs.

    `sizes` is an input that wants the width and height that boxes are scaled to.
    """

    output: str = ""
    boxes: str = ""
    scores: str = ""
    labels: str = ""
    sizes: str = ""


class Classes(msgspec.Struct, **_STRICT):
    """The model's class indices that stand for each class of ours."""

    car: Indices = ()
    bus: Indices = ()
    truck: Indices = ()
    motorcycle: Indices = ()
    bicycle: Indices = ()
    person: Indices = ()

    def used(self) -> dict[str, tuple[int, ...]]:
        """Return the classes that the model knows, each with its indices there."""
        return {name: given for name in self.__struct_fields__ if (given := getattr(self, name))}


HEADS: dict[str, type[Head]] = {"yolox": YoloxHead, "yolov8": Yolov8Head, "detr": DetrHead, "rows": RowsHead}


class CardTable(msgspec.Struct, kw_only=True, **_STRICT):
    """The keys of a card. `iou_max` is left out where the model gives no doubles.

    From `score_strong` on a detection is more likely right than wrong: it may begin a track. Weaker ones, down to
    `score_min`, only carry a track on.
    """

    name: CardName
    file: FileName
    sha256: Sha256 = ""
    bytes: Annotated[int, msgspec.Meta(ge=1, le=1 << 40)] | None = None
    licence: Text
    source: Text
    input: Input
    output: Head
    classes: Classes
    score_min: Annotated[float, msgspec.Meta(ge=0.001, le=0.99)] = 0.1
    score_strong: Annotated[float, msgspec.Meta(ge=0.001, le=0.99)] = 0.4
    iou_max: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None = None


class Card(CardTable, kw_only=True, **_STRICT):
    """A card that was read and found sound, and where it lies."""

    path: Path

    @property
    def fit_spec(self) -> FitSpec:
        """How a frame is fitted for this model."""
        given = self.input
        return FitSpec(given.width_px, given.height_px, given.layout, given.fit, given.pad)


def model_folders(folders: Iterable[str | os.PathLike[str]] = ()) -> list[Path]:
    """Return where cards and model files are looked for: `folders`, those of GANTRY_MODELS, the package's own."""
    named = [part for part in os.environ.get("GANTRY_MODELS", "").split(os.pathsep) if part]
    return list(dict.fromkeys([*map(Path, folders), *map(Path, named), models.FOLDER]))


def list_cards(folders: Iterable[str | os.PathLike[str]] = ()) -> dict[str, Path]:
    """Return the card of each name, sorted; the first folder that has a name wins."""
    found: dict[str, Path] = {}
    for folder in model_folders(folders):
        for path in sorted(folder.glob("*.toml")):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def load_card(name: str, folders: Iterable[str | os.PathLike[str]] = ()) -> Card:
    """Read the card of that name; a ModelError lists every mistake, one line each."""
    folders = list(folders)
    cards = list_cards(folders)
    if name not in cards:
        hint = suggest(name, cards)
        raise ModelError(
            f"model {show(name)} has no card; {hint}cards here: {listing(cards)}; "
            "name a folder with other cards by --models or GANTRY_MODELS"
        )
    return read_card(cards[name])


def read_card(path: Path) -> Card:
    """Read one card file; a ModelError lists every mistake, one line each."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ModelError(f"{path}: has more than {MOST_BYTES} bytes; give the TOML card, not the model")
        table = tomllib.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        reason = " ".join(show(str(error)).split())
        raise ModelError(f"{path}: cannot be read as TOML: {reason}; allowed: TOML in UTF-8") from None
    reader = Reader(
        str(path), {Head: _choose_head}, {CardTable: _check_card, Input: _check_input, RowsHead: _check_rows}
    )
    read = reader.read(table, CardTable)
    if isinstance(table.get("name"), str) and table["name"] != path.stem:
        reader.wrong("name", table["name"], f"is not the file's name; allowed: {path.stem}")
    if reader.mistakes or read is WRONG:
        raise ModelError("\n".join(dict.fromkeys(reader.mistakes)))
    return Card(**{field: getattr(read, field) for field in read.__struct_fields__}, path=path)


def open_model(name: str, folders: Iterable[str | os.PathLike[str]] = ()) -> tuple[Card, Path]:
    """Return a model's card and its verified file; a card without a hash comes back with that of the file it got."""
    folders = list(folders)
    card = load_card(name, folders)
    path = find_model(card, folders)
    return (card, path) if card.sha256 else (msgspec.structs.replace(card, sha256=file_sha256(path)), path)


def find_model(card: Card, folders: Iterable[str | os.PathLike[str]] = ()) -> Path:
    """Return a card's model file, its size and hash verified where the card gives them.

    ModelError where it is missing or another.
    """
    places = list(dict.fromkeys([card.path.parent, *model_folders(folders)]))
    path = next((place / card.file for place in places if (place / card.file).exists()), None)
    if path is None:
        looked = ", ".join(map(str, places))
        raise ModelError(
            f"model {card.name}: {card.file} is not there (looked in {looked}); get it from {card.source} and name "
            "its folder by --models or GANTRY_MODELS"
        )
    try:
        size_bytes = path.stat().st_size
        if not path.is_file() or not size_bytes:
            raise ModelError(f"{path}: is {'empty' if path.is_file() else 'no file'}; get it from {card.source}")
        if card.bytes is not None and size_bytes != card.bytes:
            raise ModelError(
                f"{path}: has {size_bytes} bytes, its card {card.path} wants {card.bytes}; get it from {card.source}"
            )
        if card.sha256 and (found := file_sha256(path)) != card.sha256:
            raise ModelError(
                f"{path}: has SHA-256 {found}, its card {card.path} wants {card.sha256}; get it from {card.source}"
            )
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    return path


def file_sha256(path: Path) -> str:
    """Return a file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -- What is wrong with a card beyond the types of its values ---------------------------------------------------------


def _choose_head(reader: Reader, table: dict[str, Any], at: str) -> type[Head] | None:
    kind = table.get("head")
    if isinstance(kind, str) and kind in HEADS:
        return HEADS[kind]
    place, allowed = join(at, "head"), ", ".join(HEADS)
    if "head" in table:
        reader.wrong(place, kind, f"is not known; {suggest(kind, HEADS)}allowed: {allowed}")
    else:
        reader.add(place, f"is missing; allowed: {allowed}")
    return None


def _check_input(reader: Reader, taken: dict[str, Any], table: dict[str, Any], at: str) -> None:
    for key in ("width_px", "height_px"):
        if taken.get("layout") == "i420" and taken.get(key, 0) % 2:
            reader.wrong(join(at, key), taken[key], "is odd; allowed with layout i420: even sizes")
    if taken.get("layout") == "i420" and taken.get("dtype", "uint8") != "uint8":
        reader.wrong(join(at, "dtype"), taken["dtype"], "does not go with layout i420; allowed: uint8")
    if taken.get("dtype") == "uint8":
        for key in ("scale", "mean", "std"):
            if key in table:
                reader.add(join(at, key), "is not used with dtype uint8, where bytes go in as they are; leave it out")
    if any(value == 0 for value in taken.get("std", ())):
        reader.wrong(join(at, "std"), list(taken["std"]), "has a 0; allowed: numbers other than 0")


def _check_rows(reader: Reader, taken: dict[str, Any], table: dict[str, Any], at: str) -> None:
    three = [key for key in ("boxes", "scores", "labels") if table.get(key)]
    if bool(table.get("output")) == bool(three) or 0 < len(three) < 3:
        reader.add(at, "wants either output (one tensor) or boxes, scores and labels (three); give one of the two")


def _check_card(reader: Reader, taken: dict[str, Any], table: dict[str, Any], at: str) -> None:
    classes = taken["classes"].used() if "classes" in taken else {}
    if "classes" in taken and not classes:
        reader.add("classes", "has no entry; give at least one, such as car = [2]")
    head = taken.get("output")
    seen: dict[int, str] = {}
    for name, indices in classes.items():
        for number, index in enumerate(indices, 1):
            place = f"classes.{name}#{number}"
            if head is not None and index >= head.n_classes:
                reader.wrong(place, index, f"is out of range; allowed: 0 to {head.n_classes - 1} (output.n_classes)")
            if index in seen:
                reader.wrong(place, index, f"is a {seen[index]} already; allowed: each index once")
            seen.setdefault(index, name)
