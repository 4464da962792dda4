"""Slow, obvious twin of `kernels/given.py`."""

from __future__ import annotations

from naive_relink import rivalled
from naive_track import Sighting, publish, track_measure, track_predict, track_start

from kernels.records import ENDED, OBSERVED, RELINKED


def given_step(tracks, settings, frame, time_s, dt_s, found, to_road):
    """One frame: `tracks` is {id: (track, slot, last frame)}, `found` [(id, slot, last frame, sighting)]."""
    rows = []
    for number, (track, slot, last) in sorted(tracks.items(), key=lambda item: item[1][1]):
        if last < frame:
            rows.append(publish(track, slot, settings, track.seen[-1], ENDED))
            del tracks[number]
        else:
            track_predict(track, settings, dt_s)
    for number, slot, last, one in found:
        if number not in tracks:
            begun = track_start(settings, one.box, one.score, one.class_id, time_s, number)
            begun.confirmed = True
            tracks[number] = (begun, slot, last)
            rows.append(publish(begun, slot, settings, Sighting(time_s, one.box, 1.0, 0), OBSERVED))
            continue
        track = tracks[number][0]
        previous, gap_s = track.seen[-1], time_s - track.last_s
        missed = gap_s > 1.5 * dt_s
        others = [other for other, *_ in sorted(tracks.values(), key=lambda item: item[1])]
        if missed and gap_s > 0.5 and rivalled(others, track, [], one.box, time_s, settings):
            track.relinked_s = time_s
        track_measure(track, settings, one.box, one.score, one.class_id, time_s, to_road)
        rows.append(publish(track, slot, settings, previous, OBSERVED | RELINKED * missed))
    return rows
