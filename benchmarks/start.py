"""How long until Gantry is there: import, warm-up of the kernels, first event of a run?

Each in a fresh process whose kernels are compiled already (the cache is warm) and whose files the system has read
before. Seconds on the wall from the process's start, with its CPU time beside them: on a busy machine the wall is
longer. The first event is that of the rendered junction, which needs about two seconds of its stream.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._bench import Figure, outcome
from vision.demo.clip import Painter, encode, even_times
from vision.demo.site import site_text
from vision.demo.world import build_world

ROUNDS = 5
FPS, SECONDS = 25.0, 8.0
TOLD = "import json, os, sys, time; t = os.times(); print(json.dumps([time.time() - float(sys.argv[1]), t[0] + t[1]]))"
IMPORTS = "import vision.cli, vision.replay\n"
WARM = "from kernels.warm import warm; warm()\n"
#: Ends the process at the first event, with all that the run started.
FIRST = """
import json, os, sys, time
from pathlib import Path
from vision.record.store import RecordWriter
from vision.replay import Job, replay
def first(self, events, rule):
    spent, t = time.time() - float(sys.argv[1]), os.times()
    print(json.dumps([spent, t[0] + t[1], float(events["time_s"][0])]), flush=True)
    os._exit(0)
RecordWriter.append = first
folder = Path(sys.argv[2])
replay(Job(site=folder / "site.toml", source=folder / "junction.mp4", out=folder / sys.argv[3], provider="cpu"))
"""


def told(code: str, *arguments: str) -> list[float]:
    """Run code in a fresh process and return what it prints last: wall and CPU time in s, and more."""
    command = [sys.executable, "-c", code, repr(time.time()), *arguments]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    figures: list[float] = json.loads(answer.stdout.splitlines()[-1])
    return figures


def run(rounds: int = ROUNDS) -> dict[str, Any]:
    """Print the seconds until each is done."""
    spent: dict[str, list[list[float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = build_world(7)
        painter = Painter(world)
        encode(folder / "junction.mp4", painter, even_times(SECONDS, FPS), FPS)
        (folder / "site.toml").write_text(site_text(world.camera, world.layout, painter.head, "junction.mp4"))
        for lap in range(rounds + 1):
            now = {
                "interpreter": told(TOLD),
                "import": told(IMPORTS + TOLD),
                "import and warm-up": told(WARM + TOLD),
                "cold start to first event": told(FIRST, str(folder), f"run-{lap}"),
            }
            if lap:  # the first one fills the caches
                for label, figures in now.items():
                    spent.setdefault(label, []).append(figures)
    found: dict[str, Figure] = {}
    for label, rows in spent.items():
        cpu_s = statistics.median(row[1] for row in rows)
        found[label] = Figure(statistics.median(row[0] for row in rows), "s", rounds, f"CPU {cpu_s:.2f} s")
    at_s = spent["cold start to first event"][0][2]
    found["first event's stream time"] = Figure(at_s, "s", 1)
    return outcome("start", found)
