"""The training recipe: samples, labels, masks and loss against slow twins; a short training, its end and its export."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the training recipe needs the extra `train`")

from models.train import compose, detector, export, judge, loss, pack, teacher  # noqa: E402
from models.train.compose import Composer, Member, as_rows, moved  # noqa: E402
from models.train.dataset import Cache, choose, open_cache, open_rendered  # noqa: E402
from models.train.network import SIZES, Detector, Exported, grid, multiplications  # noqa: E402
from models.train.schedule import keep_at, load_weights, rate_at  # noqa: E402
from vision.card import read_card  # noqa: E402
from vision.detect.providers import make_provider  # noqa: E402
from vision.detect.session import Detector as Session  # noqa: E402
from vision.evaluate.labels import IGNORED  # noqa: E402
from vision.evaluate.pictures import Found  # noqa: E402
from vision.frame import Detections, place  # noqa: E402

TINY = SIZES["tiny"]
COLOURS = ((40, 40, 220), (220, 60, 40), (40, 200, 60))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Return labelled pictures of bright boxes on grey: three classes, each of a colour."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(3)
    rows = ["split,name,source,camera"]
    for number in range(40):
        split = "val" if number >= 34 else "train"
        picture = rng.integers(60, 100, (96, 192, 3)).astype(np.uint8)
        lines = []
        for _ in range(2):
            kind, w, h = int(rng.integers(3)), int(rng.integers(24, 60)), int(rng.integers(20, 50))
            x, y = int(rng.integers(0, 192 - w)), int(rng.integers(0, 96 - h))
            picture[y : y + h, x : x + w] = COLOURS[kind]
            lines.append(f"{kind} {(x + w / 2) / 192} {(y + h / 2) / 96} {w / 192} {h / 96}")
        for part in ("images", "labels"):
            (folder / part / split).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "images" / split / f"p{number:02}.png"), picture)
        (folder / "labels" / split / f"p{number:02}.txt").write_text("\n".join(lines[:1] if number % 2 else lines))
        rows.append(f"{split},p{number:02},{'tfl' if number % 2 else 'other'},cam{number // 10}{split}")
    (folder / "index.csv").write_text("\n".join(rows))
    (folder / "sources.toml").write_text('[[source]]\nname = "tfl"\nunlabelled = ["bicycle", "person"]\n')
    return folder


@pytest.fixture(scope="module")
def cache(made, tmp_path_factory) -> Cache:
    return open_cache([made], tmp_path_factory.mktemp("work"))


def options(made: Path, out: Path, *more: str) -> list[str]:
    fixed = ["--size", "tiny", "--batch", "4", "--precision", "fp32", "--device", "cpu", "--no-paste"]
    return ["--data", str(made), "--work", str(out.parent), "--out", str(out), *fixed, *more]


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
    from models.train import weather

    planes = cache.planes(2)
    planes = type(planes)(*(np.array(plane) for plane in planes))
    for seed in range(3):
        made = getattr(weather, change)(
            planes, np.random.default_rng(seed), *([cache.labels(2)] if change == "night" else [])
        )
        assert [p.shape for p in made] == [p.shape for p in planes]
        assert [p.dtype for p in made] == [np.uint8] * 3
        assert (made.y != planes.y).any()


# -- what the loss sees -----------------------------------------------------------------------------------------------


def test_known_cells_are_those_of_a_slow_look_up():
    rng = np.random.default_rng(1)
    known = rng.integers(0, 64, (2, TINY.height_px // 8, TINY.width_px // 8)).astype(np.uint8)
    points, _ = grid(TINY)
    found = loss.known_cells(torch.from_numpy(known), TINY)
    for n in range(2):
        for cell, (x, y) in enumerate(points.tolist()):
            bits = known[n, int(y // 8), int(x // 8)]
            assert found[n, cell].tolist() == [bool(bits >> k & 1) for k in range(6)]


def slow_assignment(raw, boxes, labels):
    """Decide cell by cell, as loss.assign says it: {cell: (label, target)} of one picture."""
    points, steps = grid(TINY)
    claims = {}
    for row, (x1, y1, x2, y2, kind, shows) in enumerate(labels.tolist()):
        if min(x2 - x1, y2 - y1) < loss.SIDE_MIN_PX or shows < loss.VISIBLE_MIN:
            continue
        fits = []
        for cell, ((x, y), (step,)) in enumerate(zip(points.tolist(), steps.tolist(), strict=True)):
            near = all(abs(int(v // step) - int(((a + b) / 2) // step)) <= 2 for v, a, b in ((x, x1, x2), (y, y1, y2)))
            if near and x1 < x < x2 and y1 < y < y2:
                a = boxes[cell].tolist()
                w, h = min(a[2], x2) - max(a[0], x1), min(a[3], y2) - max(a[1], y1)
                common = max(w, 0) * max(h, 0)
                union = (a[2] - a[0]) * (a[3] - a[1]) + (x2 - x1) * (y2 - y1) - common
                iou = common / union
                fits.append((float(raw[cell, int(kind)].sigmoid()) ** 0.5 * iou**4 + 1e-9, iou, cell))
        for fit, iou, cell in sorted(fits, reverse=True)[: loss.CANDIDATES]:
            claims.setdefault(cell, []).append((fit, iou, row))
    won = {}
    for cell, some in claims.items():
        fit, iou, row = max(some)
        won.setdefault(row, []).append((fit, iou, cell))
    found = {}
    for row, some in won.items():
        best_fit, best_iou = max(fit for fit, _, _ in some), max(iou for _, iou, _ in some)
        for fit, _, cell in some:
            found[cell] = (row, fit / best_fit * max(best_iou, 0.05))
    return found


def test_cells_are_given_as_a_slow_twin_gives_them():
    torch.manual_seed(2)
    network = Detector(TINY)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        labels = np.zeros((1, 5, 6), np.float32)
        low = rng.uniform(0, (90, 40), (5, 2))
        labels[0, :, :2], labels[0, :, 2:4] = low, low + rng.uniform(6, 40, (5, 2))
        labels[0, :, 4], labels[0, :, 5] = rng.integers(0, 6, 5), rng.choice([1.0, 0.2], 5, p=[0.8, 0.2])
        raw = torch.randn(1, len(network.points), 6)
        boxes = torch.cat([network.points - 12, network.points + 12], 1)[None] + torch.randn(1, len(network.points), 4)
        owner, target, ignored = loss.assign(raw, boxes, network, torch.from_numpy(labels))
        wanted = slow_assignment(raw[0], boxes[0], torch.from_numpy(labels[0]))
        assert set(torch.nonzero(target[0])[:, 0].tolist()) == set(wanted)
        for cell, (row, value) in wanted.items():
            assert int(owner[0, cell]) == row
            assert float(target[0, cell]) == pytest.approx(value, rel=1e-3)
        vague = [r for r in labels[0].tolist() if min(r[2] - r[0], r[3] - r[1]) < 8 or r[5] < loss.VISIBLE_MIN]
        for cell, (x, y) in enumerate(network.points.tolist()):
            inside = any(x1 < x < x2 and y1 < y < y2 for x1, y1, x2, y2, *_ in vague)
            assert bool(ignored[0, cell]) == (inside and cell not in wanted)


def test_no_loss_where_boxes_are_ignored_or_classes_unlabelled():
    network = Detector(TINY)
    raw = torch.zeros(1, len(network.points), 6, requires_grad=True)
    boxes = torch.cat([network.points - 8, network.points + 8], 1)[None].requires_grad_()
    labels = torch.zeros(1, 4, 6)
    labels[0, 1, :4] = torch.tensor([0.0, 0.0, 64.0, 64.0])  # an ignore box, after an unused row
    known = torch.full((1, 8, 16), 0b001111, dtype=torch.uint8)
    value, _ = loss.loss(raw, boxes, network, labels, known)
    value.backward()
    left = network.points[:, 0] < 64
    assert (raw.grad[0, left] == 0).all()
    assert (raw.grad[0, ~left, :4] > 0).all()
    assert (raw.grad[0, ~left, 4:] == 0).all()


# -- a short training -------------------------------------------------------------------------------------------------


def test_the_loss_falls_in_twenty_steps(made, tmp_path):
    args = detector.parse(options(made, tmp_path / "run", "--steps", "60", "--batch", "8", "--rate", "6e-3"))
    _, choice, composer = detector.gather(args)
    run = detector.Run(args, len(choice.train))
    batch = next(detector.batches(composer, 8, 0, 0, 480, torch.zeros(1)))
    values = [float(run.learn(batch)["loss"]) for _ in range(20)]
    assert np.isfinite(values).all()
    assert np.mean(values[-3:]) < 0.75 * np.mean(values[:3])


def test_an_interrupted_training_ends_as_an_uninterrupted_one(made, tmp_path):
    detector.main(options(made, tmp_path / "whole", "--steps", "6"))
    args = detector.parse(options(made, tmp_path / "cut", "--steps", "6"))
    _, choice, composer = detector.gather(args)
    run = detector.Run(args, len(choice.train))
    feed = detector.batches(composer, 4, 0, 0, 24, torch.zeros(1))
    for _ in range(3):
        run.learn(next(feed))
    run.save()
    detector.main(options(made, tmp_path / "cut", "--steps", "6", "--resume"))
    whole, cut = (torch.load(tmp_path / name / "final.pt", weights_only=True) for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    lines = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert lines[0]["train"] == 34
    assert {"loss", "score", "overlap", "edge", "rate"} <= set(lines[1])
    assert "ap50_tfl" in lines[-1]["judged"]


def test_fine_tuning_keeps_what_fits(tmp_path):
    torch.manual_seed(1)
    first, second = Detector(TINY), Detector(TINY._replace(classes=("car", "bus")))
    torch.save({"average": first.state_dict()}, tmp_path / "w.pt")
    assert load_weights(second, tmp_path / "w.pt") == 6  # weights and biases of three score layers
    assert torch.equal(first.stem[0].weight, second.stem[0].weight)


def test_the_rate_grows_then_falls():
    rates = [rate_at(step / 1000, step, 1.0) for step in range(1001)]
    assert rates[0] < 0.02
    assert max(rates) > 0.97
    assert rates[-1] == pytest.approx(0.01)
    assert keep_at(0) == pytest.approx(0.1)
    assert keep_at(10**6) == 0.9995


@pytest.mark.parametrize("half", [False, True])
def test_an_export_says_the_same_as_the_network_and_fits_its_card(tmp_path, half):
    torch.manual_seed(4)
    network = Detector(TINY)
    network.train()
    for _ in range(3):  # so that the norms hold more than their start
        network(torch.randint(0, 255, (4, *TINY.planes_shape), dtype=torch.uint8))
    for score in network.scores:
        torch.nn.init.normal_(score.weight, std=0.5)
    network.eval()
    path = tmp_path / "gantry-tiny.onnx"
    export.export(network, path, half)
    planes = torch.randint(0, 255, (3, *TINY.planes_shape), dtype=torch.uint8)
    with torch.no_grad():
        ours = Exported(network)(planes).numpy()
    rows = export.open_session(path).run(None, {"planes": planes.numpy()})[0]
    assert rows.shape == (3, TINY.rows, 6)
    wide = 0.05 if half else 1e-3
    assert np.abs(np.sort(rows[..., 4]) - np.sort(ours[..., 4])).max() < wide
    assert (np.abs(rows - ours).max(2) < (1.0 if half else 1e-2)).mean() > (0.5 if half else 0.9)
    card = read_card(export.write_card(path, TINY, "a test"))
    session = Session(card, path, make_provider("cpu"), threads=1)
    out = Detections()
    session.infer([planes[0].numpy()])
    session.detections(0, place(card.fit_spec, 128, 64), out)
    own = judge.found_in(ours[0], place(card.fit_spec, 128, 64), 128, 64, 6)
    strong = own.score >= card.score_min + wide
    assert np.allclose(out.xyxy_px[: strong.sum()], own.xyxy_px[strong], atol=0.1) or half


def test_the_sizes_keep_their_promises():
    nano, small = (Detector(SIZES[name]).eval() for name in ("nano", "small"))
    assert multiplications(nano) <= 0.35e9
    assert multiplications(small) <= 2.5e9
    assert sum(p.numel() for p in nano.parameters()) * 4 <= 4e6
    assert sum(p.numel() for p in small.parameters()) * 2 <= 12e6


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
