"""Folders and files that this package writes: private, never half-written, and nobody else's is touched."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from vision.errors import StoreError

RECORDS, SUMMARY, VIDEO, TRACKS = "events.gtr", "run.json", "annotated.mp4", "tracks.txt"
#: The same tracks as a table, with times and classes; what exports of tracks are made from.
TRACKS_TABLE = "tracks.parquet"
#: Where records are while a run lasts; a killed run leaves it, and what is in it can be read.
RECORDS_PART = "events.gtr.part"
#: All that a run writes into its folder, and all that --force removes from one.
RUN_FILES = (RECORDS, RECORDS_PART, SUMMARY, VIDEO, "annotated.part.mp4", TRACKS, TRACKS_TABLE)


def check_folder(path: Path, force: bool = False) -> None:
    """Check that a run can go into this folder, and change nothing; a StoreError says why it cannot."""
    try:
        if not path.exists() and not path.is_symlink():
            _check_parent(path)
            return
        if not path.is_dir():
            raise StoreError(f"{path}: is not a folder; give the name of a folder for the records")
        with tempfile.TemporaryFile(dir=path):
            pass
        found = [name for name in RUN_FILES if os.path.lexists(path / name)]
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror}); choose a folder of your own") from None
    if found and not force:
        raise StoreError(f"{path}: already holds a run ({found[0]}); choose another folder, or --force to replace it")
    for name in found:
        if (path / name).is_dir() and not (path / name).is_symlink():
            raise StoreError(f"{path / name}: is a folder, which no run made; move it away")
    if RECORDS_PART in found and _is_locked(path / RECORDS_PART):
        raise StoreError(f"{path}: another run is writing here; wait for it, or choose another folder")


def prepare_folder(path: Path, force: bool = False) -> Path:
    """Make the folder of a run, or clear it of another run with `force`; other files in it stay as they are."""
    check_folder(path, force)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in RUN_FILES:
            (path / name).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror}); choose a folder of your own") from None
    return path


@contextlib.contextmanager
def replacing(path: Path, force: bool = False) -> Iterator[IO[bytes]]:
    """Give a file to write that takes the place of `path` when it is whole; after an error nothing is left of it."""
    _check_target(path, force)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:64]}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror})") from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
        _check_target(path, force)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _check_target(path: Path, force: bool) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror})") from None
    if not stat.S_ISREG(mode):
        raise StoreError(f"{path}: is not a plain file; give the name of a new file, or - for the standard output")
    if not force:
        raise StoreError(f"{path}: exists; choose another name, or --force to replace it")


def _check_parent(path: Path) -> None:
    """Check that the nearest folder above that exists takes new files."""
    above = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    if not above.is_dir():
        raise StoreError(f"{path}: cannot be made, as {above} is not a folder; choose another folder")
    with tempfile.TemporaryFile(dir=above):
        pass


def _is_locked(path: Path) -> bool:
    """Say whether a living run holds this file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
