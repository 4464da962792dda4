"""The rules. A file in this folder is a rule: nothing else registers it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from kernels.rule import Rule

#: Every rule by its type, in the order of the folder listing.
REGISTRY: dict[str, Rule] = {
    path.stem: import_module(f"{__name__}.{path.stem}").RULE
    for path in sorted(Path(__file__).parent.glob("*.py"))
    if not path.stem.startswith("_")
}
