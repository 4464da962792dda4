"""Tables of queues, delay and saturation flow.

| measure            | definition                                                                                      |
|--------------------|-------------------------------------------------------------------------------------------------|
| control delay      | travel time through the stretch - L / v_free; v_free: 85th percentile of those that never stood |
| level of service   | of the mean control delay (HCM): 10, 20, 35, 55, 80 s at signals, 10, 15, 25, 35, 50 s without  |
| saturation flow    | 3600 / h, h = (t_n - t_4) / (n - 4) of the n >= 8 vehicles that queued at the start of green    |
| start-up lost time | sum of (h_i - h) of the first four; h_1 from the start of green                                 |
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from vision.record.formats.grid import Grid, mean, percentile
from vision.record.formats.measures_flow import KMH, place_of
from vision.record.formats.request import Request
from vision.record.formats.tables import Row, Table

LOS_SIGNAL_S = (10.0, 20.0, 35.0, 55.0, 80.0)
LOS_PLAIN_S = (10.0, 15.0, 25.0, 35.0, 50.0)
LOS_NAME = "LOS (from measured control delay)"
#: Fewer vehicles that never stood than this tell no free speed.
FREE_LEAST = 10
#: Who went less than this share of the stretch came or left at its side: a lane change is no passage.
WHOLE_SHARE = 0.9
#: Fewer queued vehicles than this tell no saturation flow; its headways begin after the fourth.
QUEUED_LEAST, STARTING = 8, 4
#: An event of the same start of green from another rule lies within this.
_SAME_S = 1.0


def queues(request: Request, grid: Grid) -> Table:
    """Return the most and the mean of each queue; `truncated`: it reached the edge of view, so these are the least."""
    rows: list[Row] = []
    for part in request.of_type("queue"):
        name, _ = place_of(request, part)
        told = part.rows[part.rows["moment"] == request.names(part.entry, "moment").index("interval")]
        length_s = told["interval_s"].astype(np.float64)
        shared = grid.overlap_s(told["time_s"] - length_s, told["time_s"])
        seen_s = shared * (told["observed_s"] / np.maximum(length_s, 1e-9))[:, None]
        average = np.nan_to_num(told["mean_vehicles"].astype(np.float64)) @ seen_s
        values = []
        for k in range(len(grid)):
            # One that goes over the edge of an interval tells the most of both.
            here = told[(shared[:, k] > 1e-6) & (told["observed_s"] > 0.0)]
            total_s = float(seen_s[:, k].sum())
            values.append(
                {
                    "n": len(here),
                    "vehicles_max": int(here["vehicles_max"].max()) if len(here) else None,
                    "back_max_m": float(here["back_max_m"].max()) if len(here) else None,
                    "vehicles_mean": float(average[k]) / total_s if total_s > 0.0 else None,
                    "truncated": bool(here["truncated"].any()) if len(here) else None,
                }
            )
        rows += grid.rows({"rule": part.entry.name, "place": name}, values)
    return Table("queues", rows)


def queue_cycles(request: Request, grid: Grid) -> Table:
    """Return the queue of each cycle: at the start of green, its most since the red before, what the next red left."""
    rows: list[Row] = []
    for part in request.of_type("queue"):
        name, _ = place_of(request, part)
        moments = request.names(part.entry, "moment")
        told = part.rows[part.rows["moment"] != moments.index("interval")]
        reds = told[told["moment"] == moments.index("red")]
        for green in told[told["moment"] == moments.index("green")]:
            after = reds[(reds["time_s"] > green["time_s"]) & (reds["epoch"] == green["epoch"])][:1]
            rows.append(
                {
                    "green_utc": grid.instant(float(green["time_s"])),
                    "green_s": float(green["time_s"]),
                    "red_s": float(after["time_s"][0]) if len(after) else None,
                    "rule": part.entry.name,
                    "place": name,
                    "vehicles_at_green": int(green["vehicles"]),
                    "back_at_green_m": float(green["back_m"]),
                    "vehicles_max": int(after["vehicles_max"][0]) if len(after) else None,
                    "back_max_m": float(after["back_max_m"][0]) if len(after) else None,
                    "residual_vehicles": int(after["vehicles"][0]) if len(after) else None,
                    "residual_m": float(after["back_m"][0]) if len(after) else None,
                    "truncated": bool(max([int(green["truncated"]), *after["truncated"].tolist()])),
                }
            )
    return Table("queue_cycles", rows)


class Passage(NamedTuple):
    """A vehicle's way through a stretch: when it came, how long and far it was inside, stops, cut at an end or not."""

    entry_s: float
    travel_s: float
    distance_m: float
    stop_s: float
    stops: int
    truncated: bool


def passages(pieces: np.ndarray) -> list[Passage]:
    """Return the passages that pieces make up; one of which not all are there is truncated."""
    whole: dict[tuple[int, int, float], list[np.void]] = defaultdict(list)
    for piece in pieces:
        whole[int(piece["epoch"]), int(piece["track_id"]), float(piece["entry_s"])].append(piece)
    return [
        Passage(
            entry_s,
            sum(float(piece["inside_s"]) for piece in parts),
            abs(sum(float(piece["distance_m"]) for piece in parts)),
            sum(float(piece["stop_s"]) for piece in parts),
            sum(int(piece["stops"]) for piece in parts),
            any(piece["truncated"] for piece in parts)
            or not any(piece["begins"] for piece in parts)
            or not any(piece["ends"] for piece in parts),
        )
        for (_, _, entry_s), parts in whole.items()
    ]


def delays(request: Request, grid: Grid) -> Table:
    """Return travel time, stops, control delay and level of service of those that came in an interval."""
    rows: list[Row] = []
    for part in request.of_type("section"):
        name, length_m = place_of(request, part)
        all_of_it = passages(part.rows)
        free_kmh = request.options.free_kmh.get(part.entry.name)
        if free_kmh is None:
            unimpeded = [one for one in all_of_it if not one.truncated and one.stop_s == 0.0 and one.travel_s > 0.0]
            speeds = np.array([KMH * one.distance_m / one.travel_s for one in unimpeded])
            free_kmh = percentile(speeds, 85, FREE_LEAST)
        place = grid.bins.place(np.array([one.entry_s for one in all_of_it]))
        limits = LOS_PLAIN_S if part.entry.name in request.options.unsignalised else LOS_SIGNAL_S
        values = []
        for k in range(len(grid)):
            here = [one for one, at in zip(all_of_it, place.tolist(), strict=True) if at == k]
            values.append(_delay(here, length_m, free_kmh, limits))
        keys = {"rule": part.entry.name, "place": name, "stretch_m": length_m, "free_kmh": free_kmh}
        rows += grid.rows(keys, values)
    return Table("delays", rows)


def _delay(here: list[Passage], length_m: float | None, free_kmh: float | None, limits: tuple[float, ...]) -> Row:
    least_m = 0.0 if length_m is None else WHOLE_SHARE * length_m
    through = [one for one in here if not one.truncated and one.distance_m >= least_m]
    travel_s = np.array([one.travel_s for one in through])
    free_s = KMH * length_m / free_kmh if length_m is not None and free_kmh else None
    delay_s = float(travel_s.mean()) - free_s if len(through) and free_s is not None else None
    return {
        "n": len(through),
        "n_truncated": len(here) - len(through),
        "travel_mean_s": mean(travel_s),
        "travel_p50_s": percentile(travel_s, 50),
        "travel_p85_s": percentile(travel_s, 85),
        "travel_time_index": None if not free_s or not len(through) else float(travel_s.mean()) / free_s,
        "stops_mean": mean(np.array([float(one.stops) for one in through])),
        "stopped_percent": 100.0 * sum(one.stops > 0 for one in through) / len(through) if through else None,
        "stop_delay_mean_s": mean(np.array([one.stop_s for one in through])),
        "control_delay_mean_s": delay_s,
        LOS_NAME: None if delay_s is None else "ABCDEF"[sum(delay_s > limit for limit in limits)],
    }


def saturation(request: Request, grid: Grid) -> Table:
    """Return saturation flow and start-up lost time of each lane and cycle with enough queued vehicles.

    The vehicles are those of a `spot` rule at the queue's line, in the queue's lane where the spot tells lanes; they
    queued if the `queue` rule had so many at the start of green. A cycle in which not all of them went over the line
    before the next red is left out. Whether the road ahead was blocked is not known.
    """
    rows: list[Row] = []
    spots_found = [(part, request.config(part.rule)) for part in request.of_type("spot")]
    for part in request.of_type("queue"):
        config, moments = request.config(part.rule), request.names(part.entry, "moment")
        name, _ = place_of(request, part)
        same = [(spot, own) for spot, own in spots_found if own.get("line") == config.get("line")]
        for spot, own in same[:1]:
            passed = spot.rows
            if own.get("lanes"):
                lanes = request.names(spot.entry, "lane")
                passed = passed[passed["lane"] == (lanes.index(name) if name in lanes else -2)]
            reds = part.rows[part.rows["moment"] == moments.index("red")]
            for green in part.rows[part.rows["moment"] == moments.index("green")]:
                after = reds["time_s"][(reds["time_s"] > green["time_s"]) & (reds["epoch"] == green["epoch"])]
                until_s = float(after.min()) if len(after) else np.inf
                of_cycle = (passed["time_s"] > green["time_s"]) & (passed["time_s"] <= until_s)
                times = np.sort(passed["time_s"][of_cycle & (passed["epoch"] == green["epoch"])])
                found = saturation_of(float(green["time_s"]), times, int(green["vehicles"]))
                if found is not None:
                    head = {"green_utc": grid.instant(float(green["time_s"])), "green_s": float(green["time_s"])}
                    rows.append({**head, "rule": part.entry.name, "place": name, **found})
    return Table("saturation", rows)


def saturation_of(green_s: float, times_s: np.ndarray, queued: int) -> Row | None:
    """Return the saturation flow of the `queued` first of the vehicles that crossed after the start of green."""
    if queued < QUEUED_LEAST or len(times_s) < queued:
        return None
    headway_s = float(times_s[queued - 1] - times_s[STARTING - 1]) / (queued - STARTING)
    starting = np.diff(np.concatenate([[green_s], times_s[:STARTING]]))
    return {
        "n_queued": queued,
        "headway_s": headway_s,
        "saturation_veh_per_h": 3600.0 / headway_s if headway_s > 0.0 else None,
        "lost_time_s": float((starting - headway_s).sum()),
    }
