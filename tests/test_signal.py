"""Signal states: read from a controller's log, and from the pixels of the lamps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path

import naive_signals as naive
import numpy as np
import pytest
from traffic import small_scene, state

from kernels import lamps as kernel
from kernels.records import LAMP, SIGNAL, SIGNAL_STATES
from kernels.signals import state_at
from vision.errors import InputError
from vision.track.signal import Signals, read_signal_log

NO_LAMPS = np.zeros((1, 3), LAMP)

# -- a controller's log ---------------------------------------------------------------------------------------------


def log(folder: Path, text: str, **options) -> Path:
    path = folder / "signals.csv"
    path.write_text(text, **{"encoding": "utf-8", **options})
    return path


def names(states: list[int]) -> list[str]:
    return [SIGNAL_STATES[code] for code in states]


def test_a_log_with_the_letters_of_sumo(tmp_path):
    times, states, *_ = read_signal_log(
        log(tmp_path, "time_s,state\n0.04,r\n10,u\n11,G\n42,y\n45,r\n50,o\n60,off\n"), "any"
    )
    assert times == [0.04, 10.0, 11.0, 42.0, 45.0, 50.0, 60.0]
    assert names(states) == ["red", "red_amber", "green", "amber", "red", "flashing", "dark"]


def test_every_state_by_its_own_name(tmp_path):
    rows = "".join(f"{k},{name.upper() if k % 2 else f' {name} '}\n" for k, name in enumerate(SIGNAL_STATES))
    assert read_signal_log(log(tmp_path, "time_s,state\n" + rows), "x")[1] == list(range(len(SIGNAL_STATES)))


def test_one_of_several_signals(tmp_path):
    path = log(tmp_path, "time_s,signal,state\n0,a,red\n1,b,green\n2,a,green\n3,b,red\n")
    assert read_signal_log(path, "a")[:2] == ([0.0, 2.0], [state("red"), state("green")])
    assert read_signal_log(path, "b")[:2] == ([1.0, 3.0], [state("green"), state("red")])
    with pytest.raises(InputError, match="no row for signal 'c'"):
        read_signal_log(path, "c")


def test_a_state_that_is_told_again_began_when_it_was_told_first(tmp_path):
    path = log(tmp_path, "time_s,state\n0,red\n1,red\n2,red\n3,green\n4,green\n")
    assert read_signal_log(path, "x")[:2] == ([0.0, 3.0], [state("red"), state("green")])


def test_a_spreadsheet_s_mark_at_the_start_and_its_line_ends(tmp_path):
    path = log(tmp_path, "time_s,state\n0,red\n5,green\n", encoding="utf-8-sig", newline="\r\n")
    assert read_signal_log(path, "x")[0] == [0.0, 5.0]


def test_every_mistake_is_listed_with_its_line(tmp_path):
    path = log(tmp_path, "time_s,state\n0,red\nnan,red\n5,purple\n9,green\n\n7,red\nlater,\n8,green\n")
    with pytest.raises(InputError) as caught:
        read_signal_log(path, "x")
    assert [line.split(" ", 1)[0] for line in str(caught.value).split("\n")] == [
        f"{path}:{number}:" for number in (3, 4, 7, 8, 8)
    ]
    for part in ("'nan' is no finite", "'purple' is not defined; allowed: unknown, red", "7.0 lies before", "(9.0)"):
        assert part in str(caught.value)


def test_a_step_back_in_time_is_found_also_behind_a_repeated_state(tmp_path):
    with pytest.raises(InputError, match=r":4: time_s = 15.0 lies before the row above \(20.0\)"):
        read_signal_log(log(tmp_path, "time_s,state\n10,red\n20,red\n15,green\n"), "x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "columns are none; needed: time_s,state"),
        ("time,state\n0,red\n", "columns are time, state; needed"),
        ("time_s\n0\n", "columns are time_s; needed"),
        ("time_s,state\n", "no row for signal 'x'"),
        ("time_s,state\n0\n", ":2: state = None is not defined"),
        ('time_s,state\n0,"' + "r" * 200_000 + "\n", "cannot read the signal log: field larger than"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path, text, said):
    with pytest.raises(InputError) as caught:
        read_signal_log(log(tmp_path, text), "x")
    assert said in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    for name in ("missing.csv", "binary.csv", "."):
        with pytest.raises(InputError, match="cannot read the signal log"):
            read_signal_log(tmp_path / name, "x")


def test_the_row_at_each_moment(tmp_path):
    path = log(tmp_path, "time_s,state\n10,r\n20,u\n21,g\n50,y\n53,r\n")
    signals = Signals(small_scene({}, {"lamp": path}))
    for time_s, now, since_s, prev in (
        (9.9, "unknown", -math.inf, "unknown"),
        (10.0, "red", 10.0, "unknown"),
        (20.5, "red_amber", 20.0, "red"),
        (21.0, "green", 21.0, "red_amber"),
        (60.0, "red", 53.0, "amber"),
    ):
        row = signals.step(time_s, NO_LAMPS)[0]
        assert (row["state"], row["since_s"], row["prev_state"]) == (state(now), since_s, state(prev))


def test_a_moment_ago(tmp_path):
    """The state at a crossing that settled a little later, and since when traffic had to stop."""
    signals = Signals(small_scene({}, {"lamp": log(tmp_path, "time_s,state\n10,r\n20,u\n21,g\n50,y\n53,r\n")}))
    for now_s, asked_s, name, since_s in (
        (53.1, 53.05, "red", 53.0),
        (53.1, 52.9, "amber", 50.0),
        (53.1, 49.0, "unknown", 49.0),
        (20.5, 20.2, "red_amber", 10.0),
        (20.1, 19.9, "red", 10.0),
        (21.1, 20.9, "red_amber", 10.0),
        (9.0, 8.0, "unknown", -math.inf),
    ):
        row = signals.step(now_s, NO_LAMPS)[0]
        assert state_at(row, asked_s) == (state(name), since_s)


# -- lamps ----------------------------------------------------------------------------------------------------------

#: What a lit and a dark lamp look like by day: Y, U, V.
LIT = {"red": (190.0, 110.0, 200.0), "amber": (200.0, 70.0, 160.0), "green": (180.0, 120.0, 80.0)}
DARK = (70.0, 128.0, 130.0)
SHOWN = {"red": ("red",), "red_amber": ("red", "amber"), "amber": ("amber",), "green": ("green",), "dark": ()}
CYCLE = (("green", 8.0), ("amber", 3.0), ("red", 12.0), ("red_amber", 1.0))


def shown_at(phases: Iterable[tuple[str, float]]) -> tuple[Callable[[float], str], list[tuple[float, str]]]:
    """Return what shows at a time, and the changes (time, state), for phases repeated for ever."""
    phases = list(phases)
    length = sum(duration for _, duration in phases)

    def at(time_s: float) -> str:
        left = time_s % length
        for name, duration in phases:
            if left < duration:
                return name
            left -= duration
        return phases[-1][0]

    changes, start = [], 0.0
    while start < 200.0:
        for name, duration in phases:
            changes.append((start, name))
            start += duration
    return at, changes


def pixels(
    name: str, rng: np.random.Generator, noise: float = 3.0, light: float = 0.0, gain: float = 1.0
) -> np.ndarray:
    """LAMP[3] of a signal that shows a state: sensor noise, and daylight that lifts or dims the whole picture."""
    row = np.zeros(3, LAMP)
    for k, lamp in enumerate(("red", "amber", "green")):
        y, u, v = LIT[lamp] if lamp in SHOWN[name] else DARK
        clean = np.array([y * gain + light, 128 + (u - 128) * gain, 128 + (v - 128) * gain])
        row["y"][k], row["u"][k], row["v"][k] = np.clip(clean + rng.normal(0, noise, 3), 0, 255)
    return row


def watch(frames: Iterable[tuple[float, np.ndarray]], **more) -> list[tuple[float, np.void]]:
    """Return (time at which it was told, SIGNAL row) of each change."""
    signals = Signals(small_scene({}, {"lamp": None}, **more))
    told, before = [], None
    for time_s, lamps in frames:
        row = signals.step(time_s, lamps[None])[0].copy()
        if before is None or row["state"] != before["state"]:
            told.append((time_s, row))
        before = row
    return told


def test_every_state_like_its_twin():
    """Random lamps in any state for any time, with gaps and blinking: the row after each frame is the twin's."""
    rng = np.random.default_rng(1)
    seen = set()
    for present in ((1, 1, 1), (1, 0, 1), (1, 1, 1)):
        signal, memory = np.zeros(1, SIGNAL)[0], np.zeros(1, kernel.LAMP_STATE)[0]
        signal["since_s"] = signal["prev_since_s"] = signal["red_since_s"] = -math.inf
        memory["pending"], memory["present"][:] = kernel.NO_STATE, present
        twin = naive.Lamps([bool(k) for k in present])
        time_s, name = 0.0, "dark"
        for step in range(1200):
            time_s += float(rng.choice([0.04, 0.1, 0.3, 3.0], p=[0.7, 0.2, 0.095, 0.005])) if step else 0.0
            if rng.random() < (0.3 if step // 200 % 2 else 0.05):
                name = str(rng.choice(list(SHOWN))) if rng.random() < 0.5 else {"dark": "red"}.get(name, "dark")
            lamps = pixels(name, rng, noise=8.0, light=30 * math.sin(step / 100))
            kernel.signal_step(signal, memory, lamps, time_s)
            naive.signal_step(twin, lamps, time_s)
            expected = naive.told(twin)
            assert SIGNAL_STATES[signal["state"]] == expected["state"]
            assert SIGNAL_STATES[signal["prev_state"]] == expected["prev_state"]
            for field in ("since_s", "prev_since_s", "red_since_s", "sd_s"):
                assert signal[field] == pytest.approx(expected[field], abs=1e-5), field
            for k, level in twin.dark.items():
                assert (memory["dark"][k], memory["lit"][k]) == pytest.approx((level, twin.lit[k]), rel=1e-5)
            seen.add(expected["state"])
    assert seen >= {"unknown", "red", "red_amber", "amber", "green", "dark", "flashing"}


def test_parts_of_the_lamp_kernel_like_their_twins():
    rng = np.random.default_rng(2)
    lit = set()
    for _ in range(300):
        lamps = np.zeros(3, LAMP)
        for plane in ("y", "u", "v"):
            lamps[plane] = rng.uniform(0, 255, 3)
        for k in range(3):
            assert kernel.lamp_level(lamps[k], k) == pytest.approx(naive.lamp_level(lamps[k], k), rel=1e-6)
        memory = np.zeros(1, kernel.LAMP_STATE)[0]
        memory["present"][:], memory["known"] = rng.permutation([1, 1, rng.integers(0, 2)]), 1
        memory["dark"][:], memory["lit"][:] = rng.uniform(0, 150, 3), rng.uniform(150, 350, 3)
        used = np.flatnonzero(memory["present"])
        twin = naive.Lamps([bool(k) for k in memory["present"]])
        twin.dark = {k: float(memory["dark"][k]) for k in used}
        twin.lit = {k: float(memory["lit"][k]) for k in used}
        bits = kernel.lamps_lit(memory, lamps, 0.5)
        names_lit = (
            None if bits == kernel.NO_GROUND else {("red", "amber", "green")[k] for k in range(3) if bits >> k & 1}
        )
        assert names_lit == naive.lamps_lit(twin, lamps, 0.5)
        assert SIGNAL_STATES[kernel.lamp_state(bits)] == naive.lamp_state(names_lit)
        lit.add(bits)
    assert len(lit) >= 6


def test_a_change_like_its_twin():
    rng = np.random.default_rng(3)
    signal, memory = np.zeros(1, SIGNAL)[0], np.zeros(1, kernel.LAMP_STATE)[0]
    signal["since_s"] = signal["prev_since_s"] = signal["red_since_s"] = -math.inf
    memory["clock_sd_s"] = memory["change_sd_s"] = 0.05
    twin = naive.Lamps([True] * 3)
    for time_s in range(1, 60):
        name, sd_s = str(rng.choice(SIGNAL_STATES)), float(np.float32(rng.choice([0.0, 0.1, 0.3])))
        kernel.signal_change(signal, memory, state(name), float(time_s), sd_s)
        naive.signal_change(twin, name, float(time_s), sd_s)
        expected = naive.told(twin, 0.05)
        assert SIGNAL_STATES[signal["state"]] == expected.pop("state")
        assert SIGNAL_STATES[signal["prev_state"]] == expected.pop("prev_state")
        for field, value in expected.items():
            assert signal[field] == pytest.approx(value, abs=1e-6), (time_s, field)


@pytest.mark.parametrize("rate_hz", [30, 25, 15, 10])
def test_a_cycle_is_read_within_a_frame(rate_hz):
    """Four cycles of noisy lamps: the states in their order, each within a frame of the truth and told 0.1 s later."""
    rng = np.random.default_rng(4)
    at, changes = shown_at(CYCLE)
    offset = 0.013
    times = np.arange(0, 96, 1 / rate_hz) + offset
    told = watch((t, pixels(at(t), rng)) for t in times)[1:]
    expected = [change for change in changes if change[0] < 95.5]
    assert [SIGNAL_STATES[row["state"]] for _, row in told] == [name for _, name in expected]
    errors = [row["since_s"] - true_s for (_, row), (true_s, _) in zip(told[1:], expected[1:], strict=True)]
    assert np.abs(errors).max() <= 0.5 / rate_hz + 1e-9
    assert max(at_s - true_s for (at_s, _), (true_s, _) in zip(told[1:], expected[1:], strict=True)) <= max(
        0.1, 2 / rate_hz
    )
    assert told[2][1]["sd_s"] == pytest.approx(1 / rate_hz / math.sqrt(12), rel=1e-3)
    reds = [row["red_since_s"] for _, row in told if row["state"] == state("red_amber")]
    assert reds == pytest.approx([true_s for true_s, name in expected if name == "red"][: len(reds)], abs=1 / rate_hz)


def test_its_deviation_is_that_of_the_times_error():
    """Frames at any phase against the change: the error's deviation is the one that is told, within 15 % (n = 200)."""
    rng = np.random.default_rng(5)
    errors = []
    for _ in range(200):
        start = rng.uniform(0, 0.2)
        told = watch((t, pixels("green" if t < 1.0 else "amber", rng)) for t in np.arange(start, 1.8, 0.2))
        errors.append(told[-1][1]["since_s"] - 1.0)
    assert told[-1][1]["sd_s"] == pytest.approx(0.2 / math.sqrt(12), rel=1e-3)
    assert np.std(errors) == pytest.approx(0.2 / math.sqrt(12), rel=0.15)


@pytest.mark.parametrize(
    ("name", "light", "gain"),
    [
        ("dusk and dawn", lambda t: 40 * math.sin(t / 100), lambda t: 1.0),
        ("the exposure drops", lambda t: 0.0, lambda t: 1.0 if t < 200 else 0.62),
        ("the exposure rises", lambda t: 0.0, lambda t: 0.62 if t < 200 else 1.0),
    ],
)
def test_daylight_changes(name, light, gain):
    """From 60 s after any change of light on, every state of the cycle is read again as it is."""
    rng = np.random.default_rng(6)
    at, changes = shown_at(CYCLE)
    frames = ((t, pixels(at(t), rng, light=light(t), gain=gain(t))) for t in np.arange(0, 600, 0.1))
    told = [(row["since_s"], SIGNAL_STATES[row["state"]]) for _, row in watch(frames) if row["since_s"] > 270]
    expected = [
        (24 * k + start, what) for k in range(25) for start, what in changes[:4] if 270 < 24 * k + start < 599.5
    ]
    assert [what for _, what in told] == [what for _, what in expected]
    assert [since for since, _ in told] == pytest.approx([since for since, _ in expected], abs=0.1)


def test_lamps_that_were_never_lit_are_not_known_to_be_dark():
    """A box beside the lamp, a lamp that the sun washes out: they look like a signal that is off."""
    rng = np.random.default_rng(7)
    told = watch((t, pixels("dark", rng)) for t in np.arange(0, 20, 0.04))
    assert [SIGNAL_STATES[row["state"]] for _, row in told] == ["unknown"]


def test_lamps_that_fail_and_come_back():
    rng = np.random.default_rng(8)
    at, _ = shown_at([("green", 10.0), ("dark", 5.0), ("red", 10.0)])
    told = watch((t, pixels(at(t), rng)) for t in np.arange(0, 25, 0.04))
    assert [SIGNAL_STATES[row["state"]] for _, row in told] == ["unknown", "green", "dark", "red"]


@pytest.mark.parametrize("name", ["amber", "red", "green"])
@pytest.mark.parametrize("rate_hz", [25, 10])
def test_a_blinking_lamp_is_flashing(name, rate_hz):
    """Half a second on, half a second off: told as flashing before its second flash is over, then never otherwise."""
    rng = np.random.default_rng(9)
    at, _ = shown_at([(name, 0.5), ("dark", 0.5)])
    told = watch((t, pixels(at(t - 5) if t > 5 else "green", rng)) for t in np.arange(0, 25, 1 / rate_hz))
    states = [SIGNAL_STATES[row["state"]] for _, row in told]
    assert states[-1] == "flashing"
    assert states.count("flashing") == 1
    assert told[-1][0] < 6.6 + 2 / rate_hz


def test_after_flashing_the_cycle_is_told_again():
    rng = np.random.default_rng(10)
    flash, _ = shown_at([("amber", 0.5), ("dark", 0.5)])
    told = watch((t, pixels(flash(t) if t < 6 else "red", rng)) for t in np.arange(0, 12, 0.04))
    assert SIGNAL_STATES[told[-1][1]["state"]] == "red"
    assert told[-1][1]["since_s"] == pytest.approx(6.0, abs=0.04)


def test_one_frame_is_no_state():
    """A reflection for a frame, a lamp that a power cycle darkens for one."""
    rng = np.random.default_rng(11)
    odd = {40: "dark", 80: "green", 120: "red_amber"}
    told = watch((k / 25, pixels(odd.get(k, "red"), rng)) for k in range(200))
    assert [SIGNAL_STATES[row["state"]] for _, row in told] == ["unknown", "red"]
    assert told[-1][1]["sd_s"] == 0.0  # nor does it widen the deviation


def test_after_a_gap_the_state_is_unknown_until_it_is_seen_again():
    """Red before and after 30 s without a frame: it may have been green meanwhile, so this red is uncertain."""
    rng = np.random.default_rng(12)
    times = [*np.arange(0, 5, 0.04), *np.arange(35, 40, 0.04)]
    told = watch((t, pixels("red", rng)) for t in times)
    assert [SIGNAL_STATES[row["state"]] for _, row in told] == ["unknown", "red", "unknown", "red"]
    assert told[2][1]["since_s"] == pytest.approx(4.96)
    assert told[3][1]["red_since_s"] == pytest.approx(20.0, abs=0.1)
    assert told[3][1]["sd_s"] == pytest.approx(30 / math.sqrt(12), rel=0.01)


def test_one_late_frame_is_forgotten_with_the_next_changes():
    """A change across a pause of 1.8 s is uncertain; the changes after it are not."""
    rng = np.random.default_rng(13)
    at, _ = shown_at(CYCLE)
    times = [t for t in np.arange(0, 48, 0.04) if not 7.1 < t < 8.9]
    deviations = [float(row["sd_s"]) for _, row in watch((t, pixels(at(t), rng)) for t in times)]
    assert max(deviations) == pytest.approx(1.84 / math.sqrt(12), rel=0.05)
    assert deviations[-1] == pytest.approx(0.04 / math.sqrt(12), rel=0.01)


def test_a_signal_without_an_amber_lamp():
    rng = np.random.default_rng(14)
    boxes = np.full((1, 3, 4), 10, np.int32)
    boxes[0, 1] = -1
    at, _ = shown_at([("green", 6.0), ("red", 6.0)])
    told = watch(((t, pixels(at(t), rng)) for t in np.arange(0, 24, 0.04)), lamp_boxes=boxes)
    assert [SIGNAL_STATES[row["state"]] for _, row in told] == ["unknown", "green", "red", "green", "red"]


def test_the_clock_s_deviation_is_the_least():
    rng = np.random.default_rng(15)
    frames = ((t, pixels("green" if t < 2 else "amber", rng)) for t in np.arange(0, 4, 0.04))
    assert watch(frames, signal_sd_s=np.array([0.5], np.float32))[-1][1]["sd_s"] == 0.5
