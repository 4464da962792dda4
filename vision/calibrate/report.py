"""How far ground and lens can be believed: errors at points and lines, the camera meant, where speeds are barred."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kernels.contact import SIZES_M
from kernels.coursebox import EDGE_SHARE
from kernels.geometry import metres_per_px, road_point
from vision import ink
from vision.calibrate.plumb import GROUND_MIN, LensFit, Sights, bow_px, find_lens, rms
from vision.draw import CANVAS, write_png
from vision.errors import SiteError
from vision.ground import GroundError, LensError, camera_matrix, fit_ground, make_lens
from vision.ink import Pen
from vision.scene import Scene

#: Metres a pixel beyond which a place bears no speed.
BARRED_M_PX = 0.5
#: What a speed is foretold for: a car at 50 km/h, seen for a second at 25 frames/s.
SPEED_MPS, SEEN_S, FRAMES = 50.0 / 3.6, 1.0, 25
#: Heights (m) and tilts (degrees) of traffic cameras; others are worth a second look at the points.
HEIGHTS_M, TILTS = (2.5, 60.0), (2.0, 85.0)
#: A found lens may leave a corner of the picture unsure, and a line bowed, by these shares of the picture's longer
#: side; it must leave less than this share of the bow that there is without it.
UNSURE_MOST, BOW_MOST, EXPLAINED = 0.01, 0.002, 0.7
#: Rows of the table, and cells of the map across the picture.
_ROWS, _CELLS = 10, 160


@dataclass(frozen=True)
class Pose:
    """Where a camera is: focal length, height above the road, how far it looks down, the road point below it."""

    focal_px: float
    height_m: float
    down_degrees: float
    foot_m: tuple[float, float]


@dataclass(frozen=True)
class Stretch:
    """What is to be expected at a place of the road: how far it is, what a pixel is worth, how sure a speed is."""

    y_px: float
    x_m: float
    y_m: float
    away_m: float  # from below the camera, NaN without a pose
    metres_per_px: float
    speed_sd_kmh: float


def pose_of(scene: Scene) -> Pose | None:
    """Return the pose that a scene's ground means for a camera with square pixels, None where it means none."""
    if scene.from_road is None:
        return None
    centre_px = float(scene.lens["x_px"]), float(scene.lens["y_px"])
    matrix = camera_matrix(scene.from_road, scene.width_px, scene.height_px, centre_px)
    if matrix is None:
        return None
    inner = matrix[:, :3] / np.linalg.norm(matrix[2, :3])
    place = -np.linalg.solve(matrix[:, :3], matrix[:, 3])
    focal = float(np.linalg.norm(inner[1] - (inner[1] @ inner[2]) * inner[2]))
    down = float(np.degrees(np.arcsin(np.clip(-inner[2, 2], -1.0, 1.0))))
    return Pose(focal, float(place[2]), down, (float(place[0]), float(place[1])))


def doubts(pose: Pose) -> list[str]:
    """Return what is odd about a pose, each with what is usual."""
    found = []
    for name, value, (low, high), unit in (
        ("is", pose.height_m, HEIGHTS_M, "m above the road"),
        ("looks down by", pose.down_degrees, TILTS, "degrees"),
    ):
        if not low <= value <= high:
            found.append(f"the camera {name} {value:.1f} {unit}; usual: {low:g} to {high:g}; check the points")
    return found


def speed_sd_kmh(scene: Scene, x_px: float, y_px: float) -> float:
    """Return the deviation of a speed to be expected at a pixel in km/h: of a line through a second's boxes.

    sqrt((s / T)^2 12 / N + (v u)^2), s: noise of an edge on the road, u: the ground's scale.
    """
    assert scene.ground is not None
    metres = metres_per_px(scene.ground.to_road, scene.lens, x_px, y_px)
    across = scene.ground.road_m(np.array([[x_px, y_px], [x_px + 1.0, y_px]]))
    # A car's box is about as high as a car's width times 1.2 is wide.
    box_px = 1.2 * SIZES_M[0][1] / max(float(np.linalg.norm(across[1] - across[0])), 1e-9)
    edge_m = metres * EDGE_SHARE * box_px
    return 3.6 * float(np.hypot(edge_m / SEEN_S * np.sqrt(12.0 / FRAMES), SPEED_MPS * scene.scale_sd))


def stretches(scene: Scene) -> list[Stretch]:
    """Return what is to be expected down the picture through the middle of the ground points, the nearest first."""
    assert scene.ground is not None
    pose = pose_of(scene)
    x = float(scene.ground.image_px[:, 0].mean())
    found = []
    for y in np.linspace(scene.height_px - 1.0, 0.0, 400):
        metres = metres_per_px(scene.ground.to_road, scene.lens, x, float(y))
        if not metres <= 2.0 * BARRED_M_PX:
            break
        x_m, y_m = road_point(scene.ground.to_road, scene.lens, x, float(y))
        away = float("nan") if pose is None else float(np.hypot(x_m - pose.foot_m[0], y_m - pose.foot_m[1]))
        found.append(Stretch(float(y), x_m, y_m, away, metres, speed_sd_kmh(scene, x, float(y))))
    # Even steps on the road, not in the picture.
    way = np.cumsum([0.0, *(np.hypot(b.x_m - a.x_m, b.y_m - a.y_m) for a, b in pairwise(found))])
    if not found:
        return []
    picked = np.unique(np.searchsorted(way, np.linspace(0.0, way[-1], _ROWS)))
    return [found[min(int(k), len(found) - 1)] for k in picked]


def scale_map(scene: Scene) -> np.ndarray:
    """Return f8[rows, cells], the metres a pixel over the picture; NaN where it shows no road."""
    assert scene.to_road is not None
    step = scene.width_px / _CELLS
    rows = max(1, round(scene.height_px / step))
    road = scene.to_road, scene.lens
    return np.array(
        [[metres_per_px(*road, (i + 0.5) * step, (j + 0.5) * step) for i in range(_CELLS)] for j in range(rows)]
    )


def said(scene: Scene) -> list[str]:
    """Return the report, a line each; a SiteError where the camera has neither ground points nor plumb lines."""
    if scene.ground is None and not scene.plumb_lines:
        raise SiteError(
            [f"camera.{scene.camera} has no ground; give [camera.{scene.camera}.ground] with image_px and plane_m"]
        )
    ground = [] if scene.ground is None else ground_said(scene)
    return ground + (lens_said(scene) if _has_sights(scene) else [])


def ground_said(scene: Scene) -> list[str]:
    """Return the report on the ground, a line each."""
    ground = scene.ground
    assert ground is not None
    lines = ["point       x px      y px       x m       y m   off m  off px  left out m"]
    errors = np.linalg.norm(ground.road_m(ground.image_px) - ground.plane_m, axis=1)
    seen = np.linalg.norm(ground.picture_px(ground.plane_m) - ground.image_px, axis=1)
    for k, ((x, y), (u, v)) in enumerate(zip(ground.image_px, ground.plane_m + ground.origin_m, strict=True)):
        held = f"{ground.holdout_m[k]:12.3f}" if len(ground.holdout_m) else "           -"
        lines.append(f"{k + 1:5d}{x:11.1f}{y:10.1f}{u:10.2f}{v:10.2f}{errors[k]:8.3f}{seen[k]:8.2f}{held}")
    held = f"{ground.holdout_rms_m:.3f} m" if len(ground.holdout_m) else "unknown (give 5 points or more)"
    lines.append(f"RMS {ground.residual_rms_m:.3f} m, left out {held}, condition {ground.condition:.0f}")
    lines.append(f"scale of a length: {100.0 * scene.scale_sd:.2f} % (one deviation)")
    pose = pose_of(scene)
    if pose is None:
        lines.append(
            "camera: none with square pixels fits, or it looks straight down: foot points only, no contact points"
        )
    else:
        lines.append(
            f"camera: focal length {pose.focal_px:.0f} px, {pose.height_m:.1f} m above the road, "
            f"looks down by {pose.down_degrees:.1f} degrees"
        )
        lines += [f"doubt: {text}" for text in doubts(pose)]
    lines.append("    y px   away m  m a pixel  speed +- km/h (one deviation, car at 50 km/h, 1 s)")
    for at in stretches(scene):
        barred = "  barred" if at.metres_per_px > BARRED_M_PX else ""
        lines.append(f"{at.y_px:8.0f}{at.away_m:9.1f}{at.metres_per_px:11.3f}{at.speed_sd_kmh:10.1f}{barred}")
    scales = scale_map(scene)
    road = np.isfinite(scales)
    share = float(np.mean(scales[road] > BARRED_M_PX)) if road.any() else 1.0
    lines.append(f"barred for speeds: {100.0 * share:.0f} % of the road in view, beyond {BARRED_M_PX:g} m a pixel")
    return lines


def _has_sights(scene: Scene) -> bool:
    points = 0 if scene.ground is None else len(scene.ground.image_px)
    return bool(scene.plumb_lines) or points >= GROUND_MIN


def sights_of(scene: Scene) -> Sights:
    """Return what a scene tells of its lens; what is held is as the site file has it."""
    held: dict[str, Any] = {name: float(scene.lens[name]) for name in ("p1", "p2", "k3", "focal_px")}
    held["centre_px"] = float(scene.lens["x_px"]), float(scene.lens["y_px"])
    none = np.zeros((0, 2))
    image, plane = (none, none) if scene.ground is None else (scene.ground.image_px, scene.ground.plane_m)
    return Sights((scene.width_px, scene.height_px), held, scene.plumb_lines, image, plane)


def lens_said(scene: Scene) -> list[str]:
    """Return the report on the lens, a line each: bows before and after, hold-outs, and what to paste."""
    sights, plain = sights_of(scene), make_lens(scene.width_px, scene.height_px)
    given = f"{_coefficients(scene.lens)} at {scene.lens['focal_px']:.0f} px" if scene.lens["bends"] else "none"
    said = [f"lens in the site file: {given}"]
    try:
        found = find_lens(sights)
    except LensError as error:
        return [*said, f"no lens is told: it {error}"]
    kinds = {"none": plain, "site's": scene.lens, "found": found.lens}
    kinds = {name: lens for name, lens in kinds.items() if name != "site's" or lens["bends"]}
    if sights.lines:
        heads = "".join(f"{name:>10}" for name in (*kinds, "left out"))
        said.append(f"{'line':>5}{'points':>8}{'long px':>9}   bow, RMS px, by lens:{heads}")
        for k, line in enumerate(sights.lines):
            bows = [rms([bow_px(lens, line)]) for lens in kinds.values()]
            bows.append(found.left_out_px[k] if len(found.left_out_px) else np.nan)
            length = float(np.hypot(*(line[-1] - line[0])))
            cells = "".join(f"{bow:10.2f}" if np.isfinite(bow) else f"{'-':>10}" for bow in bows)
            said.append(f"{k + 1:5d}{len(line):8d}{length:9.0f}   {'':21}{cells}")
        whole = [rms([bow_px(lens, line) for line in sights.lines]) for lens in kinds.values()]
        cells = "".join(f"{bow:10.2f}" for bow in [*whole, rms([found.left_out_px])])
        said.append(f"{'all':>5}{sum(map(len, sights.lines)):8d}{'':9}   {'':21}{cells}")
    if len(found.left_out_m):
        said.append(
            f"ground points left out, RMS: {_held_out_m(scene, plain):.3f} m without a lens, "
            f"{rms([found.left_out_m]):.3f} m with the found one"
        )
    deviations = ", ".join(
        f"{name} {value:.4f} +- {sd:.4f}"
        for name, value, sd in zip(("k1", "k2"), found.values, found.sds, strict=False)
    )
    ground = f" and {len(found.left_out_m)} ground points" if len(found.left_out_m) else ""
    said.append(
        f"found from {len(sights.lines)} lines{ground}: {deviations}; "
        f"moves a plumb point as far out as the corner by {found.corner_px:.1f} +- {found.corner_sd_px:.1f} px"
    )
    wrong = lens_doubts(scene, sights, found)
    if wrong:
        return said + [f"no lens is told: {text}" for text in wrong]
    x, y = (f"{float(scene.lens[name]):g}" for name in ("x_px", "y_px"))
    digits = [max(2, 1 - int(np.floor(np.log10(max(sd, 1e-9))))) for sd in found.sds]
    values = zip(("k1", "k2"), found.values, digits, strict=False)
    rest = [f"{name} = {float(scene.lens[name]):g}" for name in ("p1", "p2", "k3") if scene.lens[name]]
    return [
        *said,
        "for the site file:",
        f"[camera.{scene.camera}.lens]",
        *(f"{name} = {value:.{places}f}" for name, value, places in values),
        *rest,
        f"focal_px = {float(scene.lens['focal_px']):g}",
        f"centre_px = [{x}, {y}]",
    ]


def lens_doubts(scene: Scene, sights: Sights, found: LensFit) -> list[str]:
    """Return why a found lens is not to be used, each with what is allowed; none where it is sound."""
    plain, size = make_lens(scene.width_px, scene.height_px), max(scene.width_px, scene.height_px)
    most_sd, most_bow = UNSURE_MOST * size, BOW_MOST * size
    bows = [rms([bow_px(found.lens, line)]) for line in sights.lines]
    crooked = bool(bows) and max(bows) > most_bow
    if not crooked and not found.corner_sd_px <= most_sd:
        return [
            f"a corner is known to {found.corner_sd_px:.1f} px only; allowed: {most_sd:.0f} px (longer lines, nearer "
            "to the picture's edges, with more points)"
        ]
    if not crooked and abs(found.corner_px) < max(2.0 * found.corner_sd_px, 1.0):
        return ["straight things are straight as far as can be told; leave the lens out"]
    wrong = []
    if sights.lines:
        before, after = (rms([bow_px(lens, line) for line in sights.lines]) for lens in (plain, found.lens))
        after = rms([found.left_out_px]) if len(found.left_out_px) else after
        worst = int(np.argmax(bows))
        if crooked:
            wrong.append(
                f"line {worst + 1} keeps a bow of {bows[worst]:.1f} px; allowed: {most_bow:.1f} px (is it straight in "
                "the world?)"
            )
        elif not after < EXPLAINED * before:
            wrong.append(
                f"a bow of {before:.2f} px becomes {after:.2f} px left out; allowed: less than {EXPLAINED:g} of it "
                "(are these things straight in the world?)"
            )
    if len(found.left_out_m):
        before, after = _held_out_m(scene, plain), rms([found.left_out_m])
        if not after < (1.0 if sights.lines else EXPLAINED) * before:
            wrong.append(f"ground points left out are {after:.3f} m off with it, {before:.3f} m without")
    return wrong


def _held_out_m(scene: Scene, lens: np.void) -> float:
    """Return how far (RMS) the ground points are off when left out, under a lens; infinite where nothing fits."""
    assert scene.ground is not None
    try:
        return fit_ground(scene.ground.image_px, scene.ground.plane_m, lens).holdout_rms_m
    except GroundError:
        return float("inf")


def _coefficients(lens: np.void) -> str:
    return ", ".join(f"{name} {float(lens[name]):g}" for name in ("k1", "k2", "p1", "p2", "k3") if lens[name])


def draw_calibration(scene: Scene, background: np.ndarray | None, path: Path) -> None:
    """Write the error map as PNG: metres a pixel as tints, the points with what they are off, ten times enlarged.

    Plumb lines are drawn as they were clicked; without a ground they are all there is.
    """
    size = scene.height_px, scene.width_px
    canvas = np.full((*size, 3), CANVAS, np.uint8) if background is None else np.ascontiguousarray(background).copy()
    if scene.ground is not None:
        canvas = _tinted(scene, canvas)
    pen = Pen.of(canvas)
    for line in scene.plumb_lines:
        ink.stroke(canvas, line, ink.PURPLE, pen.stroke)
    clicks = np.zeros((0, 2)) if scene.ground is None else scene.ground.image_px
    fitted = clicks if scene.ground is None else scene.ground.picture_px(scene.ground.plane_m)
    for k, (clicked, found) in enumerate(zip(clicks, fitted, strict=True)):
        ink.stroke(canvas, [clicked, clicked + 10.0 * (found - clicked)], ink.WHITE, pen.stroke)
        cv2.circle(canvas, tuple(int(v) for v in np.round(clicked)), 2 + 2 * pen.stroke, ink.SKY, pen.stroke)
        ink.put_text(canvas, str(k + 1), clicked[0] + pen.text, clicked[1] - pen.text, pen.text)
    legend = (
        (ink.GREEN, "to 0.05 m a pixel"),
        (ink.YELLOW, "to 0.2"),
        (ink.ORANGE, "to 0.5"),
        (ink.VERMILION, "barred"),
    )
    for row, (colour, text) in enumerate(legend):
        ink.text_box(canvas, text, pen.text, pen.text + row * 2 * pen.text, pen.text, colour)
    write_png(path, canvas)


def _tinted(scene: Scene, canvas: np.ndarray) -> np.ndarray:
    """Return the picture tinted by what a pixel is worth on the road."""
    scales = scale_map(scene)
    tint = np.zeros((*scales.shape, 3), np.uint8)
    for limit, colour in ((np.inf, ink.VERMILION), (BARRED_M_PX, ink.ORANGE), (0.2, ink.YELLOW), (0.05, ink.GREEN)):
        tint[scales <= limit] = colour
    tint[~np.isfinite(scales)] = ink.DARK
    whole = cv2.resize(tint, (scene.width_px, scene.height_px), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.addWeighted(canvas, 0.65, whole, 0.35, 0.0))
