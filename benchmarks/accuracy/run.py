"""How right are the rules, against simulated traffic whose truth is known?"""

from __future__ import annotations

import argparse
import importlib
import json
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.accuracy.figures import Figure, table
from benchmarks.accuracy.runs import EXAMPLES
from benchmarks.scenes.sumo import MISSING, SumoError, available

#: Faults were looked for in seeds 1 to 9, once in 101 to 104, 201 to 204 and 301 to 304; figures are of others.
JUDGING = (401, 402, 403, 404)
PARTS = ("junction", "measures", "road", "incidents", "day")
#: What runs beside each other: measures need scenes of the junction, days have processes of their own.
BESIDE = (("junction", "measures"), ("road", "incidents"))

#: Part, figures, seconds that it took, examples.
Part = tuple[str, list[Figure], float, list[str]]


def run(parts: tuple[str, ...] = PARTS, seeds: tuple[int, ...] = JUDGING) -> dict[str, Any]:
    """Print the table of all figures; `passed` is whether every target is met."""
    if not available():
        raise SumoError(MISSING)
    figures: list[Figure] = []
    took_s: dict[str, float] = {}
    groups = [[part for part in group if part in parts] for group in BESIDE]
    with ProcessPoolExecutor(len(groups), mp_context=get_context("spawn")) as pool:
        told = [one for group in pool.map(some_parts, groups, [seeds] * len(groups)) for one in group]
    parted = {one[0]: one for one in told}
    for part in parts:
        _, found, seconds, examples = parted[part] if part in parted else one_part(part, seeds)
        figures += found
        took_s[part] = round(seconds, 1)
        EXAMPLES.extend(examples)
        print(f"{part}: {seconds:.0f} s", flush=True)
    print(table(figures))
    failed = [one for one in figures if one.passed is False]
    print(f"{len(figures)} figures, {len(failed)} miss their targets; seeds {', '.join(map(str, seeds))}")
    return {
        "passed": not failed,
        "seeds": list(seeds),
        "sumo": version("eclipse-sumo"),
        "numba": version("numba"),
        "took_s": took_s,
        "figures": [one._asdict() for one in figures],
    }


def some_parts(parts: list[str], seeds: tuple[int, ...]) -> list[Part]:
    """Return what several parts told, one after the other."""
    return [one_part(part, seeds) for part in parts]


def one_part(part: str, seeds: tuple[int, ...]) -> Part:
    """Return a part's figures, how long it took in s, and what was wrong."""
    began, known = perf_counter(), len(EXAMPLES)
    figures = importlib.import_module(f"benchmarks.accuracy.{part}").run(seeds)
    examples = EXAMPLES[known:]
    del EXAMPLES[known:]
    return part, figures, perf_counter() - began, examples


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
