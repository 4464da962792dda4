"""The stream's clock: exact on good stamps, strictly rising on any stamps, every refused frame counted."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision.clock import LONGEST_GAP_S, StreamClock

MPEG = Fraction(1, 90_000)
WRAP = 1 << 33
STAMPS = st.lists(
    st.one_of(
        st.none(),
        st.integers(-(2**63), 2**63 - 1),
        st.integers(0, 90_000 * 4),
        st.sampled_from([0, 3600, 7200, 10_800, WRAP - 1, -1, 10 * 3600 * 90_000]),
    ),
    min_size=1,
    max_size=60,
)


def clock(wrap_bits: int | None = None) -> StreamClock:
    return StreamClock(MPEG, 0.04, wrap_bits)


def times(stamps: list[int | None], wrap_bits: int | None = None) -> list[float | None]:
    one = clock(wrap_bits)
    instants = [one.stamp(pts) for pts in stamps]
    return [None if instant is None else instant.time_s for instant in instants]


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([0, 3600, 7200], [0.0, 0.04, 0.08]),
        ([900_000, 903_600], [0.0, 0.04]),  # counted from the first frame
        ([-3600, 0], [0.0, 0.04]),
        ([0, 100, 90_000], [0.0, 100 / 90_000, 1.0]),  # variable rate
        ([0, 3600, 3600, 7200], [0.0, 0.04, None, 0.08]),  # repeated
        ([0, 7200, 3600, 10_800], [0.0, 0.08, None, 0.12]),  # out of order
        ([0, None, 7200], [0.0, 0.04, 0.08]),  # missing
        ([None, None, None], [0.0, 0.04, 0.08]),  # never any: raw streams
        ([None, 3600, 7200], [0.0, 0.04, 0.08]),
        ([0, 90_000 * 60], [0.0, 60.0]),  # a pause is believed
        ([0, 90_000 * 61, 90_000 * 61 + 3600], [0.0, 0.04, 0.08]),  # a longer one is not
        ([900_000, 903_600, 0, 3600], [0.0, 0.04, 0.08, 0.12]),  # the stream began again
        ([0, 3600, 36_000 * 90_000, 10_800], [0.0, 0.04, 0.08, 0.12]),  # one wild stamp
    ],
)
def test_the_rule(stamps: list[int | None], expected: list[float | None]) -> None:
    assert times(stamps) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("stamps", "epochs"),
    [
        ([0, 3600, 90_000 * 50], [0, 0, 0]),
        ([0, 3600, 90_000 * 70, 90_000 * 70 + 3600], [0, 0, 1, 1]),
        ([0, 3600, 36_000 * 90_000, 10_800], [0, 0, 1, 2]),
        ([9_000_000, 9_003_600, 0], [0, 0, 1]),
        ([WRAP - 3600, 0, 3600], [0, 1, 1]),
    ],
)
def test_a_set_clock_starts_an_epoch(stamps: list[int], epochs: list[int]) -> None:
    one = clock()
    assert [one.stamp(pts).epoch for pts in stamps] == epochs  # type: ignore[union-attr]


def test_a_33_bit_wrap_is_no_fault() -> None:
    one = clock(33)
    instants = [one.stamp((WRAP - 7200 + k * 3600) % WRAP) for k in range(5)]
    assert [i.time_s for i in instants if i] == pytest.approx([0.0, 0.04, 0.08, 0.12, 0.16])
    assert {i.epoch for i in instants if i} == {0}


def test_counts_by_reason() -> None:
    one = clock()
    accepted = [one.stamp(pts) for pts in (0, 3600, 3600, 3600, 1800, None, 10_800)]
    assert one.dropped == {"time_repeated": 2, "time_backwards": 1}
    assert one.guessed == 1
    assert sum(instant is not None for instant in accepted) == 4


@pytest.mark.parametrize("time_base", [None, Fraction(0), Fraction(-1, 25)])
def test_without_a_time_base_every_time_is_guessed(time_base: Fraction | None) -> None:
    one = StreamClock(time_base, 0.1)
    assert [one.stamp(pts).time_s for pts in (5, 4, 4)] == pytest.approx([0.0, 0.1, 0.2])  # type: ignore[union-attr]
    assert one.guessed == 3


@pytest.mark.parametrize("interval_s", [0.0, -1.0, float("nan")])
def test_an_interval_must_be_positive(interval_s: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        StreamClock(MPEG, interval_s)


def test_ten_hours_at_a_third_of_a_millisecond_do_not_drift() -> None:
    one = StreamClock(Fraction(1, 30_000), 1001 / 30_000)
    last = None
    for k in range(0, 36_000 * 30_000, 30_000 * 50 + 1001):
        last = one.stamp(k)
    assert last is not None
    assert last.time_s == (36_000 * 30_000 - 1) // (30_000 * 50 + 1001) * (30_000 * 50 + 1001) / 30_000


@given(STAMPS, st.sampled_from([None, 33]))
def test_time_rises_strictly_and_every_frame_is_accounted_for(stamps: list[int | None], wrap_bits: int | None) -> None:
    one = clock(wrap_bits)
    instants = [one.stamp(pts) for pts in stamps]
    accepted = [instant for instant in instants if instant is not None]
    assert len(stamps) == len(accepted) + sum(one.dropped.values())
    for before, after in itertools.pairwise(accepted):
        assert 0 < after.time_s - before.time_s <= LONGEST_GAP_S + 1e-6
        assert after.epoch >= before.epoch


@given(st.lists(st.integers(1, 90_000 * 59), min_size=1, max_size=50), st.integers(-(2**40), 2**40))
def test_good_stamps_give_exact_times(steps: list[int], origin: int) -> None:
    one = clock()
    assert one.stamp(origin) is not None
    pts = origin
    for step in steps:
        pts += step
        instant = one.stamp(pts)
        assert instant is not None
        assert instant.time_s == float(Fraction(pts - origin) * MPEG)
        assert (instant.epoch, instant.guessed) == (0, False)
