"""`dbopt check`: is the server well?"""

from __future__ import annotations

import asyncio
import sys
from typing import NoReturn

import click
from rich.padding import Padding

from dbopt.check import nagios, render
from dbopt.check.rule import Rule
from dbopt.check.run import Outcome, choose
from dbopt.check.run import check as run
from dbopt.cli.context import Context, print_json
from dbopt.errors import EXIT_FINDINGS, DboptError, UsageError
from dbopt.sql.findings import Severity


@click.command(short_help="Check the health of the server and the database.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--nagios", "as_nagios", is_flag=True, help="Print one line; exit 0, 1, 2 or 3.")
@click.option("--only", metavar="RULE,…", default="", help="Only these checks.")
@click.option("--skip", metavar="RULE,…", default="", help="All but these checks.")
@click.option("--all-databases", is_flag=True, help="Also the server's other databases.")
@click.option("--list", "as_list", is_flag=True, help="Show the checks, and run none.")
@click.option("--markdown", "as_markdown", is_flag=True, help="With --list: print Markdown.")
@click.pass_obj
def check(
    context: Context,
    as_json: bool,
    as_nagios: bool,
    only: str,
    skip: str,
    all_databases: bool,
    as_list: bool,
    as_markdown: bool,
) -> None:
    """Check the health of the server and the database.

    It only reads, waits for no lock, and says of what it cannot see how it could. Thresholds, and
    what to ignore, are settings of [check]. Exits 1 when there is a finding of severity warning
    or critical. With --nagios: 0 fine, 1 warning, 2 critical, 3 could not look.

    \b
    Examples:
      dbopt check
      dbopt check --only blocking-locks,idle-in-transaction
      dbopt check --nagios --skip public-create
      dbopt check --list
    """
    if as_nagios and (as_json or as_list):
        raise UsageError("--nagios goes with neither --json nor --list.")
    if as_markdown and not as_list:
        raise UsageError("--markdown is for --list.")
    if as_nagios:
        _as_nagios(context, only, skip, all_databases)
    rules = choose(_words(only), _words(skip))
    if as_list:
        _show_rules(context, rules, as_json, as_markdown)
        return
    outcome = _look(context, rules, all_databases)
    if as_json:
        print_json(outcome.to_dict())
    else:
        context.console.print(render.terminal(outcome))
    if (outcome.worst or 0) >= Severity.WARNING:
        sys.exit(EXIT_FINDINGS)


def _words(given: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in given.split(",") if word.strip())


def _show_rules(
    context: Context, rules: tuple[Rule, ...], as_json: bool, as_markdown: bool
) -> None:
    if as_json:
        print_json(render.to_list(rules))
    elif as_markdown:
        click.echo(render.markdown(rules), nl=False)
    else:
        context.console.print(Padding(render.listed(rules), 0))


def _look(context: Context, rules: tuple[Rule, ...], all_databases: bool) -> Outcome:
    settings = context.settings
    return asyncio.run(
        run(
            settings.server.dsn,
            settings.check,
            rules,
            all_databases=all_databases,
            connect_timeout=settings.server.connect_timeout,
            statement_timeout=settings.stats.statement_timeout,
        )
    )


def _as_nagios(context: Context, only: str, skip: str, all_databases: bool) -> NoReturn:
    """Whatever happens is one line and a plugin's exit code: also a wrong name, which is no 2."""
    try:
        outcome = _look(context, choose(_words(only), _words(skip)), all_databases)
    except DboptError as error:
        click.echo(nagios.unknown(str(error)))
        sys.exit(nagios.UNKNOWN)
    click.echo(nagios.line(outcome))
    sys.exit(nagios.code(outcome))
