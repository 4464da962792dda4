"""A road user's visit: in over an entry line, out over an exit line, and how far it turned between them."""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel
from kernels.crossing import FOOT, crossing_reset, crossing_step
from kernels.guards import doubt
from kernels.heading import PLACE, TURNING, leapt, place_keep, turning_reset, turning_step
from kernels.records import ENDED, IDENTITY, LINE, NO_REASON

#: A line of a visit, an entry or an exit; `both`: it is the other kind too, crossed the other way.
VISIT_LINE = np.dtype(
    [
        ("line", LINE),
        ("index", "<i2"),
        ("is_exit", "<u1"),
        ("both", "<u1"),
        ("settle_s", "<f8"),
        ("band_px", "<f8"),
        ("band_share", "<f8"),
    ]
)

#: A visit that is going on: where and when it began (`entry_line` -1: none does), the least and the most that the road
#: user has turned in it (rad), and what makes its identity doubtful.
VISIT = np.dtype(
    [
        ("turning", TURNING),
        ("last", PLACE),
        ("entry_s", "<f8"),
        ("entry_turned", "<f8"),
        ("least", "<f8"),
        ("most", "<f8"),
        ("entry_line", "<i2"),
        ("entry_way", "<i1"),
        ("mixed_up", "<u1"),
        ("suspended", "<u1"),
    ]
)


def visit_lines(config, scene):
    """Return VISIT_LINE[n] of the lines that a rule's `entry` and `exit` name, entries first."""
    names = (*config.entry, *config.exit)
    rows = np.zeros(len(names), VISIT_LINE)
    for row, name in zip(rows, names, strict=True):
        index = scene.line_names.index(name)
        row["line"], row["index"] = scene.lines[index], index
        row["both"] = name in config.entry and name in config.exit
    rows["is_exit"][len(config.entry) :] = 1
    rows["settle_s"], rows["band_px"], rows["band_share"] = config.settle_s, config.band_px, config.band_share
    return rows


@kernel
def visit_reset(states):
    """Forget a track: it has come in nowhere and crossed nothing."""
    visit = states[0]["visit"]
    visit["entry_line"], visit["last"]["known"], visit["entry_turned"] = -1, 0, 0.0
    turning_reset(visit["turning"])
    for k in range(len(states)):
        crossing_reset(states[k]["crossing"])


@kernel
def visit_step(states, rows, track, suspended, box_height_m):
    """Follow one road user; return which of `rows` it has just left over, having come in over another; -1 for none.

    `rows` have a `visit_line` each, `states` a `crossing` each and the first of them the `visit`. A line with a flow is
    an entry and an exit along it; one that is both is an exit the other way than the road user came in over it.
    """
    visit = states[0]["visit"]
    turning = visit["turning"]
    if not track["flags"] & ENDED:
        turning_step(turning, track, box_height_m)
        if leapt(visit["last"], track, box_height_m) or turning["swapped"] != 0:
            visit["mixed_up"] = 1
            turning["swapped"] = 0
        place_keep(visit["last"], track, box_height_m)
        turned = turning["turned"] - visit["entry_turned"]
        visit["least"], visit["most"] = min(visit["least"], turned), max(visit["most"], turned)
    if suspended != 0:
        visit["suspended"] = suspended
    left = -1
    for k in range(len(rows)):
        one = rows[k]["visit_line"]
        crossing = states[k]["crossing"]
        way = crossing_step(crossing, one["line"], track, FOOT, one["settle_s"], one["band_px"], one["band_share"])
        if way == 0:
            continue
        along = one["line"]["has_flow"] == 0 or way > 0
        back = visit["entry_line"] == one["index"] and way == -visit["entry_way"]
        if one["is_exit"] != 0:
            if visit["entry_line"] >= 0 and (back if one["both"] != 0 else along):
                left = k
        elif along and not (back and one["both"] != 0):
            visit["entry_line"], visit["entry_way"], visit["entry_s"] = one["index"], way, crossing["time_s"]
            visit["entry_turned"], visit["least"], visit["most"] = turning["turned"], 0.0, 0.0
            visit["mixed_up"], visit["suspended"], turning["reversed"] = 0, suspended, 0
        elif back and one["both"] == 0:
            visit["entry_line"] = -1
    return left


@kernel
def visit_reason(visit, track, clock, exit_s, age_min_s, score_min):
    """Return why a visit that ended at `exit_s` cannot be judged: a code of REASONS, 0 when it can.

    The road user was not taken for another in it, and its track bears a judgement at both ends.
    """
    if visit["suspended"] != 0:
        return visit["suspended"]
    if visit["mixed_up"] != 0 or doubt(track, clock, visit["entry_s"], 0.0, score_min) != NO_REASON:
        return IDENTITY
    return doubt(track, clock, exit_s, age_min_s, score_min)
