"""What stands at the front of a run's records: how it came to be, nothing of the machine, no password."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import pytest

from kernels.rules import REGISTRY
from vision.card import Card, DetrHead, Input
from vision.errors import InputError
from vision.ground import lens_facts, make_lens
from vision.record.context import hide_addresses, parse_start, run_header
from vision.record.header import Header, RuleEntry, dtype_of, fields_of, make_header
from vision.record.reader import open_records
from vision.record.store import RecordWriter
from vision.scene import site_scene
from vision.site import load_site

SITE = """
name = "elm-and-4th"
timezone = "Europe/Berlin"

[camera.north]
url = "RTSP://guard:s3cret@10.0.4.11/stream1?token=s3cret"  # rtsps://old:s3cret@cam
model = "tiny"

[camera.north.ground]
image_px = [[412, 388], [1490, 402], [1866, 1012], [88, 996]]
plane_m  = [[0.0, 42.0], [14.0, 42.0], [14.0, 0.0], [0.0, 0.0]]

[camera.north.approach.north]
flow_px = [[755, 430], [700, 980]]

[camera.north.line.north_stop]
approach = "north"
ends_px = [[420, 900], [1010, 900]]

[camera.north.zone.box]
points_px = [[500, 500], [900, 500], [900, 800]]

[camera.north.signal.lamp]
source = "log"
path = "signals.csv"

[[camera.north.rule]]
type = "line_count"
name = "north count"
line = "north_stop"

[[camera.north.rule]]
type = "red_light"
name = "north red light"
line = "north_stop"
signal = "lamp"
"""
CARD = Card(
    name="tiny",
    file="tiny.onnx",
    sha256="ab" * 32,
    licence="Apache-2.0",
    source="ours",
    input=Input(name="images", width_px=64, height_px=64, layout="rgb"),
    output=DetrHead(head="detr", n_classes=6, boxes="b", scores="s"),
    classes={"car": (0,)},
    path=Path("/somewhere/tiny.toml"),
)


def made(
    folder: Path, start_utc: str | None = None, settings: dict[str, float] | None = None, text: str = SITE
) -> Header:
    folder.mkdir(exist_ok=True)
    (folder / "elm.toml").write_text(text)
    (folder / "signals.csv").write_text("time_s,state\n0,red\n")
    site = load_site(folder / "elm.toml")
    scene = site_scene(site, "north", 1920, 1080)
    return run_header(
        site=site,
        scene=scene,
        camera=site.cameras["north"],
        card=CARD,
        version="0.1",
        start_utc=start_utc,
        settings=settings,
    )


def test_the_context_says_how_the_run_came_to_be(tmp_path: Path) -> None:
    facts = msgspec.convert(made(tmp_path, "2026-05-04T08:30:00+02:00", {"lost_s": 2.5}).facts, dict)
    assert facts["site"]["name"] == "elm-and-4th"
    assert facts["site"]["sha256"] == hashlib.sha256(SITE.encode()).hexdigest()
    assert facts["site"]["timezone"] == "Europe/Berlin"
    assert facts["start_utc"] == "2026-05-04T06:30:00Z"
    assert facts["camera"] == "north"
    assert facts["model"]["sha256"] == "ab" * 32
    assert facts["model"]["score_min"] == 0.1
    assert facts["tracker"]["lost_s"] == 2.5
    assert facts["tracker"]["score_high"] > 0
    assert facts["rules"][1]["grace_s"] == 0.3
    assert {"gantry", "numpy", "numba", "av"} <= set(facts["versions"])
    geometry = facts["geometry"]
    assert (geometry["width_px"], geometry["height_px"]) == (1920, 1080)
    assert geometry["lines"][0]["name"] == "north_stop"
    assert geometry["lines"][0]["x1_px"] == 420
    assert geometry["zones"][0].pop("length_m") > 0
    assert geometry["zones"] == [{"name": "box", "points_px": [[500, 500], [900, 500], [900, 800]]}]
    assert np.array(geometry["ground"]["to_road"]).shape == (3, 3)
    assert geometry["ground"]["holdout_rms_m"] is None  # four points hold none out
    assert geometry["signals"][0]["log_sha256"] == hashlib.sha256(b"time_s,state\n0,red\n").hexdigest()


def test_a_lens_is_told_and_none_is_not(tmp_path: Path) -> None:
    assert "lens" not in made(tmp_path).facts["geometry"]
    bent = SITE.replace("[camera.north.ground]", "[camera.north.lens]\nk1 = -0.2\n\n[camera.north.ground]")
    lens = made(tmp_path, text=bent).facts["geometry"]["lens"]
    assert lens == lens_facts(make_lens(1920, 1080, k1=-0.2))


def test_the_header_describes_every_rule(tmp_path: Path) -> None:
    head = made(tmp_path)
    assert [(rule.name, rule.type) for rule in head.rules] == [
        ("north count", "line_count"),
        ("north red light", "red_light"),
    ]
    for rule in head.rules:
        assert rule.dtype == REGISTRY[rule.type].event
        assert rule.names == dict(REGISTRY[rule.type].names)
        assert dtype_of(rule.fields[: len(head.base)]) == head.base_dtype
    assert head.tables["line"] == ("north_stop",)
    assert head.tables["signal"] == ("lamp",)
    assert head.tables["direction"][0] == "with_flow"


@pytest.mark.parametrize("kind", sorted(REGISTRY))
def test_every_rule_can_be_recorded(kind: str) -> None:
    rule = REGISTRY[kind]
    tables = dict.fromkeys((*rule.names.values(), "camera", "class"), ())
    head = make_header((RuleEntry(kind, kind, fields_of(rule.event), dict(rule.names)),), tables, {})
    assert head.rules[0].dtype == rule.event


def test_a_header_comes_back_as_it_was(tmp_path: Path) -> None:
    head = made(tmp_path)
    with RecordWriter(tmp_path / "events.gtr", head):
        pass
    found = open_records(tmp_path).header
    assert bytes(found.context) == bytes(head.context)
    assert msgspec.structs.replace(found, context=msgspec.Raw(b"")) == msgspec.structs.replace(
        head, context=msgspec.Raw(b"")
    )
    assert found.context_id == head.context_id


def test_nothing_of_the_machine_and_no_password_is_in_a_file(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        with RecordWriter(tmp_path / f"{name}.gtr", made(tmp_path / name)):
            pass
        contents.append((tmp_path / f"{name}.gtr").read_bytes())
    assert contents[0] == contents[1]
    for secret in (b"s3cret", b"guard", b"10.0.4.11", str(tmp_path).encode(), b"somewhere"):
        assert secret not in contents[0]
    assert b"north_stop" in contents[0]


def test_settings_change_the_context_id(tmp_path: Path) -> None:
    ids = {made(tmp_path).context_id, made(tmp_path, settings={"lost_s": 3.0}).context_id}
    assert len(ids) == 2


def test_a_missing_signal_log_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / "elm.toml").write_text(SITE)
    site = load_site(folder / "elm.toml")
    scene = site_scene(site, "north", 1920, 1080)
    with pytest.raises(InputError, match=r"signals.csv: cannot read the signal log: No such file"):
        run_header(site=site, scene=scene, camera=site.cameras["north"], card=CARD, version="0.1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yesterday", "is no date and time"),
        ("2026-13-01T00:00:00Z", "is no date and time"),
        ("2026-05-04T06:30:00", "has no time zone"),
        ("2026-05-04", "has no time zone"),
        ("0001-01-01T00:00:00+14:00", "is out of range"),
        ("", "is no date and time"),
    ],
)
def test_a_start_without_a_clear_instant_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"start_utc = .*{message}; allowed: .*2026-05-04T06:30:00Z"):
        parse_start(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('url = "rtsp://u:p@h:8554/a?b=c"  # mine', 'url = "rtsp:***"  # mine'),
        ("url = 'rtsps://u:p@h/a'", "url = 'rtsps:***'"),
        ('url = "clips/a.mp4"', 'url = "clips/a.mp4"'),
        ('url = "env:NORTH_URL"', 'url = "env:NORTH_URL"'),
    ],
)
def test_addresses_are_hidden(text: str, shown: str) -> None:
    assert hide_addresses(text) == shown
