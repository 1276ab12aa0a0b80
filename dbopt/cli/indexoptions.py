"""What the commands that change indexes have in common: their options, and the question."""

from __future__ import annotations

import re
import sys

import click
from rich.console import Console

from dbopt.errors import EXIT_FINDINGS, UsageError

_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)?")


def _seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A time as seconds, or with a unit: `90`, `90s`, `10m`, `2h`."""
    if value is None:
        return None
    found = _TIME.fullmatch(value.strip())
    seconds = float(found[1]) * _UNITS[found[2] or ""] if found else 0.0
    if not seconds:
        raise click.BadParameter(f"{value!r} is no time: write 90, 90s, 10m or 2h.", ctx, param)
    return seconds


YES = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
DEADLINE = click.option(
    "--deadline", metavar="TIME", callback=_seconds, help="End after this: 90, 10m, 2h."
)
NO_WAIT = click.option("--no-wait", is_flag=True, help="Exit 5 at once if another run is at work.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing.")
ONE_DOCUMENT = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document at the end."
)


def ask(people: Console) -> None:
    """Ask whether to do what was shown; exits 1 for "no". Raises UsageError without a terminal."""
    if not (sys.stdin.isatty() and people.is_terminal):
        raise UsageError(
            "There is nobody to ask: this is no terminal.", hint="Look at the plan, then add --yes."
        )
    if not click.confirm("Do this?", err=True):
        people.print("Nothing was changed.")
        sys.exit(EXIT_FINDINGS)
