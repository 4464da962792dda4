"""What the verbs share: consoles, options, the progress bar, stopping by Ctrl-C, tables."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

STOPPED = 130

SiteArg = Annotated[Path, typer.Argument(metavar="SITE", help="The site file (TOML).")]
RunArg = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its events.gtr.")]
CameraOpt = Annotated[str | None, typer.Option("--camera", help="Which camera of the site; not needed with one.")]
ModelsOpt = Annotated[
    list[Path] | None,
    typer.Option("--models", help="Folder with model files; may be repeated. Also: GANTRY_MODELS."),
]


class ProviderName(StrEnum):
    """Where a network runs."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    tensorrt = "tensorrt"


ProviderOpt = Annotated[ProviderName, typer.Option("--provider", help="Where the network runs.")]


@contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Give a question `stop()` that Ctrl-C answers with yes; a second Ctrl-C ends at once."""
    asked = False

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        err.print("stopping: writing what is done (Ctrl-C again: at once)")

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int | None], None]]:
    """Give a function that shows how far each stage is: frames done, frames per second, time left."""
    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:>7.1f} frames/s"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=err, transient=False)
    tasks: dict[str, TaskID] = {}

    def show(stage: str, done: int, total: int | None) -> None:
        bar.start()  # not before: what is refused before the first frame is one line and nothing else
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=total, rate=0.0)
        task = bar.tasks[tasks[stage]]
        elapsed_s = task.elapsed or 0.0
        bar.update(tasks[stage], completed=done, total=total, rate=done / elapsed_s if elapsed_s else 0.0)

    try:
        yield show
    finally:
        if tasks:
            bar.stop()


def printable_line(text: str) -> str:
    """Return a text with everything replaced that could move a terminal's cursor."""
    return "".join(mark if mark.isprintable() else "?" for mark in text)


def print_rows(rows: list[dict[str, Any]]) -> None:
    if not rows:
        out.print("no events")
        return
    table = Table(box=None, pad_edge=False)
    for heading in rows[0]:
        numeric = isinstance(rows[0][heading], int | float)
        table.add_column(heading, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*("" if value is None else escape(str(value)) for value in row.values()))
    out.print(table)
