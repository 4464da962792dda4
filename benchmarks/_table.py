"""The table of speed in README.md, made of the committed result files: `python -m benchmarks table [--write]`."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from benchmarks._bench import BUDGETS, Figure, number, verdict

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
BEGIN, END = "<!-- speed: python -m benchmarks table --write -->", "<!-- end of speed -->"


def results(folder: Path = HERE / "results") -> dict[str, dict[str, Any]]:
    """Return the kept results of the questions that have budgets, by name."""
    names = [name for name in tomllib.loads(BUDGETS.read_text("utf-8")) if name != "recorded"]
    files = {name: folder / f"{name}.json" for name in names}
    return {name: json.loads(path.read_text("utf-8")) for name, path in files.items() if path.is_file()}


def table(kept: dict[str, dict[str, Any]]) -> str:
    """Return Markdown: each figure that has a target, where it stands, and whether it was reached."""
    lines = ["| question | figure | measured | target | |", "|---|---|---|---|---|"]
    for name, result in kept.items():
        for label, given in result["figures"].items():
            figure = Figure(**given)
            if figure.target:
                value = f"{number(figure.value)} {figure.unit}" if figure.value is not None else "not measured"
                value += f" ({figure.note})" if figure.note else ""
                lines.append(f"| {name} | {label} | {value} | {figure.target} | {verdict(figure)} |")
    return "\n".join(lines)


def origin(kept: dict[str, dict[str, Any]]) -> str:
    """Return one sentence on where and when the figures were measured."""
    machines = sorted({f"{one['machine']['cores']} cores of {one['machine']['cpu']}" for one in kept.values()})
    dates = sorted({one["date"] for one in kept.values()})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return f"Measured {when} on {'; '.join(machines)}."


def section(kept: dict[str, dict[str, Any]]) -> str:
    """Return what stands between the marks."""
    return f"{BEGIN}\n{origin(kept)}\n\n{table(kept)}\n{END}"


def put(text: str, new: str) -> str:
    """Return README's text with the section replaced; ValueError where the marks are missing."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"README.md: {BEGIN!r} and {END!r} must stand there once each")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return before + new + after


def main(write: bool) -> int:
    """Print the section, or put it into README.md."""
    new = section(results())
    if write:
        README.write_text(put(README.read_text("utf-8"), new), "utf-8")
    else:
        print(new)
    return 0
