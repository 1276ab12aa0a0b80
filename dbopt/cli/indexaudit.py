"""`dbopt index audit`: what is wrong with the indexes that are there."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from dbopt.cli.context import Context, print_json, shown
from dbopt.errors import EXIT_FINDINGS
from dbopt.index.audit import audit
from dbopt.pg import catalog
from dbopt.pg.connect import connect
from dbopt.sql.findings import Finding, Severity

_COLOURS = {Severity.CRITICAL: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


@click.command("audit", short_help="Find unused, duplicate, missing and invalid indexes.")
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
    server = context.settings.server
    with connect(server.dsn, timeout=server.connect_timeout) as connection:
        findings = audit(catalog.read(connection), context.settings.index)
    if as_json:
        print_json([finding.to_dict() for finding in findings])
    else:
        _show_findings(context, findings)
    if any(finding.severity >= Severity.WARNING for finding in findings):
        sys.exit(EXIT_FINDINGS)


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
