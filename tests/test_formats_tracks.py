"""Tracks as files: lossless to what the format says, small, and read by the programs they are for."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import track_runs
from track_runs import FPS, FRAMES, GEOMETRY, moving, run

from kernels.records import CLASSES
from vision.errors import StoreError
from vision.ground import lens_facts, make_lens, undistorted
from vision.mottext import read_boxes
from vision.record.export import Window, export
from vision.record.files import TRACKS_TABLE
from vision.record.formats.boxes_text import KITTI_CLASSES
from vision.record.formats.trajectories import (
    ROAD,
    TRAJECTORY,
    Facts,
    boxes_px,
    read_trajectories,
    trajectories,
    write_trajectories,
)

# -- The table --------------------------------------------------------------------------------------------------------


def test_the_table_gives_back_what_was_written(tmp_path: Path) -> None:
    log = moving(noise_px=3.0)
    run(tmp_path, log)
    rows, facts = read_trajectories(tmp_path / TRACKS_TABLE)
    assert (facts.camera, facts.fps, facts.frames) == ("north", FPS, FRAMES)
    np.testing.assert_array_equal(rows, trajectories(log))
    assert (np.lexsort((rows["frame"], rows["track_id"])) == np.arange(len(rows))).all()
    logged, time_s = log.samples()
    order = np.lexsort((logged["frame"], logged["id"]))
    np.testing.assert_array_equal(rows["time_us"], np.rint(time_s[order] * 1e6))
    for name in ("left", "top", "width", "height"):
        np.testing.assert_array_equal(rows[name], logged[name][order])
    np.testing.assert_allclose(rows["score"] / 255, logged["score"][order] / 65535, atol=0.5 / 255 + 1e-6)


def test_extremes_come_back(tmp_path: Path) -> None:
    rows = np.zeros(4, TRAJECTORY)
    for name in TRAJECTORY.names or ():
        info = np.iinfo(TRAJECTORY[name])
        rows[name] = (info.min, info.max, 0, info.max)
    rows["time_us"] = (-(10**15), 10**15, 0, 1)
    rows["class_id"] = (0, 5, 1, 5)
    for some in (rows, rows[:0]):
        with (tmp_path / "x").open("wb") as stream:
            write_trajectories(some, Facts("a", 1, 1, 1.0, 1, ""), stream)
        np.testing.assert_array_equal(read_trajectories(tmp_path / "x")[0], some)


def test_any_parquet_reader_takes_the_table(tmp_path: Path) -> None:
    run(tmp_path)
    table = pq.read_table(tmp_path / TRACKS_TABLE)
    assert table.column_names == ["track_id", "frame", "time_us", "left", "top", "width", "height", "score", "class"]
    assert table.schema.field("left").metadata == {b"unit": b"0.1 px"}
    assert set(table["class"].to_pylist()) <= set(CLASSES)
    assert table["time_us"].to_pylist()[1] - table["time_us"].to_pylist()[0] == 40_000


def test_feet_on_the_road(tmp_path: Path) -> None:
    records = run(tmp_path)
    n = export(records, "road-parquet", tmp_path / "road")
    road, _ = read_trajectories(tmp_path / "road")
    boxes, _ = read_trajectories(tmp_path / TRACKS_TABLE)
    assert (road.dtype, len(road)) == (ROAD, n)
    left, top, width, height = boxes_px(boxes).T
    np.testing.assert_allclose(road["x_cm"], 100 * (0.05 * (left + width / 2) - 10), atol=0.51)
    np.testing.assert_allclose(road["y_cm"], 100 * (40 - 0.08 * (top + height)), atol=0.51)
    np.testing.assert_array_equal(road["time_us"], boxes["time_us"])


def test_feet_on_the_road_are_seen_through_the_lens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lens = make_lens(1280, 720, k1=-0.3)
    monkeypatch.setattr(track_runs, "GEOMETRY", GEOMETRY | {"lens": lens_facts(lens)})
    export(run(tmp_path), "road-parquet", tmp_path / "road")
    road, boxes = (read_trajectories(tmp_path / name)[0] for name in ("road", TRACKS_TABLE))
    left, top, width, height = boxes_px(boxes).T
    plumb = undistorted(lens, np.column_stack([left + width / 2, top + height]))
    assert np.abs(plumb[:, 0] - left - width / 2).max() > 5.0
    np.testing.assert_allclose(road["x_cm"], 100 * (0.05 * plumb[:, 0] - 10), atol=0.51)
    np.testing.assert_allclose(road["y_cm"], 100 * (40 - 0.08 * plumb[:, 1]), atol=0.51)


def test_tracks_that_are_asked_for(tmp_path: Path) -> None:
    records = run(tmp_path / "run")
    everything, _ = read_trajectories(tmp_path / "run" / TRACKS_TABLE)
    for window in (Window(tracks=(2, 5)), Window(classes=("car", "person")), Window(from_s=2.0, to_s=4.0)):
        export(records, "tracks-parquet", tmp_path / "x", window=window, force=True)
        wanted = [
            (not window.tracks or row["track_id"] in window.tracks)
            and (not window.classes or CLASSES[row["class_id"]] in window.classes)
            and (window.from_s is None or 2_000_000 <= row["time_us"] < 4_000_000)
            for row in everything
        ]
        found, _ = read_trajectories(tmp_path / "x")
        assert 0 < len(found) < len(everything)
        np.testing.assert_array_equal(found, everything[np.array(wanted)])


def test_a_table_of_another_run_or_none_is_refused(tmp_path: Path) -> None:
    records = run(tmp_path / "a")
    (tmp_path / "a" / TRACKS_TABLE).unlink()
    with pytest.raises(StoreError, match="replay with --tracks"):
        export(records, "mot", tmp_path / "x")
    run(tmp_path / "b", site="oak")
    (tmp_path / "b" / TRACKS_TABLE).rename(tmp_path / "a" / TRACKS_TABLE)
    with pytest.raises(StoreError, match="is of another run"):
        export(records, "mot", tmp_path / "x")
    for junk in (b"", b"PAR1" * 20, b"x" * 1000):
        (tmp_path / "a" / TRACKS_TABLE).write_bytes(junk)
        with pytest.raises(StoreError, match="is no table of tracks"):
            export(records, "mot", tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.shared
@pytest.mark.parametrize("name", ["gt", "det"])
def test_at_most_six_bytes_a_sample(shared_data: Path, tmp_path: Path, name: str) -> None:
    """True boxes, and boxes as noisy as a detector's under the ids nearest to them in size: no smoothing helps."""
    boxes = read_boxes(shared_data / "sumo_junction" / "gt.txt.gz")
    rows = np.zeros(len(boxes.frame), TRAJECTORY)
    rows["track_id"], rows["frame"], rows["class_id"] = boxes.track_id, boxes.frame, boxes.class_id
    rows["time_us"] = np.rint(boxes.frame / 25.0 * 1e6)
    rng = np.random.default_rng(3)
    noise_px = 2.0 if name == "det" else 0.0
    corners = np.rint(10 * (boxes.xyxy_px + rng.normal(0.0, noise_px, boxes.xyxy_px.shape))).astype(np.int64)
    rows["left"], rows["top"] = corners[:, 0], corners[:, 1]
    rows["width"], rows["height"] = np.clip(corners[:, 2:] - corners[:, :2], 0, 65535).T
    rows["score"] = rng.integers(120, 256, len(rows)) if noise_px else 255
    rows = rows[np.lexsort((rows["frame"], rows["track_id"]))]
    stream = io.BytesIO()
    assert write_trajectories(rows, Facts("a", 1920, 1080, 25.0, 15000, ""), stream) >= 100_000
    size = len(stream.getvalue()) / len(rows)
    print(f"{name}: {size:.2f} bytes a sample, n = {len(rows)}")
    assert size <= (6.0 if noise_px else 3.0)
    (tmp_path / "x").write_bytes(stream.getvalue())
    np.testing.assert_array_equal(read_trajectories(tmp_path / "x")[0], rows)


# -- MOTChallenge, KITTI ----------------------------------------------------------------------------------------------


def test_mot_text_is_read_back(tmp_path: Path) -> None:
    records = run(tmp_path / "run")
    n = export(records, "mot", tmp_path / "t.txt")
    export(records, "mot-gz", tmp_path / "t.txt.gz")
    assert gzip.decompress((tmp_path / "t.txt.gz").read_bytes()) == (tmp_path / "t.txt").read_bytes()
    export(records, "mot-gz", tmp_path / "again.gz")
    assert (tmp_path / "again.gz").read_bytes() == (tmp_path / "t.txt.gz").read_bytes()
    rows, _ = read_trajectories(tmp_path / "run" / TRACKS_TABLE)
    lines = np.loadtxt(tmp_path / "t.txt", delimiter=",")
    assert lines.shape == (n, 10) == (len(rows), 10)
    rows = rows[np.lexsort((rows["track_id"], rows["frame"]))]
    np.testing.assert_array_equal(lines[:, 0], rows["frame"] + 1)
    np.testing.assert_allclose(lines[:, 2:6], boxes_px(rows), atol=1e-9)
    assert (read_boxes(tmp_path / "t.txt.gz").track_id >= 0).all()


def evaluate(dataset: Any) -> Any:
    """Return the HOTA of the one sequence of a TrackEval data set."""
    trackeval = pytest.importorskip("trackeval")
    raw = dataset.get_raw_seq_data("ours", dataset.seq_list[0])
    data = dataset.get_preprocessed_seq_data(raw, dataset.class_list[0])
    return trackeval.metrics.HOTA().eval_sequence(data), data


@pytest.fixture
def trackeval(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = pytest.importorskip("trackeval", reason="trackeval is not installed: make peers")
    return module


def test_trackeval_loads_mot_text(tmp_path: Path, trackeval: Any) -> None:
    records = run(tmp_path / "run")
    truth, ours = tmp_path / "gt" / "seq" / "gt", tmp_path / "trackers" / "ours" / "data"
    truth.mkdir(parents=True)
    ours.mkdir(parents=True)
    export(records, "mot", ours / "seq.txt")
    lines = [line.split(",") for line in (ours / "seq.txt").read_text().splitlines()]
    (truth / "gt.txt").write_text("".join(",".join([*line[:6], "1", "1", "1"]) + "\n" for line in lines))
    dataset = trackeval.datasets.MotChallenge2DBox(
        {
            "GT_FOLDER": str(tmp_path / "gt"),
            "TRACKERS_FOLDER": str(tmp_path / "trackers"),
            "SEQ_INFO": {"seq": FRAMES},
            "SKIP_SPLIT_FOL": True,
            "PRINT_CONFIG": False,
            "DO_PREPROC": False,
        }
    )
    hota, data = evaluate(dataset)
    assert data["num_tracker_dets"] == len(lines)
    assert hota["HOTA"].min() == pytest.approx(1.0)


def test_trackeval_loads_kitti_text(tmp_path: Path, trackeval: Any) -> None:
    records = run(tmp_path / "run")
    truth, ours = tmp_path / "gt" / "label_02", tmp_path / "trackers" / "ours" / "data"
    truth.mkdir(parents=True)
    ours.mkdir(parents=True)
    assert set(KITTI_CLASSES) == set(CLASSES)
    export(records, "kitti", ours / "0000.txt")
    lines = [line.split() for line in (ours / "0000.txt").read_text().splitlines()]
    assert all(len(line) == 18 for line in lines)
    (truth / "0000.txt").write_text("".join(" ".join([*line[:3], "0", "0", *line[5:17]]) + "\n" for line in lines))
    (tmp_path / "gt" / "evaluate_tracking.seqmap.training").write_text(f"0000 empty 000000 {FRAMES:06d}\n")
    dataset = trackeval.datasets.Kitti2DBox(
        {
            "GT_FOLDER": str(tmp_path / "gt"),
            "TRACKERS_FOLDER": str(tmp_path / "trackers"),
            "CLASSES_TO_EVAL": ["car"],
            "PRINT_CONFIG": False,
        }
    )
    hota, data = evaluate(dataset)
    tall = [line for line in lines if line[2] == "Car" and float(line[9]) - float(line[7]) > 25]
    assert data["num_tracker_dets"] == len(tall) > 0
    assert hota["HOTA"].min() == pytest.approx(1.0)
