"""`dbopt migrate lint`: what is risky in migrations, in SQL files and in Alembic's revisions."""

from __future__ import annotations

from pathlib import Path

import click

from dbopt.cli import lintoutput
from dbopt.cli.context import Context
from dbopt.cli.migratetexts import Linter, Revisions, files, lint_files, lint_revisions
from dbopt.cli.queryoptions import literals
from dbopt.cli.querytext import Source
from dbopt.errors import UsageError
from dbopt.sql.migration.lint import RULES, aliases
from dbopt.sql.migration.support import Rule

_COMMAND = "dbopt migrate lint"
OLDEST, NEWEST, USUAL = 10, 19, 18
"""Major versions of PostgreSQL."""


@click.command("lint", short_help="Find what blocks, breaks or loses data in migrations.")
@click.argument("given", metavar="[FILE|FOLDER|-]...", nargs=-1)
@click.option(
    "--alembic", "environment", type=click.Path(path_type=Path),
    metavar="alembic.ini|FOLDER", help="Lint the revisions of this Alembic environment.",
)  # fmt: skip
@click.option(
    "--range", "chosen", metavar="BASE:HEAD",
    help="Only the revisions after BASE up to HEAD.  [default: all]",
)  # fmt: skip
@click.option("-x", "arguments", multiple=True, metavar="ARG", help="As `alembic -x`; repeatable.")
@click.option(
    "-n", "--name", "section", help="The alembic.ini's section, as `alembic --name`.",
)  # fmt: skip
@click.option(
    "--since", metavar="REV",
    help="Only files that have changed since the merge base with this Git revision.",
)  # fmt: skip
@click.option(
    "--pg-version", type=click.IntRange(OLDEST, NEWEST), default=USUAL, show_default=True,
    help="PostgreSQL's major version: what is slow in one is instant in another.",
)  # fmt: skip
@click.option(
    "--no-transaction", is_flag=True,
    help="SQL files are not run in a transaction each, as psql without -1 does.",
)  # fmt: skip
@click.option(
    "--include", "included", multiple=True, metavar="NAME",
    help="A rule too that is off by default; repeatable.",
)  # fmt: skip
@literals
@lintoutput.options(fail_on="warning")
@click.pass_obj
def lint_command(
    context: Context,
    given: tuple[str, ...],
    environment: Path | None,
    chosen: str | None,
    arguments: tuple[str, ...],
    section: str | None,
    since: str | None,
    pg_version: int,
    no_transaction: bool,
    included: tuple[str, ...],
    literals: bool,
    asked: lintoutput.Asked,
) -> None:
    """Find what blocks, breaks or loses data in migrations, before they are run.

    It reads SQL files, each a text of its own, and Alembic's revisions, whose SQL is rendered
    offline, one by one; without either, dbopt's own revisions. It never connects to a database.
    Exits 1 for findings, and 2 for what cannot be read. What is of severity info is told briefly,
    and once, but with --fail-on info.

    A comment takes a finding back, and says why: `-- dbopt:ignore RULE reason` in SQL,
    `# dbopt:ignore RULE reason` in a revision's Python.

    \b
    Examples:
      dbopt migrate lint db/migrations/
      dbopt migrate lint --alembic alembic.ini --range 3f1a:heads
      dbopt migrate lint db/migrations/ --since origin/main --format github
      dbopt migrate lint --rules
    """
    rules = _chosen(asked, included)
    if asked.list_rules:
        lintoutput.list_rules(context, RULES, asked)
        return
    if environment is None:
        _refuse_unused(chosen if given else None, arguments, section)
    linter = Linter(rules, pg_version, not no_transaction, literals)
    texts: list[Source] = files(given, since, literals=literals) if given else []
    said = lint_files(linter, texts)
    if environment is not None or not given:
        wanted = Revisions(environment, chosen or "", arguments, section or "", since)
        rendered, found = lint_revisions(linter, wanted, context.settings)
        texts += rendered
        said += found
    lintoutput.show(context, said, texts, asked, fold=True)
    lintoutput.leave(said, asked)


def _refuse_unused(chosen: str | None, arguments: tuple[str, ...], section: str | None) -> None:
    """What is said of an environment that nobody has named."""
    for option, value in (("--range", chosen), ("-x", arguments), ("--name", section)):
        if value:
            raise UsageError(f"{option} is of Alembic's revisions.", hint="Give --alembic too.")


def _chosen(asked: lintoutput.Asked, included: tuple[str, ...]) -> tuple[Rule, ...]:
    """The rules that are asked for, by our names or by squawk's; without any, the usual ones."""
    known = lintoutput.chosen(RULES, _ours(asked.names), _ours(asked.ignored), _COMMAND)
    also = lintoutput.chosen(RULES, _ours(included), (), _COMMAND) if included else ()
    if asked.names:
        return known
    return tuple(rule for rule in known if rule.default or rule in also)


def _ours(names: tuple[str, ...]) -> list[str]:
    others = aliases()
    return [found for name in names for found in others.get(name, [name])]
