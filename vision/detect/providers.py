"""Where a network runs: found out by running one there.

onnxruntime falls back to the CPU without an error, and lists what it was built for, not what works. So a provider
counts as usable only when its driver answers, a small session on it lists it, and that session gives the right result.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np

from vision.errors import DeviceError

ProviderName = Literal["cpu", "cuda", "tensorrt"]

#: onnxruntime's names.
LONG_NAMES = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
_LABELS = {"cpu": "CPU", "cuda": "CUDA", "tensorrt": "TensorRT"}

#: A network of one node: b = relu(a), of one number.
PROBE = (
    b'\x08\x07\x12\x00:3\n\x0c\n\x01a\x12\x01b"\x04Relu\x12\x01pZ\x0f\n\x01a\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01b\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)

#: What the CUDA driver's cuInit returns where it finds no GPU.
_CUDA_ERROR_NO_DEVICE = 100


class Provider(NamedTuple):
    """Where a network runs, with onnxruntime's options for it; `note` says why it is not what was hoped for."""

    name: ProviderName
    options: tuple[tuple[str, dict[str, Any]], ...]
    note: str = ""

    @property
    def on_gpu(self) -> bool:
        """Whether it is a GPU."""
        return self.name != "cpu"

    def describe(self) -> str:
        """Return the provider in words, with the note."""
        return f"{_LABELS[self.name]} ({self.note})" if self.note else _LABELS[self.name]


def choose(requested: str = "auto") -> Provider:
    """Return the provider to run on; `auto` takes CUDA where it works, else the CPU with a note that says why.

    DeviceError where another one is requested by name and does not work here.
    """
    if requested == "cpu":
        return make_provider("cpu")
    if requested == "auto":
        reason = unusable("cuda")
        if not reason:
            return make_provider("cuda")
        return make_provider("cpu", f"CUDA not usable: {reason}; running on CPU")
    if requested not in LONG_NAMES:
        raise DeviceError(f"provider {requested!r} is not known; allowed: auto, {', '.join(LONG_NAMES)}")
    reason = unusable(requested)
    if reason:
        raise DeviceError(
            f"provider {requested} is not usable: {reason}; use --provider auto or cpu, or see gantry doctor"
        )
    return make_provider(requested)  # type: ignore[arg-type]


def make_provider(name: ProviderName, note: str = "") -> Provider:
    """Return a provider with the options that Gantry runs it with, and those that it falls back on."""
    # The heuristic search picks the same algorithm in each run; the exhaustive one picks the fastest of the moment.
    cuda = (LONG_NAMES["cuda"], {"cudnn_conv_algo_search": "HEURISTIC"})
    cpu: tuple[str, dict[str, Any]] = (LONG_NAMES["cpu"], {})
    if name == "cpu":
        return Provider(name, (cpu,), note)
    if name == "cuda":
        return Provider(name, (cuda, cpu), note)
    # Building an engine takes minutes, so it is kept.
    base = Path(os.environ.get("GANTRY_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    kept = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(base / "gantry" / "tensorrt")}
    return Provider(name, ((LONG_NAMES["tensorrt"], kept), cuda, cpu), note)


@cache
def unusable(name: str) -> str:
    """Return why a provider does not work here, empty if it does; found out once a process."""
    ort = load_onnxruntime()
    if LONG_NAMES[name] not in ort.get_available_providers():
        return f"this onnxruntime ({ort.__version__}) was built without it; install onnxruntime-gpu"
    if name != "cpu" and (reason := no_cuda_device()):
        return reason
    with stderr_taken() as said, open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        if name != "cpu" and hasattr(ort, "preload_dlls"):
            # CUDA's libraries may be installed as Python packages, where the loader does not look by itself.
            with contextlib.suppress(Exception):
                ort.preload_dlls()
        reason = _probe(ort, name)
        return (_library_error(said) or reason) if reason else ""


def no_cuda_device() -> str:
    """Ask NVIDIA's driver whether there is a GPU, and return why not, empty if there is."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no driver (libcuda.so.1 not found)"
    code = driver.cuInit(0)
    if code == _CUDA_ERROR_NO_DEVICE:
        return "the driver finds no GPU"
    if code:
        return f"the driver does not start (cuInit gives {code})"
    count = ctypes.c_int(0)
    if driver.cuDeviceGetCount(ctypes.byref(count)) or count.value < 1:
        return "the driver finds no GPU"
    return ""


def _probe(ort: Any, name: str) -> str:
    try:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        wanted = list(make_provider(name).options)  # type: ignore[arg-type]
        session = ort.InferenceSession(PROBE, options, providers=wanted)
        if LONG_NAMES[name] not in session.get_providers():
            return f"a session on it silently runs on {session.get_providers()[0]}"
        if session.run(None, {"a": np.array([3.0], np.float32)})[0][0] != 3.0:
            return "a session on it gives wrong results"
    except Exception as error:  # onnxruntime's own exceptions have no common base
        return " ".join(str(error).split())[:200]
    return ""


def _library_error(said: IO[bytes]) -> str:
    """Return which library onnxruntime could not load, from its log."""
    said.seek(0)
    found = re.search(r"with error: ([^\n\x1b]{1,200})", said.read().decode("utf-8", "replace"))
    return found[1].strip() if found else ""


@cache
def load_onnxruntime() -> Any:
    """Import onnxruntime, without what it logs about devices that it does not know."""
    with stderr_taken():
        import onnxruntime
    return onnxruntime


@contextlib.contextmanager
def stderr_taken() -> Iterator[IO[bytes]]:
    """Take what native code writes to standard error into a file that is handed over."""
    with tempfile.TemporaryFile() as taken:
        try:
            kept = os.dup(2)
        except OSError:  # a daemon without standard error
            yield taken
            return
        try:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(taken.fileno(), 2)
            yield taken
        finally:
            os.dup2(kept, 2)
            os.close(kept)
