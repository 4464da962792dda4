"""Crashes, blocked boxes, crosswalks and illegal stopping: each in scenes of its own, four seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.accuracy import road
from benchmarks.accuracy.drive import Told
from benchmarks.accuracy.figures import Figure, least, most, share
from benchmarks.accuracy.runs import Run, run_scene, scored
from benchmarks.accuracy.score import Score
from benchmarks.scenes import crash, spill, walkers
from benchmarks.scenes import road as road_scene
from benchmarks.scenes.noise import Noise
from kernels.records import SIGNAL_STATES as SIGNALS
from vision.evaluate.stats import wilson

NOISY = Noise(jitter=0.025, missed=0.05)
SEEDS = 4
#: An alarm or a judgement is of the truth that lies this near (s): a box is judged when the way out is known.
CRASH_S, BOX_S, CROSS_S, STOP_S = 5.0, 60.0, 1.5, 10.0
#: A crash is told within this of the contact (s), as is asked of an alarm.
ALARM_S = 10.0
#: A bit of a walk's `truncated`.
FIRST_SEEN_WAITING = 4


def run(seeds: Sequence[int]) -> list[Figure]:
    """Return all figures."""
    return [*_crash(seeds[:SEEDS]), *_box(seeds[:SEEDS]), *_crosswalk(seeds[:SEEDS]), *_stopping(seeds[:SEEDS])]


def _pair(what: str, found: Score) -> list[Figure]:
    return [share(f"{what}: precision", found.precision, 0.95), share(f"{what}: recall", found.recall, 0.95)]


def _crash(seeds: Sequence[int]) -> list[Figure]:
    """Return how many rear-end crashes were told, and how long after the contact; either party may be named."""
    out: list[Figure] = []
    for what, said in (("boxes", "noisy"), ("all_tracks", "perfect tracks")):
        runs = [run_scene("crash", crash.make, crash.Knobs(seed=seed), NOISY, what) for seed in seeds]
        found = scored(runs, "crash", CRASH_S, [_colliders(run) for run in runs])
        out += _pair(f"crash, {said}", found)
        if what == "boxes":
            contact = {
                (run.folder, int(row["collider"])): float(row["time_s"]) for run in runs for row in run.table("crashes")
            }
            late = [
                told.time_s - at
                for run in runs
                for told, event in found.pairs
                if event in run.truth and (at := contact.get((run.folder, event.track_id or 0))) is not None
            ]
            out.insert(0, least("crash: contacts in view", found.recall.n, 20))
            mean = float(np.mean(late)) if late else float("nan")
            out.append(most("crash, noisy: mean time from contact to alarm", mean, len(late), ALARM_S, "s", 2))
    return out


def _colliders(run: Run) -> list[Told]:
    """Return the alarms of a run under the one that drove into the other, whoever of the two they name."""
    into = {int(row["victim"]): int(row["collider"]) for row in run.table("crashes")}
    return [one._replace(who=into.get(one.who, one.who)) for one in run.rule("crash")]


def _box(seeds: Sequence[int]) -> list[Figure]:
    out = []
    for what, said in (("boxes", "noisy"), ("all_tracks", "perfect tracks")):
        runs = [run_scene("spill", spill.make, spill.Knobs(seed=seed), NOISY, what) for seed in seeds]
        out += _pair(f"blocked box, {said}", scored(runs, "blocked box", BOX_S))
    stood = [row for run in runs for row in run.table("boxed") if row["blocked"] == "0" and row["sure"] == "1"]
    boxed = sum(row["blocked"] == row["sure"] == "1" for run in runs for row in run.table("boxed"))
    hidden = boxed - sum(event.rule == "blocked box" for run in runs for event in run.truth)
    return [
        *out,
        Figure("blocked box: hidden, so left out", str(hidden), boxed, "", "", None, hidden),
        Figure("blocked box: stood in it, had had room", str(len(stood)), len(stood), "", "", None, len(stood)),
    ]


def _crosswalk(seeds: Sequence[int]) -> list[Figure]:
    """Return counts by person and direction; and how right waits, speeds and the signal at the first step are."""
    out = []
    for what, said in (("boxes", "noisy"), ("all_tracks", "perfect tracks")):
        runs = [run_scene("walkers", walkers.make, walkers.Knobs(seed=seed), NOISY, what) for seed in seeds]
        found = scored(runs, "crosswalk", CROSS_S)
        out += _pair(f"crosswalk counts, {said}", found)
        if what == "boxes":
            hidden = sum(len(run.unsure) for run in runs)
            out.append(
                Figure(
                    "crosswalk counts: hidden, so left out", str(hidden), hidden + found.recall.n, "", "", None, hidden
                )
            )
            out += _walks(runs, found)
    return out


def _walks(runs: Sequence[Run], found: Score) -> list[Figure]:
    off_s, off_mps, right, told, waited, unseen = [], [], 0, 0, 0, 0
    for run in runs:
        rows = {(int(row["track_id"]), round(float(row["time_s"]), 2)): row for row in run.table("walks")}
        for one, event in found.pairs:
            row = rows.get((event.track_id or 0, round(event.time_s, 2))) if event in run.truth else None
            if row is None:
                continue
            off_s.append(one.row["wait_s"] - float(row["wait_s"] or "nan"))
            off_mps.append(one.row["speed_mps"] - float(row["speed_mps"]))
            waited += bool(row["wait_s"]) and row["wait_s"] != "nan"
            unseen += one.row["truncated"] & FIRST_SEEN_WAITING != 0
            if row["near_change"] == "0" and one.row["signal_state"] >= 0:
                told += 1
                right += SIGNALS[one.row["signal_state"]] == row["signal"]
    waits, speeds = np.array(off_s), np.array(off_mps)
    waits, speeds = waits[np.isfinite(waits)], speeds[np.isfinite(speeds)]
    wait_s, speed_mps = float(waits.mean()), float(np.percentile(np.abs(speeds), 95))
    return [
        most("crosswalk, noisy: mean error of waits", wait_s, len(waits), 1.0, "s", 2),
        Figure("crosswalk, noisy: first seen waiting, so no wait told", str(unseen), waited, "", "", None, unseen),
        most("crosswalk, noisy: p95 of the error of walking speed", speed_mps, len(speeds), 0.2, "m/s"),
        share("crosswalk, noisy: signal at the first step", wilson(right, told), 0.95),
    ]


def _stopping(seeds: Sequence[int]) -> list[Figure]:
    runs = [run_scene("road", road_scene.make, road.knobs("kerb", seed), NOISY, "boxes") for seed in seeds]
    found = scored(runs, "no stopping", STOP_S)
    return [least("no stopping at the kerb: true", found.recall.n, 40), *_pair("no stopping at the kerb, noisy", found)]
