"""Violations that came with a conflict: the same road users, within five seconds, judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import runs
from typer.testing import CliRunner

from kernels.rules import REGISTRY
from vision.cli import app
from vision.record.links import links
from vision.record.reader import Records, open_records
from vision.record.store import RecordWriter

KINDS = ("conflict", "red_light", "line_count", "crash")
RULES = tuple(
    (f"the {kind}", kind, REGISTRY[kind].event, {k: v for k, v in REGISTRY[kind].names.items() if v != "signal"})
    for kind in KINDS
)
#: (rule, time in s, track, other track, judgement)
EVENTS = (
    (1, 94.9, 7, 0, 0),  # over 5 s before
    (1, 95.1, 7, 0, 0),  # 1: of the first
    (1, 96.0, 7, 0, 1),  # not judged
    (2, 99.0, 7, 0, 0),  # a count is no violation
    (1, 99.0, 9, 0, 0),  # of another road user
    (3, 99.5, 7, 8, 0),  # a crash is none either
    (0, 100.0, 7, 8, 0),  # 6: the conflict
    (1, 104.9, 8, 0, 0),  # 7: of the second, after it
    (1, 105.1, 8, 0, 0),
    (0, 300.0, 1, 2, 0),  # 9: a conflict with nothing
)


def made(folder: Path) -> Records:
    """Return a run of EVENTS."""
    head = runs.header(RULES)
    with RecordWriter(folder, head) as writer:
        for rule, time_s, track, other, judgement in EVENTS:
            event = np.zeros(1, REGISTRY[KINDS[rule]].event)
            event["rule"], event["time_s"], event["track_id"] = rule, time_s, track
            event["context"] = head.context_id
            if "other_track_id" in event.dtype.names:
                event["other_track_id"] = other
            if "judgement" in event.dtype.names:
                event["judgement"] = judgement
            writer.append(event, rule)
    return open_records(folder)


def test_violations_of_either_within_five_seconds(tmp_path: Path):
    records = made(tmp_path / "run")
    assert links(records) == {6: [1, 7], 9: []}
    assert links(records, np.array([0, 6])) == {6: [1, 7]}
    assert links(records, np.array([0, 1])) == {}


def test_the_list_names_them(tmp_path: Path):
    made(tmp_path / "run")
    told = CliRunner().invoke(app, ["events", str(tmp_path / "run"), "--list", "--type", "conflict"])
    assert told.exit_code == 0, told.output
    first, second = told.output.strip().splitlines()
    assert first.endswith("with=the red_light@95.1 with=the red_light@104.9")
    assert "with=" not in second
