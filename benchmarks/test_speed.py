"""The same contestants through pytest-benchmark: `python -m pytest benchmarks --benchmark-enable [-k NAME]`.

Without --benchmark-enable each runs once, which only shows that all of them still work.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import _peers

#: The questions whose contestants need a folder to work in.
IN_FOLDER = ("kernels", "overhead", "decode")
#: CPU time of the thread, as everywhere in these benchmarks.
CLOCK = pytest.mark.benchmark(timer=time.thread_time)


@pytest.fixture(scope="module")
def contestants(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Callable[[], object]]]:
    """Return what gives the contestants of a question, made once."""
    made: dict[str, dict[str, Callable[[], object]]] = {}

    def of(name: str) -> dict[str, Callable[[], object]]:
        if name not in made:
            given: list[Path] = [tmp_path_factory.mktemp(name)] if name in IN_FOLDER else []
            calls = importlib.import_module(f"benchmarks.{name}").calls
            peers = {"peers": True} if _peers.here() and name in ("detect", "track", "kernels", "overhead") else {}
            made[name] = calls(*given, **peers)
        return made[name]

    return of


LABELS = {
    "fit": ("Gantry, float RGB", "Gantry, 8 bit RGB", "Gantry, 8 bit 4:2:0", "usual BGR letterbox"),
    "detect": ("Gantry, 80 classes", "Gantry, classes in use", "OpenCV batched"),
    "track": tuple(f"Gantry, {n} objects" for n in (20, 50, 150)),
    "kernels": ("track, judge and record", "8 lines and 8 zones"),
    "overhead": ("Gantry at 1080p",),
    "decode": ("PyAV alone", "Gantry's reader and fit"),
}
RIVALS = {
    "detect": ("supervision",),
    "track": tuple(f"Roboflow ByteTrack, {n} objects" for n in (20, 50, 150)),
    "kernels": ("supervision's 8 lines and 8 zones",),
    "overhead": ("usual stack at 1080p",),
}


def pairs(table: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    """Return (question, contestant) of a table."""
    return [(name, label) for name, labels in table.items() for label in labels]


@CLOCK
@pytest.mark.parametrize(("name", "label"), pairs(LABELS))
def test_ours(benchmark: BenchmarkFixture, contestants: Callable, name: str, label: str) -> None:
    benchmark.group = name
    benchmark(contestants(name)[label])


@CLOCK
@pytest.mark.skipif(not _peers.here(), reason="the peers are not installed: make peers")
@pytest.mark.parametrize(("name", "label"), pairs(RIVALS))
def test_peers(benchmark: BenchmarkFixture, contestants: Callable, name: str, label: str) -> None:
    benchmark.group = name
    benchmark(contestants(name)[label])


@CLOCK
def test_rules(benchmark: BenchmarkFixture, contestants: Callable) -> None:
    benchmark.group = "rules"
    steps = list(contestants("rules").values())
    benchmark(lambda: [step() for step in steps])
