"""What every event of a violation says of its road user, and when the same one is told again."""

from __future__ import annotations

from kernels._jit import kernel
from kernels.guards import judgement_of

#: The same rule on the same road user within this time is the same violation.
REPEAT_S = 30.0


@kernel
def verdict(event, track, time_s, reason):
    """Fill an event's time, road user, speed and judgement; `reason` is a code of REASONS."""
    event["time_s"], event["track_id"] = time_s, track["id"]
    event["score"], event["class_id"] = track["score"], track["class_id"]
    event["speed_mps"], event["speed_sd_mps"] = track["speed_mps"], track["speed_sd_mps"]
    event["judgement"], event["reason"] = judgement_of(reason), reason
