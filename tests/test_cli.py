"""Wrong input on the command line: one line a mistake, exit code 1, and nothing left behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scenes
from scenes import SITE, Run, Tiny, black_at, complaints, copied, replay_words, runner, swap, tiny_card, tiny_run
from tiny_models import write_model
from videos import audio_only, joined_video, stamped, tiny_video

from vision.detect.providers import unusable


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny_run(tmp_path_factory.mktemp("tiny") / "scene")


@pytest.fixture
def tiny(pattern: Tiny, tmp_path: Path) -> Tiny:
    return copied(pattern, tmp_path / "scene")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capfd)


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
    "rule#1.speed",
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
