"""The per-frame work of one camera: track, then judge with every rule. No threads, no clock, no files."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import numpy as np

from kernels.records import CLOCK, MAX_TRACKS
from kernels.rule import Prepared, Rule, RuleConfig
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
        self._prepared: list[Prepared] = []
        self._out: list[np.ndarray] = []
        for rule, config in zip(self.rules, rules, strict=True):
            prepared = rule.prepare(config, scene)
            self._prepared.append(prepared)
            # A track can settle every line of a rule in one step, no more.
            self._out.append(np.zeros(MAX_TRACKS * len(prepared.settings), rule.event))
        self._clock = np.zeros(1, CLOCK)
        self._clock["camera"] = camera
        self._context = context
        self._frames: deque[tuple[int, float]] = deque(maxlen=_HISTORY)
        self._started = False

    def step(
        self, found: Detections, frame: int, time_s: float, epoch: int, lamps: np.ndarray, suspended: int = 0
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (rule index, its events) for one frame; `tracks` then holds the confirmed tracks, TRACK[n].

        A new epoch (the stream broke) ends every track first: no event spans two, and no lamp is known from before.
        `suspended` is a code of REASONS: why the camera's geometry cannot be trusted in this frame, 0 when it can.
        """
        clock = self._clock
        if self._started and epoch != int(clock["epoch"][0]):
            yield from self.end()
            self._signals.tear()
        clock["dt_s"] = time_s - float(clock["time_s"][0]) if self._started else 0.0
        clock["time_s"], clock["frame"], clock["epoch"] = time_s, frame, epoch
        clock["suspended"], clock["last"] = suspended, 0
        self._started = True
        self._frames.append((frame, time_s))
        signals = self._signals.step(time_s, lamps)
        self.tracks = self._tracker.step(clock, found)
        yield from self._judge(signals)

    def end(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the events that the end of the stream or of an epoch completes."""
        self.tracks = self._tracker.end()
        self._clock["dt_s"], self._clock["last"] = 0.0, 1
        yield from self._judge(self._signals.rows)
        self._started = False

    def signal_offsets(self) -> dict[str, Offset | None]:
        """Return how far each signal's log is off its lamps, of the signals that have both; None: cannot be told."""
        return {self.scene.signal_names[index]: offset for index, offset in self._signals.offsets().items()}

    def _judge(self, signals: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        clock = self._clock[0]
        for index, (rule, prepared, out) in enumerate(zip(self.rules, self._prepared, self._out, strict=True)):
            n = rule.step(self.tracks, clock, signals, prepared.settings, prepared.state, out)
            if n:
                events = out[:n].copy()  # an epoch's end may judge twice in one step
                events["camera"], events["epoch"] = clock["camera"], clock["epoch"]
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
