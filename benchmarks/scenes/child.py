"""The process in which a simulation is steered: libsumo holds one simulation a process, and pulls no punches.

`python -m benchmarks.scenes.child FOLDER` reads the folder's job.json.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any


def main(folder: Path) -> None:
    """Run the job of a folder to its end."""
    job = json.loads((folder / "job.json").read_text())
    sumo = importlib.import_module("libsumo")
    steer = importlib.import_module(job["steer"]).steer
    sumo.start(["sumo", *job["command"]])
    memory: dict[str, Any] = {name: job[name] for name in ("seed", "fps", "story")}
    for frame in range(job["frames"]):
        sumo.simulationStep()
        steer(sumo, (frame + 1) / job["fps"], memory)
    sumo.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
