"""Measure the queue before a stop line: vehicles and metres, by interval, at the start of green and of red."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.queues import QUEUE, member_step, queue_begin, queue_clear, queue_cycle, queue_event, queue_sum
from kernels.records import AT_GREEN, AT_INTERVAL, AT_RED, GREEN, LINE, STREAM_GAP, UNKNOWN, ZONE, event_dtype
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask
from kernels.signals import stops_traffic
from kernels.watch import WATCH, watch_begin, watch_frame, watch_pass, watch_reset


class Config(RuleConfig, kw_only=True, frozen=True):
    """A `lane` or a `zone` upstream of the stop `line`, which has a flow. `signal`: cycles are told too.

    A vehicle queues from a second below `halt_kmh` until over `go_kmh`.
    """

    line: str
    lane: str | None = None
    zone: str | None = None
    signal: str | None = None
    classes: tuple[ClassName, ...] = ("car", "bus", "truck", "motorcycle")
    interval_s: Annotated[float, msgspec.Meta(ge=1.0, le=3600.0)] = 60.0
    halt_kmh: Annotated[float, msgspec.Meta(ge=0.0, le=50.0)] = 5.0
    go_kmh: Annotated[float, msgspec.Meta(ge=0.0, le=50.0)] = 10.0

    def __post_init__(self) -> None:
        """Refuse two places or none, and a threshold to go below the one to halt."""
        if (self.lane is None) == (self.zone is None):
            raise ValueError("has both lane and zone, or neither; allowed: one of them")
        if self.go_kmh < self.halt_kmh:
            raise ValueError(f"has go_kmh = {self.go_kmh:g} below halt_kmh = {self.halt_kmh:g}; allowed: at least that")


# `*_max*`: in the interval, at green and red since the red before. NaN: the first three at green and red, mean_vehicles
# where nothing was observed.
EVENT = event_dtype(
    ("interval_s", "<f4"),
    ("observed_s", "<f4"),
    ("mean_vehicles", "<f4"),
    ("back_m", "<f4"),  # from the line to the rear of the last
    ("back_max_m", "<f4"),
    ("vehicles", "<u2"),
    ("vehicles_max", "<u2"),
    ("lane", "<i2"),
    ("zone", "<i2"),
    ("moment", "<u1"),
    ("truncated", "<u1"),  # it reached the edge of view: these are the least
    ("reason", "<u1"),
)

LIMITS = ("interval_s", "halt_mps", "go_mps", "reach_m")
SETTINGS = np.dtype(
    [("line", LINE), ("place", ZONE), ("lane", "<i2"), ("zone", "<i2"), ("signal", "<i2"), ("classes", "<u4")]
    + [(name, "<f8") for name in LIMITS]
)
STATE = np.dtype([("queue", QUEUE), ("watch", WATCH)])


def prepare(config, scene):
    """Return the place, how far it reaches upstream of the line, and a queue of nobody."""
    settings = np.zeros(1, SETTINGS)
    settings["lane"] = -1 if config.lane is None else scene.lane_names.index(config.lane)
    settings["zone"] = -1 if config.zone is None else scene.zone_names.index(config.zone)
    settings["signal"] = -1 if config.signal is None else scene.signal_names.index(config.signal)
    rows, index = (scene.zone_rows, settings["zone"]) if config.lane is None else (scene.lane_rows, settings["lane"])
    place, line = rows[index[0]], scene.lines[scene.line_names.index(config.line)]
    points = place["m"][: place["n"]] - (line["x1_m"], line["y1_m"])
    settings["place"], settings["line"] = place, line
    settings["reach_m"] = -(points @ (line["nx_m"], line["ny_m"])).min()
    settings["classes"], settings["interval_s"] = class_mask(config.classes), config.interval_s
    settings["halt_mps"], settings["go_mps"] = config.halt_kmh / 3.6, config.go_kmh / 3.6
    return Prepared(settings, np.zeros(1, STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each interval that has ended and each start of green or red; return how many."""
    s, queue, watch = settings[0], state[0]["queue"], state[0]["watch"]
    now_s, n = clock["time_s"], 0
    if watch["runs"] == 0:
        if clock["last"] != 0:
            return 0
        queue_clear(queue)
        queue_begin(queue)
        queue_cycle(queue)
        queue["colour"] = UNKNOWN
    if clock["last"] == 0:
        watch_frame(watch, clock, s["interval_s"])
    while True:
        ends = now_s >= watch["end_s"]
        until_s = min(watch["end_s"], now_s)
        seen_s = watch["observed_s"]
        watch_pass(watch, clock, until_s)
        queue["area"] += queue["vehicles"] * (watch["observed_s"] - seen_s)
        if not ends and (clock["last"] == 0 or until_s <= watch["start_s"]):
            break
        if n < len(out) - 2:
            queue_event(queue, out[n], until_s, AT_INTERVAL)
            out[n]["interval_s"], out[n]["observed_s"] = until_s - watch["start_s"], watch["observed_s"]
            if watch["observed_s"] > 0.0:
                out[n]["mean_vehicles"] = queue["area"] / watch["observed_s"]
            out[n]["reason"] = STREAM_GAP if watch["reason"] == 0 and watch["gap_s"] > 0.0 else watch["reason"]
            n += 1
        queue_begin(queue)
        watch_begin(watch, until_s, watch["end_s"] + s["interval_s"])
        if not ends:
            break
    if clock["suspended"] != 0 or watch["gap"] != 0:
        queue_clear(queue)
    for i in range(len(tracks)):
        member = queue["member"][tracks[i]["slot"]]
        known = member["queued"] != 0 and member["track_id"] == tracks[i]["id"]
        if clock["suspended"] == 0 and (known or (s["classes"] >> tracks[i]["class_id"]) & 1 != 0):
            member_step(member, s, tracks[i])
    queue_sum(queue, s["reach_m"])
    if s["signal"] >= 0 and clock["last"] == 0:
        signal = signals[s["signal"]]
        colour, before = signal["state"], queue["colour"]
        begins = colour == GREEN and before != GREEN
        if (begins or (stops_traffic(colour) and not stops_traffic(before))) and before != UNKNOWN:
            changed_s = max(signal["since_s"], now_s - clock["dt_s"])
            queue_event(queue, out[n], changed_s, AT_GREEN if begins else AT_RED)
            out[n]["reason"] = clock["suspended"]
            n += 1
            if not begins:
                queue_cycle(queue)
        queue["colour"] = colour
    out["lane"][:n], out["zone"][:n] = s["lane"], s["zone"]
    if clock["last"] != 0:
        watch_reset(watch)
    return n


RULE = Rule(
    type="queue",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"lane": "lane", "zone": "zone", "moment": "moment", "reason": "reason"},
    references={"line": "flow_line", "lane": "lane", "zone": "zone", "signal": "signal"},
    needs_ground=True,
)
