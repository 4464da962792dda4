"""Every naive twin under one roof: the slow, obvious form of each kernel, under the kernel's own name."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

#: The modules that hold twins: each `naive_<topic>.py` beside this file.
MODULES = tuple(import_module(path.stem) for path in sorted(Path(__file__).parent.glob("naive_*.py")))

for _module in MODULES:
    globals().update(
        {
            name: value
            for name, value in vars(_module).items()
            if not name.startswith("_") and getattr(value, "__module__", None) == _module.__name__
        }
    )
