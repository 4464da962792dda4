"""The scene of `gantry demo`: which vehicles come when, drawn from a seed until the traffic is fit to be judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vision.demo.camera import PoleCamera
from vision.demo.layout import Layout
from vision.demo.render import Light, Pose
from vision.demo.space import overlaps
from vision.demo.traffic import Driver, Path, Plan, drive, junction_paths
from vision.demo.vehicles import build_shape

SECONDS = 24.0
WIDTH_PX, HEIGHT_PX = 1280, 720
ATTEMPTS = 30

#: Signal times: the main road's green ends, red lets some run it, the cross road moves, then the main road again.
PLAN = Plan(
    main=((0.0, "green"), (4.8, "amber"), (7.6, "red"), (15.6, "red_amber"), (16.4, "green")),
    cross=((0.0, "red"), (9.5, "red_amber"), (10.2, "green"), (14.2, "amber"), (15.4, "red")),
)

#: (path, class, when it would reach the stop line undisturbed in s, speed in km/h, what it drives through); drawn times
#: vary a little. "amber": does not brake for amber; "red": for nothing.
SCRIPT = (
    ("north_inner", "car", 1.3, 44, ""),
    ("north_inner", "bus", 3.6, 40, ""),
    ("north_inner", "car", 6.3, 46, "amber"),
    ("north_inner", "car", 8.9, 46, "red"),
    ("north_inner", "car", 12.0, 38, ""),
    ("north_inner", "car", 14.6, 36, ""),
    ("north_outer", "motorcycle", 2.0, 46, ""),
    ("north_to_east", "car", 4.4, 38, "amber"),
    ("north_outer", "car", 9.7, 50, "red"),
    ("north_outer", "motorcycle", 12.6, 40, ""),
    ("north_outer", "car", 14.6, 38, ""),
    ("south_inner", "car", 1.3, 42, ""),
    ("south_inner", "car", 3.7, 38, ""),
    ("south_inner", "car", 6.8, 46, "amber"),
    ("south_inner", "car", 12.4, 36, ""),
    ("south_outer", "bus", 2.6, 44, ""),
    ("south_outer", "motorcycle", 9.2, 50, "red"),
    ("south_outer", "truck", 12.6, 34, ""),
    ("east", "car", 3.0, 34, ""),
    ("east_to_south", "car", 6.5, 32, ""),
    ("east", "motorcycle", 9.0, 34, ""),
    ("west", "car", 3.6, 34, ""),
    ("west", "car", 6.2, 32, ""),
    ("west", "car", 12.6, 36, ""),
)


@dataclass(frozen=True, eq=False)
class World:
    """A scene in motion: camera, plan, daylight, signal and vehicles; a function of time."""

    seed: int
    seconds: float
    camera: PoleCamera
    layout: Layout
    light: Light
    plan: Plan
    drivers: tuple[Driver, ...]

    def poses(self, time_s: float) -> list[Pose]:
        """Return where all vehicles are at a time in seconds, those far away left out."""
        poses = [driver.pose(time_s) for driver in self.drivers]
        return [pose for pose in poses if -30 < pose.y_m < 230 and abs(pose.x_m) < 45]


def demo_camera() -> PoleCamera:
    """Return the camera of the demo: on a pole right of the road, looking over the junction."""
    return PoleCamera(8.6, 0.0, 9.0, -15.0, 18.5, 1000.0, WIDTH_PX, HEIGHT_PX)


def demo_light(rng: np.random.Generator) -> Light:
    """Return the daylight of the demo: a sun behind the camera to the left."""
    sun = np.array([-0.55 + rng.uniform(-0.15, 0.15), -0.4, 0.85])
    return Light(sun / np.linalg.norm(sun), direct=0.6, sky=0.66)


def build_world(seed: int = 7) -> World:
    """Build the scene of a seed; the same seed gives the same scene on every machine.

    Arrivals are drawn anew until no vehicle touches another, the runs of red are runs, and nobody crosses a line at
    an instant that cannot be judged (the clip's first and last moments, the onset of red).
    """
    from vision.demo.truth import fit_to_judge  # it reads worlds, this builds them

    layout = Layout()
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, attempt])
        world = World(
            seed,
            SECONDS,
            demo_camera(),
            layout,
            demo_light(rng),
            PLAN,
            tuple(draw_drivers(rng, junction_paths(layout))),
        )
        drive(list(world.drivers), world.plan, world.seconds)
        if not collides(world) and fit_to_judge(world):
            return world
    raise ValueError(f"seed = {seed} gives no fitting traffic in {ATTEMPTS} attempts; choose another seed")


def draw_drivers(rng: np.random.Generator, paths: dict[str, Path]) -> list[Driver]:
    """Return the script's vehicles with drawn bodies, times and speeds, those of a lane with room between them."""
    drivers: list[Driver] = []
    last: dict[tuple[int, int], tuple[float, float]] = {}  # lane -> start and length of the vehicle before
    for index, (name, class_name, due_s, kmh, through) in enumerate(SCRIPT):
        shape = build_shape(class_name, int(rng.integers(1 << 20)))
        path, speed = paths[name], (kmh + rng.uniform(-3, 3)) / 3.6
        start = path.stop_m - speed * (due_s + rng.uniform(-0.3, 0.3)) - shape.length_m / 2
        lane = tuple(np.round(path.at(path.stop_m)).astype(int).tolist())
        if lane in last:
            ahead_m, length_m = last[lane]
            start = min(start, ahead_m - (length_m + shape.length_m) / 2 - 0.8 * speed)
        last[lane] = start, shape.length_m
        drivers.append(Driver(index + 1, shape, path, start, speed, through))
    return drivers


def collides(world: World, step_s: float = 0.2, margin_m: float = 0.3) -> bool:
    """Say whether two vehicles ever come nearer to each other than `margin_m`, looked at every `step_s`."""
    for time_s in np.arange(0, world.seconds, step_s):
        poses = world.poses(float(time_s))
        for i, one in enumerate(poses):
            if any(overlaps(one, other, margin_m) for other in poses[i + 1 :]):
                return True
    return False
