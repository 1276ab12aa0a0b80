"""`dbopt index`: the audit, the advice, and the declared indexes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from rich.table import Table

from dbopt.cli.context import Context, print_json, shown
from dbopt.cli.indexapply import apply_command
from dbopt.cli.indexlint import lint_command
from dbopt.cli.indexplan import plan_command
from dbopt.cli.indexrevision import revision
from dbopt.cli.indexruns import rollback_command, runs_command
from dbopt.errors import EXIT_FINDINGS
from dbopt.index import advisor, workload
from dbopt.index.advisor import Advice
from dbopt.index.audit import audit
from dbopt.migrate.declared import declared
from dbopt.pg import catalog
from dbopt.pg.connect import Connection, connect
from dbopt.pg.workload import hides_statements
from dbopt.sql.findings import Finding, Severity

_HIDDEN = (
    "Not examined: the statements of other roles, which are hidden from this one. "
    "GRANT pg_read_all_stats TO dbopt's role shows them."
)
_COLOURS = {Severity.CRITICAL: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


@click.group()
def index() -> None:
    """Audit the indexes, advise new ones, compare the declared ones."""


index.add_command(lint_command)
index.add_command(revision)
index.add_command(plan_command)
index.add_command(apply_command)
index.add_command(runs_command)
index.add_command(rollback_command)


@index.command("audit")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def audit_command(context: Context, as_json: bool) -> None:
    """Find unused, duplicate, redundant, missing and invalid indexes.

    Exits 1 when there is a finding of severity warning or critical.

    \b
    Examples:
      dbopt index audit
      dbopt index audit --json | jq -r '.[].remedy'
    """
    with _connect(context) as connection:
        findings = audit(catalog.read(connection), context.settings.index)
    if as_json:
        print_json([finding.to_dict() for finding in findings])
    else:
        _show_findings(context, findings)
    if any(finding.severity >= Severity.WARNING for finding in findings):
        sys.exit(EXIT_FINDINGS)


@index.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--prove-with-locks",
    is_flag=True,
    help="Build each candidate in a transaction that is rolled back. Writers wait meanwhile.",
)
@click.pass_obj
def advise(context: Context, as_json: bool, prove_with_locks: bool) -> None:
    """Advise indexes for the statements that pg_stat_statements has seen.

    Without --prove-with-locks these are candidates that nothing has proven.

    \b
    Examples:
      dbopt index advise
      dbopt index advise --prove-with-locks --json     (a copy of the database, not production)
    """
    with _connect(context) as connection:
        found = _advice(context, connection, prove_with_locks)
        hidden = hides_statements(connection)
    if as_json:
        print_json([advice.to_dict() for advice in found])
    else:
        _show_advice(context, found)
    if hidden:
        click.echo(_HIDDEN, err=True)


def _connect(context: Context) -> Connection:
    server = context.settings.server
    return connect(server.dsn, timeout=server.connect_timeout)


def _advice(context: Context, connection: Connection, prove: bool) -> list[Advice]:
    snapshot = catalog.read(connection)
    queries = workload.read(connection)
    wanted = [one.definition for one in declared(context.settings)]
    if not prove:
        return advisor.suggest(queries, snapshot, wanted)
    settings = context.settings.index
    return advisor.advise(connection, queries, snapshot, wanted, settings, allow_lock=True)


def _show_findings(context: Context, findings: Sequence[Finding]) -> None:
    if not findings:
        context.console.print("No findings.")
    for finding in findings:
        colour = _COLOURS[finding.severity]
        severity = finding.severity.name.lower() if finding.examined else "not examined"
        context.console.print(
            f"[{colour}]{severity}[/] {finding.rule} [bold]{shown(finding.object)}[/]: "
            f"{shown(finding.message)}"
        )
        if finding.remedy:
            context.console.print(f"  {shown(finding.remedy)}", soft_wrap=True, style="dim")


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
