"""The one decorator for compiled code: `@kernel`.

numba's on-disk cache looks at the file of the compiled function only: after an edit in a *called* file it would
serve the old machine code. The cache folder of a file is therefore named after a hash of its source, of every source
in `kernels/` that it imports, of the numba version and of the settings that change the generated code.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import config as numba_config

#: Import statements that may name kernels, over several lines where they have brackets.
_IMPORTS = re.compile(r"^[ \t]*(?:from|import)[ \t]+kernels[^\n(]*(?:\([^)]*\))?", re.MULTILINE)

_F = TypeVar("_F", bound=Callable[..., Any])

#: Settings of numba that change the machine code but are no part of its cache key.
_CODE_SETTINGS = ("BOUNDSCHECK", "OPT", "DEBUG", "CPU_NAME", "CPU_FEATURES")


def closure(path: Path) -> list[Path]:
    """Return a kernel source and every other one whose code it may run, sorted."""
    sources = list(Path(__file__).resolve().parent.rglob("*.py"))
    found, waiting = {path}, [path]
    while waiting:
        words = set(re.findall(r"\w+", " ".join(_IMPORTS.findall(waiting.pop().read_text("utf-8")))))
        called = {one for one in sources if _stem(one) in words} - found
        found |= called
        waiting += called
    return sorted(found)


def _stem(path: Path) -> str:
    return path.parent.name if path.stem == "__init__" else path.stem


def source_stamp(path: Path) -> str:
    """Return the hash (16 hex digits) of what a source compiles to: it, all it calls, numba and its settings."""
    digest = hashlib.sha256(numba.__version__.encode())
    for one in closure(path):
        digest.update(one.name.encode() + b"\0" + one.read_bytes() + b"\0")
    for setting in _CODE_SETTINGS:
        digest.update(f"{setting}={getattr(numba_config, setting, None)}".encode())
    return digest.hexdigest()[:16]


def cache_folder() -> Path | None:
    """Return the folder for compiled kernels, or None where none can be written."""
    base = os.environ.get("GANTRY_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    for root in (Path(base).expanduser() / "gantry", Path(tempfile.gettempdir()) / f"gantry-{os.getuid()}"):
        folder = root / "kernels"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            continue
        # A shared temporary folder may hold one that another user planted: machine code is only loaded from our own.
        if os.access(folder, os.W_OK) and folder.stat().st_uid == os.getuid():
            return folder
    return None


_FOLDER = cache_folder()


@cache
def _folder_of(path: Path) -> Path | None:
    return None if _FOLDER is None else _FOLDER / f"{path.stem}-{source_stamp(path)}"


def kernel(function: _F) -> _F:
    """Compile `function` on first call: no GIL, strict floating point, cached under the stamp of all it may run."""
    before = numba_config.CACHE_DIR
    numba_config.CACHE_DIR = str(_folder_of(Path(inspect.getfile(function)).resolve()) or "")
    try:
        return numba.njit(cache=_FOLDER is not None, nogil=True, fastmath=False)(function)
    finally:
        numba_config.CACHE_DIR = before
