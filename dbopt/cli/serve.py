"""`dbopt serve`: the daemon in the foreground."""

from __future__ import annotations

import asyncio

import click

from dbopt.cli.context import Context
from dbopt.daemon import serve as run


@click.command()
@click.pass_obj
def serve(context: Context) -> None:
    """Run the sidecar: gateway, tracing, statistics, metrics.

    It stays in the foreground and logs to standard error. SIGTERM drains: running transactions
    end, idle clients are told. SIGHUP reads the configuration again.

    \b
    Examples:
      dbopt --dsn postgresql://app@db.internal/app serve
      dbopt -c /etc/dbopt/config.toml serve
      DBOPT_GATEWAY__PORT=7432 dbopt serve
    """
    asyncio.run(run(context.settings, context.sources.load))
