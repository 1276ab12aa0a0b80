"""`dbopt query`: what the judge says of SQL that is given to it."""

from __future__ import annotations

import click

from dbopt.cli import lintoutput
from dbopt.cli import queryoptions as options
from dbopt.cli.context import Context, print_json
from dbopt.cli.querycatalog import catalog
from dbopt.cli.queryexplain import explain
from dbopt.cli.querylint import examine
from dbopt.cli.queryscore import score
from dbopt.cli.querytext import printed, sources
from dbopt.pg.shown import printable
from dbopt.sql.fingerprint import fingerprint, fingerprint_hex, normalize
from dbopt.sql.lint import RULES, UNPARSED


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
@lintoutput.options(fail_on="info")
@click.option(
    "--prove/--no-prove", default=True, show_default=True,
    help="Check rewrites on samples of the tables, in a transaction that is rolled back.",
)  # fmt: skip
@options.literals
@click.pass_obj
def lint_command(
    context: Context,
    given: tuple[str, ...],
    dsn: str | None,
    wanted: bool | None,
    asked: lintoutput.Asked,
    prove: bool,
    literals: bool,
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
    rules = lintoutput.chosen(RULES, asked.names, asked.ignored, "dbopt query lint", (UNPARSED,))
    if asked.list_rules:
        lintoutput.list_rules(context, RULES, asked)
        return
    texts = sources(given, literals=literals)
    with catalog(context, dsn, wanted) as known:
        said = [one for text in texts for one in examine(text, rules, asked.ignored, known, prove)]
    lintoutput.show(context, said, texts, asked)
    lintoutput.leave(said, asked)


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
