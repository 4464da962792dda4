"""The verb that looks at the ground of a camera: calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from vision.cli.common import CameraOpt, SiteArg, out


def calibrate(
    site: SiteArg,
    camera: CameraOpt = None,
    picture: Annotated[Path | None, typer.Option("--out", help="PNG to write: the map of errors.")] = None,
    source: Annotated[Path | None, typer.Option("--input", help="Video for the background; else the camera's.")] = None,
    size: Annotated[str | None, typer.Option(help="Size of the picture, e.g. 1920x1080; else the video's.")] = None,
) -> None:
    """Say how well the ground points fit, what camera and lens they mean, and where speeds can be believed."""
    from vision.replay import calibrate_camera
    from vision.replay_boxes import parse_size

    for line in calibrate_camera(site, camera, source, picture, None if size is None else parse_size(size)):
        out.print(escape(line), soft_wrap=True)
    if picture is not None:
        out.print(f"wrote {escape(str(picture))}", soft_wrap=True)
