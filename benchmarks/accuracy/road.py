"""What is forbidden on a road, spot speeds, and incidents: each rule in the stories that are about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.accuracy.figures import Figure, most, plain, share
from benchmarks.accuracy.runs import Run, run_scene, scored
from benchmarks.accuracy.score import Score
from benchmarks.scenes.noise import Noise
from benchmarks.scenes.road import Knobs, make
from benchmarks.scenes.road_plan import LIMIT_KMH, road_rules
from benchmarks.scenes.store import known_rules
from vision.evaluate.stats import errors, wilson

#: The names of rules that there are: others are written elsewhere and not judged yet.
RULES = {rule["name"] for rule in road_rules(LIMIT_KMH) if rule["type"] in known_rules()}
NOISY = Noise(jitter=0.025, missed=0.05)


class Question(NamedTuple):
    """A rule, and the stories in which it is judged; an event is of the truth that lies this near (s).

    `seeds`: in scenes of the first story of so many seeds, more where one has few.
    """

    rule: str
    stories: tuple[str, ...]
    within_s: float
    again_s: float = 0.0
    seeds: int = 2


#: A second alarm of the same incident is false after this time (AID practice).
AGAIN_S = 60.0
#: A violation that lasts is told at one moment of it: by the vehicle, and near enough.
QUESTIONS = (
    Question("speeding", ("speed", "lanes"), 6.0),
    Question("solid line", ("lanes", "speed"), 2.0),
    Question("bus lane", ("lanes", "speed"), 2.0),
    Question("no stopping", ("stops",), 10.0),
    Question("tailgating", ("close", "speed"), 8.0),
    Question("slow vehicle", ("slow", "speed"), 8.0, AGAIN_S, 4),
    Question("yield", ("yield",), 2.0),
    *(Question(f"congestion {lane}", ("jam",), 20.0, AGAIN_S, 4) for lane in (1, 2)),
    Question("pedestrian", ("walks", "wrong"), 5.0, AGAIN_S),
)
#: A wide lens: where the picture's corner is seen, 270 px farther out was meant.
BENT_K1 = -0.2
#: A conflict is one below this time to contact.
TTC_MAX_S = 1.5
#: Alarms: what is asked of their delay (s).
ALARMS = (("stopped", ("stops",), 6.0), ("wrong way", ("wrong",), 3.0))


def knobs(story: str, seed: int) -> Knobs:
    """Return the road on which a story is judged."""
    often = {"stops": 45.0, "wrong": 20.0, "near": 14.0, "slow": 36.0, "yield": 20.0, "kerb": 24.0}.get(story, 15.0)
    busy = {
        "stops": 700.0,
        "wrong": 400.0,
        "walks": 400.0,
        "near": 300.0,
        "close": 300.0,
        "yield": 500.0,
        "jam": 2200.0,
        "kerb": 300.0,
    }
    per_hour = busy.get(story, 900.0)
    fps = 25.0 if story in ("speed", "near") else 12.5
    seconds = 1350.0 if story == "jam" else 900.0
    return Knobs(story=story, seed=seed, seconds=seconds, fps=fps, per_hour=per_hour, often_s=often)


def run(seeds: Sequence[int]) -> list[Figure]:
    """Return all figures of the road."""
    out = _speeds([_story("speed", seed) for seed in seeds[:2]])
    out += _speeds([bent(seed) for seed in seeds[:2]], "spot speed, bent lens")[:2]
    for question in QUESTIONS:
        if question.rule not in RULES:
            continue
        runs = [
            _story(story, seed)
            for k, story in enumerate(question.stories)
            for seed in seeds[: 2 if k else question.seeds]
        ]
        out += _violation(question.rule, scored(runs, question.rule, question.within_s, again_s=question.again_s))
    for rule, stories, limit_s in ALARMS:
        runs = [_story(story, seed) for story in stories for seed in seeds[:2]]
        out += alarm(rule, runs, scored(runs, rule, 30.0, again_s=AGAIN_S), limit_s)
    near = [_story("near", seed) for seed in seeds[:2]]
    out += [*_conflicts(near), _by_the_device(near), _unseen(near, "conflict")]
    out += [_unseen([_story("close", seed) for seed in seeds[:2]], "tailgating"), *_perfect(seeds[:2])]
    return out


def _conflicts(runs: Sequence[Run], how: str = "noisy") -> list[Figure]:
    """Return the figures of conflicts with a time to contact up to 1.5 s, against SUMO's safety device."""
    if not any(run.rule("conflict") for run in runs):
        return []
    told = [[one for one in run.rule("conflict") if one.row["ttc_s"] <= TTC_MAX_S] for run in runs]
    found = scored(runs, "conflict", 2.0, told)
    off, hard = [], []
    for run, own in zip(runs, told, strict=True):
        rows = {(row["ego"], round(float(row["time_s"]), 2)): row for row in run.table("conflicts")}
        mine = {id(one) for one in own}
        for one, event in found.pairs:
            if id(one) in mine:
                row = rows[str(event.track_id), round(event.time_s, 2)]
                off.append(one.row["ttc_s"] - float(row["ttc_s"]))
                hard.append(one.row["drac_mps2"] - float(row["drac_mps2"]))
    error, drac = errors(np.array(off)), errors(np.array(hard))
    return [
        share(f"conflict, {how}: precision", found.precision, 0.95),
        share(f"conflict, {how}: recall", found.recall, 0.95),
        most(f"conflict, {how}: p95 of the error of the time to contact", error.p95, error.n, 0.1, "s"),
        plain(f"conflict, {how}: p95 of the error of the needed braking (DRAC)", drac.p95, drac.n, "m/s2"),
    ]


def _by_the_device(runs: Sequence[Run]) -> Figure:
    """Return how near the least times of the courses, in view, come to what SUMO's device itself told."""
    off = [float(row["ttc_s"]) - float(row["device_s"]) for run in runs for row in run.table("conflicts")]
    typical = float(np.median(np.abs(off))) if off else float("nan")
    return plain("conflict: typical distance of the truth from the device's own least time", typical, len(off), "s")


def _unseen(runs: Sequence[Run], rule: str) -> Figure:
    """Return how many true ones are left out because nobody could see both for long enough."""
    gone = sum(row["rule"] == rule for run in runs for row in run.table("unseen"))
    n = gone + sum(event.rule == rule for run in runs for event in run.truth)
    return plain(f"{rule}: left out, as no camera saw both of them do it", float(gone), n, "", 0)


def _perfect(seeds: Sequence[int]) -> list[Figure]:
    """Return the figures of rules about pairs on perfect boxes of known road users: what the rule itself does."""
    out: list[Figure] = []
    for rule, story, within_s in (("tailgating", "close", 8.0), ("yield", "yield", 2.0)):
        runs = [_story(story, seed, "tracks") for seed in seeds]
        found = scored(runs, rule, within_s)
        out += [
            share(f"{rule}, perfect tracks: precision", found.precision, 0.95),
            share(f"{rule}, perfect tracks: recall", found.recall, 0.95),
        ]
    return [*out, *_conflicts([_story("near", seed, "tracks") for seed in seeds], "perfect tracks")]


def _story(story: str, seed: int, what: str = "boxes") -> Run:
    return run_scene("road", make, knobs(story, seed), NOISY, what)


def bent(seed: int, k1: float = BENT_K1, told: bool = True) -> Run:
    """Return spot speeds alone, seen through a lens that bends; it is `told` in the site file or not."""
    alone = Knobs(
        story="speed", seed=seed, seconds=300.0, fps=25.0, per_hour=900.0, rules=("spot gate",), k1=k1, lens_told=told
    )
    return run_scene("road", make, alone, NOISY, "boxes")


def _violation(rule: str, found: Score) -> list[Figure]:
    return [
        share(f"{rule}, noisy: precision", found.precision, 0.95),
        share(f"{rule}, noisy: recall", found.recall, 0.95),
    ]


def alarm(rule: str, runs: Sequence[Run], found: Score, limit_s: float) -> list[Figure]:
    """Return how many incidents were found and how late."""
    onset = {
        (run.folder.name, int(row["track_id"])): float(row["onset_s"])
        for run in runs
        for row in run.table("onsets")
        if row["rule"] == rule
    }
    late = []
    for run in runs:
        own = {id(event) for event in run.truth}
        late += [
            told.time_s - onset[run.folder.name, event.track_id or 0]
            for told, event in found.pairs
            if id(event) in own and (run.folder.name, event.track_id or 0) in onset
        ]
    mean = float(np.mean(late)) if late else float("nan")
    return [
        share(f"{rule}, noisy: recall", found.recall, 0.98),
        most(f"{rule}, noisy: mean time to detect", mean, len(late), limit_s, "s", 2),
    ]


def _speeds(runs: Sequence[Run], name: str = "spot speed") -> list[Figure]:
    """Return the figures of spot speeds: bias, error, and whether the stated interval holds the truth."""
    off, covered, withheld = [], 0, 0
    for one, event in scored(runs, "spot gate").pairs:
        speed, sd = one.row["speed_mps"], one.row["speed_sd_mps"]
        if event.speed_kmh is None or not np.isfinite(speed):
            withheld += 1
            continue
        error = speed * 3.6 - event.speed_kmh
        off.append(error)
        covered += abs(error) <= 2 * 3.6 * sd
    found = errors(np.array(off))
    inside = wilson(covered, len(off))
    return [
        most(f"{name}, noisy: bias", found.bias, found.n, 0.5, "km/h"),
        most(f"{name}, noisy: p95 of the error", found.p95, found.n, 3.0, "km/h"),
        Figure(
            f"{name}, noisy: truth in the k = 2 interval",
            f"{inside.value:.4f}",
            inside.n,
            f"{inside.low:.4f} .. {inside.high:.4f}",
            "0.93 .. 0.97",
            inside.n > 0 and 0.93 <= inside.value <= 0.97,
            inside.value,
        ),
        Figure(f"{name}, noisy: withheld", str(withheld), len(off) + withheld, "", "", None, float(withheld)),
    ]
