"""The exception tree. A message says where, which value, what is allowed and what to do, in one line."""

from __future__ import annotations


class GantryError(Exception):
    """Base of every error that is shown to a user as one line; `exit_code` is the command's."""

    exit_code = 1


class InputError(GantryError):
    """The input is wrong: a file, a folder, a value."""


class SiteError(InputError):
    """A site file is wrong; holds every mistake found, one line each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class SourceError(InputError):
    """A video source cannot be read as video."""


class ModelError(InputError):
    """A model file, its card or its outputs are wrong."""


class StoreError(InputError):
    """A record file or an output folder cannot be used."""


class DeviceError(GantryError):
    """A device or a running stream failed."""

    exit_code = 3
