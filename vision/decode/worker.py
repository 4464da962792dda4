"""A decode worker as its owner sees it: start, read frames, release their slots, close.

The worker is a process of its own, started afresh (not forked), so that a hostile or broken stream can only end it and
not the run. Frames come through shared memory; an 8-byte message says which slot is filled. A file waits for a free
slot, so its frames are dropped for two reasons only: the clock refused them, or the owner stopped before reading them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from types import TracebackType

import numpy as np

from vision.clock import REASONS
from vision.decode import wire
from vision.decode.gate import StreamInfo, shown
from vision.decode.slots import MAX_SLOTS, SlotRing, create_memory, ring_bytes
from vision.errors import DeviceError, GantryError, SourceError
from vision.frame import FitSpec, Frame

#: Reasons that are counted on this side.
STOPPED = "stopped"  # decoded, but the owner closed before reading it
LOST = "lost"  # decoded, but the worker died before handing it over

#: How long a worker gets to end after its socket was closed, before it is killed.
END_TIMEOUT_S = 0.5

_BOOT = "import sys; sys.path[:] = sys.argv[3:]; from vision.decode.child import main; main(*map(int, sys.argv[1:3]))"


class DecodeWorker:
    """A process that decodes one video file into slots of shared memory.

    `lamp_boxes` i4[n, 3, 4] holds x1, y1, x2, y2 of each signal's red, amber and green lamp in source px, -1 where
    absent. `slots` frames (1 to 255) may be held at once. `threads` is the number of decoder threads, 0 for all cores.

    After `close`, decoded = frames read + sum(dropped.values()).
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        spec: FitSpec,
        lamp_boxes: np.ndarray | None = None,
        slots: int = 8,
        threads: int = 1,
    ) -> None:
        if not 1 <= slots <= MAX_SLOTS:
            raise ValueError(f"slots = {slots}; allowed are 1 to {MAX_SLOTS}")
        if spec.layout == "i420" and (spec.width_px % 2 or spec.height_px % 2):
            raise ValueError(f"a picture of {spec.width_px}x{spec.height_px} px as i420; both must be even")
        boxes = np.zeros((0, 3, 4), np.int32) if lamp_boxes is None else np.asarray(lamp_boxes, np.int32)
        if boxes.ndim != 3 or boxes.shape[1:] != (3, 4):
            raise ValueError(f"lamp_boxes has shape {boxes.shape}; allowed is (n, 3, 4)")
        self.spec, self._boxes, self._slots, self._threads = spec, boxes, slots, threads
        self._path = os.path.abspath(os.fspath(path))
        self._name = shown(path)
        self.info: StreamInfo | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self._ring: SlotRing | None = None
        self._at_end = self._died = False
        self._read = 0

    def start(self, timeout_s: float = 30.0) -> StreamInfo:
        """Start the process and return what the video is, once its first frame was decoded.

        SourceError when it is no video, DeviceError when the process dies or says nothing for timeout_s.
        """
        self.launch()
        return self.opened(timeout_s)

    def launch(self) -> None:
        """Start the process and return at once; `opened` waits for it. Several workers start side by side that way."""
        n_signals = len(self._boxes)
        memory = create_memory(ring_bytes(self.spec, n_signals, self._slots))
        ours, theirs = socket.socketpair()
        try:
            self._ring = SlotRing(memory, self.spec, n_signals, self._slots)
            self._process = _spawn(theirs.fileno(), memory)
        except OSError as error:
            ours.close()
            raise DeviceError(f"decode worker of {self._name} cannot be started: {error.strerror}") from None
        finally:
            theirs.close()
            os.close(memory)
        self._sock = ours
        self._receiver = wire.Receiver(ours)
        request = {
            "path": self._path,
            "spec": tuple(self.spec),
            "boxes": self._boxes.ravel().tolist(),
            "slots": self._slots,
            "threads": self._threads,
        }
        with contextlib.suppress(ConnectionError):  # dead already: the first read says so
            ours.sendall(json.dumps(request).encode() + b"\n")

    def opened(self, timeout_s: float = 30.0) -> StreamInfo:
        """Wait until the video is open and return what it is; errors as for `start`."""
        kind, _, payload = self._take(timeout_s)
        if kind != wire.INFO:
            self._nonsense(f"message {kind} before the stream's description")
        try:
            self.info = StreamInfo(*json.loads(payload))
        except (ValueError, TypeError):
            self._nonsense("a description that cannot be read")
        assert self.info is not None
        return self.info

    def read(self, timeout_s: float = 30.0) -> Frame | None:
        """Return the next frame, None at the end of the video; release each frame so that its slot is used again.

        SourceError where the video breaks, DeviceError when the process dies or says nothing for timeout_s.
        """
        if self._at_end:
            return None
        kind, slot, _ = self._take(timeout_s)
        if kind == wire.DONE:
            self._at_end = True
            return None
        assert self._ring is not None
        if kind != wire.FRAME or slot >= self._slots:
            self._nonsense(f"message {kind} of slot {slot}")
        self._read += 1
        head = self._ring.header[slot][0]
        return Frame(
            int(head["frame"]),
            float(head["time_s"]),
            int(head["epoch"]),
            slot,
            self._ring.planes[slot],
            self._ring.lamps[slot],
        )

    def release(self, frame: Frame) -> None:
        """Give a frame's slot back to the worker; its views are overwritten from now on."""
        if self._sock is not None:
            with contextlib.suppress(ConnectionError):  # dead: the next read says so
                self._sock.sendall(bytes((frame.slot,)))

    def close(self) -> None:
        """End the process and settle the counts; frames that were decoded and not read are dropped as "stopped"."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        if self._process is not None and self._process.poll() is None:
            try:
                self._process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._at_end = True

    @property
    def decoded(self) -> int:
        """Frames decoded so far; final after `close`."""
        return self._count("decoded")

    @property
    def dropped(self) -> dict[str, int]:
        """Frames that were decoded and not read, by each reason that struck; complete after `close`."""
        counts = {reason: self._count(reason) for reason in REASONS}
        if self._at_end:
            counts[LOST if self._died else STOPPED] = self.decoded - self._read - sum(counts.values())
        return {reason: count for reason, count in counts.items() if count}

    @property
    def notes(self) -> dict[str, int]:
        """What else was counted: times "guessed", packets "undecodable", frames "repaired" by the decoder."""
        return {name: self._count(name) for name in ("guessed", "undecodable", "repaired") if self._count(name)}

    def _count(self, name: str) -> int:
        return int(self._ring.counts[name]) if self._ring is not None else 0

    def _take(self, timeout_s: float) -> tuple[int, int, bytes]:
        if self._sock is None:
            raise DeviceError(f"decode worker of {self._name} is not running: call start first")
        try:
            kind, slot, payload = self._receiver.take(timeout_s)
        except TimeoutError:
            raise self._fail(f"said nothing for {timeout_s:g} s") from None
        except EOFError:
            raise self._fail(self._death()) from None
        except wire.WireError as error:
            raise self._fail(f"sent {error}") from None
        if kind == wire.FAILED_SOURCE:
            self.close()
            raise SourceError(payload.decode("utf-8", "replace"))
        if kind == wire.FAILED_DEVICE:
            raise self._fail(f"failed: {payload.decode('utf-8', 'replace')}")
        return kind, slot, payload

    def _nonsense(self, what: str) -> None:
        raise self._fail(f"sent {what}")

    def _fail(self, what: str) -> GantryError:
        self._died = True
        self.close()
        frame = f" after frame {self._read - 1}" if self._read else ""
        return DeviceError(f"decode worker of {self._name} {what}{frame}: try again, or try the video in a player")

    def _death(self) -> str:
        assert self._process is not None
        try:
            code = self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return "closed its connection"
        if code >= 0:
            return f"ended with exit code {code}"
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
        return f"was ended by signal {-code}"

    def __enter__(self) -> DecodeWorker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _spawn(socket_fd: int, memory_fd: int) -> subprocess.Popen[bytes]:
    # Not multiprocessing: its children import the program's main module, with everything in it, and its shared memory
    # has a name that outlives a killed owner. -I and -S: this path and nothing else decides what the child imports.
    path = [entry for entry in sys.path if isinstance(entry, str)]
    command = [sys.executable, "-I", "-S", "-c", _BOOT, str(socket_fd), str(memory_fd), *path]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(socket_fd, memory_fd),
        process_group=0,  # Ctrl-C in a terminal is for the parent alone
    )
