"""Fit a decoded frame into a slot: scale its planes, convert its colour, average its lamps.

Every frame goes through limited-range 4:2:0 planes. Most video is that already and is read where the decoder left it;
other formats (full range, 4:2:2, 4:4:4, 10 bit, grey, RGB) are converted by swscale first.
Chroma is taken as centred between its luma samples, the picture as progressive with square pixels, and not rotated.
"""

from __future__ import annotations

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from kernels.pixels import axis_taps, colour_matrix, convert_colour, lamp_means, make_scratch, resize_plane
from kernels.shrink import FACTORS, shrink_colour, shrink_plane, sum_matrix
from kernels.thirds import WIDTH_MAX_PX, make_work, put_factors, third_colour, third_plane
from vision.frame import FitSpec, Placement, place

#: Luma weights (red, blue) by the colour space a stream declares (ISO 23091-2 table 4); BT.601 where it declares none,
#: as swscale and OpenCV take it.
_LUMA_WEIGHTS = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
_BT601 = (0.299, 0.114)
_RGB_SPACE = 0

#: Chroma of a picture without colour.
_NEUTRAL = 128


class Fitter:
    """Write frames of one size into slots, as `spec` says; `boxes` i4[n, 3, 4] are the lamps in source px."""

    def __init__(self, spec: FitSpec, width_px: int, height_px: int, boxes: np.ndarray) -> None:
        self.spec = spec
        self.place: Placement = place(spec, width_px, height_px)
        self._boxes = np.ascontiguousarray(boxes, np.int32)
        self._size = (width_px, height_px)
        self._reformatter = VideoReformatter()
        at = self.place
        chroma_in = ((width_px + 1) // 2, (height_px + 1) // 2)
        chroma_out = (at.width_px, at.height_px)
        if spec.layout == "i420":
            chroma_out = (at.width_px // 2, at.height_px // 2)
        self._luma_taps = (axis_taps(height_px, at.height_px), axis_taps(width_px, at.width_px))
        self._chroma_taps = (axis_taps(chroma_in[1], chroma_out[1]), axis_taps(chroma_in[0], chroma_out[0]))
        #: How many times the network's picture the source is, where that is a whole number that has kernels; else 0.
        self._times = next((k for k in FACTORS if (width_px, height_px) == (at.width_px * k, at.height_px * k)), 0)
        if at.width_px % 2 or at.height_px % 2:
            self._times = 0
        # A third is made in words of two samples: of chroma too where chroma is kept.
        word = 4 if spec.layout == "i420" else 2
        whole = at.width_px % word == at.offset_x_px % word == spec.width_px % word == 0
        self._thirds = self._times == 3 and whole and at.width_px <= WIDTH_MAX_PX
        self._works: dict[int, np.ndarray] = {}
        self._wide = np.zeros((2, width_px), np.uint16)
        self._sums = np.zeros((3, at.width_px), np.uint16)
        self._scratch = [make_scratch(0, at.width_px) for _ in range(3)]
        self._yuv = np.zeros((3, at.height_px, at.width_px), np.uint8)
        self._matrices: dict[int, np.ndarray] = {}

    def pad(self, planes: np.ndarray) -> None:
        """Fill a slot's planes with the padding grey; once a slot, as frames of one size never touch the padding."""
        planes[...] = self.spec.pad
        if self.spec.layout == "i420":
            planes[self.spec.height_px :] = _NEUTRAL

    def fit(self, frame: av.VideoFrame, planes: np.ndarray, lamps: np.ndarray) -> None:
        """Write a frame into a slot's planes u1 of spec.shape and its lamps LAMP[n, 3]."""
        frame = self._as_yuv420(frame)
        source = [_plane(frame, k) for k in range(3)]
        if self._thirds:
            self._third(source, planes, int(frame.colorspace))
        elif self._times:
            self._shrink(source, planes, int(frame.colorspace))
        else:
            self._resize(source, planes, int(frame.colorspace))
        if self._boxes.shape[0]:
            lamp_means(source[0], source[1], source[2], self._boxes, lamps)

    def _third(self, source: list[np.ndarray], planes: np.ndarray, colorspace: int) -> None:
        at, work = self.place, self._work(colorspace)
        left, top, width, height = at.offset_x_px // 2, at.offset_y_px, at.width_px // 2, at.height_px
        if self.spec.layout == "i420":
            for index, out in enumerate(self._i420(planes)):
                part = 2 if index else 1
                into = out.view(np.uint16)
                words = source[index].view(np.uint16)
                third_plane(words, width // part, height // part, work, left // part, top // part, into)
            return
        red, blue = (2, 0) if self.spec.layout == "bgr" else (0, 2)
        y, u, v = source
        words = planes.view(np.uint16)
        third_colour(
            y.view(np.uint16), u, v, width, height, work, left, top, words[red], words[1], words[blue]
        )  # fmt: skip

    def _shrink(self, source: list[np.ndarray], planes: np.ndarray, colorspace: int) -> None:
        at, k = self.place, self._times
        if self.spec.layout == "i420":
            for index, out in enumerate(self._i420(planes)):
                part = 2 if index else 1
                wide, sums = self._wide[0][: self._size[0] // part], self._sums[0][: at.width_px // part]
                left, top, height = at.offset_x_px // part, at.offset_y_px // part, at.height_px // part
                shrink_plane(source[index], k, wide, sums, left, top, height, out)
            return
        red, blue = (2, 0) if self.spec.layout == "bgr" else (0, 2)
        y, u, v = source
        shrink_colour(
            y, u, v, k, self._matrix(colorspace), self._wide, self._sums, at.offset_x_px, at.offset_y_px,
            at.height_px, planes[red], planes[1], planes[blue],
        )  # fmt: skip

    def _resize(self, source: list[np.ndarray], planes: np.ndarray, colorspace: int) -> None:
        for k, plane in enumerate(source):
            if self._scratch[k].packed.shape[0] != plane.shape[1]:  # decoders choose their own line length
                self._scratch[k] = make_scratch(plane.shape[1], self.place.width_px)
        if self.spec.layout == "i420":
            self._scale_into(source, self._i420(planes), self.place.offset_x_px, self.place.offset_y_px, 2)
            return
        self._scale_into(source, list(self._yuv), 0, 0, 1)
        red, blue = (2, 0) if self.spec.layout == "bgr" else (0, 2)
        at, matrix = self.place, self._matrix(colorspace)
        convert_colour(self._yuv, matrix, at.offset_x_px, at.offset_y_px, planes[red], planes[1], planes[blue])

    def _scale_into(self, source: list[np.ndarray], out: list[np.ndarray], left: int, top: int, step: int) -> None:
        for k in range(3):
            down, across = self._chroma_taps if k else self._luma_taps
            part = step if k else 1
            resize_plane(source[k], down, across, self._scratch[k], left // part, top // part, out[k])

    def _i420(self, planes: np.ndarray) -> list[np.ndarray]:
        height, width = self.spec.height_px, self.spec.width_px
        u, v = planes[height:].reshape(2, height // 2, width // 2)
        return [planes[:height], u, v]

    def _as_yuv420(self, frame: av.VideoFrame) -> av.VideoFrame:
        full = (
            frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj") or frame.format.name == "gray"
        )
        if frame.format.name == "yuv420p" and not full:
            return frame
        rgb = frame.format.is_rgb
        return self._reformatter.reformat(
            frame,
            format="yuv420p",
            interpolation=Interpolation.AREA,
            dst_colorspace=Colorspace.ITU601 if rgb else None,
            src_color_range=ColorRange.JPEG if full or rgb else ColorRange.MPEG,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )

    def _work(self, colorspace: int) -> np.ndarray:
        work = self._works.get(colorspace)
        if work is None:
            work = self._works[colorspace] = make_work()
            put_factors(work, *_LUMA_WEIGHTS.get(colorspace, _BT601))
        return work

    def _matrix(self, colorspace: int) -> np.ndarray:
        matrix = self._matrices.get(colorspace)
        if matrix is None:
            weights = _LUMA_WEIGHTS.get(colorspace, _BT601)
            matrix = sum_matrix(*weights, self._times) if self._times else colour_matrix(*weights)
            self._matrices[colorspace] = matrix
        return matrix


def _plane(frame: av.VideoFrame, index: int) -> np.ndarray:
    """Return a plane as it lies in the decoder's memory: u1[height, line], the line longer than the picture is wide."""
    plane = frame.planes[index]
    samples = np.frombuffer(memoryview(plane), np.uint8)
    return samples.reshape(-1, plane.line_size)[: plane.height]
