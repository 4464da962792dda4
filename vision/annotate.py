"""The annotated video: a second pass over the file that draws what the run saw. Nothing is counted here."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from kernels.records import CLASSES
from vision import ink
from vision.decode.reader import decode_frames
from vision.draw import draw_scene
from vision.record.tracks import TrackLog
from vision.scene import Scene

#: How long a track's trail is and how long an event stays marked, in stream seconds.
TRAIL_S, MARK_S = 2.0, 1.5
#: Presentation times are written in this unit, fine enough for any frame rate.
_TIME_BASE = Fraction(1, 90_000)

Event = Mapping[str, Any]


class Annotator:
    """Draw frames of one run in order: scene, tracks with trails, marks of events, running counts."""

    def __init__(self, scene: Scene, tracks: TrackLog, events: Iterable[Event]) -> None:
        self._tracks = tracks
        self._waiting = deque(sorted(events, key=lambda event: (event["frame"], event["time_s"])))
        self._counts: Counter[str] = Counter()
        self._marks: dict[int, tuple[float, str]] = {}
        self._trails: dict[int, deque[tuple[float, float, float]]] = {}
        blank = np.zeros((scene.height_px, scene.width_px, 3), np.uint8)
        self._overlay = draw_scene(blank, scene, grid=False, tint=False)
        self._mask = self._overlay.any(axis=2).astype(np.uint8)
        self._pen = ink.Pen.of(blank)

    def draw(self, picture: np.ndarray, frame: int, time_s: float) -> None:
        """Draw into one frame u1[h, w, 3] (blue, green, red) what was known at its time."""
        cv2.copyTo(self._overlay, self._mask, picture)
        self._take_events(frame, time_s)
        for row in self._tracks.at(frame):
            self._draw_track(picture, row, time_s)
        for track in [track for track, trail in self._trails.items() if trail[-1][0] < time_s - TRAIL_S]:
            del self._trails[track]
        rows = [(name, str(n), ink.WHITE) for name, n in sorted(self._counts.items())]
        ink.draw_panel(picture, f"{time_s:7.2f} s", rows, pen=self._pen)

    def _take_events(self, frame: int, time_s: float) -> None:
        while self._waiting and self._waiting[0]["frame"] <= frame:
            event = self._waiting.popleft()
            self._counts[counter_name(event)] += 1
            if event["type"] != "movement":
                self._marks[event["track_id"]] = (time_s + MARK_S, mark(event))

    def _draw_track(self, picture: np.ndarray, row: np.ndarray, time_s: float) -> None:
        track = int(row["id"])
        box = [float(row[edge]) for edge in ("x1_px", "y1_px", "x2_px", "y2_px")]
        trail = self._trails.setdefault(track, deque())
        trail.append((time_s, 0.5 * (box[0] + box[2]), box[3]))
        while trail[0][0] < time_s - TRAIL_S:
            trail.popleft()
        class_id = int(row["class_id"])
        label, colour = f"{CLASSES[class_id]} {track}", ink.CLASS_COLOURS[class_id]
        until_s, text = self._marks.get(track, (0.0, ""))
        if time_s < until_s:
            label = f"{label}  {text}"
            colour = ink.VERMILION if "RED" in text else ink.WHITE
        ink.draw_track(picture, box, label, colour, np.array(trail)[:, 1:], self._pen)


def counter_name(event: Event) -> str:
    """Return the name under which an event is counted in the picture."""
    if event["type"] == "movement":
        return f"{event['entry_line'] or '?'} to {event['exit_line']}"
    return " ".join(str(event[key]) for key in ("rule", "direction") if event.get(key)).replace("_", " ")


def mark(event: Event) -> str:
    """Return the words that stand at a road user while its event is fresh."""
    if event["type"] == "red_light":
        return f"RED {event['red_s']:.1f} s"
    return str(event.get("line") or event["type"])


def write(
    source: Path,
    video: Path,
    annotator: Annotator,
    frames: int,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> int:
    """Write the annotated video (H.264, the stream's own times) of the first `frames` frames; return how many."""
    done = 0
    part = video.with_suffix(".part.mp4")
    with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = None
        for picture, frame, time_s in decode_frames(source):
            if done >= frames:
                break
            bgr = picture.to_ndarray(format="bgr24")
            annotator.draw(bgr, frame, time_s)
            if stream is None:
                stream = _stream(container, *_even(bgr).shape[1::-1])
            shown = av.VideoFrame.from_ndarray(np.ascontiguousarray(_even(bgr)), format="bgr24")
            shown.pts, shown.time_base = round(time_s / _TIME_BASE), _TIME_BASE
            container.mux(stream.encode(shown))
            done += 1
            if progress is not None:
                progress("video", done, frames)
        if stream is not None:
            container.mux(stream.encode())
    part.replace(video)
    return done


def _stream(container: Any, width_px: int, height_px: int) -> Any:
    stream = container.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "23"})
    stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
    stream.codec_context.time_base = _TIME_BASE
    return stream


def _even(picture: np.ndarray) -> np.ndarray:
    """Return the picture without an odd last row or column, which 4:2:0 cannot hold."""
    return picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
