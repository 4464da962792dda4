"""Run a model on labelled pictures, through the same decoding, fitting and heads as video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av
import msgspec
import numpy as np

from kernels.records import CLASSES
from vision.card import open_model
from vision.decode.fit import Fitter
from vision.detect.providers import choose
from vision.detect.session import Detector
from vision.errors import InputError
from vision.evaluate.labels import DARK, Picture
from vision.evaluate.pictures import SCORE_MIN, Found, Truth
from vision.frame import Detections

_NO_LAMPS = np.zeros((0, 3, 4), np.int32)

Progress = Callable[[str, int, int | None], None]


def open_detector(
    name: str, folders: Sequence[Path] = (), provider: str = "auto", threads: int = 0, score_min: float = SCORE_MIN
) -> Detector:
    """Return the detector of a card's name, which also gives weak detections."""
    card, path = open_model(name, folders)
    return Detector(msgspec.structs.replace(card, score_min=score_min), path, choose(provider), threads, batch=1)


def read_frame(path: Path) -> av.VideoFrame:
    """Decode one picture; InputError where it is none."""
    try:
        with av.open(str(path)) as container:
            return next(container.decode(video=0))
    except (OSError, StopIteration, av.error.FFmpegError) as error:
        raise InputError(f"{path}: cannot be decoded ({error}); allowed: JPEG, PNG, BMP, WebP") from None


def truth_of(picture: Picture, frame: av.VideoFrame) -> Truth:
    """Return what is labelled in a picture, in its pixels, and the groups it belongs to."""
    size = np.array([frame.width, frame.height] * 2, float)
    grey = frame.reformat(format="gray").to_ndarray()
    light = "night" if np.median(grey) * 219 / 255 + 16 < DARK else "day"
    unlabelled = tuple(CLASSES.index(name) for name in picture.unlabelled)
    kinds, shown = picture.class_id.astype(np.int64), (frame.width, frame.height)
    return Truth(picture.boxes * size, kinds, unlabelled, (picture.source, light), shown)


def run_detector(
    detector: Detector, pictures: Sequence[Picture], progress: Progress | None = None
) -> Iterator[tuple[Found, Truth]]:
    """Give what the detector finds in each picture beside what is labelled there."""
    out, planes = Detections(), np.zeros(detector.fit_spec.shape, np.uint8)
    for number, picture in enumerate(pictures):
        frame = read_frame(picture.path)
        fitter = Fitter(detector.fit_spec, frame.width, frame.height, _NO_LAMPS)
        fitter.pad(planes)
        fitter.fit(frame, planes, np.zeros((0, 3), np.float32))
        detector.infer([planes])
        detector.detections(0, fitter.place, out)
        found = Found(
            out.xyxy_px[: out.n].astype(float), out.score[: out.n].astype(float), out.class_id[: out.n].astype(np.int64)
        )
        yield found, truth_of(picture, frame)
        if progress is not None:
            progress(detector.card.name, number + 1, len(pictures))
