"""Real streets: line crossings of labelled clips, with a small public detector; needs the clips beside the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import clips

pytestmark = [pytest.mark.shared, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def shared() -> Path:
    folder = clips.shared_folder()
    if folder is None:
        pytest.skip("the clips are not here: GANTRY_SHARED names their folder")
    return folder


@pytest.fixture(scope="module")
def scores(shared: Path) -> dict[str, clips.Score]:
    return {clip: clips.score(shared, clip) for clip in (*clips.LABELLED, clips.STRAIGHT_DOWN)}


#: The level reached, by clip: true crossings found, and most events that match none. At Pentonville the network sees
#: six sevenths of a bus until just before the line; the middle of what it sees crosses a second before that of the bus.
LEVEL = {
    "tfl_blackfriars_jun.mp4": (7, 3),
    "tfl_blackfriars_jul.mp4": (1, 0),
    "tfl_pentonville.mp4": (1, 1),
}


@pytest.mark.parametrize("clip", clips.LABELLED)
def test_crossings_reach_the_level(scores: dict[str, clips.Score], clip: str) -> None:
    score = scores[clip]
    print(score.line())
    least, most = LEVEL[clip]
    assert score.matched >= least, f"{score.line()}: {score.events}"
    assert score.invented <= most, f"{score.line()}: {score.events}"


def test_every_frame_is_accounted_for(scores: dict[str, clips.Score]) -> None:
    assert all(score.balanced for score in scores.values())


def test_the_small_detector_sees_nothing_from_straight_above(scores: dict[str, clips.Score]) -> None:
    """Not a level to hold: the day this fails, the detector has become better and the README must say so."""
    score = scores[clips.STRAIGHT_DOWN]
    assert (score.matched, score.invented) == (0, 0), score.line()


def test_a_match_is_one_to_one_and_within_half_a_second() -> None:
    true = [(1.0, "A", "up"), (1.3, "A", "up"), (5.0, "A", "up")]
    events = [(1.2, "A", "up"), (1.4, "A", "down"), (5.6, "A", "up")]
    assert clips.match(true, events) == 1
