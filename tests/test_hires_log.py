"""Signal states from a controller's event log: every code, form and clock, and what is refused."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import traffic_runs
from traffic import small_scene, state

from kernels.records import LAMP, SIGNAL_CLOCK, SIGNAL_STATES
from vision.errors import InputError, SiteError
from vision.record.export import export
from vision.record.formats import Options
from vision.site import Signal, parse_site
from vision.track.hires_log import FLOORED_SD_S, read_hires_log
from vision.track.signal import Signals

START = datetime(2026, 5, 4, 6, 30, tzinfo=UTC)  # 08:30 in Berlin
BERLIN = "Europe/Berlin"


def rows(*events: tuple[str, int, int], device: str = "7", day: str = "2026-05-04") -> str:
    lines = [f"{day} {stamp},{device},{code},{parameter}" for stamp, code, parameter in events]
    return "\n".join(["TimeStamp,DeviceId,EventId,Parameter", *lines]) + "\n"


def read(path: Path, **signal):
    signal = {"phase": 2, **signal} if not {"overlap", "pedestrian", "pedestrian_overlap"} & set(signal) else signal
    return read_hires_log(path, "lamp", Signal(source="hires", path="x", **signal), BERLIN, START)


def told(path: Path, **signal) -> list[tuple[float, str]]:
    log = read(path, **signal)
    return [(round(t, 3), SIGNAL_STATES[code]) for t, code in zip(log.times, log.states, strict=True)]


def csv_of(folder: Path, text: str) -> Path:
    path = folder / "log.csv"
    path.write_text(text)
    return path


def test_a_phase_through_its_cycle(tmp_path):
    text = rows(
        ("08:30:01.5", 1, 2), ("08:30:02.0", 1, 6), ("08:30:21.5", 7, 2), ("08:30:21.5", 8, 2), ("08:30:25.5", 9, 2),
        ("08:30:25.5", 10, 2), ("08:30:27.5", 11, 2), ("08:30:27.5", 12, 2), ("08:31:01.5", 1, 2),
        ("08:31:05.0", 82, 2),
    )  # fmt: skip
    expected = [(1.5, "green"), (21.5, "amber"), (25.5, "red"), (61.5, "green")]
    assert told(csv_of(tmp_path, text)) == expected
    assert read(csv_of(tmp_path, text)).end_s == 65.0


@pytest.mark.parametrize(
    ("signal", "events", "expected"),
    [
        ({"overlap": 1}, [(61, 1), (62, 1), (63, 1), (64, 1), (65, 1), (66, 1)], "green amber red dark"),
        ({"pedestrian": 4}, [(21, 4), (22, 4), (23, 4), (24, 4), (21, 2)], "green amber red dark"),
        ({"pedestrian_overlap": 3}, [(67, 3), (68, 3), (69, 3), (70, 3), (21, 3)], "green amber red dark"),
        ({"phase": 2}, [(8, 2), (9, 2), (1, 2)], "amber red green"),  # no red clearance served
        ({"phase": 2}, [(1, 2), (7, 2), (12, 2)], "green unknown red"),  # no yellow
        ({"phase": 2}, [(1, 2), (173, 5), (173, 2), (10, 2)], "green flashing unknown red"),
    ],
)
def test_every_code(tmp_path, signal, events, expected):
    text = rows(*((f"08:30:0{k}.0", code, number) for k, (code, number) in enumerate(events)))
    assert [name for _, name in told(csv_of(tmp_path, text), **signal)] == expected.split()


def test_of_the_same_tenth_the_codes_say_the_order(tmp_path):
    text = rows(("08:30:21.5", 8, 2), ("08:30:21.5", 7, 2), ("08:30:01.5", 1, 2))
    assert told(csv_of(tmp_path, text)) == [(1.5, "green"), (21.5, "amber")]


def test_a_run_without_a_date_is_refused(tmp_path):
    path = csv_of(tmp_path, rows(("08:30:01.5", 1, 2)))
    signal = Signal(source="hires", path="x", phase=2)
    with pytest.raises(InputError, match="wall-clock time; say when the stream began"):
        read_hires_log(path, "lamp", signal, BERLIN, None)
    with pytest.raises(InputError, match="wall-clock time"):
        Signals(hires_scene(path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("TimeStamp,EventId\n", "columns are TimeStamp, EventId; needed"),
        (rows(("8 o'clock", 1, 2)), ":2: time stamp .* is not known"),
        (rows(("08:30:01.5", "x", 2)), ":2: event 'x' '2' is no pair"),
        (rows(("08:30:01.5", 1, 3), ("08:30:02.5", 8, 5)), "no event of phase 2; in the log: 3, 5"),
        (rows(("08:30:01.5", 82, 2)), "no event of phase 2; in the log: none"),
        (rows(("08:30:01.5", 1, 2)) + rows(("08:30:01.5", 1, 2), device="8").split("\n", 1)[1], "in the log: 7, 8"),
    ],
)
def test_what_is_refused(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read(csv_of(tmp_path, text))


def test_one_of_two_devices(tmp_path):
    text = rows(("08:30:01.5", 1, 2)) + rows(("08:30:03.5", 1, 2), device="8").split("\n", 1)[1]
    assert told(csv_of(tmp_path, text), device=8) == [(3.5, "green")]


def test_a_clock_in_utc(tmp_path):
    assert told(csv_of(tmp_path, rows(("06:30:01.5", 1, 2))), clock="utc") == [(1.5, "green")]


def test_the_hour_that_comes_twice(tmp_path):
    """25 October 2026: 02:59:59 summer time is followed by 02:00:00."""
    text = rows(
        ("02:59:59.0", 1, 2), ("02:00:01.0", 8, 2), ("02:59:58.0", 10, 2), ("03:00:01.0", 1, 2), day="2026-10-25"
    )
    start = datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC)
    log = read_hires_log(csv_of(tmp_path, text), "lamp", Signal(source="hires", path="x", phase=2), BERLIN, start)
    assert log.times == [0.0, 2.0, 3599.0, 3602.0]


def test_a_signal_is_of_one_phase_or_overlap():
    table = (
        'name = "x"\ntimezone = "UTC"\n[camera.a]\nurl = "v.mp4"\nmodel = "m"\n[camera.a.signal.s]\nsource = "hires"\n'
    )
    with pytest.raises(SiteError, match="has phase and overlap; allowed: one of phase, overlap, pedestrian"):
        parse_site(table + 'path = "a.csv"\nclock_sd_s = 0.1\nphase = 2\noverlap = 1\n', "x.toml", {})
    assert (
        parse_site(table + 'path = "a"\nclock_sd_s = 0.1\noverlap = 1\n', "x.toml", {})
        .cameras["a"]
        .signals["s"]
        .overlap
    )


# -- our own export is read back ------------------------------------------------------------------------------------

CHANGES = [("green", 1.07), ("amber", 21.0), ("red", 24.02), ("green", 61.37), ("amber", 80.0), ("red", 1000.0)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hires")
    head = traffic_runs.header([("s", "signal_change", {"signal": "main"})], signals=("main",))
    before, events = "unknown", []
    for name, since_s in CHANGES:
        codes = {"signal_state": SIGNAL_STATES.index(name), "prev_state": SIGNAL_STATES.index(before)}
        events.append({"time_s": since_s, "since_s": since_s, "signal": 0, **codes})
        before = name
    records = traffic_runs.write(folder / "run", head, {0: events})
    options = Options(source="signals", device=70, phases={"main": 2})
    for form, name in (("csv", "a.csv"), ("parquet", "a.parquet"), ("xml", "a.xml"), ("dat", "dat"), ("datz", "datz")):
        export(records, f"hires-{form}", folder / name, options=options)
    return folder


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.xml", "dat", "datz"])
def test_our_own_export_is_read_back(exported, name):
    expected = [(int(since_s * 10) / 10, what) for what, since_s in CHANGES]
    assert told(exported / name) == expected
    assert read(exported / name).sd_s == FLOORED_SD_S


def test_files_that_are_none_are_refused(tmp_path):
    for name, data in (
        ("a.parquet", b"PAR?"),
        ("a.dat", b"no front"),
        ("a.datz", b"no zlib"),
        ("b.datz", zlib.compress(b"x" * 99)[:-4]),
        ("a.csv", b"\xff\xfe\x00"),
        ("a.xml", b'<EventResponses Device="7"></EventResponses>'),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=name):
            read(tmp_path / name)
    with pytest.raises(InputError, match=r"none\.csv"):
        read(tmp_path / "none.csv")


# -- as rules see it ------------------------------------------------------------------------------------------------

NO_LAMPS = np.zeros((1, 3), LAMP)


def hires_scene(path: Path, **signal):
    source = Signal(source="hires", path=str(path), phase=2, **signal)
    sd_s = np.array([source.clock_sd_s], np.float32)
    return small_scene({}, {"lamp": path}, signal_sources=(source,), signal_sd_s=sd_s, timezone=BERLIN)


@pytest.fixture
def cycle(tmp_path) -> Path:
    return csv_of(
        tmp_path, rows(("08:30:01.0", 1, 2), ("08:30:21.0", 8, 2), ("08:30:25.0", 10, 2), ("08:30:40.0", 82, 1))
    )


def test_the_row_at_each_moment_and_its_deviation(cycle):
    signals = Signals(hires_scene(cycle, clock_sd_s=0.2), START)
    for time_s, name, since_s in (
        (0.5, "unknown", -np.inf),
        (1.0, "green", 1.0),
        (22.0, "amber", 21.0),
        (30.0, "red", 25.0),
    ):
        row = signals.step(time_s, NO_LAMPS)[0]
        assert (row["state"], row["since_s"]) == (state(name), since_s)
    assert row["red_since_s"] == 25.0
    assert row["sd_s"] == pytest.approx((0.2**2 + 0.1**2 / 3) ** 0.5)


def test_a_clock_that_is_off(cycle):
    signals = Signals(hires_scene(cycle, offset_s=-0.7), START)
    assert signals.step(30.0, NO_LAMPS)[0]["red_since_s"] == pytest.approx(24.3)


def test_a_log_s_last_state_does_not_hold_for_ever(cycle):
    """The log ends at 40 s, with an event of a detector; a minute later nothing is known of the signal."""
    signals = Signals(hires_scene(cycle, stale_s=60.0), START)
    assert signals.step(99.9, NO_LAMPS)[0]["state"] == state("red")
    row = signals.step(100.0, NO_LAMPS)[0]
    assert (row["state"], row["since_s"], row["prev_state"]) == (state("unknown"), 100.0, state("red"))


def test_in_a_new_epoch_a_log_tells_nothing(cycle):
    signals = Signals(hires_scene(cycle), START)
    assert signals.step(30.0, NO_LAMPS)[0]["state"] == state("red")
    signals.tear()
    row = signals.step(31.0, NO_LAMPS)[0]
    assert (row["state"], row["reason"]) == (state("unknown"), SIGNAL_CLOCK)
    assert signals.step(35.0, NO_LAMPS)[0]["state"] == state("unknown")


def test_a_stream_that_began_later(cycle):
    signals = Signals(hires_scene(cycle), START + timedelta(seconds=10))
    row = signals.step(0.0, NO_LAMPS)[0]
    assert (row["state"], row["since_s"]) == (state("green"), -9.0)
