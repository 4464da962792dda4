"""A detector that is not perfect: boxes that shake, are missed, or are not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from benchmarks.scenes.look import Seen


@dataclass(frozen=True)
class Noise:
    """`jitter`: standard deviation of each edge as a share of the box's size; `jitter_s` > 0 makes it last so long.

    `missed` of the boxes are not found, nor is what is hidden by more than `hidden_max` or cut to less than
    `inside_min`. `false_per_s`: boxes a second where nothing is. Scores are normal about `score`, less for what is
    small or partly hidden.
    """

    jitter: float = 0.025
    jitter_s: float = 0.0
    missed: float = 0.05
    hidden_max: float = 0.6
    inside_min: float = 0.4
    false_per_s: float = 0.2
    score: float = 0.85
    score_sd: float = 0.08
    swapped: float = 0.0


class Found(NamedTuple):
    """Detections in the order of their frames."""

    frame: np.ndarray  # i4[n]
    class_id: np.ndarray  # i2[n]
    xyxy_px: np.ndarray  # f8[n, 4]
    score: np.ndarray  # f8[n]


def detect(seen: Seen, noise: Noise, fps: float, size_px: tuple[int, int], seed: int) -> Found:
    """Return what the detector makes of the boxes in view."""
    rng = np.random.default_rng([seed, 0xDE7EC7])
    frames = int(seen.frame.max(initial=0)) + 1
    shaken = seen.xyxy_px + _shake(rng, seen, noise, fps)
    # What a detector is sure of: large, in full view.
    height = seen.xyxy_px[:, 3] - seen.xyxy_px[:, 1]
    score = noise.score - 0.35 * seen.hidden - 3.0 / np.maximum(height, 8.0)
    score = np.clip(score + noise.score_sd * rng.standard_normal(len(score)), 0.05, 0.99)
    found = (
        (seen.hidden <= noise.hidden_max) & (seen.inside >= noise.inside_min) & (rng.random(len(score)) >= noise.missed)
    )
    limits = np.tile(np.array(size_px, float), 2)
    shaken = np.clip(shaken, 0.0, limits)
    found &= (shaken[:, 2] - shaken[:, 0] > 2.0) & (shaken[:, 3] - shaken[:, 1] > 2.0)
    ghosts = _ghosts(rng, seen, noise, frames, fps)
    frame = np.concatenate([seen.frame[found], ghosts.frame])
    order = np.argsort(frame, kind="stable")
    return Found(
        frame=frame[order],
        class_id=np.concatenate([seen.class_id[found], ghosts.class_id])[order],
        xyxy_px=np.concatenate([shaken[found], ghosts.xyxy_px])[order],
        score=np.concatenate([score[found], ghosts.score])[order],
    )


def _shake(rng: np.random.Generator, seen: Seen, noise: Noise, fps: float) -> np.ndarray:
    """Return errors of the edges in px, f8[n, 4]; with `jitter_s` they die away so fast (first-order process)."""
    white = rng.standard_normal((len(seen.frame), 4))
    if noise.jitter_s > 0.0:
        keep = np.exp(-1.0 / (fps * noise.jitter_s))
        order = np.lexsort((seen.frame, seen.who))
        own = white[order]
        same = np.r_[False, seen.who[order][1:] == seen.who[order][:-1]]
        for k in range(1, len(own)):
            if same[k]:
                own[k] = keep * own[k - 1] + np.sqrt(1.0 - keep * keep) * own[k]
        white[order] = own
    size = np.column_stack([seen.xyxy_px[:, 2] - seen.xyxy_px[:, 0], seen.xyxy_px[:, 3] - seen.xyxy_px[:, 1]])
    return noise.jitter * white * np.tile(size, 2)


def _ghosts(rng: np.random.Generator, seen: Seen, noise: Noise, frames: int, fps: float) -> Found:
    """Return boxes where nothing is: of the size and place of true ones, but of another moment, one frame each."""
    n = int(rng.poisson(noise.false_per_s * frames / fps)) if len(seen.frame) else 0
    like = rng.integers(0, max(len(seen.frame), 1), n)
    frame = np.sort(rng.integers(0, frames, n)).astype(np.int32)
    size = (seen.xyxy_px[like, 2:] - seen.xyxy_px[like, :2]) * rng.uniform(0.6, 1.4, (n, 1))
    middle = (seen.xyxy_px[like, 2:] + seen.xyxy_px[like, :2]) / 2 + rng.normal(0.0, 1.0, (n, 2)) * size
    box = np.maximum(np.concatenate([middle - size / 2, middle + size / 2], axis=1), 0.0)
    solid = (box[:, 2] - box[:, 0] > 2.0) & (box[:, 3] - box[:, 1] > 2.0)
    score = np.clip(rng.normal(0.35, 0.12, n), 0.05, 0.9)
    return Found(frame[solid], seen.class_id[like][solid], box[solid], score[solid])


def mixed_up(seen: Seen, share: float, seed: int) -> np.ndarray:
    """Return the ids of a tracker that swaps two road users when their boxes overlap: in `share` of such meetings."""
    rng = np.random.default_rng([seed, 0x1D5])
    ids = seen.who.copy()
    if share <= 0.0:
        return ids
    name = {int(who): int(who) for who in np.unique(seen.who)}
    met: set[tuple[int, int]] = set()
    starts = np.flatnonzero(np.r_[True, np.diff(seen.frame) > 0])
    for low, high in zip(starts, np.r_[starts[1:], len(ids)], strict=True):
        box, who = seen.xyxy_px[low:high], seen.who[low:high]
        for i in range(len(who)):
            for j in range(i):
                pair = int(who[j]), int(who[i])
                apart = (box[i, :2] >= box[j, 2:]).any() or (box[j, :2] >= box[i, 2:]).any()
                if not apart and pair not in met:
                    met.add(pair)
                    if rng.random() < share:
                        name[pair[0]], name[pair[1]] = name[pair[1]], name[pair[0]]
        ids[low:high] = [name[int(one)] for one in who]
    return ids
