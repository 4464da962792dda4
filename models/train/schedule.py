"""How a training goes on: learning rate, averaged weights, and checkpoints that an interruption cannot spoil."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.train.network import Detector

#: The rate grows over so many steps, or over this share of a training that has fewer.
WARM_STEPS, WARM_SHARE = 200, 0.03


def rate_at(share: float, step: int, highest: float, warm_steps: int = WARM_STEPS) -> float:
    """Return the learning rate: a linear start, then half a cosine down to a hundredth."""
    warm = min(1.0, max((step + 1) / max(1, warm_steps), share / WARM_SHARE))
    return highest * warm * (0.01 + 0.99 * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0))) / 2)


def keep_at(step: int, most: float = 0.9995) -> float:
    """Return how much of the averaged weights a step keeps: little at first."""
    return min(most, (step + 1) / (step + 10))


@torch.no_grad()
def follow(average: Detector, detector: Detector, keep: float) -> None:
    """Move the averaged weights towards the present ones."""
    means, nows = average.state_dict().values(), detector.state_dict().values()
    floats = [(mean, now) for mean, now in zip(means, nows, strict=True) if mean.dtype.is_floating_point]
    torch._foreach_lerp_([mean for mean, _ in floats], [now for _, now in floats], 1 - keep)
    for mean, now in zip(average.state_dict().values(), detector.state_dict().values(), strict=True):
        if not mean.dtype.is_floating_point:
            mean.copy_(now)


def make_optimiser(detector: Detector, rate: float, decay: float = 0.03) -> torch.optim.AdamW:
    """Return AdamW; norms and biases do not decay."""
    heavy = [p for p in detector.parameters() if p.ndim > 1]
    light = [p for p in detector.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": heavy, "weight_decay": decay}, {"params": light, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate)


def half_precision(device: torch.device) -> bool:
    """Say whether the device multiplies bfloat16 faster than single precision."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    supported = getattr(torch.backends.cpu, "get_cpu_capability", lambda: "")()
    return "AVX512" in supported and _has_bf16_units()


def _has_bf16_units() -> bool:
    """Say whether the processor names bfloat16 among its instructions (Linux)."""
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False


def save_safely(state: Any, path: Path) -> None:
    """Write a checkpoint so that there is always a whole one, also where the machine stops in mid-write."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


def load_weights(detector: nn.Module, path: Path) -> int:
    """Load the weights of a file (a checkpoint's averaged ones) that fit; return how many did not.

    A head of other classes starts anew, the rest goes on.
    """
    state = torch.load(path, map_location="cpu", weights_only=True)
    state = state.get("average", state)
    own = detector.state_dict()
    fits = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    detector.load_state_dict(fits, strict=False)
    return len(own) - len(fits)
