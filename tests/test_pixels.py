"""Pixels: kernels agree with their twins bit for bit, and with exact means and the colour standards closely."""

from __future__ import annotations

import naive_pixels
import numpy as np
import pytest

from kernels import pixels
from kernels.records import LAMP

#: (in, out) of an axis: whole and broken ratios, one to nine taps, enlarging, one sample, no change.
AXES = [(48, 16), (30, 15), (40, 13), (64, 7), (9, 8), (16, 16), (7, 20), (1, 5), (5, 1), (2, 3), (17, 2), (1, 1)]
BT601, BT709 = (0.299, 0.114), (0.2126, 0.0722)


def plane(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return rng.integers(0, 256, (height, width), np.uint8)


def exact_mean(src: np.ndarray, n_out: int) -> np.ndarray:
    """Return the exact area means along axis 0, by integration of the staircase."""
    n_in = len(src)
    total = np.vstack([np.zeros(src.shape[1]), np.cumsum(src.astype(float), axis=0)])
    edges = np.linspace(0, n_in, n_out + 1)
    at_edges = np.array([np.interp(edges, np.arange(n_in + 1), column) for column in total.T]).T
    return np.diff(at_edges, axis=0) * n_out / n_in


@pytest.mark.parametrize(("n_in", "n_out"), AXES)
def test_taps_lie_inside_and_sum_up(n_in: int, n_out: int) -> None:
    taps = pixels.axis_taps(n_in, n_out)
    assert taps.weight.shape == (len(taps.weight), n_out)
    assert (taps.weight.sum(axis=0) == pixels.WEIGHT_SUM).all()
    assert int(taps.first.max()) + len(taps.weight) <= n_in


@pytest.mark.parametrize("taps", [1, 2, 3, 4, 5, 9])
def test_blend_row(rng: np.random.Generator, taps: int) -> None:
    src = plane(rng, 12, 37)
    weight = rng.multinomial(pixels.WEIGHT_SUM, np.full(taps, 1 / taps)).astype(np.uint16)
    wide, got, want = np.zeros(37, np.uint16), np.zeros(37, np.uint8), np.zeros(37, np.uint8)
    pixels.blend_row(src, np.uint64(2), weight, wide, got)
    naive_pixels.blend_row(src, 2, weight, None, want)
    np.testing.assert_array_equal(got, want)


def test_pack_rows(rng: np.random.Generator) -> None:
    rows = plane(rng, 4, 33)
    got, want = np.zeros(33, np.uint64), np.zeros(33, np.uint64)
    pixels.pack_rows(rows, got)
    naive_pixels.pack_rows(rows, want)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(("n_in", "n_out"), AXES)
def test_gather_rows(rng: np.random.Generator, n_in: int, n_out: int) -> None:
    packed = np.zeros(n_in, np.uint64)
    naive_pixels.pack_rows(np.maximum(plane(rng, 4, n_in), [[255], [0], [0], [128]]).astype(np.uint8), packed)
    taps = pixels.axis_taps(n_in, n_out)
    got, want = np.zeros((4, n_out), np.uint8), np.zeros((4, n_out), np.uint8)
    pixels.gather_rows(packed, taps.first, taps.weight, np.zeros(n_out, np.uint64), *got)
    naive_pixels.gather_rows(packed, taps.first, taps.weight, None, *want)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(("down", "across"), list(zip(AXES, AXES[5:] + AXES[:5], strict=True)))
def test_resize_plane(rng: np.random.Generator, down: tuple[int, int], across: tuple[int, int]) -> None:
    padding, left, top = 3, 2, 1  # the decoder's line is longer; the picture lies within a larger plane
    src = plane(rng, down[0], across[0] + padding)
    taps = (pixels.axis_taps(*down), pixels.axis_taps(*across))
    got = np.full((down[1] + 4, across[1] + 5), 77, np.uint8)
    want = got.copy()
    pixels.resize_plane(src, *taps, pixels.make_scratch(across[0] + padding, across[1]), left, top, got)
    naive_pixels.resize_plane(src, *taps, None, left, top, want)
    np.testing.assert_array_equal(got, want)
    assert (got[:top] == 77).all()
    assert (got[:, :left] == 77).all()


@pytest.mark.parametrize(
    ("height", "width", "out_height", "out_width"), [(72, 128, 23, 41), (60, 90, 30, 30), (97, 159, 61, 99)]
)
def test_shrinking_is_the_mean_of_the_area(
    rng: np.random.Generator, height: int, width: int, out_height: int, out_width: int
) -> None:
    src = plane(rng, height, width)
    out = np.zeros((out_height, out_width), np.uint8)
    taps = (pixels.axis_taps(height, out_height), pixels.axis_taps(width, out_width))
    pixels.resize_plane(src, *taps, pixels.make_scratch(width, out_width), 0, 0, out)
    error = out - exact_mean(exact_mean(src, out_height).T, out_width).T
    assert np.abs(error).max() <= 2.0
    assert abs(error.mean()) < 0.3


def test_enlarging_is_linear() -> None:
    src = np.tile(np.arange(0, 200, 10, dtype=np.uint8), (4, 1))
    out = np.zeros((8, 40), np.uint8)
    pixels.resize_plane(src, pixels.axis_taps(4, 8), pixels.axis_taps(20, 40), pixels.make_scratch(20, 40), 0, 0, out)
    want = np.clip((np.arange(40) + 0.5) / 2 - 0.5, 0, 19) * 10
    assert np.abs(out - want).max() <= 1.0


@pytest.mark.parametrize("weights", [BT601, BT709])
def test_convert_colour(rng: np.random.Generator, weights: tuple[float, float]) -> None:
    yuv = rng.integers(0, 256, (3, 9, 14), np.uint8)
    matrix = pixels.colour_matrix(*weights)
    got, want = np.full((3, 12, 20), 5, np.uint8), np.full((3, 12, 20), 5, np.uint8)
    pixels.convert_colour(yuv, matrix, 3, 2, *got)
    naive_pixels.convert_colour(yuv, matrix, 3, 2, *want)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("weights", [BT601, BT709])
@pytest.mark.parametrize("rgb", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (120, 130, 90)])
def test_colours_come_back(weights: tuple[float, float], rgb: tuple[int, int, int]) -> None:
    kr, kb = weights
    red, green, blue = (value / 255 for value in rgb)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    u, v = (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
    yuv = np.round([16 + 219 * luma, 128 + 224 * u, 128 + 224 * v]).astype(np.uint8).reshape(3, 1, 1)
    out = np.zeros((3, 1, 1), np.uint8)
    pixels.convert_colour(yuv, pixels.colour_matrix(kr, kb), 0, 0, *out)
    assert np.abs(out.ravel().astype(int) - rgb).max() <= 2


@pytest.mark.parametrize("box", [(2, 1, 7, 5), (-4, -4, 3, 3), (6, 4, 99, 99), (5, 5, 5, 9), (20, 1, 25, 4)])
def test_box_mean(rng: np.random.Generator, box: tuple[int, int, int, int]) -> None:
    src = plane(rng, 8, 11)
    assert pixels.box_mean(src, *box) == pytest.approx(naive_pixels.box_mean(src, *box), nan_ok=True)


def test_lamp_means(rng: np.random.Generator) -> None:
    luma, u, v = plane(rng, 17, 24), plane(rng, 9, 12), plane(rng, 9, 12)
    boxes = np.array(
        [[[3, 2, 8, 9], [-1, -1, -1, -1], [20, 12, 40, 40]], [[0, 0, 1, 1], [0, 0, 24, 17], [30, 3, 33, 5]]], np.int32
    )
    got, want = np.zeros((2, 3), LAMP), np.zeros((2, 3), LAMP)
    pixels.lamp_means(luma, u, v, boxes, got)
    naive_pixels.lamp_means(luma, u, v, boxes, want)
    for name in LAMP.names:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-6)
    assert np.isnan(got["y"][0, 1])
    assert np.isnan(got["y"][1, 2])
