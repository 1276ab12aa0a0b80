"""The Shape of an index that is not there yet, asked of the server: its rows, its keys' widths."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from dbopt.migrate.sizes import PAGE, Key, Shape
from dbopt.pg import look
from dbopt.pg.connect import Connection, Row
from dbopt.pg.ddl import ServerError
from dbopt.sql.indexdef import IndexDefinition, IndexKey, quote_name

SAMPLE_PAGES = 100
SAMPLE_ROWS = 2000
"""What is read of a table for what the statistics do not tell."""

_UNKNOWN = 32.0
"""Bytes of a value of varying length of which nothing is known, as the planner has it
(get_typavgwidth in src/backend/utils/cache/lsyscache.c)."""

_ELEMENTS = {
    "tsvector": "length({})",
    "jsonb": "(SELECT count(*) FROM jsonb_path_query({}, 'strict $.**') WHERE true)",
    "text": "length({}) + 1",
    "varchar": "length({}) + 1",
    "hstore": "2 * array_length(akeys({}), 1)",
}
"""How many entries GIN makes of a value; of text three letters each (pg_trgm)."""
_ARRAY = "cardinality({})"

_SAMPLE = """
SELECT count(*)::float8 AS rows, coalesce(avg(s.w), {unknown})::float8 AS width,
       coalesce(avg(s.e), 1)::float8 AS elements,
       count(*) FILTER (WHERE s.k IS NULL)::float8 AS nulls,
       count(DISTINCT s.k)::float8 AS found,
       coalesce(max(s.length), -1) AS length,
       count(*) FILTER (WHERE s.k IS NOT NULL AND s.n = 1)::float8 AS once
  FROM (SELECT r.w, r.e, r.k, t.typlen::integer AS length,
               count(*) OVER (PARTITION BY r.k) AS n
          FROM (SELECT pg_column_size(v.v) AS w, {elements} AS e, md5(v.v::text) AS k,
                       pg_typeof(v.v) AS type
                  FROM (SELECT {expression} AS v FROM ONLY {table} {sample}) AS v
                 LIMIT {limit}) AS r
          JOIN pg_type t ON t.oid = r.type) AS s
"""


def shape(connection: Connection, table: look.Table, definition: IndexDefinition) -> Shape:
    """The Shape of `definition` on that table. Asks for no lock that anybody waits behind.

    Call it in a transaction; what the server refuses is guessed. Raises when the server is lost.
    """
    rows = _rows(connection, table, definition.predicate)
    columns = look.columns(connection, table)
    keys = [_key(connection, table, definition, key, columns, rows) for key in definition.keys]
    keys += [_column_key(columns[name], rows) for name in definition.include if name in columns]
    storage = dict(definition.storage)
    return Shape(
        method=definition.method,
        rows=rows,
        keys=tuple(keys),
        heap_bytes=table.size_bytes,
        fill=float(storage.get("fillfactor", 0)) / 100,
        includes=bool(definition.include),
        dedups=storage.get("deduplicate_items", "on") not in ("off", "false", "0"),
    )


def _rows(connection: Connection, table: look.Table, predicate: str) -> float:
    """The planner's own estimate of the rows that the predicate takes."""
    # Names are quoted, and a predicate is the operator's own code.
    text = f"EXPLAIN (FORMAT JSON) SELECT 1 FROM ONLY {table_name(table)}"  # noqa: S608
    rows = _tried(connection, f"{text} WHERE {predicate}" if predicate else text)
    if not rows:
        return table.rows
    plan: Any = next(iter(rows[0].values()))
    plan = json.loads(plan) if isinstance(plan, str) else plan
    return float(plan[0]["Plan"]["Plan Rows"])


def _key(
    connection: Connection,
    table: look.Table,
    definition: IndexDefinition,
    key: IndexKey,
    columns: Mapping[str, look.Column],
    rows: float,
) -> Key:
    column = columns.get(key.expression) if key.is_column else None
    if column is None:
        return _sampled(connection, table, f"({key.expression})", None, rows)
    counted = definition.method != "gin" or column.elements is not None
    if column.width is None or not counted:
        return _sampled(connection, table, quote_name(column.name), column, rows)
    found = _column_key(column, rows)
    # The rows that the predicate takes have a value then, whatever the table's share of nulls is.
    present = re.escape(quote_name(column.name)) + r" IS NOT NULL"
    if definition.predicate and re.search(present, definition.predicate):
        return Key(found.width, found.length, found.alignment, 0.0, found.distinct,
                   found.elements, found.dedups)  # fmt: skip
    return found


def _column_key(column: look.Column, rows: float) -> Key:
    fixed = float(column.length) if column.length > 0 else _UNKNOWN
    distinct = column.n_distinct or 0.0
    return Key(
        width=fixed if column.width is None or column.length > 0 else column.width,
        length=column.length,
        alignment=column.alignment,
        null_share=column.null_share or 0.0,
        # Of what no ANALYZE has seen each value is another: the index is rather too large then.
        distinct=-distinct * rows if distinct < 0 else distinct or rows,
        elements=column.elements or 1.0,
        dedups=column.dedups,
    )


def _sampled(
    connection: Connection,
    table: look.Table,
    expression: str,
    column: look.Column | None,
    rows: float,
) -> Key:
    text = _SAMPLE.format(
        unknown=_UNKNOWN,
        elements=_elements(column),
        expression=expression,
        table=table_name(table),
        sample=sample(table),
        limit=SAMPLE_ROWS,
    )
    found = _tried(connection, text)
    if not found or not found[0]["rows"]:
        return _column_key(column, rows) if column else Key(_UNKNOWN, distinct=rows)
    one = found[0]
    return Key(
        width=_stored(one, column),
        length=one["length"],
        alignment=column.alignment if column else "i",
        null_share=one["nulls"] / one["rows"],
        distinct=_distinct(one, rows),
        elements=one["elements"],
        dedups=column.dedups if column else True,
    )


def _stored(one: Row, column: look.Column | None) -> float:
    """Mean bytes in an index: what was computed has a header of 4 bytes, and gets one of 1."""
    computed = column is None and one["length"] < 0 and one["width"] < 130
    return float(one["width"]) - (3 if computed else 0)


def _elements(column: look.Column | None) -> str:
    if column is None:
        return "1"
    if column.type.startswith("_"):
        return _ARRAY.format("v.v")
    return _ELEMENTS.get(column.type, "1").format("v.v")


def sample(table: look.Table) -> str:
    """TABLESAMPLE for some SAMPLE_PAGES pages; "" for a table that has no more."""
    pages = table.size_bytes / PAGE
    if pages <= SAMPLE_PAGES:
        return ""
    return f"TABLESAMPLE SYSTEM ({100 * SAMPLE_PAGES / pages:.6f}) REPEATABLE (1)"


def _distinct(sample: Row, rows: float) -> float:
    """Distinct values of all rows from those of a sample: Duj1 of Haas and Stokes, "Estimating
    the number of classes in a finite population", 1998, as ANALYZE does it."""
    n, found, once = sample["rows"] - sample["nulls"], sample["found"], sample["once"]
    if not n or rows <= n:
        return float(found)
    return float(n * found / (n - once + once * n / rows))


def _tried(connection: Connection, text: str) -> list[Row]:
    """The rows, none where the server refuses: a type without such a function, a lock."""
    try:
        with connection.transaction():
            return look.run(connection, text)
    except ServerError:
        if connection.broken:
            raise
        return []


def table_name(table: look.Table) -> str:
    """The table as SQL."""
    return f"{quote_name(table.schema)}.{quote_name(table.name)}"
