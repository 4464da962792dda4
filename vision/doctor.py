"""What this machine has, and what would be in Gantry's way. Nothing is changed and nothing goes over the network."""

from __future__ import annotations

import ctypes
import importlib.metadata
import io
import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vision.errors import GantryError

Status = Literal["ok", "warn", "fail"]

MIB, GIB = 1 << 20, 1 << 30

#: Packages that the path needs, by their import name.
_PACKAGES = ("av", "cv2", "msgspec", "numba", "numpy", "onnxruntime")
#: Distributions that install the same import package: two of one family overwrite each other's files.
_FAMILIES = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino", "ort-nightly"),
    "OpenCV": (
        "opencv-python",
        "opencv-python-headless",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
}
_WANTED = {"onnxruntime": "onnxruntime-gpu (NVIDIA) or onnxruntime", "OpenCV": "opencv-python-headless"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `advice` says what to do, empty where nothing is."""

    name: str
    status: Status
    detail: str
    advice: str = ""


def examine(folder: Path | None = None) -> list[Finding]:
    """Look at everything; a check that breaks becomes a finding itself. `folder` is where records would go."""
    looks: tuple[tuple[str, Callable[[], Iterable[Finding]]], ...] = (
        ("Python", lambda: [python(sys.version_info[:3])]),
        ("packages", lambda: packages(_PACKAGES)),
        ("distributions", lambda: twins(_distributions())),
        ("network device", network_device),
        ("video codecs", video_codecs),
        ("hardware decoders", hardware_decoders),
        ("CPU cores", lambda: [cores(_cores())]),
        ("memory", lambda: [memory(_memory_bytes())]),
        ("disk", lambda: [disk("disk for records", folder or Path.cwd())]),
        ("kernel cache", kernel_cache),
        ("shared memory", lambda: [shared_memory(shutil.disk_usage("/dev/shm").free)]),
        ("open files", lambda: [open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])]),
        ("clock", lambda: [clock(*_clock_state())]),
        ("sandbox", lambda: [sandbox(_landlock_abi(), Path("/proc/sys/kernel/seccomp/actions_avail").exists())]),
    )
    findings: list[Finding] = []
    for name, look in looks:
        try:
            findings += look()
        except Exception as error:  # a doctor that breaks down tells nothing
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            findings.append(Finding(name, "warn", f"could not be examined: {reason[:200]}"))
    return findings


def python(version: tuple[int, int, int]) -> Finding:
    """Judge the version of Python."""
    said = f"{'.'.join(map(str, version))} on {platform.system()} {platform.machine()}"
    if (3, 11) <= version[:2] <= (3, 13):
        return Finding("Python", "ok", said)
    return Finding("Python", "fail" if version < (3, 11) else "warn", said, "use Python 3.11, 3.12 or 3.13")


def packages(names: Iterable[str]) -> list[Finding]:
    """Import each package and say its version."""
    found, missing = [], []
    for name in names:
        try:
            module = importlib.import_module(name)
        except (ImportError, OSError) as error:
            missing.append(Finding(name, "fail", f"cannot be imported: {error}", "install gantry-vision again"))
        else:
            found.append(f"{name} {getattr(module, '__version__', '?')}")
    return [Finding("packages", "ok", ", ".join(found)), *missing]


def twins(distributions: dict[str, str]) -> list[Finding]:
    """Judge which distributions (name -> version) of one family are installed: one of each is right."""
    findings = []
    for family, members in _FAMILIES.items():
        here = [f"{name} {distributions[name]}" for name in members if name in distributions]
        if len(here) == 1:
            findings.append(Finding(f"{family} package", "ok", here[0]))
        elif here:
            names = " ".join(entry.split()[0] for entry in here)
            advice = f"pip uninstall -y {names}; then install one of them: {_WANTED[family]}"
            findings.append(Finding(f"{family} package", "fail", f"{len(here)} at once: {', '.join(here)}", advice))
        else:
            findings.append(Finding(f"{family} package", "fail", "none is installed", f"install {_WANTED[family]}"))
    return findings


def network_device() -> list[Finding]:
    """Run a network on the best device, for real, and say which it was."""
    import onnxruntime

    from vision.detect.providers import choose

    offered = ", ".join(name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers())
    try:
        provider = choose("auto")
    except GantryError as error:
        return [Finding("network device", "fail", str(error), f"this onnxruntime was built for {offered}")]
    said = f"runs on {provider.describe()}; this onnxruntime was built for {offered}"
    if "cpu" in provider.describe().lower() and _has_nvidia():
        advice = "there is an NVIDIA GPU that is not used: install onnxruntime-gpu with the CUDA libraries it names"
        return [Finding("network device", "warn", said, advice)]
    return [Finding("network device", "ok", said)]


def video_codecs() -> list[Finding]:
    """Say whether the usual streams can be decoded, and annotated videos written."""
    import av

    decoders = [name for name in ("h264", "hevc", "mjpeg", "av1") if _codec(name, "r")]
    lacking = sorted({"h264", "hevc"} - set(decoders))
    if lacking:
        return [
            Finding("video codecs", "fail", f"no decoder for {', '.join(lacking)}", "install PyAV's own wheels (av)")
        ]
    said = f"decodes {', '.join(decoders)} (libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))})"
    if not _codec("libx264", "w"):
        return [Finding("video codecs", "warn", f"{said}; cannot write H.264", "--video needs PyAV's own wheels (av)")]
    return [Finding("video codecs", "ok", f"{said}; writes H.264")]


def hardware_decoders() -> list[Finding]:
    """Decode a small clip on each kind of device that the libraries know; only that shows that one works."""
    from av.codec.hwaccel import hwdevices_available

    clip = _clip()
    results = {name: _decodes(clip, name) for name in hwdevices_available()}
    working = [name for name, problem in results.items() if not problem]
    broken = ", ".join(f"{name} ({problem})" for name, problem in results.items() if problem)
    if working:
        said = f"works: {', '.join(working)}" + (f"; does not: {broken}" if broken else "")
        return [Finding("hardware decoders", "ok", said)]
    status: Status = "warn" if _has_nvidia() else "ok"
    advice = "check the driver (in a container: the video capability)" if status == "warn" else ""
    return [
        Finding("hardware decoders", status, f"none: video is decoded on CPU cores; {broken or 'none known'}", advice)
    ]


def cores(count: float) -> Finding:
    """Judge how many CPU cores may be used."""
    said = f"{count:g} usable"
    return Finding("CPU cores", "ok" if count >= 2 else "warn", said, "" if count >= 2 else "give it two cores or more")


def memory(available_bytes: int) -> Finding:
    """Judge the memory that is free or can be freed."""
    said = f"{available_bytes / GIB:.1f} GiB available"
    if available_bytes >= GIB:
        return Finding("memory", "ok", said)
    return Finding("memory", "warn", said, "1 GiB for one camera, and 0.2 GiB for each further one")


def disk(name: str, folder: Path) -> Finding:
    """Judge the room in a folder, and whether it can be written."""
    free_bytes = shutil.disk_usage(folder).free
    said = f"{free_bytes / GIB:.1f} GiB free in {folder}"
    if not os.access(folder, os.W_OK):
        return Finding(name, "warn", f"{folder} cannot be written", "choose another folder with --out")
    if free_bytes < 200 * MIB:
        return Finding(name, "fail", said, "make room: 0.2 GiB at least")
    return Finding(name, "ok" if free_bytes >= 2 * GIB else "warn", said, "" if free_bytes >= 2 * GIB else "make room")


def kernel_cache() -> list[Finding]:
    """Say where compiled kernels are kept."""
    from kernels._jit import cache_folder

    folder = cache_folder()
    if folder is None:
        advice = "set GANTRY_CACHE_DIR to a folder of your own"
        return [
            Finding("kernel cache", "warn", "no folder can be written: each start compiles for half a minute", advice)
        ]
    count = sum(1 for _ in folder.rglob("*.nbi"))
    return [Finding("kernel cache", "ok", f"{count} kernels in {folder}"), disk("disk for the cache", folder)]


def shared_memory(free_bytes: int) -> Finding:
    """Judge the room for frame slots in /dev/shm."""
    said = f"{free_bytes / MIB:.0f} MiB free in /dev/shm"
    if free_bytes >= 256 * MIB:
        return Finding("shared memory", "ok", said)
    advice = "frames pass through it: in a container start with --shm-size=1g"
    return Finding("shared memory", "warn" if free_bytes >= 32 * MIB else "fail", said, advice)


def open_files(limit: int) -> Finding:
    """Judge how many files and sockets may be open at once."""
    said = "no limit" if limit == resource.RLIM_INFINITY else f"{limit} at once"
    enough = limit == resource.RLIM_INFINITY or limit >= 1024
    return Finding("open files", "ok" if enough else "warn", said, "" if enough else "raise it: ulimit -n 4096")


def clock(resolution_s: float, synchronised: bool | None, error_s: float | None) -> Finding:
    """Judge the clocks: a fine monotonic one, and a wall clock that is kept right from outside."""
    said = f"monotonic clock steps {resolution_s * 1e9:.0f} ns; wall clock "
    if synchronised is None:
        return Finding("clock", "warn", f"{said}cannot be asked", "make sure that NTP runs")
    if not synchronised:
        return Finding(
            "clock", "warn", f"{said}not synchronised", "run chrony or systemd-timesyncd: dates may be wrong"
        )
    bound = "" if error_s is None else f", at most {error_s * 1e3:.0f} ms off"
    return Finding("clock", "ok", f"{said}synchronised{bound}")


def sandbox(landlock_abi: int, seccomp: bool) -> Finding:
    """Say what the kernel has for locking up decoders."""
    landlock = f"Landlock {landlock_abi}" if landlock_abi > 0 else "no Landlock"
    return Finding("sandbox", "ok", f"{landlock}, {'seccomp' if seccomp else 'no seccomp'}")


def _distributions() -> dict[str, str]:
    found = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]  # None in a damaged installation
        if name:
            found[name.lower().replace("_", "-")] = distribution.version
    return found


def _has_nvidia() -> bool:
    return Path("/dev/nvidia0").exists() or Path("/dev/nvhost-gpu").exists()


def _codec(name: str, mode: Literal["r", "w"]) -> bool:
    import av

    try:
        av.Codec(name, mode)
    except ValueError:  # av.codec.codec.UnknownCodecError
        return False
    return True


def _clip() -> bytes:
    """Return three frames of H.264 in MP4."""
    import av
    import numpy as np

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 192, "yuv420p"
        for grey in (40, 80, 120):
            picture = av.VideoFrame.from_ndarray(np.full((288, 320), grey, np.uint8), format="yuv420p")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return file.getvalue()


def _decodes(clip: bytes, device: str) -> str:
    """Return why a device does not decode the clip, empty if it does."""
    import av
    from av.codec.hwaccel import HWAccel

    try:
        with av.open(io.BytesIO(clip), "r", hwaccel=HWAccel(device, allow_software_fallback=False)) as container:
            next(container.decode(video=0))
    except Exception as error:  # drivers fail in every way there is
        reason = getattr(error, "strerror", None) or str(error)
        return "no H.264" if "no stream is compatible" in reason else " ".join(reason.split())[:80]
    return ""


def _cores() -> float:
    """Return the CPU cores this process may use: by affinity, and by the quota of its container."""
    allowed = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()[:2]
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else min(allowed, int(quota) / int(period))


def _memory_bytes() -> int:
    """Return the memory this process can have: of the machine, and within its container."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):  # ValueError: "max"
        return available
    return min(available, max(0, limit - used))


class _Timex(ctypes.Structure):
    """The head of struct timex (linux/timex.h); the rest is room for the kernel to write into."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


_STA_UNSYNC, _TIME_ERROR = 0x40, 5


def _clock_state() -> tuple[float, bool | None, float | None]:
    """Return the monotonic clock's step in s, whether the wall clock is synchronised, and its largest error in s."""
    resolution_s = time.get_clock_info("monotonic").resolution
    state = _Timex()  # modes 0: read only
    code = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(state))
    if Path("/run/systemd/timesync/synchronized").exists():
        return resolution_s, True, None if code < 0 else state.maxerror / 1e6
    if code < 0:
        return resolution_s, None, None
    synchronised = code != _TIME_ERROR and not state.status & _STA_UNSYNC
    return resolution_s, synchronised, state.maxerror / 1e6


def _landlock_abi() -> int:
    """Return the version of Landlock in this kernel, not positive where there is none."""
    create_ruleset, ask_version = 444, 1
    return int(ctypes.CDLL(None, use_errno=True).syscall(create_ruleset, None, 0, ask_version))
