"""What stages hand each other: how a frame is fitted to a network, a fitted frame, the detections of a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from kernels.records import MAX_DETECTIONS

Layout = Literal["i420", "bgr", "rgb"]
FitMode = Literal["letterbox", "corner", "stretch"]


class FitSpec(NamedTuple):
    """The picture a network reads: its size, its planes, and how a frame of another shape is put into it.

    `letterbox` centres the scaled picture, `corner` puts it top left, `stretch` fills; `pad` is the grey around it.
    Planes are u1[height * 3 // 2, width] for "i420" (Y, then U and V at half size) and u1[3, height, width] else.
    """

    width_px: int
    height_px: int
    layout: Layout = "i420"
    mode: FitMode = "letterbox"
    pad: int = 114

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the planes, in bytes."""
        if self.layout == "i420":
            return (self.height_px * 3 // 2, self.width_px)
        return (3, self.height_px, self.width_px)


class Placement(NamedTuple):
    """Where a source frame lies in a network's picture: network_px = source_px * scale + offset, per axis."""

    scale_x: float
    scale_y: float
    offset_x_px: int
    offset_y_px: int
    width_px: int
    height_px: int


def place(spec: FitSpec, width_px: int, height_px: int) -> Placement:
    """Return where a source frame of this size lies in the network's picture.

    Sizes and offsets are even for "i420", so that chroma falls on whole samples.
    """
    step = 2 if spec.layout == "i420" else 1
    if spec.mode == "stretch":
        fitted_w, fitted_h = spec.width_px, spec.height_px
    else:
        ratio = min(spec.width_px / width_px, spec.height_px / height_px)
        fitted_w = min(spec.width_px, max(step, round(width_px * ratio / step) * step))
        fitted_h = min(spec.height_px, max(step, round(height_px * ratio / step) * step))
    offset_x = offset_y = 0
    if spec.mode == "letterbox":
        offset_x = (spec.width_px - fitted_w) // 2 // step * step
        offset_y = (spec.height_px - fitted_h) // 2 // step * step
    return Placement(fitted_w / width_px, fitted_h / height_px, offset_x, offset_y, fitted_w, fitted_h)


@dataclass(frozen=True, slots=True)
class Frame:
    """One fitted frame in a slot of shared memory; its views are valid until the slot is released."""

    frame: int  # number since the stream opened, counting decoded frames from 0
    time_s: float  # on the stream's clock
    epoch: int
    slot: int
    planes: np.ndarray  # u1, FitSpec.shape
    lamps: np.ndarray  # LAMP[signal, 3]: red, amber, green


class Detections:
    """The detections of one frame as columns, in source pixels; one set of buffers is used again and again."""

    __slots__ = ("class_id", "n", "score", "xyxy_px")

    def __init__(self, capacity: int = MAX_DETECTIONS) -> None:
        self.xyxy_px = np.zeros((capacity, 4), np.float32)
        self.score = np.zeros(capacity, np.float32)
        self.class_id = np.zeros(capacity, np.int16)
        self.n = 0
