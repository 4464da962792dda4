"""The doctor: each finding follows from what it was given, and it never breaks down itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from vision import doctor
from vision.doctor import GIB, MIB, Finding, examine


def test_it_looks_at_everything_here(tmp_path):
    found = examine(tmp_path)
    names = [finding.name for finding in found]
    wanted = "Python, packages, onnxruntime package, OpenCV package, network device, video codecs, hardware decoders, "
    wanted += "CPU cores, memory, disk for records, kernel cache, shared memory, open files, clock, sandbox"
    assert set(wanted.split(", ")) <= set(names)
    assert len(set(names)) == len(names)
    for finding in found:
        assert finding.status in ("ok", "warn", "fail")
        assert finding.detail.isprintable()
        assert finding.status != "fail" or finding.advice
    codecs = next(finding for finding in found if finding.name == "video codecs")
    assert codecs.status == "ok", codecs.detail
    assert "h264" in codecs.detail
    assert str(tmp_path) in next(finding.detail for finding in found if finding.name == "disk for records")


def test_a_check_that_breaks_is_a_finding(monkeypatch):
    def broken() -> list[Finding]:
        raise RuntimeError("driver\nfell over")

    monkeypatch.setattr(doctor, "hardware_decoders", broken)
    (found,) = [finding for finding in examine() if finding.name == "hardware decoders"]
    assert found == Finding("hardware decoders", "warn", "could not be examined: RuntimeError: driver fell over")


@pytest.mark.parametrize(
    ("installed", "statuses"),
    [
        ({"onnxruntime-gpu": "1.2", "opencv-python-headless": "5.0", "numpy": "2"}, ["ok", "ok"]),
        ({"onnxruntime-gpu": "1.2", "onnxruntime": "1.2", "opencv-python-headless": "5.0"}, ["fail", "ok"]),
        ({"onnxruntime": "1.2", "opencv-python": "4.9", "opencv-python-headless": "5.0"}, ["ok", "fail"]),
        ({"numpy": "2"}, ["fail", "fail"]),
    ],
)
def test_two_of_a_family_at_once_are_told(installed, statuses):
    found = doctor.twins(installed)
    assert [finding.status for finding in found] == statuses
    for finding in found:
        if "at once" in finding.detail:
            assert finding.advice.startswith("pip uninstall -y ")
            assert all(name in finding.advice for name in installed if name.startswith(finding.name[:4].lower()))


@pytest.mark.parametrize(
    ("version", "status"),
    [((3, 10, 9), "fail"), ((3, 11, 0), "ok"), ((3, 13, 4), "ok"), ((3, 14, 0), "warn")],
)
def test_python(version, status):
    assert doctor.python(version).status == status


def test_a_package_that_is_not_there_is_told():
    versions, missing = doctor.packages(["numpy", "no_such_package_here"])
    assert versions.detail.startswith("numpy 2.")
    assert (missing.name, missing.status) == ("no_such_package_here", "fail")


@pytest.mark.parametrize(
    ("finding", "status"),
    [
        (doctor.cores(2.0), "ok"),
        (doctor.cores(0.5), "warn"),
        (doctor.memory(4 * GIB), "ok"),
        (doctor.memory(GIB // 2), "warn"),
        (doctor.shared_memory(GIB), "ok"),
        (doctor.shared_memory(64 * MIB), "warn"),
        (doctor.shared_memory(MIB), "fail"),
        (doctor.open_files(1024), "ok"),
        (doctor.open_files(256), "warn"),
        (doctor.open_files(-1), "ok"),
        (doctor.clock(1e-9, True, 0.016), "ok"),
        (doctor.clock(1e-9, False, 16.0), "warn"),
        (doctor.clock(1e-9, None, None), "warn"),
        (doctor.sandbox(0, False), "ok"),
    ],
)
def test_limits(finding, status):
    assert finding.status == status
    assert bool(finding.advice) == (status != "ok")


@pytest.mark.parametrize(("free", "status"), [(10 * GIB, "ok"), (GIB, "warn"), (100 * MIB, "fail")])
def test_disk(monkeypatch, tmp_path, free, status):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": free}))
    assert doctor.disk("disk", tmp_path).status == status


def test_a_folder_that_cannot_be_written_is_told(monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda folder, mode: False)
    assert doctor.disk("disk", Path("/")) == Finding(
        "disk", "warn", "/ cannot be written", "choose another folder with --out"
    )


def test_no_cache_folder_is_told(monkeypatch):
    monkeypatch.setattr("kernels._jit.cache_folder", lambda: None)
    (found,) = doctor.kernel_cache()
    assert found.status == "warn"
    assert "GANTRY_CACHE_DIR" in found.advice


def test_hardware_decoders_are_tried_not_believed(monkeypatch):
    """Of the devices that the libraries list, none may count as working that decodes nothing."""
    monkeypatch.setattr(doctor, "_decodes", lambda clip, device: "" if device == "cuda" else "no driver")
    monkeypatch.setattr("av.codec.hwaccel.hwdevices_available", lambda: ["cuda", "qsv"])
    (found,) = doctor.hardware_decoders()
    assert (found.status, found.detail) == ("ok", "works: cuda; does not: qsv (no driver)")
    monkeypatch.setattr(doctor, "_decodes", lambda clip, device: "no driver")
    monkeypatch.setattr(doctor, "_has_nvidia", lambda: True)
    (found,) = doctor.hardware_decoders()
    assert found.status == "warn"
    assert found.detail == "none: video is decoded on CPU cores; cuda (no driver), qsv (no driver)"


def test_a_device_that_is_not_there_decodes_nothing():
    assert doctor._decodes(b"no video", "cuda")
    assert doctor._decodes(doctor._clip(), "vdpau")
