"""Writes the demo's clip: frames rendered at given times, weathered like a camera's, encoded as H.264."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from vision.demo.backdrop import Head, paint_stage
from vision.demo.render import Stage, draw_frame, draw_lamp
from vision.demo.site import SIGNAL, site_text
from vision.demo.traffic import spans
from vision.demo.truth import Truth, cached_truth
from vision.demo.world import World, build_world

FPS = 25.0
TIME_BASE = Fraction(1, 90_000)
CRF = 20
LAMP_BGR = {"red": (60, 60, 245), "amber": (50, 175, 255), "green": (130, 230, 90)}
_NOISE_FIELDS, _NOISE_SPARE_PX = 5, 64

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Demo:
    """A rendered scene on disk and what is true of it."""

    folder: Path
    video: Path
    site: Path  # reads the signal from its lamps
    site_log: Path  # reads the signal from the log
    signal_log: Path
    truth: Truth
    world: World
    stage: Stage
    head: Head
    times_s: tuple[float, ...]
    fps: float


class Painter:
    """Paints the frames of one scene; a frame depends on its time and number only."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stage, self.head = paint_stage(world.camera, world.layout, world.light, world.seed)
        rng = np.random.default_rng([world.seed, 23])
        shape = (world.camera.height_px + _NOISE_SPARE_PX, world.camera.width_px + _NOISE_SPARE_PX)
        self._noise = [np.clip(rng.normal(0, 2.0, shape), -9, 9).astype(np.int8) for _ in range(_NOISE_FIELDS)]

    def picture(self, time_s: float) -> np.ndarray:
        """Return the picture u1[h, w, 3] at a time in seconds, without noise."""
        picture = draw_frame(self.stage, self.world.poses(time_s))
        state, _ = self.world.plan.state("main", time_s)
        for lamp, at in zip(LAMP_BGR, self.head.lamps_px, strict=True):
            if lamp in state.split("_"):
                draw_lamp(picture, at, self.head.radius_px, LAMP_BGR[lamp])
        return picture

    def planes(self, time_s: float, number: int) -> np.ndarray:
        """Return the I420 planes u1[h * 3 // 2, w] at a time, with a sensor's noise and a slow drift of brightness."""
        planes = cv2.cvtColor(self.picture(time_s), cv2.COLOR_BGR2YUV_I420)
        height, width = self.world.camera.height_px, self.world.camera.width_px
        luma = planes[:height]
        gain = 1 + 0.03 * float(np.sin(time_s / 17 * 2 * np.pi))
        cv2.convertScaleAbs(luma, dst=luma, alpha=gain)
        x, y = (number * 37) % _NOISE_SPARE_PX, (number * 23) % _NOISE_SPARE_PX
        noise = self._noise[number % _NOISE_FIELDS][y : y + height, x : x + width]
        cv2.add(luma, noise, dst=luma, dtype=cv2.CV_8U)
        return planes


def even_times(seconds: float, fps: float) -> list[float]:
    """Return the times in seconds of frames at an even rate, from 0 and below `seconds`."""
    return [index / fps for index in range(int(np.ceil(seconds * fps - 1e-9)))]


def uneven_times(seconds: float, fps: float, seed: int = 0) -> list[float]:
    """Return the times in seconds of frames at a rate that varies from half to one and a half times `fps`."""
    rng = np.random.default_rng(seed)
    steps = rng.uniform(0.5, 1.5, int(seconds * fps * 2)) / fps
    times = np.concatenate([[0.0], np.cumsum(np.round(steps / float(TIME_BASE)) * float(TIME_BASE))])
    return times[times < seconds].tolist()


def encode(
    path: Path, painter: Painter, times_s: Sequence[float], fps: float, progress: Progress | None = None
) -> None:
    """Write the frames at `times_s` as an H.264 file: 4:2:0, B-frames, a key frame every 2 s, times as given.

    Drawing and encoding run side by side: the encoder lets other threads run.
    """
    waiting: queue.Queue[tuple[np.ndarray, float] | None] = queue.Queue(maxsize=8)
    failed: list[BaseException] = []

    def write() -> None:
        try:
            _write(path, painter.world, waiting, fps)
        except BaseException as error:
            failed.append(error)

    def hand_over(item: tuple[np.ndarray, float] | None) -> None:
        while thread.is_alive():  # an encoder that failed takes nothing more
            with contextlib.suppress(queue.Full):
                return waiting.put(item, timeout=0.1)

    thread = threading.Thread(target=write, name="encode")
    thread.start()
    try:
        for number, time_s in enumerate(times_s):
            if failed:
                break
            hand_over((painter.planes(time_s, number), time_s))
            if progress is not None:
                progress(number + 1, len(times_s))
    finally:
        hand_over(None)
        thread.join()
    if failed:
        raise failed[0]


def _write(path: Path, world: World, waiting: queue.Queue[tuple[np.ndarray, float] | None], fps: float) -> None:
    rate = Fraction(fps).limit_denominator(1001)
    options = {"crf": str(CRF), "preset": "veryfast", "g": str(max(1, round(fps * 2))), "bf": "2", "threads": "2"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = world.camera.width_px, world.camera.height_px, "yuv420p"
        stream.codec_context.time_base = TIME_BASE
        while (item := waiting.get()) is not None:
            planes, time_s = item
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = round(time_s / float(TIME_BASE)), TIME_BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def render_demo(folder: Path, seed: int = 7, fps: float = FPS, progress: Progress | None = None) -> Demo:
    """Render the scene of a seed into `folder`: the clip, two site files, the signal's log and the truth."""
    world = build_world(seed)
    return render_world(folder, world, even_times(world.seconds, fps), fps, progress)


def render_world(
    folder: Path, world: World, times_s: Sequence[float], fps: float, progress: Progress | None = None
) -> Demo:
    """Render a scene at given times in seconds; see `render_demo`."""
    folder.mkdir(parents=True, exist_ok=True)
    painter = Painter(world)
    truth = cached_truth(world)
    demo = Demo(
        folder, folder / "junction.mp4", folder / "site.toml", folder / "site-log.toml", folder / "signals.csv",
        truth, world, painter.stage, painter.head, tuple(times_s), fps,
    )  # fmt: skip
    text = site_text(world.camera, world.layout, painter.head, demo.video.name)
    demo.site.write_text(text, encoding="utf-8")
    text = site_text(world.camera, world.layout, painter.head, demo.video.name, demo.signal_log.name)
    demo.site_log.write_text(text, encoding="utf-8")
    rows = [f"{start:.3f},{SIGNAL},{state}" for start, _, state in spans(world.plan, "main", world.seconds)]
    demo.signal_log.write_text("\n".join(["time_s,signal,state", *rows]) + "\n", encoding="utf-8")
    (folder / "truth.json").write_text(json.dumps(asdict(truth), indent=1) + "\n", encoding="utf-8")
    encode(demo.video, painter, times_s, fps, progress)
    return demo
