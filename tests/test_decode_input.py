"""Bad input: each file that is no whole video is refused with one line, and what was readable is accounted for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from videos import audio_only, joined_video, stamped, tiny_video

from vision.decode import gate
from vision.decode.reader import LONGEST_RUN, VideoReader, decode_frames
from vision.decode.worker import DecodeWorker
from vision.errors import SourceError
from vision.frame import FitSpec

I420 = FitSpec(128, 96)


def numbers_of(path: Path | str, numbers: list[int]) -> None:
    """Append the number of each frame of a video, until it ends or breaks."""
    for _, number, _ in decode_frames(path):
        numbers.append(number)


def cut(path: Path, size: int) -> Path:
    path.write_bytes(path.read_bytes()[:size])
    return path


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def faststart(d: Path) -> Path:
    return tiny_video(d / "v.mp4", n=60, container_options={"movflags": "faststart"})


def png(d: Path) -> Path:
    with av.open(str(d / "v.png"), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())
    return d / "v.png"


def playlist(d: Path) -> Path:
    tiny_video(d / "v.ts")
    text = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.8,\nv.ts\n#EXT-X-ENDLIST\n"
    return written(d / "list.m3u8", text.encode())


BAD: dict[str, tuple[Callable[[Path], Path | str], str]] = {
    "missing": (lambda d: d / "no.mp4", "does not exist"),
    "empty": (lambda d: written(d / "v.mp4", b""), "is empty"),
    "folder": (lambda d: d, "is a folder"),
    "pipe": (lambda d: fifo(d / "v.mp4"), "is a pipe"),
    "device": (lambda d: "/dev/zero", "is a device"),
    "address": (lambda d: "http://127.0.0.1:9/v.mp4", "does not exist"),
    "protocol": (lambda d: f"concat:{tiny_video(d / 'v.ts')}|{d / 'v.ts'}", "does not exist"),
    "NUL": (lambda d: "a\0b.mp4", "cannot be opened"),
    "long name": (lambda d: d / ("x" * 5000), "cannot be opened"),
    "text": (lambda d: written(d / "v.txt", b"hello world\n" * 100), "cannot be read as video"),
    "text named mp4": (lambda d: written(d / "v.mp4", b"hello world\n" * 100), "cannot be read as video"),
    "picture": (png, "cannot be read as video"),
    "playlist": (playlist, "cannot be read as video"),
    "list of files": (
        lambda d: written(d / "l.txt", f"ffconcat version 1.0\nfile '{tiny_video(d / 'v.mp4').name}'\n".encode()),
        "cannot be read as video",
    ),
    "sound only": (lambda d: audio_only(d / "v.mp4"), "no video stream .it holds: audio"),
    "mp4 without index": (lambda d: cut(tiny_video(d / "v.mp4", n=60), 15_000), "is cut off: .* bytes are missing"),
    "fragments cut": (
        lambda d: cut(
            tiny_video(d / "v.mp4", n=60, container_options={"movflags": "frag_keyframe+empty_moov"}), 20_000
        ),
        "is cut off",
    ),
    "mkv cut": (lambda d: cut(tiny_video(d / "v.mkv", n=60), 20_000), "is cut off"),
    "avi cut": (lambda d: cut(tiny_video(d / "v.avi", n=60, codec="mpeg4"), 5000), "is cut off"),
    "flv cut": (lambda d: cut(tiny_video(d / "v.flv", n=60), 20_000), "is cut off: its last packet"),
    "mp4 cut in its video": (lambda d: cut(faststart(d), 20_000), "is cut off: .* bytes are missing"),
    "head of a transport stream": (lambda d: cut(tiny_video(d / "v.ts"), 600), "holds no picture|cannot be read"),
    "too large": (
        lambda d: written(d / "v.y4m", b"YUV4MPEG2 W8704 H4352 F25:1 Ip A1:1 C420\nFRAME\n"),
        "8704x4352 px; allowed",
    ),
    "size changes": (lambda d: joined_video(d / "v.ts", [(160, 96), (128, 64)]), "160x96 to 128x64 px at frame 10"),
    "no frames": (lambda d: emptied(d), "is cut off|holds no picture|cannot be read|length of 0 s"),
    "one time for all": (lambda d: stamped(d, [0] * 6), "length of 0 s"),
    **{
        f"{name} cut at {size}": (lambda d, m=make, s=size: cut(m(d), s), ".")
        for name, make in (("mp4", lambda d: tiny_video(d / "v.mp4")), ("faststart", faststart))
        for size in (40, 200, 406, 600)
    },
}


def emptied(folder: Path) -> Path:
    """Write an MP4 whose table of samples was set to none."""
    path = tiny_video(folder / "v.mp4", n=5)
    data = bytearray(path.read_bytes())
    for box, count_at in ((b"stts", 8), (b"stsz", 12), (b"stsc", 8), (b"stco", 8)):
        at = data.index(box)
        data[at + count_at : at + count_at + 4] = bytes(4)
    return written(path, bytes(data))


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_line(tmp_path: Path, kind: str) -> None:
    make, message = BAD[kind]
    path = make(tmp_path)
    with pytest.raises(SourceError, match=message) as caught:
        numbers_of(path, [])
    text = str(caught.value)
    assert text.startswith("video ")
    assert text.isprintable()
    assert len(text) < 500
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("kind", ["missing", "text", "mp4 cut in its video", "size changes", "one time for all"])
def test_the_worker_says_what_the_reader_says(tmp_path: Path, kind: str) -> None:
    path = BAD[kind][0](tmp_path)
    with pytest.raises(SourceError) as direct:
        numbers_of(path, [])
    worker = DecodeWorker(path, I420)
    with pytest.raises(SourceError) as through:
        start_and_drain(worker)
    assert str(through.value) == str(direct.value)
    assert worker.decoded == worker._read + sum(worker.dropped.values())


def start_and_drain(worker: DecodeWorker) -> None:
    worker.start()
    while (frame := worker.read()) is not None:
        worker.release(frame)


def test_a_size_that_changes_comes_after_the_good_frames(tmp_path: Path) -> None:
    path = joined_video(tmp_path / "v.ts", [(160, 96), (128, 64)])
    numbers: list[int] = []
    with pytest.raises(SourceError, match="at frame 10"):
        numbers_of(path, numbers)
    assert numbers == list(range(10))


def test_a_size_above_the_gate_in_mid_stream_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = joined_video(tmp_path / "v.ts", [(160, 96), (320, 192)])
    monkeypatch.setattr(gate, "MAX_PIXELS", 160 * 128)
    numbers: list[int] = []
    with pytest.raises(SourceError, match="is damaged: 10 of 20 packets"):
        numbers_of(path, numbers)
    assert numbers == list(range(10))


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tiny_video(tmp_path / "v.mp4", n=2)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root reads every file")
    with pytest.raises(SourceError, match="cannot be opened: Permission denied"):
        VideoReader(path)


def test_damage_in_the_middle_is_counted_and_bounded(tmp_path: Path) -> None:
    path = tiny_video(tmp_path / "v.ts", n=60)
    rng = np.random.default_rng(3)
    data = bytearray(path.read_bytes())
    for at in rng.integers(len(data) // 2, len(data), 12):
        data[at] ^= 0xFF
    path.write_bytes(data)
    reader = VideoReader(path)
    given = sum(1 for _ in reader)
    reader.close()
    assert reader.decoded == given + sum(reader.clock.dropped.values())
    assert given >= 50
    assert reader.repaired + reader.undecodable > 0


def test_a_long_run_of_undecodable_packets_ends_the_reading(tmp_path: Path) -> None:
    path = tiny_video(tmp_path / "v.mkv", n=LONGEST_RUN + 40, codec="ffv1", width=64, height=48)
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for at, size in places[10:]:
        data[at + 12 : at + size] = bytes(size - 12)
    path.write_bytes(data)
    numbers: list[int] = []
    with pytest.raises(SourceError, match="packets in a row cannot be decoded"):
        numbers_of(path, numbers)
    assert len(numbers) >= 10


def test_tags_in_no_encoding_are_no_reason_to_refuse(tmp_path: Path) -> None:
    path = tmp_path / "v.mkv"
    tiny_video(path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"Lavf", b"\xff\xfe\xfd\xfc"))
    assert len(list(decode_frames(path))) == 20


def test_names_are_shown_on_one_line() -> None:
    assert gate.shown("a\nb\x1b[31m\u202e") == r"'a\nb\x1b[31m\u202e'"
    assert len(gate.shown("y" * 5000)) < 210


def test_bytes_behind_the_last_box_are_no_damage(tmp_path: Path) -> None:
    path = tiny_video(tmp_path / "v.mp4")
    path.write_bytes(path.read_bytes() + b"\0" * 100 + b"tail of a camera")
    assert len(list(decode_frames(path))) == 20
