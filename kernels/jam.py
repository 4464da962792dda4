"""When the traffic of a place is congested: slow and dense for long enough, until it has flowed for long enough."""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel
from kernels.flow import FLOW, flow_add, flow_pass, flow_reset, flow_sums
from kernels.footprint import FOOTPRINT, footprint_fill, footprint_reset
from kernels.records import ENDED, IDENTITY, NO_REASON
from kernels.shade import SHADE, shade_add, shade_clear, shade_hidden
from kernels.signals import stops_traffic
from kernels.watch import WATCH, watch_frame, watch_reset

#: A place's window and state. `run_s`: watched time for which it has been slow and dense, or, once reported, for which
#: it has flowed; `turn_s`: since when that; `since_s`: since when it is congested. `red_s`: when its signal last
#: stopped it. `reason`: why the congestion cannot be judged.
JAM = np.dtype(
    [
        ("flow", FLOW),
        ("watch", WATCH),
        ("footprint", FOOTPRINT),
        ("shade", SHADE),
        ("red_s", "<f8"),
        ("run_s", "<f8"),
        ("turn_s", "<f8"),
        ("since_s", "<f8"),
        ("reason", "<u1"),
        ("reported", "<u1"),
        ("began", "<u1"),
    ]
)

#: What a step finds.
STAYS_SO, BEGINS, ENDS = range(3)
#: Of so much of the vehicles the speed must be known.
KNOWN_SHARE = 0.5
#: So much of a window must have been watched before it bears an alarm: all but the piece that runs.
FULL_SHARE = 0.95
#: Of what is hidden nothing is known, but so much of a lane is held to be seen: one truck makes no jam of the rest.
SEEN_LEAST = 0.5
#: Any length of the intervals of a watch will do: only its gaps are asked for.
INTERVAL_S = 3600.0


@kernel
def jam_reset(own):
    """Forget a place: the stream or epoch has ended."""
    flow_reset(own["flow"])
    watch_reset(own["watch"])
    own["run_s"], own["reported"], own["began"] = 0.0, 0, 0


@kernel
def jam_watched_s(s, own, clock, signals):
    """Return how much time (s) this frame adds: none in a gap, a suspension, or while a signal holds the traffic back.

    What was watched before a gap or suspension longer than the window says nothing of now, and is forgotten.
    """
    watch_frame(own["watch"], clock, INTERVAL_S)
    if own["began"] == 0:
        own["began"], own["red_s"] = 1, -1e9
        return 0.0
    if clock["dt_s"] > s["window_s"]:
        flow_reset(own["flow"])
        own["run_s"] = 0.0
    if s["signal"] >= 0 and stops_traffic(signals[max(s["signal"], 0)]["state"]):
        own["red_s"] = clock["time_s"]
    held_back = s["signal"] >= 0 and clock["time_s"] - own["red_s"] < s["release_s"]
    if own["watch"]["gap"] != 0 or clock["suspended"] != 0 or held_back:
        return 0.0
    return clock["dt_s"]


@kernel
def jam_look(s, own, tracks, passed_s):
    """Take a moment of the traffic into the window of a place; of a lane the part that can be seen."""
    flow, covered_m = own["flow"], 0.0
    flow_pass(flow, passed_s, s["window_s"])
    shade_clear(own["shade"])
    for i in range(len(tracks)):
        track = tracks[i]
        if track["flags"] & ENDED or not (s["classes"] >> track["class_id"]) & 1:
            continue
        footprint_reset(own["footprint"])
        if footprint_fill(own["footprint"], track):
            there_m = flow_add(flow, s["zone"], track, own["footprint"], passed_s)
            covered_m += there_m
            if there_m > 0.0 and s["length_m"] > 0.0:
                shade_add(own["shade"], s, track, own["footprint"])
    covered = covered_m / (s["length_m"] * max(1.0 - shade_hidden(own["shade"]), SEEN_LEAST))
    if not s["length_m"] > 0.0:
        covered = 1.0 if covered_m > 0.0 else 0.0
    flow["covered_s"][flow["piece"]] += min(covered, 1.0) * passed_s


@kernel
def jam_step(s, own, tracks, clock, signals):
    """Follow the traffic of one place; return BEGINS or ENDS when it has become congested or flows again."""
    if clock["last"] != 0:
        return ENDS if own["reported"] != 0 else STAYS_SO
    passed_s = jam_watched_s(s, own, clock, signals)
    if not passed_s > 0.0:
        return STAYS_SO
    jam_look(s, own, tracks, passed_s)
    speed, occupancy, _, known, watched_s = flow_sums(own["flow"])
    unknown = known < KNOWN_SHARE
    turns = occupancy > s["occupancy"] and (speed < s["slow_mps"] or unknown)
    if own["reported"] != 0:
        turns = known != known or (speed > s["clear_mps"] and not unknown)
    if not turns:
        own["run_s"] = 0.0
        return STAYS_SO
    if own["run_s"] == 0.0:
        own["turn_s"] = clock["time_s"] - passed_s
    own["run_s"] += passed_s
    limit_s = s["clear_s"] if own["reported"] != 0 else s["held_s"]
    if own["run_s"] < limit_s - 1e-9:
        return STAYS_SO
    if own["reported"] != 0:
        own["run_s"] = 0.0
        return ENDS
    # A part of a window may show nothing but the red of a cycle.
    if watched_s < FULL_SHARE * s["window_s"]:
        return STAYS_SO
    own["run_s"] = 0.0
    own["reported"], own["since_s"] = 1, own["turn_s"]
    own["reason"] = s["reason"]
    if own["reason"] == NO_REASON and unknown:
        own["reason"] = IDENTITY
    return BEGINS
