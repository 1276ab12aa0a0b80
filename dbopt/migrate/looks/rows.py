"""The rows: duplicates under a unique index, and values that are too long for a btree.

Each is one bounded query that only reads. What cannot be said in time is said to be not examined,
with the query to run by hand.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.estimate import key
from dbopt.migrate.looks.sight import Sight
from dbopt.migrate.sampling import SAMPLE_ROWS, sample, table_name, tried
from dbopt.migrate.steps import Step
from dbopt.pg import look
from dbopt.pg.connect import Connection
from dbopt.pg.ddl import ServerError
from dbopt.sql.findings import Finding, Severity
from dbopt.sql.indexdef import IndexDefinition, IndexKey, quote_name

DUPLICATES_TIMEOUT = 5.0
"""Seconds that the search may take: while it reads, whoever wants ACCESS EXCLUSIVE waits."""
DUPLICATES_BYTES = 1 << 30
"""Of a larger table it would not end in time, and would push others' pages out of memory."""
MAX_ROW = 2704
"""Bytes of a btree's row (a third of a page; BTMaxItemSize in nbtree.h)."""
_LONG = 2000
"""Bytes from which on a sample makes longer ones likely."""
_HEADER = 8
_NO_ANSWER = "it took too long, or this role may not read all rows"


def duplicates(connection: Connection, sight: Sight) -> Iterator[Finding]:
    """Rows that a unique index would refuse, per table that it is built on."""
    for step in sight.builds:
        table = sight.table(step)
        if not step.definition.unique or table is None:
            continue
        reason = _unfit(step.definition, table)
        found = None if reason else _exists(connection, duplicates_sql(step.definition))
        if found:
            yield _duplicated(step)
        elif found is None:
            yield _not_searched(step, reason or _NO_ANSWER)


def long_values(connection: Connection, sight: Sight) -> Iterator[Finding]:
    """Rows of a sample that are too long for a btree."""
    for step in sight.builds:
        table = sight.table(step)
        if step.definition.method != "btree" or table is None:
            continue
        longest = _longest(connection, table, step.definition)
        if longest > _LONG:
            yield _long(step, longest)


def duplicates_sql(definition: IndexDefinition) -> str:
    """The query for rows that are not unique as the index has it, with their number.

    NULLs are distinct unless the index says NULLS NOT DISTINCT; GROUP BY holds them for equal.
    It groups by the keys' numbers, since a key may be a constant, `((true))`: one row in all.
    """
    keys = [_value(key) for key in definition.keys]
    conditions = [f"({definition.predicate})"] if definition.predicate else []
    if not definition.nulls_not_distinct:
        conditions += [f"{key} IS NOT NULL" for key in keys]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    numbers = ", ".join(str(number) for number in range(1, len(keys) + 1))
    table = f"{quote_name(definition.schema)}.{quote_name(definition.table)}"
    return (
        f"SELECT {', '.join(keys)}, count(*) "  # noqa: S608 - quoted, or the operator's own
        f"FROM ONLY {table}{where} GROUP BY {numbers} HAVING count(*) > 1"
    )


def _value(key: IndexKey) -> str:
    value = quote_name(key.expression) if key.is_column else f"({key.expression})"
    return f"({value} COLLATE {key.collation})" if key.collation else value


def _unfit(definition: IndexDefinition, table: look.Table) -> str:
    """Why the query would not tell, or not in time; "" where it would."""
    if table.locked:
        return "somebody has locked the table"
    if table.size_bytes > DUPLICATES_BYTES:
        return f"the table has more than {DUPLICATES_BYTES >> 30} GiB"
    classes = [key.opclass for key in definition.keys if key.opclass]
    if any(not name.split(".")[-1].endswith("pattern_ops") for name in classes):
        return "its operator class may hold other values for equal than GROUP BY does"
    return ""


def _exists(connection: Connection, text: str) -> bool | None:
    """Whether the query has a row; None where it did not end."""
    try:
        with connection.transaction(force_rollback=True):
            look.bound(connection, DUPLICATES_TIMEOUT)
            # Behind a policy of row security not all rows would be seen: then it is an error.
            connection.execute("SET LOCAL row_security = off")
            return bool(look.run(connection, f"{text} LIMIT 1"))
    except ServerError:
        if connection.broken:
            raise
        return None


def _longest(connection: Connection, table: look.Table, definition: IndexDefinition) -> int:
    """Bytes of the longest of some rows, as they are stored; 0 where it cannot be said."""
    names = [
        quote_name(key.expression) if key.is_column else f"({key.expression})"
        for key in definition.keys
    ]
    names += [quote_name(name) for name in definition.include]
    total = " + ".join(f"coalesce(pg_column_size({name}), 0)" for name in names)
    where = f" WHERE {definition.predicate}" if definition.predicate else ""
    text = (
        f"SELECT max(s.size) AS longest FROM (SELECT {total} AS size "  # noqa: S608 - as above
        f"FROM ONLY {table_name(table)} {sample(table)}{where} LIMIT {SAMPLE_ROWS}) AS s"
    )
    rows = tried(connection, table, text)
    return int(rows[0]["longest"] or 0) if rows else 0


def _duplicated(step: Step) -> Finding:
    return Finding(
        "duplicates",
        Severity.CRITICAL,
        key(step.definition),
        f"The index is unique, and rows of {step.definition.table} are not.",
        {"sql": duplicates_sql(step.definition)},
        f"Merge what this shows: {duplicates_sql(step.definition)};",
    )


def _not_searched(step: Step, reason: str) -> Finding:
    return Finding(
        "duplicates",
        Severity.INFO,
        key(step.definition),
        f"Whether rows of {step.definition.table} are unique was not examined: {reason}.",
        {"sql": duplicates_sql(step.definition), "reason": reason},
        f"Where nobody waits: {duplicates_sql(step.definition)};",
        examined=False,
    )


def _long(step: Step, longest: int) -> Finding:
    fails = longest > MAX_ROW - _HEADER
    verb = "would fail" if fails else "fails at the first that is longer"
    return Finding(
        "long-values",
        Severity.CRITICAL if fails else Severity.WARNING,
        key(step.definition),
        f"Rows of {step.definition.table} have keys of {longest} bytes, and a btree takes "
        f"{MAX_ROW}: the build {verb}.",
        {"longest_bytes": longest, "limit_bytes": MAX_ROW},
        "Index an expression such as md5(column) or left(column, 200), or use another method.",
    )
