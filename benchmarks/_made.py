"""What the speed benchmarks work on: made traffic, the answer of a network, a scene of lines and zones, clips."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np

from vision.demo.clip import Painter
from vision.demo.world import build_world
from vision.scene import Scene, site_scene
from vision.site import load_site

WIDTH_PX, HEIGHT_PX, FPS = 1920, 1080, 25.0
#: Frames of made traffic; they are gone through forwards and backwards, so that motion never leaps.
FRAMES = 100
#: The usual answer of a detector that reads 640x640 px.
CELLS, CLASSES = 8400, 80
#: Classes of COCO that road users have: person, bicycle, car, motorcycle, bus, truck.
ROAD_CLASSES = (0, 1, 2, 3, 5, 7)


class Seen(NamedTuple):
    """The boxes of one frame: xyxy_px f4[n, 4], score f4[n], class_id i2[n] (ours)."""

    xyxy_px: np.ndarray
    score: np.ndarray
    class_id: np.ndarray


def traffic(objects: int, seed: int = 1) -> list[Seen]:
    """Return FRAMES frames of `objects` boxes in steady motion, 1 px of jitter, turned back at the picture's edges.

    Boxes shrink with their number: a picture with 150 road users shows them from further away.
    """
    rng = np.random.default_rng(seed)
    area = np.array([WIDTH_PX, HEIGHT_PX])
    scale = (20.0 / objects) ** 0.5
    start = rng.uniform((100, 200), area - 100, (objects, 2))
    way = rng.normal(0.0, (120.0, 60.0), (objects, 2)) * scale
    size = rng.uniform((50.0, 40.0), (150.0, 110.0), (objects, 2)) * scale
    kind = rng.choice([0, 0, 0, 1, 2, 3], objects).astype(np.int16)
    frames = []
    for frame in range(FRAMES):
        middle = area - np.abs(area - (start + way * frame / FPS) % (2 * area))
        corners = np.hstack([middle - size / 2, middle + size / 2]) + rng.normal(0.0, 1.0, (objects, 4))
        frames.append(Seen(corners.astype(np.float32), rng.uniform(0.6, 0.95, objects).astype(np.float32), kind))
    return frames


def back_and_forth(n: int) -> Iterator[int]:
    """Yield 0, 1, ... n - 1, n - 2, ... 1, 0, 1, ... for ever."""
    return itertools.cycle([*range(n), *range(n - 2, 0, -1)])


def head_answer(objects: int = 50, candidates: int = 8, seed: int = 2) -> np.ndarray:
    """Return the answer f4[84, 8400] of a YOLOv8-like network to a 640x640 picture with `objects` objects.

    Each object has `candidates` overlapping boxes from neighbouring cells of the finest grid (80x80 cells of 8 px, as
    objects of 15 to 60 px have them); the other cells hold low scores.
    """
    rng = np.random.default_rng(seed)
    raw = np.zeros((4 + CLASSES, CELLS), np.float32)
    raw[:2] = rng.uniform(0, 640, (2, CELLS))
    raw[2:4] = rng.uniform(8, 200, (2, CELLS))
    raw[4:] = rng.uniform(0.0, 0.02, (CLASSES, CELLS)) ** 2
    near = np.array([(x, y) for y in (-1, 0, 1) for x in (-1, 0, 1) if (x, y) != (1, 1)])[:candidates]
    places = rng.permutation(24 * 24)[:objects]
    for place in places:
        column, line = 4 + 3 * (place % 24), 4 + 3 * (place // 24)
        row = (line + near[:, 1]) * 80 + column + near[:, 0]
        middle, size = 8.0 * np.array([column, line]) + 4.0, rng.uniform(15, 60, 2)
        raw[:2, row] = middle[:, None] + rng.normal(0, 1.0, (2, len(near)))
        raw[2:4, row] = size[:, None] + rng.normal(0, 1.0, (2, len(near)))
        raw[4 + rng.choice(ROAD_CLASSES), row] = rng.permutation(np.linspace(0.9, 0.35, len(near)))
    return raw


def zone_corners(k: int) -> list[list[int]]:
    """Return the outline in px of the k-th of eight zones, two rows of four."""
    x, y = 80 + 460 * (k % 4), 240 + 420 * (k // 4)
    return [[x, y], [x + 380, y + 20], [x + 400, y + 340], [x + 20, y + 360]]


def line_ends(k: int) -> list[list[int]]:
    """Return the ends in px of the k-th of eight lines, from left to right."""
    x = 120 + 220 * k
    return [[x, 220], [x + 60, 1040]]


def site_text(url: str = "clip.mp4", model: str = "gantry-demo") -> str:
    """Return a site file with eight lines, eight zones, and a count at each line and a loop in each zone."""
    text = ['name = "made"', 'timezone = "UTC"', "[camera.c]", f'url = "{url}"', f'model = "{model}"']
    for k in range(8):
        text += [f"[camera.c.line.l{k}]", f"ends_px = {line_ends(k)}"]
        text += [f"[camera.c.zone.z{k}]", f"points_px = {zone_corners(k)}"]
    for k in range(8):
        text += ["[[camera.c.rule]]", 'type = "line_count"', f'name = "count {k}"', f'line = "l{k}"']
        text += ["[[camera.c.rule]]", 'type = "presence"', f'name = "loop {k}"', f'zone = "z{k}"']
    return "\n".join(text) + "\n"


def made_scene(folder: Path) -> tuple[Scene, tuple]:
    """Return the scene of `site_text` and its rules; the site file is written into `folder`."""
    path = folder / "site.toml"
    path.write_text(site_text())
    site = load_site(path)
    return site_scene(site, "c", WIDTH_PX, HEIGHT_PX), site.cameras["c"].rules


def write_clip(path: Path, size_px: tuple[int, int], frames: int, fps: float = FPS) -> None:
    """Encode the rendered junction in H.264 as a camera does: no B-frames, a key frame every two seconds."""
    painter = Painter(build_world(7))
    width, height = size_px
    options = {"crf": "23", "preset": "veryfast", "g": str(round(2 * fps)), "bf": "0", "threads": "1"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=round(fps), options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            planes = painter.planes(number / fps, number)
            frame = av.VideoFrame.from_ndarray(enlarged(planes, width, height), format="yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def enlarged(planes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return 4:2:0 planes u1[h * 3 / 2, w] at another size."""
    rows, line = planes.shape[0] * 2 // 3, planes.shape[1]
    if (rows, line) == (height, width):
        return planes
    chroma = planes[rows:].reshape(2, rows // 2, line // 2)
    out = np.empty((height * 3 // 2, width), np.uint8)
    out[:height] = cv2.resize(planes[:rows], (width, height), interpolation=cv2.INTER_LINEAR)
    small = (width // 2, height // 2)
    for k in range(2):
        out[height:].reshape(2, height // 2, width // 2)[k] = cv2.resize(chroma[k], small)
    return out


def picture() -> np.ndarray:
    """Return one rendered picture as 4:2:0 planes u1[1620, 1920]."""
    painter = Painter(build_world(7))
    return enlarged(painter.planes(4.0, 100), WIDTH_PX, HEIGHT_PX)
