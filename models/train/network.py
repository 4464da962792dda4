"""The detectors: they read the decoder's I420 planes as they are and give rows of boxes; all of it is one graph.

Plain 3 x 3 convolutions at strides 4 to 32, a top-down path, and one anchor-free head a level (FCOS: Tian et al. 2019,
arXiv:1904.01355), which says a score for each class and the distances from a cell's middle to the box's four edges.
One network, several sizes: `SIZES`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

STRIDES = (8, 16, 32)


class Sizes(NamedTuple):
    """How large a network is: its picture, its classes, and channels and residual blocks of its parts."""

    name: str
    width_px: int
    height_px: int
    classes: tuple[str, ...]
    stem: int
    backbone: tuple[int, int, int, int]  # channels at strides 4, 8, 16, 32
    depths: tuple[int, int, int]  # residual blocks at strides 8, 16, 32
    neck: tuple[int, int]  # channels at stride 8, and at 16 and 32
    heads: tuple[int, int, int]
    pool: bool  # join wider and wider surroundings at stride 32
    rows: int = 100

    @property
    def planes_shape(self) -> tuple[int, int]:
        """Rows and columns of one picture's I420 planes."""
        return self.height_px * 3 // 2, self.width_px


ROAD = ("car", "bus", "truck", "motorcycle", "bicycle", "person")
SIZES = {
    "demo": Sizes("demo", 512, 288, ROAD[:4], 16, (20, 40, 72, 112), (1, 1, 1), (40, 56), (48, 56, 56), False),
    # Channels in sixteens, as onnxruntime packs them on CPUs with AVX-512: a fifth less time than the demo's.
    "nano": Sizes("nano", 512, 288, ROAD, 16, (16, 48, 64, 112), (1, 1, 1), (32, 64), (32, 64, 64), True),
    "small": Sizes("small", 640, 352, ROAD, 32, (32, 64, 128, 256), (1, 2, 3), (64, 96), (96, 96, 96), True, 200),
    # As small as a picture and a network may be: for tests.
    "tiny": Sizes("tiny", 128, 64, ROAD, 8, (8, 16, 16, 16), (1, 1, 1), (16, 16), (16, 16, 16), True, 20),
}


def conv(inputs: int, outputs: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    """Return a convolution with its normalisation and activation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.path = nn.Sequential(conv(channels, channels), conv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of the path and the input."""
        return x + self.path(x)


class Pool(nn.Module):
    """A cell beside the largest values of wider and wider surroundings (SPP: He et al. 2014, arXiv:1406.4729)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.narrow, self.widen = conv(channels, channels // 2, size=1), conv(channels * 2, channels, size=1)
        self.around = nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape."""
        parts = [self.narrow(x)]
        for _ in range(3):
            parts.append(self.around(parts[-1]))
        return self.widen(torch.cat(parts, 1))


def stage(inputs: int, outputs: int, depth: int) -> nn.Sequential:
    """Return a stage that halves the picture."""
    return nn.Sequential(conv(inputs, outputs, 2), *(Residual(outputs) for _ in range(depth)))


class Detector(nn.Module):
    """The network as it is trained: raw scores and boxes of all cells."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        c4, c8, c16, c32 = sizes.backbone
        n8, n16 = sizes.neck
        self.stem, self.stage4 = conv(6, sizes.stem, 2), conv(sizes.stem, c4)
        self.stage8, self.stage16 = stage(c4, c8, sizes.depths[0]), stage(c8, c16, sizes.depths[1])
        self.stage32 = stage(c16, c32, sizes.depths[2])
        if sizes.pool:
            self.stage32.append(Pool(c32))
        self.lateral32, self.lateral16, self.lateral8 = (
            conv(c32, n16, size=1),
            conv(c16, n16, size=1),
            conv(c8, n8, size=1),
        )
        self.narrow16 = conv(n16, n8, size=1)
        self.merge16, self.merge8 = conv(n16, n16), conv(n8, n8)
        self.heads = nn.ModuleList([conv(n, h) for n, h in zip((n8, n16, n16), sizes.heads, strict=True)])
        self.scores = nn.ModuleList([nn.Conv2d(n, len(sizes.classes), 1) for n in sizes.heads])
        self.edges = nn.ModuleList([nn.Conv2d(n, 4, 1) for n in sizes.heads])
        for score, edge in zip(self.scores, self.edges, strict=True):
            nn.init.constant_(score.bias, -4.0)
            nn.init.constant_(edge.bias, 1.0)
        points, steps = grid(sizes)
        self.register_buffer("points", points, persistent=False)
        self.register_buffer("steps", steps, persistent=False)

    def unpack(self, planes: Tensor) -> Tensor:
        """Return half-size features [n, 6, h / 2, w / 2] of planes u1[n, h * 3 / 2, w]: four of Y, then U and V."""
        height_px = self.sizes.height_px
        half_h, half_w = height_px // 2, self.sizes.width_px // 2
        luma = planes[:, :height_px].reshape(-1, half_h, 2, half_w, 2)
        luma = luma.permute(0, 2, 4, 1, 3).reshape(-1, 4, half_h, half_w)
        chroma = planes[:, height_px:].reshape(-1, 2, half_h, half_w)
        return torch.cat([luma, chroma], 1).to(self.scores[0].weight.dtype) * (1 / 64) - 2.0

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Return raw scores f4[n, a, classes] and boxes f4[n, a, 4] in pixels for all cells of all levels."""
        x8 = self.stage8(self.stage4(self.stem(self.unpack(planes))))
        x16 = self.stage16(x8)
        x32 = self.lateral32(self.stage32(x16))
        x16 = self.merge16(self.lateral16(x16) + nn.functional.interpolate(x32, scale_factor=2.0, mode="nearest"))
        x8 = self.merge8(
            self.lateral8(x8) + nn.functional.interpolate(self.narrow16(x16), scale_factor=2.0, mode="nearest")
        )
        scores, edges = [], []
        for level, x in enumerate((x8, x16, x32)):
            x = self.heads[level](x)
            scores.append(self.scores[level](x).flatten(2))
            edges.append(self.edges[level](x).flatten(2))
        raw = torch.cat(scores, 2).transpose(1, 2).float()
        # In full precision from here on: halves of a pixel are lost in 16 bits.
        away = nn.functional.softplus(torch.cat(edges, 2).transpose(1, 2).float()) * self.steps
        return raw, torch.cat([self.points - away[..., :2], self.points + away[..., 2:]], -1)


def grid(sizes: Sizes) -> tuple[Tensor, Tensor]:
    """Return the middles f4[a, 2] and strides f4[a, 1] in pixels of all cells of all levels."""
    points, steps = [], []
    for stride in STRIDES:
        ys, xs = torch.meshgrid(
            torch.arange(sizes.height_px // stride), torch.arange(sizes.width_px // stride), indexing="ij"
        )
        points.append((torch.stack([xs, ys], -1).reshape(-1, 2) + 0.5) * stride)
        steps.append(torch.full((len(points[-1]), 1), float(stride)))
    return torch.cat(points), torch.cat(steps)


class Exported(nn.Module):
    """The detector as it is shipped: planes in, the best rows out, before any suppression of doubles."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, planes: Tensor) -> Tensor:
        """Return rows f4[n, rows, 6]: x1, y1, x2, y2 in pixels, score 0..1, class index."""
        raw, boxes = self.detector(planes)
        best, index = raw.max(2)
        top, order = best.topk(self.detector.sizes.rows, 1)
        boxes = boxes.gather(1, order.unsqueeze(-1).expand(-1, -1, 4))
        kind = index.gather(1, order).float()
        return torch.cat([boxes, top.sigmoid().unsqueeze(-1), kind.unsqueeze(-1)], -1)


def multiplications(detector: Detector) -> int:
    """Return the multiply-accumulates of one picture's forward pass: those of its convolutions."""
    total = 0

    def count(module: nn.Conv2d, _: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal total
        total += module.weight.numel() * out.shape[2] * out.shape[3]

    hooks = [part.register_forward_hook(count) for part in detector.modules() if isinstance(part, nn.Conv2d)]
    with torch.no_grad():
        detector(torch.zeros(1, *detector.sizes.planes_shape, dtype=torch.uint8, device=detector.points.device))
    for hook in hooks:
        hook.remove()
    return total
