"""Where every road user was in every frame: the simulation's own account, and what follows from it by geometry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pyarrow import csv

from benchmarks.scenes.kinds import NAMES, SIZE_M, corners

_PART = 200_000


@dataclass(frozen=True, eq=False)
class Course:
    """Rows in the order of (road user, frame). Frame k is at k / fps seconds; `who` counts road users from 1."""

    fps: float
    frames: int
    frame: np.ndarray  # i4[n]
    who: np.ndarray  # i4[n]
    front_m: np.ndarray  # f8[n, 2], the middle of the front bumper
    ahead: np.ndarray  # f8[n, 2], unit vector
    speed_mps: np.ndarray  # f8[n]
    pos_m: np.ndarray  # f8[n], along its lane
    lane: np.ndarray  # i2[n], index into lane_names
    lane_names: tuple[str, ...]
    names: tuple[str, ...]  # of road user 1, 2, ...
    kind: np.ndarray  # i2[number of road users], index into kinds.NAMES
    trait: tuple[str, ...]  # what it was made to do

    @property
    def time_s(self) -> np.ndarray:
        """Times of the rows in s."""
        return self.frame / self.fps

    @property
    def size_m(self) -> np.ndarray:
        """Length, width, height of the rows' road users, f8[n, 3]."""
        return SIZE_M[self.kind[self.who - 1]]

    @property
    def rear_m(self) -> np.ndarray:
        """Middle of the rear of each row, f8[n, 2]."""
        return self.front_m - self.size_m[:, :1] * self.ahead

    def parts(self) -> list[slice]:
        """Return slices that together are all rows, none too long for work with corners."""
        return [slice(at, at + _PART) for at in range(0, len(self.frame), _PART)]

    def corners_m(self, part: slice) -> np.ndarray:
        """Return the corners of some rows' cuboids, f8[n, 8, 3]."""
        size_m = SIZE_M[self.kind[self.who[part] - 1]]
        return corners(self.front_m[part], self.ahead[part], size_m)

    def each(self) -> Iterator[tuple[int, slice]]:
        """Yield (road user, its rows)."""
        starts = np.searchsorted(self.who, np.arange(1, len(self.names) + 2))
        for k in range(len(self.names)):
            if starts[k + 1] > starts[k]:
                yield k + 1, slice(int(starts[k]), int(starts[k + 1]))

    def kind_name(self, who: int) -> str:
        """Return the kind of a road user."""
        return NAMES[self.kind[who - 1]]

    def part(self, keep: np.ndarray) -> Course:
        """Return the rows of `keep` bool[n]; road users keep their numbers."""
        rows = ("frame", "who", "front_m", "ahead", "speed_mps", "pos_m", "lane")
        return replace(self, **{name: getattr(self, name)[keep] for name in rows})


def read_course(path: Path, fps: float, frames: int) -> Course:
    """Read SUMO's floating car data (CSV).

    A stamp is the time of its rows, as SUMO's instant induction loops have it too. Types are named `kind.trait`.
    """
    table = csv.read_csv(
        path,
        parse_options=csv.ParseOptions(delimiter=";"),
        read_options=csv.ReadOptions(use_threads=False),
        convert_options=csv.ConvertOptions(strings_can_be_null=True),
    )
    persons = "person_id" in table.column_names
    read = {name: table[name].to_numpy() for name in table.column_names if name.startswith(("time", "vehicle"))}
    if persons:
        walks = ~table["person_id"].is_null().to_numpy()
        for name in ("id", "x", "y", "angle", "type", "speed", "pos"):
            own = read[f"vehicle_{name}"].copy()
            own[walks] = table[f"person_{name}"].to_numpy()[walks]
            read[f"vehicle_{name}"] = own
        lane = read["vehicle_lane"].copy()
        lane[walks] = table["person_edge"].to_numpy()[walks]
        read["vehicle_lane"] = lane
    here = np.array([name is not None for name in read["vehicle_id"]], bool)
    frame = np.rint(read["timestep_time"] * fps).astype(np.int32)
    here &= frame < frames
    names, number, first = _numbered(read["vehicle_id"][here])
    types = [str(kind).partition(".") for kind in read["vehicle_type"][here][first]]
    lane_names, lane, _ = _numbered(read["vehicle_lane"][here])
    angle = np.radians(read["vehicle_angle"][here].astype(float))
    order = np.lexsort((frame[here], number))
    return Course(
        fps=fps,
        frames=frames,
        frame=frame[here][order],
        who=(number[order] + 1).astype(np.int32),
        front_m=np.stack([read["vehicle_x"][here], read["vehicle_y"][here]], axis=1).astype(float)[order],
        ahead=np.stack([np.sin(angle), np.cos(angle)], axis=1)[order],
        speed_mps=read["vehicle_speed"][here].astype(float)[order],
        pos_m=read["vehicle_pos"][here].astype(float)[order],
        lane=lane[order].astype(np.int16),
        lane_names=tuple(map(str, lane_names)),
        names=tuple(map(str, names)),
        kind=np.array([NAMES.index(kind) for kind, _, _ in types], np.int16),
        trait=tuple(trait for _, _, trait in types),
    )


def _numbered(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distinct values by first appearance, each value's number, and where each appears first."""
    distinct, first, number = np.unique(values.astype(str), return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return distinct[order], rank[number.ravel()], first[order]
