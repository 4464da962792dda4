"""Tables of measures, as CSV for spreadsheets and as Parquet: the same columns and rows, empty where not known."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any, NamedTuple

from vision.record.header import unit_of

#: A spreadsheet takes a text that begins like this for a formula; also as their full-width forms.
_FORMULA = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
#: Digits of a number in CSV: more than any measure has.
_DIGITS = 9

Row = dict[str, Any]


class Table(NamedTuple):
    """A table by its name; every row has the same keys, in the same order."""

    name: str
    rows: list[Row]


def printable(text: str) -> str:
    """Return a text that a terminal shows as it is: what would steer the terminal is written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def no_formula(text: str) -> str:
    """Return a cell's text that no spreadsheet runs and no reader splits."""
    return f"'{printable(text)}" if text[:1] and text[0] in _FORMULA else printable(text)


def to_csv(table: Table) -> bytes:
    """Return the table as CSV; instants as 2026-05-04T06:30:00Z."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.rows[0] if table.rows else ())
    writer.writerows([_cell(value) for value in row.values()] for row in table.rows)
    return text.getvalue().encode()


def to_parquet(table: Table) -> bytes:
    """Return the table as Parquet, each column with its unit."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields, columns = [], []
    for name in table.rows[0] if table.rows else ():
        column = pa.array([row[name] for row in table.rows])
        if pa.types.is_null(column.type):
            column = column.cast(pa.float64())
        unit = unit_of(name)
        fields.append(pa.field(name, column.type, metadata={"unit": unit} if unit else None))
        columns.append(column)
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(columns, schema=pa.schema(fields)), stream, compression="zstd")
    return stream.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        text = value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds").removesuffix(".000")
        return f"{text}Z"
    if isinstance(value, float):
        return f"{value:.{_DIGITS}g}"
    return no_formula(value) if isinstance(value, str) else value
