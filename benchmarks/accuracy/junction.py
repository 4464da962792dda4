"""Counts, movements, turns and what a signal forbids, at a junction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from benchmarks.accuracy.figures import Figure, most, plain, share
from benchmarks.accuracy.runs import TAIL_S, Run, run_scene, scored
from benchmarks.accuracy.score import Score
from benchmarks.scenes.junction import Knobs, make
from benchmarks.scenes.noise import Noise
from benchmarks.scenes.tables import Event
from vision.evaluate.stats import errors, geh, wilson

NOISY = Noise(jitter=0.025, missed=0.05)
LINES = ("n_in", "n_out", "s_out", "w_out", "e_out")
#: Loops of SUMO behind each line.
LOOPS = {line: line[0] + ("i" if line.endswith("in") else "o") for line in LINES}
CELL_S = 900.0


def traffic(seed: int) -> Knobs:
    """Return the junction in which counts are judged: a quarter of an hour, no violator on purpose."""
    return Knobs(seed=seed, seconds=900.0, per_hour=900.0, others=0.4)


def offences(seed: int) -> Knobs:
    """Return the junction in which what a signal forbids is judged."""
    return Knobs(seed=seed, seconds=1200.0, per_hour=620.0, others=0.25, runners=0.6, overruns=0.15, u_turn=0.06)


def ambulances(seed: int) -> Knobs:
    """Return the junction through which ambulances drive under red, and nobody else does on purpose."""
    return Knobs(seed=seed, seconds=900.0, fps=12.5, per_hour=350.0, others=0.3, emergency=0.4)


def run(seeds: Sequence[int]) -> list[Figure]:
    """Return all figures of the junction."""
    perfect = [run_scene("junction", make, traffic(seed), NOISY, "all_tracks") for seed in seeds[:2]]
    noisy = [run_scene("junction", make, traffic(seed), NOISY, "boxes") for seed in seeds[:2]]
    bad = [run_scene("junction", make, offences(seed), NOISY, "boxes") for seed in seeds[:4]]
    # The same with the identities given: what the rules miss by themselves.
    given = [run_scene("junction", make, offences(seed), NOISY, "tracks") for seed in seeds[:4]]
    blue = [run_scene("junction", make, ambulances(seed), NOISY, "boxes") for seed in seeds[:4]]
    figures = [*_counts_perfect(perfect), *_counts_noisy(noisy), *_red(bad, given), _emergency(blue)]
    return [*figures, *_turns(bad, given)]


def _loop_counts(run: Run, line: str) -> dict[str, float]:
    """Return when SUMO's loops behind a line first saw each vehicle, by track id."""
    first: dict[str, float] = {}
    for row in run.table("loops"):
        if row["lane"].startswith(LOOPS[line]) and row["state"] == "enter":
            first.setdefault(row["track_id"], float(row["time_s"]))
    return first


def _counts_perfect(runs: Sequence[Run]) -> list[Figure]:
    right, cells = 0, 0
    late: list[float] = []
    to_loop: list[float] = []
    for line in LINES:
        for one in runs:
            told = [each for each in one.rule(f"count {line}") if each.time_s < one.seconds - TAIL_S]
            loops = {int(who): at for who, at in _loop_counts(one, line).items()}
            ends = one.seconds - TAIL_S
            known = {each.who for each in told}
            there = {who for who, at in loops.items() if at < ends - 1.0}
            cells += len(there)
            right += len(there & known) - max(0, len(told) - len(known))
            if line in ("n_in", "s_out"):
                to_loop += [each.time_s - loops[each.who] for each in told if each.who in loops]
    for line in LINES:
        late += [a.time_s - b.time_s for a, b in scored(runs, f"count {line}").pairs]
    spot = [a.time_s - b.time_s for a, b in scored(runs, "spot n_in").pairs]
    front = errors(np.array(spot))
    foot, loop = errors(np.array(late)), errors(np.array(to_loop))
    return [
        share("counts, perfect tracks, against SUMO's loops", wilson(right, cells), 1.0),
        most("crossing time of the foot point, perfect tracks, p95", foot.p95, foot.n, 0.04, "s"),
        most("crossing time against loops where fronts are seen, p95", loop.p95, loop.n, 0.04, "s"),
        most("passage of the front (spot), perfect tracks, p95", front.p95, front.n, 0.04, "s"),
    ]


def _counts_noisy(runs: Sequence[Run]) -> list[Figure]:
    out = []
    worst: list[float] = []
    for line in LINES:
        found = scored(runs, f"count {line}")
        out.append(share(f"count {line}, noisy: precision", found.precision, 0.99))
        out.append(share(f"count {line}, noisy: recall", found.recall, 0.99))
        hidden = sum(event.rule == f"count {line}" for one in runs for event in one.unsure)
        n = hidden + found.recall.n
        out.append(Figure(f"count {line}: hidden, so left out", str(hidden), n, "", "", None, float(hidden)))
        for one in runs:
            cells: dict[tuple[str, int], list[int]] = {}
            for each in one.rule(f"count {line}"):
                cells.setdefault((str(each.row["class_id"]), int(each.time_s // CELL_S)), [0, 0])[0] += 1
            names = ("car", "bus", "truck", "motorcycle", "bicycle", "person")
            # All passages, the hidden ones too: what is left out above must not look like a surplus here.
            for event in (*one.truth, *one.unsure):
                if event.rule == f"count {line}":
                    key = str(names.index(event.class_ or "car")), int(event.time_s // CELL_S)
                    cells.setdefault(key, [0, 0])[1] += 1
            worst += [geh(a * 3600.0 / CELL_S, b * 3600.0 / CELL_S) for a, b in cells.values()]
    out.append(most("counts, noisy: worst GEH of line, class and quarter of an hour", max(worst), len(worst), 3.0))
    moves = scored(
        runs, "movements", told=[[one for one in r.rule("movements") if one.row["entry_line"] >= 0] for r in runs]
    )
    out.append(share("movements, noisy: precision", moves.precision, 0.95))
    out.append(share("movements, noisy: recall", moves.recall, 0.95))
    hidden = sum(event.rule == "movements" for one in runs for event in one.unsure)
    out.append(plain("movements: hidden, so left out", hidden, hidden + moves.recall.n, digits=0))
    return out


def _beside(rule: str, runs: Sequence[Run], found: Score, given: Sequence[Run]) -> list[Figure]:
    """Return figures without a target: what was missed silently or could not be seen, and given tracks."""
    silent, unsure = len(found.missed) - len(found.not_judged), len(found.not_judged)
    hidden = sum(event.rule == rule for one in runs for event in one.unsure)
    track = scored(given, rule)
    told = f"{silent} / {unsure}", f"{track.precision.value:.4f} / {track.recall.value:.4f}"
    n = track.recall.n
    return [
        Figure(f"{rule}, noisy: missed silently / not judged", told[0], found.recall.n, "", "", None, float(silent)),
        Figure(f"{rule}: unseeable or near a threshold", str(hidden), n + hidden, "", "", None, float(hidden)),
        Figure(f"{rule}, given tracks: precision / recall", told[1], n, "", "", None, track.recall.value),
    ]


def _red(runs: Sequence[Run], given: Sequence[Run]) -> list[Figure]:
    found = scored(runs, "red light")
    passages = sum(len(one.table("entries")) for one in runs)
    wrong = Counter(_who_was(runs, one.who, one.time_s) for one in found.invented)
    out = [
        Figure(
            "red light: passages of the stop line", str(passages), passages, "", ">= 400", passages >= 400, passages
        ),
        Figure("red light: runners", str(n := len(found.pairs) + len(found.missed)), n, "", ">= 100", n >= 100, n),
        share("red light, noisy: precision", found.precision, 0.99, 0.97),
        share("red light, noisy: recall", found.recall, 0.97),
    ]
    for what in ("already in", "legal turn"):
        out.append(most(f"red light, noisy: flags for {what}", wrong[what], passages, 0.0, digits=0))
    return [*out, *_beside("red light", runs, found, given)]


def _emergency(runs: Sequence[Run]) -> Figure:
    """Return how many of the emergency vehicles' runs were told: all should be, as excusing them is the operator's."""
    found = scored(runs, "red light")
    theirs = {id(event) for one in runs for event in _emergency_runs(one)}
    right = sum(id(event) in theirs for _, event in found.pairs)
    told = wilson(right, right + sum(id(event) in theirs for event in found.missed))
    said, interval = f"{told.value:.4f}" if told.n else "-", f"{told.low:.4f} .. {told.high:.4f}"
    question = "red light, noisy: runs of emergency vehicles, told like anyone's (operators excuse them)"
    return Figure(question, said, told.n, interval, "", None, told.value)


def _emergency_runs(run: Run) -> list[Event]:
    entries = run.table("entries")
    theirs = {(int(row["track_id"]), float(row["front_s"])) for row in entries if row["emergency_run"] == "1"}
    return [one for one in run.truth if one.rule == "red light" and (one.track_id, one.time_s) in theirs]


def _who_was(runs: Sequence[Run], who: int, time_s: float) -> str:
    """Return what a road user that was flagged by mistake was."""
    for run in runs:
        for row in run.table("entries"):
            if int(row["track_id"]) == who and abs(float(row["front_s"]) - time_s) < 1.0:
                if row["signal"] != "red":
                    return "already in"
                return "legal turn" if row["exit"] == "w_out" else "overrun"
    return "nobody"


def _turns(runs: Sequence[Run], given: Sequence[Run]) -> list[Figure]:
    out = []
    for rule in ("overrun", "turn on red", "u turn", "forbidden turn"):
        if any(run.rule(rule) for run in runs):
            found = scored(runs, rule)
            out.append(share(f"{rule}, noisy: precision", found.precision, 0.95))
            out.append(share(f"{rule}, noisy: recall", found.recall, 0.95))
            out += _beside(rule, runs, found, given)
    return out
