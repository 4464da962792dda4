"""Makers of TRACK rows for tests of rules: what a tracker would publish of points that move as a test says."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import numpy as np
from traffic import instant, state

from kernels.records import AT_EDGE, ENDED, MAX_TRACKS, OBSERVED, RELINKED, SIGNAL, TRACK
from kernels.rules import REGISTRY


def track_row(
    track_id: int,
    time_s: float,
    foot: Sequence[float],
    before: tuple[float, Sequence[float]],
    size: Sequence[float] = (40.0, 30.0),
    flags: int = OBSERVED,
    **more: float,
) -> np.ndarray:
    """Return TRACK[1]: a box of `size` on its foot point, and the (time, foot point) before."""
    row = np.zeros(1, TRACK)
    (x, y), (w, h) = foot, size
    row["id"], row["slot"], row["time_s"], row["flags"], row["score"] = (
        track_id,
        track_id % MAX_TRACKS,
        time_s,
        flags,
        0.8,
    )
    row["x1_px"], row["y1_px"], row["x2_px"], row["y2_px"] = x - w / 2, y - h, x + w / 2, y
    row["foot_x_px"], row["foot_y_px"] = x, y
    row["prev_time_s"], (row["prev_foot_x_px"], row["prev_foot_y_px"]) = before
    row["prev_centre_x_px"], row["prev_centre_y_px"] = before[1][0], before[1][1] - h / 2
    row["front_x_px"], row["front_y_px"], row["rear_x_px"], row["rear_y_px"] = x, y, x, y
    row["relinked_s"], row["hits"] = -math.inf, 20
    for name in TRACK.names:
        if name.endswith(("_m", "_mps", "_mps2")):
            row[name] = np.nan
    for name, value in more.items():
        row[name] = value
    return row


def course_rows(
    track_id: int, points: Sequence[Sequence[float]], times: Sequence[float], ends: bool = True, edge: int = 0, **more
) -> list[np.ndarray]:
    """Return the rows TRACK[1] of a track that is at `points` at `times`, and its last one, flagged ENDED | `edge`."""
    rows = [
        track_row(track_id, times[k], points[k], (times[k - 1], points[k - 1]), **more) for k in range(1, len(points))
    ]
    if ends:
        last = (times[-1], points[-1])
        rows.append(track_row(track_id, times[-1], points[-1], last, flags=ENDED | edge, **more))
    return rows


def random_rows(rng: np.random.Generator, steps: int, spread_px: float = 12.0) -> Iterator[tuple[float, np.ndarray]]:
    """Yield (time, TRACK[n]) of points that wander about (100, 100): gaps, ends, slots used again, classes that change.

    Every value is a 32-bit float, so that a twin reads the same numbers.
    """
    time_s, next_id = 0.0, 1
    slots: list[dict | None] = [None] * 4
    for _ in range(steps):
        time_s += float(rng.choice([0.04, 0.1, 0.25]))
        rows = []
        for number, one in enumerate(slots):
            if one is None:
                if rng.random() < 0.3:
                    at = np.float32(rng.normal(100, 2 * spread_px, 2))
                    drift = rng.normal(0, spread_px / 2, 2)
                    slots[number] = {
                        "id": next_id,
                        "at": at,
                        "drift": drift,
                        "time_s": time_s,
                        "h": 30.0,
                        "class_id": 0,
                    }
                    next_id += 1
                continue
            if rng.random() < 0.15:
                continue
            gap = rng.random() < 0.05
            ends = rng.random() < 0.03
            before = one["time_s"], one["at"]
            if not ends:
                one["drift"] = one["drift"] * (-1 if rng.random() < 0.05 else 1)
                back = 0.2 * (100 - one["at"]) if rng.random() < 0.5 else 0.0
                one["at"] = np.float32(one["at"] + one["drift"] + back + rng.normal(0, spread_px / 4, 2))
                one["h"] = float(np.float32(np.clip(one["h"] * rng.uniform(0.9, 1.1), 10, 90)))
                one["time_s"] = time_s
                one["class_id"] = int(rng.integers(0, 6)) if rng.random() < 0.1 else one["class_id"]
            else:
                before = one["time_s"], one["at"]
            flags = ENDED if ends else OBSERVED | RELINKED * gap
            flags |= AT_EDGE * int(rng.random() < 0.3)
            row = track_row(one["id"], one["time_s"], one["at"], before, (40.0, one["h"]), flags, slot=number)
            row["class_id"] = one["class_id"]
            row["prev_centre_y_px"] = one.get("centre_y", row["prev_centre_y_px"][0])
            row["front_y_px"] += 4.0 if one["id"] % 2 else -4.0
            row["rear_y_px"] -= 6.0
            one["centre_y"] = (row["y1_px"][0] + row["y2_px"][0]) / 2
            speed = float(np.float32(rng.uniform(0, 12)))
            row["speed_mps"], row["speed_sd_mps"] = (np.nan, np.nan) if rng.random() < 0.3 else (speed, 0.5)
            rows.append(row)
            if ends:
                slots[number] = None
        yield time_s, np.concatenate([*rows, np.zeros(0, TRACK)])


def signal_row(
    now: str, since_s: float, prev: str = "unknown", prev_since_s: float = -math.inf, **more: float
) -> np.ndarray:
    """Return SIGNAL[1]; the red's onset follows from the two states where they tell it."""
    row = np.zeros(1, SIGNAL)
    row["state"], row["since_s"], row["prev_state"], row["prev_since_s"] = (
        state(now),
        since_s,
        state(prev),
        prev_since_s,
    )
    onset = since_s if now.startswith("red") else -math.inf
    row["red_since_s"] = prev_since_s if prev.startswith("red") else onset
    for name, value in more.items():
        row[name] = value
    return row


class Judge:
    """One rule on the TRACK rows that a test gives it."""

    def __init__(self, kind: str, scene: SimpleNamespace, **config) -> None:
        self.rule = REGISTRY[kind]
        self.prepared = self.rule.prepare(self.rule.config(type=kind, name="x", **config), scene)
        self.out = np.zeros(MAX_TRACKS * len(self.prepared.settings), self.rule.event)

    def __call__(
        self, tracks: np.ndarray, signal: np.ndarray | None = None, clock: np.ndarray | None = None
    ) -> np.ndarray:
        signal = signal_row("green", 0.0) if signal is None else signal
        clock = instant(float(tracks["time_s"].max(initial=0.0)), 0.0) if clock is None else clock
        n = self.rule.step(tracks, clock[0], signal, *self.prepared, self.out)
        return self.out[:n].copy()


def events_of(judge: Judge, rows: list[np.ndarray], signal: np.ndarray | None = None) -> np.ndarray:
    return np.concatenate([judge(row, signal) for row in rows])


def same_events(events: np.ndarray, twins: list[dict]) -> None:
    assert len(events) == len(twins)
    for event, twin in zip(events, twins, strict=True):
        # The rest of the fields is the lane's to fill.
        assert set(twin) == set(events.dtype.names) - {"frame", "context", "camera", "rule", "epoch", "flags"}
        for name, value in twin.items():
            assert np.allclose(event[name], value, rtol=1e-5, atol=1e-3, equal_nan=True), (name, event[name], value)
