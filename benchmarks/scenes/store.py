"""Scenes as folders, each made once: named by the hash of its knobs and of the code that makes it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

from benchmarks.scenes.course import Course
from benchmarks.scenes.in_view import pairs_in_view
from benchmarks.scenes.look import Seen, look
from benchmarks.scenes.noise import Noise, detect, mixed_up
from benchmarks.scenes.plan import Plan
from benchmarks.scenes.tables import Truth, write_truth
from benchmarks.scenes.truth_lines import without_hidden

ROOT = Path(__file__).parents[2] / ".work" / "scenes"


@dataclass(frozen=True)
class Made:
    """What a scene's maker hands over: course, drawing, truth, and further files by name."""

    course: Course
    plan: Plan
    truth: Truth
    files: dict[str, str]


#: Makes a scene in a scratch folder from its knobs.
Maker = Callable[[Path, Any], Made]


def scene_folder(name: str, maker: Maker, knobs: Any, noise: Noise, root: Path | None = None) -> Path:
    """Return the folder of a scene, made now where it is not there yet."""
    base = ROOT if root is None else root
    folder = base / f"{name}-{_key(knobs, noise)}"
    if (folder / "site.toml").is_file():
        return folder
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base) as scratch:
        raw, ready = Path(scratch) / "raw", Path(scratch) / "ready"
        raw.mkdir()
        ready.mkdir()
        write_scene(ready, maker(raw, knobs), noise, int(knobs.seed))
        (ready / "knobs.json").write_text(json.dumps({"knobs": asdict(knobs), "noise": asdict(noise)}, indent=1) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        ready.rename(folder)
    return folder


def write_scene(folder: Path, made: Made, noise: Noise, seed: int) -> None:
    """Write boxes, tracks, site file, truth and the rest of a scene."""
    size = made.plan.camera.width_px, made.plan.camera.height_px
    seen = look(made.course, made.plan.camera)
    found = detect(seen, noise, made.course.fps, size, seed)
    minus = np.full(len(found.frame), -1)
    _write_boxes(folder / "boxes.txt.gz", found.frame, minus, found.xyxy_px, found.score, found.class_id)
    shown = seen.keep((seen.inside >= noise.inside_min) & (seen.hidden <= noise.hidden_max))
    _write_tracks(folder / "tracks.txt.gz", shown, mixed_up(shown, noise.swapped, seed))
    # Nothing is hidden from this one: what a rule does with a course, and no tracker's or camera's fault.
    whole = seen.keep(seen.inside >= noise.inside_min)
    _write_tracks(folder / "all_tracks.txt.gz", whole, whole.who)
    for name, text in made.files.items():
        (folder / name).write_text(text)
    truth = without_hidden(made.truth, made.plan, seen, noise, made.course.fps)
    write_truth(folder / "truth", pairs_in_view(truth, seen, noise, made.course.fps))
    known = known_rules()
    (folder / "site.toml").write_text(made.plan.site([rule for rule in made.plan.rules if rule["type"] in known]))


def _write_tracks(path: Path, seen: Seen, ids: np.ndarray) -> None:
    _write_boxes(path, seen.frame, ids, seen.xyxy_px, np.ones(len(ids)), seen.class_id)


def _write_boxes(
    path: Path, frame: np.ndarray, ids: np.ndarray, xyxy_px: np.ndarray, score: np.ndarray, class_id: np.ndarray
) -> None:
    """Write MOTChallenge lines `frame,id,x,y,w,h,score,class`; frames count from 1."""
    x, y = np.round(xyxy_px[:, 0], 2), np.round(xyxy_px[:, 1], 2)
    w, h = np.round(xyxy_px[:, 2] - xyxy_px[:, 0], 2), np.round(xyxy_px[:, 3] - xyxy_px[:, 1], 2)
    columns = {
        "frame": frame.astype(np.int64) + 1, "id": ids.astype(np.int64), "x": x, "y": y, "w": w, "h": h,
        "score": np.round(score, 3), "class": class_id.astype(np.int64),
    }  # fmt: skip
    text = io.BytesIO()
    csv.write_csv(pa.table(columns), text, csv.WriteOptions(include_header=False, quoting_style="none"))
    with path.open("wb") as file, gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0, compresslevel=3) as out:
        out.write(text.getvalue())


def known_rules() -> list[str]:
    """Return the types of rule that there are, by their files: a site that names others is refused."""
    return sorted(path.stem for path in (Path(__file__).parents[2] / "kernels" / "rules").glob("[!_]*.py"))


def _key(knobs: Any, noise: Noise) -> str:
    told = hashlib.sha256(json.dumps([asdict(knobs), asdict(noise), known_rules()], sort_keys=True).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        told.update(path.read_bytes())
    return told.hexdigest()[:12]
