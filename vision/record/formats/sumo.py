"""Counts for SUMO's routeSampler: how many vehicles entered an edge, and how many turned from one into another.

The options' [edges] give lines their edges. "line" counts along the line's flow, "line:down" a direction of a line
without one. Several lines of one edge, such as one for each lane, are added up. Intervals count from stream second 0;
one observed for less than half is left out, as a count of 0 would be taken for an empty road.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import IO
from xml.sax.saxutils import quoteattr

import numpy as np

from vision.errors import StoreError
from vision.record.formats.bins import WITHHELD_SHARE, Bins, note_coverage, stream_bins
from vision.record.formats.request import Request

Key = tuple[str, ...]
Counts = dict[int, Counter[Key]]


def write_edges(request: Request, stream: IO[bytes]) -> int:
    """Write edge counts from `line_count` events; return how many vehicles are in them."""
    request.need("edge counts", "line_count")
    edges = _edges(request)
    bins = stream_bins(request)
    counts: Counts = {}
    watched: set[str] = set()  # an edge that no rule counts has no count: 0 would say that it is empty
    for part in request.of_type("line_count"):
        names, ways = request.names(part.entry, "line"), request.names(part.entry, "direction")
        watched |= {str(request.config(part.rule).get("line"))} | {names[k] for k in np.unique(part.rows["line"])}
        rows = _vehicles(request, part.rows)
        of = (rows["line"].tolist(), rows["direction"].tolist(), bins.place(rows["time_s"]).tolist())
        for line, way, at in zip(*of, strict=True):
            edge = edges.get((names[line], ways[way]))
            if edge is not None and at >= 0:
                counts.setdefault(at, Counter())[edge,] += 1
    if idle := sorted({line for line, _ in edges} - watched):
        request.notes.append(f"lines that no line_count rule of the run counts: {', '.join(idle)}: left out")
    every = {(edge,) for (line, _), edge in edges.items() if line in watched}
    return _write(request, stream, bins, counts, every, lambda key: f"<edge id={quoteattr(key[0])} entered=")


def write_turns(request: Request, stream: IO[bytes]) -> int:
    """Write turn counts from `movement` events, by the interval in which a vehicle entered; return how many."""
    request.need("turn counts", "movement")
    given = _edges(request)
    edges = {line: given.get((line, "with_flow"), edge) for (line, _), edge in given.items()}
    bins = stream_bins(request)
    counts: Counts = {}
    every: set[Key] = set()
    missed = 0
    for part in request.of_type("movement"):
        names = request.names(part.entry, "entry_line")
        config = request.config(part.rule)
        pairs = ((one, other) for one in config.get("entry", ()) for other in config.get("exit", ()))
        every |= {(edges[one], edges[other]) for one, other in pairs if one in edges and other in edges}
        rows = _vehicles(request, part.rows)
        of = (rows["entry_line"].tolist(), rows["exit_line"].tolist(), bins.place(rows["entry_s"]).tolist())
        for entry, leave, at in zip(*of, strict=True):
            if entry < 0 or at < 0 or names[entry] not in edges or names[leave] not in edges:
                missed += 1
            else:
                counts.setdefault(at, Counter())[edges[names[entry]], edges[names[leave]]] += 1
    if missed:
        request.notes.append(f"{missed} vehicles were not seen entering, or took a line without an edge: left out")
    every = {pair for pair in every if pair[0] != pair[1]} | {pair for at in counts for pair in counts[at]}
    return _write(
        request,
        stream,
        bins,
        counts,
        every,
        lambda key: f"<edgeRelation from={quoteattr(key[0])} to={quoteattr(key[1])} count=",
    )


def _edges(request: Request) -> dict[tuple[str, str], str]:
    """Return the edge of each line and direction; a StoreError where a key names no line."""
    tables = request.records.header.tables
    found = {}
    for key, edge in request.options.edges.items():
        line, colon, way = key.partition(":")
        way = way if colon else "with_flow"
        if line not in tables["line"] or way not in tables["direction"]:
            raise StoreError(
                f"edges: {key!r} is no line; allowed: 'line' or 'line:direction' with lines "
                f"{', '.join(tables['line'])} and directions {', '.join(tables['direction'])}"
            )
        found[line, way] = edge
    if not found:
        raise StoreError('no line has an edge; give a table [edges] with lines such as "north_stop" = "-58" in options')
    return found


def _vehicles(request: Request, rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows[np.isin(rows["class_id"], request.vehicle_classes)])


def _write(
    request: Request, stream: IO[bytes], bins: Bins, counts: Counts, every: Iterable[Key], tag: Callable[[Key], str]
) -> int:
    note_coverage(request, bins)
    keys = sorted(every)
    total, hidden = 0, 0
    stream.write(b"<data>\n")
    for at, (begin_s, share) in enumerate(zip(bins.begin_s.tolist(), bins.share.tolist(), strict=True)):
        if share < WITHHELD_SHARE:
            continue
        span = f'begin="{begin_s:.2f}" end="{begin_s + bins.length_s:.2f}"'
        stream.write(f'  <interval id="{at}" {span}>\n'.encode())
        for key in keys:
            n = counts.get(at, Counter())[key]
            if 0 < n < request.options.k:
                hidden += 1
                continue
            total += n
            stream.write(f'    {tag(key)}"{n}"/>\n'.encode())
        stream.write(b"  </interval>\n")
    stream.write(b"</data>\n")
    if hidden:
        request.notes.append(f"{hidden} counts below {request.options.k} are withheld")
    return total
