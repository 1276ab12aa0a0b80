"""Directories that ship with dbopt: in a wheel under `dbopt/bundled`, in a checkout at its root."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal

from dbopt.errors import ConfigError

_PACKAGE = Path(str(files("dbopt")))


def directory(name: Literal["migrations", "indexes"]) -> Path:
    """The shipped directory of that name; ConfigError where the installation lacks it."""
    for parent in (_PACKAGE / "bundled", _PACKAGE.parent):
        if (parent / name).is_dir():
            return parent / name
    raise ConfigError(
        f"dbopt's own directory {name} is not in this installation.", hint="Install dbopt again."
    )
