"""Alarm of a lane or zone whose traffic is slow and dense, and say when it flows again."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.flow import flow_sums
from kernels.guards import judgement_of
from kernels.jam import ENDS, JAM, STAYS_SO, jam_reset, jam_step
from kernels.records import BEGIN, CALIBRATION, END, NO_REASON, event_dtype
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask
from kernels.zones import PLACE_ROW, place_rows

Kmh = Annotated[float, msgspec.Meta(gt=0.0, le=200.0)]


class Config(RuleConfig, kw_only=True, frozen=True):
    """Slower than `slow_kmh` and denser than `occupancy` for `held_s`, over a window of `window_s`, in each place.

    Occupancy is a share of the length of a lane that can be seen, or of the time in which a zone is covered. It ends
    over `clear_kmh`, or empty, for `clear_s`. Time in which `signal` stops its traffic, and `release_s` after, counts
    for neither; without a signal's state a `window_s` as long as its cycle does the same.
    """

    lanes: Annotated[tuple[str, ...], msgspec.Meta(max_length=32)]  # may be none where there are zones
    zones: Annotated[tuple[str, ...], msgspec.Meta(max_length=32)] = ()
    classes: tuple[ClassName, ...] = ("car", "bus", "truck", "motorcycle")
    signal: str | None = None
    slow_kmh: Kmh = 20.0
    clear_kmh: Kmh = 40.0
    occupancy: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] = 0.35
    held_s: Annotated[float, msgspec.Meta(ge=0.0, le=3600.0)] = 30.0
    clear_s: Annotated[float, msgspec.Meta(ge=0.0, le=3600.0)] = 60.0
    window_s: Annotated[float, msgspec.Meta(ge=1.0, le=600.0)] = 10.0
    release_s: Annotated[float, msgspec.Meta(ge=0.0, le=120.0)] = 10.0
    ground_error_max_m: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 2.0

    def __post_init__(self) -> None:
        """Refuse to watch nothing, and an end that is below the beginning."""
        if not self.lanes and not self.zones:
            raise ValueError("names no place; allowed: at least one of lanes, zones")
        if self.clear_kmh < self.slow_kmh:
            raise ValueError(f"has clear_kmh {self.clear_kmh:g}; allowed: slow_kmh ({self.slow_kmh:g}) or more")


EVENT = event_dtype(
    ("held_s", "<f4"),  # from when it began to be slow and dense until `time_s`
    ("flowed_s", "<f4"),  # the last part of that, in which it flows again; 0 at the beginning
    ("speed_mps", "<f4"),  # Edie's, over the window; NaN with none there
    ("margin_mps", "<f4"),  # below slow_kmh, at the end over clear_kmh
    ("occupancy", "<f4"),
    ("vehicles", "<f4"),  # there at once, on average
    ("lane", "<i2"),
    ("zone", "<i2"),
    ("phase", "<u1"),
    ("truncated", "<u1"),  # the stream ended before it did
    ("judgement", "<u1"),
    ("reason", "<u1"),
)

LIMITS = ("occupancy", "held_s", "clear_s", "window_s", "release_s")
SETTINGS = np.dtype(
    [
        *((name, PLACE_ROW[name]) for name in PLACE_ROW.names or ()),
        ("length_m", "<f8"),
        ("from_m", "<f8"),
        ("to_road", "<f8", (3, 3)),
        ("signal", "<i2"),
        ("classes", "<u4"),
        ("reason", "<u1"),
        ("slow_mps", "<f8"),
        ("clear_mps", "<f8"),
        *((name, "<f8") for name in LIMITS),
    ]
)


def prepare(config, scene):
    """Return a settings row for each place, lanes with their length along the flow, and their windows."""
    places = place_rows(scene, config.zones, config.lanes)
    settings = np.zeros(len(places), SETTINGS)
    for name in PLACE_ROW.names or ():
        settings[name] = places[name]
    for row in settings:
        zone = row["zone"]
        along = zone["m"][: zone["n"]] @ np.array([zone["flow_x_m"], zone["flow_y_m"]])
        row["length_m"], row["from_m"] = np.ptp(along) if row["lane_index"] >= 0 else math.nan, along.min()
        row["to_road"] = scene.to_road
    settings["signal"] = -1 if config.signal is None else scene.signal_names.index(config.signal)
    settings["classes"] = class_mask(config.classes)
    settings["reason"] = NO_REASON if scene.ground_error_m <= config.ground_error_max_m else CALIBRATION
    settings["slow_mps"], settings["clear_mps"] = config.slow_kmh / 3.6, config.clear_kmh / 3.6
    for name in LIMITS:
        settings[name] = getattr(config, name)
    return Prepared(settings, np.zeros(len(places), JAM))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each place that has become congested and each that flows again; return how many."""
    n = 0
    for k in range(len(settings)):
        s, own = settings[k], state[k]
        found = jam_step(s, own, tracks, clock, signals)
        if found != STAYS_SO:
            event, now = out[n], clock["time_s"]
            n += 1
            speed, occupancy, vehicles, _, _ = flow_sums(own["flow"])
            ends, cut = found == ENDS, clock["last"] != 0
            event["time_s"], event["track_id"], event["score"], event["class_id"] = now, 0, 0.0, 0
            event["held_s"] = now - own["since_s"]
            event["flowed_s"] = now - own["turn_s"] if ends and not cut else 0.0
            event["speed_mps"], event["occupancy"], event["vehicles"] = speed, occupancy, vehicles
            event["margin_mps"] = speed - s["clear_mps"] if ends else s["slow_mps"] - speed
            event["lane"], event["zone"] = s["lane_index"], s["zone_index"]
            event["phase"], event["truncated"] = END if ends else BEGIN, cut
            event["judgement"], event["reason"] = judgement_of(own["reason"]), own["reason"]
            own["reported"] = 0 if ends else 1
        if clock["last"] != 0:
            jam_reset(own)
    return n


RULE = Rule(
    type="congestion",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"lane": "lane", "zone": "zone", "phase": "phase", "judgement": "judgement", "reason": "reason"},
    references={"lanes": "lane", "zones": "zone", "signal": "signal"},
    needs_ground=True,
)
