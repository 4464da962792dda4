"""Labelled pictures as files hold them: YOLO text beside pictures, COCO JSON, and sources with their own rules.

A folder with `images/`, `labels/` and perhaps `ignore/`, `index.csv` and `sources.toml` is read as YOLO; a `.json` file
as COCO, its pictures beside it or in `images/`. Nothing is decoded here.
"""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kernels.records import CLASSES
from vision.errors import InputError

#: Class of a box that is neither object nor background.
IGNORED = -1
#: Half of a picture's luma (16 to 235) lies below this: night, as in 60 of 71 pictures of a motorway by night.
DARK = 62
_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
#: Names that other data sets use for our classes.
_NAMES = {"motorbike": "motorcycle", "pedestrian": "person", "bike": "bicycle", "van": "car", "lorry": "truck"}


class Picture(NamedTuple):
    """One labelled picture: boxes f4[n, 4] as shares of its width and height (x1, y1, x2, y2), classes i2[n]."""

    path: Path
    split: str  # "train", "val", or "" where the labels do not say
    source: str
    camera: str  # "" where unknown
    boxes: np.ndarray
    class_id: np.ndarray  # IGNORED or an index into CLASSES
    unlabelled: tuple[str, ...] = ()  # classes that may be visible without a box


def read_pictures(path: Path, classes: Mapping[int, int] | None = None) -> list[Picture]:
    """Return the labelled pictures of a folder (YOLO) or a file (COCO), by name; InputError says what is wrong.

    `classes` maps the numbers of YOLO labels to ours; boxes of other numbers are ignore boxes. COCO names its classes.
    """
    if path.suffix == ".json":
        found = _read_coco(path)
    elif (path / "images").is_dir() and (path / "labels").is_dir():
        found = list(_read_yolo(path, classes or {k: k for k in range(len(CLASSES))}))
    else:
        raise InputError(f"{path}: holds no labels; allowed: a folder with images/ and labels/ (YOLO), a COCO .json")
    if not found:
        raise InputError(f"{path}: names no picture; allowed: pictures {', '.join(_ENDINGS)} with labels")
    return found


# -- YOLO -------------------------------------------------------------------------------------------------------------


def _read_yolo(folder: Path, classes: Mapping[int, int]) -> Iterator[Picture]:
    index = _index(folder)
    unlabelled = _unlabelled(folder)
    for image in sorted((folder / "images").rglob("*")):
        if image.suffix.lower() not in _ENDINGS:
            continue
        inside = image.relative_to(folder / "images")
        row = index.get(image.stem, {})
        label = (folder / "labels" / inside).with_suffix(".txt")
        if not label.exists() and not row:
            continue  # a picture that nobody labelled is no empty road
        boxes, kinds = _read_text(label, classes)
        other, _ = _read_text((folder / "ignore" / inside).with_suffix(".txt"), {})
        split = row.get("split", inside.parts[0] if inside.parts[0] in ("train", "val", "test") else "")
        source = row.get("source", folder.resolve().name)
        yield Picture(
            image,
            split,
            source,
            row.get("camera", ""),
            np.concatenate([boxes, other]).astype(np.float32),
            np.concatenate([kinds, np.full(len(other), IGNORED)]).astype(np.int16),
            unlabelled.get(source, ()),
        )


def _read_text(path: Path, classes: Mapping[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes f8[n, 4] and classes i8[n] of one YOLO file; a file that is not there holds none."""
    boxes, kinds = [], []
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            cx, cy, w, h = map(float, words[1:5])
            kind = classes.get(int(words[0]), IGNORED) if classes else IGNORED
        except ValueError:
            raise InputError(f"{path}: line {number}: {line!r}; allowed: class cx cy w h as shares 0..1") from None
        if not (0 <= w <= 1.001 and 0 <= h <= 1.001 and -0.001 <= cx <= 1.001 and -0.001 <= cy <= 1.001):
            raise InputError(f"{path}: line {number}: {line!r} lies outside; allowed: class cx cy w h as shares 0..1")
        boxes.append((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2))
        kinds.append(kind)
    return np.array(boxes, float).reshape(-1, 4).clip(0.0, 1.0), np.array(kinds, np.int64)


def _index(folder: Path) -> dict[str, dict[str, str]]:
    path = folder / "index.csv"
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def _unlabelled(folder: Path) -> dict[str, tuple[str, ...]]:
    path = folder / "sources.toml"
    if not path.exists():
        return {}
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return {one["name"]: tuple(one.get("unlabelled", ())) for one in table.get("source", ())}


# -- COCO -------------------------------------------------------------------------------------------------------------


def _read_coco(path: Path) -> list[Picture]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        kinds = {one["id"]: _our_class(one["name"]) for one in table["categories"]}
        of: dict[Any, list[dict[str, Any]]] = {one["id"]: [] for one in table["images"]}
        for one in table["annotations"]:
            of[one["image_id"]].append(one)
        return [_coco_picture(path, one, of[one["id"]], kinds) for one in table["images"]]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: {error!r}; allowed: COCO JSON with images, annotations (bbox x, y, w, h) and categories"
        ) from None


def _coco_picture(path: Path, image: Mapping[str, Any], marks: list[dict[str, Any]], kinds: dict[Any, int]) -> Picture:
    size = np.array([image["width"], image["height"]] * 2, float)
    boxes = np.array([mark["bbox"] for mark in marks], float).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    crowd = np.array([bool(mark.get("iscrowd", 0)) for mark in marks], bool)
    kind = np.array([kinds[mark["category_id"]] for mark in marks], np.int16)
    place = next((p for p in (path.parent, path.parent / "images") if (p / image["file_name"]).exists()), path.parent)
    return Picture(
        place / image["file_name"],
        "",
        path.stem,
        "",
        (boxes / size).clip(0.0, 1.0).astype(np.float32),
        np.where(crowd, IGNORED, kind).astype(np.int16),
    )


def _our_class(name: str) -> int:
    """Return our class of a name, IGNORED where it is none of ours."""
    name = _NAMES.get(name.lower(), name.lower())
    return CLASSES.index(name) if name in CLASSES else IGNORED
