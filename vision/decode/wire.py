"""Messages between a decode worker's child and its parent: 8 bytes each, and a payload where there is more to tell.

child -> parent: INFO (JSON of StreamInfo), FRAME (slot), DONE, FAILED_* (one line). parent -> child: a JSON request
first, then one byte for each slot that is free again. A closed socket means: the other one is gone.
"""

from __future__ import annotations

import select
import socket
import struct
import time

HEAD = struct.Struct("<BBHI")  # kind, slot, spare, bytes of payload
INFO, FRAME, DONE, FAILED_SOURCE, FAILED_DEVICE = range(5)

#: The longest payload that is believed: a child that decodes hostile video is not trusted.
MAX_PAYLOAD_BYTES = 65_536


class WireError(Exception):
    """The other side sent what no side sends."""


def send(sock: socket.socket, kind: int, slot: int = 0, payload: bytes = b"") -> None:
    """Send one message; OSError when the other side is gone."""
    sock.sendall(HEAD.pack(kind, slot, 0, len(payload)) + payload)


class Receiver:
    """Take messages from a socket, waiting at most a given time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._buffer = bytearray()

    def take(self, timeout_s: float) -> tuple[int, int, bytes]:
        """Return (kind, slot, payload); TimeoutError after timeout_s, EOFError when the other side is gone."""
        deadline = time.monotonic() + timeout_s
        while True:
            if len(self._buffer) >= HEAD.size:
                kind, slot, _, size = HEAD.unpack_from(self._buffer)
                if size > MAX_PAYLOAD_BYTES:
                    raise WireError(f"a message of {size} bytes; allowed are {MAX_PAYLOAD_BYTES}")
                if len(self._buffer) >= HEAD.size + size:
                    payload = bytes(self._buffer[HEAD.size : HEAD.size + size])
                    del self._buffer[: HEAD.size + size]
                    return kind, slot, payload
            left_s = deadline - time.monotonic()
            if not self._poll.poll(max(0.0, left_s) * 1000):
                raise TimeoutError
            try:
                data = self._sock.recv(65_536)
            except ConnectionError:
                data = b""
            if not data:
                raise EOFError
            self._buffer += data
