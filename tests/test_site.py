"""Site files: a good one is read, and a bad one is refused with every mistake in it."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import pytest

from kernels.rule import Rule, RuleConfig
from vision.errors import SiteError
from vision.site import load_site, missing_files, parse_site, redact, site_from_table, stream_address

GOOD = """
name = "elm-and-4th"
timezone = "Europe/Berlin"

[camera.north]
url = "clips/north.mp4"
model = "gantry-nano"

[camera.north.ground]
image_px = [[412, 388], [1490, 402], [1866, 1012], [88, 996]]
plane_m  = [[0.0, 42.0], [14.0, 42.0], [14.0, 0.0], [0.0, 0.0]]

[camera.north.approach.north]
flow_px = [[755, 430], [700, 980]]
lanes.n1 = [[610, 420], [760, 420], [720, 980], [420, 980]]

[camera.north.line.north_stop]
approach = "north"
ends_px = [[420, 900], [1010, 900]]

[camera.north.line.plain]
ends_px = [[420, 700], [1010, 700]]

[camera.north.zone.box]
points_px = [[500, 500], [900, 500], [900, 800]]

[camera.north.signal.lamp]
source = "log"
path = "signals.csv"

[camera.north.signal.seen]
source = "vision"
lamp_px = {red = [10, 10, 14, 14], green = [10, 20, 14, 24]}

[[camera.north.rule]]
type = "stop"
name = "north stop"
line = "north_stop"
signal = "lamp"
lines = ["plain"]
grace_s = 0.3
"""


class StopConfig(RuleConfig):
    line: str
    signal: str
    lines: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("plain",)
    zone: str | None = None
    grace_s: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0
    hits: Annotated[int, msgspec.Meta(gt=0)] = 1
    strict: bool = False


RULES: dict[str, Rule] = {
    "stop": Rule(
        type="stop",
        config=StopConfig,
        event=np.dtype([("x", "<f4")]),
        prepare=lambda config, scene: None,
        step=lambda *columns: 0,
        references={"line": "flow_line", "lines": "line", "signal": "signal", "zone": "zone"},
    )
}


def mistakes(text: str) -> list[str]:
    with pytest.raises(SiteError) as caught:
        parse_site(text, "sites/elm.toml", RULES)
    for line in caught.value.mistakes:
        assert line.startswith("sites/elm.toml: ")
        assert line.isprintable()
    return [line.removeprefix("sites/elm.toml: ") for line in caught.value.mistakes]


def with_camera(**parts: object) -> list[str]:
    """Return the mistakes of the good site after a change: `a__b=value` sets key b of table a of its camera."""
    table = tomllib.loads(GOOD)
    for place, value in parts.items():
        *way, last = place.split("__")
        inner = table["camera"]["north"]
        for key in way:
            inner = inner[int(key[1:]) - 1] if isinstance(inner, list) else inner[key]
        if value is None:
            del inner[last]
        else:
            inner[last] = value
    with pytest.raises(SiteError) as caught:
        site_from_table(table, "sites/elm.toml", "", "", RULES)
    return [line.removeprefix("sites/elm.toml: camera.north") for line in caught.value.mistakes]


def test_a_good_site_is_read(tmp_path):
    path = tmp_path / "elm.toml"
    path.write_text(GOOD)
    site = load_site(path, RULES)
    camera = site.cameras["north"]
    assert (site.name, site.timezone, site.text, site.folder) == ("elm-and-4th", "Europe/Berlin", GOOD, tmp_path)
    assert len(site.sha256) == 64
    assert site.sha256 != load_site(_written(tmp_path / "other.toml", GOOD + "\n# more"), RULES).sha256
    assert camera.lines["north_stop"].approach == "north"
    assert camera.approaches["north"].lanes["n1"][0] == (610.0, 420.0)
    assert camera.signals["seen"].lamp_px.red == (10, 10, 14, 14)
    assert camera.rules == (
        StopConfig(type="stop", name="north stop", line="north_stop", signal="lamp", lines=("plain",), grace_s=0.3),
    )


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_rules_that_ship_are_known_and_told():
    text = GOOD.split("[[camera")[0] + '[[camera.north.rule]]\ntype = "line_cuont"\nname = "a"\n'
    known = r"'line_cuont' is not a rule; did you mean line_count\? there are: .*red_light"
    with pytest.raises(SiteError, match=known):
        parse_site(text, "elm.toml")
    assert (
        parse_site(text.replace("cuont", "count") + 'line = "plain"', "elm.toml").cameras["north"].rules[0].line
        == "plain"
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"lien": {}}, ".lien is not known; did you mean line? allowed here: approach, ground, lens, line, model"),
        ({"model": None}, ".model is missing; it is a name of letters"),
        ({"model": "a/b"}, ".model = 'a/b' is not allowed; allowed: a name of letters, digits"),
        ({"model": 5}, ".model = 5 is not text"),
        ({"zone": []}, ".zone = [] is not a table"),
        ({"line__north_stop__approach": "nroth"}, "north_stop.approach = 'nroth' is not defined; did you mean north? "),
        ({"line__north_stop__approach": "nroth"}, "defined here: north"),
        ({"line__plain__ends_px": [[5, 5], [5, 5]]}, ".line.plain.ends_px = [[5, 5], [5, 5]] has zero length"),
        ({"line__plain__ends_px": [[5, 5]]}, "ends_px = [[5, 5]] is not two points [[x, y], [x, y]]"),
        ({"line__plain__ends_px": [[5, 5], [6, "7"]]}, "ends_px#2#2 = '7' is not a number"),
        ({"line__plain__ends_px": [[5, 5], [6, True]]}, "ends_px#2#2 = True is not a number"),
        ({"line__plain__ends_px": [[5, 5], [-1, 9]]}, "ends_px#2#1 = -1 is out of range; allowed: >= 0"),
        ({"line__plain__ends_px": [[5, 5], [float("nan"), 9]]}, "ends_px#2#1 = nan is not finite"),
        ({"line__plain__ends_px": [[5, 5], [float("inf"), 9]]}, "ends_px#2#1 = inf is not finite"),
        ({"line__plain__ends_px": [[5, 5], [10**400, 9]]}, "is out of range"),
        ({"line__north_stop__ends_px": [[755, 100], [700, 650]]}, "north_stop meets its flow at 0 deg; allowed: 15"),
        ({"line__north_stop__flow_px": [[1, 1], [2, 9]]}, ".line.north_stop has both approach and flow_px"),
        ({"line__a.b": {"ends_px": [[1, 1], [9, 9]]}}, '.line."a.b" is not a name; allowed: a name of letters'),
        ({"line__../x": {"ends_px": [[1, 1], [9, 9]]}}, '.line."../x" is not a name'),
        ({"line__a\nb": {"ends_px": [[1, 1], [9, 9]]}}, '.line."a\\nb" is not a name'),
        ({"line__" + "a" * 65: {"ends_px": [[1, 1], [9, 9]]}}, "is not a name"),
        ({"zone__box__points_px": [[1, 1], [2, 2]]}, "points_px = [[1, 1], [2, 2]] has 2 points; allowed: 3 or more"),
        ({"zone__box__points_px": [[1, 1], [9, 1], [1, 9], [9, 9]]}, "crosses itself: edge 2-3 crosses edge 4-1"),
        ({"zone__box__points_px": [[1, 1], [5, 5], [9, 9]]}, "has an area of 0 px^2"),
        ({"zone__box__points_px": [[1, 1], [5, 1], [5, 5], [1, 1]]}, "ends with its first point again"),
        ({"zone__box__points_px": [[1, 1], [5, 1], [5, 5], [5, 1]]}, "has the same point twice, 2 and 4"),
        ({"approach__north__flow_px": [[1, 1], [1, 1]]}, ".approach.north.flow_px = [[1, 1], [1, 1]] has zero length"),
        ({"approach__north__lanes__n1": [[1, 1], [5, 1]]}, ".approach.north.lanes.n1 = [[1, 1], [5, 1]] has 2 points"),
        ({"ground__image_px": [[1, 1], [9, 1], [9, 9]]}, ".ground.image_px has 3 entries; allowed: 4 to 50"),
        (
            {"ground__image_px": [[0, 0], [5, 5], [10, 10], [20, 20]]},
            "is degenerate: all points are collinear; allowed: 4 or more points, no three of four on one line",
        ),
        ({"ground__image_px": [[0, 0], [5, 5], [10, 10], [20, 3]]}, "is degenerate: points 1, 2, 3 are collinear"),
        (
            {"ground__plane_m": [[0, 0], [5, 0], [10, 0], [15, 0]]},
            ".ground.plane_m = [[0, 0], [5, 0], [10, 0], [15, 0]]",
        ),
        ({"ground__plane_m": [[0, 0], [14, 0], [14, 42], [14, 42]]}, "has the same point twice, 3 and 4"),
        (
            {"ground__plane_m": [[0, 42], [14, 42], [14, 0], [0, 0], [7, 7]]},
            ".ground has 4 points in image_px and 5 in plane_m",
        ),
        ({"ground__plane_m": [[0, 0], [14, 0], [14, 42], [0, 42]]}, "is a mirror image of image_px"),
        ({"ground__plane_m": [[14, 42], [0, 42], [14, 0], [0, 0]]}, "it would fit with points 1 and 2"),
        (
            {"signal__lamp__source": "lgo"},
            ".signal.lamp.source = 'lgo' is not known; did you mean log? allowed: hires, log, vision",
        ),
        ({"signal__lamp__path": None}, '.signal.lamp.path is missing; source = "log" needs it'),
        ({"signal__lamp__path": "a\0b"}, "is not a path"),
        ({"signal__lamp__phase": 2}, '.signal.lamp.phase does not go with source = "log"; leave it out'),
        ({"signal__lamp__source": "hires"}, '.signal.lamp.clock_sd_s is missing; source = "hires" needs it'),
        ({"signal__lamp__source": "hires"}, "lamp has no phase; allowed: one of phase, overlap, pedestrian"),
        ({"signal__lamp__clock_sd_s": -1}, ".signal.lamp.clock_sd_s = -1 is out of range; allowed: >= 0 and <= 60"),
        ({"signal__seen__path": "x.csv"}, '.signal.seen.path does not go with source = "vision"; leave it out'),
        ({"signal__seen__lamp_px": None}, '.signal.seen.lamp_px is missing; source = "vision" needs it'),
        ({"signal__seen__lamp_px__green": None}, ".lamp_px.green is missing; it is a box [x1, y1, x2, y2]"),
        (
            {"signal__seen__lamp_px__red": [5, 2, 5, 6]},
            "red = [5, 2, 5, 6] is empty; allowed: [x1, y1, x2, y2] with x2 >",
        ),
        ({"signal__seen__lamp_px__red": [5.5, 2, 9, 6]}, "red#1 = 5.5 is not a whole number"),
        ({"signal__seen__lamp_px__red": [10, 20, 14, 24]}, "is the box of red too"),
        ({"rule__#1__type": "lnie"}, ".rule#1.type = 'lnie' is not a rule; there are: stop"),
        ({"rule__#1__type": None}, ".rule#1.type is missing; allowed: stop"),
        ({"rule__#1__type": ["stop"]}, ".rule#1.type = ['stop'] is not a rule"),
        (
            {"rule__#1__line": "nroth_stop"},
            ".rule#1.line = 'nroth_stop' is not defined; did you mean north_stop? defined",
        ),
        (
            {"rule__#1__line": "plain"},
            "'plain' is a line without a flow; give it approach or flow_px; lines with a flow:",
        ),
        ({"rule__#1__lines": ["plain", "x"]}, ".rule#1.lines#2 = 'x' is not defined; defined here: north_stop, plain"),
        ({"rule__#1__lines": []}, ".rule#1.lines has 0 entries; allowed: 1 or more"),
        ({"rule__#1__zone": "bx"}, ".rule#1.zone = 'bx' is not defined; did you mean box? defined here: box"),
        ({"rule__#1__signal": "x"}, ".rule#1.signal = 'x' is not defined; defined here: lamp, seen"),
        ({"rule__#1__grace_s": -0.1}, ".rule#1.grace_s = -0.1 is out of range; allowed: >= 0 and <= 10"),
        ({"rule__#1__hits": 0}, ".rule#1.hits = 0 is out of range; allowed: > 0"),
        ({"rule__#1__hits": 1.5}, ".rule#1.hits = 1.5 is not a whole number"),
        ({"rule__#1__strict": 1}, ".rule#1.strict = 1 is not true or false"),
        ({"rule__#1__grace": 1}, ".rule#1.grace is not known; did you mean grace_s? allowed here: classes, grace_s"),
        (
            {"rule__#1__classes": ["cra"]},
            ".rule#1.classes#1 = 'cra' is not known; did you mean car? allowed: bicycle, bus",
        ),
        ({"rule__#1__name": "../x"}, ".rule#1.name = '../x' is not a name; allowed: 1 to 64 printable"),
        ({"rule__#1__name": "a\u202eb"}, "is not a name"),
        ({"rule": {}}, ".rule = {} is not a list; allowed: a list of tables"),
        ({"rule": [5]}, ".rule#1 = 5 is not a table"),
    ],
)
def test_each_mistake_is_told(change, expected):
    found = with_camera(**change)
    assert any(expected in line for line in found), found
    assert len(found) <= 2, found


@pytest.mark.parametrize("kind", ["name", "timezone", "camera"])
def test_the_file_itself_needs_its_keys(kind):
    table = tomllib.loads(GOOD)
    del table[kind]
    with pytest.raises(SiteError, match=rf"elm\.toml: {kind} is missing"):
        site_from_table(table, "elm.toml", "", "", RULES)


@pytest.mark.parametrize("zone", ["Europe/Berln", "", "Europe", "../etc/passwd", "/etc/localtime", "a\0b", "a" * 5000])
def test_an_unknown_time_zone_is_told(zone):
    table = tomllib.loads(GOOD) | {"timezone": zone}
    with pytest.raises(SiteError, match=r"timezone = .* is not known; .*allowed: an IANA time zone"):
        site_from_table(table, "elm.toml", "", "", RULES)


@pytest.mark.parametrize(
    "url", ["rtsp://10.0.0.1/a", "RTSPS://u:p@host:8554/a", "a b.mp4", "/x/y.mkv", "env:NORTH_URL", "file:///x"]
)
def test_addresses_that_are_opened(url):
    site = parse_site(GOOD.replace("clips/north.mp4", url), "elm.toml", RULES)
    assert site.cameras["north"].url == url


@pytest.mark.parametrize(
    "url",
    [
        *("exec:rm", "http://x/a", "concat:a|b", "subfile,,start,0,end,9,,:a", "pipe:0", "file://http://x", "rtsp://"),
        *(
            "rtsp:///a",
            "rtsp://h:99999/",
            "",
            "  ",
            "env:",
            "env:A B",
            "a\nb",
            "-i",
            "|x",
            "data:text/plain,x",
            "x" * 2001,
        ),
    ],
)
def test_addresses_that_are_refused(url):
    found = with_camera(url=url)
    assert len(found) == 1
    assert ".url = " in found[0]
    assert "allowed: rtsp://host/..., rtsps://host/..., the path of a video file, or env:NAME" in found[0]


def test_a_wrong_address_does_not_show_its_password():
    assert "secret" not in with_camera(url="http://user:secret@host/a")[0]
    assert redact("rtsp://user:s@cret@host/a") == "rtsp://***@host/a"


def test_stream_address(monkeypatch, tmp_path):
    site = parse_site(GOOD, tmp_path / "elm.toml", RULES)
    assert stream_address(site, "north") == str(tmp_path / "clips" / "north.mp4")
    site = parse_site(GOOD.replace("clips/north.mp4", "env:NORTH_URL"), "elm.toml", RULES)
    monkeypatch.delenv("NORTH_URL", raising=False)
    with pytest.raises(SiteError, match="'env:NORTH_URL' is an environment variable that is not set"):
        stream_address(site, "north")
    monkeypatch.setenv("NORTH_URL", "http://secret")
    with pytest.raises(SiteError, match="holds no address") as caught:
        stream_address(site, "north")
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("NORTH_URL", "rtsp://user:pw@host/1")
    assert stream_address(site, "north") == "rtsp://user:pw@host/1"


def test_missing_files_are_listed(tmp_path):
    site = parse_site(GOOD, tmp_path / "elm.toml", RULES)
    assert len(missing_files(site)) == 2
    (tmp_path / "signals.csv").touch()
    (found,) = missing_files(site)
    assert "camera.north.url = 'clips/north.mp4' is not there; looked for " in found


def test_two_rules_of_one_name_are_told():
    rule = tomllib.loads(GOOD)["camera"]["north"]["rule"][0]
    assert with_camera(rule=[rule, dict(rule)]) == [
        ".rule#2.name = 'north stop' is the name of rule #1 too; allowed: each name once"
    ]


def test_every_mistake_of_a_file_is_listed_at_once():
    text = GOOD.replace('"north"\n', '"nroth"\n').replace("Berlin", "Berln").replace("[900, 800]", "[700, 500]")
    text = (
        text.replace("[88, 996]", "[88, nan]")
        .replace("grace_s = 0.3", "grace_s = -3\nfoo = 1")
        .replace("clips/", "http://")
    )
    found = mistakes(text)
    places = [
        "timezone",
        "camera.north.url",
        "approach",
        "ground.image_px#4#2",
        "zone.box",
        "rule#1.grace_s",
        "rule#1.foo",
    ]
    assert len(found) == len(places)
    assert all(any(place in line for line in found) for place in places)
    assert (
        "camera.north.line.north_stop.approach = 'nroth' is not defined; did you mean north? defined here: north"
        in found
    )


def test_no_camera_is_told():
    assert mistakes('name = "a"\ntimezone = "UTC"\ncamera = {}') == ["camera has no entry; give a [camera.NAME] table"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name = ", "end of document: Invalid value"),
        ('name = "a"\nname = "b"', "Cannot overwrite a value"),
        ('name = "a"\ntimezone = UTC\n', "line 2, column 12: Invalid value"),
        ("[camera.north", "Expected"),
        ("a = " + "[" * 5000, "TOML"),
        ("a = " + "9" * 6000, "TOML"),
        ("a = \x00", "TOML"),
    ],
)
def test_broken_toml_is_told_with_its_line(text, expected):
    (found,) = mistakes(text)
    assert expected in found


def test_files_that_cannot_be_read(tmp_path):
    cases = {
        tmp_path / "none.toml": "is not there; give the path of a site file",
        tmp_path: "is a folder",
        tmp_path / "empty.toml": "is empty",
        tmp_path / "latin.toml": "line 2 is not UTF-8 (byte 0xfc)",
        tmp_path / "large.toml": "allowed: 1048576",
        tmp_path / "pipe": "is no regular file",
        tmp_path / "none.toml" / "x": "is not there",
        tmp_path / ("a" * 300): "cannot be read",
    }
    (tmp_path / "empty.toml").write_text(" \n")
    (tmp_path / "latin.toml").write_bytes(b'name = "a"\nx = "M\xfcnchen"')
    (tmp_path / "large.toml").write_bytes(b"#" * (1 << 20) + b"\n")
    os.mkfifo(tmp_path / "pipe")
    for path, expected in cases.items():
        with pytest.raises(SiteError) as caught:
            load_site(path, RULES)
        assert str(caught.value).startswith(f"{path}: ")
        assert expected in str(caught.value)
    with pytest.raises(SiteError, match="cannot be read"):
        load_site("a\0b", RULES)
