"""How benchmarks measure and judge: contestants in turn (A B A B), CPU time of their thread, medians, budgets.

The machine may be shared and its speed may drift, so that times of two runs say little. Contestants therefore run in
the same rounds, and a ratio is the median of the rounds' ratios. CPU time of the calling thread is counted, never the
clock on the wall: contestants that would start threads are held to one.
"""

from __future__ import annotations

import gc
import statistics
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

BUDGETS = Path(__file__).with_name("budgets.toml")
#: Rounds that are counted, where nobody asks for another number.
ROUNDS = 7
#: CPU time of one contestant's turn in a round: long against the clock's own cost.
TURN_S = 0.02

Call = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """What one call of a contestant cost in each round, in us of CPU time, and how many calls were counted in all."""

    rounds_us: tuple[float, ...]
    calls: int

    @property
    def us(self) -> float:
        """Median of the rounds."""
        return statistics.median(self.rounds_us)


@dataclass(frozen=True)
class Figure:
    """One line of a benchmark: what was measured, over how many (calls, frames, samples), and how it is judged.

    `target` says in words what it is held against, empty where nothing is promised; `gates`: a miss fails the run.
    """

    value: float | None
    unit: str
    n: int
    note: str = ""
    target: str = ""
    passed: bool | None = None
    gates: bool = False


def contest(calls: Mapping[str, Call], rounds: int = ROUNDS, turn_s: float = TURN_S) -> dict[str, Timing]:
    """Let every contestant have a turn in each round and return what a call cost; the first turn only warms up."""
    counts: dict[str, int] = {}
    for name, call in calls.items():
        call()
        began_ns = time.thread_time_ns()
        call()
        once_s = max(1e-9 * (time.thread_time_ns() - began_ns), 1e-7)
        counts[name] = max(1, round(turn_s / once_s))
    spent: dict[str, list[float]] = {name: [] for name in calls}
    collecting = gc.isenabled()
    try:
        for _ in range(rounds):
            for name, call in calls.items():
                count = counts[name]
                gc.collect()
                gc.disable()
                began_ns = time.thread_time_ns()
                for _ in range(count):
                    call()
                spent[name].append((time.thread_time_ns() - began_ns) / (1e3 * count))
                if collecting:
                    gc.enable()
    finally:
        if collecting:
            gc.enable()
    return {name: Timing(tuple(spent[name]), rounds * counts[name]) for name in calls}


def ratio(slow: Timing, fast: Timing) -> float:
    """Return how many times longer `slow` takes than `fast`: the median over their common rounds."""
    return statistics.median(a / b for a, b in zip(slow.rounds_us, fast.rounds_us, strict=True))


def microseconds(timing: Timing, note: str = "") -> Figure:
    """Return a timing as a figure in us."""
    low, high = min(timing.rounds_us), max(timing.rounds_us)
    spread = f"{number(low)} to {number(high)}"
    return Figure(timing.us, "us", timing.calls, f"{note}; {spread}" if note else spread)


def times(slow: Timing, fast: Timing, note: str = "") -> Figure:
    """Return a ratio as a figure, in times."""
    return Figure(ratio(slow, fast), "x", len(fast.rounds_us), note)


# -- Budgets ----------------------------------------------------------------------------------------------------------


@cache
def budgets() -> dict[str, Any]:
    """Return what budgets.toml says."""
    return tomllib.loads(BUDGETS.read_text("utf-8"))


def judged(benchmark: str, figures: Mapping[str, Figure], machine: str = "") -> dict[str, Figure]:
    """Return the figures with their targets and verdicts.

    Ratios, sizes and counts gate everywhere. An absolute time gates only on the machine that its budget names; on
    others its verdict is shown all the same.
    """
    limits = budgets().get(benchmark, {})
    return {name: judge(figure, limits.get(name), machine) for name, figure in figures.items()}


def judge(figure: Figure, limit: Mapping[str, Any] | None, machine: str = "") -> Figure:
    """Return a figure with the verdict of its budget: {at_least or at_most, machine where it is an absolute time}."""
    if limit is None:
        return figure
    least, most = limit.get("at_least"), limit.get("at_most")
    target = f">= {least:g}" if least is not None else f"<= {most:g}"
    gates = limit.get("machine", machine) == machine
    if figure.value is None:
        return Figure(**{**asdict(figure), "target": target, "passed": None, "gates": gates})
    passed = figure.value >= least if least is not None else figure.value <= float(most or 0)
    return Figure(**{**asdict(figure), "target": target, "passed": bool(passed), "gates": gates})


def verdict(figure: Figure) -> str:
    """Return a figure's verdict in a word."""
    if not figure.target:
        return ""
    if figure.value is None:
        return "not measured"
    if figure.passed:
        return "pass"
    return "FAIL" if figure.gates else "missed"


def number(value: float | None) -> str:
    """Return a value with three digits that count."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def show(benchmark: str, figures: Mapping[str, Figure]) -> None:
    """Print a benchmark's lines."""
    width = max([len(name) for name in figures] + [24])
    print(f"{benchmark:<{width}}{'value':>10} {'unit':<9}{'n':>8}  {'target':<10}verdict")
    for name, figure in figures.items():
        target = figure.target or "-"
        note = f"  ({figure.note})" if figure.note else ""
        line = f"{name:<{width}}{number(figure.value):>10} {figure.unit:<9}{figure.n:>8}  {target:<10}{verdict(figure)}"
        print(line.rstrip() + note, flush=True)


def outcome(benchmark: str, figures: Mapping[str, Figure], **more: object) -> dict[str, Any]:
    """Judge and print the figures of a benchmark; return them as the result file keeps them."""
    found = judged(benchmark, figures)
    show(benchmark, found)
    passed = all(figure.passed is not False for figure in found.values() if figure.gates)
    return {"benchmark": benchmark, "passed": passed, "figures": {k: asdict(v) for k, v in found.items()}, **more}


def recorded(name: str) -> float:
    """Return what a peer took on the machine of the recorded figures, in us."""
    return float(budgets()["recorded"][name])


def scaled(name: str, anchor: str, measured: Timing) -> Timing:
    """Return a recorded peer as it would be here: by what a peer that was measured in both places says of the machines.

    An estimate: it stands for peers that cannot be installed beside us.
    """
    factor = recorded(name) / recorded(anchor)
    return Timing(tuple(us * factor for us in measured.rounds_us), 0)


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile of some values, the nearest one."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
