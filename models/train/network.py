"""The demo's detector: reads the decoder's I420 planes as they are and gives rows of boxes; all of it is one graph.

Plain 3 x 3 convolutions at strides 4 to 32, a top-down path, and one anchor-free head a level (FCOS: Tian et al. 2019,
arXiv:1904.01355), which says a score for each class and the distances from a cell's middle to the box's four edges.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTH_PX, HEIGHT_PX = 512, 288
STRIDES = (8, 16, 32)
CLASSES = 4
ROWS = 100


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


def unpack(planes: Tensor) -> Tensor:
    """Return half-size features f4[n, 6, h / 2, w / 2] from planes u1[n, h * 3 / 2, w]: four of Y, then U and V."""
    half_h, half_w = HEIGHT_PX // 2, WIDTH_PX // 2
    luma = planes[:, :HEIGHT_PX].reshape(-1, half_h, 2, half_w, 2).permute(0, 2, 4, 1, 3).reshape(-1, 4, half_h, half_w)
    chroma = planes[:, HEIGHT_PX:].reshape(-1, 2, half_h, half_w)
    return torch.cat([luma, chroma], 1).float() * (1 / 64) - 2.0


class Detector(nn.Module):
    """The network; in training it returns raw scores and distances, `rows` gives the exported output."""

    def __init__(self, width: int = 40) -> None:
        super().__init__()
        self.stem = conv(6, 16, 2)
        self.stage4 = conv(16, 20)
        self.stage8 = nn.Sequential(conv(20, width, 2), Residual(width))
        self.stage16 = nn.Sequential(conv(width, 72, 2), Residual(72))
        self.stage32 = nn.Sequential(conv(72, 112, 2), conv(112, 112), conv(112, 112))
        self.lateral32, self.lateral16, self.lateral8 = (
            conv(112, 56, 1, 1),
            conv(72, 56, 1, 1),
            conv(width, width, 1, 1),
        )
        self.narrow16 = conv(56, width, 1, 1)
        self.merge16, self.merge8 = conv(56, 56), conv(width, width)
        self.heads = nn.ModuleList([conv(width, 48), conv(56, 56), conv(56, 56)])
        self.scores = nn.ModuleList([nn.Conv2d(n, CLASSES, 1) for n in (48, 56, 56)])
        self.edges = nn.ModuleList([nn.Conv2d(n, 4, 1) for n in (48, 56, 56)])
        for score, edge in zip(self.scores, self.edges, strict=True):
            nn.init.constant_(score.bias, -4.0)
            nn.init.constant_(edge.bias, 1.0)
        points, steps = [], []
        for stride in STRIDES:
            ys, xs = torch.meshgrid(torch.arange(HEIGHT_PX // stride), torch.arange(WIDTH_PX // stride), indexing="ij")
            points.append((torch.stack([xs, ys], -1).reshape(-1, 2) + 0.5) * stride)
            steps.append(torch.full((len(points[-1]), 1), float(stride)))
        self.register_buffer("points", torch.cat(points))
        self.register_buffer("steps", torch.cat(steps))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Return raw scores f4[n, a, 4] and boxes f4[n, a, 4] in pixels for all cells of all levels."""
        x8 = self.stage8(self.stage4(self.stem(unpack(planes))))
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
        raw = torch.cat(scores, 2).transpose(1, 2)
        away = nn.functional.softplus(torch.cat(edges, 2).transpose(1, 2)) * self.steps
        return raw, torch.cat([self.points - away[..., :2], self.points + away[..., 2:]], -1)


class Exported(nn.Module):
    """The detector as it is shipped: planes in, the best 100 rows out, before any suppression of doubles."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, planes: Tensor) -> Tensor:
        """Return rows f4[n, 100, 6]: x1, y1, x2, y2 in pixels, score 0..1, class index."""
        raw, boxes = self.detector(planes)
        best, index = raw.max(2)
        top, order = best.topk(ROWS, 1)
        boxes = boxes.gather(1, order.unsqueeze(-1).expand(-1, -1, 4))
        kind = index.gather(1, order).float()
        return torch.cat([boxes, top.sigmoid().unsqueeze(-1), kind.unsqueeze(-1)], -1)
