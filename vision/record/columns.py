"""Events as columns: one set of columns a rule, numbers as they are, indices next to the names they stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from vision.errors import StoreError
from vision.record.header import RuleEntry, unit_of
from vision.record.reader import Records

#: The columns that every event has, in this order; the rest of the common fields follow, then the rule's own.
FIRST = ("time_s", "time", "camera", "rule", "type", "track_id", "class", "frame")
#: Digits after the point of a time in seconds: a microsecond is below the step of any video's clock.
_TIME_DIGITS = 6
#: Digits that a 32-bit float holds.
_SINGLE_DIGITS = 7
#: Fields of a record that a column of another name stands for.
_REPLACED = {"class_id"}


class Column(NamedTuple):
    """A column of n events: numbers or instants, or, with `names`, indices into them where -1 is none."""

    values: np.ndarray
    names: tuple[str, ...] | None = None

    def plain(self) -> list[Any]:
        """Return numbers and texts for people to read, None for what is not known."""
        values: np.ndarray = self.values
        if self.names is not None:
            values = np.array([*self.names, None], object)[values]
        elif values.dtype.kind == "M":
            text = np.char.add(np.datetime_as_string(values, unit="ms"), "Z").astype(object)
            text[np.isnat(values)] = None
            values = text
        elif values.dtype.kind == "f" and not np.isfinite(values).all():
            numbers = values.astype(object)
            numbers[~np.isfinite(values)] = None
            values = numbers
        plain: list[Any] = values.tolist()
        return plain


class Part(NamedTuple):
    """The chosen events of one rule: where they are among all, and their columns by name."""

    rule: int
    positions: np.ndarray
    columns: dict[str, Column]


def select(
    records: Records,
    *,
    rules: Sequence[str] = (),
    types: Sequence[str] = (),
    classes: Sequence[str] = (),
    tracks: Sequence[int] = (),
    from_s: float | None = None,
    to_s: float | None = None,
) -> np.ndarray:
    """Return the positions of the events that pass every filter given; times are from_s <= time_s < to_s.

    A StoreError says which names the run has when one is not among them.
    """
    base, header = records.base, records.header
    wanted = np.ones(len(records), bool)
    for what, names, known, values in (
        ("rule", rules, [entry.name for entry in header.rules], base["rule"]),
        ("type", types, [entry.type for entry in header.rules], base["rule"]),
        ("class", classes, list(header.tables["class"]), base["class_id"]),
    ):
        if unknown := [name for name in names if name not in known]:
            said = ", ".join(dict.fromkeys(known)) or "none"
            raise StoreError(f"{records.path}: {what} {unknown[0]!r} is not in this run; in it are: {said}")
        if names:
            wanted &= np.isin(values, [index for index, name in enumerate(known) if name in names])
    if tracks:
        wanted &= np.isin(base["track_id"], np.array(tracks, np.int64))
    if from_s is not None:
        wanted &= base["time_s"] >= from_s
    if to_s is not None:
        wanted &= base["time_s"] < to_s
    return np.flatnonzero(wanted)


def parts(records: Records, positions: np.ndarray | None = None, *, rounded: bool = True) -> Iterator[Part]:
    """Yield the columns of each of the run's rules, also of one without events; `rounded` for people, not for maths."""
    chosen = np.arange(len(records)) if positions is None else positions
    of_rule = records.base["rule"][chosen]
    for rule, entry in enumerate(records.header.rules):
        found = chosen[of_rule == rule]
        yield Part(rule, found, _columns(records, rule, entry, found, rounded))


def read_as(numbers: np.ndarray, name: str) -> np.ndarray:
    """Return floats without digits that mean nothing: 7 of a 32-bit float, microseconds of a time."""
    if numbers.dtype.kind != "f":
        return numbers
    wide = numbers.astype(np.float64)
    if numbers.dtype.itemsize < 8:
        with np.errstate(divide="ignore", invalid="ignore"):
            whole = np.floor(np.log10(np.abs(wide)))
        digits = np.clip(np.nan_to_num(_SINGLE_DIGITS - 1 - whole, nan=0.0, posinf=0.0, neginf=0.0), 0, 15)
        scale = 10.0**digits
        wide = np.rint(wide * scale) / scale
    elif unit_of(name) == "s":
        wide = np.round(wide, _TIME_DIGITS)
    return wide


def _columns(records: Records, rule: int, entry: RuleEntry, positions: np.ndarray, rounded: bool) -> dict[str, Column]:
    rows = records.rows(rule, positions)
    header, n = records.header, len(rows)
    columns = {
        "time_s": Column(read_as(rows["time_s"], "time_s") if rounded else rows["time_s"]),
        "time": Column(_instants(rows["time_s"], header.start)),
        "camera": Column(rows["camera"].astype(np.intp), header.tables["camera"]),
        "rule": Column(np.full(n, rule), tuple(one.name for one in header.rules)),
        "type": Column(np.full(n, rule), tuple(one.type for one in header.rules)),
        "track_id": Column(rows["track_id"]),
        "class": Column(rows["class_id"].astype(np.intp), header.tables["class"]),
        "frame": Column(rows["frame"]),
    }
    for field in entry.fields:
        if field.name in columns or field.name in _REPLACED:
            continue
        values = rows[field.name]
        if field.name == "context":
            columns["context"] = Column(np.zeros(n, np.intp), (header.context_hex,))
        elif field.name in entry.names:
            names = header.tables[entry.names[field.name]]
            columns[field.name] = Column(_indices(records, field.name, values, names, positions), names)
        else:
            columns[field.name] = Column(read_as(values, field.name) if rounded else values)
    return columns


def _indices(
    records: Records, field: str, values: np.ndarray, names: tuple[str, ...], positions: np.ndarray
) -> np.ndarray:
    """Return indices into names, -1 for none; one that has no name is damage."""
    indices = values.astype(np.int64)
    fine = (indices >= -1) & (indices < len(names))
    if not fine.all():
        bad = int(np.argmin(fine))
        raise StoreError(
            f"{records.path}: record {positions[bad]} is damaged: {field} = {indices[bad]} has no name; "
            f"allowed: -1 to {len(names) - 1}"
        )
    return indices


def _instants(time_s: np.ndarray, start: datetime | None) -> np.ndarray:
    """Return UTC instants, rounded to milliseconds; none without the date of stream second 0."""
    if start is None:
        return np.full(len(time_s), "NaT", "datetime64[ms]")
    first = np.datetime64(start.replace(tzinfo=None), "us")
    half_ms = np.timedelta64(500, "us")
    instants: np.ndarray = first + np.rint(time_s * 1e6).astype("timedelta64[us]") + half_ms
    return instants.astype("datetime64[ms]")
