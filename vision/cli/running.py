"""The verbs that run something: demo, replay, check, draw, doctor, models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from vision.cli.common import (
    STOPPED,
    CameraOpt,
    ModelsOpt,
    ProviderName,
    ProviderOpt,
    SiteArg,
    err,
    out,
    print_rows,
    progress_bar,
    stop_on_interrupt,
)


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
    out.print(escape(checked.outcome.origin), soft_wrap=True)
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


def replay(
    site: SiteArg,
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A video, or boxes as text: .txt .csv, also .gz.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder for the records; made if need be.")],
    camera: CameraOpt = None,
    models: ModelsOpt = None,
    provider: ProviderOpt = ProviderName.auto,
    threads: Annotated[int, typer.Option(min=0, help="Threads of the network on the CPU; 0: all cores.")] = 0,
    start_utc: Annotated[
        str | None, typer.Option(help="When the video begins, e.g. 2026-05-04T06:30:00Z; else events have no date.")
    ] = None,
    signals: Annotated[
        list[str] | None, typer.Option("--signals", help="Signal log to use: FILE, or NAME=FILE with several signals.")
    ] = None,
    fps: Annotated[float | None, typer.Option(min=0.1, max=1000.0, help="Boxes: frames per second.")] = None,
    size: Annotated[str | None, typer.Option(help="Boxes: size of the picture, e.g. 1920x1080.")] = None,
    begin_s: Annotated[float, typer.Option(help="Boxes: stream second of frame 1.")] = 0.0,
    classes: Annotated[str | None, typer.Option(help="Boxes: what class numbers mean, e.g. 3=car,6=bus.")] = None,
    video: Annotated[bool, typer.Option("--video", help="Also write annotated.mp4.")] = False,
    tracks: Annotated[bool, typer.Option("--tracks", help="Also write tracks.txt and tracks.parquet.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace another run in the folder.")] = False,
) -> None:
    """Run a video, or boxes as MOTChallenge text, through a site, offline: the same input gives the same records."""
    from vision import replay as module
    from vision.mottext import is_boxes
    from vision.replay_boxes import BoxJob, parse_size, replay_boxes

    job = module.Job(
        site=site,
        source=source,
        out=folder,
        camera=camera,
        models=tuple(models or ()),
        provider=provider.value,
        threads=threads,
        start_utc=start_utc,
        signals=tuple(signals or ()),
        video=video,
        tracks=tracks,
        force=force,
    )
    given = {"--fps": fps is not None, "--size": size is not None, "--classes": classes is not None}
    if is_boxes(source):
        if fps is None or size is None:
            raise typer.BadParameter("boxes need --fps and --size, as the file does not tell them")
        if video:
            raise typer.BadParameter("--video needs a video; boxes have no pictures")
        with progress_bar() as progress:
            outcome = replay_boxes(BoxJob(job, fps, parse_size(size), begin_s, classes), progress)
    else:
        if odd := [name for name, is_given in given.items() if is_given]:
            raise typer.BadParameter(f"{', '.join(odd)}: only for boxes as text; a video tells it itself")
        with stop_on_interrupt() as stop, progress_bar() as progress:
            outcome = module.replay(job, progress, stop)
    out.print(f"camera {outcome.camera}: {escape(outcome.origin)}", soft_wrap=True)
    out.print(outcome.counts.line(), soft_wrap=True)
    for name, offset in outcome.offsets.items():
        line = offset.line(name) if offset else f"signal {name}: its lamps do not tell how far its log is off"
        out.print(escape(line), soft_wrap=True)
    n = _print_summary(outcome.folder)
    out.print(
        f"{n} events in {escape(str(outcome.folder))}, {outcome.frames_per_s:.1f} frames/s",
        soft_wrap=True,
    )
    if outcome.stopped:
        raise typer.Exit(STOPPED)


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


def models_list(models: ModelsOpt = None) -> None:
    """List the cards that are here, and whether their networks are."""
    from vision.detect.registry import model_rows, template_names

    print_rows([row._asdict() for row in model_rows(models or ())])
    out.print(f"cards to copy for networks of your own, in models/templates: {', '.join(template_names())}")


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


def _print_summary(path: Path) -> int:
    """Print what a run found: events by rule and by what the rule tells apart; return how many events these are."""
    from vision.record.export import summary
    from vision.record.reader import open_records

    found = summary(open_records(path), leave_out=("coverage",))
    print_rows(found)
    return sum(row["events"] for row in found)
