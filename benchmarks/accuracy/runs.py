"""Scenes and what a lane told of them, each made and run once in a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.accuracy.drive import Drive, Told, drive
from benchmarks.accuracy.score import Score, score
from benchmarks.scenes.noise import Noise
from benchmarks.scenes.store import Maker, scene_folder
from benchmarks.scenes.tables import Event, read_events, read_table
from vision.evaluate.events import WITHIN_S

#: What happens in a scene's last seconds cannot be told any more: who turned, how long it stood.
TAIL_S = 5.0


#: What was wrong in all scores so far, for who wants to know why: one line each.
EXAMPLES: list[str] = []


class Run(NamedTuple):
    """One scene and what was told of it."""

    folder: Path
    seconds: float
    told: list[Told]
    truth: list[Event]
    unsure: list[Event]

    def rule(self, name: str) -> list[Told]:
        """Return what a rule told."""
        return [one for one in self.told if one.rule == name]

    def table(self, name: str) -> list[dict[str, str]]:
        """Return a table of the truth."""
        return read_table(self.folder / "truth" / f"{name}.csv")


@cache
def run_scene(name: str, maker: Maker, knobs: Any, noise: Noise, what: str, idle_hz: float = 0.0) -> Run:
    """Make a scene where it is not there yet, and run its `what` (boxes, tracks, all_tracks) through its rules."""
    folder = scene_folder(name, maker, knobs, noise)
    done: Drive = drive(folder, what, knobs.fps, idle_hz)
    truth = folder / "truth"
    return Run(folder, knobs.seconds, done.told, read_events(truth / "events.csv"), read_events(truth / "unsure.csv"))


def scored(
    runs: Sequence[Run],
    rule: str,
    within_s: float = WITHIN_S,
    told: Sequence[Sequence[Told]] | None = None,
    again_s: float = 0.0,
) -> Score:
    """Return the score of a rule over several runs; `told` instead of what each run told; `again_s` as in score."""
    parts = [
        score(
            run.rule(rule) if told is None else told[k],
            [one for one in run.truth if one.rule == rule],
            [one for one in run.unsure if one.rule == rule],
            within_s,
            run.seconds - TAIL_S,
            again_s,
        )
        for k, run in enumerate(runs)
    ]
    for run, part in zip(runs, parts, strict=True):
        _keep_examples(rule, run, part)
    return Score(
        pairs=[pair for part in parts for pair in part.pairs],
        invented=[one for part in parts for one in part.invented],
        missed=[one for part in parts for one in part.missed],
        neutral=sum(part.neutral for part in parts),
        doubted=[one for part in parts for one in part.doubted],
    )


def _keep_examples(rule: str, run: Run, part: Score) -> None:
    """Keep a line for each event that was invented or missed, with what else was said of that road user."""
    for one in part.invented:
        true = [f"{event.time_s:.2f}" for event in run.truth if event.rule == rule and event.track_id == one.who]
        EXAMPLES.append(
            f"{rule}: {run.folder.name} at {one.time_s:.2f} s road user {one.who}: told, "
            f"not true (true at {', '.join(true) or 'no time'})"
        )
    for event in part.missed:
        said = [f"{one.reason} at {one.time_s:.2f}" for one in part.doubted if one.who == event.track_id]
        EXAMPLES.append(
            f"{rule}: {run.folder.name} at {event.time_s:.2f} s road user {event.track_id} ({event.class_}): missed "
            f"(not judged: {', '.join(said) or 'nothing said'})"
        )
