"""Paints what does not move: sky, ground, road markings, buildings, trees, poles and the signal."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vision.demo.camera import PoleCamera
from vision.demo.layout import Layout
from vision.demo.render import Front, Light, Stage

_SHIFT = 4
Colour = tuple[float, ...]  # blue, green, red (0..255)

ASPHALT: Colour = (112, 110, 107)
PAINT: Colour = (226, 230, 230)
KERB: Colour = (172, 174, 176)
PAVEMENT: Colour = (150, 156, 162)


@dataclass(frozen=True)
class Head:
    """A signal head in the picture: middles and radius of its lamps in pixels, red, amber, green."""

    lamps_px: tuple[tuple[float, float], ...]
    radius_px: float


class Canvas:
    """A picture at twice the size, painted in metres; `cover` says where something was painted."""

    def __init__(self, camera: PoleCamera, light: Light, bgr: np.ndarray | None = None) -> None:
        self.camera = camera.resized(camera.width_px * 2)
        self.light = light
        shape = (self.camera.height_px, self.camera.width_px)
        self.bgr = np.zeros((*shape, 3), np.uint8) if bgr is None else bgr
        self.cover = np.zeros(shape, np.uint8) if bgr is None else None

    def fill(self, pixels: np.ndarray, colour: Colour, depth_m: float = 0.0) -> None:
        """Fill a polygon of pixels f8[n, 2] at the doubled size, paled by haze at `depth_m`."""
        if len(pixels) < 3:
            return
        far = 1 - np.exp(-max(depth_m, 0) / self.light.haze_m)
        paled = [float(np.clip(c + (h - c) * far, 0, 255)) for c, h in zip(colour, self.light.haze_bgr, strict=True)]
        points = [np.round((pixels - 0.5) * (1 << _SHIFT)).astype(np.int32)]
        cv2.fillPoly(self.bgr, points, paled, cv2.LINE_AA, _SHIFT)
        if self.cover is not None:
            cv2.fillPoly(self.cover, points, 255, cv2.LINE_AA, _SHIFT)

    def ground(self, points_m: list[tuple[float, float]] | np.ndarray, colour: Colour) -> None:
        """Fill a polygon on the road."""
        points = np.asarray(points_m, float)
        self.fill(self.camera.ground_polygon(points), colour)

    def strip(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """Fill a rectangle on the road along the axes."""
        self.ground([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def wall(self, points_m: np.ndarray, colour: Colour) -> None:
        """Fill a polygon f8[n, 3] anywhere."""
        away = float(np.linalg.norm(points_m.mean(axis=0) - self.camera.position_m))
        self.fill(self.camera.polygon(points_m), colour, away)

    def block(self, low: tuple[float, float, float], high: tuple[float, float, float], colour: Colour) -> None:
        """Draw the sides of a cuboid that look to the camera, each in its light."""
        for points, normal in _sides(np.array(low, float), np.array(high, float)):
            if (self.camera.position_m - points[0]) @ normal > 0:
                self.wall(points, self.shaded(colour, normal))

    def shaded(self, colour: Colour, normal: np.ndarray) -> Colour:
        """Return a colour as daylight shows it on a surface."""
        shade = self.light.sky * (0.82 + 0.18 * normal[2]) + self.light.direct * max(float(normal @ self.light.sun), 0)
        return tuple(c * min(shade, 1.2) for c in colour)

    def halved(self) -> np.ndarray:
        """Return the picture at its own size."""
        return cv2.resize(self.bgr, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)

    def front(self, depth_m: float) -> Front | None:
        """Return what was painted as a thing that hides what is behind it; None where it is out of the picture."""
        cover = cv2.resize(self.cover, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        x, y, width, height = cv2.boundingRect(cover)
        if not width:
            return None
        cut = np.s_[y : y + height, x : x + width]
        # Edges keep their own colour: it was painted over black.
        bgr = self.halved()[cut].astype(np.float32) * (255 / np.maximum(cover[cut], 1))[..., None]
        return Front(x, y, np.minimum(bgr, 255).astype(np.uint8), cover[cut].copy(), depth_m)


def _sides(low: np.ndarray, high: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the four walls and the roof of a cuboid with their normals."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    return [
        (np.array([(x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)]), np.array([0.0, -1, 0])),
        (np.array([(x1, y1, z0), (x0, y1, z0), (x0, y1, z1), (x1, y1, z1)]), np.array([0.0, 1, 0])),
        (np.array([(x0, y1, z0), (x0, y0, z0), (x0, y0, z1), (x0, y1, z1)]), np.array([-1.0, 0, 0])),
        (np.array([(x1, y0, z0), (x1, y1, z0), (x1, y1, z1), (x1, y0, z1)]), np.array([1.0, 0, 0])),
        (np.array([(x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)]), np.array([0.0, 0, 1])),
    ]


def paint_stage(camera: PoleCamera, layout: Layout, light: Light, seed: int) -> tuple[Stage, Head]:
    """Paint the empty junction; the same seed gives the same houses and trees."""
    rng = np.random.default_rng([seed, 11])
    canvas = Canvas(camera, light, np.zeros((camera.height_px * 2, camera.width_px * 2, 3), np.uint8))
    _paint_sky(canvas, rng)
    _paint_ground(canvas, layout, rng)
    _paint_markings(canvas, layout, rng)
    _roughen(canvas, rng)
    _paint_town(canvas, layout, rng)
    canvas.bgr = cv2.GaussianBlur(canvas.bgr, (3, 3), 0)
    fronts, head = _paint_fronts(camera, layout, light, rng)
    return Stage(camera, light, canvas.halved(), fronts), head


def _paint_sky(canvas: Canvas, rng: np.random.Generator) -> None:
    height, width = canvas.bgr.shape[:2]
    horizon = _horizon(canvas.camera)
    top, low = np.array((226, 186, 150.0)), np.array(canvas.light.haze_bgr)
    share = np.clip(np.arange(height) / max(horizon, 1), 0, 1)[:, None]
    canvas.bgr[:] = (top + (low - top) * share).astype(np.uint8)[:, None]
    for _ in range(34):
        x, w = rng.uniform(-0.1, 1.0) * width, rng.uniform(0.02, 0.07) * width
        h = rng.uniform(0.01, 0.05) * width
        tint = rng.uniform(-12, 12)
        colour = tuple(float(c) for c in low * 0.86 + tint)
        canvas.fill(np.array([(x, horizon + 4), (x, horizon - h), (x + w, horizon - h), (x + w, horizon + 4)]), colour)


def _horizon(camera: PoleCamera) -> float:
    """Return the row in pixels at which the road would end."""
    return camera.height_px / 2 - camera.focal_px * float(np.tan(np.radians(camera.pitch_deg)))


def _paint_ground(canvas: Canvas, layout: Layout, rng: np.random.Generator) -> None:
    """Fill grass, pavements, kerbs and asphalt."""
    cy, far = layout.centre_y_m, 320.0
    grass = tuple(float(c) for c in np.array((66, 122, 104.0)) * rng.uniform(0.9, 1.1))
    canvas.strip(-far, -20, far, far, grass)
    tint = rng.uniform(0.9, 1.08)
    asphalt = tuple(c * tint for c in ASPHALT)
    for margin, colour in ((layout.pavement_m, PAVEMENT), (0.22, KERB), (0.0, asphalt)):
        hm, hc = layout.half_main_m + margin, layout.half_cross_m + margin
        canvas.strip(-hm, -20, hm, far, colour)
        canvas.strip(-far, cy - hc, far, cy + hc, colour)
        radius = max(layout.corner_m - margin, 0.1)
        for sx in (-1, 1):
            for sy in (-1, 1):
                turn = np.linspace(0, np.pi / 2, 14)
                centre = np.array([sx * (hm + radius), cy + sy * (hc + radius)])
                arc = centre - radius * np.column_stack([sx * np.cos(turn), sy * np.sin(turn)])
                canvas.ground(np.vstack([arc, [(sx * hm, cy + sy * hc)]]), colour)
    for sx in (-1, 1):  # joints of the paving stones
        for y in np.arange(-18, 90, 1.6):
            if abs(y - cy) > layout.half_cross_m + layout.corner_m:
                edge = sx * (layout.half_main_m + 0.22)
                canvas.strip(edge, y, sx * (layout.half_main_m + layout.pavement_m), y + 0.05, (132, 138, 144))


def _paint_markings(canvas: Canvas, layout: Layout, rng: np.random.Generator) -> None:
    """Paint lane lines, stop lines, zebra crossings and arrows, a little worn."""
    cy, stop_main, stop_cross = layout.centre_y_m, layout.main_stop_m, layout.cross_stop_m
    worn = float(rng.uniform(0.82, 1.0))
    paint = tuple(c * worn for c in PAINT)
    yellow = (70.0 * worn, 184.0 * worn, 222.0 * worn)
    for sign in (-1, 1):
        near, far = cy + sign * stop_main, cy + sign * (stop_main + 170)
        for x in (-0.14, 0.06):
            canvas.strip(x, near, x + 0.1, far, yellow)
        for lane in range(1, layout.main_lanes):
            for side in (-1, 1):
                x = side * lane * layout.lane_m
                canvas.strip(x - 0.07, near, x + 0.07, near + sign * 9, paint)
                for y in np.arange(12, 150, 6.0):
                    canvas.strip(x - 0.07, near + sign * y, x + 0.07, near + sign * (y + 2.6), paint)
        for side in (-1, 1):
            x = side * (layout.half_main_m - 0.25)
            canvas.strip(x - 0.06, near + sign * 3, x + 0.06, far, paint)
        low, high = (0.25, layout.half_main_m) if sign < 0 else (-layout.half_main_m, -0.25)
        canvas.strip(low, near, high, near + sign * 0.45, paint)
        near, far = sign * stop_cross, sign * (stop_cross + 120)
        canvas.strip(near, cy - 0.07, far, cy + 0.07, yellow)
        for lane in range(1, layout.cross_lanes):
            for side in (-1, 1):
                for x in np.arange(0, 90, 6.0):
                    y = cy + side * lane * layout.cross_lane_m
                    canvas.strip(near + sign * x, y - 0.06, near + sign * (x + 2.6), y + 0.06, paint)
        low, high = (cy - layout.half_cross_m, cy - 0.2) if sign < 0 else (cy + 0.2, cy + layout.half_cross_m)
        canvas.strip(near, low, near + sign * 0.45, high, paint)
        for x in np.arange(-layout.half_main_m + 0.3, layout.half_main_m - 0.3, 1.0):
            y = cy + sign * (layout.half_cross_m + 0.6)
            canvas.strip(x, y, x + 0.5, y + sign * layout.zebra_m, paint)
        for y in np.arange(cy - layout.half_cross_m + 0.3, cy + layout.half_cross_m - 0.3, 1.0):
            x = sign * (layout.half_main_m + 0.6)
            canvas.strip(x, y, x + sign * layout.zebra_m, y + 0.5, paint)
    for lane in range(layout.main_lanes):
        _paint_arrow(canvas, layout.main_lane_m(lane), cy - stop_main - 4.5, paint, lane == layout.main_lanes - 1)


def _paint_arrow(canvas: Canvas, x: float, y: float, colour: Colour, right: bool) -> None:
    """Paint a lane arrow that points away from the camera, and to the right where right turns are made."""
    canvas.strip(x - 0.1, y - 3, x + 0.1, y, colour)
    canvas.ground([(x - 0.4, y), (x + 0.4, y), (x, y + 1.6)], colour)
    if right:
        canvas.ground([(x + 0.1, y - 2.0), (x + 0.5, y - 1.7), (x + 0.5, y - 1.3), (x + 0.1, y - 1.6)], colour)
        canvas.ground([(x + 0.5, y - 2.2), (x + 1.1, y - 1.3), (x + 0.5, y - 0.7)], colour)


def _roughen(canvas: Canvas, rng: np.random.Generator) -> None:
    """Give the ground its grain: patches, wheel tracks and stains that lie in perspective, and fine grit."""
    span_m, cell = 90.0, 8  # metres shown, texels a metre
    size = int(span_m * cell)
    texture = np.full((size, size), 1.0, np.float32)
    for cells, strength in ((7, 0.035), (45, 0.02), (180, 0.025), (size, 0.04)):
        grain = rng.normal(0, strength, (cells, cells)).astype(np.float32)
        texture += cv2.resize(grain, (size, size), interpolation=cv2.INTER_CUBIC)
    for _ in range(26):
        at, radius = rng.integers(0, size, 2), int(rng.integers(3, 12))
        stain = np.zeros_like(texture)
        cv2.ellipse(
            stain, (int(at[0]), int(at[1])), (radius, radius // 2 + 1), float(rng.uniform(0, 180)), 0, 360, 1.0, -1
        )
        texture -= cv2.GaussianBlur(stain, (0, 0), 2.0) * float(rng.uniform(0.03, 0.12))
    for track in (-5.95, -4.55, -2.45, -1.05, 1.05, 2.45, 4.55, 5.95):
        left = int((track - 0.3 + span_m / 2) * cell)
        texture[:, left : left + 5] *= 0.965
    to_road = np.array([[1 / cell, 0, -span_m / 2], [0, 1 / cell, 0.0], [0, 0, 1.0]])
    warp = canvas.camera.road_to_picture @ to_road
    height, width = canvas.bgr.shape[:2]
    lie = cv2.warpPerspective(texture, warp, (width, height), flags=cv2.INTER_LINEAR, borderValue=1.0)
    lie += rng.normal(0, 0.02, (height // 2, width // 2)).astype(np.float32).repeat(2, 0).repeat(2, 1)
    horizon = max(int(_horizon(canvas.camera)), 0)
    scale = cv2.cvtColor(np.clip(lie * 128, 0, 255).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    scale[:horizon] = 128
    cv2.multiply(canvas.bgr, scale, dst=canvas.bgr, scale=1 / 128)


def _paint_town(canvas: Canvas, layout: Layout, rng: np.random.Generator) -> None:
    """Set houses and trees along both roads, far to near."""
    cy = layout.centre_y_m
    edge = layout.half_main_m + layout.pavement_m
    things: list[tuple[float, str, tuple[float, ...]]] = []
    for side in (-1, 1):
        y = cy + layout.half_cross_m + layout.pavement_m + 5
        while y < 170:
            depth, width, height = rng.uniform(9, 16), rng.uniform(8, 15), rng.uniform(5, 13)
            near = side * (edge + rng.uniform(3.5, 6.5))
            things.append((y, "house", (near, near + side * width, y, y + depth, height)))
            things.append((y - 1.5, "tree", (side * (edge + 1.6), y - 1.5, rng.uniform(1.1, 1.7))))
            y += depth + rng.uniform(1.5, 6)
    for x in (-26.0, -36.0, -47.0, 26.0, 37.0):
        things.append((cy + 8, "tree", (x + rng.uniform(-2, 2), cy + layout.half_cross_m + 5, rng.uniform(1.2, 2.0))))
    for _, kind, at in sorted(things, key=lambda thing: -thing[0]):
        _paint_house(canvas, at, rng) if kind == "house" else paint_tree(canvas, at, rng)


def _paint_house(canvas: Canvas, at: tuple[float, ...], rng: np.random.Generator) -> None:
    """Draw a house with rows of windows."""
    x0, x1, y0, y1, height = at
    low, high = min(x0, x1), max(x0, x1)
    walls = [(150, 170, 186), (128, 146, 176), (170, 176, 178), (110, 130, 160), (188, 198, 204), (140, 150, 150)]
    colour = tuple(float(c) for c in np.array(walls[rng.integers(len(walls))]) * rng.uniform(0.9, 1.08))
    canvas.block((low, y0, 0), (high, y1, height), colour)
    canvas.block((low - 0.2, y0 - 0.2, height), (high + 0.2, y1 + 0.2, height + 0.5), (96, 98, 112))
    glass = (92.0, 80.0, 66.0)
    inner = low if abs(low) < abs(high) else high
    for z in np.arange(1.4, height - 1.2, 2.9):
        for y in np.arange(y0 + 1, y1 - 1.6, 2.4):
            out = -0.02 if inner == low else 0.02
            if (canvas.camera.x_m - inner) * out > 0:
                canvas.wall(
                    np.array(
                        [
                            (inner + out, y, z),
                            (inner + out, y + 1.3, z),
                            (inner + out, y + 1.3, z + 1.5),
                            (inner + out, y, z + 1.5),
                        ]
                    ),
                    glass,
                )
        for x in np.arange(low + 1, high - 1.6, 2.4):
            canvas.wall(
                np.array(
                    [(x, y0 - 0.02, z), (x + 1.3, y0 - 0.02, z), (x + 1.3, y0 - 0.02, z + 1.5), (x, y0 - 0.02, z + 1.5)]
                ),
                glass,
            )


def paint_tree(canvas: Canvas, at: tuple[float, ...], rng: np.random.Generator) -> None:
    """Draw a tree: a trunk and a crown of lit and shaded leaves."""
    x, y, size = at
    canvas.block((x - 0.14, y - 0.14, 0), (x + 0.14, y + 0.14, size * 2.0), (52, 66, 84))
    middle = np.array([x, y, size * 2.6])
    green = np.array((52, 104, 78.0)) * rng.uniform(0.85, 1.1)
    tufts = rng.normal(0, 0.52, (42, 3)) * size
    for tuft in tufts[np.argsort(tufts @ canvas.light.sun)]:
        pixels, depth = canvas.camera.project((middle + tuft)[None])
        if depth[0] < 2:
            continue
        radius = canvas.camera.focal_px * size * rng.uniform(0.2, 0.36) / depth[0]
        turn = np.linspace(0, 2 * np.pi, 9, endpoint=False) + rng.uniform(0, 1)
        ring = pixels[0] + radius * rng.uniform(0.8, 1.15, 9)[:, None] * np.column_stack([np.cos(turn), np.sin(turn)])
        bright = 0.78 + 0.34 * float(tuft @ canvas.light.sun) / size
        canvas.fill(ring, tuple(float(c) for c in np.clip(green * bright, 0, 255)), float(depth[0]))


def _paint_fronts(
    camera: PoleCamera, layout: Layout, light: Light, rng: np.random.Generator
) -> tuple[tuple[Front, ...], Head]:
    """Paint the signal, lamp posts, a sign and a tree that vehicles pass behind; return them with the signal's head."""
    fronts, cy, edge = [], layout.centre_y_m, layout.half_main_m
    foot = np.array([camera.x_m, camera.y_m])

    def keep(canvas: Canvas, x: float, y: float) -> None:
        front = canvas.front(float(np.hypot(x - foot[0], y - foot[1])))
        if front is not None:
            fronts.append(front)

    canvas = Canvas(camera, light)
    x, y = edge + 1.1, cy - layout.main_stop_m + 1.6
    head = _paint_signal(canvas, x, y, 3.1, 0.46)
    keep(canvas, x, y)

    canvas = Canvas(camera, light)
    x, y = -edge - 1.0, cy - layout.half_cross_m - 5.2
    canvas.block((x - 0.09, y - 0.09, 0), (x + 0.09, y + 0.09, 4.4), (128, 130, 130))
    canvas.block((x - 0.75, y - 0.15, 2.5), (x + 0.75, y - 0.1, 4.3), (150, 84, 30))
    for z, half in ((3.75, 0.5), (3.3, 0.58), (2.85, 0.42)):
        canvas.wall(
            np.array(
                [
                    (x - half, y - 0.17, z),
                    (x + half, y - 0.17, z),
                    (x + half, y - 0.17, z + 0.2),
                    (x - half, y - 0.17, z + 0.2),
                ]
            ),
            (236, 236, 234),
        )
    keep(canvas, x, y)

    canvas = Canvas(camera, light)
    x, y = -edge - 2.4, cy - layout.half_cross_m - 8.5
    paint_tree(canvas, (x, y, 1.0 + rng.uniform(0, 0.2)), rng)
    keep(canvas, x, y)

    canvas = Canvas(camera, light)
    x, y = edge + 1.0, cy + layout.half_cross_m + 4.5
    canvas.block((x - 0.1, y - 0.1, 0), (x + 0.1, y + 0.1, 7.2), (120, 122, 122))
    canvas.block((x - 4.6, y - 0.08, 7.0), (x, y + 0.08, 7.16), (120, 122, 122))
    keep(canvas, x, y)
    return tuple(fronts), head


def _paint_signal(canvas: Canvas, x: float, y: float, z: float, lamp_m: float) -> Head:
    """Draw a post with a signal head that faces the camera's side; return where its lamps are at the picture's size."""
    canvas.block((x - 0.1, y - 0.1, 0), (x + 0.1, y + 0.1, z + 0.1), (120, 122, 122))
    half, step = lamp_m * 0.95, lamp_m * 1.28
    canvas.block((x - half, y - 0.25, z), (x + half, y, z + step * 3 + 0.12), (34, 36, 36))
    lamps, radius = [], 0.0
    for index in (2, 1, 0):
        middle = np.array(
            [
                [x, y - 0.27, z + 0.06 + step * (index + 0.5)],
                [x + lamp_m / 2, y - 0.27, z + 0.06 + step * (index + 0.5)],
            ]
        )
        (at, rim), _ = canvas.camera.project(middle)
        radius = float(np.linalg.norm(rim - at))
        lamps.append((float(at[0]) / 2, float(at[1]) / 2))
        turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        canvas.fill(at + radius * np.column_stack([np.cos(turn), np.sin(turn)]), (30, 30, 30))
    return Head(tuple(lamps), radius / 2)
