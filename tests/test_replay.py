"""A whole run: the same file gives the same bytes, every frame is accounted for, a stop leaves what is valid."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import scenes
from scenes import Tiny, command, junction_events, replay_words, tiny_run
from videos import stamped

from vision.demo.check import match
from vision.demo.clip import Painter, even_times, uneven_times
from vision.demo.truth import cached_truth
from vision.demo.world import build_world
from vision.record.export import rows
from vision.record.reader import open_records
from vision.replay import Job, Outcome, replay, with_coverage
from vision.site import load_site


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny_run(tmp_path_factory.mktemp("tiny") / "scene")


@pytest.fixture(scope="module")
def painter() -> Painter:
    return Painter(build_world(7))


def run_tiny(tiny: Tiny, out: Path, stop: Any = None, **more: Any) -> Outcome:
    """Replay the tiny scene on one thread of the CPU."""
    given = {"site": tiny.site, "source": tiny.video, "models": (tiny.folder,), "provider": "cpu", "threads": 1}
    return replay(Job(**{**given, "out": out, **more}), stop=stop)


def balance(outcome: Outcome) -> tuple[int, int, dict[str, int]]:
    """Return decoded, inferred and dropped of a run, as run.json has them too."""
    counts = outcome.counts
    written = json.loads((outcome.folder / "run.json").read_text())
    assert counts.balanced
    assert (counts.decoded, counts.inferred) == (written["decoded"], written["inferred"])
    assert written["dropped"] == counts.dropped
    assert written["decoded"] == written["inferred"] + sum(written["dropped"].values())
    return counts.decoded, counts.inferred, dict(counts.dropped)


# -- The same input, the same bytes -----------------------------------------------------------------------------------


def judged(folder: Path) -> list[dict[str, Any]]:
    """Return a run's events without the account of the time it watched."""
    return [row for row in rows(open_records(folder)) if row["type"] != "coverage"]


def test_a_run_says_who_crossed_the_line_and_when(tiny: Tiny, tmp_path: Path) -> None:
    outcome = run_tiny(tiny, tmp_path / "out")
    assert not outcome.stopped
    assert balance(outcome) == (scenes.FRAMES, scenes.FRAMES, {})
    (event,) = judged(tmp_path / "out")
    assert (event["camera"], event["rule"], event["line"]) == ("one", "count", "stop")
    assert (event["class"], event["direction"]) == ("car", "with_flow")
    assert event["time_s"] == pytest.approx(scenes.crossing_s(), abs=0.04)
    assert outcome.counts.events == len(open_records(tmp_path / "out")) == 2  # and what was watched


def test_the_same_file_gives_the_same_bytes(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_tiny(tiny, tmp_path / "a")
    monkeypatch.chdir(tiny.folder)
    run_tiny(tiny, tmp_path / "b", site=Path("site.toml"), source=Path("v.mp4"), models=(Path(),))
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in tiny.folder.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    run_tiny(Tiny(moved, moved / "site.toml", Path("elsewhere") / "v.mp4"), Path("c"), video=True, tracks=True)
    first = (tmp_path / "a" / "events.gtr").read_bytes()
    assert len(judged(tmp_path / "a")) == 1
    assert first == (tmp_path / "b" / "events.gtr").read_bytes()
    assert first == (tmp_path / "c" / "events.gtr").read_bytes()


def test_another_process_gives_the_same_bytes(tiny: Tiny, tmp_path: Path) -> None:
    run_tiny(tiny, tmp_path / "a")
    done = subprocess.run(
        command(*replay_words(tiny, "b")), cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    assert f"decoded {scenes.FRAMES} = inferred {scenes.FRAMES} + dropped 0 (none)" in done.stdout
    assert (tmp_path / "a" / "events.gtr").read_bytes() == (tmp_path / "b" / "events.gtr").read_bytes()


def environment() -> dict[str, str]:
    """Return the environment in which another process finds this project."""
    return {**os.environ, "PYTHONPATH": str(Path(scenes.__file__).parent.parent)}


# -- Every frame is accounted for -------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [0, 1, 20])
def test_a_stop_leaves_valid_records_and_counts_what_was_decoded(tiny: Tiny, tmp_path: Path, frames: int) -> None:
    asked = iter(range(1000))
    outcome = run_tiny(tiny, tmp_path / "out", stop=lambda: next(asked) >= frames)
    decoded, inferred, dropped = balance(outcome)
    assert inferred == frames
    assert decoded > frames
    assert set(dropped) == {"stopped"}
    assert outcome.stopped
    assert json.loads((tmp_path / "out" / "run.json").read_text())["stopped"] is True
    records = open_records(tmp_path / "out")
    assert records.note is None
    assert len(records) == outcome.counts.events


def test_a_stop_keeps_the_events_until_then(tiny: Tiny, tmp_path: Path) -> None:
    asked = iter(range(1000))
    outcome = run_tiny(tiny, tmp_path / "out", stop=lambda: next(asked) >= scenes.FRAMES - 8)
    assert outcome.stopped
    whole = run_tiny(tiny, tmp_path / "whole")
    assert whole.counts.events == 2
    assert judged(tmp_path / "out") == judged(tmp_path / "whole")
    watched = [rows(open_records(tmp_path / name))[-1] for name in ("out", "whole")]
    assert [row["type"] for row in watched] == ["coverage", "coverage"]
    assert watched[0]["observed_s"] == pytest.approx(watched[1]["observed_s"] - 8 / 25, abs=1e-3)


def test_frames_whose_time_stands_or_runs_back_are_dropped_with_a_reason(tiny: Tiny, tmp_path: Path) -> None:
    pts = [k * 3600 for k in (0, 1, 2, 2, 2, 3, 4, 3, 5, 6, 7, 8, 9, 9, 10, 11)]
    video = stamped(tmp_path, pts)
    site = tmp_path / "site.toml"
    site.write_text(scenes.SITE)
    outcome = run_tiny(tiny, tmp_path / "out", site=site, source=video)
    assert balance(outcome) == (16, 12, {"time_repeated": 3, "time_backwards": 1})
    assert "decoded 16 = inferred 12 + dropped 4 (time_backwards 1, time_repeated 3)" in outcome.counts.line()


# -- Ctrl-C and kill --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Return a video in which the car drives down the picture again and again, for a minute or more of work."""

    def again(number: int, rgb: np.ndarray) -> None:
        rgb[...] = scenes.level(number % scenes.FRAMES)

    scene = tiny_run(tmp_path_factory.mktemp("long") / "scene", again, n=500)
    # The same packets many times over: a transport stream may be put together like that.
    copies = tmp_path_factory.mktemp("long") / "v.ts"
    many_times(scene.video, copies, 120)
    return scene._replace(video=copies)


def many_times(source: Path, target: Path, times: int) -> None:
    """Write a video's packets several times over, times running on."""
    with av.open(str(source)) as container, av.open(str(target), "w", format="mpegts") as out:
        stream = container.streams.video[0]
        into = out.add_stream_from_template(stream)
        packets = [packet for packet in container.demux(stream) if packet.size]
        data = [(bytes(packet), packet.pts, packet.dts, packet.is_keyframe, packet.time_base) for packet in packets]
        length = len(packets) * packets[0].duration
        for k in range(times):
            for body, pts, dts, key, base in data:
                packet = av.Packet(body)
                packet.pts, packet.dts, packet.time_base = pts + k * length, dts + k * length, base
                packet.is_keyframe, packet.stream = key, into
                out.mux(packet)


def started(tiny: Tiny, out: Path) -> subprocess.Popen[str]:
    """Start a run in another process and return it once there are events."""
    process = subprocess.Popen(
        command(*replay_words(tiny, out)), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    part, empty = out / "events.gtr.part", None
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s and process.poll() is None:
        size = part.stat().st_size if part.exists() else None
        empty = empty or size
        if empty and size and size >= empty + 2 * 64:
            return process
        time.sleep(0.02)
    process.kill()
    pytest.fail(f"no events within 60 s: {process.communicate()}")


def test_ctrl_c_leaves_whole_records_and_an_exact_account(long_tiny: Tiny, tmp_path: Path) -> None:
    process = started(long_tiny, tmp_path / "out")
    process.send_signal(signal.SIGINT)
    said, complaint = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopping: writing what is done" in complaint
    assert "Traceback" not in complaint
    written = json.loads((tmp_path / "out" / "run.json").read_text())
    assert written["stopped"] is True
    assert written["decoded"] == written["inferred"] + sum(written["dropped"].values())
    assert set(written["dropped"]) == {"stopped"}
    line = re.search(r"decoded (\d+) = inferred (\d+) \+ dropped (\d+) \(stopped (\d+)\)", said)
    assert line is not None
    assert [int(text) for text in line.groups()[:2]] == [written["decoded"], written["inferred"]]
    records = open_records(tmp_path / "out")
    assert records.note is None
    assert len(records) == written["events"] >= 2
    assert not (tmp_path / "out" / "events.gtr.part").exists()


def test_a_killed_run_can_be_read(long_tiny: Tiny, tmp_path: Path) -> None:
    process = started(long_tiny, tmp_path / "out")
    process.kill()
    process.communicate(timeout=60)
    assert not (tmp_path / "out" / "run.json").exists()
    records = open_records(tmp_path / "out")
    assert not records.finished
    assert len(records) >= 2
    done = subprocess.run(
        command("events", tmp_path / "out", "--list"), env=environment(), capture_output=True, text=True, check=True
    )
    assert len(done.stdout.splitlines()) == len(judged(tmp_path / "out"))
    assert "the run was cut off" in done.stderr


# -- Files beside the records -----------------------------------------------------------------------------------------


def test_tracks_and_video_are_of_the_same_frames(tiny: Tiny, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_tiny(tiny, out, video=True, tracks=True)
    assert sorted(path.name for path in out.iterdir()) == [
        "annotated.mp4",
        "events.gtr",
        "run.json",
        "tracks.parquet",
        "tracks.txt",
    ]
    lines = [line.split(",") for line in (out / "tracks.txt").read_text().splitlines()]
    assert len(lines) > scenes.FRAMES / 2
    assert all(len(line) == 9 for line in lines)
    (event,) = judged(out)
    assert {int(line[1]) for line in lines} == {event["track_id"]}
    for line in lines:
        frame, (left, top, width, height) = int(line[0]) - 1, map(float, line[2:6])
        foot = scenes.FOOT_PX * scenes.level(frame) / 114
        assert top + height == pytest.approx(foot, abs=2.0)
        assert left + width / 2 == pytest.approx(foot * 44 / 64, abs=2.0)
    with av.open(str(tiny.video)) as one, av.open(str(out / "annotated.mp4")) as two:
        before = [frame.time for frame in one.decode(video=0)]
        after = [(frame.time, frame.width, frame.height) for frame in two.decode(video=0)]
    assert np.allclose([time_s for time_s, _, _ in after], before, atol=1e-3)
    assert {(width, height) for _, width, height in after} == {(scenes.WIDTH_PX, scenes.HEIGHT_PX)}


def test_a_video_with_uneven_times_keeps_them(tiny: Tiny, tmp_path: Path) -> None:
    steps = np.random.default_rng(1).integers(1800, 7200, scenes.FRAMES - 1)
    pts = [0, *np.cumsum(steps).tolist()]
    uneven = tiny_run(tmp_path / "scene", pts=pts)
    run_tiny(uneven, tmp_path / "out", video=True)
    with av.open(str(tmp_path / "out" / "annotated.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert np.allclose(times, np.array(pts) / 90_000, atol=1e-3)
    (event,) = judged(tmp_path / "out")
    at = scenes.crossing_s() * scenes.FPS
    wanted = np.interp(at, range(scenes.FRAMES), np.array(pts) / 90_000)
    assert event["time_s"] == pytest.approx(wanted, abs=0.08)


def test_a_date_is_given_to_events(tiny: Tiny, tmp_path: Path) -> None:
    run_tiny(tiny, tmp_path / "out", start_utc="2026-05-04T06:30:00Z")
    (event,) = judged(tmp_path / "out")
    assert str(event["time"]).startswith("2026-05-04T06:30:0")


# -- The same scene at other frame rates, by a perfect detector -------------------------------------------------------

SECONDS = 24.0
RATES = {
    "30 fps": even_times(SECONDS, 30.0),
    "15 fps": even_times(SECONDS, 15.0),
    "5 fps": even_times(SECONDS, 5.0),
    "variable": uneven_times(SECONDS, 12.0, seed=4),
}


@pytest.mark.parametrize("rate", RATES)
def test_the_same_crossings_at_any_frame_rate(painter: Painter, tmp_path: Path, rate: str) -> None:
    times = RATES[rate]
    truth = cached_truth(painter.world)
    events = junction_events(tmp_path, painter, times)
    crossed = [event for event in events if event["type"] == "line_count"]
    true = Counter((one.line, one.direction, one.class_name) for one in truth.crossings)
    assert Counter((event["line"], event["direction"], event["class"]) for event in crossed) == true
    pairs = match(truth.crossings, crossed)
    assert len(pairs) == len(truth.crossings)
    longest_s = float(np.diff(times).max())
    late = [abs(crossed[j]["time_s"] - truth.crossings[i].time_s) for i, j in pairs]
    assert max(late) <= longest_s
    trips = [(event["entry_line"], event["exit_line"]) for event in events if event["type"] == "movement"]
    assert Counter(trips) == Counter((move.entry_line, move.exit_line) for move in truth.movements)
    runs = [(event["line"], event["class"]) for event in events if event["type"] == "red_light"]
    assert Counter(runs) == Counter((run.line, run.class_name) for run in truth.red_runs)


def test_lamps_and_log_tell_the_same_runs_of_red(painter: Painter, tmp_path: Path) -> None:
    times = even_times(16.0, 10.0)  # the last run of red is over by then
    found = {}
    for source in ("log", "lamps"):
        events = junction_events(tmp_path / source, painter, times, source == "log", source == "lamps")
        # Which of two is told first depends on how sure the signal's clock is.
        runs = [event for event in events if event["type"] == "red_light"]
        found[source] = sorted(runs, key=lambda event: event["time_s"])
    names = [[(e["line"], e["class"], e["track_id"], e["judgement"]) for e in found[key]] for key in found]
    assert names[0] == names[1]
    assert len(names[0]) == len(cached_truth(painter.world).red_runs) >= 3
    for one, other in zip(found["log"], found["lamps"], strict=True):
        assert one["time_s"] == pytest.approx(other["time_s"])
        # What lamps show is known between two frames: half an interval, and the interval again.
        assert one["red_s"] == pytest.approx(other["red_s"], abs=0.1)


# -- What was watched -------------------------------------------------------------------------------------------------


def test_every_camera_says_what_it_watched_even_where_no_rule_does(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(scenes.SITE)
    site = with_coverage(load_site(tmp_path / "site.toml"), "one")
    before = load_site(tmp_path / "site.toml").cameras["one"].rules
    assert site.cameras["one"].rules[:-1] == before
    assert (site.cameras["one"].rules[-1].type, site.cameras["one"].rules[-1].name) == ("coverage", "coverage")
    assert with_coverage(site, "one") == site
    named = scenes.SITE.replace('name = "count"', 'name = "coverage"')
    assert named != scenes.SITE
    (tmp_path / "site.toml").write_text(named)
    assert with_coverage(load_site(tmp_path / "site.toml"), "one").cameras["one"].rules[-1].name == "coverage 1"
