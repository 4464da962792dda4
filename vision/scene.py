"""The scene of a camera: names become arrays of lines, zones, signals and the ground homography."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kernels.records import LAMPS, LINE
from vision import shapes
from vision.errors import SiteError
from vision.ground import GroundError, GroundFit, fit_ground
from vision.site import Camera, Line, Site


@dataclass(frozen=True)
class Lane:
    """A lane of an approach."""

    approach: str
    name: str
    points: np.ndarray  # f8[k, 2] px


@dataclass(frozen=True, eq=False)
class Scene:
    """What is drawn in one camera's picture, as arrays in the order of their names."""

    camera: str
    width_px: int
    height_px: int
    line_names: tuple[str, ...]
    lines: np.ndarray  # LINE[n]
    zone_names: tuple[str, ...]
    zones: tuple[np.ndarray, ...]  # f8[k, 2] px
    signal_names: tuple[str, ...]
    signal_logs: tuple[Path | None, ...]  # None: read from its lamps
    signal_sd_s: np.ndarray  # f4[n]
    lamp_boxes: np.ndarray  # i4[n, 3, 4] px: red, amber, green; -1 where there is none
    approach_names: tuple[str, ...]
    flows: np.ndarray  # f8[n, 2, 2] px: an arrow for each approach
    lanes: tuple[Lane, ...]
    ground: GroundFit | None

    @property
    def to_road(self) -> np.ndarray | None:
        """f8[3, 3], pixel -> metre; None without ground points."""
        return None if self.ground is None else self.ground.to_road

    @property
    def from_road(self) -> np.ndarray | None:
        """f8[3, 3], metre -> pixel; None without ground points."""
        return None if self.ground is None else self.ground.from_road


def build_scene(name: str, camera: Camera, width_px: int, height_px: int, folder: Path = Path()) -> Scene:
    """Build the scene of a camera whose pictures have this size; a SiteError lists every mistake.

    `folder` is where relative paths start from: the site file's.
    """
    mistakes = [
        f"{name}.{at} = {_said(point)} lies outside the picture; allowed: x 0 to {width_px}, y 0 to {height_px}"
        for at, points in drawn(camera)
        for point in points
        if not (0 <= point[0] <= width_px and 0 <= point[1] <= height_px)
    ]
    lines = np.zeros(len(camera.lines), LINE)
    for index, (key, line) in enumerate(camera.lines.items()):
        problem = _fill_line(lines[index : index + 1], line, _flow(camera, line))
        mistakes += [f"{name}.line.{key} {problem}"] if problem else []
    ground = None
    if camera.ground is not None:
        try:
            ground = fit_ground(np.array(camera.ground.image_px), np.array(camera.ground.plane_m))
        except GroundError as error:
            mistakes.append(f"{name}.ground {error}")
    if mistakes:
        raise SiteError([f"camera.{mistake}" for mistake in mistakes])
    signals = camera.signals.values()
    return Scene(
        camera=name,
        width_px=width_px,
        height_px=height_px,
        line_names=tuple(camera.lines),
        lines=lines,
        zone_names=tuple(camera.zones),
        zones=tuple(np.array(zone.points_px, np.float64) for zone in camera.zones.values()),
        signal_names=tuple(camera.signals),
        signal_logs=tuple(None if signal.path is None else folder / signal.path for signal in signals),
        signal_sd_s=np.array([signal.clock_sd_s for signal in signals], np.float32),
        lamp_boxes=lamp_boxes(camera),
        approach_names=tuple(camera.approaches),
        flows=np.array([way.flow_px for way in camera.approaches.values()], np.float64).reshape(-1, 2, 2),
        lanes=tuple(
            Lane(approach, key, np.array(points, np.float64))
            for approach, way in camera.approaches.items()
            for key, points in way.lanes.items()
        ),
        ground=ground,
    )


def site_scene(site: Site, camera: str, width_px: int, height_px: int) -> Scene:
    """Build the scene of one of a site's cameras; a SiteError lists every mistake, each with the site file's name."""
    try:
        return build_scene(camera, site.cameras[camera], width_px, height_px, site.folder)
    except SiteError as error:
        raise SiteError([f"{site.path}: {mistake}" for mistake in error.mistakes]) from None


def drawn(camera: Camera) -> Iterable[tuple[str, shapes.Points]]:
    """Yield everything that has a place in the picture."""
    if camera.ground is not None:
        yield "ground.image_px", camera.ground.image_px
    for key, way in camera.approaches.items():
        yield f"approach.{key}.flow_px", way.flow_px
        for lane, points in way.lanes.items():
            yield f"approach.{key}.lanes.{lane}", points
    for key, line in camera.lines.items():
        yield f"line.{key}.ends_px", line.ends_px
        if line.flow_px is not None:
            yield f"line.{key}.flow_px", line.flow_px
    for key, zone in camera.zones.items():
        yield f"zone.{key}.points_px", zone.points_px
    for key, signal in camera.signals.items():
        for lamp in LAMPS if signal.lamp_px is not None else ():
            box = getattr(signal.lamp_px, lamp)
            if box is not None:
                yield f"signal.{key}.lamp_px.{lamp}", (box[:2], box[2:])


def _flow(camera: Camera, line: Line) -> shapes.Points | None:
    """Return the flow arrow that a line counts along: its own, its approach's, or none."""
    return camera.approaches[line.approach].flow_px if line.approach is not None else line.flow_px


def _fill_line(row: np.ndarray, line: Line, flow: shapes.Points | None) -> str | None:
    """Fill a LINE row (LINE[1]); return what is wrong with the line, if anything."""
    (x1, y1), (x2, y2) = line.ends_px
    dx, dy = x2 - x1, y2 - y1
    problems = shapes.segment_mistakes(line.ends_px)
    if problems:
        return problems[0]
    length = float(np.hypot(dx, dy))
    nx, ny = -dy / length, dx / length
    upright = abs(dx) < abs(dy)
    ahead_x, ahead_y = (1.0, 0.0) if upright else (0.0, 1.0)
    if flow is not None:
        if problems := shapes.flow_mistakes(line.ends_px, flow):
            return problems[0]
        ahead_x, ahead_y = flow[1][0] - flow[0][0], flow[1][1] - flow[0][1]
    sign = 1.0 if nx * ahead_x + ny * ahead_y > 0.0 else -1.0
    row["x1_px"], row["y1_px"], row["x2_px"], row["y2_px"] = x1, y1, x2, y2
    row["nx"], row["ny"] = sign * nx + 0.0, sign * ny + 0.0  # + 0.0: no minus zero in records
    row["has_flow"], row["upright"] = flow is not None, upright
    return None


def lamp_boxes(camera: Camera) -> np.ndarray:
    boxes = np.full((len(camera.signals), len(LAMPS), 4), -1, np.int32)
    for index, signal in enumerate(camera.signals.values()):
        for lamp, colour in enumerate(LAMPS if signal.lamp_px is not None else ()):
            box = getattr(signal.lamp_px, colour)
            boxes[index, lamp] = -1 if box is None else box
    return boxes


def _said(point: shapes.Point) -> str:
    return f"[{point[0]:g}, {point[1]:g}]"
