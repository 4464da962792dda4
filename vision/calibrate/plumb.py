"""Finds a camera's lens from straight things that it bends, and from ground points: k1, and k2 where they tell it.

The plumb-line method (D. C. Brown, "Close-Range Camera Calibration", 1971): of all lenses the one under which the
points of each line are nearest to a straight one, in pixels of the picture as it is; together with the ground points'
distances from where homography and lens put them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from kernels.lens import distort_slope
from vision.ground import GroundError, LensError, distorted, make_lens, solve_ground, transform, undistorted

#: Ground points from which on they tell a lens, too.
GROUND_MIN = 8
#: A second coefficient must be so many deviations, and leave so much less of what is left out.
K2_SDS, K2_GAIN = 3.0, 0.9
#: A click is no better than this, in px.
SD_MIN_PX = 0.1
_STEP = 1e-5


@dataclass(frozen=True)
class Sights:
    """What a lens is found from: points of lines, and ground points in the picture and on the road (none: empty).

    `model` are the coefficients, focal length and centre that are held, as `make_lens` takes them.
    """

    size_px: tuple[int, int]
    model: dict[str, Any]
    lines: tuple[np.ndarray, ...]
    image_px: np.ndarray
    plane_m: np.ndarray

    @property
    def corner(self) -> float:
        """How far the farthest corner of the picture is from the centre, in focal lengths."""
        lens = make_lens(*self.size_px, focal_px=self.model.get("focal_px"), centre_px=self.model.get("centre_px"))
        width, height = self.size_px
        far = np.hypot(max(lens["x_px"], width - lens["x_px"]), max(lens["y_px"], height - lens["y_px"]))
        return float(far / lens["focal_px"])

    def lens(self, values: np.ndarray) -> np.void:
        """Return the lens of k1 and perhaps k2, each times its power of the corner; a LensError where it folds."""
        k = values / self.corner ** np.array([2.0, 4.0])[: len(values)]
        given = {name: value for name, value in self.model.items() if name not in ("k1", "k2")}
        return make_lens(*self.size_px, k1=float(k[0]), k2=float(k[1]) if len(k) > 1 else 0.0, **given)


@dataclass(frozen=True)
class LensFit:
    """A lens that was found: its coefficients with their deviations, and what it leaves over.

    `left_out_px` is the RMS bow of each line under the lens of all the rest, `left_out_m` how far each ground point is
    off under lens and homography of all the rest; empty where there are too few.
    """

    lens: np.void
    values: np.ndarray  # f8[1 or 2]: k1, k2
    sds: np.ndarray
    corner_px: float  # how far a plumb point as far out as the corner is moved, and the deviation of that
    corner_sd_px: float
    left_out_px: np.ndarray
    left_out_m: np.ndarray


def bow_px(lens: np.void, line: np.ndarray) -> np.ndarray:
    """Return how far each point of a line f8[n, 2] is from a straight one bent by this lens, in px, with its side."""
    plumb = undistorted(lens, line)
    slopes = np.array([distort_slope(lens, x, y)[2:] for x, y in plumb]).reshape(-1, 2, 2)
    inverse = np.linalg.inv(slopes) if lens["bends"] else np.broadcast_to(np.eye(2), (len(line), 2, 2))
    weight, steep = np.ones(len(line)), np.ones(len(line))
    for _ in range(3):
        middle = np.average(plumb, axis=0, weights=weight)
        normal = np.linalg.svd((plumb - middle) * np.sqrt(weight)[:, None])[2][1]
        # A pixel of the picture across the line is so many plumb pixels (Sampson's distance).
        steep = np.linalg.norm(normal @ inverse, axis=1)
        weight = 1.0 / steep**2
    return np.asarray((plumb - middle) @ normal / steep)


def rms(parts: list[np.ndarray]) -> float:
    """Return the root mean square of all numbers, NaN of none."""
    flat = np.concatenate(parts) if parts else np.zeros(0)
    return float(np.sqrt(np.mean(flat**2))) if len(flat) else float("nan")


def find_lens(sights: Sights) -> LensFit:
    """Return the lens that fits best; a LensError says why there is none."""
    free = sum(len(line) - 2 for line in sights.lines)
    use_ground = len(sights.image_px) >= GROUND_MIN
    if free < 3 and not use_ground:
        raise LensError(
            f"cannot be found: lines_px leave {free} points to spare, and there are {len(sights.image_px)} ground "
            f"points; allowed: 3 or more points to spare (a line needs two for itself), or {GROUND_MIN} ground points"
        )
    if not use_ground:
        sights = replace(sights, image_px=np.zeros((0, 2)), plane_m=np.zeros((0, 2)))
    one = _fit(sights, 1)
    if free + 2 * len(sights.image_px) - 8 * use_ground < 8:
        return one
    try:
        two = _fit(sights, 2)
    except LensError:
        return one
    told = abs(two.values[1]) > K2_SDS * two.sds[1]
    better = all(
        rms([theirs]) < K2_GAIN * rms([ours])
        for ours, theirs in ((one.left_out_px, two.left_out_px), (one.left_out_m, two.left_out_m))
        if len(ours)
    )
    return two if told and better and len(two.left_out_px) + len(two.left_out_m) else one


def _fit(sights: Sights, n: int) -> LensFit:
    sd = [1.0, 1.0]
    values = np.zeros(n)
    for _ in range(3):
        values, slopes = _descend(partial(_whitened, sights, sd), values)
        lens = sights.lens(values)
        left = _misfit(sights, lens)
        spare = [sum(len(line) - 2 for line in sights.lines), 2 * len(sights.image_px) - 8]
        sd = [max(SD_MIN_PX, float(np.sqrt(part @ part / max(m, 1)))) for part, m in zip(left, spare, strict=True)]
    # The noise is of the residuals once more: the coefficients took some of them up.
    over = _whitened(sights, sd, values)
    noise = float(over @ over) / max(sum(m for m in spare if m > 0) - n, 1)
    try:
        covariance = noise * np.linalg.inv(slopes.T @ slopes)
    except np.linalg.LinAlgError:
        covariance = np.full((n, n), np.inf)
    corner_px = sights.corner * float(lens["focal_px"])
    power = sights.corner ** np.array([2.0, 4.0])[:n]
    return LensFit(
        lens=lens,
        values=values / power,
        sds=np.sqrt(np.diag(covariance)) / power,
        corner_px=corner_px * float(values.sum()),
        corner_sd_px=corner_px * float(np.sqrt(max(covariance.sum(), 0.0))),
        left_out_px=_lines_left_out(sights, values, sd),
        left_out_m=_points_left_out(sights, values, sd),
    )


def _misfit(sights: Sights, lens: np.void) -> tuple[np.ndarray, np.ndarray]:
    """Return what is left over in px: of the lines' points, and in x and y of the ground points."""
    lines = np.concatenate([np.zeros(0), *(bow_px(lens, line) for line in sights.lines)])
    if not len(sights.image_px):
        return lines, np.zeros(0)
    try:
        to_road, _ = solve_ground(undistorted(lens, sights.image_px), sights.plane_m)
    except GroundError as error:
        raise LensError(f"cannot be found: ground {error}") from None
    back = distorted(lens, transform(np.linalg.inv(to_road), sights.plane_m))
    return lines, (back - sights.image_px).ravel()


def _whitened(sights: Sights, sd: list[float], values: np.ndarray) -> np.ndarray:
    return np.concatenate([part / one for part, one in zip(_misfit(sights, sights.lens(values)), sd, strict=True)])


def _descend(
    residuals: Callable[[np.ndarray], np.ndarray], start: np.ndarray, most: int = 25
) -> tuple[np.ndarray, np.ndarray]:
    """Return the least squares' place near a start, and the slopes there: Gauss-Newton with steps halved on need."""
    best, now = start, residuals(start)
    slopes = np.zeros((len(now), len(best)))
    for _ in range(most):
        for k in range(len(best)):
            step = _STEP * np.eye(len(best))[k]
            ahead, back = _tried(residuals, best + step), _tried(residuals, best - step)
            # At the verge of folding over one side is all there is.
            high, low = (now if one is None else one for one in (ahead, back))
            slopes[:, k] = (high - low) / (_STEP * ((ahead is not None) + (back is not None)) or np.inf)
        change = np.linalg.lstsq(slopes, -now, rcond=1e-10)[0]
        for _ in range(12):
            then = _tried(residuals, best + change)
            if then is not None and np.all(np.isfinite(then)) and then @ then < now @ now:
                break
            change = change / 2.0
        else:
            return best, slopes
        best, now = best + change, then
        if np.abs(change).max() < 1e-8:
            break
    return best, slopes


def _tried(residuals: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray | None:
    """Return what is left over, None where the lens would fold over."""
    try:
        return residuals(values)
    except LensError:
        return None


def _lines_left_out(sights: Sights, values: np.ndarray, sd: list[float]) -> np.ndarray:
    """Return the RMS bow (px) of each line under the lens of all the rest; empty where they are too few."""
    free = sum(len(line) - 2 for line in sights.lines)
    found = []
    for k, line in enumerate(sights.lines):
        rest = replace(sights, lines=sights.lines[:k] + sights.lines[k + 1 :])
        if free - len(line) + 2 < len(values) + 2 and not len(sights.image_px):
            return np.zeros(0)
        found.append(rms([bow_px(_again(rest, values, sd), line)]))
    return np.array(found)


def _points_left_out(sights: Sights, values: np.ndarray, sd: list[float]) -> np.ndarray:
    """Return how far (m) each ground point is off under lens and homography of all the rest; empty without points."""
    found = []
    for k in range(len(sights.image_px)):
        kept = np.arange(len(sights.image_px)) != k
        rest = replace(sights, image_px=sights.image_px[kept], plane_m=sights.plane_m[kept])
        lens = _again(rest, values, sd)
        to_road, _ = solve_ground(undistorted(lens, rest.image_px), rest.plane_m)
        place = transform(to_road, undistorted(lens, sights.image_px[k : k + 1]))
        found.append(float(np.nan_to_num(np.linalg.norm(place - sights.plane_m[k]), nan=np.inf)))
    return np.array(found)


def _again(sights: Sights, values: np.ndarray, sd: list[float]) -> np.void:
    """Return the lens of fewer sights, from a start near it."""
    return sights.lens(_descend(partial(_whitened, sights, sd), values, 4)[0])
