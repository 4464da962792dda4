"""Makes runs with the events that traffic exports read, written by hand from the contract of each rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kernels.records import NAME_TABLES, event_dtype
from vision.record.header import Header, RuleEntry, fields_of, make_header
from vision.record.reader import Records, open_records
from vision.record.store import RecordWriter

#: The rules' own fields, and which of them index names.
PRESENCE = (
    event_dtype(("on", "<u1"), ("vehicles", "<u2"), ("held_s", "<f4"), ("zone", "<i2")),
    {"zone": "zone"},
)
CROSSWALK = (
    event_dtype(
        ("wait_s", "<f4"),
        ("cross_s", "<f4"),
        ("speed_mps", "<f4"),
        ("zone", "<i2"),
        ("direction", "<u1"),
        ("signal_state", "<u1"),
        ("group", "<u1"),
    ),
    {"zone": "zone", "signal_state": "signal_state"},
)
COVERAGE = (
    event_dtype(
        ("interval_s", "<f4"),
        ("observed_s", "<f4"),
        ("gap_s", "<f4"),
        ("suspended_s", "<f4"),
        ("reason", "<u1"),
        ("frames", "<u4"),
    ),
    {"reason": "reason"},
)
SIGNAL_CHANGE = (
    event_dtype(("signal", "<i2"), ("signal_state", "<u1"), ("prev_state", "<u1"), ("since_s", "<f8"), ("sd_s", "<f4")),
    {"signal": "signal", "signal_state": "signal_state", "prev_state": "signal_state"},
)
MOVEMENT = (
    event_dtype(("entry_s", "<f8"), ("entry_line", "<i2"), ("exit_line", "<i2")),
    {"entry_line": "line", "exit_line": "line"},
)
LINE_COUNT = (
    event_dtype(
        ("x_px", "<f4"),
        ("y_px", "<f4"),
        ("speed_mps", "<f4"),
        ("speed_sd_mps", "<f4"),
        ("line", "<i2"),
        ("direction", "<i2"),
        ("bridged", "<u1"),
    ),
    {"line": "line", "direction": "direction"},
)
TYPES = {
    "presence": PRESENCE,
    "crosswalk": CROSSWALK,
    "coverage": COVERAGE,
    "signal_change": SIGNAL_CHANGE,
    "movement": MOVEMENT,
    "line_count": LINE_COUNT,
}
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
