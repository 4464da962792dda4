"""How long a vehicle has surely been faster than its limit, and the fastest that it surely was."""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel
from kernels.guards import RELINK_CLEAR_S, doubt
from kernels.heading import PLACE, leapt, place_keep, way_since
from kernels.records import CALIBRATION, NO_REASON
from kernels.verdict import verdict

#: A run over the limit: its observations (0: there is none) and its way; the speed with the greatest margin in it, when
#: that was. `suspended`: the last code of REASONS since it began, for which geometry is not trusted.
FAST = np.dtype(
    [
        ("last", PLACE),
        ("over_m", "<f8"),
        ("margin_mps", "<f8"),
        ("top_s", "<f8"),
        ("top_mps", "<f8"),
        ("top_sd_mps", "<f8"),
        ("observations", "<u4"),
        ("suspended", "<u1"),
    ]
)


@kernel
def fast_reset(fast):
    """Forget a run and where the vehicle was."""
    fast["observations"], fast["last"]["known"] = 0, 0


@kernel
def over_limit_mps(track, limit_mps, tolerance_mps, tolerance_share, age_min_s):
    """Return by how much (m/s) a speed less two deviations is over its limit and tolerance; NaN where it is withheld.

    The tolerance is `tolerance_mps`, or `tolerance_share` of the speed where that is more. Withheld is the speed of a
    track, too, that is younger than `age_min_s` or was found again just now.
    """
    known_s = track["time_s"] - max(track["birth_s"] + age_min_s, track["relinked_s"] + RELINK_CLEAR_S)
    if known_s < 0.0:
        return math.nan
    speed_mps = float(track["speed_mps"])
    surely_mps = speed_mps - 2.0 * float(track["speed_sd_mps"])
    return surely_mps - limit_mps - max(tolerance_mps, tolerance_share * speed_mps)


@kernel
def fast_step(fast, track, margin_mps, suspended):
    """Take a row that is over the limit by `margin_mps`: one that is not ends the run, one without a speed does not.

    A leap or a gap ends it too: it may be another vehicle since.
    """
    last = fast["last"]
    if leapt(last, track, 1.0) or track["relinked_s"] > last["time_s"] or margin_mps <= 0.0:
        fast["observations"] = 0
    if fast["observations"] != 0:
        dx, dy, _ = way_since(last, track, 1.0)
        fast["over_m"] += math.hypot(dx, dy)
    if margin_mps > 0.0:
        if fast["observations"] == 0:
            fast["over_m"], fast["margin_mps"], fast["suspended"] = 0.0, 0.0, 0
        fast["observations"] += 1
        if margin_mps > fast["margin_mps"]:
            fast["margin_mps"], fast["top_s"] = margin_mps, track["time_s"]
            fast["top_mps"], fast["top_sd_mps"] = track["speed_mps"], track["speed_sd_mps"]
    if suspended != 0:
        fast["suspended"] = suspended
    place_keep(last, track, 1.0)


@kernel
def fast_best(fast, event, waits, track, clock, place, limit_mps):
    """Say whether an event waits: it is filled when the run is long enough and no lower than what waits already.

    `place` is a row with the limits `way_m`, `observations_min`, `age_min_s` and `score_min`, and `poor_ground`.
    """
    if fast["observations"] < place["observations_min"] or fast["over_m"] < place["way_m"]:
        return waits
    if waits and fast["margin_mps"] < event["margin_mps"] and fast["top_s"] != event["time_s"]:
        return waits
    reason = fast["suspended"]
    if reason == NO_REASON:
        reason = doubt(track, clock, fast["top_s"], place["age_min_s"], place["score_min"])
    if reason == NO_REASON and place["poor_ground"] != 0:
        reason = CALIBRATION
    verdict(event, track, fast["top_s"], reason)
    event["speed_mps"], event["speed_sd_mps"] = fast["top_mps"], fast["top_sd_mps"]
    event["limit_mps"], event["margin_mps"], event["over_m"] = limit_mps, fast["margin_mps"], fast["over_m"]
    event["observations"] = min(fast["observations"], 65535)
    event["line"], event["zone"], event["lane"] = place["line_index"], place["zone_index"], place["lane_index"]
    return True
