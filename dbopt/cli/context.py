"""What every command is given: the settings, where they come from, and where to print."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import click
from rich.console import Console
from rich.markup import escape

from dbopt.configfile import FILE_NAME, Found, load, sources
from dbopt.pg.shown import printable
from dbopt.settings import Settings


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the settings of this call come from, the weakest first."""

    path: Path | None = None
    overrides: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: Path | None, overrides: tuple[str, ...], dsn: str | None) -> Self:
        """The sources that the command line, the environment and the directory name."""
        if path is None and "DBOPT_CONFIG" in os.environ:
            path = Path(os.environ["DBOPT_CONFIG"])
        if path is None and Path(FILE_NAME).is_file():
            path = Path(FILE_NAME)
        return cls(path, overrides if dsn is None else (*overrides, f"server.dsn={dsn}"))

    def load(self) -> Settings:
        """The settings; ConfigError where they are wrong."""
        return load(self.path, os.environ, self.overrides)

    def found(self) -> dict[str, Found]:
        """What was set, and where; ConfigError for an unknown key."""
        return sources(self.path, os.environ, self.overrides)


@dataclass(slots=True)
class Context:
    """`console` prints for people; `--json` goes through `print_json`, to stdout alone."""

    settings: Settings
    console: Console
    sources: Sources = field(default_factory=Sources)


def shown(text: str) -> str:
    """Text from a server as rich's markup: no name in it commands the terminal or rich."""
    return escape(printable(text))


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))
