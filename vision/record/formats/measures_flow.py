"""Tables of flow: headways and speeds at lines, Edie's flow, density and speed of stretches, occupancy of zones.

| measure                 | definition                                                                         |
|-------------------------|------------------------------------------------------------------------------------|
| time-mean speed         | sum v / n; of vehicles that moved over the line                                    |
| harmonic speed          | n / sum(1 / v), the space-mean speed of point data (Wardrop 1952)                  |
| Edie (1963)             | q = sum d / (L T), k = sum t / (L T), v = sum d / sum t; T is the time observed    |
| occupancy               | on-time / time observed                                                            |
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vision.record.formats.grid import Grid, mean, percentile
from vision.record.formats.request import Request, RuleEvents
from vision.record.formats.tables import Row, Table

#: A vehicle slower than this stands on the line: a point has no speed of it.
STANDS_MPS = 1.0 / 3.6
#: Fewer speeds than this have no 85th percentile that could be quoted.
V85_LEAST = 30
KMH = 3.6


def spots(request: Request, grid: Grid) -> Table:
    """Return flow, headway, gap and speed at each line, by lane and direction and of all lanes together."""
    rows: list[Row] = []
    for part in request.of_type("spot"):
        lines, lanes = request.names(part.entry, "line"), request.names(part.entry, "lane")
        directions = request.names(part.entry, "direction")
        config = request.config(part.rule)
        asked = [lanes.index(name) for name in config.get("lanes") or () if name in lanes]
        line = config.get("line") or (lines[part.rows["line"][0]] if len(part.rows) else None)
        for direction in np.unique(part.rows["direction"]).tolist() or [0]:
            of_way = part.rows[part.rows["direction"] == direction]
            seen = [lane for lane in np.unique(of_way["lane"]).tolist() if lane not in asked]
            for lane in [*asked, *(seen if asked else ()), None]:
                chosen = of_way if lane is None else of_way[of_way["lane"] == lane]
                name = "all" if lane is None else lanes[lane] if lane >= 0 else None
                keys = {"rule": part.entry.name, "line": line, "lane": name, "direction": directions[direction]}
                place = grid.bins.place(chosen["time_s"])
                n = grid.count(chosen["time_s"])
                flows = grid.hourly(n)
                rows += grid.rows(keys, [_spot(chosen[place == k], flows[k]) for k in range(len(grid))])
    return Table("spots", rows)


def _spot(passed: np.ndarray, flow: float | None) -> Row:
    speed = passed["speed_mps"].astype(np.float64) * KMH
    speed = speed[speed > STANDS_MPS * KMH]  # False for NaN
    harmonic = len(speed) / float((1.0 / speed).sum()) if len(speed) else None
    return {
        "n": len(passed),
        "flow_veh_per_h": flow,
        "n_headways": int(np.isfinite(passed["headway_s"]).sum()),
        "headway_mean_s": mean(passed["headway_s"]),
        "gap_mean_s": mean(passed["gap_s"]),
        "n_speeds": len(speed),
        "time_mean_speed_kmh": mean(speed),
        "harmonic_speed_kmh": harmonic,
        "v50_kmh": percentile(speed, 50),
        "v85_kmh": percentile(speed, 85, V85_LEAST),
        "density_veh_per_km": None if flow is None or harmonic is None else flow / harmonic,
        "length_mean_m": mean(passed["length_m"]),
    }


def stretches(request: Request, grid: Grid) -> Table:
    """Return Edie's flow, density and speed of each stretch of road, of the distance and time inside it."""
    rows: list[Row] = []
    for part in request.of_type("section"):
        name, length_m = place_of(request, part)
        pieces = part.rows
        inside_s = pieces["inside_s"].astype(np.float64)
        shared = grid.overlap_s(pieces["time_s"] - inside_s, pieces["time_s"])
        share = shared / np.maximum(inside_s, 1e-9)[:, None]
        way_m = np.abs(pieces["distance_m"].astype(np.float64)) @ share
        time_s, stop_s = shared.sum(0), pieces["stop_s"].astype(np.float64) @ share
        vehicles = (shared > 0.0).sum(0)
        values = [
            _edie(float(d), float(t), float(stop), int(n), length_m, observed_s)
            for d, t, stop, n, observed_s in zip(way_m, time_s, stop_s, vehicles, grid.observed_s.tolist(), strict=True)
        ]
        rows += grid.rows({"rule": part.entry.name, "place": name, "stretch_m": length_m}, values)
    return Table("stretches", rows)


def _edie(way_m: float, time_s: float, stop_s: float, n: int, length_m: float | None, observed_s: float) -> Row:
    region = (length_m or 0.0) * observed_s
    return {
        "n_pieces": n,
        "distance_m": way_m,
        "time_s": time_s,
        "flow_veh_per_h": 3600.0 * way_m / region if region > 0.0 else None,
        "density_veh_per_km": 1000.0 * time_s / region if region > 0.0 else None,
        "speed_kmh": KMH * way_m / time_s if time_s > 0.0 else None,
        "stop_s": stop_s,
    }


def place_of(request: Request, part: RuleEvents) -> tuple[str | None, float | None]:
    """Return the name of the stretch that a rule watches and its length in m, as the site or the geometry has it."""
    config = request.config(part.rule)
    for key, kind in (("lane", "lanes"), ("zone", "zones")):
        name = config.get(key)
        if name is not None:
            found: Iterable[Row] = request.geometry.get(kind) or ()
            length_m = next((place.get("length_m") for place in found if place["name"] == name), None)
            return name, config.get("length_m") or length_m
    return None, config.get("length_m")


def occupancies(request: Request, grid: Grid) -> Table:
    """Return how long each zone was occupied, by how many vehicles, as a share of the time observed."""
    rows: list[Row] = []
    for part in request.of_type("presence"):
        zones = request.names(part.entry, "zone")
        watched = request.config(part.rule).get("zone")
        seen = {zones[index] for index in np.unique(part.rows["zone"]).tolist()}
        for zone in sorted(seen | ({watched} if watched in zones else set())):
            events = part.rows[part.rows["zone"] == zones.index(zone)]
            off = events[events["on"] == 0]
            begin_s, end_s = off["time_s"] - off["held_s"].astype(np.float64), off["time_s"]
            on_s, begun = grid.overlap_s(begin_s, end_s).sum(0), grid.count(begin_s)
            vehicles = np.bincount(
                np.maximum(grid.bins.place(begin_s), 0), off["vehicles"] * (grid.bins.place(begin_s) >= 0), len(grid)
            )
            values = [
                {
                    "n": n,
                    "vehicles": int(users),
                    "on_s": float(on),
                    "occupancy_percent": 100.0 * float(on) / observed_s if observed_s > 0.0 else None,
                }
                for n, users, on, observed_s in zip(begun, vehicles, on_s, grid.observed_s.tolist(), strict=True)
            ]
            rows += grid.rows({"rule": part.entry.name, "zone": zone}, values)
    return Table("occupancies", rows)
