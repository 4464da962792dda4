"""Whether vehicles on the road stand inside each other."""

from __future__ import annotations

import numpy as np

from vision.demo.render import Pose


def corners_m(pose: Pose, margin_m: float = 0.0) -> np.ndarray:
    """Return the corners f8[4, 2] in metres of the ground a vehicle stands on, widened by `margin_m` all round."""
    half = np.array([pose.shape.length_m, pose.shape.width_m]) / 2 + margin_m
    c, s = np.cos(pose.heading_rad), np.sin(pose.heading_rad)
    corners = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)]) * half
    return corners @ np.array([[c, s], [-s, c]]) + (pose.x_m, pose.y_m)


def overlaps(one: Pose, other: Pose, margin_m: float = 0.0) -> bool:
    """Say whether the grounds of two vehicles meet (separating axis theorem), with `margin_m` kept between them."""
    reach = (one.shape.length_m + other.shape.length_m) / 2 + 3
    if abs(one.x_m - other.x_m) > reach or abs(one.y_m - other.y_m) > reach:
        return False
    a, b = corners_m(one, margin_m), corners_m(other)
    for heading in (one.heading_rad, one.heading_rad + np.pi / 2, other.heading_rad, other.heading_rad + np.pi / 2):
        axis = np.array([np.cos(heading), np.sin(heading)])
        shadow_a, shadow_b = a @ axis, b @ axis
        if shadow_a.max() <= shadow_b.min() or shadow_b.max() <= shadow_a.min():
            return False
    return True
