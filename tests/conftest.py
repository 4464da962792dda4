"""Fixtures that every test may use, and the marker `kernels` on each test that has a naive twin to compare with."""

from __future__ import annotations

import dis
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import numpy as np
import pytest
import videos
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# The first call of a kernel compiles it, so a deadline per example would fail on a cold cache.
# Where the kernels' tests run once more in another mode, the mode is what is tried, and fewer examples do.
settings.register_profile(
    "gantry",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    max_examples=25 if {"NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK"} & os.environ.keys() else 100,
)
settings.load_profile("gantry")


def users_of_twins(module: ModuleType) -> set[str]:
    """Return the names of a test module's functions that use a naive twin, by themselves or through one another."""
    mine = {name: value for name, value in vars(module).items() if isinstance(value, FunctionType)}
    using = {
        name
        for name, value in vars(module).items()
        if (value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or "").startswith(
            "naive"
        )
    }
    while True:
        more = {name for name, function in mine.items() if using & names_in(inspect.unwrap(function).__code__)} | using
        if hypothesis := {name for name, function in mine.items() if using & names_of_inner(function)}:
            more |= hypothesis
        if more == using:
            return using
        using = more


def names_in(code: CodeType) -> set[str]:
    """Return every global name that a piece of code uses, in the functions and lists within it too."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    loaded = {one.argval for one in dis.get_instructions(code) if one.opname == "LOAD_GLOBAL"}
    return loaded.union(*map(names_in, inner))


def names_of_inner(function: FunctionType) -> set[str]:
    """Return the names that the test beneath hypothesis' `given` uses; none where there is none."""
    test = getattr(getattr(function, "hypothesis", None), "inner_test", None)
    return names_in(test.__code__) if test is not None else set()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that compare kernels with twins, so that they also run without the JIT and with bounds checks."""
    known: dict[ModuleType, set[str]] = {}
    for item in items:
        if isinstance(item, pytest.Function):
            if item.module not in known:
                known[item.module] = users_of_twins(item.module)
            if item.originalname in known[item.module]:
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
