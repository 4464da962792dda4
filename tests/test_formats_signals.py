"""Measures of signals: by hand, and equal to what `atspm` makes of our hires export of the same run."""

from __future__ import annotations

import io
import itertools
import warnings
from datetime import datetime, timedelta

import numpy as np
import pytest
import traffic_runs

from kernels.records import SIGNAL_STATES
from vision.errors import StoreError
from vision.record.export import export
from vision.record.formats import FORMS, Options, Request
from vision.record.formats.options import SignalDetectors
from vision.record.formats.signals import bin_rows, cycle_rows, yellow_red_rows

LOCAL = datetime(2026, 5, 4, 8, 30)
HOUR_S = 3600.0
USE = SignalDetectors(arrivals=("advance",), presence=("queue", "queue2"), stop_line=("stop",))
OPTIONS = Options(
    device=7, signal_detectors={"main": USE}, phases={"main": 2}, channels={"a": 1, "b": 2, "c": 3, "d": 4}
)
ZONES = ("a", "b", "c", "d")
RULES = [("advance", "presence", {}), ("queue", "presence", {}), ("queue2", "presence", {}), ("stop", "presence", {})]


def run(folder, changes, stays, rules=RULES, counts=()):
    """A run of a signal's changes [(state, s)] and of the stays [(on, off)] of each detector."""
    head = traffic_runs.header(
        [*rules, ("signal", "signal_change", {}), ("line", "line_count", {})],
        zones=ZONES,
        signals=("main",),
        lines=("l",),
    )
    events = {k: traffic_runs.stays(k, spans) for k, spans in enumerate(stays)}
    before, told = "unknown", []
    for name, at_s in changes:
        codes = {"signal_state": SIGNAL_STATES.index(name), "prev_state": SIGNAL_STATES.index(before)}
        told.append({"time_s": at_s, "since_s": at_s, "signal": 0, **codes})
        before = name
    events[len(rules)] = told
    events[len(rules) + 1] = [{"time_s": at_s, "line": 0} for at_s in counts]
    return traffic_runs.write(folder / "run", head, events)


def request(records, **options) -> Request:
    chosen = np.arange(len(records.base))
    return Request(records, chosen, Options(device=7, **options) if options else OPTIONS)


CYCLE = [("red", 0.0), ("green", 10.0), ("amber", 30.0), ("red", 34.0), ("green", 70.0), ("amber", 90.0), ("red", 94.0)]


def test_a_cycle_by_hand(tmp_path):
    """20 s of green occupied for 18 s by two detectors in turn, all of the first 5 s of red."""
    stays = [[], [(5.0, 20.0)], [(18.0, 28.0), (33.0, 40.0)], []]
    first, second = cycle_rows(request(run(tmp_path, CYCLE, stays)))
    assert first == {
        "signal": "main", "begin": "2026-05-04 08:30:10.0", "green_s": 20.0, "amber_s": 4.0, "red_s": 36.0,
        "cycle_s": 60.0, "gor": pytest.approx(0.9), "ror5": 1.0, "split_failure": 1,
    }  # fmt: skip
    assert (second["red_s"], second["gor"], second["ror5"], second["split_failure"]) == (None, 0.0, 0.0, 0)


def test_arrivals_by_hand(tmp_path):
    """4 of 5 come on green; green is 40 of 900 s of the interval."""
    arrivals = [(t, t + 0.05) for t in (10.0, 29.9, 30.0, 71.0, 75.0)]
    rows = bin_rows(request(run(tmp_path, CYCLE, [arrivals, [], [], [(899.0, 899.5)]])))
    assert (rows[0]["arrivals"], rows[0]["arrivals_green"], rows[0]["pog"]) == (5, 4, 0.8)
    assert rows[0]["platoon_ratio"] == pytest.approx(0.8 / (40 / 900))


def test_crossings_of_a_line_are_arrivals_too(tmp_path):
    records = run(tmp_path, CYCLE, [[], [], [], [(899.0, 899.5)]], counts=(12.0, 50.0))
    use = SignalDetectors(arrivals=("line",), stop_line=("line",))
    asked = request(records, signal_detectors={"main": use})
    assert (bin_rows(asked)[0]["arrivals"], bin_rows(asked)[0]["pog"]) == (2, 0.5)
    assert [(row["offset_s"], row["state"], row["count"]) for row in yellow_red_rows(asked)] == [(16.0, "red", 1)]


def test_a_signal_that_is_lost_is_no_longer_green(tmp_path):
    changes = [("green", 10.0), ("dark", 20.0), ("green", 100.0), ("red", 110.0)]
    arrivals = [(15.0, 15.5), (25.0, 25.5)]
    asked = request(run(tmp_path, changes, [arrivals, [(5.0, 6.0)], [], [(899.0, 899.5)]]))
    assert bin_rows(asked)[0]["arrivals_green"] == 1
    assert [(row["cycle_s"], row["gor"]) for row in cycle_rows(asked)] == [(None, None), (None, None)]


def test_what_was_seen_for_less_than_half_is_withheld(tmp_path):
    (row,) = bin_rows(request(run(tmp_path, CYCLE, [[(10.0, 11.0)], [], [], []])))
    assert row["observed"] < 0.5
    assert row["arrivals"] is row["pog"] is row["split_failures"] is None


def test_what_the_options_name_wrongly_is_refused(tmp_path):
    records = run(tmp_path, CYCLE, [[], [], [], []])
    for use, said in (({"arrivals": ("x",)}, "'x' is no rule of type"), ({"presence": ("line",)}, "'line' counts")):
        with pytest.raises(StoreError, match=said):
            bin_rows(request(records, signal_detectors={"main": SignalDetectors(**use)}))


@pytest.mark.parametrize("form", ["signal-cycles", "signal-bins", "yellow-red"])
def test_the_tables_as_files(tmp_path, form):
    asked = request(run(tmp_path, CYCLE, [[(10.0, 11.0)], [], [], [(31.0, 31.5), (899.0, 899.5)]]))
    stream = io.BytesIO()
    n = FORMS[form].stream(asked, stream)
    lines = stream.getvalue().decode().splitlines()
    assert n == len(lines) - 1 >= 1
    assert lines[0].startswith("signal,begin,")
    assert lines[1].startswith("main,2026-05-04 08:30:")


# -- against atspm --------------------------------------------------------------------------------------------------


def random_hour(rng: np.random.Generator):
    """Cycles of random length and detectors that are on at random, an hour of them."""
    changes, t = [], 7.3
    while t < HOUR_S - 100:
        green, red = rng.uniform(12, 50), rng.uniform(15, 50)
        changes += [("green", t), ("amber", t + green), ("red", t + green + 4.0)]
        t += green + 4.0 + red
    stays = []
    for share in (0.3, 0.85, 0.5, 0.2):
        edges = np.cumsum(np.where(np.arange(600) % 2, 12 * share, 12 * (1 - share)) * rng.uniform(0.2, 2.0, 600)) + 1.0
        edges = edges[edges < HOUR_S - 5]
        stays.append(
            list(itertools.batched(edges[: len(edges) // 2 * 2].tolist(), 2))
            if hasattr(itertools, "batched")
            else list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=False))
        )
    stays[3].append((HOUR_S - 1.0, HOUR_S - 0.5))
    return changes, stays


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Return (our request, atspm's tables) of the same run."""
    atspm = pytest.importorskip("atspm", reason="atspm is not installed: pip install gantry-vision[formats]")
    import pandas

    folder = tmp_path_factory.mktemp("signals")
    records = run(folder, *random_hour(np.random.default_rng(5)))
    export(records, "hires-csv", folder / "detectors.csv", options=OPTIONS)
    signals = Options(device=7, phases={"main": 2}, source="signals")
    export(records, "hires-csv", folder / "signals.csv", options=signals)
    own = (folder / "detectors.csv").read_text() + (folder / "signals.csv").read_text().split("\n", 1)[1]
    (folder / "both.csv").write_text(own)
    functions = ((1, "Advance"), (2, "Presence"), (3, "Presence"), (4, "Yellow_Red"))
    config = pandas.DataFrame(
        [{"DeviceId": 7, "Phase": 2, "Parameter": one, "Function": name} for one, name in functions]
    )
    split = {"red_time": 5, "red_occupancy_threshold": 0.8, "green_occupancy_threshold": 0.8}
    wanted = {
        "has_data": {"no_data_min": 5, "min_data_points": 3},
        "arrival_on_green": {"latency_offset_seconds": 0},
        "platoon_ratio": {},
        "split_failures": {**split, "by_approach": True, "by_cycle": False},
        "yellow_red": {"latency_offset_seconds": 0, "min_red_offset": -8},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        processor = atspm.SignalDataProcessor(
            raw_data=str(folder / "both.csv"),
            detector_config=config,
            bin_size=15,
            verbose=0,
            aggregations=[{"name": name, "params": params} for name, params in wanted.items()],
        )
        processor.load()
        processor.aggregate()
        found = {name: processor.conn.query(f"SELECT * FROM {name}").df().to_dict("records") for name in wanted}
        processor.close()
    return request(records), found


def stamp(k: int) -> str:
    return (LOCAL + timedelta(minutes=15 * k)).isoformat(" ", "milliseconds")[:-2]


def test_bins_equal_those_of_atspm(both):
    ours, theirs = bin_rows(both[0]), {name: {} for name in both[1]}
    for name, rows in both[1].items():
        for row in rows:
            theirs[name][row["TimeStamp"].to_pydatetime().isoformat(" ", "milliseconds")[:-2]] = row
    assert [row["begin"] for row in ours] == [stamp(k) for k in range(4)]
    for row in ours:
        arrival, split = theirs["arrival_on_green"][row["begin"]], theirs["split_failures"][row["begin"]]
        platoon = theirs["platoon_ratio"][row["begin"]]
        assert row["arrivals"] == arrival["Total_Actuations"]
        assert row["pog"] == pytest.approx(arrival["Percent_AOG"], abs=1e-6)
        assert row["platoon_ratio"] == pytest.approx(platoon["Platoon_Ratio"], rel=1e-5)
        assert row["split_failures"] == split["Split_Failure"]
        assert row["gor"] == pytest.approx(split["Green_Occupancy"], abs=1e-5)
        assert row["ror5"] == pytest.approx(split["Red_Occupancy"], abs=1e-5)
    assert sum(row["split_failures"] for row in ours) >= 5


def test_yellow_and_red_actuations_equal_those_of_atspm(both):
    ours = {
        (row["begin"], row["offset_s"], {"green": 1, "amber": 8, "red": 10}[row["state"]]): row["count"]
        for row in yellow_red_rows(both[0])
    }
    theirs = {
        (
            row["TimeStamp"].to_pydatetime().isoformat(" ", "milliseconds")[:-2],
            row["Red_Offset"],
            row["Signal_State"],
        ): row["Count"]
        for row in both[1]["yellow_red"]
    }
    assert ours == theirs
    assert len(ours) > 50
