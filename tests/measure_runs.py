"""Makes runs of one rule whose events are written by hand, and reads the tables of measures made from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import traffic_runs

from kernels.records import REASONS
from vision.record.formats import Options, Request, Window
from vision.record.formats.measures import tables
from vision.record.reader import Records

Events = list[dict[str, Any]]
NAN = float("nan")


def made(
    folder: Path,
    kind: str,
    events: Events,
    config: dict[str, Any] | None = None,
    cover: Events | None = None,
    **more: Any,
) -> Records:
    """Return a run of one rule, all of it watched unless told otherwise."""
    rules: list[traffic_runs.Rule] = [("it", kind, config or {}), ("coverage", "coverage", {})]
    names = {"lines": ("in", "out"), "zones": ("zone",), "lanes": ("a/a", "a/b"), "signals": ("lamp",)}
    head = traffic_runs.header(rules, **{**names, **more})
    return traffic_runs.write(folder, head, {0: events, 1: watched(60) if cover is None else cover})


def watched(minutes: int, *less: tuple[int, float, str]) -> Events:
    """Return the accounts of so many minutes, some with so many seconds suspended for a reason, or in a gap."""
    found: Events = [{"time_s": 60.0 * (k + 1), "interval_s": 60, "observed_s": 60} for k in range(minutes)]
    for minute, seconds, reason in less:
        part = "gap_s" if reason == "stream_gap" else "suspended_s"
        code = 0 if reason == "stream_gap" else REASONS.index(reason)
        found[minute] |= {"observed_s": 60 - seconds, part: seconds, "reason": code}
    return found


def table(
    records: Records, name: str, window: Window | None = None, notes: list[str] | None = None, **options: Any
) -> Events:
    request = Request(
        records, np.arange(len(records)), Options(**options), window or Window(), [] if notes is None else notes
    )
    found = {one.name: one.rows for one in tables(request)}
    return found[name]
