"""Models on labelled pictures: label files as they are read, average precision against a slow count, the verb."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from vision.cli import app
from vision.errors import InputError
from vision.evaluate.detections import IOUS
from vision.evaluate.labels import IGNORED, read_pictures
from vision.evaluate.pictures import (
    VEHICLES,
    Curve,
    Found,
    Marks,
    Question,
    Truth,
    confusion,
    difference,
    figure,
    figures,
    interval,
    mark,
)

# -- label files ----------------------------------------------------------------------------------------------------


def yolo_folder(folder: Path) -> Path:
    for part in ("images/train", "images/val", "labels/train", "labels/val", "ignore/val"):
        (folder / part).mkdir(parents=True)
    grey = np.full((60, 80, 3), 90, np.uint8)
    for name in ("train/a", "train/nobody", "val/b"):
        cv2.imwrite(str(folder / "images" / f"{name}.png"), grey)
    (folder / "labels/train/a.txt").write_text("0 0.5 0.5 0.2 0.4\n7 0.1 0.1 0.1 0.1\n")
    (folder / "labels/val/b.txt").write_text("2 0.25 0.5 0.5 1.0\n")
    (folder / "ignore/val/b.txt").write_text("rickshaw 0.9 0.9 0.2 0.2\n")
    return folder


def test_yolo_labels_are_read_with_ignore_boxes_and_unknown_classes_neither_way(tmp_path):
    a, b = read_pictures(yolo_folder(tmp_path))
    assert (a.split, b.split) == ("train", "val")
    assert a.class_id.tolist() == [0, IGNORED]
    assert a.boxes[0] == pytest.approx([0.4, 0.3, 0.6, 0.7])
    assert b.class_id.tolist() == [2, IGNORED]
    assert b.boxes[1] == pytest.approx([0.8, 0.8, 1.0, 1.0])


def test_numbers_of_other_sets_are_mapped(tmp_path):
    a, _ = read_pictures(yolo_folder(tmp_path), {7: 1})
    assert a.class_id.tolist() == [IGNORED, 1]


def test_an_index_names_split_source_camera_and_what_a_source_leaves_unlabelled(tmp_path):
    yolo_folder(tmp_path)
    (tmp_path / "index.csv").write_text("split,name,source,camera\nval,a,north,cam1\nval,b,south,\n")
    (tmp_path / "sources.toml").write_text('[[source]]\nname = "north"\nunlabelled = ["person"]\n')
    a, b = read_pictures(tmp_path)
    assert (a.split, a.source, a.camera, a.unlabelled) == ("val", "north", "cam1", ("person",))
    assert (b.source, b.unlabelled) == ("south", ())


@pytest.mark.parametrize("line", ["0 0.5 0.5 0.2", "car 0.5 0.5 0.2 0.2", "0 0.5 0.5 7 0.2", "0 0.5 x 0.2 0.2"])
def test_a_bad_label_is_named_with_its_line(tmp_path, line):
    yolo_folder(tmp_path)
    (tmp_path / "labels/train/a.txt").write_text(f"0 0.5 0.5 0.2 0.4\n{line}\n")
    with pytest.raises(InputError, match=r"a\.txt: line 2"):
        read_pictures(tmp_path)


def test_coco_labels_are_read_by_the_names_of_their_classes(tmp_path):
    table = {
        "images": [{"id": 5, "file_name": "x.jpg", "width": 200, "height": 100}],
        "categories": [{"id": 1, "name": "Motorbike"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "car"}],
        "annotations": [
            {"image_id": 5, "category_id": 1, "bbox": [20, 10, 40, 50]},
            {"image_id": 5, "category_id": 2, "bbox": [0, 0, 10, 10]},
            {"image_id": 5, "category_id": 3, "bbox": [0, 0, 100, 100], "iscrowd": 1},
        ],
    }
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(table))
    (one,) = read_pictures(path)
    assert one.class_id.tolist() == [3, IGNORED, IGNORED]
    assert one.boxes[0] == pytest.approx([0.1, 0.1, 0.3, 0.6])
    path.write_text('{"images": []}')
    with pytest.raises(InputError, match="allowed: COCO"):
        read_pictures(path)


def test_a_folder_without_labels_is_refused(tmp_path):
    with pytest.raises(InputError, match="images/ and labels/"):
        read_pictures(tmp_path)


# -- average precision ------------------------------------------------------------------------------------------------


def slow_iou(a, b) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


def slow_inside(a, b) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(w, 0) * max(h, 0) / ((a[2] - a[0]) * (a[3] - a[1]))


def slow_ap(pictures, classes, low, high, least) -> float:
    """Count average precision as one would by hand: lists, one detection after the other, 101 recalls."""
    said, n_true = [], 0
    for found, truth in pictures:
        asked, aside, ignored = [], [], []
        for box, kind in truth:
            if kind == IGNORED:
                ignored.append(box)
            elif kind in classes:
                (asked if low <= box[3] - box[1] < high else aside).append(box)
        n_true += len(asked)
        taken = set()
        for box, score, kind in found:
            if kind not in classes:
                continue
            best, which = -1.0, None
            for k, other in enumerate(asked):
                if k not in taken and slow_iou(box, other) > best:
                    best, which = slow_iou(box, other), k
            if which is not None and best >= least - 1e-10:
                taken.add(which)
                said.append((score, True))
                continue
            spared = not low <= box[3] - box[1] < high
            spared |= any(slow_inside(box, other) >= 0.5 for other in ignored)
            spared |= any(slow_iou(box, other) >= least - 1e-10 for other in aside)
            if not spared:
                said.append((score, False))
    if n_true == 0:
        return math.nan
    said.sort(key=lambda one: -one[0])
    points, right = [], 0
    for count, (_, hit) in enumerate(said, 1):
        right += hit
        points.append((right / n_true, right / count))
    return sum(max((p for r, p in points if r >= k / 100 - 1e-12), default=0.0) for k in range(101)) / 101


def drawn(rng: np.random.Generator) -> tuple[list, list]:
    """Return what is found and labelled in a made picture: shifted labels, strangers, ignore boxes."""
    truth, found = [], []
    for _ in range(rng.integers(0, 6)):
        x, y, w, h = rng.integers(0, 60), rng.integers(0, 60), rng.integers(6, 40), rng.integers(6, 40)
        truth.append(([float(x), float(y), float(x + w), float(y + h)], int(rng.choice([0, 1, 2, 4, IGNORED]))))
    for box, kind in truth:
        if rng.random() < 0.8:
            moved = (np.array(box) + rng.normal(0, 2.5, 4)).tolist()
            if moved[2] > moved[0] and moved[3] > moved[1]:
                found.append((moved, float(rng.random()), kind if kind >= 0 and rng.random() < 0.8 else 1))
    for _ in range(rng.integers(0, 4)):
        x, y = rng.uniform(0, 60, 2)
        found.append(([x, y, x + rng.uniform(6, 40), y + rng.uniform(6, 40)], float(rng.random()), 0))
    found.sort(key=lambda one: -one[1])
    return found, truth


def as_arrays(found: list, truth: list) -> tuple[Found, Truth]:
    return (
        Found(
            np.array([one[0] for one in found], float).reshape(-1, 4),
            np.array([one[1] for one in found], float),
            np.array([one[2] for one in found], np.int64),
        ),
        Truth(np.array([b for b, _ in truth], float).reshape(-1, 4), np.array([k for _, k in truth], np.int64)),
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_average_precision_is_that_of_a_slow_count(seed):
    rng = np.random.default_rng(seed)
    pictures = [drawn(rng) for _ in range(rng.integers(1, 6))]
    arrays = [as_arrays(*one) for one in pictures]
    for question in (Question(VEHICLES), Question((1,), 0.0), Question(VEHICLES, 16.0, 32.0)):
        marks = [mark(found, truth, question) for found, truth in arrays]
        for k in (0, 5):
            slow = slow_ap(pictures, question.classes, question.low, question.high, IOUS[k])
            assert Curve(marks, k).precision() == pytest.approx(slow, abs=1e-9, nan_ok=True)


def one_picture(found: list, truth: list) -> Marks:
    return mark(*as_arrays(found, truth), Question(VEHICLES))


def test_what_lies_in_an_ignore_box_counts_neither_way():
    car = [10.0, 10.0, 50.0, 50.0]
    stray = [60.0, 10.0, 90.0, 40.0]
    plain = one_picture([(car, 0.9, 0), (stray, 0.95, 0)], [(car, 0)])
    spared = one_picture([(car, 0.9, 0), (stray, 0.95, 0)], [(car, 0), ([55.0, 0.0, 100.0, 60.0], IGNORED)])
    assert Curve([plain], 0).precision() == pytest.approx(0.5)
    assert Curve([spared], 0).precision() == pytest.approx(1.0)


def test_low_road_users_count_neither_way():
    low = [10.0, 10.0, 40.0, 22.0]
    marks = one_picture([(low, 0.9, 0), ([60.0, 60.0, 90.0, 70.0], 0.8, 0)], [(low, 0)])
    assert marks.n_true == 0
    assert not marks.counts.any()
    assert math.isnan(Curve([marks], 0).precision())


def test_weighing_a_picture_twice_is_having_it_twice():
    rng = np.random.default_rng(4)
    marks = [mark(*as_arrays(*drawn(rng)), Question(VEHICLES)) for _ in range(6)]
    times = np.array([2, 0, 1, 1, 3, 0])
    repeated = [one for one, n in zip(marks, times, strict=True) for _ in range(n)]
    assert Curve(marks, 0).precision(times) == pytest.approx(Curve(repeated, 0).precision())


def test_the_interval_holds_the_figure_and_shrinks_with_more_pictures():
    rng = np.random.default_rng(9)
    marks = [mark(*as_arrays(*drawn(rng)), Question(VEHICLES)) for _ in range(240)]
    few, many = figure("few", marks[:24]), figure("many", marks)
    assert few.low < few.ap50 < few.high
    assert many.low < many.ap50 < many.high
    assert many.high - many.low < 0.6 * (few.high - few.low)
    assert interval(lambda times: math.nan, 3, 1, 10)[0] is math.nan


def test_a_detector_is_no_better_than_itself():
    rng = np.random.default_rng(2)
    marks = [mark(*as_arrays(*drawn(rng)), Question(VEHICLES)) for _ in range(20)]
    assert difference(marks, marks) == (0.0, 0.0, 0.0)


def test_recall_at_a_precision_by_hand():
    boxes = [[20.0 * k, 0.0, 20.0 * k + 18, 30.0] for k in range(4)]
    found = [(boxes[0], 0.9, 0), (boxes[1], 0.8, 0), ([0.0, 50.0, 18.0, 80.0], 0.7, 0), (boxes[2], 0.6, 0)]
    marks = one_picture(found, [(box, 0) for box in boxes])
    curve = Curve([marks], 0)
    assert curve.recall(0.9) == 0.5
    assert curve.recall(0.7) == 0.75
    assert curve.recall(1.1) == 0.0


def test_a_class_is_not_judged_where_its_source_leaves_it_unlabelled():
    person = [10.0, 10.0, 30.0, 60.0]
    found, _ = as_arrays([(person, 0.9, 5)], [])
    nothing = (np.zeros((0, 4)), np.zeros(0, np.int64))
    rows = {row.of: row for row in figures([found, found], [Truth(*nothing, (5,), ("a",)), Truth(*nothing)])}
    assert rows["person"].pictures == 1
    assert rows["vehicles, a"].pictures == 1


def test_confusion_by_hand():
    car, bus, far = [0.0, 0.0, 30.0, 30.0], [50.0, 0.0, 90.0, 40.0], [0.0, 60.0, 40.0, 90.0]
    found, truth = as_arrays(
        [(car, 0.9, 0), (bus, 0.8, 2), ([60.0, 60.0, 90.0, 90.0], 0.7, 3)], [(car, 0), (bus, 1), (far, 0)]
    )
    table = confusion([found], [truth], 0.5)
    assert table[0, 0] == table[1, 2] == table[0, 6] == table[6, 3] == 1
    assert table.sum() == 4


# -- the verb ---------------------------------------------------------------------------------------------------------


def test_the_verb_judges_models_on_labelled_pictures(tmp_path):
    yolo_folder(tmp_path)
    call = ["eval", str(tmp_path), "--detector", "gantry-demo", "--detector", "gantry-demo", "--json", "--threads", "1"]
    result = CliRunner().invoke(app, [*call, "--split", "val"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert {row["model"] for row in told["figures"]} == {"gantry-demo"}
    assert next(row for row in told["figures"] if row["of"] == "vehicles")["boxes"] == 1
    assert told["gains"][0]["ap50"] == 0.0
    trucks = next(row for row in told["confusion"] if row["labelled"] == "truck")
    assert sum(trucks[name] for name in ("car", "bus", "truck", "nothing")) == 1
    plain = CliRunner().invoke(app, ["eval", str(tmp_path), "--detector", "gantry-demo", "--threads", "1"])
    assert plain.exit_code == 0
    assert "what is labelled" in plain.stdout


def test_the_verb_says_what_is_missing(tmp_path):
    yolo_folder(tmp_path)
    result = CliRunner().invoke(app, ["eval", str(tmp_path)])
    assert result.exit_code == 2
    result = CliRunner().invoke(app, ["eval", str(tmp_path), "--detector", "gantry-demo", "--split", "test"])
    assert isinstance(result.exception, InputError)
    assert "no picture of that split" in str(result.exception)
