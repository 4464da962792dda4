"""Stopped vehicles and wrong-way drivers in days of thin traffic: found, how late, and how often for nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np

from benchmarks.accuracy.figures import Figure, least, most, share
from benchmarks.accuracy.runs import run_scene, scored
from benchmarks.scenes.noise import Noise
from benchmarks.scenes.road import Knobs, make
from vision.evaluate.stats import wilson

NOISY = Noise(jitter=0.025, missed=0.05)
DAY_S = 86400.0
DAYS = 30
#: Frames a second while nobody is in view.
IDLE_HZ = 1.0
#: The rule, and the longest mean time to detect (s).
ALARMS = (("stopped", 6.0), ("wrong way", 3.0))


class Day(NamedTuple):
    """One rule on one day: found, missed, false; delays of the found ones in s."""

    found: int
    missed: int
    false: int
    late_s: list[float]


def knobs(seed: int) -> Knobs:
    """Return a day at 5 frames a second, with an incident or what looks like one in about 40 minutes."""
    rules = tuple(rule for rule, _ in ALARMS)
    return Knobs(story="day", seed=seed, seconds=DAY_S, fps=5.0, per_hour=70.0, often_s=2400.0, rules=rules)


def run(seeds: Sequence[int], days: int = DAYS) -> list[Figure]:
    """Return the figures of all days; the first seed begins a row of them."""
    with ProcessPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
        done = list(pool.map(one_day, range(seeds[0] * 1000, seeds[0] * 1000 + days)))
    out = [least("camera-days of thin traffic", len(done), 30)]
    for k, (rule, limit_s) in enumerate(ALARMS):
        parts = [each[k] for each in done]
        found, missed = sum(part.found for part in parts), sum(part.missed for part in parts)
        false = sum(part.false for part in parts)
        late = [late_s for part in parts for late_s in part.late_s]
        mean = float(np.mean(late)) if late else float("nan")
        out.append(share(f"{rule} in days, noisy: recall", wilson(found, found + missed), 0.98))
        out.append(most(f"{rule} in days, noisy: mean time to detect", mean, len(late), limit_s, "s", 2))
        # With none in n days the rate is below 3 / n with 95 % confidence (rule of three).
        rate, high = false / len(done), (false + 1.96 * false**0.5 if false else 3.0) / len(done)
        out.append(
            Figure(
                f"{rule} in days, noisy: false alarms a camera-day",
                f"{rate:.3f}",
                len(done),
                f".. {high:.3f}",
                "<= 0.1",
                rate <= 0.1,
                rate,
            )
        )
    return out


def one_day(seed: int) -> list[Day]:
    """Return what each of ALARMS told on a day."""
    one = run_scene("day", make, knobs(seed), NOISY, "boxes", IDLE_HZ)
    onset = {(row["rule"], int(row["track_id"])): float(row["onset_s"]) for row in one.table("onsets")}
    out = []
    for rule, _ in ALARMS:
        found = scored([one], rule, 30.0, again_s=60.0)
        late = [told.time_s - onset[rule, event.track_id or 0] for told, event in found.pairs]
        out.append(Day(len(found.pairs), len(found.missed), len(found.invented), late))
    return out
