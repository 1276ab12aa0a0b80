"""`dbopt index advise`: indexes for the statements that the server has seen."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.table import Table

from dbopt.cli.context import Context, print_json, shown
from dbopt.index import advisor, workload
from dbopt.index.advisor import Advice
from dbopt.migrate.declared import declared
from dbopt.pg import catalog
from dbopt.pg.connect import Connection, connect
from dbopt.pg.workload import hides_statements

_HIDDEN = (
    "Not examined: the statements of other roles, which are hidden from this one. "
    "GRANT pg_read_all_stats TO dbopt's role shows them."
)


@click.command(short_help="Advise indexes for the statements that the server has seen.")
@click.option(
    "--prove-with-locks",
    is_flag=True,
    help="Build each candidate in a transaction that is rolled back. Writers wait meanwhile.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def advise(context: Context, prove_with_locks: bool, as_json: bool) -> None:
    """Advise indexes for the statements that pg_stat_statements has seen.

    Without --prove-with-locks these are candidates that nothing has proven. Exits 0 with and
    without advice.

    \b
    Examples:
      dbopt index advise
      dbopt index advise --prove-with-locks --json     (a copy of the database, not production)
    """
    server = context.settings.server
    with connect(server.dsn, timeout=server.connect_timeout) as connection:
        found = _advice(context, connection, prove_with_locks)
        hidden = hides_statements(connection)
    if as_json:
        print_json([advice.to_dict() for advice in found])
    else:
        _show_advice(context, found)
    if hidden:
        click.echo(_HIDDEN, err=True)


def _advice(context: Context, connection: Connection, prove: bool) -> list[Advice]:
    snapshot = catalog.read(connection)
    queries = workload.read(connection)
    wanted = [one.definition for one in declared(context.settings)]
    if not prove:
        return advisor.suggest(queries, snapshot, wanted)
    settings = context.settings.index
    return advisor.advise(connection, queries, snapshot, wanted, settings, allow_lock=True)


def _show_advice(context: Context, found: Sequence[Advice]) -> None:
    if not found:
        context.console.print("No index to advise.")
        return
    table = Table("Index", "Reason", "Queries", "Saves", "Size")
    for advice in found:
        saving = "not proven" if advice.saving is None else f"{advice.saving:.0%}"
        size = "" if advice.size_bytes is None else f"{advice.size_bytes / 1024 / 1024:.1f} MiB"
        queries = str(len(advice.queries))
        table.add_row(shown(advice.create_sql), shown(advice.reason), queries, saving, size)
    context.console.print(table)
