"""`dbopt stats`: reports on a period of the history, what history there is, one snapshot now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click
from rich.table import Table
from rich.text import Text

from dbopt.cli.context import Context, print_json
from dbopt.pg.connect import AsyncConnection, connect_async, resolve
from dbopt.pg.pool import session_options
from dbopt.pg.shown import printable
from dbopt.settings import Settings
from dbopt.stats.report.daily import write_file
from dbopt.stats.report.html import html
from dbopt.stats.report.model import Report
from dbopt.stats.report.numbers import count, plain_seconds, size
from dbopt.stats.report.reading import Extent, Wanted, extents, report_of, store_bytes
from dbopt.stats.report.text import markdown, terminal
from dbopt.stats.report.times import period_of
from dbopt.stats.report.written import as_json as written_json
from dbopt.stats.snapshot import Taken, take

T = TypeVar("T")


@click.group()
def stats() -> None:
    """What the server did: reports on its history."""


@stats.command()
@click.option("--from", "since", metavar="TIME", help="The period's start. [default: 1h]")
@click.option("--to", "until", metavar="TIME", help="The period's end. [default: now]")
@click.option("--html", "to_file", type=click.Path(dir_okay=False, path_type=Path),
              metavar="FILE", help="Write one HTML file, to be sent to people.")  # fmt: skip
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--database", default="", help="Of this database alone. [default: all there is]")
@click.option("--server", default="", metavar="HOST:PORT", help="Of this server.")
@click.option("--top", type=click.IntRange(1, 1000), help="Lines of each table.")
@click.pass_obj
def report(
    context: Context,
    since: str | None,
    until: str | None,
    to_file: Path | None,
    as_markdown: bool,
    as_json: bool,
    database: str,
    server: str,
    top: int | None,
) -> None:
    """Report what happened between two times, and what is other than before.

    A TIME is 90m, 1h or 2d ago, now, today, yesterday, 09:30, 2026-03-01 or 2026-03-01T09:30,
    in local time unless it has a zone.

    \b
    Examples:
      dbopt stats report                                   the last hour
      dbopt stats report --from yesterday                  the whole day
      dbopt stats report --from 09:00 --to 10:30 --html morning.html
      dbopt stats report --from 24h --markdown > report.md
      dbopt stats report --json | jq '.summary[].title'
    """
    if sum((to_file is not None, as_markdown, as_json)) > 1:
        raise click.UsageError("Choose one of --html, --markdown and --json.")
    own = context.settings.report
    start, end = period_of(since, until, datetime.now(UTC).astimezone())
    wanted = Wanted(start, end, server, database, top or own.top, own.cpus)
    made = asyncio.run(_with_store(context.settings, lambda conn: report_of(conn, wanted)))
    _show(context, made, to_file, as_markdown, as_json)


def _show(
    context: Context, made: Report, to_file: Path | None, as_markdown: bool, as_json: bool
) -> None:
    if to_file is not None:
        write_file(to_file.parent, to_file.name, html(made))
        context.console.print(Text(f"{printable(made.verdict)} Written to {to_file}."))
    elif as_json:
        click.echo(written_json(made), nl=False)
    elif as_markdown:
        click.echo(markdown(made), nl=False)
    else:
        terminal(made, context.console)


@stats.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def snapshot(context: Context, as_json: bool) -> None:
    """Look at every view now, and store what is new since the last time.

    A running `dbopt serve` does that by itself, each stats.interval.

    \b
    Examples:
      dbopt stats snapshot
      dbopt stats snapshot --json
    """
    taken = asyncio.run(_snapshot(context.settings))
    if as_json:
        print_json(_summary(taken))
        return
    place = f"{printable(taken.server.database)} on {taken.server.address}"
    words = "It is the first: the next one tells what has changed since." if taken.first else ""
    context.console.print(Text(f"{taken.frames} views of {place}. {words}".rstrip()))
    for finding in taken.findings:
        unseen = f"Not examined: {finding.message} {finding.remedy}".rstrip()
        context.console.print(Text(printable(unseen), style="yellow"))


@stats.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_(context: Context, as_json: bool) -> None:
    """List what history there is: of whom, from when to when, how large.

    \b
    Examples:
      dbopt stats list
      dbopt stats list --json
    """
    found, stored = asyncio.run(_with_store(context.settings, _listed))
    if as_json:
        print_json({"targets": [_extent(one) for one in found], "bytes": stored})
        return
    if not found:
        context.console.print("There is no history yet: run `dbopt serve`.")
        return
    table = Table(box=None)
    for name in ("server", "database", "from", "to", "length"):
        table.add_column(name)
    table.add_column("frames", justify="right")
    for one in found:
        table.add_row(*map(Text, _cells(one)))
    context.console.print(table)
    context.console.print(Text(f"{size(stored)} in the store, in all."))


async def _listed(conn: AsyncConnection) -> tuple[Sequence[Extent], int]:
    return await extents(conn), await store_bytes(conn)


async def _snapshot(settings: Settings) -> Taken:
    async with (
        await _connect(settings, settings.server.dsn) as conn,
        await _connect(settings, settings.store_dsn) as store,
    ):
        return await take(conn, store, settings.stats, settings.server.name)


async def _with_store(settings: Settings, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    async with await _connect(settings, settings.store_dsn) as conn:
        return await work(conn)


async def _connect(settings: Settings, dsn: str) -> AsyncConnection:
    given = resolve(dsn).get("options", "")
    options = session_options(given, settings.stats.statement_timeout)
    return await connect_async(dsn, timeout=settings.server.connect_timeout, options=options)


def _summary(taken: Taken) -> dict[str, object]:
    return {
        "at": taken.at.isoformat(),
        "server": taken.server.address,
        "database": taken.server.database,
        "frames": taken.frames,
        "first": taken.first,
        "not_examined": [finding.to_dict() for finding in taken.findings],
    }


def _extent(one: Extent) -> dict[str, object]:
    ends = {"first_at": one.first_at.isoformat(), "last_at": one.last_at.isoformat()}
    return asdict(one) | ends


def _cells(one: Extent) -> tuple[str, ...]:
    ends = (f"{at.astimezone():%Y-%m-%d %H:%M}" for at in (one.first_at, one.last_at))
    length = plain_seconds((one.last_at - one.first_at).total_seconds())
    whole = printable(one.database) or "(the server)"
    return (printable(one.server), whole, *ends, length, count(one.frames))
