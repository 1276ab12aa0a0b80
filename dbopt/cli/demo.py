"""`dbopt demo`: the whole loop on a database of its own."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from dbopt.cli.context import Context, print_json
from dbopt.demo.run import Options, Outcome, run
from dbopt.demo.screen import RichScreen, addresses


@click.command()
@click.option("--once", is_flag=True, help="End after the loop instead of staying up.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; needs --once.")
@click.option(
    "--keep", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Keep the database in DIR, and go on with it next time.",
)  # fmt: skip
@click.option("--seconds", type=click.FloatRange(1, 600), default=8.0, show_default=True,
              help="How long each of the two workloads runs.")  # fmt: skip
@click.option("--clients", type=click.IntRange(1, 200), default=8, show_default=True,
              help="Clients of the workload.")  # fmt: skip
@click.option("--scale", type=click.FloatRange(0.01, 20), default=1.0, show_default=True,
              help="Size of the data; 1 is 300,000 rows of progress.")  # fmt: skip
@click.pass_obj
def demo(
    context: Context,
    once: bool,
    as_json: bool,
    keep: Path | None,
    seconds: float,
    clients: int,
    scale: float,
) -> None:
    """Trace, score, advise, prove, migrate, verify: the loop, for real, in under a minute.

    Starts a PostgreSQL 18 of its own, loads the AI Skills data, drives its workload through the
    gateway, shows what it saw, proves the indexes that are missing, builds the declared ones
    while the workload runs, and compares. While it runs, every local user may log in to that
    PostgreSQL. Everything is stopped and removed at the end, unless --keep says otherwise.

    \b
    Examples:
      dbopt demo
      dbopt demo --once --json | jq .speedup_p95
      dbopt demo --keep ~/dbopt-demo
    """
    if as_json and not once:
        raise click.UsageError("--json needs --once.")
    options = Options(keep, seconds, clients, scale)
    with RichScreen(Console(stderr=True) if as_json else context.console, quiet=as_json) as screen:
        stay = _nothing if once else lambda outcome: _stay(screen, outcome, context.console)
        outcome = run(options, screen, stay)
    if as_json:
        print_json(outcome.to_dict())


def _nothing(outcome: Outcome) -> None:
    """--once: the loop is over."""


def _stay(screen: RichScreen, outcome: Outcome, console: Console) -> None:
    """Keep everything up until Ctrl-C or SIGTERM."""
    screen.done()
    stop = threading.Event()

    def stopped(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stopped)
    # After the handlers: who reads "Ctrl-C stops it all" may press it at once.
    addresses(outcome, console)
    stop.wait()
    console.print("\nStopping.")
