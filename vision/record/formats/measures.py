"""The measures of traffic engineering as a folder of tables, one for each kind that the run's rules can tell.

| table             | made from  | tells                                                                  |
|-------------------|------------|------------------------------------------------------------------------|
| coverage          | coverage   | what was watched of each interval                                      |
| volumes           | line_count | counts by line, direction and class                                    |
| movements         | movement   | turning movements by class                                             |
| peak_hours        | both       | the hour with the most vehicles, peak hour factor                      |
| journeys          | movement   | origin, destination and travel time                                    |
| spots             | spot       | flow, headway, gap, time-mean and harmonic speed, v85                  |
| stretches         | section    | Edie's flow, density and speed                                         |
| delays            | section    | travel time, stops, control delay, level of service                    |
| occupancies       | presence   | occupancy of zones                                                     |
| queues            | queue      | the most and the mean of each queue                                    |
| queue_cycles      | queue      | the queue at the start of green and red                                |
| saturation        | queue,spot | saturation flow and start-up lost time                                 |
| crosswalks        | crosswalk  | pedestrians and cyclists by direction, speed, wait, against the signal |
| pedestrian_delays | crosswalk  | wait at the kerb, delay until walk, who was late                       |

Intervals are half open, of `interval_min` minutes, aligned with the wall clock and told in UTC: a day on which the
clock is changed has 92 or 100 of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vision.record.formats import measures_counts as counts
from vision.record.formats import measures_flow as flow
from vision.record.formats import measures_queue as queue
from vision.record.formats import measures_walk as walk
from vision.record.formats.bins import note_coverage
from vision.record.formats.grid import Grid
from vision.record.formats.request import Request
from vision.record.formats.tables import Table, to_csv, to_parquet

#: Each table's maker, and the types of rule that it needs one of.
MAKERS: tuple[tuple[tuple[str, ...], Callable[[Request, Grid], Table]], ...] = (
    (("line_count",), counts.volumes),
    (("movement",), counts.movements),
    (("line_count", "movement"), counts.peak_hours),
    (("movement",), counts.journeys),
    (("spot",), flow.spots),
    (("section",), flow.stretches),
    (("section",), queue.delays),
    (("presence",), flow.occupancies),
    (("queue",), queue.queues),
    (("queue",), queue.queue_cycles),
    (("queue",), queue.saturation),
    (("crosswalk",), counts.crosswalks),
    (("crosswalk",), walk.pedestrian_delays),
)


def tables(request: Request) -> Iterator[Table]:
    """Yield the tables that have rows, the coverage first."""
    request.need("a table of measures", *dict.fromkeys(kind for kinds, _ in MAKERS for kind in kinds), "coverage")
    grid = Grid(request)
    note_coverage(request, grid.bins)
    yield Table("coverage", grid.rows({}, [{"signal_suspended_s": one} for one in grid.signal_suspended_s()]))
    there = {entry.type for entry in request.records.header.rules}
    for kinds, make in MAKERS:
        if there & set(kinds):
            table = make(request, grid)
            if table.rows:
                yield table


def csv_files(request: Request) -> Iterator[tuple[str, bytes, int]]:
    """Yield name, content and number of rows of each table as CSV."""
    for table in tables(request):
        yield f"{table.name}.csv", to_csv(table), len(table.rows)


def parquet_files(request: Request) -> Iterator[tuple[str, bytes, int]]:
    """Yield name, content and number of rows of each table as Parquet."""
    for table in tables(request):
        yield f"{table.name}.parquet", to_parquet(table), len(table.rows)
