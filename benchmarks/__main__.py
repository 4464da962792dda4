"""Run a benchmark: `python -m benchmarks` lists them, `python -m benchmarks NAME --json FILE` keeps its figures."""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import platform
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy

from benchmarks import _against, _table
from vision import __version__

_HERE = Path(__file__).parent
#: A benchmark is a file, or a folder that has a run.py.
NAMES = sorted(
    [path.stem for path in _HERE.glob("*.py") if not path.stem.startswith(("_", "test_"))]
    + [path.parent.name for path in _HERE.glob("*/run.py")]
)
#: The questions of speed, in the order of the data path. With --peers or --all and no name they run all.
SPEED = ("decode", "fit", "detect", "track", "rules", "kernels", "records", "overhead", "pipeline", "start")
#: Where their figures are kept.
RESULTS = _HERE / "results"


def main() -> int:
    """Run the named benchmark, or all of speed; 1 when one of its figures misses its budget."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", choices=[*NAMES, "table"], help="the question; table: README's, of results")
    parser.add_argument("--json", type=Path, help="write the figures to this file; a folder where several run")
    parser.add_argument("--peers", action="store_true", help="with the libraries that are used instead (make peers)")
    parser.add_argument("--all", action="store_true", help="every question of speed")
    parser.add_argument("--against", metavar="REF", help="another commit in turn with this tree: A B A B")
    parser.add_argument("--rounds", type=int, help="how often each contestant has its turn")
    parser.add_argument("--seeds", nargs="*", type=int, help="the scenes that a benchmark judges with")
    parser.add_argument("--write", action="store_true", help="table: put it into README.md")
    asked = parser.parse_args()
    if asked.name == "table":
        return _table.main(asked.write)
    if asked.name is None and not (asked.peers or asked.all):
        for name in NAMES:
            question = importlib.import_module(f"benchmarks.{name}").__doc__ or ""
            print(f"{name:<10} {question.strip().splitlines()[0]}")
        return 0
    names = SPEED if asked.name is None else (asked.name,)
    if asked.against is not None:
        return _against.main(names, asked.against, asked.rounds or 3)
    passed = True
    for name in names:
        figures = run(name, parser, asked)
        passed = passed and figures["passed"]
        if asked.json is not None:
            keep(asked.json / f"{name}.json" if asked.name is None else asked.json, figures)
    return 0 if passed else 1


def run(name: str, parser: argparse.ArgumentParser, asked: argparse.Namespace) -> dict[str, Any]:
    """Run one benchmark with what was asked and what it takes."""
    benchmark = importlib.import_module(f"benchmarks.{name}")
    takes = inspect.signature(benchmark.run).parameters
    chosen: dict[str, Any] = {}
    if asked.seeds:
        chosen["seeds"] = tuple(asked.seeds)
    if asked.rounds:
        chosen["rounds"] = asked.rounds
    if asked.peers:
        chosen["peers"] = True
    for option in chosen.keys() - takes.keys():
        if asked.name is not None:
            parser.error(f"{name} takes no --{option}")
        del chosen[option]
    figures: dict[str, Any] = benchmark.run(**chosen)
    return figures


def keep(path: Path, figures: dict[str, Any]) -> None:
    """Write a result file: the figures, when and on what they were measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {"date": date.today().isoformat(), "machine": machine(), **figures}
    path.write_text(json.dumps(kept, indent=1) + "\n")


def machine() -> dict[str, object]:
    """Return what a figure was measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "gantry": __version__,
    }


if __name__ == "__main__":
    sys.exit(main())
