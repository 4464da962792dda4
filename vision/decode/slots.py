"""Frame slots in shared memory: where a worker puts fitted frames, and where it keeps its counts.

The memory has no name (memfd, or an unlinked file), so nothing is left behind whatever dies. Layout: one line of
COUNTS, then the slots; a slot is a FRAME record, the lamps and the planes, each at a multiple of 64 bytes.
"""

from __future__ import annotations

import mmap
import os
import tempfile

import numpy as np

from kernels.records import FRAME, LAMP, LAMPS
from vision.frame import FitSpec

#: Alignment of everything in the memory: a cache line.
LINE_BYTES = 64

#: Most slots of a worker: a slot's number travels in one byte.
MAX_SLOTS = 255

#: A worker's running counts. They stand in the shared memory, so that they are right even when the worker is killed.
COUNTS = np.dtype(
    [
        ("decoded", "<u8"),
        ("time_repeated", "<u8"),
        ("time_backwards", "<u8"),
        ("guessed", "<u8"),
        ("undecodable", "<u8"),
        ("repaired", "<u8"),
    ]
)


def _lines(size_bytes: int) -> int:
    return -(-size_bytes // LINE_BYTES) * LINE_BYTES


class SlotRing:
    """Views of the slots in a shared memory of `n_slots` slots for frames of `spec` with the lamps of `n_signals`.

    `header[slot]` FRAME, `lamps[slot]` LAMP[n_signals, 3], `planes[slot]` u1 of spec.shape; `counts` one COUNTS row.
    """

    def __init__(self, fd: int, spec: FitSpec, n_signals: int, n_slots: int) -> None:
        memory = mmap.mmap(fd, ring_bytes(spec, n_signals, n_slots))
        self.counts = np.frombuffer(memory, COUNTS, 1)[0]
        self.header: list[np.ndarray] = []
        self.lamps: list[np.ndarray] = []
        self.planes: list[np.ndarray] = []
        offset = _lines(COUNTS.itemsize)
        lamps_bytes, plane_bytes = n_signals * len(LAMPS) * LAMP.itemsize, int(np.prod(spec.shape))
        for _ in range(n_slots):
            self.header.append(np.frombuffer(memory, FRAME, 1, offset))
            offset += _lines(FRAME.itemsize)
            lamps = np.frombuffer(memory, LAMP, n_signals * len(LAMPS), offset)
            self.lamps.append(lamps.reshape(n_signals, len(LAMPS)))
            offset += _lines(lamps_bytes)
            self.planes.append(np.frombuffer(memory, np.uint8, plane_bytes, offset).reshape(spec.shape))
            offset += _lines(plane_bytes)


def ring_bytes(spec: FitSpec, n_signals: int, n_slots: int) -> int:
    """Return the size of the shared memory in bytes."""
    lamps_bytes = n_signals * len(LAMPS) * LAMP.itemsize
    slot = _lines(FRAME.itemsize) + _lines(lamps_bytes) + _lines(int(np.prod(spec.shape)))
    return _lines(COUNTS.itemsize) + n_slots * slot


def create_memory(size_bytes: int) -> int:
    """Return the file descriptor of a new, zeroed, nameless shared memory; the caller closes it."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("gantry-slots")
    else:  # not Linux
        fd, name = tempfile.mkstemp(prefix="gantry-slots-")
        os.unlink(name)
    try:
        os.ftruncate(fd, size_bytes)
    except OSError:
        os.close(fd)
        raise
    return fd
