"""Shrinking by whole numbers: kernels agree with their twins bit for bit, the frame with exact means."""

from __future__ import annotations

import av
import naive_shrink
import numpy as np
import pytest

from kernels import shrink
from kernels.records import LAMP
from vision.decode.fit import Fitter
from vision.frame import FitSpec

BT601, BT709 = (0.299, 0.114), (0.2126, 0.0722)
FACTORS = pytest.mark.parametrize("k", shrink.FACTORS)


def plane(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return rng.integers(0, 256, (height, width), np.uint8)


@FACTORS
def test_add_rows(rng: np.random.Generator, k: int) -> None:
    src = plane(rng, 9, 40)
    src[3:6, :5] = 255
    got, want = np.zeros(36, np.uint16), np.zeros(36, np.uint16)
    shrink.add_rows(src, 3, k, got)
    naive_shrink.add_rows(src, 3, k, want)
    np.testing.assert_array_equal(got, want)


@FACTORS
def test_add_across(rng: np.random.Generator, k: int) -> None:
    wide = rng.integers(0, 766, 12 * k).astype(np.uint16)
    got, want = np.zeros(12, np.uint16), np.zeros(12, np.uint16)
    shrink.add_across(wide, k, got)
    naive_shrink.add_across(wide, k, want)
    np.testing.assert_array_equal(got, want)


@FACTORS
@pytest.mark.parametrize("y", [0, 1, 2, 3, 7])
def test_chroma_row(rng: np.random.Generator, k: int, y: int) -> None:
    src = plane(rng, 4 * k, 10 * k + 5)
    src[:, :3] = 255
    got, want = np.zeros(20, np.uint16), np.zeros(20, np.uint16)
    shrink.chroma_row(src, y, k, np.zeros(10 * k, np.uint16), got)
    naive_shrink.chroma_row(src, y, k, None, want)
    np.testing.assert_array_equal(got, want)


@FACTORS
def test_shrink_plane(rng: np.random.Generator, k: int) -> None:
    src = plane(rng, 4 * k, 9 * k + 3)  # the decoder's line is longer than the picture
    got, want = np.full((7, 12), 9, np.uint8), np.full((7, 12), 9, np.uint8)
    shrink.shrink_plane(src, k, np.zeros(9 * k, np.uint16), np.zeros(9, np.uint16), 2, 1, 4, got)
    naive_shrink.shrink_plane(src, k, None, np.zeros(9), 2, 1, 4, want)
    np.testing.assert_array_equal(got, want)


@FACTORS
@pytest.mark.parametrize("weights", [BT601, BT709])
def test_colour_row(rng: np.random.Generator, k: int, weights: tuple[float, float]) -> None:
    sums = rng.integers(0, 255 * k * k + 1, (3, 50)).astype(np.uint16)
    sums[:, :2] = [[0, 255 * k * k]] * 3
    matrix = shrink.sum_matrix(*weights, k)
    got, want = np.zeros((3, 50), np.uint8), np.zeros((3, 50), np.uint8)
    shrink.colour_row(sums, matrix, *got)
    naive_shrink.colour_row(sums, matrix, *want)
    np.testing.assert_array_equal(got, want)


@FACTORS
def test_shrink_colour(rng: np.random.Generator, k: int) -> None:
    y, u, v = plane(rng, 6 * k, 10 * k + 6), plane(rng, 3 * k, 5 * k + 3), plane(rng, 3 * k, 5 * k + 3)
    matrix = shrink.sum_matrix(*BT601, k)
    got, want = np.full((3, 9, 14), 9, np.uint8), np.full((3, 9, 14), 9, np.uint8)
    wide, sums = np.zeros((2, 10 * k), np.uint16), np.zeros((3, 10), np.uint16)
    shrink.shrink_colour(y, u, v, k, matrix, wide, sums, 3, 2, 6, *got)
    naive_shrink.shrink_colour(y, u, v, k, matrix, None, np.zeros((3, 10), int), 3, 2, 6, *want)
    np.testing.assert_array_equal(got, want)


def exact(planes: np.ndarray, k: int) -> np.ndarray:
    """Return means of area in BT.601's colours f8[3, h / k, w / k], not rounded before the end."""
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    full = np.stack([planes[:height], *(np.kron(one, np.ones((2, 2))) for one in chroma)]).astype(float)
    y, u, v = full.reshape(3, height // k, k, width // k, k).mean(axis=(2, 4))
    y, u, v = (y - 16) * 255 / 219, (u - 128) * 255 / 224, (v - 128) * 255 / 224
    green = y - (0.299 * 1.402 * v + 0.114 * 1.772 * u) / 0.587
    return np.clip(np.stack([y + 1.402 * v, green, y + 1.772 * u]), 0, 255)


@pytest.mark.parametrize("layout", ["rgb", "bgr"])
@FACTORS
def test_a_frame_is_within_one_of_exact_means(rng: np.random.Generator, k: int, layout: str) -> None:
    planes = plane(rng, 36 * k * 3 // 2, 64 * k)
    spec = FitSpec(64, 64, layout)  # type: ignore[arg-type]
    fitter = Fitter(spec, 64 * k, 36 * k, np.zeros((0, 3, 4), np.int32))
    slot = np.zeros(spec.shape, np.uint8)
    fitter.pad(slot)
    fitter.fit(av.VideoFrame.from_ndarray(planes, format="yuv420p"), slot, np.zeros((0, 3), LAMP))
    want = exact(planes, k)[:: -1 if layout == "bgr" else 1]
    assert np.abs(slot[:, 14:50] - want).max() < 0.6
    assert (slot[:, :14] == 114).all()
    assert (slot[:, 50:] == 114).all()


@FACTORS
def test_planes_are_within_half_of_exact_means(rng: np.random.Generator, k: int) -> None:
    planes = plane(rng, 36 * k * 3 // 2, 64 * k)
    spec = FitSpec(64, 64)
    fitter = Fitter(spec, 64 * k, 36 * k, np.zeros((0, 3, 4), np.int32))
    slot = np.zeros(spec.shape, np.uint8)
    fitter.pad(slot)
    fitter.fit(av.VideoFrame.from_ndarray(planes, format="yuv420p"), slot, np.zeros((0, 3), LAMP))
    luma = planes[: 36 * k].reshape(36, k, 64, k).mean(axis=(1, 3))
    assert np.abs(slot[14:50] - luma).max() <= 0.5
    chroma = planes[36 * k :].reshape(2, 18, k, 32, k).mean(axis=(2, 4))
    assert np.abs(slot[64:].reshape(2, 32, 32)[:, 7:25] - chroma).max() <= 0.5
