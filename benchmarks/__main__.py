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

import numpy

from vision import __version__

_HERE = Path(__file__).parent
#: A benchmark is a file, or a folder that has a run.py.
NAMES = sorted(
    [path.stem for path in _HERE.glob("*.py") if not path.stem.startswith("_")]
    + [path.parent.name for path in _HERE.glob("*/run.py")]
)


def main() -> int:
    """Run the named benchmark; 1 when one of its figures misses its budget."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", choices=NAMES, help="the question")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--seeds", nargs="*", type=int, help="the scenes that a benchmark judges with")
    arguments = parser.parse_args()
    if arguments.name is None:
        for name in NAMES:
            question = importlib.import_module(f"benchmarks.{name}").__doc__ or ""
            print(f"{name:<10} {question.strip().splitlines()[0]}")
        return 0
    chosen = {"seeds": tuple(arguments.seeds)} if arguments.seeds else {}
    benchmark = importlib.import_module(f"benchmarks.{arguments.name}")
    if chosen and "seeds" not in inspect.signature(benchmark.run).parameters:
        parser.error(f"{arguments.name} has no seeds")
    figures = benchmark.run(**chosen)
    if arguments.json is not None:
        kept = {"date": date.today().isoformat(), "machine": machine(), **figures}
        arguments.json.write_text(json.dumps(kept, indent=1) + "\n")
    return 0 if figures["passed"] else 1


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
