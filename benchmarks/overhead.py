"""What does a frame cost beyond decode and inference, at 720p with about 20 objects and at 1080p with 50?

At 720p: fit, hand-over, head, tracking, eight lines, movements, red light and record writing, each timed as the
pipeline calls it. The picture is the rendered junction; the objects are 20 boxes in steady motion, put into the answer
of a YOLOX network (3,549 cells of 85) as 12 overlapping candidates each, so that the head has its real work.

At 1080p beside what is used instead: fit to 640x640 px, head of 84x8400, a tracker's update and eight lines and eight
zones for 50 objects, written as records. The usual stack is BGR, letterbox, supervision's head, Roboflow's ByteTrack,
supervision's lines and zones; it records nothing.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import _peers, detect, fit, kernels
from benchmarks._bench import ROUNDS, Figure, contest, microseconds, outcome, times
from benchmarks._made import ROAD_CLASSES, head_answer, picture, traffic
from kernels import boxes
from kernels.records import LAMP, NAME_TABLES
from vision.decode.fit import Fitter
from vision.decode.reader import VideoReader
from vision.decode.worker import DecodeWorker
from vision.demo.clip import Painter, encode, even_times
from vision.demo.site import site_text
from vision.demo.world import build_world
from vision.detect.heads import Candidates, grid_cells
from vision.frame import Detections, FitSpec, Placement, place
from vision.record.context import rule_entries
from vision.record.header import make_header
from vision.record.store import RecordWriter
from vision.scene import lamp_boxes, site_scene
from vision.site import load_site
from vision.track.lane import Lane

WIDTH_PX, HEIGHT_PX, FPS, SECONDS, OBJECTS, CANDIDATES = 1280, 720, 25.0, 8.0, 20, 12
SIDE_PX, CLASSES = 416, 80
SPEC = FitSpec(SIDE_PX, SIDE_PX, "bgr", "corner")


class Answers:
    """Answers of a YOLOX network that sees 20 vehicles going back and forth across the picture."""

    def __init__(self, placement: Placement) -> None:
        rng = np.random.default_rng(5)
        self._cells = grid_cells(SIDE_PX, SIDE_PX, (8, 16, 32))
        self._start = rng.uniform((60, 250), (WIDTH_PX - 60, HEIGHT_PX - 60), (OBJECTS, 2))
        self._way = rng.normal(0, (90, 60), (OBJECTS, 2))
        self._size = rng.uniform(40, 110, (OBJECTS, 2))
        self._kind = rng.choice([2, 2, 2, 5, 7, 3], OBJECTS)
        self._noise = rng.normal(0, 1.0, (64, OBJECTS, CANDIDATES, 4))
        self._scale = placement.scale_x
        self.raw = np.zeros((len(self._cells), 5 + CLASSES), np.float32)

    def at(self, frame: int) -> np.ndarray:
        """Return the answer for a frame, f4[cells, 85]."""
        self.raw[:, 4:] = 0.01
        area = np.array([WIDTH_PX, HEIGHT_PX])
        middle = np.abs((self._start + self._way * frame / FPS) % (2 * area) - area) * self._scale
        for k in range(OBJECTS):
            near = np.argsort(np.abs(self._cells[:, :2] * 8 + 4 - middle[k]).sum(1)[:2704], kind="stable")[:CANDIDATES]
            stride = self._cells[near, 2]
            jitter = self._noise[frame % len(self._noise), k]
            self.raw[near, 0] = (middle[k, 0] + jitter[:, 0]) / stride - self._cells[near, 0]
            self.raw[near, 1] = (middle[k, 1] + jitter[:, 1]) / stride - self._cells[near, 1]
            self.raw[near, 2:4] = np.log((self._size[k] * self._scale + jitter[:, 2:]) / stride[:, None])
            self.raw[near, 4] = 0.9
            self.raw[near, 5 + self._kind[k]] = np.linspace(0.9, 0.3, CANDIDATES)
        return self.raw


def calls(folder: Path, peers: bool = False) -> dict[str, Callable[[], object]]:
    """Return the contestants at 1080p: all that a frame costs but decode and inference."""
    cv2.setNumThreads(1)
    shot, raw = fit.decoded(picture()), head_answer(50)
    ours, course = fit.to_float(shot)[0], kernels.Course(folder)
    head = detect.reader(raw, np.array(ROAD_CLASSES, np.int64), np.arange(6, dtype=np.int16))[0]

    def frame() -> None:
        ours()
        head()
        course.step()

    found: dict[str, Callable[[], object]] = {"Gantry at 1080p": frame}
    if peers:
        seen = traffic(50)
        answer, update, zones = _peers.supervision_head(raw), _peers.bytetrack(seen), _peers.zones(seen)

        def usual() -> None:
            _peers.letterbox(shot, fit.SIDE_PX)
            answer()
            update()
            zones()

        found["usual stack at 1080p"] = usual
    return found


def run(peers: bool = False, rounds: int = ROUNDS) -> dict[str, Any]:
    """Print the cost of each stage at 720p and of all of them at 1080p."""
    peers = _peers.wanted(peers)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        timings = contest(calls(folder, peers), rounds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = build_world(7)
        painter = Painter(world)
        video = folder / "junction.mp4"
        encode(video, painter, even_times(SECONDS, FPS), FPS)
        site_file = folder / "site.toml"
        site_file.write_text(site_text(world.camera, world.layout, painter.head, video.name))
        spent = measure(video, site_file, folder)
        spent["hand-over"] = hand_over(video)
    figures = {}
    for stage, times_s in spent.items():
        p95 = 1e6 * float(np.quantile(times_s, 0.95))
        note = f"p95 {p95:,.0f}"
        figures[f"720p: {stage}"] = Figure(1e6 * statistics.median(times_s), "us", len(times_s), note)
    total = sum(figure.value or 0.0 for figure in figures.values())
    figures["720p: sum"] = Figure(total, "us", min(len(times_s) for times_s in spent.values()))
    figures |= {name: microseconds(timing) for name, timing in timings.items()}
    if peers:
        rival = timings["usual stack at 1080p"]
        figures["usual stack / Gantry"] = times(rival, timings["Gantry at 1080p"])
    return outcome("overhead", figures, versions=_peers.versions() if peers else {})


def measure(video: Path, site_file: Path, folder: Path) -> dict[str, list[float]]:
    """Time fit, head and lane with its records on every frame of the clip, in s; the first second warms up."""
    site = load_site(site_file)
    ((name, camera),) = site.cameras.items()
    scene = site_scene(site, name, WIDTH_PX, HEIGHT_PX)
    placement = place(SPEC, WIDTH_PX, HEIGHT_PX)
    fitter = Fitter(SPEC, WIDTH_PX, HEIGHT_PX, lamp_boxes(camera))
    planes = np.empty(SPEC.shape, np.uint8)
    fitter.pad(planes)
    lamps = np.zeros((len(scene.signal_names), 3), LAMP)
    answers, found = Answers(placement), Detections()
    read = head_reader(placement)
    tables = NAME_TABLES | {"camera": (name,), "line": scene.line_names, "signal": scene.signal_names}
    header = make_header(rule_entries(camera.rules), tables, {})
    lane = Lane(scene, camera.rules, context=header.context_id)
    spent: dict[str, list[float]] = {"fit": [], "head": [], "lane": []}
    objects = 0
    with RecordWriter(folder / "events.gtr", header) as writer, VideoReader(video) as reader:
        for picture, number, instant in reader:
            raw = answers.at(number)
            marks = [time.thread_time()]
            fitter.fit(picture, planes, lamps)
            marks.append(time.thread_time())
            read(raw, found)
            marks.append(time.thread_time())
            for rule, events in lane.step(found, number, instant.time_s, instant.epoch, lamps):
                writer.append(events, rule)
            marks.append(time.thread_time())
            if number >= FPS:
                objects += len(lane.tracks)
                for stage, start, end in zip(spent, marks[:-1], marks[1:], strict=True):
                    spent[stage].append(end - start)
    print(f"{objects / len(spent['fit']):.1f} tracks a frame, {len(camera.rules)} rules")
    return spent


def head_reader(placement: Placement) -> Any:
    """Return the path from a raw answer to detections, as a Detector with a YOLOX card runs it."""
    cells = grid_cells(SIDE_PX, SIDE_PX, (8, 16, 32))
    used, ours = np.array([0, 1, 2, 3, 5, 7]), np.array([5, 4, 0, 3, 1, 2], np.int16)
    found = Candidates(len(cells))
    bounds = np.array(
        [placement.scale_x, placement.scale_y, placement.offset_x_px, placement.offset_y_px, WIDTH_PX, HEIGHT_PX]
    )

    def read(raw: np.ndarray, out: Detections) -> None:
        n = boxes.yolox_head(raw, cells, False, used, ours, np.float32(0.1), found.xyxy_px, found.score, found.class_id)
        out.n = boxes.select(
            found.xyxy_px, found.score, found.class_id, n, found.order, 0.45, bounds, out.xyxy_px, out.score,
            out.class_id,
        )  # fmt: skip

    return read


def hand_over(video: Path) -> list[float]:
    """Time taking a fitted frame over from its worker and giving the slot back, where frames are waiting, in s."""
    spent = []
    with DecodeWorker(video, SPEC, slots=64) as worker:
        worker.start()
        waiting = True
        while waiting:
            time.sleep(1.5)  # until all slots are full
            for _ in range(60):
                began_s = time.perf_counter()
                frame = worker.read()
                if frame is None:
                    waiting = False
                    break
                worker.release(frame)
                spent.append(time.perf_counter() - began_s)
    return spent
