"""The verbs that judge: eval, diff."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from vision.cli.common import (
    CameraOpt,
    ModelsOpt,
    ProviderName,
    ProviderOpt,
    err,
    out,
    print_rows,
    printable_line,
    progress_bar,
)


def evaluate(
    found: Annotated[
        Path,
        typer.Argument(
            metavar="FOUND", help="A run, tracks or detections as MOT text; with --detector: labelled pictures."
        ),
    ],
    truth: Annotated[
        Path | None, typer.Argument(metavar="TRUTH", help="CSV of what happened, or true boxes as MOT text.")
    ] = None,
    detector: Annotated[
        list[str] | None,
        typer.Option("--detector", help="Models' names: judge them on FOUND, a YOLO folder or COCO .json."),
    ] = None,
    models: ModelsOpt = None,
    split: Annotated[str, typer.Option(help="Pictures: only of this split, such as val.")] = "",
    source: Annotated[
        list[str] | None, typer.Option("--source", help="Pictures: SOURCE or SOURCE/CAMERA only.")
    ] = None,
    threads: Annotated[int, typer.Option(min=0, max=256, help="Pictures: CPU threads, 0 for all cores.")] = 0,
    within_s: Annotated[float, typer.Option(min=0.0, max=60.0, help="Events: how far apart a pair may be.")] = 1.0,
    by_track: Annotated[bool, typer.Option("--by-track", help="Events: only pairs of the same track_id.")] = False,
    classes: Annotated[str | None, typer.Option(help="Boxes: FOUND's class numbers, e.g. 3=car,6=bus.")] = None,
    true_classes: Annotated[str | None, typer.Option(help="Boxes: TRUTH's class numbers.")] = None,
    machine: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Hold a result against truth: counts and violations, tracks (HOTA, IDF1, MOTA), detections or a model (AP)."""
    from vision.evaluate import detections, events, tracks
    from vision.mottext import class_map, is_boxes, read_boxes
    from vision.record.reader import open_records

    if detector:
        if truth is not None:
            raise typer.BadParameter("with --detector give the labelled pictures alone")
        _judge_models(found, detector, models or [], classes, split, source or [], threads, machine)
        return
    if truth is None:
        raise typer.BadParameter("TRUTH is missing; only with --detector the labels stand beside the pictures")
    if not is_boxes(found):
        records = open_records(found)
        if records.note:
            err.print(f"[yellow]note:[/] {escape(records.note)}", soft_wrap=True)
        scores = events.score_events(records, events.read_truth(truth), within_s, by_track=by_track)
        _show(events.table(scores), machine)
        return
    ours, theirs = read_boxes(found, class_map(classes)), read_boxes(truth, class_map(true_classes))
    if ours.tracked and theirs.tracked:
        _show([{key: round(value, 4) for key, value in tracks.score_tracks(ours, theirs)._asdict().items()}], machine)
    else:
        _show([one._asdict() for one in detections.score_detections(ours, theirs)], machine)


def _judge_models(
    data: Path,
    names: Sequence[str],
    folders: Sequence[Path],
    classes: str | None,
    split: str,
    sources: Sequence[str],
    threads: int,
    machine: bool,
) -> None:
    """Print the figures of each model on the same pictures, and by how much the first is better than each other."""
    from kernels.records import CLASSES
    from vision.errors import InputError
    from vision.evaluate.detector import open_detector, run_detector
    from vision.evaluate.labels import read_pictures
    from vision.evaluate.pictures import confusion, difference, figures, vehicle_marks
    from vision.mottext import class_map

    pictures = read_pictures(data, class_map(classes) if classes else None)
    chosen = [
        one
        for one in pictures
        if (not split or one.split == split)
        and (not sources or one.source in sources or f"{one.source}/{one.camera}" in sources)
    ]
    if not chosen:
        there = ", ".join(sorted({f"{one.split or '-'}: {one.source}" for one in pictures}))
        raise InputError(f"{data}: no picture of that split and source; there are {there}")
    opened = [open_detector(name, folders, threads=threads) for name in names]
    with progress_bar() as progress:
        pairs = [list(run_detector(one, chosen, progress)) for one in opened]
    rows: list[dict[str, Any]] = []
    mixed: list[dict[str, Any]] = []
    for one, results in zip(opened, pairs, strict=True):
        found, truth = zip(*results, strict=True)
        for name, line in zip((*CLASSES, "nothing"), confusion(found, truth, one.card.score_strong), strict=True):
            seen = dict(zip((*CLASSES, "nothing"), line.tolist(), strict=True))
            mixed.append({"model": one.card.name, "labelled": name, **seen})
        kept = [figure for figure in figures(found, truth) if figure.boxes]
        rows += [{"model": one.card.name, **figure._asdict()} for figure in kept]
    marks = [vehicle_marks(*zip(*results, strict=True)) for results in pairs]
    gains = [
        {
            "model": names[0],
            "against": name,
            **dict(zip(("ap50", "low", "high"), difference(marks[0], other), strict=True)),
        }
        for name, other in zip(names[1:], marks[1:], strict=True)
    ]
    if machine:
        out.print_json(json.dumps({"figures": rows, "gains": gains, "confusion": mixed}))
        return
    print_rows([{key: round(v, 3) if isinstance(v, float) else v for key, v in row.items()} for row in rows])
    out.print("\nwhat is labelled (row) and what it is found as, from the card's score_strong on", soft_wrap=True)
    print_rows(mixed)
    for gain in gains:
        out.print(
            f"{gain['model']} against {gain['against']}: AP50 of vehicles {gain['ap50']:+.3f} "
            f"[{gain['low']:+.3f}, {gain['high']:+.3f}]"
        )


def _show(scores: Sequence[Mapping[str, Any]], machine: bool) -> None:
    """Print scores for people, a line a figure, or as JSON."""
    if machine:
        out.print_json(json.dumps(scores))
        return
    for score in scores:
        (name, value), *rest = score.items()
        out.print(f"{name} [bold]{escape(printable_line(str(value)))}[/]")
        for key, figure in rest:
            text = f"{figure:.4g}" if isinstance(figure, float) else str(figure)
            out.print(f"  {key:<18}{escape(text)}", soft_wrap=True)


def diff(
    site_a: Annotated[Path, typer.Argument(metavar="SITE_A", help="The site file as it is.")],
    site_b: Annotated[Path, typer.Argument(metavar="SITE_B", help="The site file as it might be.")],
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A video, or boxes as text: .txt .csv, also .gz.")],
    camera: CameraOpt = None,
    models: ModelsOpt = None,
    provider: ProviderOpt = ProviderName.auto,
    signals: Annotated[list[str] | None, typer.Option("--signals", help="Signal log: FILE, or NAME=FILE.")] = None,
    fps: Annotated[float | None, typer.Option(min=0.1, max=1000.0, help="Boxes: frames per second.")] = None,
    size: Annotated[str | None, typer.Option(help="Boxes: size of the picture, e.g. 1920x1080.")] = None,
    begin_s: Annotated[float, typer.Option(help="Boxes: stream second of frame 1.")] = 0.0,
    classes: Annotated[str | None, typer.Option(help="Boxes: what class numbers mean, e.g. 3=car,6=bus.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List each event that only one of the two has.")] = False,
) -> None:
    """Say what a changed site file would have changed on an input."""
    from vision.compare import compare_sites
    from vision.mottext import is_boxes
    from vision.replay import Job
    from vision.replay_boxes import BoxJob, parse_size

    job = Job(
        site=site_a,
        source=source,
        out=Path(),
        camera=camera,
        models=tuple(models or ()),
        provider=provider.value,
        signals=tuple(signals or ()),
    )
    if is_boxes(source) and (fps is None or size is None):
        raise typer.BadParameter("boxes need --fps and --size, as the file does not tell them")
    with progress_bar() as progress:
        if is_boxes(source) and fps is not None and size is not None:
            found = compare_sites(site_a, site_b, BoxJob(job, fps, parse_size(size), begin_s, classes), progress)
        else:
            found = compare_sites(site_a, site_b, job, progress)
    print_rows([row._asdict() for row in found.rules])
    for change in found.changes if listed else ():
        facts = " ".join(f"{key}={value}" for key, value in change.event.items() if value is not None)
        out.print(escape(printable_line(f"only {change.site}: {facts}")), soft_wrap=True)
    if not found.changes:
        out.print("no event differs")
