"""Renders the training set: random junctions, cameras, daylight and traffic, as the planes the network reads.

None of it is the scene of `gantry demo`: seeds here start at 1,000,000, cameras, plans and traffic are drawn at random.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from vision.demo.backdrop import Head, paint_stage
from vision.demo.camera import PoleCamera
from vision.demo.clip import LAMP_BGR
from vision.demo.layout import Layout
from vision.demo.render import Light, Pose, Stage, draw_frame, draw_lamp, survey
from vision.demo.space import overlaps
from vision.demo.traffic import Driver, drive, junction_paths
from vision.demo.vehicles import CLASSES, build_shape
from vision.demo.world import PLAN, SECONDS, demo_camera, draw_drivers

WIDTH_PX, HEIGHT_PX = 512, 288
RENDER_WIDTH_PX = 768
MOST_LABELS = 48
FRAMES_PER_STAGE = 16
NEAR_SHARE = 0.5  # of stages whose camera stands near where the demo's does
FIRST_SEED = 1_000_000
#: Draws a plan and a camera.
View = Callable[[np.random.Generator], tuple[Layout, PoleCamera]]
BODIES = 300  # different bodies of each class
SHARES = (0.52, 0.14, 0.16, 0.18)  # of cars, buses, trucks, motorcycles


def random_stage(rng: np.random.Generator, view: View) -> tuple[Stage, Layout, Head]:
    """Return a random empty junction, its plan and its signal."""
    layout, camera = view(rng)
    turn, up = rng.uniform(0, 2 * np.pi), rng.uniform(0.55, 1.6)
    sun = np.array([np.cos(turn), np.sin(turn), up])
    light = Light(
        sun / np.linalg.norm(sun),
        direct=rng.uniform(0.2, 0.65),
        sky=rng.uniform(0.45, 0.7),
        shadow=rng.uniform(0.42, 0.85),
        haze_m=rng.uniform(150, 600),
    )
    stage, head = paint_stage(camera, layout, light, int(rng.integers(1 << 30)))
    return stage, layout, head


def any_view(rng: np.random.Generator) -> tuple[Layout, PoleCamera]:
    """Return a junction of any measures, seen from anywhere along its near side."""
    layout = Layout(
        centre_y_m=rng.uniform(20, 31),
        main_lanes=int(rng.choice([1, 2, 2, 2, 3])),
        cross_lanes=int(rng.choice([1, 1, 2])),
        lane_m=rng.uniform(3.2, 3.8),
        cross_lane_m=rng.uniform(3.4, 4.2),
        corner_m=rng.uniform(3, 7),
    )
    camera = PoleCamera(
        x_m=rng.uniform(-2, layout.half_main_m + 3),
        y_m=rng.uniform(-4, 4),
        height_m=rng.uniform(7.2, 11.5),
        yaw_deg=rng.uniform(-26, 4),
        pitch_deg=rng.uniform(14.5, 24),
        focal_px=rng.uniform(820, 1250),
        width_px=1280,
        height_px=720,
    )
    return layout, camera.resized(RENDER_WIDTH_PX)


def near_view(rng: np.random.Generator) -> tuple[Layout, PoleCamera]:
    """Return a junction like the demo's, seen from within a few metres and degrees of the demo's camera."""
    layout = Layout(centre_y_m=rng.uniform(24, 26), lane_m=rng.uniform(3.4, 3.6), cross_lane_m=rng.uniform(3.7, 4.1))
    camera = demo_camera()
    camera = replace(
        camera,
        x_m=camera.x_m + rng.uniform(-1.5, 1.5),
        y_m=camera.y_m + rng.uniform(-1.5, 1.5),
        height_m=camera.height_m + rng.uniform(-0.8, 0.8),
        yaw_deg=camera.yaw_deg + rng.uniform(-4, 4),
        pitch_deg=camera.pitch_deg + rng.uniform(-1.5, 1.5),
        focal_px=camera.focal_px * rng.uniform(0.94, 1.06),
    )
    return layout, camera.resized(RENDER_WIDTH_PX)


def down_view(rng: np.random.Generator) -> tuple[Layout, PoleCamera]:
    """Return a junction seen steeply or straight from above, as from a mast, a bridge or a drone."""
    layout = Layout(centre_y_m=rng.uniform(22, 30), main_lanes=int(rng.choice([1, 2, 2, 3])))
    height_m, pitch_deg = rng.uniform(14, 34), rng.uniform(42, 89.5)
    camera = PoleCamera(
        x_m=rng.uniform(-6, 6),
        y_m=layout.centre_y_m - height_m / np.tan(np.radians(pitch_deg)) + rng.uniform(-14, 8),
        height_m=height_m,
        yaw_deg=rng.uniform(-180, 180) if pitch_deg > 75 else rng.uniform(-30, 30),
        pitch_deg=pitch_deg,
        focal_px=rng.uniform(700, 1300),
        width_px=1280,
        height_px=720,
    )
    return layout, camera.resized(RENDER_WIDTH_PX)


def random_poses(rng: np.random.Generator, layout: Layout) -> list[Pose]:
    """Return vehicles on all lanes and some that turn, none inside another."""
    wanted: list[tuple[float, float, float]] = []
    density = rng.uniform(0.3, 1.0)
    for lane in range(layout.main_lanes):
        for sign in (-1, 1):
            x = -sign * layout.main_lane_m(lane)
            for y in np.arange(4, 90, rng.uniform(6.5, 13)):
                wanted.append((x + rng.normal(0, 0.2), y + rng.uniform(-3, 3), -sign * np.pi / 2 + rng.normal(0, 0.03)))
    for lane in range(layout.cross_lanes):
        for sign in (-1, 1):
            y = layout.centre_y_m - sign * layout.cross_lane_middle_m(lane)
            for x in np.arange(-30, 26, rng.uniform(6.5, 13)):
                wanted.append(
                    (x + rng.uniform(-3, 3), y + rng.normal(0, 0.2), (1 - sign) / 2 * np.pi + rng.normal(0, 0.03))
                )
    for _ in range(rng.integers(0, 4)):
        x = rng.uniform(-1, 1) * layout.half_main_m
        y = layout.centre_y_m + rng.uniform(-1, 1) * layout.half_cross_m
        wanted.append((x, y, rng.uniform(0, 2 * np.pi)))
    rng.shuffle(wanted)
    poses: list[Pose] = []
    for x, y, heading in wanted:
        if rng.random() > density:
            continue
        shape = build_shape(CLASSES[rng.choice(4, p=SHARES)], FIRST_SEED + int(rng.integers(BODIES)))
        turning = int(rng.choice([-1, 0, 0, 0, 1]))
        pose = Pose(len(poses), shape, float(x), float(y), float(heading), bool(rng.random() < 0.35), turning)
        if not any(overlaps(pose, other, 0.35) for other in poses):
            poses.append(pose)
    return poses


def weathered(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the planes u1[h * 3 // 2, w] of a picture as a camera, a codec and a decoder would leave it."""
    gain, bias = rng.uniform(0.72, 1.18), rng.uniform(-18, 22)
    picture = cv2.convertScaleAbs(picture, alpha=gain, beta=bias)
    noise = rng.integers(0, 256, picture.shape[:2], np.uint8)
    strength = rng.uniform(0, 0.07)
    grain = cv2.cvtColor(cv2.convertScaleAbs(noise, alpha=strength), cv2.COLOR_GRAY2BGR)
    picture = cv2.subtract(cv2.add(picture, grain), (int(128 * strength),) * 3)
    if rng.random() < 0.85:
        _, packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(45, 96))])
        picture = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    if rng.random() < 0.25:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 0.9))
    way = cv2.INTER_AREA if rng.random() < 0.75 else cv2.INTER_LINEAR
    return cv2.cvtColor(cv2.resize(picture, (WIDTH_PX, HEIGHT_PX), interpolation=way), cv2.COLOR_BGR2YUV_I420)


def driven(rng: np.random.Generator, layout: Layout) -> list[Driver]:
    """Return vehicles that have driven the demo's script, with other bodies, times and speeds than the demo's own."""
    drivers = draw_drivers(rng, junction_paths(layout))
    drive(drivers, PLAN, SECONDS)
    return drivers


def light_lamps(picture: np.ndarray, head: Head, rng: np.random.Generator) -> None:
    """Light some of the signal's lamps."""
    for lamp, at in zip(LAMP_BGR, head.lamps_px, strict=True):
        if rng.random() < 0.4:
            draw_lamp(picture, at, head.radius_px, LAMP_BGR[lamp])


def render_stage(seed: int, near_share: float = NEAR_SHARE, down_share: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return the frames u1[n, h * 3 // 2, w] and labels f4[n, 48, 6] of one random junction.

    A label is x1, y1, x2, y2 in pixels of the network's picture, class index, share that shows; unused rows are 0.
    """
    rng = np.random.default_rng(FIRST_SEED + seed)
    near = bool(rng.random() < near_share)
    down = not near and down_share > 0 and bool(rng.random() < down_share)
    stage, layout, head = random_stage(rng, near_view if near else down_view if down else any_view)
    drivers = driven(rng, layout) if near else []
    frames = np.zeros((FRAMES_PER_STAGE, HEIGHT_PX * 3 // 2, WIDTH_PX), np.uint8)
    labels = np.zeros((FRAMES_PER_STAGE, MOST_LABELS, 6), np.float32)
    scale = WIDTH_PX / RENDER_WIDTH_PX
    for index in range(FRAMES_PER_STAGE):
        if drivers and index % 3:
            time_s = rng.uniform(0, SECONDS - 1)
            poses = [pose for pose in (driver.pose(time_s) for driver in drivers) if -30 < pose.y_m < 200]
        else:
            poses = random_poses(rng, layout)
        picture = draw_frame(stage, poses)
        light_lamps(picture, head, rng)
        frames[index] = weathered(picture, rng)
        seen = sorted(survey(stage, poses), key=lambda one: -one.visible)[:MOST_LABELS]
        for row, one in zip(labels[index], seen, strict=False):
            row[:] = (*(v * scale for v in one.xyxy_px), CLASSES.index(one.class_name), one.visible)
    return frames, labels


def render_set(
    folder: Path,
    frames: int,
    first: int = 0,
    processes: int = 2,
    near_share: float = NEAR_SHARE,
    down_share: float = 0.0,
) -> None:
    """Write `frames.npy` and `labels.npy` of at least `frames` pictures, from the seeds that follow `first`."""
    folder.mkdir(parents=True, exist_ok=True)
    stages = -(-frames // FRAMES_PER_STAGE)
    shape = (stages * FRAMES_PER_STAGE, HEIGHT_PX * 3 // 2, WIDTH_PX)
    planes = np.lib.format.open_memmap(folder / "frames.npy", "w+", np.uint8, shape)
    labels = np.zeros((shape[0], MOST_LABELS, 6), np.float32)
    render = partial(render_stage, near_share=near_share, down_share=down_share)
    with ProcessPoolExecutor(processes) as pool:
        for index, (some, boxes) in enumerate(pool.map(render, range(first, first + stages), chunksize=4)):
            at = slice(index * FRAMES_PER_STAGE, (index + 1) * FRAMES_PER_STAGE)
            planes[at], labels[at] = some, boxes
            if index % 50 == 0:
                print(f"rendered {at.stop} of {shape[0]} frames", flush=True)
    planes.flush()
    np.save(folder / "labels.npy", labels)


def main() -> None:
    """Render a set for the detector of real streets: no camera near the demo's, many from above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(".train/rendered"))
    parser.add_argument("--frames", type=int, default=3200)
    parser.add_argument("--first", type=int, default=200_000, help="first seed")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--down-share", type=float, default=0.6, help="of the views: from steeply above")
    args = parser.parse_args()
    render_set(args.folder, args.frames, args.first, args.processes, 0.0, args.down_share)


if __name__ == "__main__":
    main()
