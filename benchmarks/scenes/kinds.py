"""Kinds of road user: what SUMO drives and the camera sees as a cuboid."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

CLASSES = ("car", "bus", "truck", "motorcycle", "bicycle", "person")


class Kind(NamedTuple):
    """A class of the detector, a size in m, and SUMO's class for its right of way and models."""

    class_: str
    length_m: float
    width_m: float
    height_m: float
    sumo_class: str
    share: float  # of all vehicles, where a scene does not say otherwise


KINDS = {
    "small": Kind("car", 3.8, 1.70, 1.48, "passenger", 0.22),
    "sedan": Kind("car", 4.6, 1.80, 1.46, "passenger", 0.40),
    "van": Kind("car", 5.3, 2.00, 2.10, "passenger", 0.14),
    "truck": Kind("truck", 8.5, 2.50, 3.20, "truck", 0.08),
    "bus": Kind("bus", 12.0, 2.55, 3.10, "bus", 0.05),
    "motorcycle": Kind("motorcycle", 2.2, 0.80, 1.55, "motorcycle", 0.11),
    "bicycle": Kind("bicycle", 1.8, 0.60, 1.70, "bicycle", 0.0),
    "person": Kind("person", 0.4, 0.50, 1.72, "pedestrian", 0.0),
}
NAMES = tuple(KINDS)
CLASS_ID = np.array([CLASSES.index(kind.class_) for kind in KINDS.values()], np.int16)
SIZE_M = np.array([[kind.length_m, kind.width_m, kind.height_m] for kind in KINDS.values()])


def corners(front_m: np.ndarray, ahead: np.ndarray, size_m: np.ndarray) -> np.ndarray:
    """Return the eight corners f8[n, 8, 3] of cuboids on the road, the four on the ground first.

    `front_m` f8[n, 2] is the middle of the front, `ahead` f8[n, 2] the unit vector it points to, `size_m` f8[n, 3]
    length, width and height.
    """
    left = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
    out = np.zeros((len(front_m), 8, 3))
    for k in range(8):
        back, side, up = k & 1, (k >> 1 & 1) - 0.5, k >> 2
        out[:, k, :2] = front_m - back * size_m[:, :1] * ahead + side * size_m[:, 1:2] * left
        out[:, k, 2] = up * size_m[:, 2]
    return out
