"""Lamps of which the picture shows nothing are not told to be dark."""

from __future__ import annotations

import math

import numpy as np
import pytest
from test_signal import CYCLE, SHOWN, pixels, shown_at, watch

from kernels.records import LAMP, SIGNAL_STATES
from vision.site import Signal

pytestmark = pytest.mark.kernels


@pytest.mark.parametrize(
    ("name", "plain"),
    [("overexposed", (250, 128, 128)), ("the camera is blind", (16, 128, 128)), ("fog", (140, 128, 128))],
)
@pytest.mark.parametrize("lasts_s", [5.0, 200.0])
def test_a_picture_without_lamps_is_no_dark_signal(name, plain, lasts_s):
    rng, rows = np.random.default_rng(7), np.zeros(3, LAMP)
    rows["y"], rows["u"], rows["v"] = plain
    at, _ = shown_at(CYCLE)
    told = watch((t, rows if 60 < t < 60 + lasts_s else pixels(at(t), rng)) for t in np.arange(0, 100 + lasts_s, 0.1))
    inside = [SIGNAL_STATES[row["state"]] for at_s, row in told if 60 < at_s < 60 + lasts_s]
    assert inside == ["unknown"], name
    assert {SIGNAL_STATES[row["state"]] for at_s, row in told if at_s > 62 + lasts_s} >= {"red", "green"}


def test_a_signal_that_is_off_at_night_cannot_be_told_from_a_black_picture_but_flashes_can():
    rng = np.random.default_rng(9)

    def night(name):
        rows = pixels(name, rng, noise=1.0)
        off = [k for k, lamp in enumerate(("red", "amber", "green")) if lamp not in SHOWN[name]]
        for k in off:
            rows[k] = (18.0, 128.0, 128.0)
        return rows

    frames = [(t, night("amber" if t < 10 else "dark")) for t in np.arange(0, 30, 0.1)]
    assert [SIGNAL_STATES[row["state"]] for _, row in watch(frames)] == ["unknown", "amber", "unknown"]
    flash, _ = shown_at([("amber", 0.5), ("dark", 0.5)])
    frames = [(t, night("red" if t < 10 else flash(t))) for t in np.arange(0, 30, 0.1)]
    assert SIGNAL_STATES[watch(frames)[-1][1]["state"]] == "flashing"


def test_the_picture_s_latency_is_part_of_the_deviation():
    rng = np.random.default_rng(15)
    sources = (Signal(source="vision", latency_sd_s=0.05),)
    frames = ((t, pixels("green" if t < 2 else "amber", rng)) for t in np.arange(0, 4, 0.04))
    row = watch(frames, signal_sources=sources)[-1][1]
    assert row["sd_s"] == pytest.approx(math.hypot(0.05, 0.04 / math.sqrt(12)), rel=1e-3)
