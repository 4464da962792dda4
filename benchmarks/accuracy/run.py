"""How right are the rules, against simulated traffic whose truth is known?"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

from benchmarks.accuracy.figures import Figure, table
from benchmarks.accuracy.runs import EXAMPLES
from benchmarks.scenes.sumo import MISSING, SumoError, available

#: Faults were looked for in scenes of seeds 1 to 9; figures are of others.
JUDGING = (101, 102, 103, 104)
PARTS = ("junction", "measures", "road", "day")


def run(parts: tuple[str, ...] = PARTS, seeds: tuple[int, ...] = JUDGING) -> dict[str, Any]:
    """Print the table of all figures; `passed` is whether every target is met."""
    if not available():
        raise SumoError(MISSING)
    figures: list[Figure] = []
    for part in parts:
        figures += importlib.import_module(f"benchmarks.accuracy.{part}").run(seeds)
    print(table(figures))
    failed = [one for one in figures if one.passed is False]
    print(f"{len(figures)} figures, {len(failed)} miss their targets; seeds {', '.join(map(str, seeds))}")
    return {"passed": not failed, "seeds": list(seeds), "figures": [one._asdict() for one in figures]}


def main() -> None:
    """Run single parts or other seeds: `python -m benchmarks.accuracy.run junction --seeds 1 2`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--examples", action="store_true", help="list what was told and not true, and what was missed")
    parser.add_argument("--seeds", nargs="*", type=int, default=JUDGING)
    arguments = parser.parse_args()
    found = run(tuple(arguments.parts), tuple(arguments.seeds))
    if arguments.examples:
        print("\n".join(EXAMPLES))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
