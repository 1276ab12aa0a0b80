"""Calls of EXTRACT and date_trunc that no time zone can change.

Their forms for timestamp with time zone are stable, since they go by the session's TimeZone; the
others are immutable, and by the type of a column one tells which it is. Source: pg_proc of
PostgreSQL 18.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from dbopt.sql.schema import Schema
from dbopt.sql.scopes import BySchema, Scopes

BY_TYPE = frozenset({"date_part", "date_trunc", "extract"})
"""Functions whose volatility their argument's type decides."""
_TIMESTAMP = "timestamp without time zone"
_OF_EXTRACT = frozenset({"date", "interval", "time without time zone", _TIMESTAMP})
# A date is made a timestamp with time zone for it: that is the preferred type.
_OF_TRUNC = frozenset({"interval", _TIMESTAMP})


def zoneless(
    tree: exp.Expression, nodes: Sequence[exp.Expr], schema: Schema | None
) -> frozenset[str]:
    """Those of BY_TYPE of which every call in a tree is known to be immutable."""
    found = [node for node in nodes if isinstance(node, exp.Extract | exp.TimestampTrunc)]
    others = {node.name.lower() for node in nodes if isinstance(node, exp.Anonymous)}
    if schema is None or not found or others & BY_TYPE:
        return frozenset()
    scopes = Scopes(tree, BySchema(schema))
    sure = all(_is_zoneless(node, scopes, schema) for node in found)
    return BY_TYPE if sure else frozenset()


def _is_zoneless(node: exp.Expr, scopes: Scopes, schema: Schema) -> bool:
    argument = node.expression if isinstance(node, exp.Extract) else node.this
    resolved = scopes.resolve(argument)
    if resolved is None or resolved[0].relation is None or node.args.get("zone"):
        return False
    relation = schema.relations.get(resolved[0].relation)
    column = relation.columns.get(resolved[1]) if relation is not None else None
    zoneless_types = _OF_EXTRACT if isinstance(node, exp.Extract) else _OF_TRUNC
    return column is not None and _plain(column.type) in zoneless_types


def _plain(type_: str) -> str:
    """A type without its precision: `timestamp(3) without time zone`."""
    before, bracket, behind = type_.partition("(")
    return before.strip() + behind.partition(")")[2] if bracket else type_
