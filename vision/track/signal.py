"""Signal states for the rules: from a controller's log or from the pixels of the lamps in view."""

from __future__ import annotations

import csv
import io
import math
from bisect import bisect_right
from datetime import datetime
from pathlib import Path

import numpy as np

from kernels.lamps import LAMP_STATE, NO_STATE, signal_step
from kernels.records import (
    AMBER,
    DARK,
    FLASHING,
    GREEN,
    NO_REASON,
    RED,
    RED_AMBER,
    SIGNAL,
    SIGNAL_CLOCK,
    SIGNAL_STATES,
    UNKNOWN,
)  # fmt: skip
from kernels.signals import stops_traffic
from vision.errors import InputError
from vision.scene import Scene
from vision.site import Signal
from vision.track.hires_log import SignalLog, read_hires_log
from vision.track.signal_offset import OFFSET_BAD_S, OFFSET_MAX_S, Change, Offset, clock_offset

#: So many changes of the lamps are compared while a stream runs: two or three cycles.
LATEST = 12

#: Spellings of a state in a log; the letters are those of Eclipse SUMO (Documentation, "Traffic Lights").
SPELLINGS = {name: code for code, name in enumerate(SIGNAL_STATES)} | {
    "r": RED,
    "y": AMBER,
    "yellow": AMBER,
    "g": GREEN,
    "u": RED_AMBER,
    "o": FLASHING,
    "off": DARK,
}
_BYTES_MAX = 64 * 1024 * 1024


def read_signal_log(path: Path, signal: str) -> SignalLog:
    """Return the times (s on the stream's clock) and the states of one signal from a CSV log.

    Columns `time_s,state`, or `time_s,signal,state` for several signals in one file. Every bad row is listed.
    """
    try:
        if path.stat().st_size > _BYTES_MAX:
            raise InputError(f"{path}: the log is larger than {_BYTES_MAX} bytes; split it by day")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot read the signal log: {getattr(error, 'strerror', None) or error}") from None
    try:
        reader = csv.DictReader(io.StringIO(text))
        columns = reader.fieldnames or []
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise InputError(f"{path}: cannot read the signal log: {error}; allowed: CSV with one row a line") from None
    if "time_s" not in columns or "state" not in columns:
        raise InputError(
            f"{path}: columns are {', '.join(columns) or 'none'}; needed: time_s,state or time_s,signal,state"
        )
    times: list[float] = []
    states: list[int] = []
    mistakes: list[str] = []
    last_s = -math.inf
    for number, row in rows:
        if "signal" in columns and row["signal"] != signal:
            continue
        where = f"{path}:{number}"
        try:
            time_s = float(row["time_s"])
        except (TypeError, ValueError):
            time_s = math.nan
        code = SPELLINGS.get((row["state"] or "").strip().lower())
        if not math.isfinite(time_s):
            mistakes.append(f"{where}: time_s = {row['time_s']!r} is no finite number of seconds")
        elif time_s < last_s:
            mistakes.append(f"{where}: time_s = {time_s} lies before the row above ({last_s}); sort the log by time")
        last_s = time_s if math.isfinite(time_s) else last_s
        if code is None:
            mistakes.append(f"{where}: state = {row['state']!r} is not defined; allowed: {', '.join(SPELLINGS)}")
        # A poller repeats the state: only the change says since when.
        if math.isfinite(time_s) and code is not None and (not states or code != states[-1]):
            times.append(time_s)
            states.append(code)
    if mistakes:
        raise InputError("\n".join(mistakes))
    if not times:
        raise InputError(f"{path}: no row for signal {signal!r}")
    return SignalLog(times, states, last_s)


class Signals:
    """The signals of one camera: SIGNAL[n] as rules read it, brought up to each frame's time."""

    def __init__(self, scene: Scene, start: datetime | None = None) -> None:
        """Read the logs; `start` is when stream second 0 was, an InputError where a log needs it and it is not told."""
        n = len(scene.signal_names)
        self.rows = np.zeros(n, SIGNAL)
        self._memory = np.zeros(n, LAMP_STATE)
        self.forget()
        self.rows["sd_s"] = scene.signal_sd_s
        self._memory["clock_sd_s"] = self._memory["change_sd_s"] = scene.signal_sd_s
        self._memory["latency_sd_s"] = [source.latency_sd_s for source in scene.signal_sources]
        self._memory["present"] = scene.lamp_boxes[:, :, 0] >= 0
        self._torn = False
        self._logs = [
            None if path is None else _read(path, name, source, scene.timezone, start)
            for path, name, source in zip(scene.signal_logs, scene.signal_names, scene.signal_sources, strict=True)
        ]
        #: Signals that have lamps beside their log: what the lamps showed.
        self._beside = self.rows.copy()
        self._seen: dict[int, list[Change]] = {
            k: [] for k, log in enumerate(self._logs) if log is not None and self._memory["present"][k].any()
        }
        #: Logs that are too far off the picture: since when (s) they are not gone by.
        self._off: dict[int, float] = {}
        for row, log in zip(self.rows, self._logs, strict=True):
            if log is not None:
                row["sd_s"] = math.hypot(row["sd_s"], log.sd_s)
        self._sd_s = self.rows["sd_s"].copy()

    def forget(self) -> None:
        """Know nothing of the states until they are seen again; how bright the lamps are is still known."""
        for name in ("state", "prev_state"):
            self.rows[name] = UNKNOWN
        for name in ("since_s", "prev_since_s", "red_since_s"):
            self.rows[name] = -math.inf
        self._memory["shown"], self._memory["pending"], self._memory["blinks"] = UNKNOWN, NO_STATE, 0

    def tear(self) -> None:
        """The stream began anew on a clock of its own: logs no longer tell of it, lamps must be seen again."""
        self.forget()
        for row, log in zip(self.rows, self._logs, strict=True):
            row["reason"] = SIGNAL_CLOCK if log is not None else NO_REASON
        self._torn = True

    def offsets(self) -> dict[int, Offset | None]:
        """Return how far the log of each signal that has lamps too is off the picture, None where it cannot be told."""
        found: dict[int, Offset | None] = {}
        for index, changes in self._seen.items():
            log = self._logs[index]
            found[index] = None if log is None else _compare(log, changes)
        return found

    def step(self, time_s: float, lamps: np.ndarray) -> np.ndarray:
        """Return SIGNAL[n] at `time_s`; `lamps` is LAMP[n, 3] of this frame."""
        for index, changes in self._seen.items():
            row = self._beside[index]
            if not self._torn and signal_step(row, self._memory[index], lamps[index], time_s):
                changes.append((float(row["since_s"]), int(row["state"])))
                self._compare_clocks(index, time_s)
        for index, log in enumerate(self._logs):
            if log is None:
                signal_step(self.rows[index], self._memory[index], lamps[index], time_s)
            elif index in self._off and not self._torn:
                self._withhold(index)
            elif not self._torn:
                _from_log(self.rows[index], log, time_s)
        return self.rows

    def _compare_clocks(self, index: int, time_s: float) -> None:
        """Hold a log against its lamps' latest changes: what it is off is part of its error, too much ends trust."""
        log, seen = self._logs[index], self._seen[index][1:][-LATEST:]
        if log is None or not seen:
            return
        low, high = (bisect_right(log.times, at) for at in (seen[0][0] - OFFSET_MAX_S, seen[-1][0] + OFFSET_MAX_S))
        found = clock_offset(list(zip(log.times[low:high], log.states[low:high], strict=True)), seen)
        if found is None:
            return
        self.rows[index]["sd_s"] = math.hypot(float(self._sd_s[index]), found.offset_s)
        if abs(found.offset_s) > OFFSET_BAD_S:
            self._off.setdefault(index, time_s)
        elif self._off.pop(index, None) is not None:
            self.rows[index]["reason"] = NO_REASON

    def _withhold(self, index: int) -> None:
        """Tell nothing of a signal whose log is not in time with the picture, nor of what it told before."""
        row = self.rows[index]
        row["state"] = row["prev_state"] = UNKNOWN
        row["since_s"], row["reason"] = self._off[index], SIGNAL_CLOCK
        row["prev_since_s"] = row["red_since_s"] = -math.inf


def _compare(log: SignalLog, seen: list[Change]) -> Offset | None:
    # The first change is when the lamps were seen first.
    return clock_offset(list(zip(log.times, log.states, strict=True)), seen[1:])


def _read(path: Path, name: str, source: Signal, timezone: str, start: datetime | None) -> SignalLog:
    """Read a signal's log, moved to the stream's clock; from `stale_s` after its end on the state is unknown."""
    if source.source == "hires":
        log = read_hires_log(path, name, source, timezone, start)
    else:
        log = read_signal_log(path, name)
    times = [time_s + source.offset_s for time_s in log.times]
    end_s = log.end_s + source.offset_s + source.stale_s
    return SignalLog([*times, end_s], [*log.states, UNKNOWN], end_s, log.sd_s)


def _from_log(row: np.ndarray, log: SignalLog, time_s: float) -> None:
    """Set a SIGNAL row from a log: the last entry at or before `time_s`, the one before it, the onset of its red."""
    times, states = log.times, log.states
    now = bisect_right(times, time_s) - 1
    for at, state, since in ((now, "state", "since_s"), (now - 1, "prev_state", "prev_since_s")):
        row[state] = states[at] if at >= 0 else UNKNOWN
        row[since] = times[at] if at >= 0 else -math.inf
    red = now if stops_traffic(row["state"]) else now - 1
    while red > 0 and stops_traffic(states[red - 1]):
        red -= 1
    row["red_since_s"] = times[red] if red >= 0 else -math.inf
