"""Boxes and planes: kernels agree with their twins on random input; what they promise holds."""

from __future__ import annotations

from typing import Any

import naive_boxes
import numpy as np
import pytest

from kernels import boxes, planes
from kernels.records import CLASSES

USED = np.array([0, 1, 2, 3, 5, 7])
OURS = np.array([5, 4, 0, 3, 1, 2], np.int16)
CAR, BUS, TRUCK, MOTORCYCLE, BICYCLE, PERSON = range(6)
SCORE_MIN = np.float32(0.3)


class Columns:
    """What a head writes into."""

    def __init__(self, rows: int) -> None:
        self.xyxy_px = np.full((rows, 4), -9, np.float32)
        self.score = np.full(rows, -9, np.float32)
        self.class_id = np.full(rows, -9, np.int16)

    def all(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.xyxy_px, self.score, self.class_id


def agree(name: str, *args: Any, rows: int) -> tuple[int, Columns]:
    """Run a head and its twin and return what both gave."""
    got, want = Columns(rows), Columns(rows)
    with np.errstate(all="ignore"):  # without the JIT, numpy warns of what the heads are there to find
        n = getattr(boxes, name)(*args, *got.all())
        assert n == getattr(naive_boxes, name)(*args, *want.all())
    kept = max(n, 0)
    np.testing.assert_allclose(got.xyxy_px[:kept], want.xyxy_px[:kept], rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(got.score[:kept], want.score[:kept], rtol=1e-6)
    np.testing.assert_array_equal(got.class_id[:kept], want.class_id[:kept])
    return n, got


def scores(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Return scores, most of them low, and some ties."""
    return np.round(rng.beta(0.3, 1.5, shape), 2).astype(np.float32)


def yolox_args(rng: np.random.Generator, n: int, decoded: bool = False) -> list[Any]:
    raw = np.concatenate([rng.normal(0, 1, (n, 4)), np.sqrt(scores(rng, n, 81))], 1).astype(np.float32)
    cells = np.stack([np.arange(n) % 9, np.arange(n) // 9, np.full(n, 8)], 1).astype(np.float32)
    return [raw, cells, decoded, USED, OURS, SCORE_MIN]


def yolov8_args(rng: np.random.Generator, n: int, turned: bool = False) -> list[Any]:
    raw = np.concatenate([rng.uniform(0, 600, (4, n)), scores(rng, 80, n)]).astype(np.float32)
    return [np.ascontiguousarray(raw.T).T if turned else raw, USED, OURS, SCORE_MIN]


def detr_args(rng: np.random.Generator, n: int, sigmoid: bool = True) -> list[Any]:
    value = rng.normal(-2, 2, (n, 80)).astype(np.float32) if sigmoid else scores(rng, n, 80)
    box = rng.uniform(0, 1, (n, 4)).astype(np.float32)
    return [box, value, sigmoid, np.array([640, 352], np.float32), USED, OURS, SCORE_MIN]


def rows_args(rng: np.random.Generator, n: int, one_tensor: bool = False) -> list[Any]:
    ours_of = np.full(80, -1, np.int16)
    ours_of[USED] = OURS
    box, value, label = rng.uniform(0, 600, (n, 4)), scores(rng, n), rng.integers(0, 80, n)
    if one_tensor:
        raw = np.column_stack([box, value, label]).astype(np.float32)
        return [raw[:, :4], raw[:, 4], raw[:, 5], ours_of, SCORE_MIN]
    return [box.astype(np.float32), value, label, ours_of, SCORE_MIN]


ARGS = {"yolox_head": yolox_args, "yolov8_head": yolov8_args, "detr_head": detr_args, "rows_head": rows_args}


@pytest.mark.parametrize("n", [1, 127, 128, 300])
@pytest.mark.parametrize("variant", [False, True])
@pytest.mark.parametrize("name", ARGS)
def test_head(rng: np.random.Generator, name: str, variant: bool, n: int) -> None:
    found, columns = agree(name, *ARGS[name](rng, n, variant), rows=n)
    assert 0 < found < n or n == 1
    assert (columns.score[:found] >= SCORE_MIN - 1e-6).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ARGS)
def test_head_refuses_what_is_not_finite(rng: np.random.Generator, name: str, value: float) -> None:
    args = ARGS[name](rng, 100)
    where = {
        "yolox_head": [(args[0], (50, 0)), (args[0], (50, 2)), (args[0], (50, 5))],
        "yolov8_head": [(args[0], (0, 50)), (args[0], (3, 50)), (args[0], (4, 50))],
        "detr_head": [(args[0], (50, 1)), (args[0], (50, 3)), (args[1], (50, 0))],
        "rows_head": [(args[0], (50, 0)), (args[0], (50, 3)), (args[1], (50,))],
    }[name]
    for number, (tensor, at) in enumerate(where):
        broken = [item.copy() if isinstance(item, np.ndarray) else item for item in args]
        surely(broken, name)
        index = next(i for i, item in enumerate(args) if item is tensor)
        broken[index][at] = value
        is_score = number == 2
        # exp(-inf) is 0, and minus infinity is a very low score: neither harms, as nothing is made of it.
        harmless = value == -np.inf and (
            (name == "yolox_head" and at == (50, 2)) or (is_score and name in ("yolov8_head", "rows_head"))
        )
        found, _ = agree(name, *broken, rows=100)
        assert (found != boxes.NOT_FINITE) if harmless else (found == boxes.NOT_FINITE), (at, found)


def surely(args: list[Any], name: str) -> None:
    """Make row 50 a certain detection of the first class in use."""
    if name == "yolox_head":
        args[0][50, 4:6] = 0.99
    elif name == "yolov8_head":
        args[0][4, 50] = 0.995
    elif name == "detr_head":
        args[1][50, 0] = 9
    else:
        args[1][50], args[2][50] = 0.99, 0


@pytest.mark.parametrize("name", ARGS)
def test_head_refuses_scores_above_one(rng: np.random.Generator, name: str) -> None:
    args = detr_args(rng, 100, sigmoid=False) if name == "detr_head" else ARGS[name](rng, 100)
    tensor, at = {
        "yolox_head": (args[0], (50, 5)),
        "yolov8_head": (args[0], (4, 50)),
        "detr_head": (args[1], (50, 0)),
        "rows_head": (args[1], (50,)),
    }[name]
    if name == "yolox_head":
        tensor[50, 4] = 0.9
    tensor[at] = 1.005  # as rounding of half precision may give
    assert agree(name, *args, rows=100)[0] > 0
    tensor[at] = 7
    assert agree(name, *args, rows=100)[0] == boxes.BAD_SCORE


@pytest.mark.parametrize("label", [-1, 80, np.nan, 1e9])
def test_rows_refuse_unknown_labels(rng: np.random.Generator, label: float) -> None:
    args = rows_args(rng, 60, one_tensor=True)
    args[1][:], args[2][10] = 0.9, label
    assert agree("rows_head", *args, rows=60)[0] == boxes.BAD_CLASS
    args[1][10] = 0.0  # an empty row may hold anything
    assert agree("rows_head", *args, rows=60)[0] >= 0


def test_put_middle() -> None:
    out, want = np.zeros((3, 4), np.float32), np.zeros((3, 4), np.float32)
    assert boxes.put_middle(10.0, 20.0, 4.0, 6.0, 1, out)
    assert naive_boxes.put_middle(10.0, 20.0, 4.0, 6.0, 1, want)
    np.testing.assert_array_equal(out, want)
    np.testing.assert_array_equal(out[1], [8, 17, 12, 23])
    for bad in (float("nan"), float("inf")):
        for place in range(4):
            middle = [10.0, 20.0, 4.0, 6.0]
            middle[place] = bad
            with np.errstate(all="ignore"):
                assert not boxes.put_middle(*middle, 0, out)
                assert not naive_boxes.put_middle(*middle, 0, want)


@pytest.mark.parametrize(("n", "most"), [(0, 5), (1, 5), (5, 5), (40, 12), (300, 100), (64, 64)])
def test_rank(rng: np.random.Generator, n: int, most: int) -> None:
    score = scores(rng, max(n, 1))
    got, want = np.full(most, -1), np.full(most, -1)
    kept = boxes.rank(score, n, got)
    assert kept == naive_boxes.rank(score, n, want) == min(n, most)
    np.testing.assert_array_equal(got[:kept], want[:kept])


def test_sink(rng: np.random.Generator) -> None:
    for n in (1, 2, 7, 50):
        got = rng.permutation(50)
        want = got.copy()
        for top in range(n // 2, -1, -1):
            boxes.sink(got, top, n)
            naive_boxes.sink(want, top, n)
        np.testing.assert_array_equal(got, want)
        assert all(got[i] >= got[(i - 1) // 2] for i in range(1, n))


def crowd(rng: np.random.Generator, n: int) -> Columns:
    """Return candidates of which many overlap; every third is nearly another one."""
    made = Columns(n)
    middle, size = rng.uniform(0, 120, (n, 2)), rng.uniform(20, 60, (n, 2))
    made.xyxy_px[:] = np.concatenate([middle - size / 2, middle + size / 2], 1)
    made.xyxy_px[::3] = made.xyxy_px[1::3] + rng.normal(0, 1, (n // 3, 4))
    made.score[:], made.class_id[:] = scores(rng, n), rng.integers(0, 6, n)
    return made


@pytest.mark.parametrize("iou_max", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("most", [5, 300])
def test_suppress(rng: np.random.Generator, iou_max: float, most: int) -> None:
    made = crowd(rng, 120)
    got = np.zeros(120, np.int64)
    n = boxes.rank(made.score, 120, got)
    want = got.copy()
    kept = boxes.suppress(made.xyxy_px, made.class_id, got, n, iou_max, most)
    assert kept == naive_boxes.suppress(made.xyxy_px, made.class_id, want, n, iou_max, most)
    np.testing.assert_array_equal(got[:kept], want[:kept])
    assert 0 < kept < 120


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        (CAR, TRUCK, False),
        (BUS, TRUCK, False),
        (CAR, CAR, False),
        (MOTORCYCLE, BICYCLE, False),
        (PERSON, PERSON, False),
        (MOTORCYCLE, PERSON, True),
        (BICYCLE, PERSON, True),
        (CAR, MOTORCYCLE, True),
        (CAR, PERSON, True),
    ],
)
def test_who_competes(first: int, second: int, both: bool) -> None:
    xyxy = np.array([[0, 0, 40, 40], [2, 2, 42, 42]], np.float32)
    order = np.array([0, 1])
    kept = boxes.suppress(xyxy, np.array([first, second], np.int16), order, 2, 0.5, 10)
    assert kept == 1 + both


def test_every_class_has_a_group() -> None:
    assert tuple(boxes.GROUPS) == CLASSES


@pytest.mark.parametrize("iou_max", [0.5, 1.0])
@pytest.mark.parametrize("capacity", [7, 300])
@pytest.mark.parametrize("frame", [(1.0, 1.0, 0, 0, 120, 100), (0.5, 0.4, 8, 16, 200, 150)])
def test_select(rng: np.random.Generator, iou_max: float, capacity: int, frame: tuple[float, ...]) -> None:
    made = crowd(rng, 90)
    got, want = Columns(capacity), Columns(capacity)
    at = np.array(frame, np.float64)
    arguments = (*made.all(), 90)
    n = boxes.select(*arguments, np.zeros(64, np.int64), iou_max, at, *got.all())
    assert n == naive_boxes.select(*arguments, np.zeros(64, np.int64), iou_max, at, *want.all())
    np.testing.assert_allclose(got.xyxy_px, want.xyxy_px, rtol=1e-6)
    np.testing.assert_array_equal(got.score, want.score)
    np.testing.assert_array_equal(got.class_id, want.class_id)
    found = got.xyxy_px[:n]
    assert n > 0
    assert (found >= 0).all()
    assert (found[:, [0, 2]] <= frame[4]).all()
    assert (found[:, [1, 3]] <= frame[5]).all()
    assert (np.diff(got.score[:n]) <= 0).all()


def test_select_drops_what_lies_outside() -> None:
    made = Columns(3)
    made.xyxy_px[:] = [[-50, 10, -5, 40], [10, 90, 40, 120], [10, 10, 40, 10.4]]  # left of it, in the padding, a sliver
    made.score[:], made.class_id[:] = 0.9, CAR
    out = Columns(5)
    frame = np.array([1, 1, 0, 0, 100, 90], np.float64)
    assert boxes.select(*made.all(), 3, np.zeros(3, np.int64), 0.5, frame, *out.all()) == 0


def padded(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Return a picture u1[3, 7, 13] with so many rows of padding, and one that is padding but for a pixel."""
    picture = rng.integers(0, 256, (3, 7, 13), np.uint8)
    picture[:, :rows] = 114
    picture[:, 6] = 114
    picture[1, 6, 4] = 113
    return picture


def test_normalise(rng: np.random.Generator) -> None:
    gain, bias = rng.normal(0, 1, (2, 3)).astype(np.float32)
    got, want = np.zeros((3, 7, 13), np.float32), np.zeros((3, 7, 13), np.float32)
    blanks = np.zeros((2, 3, 7), np.uint8)
    for rows in (2, 2, 0, 3):  # padding comes, stays, goes and comes again
        picture = padded(rng, rows)
        planes.normalise(picture, gain, bias, 114, blanks[0], got)
        naive_boxes.normalise(picture, gain, bias, 114, blanks[1], want)
        np.testing.assert_allclose(got, picture * gain[:, None, None] + bias[:, None, None], rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(*blanks)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_look_up(rng: np.random.Generator, dtype: type) -> None:
    table = rng.integers(0, 60_000, (3, 256)).astype(dtype)
    got, want = np.zeros((3, 7, 13), dtype), np.zeros((3, 7, 13), dtype)
    blanks = np.zeros((2, 3, 7), np.uint8)
    for rows in (2, 2, 0, 3):
        picture = padded(rng, rows)
        planes.look_up(picture, table, 114, blanks[0], got)
        naive_boxes.look_up(picture, table, 114, blanks[1], want)
        np.testing.assert_array_equal(got, np.stack([table[c][picture[c]] for c in range(3)]))
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(*blanks)


def test_padding_is_not_written_again(rng: np.random.Generator) -> None:
    out, blank = np.zeros((3, 7, 13), np.float32), np.zeros((3, 7), np.uint8)
    gain, bias = np.ones(3, np.float32), np.zeros(3, np.float32)
    planes.normalise(padded(rng, 2), gain, bias, 114, blank, out)
    out[:] = -1.0
    planes.normalise(padded(rng, 2), gain, bias, 114, blank, out)
    assert (out[:, :2] == -1.0).all()
    assert (out[:, 2:6] >= 0.0).all()


@pytest.mark.parametrize("at", [None, 0, 4, 6, 12])
def test_row_is(at: int | None) -> None:
    row = np.full(13, 114, np.uint8)
    if at is not None:
        row[at] = 7
    assert planes.row_is(row, 114) == naive_boxes.row_is(row, 114) == (at is None)


def test_strong_in() -> None:
    values = np.array([0.1, 0.3, np.nan, 0.9, -np.inf, np.inf], np.float32)
    assert boxes.strong_in(values, SCORE_MIN) == naive_boxes.strong_in(values, SCORE_MIN) == 4


@pytest.mark.parametrize(("broken", "wrong"), [(None, 0), (np.nan, boxes.NOT_FINITE), (7.0, boxes.BAD_SCORE)])
def test_take_best(rng: np.random.Generator, broken: float | None, wrong: int) -> None:
    row = scores(rng, 60)
    got, want = Columns(60), Columns(60)
    for columns in (got, want):
        columns.score[:30], columns.class_id[:] = 0.5, 1
    if broken is not None:
        row[20] = broken
    arguments = (row, 5, 50, 3, SCORE_MIN)
    assert boxes.take_best(*arguments, got.score, got.class_id) == wrong
    assert naive_boxes.take_best(*arguments, want.score, want.class_id) == wrong
    np.testing.assert_array_equal(got.score, want.score)
    np.testing.assert_array_equal(got.class_id, want.class_id)
    assert (got.class_id[50:] == 1).all()


@pytest.mark.parametrize("n", [1023, 1024, 1025, 2100])
def test_cells_of_all_blocks_are_seen(n: int) -> None:
    raw = np.zeros((6, n), np.float32)
    strong = np.array([0, 63, 64, n - 2, n - 1])
    raw[5, strong] = 0.9
    got = Columns(n)
    assert boxes.best_of_cells(raw, np.arange(2), SCORE_MIN, got.score, got.class_id) == 0
    np.testing.assert_array_equal(np.flatnonzero(got.score > 0), strong)
    assert (got.class_id[strong] == 1).all()


@pytest.mark.parametrize("broken", [None, np.nan, 7.0])
def test_best_of_cells(rng: np.random.Generator, broken: float | None) -> None:
    raw = yolov8_args(rng, 300)[0]
    if broken is not None:
        raw[4 + USED[2], 200] = broken
    got, want = Columns(300), Columns(300)
    wrong = boxes.best_of_cells(raw, USED, SCORE_MIN, got.score, got.class_id)
    assert wrong == naive_boxes.best_of_cells(raw, USED, SCORE_MIN, want.score, want.class_id)
    assert (wrong == 0) == (broken is None)
    if not wrong:
        np.testing.assert_array_equal(got.score, want.score)
        np.testing.assert_array_equal(got.class_id, want.class_id)
