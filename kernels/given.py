"""Tracks that a file gives: its ids stand for road users, so nothing is associated and nothing has to be confirmed."""

from __future__ import annotations

from kernels._jit import kernel
from kernels.records import ENDED, OBSERVED, RELINKED
from kernels.relink import RELINK_S, rivalled
from kernels.track import CONFIRMED, FREE, publish, track_measure, track_predict, track_start


@kernel
def given_step(slots, settings, clock, found, xyxy_px, score, class_id, track_id, place, until, to_road, out):
    """Take the boxes found[0]..found[1] of the file's columns in; return how many TRACK rows of `out` were written.

    `place` i8[n, 2] says in which slot each box's track lives and in which frame it is seen last; `until`, one value a
    slot, keeps the latter. A track's last row, flagged ENDED, comes in the step after its last box.
    """
    time_s, dt_s = clock["time_s"], clock["dt_s"]
    rows = 0
    for i in range(len(slots)):
        slot = slots[i]
        if slot["phase"] == FREE:
            continue
        if until[i] < clock["frame"]:
            publish(out[rows], slot, i, settings, slot["seen_s"], slot["seen_s"], slot["box_px"], ENDED)
            rows += 1
            slot["phase"] = FREE
        else:
            track_predict(slot, settings, dt_s)
    for j in range(found[0], found[1]):
        number = place[j, 0]
        slot = slots[number]
        if slot["phase"] == FREE:
            track_start(slot, settings, xyxy_px[j], score[j], class_id[j], time_s, track_id[j])
            slot["phase"] = CONFIRMED
            publish(out[rows], slot, number, settings, time_s, time_s, slot["box_px"], OBSERVED)
        else:
            previous_s = slot["seen_s"]
            flags = OBSERVED
            if time_s - previous_s > 1.5 * dt_s:
                flags |= RELINKED
                hidden = time_s - previous_s > RELINK_S
                if hidden and rivalled(slots, number, number, xyxy_px[j], previous_s, time_s, settings):
                    slot["relinked_s"] = time_s
            slot["prev_box_px"][:] = slot["box_px"]
            track_measure(slot, settings, xyxy_px[j], score[j], class_id[j], to_road)
            slot["seen_s"] = time_s
            publish(out[rows], slot, number, settings, time_s, previous_s, slot["prev_box_px"], flags)
        until[number] = place[j, 1]
        rows += 1
    return rows
