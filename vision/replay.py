"""Offline run of one video: nothing is dropped, the same input gives the same records byte for byte."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import msgspec
import numpy as np

from kernels.rules import REGISTRY
from vision import __version__, annotate
from vision.card import Card, open_model
from vision.decode.gate import StreamInfo
from vision.decode.reader import decode_frames
from vision.decode.worker import DecodeWorker
from vision.detect.providers import Provider, choose
from vision.detect.session import Detector
from vision.draw import canvas_size, draw_site
from vision.errors import InputError, SiteError
from vision.frame import place
from vision.pipeline import CameraPath, Counts, run
from vision.record.context import run_header
from vision.record.export import rows
from vision.record.files import RECORDS, SUMMARY, TRACKS, TRACKS_TABLE, VIDEO, check_folder, prepare_folder, replacing
from vision.record.formats.trajectories import Facts, write_run_tracks
from vision.record.header import Header
from vision.record.reader import open_records
from vision.record.store import RecordWriter
from vision.record.tracks import TrackLog
from vision.scene import Scene, lamp_boxes, site_scene
from vision.site import Camera, Site, load_site, stream_address
from vision.track.lane import Lane
from vision.track.signal_offset import Offset


@dataclass(frozen=True)
class Job:
    """What a replay is asked to do. `start_utc` gives stream second 0 a date; without it events have none."""

    site: Path
    source: Path
    out: Path
    camera: str | None = None
    models: tuple[Path, ...] = ()
    provider: str = "auto"
    threads: int = 0
    start_utc: str | None = None
    signals: tuple[str, ...] = ()
    video: bool = False
    tracks: bool = False
    force: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a replay did: its files, its account of frames, and what it ran on."""

    folder: Path
    camera: str
    stream: StreamInfo
    scene: Scene
    card: Card | None  # None: the boxes came from a file
    provider: Provider | None
    counts: Counts
    stopped: bool
    offsets: dict[str, Offset | None] = field(default_factory=dict)  # of signals with lamps beside their log

    @property
    def origin(self) -> str:
        """Say where the boxes came from."""
        if self.card is None or self.provider is None:
            return "boxes from a file"
        return f"model {self.card.name} on {self.provider.describe()}"

    @property
    def frames_per_s(self) -> float:
        """Frames per second of wall time, start-up not counted."""
        return self.counts.inferred / self.counts.total_s if self.counts.total_s else 0.0


#: Told how far a stage is: its name, frames done, frames in all (None: unknown).
Progress = Callable[[str, int, int | None], None]


def choose_camera(site: Site, name: str | None) -> tuple[str, Camera]:
    """Return the camera of that name, or the only one where none is named."""
    names = ", ".join(sorted(site.cameras))
    if name is None and len(site.cameras) == 1:
        name = next(iter(site.cameras))
    if name is None:
        raise SiteError([f"{site.path}: has {len(site.cameras)} cameras; say which with --camera: {names}"])
    if name not in site.cameras:
        raise SiteError([f"{site.path}: camera {name!r} is not defined; defined here: {names}"])
    return name, site.cameras[name]


def with_signal_logs(site: Site, name: str, logs: Sequence[str]) -> Site:
    """Return the site with signals of a camera read from other logs: "path" for the only one, else "name=path"."""
    camera = site.cameras[name]
    signals = dict(camera.signals)
    for text in logs:
        key, equals, path = text.partition("=")
        if not equals and len(signals) == 1:
            key, path = next(iter(signals)), text
        if key not in signals:
            known = ", ".join(sorted(signals)) or "none"
            raise SiteError([f"{site.path}: signals {text!r} names no signal; allowed: name=path, of: {known}"])
        signals[key] = msgspec.structs.replace(
            signals[key],
            source="hires" if signals[key].source == "hires" else "log",
            path=str(Path(path).absolute()),
            lamp_px=None,
        )
    camera = msgspec.structs.replace(camera, signals=signals)
    return msgspec.structs.replace(site, cameras={**site.cameras, name: camera})


def with_coverage(site: Site, name: str) -> Site:
    """Return the site with a `coverage` rule last in a camera that has none: no count means anything without one."""
    camera = site.cameras[name]
    if any(rule.type == "coverage" for rule in camera.rules):
        return site
    taken = {rule.name for rule in camera.rules}
    label = next(label for k in count() if (label := f"coverage {k}" if k else "coverage") not in taken)
    rules = (*camera.rules, REGISTRY["coverage"].config(type="coverage", name=label))
    return msgspec.structs.replace(site, cameras={**site.cameras, name: msgspec.structs.replace(camera, rules=rules)})


def open_detector(camera: Camera, job: Job) -> tuple[Card, Detector]:
    """Open the camera's model on the best provider that really runs here."""
    card, model = open_model(camera.model, job.models)
    return card, Detector(card, model, choose(job.provider), threads=job.threads)


def tracker_settings(card: Card) -> dict[str, float]:
    """Return the tracker's settings that a model brings: which of its scores are strong, and which are weak."""
    return {"score_high": card.score_strong, "score_birth": card.score_strong, "score_low": card.score_min}


def replay(job: Job, progress: Progress | None = None, stop: Callable[[], bool] | None = None) -> Outcome:
    """Run a video through a site's camera and write its records; wrong input leaves nothing behind.

    Everything that can be refused is refused before the folder is touched. A stop leaves valid records of the frames
    seen until then.
    """
    check_folder(job.out, job.force)
    site = load_site(job.site)
    name, camera = choose_camera(site, job.camera)
    site = with_coverage(with_signal_logs(site, name, job.signals), name)
    camera = site.cameras[name]
    card, detector = open_detector(camera, job)
    worker = DecodeWorker(job.source, detector.fit_spec, lamp_boxes(camera))
    with contextlib.closing(worker):
        stream = worker.start()
        scene = site_scene(site, name, stream.width_px, stream.height_px)
        settings = tracker_settings(card)
        header = run_header(
            site=site,
            scene=scene,
            camera=camera,
            card=card,
            version=__version__,
            start_utc=job.start_utc,
            settings=settings,
        )
        lane = Lane(scene, camera.rules, context=header.context_id, settings=settings, start=header.start)
        tracks = TrackLog() if job.video or job.tracks else None
        folder = prepare_folder(job.out, job.force)
        with open_records_writer(folder, header) as writer:
            path = CameraPath(
                name=name,
                worker=worker,
                placement=place(detector.fit_spec, stream.width_px, stream.height_px),
                lane=lane,
                sink=writer,
                on_tracks=tracks.append if tracks is not None else None,
            )
            report = (lambda counts: progress("replay", counts.inferred, stream.frames)) if progress else None
            counts = run([path], detector, report, stop)
    stopped = counts.dropped["stopped"] > 0
    outcome = Outcome(folder, name, stream, scene, card, detector.provider, counts, stopped, lane.signal_offsets())
    with replacing(folder / SUMMARY) as file:
        file.write(msgspec.json.format(msgspec.json.encode(summary(outcome)), indent=2) + b"\n")
    if tracks is not None and job.tracks:
        write_tracks(outcome, tracks)
    if tracks is not None and job.video:
        annotator = annotate.Annotator(scene, tracks, rows(open_records(folder)))
        annotate.write(job.source, folder / VIDEO, annotator, counts.inferred, progress)
    return outcome


def write_tracks(outcome: Outcome, tracks: TrackLog) -> None:
    """Write a run's tracks into its folder, as MOTChallenge text and as a table with times."""
    records = open_records(outcome.folder)
    facts = Facts(
        camera=outcome.camera,
        width_px=outcome.stream.width_px,
        height_px=outcome.stream.height_px,
        fps=outcome.stream.fps,
        frames=outcome.counts.inferred,
        context=records.header.context_hex,
        start_utc=None if records.header.start is None else records.header.start.isoformat(),
    )
    tracks.write_mot(outcome.folder / TRACKS)
    write_run_tracks(outcome.folder / TRACKS_TABLE, tracks, facts)


@contextlib.contextmanager
def open_records_writer(folder: Path, header: Header) -> Iterator[RecordWriter]:
    """Open the record file. Wrong input leaves no file; a device in trouble, a stop or a crash leave what is valid."""
    writer = None
    try:
        writer = RecordWriter(folder / RECORDS, header)
        yield writer
    except InputError:
        if writer is not None:
            writer.discard()
        with contextlib.suppress(OSError):  # other files stand in it
            folder.rmdir()
        raise
    finally:
        if writer is not None:
            writer.close()


def summary(outcome: Outcome) -> dict[str, object]:
    """Return the account of a run for `run.json`; its times are of this machine, unlike the records."""
    counts = outcome.counts
    return {
        "gantry": __version__,
        "camera": outcome.camera,
        "model": outcome.card.name if outcome.card else None,
        "provider": outcome.provider.name if outcome.provider else None,
        "stream": msgspec.structs.asdict(outcome.stream)
        if isinstance(outcome.stream, msgspec.Struct)
        else outcome.stream._asdict(),
        "decoded": counts.decoded,
        "inferred": counts.inferred,
        "dropped": dict(sorted(counts.dropped.items())),
        "events": counts.events,
        "stopped": outcome.stopped,
        "signal_offsets": {name: one and one._asdict() for name, one in outcome.offsets.items()},
        "finished_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(counts.total_s, 3),
        "frames_per_s": round(outcome.frames_per_s, 1),
        "infer_ms": round(1e3 * counts.infer_s / max(counts.inferred, 1), 3),
        "overhead_ms": round(1e3 * (counts.head_s + counts.lane_s) / max(counts.inferred, 1), 3),
    }


def draw_camera(site_path: Path, camera: str | None, source: Path | None, picture: Path) -> None:
    """Write the picture of a camera's scene, on the first frame of `source` or else of the camera's own file."""
    site = load_site(site_path)
    name, _ = choose_camera(site, camera)
    draw_site(site, name, _first_frame(site, name, source), picture)


def calibrate_camera(
    site_path: Path, camera: str | None, source: Path | None, picture: Path | None, size_px: tuple[int, int] | None
) -> list[str]:
    """Return what there is to say of a camera's ground, a line each; write its map of errors where asked.

    The picture's size is `size_px`, else that of the first frame of `source` or of the camera's own file, else one that
    holds everything drawn.
    """
    from vision.calibrate import report

    site = load_site(site_path)
    name, _ = choose_camera(site, camera)
    background = None if size_px is not None and source is None else _first_frame(site, name, source)
    if size_px is None or background is not None:
        size_px = canvas_size(site, name) if background is None else (background.shape[1], background.shape[0])
    scene = site_scene(site, name, *size_px)
    told = report.said(scene)
    if picture is not None:
        report.draw_calibration(scene, background, picture)
    return told


def _first_frame(site: Site, name: str, source: Path | None) -> np.ndarray | None:
    """Return the first frame u1[h, w, 3] of `source`, or of the camera's own file, None where there is no file."""
    if source is None:
        own = Path(stream_address(site, name))
        source = own if own.is_file() else None
    return None if source is None else next(iter(decode_frames(source)))[0].to_ndarray(format="bgr24")
