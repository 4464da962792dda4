"""Figures with their sample size, interval and target, and the table of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from vision.evaluate.stats import Share


class Figure(NamedTuple):
    """One answer: `passed` is None for a figure without a target."""

    question: str
    figure: str
    n: int
    interval: str
    target: str
    passed: bool | None
    value: float


def share(question: str, found: Share, least: float, low_least: float | None = None) -> Figure:
    """Return the figure of a share that must reach `least`, and whose interval must begin at `low_least` or above."""
    good = found.n > 0 and found.value >= least and (low_least is None or found.low >= low_least)
    target = f">= {least:g}" + ("" if low_least is None else f", low >= {low_least:g}")
    said = f"{found.value:.4f}" if found.n else "-"
    return Figure(question, said, found.n, f"{found.low:.4f} .. {found.high:.4f}", target, good, found.value)


def most(question: str, value: float, n: int, limit: float, unit: str = "", digits: int = 3) -> Figure:
    """Return a figure whose size must not be above `limit`."""
    said = f"{value:+.{digits}f} {unit}".strip()
    return Figure(question, said, n, "", f"<= {limit:g} {unit}".strip(), n > 0 and abs(value) <= limit, value)


def plain(question: str, value: float, n: int, unit: str = "", digits: int = 3) -> Figure:
    """Return a figure that nothing is asked of."""
    return Figure(question, f"{value:.{digits}f} {unit}".strip(), n, "", "", None, value)


def least(question: str, n: int, needed: int) -> Figure:
    """Return a sample size that must reach what was asked for."""
    return Figure(question, str(n), n, "", f">= {needed}", n >= needed, float(n))


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as text, one a line."""
    heads = ("question", "figure", "n", "95 % interval", "target", "")
    verdict = {True: "pass", False: "FAIL", None: ""}
    rows = [(one.question, one.figure, str(one.n), one.interval, one.target, verdict[one.passed]) for one in figures]
    wide = [max(len(row[k]) for row in (heads, *rows)) for k in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, wide, strict=True)).rstrip() for row in (heads, *rows)
    )
