"""How many bytes does an event take, and how many a stored sample of a track?

Events are written by the lane of `kernels` (50 road users, eight counts, eight loops) through the record store; the
file is weighed without its header. Track samples are those of the same minute, as `gantry replay --tracks` stores them:
exact to a tenth of a pixel and a microsecond. Others are recorded: what DeepStream sends of an object and frame as
JSON, what Frigate keeps of an event.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._bench import Figure, outcome, recorded
from benchmarks._made import FPS, HEIGHT_PX, WIDTH_PX
from benchmarks.kernels import Course
from kernels.rules import REGISTRY
from vision.record.formats.trajectories import Facts, write_run_tracks
from vision.record.tracks import TrackLog

FRAMES, OBJECTS = 1500, 50


def run() -> dict[str, Any]:
    """Print the bytes of an event and of a track sample, and what writing costs."""
    log = TrackLog()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        course = Course(folder, OBJECTS)
        whole = course.writer
        header_bytes = whole.part.stat().st_size
        for _ in range(FRAMES):
            course.step()
            log.append(course.frame, course.frame / FPS, course.lane.tracks)
        whole.close()
        event_bytes = (whole.path.stat().st_size - header_bytes) / course.events
        table = folder / "tracks.parquet"
        began_s = time.thread_time()
        write_run_tracks(table, log, Facts("c", WIDTH_PX, HEIGHT_PX, FPS, FRAMES, "0"))
        spent_s = time.thread_time() - began_s
        sample_bytes = table.stat().st_size / len(log)
    largest = max(rule.event.itemsize for rule in REGISTRY.values())
    figures = {
        "bytes an event in the store": Figure(event_bytes, "bytes", course.events),
        "largest event of a rule": Figure(float(largest), "bytes", len(REGISTRY)),
        "bytes a stored track sample": Figure(sample_bytes, "bytes", len(log)),
        "bytes a track sample in memory": Figure(float(log.samples()[0].itemsize), "bytes", len(log)),
        "storing a track sample": Figure(1e6 * spent_s / len(log), "us", len(log)),
        "DeepStream's JSON / our sample": Figure(
            recorded("DeepStream, bytes an object and frame") / sample_bytes, "x", len(log), "recorded"
        ),
        "Frigate's event / ours": Figure(
            recorded("Frigate, bytes an event") / event_bytes, "x", course.events, "recorded"
        ),
    }
    return outcome("records", figures)
