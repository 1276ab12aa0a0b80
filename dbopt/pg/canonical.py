"""Declared indexes as this server would store them: the server itself is asked.

Two texts of one index need not look alike (`mail = 'x'` is stored as `mail = 'x'::text`, or as
`mail = 'x'::citext` by the column's type), so a declaration is compared in the server's own words.
They are got from an empty temporary copy of the table's columns, which is rolled back.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from psycopg import Error as ServerError
from psycopg import errors, sql

from dbopt.errors import DboptError, MigrationError, ServerLost, TableLocked
from dbopt.pg import catalog
from dbopt.pg.connect import Connection, Row
from dbopt.pg.ddl import create, is_lost, resolve
from dbopt.pg.refusal import translate
from dbopt.pg.sqlfile import statement
from dbopt.sql.indexdef import IndexDefinition

Answer = IndexDefinition | DboptError

_PROBE = "dbopt_probe"


def canonical(connection: Connection, definition: IndexDefinition) -> IndexDefinition:
    """The definition as this server would store it: its schema resolved, its expressions and
    predicate written as the server writes them, so that two texts compare by meaning.

    Raises MigrationError where there is no such table, where it is a view or the like, or the
    server refuses the definition: so it does a unique one that lacks columns of a partition key.
    Raises ServerLost. Needs the TEMPORARY privilege, and SELECT on the table.
    """
    answer = said(connection, [definition])[0] or canonicals(connection, [definition])[0]
    if isinstance(answer, DboptError):
        raise answer
    return answer


def canonicals(connection: Connection, definitions: Sequence[IndexDefinition]) -> list[Answer]:
    """`canonical` of several of one table, which are asked about together: for each, in order, the
    definition or the error. The server is asked about each; `said` knows those that are there.

    All name their table in the same way. Raises ServerLost.
    """
    row = resolve(connection, definitions[0])
    if row is None or row["unfit"]:
        return [_not_there(one) if row is None else _unfit(one, row) for one in definitions]
    known = [replace(one, schema=row["schema"]) for one in definitions]
    try:
        with connection.transaction(force_rollback=True):
            # LIKE locks the table, if weakly: a plan must not hang behind who has locked it all.
            connection.execute(f"SET LOCAL lock_timeout = {round(catalog.LOCK_TIMEOUT * 1000)}")
            return _asked(connection, row, known)
    except errors.LockNotAvailable as error:
        holders = catalog.holders(connection, [(row["schema"], definitions[0].table)])
        return [_locked(one, holders) if holders else _refused(one, error) for one in known]
    except ServerError as error:
        return [_refused(one, error) for one in known]


def said(
    connection: Connection, definitions: Sequence[IndexDefinition]
) -> list[IndexDefinition | None]:
    """Those that are there already in the same words, of many tables at once; None for the others.

    Two questions, however many they are: a deploy that has nothing to do asks no more. Where it
    cannot be told (somebody has locked a table), all are None, and `canonicals` says why. Raises
    ServerLost.
    """
    tables = sorted({(one.schema, one.table) for one in definitions})
    schemas, names = [schema for schema, _ in tables], [name for _, name in tables]
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(f"SET LOCAL lock_timeout = {round(catalog.LOCK_TIMEOUT * 1000)}")
            rows = connection.execute(
                statement("index_resolve_tables"), {"schemas": schemas, "names": names}
            ).fetchall()
            found = catalog.indexes(connection, [row["oid"] for row in rows])
    except ServerError as error:
        if is_lost(error):
            raise translate("Reading the declared tables", error) from None
        return [None] * len(definitions)
    there = {(row["given"], row["table"]): row for row in rows}
    of_table: defaultdict[int, list[catalog.Index]] = defaultdict(list)
    for index in found:
        of_table[index.table_oid].append(index)
    return [
        _said(replace(one, schema=row["schema"]), of_table[row["oid"]])
        if (row := there.get((one.schema, one.table)))
        else None
        for one in definitions
    ]


def _said(one: IndexDefinition, there: Iterable[catalog.Index]) -> IndexDefinition | None:
    """The definition, where an index is there in these very words: so the server writes it."""
    for index in there:
        found = index.definition
        if found.unique and index.partitioned and not index.valid:
            continue  # made ON ONLY it, perhaps: a partition's own key may forbid it
        if one.storage in ((), found.storage) and one.says(found):
            return replace(found, name=one.name, storage=one.storage, tablespace=one.tablespace)
    return None


def _asked(
    connection: Connection, table: Row, definitions: Sequence[IndexDefinition]
) -> list[Answer]:
    """What the server makes of these. Leaves its copy of the table to be rolled back."""
    refused = [_left_out(connection, table, one) for one in definitions]
    oid = _copy(connection, table, definitions[0])
    for number, one in enumerate(definitions):
        refused[number] = refused[number] or _tried(connection, one, f"{_PROBE}_{number}")
    stored = {one.name: one.definition for one in catalog.indexes(connection, [oid])}
    return [
        refused[number] or _own(stored[f"{_PROBE}_{number}"], one)
        for number, one in enumerate(definitions)
    ]


def _own(stored: IndexDefinition, one: IndexDefinition) -> IndexDefinition:
    """What was stored of the copy, as the table's own."""
    return replace(
        stored,
        name=one.name,
        schema=one.schema,
        table=one.table,
        # Where none is named, the copy's index lies in one of temp_tablespaces.
        tablespace=stored.tablespace if one.tablespace else "",
    )


def _copy(connection: Connection, table: Row, one: IndexDefinition, by: str = "") -> int:
    """The oid of a temporary copy of the table's columns, perhaps partitioned by a key.

    It has the table's name, since an expression may say `users.mail`.
    """
    make = sql.SQL("CREATE TEMPORARY TABLE {} (LIKE {})").format(
        sql.Identifier(one.table), sql.Identifier(table["schema"], one.table)
    )
    partitioned = sql.SQL(f" PARTITION BY {by}" if by else "")  # the server's own text of it
    connection.execute(make + partitioned)
    row = connection.execute(
        sql.SQL("SELECT {}::regclass::oid::bigint AS oid").format(
            sql.Literal(sql.Identifier("pg_temp", one.table).as_string(connection))
        )
    ).fetchone()
    return int(row["oid"]) if row else 0


def _tried(connection: Connection, one: IndexDefinition, name: str) -> DboptError | None:
    """Make the index on the copy; why it cannot be made."""
    try:
        with connection.transaction():
            create(connection, replace(one, name=name, schema="pg_temp"), concurrently=False)
    except ServerError as error:
        return _refused(one, error)
    return None


def _left_out(connection: Connection, table: Row, one: IndexDefinition) -> DboptError | None:
    """The error of a unique index that does not hold the partition key of every level; the server
    looks only where the table that it is made on is partitioned.
    """
    for key in table["partition_keys"] if one.unique else ():
        try:
            with connection.transaction(force_rollback=True):
                _copy(connection, table, one, key)
                probe = replace(one, name=_PROBE, schema="pg_temp")
                create(connection, probe, concurrently=False)
        except errors.FeatureNotSupported:
            return MigrationError(
                f'The unique index "{one.name}" does not hold the partition key of '
                f"{one.table}, or of one of its partitions: {key}.",
                hint="Add its columns to the index, or declare the index on each partition.",
            )
        except ServerError as error:
            return _refused(one, error)
    return None


def _not_there(one: IndexDefinition) -> MigrationError:
    return MigrationError(
        f'The table {one.table} of index "{one.name}" is not in this database.',
        hint="Create the table first, or take the index out of the declared ones.",
    )


def _unfit(one: IndexDefinition, row: Row) -> MigrationError:
    return MigrationError(
        f'Index "{one.name}" cannot be: {one.table} is a {row["unfit"]}.',
        hint="Only tables and materialized views have indexes that dbopt looks after.",
    )


def _locked(one: IndexDefinition, holders: str) -> TableLocked:
    return TableLocked(
        f'The index "{one.name}" could not be looked at for {catalog.LOCK_TIMEOUT:g} s: {holders} '
        "(ACCESS EXCLUSIVE).",
        hint="Wait for it to end, or end it, and run again.",
    )


def _takes_row(one: IndexDefinition) -> bool:
    """Whether a function of it seems to take the table's whole row, as in `full_name(people)`."""
    row = rf"\b{re.escape(one.table)}\s*(?:\.\s*\*\s*)?[,)]"
    return re.search(row, one.create_sql(), re.IGNORECASE) is not None


def _refused(one: IndexDefinition, error: ServerError) -> DboptError:
    """Why the server does not take a definition. Raises ServerLost: that is not to blame on it."""
    answer = translate(f'Making the index "{one.name}" on {one.table}', error)
    if isinstance(answer, ServerLost):
        raise answer from None
    if isinstance(error, errors.InsufficientPrivilege):
        hint = (
            "It is tried on a temporary copy of the table's columns: dbopt's role needs TEMPORARY "
            "on the database and SELECT on the table."
        )
    elif isinstance(error, errors.UndefinedFunction) and _takes_row(one):
        hint = (
            f"A function of the whole row is not found for the temporary copy of {one.table} on "
            "which it is tried: leave such an index out; dbopt drops none that it does not manage."
        )
    else:
        hint = answer.hint or "`dbopt index lint --with-database` checks its columns."
    return MigrationError(answer.message, hint=hint)
