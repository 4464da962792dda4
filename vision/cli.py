"""The verbs. Nothing here computes: each verb asks a module, and prints what comes back."""

from __future__ import annotations

import signal
import sys
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

from vision import __version__
from vision.errors import GantryError

app = typer.Typer(
    name="gantry",
    help="Traffic-camera video in, compact event records out. Exit codes: 0 fine, 1 wrong input, 2 wrong use, "
    "3 device or stream trouble, 130 stopped by Ctrl-C.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
models_app = typer.Typer(help="The models that cards describe.", no_args_is_help=True)
app.add_typer(models_app, name="models")

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


class ExportFormat(StrEnum):
    """Forms that events are exported in."""

    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


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


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--out", help="Folder for the scene, the run and the summary.")] = Path(
        "demo-out"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Which traffic to draw.")] = 7,
    fps: Annotated[float, typer.Option(min=2.0, max=60.0, help="Frames per second of the clip.")] = 25.0,
    provider: ProviderOpt = ProviderName.auto,
    log: Annotated[bool, typer.Option("--signal-log", help="Read the signal from its log, not its lamps.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier demo in the folder.")] = False,
) -> None:
    """Render a junction with exact truth, run everything on it, and set truth beside result."""
    from vision.demo.run import run_demo

    with progress_bar() as progress:
        checked = run_demo(folder, seed, fps, provider.value, log, force, progress)
    out.print(f"model {checked.outcome.card.name} on {escape(checked.outcome.provider.describe())}", soft_wrap=True)
    for line in checked.report.lines():
        out.print(escape(line), soft_wrap=True)
    out.print(checked.outcome.counts.line(), soft_wrap=True)
    out.print(
        f"{checked.seconds:.1f} s in all. Look at {escape(str(checked.summary))} and "
        f"{escape(str(checked.outcome.folder / 'annotated.mp4'))}",
        soft_wrap=True,
    )
    if not checked.report.passed:
        raise typer.Exit(1)


@app.command()
def replay(
    site: SiteArg,
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A video file that PyAV reads.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder for the records; made if need be.")],
    camera: CameraOpt = None,
    models: ModelsOpt = None,
    provider: ProviderOpt = ProviderName.auto,
    threads: Annotated[int, typer.Option(min=0, help="Threads of the network on the CPU; 0: all cores.")] = 0,
    start_utc: Annotated[
        str | None, typer.Option(help="When the video begins, e.g. 2026-05-04T06:30:00Z; else events have no date.")
    ] = None,
    video: Annotated[bool, typer.Option("--video", help="Also write annotated.mp4.")] = False,
    tracks: Annotated[bool, typer.Option("--tracks", help="Also write tracks.txt (MOTChallenge text).")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace another run in the folder.")] = False,
) -> None:
    """Run a video through a site, offline: nothing dropped, the same input gives the same records."""
    from vision import replay as module

    job = module.Job(
        site=site,
        source=source,
        out=folder,
        camera=camera,
        models=tuple(models or ()),
        provider=provider.value,
        threads=threads,
        start_utc=start_utc,
        video=video,
        tracks=tracks,
        force=force,
    )
    with stop_on_interrupt() as stop, progress_bar() as progress:
        outcome = module.replay(job, progress, stop)
    out.print(
        f"camera {outcome.camera}: model {outcome.card.name} on {escape(outcome.provider.describe())}", soft_wrap=True
    )
    out.print(outcome.counts.line(), soft_wrap=True)
    _print_summary(outcome.folder)
    out.print(
        f"{outcome.counts.events} events in {escape(str(outcome.folder))}, {outcome.frames_per_s:.1f} frames/s",
        soft_wrap=True,
    )
    if outcome.stopped:
        raise typer.Exit(STOPPED)


@app.command()
def check(site: SiteArg, models: ModelsOpt = None) -> None:
    """Read a site file and say everything that is wrong with it."""
    from vision.site import load_site, missing_files

    found = load_site(site)
    missing = missing_files(found)
    for name, camera in sorted(found.cameras.items()):
        out.print(
            f"camera {name}: {len(camera.lines)} lines, {len(camera.zones)} zones, {len(camera.signals)} signals, "
            f"{len(camera.rules)} rules, model {camera.model}",
            soft_wrap=True,
        )
    for mistake in missing:
        err.print(f"[yellow]warning:[/] {escape(mistake)}", soft_wrap=True)
    out.print(f"{escape(str(site))}: no mistakes", soft_wrap=True)


@app.command()
def draw(
    site: SiteArg,
    picture: Annotated[Path, typer.Option("--out", help="The PNG to write.")],
    camera: CameraOpt = None,
    source: Annotated[Path | None, typer.Option("--input", help="Video for the background; else the camera's.")] = None,
) -> None:
    """Draw a camera's scene: lanes, lines with their flow, zones, signals and the road grid."""
    from vision.replay import draw_camera

    draw_camera(site, camera, source, picture)
    out.print(f"wrote {escape(str(picture))}", soft_wrap=True)


RuleOpt = Annotated[list[str] | None, typer.Option("--rule", help="Only this rule, by its name; may be repeated.")]
TypeOpt = Annotated[list[str] | None, typer.Option("--type", help="Only this type of rule; may be repeated.")]
ClassOpt = Annotated[list[str] | None, typer.Option("--class", help="Only this class; may be repeated.")]
FromOpt = Annotated[float | None, typer.Option("--from-s", help="From this stream second on.")]
ToOpt = Annotated[float | None, typer.Option("--to-s", help="Before this stream second.")]
TrackOpt = Annotated[list[int] | None, typer.Option("--track", help="Only this track; may be repeated.")]


@app.command()
def events(
    run: RunArg,
    rule: RuleOpt = None,
    type_: TypeOpt = None,
    class_: ClassOpt = None,
    from_s: FromOpt = None,
    to_s: ToOpt = None,
    track: TrackOpt = None,
    listed: Annotated[bool, typer.Option("--list", help="List the events instead of counting them.")] = False,
) -> None:
    """Count a run's events by rule, direction and class, or list them."""
    from vision.record.export import rows, summary

    records, chosen = _chosen(run, rule, type_, class_, track, from_s, to_s)
    if listed:
        for row in rows(records, chosen):
            facts = " ".join(f"{key}={value}" for key, value in row.items() if value is not None)
            out.print(escape(printable_line(facts)), soft_wrap=True)
    else:
        _print_rows(summary(records, chosen))


@app.command()
def export(
    run: RunArg,
    form: Annotated[ExportFormat, typer.Option("--format", help="Form of the events.")] = ExportFormat.jsonl,
    target: Annotated[str, typer.Option("--out", help="File to write; - is the standard output.")] = "-",
    rule: RuleOpt = None,
    type_: TypeOpt = None,
    class_: ClassOpt = None,
    from_s: FromOpt = None,
    to_s: ToOpt = None,
    track: TrackOpt = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
) -> None:
    """Write a run's events as JSON lines, CSV or Parquet."""
    from vision.record import export as module

    records, chosen = _chosen(run, rule, type_, class_, track, from_s, to_s)
    n = module.export(records, form.value, target, chosen, force=force)
    if target != "-":
        out.print(f"{n} events in {escape(target)}", soft_wrap=True)


@app.command()
def doctor() -> None:
    """Say what this machine has, and what would be in Gantry's way."""
    from vision.doctor import examine

    findings = examine()
    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    marks = {"ok": "[green]ok[/]", "warn": "[yellow]warn[/]", "fail": "[red]FAIL[/]"}
    for finding in findings:
        table.add_row(marks[finding.status], escape(finding.name), escape(finding.detail), escape(finding.advice))
    out.print(table)
    if any(finding.status == "fail" for finding in findings):
        raise typer.Exit(1)


@models_app.command("list")
def models_list(models: ModelsOpt = None) -> None:
    """List the cards that are here, and whether their networks are."""
    from vision.detect.registry import model_rows, template_names

    _print_rows([row._asdict() for row in model_rows(models or ())])
    out.print(f"cards to copy for networks of your own, in models/templates: {', '.join(template_names())}")


@models_app.command("check")
def models_check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The card's name.")],
    models: ModelsOpt = None,
    provider: ProviderOpt = ProviderName.auto,
    threads: Annotated[int, typer.Option(min=0, help="Threads of the network on the CPU; 0: all cores.")] = 0,
) -> None:
    """Open a network, hold it against its card, and time it."""
    from vision.detect.providers import choose
    from vision.detect.registry import check_model

    for line in check_model(name, models or (), choose(provider.value), threads):
        out.print(escape(line), soft_wrap=True)


def _chosen(
    run: Path,
    rule: list[str] | None,
    type_: list[str] | None,
    class_: list[str] | None,
    track: list[int] | None,
    from_s: float | None,
    to_s: float | None,
) -> tuple[Any, Any]:
    """Open a run and return its records and the positions that pass the filters; say what is amiss with the file."""
    from vision.record.columns import select
    from vision.record.reader import open_records

    records = open_records(run)
    if records.note:
        err.print(f"[yellow]note:[/] {escape(records.note)}", soft_wrap=True)
    chosen = select(
        records,
        rules=rule or (),
        types=type_ or (),
        classes=class_ or (),
        tracks=track or (),
        from_s=from_s,
        to_s=to_s,
    )
    return records, chosen


def printable_line(text: str) -> str:
    """Return a text with everything replaced that could move a terminal's cursor."""
    return "".join(mark if mark.isprintable() else "?" for mark in text)


def _print_summary(path: Path) -> None:
    """Print what a run found: events by rule and by what the rule tells apart."""
    from vision.record.export import summary
    from vision.record.reader import open_records

    _print_rows(summary(open_records(path)))


def _print_rows(rows: list[dict[str, Any]]) -> None:
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


def main() -> None:
    """Run the command line; errors that a user can mend are one line each."""
    try:
        app(prog_name="gantry")
    except GantryError as error:
        for line in str(error).splitlines():
            err.print(f"[red]gantry:[/] {escape(line)}", soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err.print("gantry: stopped")
        sys.exit(STOPPED)
    except BrokenPipeError:
        sys.exit(1)


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Say the version when asked."""
    if show:
        out.print(f"gantry {__version__}")
        raise typer.Exit
