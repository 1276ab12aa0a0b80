"""`dbopt status`: what the running daemon says of itself."""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

import click
from rich.table import Table
from rich.text import Text

from dbopt.cli.context import Context, print_json
from dbopt.errors import ConnectError, UsageError
from dbopt.pg.shown import printable
from dbopt.settings import Http
from dbopt.web.terminal import statements_table

_TIMEOUT = 5.0
_MAX_ANSWER = 16 << 20
_TIMEOUTS = (
    "query_timeouts", "transaction_timeouts", "idle_transaction_timeouts", "client_idle_timeouts",
)  # fmt: skip
_POOL_COLUMNS = {
    "mode": "Mode",
    "cl_active": "Clients\nactive",
    "cl_waiting": "\nwaiting",
    "cl_pinned": "\npinned",
    "sv_active": "Servers\nactive",
    "sv_idle": "\nidle",
    "max_size": "\nmost",
    "sv_reserve": "\nreserve",
    "xact_count": "Trans-\nactions",
    "query_count": "State-\nments",
    "refused": "Refused",
    "timeouts": "Timeouts",
}
_RARE = frozenset(("mode", "cl_pinned", "sv_reserve", "refused", "timeouts"))
"""Shown where there is something to show, so that the table fits a terminal otherwise."""
_ANYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound here


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--top", type=click.IntRange(1, 1000), default=10, show_default=True, help="Statements shown."
)
@click.pass_obj
def status(context: Context, as_json: bool, top: int) -> None:
    """Ask the running daemon for its workers, pools and statements.

    The daemon is asked at http.host and http.port. Exits 3 when nobody answers.

    \b
    Examples:
      dbopt status
      dbopt status --top 3
      dbopt --set http.port=8433 status --json | jq .pools
    """
    base = base_url(context.settings.http)
    answer = fetch(base, "/status")
    answer["statements"] = fetch(base, f"/statements?limit={top}")
    if as_json:
        print_json(answer)
    else:
        _show(context, answer)


def base_url(http: Http) -> str:
    """Where the daemon of these settings answers. Raises UsageError where no port is set."""
    if not http.port:
        raise UsageError(
            "http.port is 0: the daemon took a free port, which is not known here.",
            hint="Its log names the port; give it with --set http.port=PORT.",
        )
    host = _ANYWHERE.get(http.host, http.host)
    return f"http://[{host}]:{http.port}" if ":" in host else f"http://{host}:{http.port}"


def fetch(base: str, path: str) -> Any:
    """The JSON that the daemon answers. Raises ConnectError."""
    # No proxy: the environment's would be asked for an address of this machine.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(base + path, timeout=_TIMEOUT) as answer:
            return json.loads(answer.read(_MAX_ANSWER))
    except HTTPError as error:
        error.close()
        raise ConnectError(
            f"What answers at {base} refused {path}: {error.code} {error.reason}.",
            hint="Give the daemon's address with http.host and http.port.",
        ) from None
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise ConnectError(
            f"No dbopt daemon answers at {base}: {reason}.",
            hint="Start one with `dbopt serve`, or give its address with http.host and http.port.",
        ) from None
    except ValueError:
        raise ConnectError(
            f"What answers at {base} is not dbopt.",
            hint="Give the daemon's address with http.host and http.port.",
        ) from None


def _show(context: Context, answer: dict[str, Any]) -> None:
    gateway, totals = answer["gateway"], answer["totals"]
    console = context.console
    where = f"{gateway['host']}:{gateway['port']}" if gateway["host"] else "a unix socket"
    console.print(
        Text(
            f"dbopt {answer['version']}, up {answer['uptime']:.0f} s, gateway on {where}. "
            f"{totals['calls']} statements, p95 {totals['p95_ms']} ms, "
            f"{sum(totals['errors'].values())} errors."
        )
    )
    if not answer["store"].get("ready", True):
        console.print(Text(f"Store: {answer['store'].get('reason', '')}", style="yellow"))
    if words := _guard(answer["guard"]):
        console.print(Text(words))
    console.print(_workers(answer))
    console.print(_pools(answer["pools"]))
    console.print(statements_table(answer["statements"], "Statements by total time"))
    for job in answer["jobs"]:
        if job["error"]:
            console.print(Text(f"Job {job['name']} failed: {job['error']}", style="yellow"))


def _guard(guard: dict[str, Any]) -> str:
    """A line where there is something to say."""
    said = {"refused": "refused", "observed": "would have been", "quarantined": "in quarantine"}
    counts = [f"{guard[name]} {words}" for name, words in said.items() if guard[name]]
    return f"Guard ({guard['mode']}): statements {', '.join(counts)}." if counts else ""


def _workers(answer: dict[str, Any]) -> Table:
    table = Table(
        title=f"Workers (restarts: {answer['worker_restarts']})", title_justify="left", box=None
    )
    for name in ("Number", "Process", "Clients", "Login failures", "Protocol errors"):
        table.add_column(name, justify="right")
    for worker in answer["workers"]:
        names = ("number", "pid", "clients", "login_failures", "protocol_errors")
        table.add_row(*(str(worker[name]) for name in names))
    return table


def _pools(pools: list[dict[str, Any]]) -> Table:
    table = Table("Database/user", title="Pools", title_justify="left", box=None)
    rows = [_pool_row(pool) for pool in pools]
    columns = [
        name for name in _POOL_COLUMNS if name not in _RARE or any(row[name] for row in rows)
    ]
    for name in columns:
        table.add_column(_POOL_COLUMNS[name], justify="right", overflow="fold")
    for row in rows:
        # Names come from clients: Text takes no markup from them.
        shown = Text(printable(f"{row['database']}/{row['user']}"), overflow="fold")
        table.add_row(shown, *(str(row[name]) for name in columns))
    return table


def _pool_row(pool: dict[str, Any]) -> dict[str, Any]:
    return pool | {
        "mode": "" if pool["mode"] == "transaction" else pool["mode"],
        "refused": pool["queue_timeouts"] + pool["queue_refusals"],
        "timeouts": sum(pool[name] for name in _TIMEOUTS),
    }
