"""`dbopt query`: what the judge says of SQL that is given to it."""

from __future__ import annotations

import sys

import click

from dbopt.cli import queryoptions as options
from dbopt.cli.context import Context, print_json
from dbopt.cli.querycatalog import catalog
from dbopt.cli.queryexplain import explain
from dbopt.cli.querylint import Said, chosen, examine
from dbopt.cli.queryscore import score
from dbopt.cli.queryshow import github, rules_table, show_findings
from dbopt.cli.querytext import Source, printed, sources
from dbopt.errors import EXIT_FINDINGS, EXIT_USAGE
from dbopt.pg.shown import printable
from dbopt.sql.findings import Severity
from dbopt.sql.fingerprint import fingerprint, fingerprint_hex, normalize
from dbopt.sql.lint import RULES

_SEVERITIES = {severity.name.lower(): severity for severity in Severity}


@click.group()
def query() -> None:
    """Judge SQL: score, lint, fingerprint, explain.

    SQL is given on the command line, as a file, as a folder of .sql files, or as - for standard
    input. A database is looked at only where a DSN is set: by --dsn, the configuration or the
    environment.
    """


@click.command("lint")
@options.given
@options.dsn
@options.catalog
@click.option("--rule", "names", multiple=True, metavar="NAME", help="Only this rule; repeatable.")
@click.option("--ignore", "ignored", multiple=True, metavar="NAME", help="Not this rule.")
@click.option("--rules", "list_rules", is_flag=True, help="List the rules, and why they are.")
@click.option(
    "--prove/--no-prove", default=True, show_default=True,
    help="Check rewrites on samples of the tables, in a transaction that is rolled back.",
)  # fmt: skip
@click.option(
    "--fail-on", type=click.Choice([*_SEVERITIES, "never"]), default="info", show_default=True,
    help="The least severity for which it exits 1.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "github"]), default="text",
    show_default=True, help="github annotates a pull request.",
)  # fmt: skip
@options.literals
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.pass_obj
def lint_command(
    context: Context,
    given: tuple[str, ...],
    dsn: str | None,
    wanted: bool | None,
    names: tuple[str, ...],
    ignored: tuple[str, ...],
    list_rules: bool,
    prove: bool,
    fail_on: str,
    form: str,
    literals: bool,
    as_json: bool,
) -> None:
    """Find what is slow, unsafe or wrong in SQL, and say what to do.

    Exits 1 when there is a finding, and 2 when a text is no SQL. A comment
    `-- dbopt:ignore RULE reason` before a statement takes a finding back.

    With a database, its columns and indexes are known, and a rewrite is offered where it was
    checked: equal results on samples of the tables, and a lower planner cost.

    \b
    Examples:
      dbopt query lint "SELECT * FROM orders WHERE id NOT IN (SELECT order_id FROM refunds)"
      dbopt query lint sql/ --ignore select-star --format github
      dbopt --dsn postgresql:///app query lint report.sql
      dbopt query lint --rules
    """
    form = "json" if as_json else form
    rules = chosen(names, ignored)
    if list_rules:
        _list_rules(context, form)
        return
    texts = sources(given, literals=literals)
    with catalog(context, dsn, wanted) as known:
        said = [one for text in texts for one in examine(text, rules, ignored, known, prove)]
    _show(context, said, texts, form)
    _exit(said, fail_on)


@click.command("fingerprint")
@options.given
@options.json
@click.pass_obj
def fingerprint_command(context: Context, given: tuple[str, ...], as_json: bool) -> None:
    """Print each statement's fingerprint and its normalised text.

    Statements that differ in constants, parameters, blanks and comments alone have one
    fingerprint: the key of everything that dbopt counts.

    \b
    Examples:
      dbopt query fingerprint "SELECT * FROM orders WHERE id = 5"
      dbopt query fingerprint queries/ --json
    """
    found = [(text, one) for text in sources(given) for one in text.statements]
    if as_json:
        print_json([printed(text, one) for text, one in found])
        return
    for _, statement in found:
        digits = fingerprint_hex(fingerprint(statement.text))
        click.echo(f"{digits}  {printable(normalize(statement.text))}")


for command in (score, lint_command, fingerprint_command, explain):
    query.add_command(command)


def _list_rules(context: Context, form: str) -> None:
    if form != "json":
        context.console.print(rules_table(RULES))
        return
    names = ("name", "summary", "reason", "remedy", "needs_schema")
    print_json(
        [
            {name: getattr(rule, name) for name in names}
            | {"severity": rule.severity.name.lower(), "example": rule.fires}
            for rule in RULES
        ]
    )


def _show(context: Context, said: list[Said], texts: list[Source], form: str) -> None:
    if form == "json":
        print_json([one.to_dict() for one in said])
    elif form == "github":
        click.echo(github(said))
    else:
        show_findings(context.console, said, texts)


def _exit(said: list[Said], fail_on: str) -> None:
    if any(one.is_mistake for one in said):
        sys.exit(EXIT_USAGE)
    least = _SEVERITIES.get(fail_on)
    counted = [one.finding for one in said if one.finding.examined]
    if least is not None and any(finding.severity >= least for finding in counted):
        sys.exit(EXIT_FINDINGS)
