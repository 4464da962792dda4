"""The record store: the file that a run's events go into, one whole record at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Self

import numpy as np

from kernels.records import EVENT_BYTES
from vision.errors import DeviceError, StoreError
from vision.record.files import RECORDS, RECORDS_PART
from vision.record.header import Header, encode


class RecordWriter:
    """Write a run's events: `events.gtr.part` while it lasts, `events.gtr` once it is closed.

    Only whole records are written, each append in one call, so that a killed run leaves a file that can be read.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = Path(path)
        self.part = self.path.with_name(self.path.name + RECORDS_PART.removeprefix(RECORDS))
        self._dtypes = [entry.dtype for entry in header.rules]
        self._context = header.context_id
        self._end_bytes = 0
        if os.path.lexists(self.path):
            raise StoreError(f"{self.path}: exists; a run is never added to, choose another folder")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file: int | None = os.open(self.part, flags, 0o600)
        except OSError as error:
            raise StoreError(f"{self.part}: cannot be made ({error.strerror})") from None
        # Where the file system has no locks, the exclusive creation above still keeps a second run out.
        with contextlib.suppress(OSError):
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._put(encode(header))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, events: np.ndarray, rule: int) -> None:
        """Write events of one rule, in their order: EVENT[n] of that rule with every field filled."""
        dtype = self._dtypes[rule]
        if events.dtype != dtype:
            raise ValueError(f"rule {rule}: events have {events.dtype}; its header says {dtype}")
        if (events["rule"] != rule).any() or (events["context"] != self._context).any():
            raise ValueError(f"rule {rule}: an event carries another rule's number or another run's context")
        records = np.zeros((len(events), EVENT_BYTES), np.uint8)
        records[:, : dtype.itemsize] = np.ascontiguousarray(events).view(np.uint8).reshape(len(events), dtype.itemsize)
        self._put(records.tobytes())

    def close(self) -> None:
        """Make the records last and give the file its name; a second call does nothing."""
        if self._file is None:
            return
        descriptor, self._file = self._file, None
        try:
            os.ftruncate(descriptor, self._end_bytes)
            os.fsync(descriptor)
            os.replace(self.part, self.path)
            _sync_folder(self.path.parent)
        except OSError as error:
            raise DeviceError(f"{self.path}: cannot be finished ({error.strerror}); see {self.part}") from None
        finally:
            os.close(descriptor)

    def discard(self) -> None:
        """Remove the file, as its run came to nothing; after `close` this does nothing."""
        if self._file is None:
            return
        descriptor, self._file = self._file, None
        os.close(descriptor)
        self.part.unlink(missing_ok=True)

    def _put(self, data: bytes) -> None:
        """Write at the end of the last whole record: what an interrupted call left there is overwritten."""
        if self._file is None:
            raise ValueError(f"{self.path}: is closed")
        done = 0
        try:
            while done < len(data):
                done += os.pwrite(self._file, data[done:], self._end_bytes + done)
        except OSError as error:
            raise DeviceError(
                f"{self.part}: cannot be written ({error.strerror}); its {self._end_bytes} bytes are valid, make room"
            ) from None
        self._end_bytes += done


def _sync_folder(folder: Path) -> None:
    """Make a new name last, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
