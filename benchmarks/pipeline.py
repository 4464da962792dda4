"""How many frames a second do 1 to 64 streams reach together, and how old is a frame when it has been judged?

Every stream is the rendered junction at 1280x720 px in a decode worker of its own; the small network that ships with
Gantry runs on one CPU thread, with counts and red lights. First as fast as it goes; then at 80 % of that, each stream
giving its next frame when it is due: a frame's age is the time from then to its judgement. Files wait, so frames are
dropped only where the run is stopped. Memory is read from the system while all streams run: what worker and detector
hold for a camera, with the pages that they share counted once.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks._bench import Figure, outcome, quantile
from benchmarks._made import FPS, write_clip
from kernels.records import NAME_TABLES
from vision.card import open_model
from vision.decode.worker import DecodeWorker
from vision.demo.clip import Painter
from vision.demo.site import site_text
from vision.demo.world import build_world
from vision.detect.providers import choose
from vision.detect.session import Detector
from vision.frame import FitSpec, Frame, place
from vision.pipeline import CameraPath, Counts
from vision.pipeline import run as run_pipeline
from vision.record.context import rule_entries
from vision.record.header import make_header
from vision.record.store import RecordWriter
from vision.scene import lamp_boxes, site_scene
from vision.site import load_site
from vision.track.lane import Lane

STREAMS = (1, 4, 16, 64)
WIDTH_PX, HEIGHT_PX, CLIP_FRAMES, SLOTS = 1280, 720, 400, 4
#: Frames of a run beyond those that wait in the slots when it begins.
FRAMES = 300
LOAD = 0.8


class Due(DecodeWorker):
    """A worker whose frames may be read when they are due only: `began_s + n * period_s`; 0: at once."""

    period_s = began_s = 0.0
    due_s = 0.0
    read_frames = 0

    def read(self, timeout_s: float = 30.0) -> Frame | None:
        """Return the next frame once it is due."""
        if self.period_s:
            self.due_s = self.began_s + self.read_frames * self.period_s
            time.sleep(max(0.0, self.due_s - time.perf_counter()))
        self.read_frames += 1
        return super().read(timeout_s)


class Run(NamedTuple):
    """What one run of some streams did."""

    frames_per_s: float
    cpu_s_a_frame: float
    ages_s: list[float]
    memory_mb: float
    counts: Counts


def memory_mb(pids: list[int]) -> float:
    """Return the resident memory of some processes in MB, pages that they share counted once."""
    total = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def cpu_s(pids: list[int]) -> float:
    """Return the CPU time that some processes have used, in s."""
    total = 0.0
    for pid in pids:
        spent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK")
    return total


def cameras(folder: Path, detector: Detector, streams: int, spec: FitSpec) -> list[CameraPath]:
    """Return started cameras, all on the clip in `folder`."""
    site = load_site(folder / "site.toml")
    ((name, camera),) = site.cameras.items()
    scene = site_scene(site, name, WIDTH_PX, HEIGHT_PX)
    tables = NAME_TABLES | {"camera": (name,), "line": scene.line_names, "signal": scene.signal_names}
    header = make_header(rule_entries(camera.rules), tables, {})
    workers = [Due(folder / "clip.mp4", spec, lamp_boxes(camera), SLOTS) for _ in range(streams)]
    for worker in workers:
        worker.launch()
    paths = []
    for k, worker in enumerate(workers):
        worker.opened(120.0)
        (folder / f"{streams}-{k}").mkdir(exist_ok=True)
        store = folder / f"{streams}-{k}" / f"{time.monotonic_ns()}.gtr"
        lane = Lane(scene, camera.rules, context=header.context_id)
        at = place(spec, WIDTH_PX, HEIGHT_PX)
        paths.append(CameraPath(f"c{k}", worker, at, lane, RecordWriter(store, header)))
    return paths


def one_run(folder: Path, detector: Detector, streams: int, frames_per_s: float = 0.0) -> Run:
    """Run some streams for FRAMES frames after all that waited: as fast as it goes, or so many frames a second."""
    paths = cameras(folder, detector, streams, detector.fit_spec)
    pids = [os.getpid()] + [path.worker._process.pid for path in paths]  # type: ignore[union-attr]
    ages: list[float] = []
    waiting = SLOTS * streams
    marks: dict[str, float] = {}

    def watch(counts: Counts) -> None:
        if "began_s" not in marks and counts.inferred >= waiting:
            marks["began_s"], marks["cpu_s"], marks["at"] = time.perf_counter(), cpu_s(pids), counts.inferred
        if "memory_mb" not in marks and counts.inferred >= waiting + FRAMES // 2:
            marks["memory_mb"] = memory_mb(pids)
        if "ended_s" not in marks and counts.inferred >= waiting + FRAMES:
            marks["ended_s"] = time.perf_counter()
            marks["frames"], marks["spent_s"] = counts.inferred - marks["at"], cpu_s(pids) - marks["cpu_s"]

    def listen(path: CameraPath) -> None:
        worker = path.worker
        assert isinstance(worker, Due)
        path.on_tracks = lambda frame, time_s, tracks: ages.append(time.perf_counter() - worker.due_s)

    if frames_per_s:
        began_s = time.perf_counter() + 0.2
        for k, path in enumerate(paths):
            assert isinstance(path.worker, Due)
            path.worker.period_s = streams / frames_per_s
            path.worker.began_s = began_s + k / frames_per_s
            listen(path)
    counts = run_pipeline(paths, detector, watch, lambda: "ended_s" in marks)
    for path in paths:
        path.sink.close()  # type: ignore[attr-defined]
    spent_s = marks["ended_s"] - marks["began_s"]
    frames, memory = marks["frames"], marks["memory_mb"]
    return Run(frames / spent_s, marks["spent_s"] / frames, ages[waiting:], memory, counts)


def run(streams: tuple[int, ...] = STREAMS) -> dict[str, Any]:
    """Print frames a second, age, CPU and memory for each number of streams."""
    figures: dict[str, Figure] = {}
    unaccounted, dropped, held = 0, 0, {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = build_world(7)
        write_clip(folder / "clip.mp4", (WIDTH_PX, HEIGHT_PX), CLIP_FRAMES)
        text = site_text(world.camera, world.layout, Painter(world).head, "clip.mp4")
        (folder / "site.toml").write_text(text)
        card, model = open_model("gantry-demo", ())
        detector = Detector(card, model, choose("cpu"), threads=1)
        for n in streams:
            fast = one_run(folder, detector, n)
            paced = one_run(folder, detector, n, LOAD * fast.frames_per_s)
            label = f"{n} stream{'s' * (n > 1)}"
            figures[f"{label}: together"] = Figure(fast.frames_per_s, "frames/s", FRAMES)
            figures[f"{label}: CPU a frame"] = Figure(1e3 * fast.cpu_s_a_frame, "ms", FRAMES)
            cores = fast.cpu_s_a_frame * FPS
            figures[f"{label}: CPU a camera at {FPS:g} frames/s"] = Figure(cores, "cores", FRAMES)
            for share, word in ((0.5, "p50"), (0.99, "p99")):
                age_ms = 1e3 * quantile(paced.ages_s, share)
                figures[f"{label}: frame age {word} at {LOAD:.0%}"] = Figure(age_ms, "ms", len(paced.ages_s))
            figures[f"{label}: memory in all"] = Figure(fast.memory_mb, "MB", n)
            held[n] = fast.memory_mb
            for one in (fast, paced):
                unaccounted += one.counts.decoded - one.counts.inferred - sum(one.counts.dropped.values())
                dropped += sum(count for reason, count in one.counts.dropped.items() if reason != "stopped")
    low, high = min(held), max(held)
    if high > low:
        further = (held[high] - held[low]) / (high - low)
        figures["resident memory of a further camera"] = Figure(further, "MB", high - low)
    figures["frames dropped"] = Figure(float(dropped), "frames", len(streams))
    figures["frames unaccounted for"] = Figure(float(unaccounted), "frames", len(streams))
    return outcome("pipeline", figures, model=card.name, provider=detector.provider.describe())
