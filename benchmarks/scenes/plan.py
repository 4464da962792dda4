"""What is drawn into a camera's picture, in road metres: it becomes the site file, and truth is told by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.scenes.camera import Camera

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A line with the way that traffic crosses it."""

    ends_m: tuple[Point, Point]
    flow: Point
    approach: str | None = None

    @property
    def normal(self) -> np.ndarray:
        """Unit normal to the side that traffic goes to, f8[2]."""
        (x1, y1), (x2, y2) = self.ends_m
        normal = np.array([y2 - y1, x1 - x2]) / np.hypot(x2 - x1, y2 - y1)
        return normal if normal @ np.array(self.flow) > 0 else -normal


@dataclass
class Plan:
    """A camera with its ground points, approaches with lanes, lines, zones, signals and rules."""

    name: str
    camera: Camera
    ground_m: list[Point]
    approaches: dict[str, tuple[tuple[Point, Point], dict[str, list[Point]]]] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)
    zones: dict[str, list[Point]] = field(default_factory=dict)
    signals: dict[str, str] = field(default_factory=dict)
    rules: list[dict[str, Any]] = field(default_factory=list)
    lens_told: bool = True

    def site(self, rules: Sequence[dict[str, Any]] | None = None) -> str:
        """Return the site file (TOML); `rules` instead of the plan's own."""
        at = "camera.main"
        out = [f'name = "{self.name}"', 'timezone = "UTC"', "", f"[{at}]", 'url = "none.mp4"', 'model = "none"']
        out += ["", f"[{at}.ground]", f"image_px = {self._px(self.ground_m)}", f"plane_m = {_points(self.ground_m)}"]
        if self.camera.k1 and self.lens_told:
            out += ["", f"[{at}.lens]", f"k1 = {self.camera.k1}", f"focal_px = {self.camera.focal_px}"]
        for name, (flow, lanes) in self.approaches.items():
            out += ["", f"[{at}.approach.{name}]", f"flow_px = {self._px(flow)}"]
            out += [f"lanes.{lane} = {self._px(outline)}" for lane, outline in lanes.items()]
        for name, line in self.lines.items():
            out += ["", f"[{at}.line.{name}]", f"ends_px = {self._px(line.ends_m)}"]
            if line.approach is not None:
                out.append(f'approach = "{line.approach}"')
            else:
                middle = np.mean(line.ends_m, axis=0)
                arrow = [tuple(middle - line.normal), tuple(middle + line.normal)]
                out.append(f"flow_px = {self._px(arrow)}")
        for name, outline in self.zones.items():
            out += ["", f"[{at}.zone.{name}]", f"points_px = {self._px(outline)}"]
        for name, path in self.signals.items():
            out += ["", f"[{at}.signal.{name}]", 'source = "log"', f'path = "{path}"']
        for rule in self.rules if rules is None else rules:
            out += ["", f"[[{at}.rule]]", *(f"{key} = {_toml(value)}" for key, value in rule.items())]
        return "\n".join(out) + "\n"

    def _px(self, points: Sequence[Point]) -> str:
        limits = self.camera.width_px, self.camera.height_px
        found = [self.camera.road_px(*point) for point in points]
        return _points([(min(max(u, 0.0), limits[0]), min(max(v, 0.0), limits[1])) for u, v in found])


def box(x1: float, y1: float, x2: float, y2: float) -> list[Point]:
    """Return the corners of an upright rectangle."""
    return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]


def _points(points: Sequence[Point]) -> str:
    return "[" + ", ".join(f"[{round(float(x), 3)}, {round(float(y), 3)}]" for x, y in points) + "]"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return str(value)
