"""Makes runs with the events that traffic exports read, written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kernels.records import NAME_TABLES
from kernels.rules import REGISTRY
from vision.record.header import Header, RuleEntry, fields_of, make_header
from vision.record.reader import Records, open_records
from vision.record.store import RecordWriter

#: The records of each type of rule, and which of their fields index names.
TYPES = {kind: (rule.event, dict(rule.names)) for kind, rule in REGISTRY.items()}
START = "2026-05-04T06:30:00Z"  # 08:30 in Berlin
Rule = tuple[str, str, dict[str, Any]]  # name, type, its table in the site file


def header(
    rules: Sequence[Rule],
    *,
    start_utc: str | None = START,
    timezone: str = "Europe/Berlin",
    site: str = "elm",
    zones: tuple[str, ...] = (),
    lines: tuple[str, ...] = (),
    signals: tuple[str, ...] = (),
    lanes: tuple[str, ...] = (),
    geometry: dict[str, Any] | None = None,
    secret: str = "",
) -> Header:
    """Return the header of a run of these rules; `secret` stands in the site's text."""
    tables = {key: tuple(names) for key, names in NAME_TABLES.items()} | {
        "camera": ("north",),
        "zone": zones,
        "line": lines,
        "signal": signals,
        "lane": lanes,
    }
    entries = tuple(RuleEntry(name, kind, fields_of(TYPES[kind][0]), TYPES[kind][1]) for name, kind, _ in rules)
    context = {
        "camera": "north",
        "start_utc": start_utc,
        "site": {"name": site, "timezone": timezone, "text": secret},
        "rules": [{"type": kind, "name": name, **table} for name, kind, table in rules],
        "geometry": geometry or {},
    }
    return make_header(entries, tables, context)


def write(folder: Path, head: Header, events: Mapping[int, Sequence[Mapping[str, Any]]]) -> Records:
    """Write the events of each rule, each a table of its fields; what is not named is 0."""
    folder.mkdir(parents=True, exist_ok=True)
    with RecordWriter(folder / "events.gtr", head) as writer:
        for rule, tables in events.items():
            rows = np.zeros(len(tables), head.rules[rule].dtype)
            for row, table in zip(rows, tables, strict=True):
                for name, value in table.items():
                    row[name] = value
            rows["rule"], rows["context"] = rule, head.context_id
            writer.append(rows, rule)
    return open_records(folder)


def stays(zone: int, stays_s: Sequence[tuple[float, float]]) -> list[dict[str, Any]]:
    """Return the presence events of a zone that was held from and to these stream seconds."""
    found: list[dict[str, Any]] = []
    for begin, end in stays_s:
        found.append({"time_s": begin, "on": 1, "vehicles": 1, "held_s": np.nan, "zone": zone})
        found.append({"time_s": end, "on": 0, "vehicles": 0, "held_s": end - begin, "zone": zone})
    return found
