"""`dbopt slow`: slow statements and failed ones, as far back as the store reaches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from dbopt.cli.context import Context, print_json
from dbopt.cli.history import FINGERPRINT, MOMENT, ask, from_either
from dbopt.pg.connect import AsyncConnection
from dbopt.pg.shown import printable
from dbopt.sql.fingerprint import fingerprint_hex
from dbopt.stats.report.numbers import duration
from dbopt.store import slow as slow_store
from dbopt.store.slow import SlowRecord

_MOST_WAITS = 3


@click.command()
@click.option("--since", type=MOMENT, default="1h", show_default=True, help="The oldest.")
@click.option("--until", type=MOMENT, help="The newest.")
@click.option("--route", help="Of this route alone (sqlcommenter's).")
@click.option("--user", help="Of this user alone.")
@click.option("--database", help="Of this database alone.")
@click.option("--application", help="Of this application_name alone.")
@click.option("--fingerprint", type=FINGERPRINT, help="Of this statement alone.")
@click.option("--errors", is_flag=True, help="Those that failed alone.")
@click.option(
    "--order", type=click.Choice(["time", "duration"]), default="time", show_default=True,
    help="The newest first, or the longest.",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def slow(context: Context, /, as_json: bool, **given: Any) -> None:
    """List slow statements and failed ones, each with what it waited for.

    A statement is slow above trace.slow. They are read in the store; where there is none, the
    running daemon is asked for those that it remembers. A time is 1h, 2d, yesterday, 09:30 or
    2026-03-01T09:00.

    \b
    Examples:
      dbopt slow
      dbopt slow --since 1d --order duration --limit 10
      dbopt slow --route /checkout --user shop
      dbopt slow --errors --json | jq '.[].sqlstate'
    """
    found, source = from_either(
        context.settings,
        lambda connection: _stored(connection, given),
        lambda base: _remembered(base, given),
    )
    if as_json:
        print_json(found)
        return
    if source == "daemon":
        context.console.print(Text("No store: what the running daemon remembers.", style="yellow"))
    if not found:
        words = "No statement was slow or failed since {:%Y-%m-%d %H:%M}, or none that you want."
        context.console.print(Text(words.format(given["since"])))
        return
    context.console.print(slow_table(found))


async def _stored(connection: AsyncConnection, given: dict[str, Any]) -> list[dict[str, Any]]:
    return [slow_dict(record) for record in await slow_store.read(connection, **given)]


def _remembered(base: str, given: dict[str, Any]) -> list[dict[str, Any]]:
    number, errors = given["fingerprint"], given["errors"]
    asked = given | {
        "since": given["since"].isoformat(),
        "until": given["until"].isoformat() if given["until"] else None,
        "fingerprint": None if number is None else fingerprint_hex(number),
        "errors": 1 if errors else None,
    }
    found: list[dict[str, Any]] = ask(base, "/slow", **asked)
    return found


def slow_dict(record: SlowRecord) -> dict[str, Any]:
    """A stored one as the daemon's /slow shows it, with `shape`, the plan's."""
    return {
        "type": "query_error" if record.sqlstate else "slow_query",
        "fingerprint": fingerprint_hex(record.fingerprint),
        "query": record.text,
        "database": record.database,
        "user": record.user,
        "application": record.application,
        "route": record.route,
        "started": record.at.isoformat(timespec="milliseconds"),
        "duration_ms": round(record.duration_ms, 3),
        "queue_ms": round(record.queue_ms, 3),
        "server_ms": round(record.server_ms, 3),
        "transfer_ms": round(record.transfer_ms, 3),
        "rows": record.rows,
        "received_bytes": record.received,
        "sent_bytes": record.sent,
        "sqlstate": record.sqlstate,
        "backend_pid": record.backend_pid,
        "trace_id": record.trace_id,
        "tags": record.tags,
        "waits": record.waits,
        "shape": record.shape,
        "server": record.server,
    }


def slow_table(found: Sequence[dict[str, Any]], *, alone: bool = False) -> Table:
    """Two lines each: what it was, and below it what else is known. `alone`: of one statement."""
    table = Table(box=None, expand=True, pad_edge=False)
    table.add_column("Started", no_wrap=True)
    table.add_column("Took", justify="right", no_wrap=True)
    table.add_column("Waits and who" if alone else "Statement", no_wrap=True, overflow="ellipsis",
                     ratio=1)  # fmt: skip
    for one in found:
        started = datetime.fromisoformat(one["started"]).astimezone()
        took = Text(duration(one["duration_ms"] * 1e3), style="red" if one["sqlstate"] else "")
        head = "" if alone else " ".join(one["query"].split())
        words = [printable(part) for part in (head, _who(one), _details(one)) if part]
        lines = Text("\n").join(
            Text(line, style="dim" if at and not alone else "") for at, line in enumerate(words)
        )
        table.add_row(Text(f"{started:%m-%d %H:%M:%S}"), took, lines)
    return table


def _who(one: dict[str, Any]) -> str:
    parts = [f"{one['user']}@{one['database']}", one["application"], one["route"]]
    failed = f"failed with {one['sqlstate']}" if one["sqlstate"] else ""
    return " · ".join(part for part in (failed, *parts) if part)


def _details(one: dict[str, Any]) -> str:
    parts = {"queue": one["queue_ms"], "transfer": one["transfer_ms"]}
    split = [f"{name} {duration(ms * 1e3)}" for name, ms in parts.items() if ms >= 1.0]
    rows = f"{one['rows']:,} row{'s' if one['rows'] != 1 else ''}"
    waits = sorted(one["waits"].items(), key=lambda wait: -wait[1])[:_MOST_WAITS]
    seen = ["waits " + ", ".join(f"{name} {count}" for name, count in waits)] if waits else []
    return " · ".join((one["fingerprint"], rows, *split, *seen))
