"""What does decoding cost through PyAV, alone and with our fit, beside `ffmpeg -threads 1`?

The rendered junction at 1920x1080 px in H.264, one decoder thread, frames taken as the decoder leaves them. ffmpeg is
the program of that name, if there is one; its start is taken off by decoding a clip of two frames as well. Its CPU time
is that of the child process, ours that of the thread. The fit makes the 8-bit 4:2:0 input of a 640x640 network.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks._bench import Figure, outcome
from benchmarks._made import HEIGHT_PX, WIDTH_PX, write_clip
from kernels.records import LAMP
from vision.decode.fit import Fitter
from vision.decode.reader import decode_frames
from vision.frame import FitSpec

FRAMES, SHORT = 60, 2
ROUNDS = 12
SPEC = FitSpec(640, 640, "i420")


def thread_s(call: Callable[[], object]) -> float:
    """Return the CPU time of this thread in a call, in s."""
    began_s = time.thread_time()
    call()
    return time.thread_time() - began_s


def plain(clip: Path) -> None:
    """Decode a clip with PyAV and look at no frame."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for _ in container.decode(stream):
            pass


def read(clip: Path) -> None:
    """Decode a clip as a decode worker reads it."""
    for _ in decode_frames(clip):
        pass


def read_and_fit(clip: Path) -> None:
    """Decode a clip and fit each frame into a slot."""
    fitter = Fitter(SPEC, WIDTH_PX, HEIGHT_PX, np.zeros((0, 3, 4), np.int32))
    slot, lamps = np.empty(SPEC.shape, np.uint8), np.zeros((0, 3), LAMP)
    fitter.pad(slot)
    for frame, _, _ in decode_frames(clip):
        fitter.fit(frame, slot, lamps)


def ffmpeg_s(clip: Path) -> float:
    """Return the CPU time of `ffmpeg -threads 1` in s."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["ffmpeg", "-nostdin", "-v", "error", "-threads", "1", "-i", str(clip), "-f", "null", "-"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def calls(folder: Path) -> dict[str, Callable[[], object]]:
    """Return the contestants on a clip that is written into `folder`."""
    clip = folder / "clip.mp4"
    write_clip(clip, (WIDTH_PX, HEIGHT_PX), FRAMES)
    return {
        "PyAV alone": lambda: plain(clip),
        "Gantry's reader": lambda: read(clip),
        "Gantry's reader and fit": lambda: read_and_fit(clip),
    }


def run(rounds: int = ROUNDS) -> dict[str, Any]:
    """Print the cost of a frame and the ratios."""
    spent: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contestants = calls(folder)
        has_ffmpeg = shutil.which("ffmpeg") is not None
        if has_ffmpeg:
            write_clip(folder / "short.mp4", (WIDTH_PX, HEIGHT_PX), SHORT)
        for lap in range(rounds + 1):
            times = {label: thread_s(call) / FRAMES for label, call in contestants.items()}
            if has_ffmpeg:
                start_s = ffmpeg_s(folder / "short.mp4")
                times["ffmpeg -threads 1"] = (ffmpeg_s(folder / "clip.mp4") - start_s) / (FRAMES - SHORT)
            if lap:  # the first warms up
                for label, value in times.items():
                    spent.setdefault(label, []).append(value)
    n = FRAMES * rounds
    figures = {label: Figure(1e6 * statistics.median(values), "us", n) for label, values in spent.items()}

    def ratio(over: str, under: str) -> Figure:
        if over not in spent or under not in spent:
            return Figure(None, "x", 0, "there is no ffmpeg here")
        return Figure(statistics.median(a / b for a, b in zip(spent[over], spent[under], strict=True)), "x", rounds)

    figures["PyAV / ffmpeg"] = ratio("PyAV alone", "ffmpeg -threads 1")
    figures["reader / PyAV alone"] = ratio("Gantry's reader", "PyAV alone")
    figures["decode and fit / decode alone"] = ratio("Gantry's reader and fit", "PyAV alone")
    return outcome("decode", figures, versions={"av": av.__version__})
