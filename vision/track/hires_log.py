"""States of a signal from a controller's high-resolution event log (Indiana codes): CSV, Parquet, XML, .dat, .datz.

| state  | phase        | overlap | pedestrian phase       | pedestrian overlap     |
|--------|--------------|---------|------------------------|------------------------|
| green  | 1            | 61, 62  | 21 walk                | 67 walk                |
| amber  | 8            | 63      | 22 clearance           | 68 clearance           |
| red    | 9 to 12      | 64, 65  | 23 don't walk          | 69 don't walk          |
| dark   |              | 66      | 24                     | 70                     |

7 alone (green ended, no yellow) leaves the state unknown. 173, the unit's flash status: flashing, or with 2 unknown
until the next event. Stamps are floored to a tenth of a second.
"""

from __future__ import annotations

import csv
import io
import re
import struct
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from kernels.records import AMBER, DARK, FLASHING, GREEN, RED, UNKNOWN
from vision.errors import InputError
from vision.site import Signal

_BYTES_MAX = 512 * 1024 * 1024
#: A stamp is that of the tenth in which an event fell: the error's root mean square about it.
FLOORED_SD_S = 0.1 / 3**0.5

CODES = {
    "phase": {1: GREEN, 7: UNKNOWN, 8: AMBER, 9: RED, 10: RED, 11: RED, 12: RED},
    "overlap": {61: GREEN, 62: GREEN, 63: AMBER, 64: RED, 65: RED, 66: DARK},
    "pedestrian": {21: GREEN, 22: AMBER, 23: RED, 24: DARK},
    "pedestrian_overlap": {67: GREEN, 68: AMBER, 69: RED, 70: DARK},
}
FLASH, NO_FLASH = 173, 2
COLUMNS = ("TimeStamp", "DeviceId", "EventId", "Parameter")
_DAT_RECORD = struct.Struct(">BBh")
_DAT_LINES = 7
_XML_EVENT = re.compile(r"<Event\s([^<>]*)/?>")
_XML_FIELD = re.compile(r'(\w+)\s*=\s*"([^"]*)"')
_XML_DEVICE = re.compile(r'<EventResponses\s[^<>]*?\bDevice\s*=\s*"([^"]*)"')
#: A wall clock that goes back by more than this was set back: the hour that comes twice.
_SET_BACK = timedelta(minutes=30)


class SignalLog(NamedTuple):
    """When a signal came to show what, in s on the stream's clock; until when the log tells; its stamps' deviation."""

    times: list[float]
    states: list[int]
    end_s: float
    sd_s: float = 0.0


#: The stamp as it was written, without a zone; device, code, parameter.
Event = tuple[datetime, str, int, int]


def read_hires_log(path: Path, name: str, signal: Signal, timezone: str, start: datetime | None) -> SignalLog:
    """Return a signal's log in stream seconds; an InputError where the run has no date or the log not this signal."""
    if start is None:
        raise InputError(
            f"{path}: signal {name!r} is logged in wall-clock time; say when the stream began (--start-utc)"
        )
    kind = next(key for key in CODES if getattr(signal, key) is not None)
    number, codes = getattr(signal, kind), CODES[kind]
    events = list(read_events(path))
    devices = sorted({event[1] for event in events})
    device = str(signal.device) if signal.device is not None else devices[0] if len(devices) == 1 else None
    if device not in devices:
        raise InputError(f"{path}: signal {name!r} has device {device!r}; in the log: {', '.join(devices) or 'none'}")
    own = [event for event in events if event[1] == device]
    moments = _utc([event[0] for event in own], ZoneInfo("UTC" if signal.clock == "utc" else timezone))
    rows = sorted(zip(moments, own, strict=True), key=lambda row: (row[0], row[1][2]))
    times: list[float] = []
    states: list[int] = []
    found = 0
    for moment, (_, _, code, parameter) in rows:
        if code == FLASH:
            state = UNKNOWN if parameter == NO_FLASH else FLASHING
        elif code in codes and parameter == number:
            state, found = codes[code], found + 1
        else:
            continue
        time_s = (moment - start) / timedelta(seconds=1)
        if times and times[-1] == time_s:  # what lasted for no time
            times.pop(), states.pop()
        if not states or state != states[-1]:
            times.append(time_s)
            states.append(state)
    if not found:
        there = sorted({event[3] for event in own if event[2] in codes})
        raise InputError(f"{path}: no event of {kind} {number}; in the log: {', '.join(map(str, there)) or 'none'}")
    return SignalLog(times, states, (rows[-1][0] - start) / timedelta(seconds=1), FLOORED_SD_S)


def read_events(path: Path) -> Iterator[Event]:
    """Yield all events of a file, or of the files of a folder in the order of their names."""
    try:
        files = sorted(part for part in path.iterdir() if part.is_file()) if path.is_dir() else [path]
        if sum(part.stat().st_size for part in files) > _BYTES_MAX:
            raise InputError(f"{path}: the log is larger than {_BYTES_MAX} bytes; split it by day")
        for part in files:
            yield from _reader(part)
    except (OSError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{path}: cannot read the signal log: {getattr(error, 'strerror', None) or error}") from None


def _reader(path: Path) -> Iterator[Event]:
    data, suffix = path.read_bytes(), path.suffix.lower()
    if suffix == ".parquet":
        return _from_parquet(path, data)
    if suffix == ".xml":
        return _from_xml(path, data.decode("utf-8-sig"))
    if suffix == ".datz":
        return _from_dat(path, _inflate(path, data))
    if suffix == ".dat":
        return _from_dat(path, data)
    return _from_csv(path, data.decode("utf-8-sig"))


def _inflate(path: Path, data: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    found = unpacker.decompress(data, _BYTES_MAX)
    if not unpacker.eof:
        raise InputError(f"{path}: is cut short, or larger than {_BYTES_MAX} bytes unpacked")
    return found


def _from_csv(path: Path, text: str) -> Iterator[Event]:
    try:
        reader = csv.DictReader(io.StringIO(text))
        _check_columns(path, reader.fieldnames or ())
        for row in reader:
            yield _event(f"{path}:{reader.line_num}", *(row[column] for column in COLUMNS))
    except csv.Error as error:
        raise InputError(f"{path}: cannot read the signal log: {error}; allowed: CSV with one row a line") from None


def _from_parquet(path: Path, data: bytes) -> Iterator[Event]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: cannot be read as Parquet: {error}") from None
    _check_columns(path, table.column_names)
    for number, row in enumerate(zip(*(table[column].to_pylist() for column in COLUMNS), strict=True), 1):
        yield _event(f"{path}: row {number}", *row)


def _from_xml(path: Path, text: str) -> Iterator[Event]:
    # Two patterns, no parser: a log is flat, and entities that expand without end have no place in it.
    found = _XML_DEVICE.search(text)
    device = found[1] if found else path.stem
    for number, event in enumerate(_XML_EVENT.finditer(text), 1):
        fields = dict(_XML_FIELD.findall(event[1]))
        yield _event(
            f"{path}: event {number}",
            fields.get("TimeStamp"),
            device,
            fields.get("EventTypeID"),
            fields.get("Parameter"),
        )


def _from_dat(path: Path, data: bytes) -> Iterator[Event]:
    parts = data.split(b"\n", _DAT_LINES)
    front = [part.decode("latin-1") for part in parts[:_DAT_LINES]]
    if len(parts) <= _DAT_LINES or not front[-1].partition(",")[2].startswith("Phases in use"):
        raise InputError(f"{path}: has no front of {_DAT_LINES} lines as a controller's .dat file has")
    device = next((line.split(":,", 1)[1].strip() for line in front if "Intersection #:," in line), path.stem)
    begin = _stamp(f"{path}:1", front[0].partition(",")[0])
    body = parts[_DAT_LINES]
    for code, parameter, tenths in _DAT_RECORD.iter_unpack(body[: len(body) // _DAT_RECORD.size * _DAT_RECORD.size]):
        yield begin + timedelta(milliseconds=100 * tenths), device, code, parameter


def _check_columns(path: Path, columns: object) -> None:
    names = list(columns) if isinstance(columns, list | tuple) else []
    if not set(COLUMNS) <= set(names):
        raise InputError(f"{path}: columns are {', '.join(names) or 'none'}; needed: {', '.join(COLUMNS)}")


def _event(where: str, stamp: object, device: object, code: object, parameter: object) -> Event:
    try:
        return _stamp(where, stamp), str(device), int(str(code)), int(str(parameter))
    except ValueError:
        raise InputError(f"{where}: event {code!r} {parameter!r} is no pair of whole numbers") from None


def _stamp(where: str, stamp: object) -> datetime:
    if isinstance(stamp, datetime):
        return stamp.replace(tzinfo=None)
    text = str(stamp).strip()
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        pass
    for form in ("%m-%d-%Y %H:%M:%S.%f", "%m-%d-%Y %H:%M:%S"):
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    raise InputError(
        f"{where}: time stamp {text[:40]!r} is not known; allowed: 2026-05-04 08:30:12.3, 5-4-2026 08:30:12.3"
    )


def _utc(stamps: list[datetime], zone: ZoneInfo) -> list[datetime]:
    """Return the instants of stamps of a wall clock in the order of the log; of an hour that comes twice, by that."""
    found, fold, latest = [], 0, stamps[0]
    for stamp in stamps:
        fold = 1 if stamp < latest - _SET_BACK else 0 if stamp >= latest else fold
        latest = max(latest, stamp)
        found.append(stamp.replace(tzinfo=zone, fold=fold).astimezone(UTC))
    return found
