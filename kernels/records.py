"""Every dtype that crosses a stage. The unit is part of a field's name; all are little endian.

Columns (one array a field) where arithmetic sweeps, records (one row a thing) where rules and disk read rows.
"""

from __future__ import annotations

import numpy as np

#: The classes of road user, in the order of `class_id`.
CLASSES = ("car", "bus", "truck", "motorcycle", "bicycle", "person")

#: Most tracks that live at once in one camera; the slot of a track is below this.
MAX_TRACKS = 256

#: Most detections of one frame that reach the tracker; a detector's surplus is cut by score.
MAX_DETECTIONS = 300

#: What a decode worker says of one frame: its number since the stream opened, its time on the stream's clock.
FRAME = np.dtype(
    [
        ("time_s", "<f8"),
        ("frame", "<u4"),
        ("epoch", "<u2"),
        ("camera", "<u2"),
        ("slot", "<u2"),
        ("flags", "<u2"),
        ("spare", "<u4"),
    ]
)

#: The instant a step works at; one row. `dt_s` is the time since the step before, 0 at the first. `suspended` is a
#: code of REASONS: why geometry cannot be trusted now, 0 while it can. `last`: the stream or epoch ends with this step.
CLOCK = np.dtype(
    [
        ("time_s", "<f8"),
        ("dt_s", "<f8"),
        ("frame", "<u4"),
        ("epoch", "<u2"),
        ("camera", "<u2"),
        ("suspended", "<u1"),
        ("last", "<u1"),
        ("spare", "<u2"),
    ]
)

OBSERVED = 1  # the box is a detection of this frame
ENDED = 2  # the track's last row: nothing follows under this id
RELINKED = 4  # seen again after a gap: the step from the previous point is a bridge, not an observation
AT_EDGE = 8  # the box touches the frame's edge, so its foot point may lie outside

#: A confirmed track as rules see it. `prev_*` is its last observed point before this one (at a track's first row: its
#: birth), NaN where there is none. Road values are NaN without a ground homography, speed where it is withheld.
#: The foot point is the middle of the box's lower edge, on the road of the smoothed box. `front_*` and `rear_*` are
#: where the middles of the road user's front and rear meet the road, front being ahead as it travels; both are the foot
#: point where that cannot be told. `relinked_s` is when it was last seen again after a gap in which another could have
#: taken its place, -inf for never. `v*_mps` is the velocity on the road, `accel_mps2` along it, `position_sd_m` the
#: deviation of the front's place on the road.
TRACK = np.dtype(
    [
        ("time_s", "<f8"),
        ("prev_time_s", "<f8"),
        ("birth_s", "<f8"),
        ("relinked_s", "<f8"),
        ("id", "<u4"),
        ("slot", "<u2"),
        ("class_id", "<u1"),
        ("flags", "<u1"),
        ("x1_px", "<f4"),
        ("y1_px", "<f4"),
        ("x2_px", "<f4"),
        ("y2_px", "<f4"),
        ("foot_x_px", "<f4"),
        ("foot_y_px", "<f4"),
        ("prev_foot_x_px", "<f4"),
        ("prev_foot_y_px", "<f4"),
        ("prev_centre_x_px", "<f4"),
        ("prev_centre_y_px", "<f4"),
        ("vx_px_s", "<f4"),
        ("vy_px_s", "<f4"),
        ("front_x_px", "<f4"),
        ("front_y_px", "<f4"),
        ("rear_x_px", "<f4"),
        ("rear_y_px", "<f4"),
        ("foot_x_m", "<f4"),
        ("foot_y_m", "<f4"),
        ("front_x_m", "<f4"),
        ("front_y_m", "<f4"),
        ("rear_x_m", "<f4"),
        ("rear_y_m", "<f4"),
        ("width_m", "<f4"),
        ("position_sd_m", "<f4"),
        ("vx_mps", "<f4"),
        ("vy_mps", "<f4"),
        ("accel_mps2", "<f4"),
        ("speed_mps", "<f4"),
        ("speed_sd_mps", "<f4"),
        ("score", "<f4"),
        ("hits", "<u4"),
    ]
)

#: A line as rules see it. (nx, ny) is the unit normal: along the drawn flow where there is one (`has_flow`), else down
#: the picture (or to the right for an upright line). The order in which the ends were clicked means nothing. Metres
#: are NaN without a ground homography; (nx_m, ny_m) points to the same side of the line as (nx, ny).
LINE = np.dtype(
    [
        ("x1_px", "<f8"),
        ("y1_px", "<f8"),
        ("x2_px", "<f8"),
        ("y2_px", "<f8"),
        ("nx", "<f8"),
        ("ny", "<f8"),
        ("x1_m", "<f8"),
        ("y1_m", "<f8"),
        ("x2_m", "<f8"),
        ("y2_m", "<f8"),
        ("nx_m", "<f8"),
        ("ny_m", "<f8"),
        ("has_flow", "<u1"),
        ("upright", "<u1"),
    ]
)

#: Most points of a zone's or a lane's outline.
MAX_POINTS = 64

#: A polygon as rules see it, of a zone or a lane: its first `n` points count. (flow_x, flow_y) is the unit vector of a
#: lane's legal direction in the picture, (flow_x_m, flow_y_m) on the road; NaN for a zone. Metres as for LINE.
ZONE = np.dtype(
    [
        ("px", "<f8", (MAX_POINTS, 2)),
        ("m", "<f8", (MAX_POINTS, 2)),
        ("flow_x", "<f8"),
        ("flow_y", "<f8"),
        ("flow_x_m", "<f8"),
        ("flow_y_m", "<f8"),
        ("n", "<i4"),
        ("approach", "<i2"),
        ("spare", "<u2"),
    ]
)

#: What a crossing's `direction` code says.
DIRECTIONS = ("with_flow", "against_flow", "down", "up", "right", "left")

#: States of a signal, in the order of their code.
SIGNAL_STATES = ("unknown", "red", "red_amber", "green", "amber", "dark", "flashing")
UNKNOWN, RED, RED_AMBER, GREEN, AMBER, DARK, FLASHING = range(7)

#: A signal at one instant: its state, since when, what it was before, and the standard deviation of those times.
#: `red_since_s` is when the red began (red and amber goes on with it) that shows now or showed last. `reason` is a code
#: of REASONS: why the state is unknown, where more is known than that.
SIGNAL = np.dtype(
    [
        ("since_s", "<f8"),
        ("prev_since_s", "<f8"),
        ("red_since_s", "<f8"),
        ("sd_s", "<f4"),
        ("state", "<u1"),
        ("prev_state", "<u1"),
        ("reason", "<u1"),
        ("spare", "<u1"),
    ]
)

#: Mean brightness and colour of one lamp's pixels in one frame, from the decoder's planes (0..255).
LAMP = np.dtype([("y", "<f4"), ("u", "<f4"), ("v", "<f4")])
LAMPS = ("red", "amber", "green")

#: How an event was judged: a rule that lacks the evidence says so instead of staying silent.
JUDGEMENTS = ("violation", "cannot_judge")
VIOLATION, CANNOT_JUDGE = range(2)

#: Why an event cannot be judged, or why a camera's geometry is suspended.
REASONS = (
    "none",
    "signal_clock",  # the signal's time is less certain than the margin
    "signal_state",  # unknown, dark or flashing
    "calibration",  # the ground fit is too poor for the measure
    "identity",  # the track was re-linked, is too young or too weakly seen at the decisive moment
    "camera_moved",
    "camera_blind",
    "stream_gap",
    "truncated",  # what decides lies outside the picture or before the stream's start
    "pedestrian",  # people on foot, not traffic, may have been why
    "queue",  # it stands behind one that was told of: it may wait for it, or have stopped too
)
(NO_REASON, SIGNAL_CLOCK, SIGNAL_STATE, CALIBRATION, IDENTITY, CAMERA_MOVED, CAMERA_BLIND, STREAM_GAP, TRUNCATED,
 PEDESTRIAN, QUEUE) = range(11)  # fmt: skip

#: Whether an event says that a state begins or that it has ended.
PHASES = ("begin", "end")
BEGIN, END = range(2)

#: How two road users come together, by the angle between them: below 30 degrees, up to 85, above (SSAM).
ENCOUNTERS = ("rear_end", "lane_change", "crossing")
REAR_END, LANE_CHANGE, CROSSING_PATHS = range(3)

#: When a queue was measured: at the end of an interval, at the start of green, at the start of red.
MOMENTS = ("interval", "green", "red")
AT_INTERVAL, AT_GREEN, AT_RED = range(3)

#: Tables of names that are the same in every run; "line", "zone" and "signal" are the scene's own.
NAME_TABLES = {
    "direction": DIRECTIONS,
    "signal_state": SIGNAL_STATES,
    "judgement": JUDGEMENTS,
    "reason": REASONS,
    "class": CLASSES,
    "phase": PHASES,
    "encounter": ENCOUNTERS,
    "moment": MOMENTS,
}

#: The first 32 bytes of every event. `rule` counts the site's rules of this camera; `context` is the run's short id.
EVENT_BASE = [
    ("time_s", "<f8"),
    ("frame", "<u4"),
    ("track_id", "<u4"),
    ("context", "<u4"),
    ("score", "<f4"),
    ("camera", "<u2"),
    ("rule", "<u2"),
    ("epoch", "<u2"),
    ("class_id", "<u1"),
    ("flags", "<u1"),
]
EVENT_BYTES = 64


def event_dtype(*fields: tuple[str, str]) -> np.dtype:
    """Return the dtype of a rule's event: the common fields, then `fields`; at most 64 bytes."""
    dtype = np.dtype([*EVENT_BASE, *fields])
    if dtype.itemsize > EVENT_BYTES:
        raise ValueError(
            f"an event has {dtype.itemsize} bytes; allowed are {EVENT_BYTES}: use fewer or narrower fields"
        )
    return dtype
