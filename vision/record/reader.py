"""Read record files back: every field as the file's own header describes it, so that old files stay readable."""

from __future__ import annotations

import os
import stat
from functools import cached_property
from pathlib import Path

import numpy as np

from kernels.records import EVENT_BYTES
from vision.errors import StoreError
from vision.record.files import RECORDS, RECORDS_PART
from vision.record.header import FRONT, MAGIC, Header, decode


class Records:
    """The events of a run, in the order in which its frames were judged; arrays are read-only.

    `torn_bytes` counts what a cut-off run left behind its last whole record. `finished` is False for a run that was
    killed.
    """

    def __init__(self, path: Path, header: Header, raw: np.ndarray, torn_bytes: int, finished: bool) -> None:
        self.path = path
        self.header = header
        self.raw = raw  # u1[n, 64]
        self.torn_bytes = torn_bytes
        self.finished = finished

    def __len__(self) -> int:
        return len(self.raw)

    @cached_property
    def base(self) -> np.ndarray:
        """The common fields of all records, [n]; named as in the file."""
        return self._view(self.raw, self.header.base_dtype)

    @property
    def note(self) -> str | None:
        """What a user should know of this file, in one line; None for a whole one."""
        if self.torn_bytes:
            return f"{self.path}: the run was cut off; its last {self.torn_bytes} bytes are no whole record, left out"
        return None if self.finished else f"{self.path}: the run was cut off, or has not ended yet"

    def positions(self, rule: int) -> np.ndarray:
        """Return where the events of a rule are among all, rising."""
        return np.flatnonzero(self.base["rule"] == rule)

    def by_rule(self, rule: int) -> np.ndarray:
        """Return the events of a rule, with its own fields, in their order."""
        return self.rows(rule, self.positions(rule))

    def rows(self, rule: int, positions: np.ndarray) -> np.ndarray:
        """Return the events at these positions, all of one rule, with its own fields."""
        return self._view(self.raw[positions], self.header.rules[rule].dtype)

    @staticmethod
    def _view(raw: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """See the front of each record as a row of `dtype`, without a copy."""
        padded = np.dtype(
            {
                "names": list(dtype.names or ()),
                "formats": [dtype[name] for name in dtype.names or ()],
                "offsets": [dtype.fields[name][1] for name in dtype.names or ()] if dtype.fields else [],
                "itemsize": EVENT_BYTES,
            }
        )
        return raw.reshape(-1).view(padded)


def open_records(path: str | os.PathLike[str]) -> Records:
    """Read a run's records from its folder or file; a StoreError says where it is damaged."""
    place = _find(Path(path))
    data = _read(place)
    header, start = decode(data, str(place))
    n, torn_bytes = divmod(len(data) - start, EVENT_BYTES)
    raw = np.frombuffer(data, np.uint8, n * EVENT_BYTES, start).reshape(n, EVENT_BYTES)
    # A file system may hand back zeros for the last blocks after a power cut; no record is all zeros.
    whole = n
    while whole and not raw[whole - 1].any():
        whole -= 1
    torn_bytes += (n - whole) * EVENT_BYTES
    finished = place.name.endswith(RECORDS_PART.removeprefix(RECORDS)) is False
    records = Records(place, header, raw[:whole], torn_bytes, finished)
    _check(records, start)
    return records


def _check(records: Records, start: int) -> None:
    base, header = records.base, records.header
    allowed = {
        "context": (base["context"] == header.context_id, f"{header.context_hex}, this run's"),
        "rule": (base["rule"] < len(header.rules), f"below {len(header.rules)}"),
        "camera": (base["camera"] < len(header.tables["camera"]), f"below {len(header.tables['camera'])}"),
        "class_id": (base["class_id"] < len(header.tables["class"]), f"below {len(header.tables['class'])}"),
        "time_s": (np.abs(base["time_s"]) < 1e11, "finite"),
    }
    for name, (fine, limit) in allowed.items():
        if not fine.all():
            bad = int(np.argmin(fine))
            raise StoreError(
                f"{records.path}: is damaged at byte {start + bad * EVENT_BYTES}: record {bad} has "
                f"{name} = {base[name][bad]}; allowed: {limit}"
            )


def _find(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in (RECORDS, RECORDS_PART):
        if (path / name).exists():
            return path / name
    raise StoreError(f"{path}: holds no run: there is no {RECORDS} in it; give a folder that gantry replay wrote")


def _read(path: Path) -> bytes:
    """Read a file whole, once its first bytes say that it is one of ours."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise StoreError(f"{path}: is not a plain file; give a run's folder or its {RECORDS}")
            front = stream.read(FRONT.size)
            return front + (stream.read() if front.startswith(MAGIC) else b"")
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror})") from None
