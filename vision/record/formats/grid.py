"""The intervals that measures are told by, and what was watched of each.

Counts are never scaled. Rates, occupancies and densities are of the time observed. An interval of which less than half
was observed has no values, one of which less than 95 % was is flagged.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np

from vision.record.formats.bins import FLAGGED_SHARE, WITHHELD_SHARE, Bins, stream_bins, wall_bins, watched
from vision.record.formats.request import Request
from vision.record.formats.tables import Row


class Grid:
    """A run's intervals: on the wall clock where it has a date, else on the stream's."""

    def __init__(self, request: Request) -> None:
        self.request = request
        dated = request.records.header.start is not None
        self.bins: Bins = wall_bins(request) if dated else stream_bins(request)
        self.watched = watched(request, self.bins)
        self.dated = dated
        self.known = self.bins.share >= WITHHELD_SHARE

    def __len__(self) -> int:
        return len(self.bins.begin_s)

    @property
    def observed_s(self) -> np.ndarray:
        """The seconds observed of each interval, f8[n]."""
        return self.watched.observed_s

    @cached_property
    def heads(self) -> list[Row]:
        """What every row of an interval begins with."""
        zone = self.request.zone.key if self.dated else None
        found = []
        for k, begin_s in enumerate(self.bins.begin_s.tolist()):
            share = float(self.bins.share[k])
            status = "ok" if share >= FLAGGED_SHARE else "partial" if share >= WITHHELD_SHARE else "withheld"
            found.append(
                {
                    "begin_utc": self.instant(begin_s),
                    "timezone": zone,
                    "begin_s": begin_s,
                    "length_s": self.bins.length_s,
                    "observed_s": float(self.watched.observed_s[k]),
                    "gap_s": float(self.watched.gap_s[k]),
                    "suspended_s": float(self.watched.suspended_s[k]),
                    "suspended_by": self.watched.reasons[k] or None,
                    "coverage": share,
                    "status": status,
                }
            )
        return found

    def signal_suspended_s(self) -> list[float]:
        """Return for how long of each interval the log of a signal was not gone by, by the accounts that end in it."""
        found = np.zeros(len(self))
        for part in self.request.of_type("coverage"):
            if "signal_suspended_s" not in (part.rows.dtype.names or ()):  # a run of an older version
                continue
            begin_s = part.rows["time_s"] - part.rows["interval_s"]
            span_s = np.maximum(part.rows["interval_s"].astype(np.float64), 1e-9)
            shared = self.overlap_s(begin_s, part.rows["time_s"])
            found += (shared * (part.rows["signal_suspended_s"] / span_s)[:, None]).sum(axis=0)
        return [float(one) for one in found]

    def instant(self, time_s: float) -> datetime | None:
        """Return the instant of a stream second, None where the run has no date."""
        if not self.dated:
            return None
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.request.start_us + round(time_s * 1e6))

    def rows(self, keys: Row, values: Sequence[Row]) -> list[Row]:
        """Return a row for each interval: its head, the keys, its values; no values where too little was observed."""
        return [
            {**head, **keys, **(row if known else dict.fromkeys(row))}
            for head, row, known in zip(self.heads, values, self.known.tolist(), strict=True)
        ]

    def count(self, time_s: np.ndarray) -> list[int]:
        """Return how many of these stream seconds lie in each interval."""
        place = self.bins.place(time_s)
        counts: list[int] = np.bincount(place[place >= 0], minlength=len(self)).tolist()
        return counts

    def hourly(self, n: Sequence[int]) -> list[float | None]:
        """Return counts as rates per hour of observed time."""
        pairs = zip(n, self.observed_s.tolist(), strict=True)
        return [3600.0 * one / observed_s if observed_s > 0.0 else None for one, observed_s in pairs]

    def overlap_s(self, from_s: np.ndarray, to_s: np.ndarray) -> np.ndarray:
        """Return f8[n, intervals], how long each stay from and to these stream seconds lies in each interval."""
        begin_s = self.bins.begin_s[None, :]
        end_s = begin_s + self.bins.length_s
        shared = np.minimum(end_s, np.asarray(to_s)[:, None]) - np.maximum(begin_s, np.asarray(from_s)[:, None])
        return np.clip(shared, 0.0, None)


def mean(values: np.ndarray) -> float | None:
    """Return the mean of what is known, None of nothing."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def percentile(values: np.ndarray, share: float, least: int = 1) -> float | None:
    """Return a percentile of what is known, None of fewer than `least`."""
    known = values[np.isfinite(values)]
    return float(np.percentile(known, share)) if len(known) >= least else None


def withhold(request: Request, rows: list[Row], *names: str) -> list[Row]:
    """Return the rows without counts from 1 to k - 1, and without all that comes after them in their row."""
    k, hidden = request.options.k, 0
    for row in rows:
        if any(row[name] is not None and 0 < row[name] < k for name in names):
            first = list(row).index(names[0])
            row.update(dict.fromkeys(list(row)[first:]))
            hidden += 1
    if hidden:
        request.notes.append(f"{hidden} counts below {k} are withheld")
    return rows
