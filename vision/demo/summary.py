"""The demo's one picture: a key frame, counts truth beside result, crossing-time errors, and the runs of red."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from vision import ink
from vision.demo.check import Event, Report
from vision.demo.clip import Demo
from vision.demo.site import SITE_LINES, site_lines
from vision.demo.traffic import spans
from vision.demo.truth import frame_boxes
from vision.errors import SourceError, StoreError

WIDTH_PX, HEIGHT_PX = 1920, 1200
PAPER: ink.Colour = (250, 249, 247)
CARD: ink.Colour = (255, 255, 255)
TEXT: ink.Colour = (52, 44, 38)
FAINT: ink.Colour = (140, 130, 122)
RULE: ink.Colour = (228, 224, 220)
GOOD, BAD = ink.GREEN, ink.VERMILION
STATE_COLOURS = {"green": ink.GREEN, "amber": (30, 170, 240), "red": (60, 60, 220), "red_amber": (40, 110, 235)}
#: Widest error in ms that the histogram shows; the outer bars hold all beyond.
HISTOGRAM_MS, BIN_MS = 80, 10


def draw_summary(report: Report, demo: Demo, events: Iterable[Event], path: Path, video: Path | None = None) -> None:
    """Write the summary as a PNG; the key frame is taken from `video` (the annotated one) where it is given."""
    events = list(events)
    page = np.full((HEIGHT_PX, WIDTH_PX, 3), PAPER, np.uint8)
    _draw_head(page, report, demo)
    _draw_key_frame(page, report, demo, video, (40, 120, 1120, 630))
    _draw_counts(page, report, (1190, 120, 690, 404))
    _draw_bars(page, report, (1190, 544, 690, 206))
    _draw_histogram(page, report, (40, 780, 560, 380))
    _draw_timeline(page, report, demo, events, (630, 780, 640, 380))
    _draw_runs(page, report, demo, (1300, 780, 580, 380))
    done, packed = cv2.imencode(".png", page)
    try:
        if not done:
            raise OSError("the picture cannot be encoded")
        path.write_bytes(packed.tobytes())
    except OSError as error:
        raise StoreError(
            f"{path}: cannot write the summary: {error.strerror or error}; choose another folder"
        ) from None


def grab_frames(video: Path, times_s: Sequence[float]) -> list[np.ndarray]:
    """Return the frame u1[h, w, 3] shown at each time in seconds."""
    pictures = []
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        for time_s in times_s:
            container.seek(max(0, int(time_s / (stream.time_base or 1))), stream=stream)
            shown: av.VideoFrame | None = None
            for frame in container.decode(stream):
                if shown is not None and frame.time > time_s + 1e-6:
                    break
                shown = frame
            if shown is None:
                raise SourceError(f"{video}: holds no frame at {time_s:.2f} s; render the demo again")
            pictures.append(shown.to_ndarray(format="bgr24"))
    return pictures


def _write(page: np.ndarray, text: str, x: float, y: float, size: int, colour: ink.Colour = TEXT) -> None:
    ink.put_text(page, text, x, y, size, colour, outline=False)


def _write_right(page: np.ndarray, text: str, x: float, y: float, size: int, colour: ink.Colour = TEXT) -> None:
    _write(page, text, x - ink.text_size(text, size)[0], y, size, colour)


def _card(page: np.ndarray, box: tuple[int, int, int, int], title: str, note: str = "") -> None:
    """Draw an empty card with its title."""
    x, y, width, height = box
    cv2.rectangle(page, (x, y), (x + width, y + height), CARD, cv2.FILLED)
    cv2.rectangle(page, (x, y), (x + width, y + height), RULE, 1, cv2.LINE_AA)
    _write(page, title, x + 20, y + 14, 21)
    if note:
        _write_right(page, note, x + width - 20, y + 17, 16, FAINT)


def _draw_head(page: np.ndarray, report: Report, demo: Demo) -> None:
    _write(page, "Gantry demo", 40, 24, 40)
    count = len({one.vehicle for one in demo.truth.crossings})
    said = (
        f"{demo.world.seconds:g} s of H.264 video of a rendered junction at {demo.fps:g} frames a second, "
        f"{count} vehicles over {len(SITE_LINES)} lines: what the run found beside what is true"
    )
    _write(page, said, 42, 78, 20, FAINT)
    text, colour = ("every bar is met", GOOD) if report.passed else ("a bar is missed", BAD)
    width, _ = ink.text_size(text, 26)
    x = WIDTH_PX - 40 - width - 44
    cv2.rectangle(page, (x, 34), (WIDTH_PX - 40, 88), colour, cv2.FILLED)
    _write(page, text, x + 22, 46, 26, CARD)


def _draw_key_frame(
    page: np.ndarray, report: Report, demo: Demo, video: Path | None, box: tuple[int, int, int, int]
) -> None:
    """Draw the frame a moment after a run of red, annotated."""
    x, y, width, height = box
    runs = report.runs_found or report.runs_missed
    time_s = runs[len(runs) // 2].time_s + 0.4 if runs else demo.world.seconds / 2
    picture = grab_frames(video or demo.video, [time_s])[0]
    if video is None:
        _annotate(picture, demo, time_s)
    page[y : y + height, x : x + width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _annotate(picture: np.ndarray, demo: Demo, time_s: float) -> None:
    """Draw the site's lines and the true boxes into a frame."""
    for line in site_lines(demo.world.camera, demo.world.layout).values():
        ink.stroke(picture, [line.a_px, line.b_px], ink.YELLOW, 2)
    for box in frame_boxes(demo.world, demo.stage, time_s):
        if box.visible > 0.3 and box.xyxy_px[3] - box.xyxy_px[1] > 24:
            ink.draw_track(picture, box.xyxy_px, box.class_name, ink.SKY)


def _draw_counts(page: np.ndarray, report: Report, box: tuple[int, int, int, int]) -> None:
    """Draw the table of counts, one row a line."""
    x, y, width, _ = box
    _card(page, box, "Counts", "crossings of each line")
    truth, result, kinds = Counter[str](), Counter[str](), dict[str, list[str]]()
    wrong = {row.line for row in report.counts if row.truth != row.result}
    for row in report.counts:
        truth[row.line] += row.truth
        result[row.line] += row.result
        if row.truth:
            kinds.setdefault(row.line, []).append(_several(row.truth, row.class_name))
    columns = (x + 20, x + 225, x + 315, x + 345)
    top = y + 52
    for text, at in zip(("line", "truth", "found"), columns, strict=False):
        (_write if at == columns[0] else _write_right)(page, text, at, top, 16, FAINT)
    _write(page, "of which", columns[3], top, 16, FAINT)
    for line in (*SITE_LINES, "all"):
        top += 33
        cv2.line(page, (x + 20, top - 5), (x + width - 20, top - 5), RULE, 1)
        every = line == "all"
        colour = BAD if line in wrong or (every and wrong) else TEXT
        _write(page, "all lines" if every else line.replace("_", " "), columns[0], top, 19, colour)
        _write_right(page, str(truth.total() if every else truth[line]), columns[1], top, 19)
        _write_right(page, str(result.total() if every else result[line]), columns[2], top, 19, colour)
        said = f"{len(report.movements)} different movements" if every else ", ".join(kinds.get(line, []))
        _write(page, said, columns[3], top + 2, 16, FAINT)


def _several(count: int, name: str) -> str:
    """Return a number of things in words."""
    return f"{count} {name}" + ("" if count == 1 else "es" if name.endswith("s") else "s")


def _draw_bars(page: np.ndarray, report: Report, box: tuple[int, int, int, int]) -> None:
    """Draw what must hold, and whether it does."""
    x, y, _, _ = box
    _card(page, box, "What must hold")
    for index, bar in enumerate(report.bars):
        top = y + 50 + index * 37
        colour = GOOD if bar.passed else BAD
        cv2.circle(page, (x + 32, top + 13), 10, colour, cv2.FILLED, cv2.LINE_AA)
        mark = [(27, 13), (31, 17), (38, 8)] if bar.passed else [(28, 9), (36, 17), (32, 13), (36, 9), (28, 17)]
        cv2.polylines(page, [np.array(mark) + np.array([x, top])], False, CARD, 2, cv2.LINE_AA)
        _write(page, bar.name, x + 54, top - 2, 17)
        _write(page, bar.found, x + 54, top + 17, 14, FAINT if bar.passed else BAD)


def _draw_histogram(page: np.ndarray, report: Report, box: tuple[int, int, int, int]) -> None:
    """Draw how far crossing times are from the truth."""
    x, y, width, height = box
    _card(page, box, "Crossing time, found minus true", f"n = {len(report.errors_s)}")
    edges = np.arange(-HISTOGRAM_MS, HISTOGRAM_MS + BIN_MS, BIN_MS)
    errors = np.clip(np.array(report.errors_s) * 1000, edges[0] + 1, edges[-1] - 1)
    counts, _ = np.histogram(errors, edges)
    left, right, base, top = x + 30, x + width - 30, y + height - 58, y + 76
    step = (right - left) / len(counts)
    frame_ms = report.frame_s * 1000
    for limit in (-frame_ms, frame_ms):
        at = round(left + (limit + HISTOGRAM_MS) / BIN_MS * step)
        for dash in range(top - 14, base, 10):
            cv2.line(page, (at, dash), (at, dash + 5), FAINT, 1, cv2.LINE_AA)
    _write(page, "one frame", left + (frame_ms + HISTOGRAM_MS) / BIN_MS * step + 6, top - 16, 15, FAINT)
    for index, count in enumerate(counts):
        if not count:
            continue
        tall = (base - top - 20) * count / max(int(counts.max()), 1)
        inside = abs(edges[index] + BIN_MS / 2) < frame_ms
        low, high = (round(left + index * step + 2), round(base - tall)), (round(left + (index + 1) * step - 2), base)
        cv2.rectangle(page, low, high, ink.BLUE if inside else BAD, cv2.FILLED)
        text = str(count)
        _write(page, text, (low[0] + high[0]) / 2 - ink.text_size(text, 15)[0] / 2, low[1] - 20, 15, FAINT)
    cv2.line(page, (left, base), (right, base), FAINT, 1, cv2.LINE_AA)
    for mark in range(-HISTOGRAM_MS, HISTOGRAM_MS + 1, 40):
        text = f"{mark:+d} ms" if mark else "0"
        middle = left + (mark + HISTOGRAM_MS) / BIN_MS * step
        _write(page, text, middle - ink.text_size(text, 15)[0] / 2, base + 6, 15, FAINT)
    said = f"half within {1000 * report.error_s(0.5):.0f} ms, 95 % within {1000 * report.error_s(0.95):.0f} ms"
    _write(page, said, x + 20, y + height - 30, 16)


def _draw_timeline(
    page: np.ndarray, report: Report, demo: Demo, events: Sequence[Event], box: tuple[int, int, int, int]
) -> None:
    """Draw the signal's states over time, true crossings of the stop lines above, found ones beneath."""
    x, y, width, height = box
    _card(page, box, "Signal and stop lines", "runs of red are marked")
    left, right, middle = x + 90, x + width - 24, y + 196
    seconds = demo.world.seconds

    def at(time_s: float) -> int:
        return round(left + (right - left) * time_s / seconds)

    for start, end, state in spans(demo.world.plan, "main", seconds):
        cv2.rectangle(page, (at(start), middle - 22), (at(end) - 1, middle + 22), STATE_COLOURS[state], cv2.FILLED)
        if at(end) - at(start) > ink.text_size(state, 16)[0] + 10:
            _write(page, state, at(start) + 8, middle - 10, 16, CARD)
    stops = [name for name, plan in SITE_LINES.items() if plan.clear is not None]
    true = [(one.time_s, one.line) for one in demo.truth.crossings if one.line in stops]
    found = [
        (event["time_s"], event["line"]) for event in events if event["type"] == "line_count" and event["line"] in stops
    ]
    runs = [(run.time_s, run.line) for run in demo.truth.red_runs]
    seen = [(event["time_s"], event["line"]) for event in (*report.run_events, *report.runs_invented)]
    for above, name, marks, flagged in ((True, "true", true, runs), (False, "found", found, seen)):
        _write(page, name, x + 20, middle + (-1 if above else 1) * 120 - 10, 15, FAINT)
        for index, line in enumerate(stops):
            row = middle + (-1 if above else 1) * (52 + 34 * index)
            _write(page, line.split("_")[0], x + 20, row - 10, 16)
            cv2.line(page, (left, row), (right, row), RULE, 1, cv2.LINE_AA)
            for time_s, where in marks:
                if where == line:
                    cv2.circle(page, (at(time_s), row), 6, ink.BLUE, cv2.FILLED, cv2.LINE_AA)
            for time_s, where in flagged:
                if where == line:
                    cv2.circle(page, (at(time_s), row), 9, (60, 60, 220), cv2.FILLED, cv2.LINE_AA)
                    cv2.circle(page, (at(time_s), row), 9, CARD, 2, cv2.LINE_AA)
    for second in range(0, int(seconds) + 1, 4):
        text = f"{second} s"
        _write(page, text, at(second) - ink.text_size(text, 15)[0] / 2, y + height - 66, 15, FAINT)
    cv2.circle(page, (x + 30, y + height - 22), 6, ink.BLUE, cv2.FILLED, cv2.LINE_AA)
    _write(page, "a vehicle crosses", x + 44, y + height - 32, 16, FAINT)
    cv2.circle(page, (x + 230, y + height - 22), 9, (60, 60, 220), cv2.FILLED, cv2.LINE_AA)
    _write(page, "it runs red", x + 246, y + height - 32, 16, FAINT)


def _draw_runs(page: np.ndarray, report: Report, demo: Demo, box: tuple[int, int, int, int]) -> None:
    """Draw a still of each true run of red, the first three."""
    x, y, width, _ = box
    _card(
        page,
        box,
        "Red-light runs",
        f"{len(report.runs_found)} found, {len(report.runs_missed)} missed, {len(report.runs_invented)} invented",
    )
    runs = sorted((*report.runs_found, *report.runs_missed), key=lambda run: run.time_s)[:3]
    side = (width - 40 - 2 * 14) // 3
    for index, (run, picture) in enumerate(
        zip(runs, grab_frames(demo.video, [run.time_s for run in runs]), strict=True)
    ):
        left, top = x + 20 + index * (side + 14), y + 60
        boxes = [one for one in frame_boxes(demo.world, demo.stage, run.time_s) if one.vehicle == run.vehicle]
        cut = _cut(picture, boxes[0].xyxy_px if boxes else (0, 0, 100, 100), (side, side + 50))
        page[top : top + side + 50, left : left + side] = cut
        found = run in report.runs_found
        colour = GOOD if found else BAD
        cv2.rectangle(page, (left, top + side + 50), (left + side - 1, top + side + 55), colour, cv2.FILLED)
        _write(page, f"{run.class_name}, {run.time_s:.1f} s", left, top + side + 62, 17)
        _write(page, f"{run.red_s:.1f} s into red", left, top + side + 82, 16, FAINT)


def _cut(picture: np.ndarray, box: Sequence[float], size: tuple[int, int]) -> np.ndarray:
    """Return the part of a picture around a box, with the box drawn, in another size."""
    x1, y1, x2, y2 = box
    shape = size[0] / size[1]
    # Not nearer than a small vehicle stays sharp.
    tall = min(max((y2 - y1) * 1.7, (x2 - x1) * 1.5 / shape, 150.0), float(picture.shape[0]), picture.shape[1] / shape)
    wide = tall * shape
    left = round(float(np.clip((x1 + x2) / 2 - wide / 2, 0, picture.shape[1] - wide)))
    top = round(float(np.clip((y1 + y2) / 2 - tall / 2, 0, picture.shape[0] - tall)))
    part = picture[top : top + max(round(tall), 1), left : left + max(round(wide), 1)]
    part = cv2.resize(part, size, interpolation=cv2.INTER_CUBIC)
    corners = (np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)]) - (left, top)) * size[1] / tall
    ink.stroke(part, corners, ink.VERMILION, 2, closed=True)
    return part
