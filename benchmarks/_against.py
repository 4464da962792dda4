"""Compare this tree with another commit: both run the same benchmark in turn, A B A B, each in a process of its own.

The other commit is checked out into a scratch folder and gets this tree's `benchmarks/`, so that both are measured by
the same rule; where the commit is too old for a benchmark, that is said and nothing is compared.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks._bench import number

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def checked_out(ref: str, folder: Path, root: Path = ROOT) -> Iterator[Path]:
    """Check `ref` out into a folder that is removed afterwards, with the benchmarks of `root` put into it."""
    tree = folder / "other"
    git = ["git", "-C", str(root)]
    subprocess.run([*git, "worktree", "add", "--detach", "--quiet", str(tree), ref], check=True)
    try:
        shutil.rmtree(tree / "benchmarks", ignore_errors=True)
        shutil.copytree(root / "benchmarks", tree / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))
        yield tree
    finally:
        subprocess.run([*git, "worktree", "remove", "--force", str(tree)], check=True)


def measure(tree: Path, name: str, out: Path) -> dict[str, Any]:
    """Run one benchmark in a tree and return its figures."""
    command = [sys.executable, "-m", "benchmarks", name, "--json", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    out.unlink(missing_ok=True)
    told = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    if not out.exists():
        lines = (told.stderr or told.stdout).strip().splitlines()
        raise RuntimeError(f"{name} does not run in {tree}: {lines[-1] if lines else 'it says nothing'}")
    figures: dict[str, Any] = json.loads(out.read_text()).get("figures", {})
    return figures


def compare(runs: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, tuple[float, float, float]]:
    """Return (here, there, here / there) of each figure that both sides have in all rounds: medians."""
    names = [name for name in runs[0][0] if all(name in here and name in there for here, there in runs)]
    found = {}
    for name in names:
        pairs = [(here[name]["value"], there[name]["value"]) for here, there in runs]
        if any(value is None for pair in pairs for value in pair):
            continue
        here, there = (statistics.median(side) for side in zip(*pairs, strict=True))
        shares = [a / b for a, b in pairs if b]
        found[name] = (here, there, statistics.median(shares) if shares else float("nan"))
    return found


def main(names: Sequence[str], ref: str, rounds: int) -> int:
    """Print each figure here and there, and here / there; 1 where a benchmark does not run in both."""
    failed = 0
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        with checked_out(ref, folder) as tree:
            for name in names:
                out, runs = folder / "figures.json", []
                try:
                    for _ in range(rounds):
                        runs.append((measure(ROOT, name, out), measure(tree, name, out)))
                except RuntimeError as error:
                    print(error)
                    failed = 1
                    continue
                found = compare(runs)
                width = max([len(label) for label in found] + [24])
                print(f"{name:<{width}}{'here':>10}{ref[:12]:>14}{'here/there':>12}   n = {rounds} rounds")
                for label, (here, there, share) in found.items():
                    print(f"{label:<{width}}{number(here):>10}{number(there):>14}{share:>12.3f}", flush=True)
    return failed
