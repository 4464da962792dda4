"""What a lens does to a point of the picture, and back: Brown's model with the words and numbers of OpenCV.

A plumb pixel is where a pinhole camera of the same focal length and centre would have seen a point: there straight
things are straight, and there the ground homography holds. D. C. Brown, "Close-Range Camera Calibration",
Photogrammetric Engineering 37, 1971; OpenCV, "Camera Calibration and 3D Reconstruction".
"""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel

#: A lens; `bends` is 0 for one that leaves every point where it is. `reach` is how far from the centre the picture
#: reaches in plumb focal lengths: farther out the model, which folds over somewhere, is carried on in proportion.
LENS = np.dtype(
    [
        ("focal_px", "<f8"),
        ("x_px", "<f8"),
        ("y_px", "<f8"),
        ("k1", "<f8"),
        ("k2", "<f8"),
        ("p1", "<f8"),
        ("p2", "<f8"),
        ("k3", "<f8"),
        ("reach", "<f8"),
        ("bends", "<u8"),
    ]
)

#: Newton's method is at its end long before so many steps; it stops at this, in focal lengths.
STEPS, NEAR = 50, 1e-13
#: A lens that squeezes a length to less than this share of it is about to fold over. The picture is looked through from
#: the centre to so many points of each side, in so many steps.
SQUEEZE_MIN, BORDER_POINTS, BORDER_STEPS = 0.1, 16, 64


@kernel
def bend(lens, x, y):
    """Return the bent point and its slopes (x, y, x by x, x by y, y by x, y by y), all in focal lengths."""
    reach, r = lens["reach"], math.sqrt(x * x + y * y)
    far = r / reach if r > reach else 1.0
    x, y = x / far, y / far
    k1, k2, k3, p1, p2 = lens["k1"], lens["k2"], lens["k3"], lens["p1"], lens["p2"]
    rr = x * x + y * y
    radial = 1.0 + rr * (k1 + rr * (k2 + rr * k3))
    rise = 2.0 * (k1 + rr * (2.0 * k2 + 3.0 * k3 * rr))
    bent_x = x * radial + 2.0 * p1 * x * y + p2 * (rr + 2.0 * x * x)
    bent_y = y * radial + p1 * (rr + 2.0 * y * y) + 2.0 * p2 * x * y
    xx = radial + x * x * rise + 2.0 * p1 * y + 6.0 * p2 * x
    xy = x * y * rise + 2.0 * p1 * x + 2.0 * p2 * y
    yy = radial + y * y * rise + 6.0 * p1 * y + 2.0 * p2 * x
    if far == 1.0:
        return bent_x, bent_y, xx, xy, xy, yy
    # Along the ray it goes on in proportion; across it a length is bent as much as at the reach.
    ahead_x, ahead_y = x / reach, y / reach
    grow_x, grow_y = bent_x / reach, bent_y / reach
    side_x, side_y = xy * ahead_x - xx * ahead_y, yy * ahead_x - xy * ahead_y
    xx, xy = grow_x * ahead_x - side_x * ahead_y, grow_x * ahead_y + side_x * ahead_x
    yx, yy = grow_y * ahead_x - side_y * ahead_y, grow_y * ahead_y + side_y * ahead_x
    return bent_x * far, bent_y * far, xx, xy, yx, yy


@kernel
def distort_slope(lens, x_px, y_px):
    """Return the pixel at which a plumb pixel is seen, and its slopes: (x, y, x by x, x by y, y by x, y by y)."""
    focal = lens["focal_px"]
    x, y, xx, xy, yx, yy = bend(lens, (x_px - lens["x_px"]) / focal, (y_px - lens["y_px"]) / focal)
    return lens["x_px"] + focal * x, lens["y_px"] + focal * y, xx, xy, yx, yy


@kernel
def distort(lens, x_px, y_px):
    """Return the pixel (x, y) at which a plumb pixel is seen."""
    x, y, _, _, _, _ = distort_slope(lens, x_px, y_px)
    return x, y


@kernel
def undistort(lens, x_px, y_px):
    """Return the plumb pixel (x, y) of what is seen at a pixel: by Newton's method, a step halved until it helps."""
    focal = lens["focal_px"]
    seen_x, seen_y = (x_px - lens["x_px"]) / focal, (y_px - lens["y_px"]) / focal
    x, y, step_x, step_y, best = seen_x, seen_y, 0.0, 0.0, math.inf
    for _ in range(STEPS):
        bent_x, bent_y, xx, xy, yx, yy = bend(lens, x + step_x, y + step_y)
        off_x, off_y = seen_x - bent_x, seen_y - bent_y
        off, det = abs(off_x) + abs(off_y), xx * yy - xy * yx
        if off < best:
            x, y, best = x + step_x, y + step_y, off
            if off < NEAR or det == 0.0:
                break
            step_x, step_y = (yy * off_x - xy * off_y) / det, (xx * off_y - yx * off_x) / det
        else:
            step_x, step_y = 0.5 * step_x, 0.5 * step_y
    return lens["x_px"] + focal * x, lens["y_px"] + focal * y


@kernel
def distort_points(lens, points, out):
    """Write where the plumb pixels `points` f8[n, 2] are seen to `out`."""
    for k in range(len(points)):
        out[k, 0], out[k, 1] = distort(lens, points[k, 0], points[k, 1])


@kernel
def undistort_points(lens, points, out):
    """Write the plumb pixels of the pixels `points` f8[n, 2] to `out`."""
    for k in range(len(points)):
        out[k, 0], out[k, 1] = undistort(lens, points[k, 0], points[k, 1])


@kernel
def lens_reach(lens, width_px, height_px):
    """Return (reach, x_px, y_px): how far the picture's border is from the centre, in plumb focal lengths.

    NaN where the lens folds over before, and the pixel at which it does. The lens must not have a `reach` yet.
    """
    focal, most = lens["focal_px"], 0.0
    for k in range(4 * BORDER_POINTS):
        part = (k % BORDER_POINTS) / BORDER_POINTS
        side = k // BORDER_POINTS
        x = ((part, 1.0, 1.0 - part, 0.0)[side] * width_px - lens["x_px"]) / focal
        y = ((0.0, part, 1.0, 1.0 - part)[side] * height_px - lens["y_px"]) / focal
        far, way = math.hypot(x, y), 0.0
        # In plumb steps outwards: steps in the picture would leap over a fold. It ends, as every step gets on.
        while True:
            bent_x, bent_y, xx, xy, yx, yy = bend(lens, way * x, way * y)
            least = 0.5 * (math.hypot(xx + yy, xy - yx) - math.hypot(xx - yy, xy + yx))
            if not least > SQUEEZE_MIN:
                return math.nan, lens["x_px"] + focal * bent_x, lens["y_px"] + focal * bent_y
            if math.hypot(bent_x, bent_y) >= far:
                break
            way += 1.0 / BORDER_STEPS
        most = max(most, way * far)
    return most, math.nan, math.nan
