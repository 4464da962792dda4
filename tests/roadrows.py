"""A small road seen from straight above for tests of rules in metres: its lanes, zones and lines, and who moves on it.

Ten pixels are a metre and y runs the same way, so a road point is its pixel over ten. Without a ground the same rows
have no metres.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace

import numpy as np
from trackrows import random_rows, track_row
from traffic import instant, line_row, small_scene

from kernels.records import ENDED, LINE, MAX_TRACKS, SIGNAL, TRACK, ZONE
from kernels.rules import REGISTRY

PX_PER_M = 10.0
#: The lane's base fields: what the camera's lane fills in, no rule.
LANE_FIELDS = {"frame", "context", "camera", "rule", "epoch", "flags"}

Point = Sequence[float]


def zone_row(
    points_m: Sequence[Point], flow: Point | None = None, ground: bool = True, approach: int = -1
) -> np.ndarray:
    """Return ZONE[1] of a polygon in m, of a lane with this flow."""
    row = np.zeros(1, ZONE)
    points = np.array(points_m, float)
    row["n"], row["approach"] = len(points), approach
    row["px"][0, : len(points)] = points * PX_PER_M
    row["m"] = np.nan
    for name in ("flow_x", "flow_y", "flow_x_m", "flow_y_m"):
        row[name] = np.nan
    unit = None if flow is None else np.array(flow, float) / math.hypot(*flow)
    if unit is not None:
        row["flow_x"], row["flow_y"] = unit
    if ground:
        row["m"][0, : len(points)] = points
        if unit is not None:
            row["flow_x_m"], row["flow_y_m"] = unit
    return row


def box_m(x1: float, y1: float, x2: float, y2: float) -> list[Point]:
    """Return the corners of an upright rectangle."""
    return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]


def road_line(x1: float, y1: float, x2: float, y2: float, flow: Point | None = None, ground: bool = True) -> np.ndarray:
    """Return LINE[1] between two points in m."""
    row = line_row(*(PX_PER_M * np.array([x1, y1, x2, y2])), flow)
    for name, value in (("x1_m", x1), ("y1_m", y1), ("x2_m", x2), ("y2_m", y2)):
        row[name] = value if ground else np.nan
    row["nx_m"], row["ny_m"] = (row["nx"], row["ny"]) if ground else (np.nan, np.nan)
    return row


def road_scene(
    lanes: dict[str, np.ndarray] | None = None,
    zones: dict[str, np.ndarray] | None = None,
    lines: dict[str, np.ndarray] | None = None,
    ground: bool = True,
    **more: object,
) -> SimpleNamespace:
    """Return a scene of lanes ("approach/lane"), zones and lines."""
    lanes, zones = lanes or {}, zones or {}
    to_road = np.diag([1 / PX_PER_M, 1 / PX_PER_M, 1.0])
    parts = {
        "lane_names": tuple(lanes),
        "lane_rows": np.concatenate([*lanes.values(), np.zeros(0, ZONE)]),
        "zone_names": tuple(zones),
        "zone_rows": np.concatenate([*zones.values(), np.zeros(0, ZONE)]),
        "to_road": to_road if ground else None,
        "from_road": np.linalg.inv(to_road) if ground else None,
        "ground_error_m": 0.1 if ground else np.nan,
    }
    assert all(row.dtype == LINE for row in (lines or {}).values())
    return small_scene(lines or {}, **{"logs": {"lamp": None}, **parts, **more})


Course = Callable[[float], Point]


def drive(
    track_id: int,
    course: Course,
    times: Sequence[float],
    ground: bool = True,
    length_m: float = 0.0,
    ends: bool = True,
    size: Point = (20.0, 15.0),
    **more: float,
) -> list[np.ndarray]:
    """Return the rows TRACK[1] of a road user whose foot point (m) is `course` at `times`; the last one ENDED.

    `length_m`: its front and rear are so far apart, the foot point at the rear.
    """
    rows = []
    for k in range(1, len(times)):
        at, before = np.array(course(times[k]), float), np.array(course(times[k - 1]), float)
        row = track_row(track_id, times[k], PX_PER_M * at, (times[k - 1], PX_PER_M * before), size)
        set_motion(row, at, (at - before) / (times[k] - times[k - 1]), ground, length_m)
        row["birth_s"] = times[0]
        for name, value in more.items():
            row[name] = value
        rows.append(row)
    if ends:
        last = rows[-1].copy()
        last["flags"], last["prev_time_s"] = ENDED, last["time_s"]
        last["prev_foot_x_px"], last["prev_foot_y_px"] = last["foot_x_px"], last["foot_y_px"]
        rows.append(last)
    return rows


def set_motion(row: np.ndarray, at: np.ndarray, velocity: np.ndarray, ground: bool, length_m: float = 0.0) -> None:
    """Fill a row's velocity, speed, front and rear, and its metres where there is a ground."""
    speed = math.hypot(*velocity)
    front = at + (velocity / speed * length_m if speed > 0.0 else 0.0)
    row["vx_px_s"], row["vy_px_s"] = PX_PER_M * velocity
    row["front_x_px"], row["front_y_px"] = PX_PER_M * front
    row["rear_x_px"], row["rear_y_px"] = PX_PER_M * at
    if ground:
        row["foot_x_m"], row["foot_y_m"] = at
        row["rear_x_m"], row["rear_y_m"] = at
        row["front_x_m"], row["front_y_m"] = front
        row["vx_mps"], row["vy_mps"] = velocity
        row["speed_mps"], row["speed_sd_mps"], row["position_sd_m"] = speed, 0.2, 0.1


def straight(start: Point, velocity: Point) -> Course:
    """Return a course at constant velocity, from `start` at time 0."""
    return lambda t: (start[0] + velocity[0] * t, start[1] + velocity[1] * t)


def along(*corners: Point, speed_mps: float = 10.0) -> tuple[Course, float]:
    """Return the course along the way between corners at constant speed, and how long it takes."""
    points = np.array(corners, float)
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])

    def course(t: float) -> Point:
        way = min(t * speed_mps, lengths[-1])
        return float(np.interp(way, lengths, points[:, 0])), float(np.interp(way, lengths, points[:, 1]))

    return course, float(lengths[-1] / speed_mps)


def every(step_s: float, end_s: float, start_s: float = 0.0) -> list[float]:
    """Return times from `start_s` on, before `end_s`."""
    return [float(t) for t in np.arange(start_s, end_s, step_s)]


def bend(centre: Point, radius_m: float, first_deg: float, last_deg: float) -> list[Point]:
    """Return points along an arc."""
    turns = np.radians(np.linspace(first_deg, last_deg, 25))
    return [(centre[0] + radius_m * math.cos(a), centre[1] + radius_m * math.sin(a)) for a in turns]


class Court:
    """One rule on the TRACK rows that a test gives it, with a clock that the test may suspend or end."""

    def __init__(self, kind: str, scene: SimpleNamespace, **config: object) -> None:
        self.rule = REGISTRY[kind]
        self.prepared = self.rule.prepare(self.rule.config(type=kind, name="x", **config), scene)
        self.out = np.zeros(MAX_TRACKS * max(len(self.prepared.settings), 1), self.rule.event)

    def __call__(
        self, tracks: np.ndarray, signals: np.ndarray | None = None, suspended: int = 0, last: int = 0
    ) -> np.ndarray:
        clock = instant(float(tracks["time_s"].max(initial=0.0)), 0.0)
        clock["suspended"], clock["last"] = suspended, last
        signals = np.zeros(1, SIGNAL) if signals is None else signals
        n = self.rule.step(tracks, clock[0], signals, *self.prepared, self.out)
        return self.out[:n].copy()

    def all_of(self, rows: list[np.ndarray], **more: object) -> np.ndarray:
        """Return the events of rows that come one at a time."""
        return np.concatenate([self(row, **more) for row in rows])


def together(*drives: list[np.ndarray]) -> list[np.ndarray]:
    """Return TRACK[n] for each time at which any of the tracks has a row."""
    rows = np.concatenate([row for one in drives for row in one])
    keys = rows["time_s"] + 1e-6 * ((rows["flags"] & ENDED) > 0)
    return [rows[keys == key] for key in np.unique(keys)]


def random_road_rows(
    rng: np.random.Generator, steps: int, ground: bool, spread_px: float = 12.0, faster: float = 1.0
) -> Iterator:
    """Yield (time, TRACK[n], code of suspension) of `random_rows` with velocity, some re-linked, some suspended.

    Velocities are `faster` than the ways: then fewer ways are leaps.
    """
    births: dict[int, float] = {}
    relinked: dict[int, float] = {}
    for time_s, rows in random_rows(rng, steps, spread_px):
        for k in range(len(rows)):
            row = rows[k : k + 1]
            number = int(row["id"][0])
            if not row["flags"][0] & ENDED:
                moved = np.array([row["foot_x_px"] - row["prev_foot_x_px"], row["foot_y_px"] - row["prev_foot_y_px"]])
                passed_s = max(float(row["time_s"][0] - row["prev_time_s"][0]), 1e-3)
                at = np.array([row["foot_x_px"][0], row["foot_y_px"][0]], float) / PX_PER_M
                set_motion(row, np.float32(at), np.float32(faster * moved[:, 0] / PX_PER_M / passed_s), ground, 0.4)
                if rng.random() < 0.1:
                    row["speed_mps"], row["speed_sd_mps"] = np.nan, np.nan
                if rng.random() < 0.03:
                    relinked[number] = time_s
            row["birth_s"] = births.setdefault(number, time_s)
            row["relinked_s"] = relinked.get(number, -math.inf)
            row["score"] = np.float32(0.4 if number % 5 == 0 else 0.8)
        yield time_s, rows, int(rng.choice([0, 5], p=[0.97, 0.03]))


def as_numbers(row: np.ndarray) -> dict[str, float]:
    """Return a row's scalar fields as Python numbers."""
    return {name: row[name].item() for name in TRACK.names}


def same_events(events: np.ndarray, twins: list[dict]) -> None:
    """Check that a kernel's events are its twin's, field for field."""
    assert len(events) == len(twins), (events, twins)
    for event, twin in zip(events, twins, strict=True):
        assert set(twin) == set(events.dtype.names) - LANE_FIELDS
        for name, value in twin.items():
            assert np.allclose(event[name], value, rtol=1e-4, atol=1e-3, equal_nan=True), (name, event[name], value)
