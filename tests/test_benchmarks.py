"""The harness of the speed benchmarks: contestants take turns, budgets judge, other commits compare, README agrees."""

from __future__ import annotations

import itertools
import json
import subprocess
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import __main__ as program
from benchmarks import _against, _bench, _made, _table, kernels
from benchmarks._bench import Figure, Timing, judge, ratio, verdict

KEPT = _table.results()
LIMITS = {name: lines for name, lines in tomllib.loads(_bench.BUDGETS.read_text()).items() if name != "recorded"}


def test_contestants_take_turns() -> None:
    order: list[str] = []
    spent = _bench.contest({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=3, turn_s=1e-7)
    assert "".join(order[:4]) == "aabb"  # to warm up
    turns = [order[4]] + [now for before, now in itertools.pairwise(order[4:]) if now != before]
    assert turns == ["a", "b"] * 3
    assert [len(timing.rounds_us) for timing in spent.values()] == [3, 3]


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    # The machine was five times slower in the last round: medians of each would not tell 2.
    slow, fast = Timing((20.0, 22.0, 100.0), 3), Timing((10.0, 11.0, 50.0), 3)
    assert ratio(slow, fast) == 2.0


@pytest.mark.parametrize(
    ("value", "limit", "machine", "passed", "word"),
    [
        (10.0, {"at_least": 10}, "", True, "pass"),
        (9.9, {"at_least": 10}, "", False, "FAIL"),
        (9.9, {"at_most": 10}, "", True, "pass"),
        (10.1, {"at_most": 10}, "", False, "FAIL"),
        (0.1, {"at_most": 0}, "", False, "FAIL"),
        (10.1, {"at_most": 10, "machine": "h200"}, "", False, "missed"),
        (10.1, {"at_most": 10, "machine": "h200"}, "h200", False, "FAIL"),
        (None, {"at_most": 10}, "", None, "not measured"),
        (1.0, None, "", None, ""),
    ],
)
def test_a_budget_judges(value: float | None, limit: dict | None, machine: str, passed: bool | None, word: str) -> None:
    figure = judge(Figure(value, "x", 3), limit, machine)
    assert figure.passed is passed
    assert verdict(figure) == word


def test_only_what_gates_fails_a_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"q": {"ratio": {"at_least": 2}, "time": {"at_most": 5, "machine": "h200"}}}
    monkeypatch.setattr(_bench, "budgets", lambda: limits)
    figures = {"ratio": Figure(3.0, "x", 1), "time": Figure(6.0, "us", 1), "told": Figure(1.0, "us", 1)}
    assert _bench.outcome("q", figures)["passed"] is True
    figures["ratio"] = Figure(1.0, "x", 1)
    assert _bench.outcome("q", figures)["passed"] is False
    assert "FAIL" in capsys.readouterr().out


def test_a_recorded_peer_is_scaled_by_one_that_was_measured() -> None:
    half = _bench.recorded("Roboflow ByteTrack, 20 objects") / 2
    here = _bench.scaled("Ultralytics, 20 objects", "Roboflow ByteTrack, 20 objects", Timing((half, half), 2))
    assert here.us == pytest.approx(_bench.recorded("Ultralytics, 20 objects") / 2)


def test_every_question_of_speed_is_there() -> None:
    assert set(program.SPEED) <= set(program.NAMES)
    assert set(LIMITS) <= set(program.SPEED)


def test_every_budget_is_of_a_figure_that_is_kept() -> None:
    assert set(KEPT) == set(LIMITS)
    lacking = {(name, line) for name, lines in LIMITS.items() for line in lines if line not in KEPT[name]["figures"]}
    assert lacking == set()


def test_kept_verdicts_are_those_of_the_budgets() -> None:
    for name, result in KEPT.items():
        for label, given in result["figures"].items():
            figure = Figure(**given)
            bare = Figure(figure.value, figure.unit, figure.n, figure.note)
            assert judge(bare, LIMITS[name].get(label)) == figure, (name, label)
        gating = [figure for figure in result["figures"].values() if figure["gates"]]
        assert result["passed"] == all(figure["passed"] is not False for figure in gating)


def test_readme_tells_the_results() -> None:
    text = _table.README.read_text("utf-8")
    assert _table.put(text, _table.section(KEPT)) == text


def test_a_readme_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must stand there once"):
        _table.put("# Gantry\n", _table.section(KEPT))


def test_the_table_says_what_was_missed() -> None:
    judged = judge(Figure(1234.5, "x", 3, "recorded"), {"at_least": 2000})
    figures = {"a / b": asdict(judged), "a": asdict(Figure(1.0, "us", 3))}
    result = {"date": "2026-01-02", "machine": {"cpu": "C", "cores": 2}, "figures": figures}
    assert _table.table({"q": result}).splitlines()[2:] == ["| q | a / b | 1,234 x (recorded) | >= 2000 | FAIL |"]
    assert _table.origin({"q": result}) == "Measured 2026-01-02 on 2 cores of C."


# -- Another commit ---------------------------------------------------------------------------------------------------


def test_another_commit_is_checked_out_with_our_benchmarks(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    (root / "benchmarks").mkdir(parents=True)
    git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    for text in ("old", "new"):
        (root / "product.txt").write_text(text)
        (root / "benchmarks" / "one.py").write_text(text)
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", text], check=True)
    with _against.checked_out("HEAD~1", tmp_path, root) as tree:
        assert (tree / "product.txt").read_text() == "old"
        assert (tree / "benchmarks" / "one.py").read_text() == "new"
    assert not tree.exists()
    assert len(subprocess.check_output([*git, "worktree", "list"], text=True).splitlines()) == 1


def test_rounds_of_two_commits_are_compared_pair_by_pair() -> None:
    def side(value: float | None) -> dict[str, Any]:
        return {"t": {"value": value}, "gone": {"value": None}}

    found = _against.compare([(side(10.0), side(20.0)), (side(30.0), side(60.0)), (side(11.0), side(20.0))])
    assert found == {"t": (11.0, 20.0, 0.5)}


# -- What they work on ------------------------------------------------------------------------------------------------


def test_made_traffic_never_leaps() -> None:
    frames = _made.traffic(50)
    middles = np.stack([(seen.xyxy_px[:, :2] + seen.xyxy_px[:, 2:]) / 2 for seen in frames])
    assert np.abs(np.diff(middles, axis=0)).max() < 40.0
    order = _made.back_and_forth(len(frames))
    steps = np.diff([next(order) for _ in range(500)])
    assert set(np.abs(steps)) == {1}


def test_made_answers_hold_their_objects() -> None:
    raw = _made.head_answer(50, 8)
    best = raw[4:].max(axis=0)
    assert raw.shape == (84, 8400)
    assert (best >= 0.25).sum() == 400


def test_a_lane_allocates_no_array(tmp_path: Path) -> None:
    bare = kernels.Bare(kernels.Course(tmp_path))
    for _ in range(50):
        bare.both()
    arrays, grown = kernels.allocations(bare.both, 100)
    assert arrays == 100 * bare.arguments  # the handles of what each call is given, and nothing else
    assert grown < 16 * 1024
    assert len(bare.rows) >= 45


def test_a_result_is_kept_with_its_machine(tmp_path: Path) -> None:
    program.keep(tmp_path / "new" / "q.json", {"passed": True})
    kept = json.loads((tmp_path / "new" / "q.json").read_text())
    assert kept["passed"] is True
    assert kept["machine"]["cores"] >= 1
