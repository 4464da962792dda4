"""The shipped detector of the demo: its file fits its card, and it sees the vehicles of a scene that it never saw."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import onnx
import pytest

from kernels.records import CLASSES
from vision.card import Card, find_model, load_card
from vision.decode.fit import Fitter
from vision.demo.clip import Painter
from vision.demo.truth import Box, frame_boxes
from vision.demo.world import build_world
from vision.detect.providers import make_provider
from vision.detect.session import Detector
from vision.frame import Detections, place

TIMES_S = (2.0, 6.4, 11.2, 14.4, 18.0)
#: Vehicles that any detector worth its name must see: half in view, 30 px tall.
VISIBLE_MIN, HEIGHT_MIN_PX = 0.5, 30


@pytest.fixture(scope="module")
def card() -> Card:
    return load_card("gantry-demo")


@pytest.fixture(scope="module")
def detector(card: Card) -> Detector:
    return Detector(card, find_model(card), make_provider("cpu"), threads=1, batch=len(TIMES_S))


@pytest.fixture(scope="module")
def shown(card: Card) -> tuple[list[np.ndarray], list[list[Box]]]:
    """Return the planes of some moments as the network reads them, and the true boxes in them."""
    av = pytest.importorskip("av")
    world = build_world(11)
    painter = Painter(world)
    fitter = Fitter(card.fit_spec, 1280, 720, np.zeros((0, 3, 4), np.int32))
    pictures, boxes = [], []
    for number, time_s in enumerate(TIMES_S):
        frame = av.VideoFrame.from_ndarray(painter.planes(time_s, number), format="yuv420p")
        planes = np.zeros(card.fit_spec.shape, np.uint8)
        fitter.fit(frame, planes, np.zeros((0, 3), np.float32))
        pictures.append(planes)
        boxes.append(frame_boxes(world, painter.stage, time_s))
    return pictures, boxes


def iou(a: np.ndarray, b: np.ndarray) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    inner = float(np.maximum(high - low, 0).prod())
    return inner / float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inner)


def test_the_file_is_the_one_of_its_card_and_small_enough_for_git(card: Card) -> None:
    path = find_model(card)
    data = path.read_bytes()
    assert hashlib.sha256(data).hexdigest() == card.sha256
    assert len(data) == card.bytes < 4_000_000
    model = onnx.load(str(path))
    onnx.checker.check_model(model)
    assert max(opset.version for opset in model.opset_import if opset.domain == "") <= 17


def test_it_finds_the_vehicles_with_their_class_and_foot(
    card: Card, detector: Detector, shown: tuple[list[np.ndarray], list[list[Box]]]
) -> None:
    pictures, truth = shown
    placement = place(card.fit_spec, 1280, 720)
    out = Detections()
    wanted = found = classed = 0
    foot_px = []
    detector.infer(pictures)
    for index, boxes in enumerate(truth):
        detector.detections(index, placement, out)
        sure = np.flatnonzero(out.score[: out.n] > 0.4)
        for box in boxes:
            _, y1, _, y2 = box.xyxy_px
            if box.visible < VISIBLE_MIN or y2 - y1 < HEIGHT_MIN_PX:
                continue
            wanted += 1
            fits = [(iou(np.array(box.xyxy_px), out.xyxy_px[k].astype(float)), k) for k in sure]
            best, k = max(fits, default=(0.0, 0))
            if best > 0.5:
                found += 1
                classed += CLASSES[out.class_id[k]] == box.class_name
                foot_px.append(abs(out.xyxy_px[k][3] - y2))
    assert wanted > 25
    assert found >= 0.9 * wanted
    assert classed >= 0.9 * found
    assert np.median(foot_px) < 3.0


def test_an_empty_road_holds_nothing(card: Card, detector: Detector) -> None:
    world = build_world(11)
    stage = Painter(world).stage
    picture = cv2.resize(stage.backdrop, (512, 288), interpolation=cv2.INTER_AREA)
    detector.infer([cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)])
    out = Detections()
    detector.detections(0, place(card.fit_spec, 1280, 720), out)
    assert (out.score[: out.n] < 0.5).all()
