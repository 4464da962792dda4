"""What stands at the front of a record file, once for all its records: how to read them, and how they came to be.

    0    8 bytes   magic
    8    4 bytes   n, the length of the header's JSON (u4)
    12   32 bytes  SHA-256 of the JSON
    44   n bytes   the JSON, keys sorted; then zeros up to a multiple of 64
    ...            records of 64 bytes: the fields of the event's rule, then zeros

All numbers are little endian. The JSON tells name, format and unit of every field, so a file stays readable when the
fields of a rule change. Equal runs give equal files: no wall clock and no folder of the machine is in them.
"""

from __future__ import annotations

import hashlib
import re
import struct
from datetime import UTC, datetime
from functools import cached_property

import msgspec
import numpy as np

from kernels.records import EVENT_BASE, EVENT_BYTES
from vision.errors import StoreError

MAGIC = b"GANTRY1\n"
FORMAT = 1
FRONT = struct.Struct("<8sI32s")
#: A header larger than this is damage; a site file has at most 1 MiB.
HEADER_BYTES_MAX = 8 << 20

_FORMAT_ALLOWED = re.compile(r"[<|][iu][1248]|<f[248]")
#: What a reader must find in every record, and as which kinds of number.
_NEEDED = {"time_s": "f", "frame": "iu", "track_id": "iu", "context": "u", "camera": "iu", "rule": "u", "class_id": "u"}
#: Names of exported columns that are made here; a rule cannot have fields of these names.
TAKEN = ("time", "type", "class")
#: The longer endings first, as `_px_s` also ends in `_s`.
_UNITS = {
    "_px_s": "px/s",
    "_mps": "m/s",
    "_kmh": "km/h",
    "_deg": "deg",
    "_hz": "Hz",
    "_bytes": "byte",
    "_ms": "ms",
    "_px": "px",
    "_m": "m",
    "_s": "s",
}


def unit_of(name: str) -> str | None:
    """Return the unit that a field's name ends in, None for a plain number."""
    return next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), None)


class Field(msgspec.Struct, frozen=True):
    """A field of a record; fields lie one behind the other."""

    name: str
    format: str
    unit: str | None = None


class RuleEntry(msgspec.Struct, frozen=True):
    """A rule of the run: its name in the site file, its type, its whole record, and which fields index which names."""

    name: str
    type: str
    fields: tuple[Field, ...]
    names: dict[str, str] = {}

    @property
    def dtype(self) -> np.dtype:
        """The record as the file has it, at most 64 bytes."""
        return dtype_of(self.fields)


class Header(msgspec.Struct, frozen=True, dict=True):
    """The front of a record file. `context` is JSON and stays byte for byte as it was, as its hash is its id."""

    base: tuple[Field, ...]
    rules: tuple[RuleEntry, ...]
    tables: dict[str, tuple[str, ...]]
    context: msgspec.Raw
    format: int = FORMAT

    @cached_property
    def context_id(self) -> int:
        """The run's short id, as events carry it: the first 4 bytes of the context's SHA-256."""
        return int.from_bytes(hashlib.sha256(bytes(self.context)).digest()[:4], "little")

    @property
    def context_hex(self) -> str:
        """The run's short id as people write it: 8 hex digits, the first of the context's SHA-256."""
        return self.context_id.to_bytes(4, "little").hex()

    @cached_property
    def facts(self) -> dict[str, object]:
        """The context: site, camera, geometry, model, thresholds, versions."""
        return msgspec.json.decode(self.context, type=dict[str, object])

    @cached_property
    def start(self) -> datetime | None:
        """The instant of stream second 0, in UTC, where the run was told it."""
        text = self.facts.get("start_utc")
        return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) else None

    @property
    def base_dtype(self) -> np.dtype:
        """The fields that every record of the file starts with."""
        return dtype_of(self.base)


def fields_of(dtype: np.dtype) -> tuple[Field, ...]:
    """Return the description of a record's fields."""
    found = tuple(Field(name, dtype[name].str, unit_of(name)) for name in dtype.names or ())
    if dtype_of(found) != dtype:
        raise ValueError(f"{dtype} is not a plain row of numbers without gaps")
    return found


def dtype_of(fields: tuple[Field, ...]) -> np.dtype:
    """Return the dtype that a description stands for; a ValueError says what is wrong with it."""
    for field in fields:
        if not field.name.isidentifier() or not _FORMAT_ALLOWED.fullmatch(field.format):
            raise ValueError(f"field {field.name!r} has format {field.format!r}; allowed: little-endian numbers")
    dtype = np.dtype([(field.name, field.format) for field in fields])
    if dtype.itemsize > EVENT_BYTES:
        raise ValueError(f"a record has {dtype.itemsize} bytes; allowed are {EVENT_BYTES}")
    return dtype


def check(header: Header) -> None:
    """Check that records can be read by this header; a ValueError says why not."""
    base, _ = header.base_dtype, header.start
    for name, kinds in _NEEDED.items():
        if name not in (base.names or ()) or base[name].kind not in kinds:
            raise ValueError(f"records have no field {name!r} of the right kind")
    for entry in header.rules:
        own = entry.fields[len(header.base) :]
        if entry.fields[: len(header.base)] != header.base:
            raise ValueError(f"rule {entry.name!r}: its records do not start with the common fields")
        if taken := [field.name for field in own if field.name in TAKEN]:
            raise ValueError(f"rule {entry.name!r}: a field cannot be called {taken[0]!r}")
        for field, table in entry.names.items():
            if field not in (entry.dtype.names or ()) or entry.dtype[field].kind not in "iu":
                raise ValueError(f"rule {entry.name!r}: {field!r} is no whole-number field")
            if table not in header.tables:
                raise ValueError(f"rule {entry.name!r}: {field!r} has no table of names {table!r}")
        _ = entry.dtype
    for table in ("camera", "class"):
        if table not in header.tables:
            raise ValueError(f"it has no table of names {table!r}")


def make_header(rules: tuple[RuleEntry, ...], tables: dict[str, tuple[str, ...]], context: object) -> Header:
    """Build a checked header; `context` is anything that JSON can hold."""
    raw = msgspec.Raw(msgspec.json.encode(context, order="sorted"))
    header = Header(base=fields_of(np.dtype(EVENT_BASE)), rules=rules, tables=tables, context=raw)
    check(header)
    return header


def encode(header: Header) -> bytes:
    """Return the front of a file, a multiple of 64 bytes."""
    text = msgspec.json.encode(header, order="sorted")
    if len(text) > HEADER_BYTES_MAX:
        raise StoreError(f"the run's context has {len(text)} bytes; allowed are {HEADER_BYTES_MAX}")
    front = FRONT.pack(MAGIC, len(text), hashlib.sha256(text).digest()) + text
    return front + bytes(-len(front) % EVENT_BYTES)


def decode(data: bytes | memoryview, place: str) -> tuple[Header, int]:
    """Return the header and where the records start, in bytes; a StoreError says what is damaged."""
    if len(data) < FRONT.size:
        raise StoreError(f"{place}: has {len(data)} bytes and is no record file; give one that gantry replay wrote")
    magic, length, digest = FRONT.unpack_from(data)
    if magic != MAGIC:
        if magic[:6] == MAGIC[:6]:
            raise StoreError(
                f"{place}: is a record file of another generation ({magic[:7]!r}); read it with its Gantry"
            )
        raise StoreError(f"{place}: is no record file: it starts with {bytes(magic)!r}, not with {MAGIC!r}")
    start = -(-(FRONT.size + length) // EVENT_BYTES) * EVENT_BYTES
    if length > HEADER_BYTES_MAX or start > len(data):
        raise StoreError(f"{place}: is damaged at byte 8: a header of {length} bytes is not in a file of {len(data)}")
    text = bytes(data[FRONT.size : FRONT.size + length])
    if hashlib.sha256(text).digest() != digest:
        raise StoreError(f"{place}: is damaged in bytes {FRONT.size} to {FRONT.size + length}: its hash is another")
    try:
        found = msgspec.json.decode(text, type=_Version).format
        if found != FORMAT:
            raise StoreError(f"{place}: has format {found}; this Gantry reads {FORMAT}: use the newer one")
        header = msgspec.json.decode(text, type=Header)
        check(header)
    except (ValueError, TypeError, OverflowError, msgspec.MsgspecError) as error:
        raise StoreError(f"{place}: has a wrong header: {error}") from None
    return header, start


class _Version(msgspec.Struct):
    """Read before anything else, as the rest may mean something else in another format."""

    format: int
