"""Truth as tables: the events that a rule should tell, in the form that `gantry eval` reads, and what else is known."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

COLUMNS = ("time_s", "rule", "class", "direction", "speed_kmh", "track_id")


class Event(NamedTuple):
    """What a rule of this name should tell; None where nothing is to be told."""

    time_s: float
    rule: str
    class_: str | None = None
    direction: str | None = None
    speed_kmh: float | None = None
    track_id: int | None = None


class Truth(NamedTuple):
    """`unsure`: events within the width of a threshold, that may be told or not. `tables`: rows by file name."""

    events: list[Event]
    unsure: list[Event]
    tables: dict[str, list[dict[str, Any]]]


def joined(truths: Sequence[Truth]) -> Truth:
    """Return several truths as one."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for truth in truths:
        for name, rows in truth.tables.items():
            tables.setdefault(name, []).extend(rows)
    events = sorted((one for truth in truths for one in truth.events), key=_order)
    unsure = sorted((one for truth in truths for one in truth.unsure), key=_order)
    return Truth(events, unsure, tables)


def _order(event: Event) -> tuple[float, str, int]:
    return event.time_s, event.rule, event.track_id or 0


def write_truth(folder: Path, truth: Truth) -> None:
    """Write events.csv, unsure.csv and the other tables."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, events in (("events", truth.events), ("unsure", truth.unsure)):
        rows = [dict(zip(COLUMNS, event, strict=True)) for event in events]
        (folder / f"{name}.csv").write_text(_text(rows, COLUMNS))
    for name, table in truth.tables.items():
        (folder / f"{name}.csv").write_text(_text(table, tuple(table[0]) if table else ("none",)))


def _text(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_said(row.get(name)) for name in columns] for row in rows)
    return out.getvalue()


def _said(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".")
    return str(value)


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table that `write_truth` wrote."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read_events(path: Path) -> list[Event]:
    """Return the events of events.csv or unsure.csv."""
    return [
        Event(
            float(row["time_s"]),
            row["rule"],
            row["class"] or None,
            row["direction"] or None,
            float(row["speed_kmh"]) if row["speed_kmh"] else None,
            int(row["track_id"]) if row["track_id"] else None,
        )
        for row in read_table(path)
    ]
