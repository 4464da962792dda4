"""Boxes as MOTChallenge text: read, refused with the line, and replayed without video or network."""

from __future__ import annotations

import gzip
from pathlib import Path

import naive_given as naive
import numpy as np
import pytest
from naive_track import Sighting
from test_tracker import plain, same_rows
from traffic import TO_ROAD

from kernels.records import CLOCK, ENDED, MAX_TRACKS, TRACK
from vision.cli import app
from vision.errors import InputError, SiteError
from vision.mottext import class_map, is_boxes, read_boxes
from vision.record.export import rows
from vision.record.reader import open_records
from vision.replay import with_signal_logs
from vision.replay_boxes import parse_size
from vision.site import load_site
from vision.track.given import GivenTracks


def written(folder: Path, text: str, name: str = "boxes.txt") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


# -- reading --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.txt.gz"])
def test_boxes_come_by_frame_and_score(tmp_path, name):
    text = "3,-1,10,20,30,40,0.5,1\n1,-1,1.5,2,3,4,0.25,0\n3,-1,0,0,5,5,0.9,3\n2,-1,7,7,0,9,0.9,3\n"
    boxes = read_boxes(written(tmp_path, text, name))
    assert is_boxes(boxes.path)
    assert boxes.frame.tolist() == [0, 2, 2]
    assert boxes.xyxy_px.tolist() == [[1.5, 2.0, 4.5, 6.0], [0.0, 0.0, 5.0, 5.0], [10.0, 20.0, 40.0, 60.0]]
    assert boxes.score.tolist() == pytest.approx([0.25, 0.9, 0.5])
    assert boxes.class_id.tolist() == [0, 3, 1]
    assert (boxes.frames, boxes.tracked, boxes.n_dropped) == (3, False, 1)


def test_values_that_are_not_there(tmp_path):
    boxes = read_boxes(written(tmp_path, "1,7,1,2,3,4\n2,7,1,2,3,4\n"))
    assert boxes.tracked
    assert boxes.score.tolist() == [1.0, 1.0]
    assert boxes.class_id.tolist() == [0, 0]
    ten = read_boxes(written(tmp_path, "1,7,1,2,3,4,-1,-1,-1,-1\n"))
    assert (ten.score[0], ten.class_id[0]) == (1.0, 0)


def test_classes_of_a_file(tmp_path):
    path = written(tmp_path, "1,1,1,2,3,4,1,3\n1,2,1,2,3,4,1,6\n")
    with pytest.raises(InputError, match=r"boxes.txt:2: class = 6; allowed: .*--classes"):
        read_boxes(path)
    assert sorted(read_boxes(path, class_map("3=car,6=bus")).class_id.tolist()) == [0, 1]
    with pytest.raises(InputError, match="classes: '3=lorry' is not a pair"):
        class_map("3=lorry")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1: has 1 values"),
        ("1,2,3\n", "1: has 3 values"),
        ("1,-1,1,2,3,4,1,0\n1,-1,1,2\n", "is no table of boxes"),
        ("1,-1,a,2,3,4,1,0\n", "is no table of boxes"),
        ("0,-1,1,2,3,4,1,0\n", "boxes.txt:1: frame = 0"),
        ("1,-1,1,2,3,4,1,0\n1.5,-1,1,2,3,4,1,0\n", "boxes.txt:2: frame = 1.5"),
        ("1,-1,1,nan,3,4,1,0\n", "boxes.txt:1: y = nan"),
        ("1,-1,1,2,3,4,1,0\n1,4,1,2,3,4,1,0\n", "boxes.txt:2: id = 4"),
        ("1,4,1,2,3,4,1,0\n1,4,1,2,3,4,1,0\n", "boxes.txt:1: id = 4; allowed: each id once"),
        ("1,-1,1,2,0,4,1,0\n", "holds no box with an area"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read_boxes(written(tmp_path, text))


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_boxes(tmp_path / "none.txt")
    path = tmp_path / "broken.txt.gz"
    path.write_bytes(gzip.compress(b"1,-1,1,2,3,4,1,0\n" * 50)[:-9])
    with pytest.raises(InputError, match="cannot be read"):
        read_boxes(path)


def test_a_size_is_two_numbers():
    assert parse_size("1920x1080") == (1920, 1080)
    for wrong in ("1920", "0x5", "axb", "1920x1080x3"):
        with pytest.raises(InputError, match="no picture size"):
            parse_size(wrong)


# -- tracks that a file gives ---------------------------------------------------------------------------------------


def random_tracks(rng: np.random.Generator, frames: int) -> str:
    lines = []
    for number in range(1, 40):
        begin, length = int(rng.integers(1, frames)), int(rng.integers(1, 60))
        x, y, vx, vy = rng.uniform(0, 400), rng.uniform(50, 250), *rng.normal(0, 2, 2)
        for k in range(min(length, frames - begin + 1)):
            if k not in (0, length - 1) and rng.random() < 0.2:
                continue
            lines.append(f"{begin + k},{number},{x + k * vx:.1f},{y + k * vy:.1f},40,30,0.8,{number % 3}")
    return "\n".join(lines) + "\n"


@pytest.mark.kernels
@pytest.mark.parametrize("to_road", [None, TO_ROAD])
def test_given_tracks_like_their_twin(tmp_path, to_road):
    boxes = read_boxes(written(tmp_path, random_tracks(np.random.default_rng(3), 150)))
    given = GivenTracks(boxes, 640, 360, to_road)
    settings, twins, clock = plain(given), {}, np.zeros(1, CLOCK)
    starts = np.searchsorted(boxes.frame, np.arange(boxes.frames + 1))
    ends = {int(i): int(boxes.frame[boxes.track_id == i].max()) for i in np.unique(boxes.track_id)}
    for frame in range(boxes.frames):
        dt_s = 0.04 if frame else 0.0
        clock["frame"], clock["time_s"], clock["dt_s"] = frame, frame * 0.04, dt_s
        found = []
        for j in range(starts[frame], starts[frame + 1]):
            box = tuple(float(v) for v in boxes.xyxy_px[j])
            one = Sighting(frame * 0.04, box, float(boxes.score[j]), int(boxes.class_id[j]))
            found.append((int(boxes.track_id[j]), int(given._place[j, 0]), ends[int(boxes.track_id[j])], one))
        same_rows(given.step(clock, None), naive.given_step(twins, settings, frame, frame * 0.04, dt_s, found, to_road))
    assert len(given.end()) == len(twins)


def test_each_id_is_one_track_from_its_first_box_to_its_last(tmp_path):
    text = "".join(f"{f},{9 if f < 20 else 4},{f},50,20,20\n" for f in range(1, 40))
    given = GivenTracks(read_boxes(written(tmp_path, text)), 640, 360)
    clock, seen = np.zeros(1, CLOCK), []
    for frame in range(39):
        clock["frame"], clock["time_s"], clock["dt_s"] = frame, frame / 25, 0.04
        seen += given.step(clock, None).copy().tolist()
    seen += given.end().copy().tolist()
    found = np.array(seen, TRACK)
    assert found["id"].tolist() == [9] * 19 + [9] + [4] * 20 + [4]
    assert np.flatnonzero(found["flags"] & ENDED).tolist() == [19, 40]


def test_too_many_tracks_are_refused(tmp_path):
    path = written(tmp_path, "".join(f"1,{k + 1},{k},1,2,2\n" for k in range(MAX_TRACKS + 1)))
    with pytest.raises(InputError, match="over 256 tracks"):
        GivenTracks(read_boxes(path), 640, 360)


# -- the verb -------------------------------------------------------------------------------------------------------

SITE = """\
name = "tiny"
timezone = "UTC"
[camera.one]
url = "v.mp4"
model = "none"
[camera.one.line.stop]
ends_px = [[4, 50], [124, 50]]
flow_px = [[60, 20], [60, 80]]
[camera.one.signal.s]
source = "vision"
lamp_px = { red = [1, 1, 4, 4], green = [1, 8, 4, 12] }
[[camera.one.rule]]
type = "line_count"
name = "count"
line = "stop"
[[camera.one.rule]]
type = "red_light"
name = "red"
line = "stop"
signal = "s"
"""


def replayed(folder: Path, boxes: Path, *more: str) -> tuple[int, str]:
    from typer.testing import CliRunner

    words = ["replay", folder / "site.toml", boxes, "--out", folder / "run", "--force", *more]
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.output


@pytest.mark.parametrize("number", [-1, 5])
def test_boxes_are_judged_like_a_video(tmp_path, number):
    (tmp_path / "site.toml").write_text(SITE)
    log = written(tmp_path, "time_s,state\n0,green\n0.5,red\n", "log.csv")
    boxes = written(tmp_path, "".join(f"{f},{number},50,{f},20,20,0.9,1\n" for f in range(1, 60)))
    more = ("--fps", "25", "--size", "128x96", "--signals", str(log), "--begin-s", "10")
    code, said = replayed(tmp_path, boxes, *more)
    assert code == 0, said
    assert "boxes from a file" in said
    found = [row for row in rows(open_records(tmp_path / "run")) if row["type"] != "coverage"]
    assert [row["type"] for row in found] == ["line_count", "red_light"]
    # The foot point y = frame + 20 is at 50 in frame 30, which is 29 intervals after the first.
    assert [row["time_s"] for row in found] == pytest.approx([10 + 29 / 25] * 2, abs=0.01)
    first = (tmp_path / "run" / "events.gtr").read_bytes()
    assert replayed(tmp_path, boxes, *more)[0] == 0
    assert (tmp_path / "run" / "events.gtr").read_bytes() == first


def test_boxes_need_what_a_video_tells_itself(tmp_path):
    (tmp_path / "site.toml").write_text(SITE)
    boxes = written(tmp_path, "1,-1,1,2,3,4,1,0\n")
    code, said = replayed(tmp_path, boxes)
    assert (code, "--fps and --size" in said) == (2, True)
    assert replayed(tmp_path, boxes, "--fps", "25", "--size", "128x96", "--video")[0] == 2
    assert replayed(tmp_path, tmp_path / "v.mp4", "--fps", "25")[0] == 2


def test_logs_replace_the_signals_of_a_site(tmp_path):
    (tmp_path / "site.toml").write_text(SITE)
    site = load_site(tmp_path / "site.toml")
    for text in ("a.csv", "s=a.csv"):
        signal = with_signal_logs(site, "one", [text]).cameras["one"].signals["s"]
        assert (signal.source, Path(signal.path).name, signal.lamp_px) == ("log", "a.csv", None)
    with pytest.raises(SiteError, match="names no signal; allowed: name=path, of: s"):
        with_signal_logs(site, "one", ["t=a.csv"])
