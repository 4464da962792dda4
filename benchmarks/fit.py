"""What does it cost to make a network's input, f4[3, 640, 640], of a decoded 1080p frame?

The frame is the rendered junction as 4:2:0 planes, as every decoder gives them. The usual path makes BGR of it, then
letterboxes and scales to 0..1; the best that OpenCV offers shrinks the planes first and keeps its buffers. Both
shrink by INTER_LINEAR, which at 3:1 takes one pixel of nine; ours takes the mean of all nine, as INTER_AREA does.
The reference of our result is that mean, BT.601 and the division by 255 in double precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import av
import cv2
import numpy as np

from benchmarks import _peers
from benchmarks._bench import ROUNDS, Figure, contest, microseconds, outcome, times
from benchmarks._made import HEIGHT_PX, WIDTH_PX, picture
from kernels.planes import normalise
from kernels.records import LAMP
from vision.decode.fit import Fitter
from vision.frame import FitSpec

SIDE_PX = 640
USUAL, LINEAR, AREA = "usual BGR letterbox", "OpenCV on planes, linear", "OpenCV on planes, area"
OURS, OCTETS, PLANES = "Gantry, float RGB", "Gantry, 8 bit RGB", "Gantry, 8 bit 4:2:0"


def decoded(planes: np.ndarray) -> av.VideoFrame:
    """Return planes as a decoder gives them."""
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def fitted(frame: av.VideoFrame, layout: Any) -> tuple[Callable[[], None], np.ndarray]:
    """Return our fit of a frame into a slot's planes u1, and the slot."""
    spec = FitSpec(SIDE_PX, SIDE_PX, layout)
    fitter = Fitter(spec, frame.width, frame.height, np.zeros((0, 3, 4), np.int32))
    slot, lamps = np.empty(spec.shape, np.uint8), np.zeros((0, 3), LAMP)
    fitter.pad(slot)
    return lambda: fitter.fit(frame, slot, lamps), slot


def to_float(frame: av.VideoFrame) -> tuple[Callable[[], None], np.ndarray]:
    """Return our whole way from a frame to the network's input f4, as worker and detector share it."""
    fit, slot = fitted(frame, "rgb")
    batch = np.empty((3, SIDE_PX, SIDE_PX), np.float32)
    gain, bias = np.full(3, 1 / 255, np.float32), np.zeros(3, np.float32)
    blank = np.zeros((3, SIDE_PX), np.uint8)

    def make() -> None:
        fit()
        normalise(slot, gain, bias, 114, blank, batch)

    return make, batch


def calls(peers: bool = False) -> dict[str, Callable[[], object]]:
    """Return the contestants; OpenCV is always there."""
    cv2.setNumThreads(1)
    planes = picture()
    frame = decoded(planes)
    return {
        OURS: to_float(frame)[0],
        OCTETS: fitted(frame, "rgb")[0],
        PLANES: fitted(frame, "i420")[0],
        USUAL: lambda: _peers.letterbox(frame, SIDE_PX),
        LINEAR: _peers.opencv_fit(planes, SIDE_PX, cv2.INTER_LINEAR),
        AREA: _peers.opencv_fit(planes, SIDE_PX, cv2.INTER_AREA),
    }


def shares(n_in: int, n_out: int) -> np.ndarray:
    """Return f8[n_out, n_in]: the share of each sample in the mean that an output sample is."""
    edges_in, edges_out = np.arange(n_in + 1.0), np.arange(n_out + 1.0) * n_in / n_out
    low = np.maximum(edges_in[None, :-1], edges_out[:-1, None])
    high = np.minimum(edges_in[None, 1:], edges_out[1:, None])
    return np.clip(high - low, 0.0, None) * n_out / n_in


def exact(planes: np.ndarray) -> np.ndarray:
    """Return the reference of the fitted picture, f8[3, 360, 640] of 0..1: means of area, BT.601, not rounded."""
    rows, line = HEIGHT_PX, WIDTH_PX
    height, width = SIDE_PX * 9 // 16, SIDE_PX
    chroma = planes[rows:].reshape(2, rows // 2, line // 2).astype(float)
    y = shares(rows, height) @ planes[:rows].astype(float) @ shares(line, width).T
    u, v = (shares(rows // 2, height) @ one @ shares(line // 2, width).T - 128.0 for one in chroma)
    y, c = (y - 16.0) * 255 / 219, 255 / 224
    red, blue = y + 1.402 * c * v, y + 1.772 * c * u
    green = y - (0.299 * 1.402 * c * v + 0.114 * 1.772 * c * u) / 0.587
    return np.clip(np.stack([red, green, blue]), 0.0, 255.0) / 255.0


def off() -> tuple[float, float]:
    """Return the largest and the mean difference of our input from the reference, in 255ths."""
    planes = picture()
    make, batch = to_float(decoded(planes))
    make()
    height = SIDE_PX * 9 // 16
    top = (SIDE_PX - height) // 2
    apart = 255.0 * np.abs(batch[:, top : top + height] - exact(planes))
    return float(apart.max()), float(apart.mean())


def run(peers: bool = False, rounds: int = ROUNDS) -> dict[str, Any]:
    """Print the cost of an input and how many times longer the others take."""
    spent = contest(calls(peers), rounds)
    figures: dict[str, Figure] = {name: microseconds(timing) for name, timing in spent.items()}
    best = LINEAR if spent[LINEAR].us <= spent[AREA].us else AREA
    figures["usual / Gantry"] = times(spent[USUAL], spent[OURS])
    figures["best OpenCV / Gantry"] = times(spent[best], spent[OURS], best)
    figures["OpenCV by area / Gantry"] = times(spent[AREA], spent[OURS])
    # Networks of our own read 4:2:0 planes of 8 bits: that fit is all that stands where the usual path stood.
    figures["usual / Gantry, 8 bit 4:2:0"] = times(spent[USUAL], spent[PLANES])
    figures["best OpenCV / Gantry, 8 bit 4:2:0"] = times(spent[best], spent[PLANES], best)
    largest, mean = off()
    samples = 3 * SIDE_PX * SIDE_PX * 9 // 16
    figures["largest difference from the reference"] = Figure(largest, "/255", samples)
    figures["mean difference from the reference"] = Figure(mean, "/255", samples)
    return outcome("fit", figures, versions={"opencv": cv2.__version__, "av": av.__version__})
