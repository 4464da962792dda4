"""The gate: which file may be opened as video, how, and what is said when it may not.

Only regular local files pass, and only containers of video: a playlist, a list of files, a picture or a text is refused
by name of its format, so no file can make another one, or an address, be opened.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from vision.decode.intact import what_is_missing
from vision.errors import SourceError

#: Containers that are read; a name each as FFmpeg has it.
FORMATS = (
    "mov,mp4,matroska,webm,mpegts,mpeg,avi,flv,live_flv,asf,ogg,nut,mxf,gxf,dv,rm,wtv,dhav,ifv,ivf,obu,"
    "h264,hevc,vvc,av1,vc1,m4v,mpegvideo,h261,h263,mjpeg,yuv4mpegpipe"
)

#: The largest picture that is decoded: 8K with a margin. A frame of it takes 53 MB.
MAX_PIXELS = 8192 * 4352

#: Frame rate that is taken where a stream declares none, or an absurd one.
DEFAULT_FPS = 25.0
FPS_RANGE = (0.05, 1000.0)

_KINDS = (
    (stat.S_ISDIR, "is a folder"),
    (stat.S_ISFIFO, "is a pipe"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)

#: What PyAV raises on damaged files: its own errors, and these from reading what the file claims.
DAMAGE = (av.error.FFmpegError, IndexError, UnicodeDecodeError, ValueError, OverflowError)


class StreamInfo(NamedTuple):
    """What is known of a video once its first frame was decoded.

    `duration_s` and `frames` are what the file declares, None where it does not; they may be wrong. `rotation_deg` is
    what a player would turn the picture by: Gantry works on the picture as coded, with square pixels.
    """

    width_px: int
    height_px: int
    fps: float
    duration_s: float | None
    frames: int | None
    codec: str
    pix_fmt: str
    rotation_deg: int


def shown(path: str | os.PathLike[str]) -> str:
    """Return a path for a message: quoted, on one line, control characters escaped, at most 200 characters."""
    text = repr(os.fspath(path))
    return text if len(text) <= 200 else f"{text[:120]}...{text[-70:]}"


def check_file(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a regular file that is not empty and not cut off; SourceError otherwise."""
    name = shown(path)
    try:
        state = os.stat(path)
        for is_kind, words in _KINDS:
            if is_kind(state.st_mode):
                raise SourceError(f"video {name} {words}: give a video file")
        if state.st_size == 0:
            raise SourceError(f"video {name} is empty (0 bytes): give a video file")
        with open(path, "rb") as file:
            missing = what_is_missing(file, state.st_size)
    except FileNotFoundError:
        raise SourceError(f"video {name} does not exist: give the path of a video file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceError(f"video {name} cannot be opened: {reason}") from None
    if missing:
        raise SourceError(f"video {name} is cut off: {missing}; copy or record it again")
    return Path(os.path.abspath(path))


def open_video(path: str | os.PathLike[str], threads: int = 1) -> tuple[InputContainer, VideoStream]:
    """Open a video file behind the gate and return its container and its video stream, ready to decode.

    `threads` is the number of decoder threads, 0 for as many as the machine has. SourceError when it is no video.
    """
    real = check_file(path)
    name = shown(path)
    try:
        # "file:" keeps a name such as "concat:a|b" a name; invalid UTF-8 in tags is no reason to refuse a video.
        container = av.open(
            f"file:{real}",
            "r",
            metadata_errors="replace",
            container_options={"format_whitelist": FORMATS, "protocol_whitelist": "file"},
        )
    except DAMAGE as error:
        raise SourceError(
            f"video {name} cannot be read as video ({native(error)}): give an mp4, mkv, ts, avi ..."
        ) from None
    try:
        return container, _video_stream(container, name, threads)
    except BaseException:
        container.close()
        raise


def _video_stream(container: InputContainer, name: str, threads: int) -> VideoStream:
    pictures = av.stream.Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & pictures]
    if not streams:
        held = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise SourceError(f"video {name} holds no video stream (it holds: {held}): give a video file")
    best = container.streams.best("video")
    stream = best if best in streams else streams[0]
    context = stream.codec_context
    if context is None:
        raise SourceError(
            f"video {name} has a codec that this PyAV {av.__version__} cannot decode: convert it to H.264"
        )
    check_size(name, context.width, context.height)
    if stream.duration == 0 or (stream.duration is None and container.duration == 0):
        raise SourceError(f"video {name} has a length of 0 s: give a video that lasts")
    # Given to `av.open`, this option is ignored; here it also holds for a size that changes in mid-stream.
    context.options = {"max_pixels": str(MAX_PIXELS)}
    context.thread_count = threads
    context.thread_type = "SLICE" if threads == 1 else "AUTO"
    return stream


def check_size(name: str, width_px: int, height_px: int) -> None:
    """Raise SourceError when a picture has more pixels than are decoded; `name` is the video's, as shown."""
    if width_px * height_px > MAX_PIXELS:
        raise SourceError(
            f"video {name} has pictures of {width_px}x{height_px} px; allowed are {MAX_PIXELS} px in all (8192x4352): "
            "scale it down"
        )


def declared_fps(stream: VideoStream) -> float:
    """Return the frame rate a stream declares in frames a second, DEFAULT_FPS where it declares none in FPS_RANGE."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and FPS_RANGE[0] <= rate <= FPS_RANGE[1]:
            return float(rate)
    return DEFAULT_FPS


def native(error: BaseException) -> str:
    """Return in one line what FFmpeg or PyAV said, without the path it repeats."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:160]
