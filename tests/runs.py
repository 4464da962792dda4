"""Makes record files for tests, with rules of their own, and reads them back the slow way: struct and json only."""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from kernels.records import NAME_TABLES, event_dtype
from vision.record.header import Header, RuleEntry, fields_of, make_header
from vision.record.reader import Records, open_records
from vision.record.store import RecordWriter

COUNT = event_dtype(("x_px", "<f4"), ("speed_mps", "<f4"), ("line", "<i2"), ("direction", "<i2"), ("bridged", "<u1"))
TRIP = event_dtype(("entry_s", "<f8"), ("entry_line", "<i2"), ("exit_line", "<i2"), ("hops", "<i8"))
BARE = event_dtype()
RULES = (
    ("north count", "count", COUNT, {"line": "line", "direction": "direction"}),
    ("trips", "trip", TRIP, {"entry_line": "line", "exit_line": "line"}),
    ("bare", "bare", BARE, {}),
    ("south count", "count", COUNT, {"line": "line", "direction": "direction"}),
)
LINES = ("north_stop", "south_stop", "west")
START = "2026-05-04T06:30:00Z"


def header(
    rules: tuple[tuple[str, str, np.dtype, dict[str, str]], ...] = RULES,
    lines: tuple[str, ...] = LINES,
    start_utc: str | None = START,
    camera: str = "north",
) -> Header:
    """Return the header of a made-up run."""
    tables = {key: tuple(names) for key, names in NAME_TABLES.items()} | {
        "camera": (camera,),
        "line": lines,
        "zone": (),
        "signal": (),
    }
    entries = tuple(RuleEntry(name, kind, fields_of(dtype), names) for name, kind, dtype, names in rules)
    return make_header(entries, tables, {"camera": camera, "start_utc": start_utc, "site": {"name": "elm"}})


def events(head: Header, rule: int, n: int, seed: int = 0) -> np.ndarray:
    """Return n events of a rule: random numbers, some unknown, and indices that have names."""
    rng = np.random.default_rng([seed, rule, n])
    entry = head.rules[rule]
    found = np.zeros(n, entry.dtype)
    for name in entry.dtype.names or ():
        kind = entry.dtype[name]
        if kind.kind == "f":
            found[name] = rng.normal(0.0, 10.0 ** rng.integers(-3, 6), n)
            if name != "time_s":
                found[name][rng.random(n) < 0.2] = np.nan
        elif name in entry.names:
            found[name] = rng.integers(-1, len(head.tables[entry.names[name]]), n)
        else:
            info = np.iinfo(kind)
            found[name] = rng.integers(info.min, info.max, n, kind, endpoint=True)
    found["time_s"] = np.abs(found["time_s"])
    found["camera"], found["rule"], found["context"] = 0, rule, head.context_id
    found["class_id"] = rng.integers(0, len(head.tables["class"]), n)
    return found


def write(path: Path, head: Header, batches: list[tuple[int, int]], seed: int = 0) -> Path:
    """Write batches of (rule, number of events) and return the file."""
    with RecordWriter(path, head) as writer:
        for k, (rule, n) in enumerate(batches):
            writer.append(events(head, rule, n, seed + k), rule)
    return path


def run(folder: Path, n: int = 40, seed: int = 0, head: Header | None = None) -> Records:
    """Return a run of about n events, the rules mixed."""
    head = head or header()
    rng = np.random.default_rng(seed)
    batches = [(int(rng.integers(len(head.rules))), int(rng.integers(1, 4))) for _ in range(n // 2)]
    return open_records(write(folder / "events.gtr", head, batches, seed))


_CODES = {"|u1": "B", "|i1": "b", "<u2": "H", "<i2": "h", "<u4": "I", "<i4": "i", "<i8": "q", "<f4": "f", "<f8": "d"}


def naive_events(data: bytes) -> list[dict[str, Any]]:
    """Read a file's events one by one as they are exported, floats in full and unknown values as None."""
    (length,) = struct.unpack("<I", data[8:12])
    front = json.loads(data[44 : 44 + length])
    start = (44 + length + 63) // 64 * 64
    found = []
    for at in range(start, len(data) - 63, 64):
        base = _fields(front["base"], data, at)
        rule = front["rules"][base["rule"]]
        fields = _fields(rule["fields"], data, at)
        event = {
            "time_s": fields["time_s"],
            "time": _time(front["context"].get("start_utc"), fields["time_s"]),
            "camera": front["tables"]["camera"][fields["camera"]],
            "rule": rule["name"],
            "type": rule["type"],
            "track_id": fields["track_id"],
            "class": front["tables"]["class"][fields["class_id"]],
            "frame": fields["frame"],
            "context": fields["context"].to_bytes(4, "little").hex(),
        }
        for name, value in fields.items():
            if name in rule["names"]:
                value = None if value == -1 else front["tables"][rule["names"][name]][value]
            if name not in event and name != "class_id":
                event[name] = None if value != value else value
        found.append(event)
    return found


def _fields(fields: list[dict[str, Any]], data: bytes, at: int) -> dict[str, Any]:
    codes = "<" + "".join(_CODES[field["format"]] for field in fields)
    return dict(zip([field["name"] for field in fields], struct.unpack_from(codes, data, at), strict=True))


def _time(start_utc: str | None, time_s: float) -> str | None:
    if start_utc is None:
        return None
    instant = datetime.fromisoformat(start_utc).astimezone(UTC) + timedelta(seconds=time_s, microseconds=500)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
