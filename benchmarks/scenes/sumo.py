"""Runs Eclipse SUMO: networks from text, simulations without and with a hand on the wheel."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

#: What to say where it is not installed.
MISSING = "Eclipse SUMO is not installed; install it with: make peers"
FCD = "fcd.csv"
SIGNALS = "states.xml"
_ATTRIBUTES = "id,x,y,angle,type,speed,pos,lane,edge"


class SumoError(Exception):
    """SUMO is not there, or did not do what it was asked to; the message is its own."""


def program(name: str) -> str | None:
    """Return where a program of SUMO's is, None where it is not installed."""
    spec = importlib.util.find_spec("sumo")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / "bin" / name).is_file():
            return str(path)
    return shutil.which(name)


def available() -> bool:
    """Say whether scenes can be made here."""
    return program("sumo") is not None and importlib.util.find_spec("libsumo") is not None


def make_network(folder: Path, texts: dict[str, str], options: Sequence[str] = ()) -> Path:
    """Write nodes, edges and connections (`{"nod": xml, "edg": xml, ...}`) and return the network built of them."""
    given: list[str] = []
    flags = {"nod": "-n", "edg": "-e", "con": "-x", "tll": "-i"}
    for kind, text in texts.items():
        path = folder / f"net.{kind}.xml"
        path.write_text(text)
        given += [flags[kind], str(path)]
    net = folder / "net.net.xml"
    _run("netconvert", [*given, "-o", str(net), "--offset.disable-normalization", "true", *options], folder)
    return net


def simulate(
    folder: Path,
    frames: int,
    fps: float,
    seed: int,
    options: Sequence[str] = (),
    steer: str | None = None,
    story: str = "",
) -> None:
    """Run `net.net.xml` with `routes.rou.xml` and `more.add.xml` of a folder for `frames` steps of 1 / fps.

    What it writes stays in the folder. `steer` names a module whose `steer(sumo, time_s, memory)` is called after
    every step, with libsumo and a dictionary of its own.
    """
    command = ["-n", "net.net.xml", "-r", "routes.rou.xml", "-a", "more.add.xml"]
    command += ["--step-length", f"{1 / fps:g}", "--end", f"{frames / fps:g}", "--seed", str(seed)]
    command += ["--fcd-output", FCD, "--fcd-output.attributes", _ATTRIBUTES, "--precision", "5"]
    command += ["--no-step-log", "true", "--no-warnings", "true", "--time-to-teleport", "-1", *options]
    if steer is None:
        _run("sumo", command, folder)
        return
    job = {"steer": steer, "command": command, "frames": frames, "fps": fps, "seed": seed, "story": story}
    (folder / "job.json").write_text(json.dumps(job))
    _call([sys.executable, "-m", "benchmarks.scenes.child", str(folder)], folder)


def _run(name: str, arguments: list[str], folder: Path) -> None:
    path = program(name)
    if path is None:
        raise SumoError(MISSING)
    _call([path, *arguments], folder)


def _call(command: list[str], folder: Path) -> None:
    path = program("sumo")
    root = str(Path(__file__).parents[2])
    home = str(Path(path).parents[1]) if path else ""
    environment = {**os.environ, "SUMO_HOME": home, "PYTHONPATH": root}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SumoError(f"{' '.join(command[:4])} ...: {(done.stderr or done.stdout).strip()[-2000:]}")
