"""BETWEEN two days on a column with a time of day: of the last day only midnight is in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlglot import exp

from dbopt.sql.findings import Severity
from dbopt.sql.rules.predicates import Scopes
from dbopt.sql.rules.render import printed
from dbopt.sql.rules.sources import statement_of
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.script import Subject

_is_day = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}").fullmatch


def _check(subject: Subject) -> Iterator[Match]:
    scopes = Scopes(subject.schema)
    for node in subject.tree.find_all(exp.Between) if subject.tree is not None else ():
        owner = statement_of(node)
        if owner is None or not _ends_on_a_day(node):
            continue
        column = scopes.column(node.this, owner)
        if column is not None and column.type.startswith("timestamp"):
            value = printed(subject, node.this)
            low, high = (printed(subject, node.args[end]) for end in ("low", "high"))
            yield Match(
                subject,
                f"BETWEEN ends at midnight of its last day: {column.name} has a time of day too.",
                node,
                remedy=f"If the whole day is meant: {value} >= {low} AND {value} < "
                f"{high}::date + 1.",
            )


def _ends_on_a_day(node: exp.Between) -> bool:
    high = node.args.get("high")
    while isinstance(high, exp.Cast | exp.Paren):
        high = high.this
    literal = isinstance(high, exp.Literal) and high.is_string
    return literal and _is_day(str(high.this) if high is not None else "") is not None


RULE = Rule(
    name="between-timestamps",
    severity=Severity.WARNING,
    summary="BETWEEN two dates on a column with a time of day.",
    reason=(
        "BETWEEN includes its end, and a date alone is midnight. So rows of the first instant of "
        "the last day are in, and all others of that day are not; in ranges put side by side the "
        "rows of midnight are twice."
    ),
    remedy="Write a half-open range: column >= first AND column < the day after the last.",
    fires="SELECT id FROM orders WHERE placed_at BETWEEN '2024-01-01' AND '2024-01-31'",
    passes="SELECT id FROM orders WHERE placed_at >= '2024-01-01' AND placed_at < '2024-02-01'",
    check=_check,
    needs_schema=True,
)
