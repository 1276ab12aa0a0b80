"""`dbopt index declare`: write the indexes that a database has as declarations, to begin with."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

import click

from dbopt.cli.context import Context, print_json, shown
from dbopt.errors import UsageError
from dbopt.migrate.declared import Declared, read
from dbopt.pg import catalog, ddl
from dbopt.pg.catalog import Index
from dbopt.pg.connect import Connection, connect
from dbopt.pg.refusal import translated


@click.command("declare", short_help="Write what the database has as declarations, to begin with.")
@click.option(
    "--only", multiple=True, metavar="NAME|TABLE", help="Only this index or table; repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def declare(context: Context, only: tuple[str, ...], as_json: bool) -> None:
    """Write the indexes that the database has into indexes/*.sql, one file a table.

    Valid ones alone, and none that is a constraint's, an extension's or a part of a partitioned
    table's index. Tables that have a declaration are left alone, so it may be run again. It
    changes nothing in the database: `dbopt index plan` has nothing to do afterwards.

    \b
    Examples:
      dbopt index declare
      dbopt index declare --only orders --only shop.users

    --json: [{"file", "indexes": [names]}].
    """
    directory = Path(context.settings.index.directory)
    declared = read(directory) if directory.is_dir() else []
    server = context.settings.server
    with connect(server.dsn, timeout=server.connect_timeout) as connection:
        here = catalog.read(connection)
        taken = _tables(connection, declared)
    _check(only, here.indexes)
    found = [one for one in here.indexes if _is_plain(one) and _is_asked(one, only)]
    files = _files(one for one in found if one.table_oid not in taken)
    _write(directory, files)
    if as_json:
        print_json(
            [
                {"file": str(directory / name), "indexes": [one.name for one in indexes]}
                for name, indexes in files.items()
            ]
        )
        return
    for name, indexes in files.items():
        names = ", ".join(one.name for one in indexes)
        context.console.print(shown(f"Wrote {directory / name}: {names}"), soft_wrap=True)
    if not files:
        context.console.print(
            "Nothing to declare: every table with indexes of its own has declarations."
        )


def _tables(connection: Connection, declared: Iterable[Declared]) -> set[int]:
    """The oids of the tables that have a declaration: two schemas may have one of the same name."""
    tables = {(one.definition.schema, one.definition.table): one.definition for one in declared}
    with translated("Looking for the declared tables"):
        rows = [ddl.resolve(connection, definition) for definition in tables.values()]
    return {row["oid"] for row in rows if row is not None}


def _check(only: Iterable[str], indexes: Iterable[Index]) -> None:
    """Raise UsageError for a word that names no index, and no table with one."""
    known = set[str]().union(*map(_names, indexes))
    for word in only:
        if word not in known:
            near = difflib.get_close_matches(word, known, n=1)
            raise UsageError(
                f"--only {word}: no index, and no table with one, is called so.",
                hint=f"Did you mean {near[0]}?" if near else "",
            )


def _is_plain(index: Index) -> bool:
    part = index.constraint or index.extension or index.parent is not None
    return index.valid and not part


def _is_asked(index: Index, only: Collection[str]) -> bool:
    return not only or not _names(index).isdisjoint(only)


def _names(index: Index) -> set[str]:
    of = index.definition
    return {index.name, str(index), of.table, f"{of.schema}.{of.table}"}


def _files(indexes: Iterable[Index]) -> dict[str, list[Index]]:
    """By file: the table's name, with the schema where that is not public."""
    found: defaultdict[str, list[Index]] = defaultdict(list)
    for index in indexes:
        of = index.definition
        table = of.table if of.schema == "public" else f"{of.schema}.{of.table}"
        found[re.sub(r"[^\w.-]", "_", table) + ".sql"].append(index)
    return dict(sorted(found.items()))


def _write(directory: Path, files: dict[str, list[Index]]) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, indexes in files.items():
            statements = (one.definition.create_sql(concurrently=False) for one in indexes)
            # A file that is there has no declaration of this table: what it has is kept.
            with (directory / name).open("a", encoding="utf-8") as file:
                file.writelines(f"{statement};\n" for statement in statements)
    except OSError as error:
        raise UsageError(
            f"{error.filename}: cannot be written: {error.strerror}.",
            hint="Correct index.directory, or make it writable.",
        ) from None
