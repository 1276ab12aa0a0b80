"""`dbopt trace FINGERPRINT`: one statement's whole story."""

from __future__ import annotations

from datetime import datetime

import click

from dbopt.cli.context import Context, print_json
from dbopt.cli.history import FINGERPRINT, MOMENT, from_either
from dbopt.cli.traceshow import show_story
from dbopt.cli.tracestory import from_daemon, from_history


@click.command()
@click.argument("fingerprint", type=FINGERPRINT)
@click.option("--since", type=MOMENT, default="24h", show_default=True, help="The oldest.")
@click.option("--until", type=MOMENT, help="The newest. [default: now]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def trace(
    context: Context, fingerprint: int, since: datetime, until: datetime | None, as_json: bool
) -> None:
    """Tell one statement's whole story: who runs it, how long it takes, waits, and plans.

    FINGERPRINT is 16 hexadecimal digits, as `dbopt status`, `dbopt slow` and reports show them.
    It is read in the store; where there is none, the running daemon is asked for what it remembers.

    \b
    Examples:
      dbopt trace 4f1c0de2a9b87c65
      dbopt trace 4f1c0de2a9b87c65 --since 7d
      dbopt trace 4f1c0de2a9b87c65 --json | jq .plans
    """
    end = until or datetime.now().astimezone()
    story, _ = from_either(
        context.settings,
        lambda connection: from_history(connection, fingerprint, since, end),
        lambda base: from_daemon(base, fingerprint, since, end),
    )
    if as_json:
        print_json(story.to_dict())
    else:
        show_story(context.console, story)
