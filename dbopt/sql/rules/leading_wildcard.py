"""leading-wildcard: LIKE '%...' can start nowhere in a btree."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlglot import exp

from dbopt.sql.expression import comparison_key
from dbopt.sql.findings import Severity
from dbopt.sql.rules.indexed import missing_index, only_column, unqualified
from dbopt.sql.rules.predicates import SMALL_TABLE, Scopes, bare, column_name, predicates
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.schema import SchemaRelation
from dbopt.sql.script import Subject

_trigram = re.compile(r"[^%_]{3}").search


def _check(subject: Subject) -> Iterator[Match]:
    if subject.tree is None:
        return
    scopes = Scopes(subject.schema)
    for node, statement in predicates(subject.tree):
        like = _like(node)
        searched = bare(like.this) if like is not None else None
        column = only_column(searched) if searched is not None else None
        if like is None or searched is None or column is None or not _leads(like.expression):
            continue
        relation = scopes.relation(column, statement)
        if relation is not None and _is_served(relation, unqualified(subject, searched)):
            continue
        name = column_name(column)
        message = f"The pattern for {name} starts with a wildcard: no btree can find it."
        index = missing_index(subject, scopes, statement, searched, "gin", "gin_trgm_ops")
        yield Match(subject, message, like, remedy=_remedy(index))


def _like(node: exp.Expr) -> exp.Like | exp.ILike | None:
    """The LIKE that a condition is, with or without ESCAPE; NOT LIKE finds most rows anyway."""
    if isinstance(node, exp.Escape) and node.expression.name not in {"%", "_"}:
        node = node.this
    if isinstance(node, exp.Like | exp.ILike) and not node.args.get("negate"):
        return node
    return None


def _leads(pattern: exp.Expr | None) -> bool:
    """Whether a pattern is known to start with a wildcard, and to hold a trigram if all known."""
    pattern = bare(pattern)
    if isinstance(pattern, exp.Cast):
        pattern = bare(pattern.this)
    if isinstance(pattern, exp.Literal) and pattern.is_string:
        text = str(pattern.this)
        return text.startswith(("%", "_")) and _trigram(text) is not None
    first = _first_part(pattern)
    return isinstance(first, exp.Literal) and str(first.this).startswith(("%", "_"))


def _first_part(pattern: exp.Expr | None) -> exp.Expr | None:
    """What a concatenation starts with."""
    if isinstance(pattern, exp.Concat) and len(pattern.expressions) > 1:
        return bare(pattern.expressions[0])
    if not isinstance(pattern, exp.DPipe):
        return None
    first: exp.Expr | None = pattern
    while isinstance(first, exp.DPipe):
        first = bare(first.this)
    return first


def _is_served(relation: SchemaRelation, text: str) -> bool:
    """Whether the table is small, or has an index of the text's trigrams."""
    if 0 < relation.rows < SMALL_TABLE:
        return True
    keys = [key for index in relation.indexes for key in index.keys if "trgm_ops" in key.opclass]
    return comparison_key(text) in {comparison_key(key.expression) for key in keys}


def _remedy(index: str) -> str:
    if not index:
        return ""
    return (
        f"Index the column's trigrams: CREATE EXTENSION IF NOT EXISTS pg_trgm; {index}; or search "
        "for a prefix, or for words (to_tsvector)."
    )


RULE = Rule(
    name="leading-wildcard",
    severity=Severity.WARNING,
    summary="LIKE or ILIKE with a pattern that starts with a wildcard.",
    reason="A btree is searched by how a value begins. With no beginning known, every row (or "
    "every entry of the index) is read and matched.",
    remedy="Index the column's trigrams: CREATE EXTENSION IF NOT EXISTS pg_trgm; CREATE INDEX "
    "CONCURRENTLY ON t USING gin (c gin_trgm_ops). It serves patterns with three characters in a "
    "row. Or search for a prefix, or for words (to_tsvector).",
    fires="select id from users where name like '%smith%'",
    passes="select id from users where name like 'smith%' and email not like '%@example.com'",
    check=_check,
)
