"""The verbs that read what a run wrote: events, export."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.markup import escape

from vision.cli.common import RunArg, err, out, print_rows, printable_line


class ExportFormat(StrEnum):
    """Forms that events are exported in."""

    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"
    hires_csv = "hires-csv"
    hires_parquet = "hires-parquet"
    hires_xml = "hires-xml"
    hires_dat = "hires-dat"
    hires_datz = "hires-datz"
    ottrk = "ottrk"
    otflow = "otflow"
    measures = "measures"
    measures_parquet = "measures-parquet"
    utdf = "utdf"
    sumo_edges = "sumo-edges"
    sumo_turns = "sumo-turns"
    signal_cycles = "signal-cycles"
    signal_bins = "signal-bins"
    yellow_red = "yellow-red"
    mot = "mot"
    mot_gz = "mot-gz"
    kitti = "kitti"
    tracks_parquet = "tracks-parquet"
    road_parquet = "road-parquet"


RuleOpt = Annotated[list[str] | None, typer.Option("--rule", help="Only this rule, by its name; may be repeated.")]
TypeOpt = Annotated[list[str] | None, typer.Option("--type", help="Only this type of rule; may be repeated.")]
ClassOpt = Annotated[list[str] | None, typer.Option("--class", help="Only this class; may be repeated.")]
FromOpt = Annotated[float | None, typer.Option("--from-s", help="From this stream second on.")]
ToOpt = Annotated[float | None, typer.Option("--to-s", help="Before this stream second.")]
TrackOpt = Annotated[list[int] | None, typer.Option("--track", help="Only this track; may be repeated.")]


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
    """Count a run's events, or list them, a conflict with the violations beside it; coverage only when asked for."""
    from vision.record.export import rows, summary
    from vision.record.links import links

    records, chosen = _chosen(run, rule, type_, class_, track, from_s, to_s)
    leave_out = () if rule or type_ else ("coverage",)
    if listed:
        beside = links(records, chosen)
        for position, row in zip(chosen.tolist(), rows(records, chosen), strict=True):
            if row["type"] in leave_out:
                continue
            facts = " ".join(f"{key}={value}" for key, value in row.items() if value is not None)
            for one in rows(records, np.array(beside.get(position, ()), np.int64)):
                facts += f" with={one['rule']}@{one['time_s']}"
            out.print(escape(printable_line(facts)), soft_wrap=True)
    else:
        print_rows(summary(records, chosen, leave_out))


def export(
    run: RunArg,
    form: Annotated[ExportFormat, typer.Option("--format", help="Form of the events.")] = ExportFormat.jsonl,
    target: Annotated[str, typer.Option("--out", help="File or folder to write; - is the standard output.")] = "-",
    options: Annotated[
        Path | None, typer.Option("--options", help="TOML file: device, channels, movements, edges, clock and so on.")
    ] = None,
    rule: RuleOpt = None,
    type_: TypeOpt = None,
    class_: ClassOpt = None,
    from_s: FromOpt = None,
    to_s: ToOpt = None,
    track: TrackOpt = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
) -> None:
    """Write a run's events or tracks as JSON lines, CSV, Parquet or in a form of traffic engineering."""
    from vision.record import export as module

    records, chosen = _chosen(run, rule, type_, class_, track, from_s, to_s)
    notes: list[str] = []
    n = module.export(
        records,
        form.value,
        target,
        chosen,
        force=force,
        options=None if options is None else module.read_options(options),
        window=module.Window(tuple(track or ()), tuple(class_ or ()), from_s, to_s),
        notes=notes,
    )
    for note in notes:
        err.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    if target != "-":
        out.print(f"{n} {module.counted(form.value)} in {escape(target)}", soft_wrap=True)


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
