"""order-by-random: a sort of all rows to pick a few."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from dbopt.sql.findings import Severity
from dbopt.sql.rules.predicates import SMALL_TABLE, Scopes
from dbopt.sql.rules.sources import Source, is_named
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.script import Subject

_RANDOM_NAMES = frozenset({"gen_random_uuid", "uuid_generate_v4", "uuidv4"})


def _check(subject: Subject) -> Iterator[Match]:
    if subject.tree is None:
        return
    scopes = Scopes(subject.schema)
    for order in subject.tree.find_all(exp.Order):
        query = order.parent
        if not isinstance(query, exp.Select) or not any(map(_is_random, order.expressions)):
            continue
        tables = [source for source in scopes.of(query) if _is_stored(source)]
        if tables and not all(map(_is_small, tables)):
            message = "ORDER BY random() computes, reads and sorts every row that qualifies."
            yield Match(subject, message, order)


def _is_random(key: exp.Expr) -> bool:
    if key.find(exp.Rand) is not None:
        return True
    if key.find(exp.Uuid) is not None:
        return True
    return any(node.name.lower() in _RANDOM_NAMES for node in key.find_all(exp.Anonymous))


def _is_stored(source: Source) -> bool:
    """Whether a source may be a table: VALUES and functions in FROM are short."""
    return is_named(source.node)


def _is_small(source: Source) -> bool:
    return source.relation is not None and 0 < source.relation.rows < SMALL_TABLE


RULE = Rule(
    name="order-by-random",
    severity=Severity.WARNING,
    summary="ORDER BY random() over a table.",
    reason="A random number is made for every row and all rows are sorted by it, however few are "
    "wanted: no index can give that order. The cost grows with the table, not with the LIMIT.",
    remedy="Take a sample of the table: FROM t TABLESAMPLE SYSTEM_ROWS (n) (extension "
    "tsm_system_rows) or TABLESAMPLE BERNOULLI (percent). Or, where keys have few gaps, read "
    "from a random key on: WHERE id >= (random() * max_id)::bigint ORDER BY id LIMIT n.",
    fires="select id, name from users order by random() limit 5",
    passes="select n from generate_series(1, 10) n order by random()",
    check=_check,
)
