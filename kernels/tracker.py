"""Multi-object tracking over columns: detections of one frame in, confirmed tracks out; every lifetime in seconds.

Association in passes as in ByteTrack (Zhang et al., ECCV 2022, section 3): strong detections to all tracks, with a
handicap for unconfirmed and hidden ones, then weak ones to known tracks, then strong ones that are left to any. The
overlap is taken between boxes widened by the track's own uncertainty, so that a young track, a long gap or a low frame
rate is no special case.
"""

from __future__ import annotations

import math

from kernels._jit import kernel
from kernels.assign import assign
from kernels.records import ENDED, MAX_DETECTIONS, MAX_TRACKS, OBSERVED, RELINKED
from kernels.relink import RELINK_S, join, keep_s, relink_find, rivalled
from kernels.track import (
    CONFIRMED,
    CX,
    CY,
    FREE,
    LOST,
    PERSON,
    TENTATIVE,
    H,
    W,
    association_cost,
    overlap,
    publish,
    track_measure,
    track_predict,
    track_start,
)

#: Rows of scratch that one step needs.
WORK = MAX_TRACKS + MAX_DETECTIONS + 2
#: From this multiple of `score_high` on a better score confirms a track no sooner.
SURE = 1.5
#: What a search area is larger by than it must be: rounding never decides.
AREA_PX = 0.01


@kernel
def search_area(slot, settings):
    """Return (left, top, right, bottom) in px outside of which no detection overlaps a track, both being widened."""
    axis = slot["axis"]
    w, h = max(axis[W]["x"], 1.0), max(axis[H]["x"], 1.0)
    reach_x = 0.5 * w + 2.0 * min(2.0 * math.sqrt(axis[CX]["xx"]), settings["widen_max"] * max(w, h)) + AREA_PX
    reach_y = 0.5 * h + 2.0 * min(2.0 * math.sqrt(axis[CY]["xx"]), settings["widen_max"] * h) + AREA_PX
    x, y = axis[CX]["x"], axis[CY]["x"]
    return x - reach_x, y - reach_y, x + reach_x, y + reach_y


@kernel
def match_pass(slots, settings, columns, wanted, gate, xyxy_px, score, class_id, cost, work, index):
    """Pair the tracks wanted in this pass with the detections wanted; write `match` of both sides.

    `wanted` is (least phase, least score, longest time since seen in s, now in s, time since seen from which a track is
    hidden, the handicap of hidden and unconfirmed tracks). `columns` is i4[5, k]: the tracks and the detections in this
    pass, the pairing's two results, the owner of each detection. `cost` is f4 scratch.
    """
    n = 0
    m = 0
    for i in range(len(slots)):
        slot = slots[i]
        if slot["match"] < 0 and slot["phase"] >= wanted[0] and wanted[3] - slot["seen_s"] <= wanted[2]:
            columns[0, n] = i
            n += 1
    for j in range(len(score)):
        if columns[4, j] < 0 and score[j] >= wanted[1]:
            columns[1, m] = j
            m += 1
    if n == 0 or m == 0:
        return 0
    # Side by side, and free until the pairs are chosen.
    x1, y1, x2, y2, near = work[0], work[1], work[2], work[3], index[0]
    for b in range(m):
        j = columns[1, b]
        x1[b], y1[b], x2[b], y2[b] = xyxy_px[j, 0], xyxy_px[j, 1], xyxy_px[j, 2], xyxy_px[j, 3]
    for a in range(n):
        slot = slots[columns[0, a]]
        hidden = wanted[3] - slot["seen_s"] > wanted[4]
        left, top, right, bottom = search_area(slot, settings)
        cost[a, :m] = 2.0
        # Most pairs lie apart: that is seen without a root, a division or a branch.
        meeting = 0
        for b in range(m):
            near[meeting] = b
            meeting += (x1[b] <= right) & (x2[b] >= left) & (y1[b] <= bottom) & (y2[b] >= top)
        for c in range(meeting):
            b = near[c]
            j = columns[1, b]
            if (class_id[j] == PERSON) == (slot["person"] != 0):
                cost[a, b] = association_cost(slot, xyxy_px, j, score[j], settings, hidden)
                if slot["phase"] == TENTATIVE or hidden:
                    cost[a, b] += wanted[5]
                if class_id[j] != slot["class_id"]:
                    cost[a, b] += settings["class_cost"]
    pairs = assign(cost, n, m, gate, columns[2], columns[3], work, index)
    for a in range(n):
        if columns[2, a] >= 0:
            j = columns[1, columns[2, a]]
            slots[columns[0, a]]["match"] = j
            columns[4, j] = columns[0, a]
    return pairs


@kernel
def associate(slots, settings, time_s, dt_s, xyxy_px, score, class_id, cost, work, index, columns):
    """Run the passes of association; leaves `match` in the slots and the owner of each detection in columns[4]."""
    columns[4, : len(score)] = -1
    slots["match"][:] = -1
    high, low = settings["score_high"], settings["score_low"]
    # Seen in the step before, whatever the frame rate.
    recent_s = dt_s + 1e-6
    # Unconfirmed and hidden tracks compete from the first, at a handicap: a new vehicle that hides an old one keeps its
    # own box.
    wanted = (TENTATIVE, high, math.inf, time_s, recent_s, settings["doubt_cost"])
    match_pass(slots, settings, columns, wanted, settings["cost_high"], xyxy_px, score, class_id, cost, work, index)
    wanted = (CONFIRMED, low, max(recent_s, settings["tentative_s"]), time_s, recent_s, 0.0)
    match_pass(slots, settings, columns, wanted, settings["cost_low"], xyxy_px, score, class_id, cost, work, index)
    wanted = (TENTATIVE, high, math.inf, time_s, recent_s, 0.0)
    match_pass(slots, settings, columns, wanted, settings["cost_high"], xyxy_px, score, class_id, cost, work, index)


@kernel
def proven(slot, settings, time_s):
    """Say whether a track was seen for long enough to be shown: `confirm_s` where its detections are just strong.

    Two thirds of that where they are sure, longer where they are weak.
    """
    strength = slot["score_sum"] / slot["hits"] / settings["score_high"]
    needed_s = settings["confirm_s"] / min(strength, SURE)
    return slot["hits"] >= 2 and time_s - slot["birth_s"] >= needed_s - 1e-9


@kernel
def tracker_step(
    slots, setting_rows, clock_rows, next_id, xyxy_px, score, class_id, to_road, cost, work, index, columns, out
):
    """Advance all tracks of a camera by one frame; return how many TRACK rows of `out` were written.

    `slots` SLOT[MAX_TRACKS], settings and clock of one row each (arrays, as a record costs a call 1 to 3 us more),
    `next_id` u4[1], detections as columns. Rows are the confirmed tracks seen in this frame, and once more, flagged
    ENDED, those that are given up.
    """
    settings, clock = setting_rows[0], clock_rows[0]
    time_s, dt_s = clock["time_s"], clock["dt_s"]
    used = len(slots)
    while used > 0 and slots[used - 1]["phase"] == FREE:
        used -= 1
    for i in range(used):
        if slots[i]["phase"] != FREE:
            track_predict(slots[i], settings, dt_s)
    associate(slots[:used], settings, time_s, dt_s, xyxy_px, score, class_id, cost, work, index, columns)
    rows = 0
    for i in range(used):
        slot = slots[i]
        if slot["phase"] == FREE:
            continue
        j = slot["match"]
        gap_s = time_s - slot["seen_s"]
        if j < 0:
            # A tentative track may miss one frame at any frame rate, a confirmed one may be hidden for as long as it
            # was seen: what was hardly there is not followed in the dark, but may be known again.
            patience_s = max(settings["tentative_s"], 1.5 * dt_s)
            if slot["phase"] == TENTATIVE:
                if gap_s > patience_s:
                    slot["phase"] = FREE
            elif gap_s > keep_s(slot, settings):
                publish(out[rows], slot, i, settings, slot["seen_s"], slot["seen_s"], slot["box_px"], ENDED)
                rows += 1
                slot["phase"] = FREE
            elif gap_s > min(settings["lost_s"], max(patience_s, slot["seen_s"] - slot["birth_s"])):
                slot["phase"] = LOST
            continue
        previous_s = slot["seen_s"]
        flags = OBSERVED
        if gap_s > min(1.5 * dt_s, settings["lost_s"]):
            flags |= RELINKED
            if gap_s > RELINK_S and rivalled(slots, i, i, xyxy_px[j], previous_s, time_s, settings):
                slot["relinked_s"] = time_s
        slot["prev_box_px"][:] = slot["box_px"]
        track_measure(slot, settings, xyxy_px[j], score[j], class_id[j], to_road)
        slot["seen_s"] = time_s
        if slot["phase"] == TENTATIVE:
            if not proven(slot, settings, time_s):
                continue
            lost = relink_find(slots, i, settings, time_s)
            if lost >= 0:
                previous_s = slots[lost]["seen_s"]
                join(slots, lost, i, settings, time_s)
                known = slots[lost]
                publish(out[rows], known, lost, settings, time_s, previous_s, known["prev_box_px"], OBSERVED | RELINKED)
                rows += 1
                continue
            # The rules' first step spans the whole unconfirmed time: a line crossed in it is crossed all the same.
            slot["phase"] = CONFIRMED
            publish(out[rows], slot, i, settings, time_s, slot["birth_s"], slot["birth_box_px"], OBSERVED)
        else:
            publish(out[rows], slot, i, settings, time_s, previous_s, slot["prev_box_px"], flags)
        rows += 1
    births(slots, settings, time_s, next_id, xyxy_px, score, class_id, columns)
    return rows


@kernel
def births(slots, settings, time_s, next_id, xyxy_px, score, class_id, columns):
    """Begin a track for each strong detection that belongs to none and doubles none; return how many."""
    born = 0
    free = 0
    for j in range(len(score)):
        if columns[4, j] >= 0 or score[j] < settings["score_birth"]:
            continue
        double = False
        for i in range(len(slots)):
            box = slots[i]["box_px"]
            if (
                slots[i]["phase"] != FREE
                and slots[i]["seen_s"] == time_s
                and (slots[i]["person"] != 0) == (class_id[j] == PERSON)
                and overlap(box[0], box[1], box[2], box[3], xyxy_px[j, 0], xyxy_px[j, 1], xyxy_px[j, 2], xyxy_px[j, 3])
                > settings["birth_iou_max"]
            ):
                double = True
                break
        if double:
            continue
        while free < len(slots) and slots[free]["phase"] != FREE:
            free += 1
        if free == len(slots):
            break
        track_start(slots[free], settings, xyxy_px[j], score[j], class_id[j], time_s, next_id[0])
        next_id[0] += 1
        born += 1
    return born


@kernel
def tracker_end(slots, settings, out):
    """End every track (the stream ends or a new epoch begins); return how many ENDED rows of `out` were written."""
    rows = 0
    for i in range(len(slots)):
        slot = slots[i]
        if slot["phase"] == CONFIRMED or slot["phase"] == LOST:
            publish(out[rows], slot, i, settings, slot["seen_s"], slot["seen_s"], slot["box_px"], ENDED)
            rows += 1
        slot["phase"] = FREE
    return rows
