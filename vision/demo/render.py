"""Draws frames of a rendered scene: shadows, shaded vehicles far to near, things in front of them, lamps, noise."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from vision.demo.camera import NEAR_M, PoleCamera
from vision.demo.vehicles import HEAD, INDICATOR_LEFT, INDICATOR_RIGHT, TAIL, Shape

_SHIFT = 4  # bits of a pixel's fraction in OpenCV's fixed point

#: OpenCV's smoothed polygons reach this far outside their edges (measured: 0.60 to 0.73 px): what is seen is larger.
EDGE_PX = 0.7


@dataclass(frozen=True)
class Pose:
    """Where a vehicle is at one instant and what its lights show."""

    id: int
    shape: Shape
    x_m: float
    y_m: float
    heading_rad: float  # counter-clockwise from the x axis
    braking: bool = False
    turning: int = 0  # -1 right, 1 left: the indicator that shines at this instant


@dataclass(frozen=True)
class Light:
    """Daylight: where the sun stands, how strong it and the sky are, how dark shadows are and how far one sees."""

    sun: np.ndarray  # f8[3], unit vector to the sun
    direct: float = 0.55
    sky: float = 0.58
    shadow: float = 0.5  # brightness left in a shadow
    haze_m: float = 420.0
    haze_bgr: tuple[float, float, float] = (214, 204, 196)


@dataclass(frozen=True)
class Front:
    """A fixed thing that hides what is behind it: a cut of the picture with its cover, and how far away it stands."""

    left_px: int
    top_px: int
    bgr: np.ndarray  # u1[h, w, 3]
    cover: np.ndarray  # u1[h, w], 255: hides all
    depth_m: float


@dataclass(frozen=True)
class Seen:
    """What the camera sees of one vehicle: its box as it would be with nothing before it, and the share that shows."""

    id: int
    class_name: str
    xyxy_px: tuple[float, float, float, float]
    visible: float  # 0..1, share of its outline that is in the picture and not hidden
    outline_px: np.ndarray = field(repr=False)  # f4[k, 2], convex


@dataclass(frozen=True)
class Stage:
    """All that does not move: the camera, the daylight, the empty road and what stands before it."""

    camera: PoleCamera
    light: Light
    backdrop: np.ndarray  # u1[h, w, 3]
    fronts: tuple[Front, ...] = ()


def place(shape: Shape, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Return a body's points f8[n, 3] in the world in metres and the turn f8[3, 3] of its axes."""
    c, s = np.cos(pose.heading_rad), np.sin(pose.heading_rad)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    return shape.points_m @ turn.T + (pose.x_m, pose.y_m, 0.0), turn


def look(camera: PoleCamera, pose: Pose) -> Seen | None:
    """Return what the camera would see of a vehicle alone (`visible` is 1), or None where it is out of the picture."""
    world, _ = place(pose.shape, pose)
    pixels, depth = camera.project(world)
    box = _box(camera, pixels, depth)
    if box is None:
        return None
    outline = cv2.convexHull(pixels.astype(np.float32))[:, 0]
    return Seen(pose.id, pose.shape.class_name, box, 1.0, outline)


def box_of(camera: PoleCamera, pose: Pose) -> tuple[float, float, float, float] | None:
    """Return a vehicle's box x1, y1, x2, y2 in pixels, cut at the picture's edge, or None where it is out of it."""
    return _box(camera, *camera.project(place(pose.shape, pose)[0]))


def _box(camera: PoleCamera, pixels: np.ndarray, depth: np.ndarray) -> tuple[float, float, float, float] | None:
    if depth.min() <= NEAR_M:
        return None
    (x1, y1), (x2, y2) = pixels.min(axis=0).tolist(), pixels.max(axis=0).tolist()
    x1, x2 = max(x1 - EDGE_PX, 0.0), min(x2 + EDGE_PX, float(camera.width_px))
    y1, y2 = max(y1 - EDGE_PX, 0.0), min(y2 + EDGE_PX, float(camera.height_px))
    return (x1, y1, x2, y2) if x2 - x1 >= 1 and y2 - y1 >= 1 else None


def survey(stage: Stage, poses: list[Pose], cell_px: int = 4) -> list[Seen]:
    """Return what is seen of each vehicle, far to near, with the share that shows, counted in cells of `cell_px`."""
    camera = stage.camera
    seen = [(distance(camera, pose), look(camera, pose)) for pose in poses]
    kept = sorted(((depth, one) for depth, one in seen if one is not None), key=lambda pair: (-pair[0], pair[1].id))
    owner = np.zeros((camera.height_px // cell_px, camera.width_px // cell_px), np.int32)
    fronts = sorted(stage.fronts, key=lambda front: -front.depth_m)
    areas = []
    for index, (depth, one) in enumerate(kept):
        while fronts and fronts[0].depth_m > depth:
            _cover(owner, fronts.pop(0), cell_px)
        cells = one.outline_px / cell_px - 0.5
        cv2.fillConvexPoly(owner, _fixed(cells), index + 1, cv2.LINE_8, _SHIFT)
        areas.append(cv2.contourArea(one.outline_px) / cell_px**2)
    for front in fronts:
        _cover(owner, front, cell_px)
    counts = np.bincount(owner.ravel(), minlength=len(kept) + 1)[1:]
    return [
        Seen(one.id, one.class_name, one.xyxy_px, float(min(count / max(area, 1.0), 1.0)), one.outline_px)
        for (_, one), count, area in zip(kept, counts, areas, strict=False)
    ]


def distance(camera: PoleCamera, pose: Pose) -> float:
    """Return the order in which vehicles are drawn: metres from the camera's foot to the nearest end of the vehicle."""
    reach = max(pose.shape.length_m / 2 - 1.0, 0.0)
    along = np.array([np.cos(pose.heading_rad), np.sin(pose.heading_rad)]) * reach
    foot = np.array([camera.x_m, camera.y_m])
    at = np.array([pose.x_m, pose.y_m])
    return float(min(np.hypot(*(at + along * share - foot)) for share in (-1, -0.5, 0, 0.5, 1)))


def draw_frame(stage: Stage, poses: list[Pose]) -> np.ndarray:
    """Return the picture u1[h, w, 3] of the scene with vehicles in it, without noise."""
    picture = stage.backdrop.copy()
    _draw_shadows(picture, stage, poses)
    fronts = sorted(stage.fronts, key=lambda front: -front.depth_m)
    for depth, pose in sorted(
        ((distance(stage.camera, pose), pose) for pose in poses), key=lambda pair: (-pair[0], pair[1].id)
    ):
        while fronts and fronts[0].depth_m > depth:
            _draw_front(picture, fronts.pop(0))
        _draw_vehicle(picture, stage, pose)
    for front in fronts:
        _draw_front(picture, front)
    return picture


def draw_lamp(picture: np.ndarray, centre_px: tuple[float, float], radius_px: float, bgr: tuple[int, int, int]) -> None:
    """Draw a shining lamp: a disc in its colour with a brighter middle."""
    at = tuple(int(v) for v in _fixed(np.array(centre_px) - 0.5))
    cv2.circle(picture, at, int(radius_px * 16), bgr, -1, cv2.LINE_AA, _SHIFT)
    bright = tuple(int(255 - (255 - value) * 0.55) for value in bgr)
    cv2.circle(picture, at, int(radius_px * 9), bright, -1, cv2.LINE_AA, _SHIFT)


def _draw_shadows(picture: np.ndarray, stage: Stage, poses: list[Pose]) -> None:
    """Darken the road where vehicles keep the sun off it."""
    left = np.full(picture.shape[:2], 255, np.uint8)
    sun = stage.light.sun
    dark = int(255 * stage.light.shadow)
    drawn = False
    for pose in poses:
        world, _ = place(pose.shape, pose)
        ground = np.column_stack([world[:, :2] - sun[:2] * (world[:, 2:] / sun[2]), np.zeros(len(world))])
        pixels, depth = stage.camera.project(ground)
        if depth.min() <= NEAR_M:
            continue
        hull = cv2.convexHull(pixels.astype(np.float32))[:, 0]
        cv2.fillConvexPoly(left, _fixed(hull - 0.5), dark, cv2.LINE_AA, _SHIFT)
        drawn = True
    if drawn:
        soft = cv2.cvtColor(cv2.blur(left, (3, 3)), cv2.COLOR_GRAY2BGR)
        cv2.multiply(picture, soft, dst=picture, scale=1 / 255)


def _draw_vehicle(picture: np.ndarray, stage: Stage, pose: Pose) -> None:
    """Draw the faces of a vehicle that look to the camera, farther groups first."""
    shape, camera, light = pose.shape, stage.camera, stage.light
    world, turn = place(shape, pose)
    pixels, depth = camera.project(world)
    if depth.min() <= NEAR_M or _outside(pixels, camera):
        return
    normals = shape.normals @ turn.T
    towards = camera.position_m - world[shape.starts[:-1]]
    facing = np.einsum("ij,ij->i", normals, towards) > 0
    shade = light.sky * (0.82 + 0.18 * normals[:, 2]) + light.direct * np.maximum(normals @ light.sun, 0)
    colours = _lit(shape, pose) * np.minimum(shade, 1.25)[:, None]
    shining = (shape.kinds == HEAD) | ((shape.kinds == TAIL) & pose.braking)
    colours[shining] = _lit(shape, pose)[shining]
    far = 1 - np.exp(-depth[shape.starts[:-1]] / light.haze_m)
    colours = np.clip(colours + (np.array(light.haze_bgr) - colours) * far[:, None], 0, 255)
    centres = shape.centres_m @ turn.T + (pose.x_m, pose.y_m, 0.0)
    away = np.linalg.norm(centres - camera.position_m, axis=1)
    order = np.lexsort((np.arange(len(shape.kinds)), -away[shape.groups], shape.layers[shape.groups]))
    fixed = _fixed(pixels - 0.5)
    for face in order[facing[order]]:
        cv2.fillConvexPoly(
            picture, fixed[shape.starts[face] : shape.starts[face + 1]], colours[face].tolist(), cv2.LINE_AA, _SHIFT
        )


def _lit(shape: Shape, pose: Pose) -> np.ndarray:
    """Return the colours f8[f, 3] of a vehicle's faces with its lights as they are."""
    colours = shape.colours.copy()
    if pose.braking:
        colours[shape.kinds == TAIL] = (60, 60, 255)
    if pose.turning:
        colours[shape.kinds == (INDICATOR_LEFT if pose.turning > 0 else INDICATOR_RIGHT)] = (90, 190, 255)
    return colours


def _draw_front(picture: np.ndarray, front: Front) -> None:
    """Put a fixed thing over the picture."""
    height, width = front.cover.shape
    part = picture[front.top_px : front.top_px + height, front.left_px : front.left_px + width]
    cv2.copyTo(front.bgr, front.cover, part) if front.cover.min() == 255 else _blend(part, front)


def _blend(part: np.ndarray, front: Front) -> None:
    cover = cv2.cvtColor(front.cover, cv2.COLOR_GRAY2BGR)
    over = cv2.multiply(front.bgr, cover, scale=1 / 255)
    cv2.multiply(part, 255 - cover, dst=part, scale=1 / 255)
    cv2.add(part, over, dst=part)


def _cover(owner: np.ndarray, front: Front, cell_px: int) -> None:
    """Take the cells behind a fixed thing from their owners."""
    height, width = front.cover.shape
    ys = np.arange(-(-front.top_px // cell_px) * cell_px, front.top_px + height, cell_px)
    xs = np.arange(-(-front.left_px // cell_px) * cell_px, front.left_px + width, cell_px)
    ys, xs = ys[ys // cell_px < owner.shape[0]], xs[xs // cell_px < owner.shape[1]]
    if len(ys) and len(xs):
        hidden = front.cover[np.ix_(ys - front.top_px, xs - front.left_px)] > 127
        block = owner[ys[0] // cell_px : ys[-1] // cell_px + 1, xs[0] // cell_px : xs[-1] // cell_px + 1]
        block[hidden] = 0


def _outside(pixels: np.ndarray, camera: PoleCamera) -> bool:
    (x1, y1), (x2, y2) = pixels.min(axis=0), pixels.max(axis=0)
    return bool(x2 < 0 or y2 < 0 or x1 > camera.width_px or y1 > camera.height_px)


def _fixed(pixels: np.ndarray) -> np.ndarray:
    """Return pixels as OpenCV's fixed point, i4."""
    return np.round(pixels * (1 << _SHIFT)).astype(np.int32)
