"""How dear a statement may be: a score with its reasons.

The rule is the seed's query guard, fields + 10 for each level of nesting, refused above 100,
grown over the SQL tree. The model:

- Each feature of the tree (`dbopt.sql.features`) has a weight, which is a setting of [complexity].
- A query that an equality narrows reads few rows, so what it does with them costs less: its
  features count `narrowed_share`, but for fields and depth. What runs for each row of an outer
  query counts no less than that one's.
- With a Schema the rows that are read take that place: a query of a million rows counts in full,
  of a thousand half; and the rows give points of their own, by their logarithm.
- With the planner's cost, that gives points by its logarithm, and all else counts `beside_cost`,
  since the planner has priced most of it. What is left speaks for how wrong the planner may be.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import log10

from sqlglot import exp

from dbopt.complexitysettings import Complexity as Weights
from dbopt.sql.blocks import Block
from dbopt.sql.classify import Judged, judge
from dbopt.sql.features import Features, features
from dbopt.sql.guess import guess
from dbopt.sql.query import Complexity, Kind, Reason
from dbopt.sql.rowsread import RowsRead, rows_read
from dbopt.sql.schema import Schema

__all__ = ["DEFAULT", "DEFAULT_LIMIT", "WORDS", "Weights", "complexity", "complexity_of", "grade"]

DEFAULT_LIMIT = 100
DEFAULT = Weights()

WORDS: dict[str, str] = {
    "field": "field",
    "depth": "level of nesting",
    "join": "join",
    "many_joins": "join beyond the third",
    "outer_join": "outer join",
    "lateral_join": "lateral join",
    "cross_join": "cross join",
    "subquery": "subquery",
    "exists_subquery": "correlated EXISTS or IN",
    "correlated_subquery": "correlated subquery",
    "cte": "common table expression",
    "recursive": "recursive query",
    "set_operation": "set operation",
    "aggregate": "aggregate",
    "grouping": "GROUP BY",
    "window": "window function",
    "distinct": "DISTINCT",
    "sort": "ORDER BY without LIMIT",
    "or_columns": "OR across columns",
    "leading_wildcard": "LIKE with a leading wildcard",
    "function": "function of a column in a predicate",
    "cast": "cast of a column in a predicate",
    "arithmetic": "arithmetic with a column in a predicate",
    "negation": "negated condition",
    "not_in_subquery": "NOT IN with a subquery",
    "scan": "query that no equality narrows",
    "scanned_table": "further table that no equality narrows",
    "range": "range of values",
    "no_where": "whole table: no WHERE and no LIMIT",
    "write_without_where": "write of a whole table: no WHERE",
    "long_list": "twenty constants in a list",
    "unbounded": "unbounded result: no LIMIT and no equality",
    "star": "SELECT *",
    "unparsed": "not parsed: an estimate from keywords, and this much for what it hides",
}
"""How each feature reads. Its name is its weight's in [complexity]."""

_UNSHARED = frozenset({"field", "depth", "unparsed"})
_FULL_ROWS = 6.0
"""log10 of the rows from which on what is done with them counts in full."""
_HIGHEST = 1e30
"""More cost than this adds no point: it may be infinite, and disable_cost is 1e10."""
_LEAST, _MOST = 0.1, 1.5
"""Bounds of the share that rows give."""


@dataclass(slots=True)
class _Tally:
    """Points by what they are for."""

    weights: Weights
    counts: Counter[str] = field(default_factory=Counter)
    points: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    rows: RowsRead = field(default_factory=RowsRead)

    def add(self, what: str, count: int, share: float = 1.0) -> None:
        if count > 0:
            weight: int = getattr(self.weights, what)
            self.counts[what] += count
            self.points[what] += count * weight * (1.0 if what in _UNSHARED else share)


def complexity(
    subject: str | exp.Expression,
    limit: int = DEFAULT_LIMIT,
    *,
    weights: Weights = DEFAULT,
    schema: Schema | None = None,
    cost: float | None = None,
) -> Complexity:
    """The score of a text, or of one tree. Never raises.

    `schema` brings the sizes and indexes of the tables in, `cost` the planner's estimate of the
    whole. Grades: simple below a quarter of the limit, moderate below a half, complex up to the
    limit, extreme above it. The reasons come largest first, and their points sum to the score.
    """
    if isinstance(subject, str):
        return complexity_of(judge(subject), limit, weights=weights, schema=schema, cost=cost)
    tally = _Tally(weights)
    _measure(subject, tally, schema)
    return _complexity(tally, limit, cost)


def complexity_of(
    statements: Iterable[Judged],
    limit: int = DEFAULT_LIMIT,
    *,
    weights: Weights = DEFAULT,
    schema: Schema | None = None,
    cost: float | None = None,
) -> Complexity:
    """The score of statements that run together: the sum of theirs. `cost` is of them all."""
    tally = _Tally(weights)
    for judged in statements:
        is_query = judged.does.kind is not Kind.DDL or judged.does.reads
        if judged.tree is not None and is_query:
            _measure(judged.tree, tally, schema)
        elif not judged.does.parsed:
            for what, count in guess(judged.statement.tokens).items():
                tally.add(what, count)
    return _complexity(tally, limit, cost)


def grade(score: int, limit: int = DEFAULT_LIMIT) -> str:
    """The name of a score's class."""
    if score > limit:
        return "extreme"
    if 2 * score >= limit:
        return "complex"
    return "moderate" if 4 * score >= limit else "simple"


def _measure(tree: exp.Expr, tally: _Tally, schema: Schema | None) -> None:
    found = features(tree, schema)
    rows = rows_read(found.blocks, schema) if schema is not None else RowsRead()
    shares = _shares(found, rows, tally.weights)
    for block, counts in found.counts.items():
        for what, count in counts.items():
            tally.add(what, count, shares[block])
    tally.add("depth", found.deepest)
    for table, read in rows.of_table.items():
        tally.rows.of_table[table] += read


def _shares(found: Features, rows: RowsRead, weights: Weights) -> dict[Block | None, float]:
    """Which share of its features' points each block counts."""
    shares: dict[Block | None, float] = {None: 1.0}
    for block in found.blocks:
        read = rows.of_block.get(block)
        if read is not None:
            share = min(_MOST, max(_LEAST, log10(max(read, 1.0)) / _FULL_ROWS))
        else:
            share = weights.narrowed_share if block.narrowed else 1.0
            share += (1.0 - share) * block.spread / max(1, block.inner)
            if block.correlated and block.role == "subquery":
                share = max(share, shares[block.outer])
        shares[block] = share
    return shares


def _complexity(tally: _Tally, limit: int, cost: float | None) -> Complexity:
    weights = tally.weights
    share = weights.beside_cost if cost is not None else 1.0
    reasons = [
        Reason(_words(what, tally.counts[what]), round(points * share))
        for what, points in tally.points.items()
    ]
    reasons += _of_rows(tally, share)
    if cost is not None and cost > weights.cost_floor:
        points = round(weights.cost_factor * log10(min(cost, _HIGHEST) / weights.cost_floor))
        reasons.append(Reason(f"planner's cost of {_shown(cost)}", points))
    reasons = [reason for reason in reasons if reason.points > 0]
    reasons.sort(key=lambda reason: (-reason.points, reason.what))
    score = sum(reason.points for reason in reasons)
    return Complexity(score, grade(score, limit), tuple(reasons))


def _words(what: str, count: int) -> str:
    return WORDS[what] if count == 1 else f"{count} x {WORDS[what]}"


def _of_rows(tally: _Tally, share: float) -> Iterator[Reason]:
    total, weights = tally.rows.total, tally.weights
    if total > weights.rows_floor:
        points = round(share * weights.rows_factor * log10(total / weights.rows_floor))
        largest = max(tally.rows.of_table, key=tally.rows.of_table.__getitem__)
        yield Reason(f"about {_shown(total)} rows read, most of {largest}", points)


def _shown(number: float) -> str:
    """A number as a person reads it: 6.0 million."""
    for size, word in ((1e9, " billion"), (1e6, " million"), (1e3, " thousand")):
        if number >= size:
            return f"{number / size:.1f}{word}"
    return f"{number:.0f}"
