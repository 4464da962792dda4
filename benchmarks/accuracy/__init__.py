"""How right are the rules, against simulated traffic whose truth is known?"""

from __future__ import annotations

from typing import Any


def run(seeds: tuple[int, ...] = ()) -> dict[str, Any]:
    """Print the table of all figures and return them; without seeds those that are kept for judging are taken."""
    # Late, so that `python -m benchmarks.accuracy.run` is one module.
    from benchmarks.accuracy.run import JUDGING
    from benchmarks.accuracy.run import run as answer

    return answer(seeds=seeds or JUDGING)
