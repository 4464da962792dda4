"""The pole camera of a rendered junction: a pinhole over a flat road.

World axes in metres: x to the right of the road, y along it away from the camera, z up. Picture coordinates are
continuous: pixel (i, j) covers [i, i + 1] x [j, j + 1], so they scale with the picture's size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

#: Nearer than this in front of the camera nothing is drawn.
NEAR_M = 1.0


@dataclass(frozen=True)
class PoleCamera:
    """A camera on a pole: where it stands, how it looks and the size of its picture."""

    x_m: float
    y_m: float
    height_m: float
    yaw_deg: float  # to the right of the y axis
    pitch_deg: float  # below the horizon
    focal_px: float
    width_px: int
    height_px: int

    @cached_property
    def position_m(self) -> np.ndarray:
        """Position of the pinhole, f8[3] in metres."""
        return np.array([self.x_m, self.y_m, self.height_m])

    @cached_property
    def axes(self) -> np.ndarray:
        """Unit vectors right, down and forward of the picture as rows, f8[3, 3]."""
        yaw, pitch = np.radians(self.yaw_deg), np.radians(self.pitch_deg)
        forward = np.array([np.sin(yaw) * np.cos(pitch), np.cos(yaw) * np.cos(pitch), -np.sin(pitch)])
        right = np.array([np.cos(yaw), -np.sin(yaw), 0.0])
        return np.stack([right, np.cross(forward, right), forward])

    def resized(self, width_px: int) -> PoleCamera:
        """Return the same camera with a picture of another width in pixels and the same shape."""
        ratio = width_px / self.width_px
        return replace(self, focal_px=self.focal_px * ratio, width_px=width_px, height_px=round(self.height_px * ratio))

    def project(self, points_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the pixels f8[n, 2] and depths f8[n] in metres (below 0: behind the camera) of points f8[n, 3]."""
        seen = (points_m - self.position_m) @ self.axes.T
        depth = seen[:, 2]
        safe = np.where(depth > NEAR_M, depth, NEAR_M)
        centre = np.array([self.width_px / 2, self.height_px / 2])
        return seen[:, :2] * (self.focal_px / safe)[:, None] + centre, depth

    def ground_polygon(self, points_m: np.ndarray, z_m: float = 0.0) -> np.ndarray:
        """Return the pixels f8[k, 2] of a polygon f8[n, 2] on the road, cut where it passes behind the camera."""
        return self.polygon(np.column_stack([points_m, np.full(len(points_m), z_m)]))

    def polygon(self, points_m: np.ndarray) -> np.ndarray:
        """Return the pixels f8[k, 2] of a polygon f8[n, 3], cut where it passes behind the camera."""
        kept = clip(points_m, (points_m - self.position_m) @ self.axes[2] - NEAR_M * 1.001)
        pixels = self.project(kept)[0] if len(kept) else np.zeros((0, 2))
        # Far outside the picture the coordinates outgrow what OpenCV fills exactly.
        for axis, size in ((0, self.width_px), (1, self.height_px)):
            pixels = clip(pixels, pixels[:, axis] + size)
            pixels = clip(pixels, 2 * size - pixels[:, axis])
        return pixels

    @property
    def road_to_picture(self) -> np.ndarray:
        """Homography f8[3, 3] from the road (x, y in metres) to the picture in pixels."""
        turn = np.column_stack([self.axes[:, 0], self.axes[:, 1], -self.axes @ self.position_m])
        inner = np.array(
            [[self.focal_px, 0, self.width_px / 2], [0, self.focal_px, self.height_px / 2], [0.0, 0.0, 1.0]]
        )
        return inner @ turn


def clip(points: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Return the part f8[k, d] of a polygon f8[n, d] where the linear function `side` f8[n] is not below 0."""
    if not len(points) or (side >= 0).all():
        return points
    kept = []
    for i in range(len(points)):
        j = (i + 1) % len(points)
        if side[i] >= 0:
            kept.append(points[i])
        if (side[i] >= 0) != (side[j] >= 0):
            kept.append(points[i] + (points[j] - points[i]) * (side[i] / (side[i] - side[j])))
    return np.array(kept) if kept else points[:0]
