"""Constant-velocity Kalman filters of one axis, in closed form: with diagonal noise a box is four of them.

Bar-Shalom, Li, Kirubarajan, "Estimation with Applications to Tracking and Navigation" (2001), section 6.3.2
(discretised continuous white-noise acceleration), so that any time step is right and none is assumed.
"""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel

#: One axis: position, velocity, and the covariance of the two.
AXIS = np.dtype([("x", "<f8"), ("v", "<f8"), ("xx", "<f8"), ("xv", "<f8"), ("vv", "<f8")])


@kernel
def axis_start(axis, x, x_sd, v_sd):
    """Set an axis to a first measurement `x` with deviation `x_sd`; velocity 0 with deviation `v_sd`."""
    axis["x"] = x
    axis["v"] = 0.0
    axis["xx"] = x_sd * x_sd
    axis["xv"] = 0.0
    axis["vv"] = v_sd * v_sd


@kernel
def axis_predict(axis, dt_s, accel_sd):
    """Move an axis `dt_s` ahead; `accel_sd` is the acceleration noise in units/s^2 over one second."""
    q = accel_sd * accel_sd
    axis["x"] += axis["v"] * dt_s
    axis["xx"] += dt_s * (2.0 * axis["xv"] + dt_s * axis["vv"]) + q * dt_s * dt_s * dt_s / 3.0
    axis["xv"] += dt_s * axis["vv"] + q * dt_s * dt_s / 2.0
    axis["vv"] += q * dt_s


@kernel
def axis_update(axis, z, z_sd):
    """Take a measurement `z` with deviation `z_sd` into an axis."""
    s = axis["xx"] + z_sd * z_sd
    gain_x = axis["xx"] / s
    gain_v = axis["xv"] / s
    residual = z - axis["x"]
    axis["x"] += gain_x * residual
    axis["v"] += gain_v * residual
    axis["vv"] -= gain_v * axis["xv"]
    axis["xv"] -= gain_v * axis["xx"]
    axis["xx"] -= gain_x * axis["xx"]
