"""Judging: figures and intervals by hand, matching by brute force, HOTA and its kin against TrackEval's numbers."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_mottext import SITE, written
from typer.testing import CliRunner

from vision.cli import app
from vision.compare import difference
from vision.errors import InputError
from vision.evaluate.detections import score_detections
from vision.evaluate.events import read_truth, score_events
from vision.evaluate.matching import heaviest, match_times, overlaps
from vision.evaluate.stats import errors, geh, wilson
from vision.evaluate.tracks import score_tracks
from vision.mottext import read_boxes
from vision.record.reader import open_records

# -- figures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (73, 73, 0.950, 1.0),
        (381, 381, 0.990, 1.0),
        (196, 200, 0.950, 0.992),
        (490, 500, 0.964, 0.989),
        (0, 10, 0, 0.278),
    ],
)
def test_wilson_as_published(k, n, low, high):
    share = wilson(k, n)
    assert (share.low, share.high) == pytest.approx((low, high), abs=6e-4)
    assert share.low <= k / n <= share.high + 1e-12


def test_a_share_of_nothing_says_so():
    assert str(wilson(0, 0)) == "- (0)"
    assert str(wilson(95, 100)) == "0.950 [0.888, 0.978] (95 of 100)"


def test_geh_by_hand():
    assert geh(0, 0) == 0.0
    assert geh(1100, 1000) == pytest.approx(math.sqrt(2 * 100**2 / 2100))


def test_errors_by_hand():
    found = errors(np.array([1.0, -3.0, math.nan, 2.0]))
    assert found == (3, 0.0, 2.0, pytest.approx(2.9), 3.0)
    assert errors(np.zeros(0)).n == 0


# -- matching -------------------------------------------------------------------------------------------------------


def best_pairs(a: list[float], b: list[float], within_s: float) -> tuple[int, float]:
    """The most pairs and their least sum, from every way to pair in any order."""
    best = (0, 0.0)
    for size in range(1, min(len(a), len(b)) + 1):
        for ours in itertools.combinations(range(len(a)), size):
            for theirs in itertools.permutations(range(len(b)), size):
                apart = [abs(a[i] - b[j]) for i, j in zip(ours, theirs, strict=True)]
                if max(apart) <= within_s:
                    best = max(best, (size, -sum(apart)))
    return best


TIMES = st.lists(st.integers(0, 30).map(lambda n: n / 4), max_size=5).map(sorted)


@given(TIMES, TIMES)
def test_times_are_matched_as_well_as_can_be(a, b):
    pairs = match_times(np.array(a), np.array(b), 1.0)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(abs(a[i] - b[j]) <= 1.0 for i, j in pairs)
    assert (len(pairs), -sum(abs(a[i] - b[j]) for i, j in pairs)) == pytest.approx(best_pairs(a, b, 1.0))


def test_the_heaviest_pairs():
    rows, columns = heaviest(np.array([[5.0, 4.0, 0.0], [4.0, 0.0, 0.0]]))
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 1), (1, 0)]
    assert len(heaviest(np.zeros((2, 0)))[0]) == 0


def test_overlaps_by_hand():
    a = np.array([[0.0, 0.0, 10.0, 10.0]])
    b = np.array([[5.0, 0.0, 15.0, 10.0], [20.0, 0.0, 30.0, 10.0], [0.0, 0.0, 10.0, 10.0]])
    assert overlaps(a, b).tolist() == [[pytest.approx(1 / 3), 0.0, 1.0]]


# -- tracks and detections ------------------------------------------------------------------------------------------


BOXES = 310
HOTA = (0.5493533900228948, 0.6080349138310349, 0.49730880958840973)
IDF1_MOTA = (0.7051070840197694, 0.7838709677419354)
COUNTS = (4, 38, 25)
AP = (0.8382019715756616, 0.3757133081811719)


def two_files(folder: Path) -> tuple[Path, Path]:
    """True tracks, and found ones with noise, misses, inventions, and ids that change at a meeting."""
    rng = np.random.default_rng(11)
    true, found = [], []
    for number in range(8):
        x, y, vx = 40.0 * number, 30.0 * (number % 3), rng.uniform(-3, 3)
        for frame in range(int(rng.integers(1, 20)), int(rng.integers(40, 60))):
            at = x + vx * frame
            true.append(f"{frame},{number},{at:.2f},{y:.2f},40,24,1,0")
            noisy = rng.normal(0, 2.5, 4)
            own = number + 20 * (frame > 30 and number % 2)
            if rng.random() > 0.1:
                box = f"{at + noisy[0]:.2f},{y + noisy[1]:.2f},{40 + noisy[2]:.2f},{24 + noisy[3]:.2f}"
                found.append(f"{frame},{own},{box},{rng.uniform(0.4, 1):.3f},0")
            if rng.random() < 0.05:
                found.append(f"{frame},{100 + number},{rng.uniform(0, 300):.2f},200,30,30,{rng.uniform(0, 0.8):.3f},0")
    return written(folder, "\n".join(found), "found.txt"), written(folder, "\n".join(true), "true.txt")


def test_tracks_as_trackeval_scores_them(tmp_path):
    """The figures are those of trackeval 1.3.0 (HOTA, CLEAR, Identity) on the same boxes."""
    found, true = two_files(tmp_path)
    score = score_tracks(read_boxes(found), read_boxes(true))
    assert (score.boxes, score.tracks) == (BOXES, 8)
    assert (score.hota, score.det_a, score.ass_a) == pytest.approx(HOTA, abs=1e-9)
    assert (score.idf1, score.mota) == pytest.approx(IDF1_MOTA, abs=1e-9)
    assert (score.switches, score.missed, score.invented) == COUNTS


def test_detections_as_pycocotools_scores_them(tmp_path):
    """The figures are those of pycocotools 2.0 (all areas, 100 detections a picture) on the same boxes."""
    found, true = two_files(tmp_path)
    (score,) = score_detections(read_boxes(found), read_boxes(true))
    assert (score.ap50, score.ap) == pytest.approx(AP, abs=1e-9)
    (nothing,) = score_detections(read_boxes(written(tmp_path, "1,-1,900,1,2,2,0.5,0\n")), read_boxes(true))
    assert nothing.ap == 0.0


# -- events ---------------------------------------------------------------------------------------------------------


def run_of(folder: Path) -> Path:
    """A run of three cars over a line at 1.16, 3.16 and 5.16 s, the last two against a red that began at 2 s."""
    (folder / "site.toml").write_text(SITE)
    log = written(folder, "time_s,state\n0,green\n2,red\n", "log.csv")
    lines = [f"{50 * k + f},{k + 1},50,{f},20,20,0.9,{k}" for k in range(3) for f in range(1, 60)]
    boxes = written(folder, "\n".join(lines), "given.txt")
    words = ["replay", folder / "site.toml", boxes, "--out", folder / "run", "--fps", "25", "--size", "128x96"]
    result = CliRunner().invoke(app, [*map(str, words), "--signals", str(log), "--force"])
    assert result.exit_code == 0, result.output
    return folder / "run"


def test_events_against_what_happened(tmp_path):
    run = run_of(tmp_path)
    truth = written(
        tmp_path,
        "time_s,rule,class,direction\n1.2,count,car,with_flow\n3.2,count,car,with_flow\n9,count,car,with_flow\n"
        "3.2,red,,\n",
        "truth.csv",
    )
    count, red = score_events(open_records(run), read_truth(truth))
    assert (count.true, count.found, count.precision.k, count.recall.k) == (3, 3, 2, 2)
    assert count.class_right[:2] == (1, 2)  # the second is a bus
    assert count.time_s.bias == pytest.approx(-0.04, abs=0.005)
    assert count.geh_worst == pytest.approx(geh(4, 12))
    assert (red.true, red.found, red.precision.k, red.recall.k) == (1, 2, 1, 1)
    code = CliRunner().invoke(app, ["eval", str(run), str(truth)])
    assert code.exit_code == 0
    assert "0.667 [0.208, 0.939] (2 of 3)" in code.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time_s,what\n1,a\n", "columns are time_s, what; needed: time_s, rule"),
        ("time_s,rule\nx,count\n", "truth.csv:2: time_s = 'x'; allowed: a number"),
        ("time_s,rule\n,count\n", "truth.csv:2: time_s or rule is empty"),
        ("time_s,rule,class\n1,count,lorry\n", "truth.csv:2: class = 'lorry'; allowed: car"),
        ("time_s,rule,direction\n1,count,north\n", "truth.csv:2: direction = 'north'; allowed: with_flow"),
    ],
)
def test_a_wrong_truth_is_refused(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read_truth(written(tmp_path, text, "truth.csv"))


def test_a_rule_that_the_run_has_not_is_said(tmp_path):
    run = run_of(tmp_path)
    with pytest.raises(InputError, match="rule 'other' of the truth is not in the run; there are: count, red"):
        score_events(open_records(run), read_truth(written(tmp_path, "time_s,rule\n1,other\n", "truth.csv")))


# -- two sites ------------------------------------------------------------------------------------------------------


def test_what_a_changed_site_would_have_changed(tmp_path):
    run_of(tmp_path)
    (tmp_path / "later.toml").write_text(SITE.replace('signal = "s"', 'signal = "s"\ngrace_s = 2.0'))
    words = ["diff", tmp_path / "site.toml", tmp_path / "later.toml", tmp_path / "given.txt", "--signals"]
    words += [tmp_path / "log.csv", "--fps", "25", "--size", "128x96", "--list"]
    result = CliRunner().invoke(app, [*map(str, words)])
    assert result.exit_code == 0, result.output
    assert "only a:" in result.output
    assert result.output.count("only ") == 1
    same = CliRunner().invoke(app, [str(word) for word in (*words[:2], words[1], *words[3:])])
    assert "no event differs" in same.output


def test_difference_pairs_what_is_alike():
    def row(time_s: float, **more: object) -> dict[str, object]:
        return {"time_s": time_s, "rule": "r", "type": "line_count", "class": "car", "direction": "down", **more}

    found = difference([row(1.0), row(5.0)], [row(1.2), row(5.0, direction="up"), row(9.0)])
    assert found.rules == [("r", "line_count", 2, 3, 1, 1, 2)]
    assert [(change.site, change.event["time_s"]) for change in found.changes] == [("a", 5.0), ("b", 5.0), ("b", 9.0)]
