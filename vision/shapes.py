"""What is wrong with a drawn shape, in words: lines, flows, polygons, boxes and pairs of ground points.

Each function returns the mistakes of one shape as the end of a sentence; none when it is sound. Points count from 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

Point = tuple[float, float]
Points = Sequence[Point]

#: Shorter than this, a line, a flow arrow or a polygon's edge is a double click.
SHORTEST_PX = 1.0
#: A flow must cut its line at this angle or more, else with or against the flow is a matter of noise.
LEAST_ANGLE_DEG = 15.0
#: Three points are collinear when the triangle is flatter than this share of its longest side.
FLATTEST = 0.005

#: A plumb line is so long from end to end, and no lens bends it by more than this share of that.
PLUMB_LENGTH_PX, PLUMB_BOW = 20.0, 0.2


def triangle_area(a: Point, b: Point, c: Point) -> float:
    """Return twice the signed area of a triangle, in squared units of its points."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])


def collinear(a: Point, b: Point, c: Point, flattest: float = FLATTEST) -> bool:
    """Say whether three points lie on a line, to a share of the longest distance between them."""
    longest = max(math.dist(a, b), math.dist(b, c), math.dist(a, c))
    return longest == 0.0 or abs(triangle_area(a, b, c)) <= flattest * longest * longest


def segment_mistakes(ends: Points) -> list[str]:
    """Return what is wrong with the two ends of a line or a flow arrow."""
    length = math.dist(*ends)
    if length == 0.0:
        return ["has zero length; allowed: two different points"]
    if length < SHORTEST_PX:
        return [f"is {length:.2g} px long; allowed: {SHORTEST_PX:g} px or more"]
    return []


def crossing_angle_deg(ends: Points, flow: Points) -> float:
    """Return the angle between a line and a flow arrow, in degrees from 0 (parallel) to 90."""
    (ax, ay), (bx, by) = ends
    (px, py), (qx, qy) = flow
    along = abs((bx - ax) * (qx - px) + (by - ay) * (qy - py))
    across = abs((bx - ax) * (qy - py) - (by - ay) * (qx - px))
    return math.degrees(math.atan2(across, along))


def flow_mistakes(ends: Points, flow: Points) -> list[str]:
    """Return what is wrong between a sound line and a sound flow arrow."""
    angle = crossing_angle_deg(ends, flow)
    if angle >= LEAST_ANGLE_DEG:
        return []
    return [f"meets its flow at {angle:.0f} deg; allowed: {LEAST_ANGLE_DEG:g} deg or more (draw it across the flow)"]


def polygon_mistakes(points: Points) -> list[str]:
    """Return what is wrong with a polygon: too few points, a point twice, no area, edges that cross."""
    count = len(points)
    if count < 3:
        return [f"has {count} {'point' if count == 1 else 'points'}; allowed: 3 or more"]
    if points[0] == points[-1]:
        return ["ends with its first point again; leave that out, a polygon closes itself"]
    twice = [
        f"has the same point twice, {i + 1} and {j + 1}; allowed: each point once"
        for i, j in combinations(range(count), 2)
        if points[i] == points[j]
    ]
    if twice:
        return twice
    for i, j in combinations(range(count), 2):
        a, b = points[i], points[(i + 1) % count]
        c, d = points[j], points[(j + 1) % count]
        neighbours = j - i == 1 or j - i == count - 1
        if not neighbours and segments_meet(a, b, c, d):
            edges = f"edge {i + 1}-{(i + 1) % count + 1} crosses edge {j + 1}-{(j + 1) % count + 1}"
            return [f"crosses itself: {edges}; give the points in order around the outline"]
    area = abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(points, [*points[1:], points[0]], strict=True))) / 2
    if area < SHORTEST_PX * SHORTEST_PX:
        return [f"has an area of {area:.2g} px^2; allowed: 1 or more (the points lie on a line)"]
    return []


def segments_meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Say whether two closed segments share a point."""
    sides = triangle_area(a, b, c), triangle_area(a, b, d), triangle_area(c, d, a), triangle_area(c, d, b)
    if (sides[0] > 0) != (sides[1] > 0) and (sides[2] > 0) != (sides[3] > 0) and 0.0 not in sides:
        return True
    return any(
        side == 0.0 and _between(p, q, r)
        for side, (p, q, r) in zip(sides, ((a, b, c), (a, b, d), (c, d, a), (c, d, b)), strict=True)
    )


def _between(a: Point, b: Point, p: Point) -> bool:
    return min(a[0], b[0]) <= p[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= p[1] <= max(a[1], b[1])


def box_mistakes(box: tuple[int, int, int, int]) -> list[str]:
    """Return what is wrong with a box x1, y1, x2, y2."""
    x1, y1, x2, y2 = box
    if x2 > x1 and y2 > y1:
        return []
    return ["is empty; allowed: [x1, y1, x2, y2] with x2 > x1 and y2 > y1"]


def plumb_mistakes(points: Points) -> list[str]:
    """Return what is wrong with three or more points of a straight thing, which a lens may have bent."""
    twice = [
        f"has the same point twice, {i + 1} and {j + 1}; allowed: each point once"
        for i, j in combinations(range(len(points)), 2)
        if points[i] == points[j]
    ]
    a, b = points[0], points[-1]
    length = math.dist(a, b)
    if twice or length < PLUMB_LENGTH_PX:
        return twice or [f"is {length:.0f} px long from end to end; allowed: {PLUMB_LENGTH_PX:g} px or more"]
    off = [abs(triangle_area(a, b, point)) / length for point in points]
    if max(off) > PLUMB_BOW * length:
        worst = off.index(max(off)) + 1
        return [
            f"is not straight: point {worst} is {max(off):.0f} px off the line between its ends; allowed: "
            f"{PLUMB_BOW:g} of its length (give the points in order along it)"
        ]
    return []


def points_mistakes(points: Points) -> list[str]:
    """Return what is wrong with ground points of one side (picture or road): a point twice, too many on one line."""
    twice = [
        f"has the same point twice, {i + 1} and {j + 1}; allowed: each point once"
        for i, j in combinations(range(len(points)), 2)
        if points[i] == points[j]
    ]
    if twice or len(points) < 4:
        return twice
    worst: tuple[int, ...] = ()
    for i, j in combinations(range(len(points)), 2):
        on_line = tuple(k for k in range(len(points)) if k in (i, j) or collinear(points[i], points[j], points[k]))
        worst = max(worst, on_line, key=len)
    if len(worst) < len(points) - 1:
        return []
    who = "all points" if len(worst) == len(points) else "points " + ", ".join(str(k + 1) for k in worst)
    return [f"is degenerate: {who} are collinear; allowed: 4 or more points, no three of four on one line"]


def pairing_mistakes(image_px: Points, plane_m: Points) -> list[str]:
    """Return what is wrong with the pairing of picture and road points: mirrored, or in another order.

    A camera above the road keeps the turning sense of every three points, seen with y up; the picture's y is down.
    """
    signs = _senses(image_px, plane_m)
    if signs <= {-1}:
        return []
    if signs == {1}:
        return [
            "is a mirror image of image_px; allowed: x to the right and y away from the camera, or any turn of that "
            "seen from above (east and north): check the order of the points or negate y"
        ]
    fitting = [
        f"{i + 1} and {j + 1}"
        for i, j in combinations(range(len(plane_m) if len(plane_m) <= 10 else 0), 2)
        if _senses(image_px, _swapped(plane_m, i, j)) == {-1}
    ]
    hint = f"; it would fit with points {' or '.join(fitting)} swapped" if 0 < len(fitting) <= 2 else ""
    return [f"does not go with image_px: the points are in another order or one is far off{hint}"]


def _senses(image_px: Points, plane_m: Points) -> set[int]:
    """Return the products of turning senses over all threes that are not nearly collinear."""
    found = set()
    for i, j, k in combinations(range(len(image_px)), 3):
        image, plane = (image_px[i], image_px[j], image_px[k]), (plane_m[i], plane_m[j], plane_m[k])
        if not (collinear(*image, flattest=0.02) or collinear(*plane, flattest=0.02)):
            found.add(1 if (triangle_area(*image) > 0) == (triangle_area(*plane) > 0) else -1)
    return found


def _swapped(points: Points, i: int, j: int) -> list[Point]:
    swapped = list(points)
    swapped[i], swapped[j] = points[j], points[i]
    return swapped
