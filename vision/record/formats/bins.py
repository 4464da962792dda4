"""Intervals of an export: on the wall clock or on the stream's, each with how much of it was observed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vision.record.formats.request import Request

#: Below this share of its interval a count is flagged, below the other it is withheld.
FLAGGED_SHARE, WITHHELD_SHARE = 0.95, 0.5


class Bins(NamedTuple):
    """Half-open intervals of one length: the stream second each begins at, f8[n], and the share observed, f8[n]."""

    begin_s: np.ndarray
    length_s: float
    share: np.ndarray

    def place(self, time_s: np.ndarray) -> np.ndarray:
        """Return the bin of each stream second, i8[n]; -1 for none, also for NaN."""
        place = np.floor((np.nan_to_num(time_s, nan=-1e18) - self.begin_s[0]) / self.length_s)
        inside = (place >= 0) & (place < len(self.begin_s))
        return np.where(inside, place, -1).astype(np.int64)


def stream_bins(request: Request) -> Bins:
    """Return intervals that count from stream second 0."""
    return _bins(request, 0.0)


def wall_bins(request: Request) -> Bins:
    """Return intervals aligned with the wall clock's hours; a StoreError where the run has no date."""
    length_s = request.options.interval_min * 60
    start_s = request.start_us / 1e6
    ahead_s = int(request.offsets_s(np.array([start_s]).astype(np.int64))[0])
    return _bins(request, -((start_s + ahead_s) % length_s))


def _bins(request: Request, first_s: float) -> Bins:
    length_s = float(request.options.interval_min * 60)
    n = max(1, int(np.ceil((request.end_s - first_s) / length_s)))
    begin_s = first_s + length_s * np.arange(n)
    return Bins(begin_s, length_s, _observed_s(request, begin_s, length_s) / length_s)


def _observed_s(request: Request, begin_s: np.ndarray, length_s: float) -> np.ndarray:
    """Return the seconds that were observed of each interval, f8[n]; of a run without coverage, those it lasted."""
    edges = np.append(begin_s, begin_s[-1] + length_s)
    for part in request.of_type("coverage"):
        end = part.rows["time_s"].astype(np.float64)
        span = np.maximum(part.rows["interval_s"].astype(np.float64), 1e-9)
        seen = np.clip(part.rows["observed_s"] / span, 0.0, 1.0)
        found = np.zeros(len(begin_s))
        for low, high, share in zip((end - span).tolist(), end.tolist(), seen.tolist(), strict=True):
            found += share * np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0.0, None)
        if len(end):
            return found
    return np.clip(np.minimum(edges[1:], request.end_s) - np.maximum(edges[:-1], 0.0), 0.0, None)


def note_coverage(request: Request, bins: Bins) -> None:
    """Note how many intervals are not whole, as counts are never scaled up."""
    withheld = int((bins.share < WITHHELD_SHARE).sum())
    flagged = int((bins.share < FLAGGED_SHARE).sum()) - withheld
    if withheld:
        request.notes.append(f"{withheld} of {len(bins.share)} intervals were observed for less than half: withheld")
    if flagged:
        request.notes.append(
            f"{flagged} of {len(bins.share)} intervals were observed for less than 95 %: not scaled up"
        )
