"""Flag a vehicle that is faster than its limit by more than the tolerance and the uncertainty of its speed."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from kernels._jit import kernel
from kernels.crossing import CROSSING, FRONT, crossing_reset, crossing_step
from kernels.fast import FAST, fast_best, fast_reset, fast_step, over_limit_mps
from kernels.records import CLASSES, ENDED, LINE, MAX_TRACKS, event_dtype
from kernels.rule import ClassName, Prepared, Rule, RuleConfig, class_mask
from kernels.zones import PLACE_ROW, place_rows, zone_at

Kmh = Annotated[float, msgspec.Meta(ge=0.0, le=400.0)]


class Config(RuleConfig, kw_only=True, frozen=True):
    """Over the limit for `way_m` and `observations_min` where `lanes`, `zones` or a `line` say, else anywhere in view.

    The tolerance is `tolerance_kmh`, or `tolerance_share` of the speed where that is more. `class_limits_kmh`: limits
    of single classes. A ground whose error is more than `ground_error_max_m` bears no judgement.
    """

    limit_kmh: Kmh = 50.0
    class_limits_kmh: dict[str, Kmh] = {}  # noqa: RUF012 - msgspec copies it
    lanes: Annotated[tuple[str, ...], msgspec.Meta(max_length=32)] = ()
    zones: Annotated[tuple[str, ...], msgspec.Meta(max_length=32)] = ()
    line: str | None = None
    classes: tuple[ClassName, ...] = ("car", "bus", "truck", "motorcycle")
    tolerance_kmh: Kmh = 3.0
    tolerance_share: Annotated[float, msgspec.Meta(ge=0.0, le=0.5)] = 0.03
    way_m: Annotated[float, msgspec.Meta(ge=0.0, le=500.0)] = 10.0
    observations_min: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 15
    ground_error_max_m: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 0.5
    age_min_s: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 1.0
    score_min: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5

    def __post_init__(self) -> None:
        """Refuse classes that there are not, and more than one kind of place."""
        if unknown := [name for name in self.class_limits_kmh if name not in CLASSES]:
            raise ValueError(f"has class_limits_kmh of {unknown[0]!r}; allowed: {', '.join(CLASSES)}")
        if (self.line is not None) + bool(self.lanes) + bool(self.zones) > 1:
            raise ValueError("is to be judged in two kinds of place; allowed: one of lanes, zones, line")


# `time_s` is when the speed had its greatest margin.
EVENT = event_dtype(
    ("speed_mps", "<f4"),
    ("speed_sd_mps", "<f4"),
    ("limit_mps", "<f4"),
    ("margin_mps", "<f4"),  # speed less two deviations over limit and tolerance
    ("over_m", "<f4"),  # how far it was over them
    ("observations", "<u2"),
    ("line", "<i2"),
    ("zone", "<i2"),
    ("lane", "<i2"),
    ("judgement", "<u1"),
    ("reason", "<u1"),
)

LIMITS = ("tolerance_share", "way_m", "observations_min", "age_min_s", "score_min")
SETTINGS = np.dtype(
    [
        *((name, PLACE_ROW[name]) for name in PLACE_ROW.names or ()),
        ("line", LINE),
        ("line_index", "<i2"),
        ("anywhere", "<u1"),
        ("poor_ground", "<u1"),
        ("classes", "<u4"),
        ("limit_mps", "<f8", (len(CLASSES),)),
        ("tolerance_mps", "<f8"),
        *((name, "<f8") for name in LIMITS),
    ]
)
STATE = np.dtype([("fast", FAST), ("crossing", CROSSING), ("pending", EVENT), ("track_id", "<u4"), ("waits", "<u1")])
#: Out of its place for longer than this a vehicle has passed it.
LEAVE_S = 1.0
#: How a line is crossed, as in line_count.
SETTLE_S, BAND_PX, BAND_SHARE = 0.1, 2.0, 0.1


def prepare(config, scene):
    """Return a settings row for each lane or zone, one where there is none, and a run for each track slot."""
    places = place_rows(scene, config.zones, config.lanes)
    settings = np.zeros(max(len(places), 1), SETTINGS)
    settings["zone_index"], settings["lane_index"], settings["line_index"] = -1, -1, -1
    settings["anywhere"] = len(places) == 0
    for name in (PLACE_ROW.names or ()) if len(places) else ():
        settings[name] = places[name]
    if config.line is not None:
        settings["line_index"] = scene.line_names.index(config.line)
        settings["line"] = scene.lines[settings["line_index"][0]]
    settings["limit_mps"] = [config.class_limits_kmh.get(name, config.limit_kmh) / 3.6 for name in CLASSES]
    settings["classes"], settings["tolerance_mps"] = class_mask(config.classes), config.tolerance_kmh / 3.6
    settings["poor_ground"] = not scene.ground_error_m <= config.ground_error_max_m
    for name in LIMITS:
        settings[name] = getattr(config, name)
    return Prepared(settings, np.zeros(MAX_TRACKS, STATE))


@kernel
def step(tracks, clock, signals, settings, state, out):
    """Write an event for each vehicle that has passed its place and was too fast there; return how many."""
    s = settings[0]
    n = 0
    for i in range(len(tracks)):
        track = tracks[i]
        own = state[track["slot"]]
        fast, event = own["fast"], own["pending"]
        if own["track_id"] != track["id"]:
            own["track_id"], own["waits"] = track["id"], 0
            fast_reset(fast)
            crossing_reset(own["crossing"])
        ended = track["flags"] & ENDED != 0
        k = 0 if s["anywhere"] != 0 else zone_at(settings, track["foot_x_px"], track["foot_y_px"])
        if k < 0:
            fast_reset(fast)
        elif not ended:
            limit_mps = s["limit_mps"][track["class_id"]]
            allowed, share = s["tolerance_mps"], s["tolerance_share"]
            margin_mps = over_limit_mps(track, limit_mps, allowed, share, s["age_min_s"])
            fast_step(fast, track, margin_mps, clock["suspended"])
            own["waits"] = fast_best(fast, event, own["waits"] != 0, track, clock, settings[k], limit_mps)
        passed = ended or (k < 0 and track["time_s"] - fast["last"]["time_s"] > LEAVE_S)
        if s["line_index"] >= 0:
            # At a line counts who is too fast there: a run that has ended before is none.
            passed = crossing_step(own["crossing"], s["line"], track, FRONT, SETTLE_S, BAND_PX, BAND_SHARE) != 0
            own["waits"] = own["waits"] != 0 and (ended or fast["observations"] != 0)
        if own["waits"] != 0 and passed:
            own["waits"] = 0
            if (s["classes"] >> track["class_id"]) & 1 != 0:
                out[n] = event
                n += 1
    return n


RULE = Rule(
    type="speeding",
    config=Config,
    event=EVENT,
    prepare=prepare,
    step=step,
    names={"line": "line", "zone": "zone", "lane": "lane", "judgement": "judgement", "reason": "reason"},
    references={"line": "line", "lanes": "lane", "zones": "zone"},
    needs_ground=True,
)
