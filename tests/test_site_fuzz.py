"""Whatever stands in a site file, it is read or refused with a list of mistakes; nothing else is raised."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from test_site import GOOD, RULES

from vision.errors import SiteError
from vision.site import Site, parse_site, site_from_table


def read_or_refuse(read: Callable[[], Site]) -> None:
    mistakes: list[str] = []
    try:
        assert read().cameras
    except SiteError as error:
        mistakes = error.mistakes
        if not mistakes:
            raise AssertionError("refused without a mistake") from error
    assert all(line.startswith("elm.toml: ") and line.isprintable() for line in mistakes)
    assert len(set(mistakes)) == len(mistakes)


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["north", "plain", "log", "stop", "red", "lamp", "env:A", "rtsp://[", "box"]),
    st.dates(),
)
WORDS = (
    *("name", "timezone", "camera", "north", "url", "model", "line", "ends_px", "rule", "type", "zone", "points_px"),
    *("ground", "image_px", "plane_m", "signal", "lamp_px", "approach", "flow_px", "lanes", "lines", "classes"),
)
KEYS = st.sampled_from(WORDS) | st.text(max_size=5)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25
)


@given(table=st.dictionaries(KEYS, TREES, max_size=6))
@settings(max_examples=150, deadline=None)
def test_any_table_is_read_or_refused(table):
    before = copy.deepcopy(table)
    read_or_refuse(lambda: site_from_table(table, "elm.toml", "", "", RULES))
    assert repr(table) == repr(before)


@given(data=st.data())
@settings(max_examples=250, deadline=None)
def test_a_good_table_with_any_part_replaced_is_read_or_refused(data):
    table = tomllib.loads(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        place = table
        while True:
            key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            inner = place[key]
            if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
                break
            place = inner
        place[key] = data.draw(TREES)
    before = copy.deepcopy(table)
    read_or_refuse(lambda: site_from_table(table, "elm.toml", "", "", RULES))
    assert repr(table) == repr(before)


@given(noise=st.text(max_size=6), at=st.integers(0, len(GOOD)), cut=st.integers(0, 40))
@settings(max_examples=200, deadline=None)
def test_a_good_text_with_any_damage_is_read_or_refused(noise, at, cut):
    read_or_refuse(lambda: parse_site(GOOD[:at] + noise + GOOD[at + cut :], "elm.toml", RULES))
