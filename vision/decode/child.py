"""The child of a decode worker: one process that decodes one video and fills slots, until it is told nothing more.

It imports PyAV first and the kernels only once the file is known to be video: a wrong file is reported sooner, and the
parent prepares its network meanwhile. It never outlives its parent.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading

import numpy as np

from vision.decode import wire
from vision.decode.reader import VideoReader
from vision.decode.slots import SlotRing
from vision.errors import SourceError
from vision.frame import FitSpec


def main(socket_fd: int, memory_fd: int) -> None:
    """Serve the parent at the other end of `socket_fd`, with frames in the memory `memory_fd`."""
    # Ctrl-C reaches the whole group of processes; what happens then is the parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sock = socket.socket(fileno=socket_fd)
    threading.Thread(target=_end_with_parent, args=(socket_fd,), daemon=True).start()
    try:
        _serve(sock, memory_fd)
        wire.send(sock, wire.DONE)
    except SourceError as error:
        wire.send(sock, wire.FAILED_SOURCE, payload=str(error).encode("utf-8", "replace"))
    except ConnectionError:
        return  # the parent is gone, or wants no more
    except Exception as error:
        line = " ".join(f"{type(error).__name__}: {error}".split())[:400]
        wire.send(sock, wire.FAILED_DEVICE, payload=line.encode("utf-8", "replace"))
    # All is said and closed; an interpreter with numba in it takes its time to be taken down.
    os._exit(0)


def _end_with_parent(fd: int) -> None:
    # Without events asked for, poll reports only that the other end is closed. The main thread may be deep in a decoder
    # that a hostile file holds, so nothing is unwound.
    watch = select.poll()
    watch.register(fd, 0)
    watch.poll()
    os._exit(0)


def _serve(sock: socket.socket, memory_fd: int) -> None:
    request = json.loads(_line(sock))
    with VideoReader(request["path"], request["threads"]) as reader:
        wire.send(sock, wire.INFO, payload=json.dumps(reader.info).encode())
        # numba would import scipy, where it is installed, for a BLAS that no kernel calls: a quarter of a second.
        sys.modules.setdefault("scipy", None)  # type: ignore[arg-type]
        from vision.decode.fit import Fitter  # compiled kernels: half a second that only a real video needs

        spec = FitSpec(*request["spec"])
        boxes = np.array(request["boxes"], np.int32).reshape(-1, 3, 4)
        ring = SlotRing(memory_fd, spec, len(boxes), request["slots"])
        fitter = Fitter(spec, reader.info.width_px, reader.info.height_px, boxes)
        for planes in ring.planes:
            fitter.pad(planes)
        free = list(range(request["slots"]))
        for frame, number, instant in reader:
            _count(ring, reader)
            if not free:
                free += sock.recv(256)
                if not free:
                    return
            slot = free.pop()
            fitter.fit(frame, ring.planes[slot], ring.lamps[slot])
            ring.header[slot][0] = (instant.time_s, number, instant.epoch, 0, slot, 0, 0)
            wire.send(sock, wire.FRAME, slot)
        _count(ring, reader)


def _count(ring: SlotRing, reader: VideoReader) -> None:
    clock = reader.clock
    # First the whole, then its parts: killed in between, the rest of the sum is still not negative.
    ring.counts["decoded"] = reader.decoded
    ring.counts["time_repeated"] = clock.dropped["time_repeated"]
    ring.counts["time_backwards"] = clock.dropped["time_backwards"]
    ring.counts["guessed"] = clock.guessed
    ring.counts["undecodable"] = reader.undecodable
    ring.counts["repaired"] = reader.repaired


def _line(sock: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        part = sock.recv(65_536)
        if not part:
            raise ConnectionError
        data += part
    return data
