"""What the training minimises: task-aligned assignment of cells to boxes, then score, overlap and edge errors.

Assignment and soft score targets follow TOOD (Feng et al. 2021, arXiv:2108.07755); the overlap term is complete IoU
(Zheng et al. 2020, arXiv:1911.08287).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.train.network import STRIDES, Detector, Sizes

#: Road users of which less shows, or smaller ones, are neither asked for nor held against the network.
VISIBLE_MIN = 0.35
SIDE_MIN_PX = 8.0
CANDIDATES = 9

#: Pixels a side of a square of the map of what is labelled where.
SQUARE_PX = 8


def pair_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the intersection over union of boxes f4[..., 4] against boxes of a shape that broadcasts."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    inner = (high - low).clamp(min=0).prod(-1)
    areas = (a[..., 2:] - a[..., :2]).clamp(min=0).prod(-1) + (b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1)
    return inner / (areas - inner + 1e-6)


def complete_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the complete IoU of boxes f4[n, 4] pair by pair."""
    iou = pair_iou(a, b)
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    apart = ((a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) / 2).square().sum(1) / (hull.square().sum(1) + 1e-6)
    size_a, size_b = (a[:, 2:] - a[:, :2]).clamp(min=1e-3), (b[:, 2:] - b[:, :2]).clamp(min=1e-3)
    turn = torch.atan(size_a[:, 0] / size_a[:, 1]) - torch.atan(size_b[:, 0] / size_b[:, 1])
    shape = 0.4053 * turn.square()
    with torch.no_grad():
        weight = shape / (1 - iou + shape + 1e-6)
    return iou - apart - weight * shape


@torch.no_grad()
def candidates(labels: Tensor, sizes: Sizes) -> tuple[Tensor, Tensor]:
    """Return for each label the cells near its middle on every level, i8[n, g, k], and which of them are in its box."""
    truth = labels[..., :4]
    middle = (truth[..., :2] + truth[..., 2:]) / 2
    found, inside, first = [], [], 0
    for stride in STRIDES:
        columns, rows = sizes.width_px // stride, sizes.height_px // stride
        step = torch.arange(-2, 3, device=labels.device)
        x = (middle[..., 0] / stride).floor().long()[..., None, None] + step[None, None, None, :]
        y = (middle[..., 1] / stride).floor().long()[..., None, None] + step[None, None, :, None]
        x, y = (v.expand(*labels.shape[:2], 5, 5).flatten(2) for v in (x, y))
        px, py = (x + 0.5) * stride, (y + 0.5) * stride
        within = (px > truth[..., 0:1]) & (px < truth[..., 2:3]) & (py > truth[..., 1:2]) & (py < truth[..., 3:4])
        inside.append(within & (x >= 0) & (x < columns) & (y >= 0) & (y < rows))
        found.append(first + y.clamp(0, rows - 1) * columns + x.clamp(0, columns - 1))
        first += rows * columns
    return torch.cat(found, 2), torch.cat(inside, 2)


@torch.no_grad()
def assign(raw: Tensor, boxes: Tensor, detector: Detector, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each cell its label's row i8[n, a], its score target f4[n, a] (0: none) and whether it is ignored."""
    n, g, cells = *labels.shape[:2], raw.shape[1]
    truth, kind = labels[..., :4], labels[..., 4].long()
    side = (truth[..., 2:] - truth[..., :2]).amin(-1)
    wanted = (side >= SIDE_MIN_PX) & (labels[..., 5] >= VISIBLE_MIN)
    cell, inside = candidates(labels, detector.sizes)
    inside &= wanted[..., None]
    k, flat = cell.shape[2], cell.flatten(1)
    found = boxes.gather(1, flat[..., None].expand(-1, -1, 4)).view(n, g, k, 4)
    score = raw.gather(1, flat[..., None].expand(-1, -1, raw.shape[2])).view(n, g, k, -1)
    score = score.gather(3, kind[..., None, None].expand(-1, -1, k, 1))[..., 0].sigmoid()
    iou = pair_iou(found, truth[:, :, None]) * inside
    fit = (score.sqrt() * iou.pow(4) + 1e-9) * inside
    least = fit.topk(CANDIDATES, 2).values[..., -1:]
    fit = fit * (fit >= least)
    # A cell serves the box that it fits best.
    best = raw.new_zeros(n, cells).scatter_reduce_(1, flat, fit.flatten(1), "amax")
    mine = (fit > 0) & (fit >= best.gather(1, flat).view(n, g, k))
    fit, iou = fit * mine, iou * mine
    target = fit / fit.amax(2, keepdim=True).clamp(min=1e-12) * iou.amax(2, keepdim=True).clamp(min=0.05)
    wins = mine.flatten(1)
    spare = torch.where(wins, flat, cells)  # losers write into a cell that is cut off
    row = torch.arange(g, device=raw.device)[None, :, None].expand(n, g, k).flatten(1)
    owner = row.new_zeros(n, cells + 1).scatter_(1, spare, row)[:, :cells]
    targets = raw.new_zeros(n, cells + 1).scatter_(1, spare, target.flatten(1))[:, :cells]
    vague = (side > 0) & ~wanted
    x, y = detector.points[:, 0], detector.points[:, 1]
    covers = (x > truth[..., 0:1]) & (x < truth[..., 2:3]) & (y > truth[..., 1:2]) & (y < truth[..., 3:4])
    ignored = (covers & vague[..., None]).any(1) & (targets <= 0)
    return owner, targets, ignored


def known_cells(known: Tensor, sizes: Sizes) -> Tensor:
    """Return bool[n, a, classes]: where a class has all its labels, from the bits of u1[n, h / 8, w / 8].

    A cell takes the square that its middle lies in.
    """
    bits = torch.arange(len(sizes.classes), device=known.device)
    parts = []
    for stride in STRIDES:
        step = stride // SQUARE_PX
        parts.append(known[:, step // 2 :: step, step // 2 :: step].flatten(1))
    return (torch.cat(parts, 1).unsqueeze(-1).int() >> bits & 1).bool()


def loss(
    raw: Tensor, boxes: Tensor, detector: Detector, labels: Tensor, known: Tensor | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of a batch and its parts by name.

    `labels` f4[n, g, 6]: x1, y1, x2, y2, class, share that shows (0: an ignore box); rows of zeros are unused.
    `known` u1[n, h / 8, w / 8]: the bits of the classes whose absence of a label means absence (none: all).
    """
    used = (labels[..., 2] > labels[..., 0]).flatten(1)
    last = (used * torch.arange(1, labels.shape[1] + 1, device=labels.device)).amax()
    labels = labels[:, : max(1, int(last))]
    owner, target, ignored = assign(raw.detach(), boxes.detach(), detector, labels)
    picked = target > 0
    own = labels.gather(1, owner[..., None].expand(-1, -1, 6))
    wanted = torch.zeros_like(raw).scatter_(2, own[..., 4:5].long(), target[..., None])
    plain = functional.binary_cross_entropy_with_logits(raw, wanted, reduction="none")
    focus = torch.where(wanted > 0, wanted, 0.75 * raw.detach().sigmoid().square())
    focus = focus * ~ignored[..., None]
    if known is not None:
        focus = focus * (known_cells(known, detector.sizes) | (wanted > 0))
    total = target.sum().clamp(min=1.0)
    score = (plain * focus).sum() / total
    weight, found, true = target[picked], boxes[picked], own[picked][:, :4]
    overlap = ((1 - complete_iou(found, true)) * weight).sum() / total
    # Edges against the size of the box, so that the foot of a small one counts; a floor keeps far specks from ruling.
    size = (true[:, 2:] - true[:, :2]).mean(1, keepdim=True).clamp(min=12.0)
    edge = (
        functional.smooth_l1_loss(found / size, true / size, beta=0.02, reduction="none").mean(1) * weight
    ).sum() / total
    parts = {"score": score.detach(), "overlap": overlap.detach(), "edge": edge.detach()}
    return score + 2.0 * overlap + 6.0 * edge, parts
