"""The Shape of an index that is not there yet, asked of the server: its rows, its keys' widths."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dbopt.migrate.contents import elements, type_of
from dbopt.migrate.sampling import SAMPLE_ROWS, distinct, sample, table_name, tried
from dbopt.migrate.sizes import Key, Shape
from dbopt.pg import look
from dbopt.pg.connect import Connection, Row
from dbopt.sql.indexdef import IndexDefinition, IndexKey, quote_name

_UNKNOWN = 32.0
"""Bytes of a value of varying length of which nothing is known, as the planner has it
(get_typavgwidth in src/backend/utils/cache/lsyscache.c)."""

_SAMPLE = """
SELECT count(*)::float8 AS rows, coalesce(avg(s.w), {unknown})::float8 AS width,
       count(*) FILTER (WHERE s.k IS NULL)::float8 AS nulls,
       count(DISTINCT s.k)::float8 AS found,
       coalesce(max(s.length), -1) AS length,
       count(*) FILTER (WHERE s.k IS NOT NULL AND s.n = 1)::float8 AS once
  FROM (SELECT r.w, r.k, t.typlen::integer AS length, count(*) OVER (PARTITION BY r.k) AS n
          FROM (SELECT pg_column_size(v.v) AS w, md5(v.v::text) AS k, pg_typeof(v.v) AS type
                  FROM (SELECT {expression} AS v FROM ONLY {table} {sample}) AS v
                 LIMIT {limit}) AS r
          JOIN pg_type t ON t.oid = r.type) AS s
"""


def shape(connection: Connection, table: look.Table, definition: IndexDefinition) -> Shape:
    """The Shape of `definition` on that table. Asks for no lock that anybody waits behind.

    Call it in a transaction; what the server refuses is guessed. Raises when the server is lost.
    """
    total = _rows(connection, table, "")
    rows = _rows(connection, table, definition.predicate) if definition.predicate else total
    asked = _Asked(connection, table, definition, look.columns(connection, table), rows, total)
    included = [asked.columns[name] for name in definition.include if name in asked.columns]
    storage = dict(definition.storage)
    return Shape(
        method=definition.method,
        rows=rows,
        keys=tuple(map(asked.key, definition.keys)) + tuple(map(asked.of_column, included)),
        heap_bytes=table.size_bytes,
        heap_rows=total,
        fill=float(storage.get("fillfactor", 0)) / 100,
        includes=bool(definition.include),
        dedups=storage.get("deduplicate_items", "on") not in ("off", "false", "0"),
    )


def _rows(connection: Connection, table: look.Table, predicate: str) -> float:
    """The planner's own estimate of the rows that the predicate takes."""
    if not (table.size_bytes or table.locked):
        return 0.0  # the planner takes ten pages for granted
    # Names are quoted, and a predicate is the operator's own code.
    text = f"EXPLAIN (FORMAT JSON) SELECT 1 FROM ONLY {table_name(table)}"  # noqa: S608
    rows = tried(connection, table, f"{text} WHERE {predicate}" if predicate else text)
    if not rows:
        return table.rows
    plan: Any = next(iter(rows[0].values()))
    plan = json.loads(plan) if isinstance(plan, str) else plan
    return float(plan[0]["Plan"]["Plan Rows"])


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question: the keys of an index whose predicate takes `rows` of the table's `total`."""

    connection: Connection
    table: look.Table
    definition: IndexDefinition
    columns: Mapping[str, look.Column]
    rows: float
    total: float

    def key(self, key: IndexKey) -> Key:
        """A key, from the statistics or else from a sample."""
        column = self.columns.get(key.expression) if key.is_column else None
        text = quote_name(key.expression) if key.is_column else f"({key.expression})"
        if column is None or column.width is None:
            found = self._sampled(text, column)
        else:
            found = self._by_predicate(column)
        if self.definition.method in ("gin", "gist"):
            return replace(found, **self._elements(text, column, key.opclass))
        return found

    def of_column(self, column: look.Column) -> Key:
        """A column as a key."""
        fixed = float(column.length) if column.length > 0 else _UNKNOWN
        distinct = column.n_distinct or 0.0
        return Key(
            width=fixed if column.width is None or column.length > 0 else column.width,
            length=column.length,
            alignment=column.alignment,
            null_share=column.null_share or 0.0,
            # Of what no ANALYZE has seen each value is another: the index is rather too large.
            distinct=-distinct * self.total if distinct < 0 else distinct or self.rows,
            dedups=column.dedups,
            type=column.type,
        )

    def _by_predicate(self, column: look.Column) -> Key:
        """A predicate on the key itself leaves fewer of its values, and mostly no nulls."""
        found = self.of_column(column)
        name = r"(?<!\w)" + re.escape(quote_name(column.name)) + r"(?!\w)"
        if not re.search(name, self.definition.predicate):
            return found
        if re.search(name + " IS NULL", self.definition.predicate):
            return replace(found, null_share=1.0, distinct=1.0)
        share = self.rows / (self.total * (1 - found.null_share) or 1.0)
        return replace(found, null_share=0.0, distinct=found.distinct * min(1.0, share))

    def _sampled(self, text: str, column: look.Column | None) -> Key:
        rows = tried(
            self.connection,
            self.table,
            _SAMPLE.format(
                unknown=_UNKNOWN,
                expression=text,
                table=table_name(self.table),
                sample=sample(self.table),
                limit=SAMPLE_ROWS,
            ),
        )
        if not rows or not rows[0]["rows"]:
            return self.of_column(column) if column else Key(_UNKNOWN, distinct=self.rows)
        one = rows[0]
        return Key(
            width=_stored(one, column),
            length=one["length"],
            alignment=column.alignment if column else "i",
            null_share=one["nulls"] / one["rows"],
            distinct=distinct(one["rows"] - one["nulls"], one["found"], one["once"], self.rows),
            dedups=column.dedups if column else True,
        )

    def _elements(self, text: str, column: look.Column | None, opclass: str) -> dict[str, Any]:
        """What an index of documents makes of a value; nothing where its type is not known."""
        kind = column.type if column else type_of(self.connection, self.table, text)
        return elements(self.connection, self.table, text, kind, opclass) | {"type": kind}


def _stored(one: Row, column: look.Column | None) -> float:
    """Mean bytes in an index: what was computed has a header of 4 bytes, and gets one of 1."""
    computed = column is None and one["length"] < 0 and one["width"] < 130
    return float(one["width"]) - (3 if computed else 0)
