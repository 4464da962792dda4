"""What every format starts from: the chosen events of a run by type, and their instants in the clock asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from vision.errors import StoreError
from vision.record.columns import read_as
from vision.record.formats.options import Options
from vision.record.header import RuleEntry
from vision.record.reader import Records

#: Offsets of time zones change at whole quarters of an hour, in every zone since 1972.
QUARTER_S = 900


class RuleEvents(NamedTuple):
    """The chosen events of one rule: its number and entry in the header, EVENT[n] in the order of their times."""

    rule: int
    entry: RuleEntry
    rows: np.ndarray


class Window(NamedTuple):
    """Which tracks are asked for: by id and by class, all where none is named, from_s <= time < to_s."""

    tracks: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    from_s: float | None = None
    to_s: float | None = None


@dataclass(frozen=True)
class Request:
    """An export: which events and tracks of which run, and the options.

    What a user should know of the result is added to `notes`.
    """

    records: Records
    positions: np.ndarray
    options: Options = field(default_factory=Options)
    window: Window = field(default_factory=Window)
    notes: list[str] = field(default_factory=list)

    def of_type(self, *types: str) -> Iterator[RuleEvents]:
        """Yield the chosen events of each rule of these types, also of a rule without events."""
        of_rule = self.records.base["rule"][self.positions]
        for rule, entry in enumerate(self.records.header.rules):
            if entry.type in types:
                rows = self.records.rows(rule, self.positions[of_rule == rule])
                yield RuleEvents(rule, entry, rows[np.argsort(rows["time_s"], kind="stable")])

    def need(self, form: str, *types: str) -> None:
        """Check that the run has a rule of one of these types; a StoreError says which the format is made from."""
        found = [entry.type for entry in self.records.header.rules]
        if not set(types) & set(found):
            had = ", ".join(dict.fromkeys(found)) or "none"
            raise StoreError(
                f"{self.records.path}: {form} is made from rules of type {' or '.join(types)}; this run has: {had}"
            )

    def names(self, entry: RuleEntry, column: str) -> tuple[str, ...]:
        """Return the names that a column of this rule indexes; a StoreError where it has none."""
        table = entry.names.get(column)
        if table is None:
            raise StoreError(f"{self.records.path}: rule {entry.name!r} records no {column}; it cannot be exported so")
        return self.records.header.tables[table]

    def config(self, rule: int) -> dict[str, Any]:
        """Return a rule's table in the site file, as the run's context has it; empty where it is not there."""
        configs = self.records.header.facts.get("rules")
        config = configs[rule] if isinstance(configs, list) and rule < len(configs) else {}
        return config if isinstance(config, dict) else {}

    @property
    def site(self) -> dict[str, Any]:
        """The site's name, time zone and text, as the run's context has them."""
        site = self.records.header.facts.get("site")
        return site if isinstance(site, dict) else {}

    @property
    def geometry(self) -> dict[str, Any]:
        """Lines, zones and ground of the run, as its context has them."""
        geometry = self.records.header.facts.get("geometry")
        return geometry if isinstance(geometry, dict) else {}

    @property
    def device(self) -> int | str:
        """The id that the reading system knows this site by; the site's name where the options have none."""
        if self.options.device is not None:
            return self.options.device
        name = re.sub(r"[^A-Za-z0-9_-]", "_", str(self.site.get("name", "gantry")))[:64]
        return re.sub(r"\A-|\A\Z", "_", name)  # it goes into tables and file names: no formula, no path

    @cached_property
    def start_us(self) -> int:
        """Microseconds from 1970 to stream second 0, UTC; a StoreError where the run has no date."""
        start = self.records.header.start
        if start is None:
            raise StoreError(
                f"{self.records.path}: has no date, and this format needs one; replay the video with --start-utc"
            )
        return (start - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

    def instants_us(self, time_s: np.ndarray) -> np.ndarray:
        """Return i8[n], microseconds since 1970 UTC, of stream seconds; rounded, as below them nothing is known."""
        return self.start_us + np.rint(read_as(np.asarray(time_s, np.float64), "time_s") * 1e6).astype(np.int64)

    @cached_property
    def zone(self) -> ZoneInfo:
        """The zone whose wall clock the export shows."""
        name = "UTC" if self.options.clock == "utc" else str(self.site.get("timezone", "UTC"))
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise StoreError(f"{self.records.path}: time zone {name!r} is not known; use clock = 'utc'") from None

    def offsets_s(self, seconds: np.ndarray) -> np.ndarray:
        """Return i8[n], what the wall clock is ahead of UTC at these seconds since 1970, i8[n]."""
        quarters, where = np.unique(np.asarray(seconds, np.int64) // QUARTER_S, return_inverse=True)
        ahead = [datetime.fromtimestamp(q * QUARTER_S, self.zone).utcoffset() for q in quarters.tolist()]
        found = np.array([round((offset or timedelta()).total_seconds()) for offset in ahead], np.int64)
        return found[where] if len(found) else np.zeros(0, np.int64)

    @property
    def vehicle_classes(self) -> list[int]:
        """The classes that the options count as vehicles; a StoreError where the run knows one by another name."""
        known = self.records.header.tables["class"]
        if unknown := [name for name in self.options.classes if name not in known]:
            raise StoreError(f"classes: {unknown[0]!r} is not a class of this run; allowed: {', '.join(known)}")
        return [known.index(name) for name in self.options.classes]

    @cached_property
    def end_s(self) -> float:
        """The last stream second that an event of the run speaks of, 0.0 for a run without events."""
        chosen = self.records.base["time_s"][self.positions]
        return float(chosen.max()) if len(chosen) else 0.0
