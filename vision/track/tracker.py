"""A camera's tracker: the buffers that the tracking kernel works in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kernels import tracker as kernel
from kernels.records import MAX_DETECTIONS, MAX_TRACKS, TRACK
from kernels.track import DEFAULTS, SETTINGS, SLOT
from vision.frame import Detections
from vision.track.road import set_road


class Tracker:
    """Follow the road users of one camera; all times are the stream's, in seconds."""

    def __init__(
        self,
        width_px: int,
        height_px: int,
        to_road: np.ndarray | None = None,
        settings: Mapping[str, float] | None = None,
        scale_sd: float = 0.0,
        lens: np.void | None = None,
    ) -> None:
        self.settings = np.zeros(1, SETTINGS)
        for name, value in {**DEFAULTS, **(settings or {})}.items():
            self.settings[name] = value
        set_road(self.settings, width_px, height_px, to_road, scale_sd, lens)
        self._to_road = np.eye(3) if to_road is None else np.ascontiguousarray(to_road, np.float64)
        self._slots = np.zeros(MAX_TRACKS, SLOT)
        self._next_id = np.ones(1, np.uint32)
        self._cost = np.zeros((MAX_TRACKS, MAX_DETECTIONS), np.float32)
        self._work = np.zeros((4, kernel.WORK))
        self._index = np.zeros((6, kernel.WORK), np.int32)
        self._columns = np.zeros((5, kernel.WORK), np.int32)
        self._out = np.zeros(MAX_TRACKS, TRACK)

    def step(self, clock: np.ndarray, found: Detections) -> np.ndarray:
        """Return the confirmed tracks after one more frame, TRACK[n], valid until the next step."""
        n = found.n
        rows = kernel.tracker_step(
            self._slots,
            self.settings,
            clock,
            self._next_id,
            found.xyxy_px[:n],
            found.score[:n],
            found.class_id[:n],
            self._to_road,
            self._cost,
            self._work,
            self._index,
            self._columns,
            self._out,
        )
        return self._out[:rows]

    def end(self) -> np.ndarray:
        """Return the last rows of all tracks, TRACK[n] flagged ENDED, and forget them."""
        return self._out[: kernel.tracker_end(self._slots, self.settings[0], self._out)]
