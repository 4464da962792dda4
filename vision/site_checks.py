"""What is wrong with a site file beyond the types of its values: shapes, names of nothing, contradictions."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np

from kernels.rule import Rule
from vision import shapes
from vision.ground import GroundError, fit_ground
from vision.schema import WRONG, Choose, Reader, join, listing, suggest

URL_ALLOWED = "rtsp://host/..., rtsps://host/..., the path of a video file, or env:NAME"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.,-]+:")


def url_mistake(url: str) -> str | None:
    """Return what is wrong with a stream's address: an address is code to the libraries that open it."""
    if not url.strip() or not url.isprintable() or len(url) > 2000:
        return "is not an address"
    if re.match(r"rtsps?://", url, re.IGNORECASE):
        try:
            parts = urlsplit(url)
            sound = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            sound = False
        return None if sound else "has no host or a wrong port"
    if url.startswith("env:"):
        return None if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", url[4:]) else "names no environment variable"
    if _SCHEME.match(url.removeprefix("file://")) or url.startswith(("-", "|")):
        return "has a scheme that is not opened"
    return None


#: A reference to a line that must have a flow, in `Rule.references`.
_FLOW_LINE = "flow_line"
_LABEL_ALLOWED = "1 to 64 printable characters without / and \\"


def check_site(reader: Reader, taken: dict[str, Any], table: dict[str, Any], at: str) -> None:
    """Check the time zone's name, and that there is a camera."""
    zone = taken.get("timezone")
    if zone is not None and not _is_zone(zone):
        # The list of zones is read only for this message.
        hint = suggest(zone, zoneinfo.available_timezones())
        reader.wrong("timezone", zone, f"is not known; {hint}allowed: an IANA time zone such as Europe/Berlin or UTC")
    if taken.get("camera") == {}:
        reader.add("camera", "has no entry; give a [camera.NAME] table")


def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):  # OSError: a folder of zones, a name too long
        return False
    return True


def check_camera(
    reader: Reader, taken: dict[str, Any], table: dict[str, Any], at: str, rules: Mapping[str, Rule], ends: Any
) -> None:
    """Check a camera's address, the flows of its lines, and every name that one part has for another."""
    url = taken.get("url")
    if url is not None and (problem := url_mistake(url)):
        reader.wrong(join(at, "url"), re.sub(r"://[^/]*@", "://***@", url), f"{problem}; allowed: {URL_ALLOWED}")
    _check_pairing(reader, taken.get("ground"), taken.get("lens"), table, at)
    flows = _line_flows(reader, table, at, ends)
    defined = {key: list(_tables(table, key)) for key in ("approach", "line", "zone", "signal")}
    defined[_FLOW_LINE] = [line for line, has_flow in flows.items() if has_flow]
    approaches = _tables(table, "approach").items()
    defined["lane"] = [f"{way}/{lane}" for way, own in approaches for lane in _lanes(own)]
    seen: dict[str, int] = {}
    for number, rule in enumerate(_list(table.get("rule")), 1):
        if not isinstance(rule, dict):
            continue
        place = f"{join(at, 'rule')}#{number}"
        name, kind = rule.get("name"), rule.get("type")
        if isinstance(name, str) and seen.setdefault(name, number) != number:
            reader.wrong(join(place, "name"), name, f"is the name of rule #{seen[name]} too; allowed: each name once")
        if isinstance(kind, str) and kind in rules:
            if rules[kind].needs_ground and "ground" not in table:
                reader.add(place, f"measures in metres; type {kind!r} needs the camera's ground: add [{at}.ground]")
            for field, target in rules[kind].references.items():
                _check_names(reader, rule.get(field), defined, target, join(place, field))


def _check_names(reader: Reader, value: Any, defined: Mapping[str, list[str]], target: str, at: str) -> None:
    """Check one name or a list of them against the names of a table."""
    names = [value] if isinstance(value, str) else [name for name in _list(value) if isinstance(name, str)]
    for number, name in enumerate(names, 1):
        place = at if isinstance(value, str) else f"{at}#{number}"
        if name in defined[target]:
            continue
        if target == _FLOW_LINE and name in defined["line"]:
            with_flow = listing(defined[target])
            reader.wrong(
                place, name, f"is a line without a flow; give it approach or flow_px; lines with a flow: {with_flow}"
            )
            continue
        reader.undefined(place, name, defined["line" if target == _FLOW_LINE else target])


def _line_flows(reader: Reader, table: dict[str, Any], at: str, ends: Any) -> dict[str, bool]:
    """Check each line against its flow; return which lines have one."""
    approaches = _tables(table, "approach")
    found = {}
    for name, line in _tables(table, "line").items():
        place = join(join(at, "line"), name)
        if not isinstance(line, dict):
            found[name] = True  # a mistake already: no second one about its flow
            continue
        approach, flow = line.get("approach"), line.get("flow_px")
        found[name] = approach is not None or flow is not None
        if approach is not None and flow is not None:
            reader.add(place, "has both approach and flow_px; allowed: one of them")
        elif isinstance(approach, str) and approach not in approaches:
            reader.undefined(join(place, "approach"), approach, approaches)
        elif isinstance(approach, str):
            drawn = approaches[approach]
            flow = drawn.get("flow_px") if isinstance(drawn, dict) else None
        problem = _flow_mistake(line.get("ends_px"), flow, ends)
        if problem:
            reader.add(place, problem)
    return found


def _flow_mistake(line_px: Any, flow_px: Any, ends: Any) -> str | None:
    """Return what is wrong between a line and its flow, where both can be read."""
    silent = Reader("")
    line, flow = silent.read(line_px, ends), silent.read(flow_px, ends)
    if silent.mistakes or shapes.segment_mistakes(line) or shapes.segment_mistakes(flow):
        return None
    problems = shapes.flow_mistakes(line, flow)
    return problems[0] if problems else None


def check_ground(reader: Reader, taken: dict[str, Any], table: dict[str, Any], at: str) -> None:
    """Check the ground points: as many in the picture as on the road, none twice, not on one line."""
    image, plane = taken.get("image_px"), taken.get("plane_m")
    for key, points in (("image_px", image), ("plane_m", plane)):
        for problem in shapes.points_mistakes(points) if points else ():
            reader.wrong(join(at, key), _plain(points), problem)
    if image is None or plane is None:
        return
    if len(image) != len(plane):
        reader.add(
            at, f"has {len(image)} points in image_px and {len(plane)} in plane_m; allowed: as many, in one order"
        )


def _check_pairing(reader: Reader, ground: Any, lens: Any, table: dict[str, Any], at: str) -> None:
    """Check that sound ground points are in one order in the picture and on the road, and that a ground fits them.

    Through a lens that bends, this waits for the picture's size: straight things are not straight before.
    """
    if ground is None or (lens is None and "lens" in table) or (lens is not None and lens.bends):
        return
    problems = shapes.pairing_mistakes(ground.image_px, ground.plane_m)
    for problem in problems:
        reader.wrong(join(join(at, "ground"), "plane_m"), _plain(ground.plane_m), problem)
    if problems:
        return
    try:
        fit_ground(np.array(ground.image_px), np.array(ground.plane_m))
    except GroundError as error:
        reader.add(join(at, "ground"), str(error))


def check_lens(reader: Reader, taken: dict[str, Any], table: dict[str, Any], at: str) -> None:
    """Check that each plumb line is long, has its points apart, and is not far from straight."""
    for number, points in enumerate(taken.get("lines_px", ()), 1):
        _check_shape(reader, points, shapes.plumb_mistakes, f"{join(at, 'lines_px')}#{number}")


def check_approach(reader: Reader, taken: dict[str, Any], table: dict[str, Any], at: str) -> None:
    """Check an approach's flow and the outlines of its lanes."""
    _check_shape(reader, taken.get("flow_px"), shapes.segment_mistakes, join(at, "flow_px"))
    for name, outline in taken.get("lanes", {}).items():
        _check_shape(reader, outline, shapes.polygon_mistakes, join(join(at, "lanes"), name))


def check_line(reader: Reader, taken: dict[str, Any], table: dict[str, Any], at: str) -> None:
    """Check a line's ends and its own flow."""
    for key in ("ends_px", "flow_px"):
        _check_shape(reader, taken.get(key), shapes.segment_mistakes, join(at, key))


def check_zone(reader: Reader, taken: dict[str, Any], table: dict[str, Any], at: str) -> None:
    """Check a zone's polygon."""
    _check_shape(reader, taken.get("points_px"), shapes.polygon_mistakes, join(at, "points_px"))


def check_lamps(reader: Reader, taken: dict[str, Any], table: dict[str, Any], at: str) -> None:
    """Check the boxes of a signal's lamps: none empty, no two the same."""
    for lamp, box in taken.items():
        _check_shape(reader, box, shapes.box_mistakes, join(at, lamp))
    for one, other in combinations(taken, 2):
        if taken[one] is not None and taken[one] == taken[other]:
            reader.wrong(
                join(at, other), _plain(taken[other]), f"is the box of {one} too; allowed: a box for each lamp"
            )


_HIRES_KINDS = ("phase", "overlap", "pedestrian", "pedestrian_overlap")
#: What a signal of each source needs, and what does not go with it.
_SIGNAL_KEYS = {
    "log": (("path",), (*_HIRES_KINDS, "device", "clock", "latency_sd_s")),
    "hires": (("path", "clock_sd_s"), ("latency_sd_s",)),
    "vision": (("lamp_px",), ("path", *_HIRES_KINDS, "device", "clock", "offset_s", "stale_s")),
}


def check_signal(reader: Reader, taken: dict[str, Any], table: dict[str, Any], at: str) -> None:
    """Check that a signal has what its source needs, and nothing of the other sources."""
    source = taken.get("source", "")
    if source not in _SIGNAL_KEYS:
        return
    needed, odd = _SIGNAL_KEYS[source]
    for key in needed:
        if key not in table:
            reader.add(join(at, key), f'is missing; source = "{source}" needs it')
    for key in odd:
        if key in table:
            reader.add(join(at, key), f'does not go with source = "{source}"; leave it out')
    named = [key for key in _HIRES_KINDS if key in table]
    if source == "hires" and len(named) != 1:
        reader.add(at, f"has {' and '.join(named) or 'no phase'}; allowed: one of {', '.join(_HIRES_KINDS)}")
    path = taken.get("path")
    if path is not None and (not path.strip() or not path.isprintable() or len(path) > 1000):
        reader.wrong(join(at, "path"), path, "is not a path; allowed: the path of a file, relative to the site file")


def check_rule(reader: Reader, taken: dict[str, Any], table: dict[str, Any], at: str) -> None:
    """Check a rule's name, which is a label and may hold spaces."""
    name = taken.get("name")
    if name is not None and not (
        name.strip() == name and 1 <= len(name) <= 64 and name.isprintable() and not set(name) & set("/\\")
    ):
        reader.wrong(join(at, "name"), name, f"is not a name; allowed: {_LABEL_ALLOWED}")


def rule_chooser(rules: Mapping[str, Rule]) -> Choose:
    """Return what picks a rule's own settings by its `type`."""

    def choose(reader: Reader, table: dict[str, Any], at: str) -> type[msgspec.Struct] | None:
        kind = table.get("type", WRONG)
        types = ", ".join(rules) or "none"
        if isinstance(kind, str) and kind in rules:
            return rules[kind].config
        if kind is WRONG:
            reader.add(join(at, "type"), f"is missing; allowed: {types}")
        else:
            reader.wrong(join(at, "type"), kind, f"is not a rule; {suggest(kind, rules)}there are: {types}")
        return None

    return choose


def _check_shape(reader: Reader, shape: Any, mistakes: Callable[[Any], list[str]], at: str) -> None:
    for problem in mistakes(shape) if shape is not None else ():
        reader.wrong(at, _plain(shape), problem)


def _plain(shape: Any) -> Any:
    """Return points as the file has them: lists, and whole numbers without a decimal point."""
    if isinstance(shape, tuple):
        return [_plain(part) for part in shape]
    return int(shape) if isinstance(shape, float) and shape.is_integer() else shape


def _lanes(approach: Any) -> dict[str, Any]:
    return _tables(approach, "lanes") if isinstance(approach, dict) else {}


def _tables(table: dict[str, Any], key: str) -> dict[str, Any]:
    found = table.get(key)
    return found if isinstance(found, dict) else {}


def _list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else ()
