"""`dbopt stats`: snapshots of the pg_stat views, and the report on what happened between two."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeVar

import click
from rich.table import Table
from rich.text import Text

from dbopt.cli.context import Context, print_json
from dbopt.pg.connect import AsyncConnection, connect_async, resolve
from dbopt.pg.pool import session_options
from dbopt.pg.server import read_server
from dbopt.pg.shown import printable
from dbopt.settings import Settings
from dbopt.stats.oldcollectors import VIEWS
from dbopt.stats.diff import diff
from dbopt.stats.oldrender import markdown, terminal
from dbopt.stats.oldreport import TOP, Report, build
from dbopt.stats.snapshot import take
from dbopt.store import snapshots
from dbopt.store.snapshots import Header, Snapshot

T = TypeVar("T")
Moment = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"])


@click.group()
def stats() -> None:
    """What the server did: pg_stat snapshots and reports."""


@stats.command()
@click.option("--from", "since", type=Moment, help="The period's start, local time.")
@click.option("--to", "until", type=Moment, help="The period's end, local time.")
@click.option("--top", type=click.IntRange(1, 1000), default=TOP, help="Lines of each table.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown.")
@click.pass_obj
def report(
    context: Context,
    since: datetime | None,
    until: datetime | None,
    top: int,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Report the difference between two snapshots: by default the two latest.

    \b
    Examples:
      dbopt stats report
      dbopt stats report --from 2026-03-01T09:00 --to 2026-03-01T10:00
      dbopt stats report --markdown > report.md
      dbopt stats report --json | jq '.statements[0]'
    """
    if as_json and as_markdown:
        raise click.UsageError("Choose one of --json and --markdown.")
    settings = context.settings
    # A store of its own may hold several databases' history.
    database = resolve(settings.server.dsn).get("dbname") if settings.store.dsn else None
    made = asyncio.run(_with_store(settings, lambda c: _report(c, since, until, top, database)))
    if as_json:
        print_json(made.to_dict())
    elif as_markdown:
        click.echo(markdown(made), nl=False)
    else:
        terminal(made, context.console)


@stats.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def snapshot(context: Context, as_json: bool) -> None:
    """Take one snapshot now.

    \b
    Examples:
      dbopt stats snapshot
      dbopt stats snapshot --json
    """
    taken = asyncio.run(_snapshot(context.settings))
    if as_json:
        print_json(_summary(taken.header))
        return
    header = taken.header
    place = f"{printable(header.database)} on {header.server}"
    context.console.print(Text(f"Snapshot {header.id} of {place}."))
    for finding in header.findings:
        words = f"Not examined: {finding.message} {finding.remedy}".rstrip()
        context.console.print(Text(printable(words), style="yellow"))


@stats.command("list")
@click.option("--from", "since", type=Moment, help="The oldest, local time.")
@click.option("--to", "until", type=Moment, help="The newest, local time.")
@click.option("--limit", type=click.IntRange(1, snapshots.MAX_LISTED), default=50)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_(
    context: Context, since: datetime | None, until: datetime | None, limit: int, as_json: bool
) -> None:
    """List the snapshots there are, the newest first.

    \b
    Examples:
      dbopt stats list
      dbopt stats list --from 2026-03-01 --json
    """
    bounds: dict[str, Any] = {"since": _aware(since), "until": _aware(until), "limit": limit}
    found = asyncio.run(
        _with_store(context.settings, lambda conn: snapshots.headers(conn, **bounds))
    )
    if as_json:
        print_json([_summary(header) for header in found])
        return
    table = Table(box=None)
    for name in ("id", "taken at", "server", "database", "not examined"):
        table.add_column(name)
    for header in found:
        table.add_row(*map(Text, _cells(header)))
    context.console.print(table)


async def _report(
    conn: AsyncConnection,
    since: datetime | None,
    until: datetime | None,
    top: int,
    database: str | None,
) -> Report:
    tables = [view.table for view in VIEWS]
    old, new = await snapshots.pair(conn, _aware(since), _aware(until), database)
    before = await snapshots.load(conn, old.id, tables)
    after = await snapshots.load(conn, new.id, tables)
    return build(diff(before, after, VIEWS), top)


async def _snapshot(settings: Settings) -> Snapshot:
    async with (
        await _connect(settings, settings.server.dsn) as conn,
        await _connect(settings, settings.store_dsn) as store,
    ):
        return await take(conn, store, await read_server(conn), settings.stats)


async def _with_store(settings: Settings, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    async with await _connect(settings, settings.store_dsn) as conn:
        return await work(conn)


async def _connect(settings: Settings, dsn: str) -> AsyncConnection:
    given = resolve(dsn).get("options", "")
    options = session_options(given, settings.stats.statement_timeout)
    return await connect_async(dsn, timeout=settings.server.connect_timeout, options=options)


def _aware(moment: datetime | None) -> datetime | None:
    """A time without a zone is the local one."""
    return moment.astimezone() if moment else None


def _summary(header: Header) -> dict[str, Any]:
    summary = asdict(header)
    summary["taken_at"] = header.taken_at.isoformat()
    summary["truncated"] = sorted(header.truncated)
    summary["findings"] = [finding.to_dict() for finding in header.findings]
    return summary


def _cells(header: Header) -> tuple[str, ...]:
    unseen = ", ".join(finding.rule.removeprefix("stats-") for finding in header.findings)
    when = f"{header.taken_at.astimezone():%Y-%m-%d %H:%M:%S}"
    return (str(header.id), when, header.server, printable(header.database), unseen)
