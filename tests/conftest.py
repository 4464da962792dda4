"""Fixtures that every test may use, and the marker `kernels` on each test that has a naive twin to compare with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import videos
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# The first call of a kernel compiles it, so a deadline per example would fail on a cold cache.
settings.register_profile("gantry", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("gantry")


def has_twin(module: ModuleType) -> bool:
    """Return whether a test module has imported a naive twin, or a function of one."""
    return any(
        (value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or "").startswith(
            "naive"
        )
        for value in vars(module).values()
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of kernels, so that they also run without the JIT and with bounds checks."""
    for item in items:
        if isinstance(item, pytest.Function) and has_twin(item.module):
            item.add_marker("kernels")


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a random generator with a fixed seed."""
    return np.random.default_rng(20_240_601)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of clips and models that do not ship with the project; skip where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data, which is absent")
    return folder


@pytest.fixture(scope="session")
def tiny_video() -> Callable[..., Path]:
    """Return the maker of tiny videos: `tiny_video(path, n=20, width=160, height=96, fps=25, pts=None, ...)`."""
    return videos.tiny_video
