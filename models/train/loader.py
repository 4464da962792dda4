"""Batches of samples in worker processes, the same whichever worker makes them."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from models.train.compose import Composer

Batch = tuple[Tensor, Tensor, Tensor]


class Samples(Dataset):
    """Samples by number; `share` f4[1] in shared memory says how much of the training is done."""

    def __init__(self, composer: Composer, total: int | None, share: Tensor) -> None:
        self.composer, self.total, self.share = composer, total, share

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return a sample; where the length of the training is fixed, its number says how much is done."""
        share = float(self.share[0]) if self.total is None else number / self.total
        return self.composer.sample(number, share)


class Numbers:
    """Numbers of the samples of each batch, from one step on, without end."""

    def __init__(self, step: int, batch: int) -> None:
        self.step, self.batch = step, batch

    def __iter__(self) -> Iterator[list[int]]:
        """Give the numbers of one batch after the other."""
        step = self.step
        while True:
            yield list(range(step * self.batch, (step + 1) * self.batch))
            step += 1


def batches(
    composer: Composer, batch: int, step: int, workers: int, total: int | None, share: Tensor, pinned: bool = False
) -> Iterator[Batch]:
    """Give planes u1, labels f4 and known bits u1 of one batch after the other, from the given step on.

    Without workers samples are made in between, which is best on one core.
    """
    loader = DataLoader(
        Samples(composer, total, share),
        batch_sampler=Numbers(step, batch),
        num_workers=workers,
        prefetch_factor=3 if workers else None,
        worker_init_fn=_one_thread,
        pin_memory=pinned,
    )
    yield from loader


def _one_thread(worker: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
