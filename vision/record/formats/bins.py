"""Intervals of an export: on the wall clock or on the stream's, each with how much of it was observed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vision.record.formats.request import Request

#: Below this share of its interval a count is flagged, below the other it is withheld.
FLAGGED_SHARE, WITHHELD_SHARE = 0.95, 0.5


#: What the time of an interval is divided into.
_SHARES = ("observed", "gap", "suspended")


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


class Watched(NamedTuple):
    """What became of the seconds of each interval, f8[n], and by what they were suspended: "camera_moved=12"."""

    observed_s: np.ndarray
    gap_s: np.ndarray
    suspended_s: np.ndarray
    reasons: list[str]


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
    end_s = max([request.end_s, *(float(end) for _, end, _, _ in _accounts(request))])
    n = max(1, int(np.ceil((end_s - first_s) / length_s - 1e-9)))
    begin_s = first_s + length_s * np.arange(n)
    bins = Bins(begin_s, length_s, np.ones(n))
    return bins._replace(share=watched(request, bins).observed_s / length_s)


def watched(request: Request, bins: Bins) -> Watched:
    """Return what was observed of each interval; of a run without coverage, the seconds that it lasted."""
    begin_s, end_s = bins.begin_s, bins.begin_s + bins.length_s
    found = {name: np.zeros(len(begin_s)) for name in _SHARES}
    by: list[dict[str, float]] = [{} for _ in begin_s]
    accounts = _accounts(request)
    for low, high, shares, reason in accounts:
        shared = np.clip(np.minimum(end_s, high) - np.maximum(begin_s, low), 0.0, None)
        for name, share in shares.items():
            found[name] += share * shared
        for k in np.flatnonzero(shared).tolist() if shares["suspended"] > 0.0 else ():
            by[k][reason] = by[k].get(reason, 0.0) + shares["suspended"] * float(shared[k])
    if not accounts:
        found["observed"] = np.clip(np.minimum(end_s, request.end_s) - np.maximum(begin_s, 0.0), 0.0, None)
    reasons = [";".join(f"{name}={seconds:.6g}" for name, seconds in sorted(one.items())) for one in by]
    return Watched(found["observed"], found["gap"], found["suspended"], reasons)


def _accounts(request: Request) -> list[tuple[float, float, dict[str, float], str]]:
    """Return from when to when each account of `coverage` speaks, the shares in it and the reason of a suspension.

    They are of the whole run, whatever events were chosen, within the window that was asked for.
    """
    low_s = -np.inf if request.window.from_s is None else request.window.from_s
    high_s = np.inf if request.window.to_s is None else request.window.to_s
    for rule, entry in enumerate(request.records.header.rules):
        rows = request.records.by_rule(rule)
        if entry.type != "coverage" or not len(rows):
            continue
        names, found = request.names(entry, "reason"), []
        for row in rows:
            span_s = max(float(row["interval_s"]), 1e-9)
            shares = {
                key: min(max(float(row[f"{key}_s"]) / span_s, 0.0), 1.0) for key in ("observed", "gap", "suspended")
            }
            begin_s, end_s = max(float(row["time_s"]) - span_s, low_s), min(float(row["time_s"]), high_s)
            if end_s > begin_s:
                found.append((begin_s, end_s, shares, names[int(row["reason"])]))
        return found
    return []


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
