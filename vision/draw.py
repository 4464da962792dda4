"""The picture of a scene: what is drawn in a site file, on a frame of its camera, with a legend."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import cv2
import numpy as np

from kernels.geometry import metres_per_px
from kernels.records import LAMPS
from vision import ink
from vision.errors import StoreError
from vision.ground import GroundFit
from vision.ink import Colour, Labels, Pen
from vision.scene import Scene, drawn, site_scene
from vision.site import Site

LINE_COLOUR, ZONE_COLOUR, LANE_COLOUR = ink.YELLOW, ink.SKY, ink.GREEN
FLOW_COLOUR, GRID_COLOUR = ink.ORANGE, ink.PURPLE
LAMP_COLOURS: tuple[Colour, ...] = (ink.VERMILION, ink.ORANGE, ink.GREEN)

#: Metres between grid lines, widened where that would be more than so many lines.
GRID_M, MOST_GRID_LINES = 5.0, 60

#: Sizes of cameras' pictures, tried for a canvas where there is no frame to draw on.
_SIZES = ((352, 288), (640, 360), (640, 480), (1280, 720), (1920, 1080), (2560, 1440), (3840, 2160))
CANVAS: Colour = (52, 46, 44)


def draw_scene(
    picture: np.ndarray, scene: Scene, grid: bool = True, tint: bool = True, labels: bool = True
) -> np.ndarray:
    """Return the picture u1[h, w, 3] (blue, green, red) with the scene drawn in, names and all.

    Without `tint` areas are outlines only, which is quicker and hides nothing: for videos.
    """
    canvas = np.ascontiguousarray(picture).copy()
    pen = Pen.of(canvas)
    names = Labels(canvas, pen.text)
    _keep_free(names, scene, pen)
    if grid and scene.ground is not None:
        _draw_grid(canvas, scene.ground, pen)
    for points, colour, strength in (
        *((lane.points, LANE_COLOUR, 0.15) for lane in scene.lanes),
        *((zone, ZONE_COLOUR, 0.25) for zone in scene.zones),
    ):
        if tint:
            ink.tint(canvas, points, colour, strength)
        ink.stroke(canvas, points, colour, pen.stroke, closed=True)
    for flow in scene.flows:
        ink.arrow(canvas, flow[0], flow[1], FLOW_COLOUR, pen.stroke)
    for line in scene.lines:
        _draw_line(canvas, line, pen)
    _draw_lamps(canvas, scene, pen)
    if labels:
        _write_names(names, scene, grid)
    return canvas


def draw_site(site: Site, camera: str, background: np.ndarray | None, path: Path) -> Scene:
    """Write the picture of a camera's scene as PNG, on a frame u1[h, w, 3] or else on a dark canvas that holds it.

    Returns the scene that was drawn; a SiteError lists what does not fit the picture, a StoreError says why nothing was
    written.
    """
    picture = background
    if picture is None:
        width_px, height_px = canvas_size(site, camera)
        picture = np.full((height_px, width_px, 3), CANVAS, np.uint8)
    scene = site_scene(site, camera, picture.shape[1], picture.shape[0])
    footer = _footer(site, scene, has_frame=background is not None)
    write_png(path, np.vstack([draw_scene(picture, scene), footer]))
    return scene


def canvas_size(site: Site, camera: str) -> tuple[int, int]:
    """Return a width and height in px that hold everything drawn for a camera: a usual size where one does."""
    points = [point for _, shape in drawn(site.cameras[camera]) for point in shape]
    x, y = (max((point[axis] for point in points), default=0.0) for axis in (0, 1))
    for width, height in _SIZES:
        if x <= width and y <= height:
            return width, height
    return int(x * 1.02) + 2, int(y * 1.02) + 2


def _keep_free(names: Labels, scene: Scene, pen: Pen) -> None:
    """Keep labels off lines, lamps and arrow heads."""
    for boxes in scene.lamp_boxes:
        for box in boxes[boxes[:, 0] >= 0]:
            names.taken.append(tuple(box.tolist()))
    names.keep_free(scene.flows[:, 1], 3.0 * pen.stroke + 3.0)
    for line in scene.lines:
        middle = _middle(line)
        half = np.array([line["x2_px"] - line["x1_px"], line["y2_px"] - line["y1_px"]]) / 2.0
        along = np.linspace(-1.0, 1.0, 2 + int(np.hypot(*half) / pen.text))
        names.keep_free(middle + along[:, None] * half, pen.stroke + 1.0)
        names.keep_free([middle, middle + _ahead(line) * _arrow_px(pen) * 0.7], 3.0 * pen.stroke + 3.0)


def _draw_line(canvas: np.ndarray, line: np.ndarray, pen: Pen) -> None:
    """Draw a line and its flow; one without a flow has an arrow with two heads."""
    ends = np.array([[line["x1_px"], line["y1_px"]], [line["x2_px"], line["y2_px"]]])
    ink.stroke(canvas, ends, LINE_COLOUR, pen.stroke + 1)
    middle, ahead = _middle(line), _ahead(line) * _arrow_px(pen)
    if line["has_flow"]:
        ink.arrow(canvas, middle, middle + ahead, LINE_COLOUR, pen.stroke)
    else:
        ink.arrow(canvas, middle - ahead * 0.7, middle + ahead * 0.7, LINE_COLOUR, pen.stroke, both=True)


def _middle(line: np.ndarray) -> np.ndarray:
    return np.array([line["x1_px"] + line["x2_px"], line["y1_px"] + line["y2_px"]]) / 2.0


def _ahead(line: np.ndarray) -> np.ndarray:
    return np.array([line["nx"], line["ny"]])


def _arrow_px(pen: Pen) -> float:
    return 9.0 * pen.stroke + 9.0


def _draw_lamps(canvas: np.ndarray, scene: Scene, pen: Pen) -> None:
    for boxes in scene.lamp_boxes:
        for (x1, y1, x2, y2), colour in zip(boxes.tolist(), LAMP_COLOURS, strict=True):
            if x1 >= 0:
                ink.stroke(canvas, [(x1, y1), (x2, y1), (x2, y2), (x1, y2)], colour, pen.stroke, closed=True)


def _write_names(names: Labels, scene: Scene, grid: bool) -> None:
    """Write the names, the most wanted first: lines, zones, signals, flows, lanes, then metres."""
    for name, line in zip(scene.line_names, scene.lines, strict=True):
        names.put(
            name, (line["x1_px"] * 0.7 + line["x2_px"] * 0.3, line["y1_px"] * 0.7 + line["y2_px"] * 0.3), LINE_COLOUR
        )
    for name, zone in zip(scene.zone_names, scene.zones, strict=True):
        names.put(name, zone.mean(axis=0), ZONE_COLOUR)
    for name, boxes in zip(scene.signal_names, scene.lamp_boxes, strict=True):
        shown = boxes[boxes[:, 0] >= 0]
        if len(shown):
            names.put(name, (shown[:, 2].max(), shown[:, [1, 3]].mean()), LAMP_COLOURS[0])
    for name, flow in zip(scene.approach_names, scene.flows, strict=True):
        names.put(name, flow[0], FLOW_COLOUR)
    for lane in scene.lanes:
        names.put(lane.name, lane.points.mean(axis=0), LANE_COLOUR)
    if grid and scene.ground is not None:
        for text, point in _grid_marks(scene.ground, names.picture):
            names.put_right(text, point, GRID_COLOUR)


def _grid_lines(ground: GroundFit) -> tuple[np.ndarray, np.ndarray]:
    """Return the metres x and y of the grid lines: around the ground points, on whole steps."""
    low, high = ground.plane_m.min(axis=0), ground.plane_m.max(axis=0)
    step = GRID_M
    while float(np.sum((high - low) / step)) > MOST_GRID_LINES:
        step *= 2.0
    return tuple(  # type: ignore[return-value]
        np.arange(np.floor(low[axis] / step), np.ceil(high[axis] / step) + 0.5) * step for axis in (0, 1)
    )


def _draw_grid(canvas: np.ndarray, ground: GroundFit, pen: Pen) -> None:
    xs, ys = _grid_lines(ground)
    for fixed, (low, high), axis in (
        *((x, (ys[0], ys[-1]), 0) for x in xs),
        *((y, (xs[0], xs[-1]), 1) for y in ys),
    ):
        # In pieces: one that meets the horizon is left out, not the whole line.
        along = np.linspace(low, high, 60)
        points = np.column_stack([np.full(60, fixed), along] if axis == 0 else [along, np.full(60, fixed)])
        ink.stroke(canvas, ground.picture_px(points), GRID_COLOUR, 1, halo=False)
    for point in ground.image_px:
        arm = 2.0 * pen.stroke + 3.0
        for dx, dy in ((arm, 0.0), (0.0, arm)):
            ink.stroke(
                canvas, [(point[0] - dx, point[1] - dy), (point[0] + dx, point[1] + dy)], GRID_COLOUR, pen.stroke
            )


def _grid_marks(ground: GroundFit, picture: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Return labels in metres for the grid lines across the road, at their right end in the picture."""
    xs, ys = _grid_lines(ground)
    marks = []
    for y in ys:
        ends = ground.picture_px(np.array([[xs[0], y], [xs[-1], y]]))
        sound = [end for end in ends if np.isfinite(end).all() and _inside(end, picture)]
        if sound:
            marks.append((f"{y + ground.origin_m[1]:.0f} m", max(sound, key=lambda end: float(end[0]))))
    return marks


def _inside(point: np.ndarray, picture: np.ndarray) -> bool:
    return bool(0 <= point[0] < picture.shape[1] and 0 <= point[1] < picture.shape[0])


def _footer(site: Site, scene: Scene, has_frame: bool) -> np.ndarray:
    """Return a strip as wide as the picture: what it shows, the calibration, and what the colours mean."""
    pen = Pen(1, max(11, round(scene.height_px / 45)), 3)
    pad, line = pen.text // 2, round(pen.text * 1.6)
    said = f"{site.name} / {scene.camera}   {scene.width_px} x {scene.height_px} px"
    texts = [said if has_frame else f"{said}   (no frame: coordinates only)", _ground_line(scene)]
    rows: list[list[tuple[str, Colour]]] = [[]]
    used = pad
    for text, colour in _legend(scene):
        width = ink.text_size(text, pen.text)[0] + 2 * pen.text
        if used + width > scene.width_px and rows[-1]:
            rows.append([])
            used = pad
        rows[-1].append((text, colour))
        used += width
    strip = np.full((line * (len(texts) + len(rows)) + pad, scene.width_px, 3), ink.DARK, np.uint8)
    y = pad // 2
    for text in texts:
        ink.put_text(strip, text, pad, y, pen.text, ink.WHITE, outline=False)
        y += line
    for row in rows:
        x = pad
        for text, colour in row:
            corner = (x, round(y + pen.text * 0.35))
            cv2.rectangle(strip, corner, (x + pen.text // 2, corner[1] + pen.text // 2), colour, cv2.FILLED)
            ink.put_text(strip, text, x + pen.text, y, pen.text, ink.GREY, outline=False)
            x += ink.text_size(text, pen.text)[0] + 2 * pen.text
        y += line
    return strip


def _legend(scene: Scene) -> list[tuple[str, Colour]]:
    """Return what the colours mean, of those that occur."""
    lamps = [(f"{lamp} lamp", LAMP_COLOURS[n]) for n, lamp in enumerate(LAMPS) if np.any(scene.lamp_boxes[:, n] >= 0)]
    occurring = (
        (len(scene.lines), "line, arrow = flow", LINE_COLOUR),
        (len(scene.zones), "zone", ZONE_COLOUR),
        (len(scene.flows), "approach", FLOW_COLOUR),
        (len(scene.lanes), "lane", LANE_COLOUR),
        (scene.ground is not None, "road grid", GRID_COLOUR),
    )
    return [(text, colour) for count, text, colour in occurring if count] + lamps


def _ground_line(scene: Scene) -> str:
    """Return the calibration in a line: how well the points fit, and the metres that a pixel is worth."""
    ground = scene.ground
    if ground is None:
        return "no ground points: no speeds"
    scales = [metres_per_px(ground.to_road, ground.lens, float(x), float(y)) for x, y in ground.image_px]
    held = f", left out {ground.holdout_rms_m:.2f} m" if np.isfinite(ground.holdout_rms_m) else ""
    held = ", one left out: no fit" if np.isinf(ground.holdout_rms_m) else held
    return (
        f"ground: {len(ground.image_px)} points, off {ground.residual_rms_m:.2f} m{held}, "
        f"{min(scales):.3f} to {max(scales):.3f} m a pixel"
    )


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write a picture whole or not at all."""
    _, data = cv2.imencode(".png", picture)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data.tobytes())
        os.replace(part, path)
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError, ValueError):
            part.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or error
        raise StoreError(f"{path}: cannot be written: {reason}; give a file in a folder that can be written") from None
