"""Every verb of the command line once, on a run of the tiny scene."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import scenes
from scenes import Run, Tiny, complaints, copied, replay_words, run_main, runner, tiny_run
from typer.testing import CliRunner

import models
from vision.cli import app


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny_run(tmp_path_factory.mktemp("tiny") / "scene")


@pytest.fixture(scope="module")
def finished(pattern: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run; only to be read."""
    out = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        assert run_main(patch, *replay_words(pattern, out)) == 0
    return out


@pytest.fixture
def tiny(pattern: Tiny, tmp_path: Path) -> Tiny:
    return copied(pattern, tmp_path / "scene")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capfd)


def test_help_and_version() -> None:
    runner = CliRunner()
    shown = runner.invoke(app, ["--help"])
    assert shown.exit_code == 0
    for verb in ("demo", "replay", "check", "draw", "events", "export", "doctor", "models"):
        assert verb in shown.output
        assert runner.invoke(app, [verb, "--help"]).exit_code == 0
    assert runner.invoke(app, ["--version"]).output.startswith("gantry ")


def test_a_run_says_what_it_did(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    code, said, _ = run(*replay_words(tiny, tmp_path / "out"))
    assert code == 0
    assert "camera one: model tiny on CPU" in said
    assert f"decoded {scenes.FRAMES} = inferred {scenes.FRAMES} + dropped 0 (none)" in said
    assert "stop with_flow" in said
    assert "1 events in" in said
    assert "frames/s" in said


def test_draw_with_and_without_a_video(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    sizes = {}
    for name, more in (("own", ()), ("given", ("--input", tiny.video))):
        picture = tmp_path / f"{name}.png"
        code, said, lines = run("draw", tiny.site, "--out", picture, *more)
        assert (code, lines) == (0, [])
        assert f"{name}.png" in said.replace("\n", "")
        assert picture.read_bytes().startswith(b"\x89PNG")
        sizes[name] = picture.read_bytes()
    assert sizes["own"] == sizes["given"]
    tiny.video.unlink()
    assert run("draw", tiny.site, "--out", tmp_path / "plain.png")[0] == 0
    assert (tmp_path / "plain.png").read_bytes() != sizes["own"]
    code, _, lines = run("draw", tiny.site, "--out", tmp_path / "none.png", "--input", tiny.video)
    assert code == 1
    assert "does not exist" in complaints(lines)[0]
    assert not (tmp_path / "none.png").exists()


def test_events_are_counted_chosen_and_listed(finished: Path, run: Run) -> None:
    code, said, lines = run("events", finished)
    assert (code, lines) == (0, [])
    assert "stop with_flow" in said
    code, said, _ = run("events", finished / "events.gtr", "--list")
    assert code == 0
    (line,) = said.splitlines()
    assert "rule=count" in line
    assert "class=car" in line
    for chosen, n in (
        (("--class", "car"), 1),
        (("--class", "bus"), 0),
        (("--from-s", "1.9"), 0),
        (("--to-s", "1.9"), 1),
    ):
        code, said, _ = run("events", finished, "--list", *chosen)
        assert code == 0
        assert len(said.splitlines()) == n
    code, said, _ = run("events", finished, "--list", "--type", "coverage")
    assert (code, len(said.splitlines())) == (0, 1)
    code, _, lines = run("events", finished, "--rule", "cuont")
    assert code == 1
    assert "cuont" in complaints(lines)[0]


@pytest.mark.parametrize("verb", ["events", "export"])
def test_what_is_no_run(tmp_path: Path, run: Run, verb: str) -> None:
    code, _, lines = run(verb, tmp_path)
    assert code == 1
    assert "holds no run" in complaints(lines)[0]
    (tmp_path / "events.gtr").write_bytes(b"no records")
    code, _, lines = run(verb, tmp_path)
    assert code == 1
    assert len(complaints(lines)) == 1


def test_the_three_formats_hold_the_same_rows(finished: Path, tmp_path: Path, run: Run) -> None:
    for form in ("jsonl", "csv", "parquet"):
        code, said, _ = run("export", finished, "--format", form, "--out", tmp_path / f"events.{form}")
        assert code == 0
        assert said.startswith("2 events in ")  # one of them says what was watched
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    with (tmp_path / "events.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    columns = pq.read_table(tmp_path / "events.parquet").to_pylist()
    assert len(lines) == len(table) == len(columns) == 2
    for line, row, record in zip(lines, table, columns, strict=True):
        assert set(line) <= set(row) == set(record)
        for name, value in line.items():
            assert row[name] == ("" if value is None else str(value))
            wanted = pytest.approx(value, rel=1e-6, abs=1e-6) if isinstance(value, float) else value
            assert record[name] == wanted
    code, said, _ = run("export", finished)
    assert code == 0
    assert said == (tmp_path / "events.jsonl").read_text()


def test_an_export_replaces_a_file_only_with_force(finished: Path, tmp_path: Path, run: Run) -> None:
    target = tmp_path / "events.jsonl"
    target.write_text("mine")
    code, _, lines = run("export", finished, "--out", target)
    assert code == 1
    assert "exists" in complaints(lines)[0]
    assert target.read_text() == "mine"
    assert run("export", finished, "--out", target, "--force")[0] == 0
    assert json.loads(target.read_text().splitlines()[0])["rule"] == "count"
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]


def test_doctor_gives_a_table(run: Run) -> None:
    code, said, _ = run("doctor")
    assert code in (0, 1)
    assert (code == 1) == ("FAIL" in said)
    assert "onnxruntime" in said
    assert len(said.splitlines()) > 5


def test_models_are_listed_and_checked(tiny: Tiny, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, said, _ = run("models", "list", "--models", tiny.folder)
    assert code == 0
    rows = {line.split()[0]: line for line in said.splitlines() if line.strip()}
    assert "ready" in rows["tiny"]
    assert {path.stem for path in models.FOLDER.glob("*.toml")} <= set(rows)
    code, said, lines = run("models", "check", "tiny", "--models", tiny.folder, "--provider", "cpu", "--threads", 1)
    assert (code, lines) == (0, [])
    assert "runs on CPU" in said
    (tiny.folder / "tiny.onnx").unlink()
    code, _, lines = run("models", "check", "tiny", "--models", tiny.folder)
    assert code == 1
    assert "tiny.onnx is not there" in complaints(lines)[0]


def test_the_demo_s_model_fits_its_card(run: Run) -> None:
    code, said, lines = run("models", "check", "gantry-demo", "--provider", "cpu")
    assert (code, lines) == (0, [])
    assert said.startswith("gantry-demo: ")


def test_a_demo_is_not_written_over_another_run(finished: Path, tmp_path: Path, run: Run) -> None:
    shutil.copytree(finished, tmp_path / "run")
    code, _, lines = run("demo", "--out", tmp_path)
    assert code == 1
    assert "already holds a run" in complaints(lines)[0]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
