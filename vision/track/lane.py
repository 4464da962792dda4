"""The per-frame work of one camera: track, then judge with every rule. No threads, no clock, no files."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import numpy as np

from kernels.judge import Judge
from kernels.records import CLOCK
from kernels.rule import Rule, RuleConfig
from kernels.rules import REGISTRY
from vision.frame import Detections
from vision.scene import Scene
from vision.track.signal import Signals
from vision.track.signal_offset import Offset
from vision.track.tracker import Tracker

#: Frames kept to find the one in which something happened that was told only later: a whole red at 25 frames/s.
_HISTORY = 8192


class Follower(Protocol):
    """What follows road users from frame to frame: the tracker, or the tracks of a file."""

    def step(self, clock: np.ndarray, found: Detections) -> np.ndarray: ...

    def end(self) -> np.ndarray: ...


class Lane:
    """A camera's tracker, signals and rules. The same frames give the same events, byte for byte."""

    def __init__(
        self,
        scene: Scene,
        rules: Sequence[RuleConfig],
        camera: int = 0,
        context: int = 0,
        settings: Mapping[str, float] | None = None,
        tracker: Follower | None = None,
        start: datetime | None = None,
    ) -> None:
        """Make a lane; `start` is when stream second 0 was, which a controller's log is read by."""
        self.scene = scene
        self.rules: list[Rule] = [REGISTRY[config.type] for config in rules]
        self.tracks = np.zeros(0)
        self._tracker = tracker or Tracker(
            scene.width_px, scene.height_px, scene.to_road, settings, scene.scale_sd, scene.lens
        )
        self._signals = Signals(scene, start)
        prepared = [rule.prepare(config, scene) for rule, config in zip(self.rules, rules, strict=True)]
        self._judge = Judge(self.rules, prepared)
        self._clock = np.zeros(1, CLOCK)
        self._camera, self._context = camera, context
        self._time_s, self._epoch = 0.0, 0
        self._frames: deque[tuple[int, float]] = deque(maxlen=_HISTORY)
        self._started = False

    def step(
        self, found: Detections, frame: int, time_s: float, epoch: int, lamps: np.ndarray, suspended: int = 0
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (rule index, its events) for one frame; `tracks` then holds the confirmed tracks, TRACK[n].

        A new epoch (the stream broke) ends every track first: no event spans two, and no lamp is known from before.
        `suspended` is a code of REASONS: why the camera's geometry cannot be trusted in this frame, 0 when it can.
        """
        if self._started and epoch != self._epoch:
            yield from self.end()
            self._signals.tear()
        dt_s = time_s - self._time_s if self._started else 0.0
        # One row at once: each field by itself would cost as much.
        self._clock[0] = (time_s, dt_s, frame, epoch, self._camera, suspended, 0, 0)
        self._time_s, self._epoch = time_s, epoch
        self._started = True
        self._frames.append((frame, time_s))
        signals = self._signals.step(time_s, lamps)
        self.tracks = self._tracker.step(self._clock, found)
        if self._judge.step(self.tracks, self._clock, signals):
            yield from self._told()

    def end(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the events that the end of the stream or of an epoch completes."""
        self.tracks = self._tracker.end()
        self._clock["dt_s"], self._clock["last"] = 0.0, 1
        if self._judge.step(self.tracks, self._clock, self._signals.rows):
            yield from self._told()
        self._started = False

    def signal_offsets(self) -> dict[str, Offset | None]:
        """Return how far each signal's log is off its lamps, of the signals that have both; None: cannot be told."""
        return {self.scene.signal_names[index]: offset for index, offset in self._signals.offsets().items()}

    def _told(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (rule index, its events) of the step that was judged last."""
        for index in self._judge.counts.nonzero()[0].tolist():
            events = self._judge.out[index][: self._judge.counts[index]].copy()  # an epoch's end may judge twice
            events["camera"], events["epoch"] = self._camera, self._epoch
            events["rule"], events["context"] = index, self._context
            for event in events:
                event["frame"] = self._frame_at(float(event["time_s"]))
            yield index, events

    def _frame_at(self, time_s: float) -> int:
        """Return the number of the last frame at or before `time_s`, the oldest kept where it lies further back."""
        for frame, frame_s in reversed(self._frames):
            if frame_s <= time_s:
                return frame
        return self._frames[0][0]
