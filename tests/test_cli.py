"""The command line: wrong input is one line a mistake, exit code 1 and nothing left behind; every verb once."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import scenes
from scenes import SITE, Tiny, black_at, replay_words, run_main, tiny_card, tiny_run
from tiny_models import write_model
from typer.testing import CliRunner
from videos import audio_only, joined_video, stamped, tiny_video

import models
from vision.cli import app
from vision.detect.providers import unusable

Run = Callable[..., tuple[int, str, list[str]]]


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
    """Return a tiny scene of this test's own, to be spoilt."""
    shutil.copytree(pattern.folder, tmp_path / "scene")
    return Tiny(tmp_path / "scene", tmp_path / "scene" / "site.toml", tmp_path / "scene" / "v.mp4")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Return what runs a command line: exit code, standard output, lines of standard error."""

    def call(*words: object) -> tuple[int, str, list[str]]:
        capfd.readouterr()
        code = run_main(monkeypatch, *words)
        said = capfd.readouterr()
        return code, said.out, said.err.splitlines()

    return call


def complaints(lines: list[str]) -> list[str]:
    """Return the mistakes on standard error, each in its line; nothing there may look like a crash."""
    assert not any("Traceback" in line for line in lines)
    return [line.removeprefix("gantry: ") for line in lines if line.startswith("gantry:")]


def swap(path: Path, old: str, new: str) -> None:
    """Replace a piece of a text file that is in it once."""
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


# -- Videos that are none ---------------------------------------------------------------------------------------------


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-300])


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


BAD_VIDEOS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: path.unlink(), "does not exist"),
    "empty": (lambda path: path.write_bytes(b""), "is empty (0 bytes)"),
    "truncated": (_cut, "is cut off"),
    "no video": (lambda path: path.write_text("hello\n" * 500), "cannot be read as video"),
    "folder": (_folder, "is a folder"),
    "sound only": (audio_only, "holds no video stream"),
    "no length": (lambda path: shutil.copy(stamped(path.parent, [0] * 6), path), "length of 0 s"),
    "size changes": (
        lambda path: shutil.copy(joined_video(path.parent / "j.ts", [(128, 96), (64, 48)]), path),
        "the picture changes from 128x96 to 64x48 px at frame 10",
    ),
}


@pytest.mark.parametrize("kind", BAD_VIDEOS)
def test_a_bad_video_is_one_line_and_leaves_nothing(tiny: Tiny, tmp_path: Path, run: Run, kind: str) -> None:
    spoil, message = BAD_VIDEOS[kind]
    spoil(tiny.video)
    code, said, lines = run(*replay_words(tiny, tmp_path / "out"))
    assert code == 1
    (mistake,) = complaints(lines)
    assert message in mistake
    assert "v.mp4" in mistake
    assert said == ""
    assert not (tmp_path / "out").exists()


def test_what_is_refused_before_the_first_frame_says_only_why(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    tiny.video.unlink()
    _, _, lines = run(*replay_words(tiny, tmp_path / "out"))
    assert len(lines) == 1


# -- Site files -------------------------------------------------------------------------------------------------------

BAD_SITE = (
    SITE.replace('timezone = "UTC"', 'timezone = "Europe/Berln"\ncolour = "red"')
    .replace("ends_px = [[4, 50.0], [124, 50.0]]", "ends_px = [[4, 50], [4, 50]]")
    .replace('line = "stop"', 'line = "stpo"\nspeed = 3')
    + """
[[camera.one.rule]]
type = "line_cuont"
name = "other"

[camera.one.zone.box]
points_px = [[1, 1], [9, 9]]

[camera.one.ground]
image_px = [[10, 10], [20, 20], [30, 30], [40, 40]]
plane_m = [[0, 0], [1, 0], [1, 1], [0, 1]]
"""
)
MISTAKES = (
    "timezone = 'Europe/Berln'",
    "colour",
    "line.stop.ends_px = [[4, 50], [4, 50]] has zero length",
    "rule#1.line = 'stpo' is not defined; did you mean stop?",
    "speed",
    "'line_cuont' is not a rule",
    "zone.box.points_px = [[1, 1], [9, 9]] has 2 points",
    "ground.image_px",
)


@pytest.mark.parametrize("verb", ["check", "draw", "replay"])
def test_every_mistake_of_a_site_is_listed_at_once(tiny: Tiny, tmp_path: Path, run: Run, verb: str) -> None:
    tiny.site.write_text(BAD_SITE)
    out = tmp_path / "out"
    words = {
        "check": ["check", tiny.site],
        "draw": ["draw", tiny.site, "--out", out],
        "replay": replay_words(tiny, out),
    }
    code, said, lines = run(*words[verb])
    assert code == 1
    assert said == ""
    mistakes = complaints(lines)
    assert len(mistakes) == len(lines)
    assert all(mistake.startswith(f"{tiny.site}: ") for mistake in mistakes)
    for text in MISTAKES:
        assert sum(text in mistake for mistake in mistakes) == 1, (text, mistakes)
    assert len(mistakes) == len(MISTAKES)
    assert not out.exists()


BAD_SITES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: path.unlink(), "is not there"),
    "empty": (lambda path: path.write_text(""), "is empty"),
    "folder": (_folder, "is a folder"),
    "no TOML": (lambda path: path.write_text("name = \n"), "line 1"),
    "no text": (lambda path: path.write_bytes(b"\xff\xfe\0\0"), "is not UTF-8"),
    "outside the picture": (lambda path: swap(path, "[124, 50.0]", "[640, 50.0]"), "[640, 50] lies outside"),
    "no such log": (
        lambda path: path.write_text(SITE + '[camera.one.signal.lamp]\nsource = "log"\npath = "no.csv"\n'),
        "no.csv: cannot read the signal log",
    ),
}


@pytest.mark.parametrize("kind", BAD_SITES)
def test_a_bad_site_leaves_nothing(tiny: Tiny, tmp_path: Path, run: Run, kind: str) -> None:
    spoil, message = BAD_SITES[kind]
    spoil(tiny.site)
    code, _, lines = run(*replay_words(tiny, tmp_path / "out"))
    assert code == 1
    (mistake,) = complaints(lines)
    assert message in mistake
    assert not (tmp_path / "out").exists()


def test_a_good_site_passes(tiny: Tiny, run: Run) -> None:
    code, said, lines = run("check", tiny.site)
    assert (code, lines) == (0, [])
    assert "camera one: 1 lines, 0 zones, 0 signals, 1 rules, model tiny" in said
    assert "no mistakes" in said


def test_a_site_with_a_missing_video_is_good_and_warned_of(tiny: Tiny, run: Run) -> None:
    tiny.video.unlink()
    code, said, lines = run("check", tiny.site)
    assert code == 0
    assert len(lines) == 1
    assert "v.mp4" in lines[0]
    assert "no mistakes" in said


def test_which_camera(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    code, _, lines = run(*replay_words(tiny, out, "--camera", "two"))
    assert code == 1
    assert "camera 'two' is not defined; defined here: one" in complaints(lines)[0]
    tiny.site.write_text(SITE + SITE[SITE.index("[camera.one]") :].replace("camera.one", "camera.two"))
    code, _, lines = run(*replay_words(tiny, out))
    assert code == 1
    assert "has 2 cameras; say which with --camera: one, two" in complaints(lines)[0]
    assert not out.exists()
    code, said, _ = run(*replay_words(tiny, out, "--camera", "two"))
    assert code == 0
    assert "camera two: model tiny on CPU" in said


# -- Models -----------------------------------------------------------------------------------------------------------


def _classes(path: Path) -> None:
    swap(path.with_suffix(".toml"), "n_classes = 80", "n_classes = 90")


def _constant(value: float) -> Callable[[Path], object]:
    raw = scenes.car_output()
    raw["output0"][3, 1] = value
    return lambda path: write_model(path, raw)


BAD_MODELS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no card": (lambda path: path.with_suffix(".toml").unlink(), "model 'tiny' has no card"),
    "bad card": (lambda path: swap(path.with_suffix(".toml"), "licence =", "lisence ="), "lisence"),
    "missing": (lambda path: path.unlink(), "tiny.onnx is not there"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "no network": (lambda path: path.write_bytes(b"hello" * 100), "cannot be opened by onnxruntime"),
    "wrong hash": (lambda path: tiny_card(path.parent, more=f'sha256 = "{"0" * 64}"'), "has SHA-256"),
    "wrong size": (lambda path: tiny_card(path.parent, more="bytes = 17"), "its card"),
    "outputs do not fit": (_classes, "with 90 classes wants"),
    "NaN at once": (_constant(np.nan), "NaN (1 of 168 values) on a grey picture"),
    "infinity at once": (_constant(np.inf), "infinity (1 of 168 values) on a grey picture"),
}


@pytest.mark.parametrize("kind", BAD_MODELS)
def test_a_bad_model_leaves_nothing(tiny: Tiny, tmp_path: Path, run: Run, kind: str) -> None:
    spoil, message = BAD_MODELS[kind]
    spoil(tiny.folder / "tiny.onnx")
    code, said, lines = run(*replay_words(tiny, tmp_path / "out"))
    assert code == 1
    assert said == ""
    mistakes = complaints(lines)
    assert len(mistakes) == len(lines)
    assert message in " ".join(mistakes)
    assert kind == "bad card" or len(mistakes) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_outputs_that_turn_bad_in_mid_run(tmp_path: Path, run: Run, value: float, word: str) -> None:
    tiny = tiny_run(tmp_path / "scene", black_at(30), when_black=value)
    out = tmp_path / "out"
    code, _, lines = run(*replay_words(tiny, out))
    assert code == 1
    (mistake,) = complaints(lines)
    assert "frame 30" in mistake
    assert word in mistake
    assert not out.exists()


def test_a_failed_run_leaves_other_files_alone(tmp_path: Path, run: Run) -> None:
    tiny = tiny_run(tmp_path / "scene", black_at(30), when_black=np.nan)
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    assert run(*replay_words(tiny, out, "--video", "--tracks"))[0] == 1
    assert [path.name for path in out.iterdir()] == ["notes.txt"]


def test_a_failed_run_does_not_cost_the_one_before(tmp_path: Path, run: Run) -> None:
    """With --force a run is replaced by a better one, not by nothing."""
    tiny = tiny_run(tmp_path / "scene")
    out = tmp_path / "out"
    assert run(*replay_words(tiny, out))[0] == 0
    before = (out / "events.gtr").read_bytes()
    good = tiny.video.read_bytes()
    tiny.video.write_text("no video")
    assert run(*replay_words(tiny, out, "--force"))[0] == 1
    assert (out / "events.gtr").read_bytes() == before
    tiny.video.write_bytes(good)
    swap(tiny.site, "[124, 50.0]", "[640, 50.0]")
    assert run(*replay_words(tiny, out, "--force"))[0] == 1
    assert (out / "events.gtr").read_bytes() == before


# -- The output folder ------------------------------------------------------------------------------------------------


def test_an_output_folder_below_a_file(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    code, _, lines = run(*replay_words(tiny, tiny.video / "out"))
    assert code == 1
    (mistake,) = complaints(lines)
    assert f"{tiny.video} is not a folder" in mistake
    code, _, lines = run(*replay_words(tiny, tiny.video))
    assert code == 1
    assert "is not a folder" in complaints(lines)[0]


def test_a_run_is_replaced_only_with_force(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    assert run(*replay_words(tiny, out, "--tracks"))[0] == 0
    (out / "notes.txt").write_text("mine")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    code, _, lines = run(*replay_words(tiny, out))
    assert code == 1
    assert "already holds a run" in complaints(lines)[0]
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert run(*replay_words(tiny, out, "--force"))[0] == 0
    assert sorted(path.name for path in out.iterdir()) == ["events.gtr", "notes.txt", "run.json"]
    assert (out / "events.gtr").read_bytes() == before["events.gtr"]
    assert (out / "notes.txt").read_text() == "mine"


# -- Wrong use, and devices -------------------------------------------------------------------------------------------

WRONG_USE = (
    ("replay",),
    ("replay", "site.toml", "v.mp4"),
    ("replay", "site.toml", "v.mp4", "--out", "x", "--fast"),
    ("replay", "site.toml", "v.mp4", "--out", "x", "--provider", "abacus"),
    ("export", "run", "--format", "xml"),
    ("models", "check"),
    ("demo", "--fps", "1000"),
    ("count",),
)


@pytest.mark.parametrize("words", WRONG_USE, ids=" ".join)
def test_wrong_use_is_2(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    monkeypatch.chdir(tmp_path)
    code, said, lines = run(*words)
    assert code == 2
    assert said == ""
    assert any("gantry" in line for line in lines)
    assert complaints(lines) == []
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_date_is_refused(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    code, _, lines = run(*replay_words(tiny, tmp_path / "out", "--start-utc", "tomorrow"))
    assert code == 1
    (mistake,) = complaints(lines)
    assert "tomorrow" in mistake
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["cuda", "tensorrt"])
def test_a_provider_that_is_not_here_is_3(tiny: Tiny, tmp_path: Path, run: Run, name: str) -> None:
    if not unusable(name):
        pytest.skip(f"{name} works here")
    code, _, lines = run(*replay_words(tiny, tmp_path / "out", "--provider", name))
    assert code == 3
    (mistake,) = complaints(lines)
    assert mistake.startswith(f"provider {name} is not usable: ")
    assert not (tmp_path / "out").exists()


# -- Verbs ------------------------------------------------------------------------------------------------------------


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
        assert said.startswith("1 events in ")
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    with (tmp_path / "events.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    columns = pq.read_table(tmp_path / "events.parquet").to_pylist()
    assert len(lines) == len(table) == len(columns) == 1
    for line, row, record in zip(lines, table, columns, strict=True):
        assert set(line) == set(row) == set(record)
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
    assert json.loads(target.read_text())["rule"] == "count"
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


def test_an_unreadable_video_name_is_shown_on_one_line(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    tiny = tiny._replace(video=tmp_path / "a\n[red]b\x1b[2J.mp4")
    code, _, lines = run(*replay_words(tiny, tmp_path / "out"))
    assert code == 1
    (line,) = lines
    assert line.isprintable()
    assert "[red]b" in line


def test_video_of_another_size_is_refused_where_the_site_does_not_fit(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    tiny_video(tiny.video, 5, 64, 48)
    code, _, lines = run(*replay_words(tiny, tmp_path / "out"))
    assert code == 1
    assert all("lies outside the picture" in mistake for mistake in complaints(lines))
    assert complaints(lines)
    assert not (tmp_path / "out").exists()
