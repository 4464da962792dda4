"""Who may import whom: the contracts of pyproject.toml are kept, and a broken one is caught."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tree import PACKAGES, ROOT

LINT = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache'])"
CONTRACTS = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]


def lint(folder: Path) -> tuple[int, str]:
    """Return the exit status of import-linter in a copy of the project, and what it said."""
    told = subprocess.run(
        [sys.executable, "-P", "-c", LINT],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    return told.returncode, re.sub(r"\x1b\[[0-9;]*m", "", told.stdout + told.stderr)  # a CI may force colours


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the project that a test may break."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.onnx"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_are_kept(copy: Path):
    status, said = lint(copy)
    assert status == 0, said
    assert len(CONTRACTS) >= 4
    assert [name for name in CONTRACTS if f"{name} KEPT" not in said] == []


@pytest.mark.parametrize(
    ("path", "line", "contract"),
    [
        ("kernels/geometry.py", "import vision.site", "kernels know nothing"),
        ("kernels/geometry.py", "import time", "kernels know nothing"),
        ("kernels/geometry.py", "import cv2", "kernels know nothing"),
        ("kernels/rules/movement.py", "from kernels.rules.line_count import EVENT", "rules are independent"),
        ("vision/frame.py", "import vision.site", "vision is built in layers"),
        ("vision/track/lane.py", "import vision.decode.fit", "vision is built in layers"),
        ("vision/newcomer.py", "", "vision is built in layers"),
    ],
)
def test_a_broken_contract_is_caught(copy: Path, path: str, line: str, contract: str):
    with (copy / path).open("a") as file:
        file.write(f"\n{line}\n")
    status, said = lint(copy)
    assert status == 1
    broken = [name for name in CONTRACTS if f"{name} BROKEN" in said]
    assert len(broken) == 1, said
    assert broken[0].startswith(contract)
