"""Where the road is in a picture: the camera's lens, and the ground homography fitted to points known in both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels.lens import LENS, SQUEEZE_MIN, distort_points, lens_reach, undistort_points

#: A fit that misses a point by more than this share of the points' extent on the road is no fit.
RESIDUAL_SHARE_MAX = 0.1
#: Condition number of the normalised homography beyond which the fourth digit of a pixel decides about metres.
CONDITION_MAX = 1e4
#: Metres a pixel, at the mean of the points: beyond it no road user is larger than a pixel.
SCALE_MAX_M_PX = 5.0
#: Metres a pixel there below which a road user fills the picture many times over.
SCALE_MIN_M_PX = 0.0005
#: Focal lengths of traffic cameras as a share of the picture's longer side (a view of 127 to 5 degrees), and how far
#: the road's axes may be from right angles and one length.
FOCAL_MIN, FOCAL_MAX, SKEW_MAX = 0.25, 12.0, 0.1
#: Plane coordinates beyond this are of a national grid and are counted from their mean: tracks hold 32-bit floats.
_GRID_M = 10_000.0
#: Condition number beyond which a matrix is not inverted.
_SINGULAR = 1e9


class LensError(Exception):
    """No lens does what these numbers say; the message is the end of a sentence."""


class GroundError(Exception):
    """The points determine no homography; the message is the end of a sentence."""


@dataclass(frozen=True)
class GroundFit:
    """A ground homography and how far it can be believed.

    `to_road` turns plumb pixels into metres from `origin_m`, `from_road` does the reverse; both are scaled so that the
    third homogeneous coordinate is positive in front of the horizon: not positive means that the point is no road.
    Errors are distances in metres at the points; `holdout_*` leaves each point out in turn, NaN below 5 points.
    """

    image_px: np.ndarray  # f8[n, 2]
    plane_m: np.ndarray  # f8[n, 2], from origin_m
    origin_m: tuple[float, float]
    to_road: np.ndarray  # f8[3, 3]
    from_road: np.ndarray  # f8[3, 3]
    residual_rms_m: float
    residual_max_m: float
    holdout_rms_m: float
    holdout_max_m: float
    condition: float
    holdout_m: np.ndarray  # f8[n], of each point; empty below 5 points
    lens: np.void  # LENS

    def road_m(self, points_px: np.ndarray) -> np.ndarray:
        """Return f8[n, 2], road points in m from `origin_m`, of pixels f8[n, 2]; NaN at and above the horizon."""
        return transform(self.to_road, undistorted(self.lens, points_px))

    def picture_px(self, points_m: np.ndarray) -> np.ndarray:
        """Return f8[n, 2], where road points f8[n, 2] are seen; NaN where they are not in front of the camera."""
        return distorted(self.lens, transform(self.from_road, points_m))

    @property
    def extent_m(self) -> float:
        """Length of the diagonal of the rectangle that holds the points."""
        return float(np.linalg.norm(np.ptp(self.plane_m, axis=0)))


def make_lens(
    width_px: int,
    height_px: int,
    k1: float = 0.0,
    k2: float = 0.0,
    p1: float = 0.0,
    p2: float = 0.0,
    k3: float = 0.0,
    focal_px: float | None = None,
    centre_px: tuple[float, float] | None = None,
) -> np.void:
    """Return the LENS of a camera; a LensError for one that folds the picture over.

    Without a centre it is the picture's middle, without a focal length the picture's longer side: k1 to k3 say how much
    is bent at that distance from the centre.
    """
    lens = np.zeros(1, LENS)
    lens["focal_px"] = max(width_px, height_px) if focal_px is None else focal_px
    lens["x_px"], lens["y_px"] = (width_px / 2.0, height_px / 2.0) if centre_px is None else centre_px
    lens["k1"], lens["k2"], lens["p1"], lens["p2"], lens["k3"] = k1, k2, p1, p2, k3
    lens["reach"], lens["bends"] = np.inf, any((k1, k2, p1, p2, k3))
    if lens["bends"][0]:
        reach, x, y = lens_reach(lens[0], float(width_px), float(height_px))
        if not reach > 0.0:
            raise LensError(
                f"folds the picture over at [{x:.0f}, {y:.0f}]; allowed: a lens that squeezes nothing in the picture "
                f"to less than {SQUEEZE_MIN:g} of its size (check k1, k2 and focal_px)"
            )
        lens["reach"] = reach
    return lens[0]


def lens_facts(lens: np.void) -> dict[str, float]:
    """Return a lens in plain numbers, for records."""
    return {name: float(lens[name]) for name in LENS.names or () if name != "bends"}


def lens_of(geometry: Mapping[str, Any]) -> np.void:
    """Return the LENS of a record's geometry, one that does not bend where it has none."""
    lens = np.zeros(1, LENS)
    for name, value in (geometry.get("lens") or {}).items():
        lens[name], lens["bends"] = value, 1
    return lens[0]


def undistorted(lens: np.void, points_px: np.ndarray) -> np.ndarray:
    """Return f8[n, 2], the plumb pixels of the picture's pixels f8[n, 2]."""
    return _through(undistort_points, lens, points_px)


def distorted(lens: np.void, points_px: np.ndarray) -> np.ndarray:
    """Return f8[n, 2], where plumb pixels f8[n, 2] are in the picture."""
    return _through(distort_points, lens, points_px)


def _through(kernel: Callable[..., None], lens: np.void, points_px: np.ndarray) -> np.ndarray:
    points = np.array(points_px, np.float64).reshape(-1, 2)
    if lens["bends"]:
        kernel(lens, points, points)
    return points


def fit_ground(image_px: np.ndarray, plane_m: np.ndarray, lens: np.void | None = None) -> GroundFit:
    """Fit the homography of a road plane to n >= 4 pairs of points; a GroundError says why there is none.

    `image_px` are the picture's pixels; without a `lens` they are plumb.
    """
    seen = np.asarray(image_px, np.float64)
    lens = np.zeros(1, LENS)[0] if lens is None else lens
    image = undistorted(lens, seen)
    plane = np.asarray(plane_m, np.float64)
    origin = np.round(plane.mean(axis=0)) if np.abs(plane).max() > _GRID_M else np.zeros(2)
    plane = plane - origin
    to_road, condition = solve_ground(image, plane)
    from_road = _positive(np.linalg.inv(to_road), plane)
    errors = _distances(to_road, image, plane)
    _refuse(to_road, image, plane, errors, condition)
    held = np.full(1, np.nan)
    if len(image) >= 5:
        held = np.array([_held_out(image, plane, left_out) for left_out in range(len(image))])
    return GroundFit(
        image_px=seen,
        plane_m=plane,
        origin_m=(float(origin[0]), float(origin[1])),
        to_road=to_road,
        from_road=from_road,
        residual_rms_m=_rms(errors),
        residual_max_m=float(errors.max()),
        holdout_rms_m=_rms(held),
        holdout_max_m=float(held.max()),
        condition=condition,
        holdout_m=held if len(image) >= 5 else np.zeros(0),
        lens=lens,
    )


def camera_matrix(
    from_road: np.ndarray, width_px: int, height_px: int, centre_px: tuple[float, float] | None = None
) -> np.ndarray | None:
    """Return f8[3, 4], road metres and height to plumb pixels, of a camera with square pixels; None where none fits.

    Its principal point is the lens's centre, else the picture's middle; the focal length follows from the two axes of
    the road being at right angles and of one length (Zhang, "A flexible new technique for camera calibration", IEEE
    TPAMI 22, 2000, section 2.3). A camera that looks straight down, or a homography of no such camera, tells none.
    """
    x, y = (width_px / 2.0, height_px / 2.0) if centre_px is None else centre_px
    shift = np.array([[1.0, 0.0, -x], [0.0, 1.0, -y], [0.0, 0.0, 1.0]])
    scale = float(max(width_px, height_px))
    columns = np.diag([1.0 / scale, 1.0 / scale, 1.0]) @ shift @ from_road
    h1, h2 = columns[:, 0], columns[:, 1]
    flat = np.array([h1[:2] @ h2[:2], h1[:2] @ h1[:2] - h2[:2] @ h2[:2]])
    deep = np.array([h1[2] * h2[2], h1[2] ** 2 - h2[2] ** 2])
    square = -float(flat @ flat) / float(flat @ deep) if flat @ deep else np.inf
    if not FOCAL_MIN**2 <= square <= FOCAL_MAX**2:
        return None
    rays = columns / np.array([[np.sqrt(square)], [np.sqrt(square)], [1.0]])
    size = np.linalg.norm(rays[:, :2], axis=0)
    if abs(np.log(size[0] / size[1])) > SKEW_MAX or abs(rays[:, 0] @ rays[:, 1]) > SKEW_MAX * size[0] * size[1]:
        return None
    up = np.cross(rays[:, 0], rays[:, 1]) / np.sqrt(size[0] * size[1])
    # Up is where the camera is, whichever way round the plane's axes are.
    up = up if rays[:, 2] @ up < 0.0 else -up
    upright = np.linalg.inv(shift) @ np.diag([scale, scale, 1.0]) @ (up * np.array([square**0.5, square**0.5, 1.0]))
    return np.column_stack([from_road[:, :2], upright, from_road[:, 2]])


def transform(homography: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return f8[n, 2], the points f8[n, 2] under a homography; NaN where the third coordinate is not positive."""
    mapped = np.column_stack([points, np.ones(len(points))]) @ homography.T
    depth = np.where(mapped[:, 2] > 0.0, mapped[:, 2], np.nan)
    return mapped[:, :2] / depth[:, None]


def solve_ground(image: np.ndarray, plane: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the homography and its condition number in normalised coordinates.

    The direct linear transform with normalised points (Hartley, "In Defense of the Eight-Point Algorithm", 1997), then
    Gauss-Newton on the distance in the picture: clicks are what is uncertain, not the survey.
    """
    image_norm, plane_norm = _normaliser(image), _normaliser(plane)
    source, target = transform(image_norm, image), transform(plane_norm, plane)
    rows = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y, -u], [0, 0, 0, x, y, 1, -v * x, -v * y, -v]]
    _, spread, vectors = np.linalg.svd(np.array(rows))
    if spread[7] < 1e-9 * spread[0]:
        raise GroundError("determines no homography; allowed: 4 or more points, no three of four on one line")
    inner = vectors[-1].reshape(3, 3)
    condition = float(np.linalg.cond(inner))
    if not np.isfinite(condition) or condition > _SINGULAR:
        raise GroundError("determines no homography: the points lie nearly on one line; spread them out")
    if len(image) > 4:
        refined = _refine(np.linalg.inv(inner), target, source)
        inner = np.linalg.inv(refined) if np.linalg.cond(refined) < _SINGULAR else inner
    return _positive(np.linalg.inv(plane_norm) @ inner @ image_norm, image), condition


def _refine(homography: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the homography with the least squared distance to the targets, from a start near it."""
    best = homography / np.linalg.norm(homography)
    for _ in range(10):
        mapped = np.column_stack([source, np.ones(len(source))]) @ best.T
        if np.any(np.abs(mapped[:, 2]) < 1e-12):
            return best
        found = mapped[:, :2] / mapped[:, 2:]
        slopes = np.zeros((len(source), 2, 9))
        ray = np.column_stack([source, np.ones(len(source))]) / mapped[:, 2:]
        slopes[:, 0, 0:3], slopes[:, 1, 3:6] = ray, ray
        slopes[:, :, 6:9] = -found[:, :, None] * ray[:, None, :]
        change = np.linalg.lstsq(slopes.reshape(-1, 9), (target - found).ravel(), rcond=1e-12)[0].reshape(3, 3)
        trial = best + change
        trial /= np.linalg.norm(trial)
        if not np.all(np.isfinite(trial)) or _misfit(trial, source, target) >= _misfit(best, source, target):
            return best
        best = trial
    return best


def _misfit(homography: np.ndarray, source: np.ndarray, target: np.ndarray) -> float:
    mapped = np.column_stack([source, np.ones(len(source))]) @ homography.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.nan_to_num(np.sum((mapped[:, :2] / mapped[:, 2:] - target) ** 2), nan=np.inf))


def _normaliser(points: np.ndarray) -> np.ndarray:
    """Return the similarity that brings points to mean 0 and mean distance sqrt(2)."""
    centre = points.mean(axis=0)
    spread = np.linalg.norm(points - centre, axis=1).mean()
    if not spread > 0.0:
        raise GroundError("has all its points in one place; allowed: 4 or more points, no three of four on one line")
    scale = np.sqrt(2.0) / spread
    return np.array([[scale, 0.0, -scale * centre[0]], [0.0, scale, -scale * centre[1]], [0.0, 0.0, 1.0]])


def _positive(homography: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the homography scaled so that the third coordinate is 1 at the mean of the points."""
    depth = np.column_stack([points, np.ones(len(points))]) @ homography[2]
    if not (np.all(depth > 0.0) or np.all(depth < 0.0)):
        raise GroundError("puts the horizon between its points: they are in another order or one is far off")
    return homography / depth.mean()


def _distances(to_road: np.ndarray, image: np.ndarray, plane: np.ndarray) -> np.ndarray:
    return np.linalg.norm(transform(to_road, image) - plane, axis=1)


def _held_out(image: np.ndarray, plane: np.ndarray, left_out: int) -> float:
    """Return how far (m) the fit to all other points misses one; infinite where the others determine none."""
    kept = np.arange(len(image)) != left_out
    try:
        to_road, _ = solve_ground(image[kept], plane[kept])
    except GroundError:
        return np.inf
    error = _distances(to_road, image[~kept], plane[~kept])[0]
    return float(error) if np.isfinite(error) else np.inf


def _rms(errors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def _refuse(to_road: np.ndarray, image: np.ndarray, plane: np.ndarray, errors: np.ndarray, condition: float) -> None:
    """Raise a GroundError for a fit that nobody should measure with."""
    extent = float(np.linalg.norm(np.ptp(plane, axis=0)))
    worst = int(errors.argmax())
    if not errors.max() <= RESIDUAL_SHARE_MAX * extent:
        off = f"point {worst + 1} is off by {errors[worst]:.2f} m"
        raise GroundError(f"does not fit: {off}; allowed: {RESIDUAL_SHARE_MAX * extent:.2f} m (check its coordinates)")
    if condition > CONDITION_MAX:
        raise GroundError(f"has condition {condition:.0f}; allowed: {CONDITION_MAX:.0f} (spread the points out)")
    middle = transform(to_road, image.mean(axis=0) + np.array([[0.0, 0.0], [1.0, 0.0]]))
    scale = float(np.linalg.norm(middle[1] - middle[0]))
    if not scale <= SCALE_MAX_M_PX:
        raise GroundError(f"makes a pixel {scale:.1f} m wide; allowed: {SCALE_MAX_M_PX:g} m (is plane_m in metres?)")
    if scale < SCALE_MIN_M_PX:
        raise GroundError(
            f"makes a pixel {scale:.2g} m wide; allowed: from {SCALE_MIN_M_PX:g} m (is plane_m in metres?)"
        )
