"""The log of tracks: every observed box is found under its frame, to a tenth of a pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kernels.records import ENDED, OBSERVED, TRACK
from vision.errors import StoreError
from vision.record import tracks as module
from vision.record.tracks import EDGES, SAMPLE, TrackLog


def published(n: int, time_s: float, rng: np.random.Generator) -> np.ndarray:
    found = np.zeros(n, TRACK)
    found["time_s"], found["id"], found["flags"] = time_s, rng.integers(1, 1 << 32, n, np.uint32), OBSERVED
    found["class_id"], found["score"] = rng.integers(0, 6, n), rng.random(n)
    found["x1_px"], found["y1_px"] = rng.uniform(-50, 3800, n), rng.uniform(-50, 2100, n)
    found["x2_px"], found["y2_px"] = found["x1_px"] + 40.3, found["y1_px"] + 20.7
    return found


@pytest.mark.parametrize("block", [1 << 16, 50, 7])
def test_boxes_are_found_under_their_frame(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    rng = np.random.default_rng(3)
    log, written = TrackLog(), {}
    for frame in range(0, 300, 3):
        written[frame] = published(int(rng.integers(0, 12)), frame / 25, rng)
        log.append(frame, frame / 25, written[frame])
    assert len(log) == sum(map(len, written.values()))
    for frame in range(-1, 301):
        rows = log.at(frame)
        expected = written.get(frame, np.zeros(0, TRACK))
        assert rows["id"].tolist() == expected["id"].tolist()
        assert rows["class_id"].tolist() == expected["class_id"].tolist()
        np.testing.assert_allclose(rows["score"], expected["score"], atol=1e-5)
        for edge in EDGES:
            np.testing.assert_allclose(rows[edge], expected[edge], atol=0.0502)


def test_samples_have_the_time_of_their_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 7)
    log, rng = TrackLog(), np.random.default_rng(8)
    assert len(log.samples()[0]) == 0
    for frame in (2, 5, 6, 11):
        log.append(frame, frame**1.1, published(4, frame**1.1, rng))
    rows, times_s = log.samples()
    assert rows["frame"].tolist() == [2] * 4 + [5] * 4 + [6] * 4 + [11] * 4
    assert times_s.tolist() == [frame**1.1 for frame in rows["frame"].tolist()]


def test_only_boxes_seen_in_the_frame_are_kept() -> None:
    rng = np.random.default_rng(4)
    rows = published(3, 0.32, rng)
    rows["flags"][0] = ENDED
    rows["time_s"][1] = 0.16  # a track's birth, told once it is confirmed
    log = TrackLog()
    log.append(8, 0.32, rows)
    assert log.at(8)["id"].tolist() == [rows["id"][2]]


def test_frames_rise() -> None:
    log, rng = TrackLog(), np.random.default_rng(5)
    log.append(4, 0.16, published(1, 0.16, rng))
    with pytest.raises(ValueError, match="frame 4 after frame 4"):
        log.append(4, 0.2, published(1, 0.2, rng))


def test_a_box_outside_every_picture_is_held_at_the_limit() -> None:
    log, rows = TrackLog(), published(1, 0.04, np.random.default_rng(6))
    rows["x1_px"], rows["x2_px"] = -1e6, 1e6
    log.append(1, 0.04, rows)
    assert log.at(1)["x1_px"].tolist() == [-32768.0]
    assert log.at(1)["x2_px"].tolist() == [-32768.0 + 6553.5]


def test_a_box_takes_at_most_24_bytes() -> None:
    assert SAMPLE.itemsize <= 24


def test_tracks_as_motchallenge_text(tmp_path: Path) -> None:
    rows = np.zeros(2, TRACK)
    rows["time_s"], rows["flags"], rows["id"], rows["class_id"], rows["score"] = (
        0.4,
        OBSERVED,
        (3, 5),
        (0, 5),
        (0.5, 1.0),
    )
    rows["x1_px"], rows["y1_px"], rows["x2_px"], rows["y2_px"] = (10.0, -2.5), (20.0, 0.0), (50.5, 7.5), (30.0, 9.0)
    log = TrackLog()
    log.append(10, 0.4, rows)
    path = tmp_path / "tracks.txt"
    log.write_mot(path)
    assert path.read_text() == "11,3,10.00,20.00,40.50,10.00,0.5000,1,1\n11,5,-2.50,0.00,10.00,9.00,1.0000,6,1\n"
    with pytest.raises(StoreError, match="exists"):
        log.write_mot(path)
    TrackLog().write_mot(path, force=True)
    assert path.read_text() == ""
