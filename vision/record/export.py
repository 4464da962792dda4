"""Events for the world outside: JSON lines, CSV, Parquet and the forms of traffic engineering, and a count of them.

| format  | names               | unknown | numbers                                        | fields                    |
|---------|---------------------|---------|------------------------------------------------|---------------------------|
| jsonl   | text                | null    | the digits of a 32-bit float, of a microsecond | those of the event's rule |
| csv     | text, formulas off  | empty   | as in jsonl                                    | those of all rules        |
| parquet | text, by dictionary | null    | as recorded                                    | those of all rules        |

The other forms are in `vision.record.formats`.
"""

from __future__ import annotations

import contextlib
import csv
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec
import numpy as np

from vision.errors import StoreError
from vision.record.columns import FIRST, Column, Part, parts
from vision.record.files import replacing
from vision.record.formats import FORMS, Options, Request, Window, read_options, write_folder
from vision.record.formats.tables import no_formula, printable
from vision.record.header import unit_of
from vision.record.reader import Records

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ("FORMATS", "Window", "counted", "export", "printable", "read_options", "rows", "summary")

#: Events that are turned into text at once: memory stays flat however long the run was.
_AT_ONCE = 1 << 16


def export(
    records: Records,
    form: str,
    out: str | Path,
    positions: np.ndarray | None = None,
    *,
    force: bool = False,
    options: Options | None = None,
    window: Window | None = None,
    notes: list[str] | None = None,
) -> int:
    """Write the chosen events, all by default, to a file or with "-" to the standard output; return how many things.

    A file appears when it is whole, and replaces another only with `force`. `window` chooses among tracks as
    `positions` does among events. What a user should know of the result is added to `notes`.
    """
    if form not in FORMATS and form not in FORMS:
        raise StoreError(f"format {form!r} is not known; allowed: {', '.join((*FORMATS, *FORMS))}")
    chosen = np.arange(len(records)) if positions is None else positions
    if form in FORMATS:
        with _opened(out, form, form == "parquet", force) as stream:
            FORMATS[form](records, chosen, stream)
        return len(chosen)
    request = Request(records, chosen, options or Options(), window or Window(), [] if notes is None else notes)
    kind = FORMS[form]
    if kind.stream is None:
        if str(out) == "-":
            raise StoreError(f"{form} is several files; name a folder with --out")
        return write_folder(form, request, Path(out), force)
    with _opened(out, form, kind.binary, force) as stream:
        return kind.stream(request, stream)


def counted(form: str) -> str:
    """Return the plural of what a format's number counts."""
    return "events" if form in FORMATS else FORMS[form].what


def rows(records: Records, positions: np.ndarray | None = None) -> list[dict[str, Any]]:
    """Return the chosen events in their order, each with the fields of its rule."""
    chosen = np.arange(len(records)) if positions is None else positions
    found: np.ndarray = np.empty(len(chosen), object)
    for part in parts(records, chosen):
        names, values = tuple(part.columns), [column.plain() for column in part.columns.values()]
        found[np.searchsorted(chosen, part.positions)] = [
            dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)
        ]
    events: list[dict[str, Any]] = found.tolist()
    return events


def summary(
    records: Records, positions: np.ndarray | None = None, leave_out: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """Return how many events there are by rule, by what the rule tells apart and by class; a rule without has a row.

    `what` joins the names in the event: line and direction, entry and exit, signal state and judgement. Rules of the
    types in `leave_out` have no row.
    """
    found = []
    for part in parts(records, positions):
        entry = records.header.rules[part.rule]
        if entry.type in leave_out:
            continue
        told = [part.columns[name] for name in part.columns if name in entry.names] + [part.columns["class"]]
        kinds, counts = np.unique(np.stack([column.values for column in told], 1), axis=0, return_counts=True)
        head = {"rule": printable(entry.name), "type": printable(entry.type)}
        for kind, count in zip(kinds.tolist(), counts.tolist(), strict=True):
            names = [_name(column, index) for column, index in zip(told, kind, strict=True)]
            found.append({**head, "what": " ".join(names[:-1]), "class": names[-1], "events": count})
        if not len(kinds):
            found.append({**head, "what": "", "class": "", "events": 0})
    return found


def _name(column: Column, index: int) -> str:
    return "-" if index < 0 or column.names is None else printable(column.names[index])


@contextlib.contextmanager
def _opened(out: str | Path, form: str, binary: bool, force: bool) -> Iterator[IO[bytes]]:
    if str(out) != "-":
        path = Path(out)
        try:
            with replacing(path, force) as stream:
                yield stream
        except OSError as error:
            raise StoreError(f"{path}: cannot be written ({error.strerror})") from None
        return
    if binary and sys.stdout.isatty():
        raise StoreError(f"{form} is no text for a terminal; name a file with --out")
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


def _chunks(chosen: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(chosen), _AT_ONCE):
        yield chosen[start : start + _AT_ONCE]


# -- JSON lines -------------------------------------------------------------------------------------------------------


def _write_jsonl(records: Records, chosen: np.ndarray, stream: IO[bytes]) -> None:
    encoder = msgspec.json.Encoder()
    for chunk in _chunks(chosen):
        stream.write(encoder.encode_lines(rows(records, chunk)))


# -- One table for all rules: CSV and Parquet -------------------------------------------------------------------------


def _union(found: list[Part]) -> list[str]:
    """Return the names of the table's columns, the common ones first."""
    return list(dict.fromkeys([*FIRST, *(name for part in found for name in part.columns)]))


def _write_csv(records: Records, chosen: np.ndarray, stream: IO[bytes]) -> None:
    text = io.TextIOWrapper(stream, "utf-8", newline="", write_through=True)
    try:
        writer = csv.writer(text, lineterminator="\n")
        head = _union(list(parts(records, chosen[:0])))
        writer.writerow(head)
        for chunk in _chunks(chosen):
            found = list(parts(records, chunk))
            table = [_csv_column(name, found, chunk) for name in head]
            writer.writerows(zip(*table, strict=True))
    finally:
        text.detach()


def _csv_column(name: str, found: list[Part], chunk: np.ndarray) -> list[Any]:
    cells: np.ndarray = np.full(len(chunk), None, object)
    for part in found:
        column = part.columns.get(name)
        if column is not None and len(part.positions):
            if column.names is not None:
                column = column._replace(names=tuple(no_formula(text) for text in column.names))
            cells[np.searchsorted(chunk, part.positions)] = column.plain()
    plain: list[Any] = cells.tolist()
    return plain


def _write_parquet(records: Records, chosen: np.ndarray, stream: IO[bytes]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = list(parts(records, chosen[:0], rounded=False))
    table = {name: _arrow_column(name, found, chosen[:0]) for name in _union(found)}
    metadata = {"gantry": msgspec.json.encode(records.header, order="sorted")}
    schema = pa.schema([_arrow_field(name, column) for name, column in table.items()], metadata)
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for chunk in _chunks(chosen):
            found = list(parts(records, chunk, rounded=False))
            arrays = [_arrow_column(name, found, chunk) for name in schema.names]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _arrow_field(name: str, column: pa.Array) -> pa.Field:
    import pyarrow as pa

    unit = unit_of(name)
    return pa.field(name, column.type, metadata={"unit": unit} if unit else None)


def _arrow_column(name: str, found: list[Part], chunk: np.ndarray) -> pa.Array:
    """Join what each rule has under this name; names are of the whole run, so that every chunk has the same type."""
    import pyarrow as pa

    columns = [(part.positions, part.columns[name]) for part in found if name in part.columns]
    if name == "time":
        instants = np.full(len(chunk), "NaT", "datetime64[ms]")
        for positions, column in columns:
            instants[np.searchsorted(chunk, positions)] = column.values
        return pa.array(instants, pa.timestamp("ms", "UTC"), from_pandas=True)
    if any(column.names is not None for _, column in columns):
        return _arrow_names(name, columns, chunk)
    dtype = np.result_type(*(column.values for _, column in columns)) if columns else np.dtype(np.float64)
    numbers, known = np.zeros(len(chunk), dtype), np.zeros(len(chunk), bool)
    for positions, column in columns:
        where = np.searchsorted(chunk, positions)
        numbers[where] = column.values
        known[where] = ~np.isnan(column.values) if column.values.dtype.kind == "f" else True
    return pa.array(numbers, mask=~known)


def _arrow_names(name: str, columns: list[tuple[np.ndarray, Column]], chunk: np.ndarray) -> pa.Array:
    import pyarrow as pa

    pool: dict[str, int] = {}
    codes = np.full(len(chunk), -1, np.int32)
    for positions, column in columns:
        if column.names is None:
            raise StoreError(f"column {name} is a name in one rule and a number in another; use jsonl")
        to_pool = np.array([*(pool.setdefault(text, len(pool)) for text in column.names), -1], np.int32)
        codes[np.searchsorted(chunk, positions)] = to_pool[column.values]
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(list(pool), pa.string()))


#: How each format is written.
FORMATS: dict[str, Callable[[Records, np.ndarray, IO[bytes]], None]] = {
    "jsonl": _write_jsonl,
    "csv": _write_csv,
    "parquet": _write_parquet,
}
