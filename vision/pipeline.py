"""THE DATA PATH. Read this file from top to bottom and you know Gantry.

    decode worker xN (a process each)      detector (one thread)       camera lane xN               sink
    demux -> decode -> fit ---slots---->   batch -> onnxruntime   ->   track -> judge  --events-->  record writer

A frame is a slot in shared memory: it is written once by its worker and read in place. It is dropped in one place
only, before the detector, and never without a reason and a count. Files wait instead: they drop nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from vision.decode.worker import DecodeWorker
from vision.detect.session import Detector
from vision.frame import Detections, Frame, Placement
from vision.track.lane import Lane

#: A decode worker that gives no sign of life for so long is given up.
READ_TIMEOUT_S = 30.0


class Sink(Protocol):
    """Where a camera's events go; it may make the lane wait, it may never lose one."""

    def append(self, events: np.ndarray, rule: int) -> None: ...


#: Called with each frame's number and time and the confirmed tracks in it, TRACK[n].
TrackListener = Callable[[int, float, np.ndarray], None]


@dataclass(slots=True)
class CameraPath:
    """One camera's way through the house: where its frames come from, who follows them, where its events go."""

    name: str
    worker: DecodeWorker
    placement: Placement
    lane: Lane
    sink: Sink
    on_tracks: TrackListener | None = None
    last_time_s: float = 0.0
    open: bool = True


@dataclass(slots=True)
class Counts:
    """What became of the frames: decoded = inferred + sum(dropped). Times are spent seconds, for the benchmarks."""

    decoded: int = 0
    inferred: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    events: int = 0
    infer_s: float = 0.0
    head_s: float = 0.0
    lane_s: float = 0.0
    wait_s: float = 0.0
    total_s: float = 0.0

    @property
    def balanced(self) -> bool:
        """Say whether every decoded frame is accounted for."""
        return self.decoded == self.inferred + sum(self.dropped.values())

    def line(self) -> str:
        """Return the account of the frames in one line."""
        reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(self.dropped.items())) or "none"
        sign = "=" if self.balanced else "!="
        dropped = sum(self.dropped.values())
        return f"decoded {self.decoded} {sign} inferred {self.inferred} + dropped {dropped} ({reasons})"


def run(
    cameras: Sequence[CameraPath],
    detector: Detector,
    on_batch: Callable[[Counts], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Counts:
    """Run started workers to their end, or until `stop()`, and return the account of all frames.

    Every event of every decoded frame is in its sink when this returns. Errors of a source or of the model are raised
    as they are; the workers are closed in any case.
    """
    counts = Counts()
    found = Detections()
    began_s = time.perf_counter()
    try:
        for batch in batches(cameras, detector.batch_size, counts):
            if stop is not None and stop():
                _give_back(batch, counts)
                break
            infer(detector, batch, counts)
            for index, (camera, frame) in enumerate(batch):
                judge(detector, index, camera, frame, found, counts)
            if on_batch is not None:
                on_batch(counts)
        for camera in cameras:
            _deliver(camera, camera.lane.end(), counts)
    finally:
        for camera in cameras:
            camera.worker.close()
    for camera in cameras:
        counts.decoded += camera.worker.decoded
        counts.dropped.update(camera.worker.dropped)
    counts.total_s = time.perf_counter() - began_s
    return counts


# -- 1  Frames: from the cameras in turn, as many as the detector takes at once ---------------------------------------


def batches(cameras: Sequence[CameraPath], size: int, counts: Counts) -> Iterator[list[tuple[CameraPath, Frame]]]:
    """Yield batches of at most `size` frames: each camera in turn gives its next one, in its own order."""
    batch: list[tuple[CameraPath, Frame]] = []
    while any(camera.open for camera in cameras):
        for camera in cameras:
            if not camera.open:
                continue
            frame = _next_frame(camera, counts)
            if frame is None:
                camera.open = False
                continue
            batch.append((camera, frame))
            if len(batch) == size:
                yield batch
                batch = []
    if batch:
        yield batch


def _next_frame(camera: CameraPath, counts: Counts) -> Frame | None:
    began_s = time.perf_counter()
    frame = camera.worker.read(READ_TIMEOUT_S)
    counts.wait_s += time.perf_counter() - began_s
    return frame


# -- 2  Inference: the planes go in as they lie in the slots, the slots are free again at once ------------------------


def infer(detector: Detector, batch: list[tuple[CameraPath, Frame]], counts: Counts) -> None:
    """Run the network on a batch of fitted frames."""
    began_s = time.perf_counter()
    detector.infer([frame.planes for _, frame in batch])
    counts.inferred += len(batch)
    counts.infer_s += time.perf_counter() - began_s


# -- 3  Judgement: boxes -> tracks -> rules -> events, in the camera's own order --------------------------------------


def judge(detector: Detector, index: int, camera: CameraPath, frame: Frame, found: Detections, counts: Counts) -> None:
    """Turn the network's answer for one frame into tracks and events, and hand its slot back."""
    began_s = time.perf_counter()
    detector.detections(index, camera.placement, found, frame.frame)
    boxes_s = time.perf_counter()
    counts.head_s += boxes_s - began_s
    lane = camera.lane
    _deliver(camera, lane.step(found, frame.frame, frame.time_s, frame.epoch, frame.lamps), counts)
    if camera.on_tracks is not None:
        camera.on_tracks(frame.frame, frame.time_s, lane.tracks)
    camera.last_time_s = frame.time_s
    camera.worker.release(frame)
    counts.lane_s += time.perf_counter() - boxes_s


# -- 4  Events: to the sink, which never drops ------------------------------------------------------------------------


def _deliver(camera: CameraPath, judged: Iterator[tuple[int, np.ndarray]], counts: Counts) -> None:
    for rule, events in judged:
        camera.sink.append(events, rule)
        counts.events += len(events)


def _give_back(batch: list[tuple[CameraPath, Frame]], counts: Counts) -> None:
    for camera, frame in batch:
        camera.worker.release(frame)
        counts.dropped["stopped"] += 1
