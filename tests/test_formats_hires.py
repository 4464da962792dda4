"""Detector events: what a controller's log promises, and files as the decoders of UDOT's ATSPM read them."""

from __future__ import annotations

import csv
import io
import struct
import xml.etree.ElementTree as ET
import zlib
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import traffic_runs
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.records import REASONS, SIGNAL_STATES
from vision.errors import StoreError
from vision.record.export import export
from vision.record.formats import Options, Request, read_options
from vision.record.formats.hires import alternating, hires_events
from vision.record.reader import Records

Event = tuple[datetime, int, int]
ZONES = ("far", "near", "crossing")
RULES: list[traffic_runs.Rule] = [
    ("loops", "presence", {"zone": "far"}),
    ("queue", "presence", {"zone": "near"}),
    ("people", "crosswalk", {"zone": "crossing"}),
    ("coverage", "coverage", {}),
]


def made(folder: Path, events: dict[int, list[dict[str, Any]]], **more: Any) -> Records:
    return traffic_runs.write(folder, traffic_runs.header(RULES, zones=ZONES, **more), events)


def codes(records: Records, options: Options | None = None, positions: np.ndarray | None = None) -> list[Any]:
    """Return each event as (seconds since the start, to a tenth; code; channel)."""
    request = Request(records, np.arange(len(records)) if positions is None else positions, options or Options())
    events = hires_events(request)
    return [(round(t / 10 - request.start_us / 1e6, 1), c, p) for t, c, p in events.tolist()]


def people(*walks: tuple[float, float]) -> list[dict[str, Any]]:
    """Return crossings that begin and end at these stream seconds."""
    return [{"time_s": end, "cross_s": end - begin, "zone": 2} for begin, end in walks]


def observed(*intervals: tuple[float, str]) -> list[dict[str, Any]]:
    """Return the coverage of minutes of which so many seconds were observed, and why not more."""
    return [
        {"time_s": 60.0 * (k + 1), "interval_s": 60, "observed_s": seconds, "reason": REASONS.index(reason)}
        for k, (seconds, reason) in enumerate(intervals)
    ]


# -- What the log says ------------------------------------------------------------------------------------------------


def test_vehicles_and_people(tmp_path: Path) -> None:
    events = {0: traffic_runs.stays(0, [(1.05, 2.999)]), 1: traffic_runs.stays(1, [(1.0, 1.5)]), 2: people((3.0, 4.0))}
    assert codes(made(tmp_path, events)) == [
        (1.0, 82, 1),
        (1.0, 82, 2),
        (1.5, 81, 2),
        (2.9, 81, 1),
        (3.0, 90, 3),
        (4.0, 89, 3),
    ]


def test_a_detector_left_on_is_switched_off_at_the_end(tmp_path: Path) -> None:
    left = traffic_runs.stays(0, [(1.0, 2.0), (5.0, 9.0)])[:-1]
    found = codes(made(tmp_path, {0: left, 1: traffic_runs.stays(1, [(6.0, 7.3)])}))
    assert [event for event in found if event[2] == 1] == [(1.0, 82, 1), (2.0, 81, 1), (5.0, 82, 1), (7.3, 81, 1)]


def test_people_together_are_one_presence(tmp_path: Path) -> None:
    found = codes(made(tmp_path, {2: people((1.0, 3.0), (2.0, 5.0), (5.0, 6.0), (8.0, 9.0))}))
    assert found == [(1.0, 90, 3), (6.0, 89, 3), (8.0, 90, 3), (9.0, 89, 3)]


def test_a_presence_of_persons_is_a_pedestrian_detector(tmp_path: Path) -> None:
    rules: list[traffic_runs.Rule] = [("kerb", "presence", {"zone": "far", "classes": ["person"]})]
    head = traffic_runs.header(rules, zones=ZONES)
    records = traffic_runs.write(tmp_path, head, {0: traffic_runs.stays(0, [(1.0, 2.0)])})
    assert codes(records) == [(1.0, 90, 1), (2.0, 89, 1)]


def test_an_hour_in_the_middle_begins_with_on(tmp_path: Path) -> None:
    records = made(tmp_path, {0: traffic_runs.stays(0, [(1.0, 5.0), (7.0, 8.0)])})
    assert codes(records, positions=np.flatnonzero(records.base["time_s"] > 2.0)) == [(7.0, 82, 1), (8.0, 81, 1)]


def test_faults_by_what_was_not_observed(tmp_path: Path) -> None:
    minutes = observed(
        (60, "none"), (30, "stream_gap"), (0, "stream_gap"), (10, "camera_moved"), (59, "camera_moved"), (60, "none")
    )
    found = codes(made(tmp_path, {0: traffic_runs.stays(0, [(1.0, 2.0)]), 3: minutes}))
    assert [event for event in found if event[2] == 1] == [
        (1.0, 82, 1),
        (2.0, 81, 1),
        (60.0, 85, 1),
        (180.0, 84, 1),
        (240.0, 83, 1),
    ]
    assert [event for event in found if event[2] == 2] == [(60.0, 85, 2), (180.0, 84, 2), (240.0, 83, 2)]
    assert [event for event in found if event[2] == 3] == [(60.0, 91, 3), (240.0, 92, 3)]


def test_channels_by_zone_rule_and_place(tmp_path: Path) -> None:
    records = made(tmp_path, {k: traffic_runs.stays(k, [(1.0, 2.0)]) for k in (0, 1)})
    assert {event[2] for event in codes(records)} == {1, 2}
    assert {event[2] for event in codes(records, Options(channels={"far": 9, "queue": 10}))} == {9, 10}
    with pytest.raises(StoreError, match="two detectors would share channel 2"):
        codes(records, Options(channels={"far": 2}))


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=30))
def test_on_and_off_alternate_whatever_comes(steps: list[tuple[int, bool]]) -> None:
    steps.sort(key=lambda step: step[0])
    ticks, states = alternating([tick for tick, _ in steps], [int(on) for _, on in steps], 45)
    assert states == [k % 2 == 0 for k in range(len(states))]
    assert not states or not states[-1]
    rows = [(tick, 82 if on else 81) for tick, on in zip(ticks, states, strict=True)]
    assert rows == sorted(set(rows))


@settings(max_examples=30)
@given(st.data())
def test_quantised_stays_keep_their_number_and_length(data: st.DataObject) -> None:
    gaps = data.draw(st.lists(st.tuples(st.floats(0.11, 20), st.floats(0.11, 20)), min_size=1, max_size=20))
    now, stays = 0.0, []
    for gap, length in gaps:
        stays.append((now + gap, now + gap + length))
        now += gap + length
    ticks, states = alternating(
        [int(t * 10) for stay in stays for t in stay], [on for _ in stays for on in (1, 0)], int(now * 10)
    )
    assert sum(states) == len(stays)
    for (begin, end), on, off in zip(stays, ticks[::2], ticks[1::2], strict=True):
        assert abs((off - on) / 10 - (end - begin)) <= 0.1 + 1e-9


def test_a_tenth_that_floats_cannot_hold_is_not_floored_to_the_one_before(tmp_path: Path) -> None:
    stays = [(k / 10, (k + 1) / 10) for k in range(3, 3000, 7)]
    found = codes(made(tmp_path, {0: traffic_runs.stays(0, stays)}))
    assert [event[0] for event in found] == [round(t, 1) for stay in stays for t in stay]


def test_signals_stand_alone_under_a_device_of_their_own(tmp_path: Path) -> None:
    rules = [*RULES, ("lamp", "signal_change", {})]
    head = traffic_runs.header(rules, zones=ZONES, signals=("main", "side"))
    states = [("unknown", "red"), ("red", "red_amber"), ("red_amber", "green"), ("green", "amber"), ("amber", "red")]
    changes = [
        {"time_s": 10.0 * k, "prev_state": SIGNAL_STATES.index(before), "signal_state": SIGNAL_STATES.index(state)}
        for k, (before, state) in enumerate(states)
    ]
    records = traffic_runs.write(tmp_path, head, {0: traffic_runs.stays(0, [(1.0, 2.0)]), 4: changes})
    assert not {event[1] for event in codes(records)} & {1, 7, 8, 9, 10}
    found = codes(records, Options(source="signals", device=70, phases={"main": 4}))
    assert found == [(0.0, 10, 4), (20.0, 1, 4), (30.0, 7, 4), (30.0, 8, 4), (40.0, 9, 4), (40.0, 10, 4)]
    with pytest.raises(StoreError, match="a device of their own"):
        codes(records, Options(source="signals"))


def test_a_run_without_loops_says_what_it_has(tmp_path: Path) -> None:
    head = traffic_runs.header([("trips", "movement", {})])
    records = traffic_runs.write(tmp_path, head, {})
    with pytest.raises(StoreError, match="rules of type presence or crosswalk; this run has: movement"):
        codes(records)


def test_a_run_without_a_date_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="replay the video with --start-utc"):
        codes(made(tmp_path, {0: traffic_runs.stays(0, [(1.0, 2.0)])}, start_utc=None))


# -- The files --------------------------------------------------------------------------------------------------------


def busy(folder: Path, **more: Any) -> Records:
    """Return 50 minutes of traffic over three zones, with faults."""
    rng = np.random.default_rng(4)
    events: dict[int, list[dict[str, Any]]] = {}
    for zone in (0, 1):
        times = np.cumsum(rng.uniform(0.05, 9.0, 600)).reshape(-1, 2)
        events[zone] = traffic_runs.stays(zone, [(a, b) for a, b in times.tolist()])
    begin = rng.uniform(0, 2900, 40)
    events[2] = people(*zip(begin.tolist(), (begin + rng.uniform(2, 20, 40)).tolist(), strict=True))
    events[3] = observed(*[(60, "none")] * 7, (5, "camera_blind"), *[(60, "none")] * 8)
    return made(folder, events, **more)


def expected_events(records: Records, options: Options) -> list[Event]:
    """Return the events with their wall-clock times."""
    request = Request(records, np.arange(len(records)), options)
    zone = request.zone
    return [
        (datetime.fromtimestamp(tenths // 10, zone).replace(tzinfo=None) + timedelta(seconds=tenths % 10 / 10), c, p)
        for tenths, c, p in hires_events(request).tolist()
    ]


def decode_dat(data: bytes) -> list[Event]:
    """Decode as UDOT's AscToIndianaDecoder does: the start in 20 characters, seven lines, then 4 bytes an event."""
    text = data[:20].decode("ascii").rstrip(", ")  # .NET passes over commas after a date
    form = "%m-%d-%Y %H:%M:%S.%f" if "." in text else "%m-%d-%Y %H:%M:%S"
    start = datetime.strptime(text, form)
    stream = io.BytesIO(data)
    stream.seek(20)
    lines = 0
    while lines < 7:
        mark = stream.read(1)
        assert mark, "the file ends in its front"
        lines += mark == b"\n"
    found = []
    while len(row := stream.read(4)) == 4:
        code, parameter, offset = row[0], row[1], struct.unpack("<h", row[:1:-1])[0]
        found.append((start + timedelta(seconds=offset / 10), code, parameter))
    assert not row
    return found


def decode_xml(data: bytes) -> list[Event]:
    """Decode as UDOT's MaxtimeToIndianaDecoder does: every element called Event, wherever it stands."""
    return [
        (
            datetime.strptime(event.attrib["TimeStamp"], "%m-%d-%Y %H:%M:%S.%f"),
            int(event.attrib["EventTypeID"]),
            int(event.attrib["Parameter"]),
        )
        for event in ET.fromstring(data).iter("Event")
    ]


def decode_csv(data: bytes) -> list[Event]:
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    assert all(tuple(row) == ("TimeStamp", "DeviceId", "EventId", "Parameter") for row in rows)
    return [(datetime.fromisoformat(row["TimeStamp"]), int(row["EventId"]), int(row["Parameter"])) for row in rows]


STARTS = (
    "2026-05-04T06:37:12.340Z",
    "2026-10-17T22:59:59.960Z",  # two digits of month and day: the front has no room for a tenth
    "2026-11-03T09:00:00Z",
    "2027-02-28T21:50:00Z",  # over midnight
    "2026-03-29T00:40:00Z",  # the wall clock is set forward
)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("clock", ["local", "utc"])
def test_every_file_says_the_same(tmp_path: Path, start: str, clock: Any) -> None:
    options = Options(device=6, clock=clock)
    records = busy(tmp_path / "run", start_utc=start)
    expected = expected_events(records, options)
    assert len(expected) > 1000
    n = {form: export(records, f"hires-{form}", tmp_path / form, options=options) for form in ("csv", "xml", "parquet")}
    n |= {form: export(records, f"hires-{form}", tmp_path / form, options=options) for form in ("dat", "datz")}
    assert set(n.values()) == {len(expected)}
    assert decode_csv((tmp_path / "csv").read_bytes()) == expected
    assert decode_xml((tmp_path / "xml").read_bytes()) == expected
    table = pq.read_table(tmp_path / "parquet").to_pydict()
    found = list(zip(table["TimeStamp"], table["EventId"], table["Parameter"], strict=True))
    assert found == expected
    assert set(table["DeviceId"]) == {6}
    files = sorted((tmp_path / "dat").iterdir())
    assert [event for file in files for event in decode_dat(file.read_bytes())] == expected
    for file, packed in zip(files, sorted((tmp_path / "datz").iterdir()), strict=True):
        raw = packed.read_bytes()
        assert zlib.decompressobj(-15).decompress(raw[2:]) == file.read_bytes()  # as the decoder does: skip two bytes
        assert packed.name == f"{file.stem}.datZ"


@pytest.mark.parametrize("start", STARTS)
def test_a_log_is_sorted_and_alternates(tmp_path: Path, start: str) -> None:
    request = Request(records := busy(tmp_path, start_utc=start), np.arange(len(records)))
    events = hires_events(request).tolist()
    assert events == sorted(set(events))
    by_channel: dict[Any, list[int]] = defaultdict(list)
    for _, code, channel in events:
        if code in (81, 82, 89, 90):
            by_channel[code > 82, channel].append(code)
    assert len(by_channel) == 3
    for found in by_channel.values():
        assert found[0] in (82, 90)
        assert found[-1] in (81, 89)
        assert all(before != after for before, after in pairwise(found))


def test_dat_files_are_quarters_of_an_hour_with_a_front_that_fits(tmp_path: Path) -> None:
    export(busy(tmp_path / "run", start_utc=STARTS[1]), "hires-dat", tmp_path / "dat", options=Options(device=6))
    names = sorted(path.name for path in (tmp_path / "dat").iterdir())
    assert names[:2] == ["ECON_6_2026_10_18_0100.dat", "ECON_6_2026_10_18_0115.dat"]
    front = (tmp_path / "dat" / names[0]).read_bytes().split(b"\n")[:7]
    assert [line.split(b",", 1)[0] for line in front] == [b"10-18-2026 01:00:00"] * 7
    assert [line.split(b",", 1)[1] for line in front] == [
        b"Version #:,3",
        b"ECON_6_2026_10_18_0100.dat",
        b"Intersection #:,6",
        b"IP Address:,0.0.0.0",
        b"MAC Address:,00:00:00:00:00:00",
        b"Controller Data Log Beginning:,10/18/2026,01:00:00.0",
        b"Phases in use:,",
    ]


def test_the_hour_that_a_wall_clock_shows_twice(tmp_path: Path) -> None:
    records = busy(tmp_path / "run", start_utc="2026-10-25T00:05:00Z")
    export(records, "hires-dat", tmp_path / "dat")
    before = len(list((tmp_path / "dat").iterdir()))
    records = traffic_runs.write(
        tmp_path / "long",
        traffic_runs.header(RULES, zones=ZONES, start_utc="2026-10-25T00:05:00Z"),
        {0: traffic_runs.stays(0, [(60.0 * k, 60.0 * k + 5) for k in range(110)])},
    )
    assert export(records, "hires-dat", tmp_path / "more") == 220
    names = [path.name for path in (tmp_path / "more").iterdir()]
    assert before >= 3
    assert sum("_again" in name for name in names) == 4


def test_a_site_name_that_means_harm_is_no_path_and_no_formula(tmp_path: Path) -> None:
    for k, name in enumerate(("=1+1", "../../etc", "-a", "", '"><Event')):
        records = busy(tmp_path / str(k), site=name)
        device = Request(records, np.arange(0)).device
        assert str(device)[:1] not in "=+-@"
        assert not set(str(device)) & set('./"<>')
        export(records, "hires-dat", tmp_path / f"{k}.out")
        assert all(path.parent == tmp_path / f"{k}.out" for path in (tmp_path / f"{k}.out").iterdir())


def test_a_folder_is_not_overwritten(tmp_path: Path) -> None:
    records = busy(tmp_path / "run")
    export(records, "hires-dat", tmp_path / "dat")
    with pytest.raises(StoreError, match="exists"):
        export(records, "hires-dat", tmp_path / "dat")
    export(records, "hires-dat", tmp_path / "dat", force=True)
    with pytest.raises(StoreError, match="name a folder with --out"):
        export(records, "hires-dat", "-")


# -- Options ----------------------------------------------------------------------------------------------------------


def test_options_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "export.toml"
    path.write_text('device = 7\nclock = "utc"\n[channels]\nfar = 5\n[movements]\n"a -> b" = "NBL"\n')
    assert read_options(path) == Options(device=7, clock="utc", channels={"far": 5}, movements={"a -> b": "NBL"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("devise = 7", "did you mean device"),
        ("[channels]\nfar = 256", "channels.far = 256"),
        ('device = "=1"', "device = '=1'"),
        ('clock = "mars"', "clock = 'mars'"),
        ('[movements]\n"a->b" = "NXL"', "'NXL'"),
        ("device = ", "is not TOML"),
    ],
)
def test_wrong_options_are_said(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "export.toml"
    path.write_text(text)
    with pytest.raises(StoreError) as caught:
        read_options(path)
    assert said in str(caught.value)
    with pytest.raises(StoreError, match="cannot be read"):
        read_options(tmp_path / "none.toml")
