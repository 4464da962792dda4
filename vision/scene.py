"""The scene of a camera: names become arrays of lines, zones, signals and the ground homography."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kernels.records import LAMPS, LINE, ZONE
from vision import shapes
from vision.errors import SiteError
from vision.ground import GroundError, GroundFit, LensError, fit_ground, make_lens, undistorted
from vision.site import Camera, Ground, Line, Signal, Site


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
    zone_rows: np.ndarray  # ZONE[n]
    signal_names: tuple[str, ...]
    signal_logs: tuple[Path | None, ...]  # None: read from its lamps
    signal_sd_s: np.ndarray  # f4[n]
    signal_sources: tuple[Signal, ...]  # as the site file has them
    timezone: str  # of the site: what a controller's wall clock shows
    lamp_boxes: np.ndarray  # i4[n, 3, 4] px: red, amber, green; -1 where there is none
    approach_names: tuple[str, ...]
    flows: np.ndarray  # f8[n, 2, 2] px: an arrow for each approach
    lanes: tuple[Lane, ...]
    lane_rows: np.ndarray  # ZONE[n]
    lens: np.void  # LENS
    plumb_lines: tuple[np.ndarray, ...]  # f8[k, 2] px: points of straight things, for the lens
    ground: GroundFit | None

    @property
    def lane_names(self) -> tuple[str, ...]:
        """Each lane as "approach/lane"."""
        return tuple(f"{lane.approach}/{lane.name}" for lane in self.lanes)

    @property
    def ground_error_m(self) -> float:
        """Hold-out error of the ground fit in metres, its residual where no point could be held out; NaN without."""
        if self.ground is None:
            return float("nan")
        held = self.ground.holdout_rms_m
        return held if held == held else self.ground.residual_rms_m

    @property
    def scale_sd(self) -> float:
        """Deviation of a length on the road as a share of it: the ground fit's error over its extent; 0 without."""
        return 0.0 if self.ground is None else self.ground_error_m / self.ground.extent_m

    @property
    def to_road(self) -> np.ndarray | None:
        """f8[3, 3], plumb pixel -> metre; None without ground points."""
        return None if self.ground is None else self.ground.to_road

    @property
    def from_road(self) -> np.ndarray | None:
        """f8[3, 3], metre -> plumb pixel; None without ground points."""
        return None if self.ground is None else self.ground.from_road


def build_scene(
    name: str, camera: Camera, width_px: int, height_px: int, folder: Path = Path(), timezone: str = "UTC"
) -> Scene:
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
    lens = make_lens(width_px, height_px)
    if camera.lens is not None:
        try:
            lens = make_lens(width_px, height_px, **camera.lens.model)
        except LensError as error:
            mistakes.append(f"{name}.lens {error}")
    ground = None
    if camera.ground is not None:
        ground, problem = _ground(camera.ground, lens)
        mistakes += [f"{name}.ground{problem}"] if problem else []
    if mistakes:
        raise SiteError([f"camera.{mistake}" for mistake in mistakes])
    signals = camera.signals.values()
    _fill_road(lines, ground)
    zones = tuple(np.array(zone.points_px, np.float64) for zone in camera.zones.values())
    lanes = tuple(
        Lane(approach, key, np.array(points, np.float64))
        for approach, way in camera.approaches.items()
        for key, points in way.lanes.items()
    )
    flows = {key: np.array(way.flow_px, np.float64) for key, way in camera.approaches.items()}
    approaches = list(camera.approaches)
    return Scene(
        camera=name,
        width_px=width_px,
        height_px=height_px,
        line_names=tuple(camera.lines),
        lines=lines,
        zone_names=tuple(camera.zones),
        zones=zones,
        zone_rows=np.array([_zone_row(points, ground) for points in zones], ZONE),
        signal_names=tuple(camera.signals),
        signal_logs=tuple(None if signal.path is None else folder / signal.path for signal in signals),
        signal_sd_s=np.array([signal.clock_sd_s for signal in signals], np.float32),
        signal_sources=tuple(signals),
        timezone=timezone,
        lamp_boxes=lamp_boxes(camera),
        approach_names=tuple(camera.approaches),
        flows=np.array(list(flows.values()), np.float64).reshape(-1, 2, 2),
        lanes=lanes,
        lane_rows=np.array(
            [_zone_row(lane.points, ground, flows[lane.approach], approaches.index(lane.approach)) for lane in lanes],
            ZONE,
        ),
        lens=lens,
        plumb_lines=() if camera.lens is None else tuple(np.array(points) for points in camera.lens.lines_px),
        ground=ground,
    )


def _ground(points: Ground, lens: np.void) -> tuple[GroundFit | None, str]:
    """Return the fit to ground points, or what is wrong with them."""
    image, plane = np.array(points.image_px), np.array(points.plane_m)
    if lens["bends"]:
        # Where straight things are bent, three points nearly on a line may turn the other way than on the road.
        for problem in shapes.pairing_mistakes(undistorted(lens, image).tolist(), plane.tolist()):
            return None, f".plane_m {problem}"
    try:
        return fit_ground(image, plane, lens), ""
    except GroundError as error:
        return None, f" {error}"


def site_scene(site: Site, camera: str, width_px: int, height_px: int) -> Scene:
    """Build the scene of one of a site's cameras; a SiteError lists every mistake, each with the site file's name."""
    try:
        return build_scene(camera, site.cameras[camera], width_px, height_px, site.folder, site.timezone)
    except SiteError as error:
        raise SiteError([f"{site.path}: {mistake}" for mistake in error.mistakes]) from None


def drawn(camera: Camera) -> Iterable[tuple[str, shapes.Points]]:
    """Yield everything that has a place in the picture."""
    if camera.ground is not None:
        yield "ground.image_px", camera.ground.image_px
    if camera.lens is not None:
        for number, points in enumerate(camera.lens.lines_px, 1):
            yield f"lens.lines_px#{number}", points
        if camera.lens.centre_px is not None:
            yield "lens.centre_px", (camera.lens.centre_px,)
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


def _fill_road(lines: np.ndarray, ground: GroundFit | None) -> None:
    """Fill the metres of LINE[n]; the normal on the road points to the side of the normal in the picture."""
    for name in ("x1_m", "y1_m", "x2_m", "y2_m", "nx_m", "ny_m"):
        lines[name] = np.nan
    if ground is None:
        return
    for row in lines:
        ends = np.array([[row["x1_px"], row["y1_px"]], [row["x2_px"], row["y2_px"]]])
        beside = ends.mean(axis=0) + np.array([row["nx"], row["ny"]])
        (x1, y1), (x2, y2), (x, y) = ground.road_m(np.vstack([ends, beside]))
        length = np.hypot(x2 - x1, y2 - y1)
        nx, ny = -(y2 - y1) / length, (x2 - x1) / length
        sign = 1.0 if nx * (x - x1) + ny * (y - y1) > 0.0 else -1.0
        row["x1_m"], row["y1_m"], row["x2_m"], row["y2_m"] = x1, y1, x2, y2
        row["nx_m"], row["ny_m"] = sign * nx + 0.0, sign * ny + 0.0


def _zone_row(
    points: np.ndarray, ground: GroundFit | None, flow: np.ndarray | None = None, approach: int = -1
) -> np.void:
    """Return the ZONE row of a polygon, of a lane with its approach's flow or of a zone without."""
    row = np.zeros(1, ZONE)
    row["m"] = np.nan
    row["px"][0, : len(points)], row["n"], row["approach"] = points, len(points), approach
    for name in ("flow_x", "flow_y", "flow_x_m", "flow_y_m"):
        row[name] = np.nan
    if flow is not None:
        row["flow_x"], row["flow_y"] = (flow[1] - flow[0]) / np.linalg.norm(flow[1] - flow[0])
    if ground is not None:
        row["m"][0, : len(points)] = ground.road_m(points)
        if flow is not None:
            way = np.diff(ground.road_m(flow), axis=0)[0]
            row["flow_x_m"], row["flow_y_m"] = way / np.linalg.norm(way)
    return row[0]


def lamp_boxes(camera: Camera) -> np.ndarray:
    boxes = np.full((len(camera.signals), len(LAMPS), 4), -1, np.int32)
    for index, signal in enumerate(camera.signals.values()):
        for lamp, colour in enumerate(LAMPS if signal.lamp_px is not None else ()):
            box = getattr(signal.lamp_px, colour)
            boxes[index, lamp] = -1 if box is None else box
    return boxes


def _said(point: shapes.Point) -> str:
    return f"[{point[0]:g}, {point[1]:g}]"
