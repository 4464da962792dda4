"""Makers of road users in metres for tests of rules that measure on the road, and a judge with a clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace

import numpy as np
from trackrows import signal_row
from traffic import instant, small_scene

from kernels.records import CLASSES, ENDED, MAX_TRACKS, OBSERVED, TRACK, ZONE
from kernels.rules import REGISTRY

#: Pixels a metre in the picture of these tests, which looks straight down.
SCALE = 20.0

#: Where a road user's front is at a time, and how fast that moves: (x m, y m, vx m/s, vy m/s); None when out of view.
Motion = Callable[[float], tuple[float, float, float, float] | None]


def road_row(
    track_id: int,
    time_s: float,
    front: Sequence[float],
    velocity: Sequence[float] = (0.0, 0.0),
    heading: Sequence[float] = (1.0, 0.0),
    length: float = 4.5,
    width: float = 1.8,
    name: str = "car",
    flags: int = OBSERVED,
    **more: float,
) -> np.ndarray:
    """Return TRACK[1] of a rectangle whose front's middle is at `front` m."""
    row = np.zeros(1, TRACK)
    u = np.array(heading, float) / np.hypot(*heading)
    front = np.array(front, float)
    rear, centre = front - length * u, front - length / 2 * u
    half = (np.abs(u) * length + np.abs(u[::-1]) * width) / 2
    row["id"], row["slot"], row["class_id"], row["flags"] = track_id, track_id % MAX_TRACKS, CLASSES.index(name), flags
    row["time_s"], row["prev_time_s"], row["birth_s"], row["relinked_s"] = time_s, time_s - 0.1, -100.0, -math.inf
    row["x1_px"], row["y1_px"] = (centre - half) * SCALE
    row["x2_px"], row["y2_px"] = (centre + half) * SCALE
    for part, point in (("foot", centre), ("front", front), ("rear", rear)):
        row[f"{part}_x_m"], row[f"{part}_y_m"] = point
        row[f"{part}_x_px"], row[f"{part}_y_px"] = point * SCALE
    row["prev_foot_x_px"], row["prev_foot_y_px"] = (centre - 0.1 * np.array(velocity)) * SCALE
    row["width_m"], row["position_sd_m"], row["score"], row["hits"] = width, 0.1, 0.8, 50
    row["vx_mps"], row["vy_mps"] = velocity
    row["speed_mps"], row["speed_sd_mps"] = np.hypot(*velocity), 0.2
    for key, value in more.items():
        row[key] = value
    return row


def zone_row(points: Sequence[Sequence[float]], flow: Sequence[float] | None = None, approach: int = -1) -> np.void:
    """Return a ZONE row of an outline in metres."""
    row = np.zeros(1, ZONE)
    row["m"], row["n"], row["approach"] = np.nan, len(points), approach
    row["m"][0, : len(points)] = points
    row["px"][0, : len(points)] = np.array(points) * SCALE
    flow_x, flow_y = (np.nan, np.nan) if flow is None else np.array(flow) / np.hypot(*flow)
    row["flow_x"], row["flow_y"], row["flow_x_m"], row["flow_y_m"] = flow_x, flow_y, flow_x, flow_y
    return row[0]


def box(x1: float, y1: float, x2: float, y2: float) -> list[tuple[float, float]]:
    """Return the outline of a rectangle."""
    return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]


def road_scene(
    zones: dict[str, Sequence] | None = None, lanes: dict[str, tuple] | None = None, signals: Sequence[str] = ()
) -> SimpleNamespace:
    """Return a scene with zones (name -> outline in m) and lanes (name -> (outline, flow))."""
    zones, lanes = zones or {}, lanes or {}
    return small_scene(
        {},
        dict.fromkeys(signals),
        zone_names=tuple(zones),
        zone_rows=np.array([zone_row(points) for points in zones.values()], ZONE),
        lane_names=tuple(lanes),
        lane_rows=np.array([zone_row(points, flow, 0) for points, flow in lanes.values()], ZONE),
        to_road=np.diag([1 / SCALE, 1 / SCALE, 1.0]),
        from_road=np.diag([SCALE, SCALE, 1.0]),
        ground_error_m=0.05,
    )


class RoadJudge:
    """One rule on rows in metres, with the clock that the rule needs; `last` closes the stream."""

    def __init__(self, kind: str, scene: SimpleNamespace, **config: object) -> None:
        self.rule = REGISTRY[kind]
        self.prepared = self.rule.prepare(self.rule.config(type=kind, name="x", **config), scene)
        self.out = np.zeros(MAX_TRACKS * len(self.prepared.settings), self.rule.event)
        self.time_s: float | None = None
        self.seen: dict[int, np.ndarray] = {}
        self.signals = signal_row("green", -1e6)

    def clock(self, time_s: float, suspended: int = 0, last: int = 0) -> np.void:
        clock = instant(time_s, 0.0 if self.time_s is None else time_s - self.time_s)
        clock["suspended"], clock["last"] = suspended, last
        self.time_s = time_s
        return clock[0]

    def __call__(self, tracks: np.ndarray, clock: np.void, signals: np.ndarray | None = None) -> np.ndarray:
        signals = self.signals if signals is None else signals
        n = self.rule.step(tracks, clock, signals, *self.prepared, self.out)
        return self.out[:n].copy()

    def at(self, time_s: float, rows: Iterable[np.ndarray], suspended: int = 0, signals=None) -> np.ndarray:
        """Judge one frame."""
        rows = list(rows)
        for row in rows:
            self.seen[int(row["id"][0])] = row
            if row["flags"][0] & ENDED:
                del self.seen[int(row["id"][0])]
        tracks = np.concatenate([*rows, np.zeros(0, TRACK)])
        return self(tracks, self.clock(time_s, suspended), signals)

    def lose(self, *ids: int) -> np.ndarray:
        """Give up tracks: their last rows, at the present time."""
        return self.at(self.time_s or 0.0, [ended(self.seen[number]) for number in ids])

    def end(self) -> np.ndarray:
        """End the stream."""
        tracks = np.concatenate([*map(ended, self.seen.values()), np.zeros(0, TRACK)])
        self.seen = {}
        events = self(tracks, self.clock(self.time_s or 0.0, last=1))
        self.time_s = None
        return events


def ended(row: np.ndarray) -> np.ndarray:
    """Return a track's last row."""
    last = row.copy()
    last["flags"] = ENDED
    return last


def standing_at(x: float, y: float) -> Motion:
    """Return a road user that stands."""
    return lambda time_s: (x, y, 0.0, 0.0)


def passing(x: float, y: float, vx: float, vy: float = 0.0, first_s: float = -1e9, last_s: float = 1e9) -> Motion:
    """Return a road user that is at (x, y) at time 0 and moves on evenly."""
    return lambda t: (x + vx * t, y + vy * t, vx, vy) if first_s <= t <= last_s else None


def stopping_at(x: float, y: float, stop_s: float, go_s: float = 1e9, speed: float = 10.0) -> Motion:
    """Return a road user that drives along x, stands at (x, y) from `stop_s` to `go_s` and drives on."""

    def motion(time_s: float) -> tuple[float, float, float, float]:
        moved = speed * (min(time_s - stop_s, 0.0) + max(time_s - go_s, 0.0))
        return x + moved, y, speed if moved else 0.0, 0.0

    return motion


def drive(
    judge: RoadJudge, users: dict[int, Motion], until_s: float, step_s: float = 0.2, start_s: float = 0.0, **more
) -> np.ndarray:
    """Judge road users until a time; one that leaves the view is given up at once; `more`: options by track id."""
    options = more.pop("options", {})
    found, here = [], set()
    for k in range(round((until_s - start_s) / step_s) + 1):
        time_s = start_s + k * step_s
        rows = []
        for number, motion in users.items():
            at = motion(time_s)
            if at is None:
                if number in here:
                    rows.append(ended(judge.seen[number]))
                    here.discard(number)
                continue
            here.add(number)
            heading = at[2:] if math.hypot(*at[2:]) > 0.5 else (1.0, 0.0)
            rows.append(
                road_row(number, time_s, at[:2], at[2:], **{"heading": heading, **more, **options.get(number, {})})
            )
        found.append(judge.at(time_s, rows))
    return np.concatenate(found)


def random_road(
    rng: np.random.Generator, steps: int, users: int = 6, lanes: int = 2
) -> Iterable[tuple[float, np.ndarray]]:
    """Yield (time, TRACK[n]) of traffic along x in lanes 3.5 m wide that goes, creeps and stands.

    Tracks jump for one row, hide, are lost and born again in the same place, and once in a while a person stands about.
    """
    time_s, next_id = 0.0, 1
    slots: list[dict | None] = [None] * users
    for _ in range(steps):
        time_s += float(rng.choice([0.1, 0.25, 0.5]))
        rows = []
        for slot, one in enumerate(slots):
            if one is None:
                if rng.random() < 0.2:
                    one = {"x": rng.uniform(0, 90), "lane": int(rng.integers(0, lanes)), "v": rng.uniform(0, 12)}
                    one |= {"name": str(rng.choice(["car", "car", "bus", "person"])), "born": time_s, "id": next_id}
                    slots[slot], next_id = one | {"t": time_s}, next_id + 1
                continue
            one["x"] += one["v"] * (time_s - one["t"])
            one["t"] = time_s
            if rng.random() < 0.1:
                one["v"] = float(rng.choice([0.0, 0.0, 0.0, 1.0, 8.0, 14.0]))
            if rng.random() < 0.1:
                continue
            jump = 3.0 if rng.random() < 0.04 else 0.0
            front = np.float32([one["x"] + jump + rng.normal(0, 0.1), 1.75 + 3.5 * one["lane"] + rng.normal(0, 0.1)])
            options = {"birth_s": one["born"], "slot": slot, "name": one["name"], "score": 0.8}
            options |= {"score": 0.4} if rng.random() < 0.05 else {}
            options |= {"relinked_s": time_s} if rng.random() < 0.03 else {}
            options |= {"position_sd_m": 0.5} if rng.random() < 0.1 else {}
            row = road_row(one["id"], time_s, front, (one["v"], 0.0), **options)
            lost = rng.random() < 0.03
            rows.append(ended(row) if lost else row)
            if lost:
                again = rng.random() < 0.6 and abs(one["v"]) < 0.5
                slots[slot] = {**one, "id": next_id, "born": time_s} if again else None
                next_id += again
            elif one["x"] > 110:
                one["x"] -= 110.0
        yield time_s, np.concatenate([*rows, np.zeros(0, TRACK)])


def same_events(events: np.ndarray, twins: Sequence[dict]) -> None:
    """Check that the events are those of a twin, in any order of one step."""
    assert len(events) == len(twins), (events, twins)
    names = set(events.dtype.names) - {"frame", "context", "camera", "rule", "epoch", "flags"}
    key = [name for name in ("track_id", "phase", "other_id", "lane") if name in names]
    ordered = sorted(events, key=lambda event: [event[name] for name in key])
    for event, twin in zip(ordered, sorted(twins, key=lambda twin: [twin[name] for name in key]), strict=True):
        assert set(twin) == names
        for name, value in twin.items():
            assert np.allclose(event[name], value, rtol=1e-4, atol=2e-3, equal_nan=True), (name, event[name], value)
