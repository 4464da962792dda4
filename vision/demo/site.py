"""The demo's site: its lines on the road, and the site file that names them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vision.demo.backdrop import Head
from vision.demo.camera import PoleCamera
from vision.demo.layout import Layout

CAMERA = "junction"
MODEL = "gantry-demo"
SIGNAL = "main"
RED_LIGHT_GRACE_S = 0.3


@dataclass(frozen=True)
class LinePlan:
    """What a line is for: the way in or out, along which axis, and the line that a run of red must pass too."""

    approach: str
    entry: bool
    clear: str | None = None


SITE_LINES = {
    "north_stop": LinePlan("northbound", True, "north_out"),
    "north_out": LinePlan("northbound", False),
    "south_stop": LinePlan("southbound", True, "south_out"),
    "south_out": LinePlan("southbound", False),
    "east_stop": LinePlan("eastbound", True),
    "east_out": LinePlan("eastbound", False),
    "west_stop": LinePlan("westbound", True),
    "west_out": LinePlan("westbound", False),
}


@dataclass(frozen=True)
class SiteLine:
    """A line in the picture: its ends, and the unit normal along its flow."""

    a_px: tuple[float, float]
    b_px: tuple[float, float]
    normal: tuple[float, float]

    def offset(self, point: tuple[float, float]) -> float:
        """Return the distance in pixels of a point from the line, positive on the side that the flow goes to."""
        return (point[0] - self.a_px[0]) * self.normal[0] + (point[1] - self.a_px[1]) * self.normal[1]

    def holds(self, point: tuple[float, float]) -> bool:
        """Say whether a point on the line lies between its ends."""
        dx, dy = self.b_px[0] - self.a_px[0], self.b_px[1] - self.a_px[1]
        along = (point[0] - self.a_px[0]) * dx + (point[1] - self.a_px[1]) * dy
        return 0 <= along <= dx * dx + dy * dy


def _ends_m(layout: Layout) -> dict[str, tuple[tuple[float, float], tuple[float, float]]]:
    """Return the ends of each line on the road in metres."""
    cy, half_main, half_cross = layout.centre_y_m, layout.half_main_m, layout.half_cross_m
    near, far = cy - layout.main_stop_m + 0.2, cy + layout.main_stop_m
    out = cy + half_cross + 1.2
    left, right = -layout.cross_stop_m, layout.cross_stop_m
    middle, low, high = cy - 0.6, cy - half_cross - 1.5, cy + half_cross + 0.6
    return {
        "north_stop": ((0.3, near), (half_main + 1.2, near)),
        "north_out": ((0.6, out), (half_main + 0.4, out)),
        "south_stop": ((-half_main, far), (0.8, far)),
        "south_out": ((-half_main, near), (0.1, near)),
        "east_stop": ((left, low), (left, middle)),
        "east_out": ((right, low), (right, middle)),
        "west_stop": ((right, middle + 0.2), (right, high)),
        "west_out": ((left, middle + 0.2), (left, high)),
    }


def flows_px(camera: PoleCamera, layout: Layout) -> dict[str, np.ndarray]:
    """Return for each approach the way its traffic moves: two points f8[2, 2] in pixels."""
    cy, lane, side = layout.centre_y_m, layout.half_main_m / 2, layout.half_cross_m / 2
    ways = {
        "northbound": ((lane, cy - 10), (lane, cy + 8)),
        "southbound": ((-lane, cy + 20), (-lane, cy - 8)),
        "eastbound": ((-12, cy - side), (12, cy - side)),
        "westbound": ((12, cy + side), (-12, cy + side)),
    }
    return {name: np.round(camera.ground_polygon(np.array(way)), 1) for name, way in ways.items()}


def site_lines(camera: PoleCamera, layout: Layout) -> dict[str, SiteLine]:
    """Return the lines of the site in pixels, their ends rounded as in the site file."""
    flows = flows_px(camera, layout)
    lines = {}
    for name, ends in _ends_m(layout).items():
        pixels = camera.project(np.column_stack([np.array(ends), [0, 0]]))[0]
        a, b = np.round(np.clip(pixels, 0, (camera.width_px, camera.height_px)), 1)
        normal = np.array([-(b - a)[1], (b - a)[0]]) / np.hypot(*(b - a))
        start, end = flows[SITE_LINES[name].approach]
        normal = normal if normal @ (end - start) > 0 else -normal
        lines[name] = SiteLine(tuple(a.tolist()), tuple(b.tolist()), tuple(normal.tolist()))
    return lines


def site_text(camera: PoleCamera, layout: Layout, head: Head, video: str, signal_log: str | None = None) -> str:
    """Return the site file of the demo; the signal is read from its lamps, or from a log where one is given."""
    at = f"camera.{CAMERA}"
    road = np.array([(-6.0, 12.0), (7.0, 12.0), (12.0, 27.0), (-12.0, 27.0), (-7.0, 60.0), (7.0, 60.0)])
    rows = [
        "# The junction that `gantry demo` renders: every crossing, movement and red light in it is known.",
        'name = "demo-junction"',
        'timezone = "UTC"',
        "",
        f"[{at}]",
        f'url = "{video}"',
        f'model = "{MODEL}"',
        "",
        f"[{at}.ground]",
        f"image_px = {_points(camera.ground_polygon(road))}",
        f"plane_m = {_points(road)}",
        "",
    ]
    for name, way in flows_px(camera, layout).items():
        rows += [f"[{at}.approach.{name}]", f"flow_px = {_points(way)}", ""]
    for name, line in site_lines(camera, layout).items():
        rows += [f"[{at}.line.{name}]", f'approach = "{SITE_LINES[name].approach}"']
        rows += [f"ends_px = {_points(np.array([line.a_px, line.b_px]))}", ""]
    rows += [f"[{at}.signal.{SIGNAL}]"]
    if signal_log is not None:
        rows += ['source = "log"', f'path = "{signal_log}"', ""]
    else:
        boxes = ", ".join(f"{lamp} = {box}" for lamp, box in lamp_boxes(head).items())
        rows += ['source = "vision"', f"lamp_px = {{ {boxes} }}", ""]
    return "\n".join(rows) + _rules_text(at)


def lamp_boxes(head: Head) -> dict[str, list[int]]:
    """Return the box [x1, y1, x2, y2] of each lamp in whole pixels, inside its rim."""
    reach = head.radius_px * 0.8
    return {
        lamp: [round(x - reach), round(y - reach), round(x + reach), round(y + reach)]
        for lamp, (x, y) in zip(("red", "amber", "green"), head.lamps_px, strict=True)
    }


def _rules_text(at: str) -> str:
    rows = []
    for name in SITE_LINES:
        rows += [f"[[{at}.rule]]", 'type = "line_count"', f'name = "count {name}"', f'line = "{name}"', ""]
    entries = ", ".join(f'"{name}"' for name, plan in SITE_LINES.items() if plan.entry)
    exits = ", ".join(f'"{name}"' for name, plan in SITE_LINES.items() if not plan.entry)
    rows += [f"[[{at}.rule]]", 'type = "movement"', 'name = "turns"', f"entry = [{entries}]", f"exit = [{exits}]", ""]
    for name, plan in SITE_LINES.items():
        if plan.clear is not None:
            rows += [f"[[{at}.rule]]", 'type = "red_light"', f'name = "red light {name}"', f'line = "{name}"']
            rows += [f'clear_line = "{plan.clear}"', f'signal = "{SIGNAL}"', f"grace_s = {RED_LIGHT_GRACE_S}", ""]
    return "\n".join(rows)


def _points(points: np.ndarray) -> str:
    return "[" + ", ".join(f"[{x:g}, {y:g}]" for x, y in np.round(points, 1)) + "]"
