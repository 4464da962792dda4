"""Read a video file frame by frame: one gate, one clock, one numbering, for workers and for a second pass alike.

What happens to damage in the middle of a file:

- A packet that the decoder refuses is counted (`undecodable`) and skipped. It was never a frame, so it is not in the
  accounts of frames. LONGEST_RUN of them in a row, or at the end more than MOST_SHARE of all, make the file an error.
- A frame that the decoder repaired is used and counted (`repaired`).
- A picture of another size, a read error, or a last packet that is cut off end the reading with SourceError, after the
  good frames were given out; the message says how far it got.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import TracebackType

import av
from av.packet import Packet

from vision.clock import Instant, StreamClock
from vision.decode.gate import DAMAGE, StreamInfo, check_size, declared_fps, native, open_video, shown
from vision.errors import SourceError

#: Undecodable packets in a row that end the reading, and their share of all packets that makes the file an error.
LONGEST_RUN = 100
MOST_SHARE = 0.1


class VideoReader:
    """A video file, opened and with its first frame decoded; iterate for (frame, number, instant).

    `number` counts decoded frames from 0, also those that the clock refuses and that are not given out:
    decoded = given out + sum(clock.dropped). SourceError when the file is no video, or at the point where it breaks.
    """

    def __init__(self, path: str | os.PathLike[str], threads: int = 1) -> None:
        self.name = shown(path)
        self.decoded = self.undecodable = self.repaired = 0
        self._packets = self._run = 0
        self._container, self._stream = open_video(path, threads)
        try:
            fps = declared_fps(self._stream)
            wrap_bits = 33 if self._container.format.name in ("mpegts", "mpeg") else None
            self.clock = StreamClock(self._stream.time_base, 1.0 / fps, wrap_bits)
            self._frames = self._decode()
            first = next(self._frames, None)
            if first is None:
                raise SourceError(f"video {self.name} holds no picture that can be decoded: give another file")
            check_size(self.name, first.width, first.height)
            self._first: av.VideoFrame | None = first
            self.info = self._describe(first, fps)
        except BaseException:
            self.close()
            raise

    def _describe(self, first: av.VideoFrame, fps: float) -> StreamInfo:
        stream = self._stream
        duration_s = None
        if stream.duration is not None and stream.time_base:
            duration_s = float(stream.duration * stream.time_base)
        elif self._container.duration is not None:
            duration_s = self._container.duration / av.time_base
        return StreamInfo(
            first.width,
            first.height,
            fps,
            duration_s if duration_s and duration_s > 0 else None,
            stream.frames or None,
            stream.codec_context.name,
            first.format.name,
            int(first.rotation),
        )

    def __iter__(self) -> Iterator[tuple[av.VideoFrame, int, Instant]]:
        """Give each frame that the clock accepts, with its number and its instant; once."""
        size = (self.info.width_px, self.info.height_px)
        frame, self._first = self._first, None
        while frame is not None:
            if (frame.width, frame.height) != size:
                raise SourceError(
                    f"video {self.name}: the picture changes from {size[0]}x{size[1]} to "
                    f"{frame.width}x{frame.height} px at frame {self.decoded}; one size a file is read: cut it there"
                )
            number = self.decoded
            self.decoded += 1
            self.repaired += frame.is_corrupt
            instant = self.clock.stamp(frame.pts)
            if instant is not None:
                yield frame, number, instant
            frame = next(self._frames, None)
        refused = sum(self.clock.dropped.values())
        if refused and refused == self.decoded - 1:
            raise SourceError(f"video {self.name} has a length of 0 s: its {self.decoded} frames are at one time")

    def _decode(self) -> Iterator[av.VideoFrame]:
        cut_off = False
        for packet in self._demux():
            self._packets += packet.size > 0
            cut_off = packet.is_corrupt if packet.size else cut_off
            try:
                frames = packet.decode()
                self._run = 0
            except DAMAGE as error:
                self._refused(error)
                continue
            yield from frames
        if cut_off:
            raise SourceError(f"video {self.name} is cut off: its last packet is not complete, {self._so_far()}")
        if self.undecodable > MOST_SHARE * self._packets and self.decoded:
            raise SourceError(
                f"video {self.name} is damaged: {self.undecodable} of {self._packets} packets cannot be decoded; "
                f"allowed are {MOST_SHARE:.0%}"
            )

    def _demux(self) -> Iterator[Packet]:
        try:
            yield from self._container.demux(self._stream)
        except DAMAGE as error:
            raise SourceError(f"video {self.name} cannot be read on ({native(error)}), {self._so_far()}") from None

    def _refused(self, error: BaseException) -> None:
        self.undecodable += 1
        self._run += 1
        if self._run >= LONGEST_RUN:
            raise SourceError(
                f"video {self.name} is damaged: {self._run} packets in a row cannot be decoded ({native(error)}), "
                f"{self._so_far()}"
            ) from None

    def _so_far(self) -> str:
        return f"{self.decoded} frames were read before"

    def close(self) -> None:
        """Close the file; frames given out stay valid."""
        self._frames = iter(())
        self._container.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def decode_frames(path: str | os.PathLike[str], threads: int = 1) -> Iterator[tuple[av.VideoFrame, int, float]]:
    """Decode a video file in this process: give (frame, number, time in s on the stream's clock) of accepted frames.

    Numbers and times are those that a DecodeWorker gives for the same file. SourceError as VideoReader raises it.
    """
    with VideoReader(path, threads) as reader:
        for frame, number, instant in reader:
            yield frame, number, instant.time_s
