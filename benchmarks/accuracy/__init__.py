"""How right are the rules, against simulated traffic whose truth is known?"""

from __future__ import annotations

from typing import Any


def run() -> dict[str, Any]:
    """Print the table of all figures and return them."""
    from benchmarks.accuracy.run import run as answer  # late, so that `python -m benchmarks.accuracy.run` is one module

    return answer()
