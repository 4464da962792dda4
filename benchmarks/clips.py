"""How many true line crossings of the labelled clips are found, with a small public detector?

The clips, their true crossings (by box centre) and the network are not part of the project: GANTRY_SHARED names the
folder that holds `data/clips` and `data/models`. A crossing is matched with an event of the same line and direction
within 0.5 s, one to one.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from vision.record.export import rows
from vision.record.reader import open_records
from vision.replay import Job, replay

#: The clips with labelled tracks, and the one that the small detector cannot see anything in.
LABELLED = ("tfl_blackfriars_jun.mp4", "tfl_blackfriars_jul.mp4", "tfl_pentonville.mp4")
STRAIGHT_DOWN = "car-detection.mp4"
FRAMES_PER_S = {STRAIGHT_DOWN: 12.5}
MATCH_S = 0.5
#: What the clips have labels for; persons and bicycles cross the lines too, and nobody counted them.
CLASSES = ("car", "bus", "truck", "motorcycle")


class Score(NamedTuple):
    """Crossings of one clip: matched, missed, invented; and what became of its frames."""

    clip: str
    matched: int
    missed: int
    invented: int
    balanced: bool
    events: list[tuple[float, str, str]]

    @property
    def precision(self) -> float:
        """Share of the reported crossings that are true; NaN without any."""
        reported = self.matched + self.invented
        return self.matched / reported if reported else float("nan")

    @property
    def recall(self) -> float:
        """Share of the true crossings that were reported."""
        return self.matched / (self.matched + self.missed)

    def line(self) -> str:
        """Return the score in one line."""
        reported = self.matched + self.invented
        return (
            f"{self.clip:<26} precision {self.matched}/{reported}  recall {self.matched}/{self.matched + self.missed}"
        )


def shared_folder() -> Path | None:
    """Return the folder with the clips, None where it is not there."""
    folder = Path(os.environ.get("GANTRY_SHARED", Path(__file__).parents[2] / "shared"))
    return folder if (folder / "data" / "clips" / "crossings.json").is_file() else None


def site_text(clip: str, lines: list[list[Any]]) -> str:
    """Return a site file with one count by box centre for each line; no flow, so directions are down and up."""
    text = [f'name = "{Path(clip).stem}"', 'timezone = "Europe/London"', "[camera.c]", f'url = "{clip}"']
    text += ['model = "yolox-nano"']
    for name, *ends in lines:
        text += [f"[camera.c.line.{name}]", f"ends_px = {json.dumps(ends)}"]
    for name, *_ in lines:
        text += ["[[camera.c.rule]]", 'type = "line_count"', f'name = "{name}"', f'line = "{name}"']
        text += ['anchor = "centre"', f"classes = {json.dumps(CLASSES)}"]
    return "\n".join(text) + "\n"


def crossings(shared: Path, clip: str, video: Path, folder: Path) -> tuple[list[tuple[float, str, str]], bool]:
    """Replay one clip from `video`; return its crossings (time in s, line, direction) and whether frames add up."""
    truth = json.loads((shared / "data" / "clips" / "crossings.json").read_text())[clip]
    site = folder / "site.toml"
    site.write_text(site_text(clip, truth["lines"]))
    job = Job(site=site, source=video, out=folder / "run", models=(shared / "data" / "models",), provider="cpu")
    outcome = replay(job)
    found = [row for row in rows(open_records(outcome.folder)) if row["type"] == "line_count"]
    return [(row["time_s"], row["line"], row["direction"]) for row in found], outcome.counts.balanced


def score(shared: Path, clip: str, video: Path | None = None) -> Score:
    """Replay one clip and match its crossings with the true ones."""
    truth = json.loads((shared / "data" / "clips" / "crossings.json").read_text())[clip]
    with tempfile.TemporaryDirectory() as folder:
        events, balanced = crossings(shared, clip, video or shared / "data" / "clips" / clip, Path(folder))
    rate = FRAMES_PER_S.get(clip, 25.0)
    true = [(item["frame"] / rate, item["line"], item["direction"]) for item in truth["crossings"]]
    matched = match(true, events)
    return Score(clip, matched, len(true) - matched, len(events) - matched, balanced, events)


def match(true: list[tuple[float, str, str]], events: list[tuple[float, str, str]]) -> int:
    """Return how many true crossings have an event of their own within 0.5 s, nearest pairs first."""
    pairs = sorted(
        (abs(t[0] - e[0]), i, j)
        for i, t in enumerate(true)
        for j, e in enumerate(events)
        if t[1:] == e[1:] and abs(t[0] - e[0]) <= MATCH_S
    )
    taken_true: set[int] = set()
    taken_events: set[int] = set()
    for _, i, j in pairs:
        if i not in taken_true and j not in taken_events:
            taken_true.add(i)
            taken_events.add(j)
    return len(taken_true)


def run() -> dict[str, Any]:
    """Print the score of every clip and of the labelled ones together."""
    shared = shared_folder()
    if shared is None:
        print("not measured: the clips are not here; GANTRY_SHARED names their folder")
        return {"passed": False, "reason": "no clips"}
    scores = [score(shared, clip) for clip in (*LABELLED, STRAIGHT_DOWN)]
    for one in scores:
        print(one.line())
    labelled = scores[: len(LABELLED)]
    matched, missed, invented = (sum(getattr(s, key) for s in labelled) for key in ("matched", "missed", "invented"))
    total = Score("labelled clips", matched, missed, invented, all(s.balanced for s in labelled), [])
    print(total.line())
    if scores[-1].matched == 0:
        print(f"{STRAIGHT_DOWN} looks straight down: this detector sees nothing in it")
    return {
        "passed": all(s.balanced for s in scores),
        "clips": {s.clip: {"matched": s.matched, "missed": s.missed, "invented": s.invented} for s in scores},
    }
