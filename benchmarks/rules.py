"""What does each rule cost a frame with 50 tracks?

The rows are those of the tracker with a ground, 50 road users in steady motion on 1920x1080 px. Each rule has one line,
zone, lane or signal in the middle of the picture; the signal is green throughout. The eight seconds of rows go round,
each time from a fresh state.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks._bench import ROUNDS, Figure, contest, microseconds, outcome
from benchmarks._made import FPS, HEIGHT_PX, WIDTH_PX, traffic
from benchmarks.track import TO_ROAD, update
from kernels.judge import Judge
from kernels.records import CLOCK, GREEN, LINE, SIGNAL, ZONE
from kernels.rule import Rule
from kernels.rules import REGISTRY
from kernels.warm import example_config
from vision.ground import transform

OBJECTS, FRAMES = 50, 200


def rows_of_traffic(objects: int = OBJECTS) -> list[np.ndarray]:
    """Return TRACK rows of FRAMES frames, after a second that settles the tracks."""
    step = update(traffic(objects), TO_ROAD)
    return [step().copy() for _ in range(25 + FRAMES)][25:]


def scene() -> Any:
    """Return a scene with one of each thing, called `a`."""
    from_road = np.linalg.inv(TO_ROAD)
    lines, zones = np.zeros(1, LINE), np.zeros(1, ZONE)
    ends, corners = np.array([[300.0, 600.0], [1600.0, 620.0]]), np.array(
        [[500.0, 400.0], [1400.0, 400.0], [1500.0, 900.0], [400.0, 900.0]])  # fmt: skip
    for unit, points in (("px", ends), ("m", transform(TO_ROAD, ends))):
        for end, point in zip("12", points, strict=True):
            lines[f"x{end}_{unit}"], lines[f"y{end}_{unit}"] = point
    lines["ny"], lines["ny_m"], lines["has_flow"] = 1.0, 1.0, 1
    zones["px"][0, :4], zones["m"][0, :4], zones["n"] = corners, transform(TO_ROAD, corners), 4
    zones["flow_y"], zones["flow_y_m"] = 1.0, 1.0
    return SimpleNamespace(
        camera="c", width_px=WIDTH_PX, height_px=HEIGHT_PX, line_names=("a",), zone_names=("a",), lane_names=("a",),
        approach_names=("a",), signal_names=("a",), lines=lines, zone_rows=zones, lane_rows=zones,
        flows=np.array([[[900.0, 400.0], [900.0, 900.0]]]), to_road=TO_ROAD, from_road=from_road,
        ground_error_m=0.1, scale_sd=0.01,
    )  # fmt: skip


def judging(rule: Rule, rows: Sequence[np.ndarray]) -> Callable[[], int]:
    """Return one step of a rule, the next frame at each call."""
    prepared = rule.prepare(example_config(rule), scene())
    fresh = prepared.state.copy()
    court = Judge([rule], [prepared])
    clock, signals = np.zeros(1, CLOCK), np.zeros(1, SIGNAL)
    order = itertools.cycle([(now, float(now["time_s"].max())) for now in rows])
    signals["state"], signals["since_s"], signals["prev_since_s"], signals["red_since_s"] = GREEN, 0.0, -30.0, -30.0
    clock["dt_s"] = 1.0 / FPS

    def step() -> int:
        now, time_s = next(order)
        if now is rows[0]:  # a new lap: the stream began anew
            prepared.state[...] = fresh
        clock["time_s"] = time_s
        return court.step(now, clock, signals)

    return step


def calls() -> dict[str, Callable[[], object]]:
    """Return a step of each rule."""
    rows = rows_of_traffic()
    return {rule.type: judging(rule, rows) for rule in REGISTRY.values()}


def run(rounds: int = ROUNDS) -> dict[str, Any]:
    """Print what each rule costs a frame."""
    spent = contest(calls(), rounds)
    figures = {name: microseconds(timing) for name, timing in spent.items()}
    total = sum(timing.us for timing in spent.values())
    figures["all rules once"] = Figure(total, "us", len(spent))
    return outcome("rules", figures, tracks=OBJECTS)
