"""Twins of the motion of one axis, with matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Axis:
    mean: np.ndarray
    cov: np.ndarray


def axis_start(x, x_sd, v_sd):
    """Position known, velocity 0 and uncertain, the two unrelated."""
    return Axis(np.array([x, 0.0], float), np.diag([x_sd**2, v_sd**2]).astype(float))


def axis_predict(axis, dt_s, accel_sd):
    """F P F' + Q with Q integrated from white acceleration."""
    f = np.array([[1.0, dt_s], [0.0, 1.0]])
    q = accel_sd**2 * np.array([[dt_s**3 / 3, dt_s**2 / 2], [dt_s**2 / 2, dt_s]])
    return Axis(f @ axis.mean, f @ axis.cov @ f.T + q)


def axis_update(axis, z, z_sd):
    """The Kalman gain, and Joseph's form of the new covariance."""
    h = np.array([[1.0, 0.0]])
    gain = axis.cov @ h.T / (h @ axis.cov @ h.T + z_sd**2)
    left = np.eye(2) - gain @ h
    return Axis(axis.mean + gain[:, 0] * (z - axis.mean[0]), left @ axis.cov @ left.T + gain @ gain.T * z_sd**2)
