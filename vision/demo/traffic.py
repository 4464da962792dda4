"""How the rendered vehicles drive: paths through the junction, a signal plan, and car following.

Each vehicle follows its path by the Intelligent Driver Model (Treiber, Hennecke, Helbing 2000, Phys. Rev. E 62) behind
its leader and before a red signal. Positions are kept at a fine step and joined by cubic pieces, so a vehicle's place
is a function of time and a scene can be shown at any frame rate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from vision.demo.layout import Layout
from vision.demo.render import Pose
from vision.demo.vehicles import Shape

STEP_S = 0.04
DISTANCE_MIN_M = 2.2  # kept to the leader at rest
REST_BEFORE_LINE_M = 2.4  # kept to the stop line at rest


@dataclass(frozen=True)
class Plan:
    """A signal's states by the time in seconds from which each holds, and the phase that the cross road sees."""

    main: tuple[tuple[float, str], ...]
    cross: tuple[tuple[float, str], ...]

    def state(self, phase: str, time_s: float) -> tuple[str, float]:
        """Return the state of a phase ("main" or "cross") and since when it holds."""
        since, state = [(at, name) for at, name in getattr(self, phase) if at <= time_s][-1]
        return state, since


@dataclass(frozen=True)
class Path:
    """A way through the junction: its points f8[n, 2] in metres every few centimetres, and where its stop line is."""

    name: str
    points_m: np.ndarray
    along_m: np.ndarray
    stop_m: float  # distance along the path at which vehicles stand at red, front first
    phase: str
    turning: int = 0  # -1 right, 1 left

    def at(self, along_m: np.ndarray | float) -> np.ndarray:
        """Return the point f8[..., 2] at a distance along the path; straight on beyond its ends."""
        along = np.asarray(along_m, float)
        inner = np.stack([np.interp(along, self.along_m, self.points_m[:, k]) for k in (0, 1)], -1)
        before = np.minimum(along - self.along_m[0], 0)[..., None]
        after = np.maximum(along - self.along_m[-1], 0)[..., None]
        first, last = self.points_m[1] - self.points_m[0], self.points_m[-1] - self.points_m[-2]
        return inner + before * first / np.hypot(*first) + after * last / np.hypot(*last)


def make_path(
    name: str,
    corners_m: list[tuple[float, float]],
    radius_m: float,
    stop_at: tuple[float, float],
    phase: str,
    turning: int = 0,
) -> Path:
    """Return a path along straight pieces with rounded corners; `stop_at` is a point on it."""
    pieces = [np.array([corners_m[0]], float)]
    for before, corner, after in zip(corners_m, corners_m[1:], corners_m[2:], strict=False):
        into = _unit(np.subtract(corner, before))
        out = _unit(np.subtract(after, corner))
        start, centre = np.array(corner) - into * radius_m, np.array(corner) + (out - into) * radius_m
        turn = np.linspace(0, np.pi / 2, 60)[:, None]
        pieces += [start[None], centre - out * radius_m * np.cos(turn) + into * radius_m * np.sin(turn)]
    points = np.concatenate([*pieces, np.array([corners_m[-1]], float)])
    steps = np.hypot(*np.diff(points, axis=0).T)
    points = points[np.concatenate([[True], steps > 1e-6])]
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    fine = np.arange(0, along[-1], 0.25)
    dense = np.stack([np.interp(fine, along, points[:, k]) for k in (0, 1)], -1)
    stop = float(fine[np.argmin(np.hypot(*(dense - stop_at).T))])
    return Path(name, points, along, stop, phase, turning)


def junction_paths(layout: Layout, reach_m: float = 330.0) -> dict[str, Path]:
    """Return the paths of a junction with two lanes each way on the main road and one on the cross road."""
    cy, stop, cross = layout.centre_y_m, layout.main_stop_m, layout.cross_stop_m
    inner, outer, side = layout.main_lane_m(0), layout.main_lane_m(1), layout.cross_lane_middle_m(0)
    south, north = cy - reach_m, cy + reach_m
    right = (outer, cy - side)  # where a right turn from the main road meets the cross road
    entries = {"north": cy - stop, "south": cy + stop}
    paths = (
        make_path("north_inner", [(inner, south), (inner, north)], 0, (inner, entries["north"]), "main"),
        make_path("north_outer", [(outer, south), (outer, north)], 0, (outer, entries["north"]), "main"),
        make_path("south_inner", [(-inner, north), (-inner, south)], 0, (-inner, entries["south"]), "main"),
        make_path("south_outer", [(-outer, north), (-outer, south)], 0, (-outer, entries["south"]), "main"),
        make_path("east", [(-reach_m, cy - side), (reach_m, cy - side)], 0, (-cross, cy - side), "cross"),
        make_path("west", [(reach_m, cy + side), (-reach_m, cy + side)], 0, (cross, cy + side), "cross"),
        make_path(
            "north_to_east",
            [(outer, south), right, (reach_m, cy - side)],
            6.0,
            (outer, entries["north"]),
            "main",
            -1,
        ),
        make_path(
            "east_to_south",
            [(-reach_m, cy - side), (-outer, cy - side), (-outer, south)],
            5.5,
            (-cross, cy - side),
            "cross",
            -1,
        ),
    )
    return {path.name: path for path in paths}


@dataclass
class Driver:
    """One vehicle's wishes, then its journey."""

    id: int
    shape: Shape
    path: Path
    start_m: float  # of its middle along the path at the scene's start
    speed_mps: float
    through: str = ""  # the state it drives through: "amber", "red" (amber too)
    start_mps: float | None = None
    along_m: np.ndarray = field(default_factory=lambda: np.zeros(0))
    mps: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def place_m(self, time_s: float) -> float:
        """Return how far along its path the middle is at a time: cubic between the steps."""
        index = min(max(int(time_s / STEP_S), 0), len(self.along_m) - 2)
        u = time_s / STEP_S - index
        a, b, va, vb = *self.along_m[index : index + 2], *(self.mps[index : index + 2] * STEP_S)
        return float(a + u * va + u * u * (3 * (b - a) - 2 * va - vb) + u * u * u * (2 * (a - b) + va + vb))

    def pose(self, time_s: float) -> Pose:
        """Return where the vehicle is at a time: its axles on the path, its middle between them."""
        along, half = self.place_m(time_s), self.shape.length_m * 0.3
        rear, front = self.path.at(np.array([along - half, along + half]))
        index = min(int(time_s / STEP_S), len(self.mps) - 2)
        slows = (self.mps[index + 1] - self.mps[index]) / STEP_S < -0.6 or self.mps[index] < 0.1
        blinks = self.path.turning if (time_s * 1.5 + self.id * 0.37) % 1.0 < 0.55 else 0
        middle, way = (rear + front) / 2, front - rear
        heading = float(np.arctan2(way[1], way[0]))
        return Pose(self.id, self.shape, float(middle[0]), float(middle[1]), heading, bool(slows), blinks)


def drive(drivers: list[Driver], plan: Plan, seconds: float) -> None:
    """Let all vehicles drive from 0 to `seconds`; fills their journeys."""
    steps = round(seconds / STEP_S) + 2
    place = np.array([driver.start_m for driver in drivers])
    speed = np.array([driver.speed_mps if driver.start_mps is None else driver.start_mps for driver in drivers])
    half = np.array([driver.shape.length_m / 2 for driver in drivers])
    places, speeds = np.zeros((steps, len(drivers))), np.zeros((steps, len(drivers)))
    leaders = _leaders(drivers)
    for step in range(steps):
        places[step], speeds[step] = place, speed
        push = np.array(
            [
                _accelerate(driver, place, speed, half, leaders[i], i, plan, step * STEP_S)
                for i, driver in enumerate(drivers)
            ]
        )
        faster = np.maximum(speed + push * STEP_S, 0)
        place = place + (speed + faster) / 2 * STEP_S
        speed = faster
    for index, driver in enumerate(drivers):
        driver.along_m, driver.mps = places[:, index], speeds[:, index]


def _leaders(drivers: list[Driver]) -> list[int | None]:
    """Return for each vehicle the one that starts next before it in its lane."""
    leaders: list[int | None] = []
    for driver in drivers:
        lane = driver.path.at(driver.path.stop_m)
        ahead = [
            (other.start_m - other.path.stop_m, index)
            for index, other in enumerate(drivers)
            if other is not driver
            and np.allclose(other.path.at(other.path.stop_m), lane, atol=0.6)
            and other.start_m - other.path.stop_m > driver.start_m - driver.path.stop_m
        ]
        leaders.append(min(ahead)[1] if ahead else None)
    return leaders


def _accelerate(
    driver: Driver,
    place: np.ndarray,
    speed: np.ndarray,
    half: np.ndarray,
    leader: int | None,
    index: int,
    plan: Plan,
    time_s: float,
) -> float:
    """Return the acceleration in metres per second squared."""
    strong, gentle, headway = 2.6, 2.8, 1.0
    own, v = place[index], speed[index]
    wish = _wish(driver, own)
    free = 1 - (v / wish) ** 4
    push = strong * max(free, -1.2)
    if leader is not None:
        gap = place[leader] - own - half[leader] - half[index]
        push = min(push, _follow(strong, gentle, headway, v, speed[leader], max(gap, 0.1), free, DISTANCE_MIN_M))
    before = driver.path.stop_m - (own + half[index])
    if driver.through != "red" and before > -0.5:
        state, since = plan.state(driver.path.phase, time_s)
        can_stop = before > v * v / (2 * 3.6) + 0.2
        waits = (
            state == "red"
            or (state == "red_amber" and time_s - since < 0.7)
            or (state == "amber" and driver.through == "")
        )
        if waits and (can_stop or v < 1.0):
            push = min(push, _follow(strong, gentle, 0.3, v, 0.0, max(before, 0.05), free, REST_BEFORE_LINE_M))
    return float(np.clip(push, -6.0, strong))


def _follow(
    strong: float, gentle: float, headway: float, v: float, lead: float, gap: float, free: float, rest: float
) -> float:
    """Return the acceleration that the car-following model gives for a gap in metres."""
    desired = rest + max(v * headway + v * (v - lead) / (2 * np.sqrt(strong * gentle)), 0)
    return strong * (free - (desired / gap) ** 2)


def _wish(driver: Driver, along_m: float) -> float:
    """Return the speed in metres per second that the driver would like here: slow through a turn."""
    if not driver.path.turning:
        return driver.speed_mps
    bend = driver.path.stop_m + 9.0
    away = max(abs(along_m - bend) - 6.0, 0)
    return float(min(driver.speed_mps, np.sqrt(5.2**2 + 2 * 2.0 * away)))


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector, float) / np.hypot(*vector)


def spans(plan: Plan, phase: str, seconds: float) -> list[tuple[float, float, str]]:
    """Return (from, to, state) in seconds of a phase up to `seconds`."""
    steps = [*getattr(plan, phase), (seconds, "")]
    return [(a, b, state) for (a, state), (b, _) in pairwise(steps)]
