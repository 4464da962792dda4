"""The project's own files, as the structure tests look at them."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: The packages of the product.
PACKAGES = ("vision", "kernels", "models")
#: Every folder at the top; anything else needs a decision.
FOLDERS = {*PACKAGES, "benchmarks", "tests"}


@cache
def files() -> tuple[Path, ...]:
    """Return every file that is or would be committed, relative to the root; those of FOLDERS where git is absent."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
        found = {Path(name) for name in listed if name and (ROOT / name).is_file()}
    except (OSError, subprocess.CalledProcessError):
        found = {path.relative_to(ROOT) for name in FOLDERS for path in (ROOT / name).rglob("*") if path.is_file()}
        found |= {path.relative_to(ROOT) for path in ROOT.iterdir() if path.is_file()}
    return tuple(sorted(path for path in found if "__pycache__" not in path.parts))


def sources(*folders: str) -> list[Path]:
    """Return the Python files in these folders of the root; all of them where none is named."""
    return [path for path in files() if path.suffix == ".py" and (not folders or path.parts[0] in folders)]


def text_of(path: Path) -> str:
    """Return the text of a file of the project; empty for one that holds no text."""
    data = (ROOT / path).read_bytes()
    return "" if b"\0" in data else data.decode()


def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a source of the project."""
    return ast.parse(text_of(path), str(path))


def dotted(node: ast.expr) -> str:
    """Return the dotted name that an expression is ("np.zeros"); empty where it is something else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""


def is_kernel(node: ast.AST) -> bool:
    """Return whether a node is a function under `@kernel`."""
    return isinstance(node, ast.FunctionDef) and any(dotted(mark) == "kernel" for mark in node.decorator_list)
