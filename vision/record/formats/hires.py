"""Events of a run as high-resolution detector events of a signal controller (Indiana codes, TPF-5(377), 2019).

| code    | meaning                                  | made from                                                  |
|---------|------------------------------------------|------------------------------------------------------------|
| 82, 81  | vehicle detector on, off                 | `presence`, unless persons are all that it feels           |
| 90, 89  | pedestrian detector on, off              | `presence` of persons; `crosswalk`: somebody is on it      |
| 83      | vehicle detector restored                | the first interval of `coverage` that was observed again   |
| 84      | vehicle detector failed: other           | an interval in which the camera had moved or was blinded   |
| 85      | vehicle detector failed: watchdog        | an interval in which frames were missing                   |
| 88      | vehicle detector failed: excessive change | an interval in which the scene had changed                |
| 91, 92  | pedestrian detector failed, restored     | as for vehicles                                            |
| 1, 7-10 | green, its end, yellow, its end, red     | `signal_change`; only alone, under a device of its own     |

On each channel on and off alternate; what is still on at the end is switched off. Times are floored to 0.1 s. A pulse
shorter than a tenth lasts one tenth, as its off would come before its on in a file sorted by code.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from vision.errors import StoreError
from vision.record.formats.request import Request, RuleEvents

#: An event as controllers log it: tenths of a second since 1970 UTC, the code, the channel or phase.
HIRES = np.dtype([("tenths", "<i8"), ("code", "<u1"), ("parameter", "<u1")])
TENTH_US = 100_000

VEHICLE_OFF, VEHICLE_ON, VEHICLE_RESTORED = 81, 82, 83
FAULT_OTHER, FAULT_WATCHDOG, FAULT_CHANGE = 84, 85, 88
PERSON_OFF, PERSON_ON, PERSON_FAILED, PERSON_RESTORED = 89, 90, 91, 92
GREEN, GREEN_END, YELLOW, YELLOW_END, RED = 1, 7, 8, 9, 10

#: Why an interval was not observed -> the fault that a controller knows.
FAULTS = {
    "stream_gap": FAULT_WATCHDOG,
    "camera_frozen": FAULT_WATCHDOG,
    "camera_moved": FAULT_OTHER,
    "camera_blind": FAULT_OTHER,
    "scene_changed": FAULT_CHANGE,
    "scene_change": FAULT_CHANGE,
}
CHANNELS_MAX = 255


class Detector(NamedTuple):
    """A channel, whether it detects pedestrians, and when it switched: stream seconds and 1 (on) or 0 (off)."""

    channel: int
    person: bool
    time_s: np.ndarray
    on: np.ndarray


def hires_events(request: Request) -> np.ndarray:
    """Return HIRES[n] of the source that the options ask for, sorted by time and code."""
    if request.options.source == "signals":
        return _sorted([signal_events(request)])
    request.need("a detector log", "presence", "crosswalk")
    detectors = [*_vehicle_detectors(request), *_person_detectors(request)]
    _check_channels(request, detectors)
    end = int(request.instants_us(np.array([request.end_s]))[0] // TENTH_US) if len(request.positions) else 0
    found = [_switching(request, detector, end) for detector in detectors]
    return _sorted([*found, _faults(request, detectors)])


def signal_events(request: Request) -> np.ndarray:
    """Return HIRES[n] of the signals that the camera saw or read, for a device of their own."""
    if request.options.device is None:
        raise StoreError(
            f"{request.records.path}: signal states seen by a camera are no controller log; "
            "give them a device of their own in the options (device = ...)"
        )
    request.need("a signal log", "signal_change")
    phases = request.options.phases
    found: list[tuple[int, int, int]] = []
    for part in request.of_type("signal_change"):
        names, states = request.names(part.entry, "signal"), request.names(part.entry, "signal_state")
        ticks = (request.instants_us(part.rows["time_s"]) // TENTH_US).tolist()
        of, now, before = (part.rows[name].tolist() for name in ("signal", "signal_state", "prev_state"))
        for tick, signal, state, previous in zip(ticks, of, now, before, strict=True):
            phase = phases.get(names[signal], signal + 1)
            found += [(tick, code, phase) for code in _signal_codes(states[previous], states[state])]
    return np.array(found, HIRES)


def _signal_codes(previous: str, state: str) -> tuple[int, ...]:
    """Return the codes of a change; none for a state that no code stands for."""
    ended = {"green": (GREEN_END,), "amber": (YELLOW_END,)}.get(previous, ())
    match state:
        case "green":
            return (GREEN,)
        case "amber":
            return (*(ended if previous == "green" else ()), YELLOW)
        case "red":
            return (*ended, RED)
    return ()


def _vehicle_detectors(request: Request) -> Iterable[Detector]:
    for part in request.of_type("presence"):
        for zone, rows in _by_zone(request, part):
            person = list(request.config(part.rule).get("classes", ())) == ["person"]
            yield Detector(_channel(request, part, zone), person, rows["time_s"], rows["on"])


def _person_detectors(request: Request) -> Iterable[Detector]:
    for part in request.of_type("crosswalk"):
        for zone, rows in _by_zone(request, part):
            # The event's time is the end of the crossing; where its length is unknown, it is an instant.
            end_s = rows["time_s"]
            begin_s = end_s - np.nan_to_num(rows["cross_s"].astype(np.float64), nan=0.0)
            yield Detector(_channel(request, part, zone), True, *_together(begin_s, end_s))


def _together(begin_s: np.ndarray, end_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return when at least one of several stays began and when none was left any more."""
    times = np.concatenate([begin_s, end_s])
    steps = np.repeat([1, -1], len(begin_s))
    order = np.lexsort((-steps, times))  # who comes as another goes does not leave it empty
    times, inside = times[order], np.cumsum(steps[order])
    before = np.concatenate([[0], inside[:-1]])
    switched = (inside > 0) != (before > 0)
    return times[switched], (inside[switched] > 0).astype(np.uint8)


def _by_zone(request: Request, part: RuleEvents) -> list[tuple[int, np.ndarray]]:
    """Return the events of each zone that the rule watches, also of one in which nothing was seen."""
    names = request.names(part.entry, "zone")
    watched = request.config(part.rule).get("zone")
    zones = {names.index(watched)} if watched in names else set()
    zones |= set(part.rows["zone"].tolist())
    return [(zone, part.rows[part.rows["zone"] == zone]) for zone in sorted(zones)]


def _channel(request: Request, part: RuleEvents, zone: int) -> int:
    """Return the channel of a rule's zone: the options', by the rule's or the zone's name, else the zone's place."""
    tables = request.records.header.tables
    name = request.names(part.entry, "zone")[zone]
    given = request.options.channels
    place = zone + 1 + (len(tables.get("zone", ())) if part.entry.names["zone"] == "lane" else 0)
    channel = given.get(part.entry.name, given.get(name, place))
    if channel > CHANNELS_MAX:
        raise StoreError(
            f"{request.records.path}: zone {name!r} would be channel {channel}; allowed: 1 to {CHANNELS_MAX}: "
            "give it one in the options ([channels])"
        )
    return channel


def _check_channels(request: Request, detectors: list[Detector]) -> None:
    """Refuse two detectors of one kind on one channel: their events would mix."""
    used: set[tuple[int, bool]] = set()
    for detector in detectors:
        if (detector.channel, detector.person) in used:
            raise StoreError(
                f"{request.records.path}: two detectors would share channel {detector.channel}; "
                "give each rule or zone its own in the options ([channels])"
            )
        used.add((detector.channel, detector.person))


def _switching(request: Request, detector: Detector, end: int) -> np.ndarray:
    """Return the on and off events of a channel, strictly alternating, off at the end."""
    ticks, on = alternating((request.instants_us(detector.time_s) // TENTH_US).tolist(), detector.on.tolist(), end)
    off_code, on_code = (PERSON_OFF, PERSON_ON) if detector.person else (VEHICLE_OFF, VEHICLE_ON)
    found = np.zeros(len(ticks), HIRES)
    found["tenths"], found["parameter"] = ticks, detector.channel
    found["code"] = np.where(on, on_code, off_code)
    return found


def alternating(ticks: list[int], on: list[int], end: int) -> tuple[list[int], list[bool]]:
    """Return switching ticks that alternate, beginning with on, ending with off (at `end` at the earliest).

    An off is at least a tick after its on, an on not before the off before it: sorted by tick and then off before on,
    the order stays.
    """
    found: list[int] = []
    states: list[bool] = []
    for tick, state in zip(ticks, on, strict=True):
        is_on = bool(states) and states[-1]
        if bool(state) == is_on:
            continue
        earliest = (found[-1] + is_on) if found else tick
        found.append(max(tick, earliest))
        states.append(not is_on)
    if states and states[-1]:
        found.append(max(end, found[-1] + 1))
        states.append(False)
    return found, states


def _faults(request: Request, detectors: list[Detector]) -> np.ndarray:
    """Return the fault events of all channels, from what the run says it observed."""
    found: list[tuple[int, int, int]] = []
    for part in request.of_type("coverage"):
        reasons = request.names(part.entry, "reason")
        now = 0
        ends = request.instants_us(part.rows["time_s"])
        begins = ends - np.rint(part.rows["interval_s"].astype(np.float64) * 1e6).astype(np.int64)
        missed = part.rows["observed_s"] < (1.0 - request.options.fault_share) * part.rows["interval_s"]
        for begin, reason, bad in zip(
            (begins // TENTH_US).tolist(), part.rows["reason"].tolist(), missed.tolist(), strict=True
        ):
            fault = FAULTS.get(reasons[reason], FAULT_OTHER) if bad else 0
            if fault != now:
                for detector in detectors:
                    codes = _fault_codes(detector.person, now, fault)
                    found += [(begin, code, detector.channel) for code in codes]
            now = fault
        break  # every coverage rule says the same of one camera
    return np.array(found, HIRES)


def _fault_codes(person: bool, before: int, after: int) -> tuple[int, ...]:
    if person:
        return (PERSON_RESTORED,) if not after else () if before else (PERSON_FAILED,)
    return (after,) if after else (VEHICLE_RESTORED,)


def _sorted(parts: list[np.ndarray]) -> np.ndarray:
    """Return the events of all parts in the order of time and code, each once."""
    events = np.unique(np.concatenate([np.zeros(0, HIRES), *parts]))  # sorts by the fields in their order
    return np.asarray(events, HIRES)
