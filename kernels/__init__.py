"""Arithmetic of Gantry: numba kernels over columns and records; imports nothing of `vision`."""
