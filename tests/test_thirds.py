"""A third of a picture by words: kernels agree with their twins bit for bit, and with the means of `shrink`."""

from __future__ import annotations

from typing import Any

import naive_thirds
import numpy as np
import pytest

from kernels import shrink, thirds

BT601, BT709, BT2020 = (0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)
WEIGHTS = pytest.mark.parametrize("weights", [BT601, BT709, BT2020])


def plane(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return a plane that holds 0 and 255 together too."""
    made = rng.integers(0, 256, (height, width), np.uint8)
    made[:, : width // 3] = rng.choice(np.array([0, 255], np.uint8), (height, width // 3))
    return made


def work_of(weights: tuple[float, float]) -> np.ndarray:
    work = thirds.make_work()
    thirds.put_factors(work, *weights)
    return work


def agree(name: str, *args: Any) -> list[Any]:
    """Call a kernel and its twin with arguments of their own; return the kernel's when all are the same afterwards."""
    ours = [arg.copy() if isinstance(arg, np.ndarray) else arg for arg in args]
    theirs = [arg.copy() if isinstance(arg, np.ndarray) else arg for arg in args]
    assert getattr(thirds, name)(*ours) == getattr(naive_thirds, name)(*theirs)
    for got, want in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(got, want)
    return ours


@pytest.mark.parametrize("value", [-32768, -18432, -1, 0, 1, 18416, 32767])
@pytest.mark.parametrize("factor", [-11841, -1, 0, 23243, 31188])
def test_high_product(value: int, factor: int) -> None:
    agree("high_product", np.int16(value), np.int16(factor))


@pytest.mark.parametrize("value", [-32768, -1, 0, 31, 32, 8191, 8192, 32767])
def test_octet(value: int) -> None:
    agree("octet", np.int16(value))


@pytest.mark.parametrize("row", [0, 1, 2, 3])
def test_rows_are_added(rng: np.random.Generator, row: int) -> None:
    y, u, v = plane(rng, 12, 44).view(np.uint16), plane(rng, 6, 22), plane(rng, 6, 22)
    agree("add_luma", y, row, 21, thirds.make_work())
    agree("add_all", y, u, v, row, 21, thirds.make_work())


def test_every_mean_is_rounded_right() -> None:
    work = thirds.make_work()
    for start in range(0, 2296, 700):
        sums = np.arange(start, min(start + 700, 2296))
        work[: 3 * len(sums) : 3] = sums  # first of three at even places
        work[thirds.STEP + 1 : thirds.STEP + 1 + 3 * len(sums) : 3] = sums  # and of those at odd ones
        work[1 : 3 * len(sums) : 3] = work[2 : 3 * len(sums) : 3] = 0
        out = agree("mean_words", work, len(sums), np.zeros(len(sums), np.uint16))[2]
        np.testing.assert_array_equal(out.view(np.uint8)[::2], (sums + 4) // 9)
        np.testing.assert_array_equal(out.view(np.uint8)[1::2], (sums + 4) // 9)


def test_a_plane_is_what_shrink_makes(rng: np.random.Generator) -> None:
    src, out = plane(rng, 12, 44), np.full((7, 22), 9, np.uint8)  # the line is longer than the picture
    got = agree("third_plane", src.view(np.uint16), 7, 4, thirds.make_work(), 2, 1, out.view(np.uint16))[6]
    shrink.shrink_plane(src, 3, np.zeros(42, np.uint16), np.zeros(14, np.uint16), 4, 1, 4, out)
    np.testing.assert_array_equal(got.view(np.uint8), out)


@WEIGHTS
@pytest.mark.parametrize("words", [5, 40])
def test_colour_is_within_rounding_of_what_shrink_makes(
    rng: np.random.Generator, weights: tuple[float, float], words: int
) -> None:
    y, u, v = plane(rng, 12, 6 * words + 2), plane(rng, 6, 3 * words + 1), plane(rng, 6, 3 * words + 1)
    out = np.full((3, 6, 2 * words + 4), 9, np.uint8)
    args = (y.view(np.uint16), u, v, words, 4, work_of(weights), 1, 1, *out.view(np.uint16))
    got = np.stack(agree("third_colour", *args)[8:]).view(np.uint8).astype(int)
    wide, sums = np.zeros((2, 6 * words), np.uint16), np.zeros((3, 2 * words), np.uint16)
    matrix = shrink.sum_matrix(*weights, 3)
    shrink.shrink_colour(y, u, v, 3, matrix, wide, sums, 2, 1, 4, *out)
    assert np.abs(got - out).max() <= 1
    assert (got == out).mean() > 0.9
    assert (got[:, 0] == 9).all()
    assert (got[:, :, :2] == 9).all()


@WEIGHTS
@pytest.mark.parametrize(("luma", "grey"), [(16, 0), (0, 0), (235, 255), (255, 255)])
def test_black_and_white_stay_what_they_are(weights: tuple[float, float], luma: int, grey: int) -> None:
    y, chroma = np.full((3, 6), luma, np.uint8), np.full((2, 3), 128, np.uint8)
    out = np.full((3, 1, 1), 9, np.uint16)
    thirds.third_colour(y.view(np.uint16), chroma, chroma, 1, 1, work_of(weights), 0, 0, *out)
    assert (out.view(np.uint8) == grey).all()
