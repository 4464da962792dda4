"""The tracks of one run in memory, 24 bytes a box, for the annotated video and as MOTChallenge text."""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np

from kernels.records import OBSERVED
from vision.record.files import replacing

#: A box as it is kept: tenths of a pixel, score in 1/65535.
SAMPLE = np.dtype(
    [
        ("frame", "<u4"),
        ("id", "<u4"),
        ("left", "<i4"),
        ("top", "<i4"),
        ("width", "<u2"),
        ("height", "<u2"),
        ("score", "<u2"),
        ("class_id", "<u1"),
        ("flags", "<u1"),
    ]
)
#: A box as it is given back.
BOX = np.dtype(
    [
        ("id", "<u4"),
        ("class_id", "<u1"),
        ("flags", "<u1"),
        ("score", "<f4"),
        ("x1_px", "<f4"),
        ("y1_px", "<f4"),
        ("x2_px", "<f4"),
        ("y2_px", "<f4"),
    ]
)
EDGES = ("x1_px", "y1_px", "x2_px", "y2_px")
_PARTS = 10  # of a pixel
_EDGE_MAX_PX = 32768.0
_SIZE_MAX = 65535
_SCORES = 65535
_BLOCK = 1 << 16


class TrackLog:
    """The observed box of every confirmed track in every frame, to a tenth of a pixel, at most 6553 px wide."""

    def __init__(self) -> None:
        self._blocks: list[np.ndarray] = []
        self._n = _BLOCK  # used of the last block
        self._frames, self._times_s = array("I"), array("d")

    def __len__(self) -> int:
        return sum(len(block) for block in self._blocks[:-1]) + (self._n if self._blocks else 0)

    def append(self, frame: int, time_s: float, tracks: np.ndarray) -> None:
        """Keep the boxes seen in this frame, TRACK[n]; other rows, such as the end of a track, are no boxes."""
        last = self._blocks[-1]["frame"][self._n - 1] if self._blocks else -1
        if frame <= last:
            raise ValueError(f"frame {frame} after frame {last}: frames rise")
        seen = tracks[(tracks["flags"] & OBSERVED != 0) & (tracks["time_s"] == time_s)]
        if not len(seen):
            return
        if self._n + len(seen) > _BLOCK:
            # A frame's boxes lie in one block, so that `at` is one view.
            self._blocks = self._used()
            self._blocks.append(np.zeros(max(_BLOCK, len(seen)), SAMPLE))
            self._n = 0
        rows = self._blocks[-1][self._n : self._n + len(seen)]
        self._n += len(seen)
        rows["frame"], rows["id"] = frame, seen["id"]
        rows["class_id"], rows["flags"] = seen["class_id"], seen["flags"]
        rows["score"] = np.rint(np.clip(np.nan_to_num(seen["score"]), 0.0, 1.0) * _SCORES)
        x1, y1, x2, y2 = (
            np.rint(np.clip(seen[edge].astype(np.float64), -_EDGE_MAX_PX, _EDGE_MAX_PX) * _PARTS) for edge in EDGES
        )
        rows["left"], rows["top"] = x1, y1
        rows["width"], rows["height"] = np.clip(x2 - x1, 0, _SIZE_MAX), np.clip(y2 - y1, 0, _SIZE_MAX)
        self._frames.append(frame)
        self._times_s.append(time_s)

    def at(self, frame: int) -> np.ndarray:
        """Return the boxes of a frame, BOX[n]; none where nothing was seen."""
        for block in reversed(self._used()):
            if block["frame"][0] <= frame:
                low, high = np.searchsorted(block["frame"], (frame, frame + 1))
                return _boxes(block[low:high])
        return np.zeros(0, BOX)

    def samples(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all boxes, SAMPLE[n] in the order of frames, and the stream second of each, f8[n]."""
        rows = np.concatenate([np.zeros(0, SAMPLE), *self._used()])
        frames, times_s = np.array(self._frames, np.uint32), np.array(self._times_s, np.float64)
        return rows, times_s[np.searchsorted(frames, rows["frame"])]

    def write_mot(self, path: Path, force: bool = False) -> None:
        """Write MOTChallenge text: frame (from 1), id, left, top, width, height in px, score, class (from 1), 1."""
        with replacing(path, force) as stream:
            for block in self._used():
                boxes = _boxes(block)
                left, top = boxes["x1_px"].tolist(), boxes["y1_px"].tolist()
                width = (boxes["x2_px"] - boxes["x1_px"]).tolist()
                height = (boxes["y2_px"] - boxes["y1_px"]).tolist()
                score = boxes["score"].tolist()
                frame, track = block["frame"].tolist(), block["id"].tolist()
                kind = (block["class_id"].astype(int) + 1).tolist()
                lines = (
                    f"{f + 1},{i},{x:.2f},{y:.2f},{w:.2f},{h:.2f},{s:.4f},{k},1\n"
                    for f, i, x, y, w, h, s, k in zip(frame, track, left, top, width, height, score, kind, strict=True)
                )
                stream.write("".join(lines).encode())

    def _used(self) -> list[np.ndarray]:
        return [*self._blocks[:-1], *(block[: self._n] for block in self._blocks[-1:])]


def _boxes(samples: np.ndarray) -> np.ndarray:
    boxes = np.zeros(len(samples), BOX)
    for name in ("id", "class_id", "flags"):
        boxes[name] = samples[name]
    boxes["score"] = samples["score"] / np.float32(_SCORES)
    for name, low, high, size in (("left", "x1_px", "x2_px", "width"), ("top", "y1_px", "y2_px", "height")):
        boxes[low] = samples[name] / _PARTS
        boxes[high] = (samples[name] + samples[size].astype(np.int32)) / _PARTS
    return boxes
