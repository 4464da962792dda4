"""Detector events as files: tables for the `atspm` package, XML and .dat for the decoders of UDOT's ATSPM.

| form          | read by                                     | stamps                                        |
|---------------|---------------------------------------------|-----------------------------------------------|
| hires-csv     | atspm: TimeStamp,DeviceId,EventId,Parameter | 2026-05-04 08:30:12.3                         |
| hires-parquet | atspm                                       | timestamp, milliseconds, no zone              |
| hires-xml     | UDOT MaxtimeToIndianaDecoder                | 5-4-2026 08:30:12.3                           |
| hires-dat     | UDOT AscToIndianaDecoder, a folder          | start of the file, then tenths of a second    |
| hires-datz    | the same, compressed (zlib)                 |                                               |

Stamps are the site's wall clock, as a controller's are, or UTC if the options say so. Where the wall clock is set back
in autumn, stamps repeat an hour; rows stay in their true order.
"""

from __future__ import annotations

import csv
import io
import struct
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import IO
from xml.sax.saxutils import quoteattr

import numpy as np

from vision.record.formats.hires import hires_events
from vision.record.formats.request import QUARTER_S, Request

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = ("TimeStamp", "DeviceId", "EventId", "Parameter")
#: A decoder reads the start from so many characters at the front of a .dat file.
_STAMP_CHARS = 20
_RECORD = struct.Struct(">BBh")


def write_csv(request: Request, stream: IO[bytes]) -> int:
    """Write the events as the table that `atspm` reads; return how many."""
    events = hires_events(request)
    device = request.device
    text = io.TextIOWrapper(stream, "utf-8", newline="", write_through=True)
    try:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        stamps = [moment.isoformat(" ", "milliseconds")[:-2] for moment in _moments(request, events)]
        writer.writerows(
            (stamp, device, code, parameter)
            for stamp, code, parameter in zip(
                stamps, events["code"].tolist(), events["parameter"].tolist(), strict=True
            )
        )
    finally:
        text.detach()
    return len(events)


def write_parquet(request: Request, stream: IO[bytes]) -> int:
    """Write the events as the Parquet table that `atspm` reads; return how many."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    events = hires_events(request)
    local = events["tenths"] * 100 + request.offsets_s(events["tenths"] // 10) * 1000
    device = pa.repeat(request.device, len(events))
    if isinstance(request.device, str):
        device = device.dictionary_encode()
    columns = [
        pa.array(local, pa.timestamp("ms")),
        device,
        pa.array(events["code"].astype(np.int16)),
        pa.array(events["parameter"].astype(np.int16)),
    ]
    pq.write_table(pa.Table.from_arrays(columns, list(_COLUMNS)), stream, compression="zstd")
    return len(events)


def write_xml(request: Request, stream: IO[bytes]) -> int:
    """Write the events as XML; return how many."""
    events = hires_events(request)
    stream.write(b'<?xml version="1.0" encoding="utf-8"?>\n')
    stream.write(f"<EventResponses Device={quoteattr(str(request.device))}>\n<EventResponse>\n".encode())
    codes, parameters = events["code"].tolist(), events["parameter"].tolist()
    for number, (moment, code, parameter) in enumerate(
        zip(_moments(request, events), codes, parameters, strict=True), 1
    ):
        stamp = f"{_day(moment)} {moment:%H:%M:%S}.{moment.microsecond // 100_000}"
        stream.write(
            f'<Event ID="{number}" TimeStamp="{stamp}" EventTypeID="{code}" Parameter="{parameter}"/>\n'.encode()
        )
    stream.write(b"</EventResponse>\n</EventResponses>\n")
    return len(events)


def dat_files(request: Request) -> Iterator[tuple[str, bytes, int]]:
    """Yield a name, the bytes and the number of events of each quarter of an hour that has any."""
    events = hires_events(request)
    quarters = events["tenths"] // (QUARTER_S * 10)
    names: set[str] = set()
    for quarter in np.unique(quarters).tolist():
        chosen = events[quarters == quarter]
        start = _moment(quarter * QUARTER_S * 10, int(request.offsets_s(np.array([quarter * QUARTER_S]))[0]))
        name = f"ECON_{request.device}_{start:%Y_%m_%d_%H%M}"
        while name in names:  # the hour that a wall clock shows twice
            name += "_again"
        names.add(name)
        yield f"{name}.dat", _dat(request, f"{name}.dat", start, chosen, quarter), len(chosen)


def datz_files(request: Request) -> Iterator[tuple[str, bytes, int]]:
    """Yield the same files compressed: two bytes of zlib, then deflate."""
    for name, data, n in dat_files(request):
        yield name.removesuffix(".dat") + ".datZ", zlib.compress(data, 9), n


def _dat(request: Request, name: str, start: datetime, events: np.ndarray, quarter: int) -> bytes:
    stamp = f"{_day(start)} {start:%H:%M:%S}"
    # The tenth goes where the front has room for it; cut in half it would be no date. The start is a whole second.
    stamp += ".0" if len(stamp) + 2 <= _STAMP_CHARS else ""
    phases = ",".join(str(phase) for phase in sorted(set(request.options.phases.values())))
    lines = (
        "Version #:,3",
        name,
        f"Intersection #:,{request.device}",
        "IP Address:,0.0.0.0",  # an export names no machine
        "MAC Address:,00:00:00:00:00:00",
        f"Controller Data Log Beginning:,{start.month}/{start.day}/{start.year},{start:%H:%M:%S}.0",
        f"Phases in use:,{phases}",
    )
    front = "".join(f"{stamp},{line}\n" for line in lines).encode("ascii")
    offsets = events["tenths"] - quarter * QUARTER_S * 10
    rows = zip(events["code"].tolist(), events["parameter"].tolist(), offsets.tolist(), strict=True)
    return front + b"".join(_RECORD.pack(*row) for row in rows)


def _moments(request: Request, events: np.ndarray) -> Iterator[datetime]:
    """Yield the wall-clock time of each event."""
    tenths = events["tenths"]
    ahead = request.offsets_s(tenths // 10)
    for tick, offset in zip(tenths.tolist(), ahead.tolist(), strict=True):
        yield _moment(tick, offset)


def _moment(tenths: int, offset_s: int) -> datetime:
    return (_EPOCH + timedelta(milliseconds=tenths * 100, seconds=offset_s)).replace(tzinfo=None)


def _day(moment: datetime) -> str:
    return f"{moment.month}-{moment.day}-{moment.year}"
