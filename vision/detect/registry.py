"""What `gantry models` shows: the cards that are here, and whether a model runs as its card says."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

import models
from vision.card import find_model, list_cards, open_model, read_card
from vision.detect.providers import Provider
from vision.detect.session import Detector
from vision.errors import ModelError
from vision.frame import Detections, Placement

Folders = Iterable[str | os.PathLike[str]]

#: Runs that a timing is the median of.
_RUNS = 20


class ModelRow(NamedTuple):
    """One card in words; `state` is "ready" where its file is there and is the right one, else what is wrong."""

    name: str
    classes: str
    input: str
    head: str
    licence: str
    state: str


def model_rows(folders: Folders = ()) -> list[ModelRow]:
    """Return every card here, by name."""
    folders = list(folders)
    rows = []
    for name, path in list_cards(folders).items():
        try:
            card = read_card(path)
        except ModelError as error:
            rows.append(ModelRow(name, "", "", "", "", str(error).splitlines()[0]))
            continue
        given = card.input
        try:
            find_model(card, folders)
            state = "ready" if card.sha256 else "ready (the card has no hash: any file of that name is taken)"
        except ModelError as error:
            state = str(error)
        size = f"{given.width_px}x{given.height_px} {given.layout} {given.dtype}"
        rows.append(ModelRow(name, ", ".join(card.classes.used()), size, card.output.head, card.licence, state))
    return rows


def template_names() -> list[str]:
    """Return the cards in `models/templates`, to be copied for own exports."""
    return sorted(path.stem for path in models.TEMPLATES.glob("*.toml"))


def check_model(name: str, folders: Folders, provider: Provider, threads: int = 0) -> list[str]:
    """Open a model, run it on noise and return in lines what it is and how long it takes, in ms.

    ModelError where its card, its file or its outputs are wrong, DeviceError where the provider does not run it.
    """
    card, path = open_model(name, folders)
    began_s = time.perf_counter()
    detector = Detector(card, path, provider, threads)
    open_s = time.perf_counter() - began_s
    spec = detector.fit_spec
    noise = np.random.default_rng(0).integers(0, 256, spec.shape, np.uint8)
    batch = [noise] * detector.batch_size
    place = Placement(1.0, 1.0, 0, 0, spec.width_px, spec.height_px)
    found = Detections()
    infer_ms, head_ms = [], []
    for _ in range(_RUNS):
        times_s = [time.perf_counter()]
        detector.infer(batch)
        times_s.append(time.perf_counter())
        for index in range(len(batch)):
            detector.detections(index, place, found)
        times_s.append(time.perf_counter())
        infer_ms.append(1e3 * (times_s[1] - times_s[0]) / len(batch))
        head_ms.append(1e3 * (times_s[2] - times_s[1]) / len(batch))
    about = detector.describe()
    return [
        f"{card.name}: {path} ({path.stat().st_size} bytes, SHA-256 {card.sha256}), {card.licence}",
        f"input {card.input.name!r} {spec.width_px}x{spec.height_px} {spec.layout} {card.input.dtype}, "
        f"head {card.output.head!r}, classes {', '.join(card.classes.used())}",
        f"runs on {about['provider']}, onnxruntime {about['onnxruntime']}, {about['threads']} threads, "
        f"{about['batch']} at once; opened in {open_s:.1f} s",
        f"median of {_RUNS} runs, a frame: network {statistics.median(infer_ms):.2f} ms, "
        f"boxes {statistics.median(head_ms):.3f} ms",
    ]
