"""A pinhole camera over the road, behind a lens that may bend."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

#: What is nearer than this is not seen, in m.
NEAR_M = 0.5


@dataclass(frozen=True)
class Camera:
    """Stands at `at_m` (east, north, up), looks to `heading_deg` (clockwise from north) and down by `tilt_deg`.

    Its lens moves a point at the distance r from the picture's middle (in focal lengths) to r (1 + k1 r^2).
    """

    at_m: tuple[float, float, float]
    heading_deg: float
    tilt_deg: float
    focal_px: float
    width_px: int = 1920
    height_px: int = 1080
    k1: float = 0.0

    def project(self, points_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the pixels f8[..., 2] and the depths (m) f8[...] of points f8[..., 3]; NaN where not in front."""
        h, t = math.radians(self.heading_deg), math.radians(self.tilt_deg)
        forward = np.array([math.sin(h) * math.cos(t), math.cos(h) * math.cos(t), -math.sin(t)])
        right = np.array([math.cos(h), -math.sin(h), 0.0])
        down = np.cross(forward, right)
        offset = np.asarray(points_m, float) - np.array(self.at_m)
        depth = offset @ forward
        safe = np.where(depth > NEAR_M, depth, np.nan)
        x, y = offset @ right, offset @ down
        if self.k1:
            # Beyond the fold no ray comes through: there it stays at the fold's distance, outside the picture.
            r = np.hypot(x, y) / safe
            near = np.minimum(r, 1.0 / math.sqrt(-3.0 * self.k1) if self.k1 < 0.0 else np.inf)
            bent = near * (1.0 + self.k1 * near**2) / np.maximum(r, 1e-12)
            x, y = x * bent, y * bent
        u = self.width_px / 2 + self.focal_px * x / safe
        v = self.height_px / 2 + self.focal_px * y / safe
        return np.stack([u, v], axis=-1), depth

    def road_px(self, x_m: float, y_m: float) -> tuple[float, float]:
        """Return the pixel of a point of the road."""
        u, v = self.project(np.array([x_m, y_m, 0.0]))[0]
        return float(u), float(v)


def aimed(at_m: tuple[float, float, float], look_m: tuple[float, float], focal_px: float, k1: float = 0.0) -> Camera:
    """Return a camera at `at_m` with the road point `look_m` in the middle of its picture."""
    dx, dy = look_m[0] - at_m[0], look_m[1] - at_m[1]
    tilt = math.degrees(math.atan2(at_m[2], math.hypot(dx, dy)))
    return Camera(at_m, math.degrees(math.atan2(dx, dy)), tilt, focal_px, k1=k1)
