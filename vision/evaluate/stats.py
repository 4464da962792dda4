"""Figures with their uncertainty: shares with an interval, GEH, and what a sample of errors says."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

#: Of a two-sided interval that holds the truth in 95 of 100 cases.
Z_95 = 1.959963984540054


class Share(NamedTuple):
    """A share k of n with its Wilson interval; all NaN where n is 0."""

    k: int
    n: int
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if self.n == 0:
            return "- (0)"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] ({self.k} of {self.n})"


def wilson(k: int, n: int, z: float = Z_95) -> Share:
    """Return k of n with its score interval (Wilson 1927, JASA 22:209)."""
    if n == 0:
        return Share(0, 0, math.nan, math.nan, math.nan)
    p = k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Share(k, n, p, max(0.0, centre - half), min(1.0, centre + half))


def geh(model_h: float, count_h: float) -> float:
    """Return the GEH statistic of two hourly volumes (Geoffrey E. Havers; DMRB Vol. 12), 0 where both are 0."""
    both = model_h + count_h
    return math.sqrt(2.0 * (model_h - count_h) ** 2 / both) if both > 0 else 0.0


class Errors(NamedTuple):
    """What a sample of signed errors says; NaN for an empty one."""

    n: int
    bias: float
    median: float
    p95: float
    most: float


def errors(values: np.ndarray) -> Errors:
    """Return the mean of signed errors, and the median, the 95th percentile and the largest of their sizes."""
    sizes = np.abs(values[np.isfinite(values)])
    if len(sizes) == 0:
        return Errors(0, math.nan, math.nan, math.nan, math.nan)
    p50, p95 = np.percentile(sizes, [50, 95])
    return Errors(len(sizes), float(values[np.isfinite(values)].mean()), float(p50), float(p95), float(sizes.max()))
