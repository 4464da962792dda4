"""Runs a scene's boxes or tracks through a lane, in memory, and finds out which road user each event is of."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kernels.records import END, JUDGEMENTS, LAMP, LAMPS, OBSERVED, REASONS
from vision.evaluate.matching import overlaps
from vision.frame import Detections
from vision.mottext import Boxes, read_boxes
from vision.scene import Scene, site_scene
from vision.site import load_site
from vision.track.given import GivenTracks
from vision.track.lane import Lane

#: Tracks are held against true boxes so often.
_LOOK_HZ = 5.0
_IOU_MIN = 0.3
SIZE_PX = (1920, 1080)


class Told(NamedTuple):
    """An event of a rule; `who` is the true road user, 0 where the track was nobody."""

    rule: str
    time_s: float
    who: int
    judged: bool
    reason: str
    row: dict[str, Any]


class Drive(NamedTuple):
    """What a lane told of a scene: its events by time; `names` for the integer fields of rows."""

    told: list[Told]
    scene: Scene
    seconds: float


def drive(folder: Path, what: str, fps: float, idle_hz: float = 0.0) -> Drive:
    """Run `what` (boxes, tracks or all_tracks) of a scene through the rules of its site.

    With `idle_hz` only so many frames a second are run while nobody is in view.
    """
    boxes = read_boxes(folder / f"{what}.txt.gz")
    truth = read_boxes(folder / "all_tracks.txt.gz")
    return drive_boxes(folder, boxes, truth, fps, idle_hz)


def drive_boxes(folder: Path, boxes: Boxes, truth: Boxes, fps: float, idle_hz: float = 0.0) -> Drive:
    """Run boxes through the rules of a scene's site; `truth` are the true boxes."""
    site = load_site(folder / "site.toml")
    camera = site.cameras["main"]
    scene = site_scene(site, "main", *SIZE_PX)
    given = GivenTracks(boxes, *SIZE_PX, scene.to_road, lens=scene.lens) if boxes.tracked else None
    lane = Lane(scene, camera.rules, tracker=given)
    names = [rule.name for rule in camera.rules]
    people = People(truth, None if given is None else 1)
    raw: list[tuple[int, np.void]] = []
    starts = np.searchsorted(boxes.frame, np.arange(boxes.frames + 1))
    found = Detections()
    lamps = np.zeros((len(scene.signal_names), len(LAMPS)), LAMP)
    stride = max(1, round(fps / _LOOK_HZ))
    for frame in range(boxes.frames):
        low, high = starts[frame], starts[frame + 1]
        if idle_hz and low == high and len(lane.tracks) == 0 and frame % max(1, round(fps / idle_hz)):
            continue
        found.n = int(high - low)
        found.xyxy_px[: found.n] = boxes.xyxy_px[low:high]
        found.score[: found.n] = boxes.score[low:high]
        found.class_id[: found.n] = boxes.class_id[low:high]
        for rule, events in lane.step(found, frame, frame / fps, 0, lamps):
            raw += [(rule, event) for event in events]
        if frame % stride == 0:
            people.look(frame, frame / fps, lane.tracks)
    for rule, events in lane.end():
        raw += [(rule, event) for event in events]
    # An incident's end is no second incident.
    told = [_told(names[rule], event, people) for rule, event in raw if not _is_end(event)]
    return Drive(sorted(told, key=lambda one: one.time_s), scene, boxes.frames / fps)


def _is_end(event: np.void) -> bool:
    return "phase" in (event.dtype.names or ()) and int(event["phase"]) == END


def _told(name: str, event: np.void, people: People) -> Told:
    row = {field: event[field].item() for field in event.dtype.names or ()}
    judgement = JUDGEMENTS[row["judgement"]] if "judgement" in row else "violation"
    reason = REASONS[row["reason"]] if "reason" in row else "none"
    who = people.who(row["track_id"], row["time_s"])
    return Told(name, row["time_s"], who, judgement != "cannot_judge", reason, row)


class People:
    """Which true road user a track was on at a time, told by the overlap of their boxes: found out when it is asked."""

    def __init__(self, truth: Boxes, given: int | None) -> None:
        self._truth = truth
        self._given = given is not None
        self._starts = np.searchsorted(truth.frame, np.arange(truth.frames + 2))
        #: When, in which frame and in which box a track was seen.
        self._seen: dict[int, list[tuple[float, int, tuple[float, ...]]]] = defaultdict(list)

    def look(self, frame: int, time_s: float, tracks: np.ndarray) -> None:
        """Note where the tracks of a frame are."""
        if self._given or frame >= self._truth.frames:
            return
        for track in tracks:
            if track["flags"] & OBSERVED:
                box = (track["x1_px"], track["y1_px"], track["x2_px"], track["y2_px"])
                self._seen[int(track["id"])].append((time_s, frame, box))

    def who(self, track: int, time_s: float) -> int:
        """Return the road user that a track was most on within a second of a time, or next to it; 0 for nobody."""
        if self._given:
            return track
        seen = self._seen.get(track, [])
        low, high = bisect_left(seen, (time_s - 1.0,)), bisect_left(seen, (time_s + 1.0,))
        near = Counter(who for who in (self._on(*one) for one in seen[low:high]) if who)
        if near:
            return near.most_common(1)[0][0]
        return next((who for who in (self._on(*one) for one in (*seen[low:], *seen[low::-1])) if who), 0)

    def _on(self, _: float, frame: int, box: tuple[float, ...]) -> int:
        """Return whose true box of a frame a box overlaps most, 0 for nobody's."""
        here = slice(*self._starts[frame : frame + 2])
        iou = overlaps(np.array([box], float), self._truth.xyxy_px[here].astype(float))
        if iou.size == 0 or iou.max() < _IOU_MIN:
            return 0
        return int(self._truth.track_id[here][int(iou[0].argmax())])
