"""`dbopt query explain`: each statement's plan."""

from __future__ import annotations

from typing import Any

import click
from rich.text import Text

from dbopt.cli import queryoptions as options
from dbopt.cli.context import Context, print_json
from dbopt.cli.querycatalog import Catalog, connected
from dbopt.cli.querylint import complaint, mistake_in
from dbopt.cli.queryplan import notes, show_plan
from dbopt.cli.querytext import Source, printed, sources
from dbopt.errors import QueryFailed, UsageError
from dbopt.pg.explain import STATEMENT_TIMEOUT, explain_sync
from dbopt.pg.plan import Plan
from dbopt.pg.schema import read_schema
from dbopt.pg.shown import printable
from dbopt.sql.parse import Statement


@click.command()
@options.given
@options.dsn
@click.option("--analyze", is_flag=True, help="Run it, and compare. Only what reads is run.")
@click.option(
    "--timeout", type=click.FloatRange(0.01, 3600), default=STATEMENT_TIMEOUT, show_default=True,
    help="Seconds for each statement.",
)  # fmt: skip
@options.json
@click.pass_obj
def explain(
    context: Context,
    given: tuple[str, ...],
    dsn: str | None,
    analyze: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Show each statement's plan, with its cost and what to look at.

    A statement with parameters ($1) has its generic plan. Sequential scans of big tables stand
    out, and with --analyze the estimates that were wrong.

    \b
    Examples:
      dbopt --dsn postgresql:///app query explain "SELECT * FROM orders WHERE customer = \\$1"
      dbopt query explain --dsn postgresql:///app --analyze report.sql
    """
    texts = sources(given)
    with connected(context, dsn) as connection:
        known = Catalog(connection, read_schema(connection))
        found = [
            (text, statement, _plan(text, statement, known, analyze, timeout))
            for text in texts
            for statement in text.statements
        ]
    if as_json:
        print_json([_plan_dict(text, one, plan, known) for text, one, plan in found])
        return
    for text, statement, plan in found:
        where = text.where(statement.tokens[0].start)
        words = printable(text.shown(statement.text))
        context.console.print(Text.assemble((where, "bold"), f" {words}"), soft_wrap=True)
        show_plan(context.console, plan, notes(plan, known.schema))
        context.console.print()


def _plan(
    source: Source, statement: Statement, known: Catalog, analyze: bool, timeout: float
) -> Plan:
    try:
        return explain_sync(
            known.connection, statement.text, analyze=analyze, statement_timeout=timeout
        )
    except (UsageError, QueryFailed) as error:
        mistake = mistake_in(source, statement, known)
        if mistake is None:
            where = source.where(statement.tokens[0].start)
            raise type(error)(f"{where}: {error.message}", hint=error.hint) from None
        raise UsageError(complaint(source, mistake)) from None


def _plan_dict(source: Source, statement: Statement, plan: Plan, known: Catalog) -> dict[str, Any]:
    return {
        **printed(source, statement),
        "cost": plan.total_cost,
        "notes": [note.text for note in notes(plan, known.schema)],
        "plan": plan.json,
    }
