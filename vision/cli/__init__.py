"""The verbs. Nothing here computes: each verb asks a module, and prints what comes back."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.markup import escape

from vision import __version__
from vision.cli import judging, reading, running, surveying
from vision.cli.common import STOPPED, err, out
from vision.errors import GantryError

app = typer.Typer(
    name="gantry",
    help="Traffic-camera video in, compact event records out. Exit codes: 0 fine, 1 wrong input, 2 wrong use, "
    "3 device or stream trouble, 130 stopped by Ctrl-C.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
models_app = typer.Typer(help="The models that cards describe.", no_args_is_help=True)
app.add_typer(models_app, name="models")

for verb in (running.demo, running.replay, running.check, running.draw, reading.events, reading.export, running.doctor):
    app.command()(verb)
app.command("eval")(judging.evaluate)
app.command()(judging.diff)
app.command()(surveying.calibrate)
models_app.command("list")(running.models_list)
models_app.command("check")(running.models_check)


def main() -> None:
    """Run the command line; errors that a user can mend are one line each."""
    try:
        app(prog_name="gantry")
    except GantryError as error:
        for line in str(error).splitlines():
            err.print(f"[red]gantry:[/] {escape(line)}", soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err.print("gantry: stopped")
        sys.exit(STOPPED)
    except BrokenPipeError:
        sys.exit(1)


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Say the version when asked."""
    if show:
        out.print(f"gantry {__version__}")
        raise typer.Exit
