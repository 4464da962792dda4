"""Decoding: every frame arrives once, under its own number and time, whatever the file; bad files are refused."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from videos import read_number, stamped, tiny_video

from kernels.records import LAMP
from vision.decode.fit import Fitter
from vision.decode.reader import decode_frames
from vision.decode.slots import LINE_BYTES, SlotRing, create_memory, ring_bytes
from vision.decode.worker import DecodeWorker
from vision.errors import DeviceError, SourceError
from vision.frame import FitSpec, Placement, place

I420 = FitSpec(128, 96)
BGR = FitSpec(96, 96, "bgr")
NO_LAMPS = np.zeros((0, 3, 4), np.int32)


def luma(planes: np.ndarray) -> np.ndarray:
    """Return the luma of a 160x96 picture that was fitted into I420, without the padding."""
    at = place(I420, 160, 96)
    return planes[at.offset_y_px : at.offset_y_px + at.height_px]


def read_all(path: Path, **options: int) -> tuple[list[int], list[int], list[float], DecodeWorker]:
    """Return burned-in numbers, frame numbers and times of a whole video, and the closed worker."""
    burned, numbers, times = [], [], []
    with DecodeWorker(path, I420, **options) as worker:
        worker.start()
        while (frame := worker.read()) is not None:
            burned.append(read_number(luma(frame.planes)))
            numbers.append(frame.frame)
            times.append(frame.time_s)
            worker.release(frame)
    return burned, numbers, times, worker


def drain(worker: DecodeWorker, most: int = 1000, timeout_s: float = 30.0) -> list[int]:
    """Read and release at most `most` frames; return their numbers."""
    numbers = []
    while len(numbers) < most and (frame := worker.read(timeout_s)) is not None:
        numbers.append(frame.frame)
        worker.release(frame)
    return numbers


# -- every frame, once, in order ---------------------------------------------------------------------------------------

VIDEOS: dict[str, Callable[[Path], Path]] = {
    "mp4": lambda d: tiny_video(d / "v.mp4"),
    "b-frames": lambda d: tiny_video(d / "v.mp4", n=50, b_frames=3),
    "variable": lambda d: tiny_video(d / "v.mp4", pts=[k * 3600 + (k % 3) * 900 + 5000 for k in range(20)]),
    "b-frames, variable": lambda d: tiny_video(d / "v.mkv", b_frames=2, pts=[k * k * 90 + 90 * k for k in range(20)]),
    "29.97 fps": lambda d: tiny_video(d / "v.mp4", fps=Fraction(30_000, 1001)),
    "transport stream": lambda d: tiny_video(d / "v.ts"),
    "mpeg4 in avi": lambda d: tiny_video(d / "v.avi", codec="mpeg4"),
    "full range": lambda d: tiny_video(d / "v.avi", codec="mjpeg", pix_fmt="yuvj420p"),
    "4:2:2": lambda d: tiny_video(d / "v.mp4", pix_fmt="yuv422p"),
    "4:4:4": lambda d: tiny_video(d / "v.mp4", pix_fmt="yuv444p"),
    "10 bit": lambda d: tiny_video(d / "v.mp4", pix_fmt="yuv420p10le"),
    "nv12": lambda d: tiny_video(d / "v.mp4", pix_fmt="nv12"),
    "grey": lambda d: tiny_video(d / "v.mkv", codec="ffv1", pix_fmt="gray"),
    "rgb": lambda d: tiny_video(d / "v.mkv", codec="ffv1", pix_fmt="bgr0"),
    "raw, without stamps": lambda d: tiny_video(d / "v.h264"),
    "fragmented": lambda d: tiny_video(d / "v.mp4", container_options={"movflags": "frag_keyframe+empty_moov"}),
    "name with escapes": lambda d: tiny_video(d / "concat:a|b %03d \x1b[31m \u202e\n.mp4"),
}


@pytest.mark.parametrize("kind", VIDEOS)
def test_each_frame_comes_under_its_number_and_time(tmp_path: Path, kind: str) -> None:
    fitter = Fitter(I420, 160, 96, NO_LAMPS)
    planes = np.zeros(I420.shape, np.uint8)
    fitter.pad(planes)
    burned, numbers, times = [], [], []
    for picture, number, time_s in decode_frames(VIDEOS[kind](tmp_path)):
        fitter.fit(picture, planes, np.zeros((0, 3), LAMP))
        burned.append(read_number(luma(planes)))
        numbers.append(number)
        times.append(time_s)
    assert burned == numbers == list(range(50 if kind == "b-frames" else 20))
    assert times[0] == 0.0
    assert (np.diff(times) > 0).all()


@pytest.mark.parametrize("kind", ["b-frames, variable", "raw, without stamps", "rgb", "name with escapes"])
def test_the_worker_gives_what_the_second_pass_sees(tmp_path: Path, kind: str) -> None:
    path = VIDEOS[kind](tmp_path)
    burned, numbers, times, worker = read_all(path)
    assert burned == numbers == list(range(20))
    assert (worker.decoded, worker.dropped) == (20, {})
    assert [(number, time_s) for _, number, time_s in decode_frames(path)] == list(zip(numbers, times, strict=True))


@pytest.mark.parametrize(
    ("pts", "seconds"),
    [
        ([900, 4500, 90_900], [0.0, 0.04, 1.0]),
        ([0, 1, 2, 90_000 * 30], [0.0, 1 / 90_000, 2 / 90_000, 30.0]),
    ],
)
def test_times_are_the_streams(tmp_path: Path, pts: list[int], seconds: list[float]) -> None:
    path = tiny_video(tmp_path / "v.mp4", n=len(pts), pts=pts)
    assert [time_s for _, _, time_s in decode_frames(path)] == pytest.approx(seconds, abs=1e-9)


def test_a_wrapped_transport_stream_runs_on(tmp_path: Path) -> None:
    start = (1 << 33) - 90_000 * 2  # the muxer adds 1.4 s, so the wrap is within the video
    path = tiny_video(tmp_path / "v.ts", n=40, pts=[start + k * 3600 for k in range(40)])
    times = [time_s for _, _, time_s in decode_frames(path)]
    assert times == pytest.approx([k * 0.04 for k in range(40)])


def test_info(tmp_path: Path) -> None:
    path = tiny_video(tmp_path / "v.mp4", n=25, width=160, height=96)
    with DecodeWorker(path, I420) as worker:
        info = worker.start()
    assert info == worker.info == (160, 96, 25.0, 1.0, 25, "h264", "yuv420p", 0)


@pytest.mark.parametrize("threads", [0, 2])
def test_decoder_threads_change_nothing(tmp_path: Path, threads: int) -> None:
    burned, _, _, worker = read_all(tiny_video(tmp_path / "v.mp4", n=40, b_frames=2), threads=threads)
    assert burned == list(range(40))
    assert worker.decoded == 40


def test_one_slot_is_enough(tmp_path: Path) -> None:
    assert read_all(tiny_video(tmp_path / "v.mp4"), slots=1)[0] == list(range(20))


# -- what is in a slot -------------------------------------------------------------------------------------------------


def corners(number: int, rgb: np.ndarray) -> None:
    """Paint four plain quarters: red, green / blue, grey."""
    height, width = rgb.shape[0] // 2, rgb.shape[1] // 2
    for (y, x), colour in zip(
        ((0, 0), (0, 1), (1, 0), (1, 1)), ((200, 30, 30), (30, 200, 30), (30, 30, 200), (128, 128, 128)), strict=True
    ):
        rgb[y * height : (y + 1) * height + 1, x * width : (x + 1) * width + 1] = colour


@pytest.mark.parametrize("size", [(160, 96), (159, 97), (64, 200), (40, 30), (641, 363)])
@pytest.mark.parametrize("mode", ["letterbox", "corner", "stretch"])
@pytest.mark.parametrize("layout", ["i420", "bgr", "rgb"])
def test_planes_agree_with_swscale(tmp_path: Path, size: tuple[int, int], mode: str, layout: str) -> None:
    width, height = size
    path = tiny_video(tmp_path / "v.mkv", n=1, width=width, height=height, codec="ffv1", draw=corners)
    spec = FitSpec(128, 96, layout, mode)  # type: ignore[arg-type]
    frame = next(decode_frames(path))[0]
    fitter = Fitter(spec, width, height, NO_LAMPS)
    planes = np.zeros(spec.shape, np.uint8)
    fitter.pad(planes)
    fitter.fit(frame, planes, np.zeros((0, 3), LAMP))
    at = fitter.place
    if layout == "i420":
        picture = planes[:96]
        want = frame.reformat(at.width_px, at.height_px, "yuv420p", interpolation="AREA")
        for got, plane in zip(chroma_inside(planes, at), want.planes[1:], strict=True):
            chroma = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:, : plane.width]
            assert np.abs(got.astype(int) - chroma).mean() < 2.5
        want = np.frombuffer(want.planes[0], np.uint8).reshape(-1, want.planes[0].line_size)[:, : at.width_px]
    else:
        picture = planes.transpose(1, 2, 0)
        fmt = "bgr24" if layout == "bgr" else "rgb24"
        want = frame.reformat(at.width_px, at.height_px, fmt, interpolation="AREA").to_ndarray()
    inside = picture[at.offset_y_px : at.offset_y_px + at.height_px, at.offset_x_px : at.offset_x_px + at.width_px]
    assert np.abs(inside.astype(int) - want).mean() < 2.5
    outside = np.ones(picture.shape[:2], bool)
    outside[at.offset_y_px : at.offset_y_px + at.height_px, at.offset_x_px : at.offset_x_px + at.width_px] = False
    assert (picture[outside] == spec.pad).all()


def chroma_inside(planes: np.ndarray, at: Placement) -> np.ndarray:
    """Return U and V of the picture within the i420 planes of a 128x96 spec."""
    top, left = at.offset_y_px // 2, at.offset_x_px // 2
    return planes[96:].reshape(2, 48, 64)[:, top : top + at.height_px // 2, left : left + at.width_px // 2]


def frame_chroma(frame: av.VideoFrame, y: int, x: int) -> np.ndarray:
    return np.array([np.frombuffer(p, np.uint8).reshape(-1, p.line_size)[y, x] for p in frame.planes[1:]], int)


@pytest.mark.parametrize(("colorspace", "luma_weights"), [("bt709", (0.2126, 0.0722)), ("smpte170m", (0.299, 0.114))])
def test_the_declared_colour_matrix_is_used(tmp_path: Path, colorspace: str, luma_weights: tuple[float, float]) -> None:
    path = tiny_video(tmp_path / "v.mp4", n=1, draw=corners, options={"colorspace": colorspace, "color_range": "tv"})
    frame = next(decode_frames(path))[0]
    kr, kb = luma_weights
    spec = FitSpec(160, 96, "rgb")
    planes = np.zeros(spec.shape, np.uint8)
    Fitter(spec, 160, 96, NO_LAMPS).fit(frame, planes, np.zeros((0, 3), LAMP))
    y, (u, v) = (
        np.frombuffer(frame.planes[0], np.uint8)[10 * frame.planes[0].line_size + 20],
        frame_chroma(frame, 5, 10),
    )
    light = (int(y) - 16) * 255 / 219
    blue, red = light + 2 * (1 - kb) * (u - 128) * 255 / 224, light + 2 * (1 - kr) * (v - 128) * 255 / 224
    assert planes[[0, 2], 10, 20] == pytest.approx(np.clip([red, blue], 0, 255), abs=2)


def test_full_range_is_brought_to_limited_range(tmp_path: Path) -> None:
    def white(number: int, rgb: np.ndarray) -> None:
        rgb[...] = 255

    for pix_fmt in ("yuvj420p", "yuvj444p"):
        path = tiny_video(tmp_path / "v.avi", n=1, codec="mjpeg", pix_fmt=pix_fmt, draw=white)
        planes = np.zeros(I420.shape, np.uint8)
        Fitter(I420, 160, 96, NO_LAMPS).fit(next(decode_frames(path))[0], planes, np.zeros((0, 3), LAMP))
        assert np.abs(luma(planes).astype(int) - 235).max() <= 2


def test_lamps_are_means_over_source_pixels(tmp_path: Path) -> None:
    boxes = np.array([[[4, 4, 40, 20], [-1, -1, -1, -1], [100, 60, 150, 90]]], np.int32)
    path = tiny_video(tmp_path / "v.mp4", n=3, draw=corners)
    with DecodeWorker(path, I420, boxes) as worker:
        worker.start()
        frame = worker.read()
        assert frame is not None
        assert frame.lamps.shape == (1, 3)
        red, absent, grey = (frame.lamps[0, k].tolist() for k in range(3))
    assert red[2] > 180  # V of red
    assert np.isnan(absent).all()
    assert grey == pytest.approx([126, 128, 128], abs=3)


def test_slots_are_aligned_and_apart() -> None:
    fd = create_memory(ring_bytes(BGR, 2, 3))
    try:
        ring = SlotRing(fd, BGR, 2, 3)
    finally:
        os.close(fd)
    for slot in range(3):
        for part in (ring.header, ring.lamps, ring.planes):
            assert part[slot].ctypes.data % LINE_BYTES == 0
        ring.planes[slot][...] = slot + 1
        ring.header[slot][0] = (slot, slot, 0, 0, slot, 0, 0)
    assert [int(planes.min()) for planes in ring.planes] == [1, 2, 3]
    assert [int(head[0]["frame"]) for head in ring.header] == [0, 1, 2]


# -- the accounts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("read", "slots"), [(0, 1), (0, 4), (1, 1), (3, 4), (20, 2)])
def test_accounts_hold_when_closed_early(tmp_path: Path, read: int, slots: int) -> None:
    with DecodeWorker(tiny_video(tmp_path / "v.mp4"), I420, slots=slots) as worker:
        worker.start()
        assert drain(worker, read) == list(range(read))
    assert worker.decoded == read + sum(worker.dropped.values())
    assert set(worker.dropped) <= {"stopped"}
    assert worker.decoded <= read + slots + 1


def test_frames_refused_by_the_clock_are_counted(tmp_path: Path) -> None:
    path = stamped(tmp_path, [0, 3600, 3600, 10_800, 7200, 14_400])
    burned, numbers, times, worker = read_all(path)
    assert burned == numbers == [0, 1, 3, 5]
    assert times == pytest.approx([0.0, 0.04, 0.12, 0.16])
    assert worker.decoded == 6
    assert worker.dropped == {"time_repeated": 1, "time_backwards": 1}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_child_is_named_within_a_second(tmp_path: Path, number: signal.Signals) -> None:
    path = tiny_video(tmp_path / "v.mp4")
    with DecodeWorker(path, I420, slots=2) as worker:
        worker.start()
        frame = worker.read()
        assert frame is not None
        os.kill(worker._process.pid, number)
        began_s = time.monotonic()
        with pytest.raises(DeviceError, match=rf"v\.mp4.*{number.name}"):
            drain(worker)
        assert time.monotonic() - began_s < 1.0
        worker.release(frame)
    assert worker.decoded == worker._read + sum(worker.dropped.values())
    assert set(worker.dropped) <= {"lost"}


def test_a_silent_child_has_a_deadline(tmp_path: Path) -> None:
    with DecodeWorker(tiny_video(tmp_path / "v.mp4"), I420) as worker:
        worker.start()
        os.kill(worker._process.pid, signal.SIGSTOP)
        with pytest.raises(DeviceError, match=r"said nothing for 0\.2 s"):
            drain(worker, timeout_s=0.2)
    assert worker._process.returncode == -signal.SIGKILL


def test_the_child_ends_when_its_parent_does(tmp_path: Path) -> None:
    with DecodeWorker(tiny_video(tmp_path / "v.mp4"), I420, slots=1) as worker:
        worker.start()
        process = worker._process
        worker._sock.shutdown(socket.SHUT_RDWR)  # what the kernel does for a parent that is killed
        assert process.wait(1.0) == 0


def test_the_child_leaves_ctrl_c_to_its_parent(tmp_path: Path) -> None:
    with DecodeWorker(tiny_video(tmp_path / "v.mp4"), I420, slots=1) as worker:
        worker.start()
        os.kill(worker._process.pid, signal.SIGINT)
        assert os.getpgid(worker._process.pid) != os.getpgid(0)
        assert drain(worker) == list(range(20))


def test_three_workers_at_once(tmp_path: Path) -> None:
    paths = [tiny_video(tmp_path / f"{k}.mp4", n=20 + k, first=100 * k) for k in range(3)]
    workers = [DecodeWorker(path, I420) for path in paths]
    for worker in workers:
        worker.launch()
    for worker in workers:
        worker.opened()
    seen: list[list[int]] = [[], [], []]
    for _ in range(23):
        for worker, numbers in zip(workers, seen, strict=True):
            frame = worker.read()
            if frame is not None:
                numbers.append(read_number(luma(frame.planes)))
                worker.release(frame)
    for worker in workers:
        worker.close()
    assert seen == [list(range(100 * k, 100 * k + 20 + k)) for k in range(3)]
    assert [worker.decoded for worker in workers] == [20, 21, 22]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_is_left_behind(tmp_path: Path) -> None:
    path = tiny_video(tmp_path / "v.mp4")
    read_all(path)
    memory, fds = set(os.listdir("/dev/shm")), len(os.listdir("/proc/self/fd"))
    for read in (0, 2, 20):
        with DecodeWorker(path, I420, slots=3) as worker:
            worker.start()
            drain(worker, read)
            pid = worker._process.pid
        del worker
        assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(SourceError):
        DecodeWorker(tmp_path / "missing.mp4", I420).start()
    assert len(os.listdir("/proc/self/fd")) == fds
    assert set(os.listdir("/dev/shm")) <= memory


# -- use ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"slots": 0}, "slots = 0"),
        ({"slots": 256}, "slots = 256"),
        ({"spec": FitSpec(127, 96)}, "127x96"),
        ({"lamp_boxes": np.zeros((2, 4))}, r"\(2, 4\)"),
    ],
)
def test_wrong_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DecodeWorker("v.mp4", **{"spec": I420, **arguments})


@pytest.mark.shared
def test_real_clips_are_whole(shared_data: Path) -> None:
    for clip in sorted((shared_data / "clips").glob("*.mp4")):
        with DecodeWorker(clip, BGR) as worker:
            info = worker.start()
            drain(worker)
        assert (worker.decoded, worker.dropped) == (info.frames, {})
