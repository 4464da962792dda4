"""When a track bears a judgement: the guards that every violation shares."""

from __future__ import annotations

from kernels._jit import kernel
from kernels.records import CANNOT_JUDGE, IDENTITY, NO_REASON, VIOLATION

#: A track that was re-linked so near the decisive moment may be two road users.
RELINK_CLEAR_S = 1.0


@kernel
def doubt(track, clock, at_s, age_min_s, score_min):
    """Return why a track's behaviour at a moment (stream s) cannot be judged: a code of REASONS, 0 when it can.

    The camera's geometry is trusted now; the track is `age_min_s` old by now, its mean score is `score_min` or more,
    and it was not re-linked within a second of the moment.
    """
    if clock["suspended"] != 0:
        return clock["suspended"]
    young = track["time_s"] - track["birth_s"] < age_min_s or track["score"] < score_min
    if young or abs(at_s - track["relinked_s"]) < RELINK_CLEAR_S:
        return IDENTITY
    return NO_REASON


@kernel
def judgement_of(reason):
    """Return the code of JUDGEMENTS that goes with a reason: a violation where there is none."""
    return VIOLATION if reason == NO_REASON else CANNOT_JUDGE
