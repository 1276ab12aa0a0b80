"""What an index of documents makes of its values: elements, from a sample of a few pages."""

from __future__ import annotations

from typing import Any

from dbopt.migrate.sampling import distinct, sample, table_name, tried
from dbopt.pg import look
from dbopt.pg.connect import Connection, Row

SAMPLE_ROWS = 300
"""Documents may be long: a sample has fewer of them."""

_UNNEST = "SELECT '' AS s, u.x::text AS x FROM unnest({}) AS u (x)"
_TEXT = _UNNEST.format(
    "ARRAY(SELECT substr('  ' || lower(v.v) || ' ', i, 3)"
    " FROM generate_series(1, length(v.v) + 1) AS i)"
)
_OBJECTS = """jsonb_path_query(v.v, 'strict $.** ? (@.type() == "object").keyvalue()') AS o (kv)"""
_VALUES = f"""
SELECT o.kv ->> 'key', coalesce(a.x, o.kv -> 'value') #>> '{{}}'
  FROM {_OBJECTS}
  LEFT JOIN LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(o.kv -> 'value') = 'array'
                                              THEN o.kv -> 'value' END) AS a (x) ON true
 WHERE jsonb_typeof(o.kv -> 'value') <> 'object'
 UNION ALL
SELECT '', b.x #>> '{{}}'
  FROM jsonb_array_elements(CASE WHEN jsonb_typeof(v.v) = 'array' THEN v.v END) AS b (x)
"""  # noqa: S608 - constants
_KEYS = f" UNION ALL SELECT 'keys of objects', o.kv ->> 'key' FROM {_OBJECTS}"  # noqa: S608
_ENTRIES = {
    "tsvector": _UNNEST.format("tsvector_to_array(v.v)"),
    "text": _TEXT,
    "varchar": _TEXT,
    "jsonb": _VALUES,
}
"""The elements that GIN or GiST makes of a value `v.v`, by its type; of text those of pg_trgm.

Each has a group, the key that a document has it under: one group's values repeat, another's never.
"""

_SAMPLE = """
WITH v AS MATERIALIZED (SELECT {expression} AS v FROM ONLY {table} {sample} LIMIT {limit}),
     e AS (SELECT e.s, e.x, count(*) AS n, avg(octet_length(e.x)) AS w
             FROM v CROSS JOIN LATERAL ({entries}) AS e (s, x) GROUP BY 1, 2)
SELECT (SELECT count(*) FROM v)::float8 AS rows,
       count(*)::float8 AS found, sum(e.n)::float8 AS elements,
       count(*) FILTER (WHERE e.n = 1)::float8 AS once,
       (sum(coalesce(e.w, 0) * e.n))::float8 AS bytes
  FROM e GROUP BY e.s
"""


def type_of(connection: Connection, table: look.Table, text: str) -> str:
    """The name of the expression's type, "" where the table is empty."""
    rows = tried(
        connection,
        table,
        "SELECT t.typname::text AS name FROM pg_type t WHERE t.oid = (SELECT "  # noqa: S608
        f"pg_typeof({text}) FROM ONLY {table_name(table)} LIMIT 1)",
    )
    return str(rows[0]["name"]) if rows else ""


def elements(
    connection: Connection, table: look.Table, text: str, kind: str, opclass: str = ""
) -> dict[str, Any]:
    """Of the expression's values of that type: elements of one, bytes of an element, and how many
    differ in the table, as fields of a Key. Nothing where the type's elements are not known."""
    entries = _UNNEST.format("v.v") if kind.startswith("_") else _ENTRIES.get(kind, "")
    if not entries:
        return {}
    query = _SAMPLE.format(
        entries=entries + (_KEYS if kind == "jsonb" and "path" not in opclass else ""),
        expression=text,
        table=table_name(table),
        sample=sample(table),
        limit=SAMPLE_ROWS,
    )
    groups = tried(connection, table, query)
    count = sum(group["elements"] for group in groups)
    if not count:
        return {}
    return {
        "elements": count / groups[0]["rows"],
        "element_width": sum(group["bytes"] for group in groups) / count,
        "vocabulary": sum(_differ(group, table.rows) for group in groups),
    }


def _differ(group: Row, rows: float) -> float:
    """How many elements of a group differ in all rows."""
    count = group["elements"]
    return distinct(count, group["found"], group["once"], count / group["rows"] * rows)
