"""What an export needs to know beyond the run: numbers and names of the system that will read it, from a TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from vision.errors import StoreError
from vision.schema import WRONG, Reader, show

_STRICT = {"frozen": True, "forbid_unknown_fields": True}
_DEVICE_ALLOWED = "a whole number, or letters, digits, - and _ (a letter, digit or _ first), at most 64"

#: A device is written into tables and file names: it cannot be a formula or a path.
DeviceName = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_][A-Za-z0-9_-]{0,63}\Z", description=_DEVICE_ALLOWED)]
DeviceNumber = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Channel = Annotated[int, msgspec.Meta(ge=1, le=255)]
Turn = Literal[
    "NBL", "NBT", "NBR", "NBU", "SBL", "SBT", "SBR", "SBU", "EBL", "EBT", "EBR", "EBU", "WBL", "WBT", "WBR", "WBU"
]
EdgeName = Annotated[
    str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_.:#-]{1,128}\Z", description="a SUMO edge id: letters, digits, _ . : # -")
]


class SignalDetectors(msgspec.Struct, **_STRICT):
    """The rules that are a signal's detectors: for arrivals, for presence, at the stop line."""

    arrivals: tuple[str, ...] = ()
    presence: tuple[str, ...] = ()
    stop_line: tuple[str, ...] = ()


class Options(msgspec.Struct, **_STRICT):
    """Options of the traffic formats; each format uses those it needs.

    `channels` and `phases` number zones (or rules) and signals as the controller does. `fault_share` is the share of an
    interval that may go unobserved before its detectors count as failed. `movements` names a turn as "entry -> exit".
    `north_deg` is the compass bearing of the ground plane's y axis. `edges` gives a line ("line", along its flow, or
    "line:direction") its SUMO edge. `classes` are those that count as vehicles. Counts from 1 to `k` - 1 are withheld.
    `free_kmh` is the free speed of a section (by its rule's name) where it is not to be measured; `unsignalised` names
    the sections that end at no signal, whose level of service has other limits.
    `signal_detectors` names the rules that are a signal's detectors.
    """

    device: DeviceNumber | DeviceName | None = None
    clock: Literal["local", "utc"] = "local"
    source: Literal["detectors", "signals"] = "detectors"
    channels: dict[str, Channel] = {}
    phases: dict[str, Channel] = {}
    fault_share: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.05
    interval_min: Annotated[int, msgspec.Meta(ge=1, le=1440)] = 15
    movements: dict[str, Turn] = {}
    north_deg: Annotated[float, msgspec.Meta(ge=-360.0, le=360.0)] | None = None
    u_turns: Literal["left", "omit"] = "left"
    edges: dict[str, EdgeName] = {}
    classes: tuple[str, ...] = ("car", "bus", "truck", "motorcycle")
    k: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    free_kmh: dict[str, Annotated[float, msgspec.Meta(gt=0.0, le=300.0)]] = {}
    unsignalised: tuple[str, ...] = ()
    signal_detectors: dict[str, SignalDetectors] = {}


def read_options(path: str | Path) -> Options:
    """Read an options file; a StoreError lists every mistake, each with its place and what is allowed."""
    place = "".join(mark if mark.isprintable() else "?" for mark in str(path))
    try:
        table: dict[str, Any] = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise StoreError(f"{place}: cannot be read ({error.strerror}); give a TOML file of export options") from None
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{place}: is not TOML: {show(str(error))}; allowed: TOML (https://toml.io)") from None
    reader = Reader(place)
    found = reader.read(table, Options)
    if reader.mistakes or found is WRONG:
        raise StoreError("\n".join(dict.fromkeys(reader.mistakes)))
    options: Options = found
    return options
