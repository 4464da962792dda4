"""The one decorator for compiled code: `@kernel`.

numba's on-disk cache looks at the file of the compiled function only: after an edit in a *called* file it would
serve the old machine code. The cache folder is therefore named after a hash of every source in `kernels/`, of the
numba version and of the settings that change the generated code.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import config as numba_config

_F = TypeVar("_F", bound=Callable[..., Any])

#: Settings of numba that change the machine code but are no part of its cache key.
_CODE_SETTINGS = ("BOUNDSCHECK", "OPT", "DEBUG", "CPU_NAME", "CPU_FEATURES")


def source_stamp() -> str:
    """Return the hash (16 hex digits) of every kernel source and of the settings that change the machine code."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for setting in _CODE_SETTINGS:
        digest.update(f"{setting}={getattr(numba_config, setting, None)}".encode())
    return digest.hexdigest()[:16]


def cache_folder() -> Path | None:
    """Return the folder for compiled kernels of exactly these sources, or None where none can be written."""
    base = os.environ.get("GANTRY_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    for root in (Path(base).expanduser() / "gantry", Path(tempfile.gettempdir()) / f"gantry-{os.getuid()}"):
        folder = root / f"kernels-{source_stamp()}"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            continue
        # A shared temporary folder may hold one that another user planted: machine code is only loaded from our own.
        if os.access(folder, os.W_OK) and folder.stat().st_uid == os.getuid():
            return folder
    return None


_FOLDER = cache_folder()


def kernel(function: _F) -> _F:
    """Compile `function` on first call: no GIL, strict floating point, cached under the stamp of all kernel sources."""
    before = numba_config.CACHE_DIR
    numba_config.CACHE_DIR = str(_FOLDER) if _FOLDER else ""
    try:
        return numba.njit(cache=_FOLDER is not None, nogil=True, fastmath=False)(function)
    finally:
        numba_config.CACHE_DIR = before
