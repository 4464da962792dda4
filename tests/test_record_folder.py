"""Folders and files of a run: private, nothing of others is touched, nothing half-written is left."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from vision.errors import StoreError
from vision.record.files import RUN_FILES, check_folder, prepare_folder, replacing


def test_a_folder_is_made_private_with_its_parents(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    check_folder(folder)
    assert not (tmp_path / "a").exists()
    assert prepare_folder(folder) == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    prepare_folder(folder)


@pytest.mark.parametrize("name", RUN_FILES)
def test_a_folder_with_a_run_is_cleared_only_with_force_and_only_of_the_run(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    (tmp_path / "notes.txt").write_text("theirs")
    (tmp_path / "events.gtr.old").write_text("theirs")
    with pytest.raises(StoreError, match=r"already holds a run .*--force"):
        prepare_folder(tmp_path)
    assert (tmp_path / name).read_text() == "mine"
    check_folder(tmp_path, force=True)
    assert (tmp_path / name).read_text() == "mine"
    prepare_folder(tmp_path, force=True)
    assert sorted(os.listdir(tmp_path)) == ["events.gtr.old", "notes.txt"]


def test_force_removes_a_link_and_not_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").symlink_to(tmp_path / "precious")
    prepare_folder(tmp_path / "out", force=True)
    assert (tmp_path / "precious").read_text() == "keep"
    assert not any((tmp_path / "out").iterdir())


def test_force_does_not_empty_a_folder_of_a_known_name(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    with pytest.raises(StoreError, match="is a folder, which no run made"):
        prepare_folder(tmp_path, force=True)
    assert (tmp_path / "run.json").is_dir()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    cases = {
        tmp_path / "file": "is not a folder",
        tmp_path / "gone": "is not a folder",
        tmp_path / "file" / "below": "cannot be made, as .*file is not a folder",
        tmp_path / ("n" * 300): "cannot be written",
        Path("/proc"): "cannot be written",
        Path("/proc/gantry/out"): "cannot be written",
    }
    for path, message in cases.items():
        for force in (False, True):
            with pytest.raises(StoreError, match=message) as refused:
                prepare_folder(path, force)
            assert "\n" not in str(refused.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        for path in (tmp_path, tmp_path / "out"):
            with pytest.raises(StoreError, match="cannot be written"):
                prepare_folder(path)
    finally:
        tmp_path.chmod(0o700)


# -- Single files -----------------------------------------------------------------------------------------------------


def test_a_file_is_private_and_there_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with replacing(path) as stream:
        stream.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["x.csv"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_a_file_that_failed_leaves_nothing_and_the_old_one(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"old")

    def fail() -> None:
        with replacing(path, force=True) as stream:
            stream.write(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x.csv"]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with pytest.raises(StoreError, match="exists"), replacing(path):
        path.write_bytes(b"theirs")
    assert path.read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["x.csv"]


def test_a_target_that_is_no_plain_file_is_refused_even_with_force(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    cases = {
        tmp_path: "is not a plain file",
        tmp_path / "link": "is not a plain file",
        Path("/dev/null"): "is not a plain file",
        tmp_path / "file" / "below": "cannot be written",
        tmp_path / "none" / "below": "cannot be written",
        Path("/proc/x.csv"): "cannot be written",
        tmp_path / ("n" * 300): "cannot be written",
    }
    for path, message in cases.items():
        with pytest.raises(StoreError, match=message), replacing(path, force=True):
            pytest.fail("was opened")
