"""Forms that programs of traffic engineering read, made from a run's events and tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from vision.errors import StoreError
from vision.record.files import replacing
from vision.record.formats import (
    boxes_text,
    hires_files,
    measures,
    opentraffic,
    signals,
    sumo,
    trajectories,
    turning,
)
from vision.record.formats.options import Options, read_options
from vision.record.formats.request import Request, Window

__all__ = ("FORMS", "Form", "Options", "Request", "Window", "read_options", "write_folder")


class Form(NamedTuple):
    """How a form is written: into one stream, or as named files of a folder. `what` is counted; `binary`: no text."""

    what: str
    stream: Callable[[Request, IO[bytes]], int] | None = None
    files: Callable[[Request], Iterator[tuple[str, bytes, int]]] | None = None
    binary: bool = False


FORMS: dict[str, Form] = {
    "hires-csv": Form("detector events", hires_files.write_csv),
    "hires-parquet": Form("detector events", hires_files.write_parquet, binary=True),
    "hires-xml": Form("detector events", hires_files.write_xml),
    "hires-dat": Form("detector events", files=hires_files.dat_files, binary=True),
    "hires-datz": Form("detector events", files=hires_files.datz_files, binary=True),
    "ottrk": Form("samples", opentraffic.write_ottrk, binary=True),
    "otflow": Form("sections", opentraffic.write_otflow),
    "measures": Form("rows", files=measures.csv_files),
    "measures-parquet": Form("rows", files=measures.parquet_files, binary=True),
    "utdf": Form("vehicles", turning.write_utdf),
    "sumo-edges": Form("vehicles", sumo.write_edges),
    "sumo-turns": Form("vehicles", sumo.write_turns),
    "signal-cycles": Form("cycles", signals.write_cycles),
    "signal-bins": Form("intervals", signals.write_bins),
    "yellow-red": Form("rows", signals.write_yellow_red),
    "mot": Form("samples", boxes_text.write_mot),
    "mot-gz": Form("samples", boxes_text.write_mot_gz, binary=True),
    "kitti": Form("samples", boxes_text.write_kitti),
    "tracks-parquet": Form("samples", trajectories.write_boxes, binary=True),
    "road-parquet": Form("samples", trajectories.write_road, binary=True),
}


def write_folder(form: str, request: Request, folder: Path, force: bool) -> int:
    """Write the files of a form into a folder, made if need be; return how many things are in them."""
    files = FORMS[form].files
    if files is None:
        raise ValueError(f"{form} is one file")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        n = 0
        for name, data, found in files(request):
            with replacing(folder / name, force) as stream:
                stream.write(data)
            n += found
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({error.strerror}); {form} needs a folder") from None
    return n
