"""Follow each vehicle through a stretch of road: time and distance inside, stops and delay, by interval."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.geometry import inside_zone_m
from kernels.records import ENDED, MAX_TRACKS, ZONE, event_dtype
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask
from kernels.stretch import RUN, piece_event, run_enter, run_reset, run_speed_mps, run_stand, stretch_axis, zone_part
from kernels.watch import WATCH, interval_end, watch_frame


class Config(RuleConfig, kw_only=True, frozen=True):
    """A `lane` or a `zone`. A vehicle stands from below `halt_kmh` until over `go_kmh`.

    Distances are along the lane's flow, of a zone along its longer side. `length_m`: how long the stretch is, where the
    outline does not tell (it is bent).
    """

    lane: str | None = None
    zone: str | None = None
    classes: tuple[ClassName, ...] = ("car", "bus", "truck", "motorcycle")
    interval_s: Annotated[float, msgspec.Meta(ge=1.0, le=3600.0)] = 60.0
    halt_kmh: Annotated[float, msgspec.Meta(ge=0.0, le=50.0)] = 5.0
    go_kmh: Annotated[float, msgspec.Meta(ge=0.0, le=50.0)] = 10.0
    length_m: Annotated[float, msgspec.Meta(gt=0.0, le=10_000.0)] | None = None

    def __post_init__(self) -> None:
        """Refuse two places or none, and a threshold to go below the one to halt."""
        if (self.lane is None) == (self.zone is None):
            raise ValueError("has both lane and zone, or neither; allowed: one of them")
        if self.go_kmh < self.halt_kmh:
            raise ValueError(f"has go_kmh = {self.go_kmh:g} below halt_kmh = {self.halt_kmh:g}; allowed: at least that")


# A passage is one or more pieces: one ends at each multiple of interval_s, the last at the exit; `time_s` is its end.
EVENT = event_dtype(
    ("entry_s", "<f8"),  # when the passage began: with the track id its name
    ("distance_m", "<f4"),
    ("inside_s", "<f4"),
    ("stop_s", "<f4"),  # slower than halt_kmh
    ("stops", "<u2"),
    ("lane", "<i2"),
    ("zone", "<i2"),
    ("begins", "<u1"),
    ("ends", "<u1"),
    ("truncated", "<u1"),  # 1: it was inside when first seen, 2: when last seen
    ("reason", "<u1"),
)

LIMITS = ("interval_s", "halt_mps", "go_mps", "along_x", "along_y")
SETTINGS = np.dtype(
    [("place", ZONE), ("lane", "<i2"), ("zone", "<i2"), ("classes", "<u4"), *((name, "<f8") for name in LIMITS)]
)
STATE = np.dtype([("run", RUN, (MAX_TRACKS,)), ("watch", WATCH)])


def prepare(config, scene):
    """Return the stretch with the direction along it, and a passage for each track slot that has not begun."""
    settings = np.zeros(1, SETTINGS)
    settings["lane"], settings["zone"] = -1, -1
    if config.lane is not None:
        settings["lane"] = scene.lane_names.index(config.lane)
        settings["place"] = scene.lane_rows[settings["lane"][0]]
    else:
        settings["zone"] = scene.zone_names.index(config.zone)
        settings["place"] = scene.zone_rows[settings["zone"][0]]
    settings["along_x"], settings["along_y"] = stretch_axis(settings["place"][0])
    settings["classes"], settings["interval_s"] = class_mask(config.classes), config.interval_s
    settings["halt_mps"], settings["go_mps"] = config.halt_kmh / 3.6, config.go_kmh / 3.6
    return Prepared(settings, np.zeros(1, STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each piece of a passage that has ended by now; return how many."""
    s, watch, n = settings[0], state[0]["watch"], 0
    place, broken = s["place"], clock["suspended"]
    if clock["last"] == 0:
        watch_frame(watch, clock, 3600.0)
    for i in range(len(tracks)):
        track = tracks[i]
        run = state[0]["run"][track["slot"]]
        if run["track_id"] != track["id"]:
            run["track_id"] = track["id"]
            run_reset(run)
        x_m, y_m = float(track["front_x_m"]), float(track["front_y_m"])
        ended, known = track["flags"] & ENDED != 0, x_m == x_m and y_m == y_m
        wanted = run["inside"] != 0 or (s["classes"] >> track["class_id"]) & 1 != 0
        if not wanted or not (known or ended):
            continue
        time_s, before_s, along_m = track["time_s"], run["time_s"], x_m * s["along_x"] + y_m * s["along_y"]
        if ended or broken != 0 or watch["gap"] != 0:
            # It is not seen to leave: the passage ends where it was seen last.
            if run["inside"] != 0 and n < len(out):
                run["truncated"] |= 2
                piece_event(run, out[n], track, run["time_s"], run["along_m"])
                out[n]["ends"], out[n]["reason"] = 1, broken
                n += 1
            run_reset(run)
            if ended or broken != 0:
                continue
        inside = inside_zone_m(place, x_m, y_m)
        from_s, until_s, edge_m = before_s, time_s, along_m
        if run["known"] != 0 and inside != (run["inside"] != 0):
            part = zone_part(place, run["x_m"], run["y_m"], x_m, y_m)
            edge_s = before_s + part * (time_s - before_s)
            edge_m = run["along_m"] + part * (along_m - run["along_m"])
            from_s, until_s = (edge_s, time_s) if inside else (before_s, edge_s)
        if inside and run["inside"] == 0:
            from_s = from_s if run["known"] != 0 else time_s
            run_enter(run, from_s, edge_m, run["known"] == 0)
        if run["inside"] != 0:
            speed_mps = run_speed_mps(run, track, x_m, y_m)
            end_s = interval_end(from_s, s["interval_s"])
            while end_s <= until_s and n < len(out) - 1:
                run_stand(run, speed_mps, end_s - from_s, s["halt_mps"], s["go_mps"])
                share = (end_s - before_s) / (time_s - before_s)
                piece_event(run, out[n], track, end_s, run["along_m"] + share * (along_m - run["along_m"]))
                from_s, end_s, n = end_s, end_s + s["interval_s"], n + 1
            run_stand(run, speed_mps, until_s - from_s, s["halt_mps"], s["go_mps"])
            if not inside and n < len(out):
                piece_event(run, out[n], track, until_s, edge_m)
                out[n]["ends"], run["inside"], n = 1, 0, n + 1
        run["known"], run["time_s"], run["along_m"], run["x_m"], run["y_m"] = 1, time_s, along_m, x_m, y_m
    for k in range(n):
        out[k]["lane"], out[k]["zone"] = s["lane"], s["zone"]
    watch["runs"] = watch["runs"] if clock["last"] == 0 else 0
    return n


RULE = Rule(
    type="section",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"lane": "lane", "zone": "zone", "reason": "reason"},
    references={"lane": "lane", "zone": "zone"},
    needs_ground=True,
)
