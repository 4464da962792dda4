"""What does one tracker update cost with 20, 50 and 150 objects, beside the trackers that are used instead?

Boxes in steady motion with 1 px of jitter on 1920x1080 px, at 25 frames/s, none missed: every detection is strong, so
that each tracker does its ordinary work. Ours runs without a ground, as the others know none; what the course on the
road costs on top is told beside it. How well identities are kept is `python -m benchmarks kitti`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import _peers
from benchmarks._bench import ROUNDS, Figure, contest, microseconds, outcome, recorded, scaled, times
from benchmarks._made import FPS, HEIGHT_PX, WIDTH_PX, Seen, back_and_forth, traffic
from kernels.records import CLOCK
from vision.frame import Detections
from vision.track.tracker import Tracker

OBJECTS = (20, 50, 150)
#: px -> m of a camera 6 m above the road.
TO_ROAD = np.array([[0.03, 0.0, -28.8], [0.0, 0.0, 40.0], [0.0, 0.0015, -0.15]])
RECORDED = ("Ultralytics", "boxmot C++")


def given(frames: Sequence[Seen]) -> list[Detections]:
    """Return frames as a detector leaves them."""
    kept = []
    for seen in frames:
        found = Detections(len(seen.score))
        found.n = len(seen.score)
        found.xyxy_px[:], found.score[:], found.class_id[:] = seen
        kept.append(found)
    return kept


def update(frames: Sequence[Seen], to_road: np.ndarray | None = None) -> Callable[[], np.ndarray]:
    """Return one update of our tracker, the next frame at each call."""
    tracker, clock = Tracker(WIDTH_PX, HEIGHT_PX, to_road), np.zeros(1, CLOCK)
    found, order = given(frames), back_and_forth(len(frames))

    def step() -> np.ndarray:
        clock["time_s"] += 1.0 / FPS
        clock["dt_s"] = 1.0 / FPS
        return tracker.step(clock, found[next(order)])

    return step


def calls(peers: bool = False) -> dict[str, Callable[[], object]]:
    """Return the contestants, a turn of each a frame."""
    found: dict[str, Callable[[], object]] = {}
    for objects in OBJECTS:
        frames = traffic(objects)
        found[f"Gantry, {objects} objects"] = update(frames)
        found[f"Gantry on the road, {objects} objects"] = update(frames, TO_ROAD)
        if peers:
            found[f"Roboflow ByteTrack, {objects} objects"] = _peers.bytetrack(frames)
    return found


def run(peers: bool = False, rounds: int = ROUNDS) -> dict[str, Any]:
    """Print the cost of an update and how many times longer the others take."""
    peers = _peers.wanted(peers)
    spent = contest(calls(peers), rounds)
    figures: dict[str, Figure] = {name: microseconds(timing) for name, timing in spent.items()}
    for objects in OBJECTS:
        step = update(traffic(objects))
        followed = np.mean([len(step()) for _ in range(100)][50:])
        figures[f"followed of {objects}"] = Figure(float(followed), "tracks", 50)
        if not peers:
            continue
        ours, rival = spent[f"Gantry, {objects} objects"], spent[f"Roboflow ByteTrack, {objects} objects"]
        figures[f"Roboflow / Gantry, {objects} objects"] = times(rival, ours)
        for name in RECORDED:
            anchor = f"Roboflow ByteTrack, {objects} objects"
            note = f"recorded {recorded(f'{name}, {objects} objects'):,.0f} us, scaled"
            other = scaled(f"{name}, {objects} objects", anchor, rival)
            figures[f"{name} / Gantry, {objects} objects"] = times(other, ours, note)
    return outcome("track", figures, versions=_peers.versions() if peers else {})
