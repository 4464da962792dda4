"""Offline run of boxes from a text file: tracking and rules without video and without a network."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

from kernels.records import LAMP, LAMPS
from vision import __version__
from vision.decode.gate import StreamInfo
from vision.errors import InputError
from vision.frame import Detections
from vision.mottext import Boxes, class_map, read_boxes
from vision.pipeline import Counts
from vision.record.context import run_header
from vision.record.files import SUMMARY, check_folder, prepare_folder, replacing
from vision.record.tracks import TrackLog
from vision.replay import (
    Job,
    Outcome,
    Progress,
    choose_camera,
    open_records_writer,
    summary,
    with_coverage,
    with_signal_logs,
    write_tracks,
)
from vision.scene import site_scene
from vision.site import load_site
from vision.track.given import GivenTracks
from vision.track.lane import Lane

_REPORT_FRAMES = 500


@dataclass(frozen=True)
class BoxJob:
    """What a replay of boxes is asked to do besides a Job: how the file's frames and classes are to be read.

    `begin_s` is the stream second of frame 1.
    """

    job: Job
    fps: float
    size_px: tuple[int, int]
    begin_s: float = 0.0
    classes: str | None = None


def replay_boxes(asked: BoxJob, progress: Progress | None = None) -> Outcome:
    """Run the boxes of a file through a site's camera and write its records; wrong input leaves nothing behind.

    Boxes with ids are tracks and reach the rules as they are; boxes without go
    through the tracker.
    """
    job = asked.job
    check_folder(job.out, job.force)
    site = load_site(job.site)
    name, _ = choose_camera(site, job.camera)
    site = with_coverage(with_signal_logs(site, name, job.signals), name)
    camera = site.cameras[name]
    boxes = read_boxes(job.source, class_map(asked.classes))
    width_px, height_px = asked.size_px
    scene = site_scene(site, name, width_px, height_px)
    header = run_header(
        site=site,
        scene=scene,
        camera=camera,
        card=None,
        version=__version__,
        start_utc=job.start_utc,
        boxes={"sha256": boxes.sha256, "fps": asked.fps, "begin_s": asked.begin_s, "tracked": boxes.tracked},
    )
    road = scene.to_road, scene.scale_sd, scene.lens
    given = GivenTracks(boxes, width_px, height_px, *road) if boxes.tracked else None
    lane = Lane(scene, camera.rules, context=header.context_id, tracker=given, start=header.start)
    log = TrackLog() if job.tracks else None
    folder = prepare_folder(job.out, job.force)
    counts = Counts()
    began_s = time.perf_counter()
    with open_records_writer(folder, header) as writer:
        for rule, events in _events(lane, boxes, (asked.begin_s, asked.fps), log, counts, progress):
            writer.append(events, rule)
            counts.events += len(events)
    counts.total_s = time.perf_counter() - began_s
    stream = StreamInfo(width_px, height_px, asked.fps, boxes.frames / asked.fps, boxes.frames, "boxes", "", 0)
    outcome = Outcome(folder, name, stream, scene, None, None, counts, False)
    with replacing(folder / SUMMARY) as file:
        file.write(msgspec.json.format(msgspec.json.encode(summary(outcome)), indent=2) + b"\n")
    if log is not None:
        write_tracks(outcome, log)
    return outcome


def _events(
    lane: Lane,
    boxes: Boxes,
    times: tuple[float, float],
    log: TrackLog | None,
    counts: Counts,
    progress: Progress | None,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (rule index, its events) of all frames, then what the end completes; `times` are begin_s and fps."""
    begin_s, fps = times
    starts = np.searchsorted(boxes.frame, np.arange(boxes.frames + 1))
    found = Detections()
    lamps = np.zeros((len(lane.scene.signal_names), len(LAMPS)), LAMP)
    for frame in range(boxes.frames):
        low, high = starts[frame], starts[frame + 1]
        found.n = int(high - low)
        found.xyxy_px[: found.n] = boxes.xyxy_px[low:high]
        found.score[: found.n] = boxes.score[low:high]
        found.class_id[: found.n] = boxes.class_id[low:high]
        counts.decoded += 1
        counts.inferred += 1
        time_s = begin_s + frame / fps
        yield from lane.step(found, frame, time_s, 0, lamps)
        if log is not None:
            log.append(frame, time_s, lane.tracks)
        if progress is not None and frame % _REPORT_FRAMES == 0:
            progress("replay", frame, boxes.frames)
    yield from lane.end()


def parse_size(text: str) -> tuple[int, int]:
    """Return (width, height) in px of "1920x1080"; an InputError says what is allowed."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and 16 <= int(width) <= 65535 and 16 <= int(height) <= 65535):
        raise InputError(f"size = {text!r} is no picture size; allowed: WIDTHxHEIGHT in px, such as 1920x1080")
    return int(width), int(height)
