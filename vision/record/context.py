"""What is the same for a whole run: the site as it was, geometry, model, thresholds, versions."""

from __future__ import annotations

import contextlib
import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import to_builtins

from kernels.records import NAME_TABLES
from kernels.rule import RuleConfig
from kernels.rules import REGISTRY
from kernels.stretch import stretch_length_m
from kernels.track import DEFAULTS
from vision.card import Card
from vision.errors import InputError
from vision.ground import lens_facts
from vision.record.header import Header, RuleEntry, fields_of, make_header
from vision.scene import Scene
from vision.site import Camera, Site

#: Libraries whose version can change a result.
_LIBRARIES = ("numpy", "numba", "av", "opencv-python-headless", "onnxruntime", "onnxruntime-gpu")


def run_header(
    *,
    site: Site,
    scene: Scene,
    camera: Camera,
    card: Card | None,
    version: str,
    start_utc: str | None = None,
    settings: Mapping[str, float] | None = None,
    boxes: Mapping[str, object] | None = None,
) -> Header:
    """Build the header of one camera's run; `settings` are those of the tracker that differ from its defaults.

    Without a card `boxes` says where the boxes came from instead of a network.
    """
    tables = {name: tuple(names) for name, names in NAME_TABLES.items()} | {
        "camera": (scene.camera,),
        "line": scene.line_names,
        "zone": scene.zone_names,
        "lane": scene.lane_names,
        "approach": scene.approach_names,
        "signal": scene.signal_names,
    }
    context = {
        "site": {
            "name": site.name,
            "text": hide_addresses(site.text),
            "sha256": site.sha256,
            "timezone": site.timezone,
        },
        "camera": scene.camera,
        "geometry": _geometry(scene),
        "rules": [to_builtins(config) for config in camera.rules],
        "model": None
        if card is None
        else {name: to_builtins(getattr(card, name)) for name in card.__struct_fields__ if name != "path"},
        "tracker": {name: float(value) for name, value in {**DEFAULTS, **(settings or {})}.items()},
        "versions": {"gantry": version, **_versions()},
        "start_utc": None if start_utc is None else parse_start(start_utc).isoformat().replace("+00:00", "Z"),
    }
    if boxes is not None:
        context["boxes"] = dict(boxes)
    return make_header(rule_entries(camera.rules), tables, context)


def rule_entries(configs: Iterable[RuleConfig]) -> tuple[RuleEntry, ...]:
    """Return how the records of each configured rule are to be read, in the order of the site file."""
    entries = []
    for config in configs:
        rule = REGISTRY[config.type]
        entries.append(RuleEntry(config.name, config.type, fields_of(rule.event), dict(rule.names)))
    return tuple(entries)


def parse_start(text: str) -> datetime:
    """Return the instant at which a video begins, in UTC; an InputError says what is allowed."""
    allowed = "allowed: a date and time with its zone, such as 2026-05-04T06:30:00Z or 2026-05-04T08:30:00+02:00"
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"start_utc = {text!r} is no date and time; {allowed}") from None
    if start.tzinfo is None:
        raise InputError(f"start_utc = {text!r} has no time zone; {allowed}")
    try:
        return start.astimezone(UTC)
    except OverflowError:
        raise InputError(f"start_utc = {text!r} is out of range; {allowed}") from None


def hide_addresses(text: str) -> str:
    """Return a site file's text without the addresses of its streams, as passwords stand in them."""
    return re.sub(r"(?i)(rtsps?:)[^\"'\s]*", r"\1***", text)


def _geometry(scene: Scene) -> dict[str, Any]:
    """Return what is drawn in the picture, as it was, in plain lists."""
    ground = scene.ground
    names = scene.lines.dtype.names or ()
    return {
        "width_px": scene.width_px,
        "height_px": scene.height_px,
        "lines": [
            {"name": name, **{key: row[key].item() for key in names}}
            for name, row in zip(scene.line_names, scene.lines, strict=True)
        ],
        "zones": [
            {"name": name, "points_px": points.tolist(), "length_m": _length_m(row)}
            for name, points, row in zip(scene.zone_names, scene.zones, scene.zone_rows, strict=True)
        ],
        "lanes": [
            {"name": name, "points_px": lane.points.tolist(), "length_m": _length_m(row)}
            for name, lane, row in zip(scene.lane_names, scene.lanes, scene.lane_rows, strict=True)
        ],
        "signals": [
            {"name": name, "source": source.source, "sd_s": source.clock_sd_s, "lamp_px": boxes.tolist()}
            | {"offset_s": source.offset_s, "stale_s": source.stale_s}
            | {"log_sha256": None if log is None else _file_sha256(log)}
            for name, log, source, boxes in zip(
                scene.signal_names, scene.signal_logs, scene.signal_sources, scene.lamp_boxes, strict=True
            )
        ],
        "ground": None
        if ground is None
        else {
            "to_road": ground.to_road.tolist(),
            "origin_m": list(ground.origin_m),
            "residual_rms_m": ground.residual_rms_m,
            "residual_max_m": ground.residual_max_m,
            "holdout_rms_m": ground.holdout_rms_m,
            "holdout_max_m": ground.holdout_max_m,
        },
    } | ({"lens": lens_facts(scene.lens)} if scene.lens["bends"] else {})


def _length_m(place: np.void) -> float | None:
    """Return how long a zone or lane is on the road, None where that is not known."""
    length_m = stretch_length_m(place)
    return length_m if math.isfinite(length_m) else None


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _file_sha256(path: Path) -> str:
    """Return the SHA-256 of a signal log, of a folder's files in a row: its times decide who ran a red light."""
    digest = hashlib.sha256()
    try:
        for part in sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]:
            digest.update(part.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot read the signal log: {error.strerror}") from None
    return digest.hexdigest()
