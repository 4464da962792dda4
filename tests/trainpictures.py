"""Made pictures with labels, to test the training recipe: bright boxes on grey, three classes, each of a colour."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

COLOURS = ((40, 40, 220), (220, 60, 40), (40, 200, 60))


def make_pictures(folder: Path) -> Path:
    """Write 40 pictures of 192 x 96, the last six for judging, of two sources and eight cameras; return the folder."""
    rng = np.random.default_rng(3)
    rows = ["split,name,source,camera"]
    for number in range(40):
        split = "val" if number >= 34 else "train"
        picture = rng.integers(60, 100, (96, 192, 3)).astype(np.uint8)
        lines = []
        for _ in range(2):
            kind, w, h = int(rng.integers(3)), int(rng.integers(24, 60)), int(rng.integers(20, 50))
            x, y = int(rng.integers(0, 192 - w)), int(rng.integers(0, 96 - h))
            picture[y : y + h, x : x + w] = COLOURS[kind]
            lines.append(f"{kind} {(x + w / 2) / 192} {(y + h / 2) / 96} {w / 192} {h / 96}")
        for part in ("images", "labels"):
            (folder / part / split).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "images" / split / f"p{number:02}.png"), picture)
        (folder / "labels" / split / f"p{number:02}.txt").write_text("\n".join(lines[:1] if number % 2 else lines))
        rows.append(f"{split},p{number:02},{'tfl' if number % 2 else 'other'},cam{number // 10}{split}")
    (folder / "index.csv").write_text("\n".join(rows))
    (folder / "sources.toml").write_text('[[source]]\nname = "tfl"\nunlabelled = ["bicycle", "person"]\n')
    return folder
