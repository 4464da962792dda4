"""What do tracking, judging and recording cost a frame with 50 tracks, and do they allocate?

A lane with eight counts at lines and eight loops in zones (no ground, 1920x1080 px, 25 frames/s) follows 50 road users
and writes its events to a file. The kernels alone are what numba runs; the rest is the interpreter between them.
Allocations are counted by numba's runtime over 1,000 frames; it also counts the handle that each array argument of a
call gets, which is told apart. What the interpreter keeps is counted by tracemalloc.
"""

from __future__ import annotations

import gc
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba.core.runtime import _nrt_python, rtsys

from benchmarks import _peers
from benchmarks._bench import ROUNDS, Figure, contest, microseconds, outcome, times
from benchmarks._made import FPS, back_and_forth, made_scene, site_text, traffic
from benchmarks.track import given
from kernels.judge import Judge
from kernels.records import CLOCK, LAMP, NAME_TABLES, SIGNAL, TRACK
from vision.record.context import rule_entries
from vision.record.header import make_header
from vision.record.store import RecordWriter
from vision.track.lane import Lane
from vision.track.tracker import Tracker

OBJECTS, FRAMES = 50, 1000


class Course:
    """A lane that goes on by one frame at each call; its events go to a record store."""

    def __init__(self, folder: Path, objects: int = OBJECTS) -> None:
        scene, rules = made_scene(folder)
        tables = NAME_TABLES | {"camera": ("c",), "line": scene.line_names, "zone": scene.zone_names}
        header = make_header(rule_entries(rules), tables, {})
        self.lane = Lane(scene, rules, context=header.context_id)
        self.writer = RecordWriter(folder / "events.gtr", header)
        self.scene, self.rules = scene, rules
        self.frames = given(traffic(objects))
        self.order = back_and_forth(len(self.frames))
        self.lamps = np.zeros((0, 3), LAMP)
        self.frame, self.events = 0, 0

    def step(self) -> None:
        """Track, judge and record one frame."""
        self.frame += 1
        found = self.frames[next(self.order)]
        for rule, events in self.lane.step(found, self.frame, self.frame / FPS, 0, self.lamps):
            self.writer.append(events, rule)
            self.events += len(events)


class Bare:
    """The two calls of a lane, tracking and judging, with nothing between."""

    #: How many arrays a frame's calls are given: thirteen for the tracker, five for the rules.
    arguments = 13 + 5

    def __init__(self, course: Course) -> None:
        self.tracker, self.clock = Tracker(course.scene.width_px, course.scene.height_px), np.zeros(1, CLOCK)
        rules = course.lane.rules
        prepared = [rule.prepare(config, course.scene) for rule, config in zip(rules, course.rules, strict=True)]
        self.court = Judge(rules, prepared)
        self.frames, self.order = course.frames, back_and_forth(len(course.frames))
        self.signals = np.zeros(0, SIGNAL)
        self.rows = np.zeros(0, TRACK)

    def track(self) -> None:
        """Run the tracker alone."""
        self.clock["time_s"] += 1.0 / FPS
        self.clock["dt_s"] = 1.0 / FPS
        self.rows = self.tracker.step(self.clock, self.frames[next(self.order)])

    def judge(self) -> None:
        """Run the rules on the rows that the tracker gave last."""
        self.court.step(self.rows, self.clock, self.signals)

    def both(self) -> None:
        """Track and judge."""
        self.track()
        self.judge()


def calls(folder: Path, peers: bool = False) -> dict[str, Callable[[], object]]:
    """Return the contestants."""
    course = Course(folder)
    bare = Bare(course)
    for _ in range(50):
        course.step()
        bare.both()
    found: dict[str, Callable[[], object]] = {
        "track, judge and record": course.step,
        "tracker and rules' kernels": bare.both,
    }
    judging = Bare(course)
    for _ in range(50):
        judging.both()
    found["8 lines and 8 zones"] = judging.judge
    if peers:
        found["supervision's 8 lines and 8 zones"] = _peers.zones(traffic(OBJECTS))
    return found


def allocations(step: Callable[[], object], frames: int = FRAMES) -> tuple[int, int]:
    """Return what `frames` calls allocated: arrays by numba's runtime, and bytes that the interpreter kept after."""
    step()
    _nrt_python.memsys_enable_stats()
    before = rtsys.get_allocation_stats()
    for _ in range(frames):
        step()
    after = rtsys.get_allocation_stats()
    _nrt_python.memsys_disable_stats()
    gc.collect()
    tracemalloc.start()
    try:
        step()
        kept = tracemalloc.get_traced_memory()[0]
        for _ in range(frames):
            step()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - kept
    finally:
        tracemalloc.stop()
    return after.alloc - before.alloc, grown


def run(peers: bool = False, rounds: int = ROUNDS) -> dict[str, Any]:
    """Print the cost of a lane's frame, of its kernels, of lines and zones, and what is allocated."""
    peers = _peers.wanted(peers)
    with tempfile.TemporaryDirectory() as name:
        spent = contest(calls(Path(name), peers), rounds)
    figures: dict[str, Figure] = {label: microseconds(timing) for label, timing in spent.items()}
    whole = spent["track, judge and record"]
    figures["stream-frames a second and core"] = Figure(1e6 / whole.us, "frames/s", whole.calls)
    bare = spent["tracker and rules' kernels"]
    figures["interpreter's share"] = Figure(100 * (1 - bare.us / whole.us), "%", bare.calls)
    if peers:
        rival = spent["supervision's 8 lines and 8 zones"]
        figures["supervision / Gantry, 8 lines and 8 zones"] = times(rival, spent["8 lines and 8 zones"])
    with tempfile.TemporaryDirectory() as name:
        course = Course(Path(name))
        bare_lane = Bare(course)
        for _ in range(50):
            bare_lane.both()
        arrays, grown = allocations(bare_lane.both)
    handles = Bare.arguments * FRAMES
    figures["arrays allocated in 1,000 frames"] = Figure(float(arrays - handles), "arrays", FRAMES)
    figures["array arguments a frame"] = Figure(float(Bare.arguments), "arrays", 1)
    figures["memory grown in 1,000 frames"] = Figure(grown / 1024, "KiB", FRAMES, "what the interpreter keeps")
    return outcome("kernels", figures, rules=site_text().count("[[camera.c.rule]]"))
