"""The bodies of rendered vehicles: seeded, shaded 3-D shapes with windows, wheels and lights.

Body axes in metres: x forward, y left, z up, the origin on the road under the middle. A body is a list of flat convex
faces; the points of all faces lie one after another, so that a frame projects them in one product.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

CLASSES = ("car", "bus", "truck", "motorcycle")

#: What a face is made of; lights change while braking or turning.
PAINT, GLASS, TYRE, METAL, HEAD, TAIL, INDICATOR_LEFT, INDICATOR_RIGHT, CLOTH, SKIN, LOAD, PLATE = range(12)

#: Blue, green, red (0..255) of materials that do not vary.
MATERIALS = {
    GLASS: (74, 62, 50),
    TYRE: (32, 31, 30),
    METAL: (150, 148, 145),
    HEAD: (215, 235, 240),
    TAIL: (40, 34, 150),
    INDICATOR_LEFT: (40, 110, 190),
    INDICATOR_RIGHT: (40, 110, 190),
    SKIN: (70, 90, 150),
    PLATE: (205, 215, 215),
}

PAINTS = {
    "car": [
        (236, 236, 232), (60, 58, 56), (150, 146, 142), (44, 40, 168), (150, 84, 36), (58, 92, 40), (30, 150, 206),
        (96, 70, 60), (190, 186, 170), (70, 40, 92), (200, 160, 60), (32, 32, 36),
    ],
    "bus": [(40, 150, 222), (52, 48, 190), (170, 100, 36), (230, 228, 222), (80, 140, 60)],
    "truck": [(226, 224, 220), (54, 60, 190), (160, 92, 40), (60, 130, 70), (44, 140, 210), (110, 108, 104)],
    "motorcycle": [(40, 38, 40), (40, 40, 180), (160, 90, 30), (60, 120, 60)],
}  # fmt: skip


@dataclass
class Body:
    """A body under construction, then its arrays."""

    length_m: float
    width_m: float
    height_m: float
    paint: tuple[float, ...]
    cloth: tuple[float, ...]
    load: tuple[float, ...]
    points: list[np.ndarray] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    tints: list[float] = field(default_factory=list)
    layers: list[int] = field(default_factory=list)

    def group(self, layer: int) -> int:
        """Start a group of faces; groups of a higher layer are drawn later, within a layer the farther first."""
        self.layers.append(layer)
        return len(self.layers) - 1

    def face(self, points: np.ndarray, kind: int, tint: float = 1.0) -> None:
        """Add a flat convex face f8[n, 3] to the last group."""
        self.points.append(np.asarray(points, float))
        self.kinds.append(kind)
        self.groups.append(len(self.layers) - 1)
        self.tints.append(tint)

    def inset(self, points: np.ndarray, kind: int, low: float, high: float, left: float, right: float) -> None:
        """Add a face inside a quad's face; shares 0..1 run up from its first edge and along it."""
        a, b, c, d = np.asarray(points, float)

        def at(along: float, up: float) -> np.ndarray:
            return (a + (b - a) * along) * (1 - up) + (d + (c - d) * along) * up

        self.face(np.stack([at(left, low), at(right, low), at(right, high), at(left, high)]), kind)


def extrude(
    body: Body,
    profile: list[tuple[float, float]],
    half_m: list[float],
    kind: int,
    tints: dict[int, float] | None = None,
) -> list[np.ndarray]:
    """Add a side outline (x, z; clockwise seen from the left) of half width `half_m` at each point; return the strips.

    Strip i joins point i and i + 1: its edge runs from left to right at point i.
    """
    right = np.array([(x, -h, z) for (x, z), h in zip(profile, half_m, strict=True)])
    left = right * (1, -1, 1)
    body.face(left, kind)
    body.face(right[::-1], kind)
    strips = []
    for i in range(len(profile)):
        j = (i + 1) % len(profile)
        strips.append(np.stack([left[i], right[i], right[j], left[j]]))
        body.face(strips[-1], kind, (tints or {}).get(i, 1.0))
    return strips


def box(
    body: Body, x0: float, x1: float, half: float, z0: float, z1: float, kind: int, tint: float = 1.0
) -> dict[str, np.ndarray]:
    """Add a cuboid and return its faces by name, each starting with its lower edge from left to right as seen."""
    p = {
        (i, j, k): np.array([(x0, x1)[i], (-half, half)[j], (z0, z1)[k]])
        for i in (0, 1)
        for j in (0, 1)
        for k in (0, 1)
    }

    def quad(*keys: tuple[int, int, int]) -> np.ndarray:
        return np.stack([p[key] for key in keys])

    faces = {
        "rear": quad((0, 1, 0), (0, 0, 0), (0, 0, 1), (0, 1, 1)),
        "front": quad((1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 0, 1)),
        "left": quad((1, 1, 0), (0, 1, 0), (0, 1, 1), (1, 1, 1)),
        "right": quad((0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1)),
        "top": quad((0, 1, 1), (0, 0, 1), (1, 0, 1), (1, 1, 1)),
    }
    for face in faces.values():
        body.face(face, kind, tint)
    return faces


def wheels(body: Body, at_x: list[float], half: float, radius: float, layer: int = 1) -> None:
    """Add a pair of wheels at each axle: the treads behind everything, the outer discs with hubs at `layer`."""
    sides = 12
    turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    body.group(1)
    for x in at_x:
        for side in (-1, 1):
            for end in (-1, 1):
                ys = side * (half - 0.22), side * half
                low, high = (x + end * radius * 0.35, radius * 0.02), (x + end * radius, radius * 1.3)
                tread = [
                    (low[0], ys[0], low[1]),
                    (low[0], ys[1], low[1]),
                    (high[0], ys[1], high[1]),
                    (high[0], ys[0], high[1]),
                ]
                body.face(np.array(tread), TYRE)
    for x in at_x:
        body.group(layer)
        for side in (-1, 1):
            for radius_m, kind, out in ((radius, TYRE, 0.0), (radius * 0.55, METAL, 0.01)):
                ring = [
                    x + radius_m * np.cos(turn),
                    np.full(sides, side * (half + out)),
                    radius + radius_m * np.sin(turn),
                ]
                body.face(np.column_stack(ring), kind)


def lights(body: Body, front: np.ndarray, rear: np.ndarray, low: float, high: float, share: float) -> None:
    """Add head lights, tail lights and indicators to the front and the rear face."""
    # Seen from before, the vehicle's right side is on the left.
    for face, lamp, left, right in (
        (front, HEAD, INDICATOR_RIGHT, INDICATOR_LEFT),
        (rear, TAIL, INDICATOR_LEFT, INDICATOR_RIGHT),
    ):
        body.inset(face, lamp, low, high, 0.04, 0.04 + share)
        body.inset(face, lamp, low, high, 0.96 - share, 0.96)
        body.inset(face, left, low, high, 0.0, 0.05)
        body.inset(face, right, low, high, 0.95, 1.0)
        body.inset(face, PLATE, max(low - 0.2, 0.02), max(low - 0.2, 0.02) + 0.2, 0.4, 0.6)


def car(rng: np.random.Generator, body: Body) -> None:
    """Build a hatchback, saloon or small SUV."""
    length, width, height = body.length_m, body.width_m, body.height_m
    half, tail = width / 2, rng.uniform(0.02, 0.16)  # share of the boot
    belt, sill = height * 0.6, 0.2
    body.group(0)
    box(body, -length * 0.46, length * 0.46, half - 0.12, 0.1, 0.5, TYRE)
    body.group(2)
    profile = [
        (-length / 2, sill + 0.05), (-length / 2, belt * 0.8), (-length * 0.47, belt), (length * 0.26, belt),
        (length * 0.47, belt * 0.86), (length / 2, belt * 0.66), (length / 2, sill + 0.05), (0.0, sill),
    ]  # fmt: skip
    halves = [half - 0.05, half, half - 0.04, half - 0.02, half - 0.1, half - 0.06, half - 0.06, half]
    strips = extrude(body, profile, halves, PAINT, {3: 1.04})
    lights(body, strips[5][[3, 2, 1, 0]], strips[0], 0.5, 0.92, 0.2)
    wheels(body, [-length * 0.31, length * 0.31], half + 0.005, 0.32, 3)
    body.group(4)
    rear, front = -length * (0.47 - tail), length * 0.24
    top = [(rear, belt), (rear + length * 0.08, height), (front - length * 0.16, height), (front, belt)]
    cabin = extrude(body, top, [half - 0.06, half - 0.24, half - 0.24, half - 0.06], PAINT, {1: 1.06})
    body.inset(cabin[0], GLASS, 0.12, 0.88, 0.06, 0.94)
    body.inset(cabin[2][[2, 3, 0, 1]], GLASS, 0.08, 0.92, 0.05, 0.95)
    for sign in (1, -1):
        side = [
            np.array([x, sign * h, z])
            for (x, z), h in zip(top, [half - 0.05, half - 0.23, half - 0.23, half - 0.05], strict=True)
        ]
        quad = np.stack([side[3], side[0], side[1], side[2]] if sign > 0 else [side[0], side[3], side[2], side[1]])
        body.inset(quad, GLASS, 0.1, 0.86, 0.08, 0.48)
        body.inset(quad, GLASS, 0.1, 0.86, 0.53, 0.9)


def bus(rng: np.random.Generator, body: Body) -> None:
    """Build a city bus with a ribbon of windows and doors."""
    length, half, height = body.length_m, body.width_m / 2, body.height_m
    body.group(0)
    box(body, -length * 0.48, length * 0.48, half - 0.15, 0.12, 0.6, TYRE)
    body.group(2)
    faces = box(body, -length / 2, length / 2, half, 0.32, height, PAINT)
    panes = int(rng.integers(5, 8))
    for name in ("left", "right"):
        for pane in range(panes):
            left, right = (pane + 0.14) / panes, (pane + 0.94) / panes
            body.inset(faces[name], GLASS, 0.42, 0.82, left, right)
        body.inset(faces[name], METAL, 0.02, 0.09, 0.0, 1.0)
    body.inset(faces["right"], GLASS, 0.06, 0.8, 0.86, 0.97)
    body.inset(faces["right"], GLASS, 0.06, 0.8, 0.44, 0.54)
    body.inset(faces["front"], GLASS, 0.3, 0.84, 0.05, 0.95)
    body.inset(faces["front"], PLATE, 0.87, 0.97, 0.2, 0.8)
    body.inset(faces["rear"], GLASS, 0.5, 0.84, 0.1, 0.9)
    lights(body, faces["front"], faces["rear"], 0.12, 0.22, 0.14)
    for x in (-0.22, 0.1):
        body.inset(faces["top"], METAL, 0.5 + x, 0.62 + x, 0.25, 0.75)
    wheels(body, [-length * 0.27, length * 0.31], half + 0.005, 0.48, 3)


def truck(rng: np.random.Generator, body: Body) -> None:
    """Build a lorry: a cab and a box, a tipper or a flat load behind it."""
    length, half, height = body.length_m, body.width_m / 2, body.height_m
    cab = rng.uniform(1.7, 2.2)
    cab_top = min(height, rng.uniform(2.4, 2.9))
    kind = int(rng.integers(0, 3))
    body.group(0)
    box(body, -length * 0.49, length / 2 - 0.2, half - 0.25, 0.35, 0.95, TYRE)
    wheels(
        body,
        [-length * 0.33, -length * 0.33 + 1.15, length / 2 - cab * 0.6][0 if length > 7.5 else 1 :],
        half - 0.02,
        0.48,
    )
    body.group(3)
    faces = box(body, length / 2 - cab, length / 2, half - 0.08, 0.5, cab_top, PAINT)
    body.inset(faces["front"], GLASS, 0.46, 0.86, 0.06, 0.94)
    body.inset(faces["left"], GLASS, 0.48, 0.84, 0.15, 0.65)
    body.inset(faces["right"], GLASS, 0.48, 0.84, 0.35, 0.85)
    front = faces["front"]
    body.group(3)
    load_end = length / 2 - cab - 0.15
    low, high = 0.85, (height if kind == 0 else height * rng.uniform(0.62, 0.8))
    faces = box(body, -length / 2, load_end, half, low, high, LOAD)
    if kind == 0:
        for name in ("left", "right"):
            body.inset(faces[name], PAINT, 0.35, 0.62, 0.1, 0.9)
        body.inset(faces["rear"], METAL, 0.02, 0.98, 0.485, 0.515)
    else:
        body.inset(faces["top"], METAL if kind == 1 else CLOTH, 0.04, 0.96, 0.06, 0.94)
        for name in ("left", "right"):
            for rib in range(5):
                body.inset(faces[name], METAL, 0.05, 0.95, rib / 5 + 0.02, rib / 5 + 0.04)
    rear = faces["rear"] * (1, 1, 0) + np.array([(0, 0, 0.5), (0, 0, 0.5), (0, 0, low), (0, 0, low)])
    body.face(rear, TYRE)
    lights(body, front, rear, 0.12, 0.24, 0.16)
    body.inset(rear, TAIL, 0.3, 0.8, 0.04, 0.22)
    body.inset(rear, TAIL, 0.3, 0.8, 0.78, 0.96)


def motorcycle(rng: np.random.Generator, body: Body) -> None:
    """Build a motorcycle with its rider."""
    length, half, height = body.length_m, body.width_m / 2, body.height_m
    wheels(body, [-length * 0.34, length * 0.34], 0.09, 0.31)
    body.group(2)
    box(body, -length * 0.42, length * 0.3, 0.13, 0.38, 0.8, PAINT)
    body.group(3)
    for sign in (1, -1):
        leg = np.array([(-0.1, 0, 0.35), (0.35, 0, 0.4), (0.35, 0, 0.85), (-0.35, 0, 0.9)])
        leg[:, 1] = sign * 0.26
        body.face(leg, TYRE)
    box(body, length * 0.26, length * 0.4, 0.2, 0.75, 1.1, PAINT)
    body.group(4)
    torso = [(-0.42, 0.78), (-0.3, height - 0.32), (0.02, height - 0.26), (0.0, 0.78)]
    extrude(body, torso, [0.2, half * 0.62, half * 0.62, 0.2], CLOTH)
    arms = [(-0.15, height - 0.42), (-0.1, height - 0.3), (0.5, 1.05), (0.5, 0.97)]
    extrude(body, arms, [half * 0.7, half * 0.7, half, half], CLOTH, {1: 0.9})
    body.group(5)
    head = [
        (-0.22, height - 0.26),
        (-0.22, height - 0.06),
        (-0.12, height),
        (0.02, height),
        (0.1, height - 0.1),
        (0.06, height - 0.26),
    ]
    strips = extrude(body, head, [0.11, 0.13, 0.1, 0.1, 0.13, 0.11], LOAD)
    body.inset(strips[4], GLASS, 0.1, 0.9, 0.1, 0.9)
    rear = np.array(
        [
            (-length * 0.43, 0.1, 0.6),
            (-length * 0.43, -0.1, 0.6),
            (-length * 0.43, -0.1, 0.78),
            (-length * 0.43, 0.1, 0.78),
        ]
    )
    body.face(rear, TAIL)
    front = np.array(
        [(length * 0.41, -0.1, 0.8), (length * 0.41, 0.1, 0.8), (length * 0.41, 0.1, 1.0), (length * 0.41, -0.1, 1.0)]
    )
    body.face(front, HEAD)


BUILDERS = {"car": car, "bus": bus, "truck": truck, "motorcycle": motorcycle}

#: Least and most length, width and height in metres.
SIZES_M = {
    "car": ((3.9, 4.9), (1.72, 1.9), (1.42, 1.72)),
    "bus": ((9.8, 12.0), (2.45, 2.55), (2.9, 3.2)),
    "truck": ((6.2, 8.8), (2.25, 2.5), (2.9, 3.5)),
    "motorcycle": ((2.0, 2.25), (0.72, 0.86), (1.55, 1.75)),
}


@dataclass(frozen=True)
class Shape:
    """A finished body as arrays: points of all faces in a row, and what each face is."""

    class_name: str
    length_m: float
    width_m: float
    height_m: float
    points_m: np.ndarray  # f8[n, 3], body axes
    starts: np.ndarray  # i8[f + 1], face i has points starts[i]:starts[i + 1]
    normals: np.ndarray  # f8[f, 3], outward unit normals
    kinds: np.ndarray  # i8[f]
    colours: np.ndarray  # f8[f, 3], blue, green, red
    groups: np.ndarray  # i8[f]
    layers: np.ndarray  # i8[g]
    centres_m: np.ndarray  # f8[g, 3], middle of each group


@lru_cache(maxsize=2048)
def build_shape(class_name: str, seed: int) -> Shape:
    """Build the body of a vehicle of a class (one of CLASSES); the same seed gives the same body."""
    rng = np.random.default_rng([seed, CLASSES.index(class_name)])
    length, width, height = (float(rng.uniform(*limits)) for limits in SIZES_M[class_name])
    jitter = rng.uniform(0.85, 1.12, 3)
    paints = PAINTS[class_name]
    paint = np.clip(np.array(paints[rng.integers(len(paints))]) * jitter, 0, 255)
    load = np.clip(
        np.array(PAINTS["truck"][rng.integers(6)] if rng.random() < 0.6 else (228, 228, 226)) * jitter, 0, 255
    )
    cloth = rng.uniform(25, 190, 3)
    body = Body(length, width, height, tuple(paint), tuple(cloth), tuple(load))
    BUILDERS[class_name](rng, body)
    colours = {**MATERIALS, PAINT: body.paint, CLOTH: body.cloth, LOAD: body.load}
    groups = np.array(body.groups)
    points = np.concatenate(body.points)
    counts = [len(face) for face in body.points]
    owner = np.repeat(groups, counts)
    centres = np.stack([points[owner == group].mean(axis=0) for group in range(len(body.layers))])
    normals = np.array([_normal(face, centres[group]) for face, group in zip(body.points, groups, strict=True)])
    return Shape(
        class_name,
        length,
        width,
        height,
        points,
        np.concatenate([[0], np.cumsum(counts)]),
        normals,
        np.array(body.kinds),
        np.array([colours[kind] for kind in body.kinds], float) * np.array(body.tints)[:, None],
        groups,
        np.array(body.layers),
        centres,
    )


def _normal(points: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return the unit normal f8[3] of a flat polygon (Newell's method) that points away from `inside`."""
    x, y, z = points.T
    x1, y1, z1 = np.concatenate([points[1:], points[:1]]).T
    normal = np.array([y @ z1 - z @ y1, z @ x1 - x @ z1, x @ y1 - y @ x1])
    outward = 1.0 if (points.sum(axis=0) / len(points) - inside) @ normal >= 0 else -1.0
    return normal * (outward / max(float(np.sqrt(normal @ normal)), 1e-12))
