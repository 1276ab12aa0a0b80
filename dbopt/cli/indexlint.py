"""`dbopt index lint`: what is wrong with the declared indexes, before anything is built."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from dbopt.cli import lintoutput
from dbopt.cli.context import Context
from dbopt.cli.querycatalog import catalog
from dbopt.cli.querylint import SYNTAX, Place, Said, offset_of
from dbopt.cli.querytext import Source
from dbopt.errors import ConfigError, UsageError
from dbopt.migrate.indexlint import RULES, Looked, Mistake, lint_declared, read_declared
from dbopt.migrate.indexrules.support import pattern_for
from dbopt.sql.findings import Finding, Severity
from dbopt.sql.schema import Schema

_COMMAND = "dbopt index lint"


@click.command("lint", short_help="Find what is wrong with the declarations.")
@click.argument("given", metavar="[FILE|FOLDER]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--dsn", help="The database to look at: as `dbopt --dsn`.")
@click.option(
    "--with-database", is_flag=True,
    help="Ask the configured database too: columns, types, constraints, how many values.",
)  # fmt: skip
@lintoutput.options(fail_on="warning")
@click.pass_obj
def lint_command(
    context: Context,
    given: tuple[Path, ...],
    dsn: str | None,
    with_database: bool,
    asked: lintoutput.Asked,
) -> None:
    """Find what is wrong with the declared indexes, before any is built.

    It reads the files of index.directory, or those that are given. A database is looked at only
    with --dsn or --with-database. Exits 1 for findings, and 2 for what cannot be read. A comment
    `-- dbopt:ignore RULE reason` above a declaration takes a finding back. What is of severity
    info is told briefly, and once, but with --fail-on info.

    \b
    Examples:
      dbopt index lint
      dbopt index lint indexes/users.sql --format github
      dbopt --dsn postgresql:///app index lint --with-database --fail-on info
      dbopt index lint --rules
    """
    rules = lintoutput.chosen(RULES, asked.names, asked.ignored, _COMMAND)
    if asked.list_rules:
        lintoutput.list_rules(context, RULES, asked)
        return
    entries, texts, mistakes = read_declared(_paths(context, given))
    schema = _schema(context, dsn, with_database)
    today = datetime.now(UTC).date()
    looked = Looked(tuple(entries), texts, today, _pattern(context), schema)
    # The files are the declared indexes alone, which the operator has written to be read.
    sources = {file: Source(text, file, typed=True) for file, text in texts.items()}
    said = [_mistaken(sources[one.file], one) for one in mistakes]
    said += [
        Said(Source(""), finding)
        if entry is None
        else Said(sources[entry.file], finding, _place(sources[entry.file], finding))
        for entry, finding in lint_declared(looked, rules)
    ]
    lintoutput.show(context, said, list(sources.values()), asked, fold=True)
    lintoutput.leave(said, asked)


def _paths(context: Context, given: Sequence[Path]) -> list[Path]:
    paths = list(given) or [Path(context.settings.index.directory)]
    for path in paths:
        if not path.exists():
            hint = "" if given else "Correct index.directory, or name the files."
            raise UsageError(f"{path}: there is no such file or folder.", hint=hint)
    return paths


def _schema(context: Context, dsn: str | None, with_database: bool) -> Schema | None:
    with catalog(context, dsn, wanted=bool(dsn) or with_database) as known:
        return known.schema if known is not None else None


def _pattern(context: Context) -> str:
    pattern = context.settings.migrate.index_names
    try:
        pattern_for(pattern, "")
    except re.error as error:
        raise ConfigError(
            f"migrate.index_names: is no regular expression: {error}.",
            hint="For example {table}_.*_(idx|key).",
        ) from None
    return pattern


def _place(source: Source, finding: Finding) -> Place:
    found = finding.evidence
    start = offset_of(source.text, found["line"], found["column"])
    return Place(start, offset_of(source.text, found["end_line"], found["end_column"]))


def _mistaken(source: Source, mistake: Mistake) -> Said:
    line, column = mistake.line, mistake.column
    evidence = {"line": line, "column": column}
    where = f"{line}:{column}"
    message, remedy = mistake.message, mistake.hint
    finding = Finding(SYNTAX, Severity.CRITICAL, where, message, evidence, remedy)
    place = Place(offset_of(source.text, line, column)) if source.text else None
    return Said(source, finding, place)
