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
    signal_names: tuple[str, ...]
    lines: np.ndarray  # LINE[n], in the order of line_names
    zones: tuple[np.ndarray, ...]  # f8[k, 2] px, in the order of zone_names
    to_road: np.ndarray | None  # f8[3, 3], pixel -> metre


class Prepared(NamedTuple):
    """What a rule's step works on: read-only settings, and state of its own indexed by track slot."""

    settings: np.ndarray
    state: np.ndarray


@dataclass(frozen=True)
class Rule:
    """A rule: how it is configured, what it reports and the kernel that decides.

    `step(tracks, clock, signals, settings, state, out)` reads TRACK[n], one CLOCK row and SIGNAL[m], and returns how
    many rows of `out` (dtype `event`) it filled. `names` says which integer fields of the event are an index into
    which table of names ("line", "zone", "signal", "direction", "signal_state"); `references` which settings hold
    names, and of what ("line", "flow_line": a line that must have a flow, "zone", "signal"), so that a site file can be
    checked.
    """

    type: str
    config: builtins.type[RuleConfig]
    event: np.dtype
    prepare: Callable[[Any, Any], Prepared]
    step: Callable[..., int]
    names: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
