"""Makers of tiny videos for tests: a number is burned into each frame, so a reader can prove which one it holds."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

#: Time base of the videos made here, as MPEG-TS has it.
TIME_BASE = Fraction(1, 90_000)

#: Blocks of the burned-in number: one bit each, the lowest left, across the top quarter of the picture.
NUMBER_BITS = 10

Draw = Callable[[int, np.ndarray], None]


def burn_number(number: int, rgb: np.ndarray) -> None:
    """Paint `number` into the top quarter of a picture u1[h, w, 3] as white (1) and black (0) blocks."""
    height, width = rgb.shape[:2]
    edges = np.linspace(0, width, NUMBER_BITS + 1).astype(int)
    for bit in range(NUMBER_BITS):
        rgb[: height // 4, edges[bit] : edges[bit + 1]] = 255 * (number >> bit & 1)


def read_number(luma: np.ndarray) -> int:
    """Return the number burned into a luma plane u1[h, w] of any size."""
    height, width = luma.shape
    edges = np.linspace(0, width, NUMBER_BITS + 1)
    middles = ((edges[:-1] + edges[1:]) / 2).astype(int)
    return sum(1 << bit for bit, x in enumerate(middles) if luma[height // 8, x] > 127)


def default_draw(number: int, rgb: np.ndarray) -> None:
    """Paint a ramp, a block that moves with `number`, and the number itself."""
    height, width = rgb.shape[:2]
    rgb[..., 0] = np.linspace(40, 200, width, dtype=np.uint8)
    rgb[..., 1] = np.linspace(200, 40, height, dtype=np.uint8)[:, None]
    rgb[..., 2] = 90
    left = (number * 4) % max(1, width - width // 6)
    rgb[height // 2 : height * 3 // 4, left : left + width // 6] = (220, 60, 30)
    burn_number(number, rgb)


def tiny_video(
    path: Path | str,
    n: int = 20,
    width: int = 160,
    height: int = 96,
    fps: float | Fraction = 25,
    pts: Sequence[int] | None = None,
    codec: str = "libx264",
    draw: Draw | None = None,
    *,
    pix_fmt: str = "yuv420p",
    b_frames: int = 0,
    first: int = 0,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a video of `n` frames and return its path; the container is told by the path's suffix.

    `pts` are presentation times in 1/90,000 s, rising; without them frame k is shown at k / fps. `draw(k, rgb)` paints
    frame k into a black picture u1[height, width, 3]; without it `default_draw` does, with the number k burned in.
    `first` is the number of the first frame.
    """
    rate = Fraction(fps).limit_denominator(1001)
    settings = {"preset": "ultrafast", "crf": "12", "bf": str(b_frames), "g": "12"} if codec == "libx264" else {}
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options={**settings, **(options or {})})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        if codec in ("libx264", "mpeg4", "libx265"):
            stream.codec_context.max_b_frames = b_frames
        # Not every encoder takes any time base: mpeg4 wants one with a denominator below 65,536.
        time_base = TIME_BASE if codec == "libx264" else 1 / rate
        stream.codec_context.time_base = time_base
        for k in range(n):
            rgb = np.zeros((height, width, 3), np.uint8)
            (draw or default_draw)(first + k, rgb)
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            due = Fraction(pts[k]) * TIME_BASE if pts is not None else k / rate
            frame.pts, frame.time_base = round(due / time_base), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return Path(path)


def joined_video(path: Path, sizes: Sequence[tuple[int, int]], n: int = 10, fps: int = 25) -> Path:
    """Write an MPEG-TS whose picture changes size: `n` frames of each of `sizes`, numbers running on."""
    parts = []
    for index, (width, height) in enumerate(sizes):
        part = path.with_name(f"{path.stem}.{index}.ts")
        pts = [round((index * n + k) * 90_000 / fps) for k in range(n)]
        tiny_video(part, n, width, height, fps, pts, first=index * n)
        parts.append(part.read_bytes())
        part.unlink()
    path.write_bytes(b"".join(parts))
    return path


def audio_only(path: Path) -> Path:
    """Write a file with sound and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def stamped(folder: Path, pts: list[int]) -> Path:
    """Write an MPEG-TS whose packets carry exactly these presentation times, good or not."""
    source = tiny_video(folder / "source.ts", n=len(pts), options={"g": "1"})
    data = bytearray(source.read_bytes())
    packets = iter(pts)
    for offset in range(0, len(data), 188):
        body = data[offset : offset + 188]
        start = 4 + (1 + body[4] if body[3] & 0x20 else 0)
        if body[1] & 0x40 and body[start : start + 4] == b"\x00\x00\x01\xe0":  # a PES packet of video begins
            _write_pts(data, offset + start + 7, next(packets) + 126_000)
    path = folder / "v.ts"
    path.write_bytes(data)
    return path


def _write_pts(data: bytearray, at: int, pts: int) -> None:
    both = data[at] & 0x40
    for field, mark in ((at + 2, 3 if both else 2), *(((at + 7, 1),) if both else ())):
        data[field] = mark << 4 | (pts >> 30 & 7) << 1 | 1
        struct.pack_into(">HH", data, field + 1, (pts >> 15 & 0x7FFF) << 1 | 1, (pts & 0x7FFF) << 1 | 1)
