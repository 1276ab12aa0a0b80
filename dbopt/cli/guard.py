"""`dbopt guard`: quarantine of single statements, and what the guard says of one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
from rich.table import Table
from rich.text import Text

from dbopt.cli.context import Context, print_json
from dbopt.cli.guardcheck import check
from dbopt.clock import wall
from dbopt.errors import UsageError
from dbopt.guardsettings import guard_rules
from dbopt.pg.connect import AsyncConnection, connect_async
from dbopt.pg.shown import printable
from dbopt.settings import Settings
from dbopt.sql.fingerprint import fingerprint, fingerprint_hex, fingerprint_int
from dbopt.sql.redact import redact
from dbopt.sql.split import statements
from dbopt.store import quarantine as store
from dbopt.store.quarantine import LONGEST_FOR, LONGEST_REASON, Quarantine

T = TypeVar("T")
_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(r"(\d{1,9})(s|m|min|h|d)")


def span(_context: click.Context, _parameter: click.Parameter, value: str) -> float:
    """Seconds of a span of time such as 90s, 15m, 2h, 1d. Raises BadParameter."""
    found = _SPAN.fullmatch(value)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < seconds <= LONGEST_FOR:
        raise click.BadParameter("found no time such as 90s, 15m, 2h or 30d; 366d at most.")
    return seconds


@click.group()
def guard() -> None:
    """Say what may run: quarantine, and what the guard says of a statement."""


guard.add_command(check)


@guard.command(short_help="Let no client run a statement for a while.")
@click.argument("statement", metavar="FINGERPRINT|SQL")
@click.option(
    "--for", "seconds", callback=span, default="1h", show_default=True, metavar="TIME",
    help="How long, such as 90s, 15m, 2h, 1d.",
)  # fmt: skip
@click.option("--reason", default="", help="Refused clients are told it.")
@click.option("--database", default="", help="Only there, as clients name it. [default: all]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def quarantine(
    context: Context, statement: str, seconds: float, reason: str, database: str, as_json: bool
) -> None:
    """Let no client run a statement for a while, whatever its literals are.

    It is kept in the store, so that every sidecar of it refuses the statement within seconds,
    and after a restart too. It ends by itself. Not even guard.allow helps against it,
    nor PREPARE, DECLARE, EXPLAIN ANALYZE, or other statements around it.

    \b
    Examples:
      dbopt guard quarantine 5d1f0a7c3b2e4968 --for 30m --reason "takes the server down"
      dbopt guard quarantine "SELECT * FROM orders, items" --database app
    """
    number, text = _named(statement)
    reason = printable(reason)[:LONGEST_REASON]
    held = _in_store(
        context.settings,
        lambda c: store.add(c, number, seconds, database=database, reason=reason, text=text),
    )
    warning = _unenforced(context.settings, database)
    if as_json:
        print_json(held.to_dict() | {"warning": warning})
        return
    where = f"in database {printable(database)}" if database else "in every database"
    context.console.print(
        Text(f"{fingerprint_hex(number)} is in quarantine {where} for {_left(held)}.")
    )
    if warning:
        context.console.print(Text(warning, style="yellow"))


@guard.command()
@click.argument("statement", metavar="[FINGERPRINT|SQL]", required=False)
@click.option("--all", "everything", is_flag=True, help="All that is in quarantine.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def release(context: Context, statement: str | None, everything: bool, as_json: bool) -> None:
    """Let a statement run again, in every database.

    \b
    Examples:
      dbopt guard release 5d1f0a7c3b2e4968
      dbopt guard release --all
    """
    if everything == (statement is not None):
        raise click.UsageError("Name a statement, or give --all.")
    number = None if statement is None else _named(statement)[0]
    released = _in_store(context.settings, lambda c: store.release(c, number))
    if as_json:
        print_json([one.to_dict() for one in released])
        return
    for one in released:
        where = f" in database {printable(one.database)}" if one.database else ""
        context.console.print(Text(f"{fingerprint_hex(one.fingerprint)} may run again{where}."))
    if not released:
        context.console.print(Text("Nothing to release: it is not in quarantine."))


@guard.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_(context: Context, as_json: bool) -> None:
    """List what is in quarantine: until when, by whom, and why.

    \b
    Examples:
      dbopt guard list
      dbopt guard list --json | jq -r '.[].fingerprint'
    """
    held = _in_store(context.settings, lambda c: store.held(c))
    if as_json:
        print_json([one.to_dict() for one in held])
        return
    if not held:
        context.console.print(Text("Nothing is in quarantine."))
        return
    table = Table(box=None)
    for name in ("Fingerprint", "Database", "For", "By", "Reason", "Statement"):
        table.add_column(name, overflow="fold")
    for one in held:
        table.add_row(*map(Text, _row(one)))
    context.console.print(table)


def _row(one: Quarantine) -> list[str]:
    cells = (
        fingerprint_hex(one.fingerprint),
        one.database or "all",
        _left(one),
        one.by,
        one.reason,
        " ".join(one.text.split()),
    )
    return [printable(cell) for cell in cells]


def _left(one: Quarantine) -> str:
    """How long it still is, in the largest unit that it fills twice."""
    left = max(one.expires - wall(), 0.0)
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if left >= 2 * size:
            return f"{left / size:.0f} {unit}"
    return f"{left:.0f} s"


def _named(statement: str) -> tuple[int, str]:
    """The fingerprint of what was named, and its text without literals, "" where unknown."""
    try:
        return fingerprint_int(statement.strip().lower()), ""
    except ValueError:
        pass
    if len(statements(statement)) != 1 or len(statement.split()) < 2:
        raise UsageError(
            "This is neither a fingerprint, which has 16 hexadecimal digits, nor one statement.",
            hint="`dbopt status --json` shows fingerprints.",
        )
    return fingerprint(statement), redact(statement)


def _unenforced(settings: Settings, database: str) -> str:
    """What to say where the guard, by this configuration, refuses nothing; else ""."""
    mode = guard_rules(settings, database, "", "").mode
    if mode == "enforce":
        return ""
    does = "only counted" if mode == "observe" else "not even counted"
    return (
        f'guard.mode is "{mode}" here, so that it is {does}. Set guard.mode to "enforce", for all '
        "or for one database, to have it refused."
    )


def _in_store(settings: Settings, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """The result of `work` on a connection to the store. Raises as connect_async does."""

    async def main() -> T:
        timeout = settings.server.connect_timeout
        async with await connect_async(settings.store_dsn, timeout=timeout) as connection:
            return await work(connection)

    return asyncio.run(main())
