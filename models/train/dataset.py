"""Labelled pictures as the training reads them: I420 planes at three sizes in one memory-mapped file, and their boxes.

`open_cache` prepares the file once for a set of folders. A picture's planes are scaled to half and to a quarter once,
so that a sample that shows it small reads little and needs no filter.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from models.train.network import ROAD
from vision.evaluate.labels import DARK, IGNORED, Picture, read_pictures

LEVELS = 3
#: Cameras of these names are no single place: such pictures are told apart by nothing.
NO_CAMERA = ("", "photo", "misc")
VERSION = 4
#: Pictures are kept at most so long: the larger network's width.
LONG_PX = 640

PICTURE = np.dtype(
    [
        ("offset", "i8", (LEVELS,)),
        ("width_px", "i4", (LEVELS,)),
        ("height_px", "i4", (LEVELS,)),
        ("source", "i2"),
        ("camera", "i2"),
        ("val", "?"),
        ("dark", "?"),
        ("known", "u1"),  # bits of the classes that have all their labels
        ("first", "i4"),
        ("count", "i4"),
    ]
)


class Planes(NamedTuple):
    """One picture at one size: Y u1[h, w], U and V u1[h / 2, w / 2]."""

    y: np.ndarray
    u: np.ndarray
    v: np.ndarray


class Cache:
    """A prepared set: `pictures` PICTURE[n], their `boxes` f4[m, 6].

    A box: x1, y1, x2, y2 in px of level 0, class or IGNORED, share that shows.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pictures = np.load(folder / "pictures.npy")
        self.boxes = np.load(folder / "boxes.npy")
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        self.sources: list[str] = about["sources"]
        self.cameras: list[str] = about["cameras"]
        self.names: list[str] = about["names"]
        self._bytes = np.memmap(folder / "planes.bin", np.uint8, "r")

    def __len__(self) -> int:
        return len(self.pictures)

    def planes(self, index: int, level: int = 0) -> Planes:
        """Return a picture's planes as views of the file."""
        one = self.pictures[index]
        return cut_planes(self._bytes[one["offset"][level] :], one["height_px"][level], one["width_px"][level])

    def labels(self, index: int) -> np.ndarray:
        """Return a picture's boxes f4[n, 6]."""
        one = self.pictures[index]
        return self.boxes[one["first"] : one["first"] + one["count"]]

    def add_pseudo(self, path: Path) -> None:
        """Add a teacher's boxes (`models.train.teacher`) to the labels of all pictures."""
        own = [self.labels(k) for k in range(len(self))]
        more = np.load(path)
        if len(more) and more[:, 0].max() >= len(own):
            raise ValueError(f"{path}: holds boxes of other pictures; make them anew")
        for k in np.unique(more[:, 0]).astype(int):
            own[k] = np.concatenate([own[k], more[more[:, 0] == k, 1:]])
        counts = np.array([len(boxes) for boxes in own])
        self.pictures = self.pictures.copy()
        self.pictures["first"], self.pictures["count"] = np.cumsum(counts) - counts, counts
        self.boxes = np.concatenate(own).astype(np.float32)

    def source(self, index: int) -> str:
        """Return the name of a picture's source."""
        return self.sources[self.pictures["source"][index]]


def cut_planes(data: np.ndarray, height_px: int, width_px: int) -> Planes:
    """Return the planes that begin at the start of flat bytes."""
    luma, quarter = int(height_px) * int(width_px), int(height_px) * int(width_px) // 4
    return Planes(
        data[:luma].reshape(height_px, width_px),
        data[luma : luma + quarter].reshape(height_px // 2, width_px // 2),
        data[luma + quarter : luma + 2 * quarter].reshape(height_px // 2, width_px // 2),
    )


def even(value: float) -> int:
    """Return the nearest even number of pixels, at least 2."""
    return max(2, round(value / 2) * 2)


def level_sizes(width_px: int, height_px: int, long_px: int) -> list[tuple[int, int]]:
    """Return width and height of a picture at each level, all even; level 0 is at most `long_px` long."""
    ratio = min(1.0, long_px / max(width_px, height_px))
    return [(even(width_px * ratio / 2**k), even(height_px * ratio / 2**k)) for k in range(LEVELS)]


def prepare(pictures: Sequence[Picture], folder: Path, long_px: int, unlabelled: Sequence[str] = ()) -> None:
    """Write the cache of some pictures; what cannot be decoded is refused by name."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = sorted({one.source for one in pictures})
    cameras = sorted({f"{one.source}/{one.camera}" for one in pictures})
    rows, boxes = np.zeros(len(pictures), PICTURE), []
    at = first = 0
    with (folder / "planes.bin").open("wb") as file:
        for row, one in zip(rows, pictures, strict=True):
            bgr = cv2.imread(str(one.path), cv2.IMREAD_COLOR)
            if bgr is None:
                raise ValueError(f"{one.path}: no picture that OpenCV reads")
            for level, size in enumerate(level_sizes(bgr.shape[1], bgr.shape[0], long_px)):
                small = (
                    bgr if (bgr.shape[1], bgr.shape[0]) == size else cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
                )
                packed = cv2.cvtColor(small, cv2.COLOR_BGR2YUV_I420)
                row["offset"][level], (row["width_px"][level], row["height_px"][level]) = at, size
                file.write(packed.tobytes())
                at += packed.size
            size_px = np.array([row["width_px"][0], row["height_px"][0]] * 2)
            own = np.column_stack([one.boxes * size_px, one.class_id, one.class_id != IGNORED]).astype(np.float32)
            row["source"], row["camera"] = sources.index(one.source), cameras.index(f"{one.source}/{one.camera}")
            row["val"], row["dark"] = one.split == "val", np.median(packed[: size[1]]) < DARK
            row["known"] = sum(1 << k for k, name in enumerate(ROAD) if name not in (*one.unlabelled, *unlabelled))
            row["first"], row["count"] = first, len(own)
            boxes.append(own)
            first += len(own)
    np.save(folder / "pictures.npy", rows)
    np.save(folder / "boxes.npy", np.concatenate(boxes))
    about = {"sources": sources, "cameras": cameras, "names": [one.path.stem for one in pictures]}
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def open_cache(paths: Iterable[Path], root: Path, long_px: int = LONG_PX, unlabelled: Sequence[str] = ()) -> Cache:
    """Return the cache of some labelled sets (folders or COCO files), prepared under `root` where it is not yet."""
    pictures = [one for path in paths for one in _with_split(read_pictures(path))]
    key = hashlib.sha256(repr((VERSION, long_px, tuple(unlabelled))).encode())
    for one in pictures:
        key.update(repr((str(one.path.resolve()), one.split, one.unlabelled)).encode())
        key.update(one.boxes.tobytes() + one.class_id.tobytes())
    folder = root / f"cache-{key.hexdigest()[:12]}"
    if not (folder / "about.json").exists():
        print(f"preparing {len(pictures)} pictures in {folder}", flush=True)
        prepare(pictures, folder, long_px, unlabelled)
    return Cache(folder)


def open_rendered(folder: Path) -> Cache:
    """Return the cache of a rendered set (`models.train.scenes`), prepared inside its folder where it is not yet."""
    if (folder / "about.json").exists():  # unpacked as a cache
        return Cache(folder)
    into = folder / "cache"
    if (into / "about.json").exists():
        return Cache(into)
    frames, labels = np.load(folder / "frames.npy", mmap_mode="r"), np.load(folder / "labels.npy")
    into.mkdir(exist_ok=True)
    rows, at, first, boxes = np.zeros(len(frames), PICTURE), 0, 0, []
    height_px, width_px = frames.shape[1] * 2 // 3, frames.shape[2]
    with (into / "planes.bin").open("wb") as file:
        for row, frame, own in zip(rows, frames, labels, strict=True):
            planes = cut_planes(frame.reshape(-1), height_px, width_px)
            for level, (width, height) in enumerate(level_sizes(width_px, height_px, width_px)):
                row["offset"][level], row["width_px"][level], row["height_px"][level] = at, width, height
                for plane, part in zip(planes, (1, 2, 2), strict=True):
                    file.write(
                        cv2.resize(plane, (width // part, height // part), interpolation=cv2.INTER_AREA).tobytes()
                    )
                at += width * height * 3 // 2
            own = own[own[:, 5] > 0]
            row["known"], row["first"], row["count"] = (1 << len(ROAD)) - 1, first, len(own)
            boxes.append(own)
            first += len(own)
    np.save(into / "pictures.npy", rows)
    np.save(into / "boxes.npy", np.concatenate(boxes))
    names = [f"{folder.name}_{k:05}" for k in range(len(rows))]
    about = {"sources": ["rendered"], "cameras": ["rendered/"], "names": names}
    (into / "about.json").write_text(json.dumps(about), encoding="utf-8")
    return Cache(into)


def _with_split(pictures: list[Picture]) -> list[Picture]:
    """Return pictures with a split each: where labels give none, the last tenth by name is for judging.

    Neighbouring frames of a camera are nearly the same, so a block is set aside, not every tenth.
    """
    loose = [one for one in pictures if one.split not in ("train", "val", "test")]
    begin = len(loose) - len(loose) // 10
    split = {one.path: "train" if k < begin else "val" for k, one in enumerate(loose)}
    return [one._replace(split=split.get(one.path, one.split)) for one in pictures]


class Choice(NamedTuple):
    """Which pictures of a cache train and which judge, as indices."""

    train: np.ndarray
    val: np.ndarray


def choose(
    cache: Cache,
    share: float = 1.0,
    sources: Sequence[str] = (),
    hold_out: Sequence[str] = (),
    without: Sequence[str] = (),
) -> Choice:
    """Return which pictures train and which judge; ValueError where a camera would do both.

    `sources`: only these train (none given: all), `without`: these do not, `hold_out`: "source/camera" that judges
    instead of training, `share`: of each source's training pictures, smaller shares within larger ones.
    """
    for name in (*sources, *without):
        if name not in cache.sources:
            raise ValueError(f"source {name!r} is not there; sources here: {', '.join(cache.sources)}")
    for name in hold_out:
        if name not in cache.cameras:
            raise ValueError(f"camera {name!r} is not there; cameras here: {', '.join(cache.cameras)}")
    rows = cache.pictures
    named = np.array([cache.cameras[k] for k in rows["camera"]])
    val = rows["val"] | np.isin(named, hold_out)
    source = np.array([cache.sources[k] for k in rows["source"]])
    taken = ~val & (np.isin(source, sources) if sources else True) & ~np.isin(source, without)
    train = [
        index
        for index in np.flatnonzero(taken)
        if int.from_bytes(hashlib.sha256(cache.names[index].encode()).digest()[:4]) < share * 2**32
    ]
    both = {name for name in set(named[val]) & set(named[train]) if name.partition("/")[2] not in NO_CAMERA}
    if both:
        raise ValueError(f"cameras {', '.join(sorted(both))} would train and judge; name them with --hold-out")
    return Choice(np.array(train, np.int64), np.flatnonzero(val))
