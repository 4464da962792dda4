"""Makers of whole runs for tests: a tiny scene with a network that sees one car, and the demo's junction exactly seen.

The tiny network's one box moves with how bright the picture is, so a video that grows brighter drives a car down the
picture and over a line, without a network that was trained.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from tiny_models import GREY, card_text, write_card, write_model
from videos import Draw, tiny_video

from kernels.pixels import lamp_means
from kernels.records import CLASSES, LAMP
from vision import __version__
from vision.card import load_card
from vision.cli import main
from vision.demo.clip import Painter
from vision.demo.render import Seen, survey
from vision.demo.site import CAMERA, site_text
from vision.frame import Detections
from vision.record.context import run_header
from vision.record.export import rows
from vision.record.reader import open_records
from vision.record.store import RecordWriter
from vision.replay import tracker_settings
from vision.scene import Scene, site_scene
from vision.site import load_site
from vision.track.lane import Lane

# -- A tiny scene -----------------------------------------------------------------------------------------------------

#: Twice the tiny network's picture, so that no grey border dims the mean.
WIDTH_PX, HEIGHT_PX = 128, 96
LINE_Y_PX = 50.0
#: Of the car's box where the picture is as bright as GREY, in pixels of the video.
FOOT_PX = 64.0
#: How bright the first and the last frame are.
DARKEST, BRIGHTEST = 62, 124
FRAMES, FPS = 50, 25

SITE = f"""\
name = "tiny"
timezone = "UTC"

[camera.one]
url = "v.mp4"
model = "tiny"

[camera.one.line.stop]
ends_px = [[4, {LINE_Y_PX}], [124, {LINE_Y_PX}]]
flow_px = [[60, 20], [60, 80]]

[[camera.one.rule]]
type = "line_count"
name = "count"
line = "stop"
"""


class Tiny(NamedTuple):
    """A folder with a site, a video and a model: all that a replay needs."""

    folder: Path
    site: Path
    video: Path


def car_output() -> dict[str, np.ndarray]:
    """Return `output0` f4[84, 2]: one car of 20 x 14 px of the network's picture, and nothing."""
    raw = np.zeros((84, 2), np.float32)
    raw[:4, 0] = 22, FOOT_PX / 2 - 7, 20, 14
    raw[4 + 2, 0] = 0.8
    return {"output0": raw}


def tiny_card(folder: Path, n_classes: int = 80, more: str = "") -> Path:
    """Write the card of the tiny model."""
    output = f'head = "yolov8"\noutput = "output0"\nn_classes = {n_classes}\n'
    return write_card(folder, card_text(output, more=more))


def level(number: int, frames: int = FRAMES) -> int:
    """Return how bright a frame is (0..255)."""
    return round(DARKEST + (BRIGHTEST - DARKEST) * number / (frames - 1))


def brighter(frames: int = FRAMES) -> Draw:
    """Return what paints a video that grows brighter, so that the car drives down the picture once."""

    def draw(number: int, rgb: np.ndarray) -> None:
        rgb[...] = level(number, frames)

    return draw


def black_at(number: int) -> Draw:
    """Return what paints the same, with one frame black."""

    def draw(at: int, rgb: np.ndarray) -> None:
        rgb[...] = 0 if at == number else level(at)

    return draw


def tiny_run(
    folder: Path, draw: Draw | None = None, n: int = FRAMES, when_black: float | None = None, **video: Any
) -> Tiny:
    """Write a site, a video and a model into a folder."""
    folder.mkdir(exist_ok=True)
    write_model(folder / "tiny.onnx", car_output(), when_black=when_black)
    tiny_card(folder)
    (folder / "site.toml").write_text(SITE)
    tiny_video(folder / "v.mp4", n, WIDTH_PX, HEIGHT_PX, FPS, draw=draw or brighter(n), **video)
    return Tiny(folder, folder / "site.toml", folder / "v.mp4")


def crossing_s(frames: int = FRAMES, fps: float = FPS) -> float:
    """Return when the tiny car's foot point passes the line, in seconds."""
    at = GREY * LINE_Y_PX / FOOT_PX
    return (at - DARKEST) / (BRIGHTEST - DARKEST) * (frames - 1) / fps


def command(*words: object) -> list[str]:
    """Return the command line of a run in another process."""
    return [sys.executable, "-c", "from vision.cli import main; main()", *map(str, words)]


def replay_words(tiny: Tiny, out: Path, *more: object) -> list[object]:
    """Return the words of a replay of a tiny run."""
    return [
        "replay", tiny.site, tiny.video, "--out", out, "--models", tiny.folder, "--provider", "cpu", "--threads", 1,
        *more,
    ]  # fmt: skip


def run_main(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """Run a command line in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["gantry", *map(str, words)])
    before = signal.getsignal(signal.SIGINT)
    try:
        main()
    except SystemExit as ended:
        return 0 if ended.code is None else int(ended.code)
    finally:
        signal.signal(signal.SIGINT, before)
    return 0


Run = Callable[..., tuple[int, str, list[str]]]


def runner(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Return what runs a command line and gives its exit code, its standard output, its lines of standard error."""

    def call(*words: object) -> tuple[int, str, list[str]]:
        capfd.readouterr()
        code = run_main(monkeypatch, *words)
        said = capfd.readouterr()
        return code, said.out, said.err.splitlines()

    return call


def complaints(lines: list[str]) -> list[str]:
    """Return the mistakes on standard error, each in its line; nothing there may look like a crash."""
    assert not any("Traceback" in line for line in lines)
    return [line.removeprefix("gantry: ") for line in lines if line.startswith("gantry:")]


def swap(path: Path, old: str, new: str) -> None:
    """Replace a piece of a text file that is in it once."""
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def copied(tiny: Tiny, folder: Path) -> Tiny:
    """Return a copy of a tiny run, to be spoilt."""
    shutil.copytree(tiny.folder, folder)
    return Tiny(folder, folder / tiny.site.name, folder / tiny.video.name)


# -- The demo's junction, seen by a perfect detector ------------------------------------------------------------------

#: What a detector cannot see: less of a vehicle than this share, or one that is smaller than this.
LEAST_SHOWN, LEAST_PX = 0.25, 6.0

Lamps = Callable[[float, int], np.ndarray]


def junction_scene(folder: Path, painter: Painter, log: bool) -> tuple[Any, Scene]:
    """Write the junction's site file and return the site and its scene; the signal from its log or its lamps."""
    world = painter.world
    path = folder / ("site-log.toml" if log else "site.toml")
    path.write_text(site_text(world.camera, world.layout, painter.head, "v.mp4", "signals.csv" if log else None))
    starts = [f"{at:.3f},main,{state}" for at, state in world.plan.main]
    (folder / "signals.csv").write_text("\n".join(["time_s,signal,state", *starts]) + "\n")
    site = load_site(path)
    return site, site_scene(site, CAMERA, world.camera.width_px, world.camera.height_px)


def perfect_boxes(painter: Painter, times_s: Sequence[float]) -> Iterator[tuple[float, Detections]]:
    """Yield (time, the true boxes of all vehicles that can be seen at that time)."""
    found = Detections()
    for time_s in times_s:
        seen = [one for one in survey(painter.stage, painter.world.poses(time_s)) if can_be_seen(painter, one)]
        found.n = len(seen)
        for k, one in enumerate(seen):
            found.xyxy_px[k], found.score[k] = one.xyxy_px, 0.9
            found.class_id[k] = CLASSES.index(one.class_name)
        yield time_s, found


def can_be_seen(painter: Painter, one: Seen) -> bool:
    """Say whether a detector could see a vehicle: enough of what lies in the picture is not hidden by others."""
    camera = painter.world.camera
    frame = np.float32([(0, 0), (camera.width_px, 0), (camera.width_px, camera.height_px), (0, camera.height_px)])
    outline = np.float32(one.outline_px)
    inside, _ = cv2.intersectConvexConvex(outline, frame)
    shown = one.visible * cv2.contourArea(outline)
    return shown >= LEAST_SHOWN * inside and one.xyxy_px[3] - one.xyxy_px[1] >= LEAST_PX


def painted_lamps(painter: Painter, scene: Scene) -> Lamps:
    """Return what measures the lamps in the painted pictures, noise and all: (time, number) -> LAMP[1, 3]."""
    width, height = painter.world.camera.width_px, painter.world.camera.height_px

    def lamps(time_s: float, number: int) -> np.ndarray:
        planes = painter.planes(time_s, number)
        u, v = planes[height:].reshape(2, height // 2, width // 2)
        found = np.zeros((1, 3), LAMP)
        lamp_means(planes[:height], u, v, scene.lamp_boxes, found)
        return found

    return lamps


def junction_events(
    folder: Path, painter: Painter, times_s: Sequence[float], log: bool = True, with_lamps: bool = False
) -> list[dict[str, Any]]:
    """Return the events, as they are exported, of the junction sampled at these times by a perfect detector."""
    folder.mkdir(exist_ok=True)
    site, scene = junction_scene(folder, painter, log)
    camera = site.cameras[CAMERA]
    card = load_card(camera.model)
    settings = tracker_settings(card)
    header = run_header(
        site=site, scene=scene, camera=camera, card=card, version=__version__, start_utc=None, settings=settings
    )
    lane = Lane(scene, camera.rules, context=header.context_id, settings=settings)
    lamps = painted_lamps(painter, scene) if with_lamps else lambda time_s, number: np.zeros((1, 3), LAMP)
    (folder / "events.gtr").unlink(missing_ok=True)
    with contextlib.closing(RecordWriter(folder / "events.gtr", header)) as writer:
        for number, (time_s, found) in enumerate(perfect_boxes(painter, times_s)):
            for rule, events in lane.step(found, number, time_s, 0, lamps(time_s, number)):
                writer.append(events, rule)
        for rule, events in lane.end():
            writer.append(events, rule)
    return rows(open_records(folder))
