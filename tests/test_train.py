"""The training recipe: masks and assignment against slow twins; a short training, its end and its export."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from trainpictures import make_pictures

torch = pytest.importorskip("torch", reason="the training recipe needs the extra `train`")

from models.train import detector, export, judge, loss  # noqa: E402
from models.train.network import SIZES, Detector, Exported, grid, multiplications  # noqa: E402
from models.train.schedule import keep_at, load_weights, rate_at  # noqa: E402
from vision.card import read_card  # noqa: E402
from vision.detect.providers import make_provider  # noqa: E402
from vision.detect.session import Detector as Session  # noqa: E402
from vision.frame import Detections, place  # noqa: E402

TINY = SIZES["tiny"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("made"))


def options(made: Path, out: Path, *more: str) -> list[str]:
    fixed = ["--size", "tiny", "--batch", "4", "--precision", "fp32", "--device", "cpu", "--no-paste"]
    return ["--data", str(made), "--work", str(out.parent), "--out", str(out), *fixed, *more]


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
