"""Providers: only what really runs is chosen, and why another one does not is said."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from vision.detect import providers
from vision.detect.providers import PROBE, Provider, choose, stderr_taken, unusable
from vision.errors import DeviceError


@pytest.fixture
def _fresh() -> Any:
    unusable.cache_clear()
    yield
    unusable.cache_clear()


def test_probe_is_a_model_of_one_node() -> None:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "ab"]
    graph = helper.make_graph([helper.make_node("Relu", ["a"], ["b"])], "p", value[:1], value[1:])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7, producer_name="")
    assert made.SerializeToString() == PROBE


@pytest.mark.usefixtures("_fresh")
def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    ort = SimpleNamespace(get_available_providers=lambda: list(providers.LONG_NAMES.values()))
    monkeypatch.setattr(providers, "load_onnxruntime", lambda: ort)
    monkeypatch.setattr(providers, "no_cuda_device", lambda: "no driver (libcuda.so.1 not found)")
    auto = choose("auto")
    assert (auto.name, auto.on_gpu) == ("cpu", False)
    assert auto.describe() == "CPU (CUDA not usable: no driver (libcuda.so.1 not found); running on CPU)"
    for name in ("cuda", "tensorrt"):
        with pytest.raises(DeviceError, match=f"provider {name} is not usable: no driver .*--provider auto") as caught:
            choose(name)
        assert caught.value.exit_code == 3


@pytest.mark.usefixtures("_fresh")
@pytest.mark.parametrize(
    ("available", "lists", "gives", "reason"),
    [
        (["cpu"], ["cpu"], 3.0, "built without it"),
        (["cuda", "cpu"], ["cpu"], 3.0, "silently runs on CPUExecutionProvider"),
        (["cuda", "cpu"], ["cuda", "cpu"], 0.0, "wrong results"),
        (["cuda", "cpu"], ["cuda", "cpu"], 3.0, ""),
    ],
)
def test_what_counts_as_usable(
    monkeypatch: pytest.MonkeyPatch, available: list[str], lists: list[str], gives: float, reason: str
) -> None:
    session = SimpleNamespace(
        get_providers=lambda: [providers.LONG_NAMES[name] for name in lists], run=lambda *_: [np.array([gives])]
    )
    ort = SimpleNamespace(
        __version__="1",
        get_available_providers=lambda: [providers.LONG_NAMES[name] for name in available],
        SessionOptions=SimpleNamespace,
        InferenceSession=lambda *_, **__: session,
    )
    monkeypatch.setattr(providers, "load_onnxruntime", lambda: ort)
    monkeypatch.setattr(providers, "no_cuda_device", lambda: "")
    assert reason in unusable("cuda")
    assert choose("auto").name == ("cpu" if reason else "cuda")
    assert bool(choose("auto").note) == bool(reason)


@pytest.mark.usefixtures("_fresh")
def test_the_probe_is_silent(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(providers, "no_cuda_device", lambda: "")  # so that a session is tried in earnest
    provider = choose("auto")
    assert (provider.name == "cuda") == (unusable("cuda") == "")
    assert choose("cpu") == Provider("cpu", (("CPUExecutionProvider", {}),))
    assert capfd.readouterr() == ("", "")


def test_an_unknown_provider() -> None:
    with pytest.raises(DeviceError, match="provider 'gpu' is not known; allowed: auto, cpu, cuda, tensorrt"):
        choose("gpu")


def test_standard_error_comes_back(capfd: pytest.CaptureFixture[str]) -> None:
    with stderr_taken() as said:
        os.write(2, b"noise")
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"
    assert said.closed
