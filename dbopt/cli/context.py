"""What every command is given: the settings, and where to print."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console

from dbopt.settings import Settings


@dataclass(slots=True)
class Context:
    """`console` prints for people; `--json` goes through `print_json`, to stdout alone."""

    settings: Settings
    console: Console


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))
