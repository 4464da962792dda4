"""The self-check: render the junction, run the whole path on it, set truth beside result."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from vision.demo.check import Report, compare
from vision.demo.clip import FPS, Demo, render_demo
from vision.demo.summary import draw_summary
from vision.record.export import export, rows
from vision.record.files import VIDEO, check_folder
from vision.record.reader import open_records
from vision.replay import Job, Outcome, Progress, replay

RUN, SUMMARY, EVENTS = "run", "summary.png", "events.jsonl"


@dataclass(frozen=True)
class Checked:
    """A demo that was rendered, run and compared; `seconds` is its whole time on this machine."""

    demo: Demo
    outcome: Outcome
    report: Report
    summary: Path
    seconds: float


def run_demo(
    folder: Path,
    seed: int = 7,
    fps: float = FPS,
    provider: str = "auto",
    signal_log: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Checked:
    """Render the scene of a seed into `folder`, replay it, and compare its events with the exact truth.

    The signal is read from its lamps in the picture, with `signal_log` from the controller's log.
    """
    began_s = time.monotonic()
    check_folder(folder / RUN, force)
    painted = (lambda done, total: progress("render", done, total)) if progress else None
    demo = render_demo(folder, seed, fps, painted)
    site = demo.site_log if signal_log else demo.site
    job = Job(site=site, source=demo.video, out=folder / RUN, provider=provider, video=True, force=force)
    outcome = replay(job, progress)
    records = open_records(outcome.folder)
    events = rows(records)
    export(records, "jsonl", folder / EVENTS, force=True)
    report = compare(demo.truth, events, 1.0 / fps)
    summary = folder / SUMMARY
    draw_summary(report, demo, events, summary, outcome.folder / VIDEO)
    return Checked(demo, outcome, report, summary, time.monotonic() - began_s)
