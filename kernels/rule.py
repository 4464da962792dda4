"""What a rule is: one file in `kernels/rules/`, registered by being there."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import msgspec
import numpy as np

from kernels.records import CLASSES

ClassName = Literal["car", "bus", "truck", "motorcycle", "bicycle", "person"]


class RuleConfig(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The settings of one rule in a site file; a rule's own Config adds its fields to these."""

    type: str
    name: str
    classes: tuple[ClassName, ...] = ()  # empty: every class


def class_mask(classes: tuple[str, ...]) -> int:
    """Return the bit mask of the named classes; every class where none is named."""
    return sum(1 << CLASSES.index(name) for name in set(classes)) or (1 << len(CLASSES)) - 1


class SceneView(Protocol):
    """What `prepare` may ask of a camera's scene; names were checked when the site file was read."""

    camera: str
    width_px: int
    height_px: int
    line_names: tuple[str, ...]
    zone_names: tuple[str, ...]
    lane_names: tuple[str, ...]  # "approach/lane"
    approach_names: tuple[str, ...]
    signal_names: tuple[str, ...]
    lines: np.ndarray  # LINE[n], in the order of line_names
    zone_rows: np.ndarray  # ZONE[n], in the order of zone_names
    lane_rows: np.ndarray  # ZONE[n], in the order of lane_names
    flows: np.ndarray  # f8[n, 2, 2] px, an arrow for each approach
    to_road: np.ndarray | None  # f8[3, 3], plumb pixel -> metre
    from_road: np.ndarray | None  # f8[3, 3], metre -> plumb pixel
    ground_error_m: float  # hold-out error of the ground fit, else its residual; NaN without a ground


class Prepared(NamedTuple):
    """What a rule's step works on: read-only settings, and state of its own indexed by track slot."""

    settings: np.ndarray
    state: np.ndarray


@dataclass(frozen=True)
class Rule:
    """A rule: how it is configured, what it reports and the kernel that decides.

    `step(tracks, clock, signals, settings, state, out)` reads TRACK[n], one CLOCK row and SIGNAL[m], and returns how
    many rows of `out` (dtype `event`) it filled. `names` says which integer fields of the event are an index into
    which table of names (NAME_TABLES, or the scene's "line", "zone", "lane", "approach", "signal"); `references` which
    settings hold names, and of what (those of the scene, or "flow_line": a line that must have a flow), so that a site
    file can be checked. `needs_ground`: the rule measures in metres and its camera must have a ground.
    """

    type: str
    config: builtins.type[RuleConfig]
    event: np.dtype
    prepare: Callable[[Any, Any], Prepared]
    step: Callable[..., int]
    names: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    needs_ground: bool = False
