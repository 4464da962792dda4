"""Tracks against true tracks: HOTA, IDF1 and MOTA, as TrackEval counts them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vision.evaluate.matching import heaviest, overlaps
from vision.mottext import Boxes

#: Overlaps at which HOTA counts a match.
ALPHAS = np.arange(0.05, 0.99, 0.05)
#: The overlap at which MOTA and IDF1 count one.
IOU_MIN = 0.5
_EPS = np.finfo(float).eps


class TrackScore(NamedTuple):
    """Figures 0..1 of tracks against true tracks, and what they are of."""

    hota: float
    det_a: float
    ass_a: float
    idf1: float
    mota: float
    switches: int
    missed: int
    invented: int
    boxes: int
    tracks: int
    frames: int


def score_tracks(found: Boxes, true: Boxes) -> TrackScore:
    """Return how well the tracks of one file match those of another.

    HOTA after Luiten et al. (IJCV 2021), sections 3 to 5; MOTA after Bernardin, Stiefelhagen (2008); IDF1 after
    Ristani et al. (2016). Classes are not told apart, and boxes that are not labelled are not known.
    """
    frames = max(found.frames, true.frames)
    ids_true, gt = np.unique(true.track_id, return_inverse=True)
    ids_found, tr = np.unique(found.track_id, return_inverse=True)
    starts_true = np.searchsorted(true.frame, np.arange(frames + 1))
    starts_found = np.searchsorted(found.frame, np.arange(frames + 1))
    similar = []
    shared = np.zeros((len(ids_true), len(ids_found)))
    for frame in range(frames):
        a, b = slice(*starts_true[frame : frame + 2]), slice(*starts_found[frame : frame + 2])
        iou = overlaps(true.xyxy_px[a].astype(float), found.xyxy_px[b].astype(float))
        similar.append((gt[a], tr[b], iou))
        total = iou.sum(axis=0)[None, :] + iou.sum(axis=1)[:, None] - iou
        np.add.at(shared, (gt[a][:, None], tr[b][None, :]), np.where(total > _EPS, iou / np.maximum(total, _EPS), 0.0))
    n_true, n_found = np.bincount(gt, minlength=len(ids_true)), np.bincount(tr, minlength=len(ids_found))
    hota, det_a, ass_a = _hota(similar, shared / (n_true[:, None] + n_found[None, :] - shared), n_true, n_found)
    matched, switches = _clear(similar, len(ids_true))
    together = np.zeros_like(shared)
    for rows, columns, iou in similar:
        np.add.at(together, (rows[:, None], columns[None, :]), iou >= IOU_MIN)
    best = together[heaviest(together)].sum()
    return TrackScore(
        hota=hota,
        det_a=det_a,
        ass_a=ass_a,
        idf1=float(2 * best / (len(gt) + len(tr))),
        mota=(matched - (len(tr) - matched) - switches) / len(gt),
        switches=switches,
        missed=len(gt) - matched,
        invented=len(tr) - matched,
        boxes=len(gt),
        tracks=len(ids_true),
        frames=frames,
    )


def _hota(
    similar: list[tuple[np.ndarray, np.ndarray, np.ndarray]], alike: np.ndarray, n_true: np.ndarray, n_found: np.ndarray
) -> tuple[float, float, float]:
    """Return HOTA, DetA and AssA, each the mean over ALPHAS; `alike` is how much each pair of tracks shares in all."""
    hits = np.zeros(len(ALPHAS))
    together = np.zeros((len(ALPHAS), *alike.shape))
    for rows, columns, iou in similar:
        if iou.size == 0:
            continue
        at, to = heaviest(alike[np.ix_(rows, columns)] * iou)
        for k, alpha in enumerate(ALPHAS):
            taken = iou[at, to] >= alpha - _EPS
            hits[k] += taken.sum()
            together[k, rows[at[taken]], columns[to[taken]]] += 1
    detected = hits / (n_true.sum() + n_found.sum() - hits)
    joined = together / np.maximum(n_true[None, :, None] + n_found[None, None, :] - together, 1)
    associated = (together * joined).sum(axis=(1, 2)) / np.maximum(hits, 1)
    return float(np.sqrt(detected * associated).mean()), float(detected.mean()), float(associated.mean())


def _clear(similar: list[tuple[np.ndarray, np.ndarray, np.ndarray]], tracks: int) -> tuple[int, int]:
    """Return the matched boxes and the identity switches; a pair of the frame before is kept where it still matches."""
    matched = switches = 0
    last = np.full(tracks, -1)
    before = np.full(tracks, -1)
    for rows, columns, iou in similar:
        stays = (before[rows][:, None] == columns[None, :]) & (before[rows][:, None] >= 0)
        at, to = heaviest(np.where(iou >= IOU_MIN - _EPS, 1000.0 * stays + iou, 0.0))
        known = last[rows[at]]
        switches += int(((known >= 0) & (known != columns[to])).sum())
        matched += len(at)
        last[rows[at]] = columns[to]
        before[:] = -1
        before[rows[at]] = columns[to]
    return matched, switches
