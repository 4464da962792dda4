"""Stands in for the tracker where a file says which box is which road user."""

from __future__ import annotations

import numpy as np

from kernels.given import given_step
from kernels.records import MAX_TRACKS, TRACK
from kernels.track import DEFAULTS, SETTINGS, SLOT
from kernels.tracker import tracker_end
from vision.errors import InputError
from vision.frame import Detections
from vision.mottext import Boxes
from vision.track.road import set_road


class GivenTracks:
    """The road users of a file, frame by frame, as the tracker would publish them."""

    def __init__(
        self,
        boxes: Boxes,
        width_px: int,
        height_px: int,
        to_road: np.ndarray | None = None,
        scale_sd: float = 0.0,
        lens: np.void | None = None,
    ) -> None:
        self.settings = np.zeros(1, SETTINGS)
        for name, value in DEFAULTS.items():
            self.settings[name] = value
        set_road(self.settings, width_px, height_px, to_road, scale_sd, lens)
        self._to_road = np.eye(3) if to_road is None else np.ascontiguousarray(to_road, np.float64)
        self._boxes = boxes
        _, number = np.unique(boxes.track_id, return_inverse=True)
        ends = np.zeros(number.max() + 1, np.int64)
        np.maximum.at(ends, number, boxes.frame)
        begins = np.full(len(ends), boxes.frames)
        np.minimum.at(begins, number, boxes.frame)
        self._place = np.column_stack([_slots(begins, ends, boxes)[number], ends[number]])
        self._starts = np.searchsorted(boxes.frame, np.arange(boxes.frames + 1))
        # 0 is no track: where a file counts from it, all its ids are one higher here.
        self._track_id = (boxes.track_id + (boxes.track_id.min() == 0)).astype(np.uint32)
        self._slots = np.zeros(MAX_TRACKS, SLOT)
        self._until = np.zeros(MAX_TRACKS, np.int64)
        self._out = np.zeros(2 * MAX_TRACKS, TRACK)

    def step(self, clock: np.ndarray, found: Detections) -> np.ndarray:
        """Return the tracks in the frame that the clock shows, TRACK[n], valid until the next step."""
        frame = int(clock["frame"][0])
        rows = given_step(
            self._slots,
            self.settings[0],
            clock[0],
            self._starts[frame : frame + 2],
            self._boxes.xyxy_px,
            self._boxes.score,
            self._boxes.class_id,
            self._track_id,
            self._place,
            self._until,
            self._to_road,
            self._out,
        )
        return self._out[:rows]

    def end(self) -> np.ndarray:
        """Return the last rows of all tracks, TRACK[n] flagged ENDED, and forget them."""
        return self._out[: tracker_end(self._slots, self.settings[0], self._out)]


def _slots(begins: np.ndarray, ends: np.ndarray, boxes: Boxes) -> np.ndarray:
    """Return a slot for each track; one is free again two frames after its track's last box."""
    free = list(range(MAX_TRACKS))[::-1]
    busy: list[tuple[int, int]] = []
    found = np.zeros(len(begins), np.int64)
    for track in np.argsort(begins, kind="stable"):
        now = int(begins[track])
        free += [slot for end, slot in busy if end + 2 <= now]
        busy = [(end, slot) for end, slot in busy if end + 2 > now]
        if not free:
            raise InputError(f"{boxes.path}: frame {now + 1} has over {MAX_TRACKS} tracks; allowed: {MAX_TRACKS}")
        slot = free.pop()
        found[track] = slot
        busy.append((int(ends[track]), slot))
    return found
