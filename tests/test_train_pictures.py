"""The training recipe's pictures: caches, splits, samples and weather, a teacher's boxes, packing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from trainpictures import COLOURS, make_pictures

pytest.importorskip("torch", reason="the training recipe needs the extra `train`")

from models.train import compose, pack, teacher, weather
from models.train.compose import Composer, Member, as_rows, moved
from models.train.dataset import Cache, choose, open_cache, open_rendered
from models.train.network import SIZES
from vision.evaluate.labels import IGNORED
from vision.evaluate.pictures import Found

TINY = SIZES["tiny"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def cache(made, tmp_path_factory) -> Cache:
    return open_cache([made], tmp_path_factory.mktemp("work"))


# -- pictures and their labels ----------------------------------------------------------------------------------------


def test_a_cache_holds_the_pictures_with_their_boxes_in_pixels(made, cache):
    assert len(cache) == 40
    index = cache.names.index("p02")
    x1, y1, x2, y2, kind, shows = cache.labels(index)[0]
    planes = cache.planes(index)
    assert planes.y.shape == (96, 192)
    packed = np.concatenate([planes.y.reshape(-1), planes.u.reshape(-1), planes.v.reshape(-1)]).reshape(144, 192)
    bgr = cv2.cvtColor(packed, cv2.COLOR_YUV2BGR_I420)
    assert np.abs(bgr[round((y1 + y2) / 2), round((x1 + x2) / 2)].astype(int) - COLOURS[int(kind)]).max() < 30
    assert shows == 1.0
    assert cache.planes(index, 1).y.shape == (48, 96)
    assert cache.planes(index, 2).u.shape == (12, 24)
    assert cache.pictures["known"][cache.names.index("p01")] == 0b001111
    assert cache.pictures["known"][index] == 0b111111


def test_who_trains_and_who_judges(cache):
    whole = choose(cache)
    assert len(whole.train) == 34
    assert len(whole.val) == 6
    half, quarter = choose(cache, 0.5).train, choose(cache, 0.25).train
    assert set(quarter) < set(half) < set(whole.train)
    assert {cache.source(k) for k in choose(cache, sources=["tfl"]).train} == {"tfl"}
    assert {cache.source(k) for k in choose(cache, without=["tfl"]).train} == {"other"}
    held = choose(cache, hold_out=["tfl/cam1train"])
    assert "tfl/cam1train" not in {cache.cameras[k] for k in cache.pictures["camera"][held.train]}
    assert len(held.train) + len(held.val) == 40
    with pytest.raises(ValueError, match="is not there"):
        choose(cache, hold_out=["tfl/nowhere"])


def test_a_camera_that_would_train_and_judge_is_refused(made, tmp_path):
    for part in ("images", "labels"):
        (tmp_path / "leak" / part).mkdir(parents=True)
        for path in (made / part).rglob("p3*"):
            (tmp_path / "leak" / part / path.name).write_bytes(path.read_bytes())
    rows = ["split,name,source,camera"] + [f"{'val' if k > 5 else 'train'},p3{k},one,cam" for k in range(10)]
    (tmp_path / "leak" / "index.csv").write_text("\n".join(rows))
    leaking = open_cache([tmp_path / "leak"], tmp_path)
    with pytest.raises(ValueError, match="one/cam would train and judge"):
        choose(leaking)


def test_pictures_without_a_split_are_set_aside_as_a_block(made, tmp_path):
    for part in ("images", "labels"):
        (tmp_path / "own" / part).mkdir(parents=True)
        for path in (made / part / "train").iterdir():
            (tmp_path / "own" / part / path.name).write_bytes(path.read_bytes())
    own = open_cache([tmp_path / "own"], tmp_path)
    assert np.flatnonzero(own.pictures["val"]).tolist() == [31, 32, 33]


def test_packed_pictures_come_back_nearly_as_they_were(cache, tmp_path):
    pack.pack([cache.folder], tmp_path / "packed", 5.0, None)
    pack.unpack(tmp_path / "packed", tmp_path / "work", 1)
    back = Cache(tmp_path / "work" / cache.folder.name)
    assert (back.boxes == cache.boxes).all()
    for level in range(3):
        a, b = back.planes(4, level), cache.planes(4, level)
        assert np.abs(a.y.astype(int) - b.y).mean() < 6
    with pytest.raises(SystemExit, match="do not fit"):
        pack.pack([cache.folder], tmp_path / "small", 0.001, None)


# -- samples ----------------------------------------------------------------------------------------------------------


def test_a_sample_follows_from_seed_and_number_alone(cache):
    everything = np.arange(len(cache))
    one, same = (Composer(TINY, [Member(cache, everything, 1.0)], None, 5) for _ in range(2))
    same.sample(3, 0.2)
    for a, b in zip(one.sample(7, 0.2), same.sample(7, 0.2), strict=True):
        assert (a == b).all()
    other = Composer(TINY, [Member(cache, everything, 1.0)], None, 6).sample(7, 0.2)
    assert (one.sample(7, 0.2)[0] != other[0]).any()


def test_labels_lie_where_the_picture_shows_them(cache, monkeypatch):
    monkeypatch.setattr(compose, "weather", lambda planes, rng, boxes, mild: planes)
    monkeypatch.setattr(compose, "draw_turn", lambda rng, steep: float(rng.choice([0, 0.5, 1, 1.5])) * np.pi)
    composer = Composer(TINY, [Member(cache, np.arange(len(cache)), 1.0)], None, 1)
    seen = inner_right = outer_right = 0
    for number in range(160):
        planes, labels, _ = composer.sample(number, 0.0)
        colours = cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420).astype(int)
        for x1, y1, x2, y2, kind, shows in labels:
            if min(x2 - x1, y2 - y1) < 14 or shows < 0.9:
                continue
            away = np.abs(colours - COLOURS[int(kind)]).max(2)
            seen += 1
            inner_right += np.median(away[round(y1) + 3 : round(y2) - 3, round(x1) + 3 : round(x2) - 3]) < 70
            rims = [
                away[max(0, round(y1) - 6) : max(0, round(y1) - 3), round(x1) + 3 : round(x2) - 3],
                away[round(y1) + 3 : round(y2) - 3, round(x2) + 3 : round(x2) + 6],
            ]
            outer_right += all(not rim.size or np.median(rim) > 70 for rim in rims)
    assert seen > 40
    # Another box may lie over this one or beside it, so not all are.
    assert inner_right > 0.85 * seen
    assert outer_right > 0.85 * seen


def test_classes_are_known_where_their_source_labels_them(cache):
    tfl = np.array([k for k in range(len(cache)) if cache.source(k) == "tfl"])
    composer = Composer(TINY, [Member(cache, tfl, 1.0)], None, 1)
    assert {int(v) for number in range(8) for v in np.unique(composer.sample(number, 0.0)[2])} == {0b001111}


def test_boxes_are_cut_at_their_cell_and_say_what_is_left(cache):
    boxes = np.array([[0, 0, 10, 10, 2, 1.0], [30, 0, 40, 10, 1, 0.5], [5, 5, 7, 7, IGNORED, 0.0]], np.float32)
    cell = compose.Cell(8, 8, 24, 24)
    found = moved(boxes, np.eye(2), np.array([-5.0, 0.0]), cell)
    assert found.tolist() == [[8, 8, 13, 18, 2, 0.5], [8, 13, 10, 15, IGNORED, 0.0]]
    turned = moved(boxes[:1], np.array([[0.0, -1.0], [1.0, 0.0]]), np.array([10.0, 0.0]), cell)
    assert turned[0, :4].tolist() == [8, 8, 18, 18]
    assert as_rows(found)[1].tolist() == [8, 13, 10, 15, 0, 0]


@pytest.mark.parametrize(
    "change", ["expose", "night", "grain", "fog", "rain", "glare", "blur", "coarse", "jpeg", "h264"]
)
def test_weather_changes_the_picture_and_keeps_its_shape(cache, change):
    planes = cache.planes(2)
    planes = type(planes)(*(np.array(plane) for plane in planes))
    for seed in range(3):
        made = getattr(weather, change)(
            planes, np.random.default_rng(seed), *([cache.labels(2)] if change == "night" else [])
        )
        assert [p.shape for p in made] == [p.shape for p in planes]
        assert [p.dtype for p in made] == [np.uint8] * 3
        assert (made.y != planes.y).any()


# -- the teacher ------------------------------------------------------------------------------------------------------


def test_a_teacher_adds_only_what_no_label_covers(cache, tmp_path):
    boxes = np.array([[10, 10, 40, 40], [60, 10, 80, 40], [100, 10, 120, 40], [15, 15, 25, 30]], float)
    found = Found(boxes, np.array([0.9, 0.8, 0.4, 0.9]), np.array([0, 5, 0, 5]))
    labels = np.array([[10, 10, 42, 40, 3, 1.0]], np.float32)
    assert teacher.more_boxes(found, labels).tolist() == [[60, 10, 80, 40, 5, 1], [100, 10, 120, 40, IGNORED, 0]]
    own = Cache(cache.folder)
    np.save(tmp_path / "more.npy", np.array([[2, 1, 2, 30, 40, 5, 1.0]], np.float32))
    before = [len(own.labels(k)) for k in range(4)]
    own.add_pseudo(tmp_path / "more.npy")
    assert [len(own.labels(k)) for k in range(4)] == [before[0], before[1], before[2] + 1, before[3]]
    assert own.labels(2)[-1].tolist() == [1, 2, 30, 40, 5, 1]


def test_a_rendered_set_is_read_as_pictures(tmp_path):
    frames = np.full((2, 96, 128), 90, np.uint8)
    labels = np.zeros((2, 48, 6), np.float32)
    labels[1, 3] = (4, 4, 30, 20, 2, 0.5)
    np.save(tmp_path / "frames.npy", frames)
    np.save(tmp_path / "labels.npy", labels)
    rendered = open_rendered(tmp_path)
    assert len(rendered.labels(0)) == 0
    assert rendered.labels(1).tolist() == [[4, 4, 30, 20, 2, 0.5]]
    assert rendered.planes(1, 1).y.shape == (32, 64)
