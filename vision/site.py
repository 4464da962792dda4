"""The site file: one TOML file for one or more cameras, read here and nowhere else.

A bad file is refused with every mistake in it, each with the place, the value and what is allowed.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from kernels.records import MAX_POINTS
from kernels.rule import Rule, RuleConfig
from vision import site_checks
from vision.errors import SiteError
from vision.schema import WRONG, Check, Reader, show
from vision.site_checks import URL_ALLOWED, url_mistake

#: A site file larger than this is none.
MOST_BYTES = 1 << 20
#: Most lines, zones, signals, approaches or rules of one camera, so that an event can count them in a byte.
MOST_NAMES = 250

_STRICT = {"frozen": True, "forbid_unknown_fields": True}
_NAME_ALLOWED = "a name of letters a-z A-Z, digits, - and _, at most 64"
_MODEL_ALLOWED = "a name of letters, digits, - _ and . (not first), at most 64"

Name = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z", description=_NAME_ALLOWED)]
ModelName = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}\Z", description=_MODEL_ALLOWED)]
Pixel = Annotated[float, msgspec.Meta(ge=0, le=65535)]
Metre = Annotated[float, msgspec.Meta(ge=-1e8, le=1e8)]
PixelPoint = Annotated[tuple[Pixel, Pixel], msgspec.Meta(description="a point [x, y] in pixels")]
RoadPoint = Annotated[tuple[Metre, Metre], msgspec.Meta(description="a point [x, y] in metres")]
Ends = Annotated[tuple[PixelPoint, PixelPoint], msgspec.Meta(description="two points [[x, y], [x, y]] in pixels")]
Outline = Annotated[
    tuple[PixelPoint, ...], msgspec.Meta(max_length=MAX_POINTS, description="three or more points [x, y]")
]
Coefficient = Annotated[float, msgspec.Meta(ge=-1000, le=1000)]
PlumbLine = Annotated[
    tuple[PixelPoint, ...],
    msgspec.Meta(min_length=3, max_length=100, description="three or more points [x, y] of a straight thing"),
]
Edge = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Box = Annotated[tuple[Edge, Edge, Edge, Edge], msgspec.Meta(description="a box [x1, y1, x2, y2] of whole pixels")]


class Ground(msgspec.Struct, **_STRICT):
    """Points of the road in the picture and on the road plane, four or more, in the same order."""

    image_px: Annotated[tuple[PixelPoint, ...], msgspec.Meta(min_length=4, max_length=50)]
    plane_m: Annotated[tuple[RoadPoint, ...], msgspec.Meta(min_length=4, max_length=50)]


class Lens(msgspec.Struct, **_STRICT):
    """The lens in the words of OpenCV, for square pixels; `lines_px` are points of straight things, to find it from.

    Without a focal length it is the picture's longer side, without a centre the picture's middle.
    """

    k1: Coefficient = 0.0
    k2: Coefficient = 0.0
    p1: Coefficient = 0.0
    p2: Coefficient = 0.0
    k3: Coefficient = 0.0
    focal_px: Annotated[float, msgspec.Meta(ge=10, le=1e6)] | None = None
    centre_px: PixelPoint | None = None
    lines_px: Annotated[tuple[PlumbLine, ...], msgspec.Meta(max_length=50)] = ()

    @property
    def bends(self) -> bool:
        """Whether it moves any point."""
        return any((self.k1, self.k2, self.p1, self.p2, self.k3))

    @property
    def model(self) -> dict[str, Any]:
        """Coefficients, focal length and centre."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name != "lines_px"}


class Approach(msgspec.Struct, **_STRICT):
    """An approach: the way its legal traffic moves, and the outlines of its lanes."""

    flow_px: Ends
    lanes: Annotated[dict[Name, Outline], msgspec.Meta(max_length=MOST_NAMES)] = {}


class Line(msgspec.Struct, **_STRICT):
    """A line to be crossed; its flow is that of an approach, its own, or none."""

    ends_px: Ends
    approach: str | None = None
    flow_px: Ends | None = None


class Zone(msgspec.Struct, **_STRICT):
    """A polygon in the picture."""

    points_px: Outline


class Lamps(msgspec.Struct, **_STRICT):
    """Where the lamps of a signal are in the picture."""

    red: Box
    green: Box
    amber: Box | None = None


class Signal(msgspec.Struct, **_STRICT):
    """A traffic signal, read from a log of its controller or from its lamps in the picture.

    A "log" is in stream seconds, "hires" is a controller's own in wall-clock time (`clock`) with the events of one
    `phase`, `overlap`, `pedestrian` phase or `pedestrian_overlap` of a `device`. A log's time plus `offset_s` is the
    stream's; `clock_sd_s` is the standard deviation of what is left. `stale_s` after the log's end nothing is known.
    With lamps beside a log, the two clocks are compared, and a log that is more than 0.2 s off is not gone by.
    `latency_sd_s` is how uncertain the delay of a lamp's picture is: camera and encoder show a small change late, and
    not always equally so.
    """

    source: Literal["log", "hires", "vision"]
    path: str | None = None
    lamp_px: Lamps | None = None
    phase: Annotated[int, msgspec.Meta(ge=1, le=255)] | None = None
    overlap: Annotated[int, msgspec.Meta(ge=1, le=255)] | None = None
    pedestrian: Annotated[int, msgspec.Meta(ge=1, le=255)] | None = None
    pedestrian_overlap: Annotated[int, msgspec.Meta(ge=1, le=255)] | None = None
    device: int | str | None = None
    clock: Literal["local", "utc"] = "local"
    offset_s: Annotated[float, msgspec.Meta(ge=-86400, le=86400)] = 0.0
    stale_s: Annotated[float, msgspec.Meta(gt=0, le=86400)] = 300.0
    clock_sd_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 0.0
    latency_sd_s: Annotated[float, msgspec.Meta(ge=0, le=5)] = 0.03


class Camera(
    msgspec.Struct,
    rename={"approaches": "approach", "lines": "line", "zones": "zone", "signals": "signal", "rules": "rule"},
    **_STRICT,
):
    """One camera: its stream, its model, what is drawn in its picture, and its rules."""

    url: str
    model: ModelName
    lens: Lens | None = None
    ground: Ground | None = None
    approaches: Annotated[dict[Name, Approach], msgspec.Meta(max_length=MOST_NAMES)] = {}
    lines: Annotated[dict[Name, Line], msgspec.Meta(max_length=MOST_NAMES)] = {}
    zones: Annotated[dict[Name, Zone], msgspec.Meta(max_length=MOST_NAMES)] = {}
    signals: Annotated[dict[Name, Signal], msgspec.Meta(max_length=MOST_NAMES)] = {}
    rules: Annotated[tuple[RuleConfig, ...], msgspec.Meta(max_length=MOST_NAMES)] = ()


class _SiteTable(msgspec.Struct, **_STRICT):
    """The file's own keys."""

    name: Name
    timezone: str
    camera: Annotated[dict[Name, Camera], msgspec.Meta(max_length=1000)]


class Site(msgspec.Struct, frozen=True):
    """A site file that was read and found sound; `text` and `sha256` are of the file as it was."""

    name: str
    timezone: str
    cameras: dict[str, Camera]
    text: str
    sha256: str
    path: Path

    @property
    def folder(self) -> Path:
        """Folder that relative paths in the file start from."""
        return self.path.parent


def load_site(path: str | os.PathLike[str], rules: Mapping[str, Rule] | None = None) -> Site:
    """Read a site file; a SiteError lists every mistake."""
    data = _read_bytes(Path(path))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SiteError(
            [f"{_said(path)}: line {line} is not UTF-8 (byte 0x{data[error.start]:02x}); save it as UTF-8"]
        ) from None
    return parse_site(text, path, rules, hashlib.sha256(data).hexdigest())


def parse_site(
    text: str, path: str | os.PathLike[str], rules: Mapping[str, Rule] | None = None, sha256: str | None = None
) -> Site:
    """Read the text of a site file; `path` names it in messages and is where relative paths start from."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where, what = _toml_place(str(error))
        raise SiteError([f"{_said(path)}: {where}{what}; allowed: TOML (https://toml.io)"]) from None
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, lists in lists in lists
        raise SiteError([f"{_said(path)}: cannot be read as TOML: {show(str(error))}; make it simpler"]) from None
    digest = sha256 or hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    return site_from_table(table, path, text, digest, rules)


def site_from_table(
    table: dict[str, Any],
    path: str | os.PathLike[str],
    text: str,
    sha256: str,
    rules: Mapping[str, Rule] | None = None,
) -> Site:
    """Turn the table of a site file into a Site; a SiteError lists every mistake."""
    if rules is None:
        from kernels.rules import REGISTRY  # late: brings numba, which reading a site with given rules does not need

        rules = REGISTRY
    reader = Reader(_said(path), {RuleConfig: site_checks.rule_chooser(rules)}, _checks(rules))
    read = reader.read(table, _SiteTable)
    if reader.mistakes or read is WRONG:
        raise SiteError(list(dict.fromkeys(reader.mistakes)))
    return Site(read.name, read.timezone, read.camera, text, sha256, Path(path))


def _checks(rules: Mapping[str, Rule]) -> dict[type, Check]:
    return {
        _SiteTable: site_checks.check_site,
        Camera: partial(site_checks.check_camera, rules=rules, ends=Ends),
        Lens: site_checks.check_lens,
        Ground: site_checks.check_ground,
        Approach: site_checks.check_approach,
        Line: site_checks.check_line,
        Zone: site_checks.check_zone,
        Lamps: site_checks.check_lamps,
        Signal: site_checks.check_signal,
        RuleConfig: site_checks.check_rule,
    }


def stream_address(site: Site, camera: str) -> str:
    """Return what a camera's `url` opens: an rtsp address or an absolute path; `env:NAME` is looked up.

    The address may hold a password: show it through `redact`.
    """
    url, at = site.cameras[camera].url, f"{_said(site.path)}: camera.{camera}.url = {show(site.cameras[camera].url)}"
    if url.startswith("env:"):
        url = os.environ.get(url[4:], "")
        if not url:
            raise SiteError([f"{at} is an environment variable that is not set; set it to the stream's address"])
        # The variable's value is a secret: not even a wrong one is shown.
        if url.startswith("env:") or url_mistake(url):
            raise SiteError([f"{at} holds no address; allowed: {URL_ALLOWED}"])
    if url.lower().startswith(("rtsp://", "rtsps://")):
        return url
    return str((site.folder / url.removeprefix("file://")).absolute())


def redact(url: str) -> str:
    """Return an address without its user and password, for messages and records."""
    return re.sub(r"://[^/]*@", "://***@", url)


def missing_files(site: Site) -> list[str]:
    """Return a mistake for each file that the site names and that is not there (videos, signal logs)."""
    missing = []
    for name, camera in site.cameras.items():
        named = {
            f"camera.{name}.signal.{key}.path": signal.path for key, signal in camera.signals.items() if signal.path
        }
        if not camera.url.lower().startswith(("rtsp://", "rtsps://", "env:")):
            named[f"camera.{name}.url"] = camera.url.removeprefix("file://")
        missing += [
            f"{_said(site.path)}: {at} = {show(path)} is not there; looked for {(site.folder / path).absolute()}"
            for at, path in named.items()
            if not (site.folder / path).is_file() and not (".signal." in at and (site.folder / path).is_dir())
        ]
    return missing


def _read_bytes(path: Path) -> bytes:
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise SiteError([f"{_said(path)}: is a folder; give the site's TOML file in it"])
        if not stat.S_ISREG(found.st_mode):
            raise SiteError([f"{_said(path)}: is no regular file; give a TOML file"])
        if found.st_size > MOST_BYTES:
            raise SiteError([f"{_said(path)}: has {found.st_size} bytes; allowed: {MOST_BYTES} (is it a site file?)"])
        data = path.read_bytes()
    except FileNotFoundError:
        raise SiteError([f"{_said(path)}: is not there; give the path of a site file"]) from None
    except (OSError, ValueError) as error:
        raise SiteError([f"{_said(path)}: cannot be read: {getattr(error, 'strerror', None) or error}"]) from None
    if not data.strip():
        raise SiteError([f"{_said(path)}: is empty; it needs name, timezone and a camera"])
    return data


def _said(path: str | os.PathLike[str]) -> str:
    """Return a path for a message: as the user gave it, on one line."""
    return "".join(mark if mark.isprintable() else "?" for mark in str(path))


def _toml_place(message: str) -> tuple[str, str]:
    """Split tomllib's message into place and reason."""
    found = re.fullmatch(r"(.*) \(at (line \d+, column \d+|end of document)\)", message, re.DOTALL)
    what, where = (found[1], f"{found[2]}: ") if found else (message, "")
    return where, "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in what)[:200]
