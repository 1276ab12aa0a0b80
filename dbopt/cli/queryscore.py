"""`dbopt query score`: how dear each statement may be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from dbopt.cli import queryoptions as options
from dbopt.cli.context import Context, print_json
from dbopt.cli.querycatalog import Catalog, catalog
from dbopt.cli.querylint import complaint, mistake_in
from dbopt.cli.queryshow import show_score
from dbopt.cli.querytext import Source, printed, sources
from dbopt.errors import EXIT_FINDINGS, QueryFailed, UsageError
from dbopt.pg.explain import explain_sync
from dbopt.sql.classify import Judged, judge
from dbopt.sql.complexity import complexity_of
from dbopt.sql.kinds import QUERIES
from dbopt.sql.parse import Statement
from dbopt.sql.query import Complexity


@click.command()
@options.given
@options.dsn
@options.catalog
@click.option("--limit", type=click.IntRange(1), help="In place of sql.complexity_limit.")
@options.literals
@options.json
@click.pass_obj
def score(
    context: Context,
    given: tuple[str, ...],
    dsn: str | None,
    wanted: bool | None,
    limit: int | None,
    literals: bool,
    as_json: bool,
) -> None:
    """Score how dear each statement may be, with the reasons.

    With a database, the tables' sizes and the planner's cost count too. Exits 1 when a statement
    scores above the limit.

    \b
    Examples:
      dbopt query score "SELECT * FROM orders, customers"
      dbopt query score --limit 50 queries/ --json
      dbopt --dsn postgresql:///app query score report.sql
    """
    most = limit or context.settings.sql.complexity_limit
    texts = sources(given, literals=literals)
    with catalog(context, dsn, wanted) as known:
        scored = [one for text in texts for one in _scored(context, text, known, most)]
    if as_json:
        print_json([one.to_dict(most) for one in scored])
    else:
        for one in scored:
            show_score(context.console, one.where, one.shown, one.complexity, most)
    if any(one.complexity.score > most for one in scored):
        sys.exit(EXIT_FINDINGS)


@dataclass(frozen=True, slots=True)
class _Scored:
    """One statement with its score."""

    source: Source
    statement: Statement
    complexity: Complexity
    cost: float | None

    @property
    def where(self) -> str:
        return self.source.where(self.statement.tokens[0].start)

    @property
    def shown(self) -> str:
        return self.source.shown(self.statement.text)

    def to_dict(self, limit: int) -> dict[str, Any]:
        reasons = [{"what": r.what, "points": r.points} for r in self.complexity.reasons]
        return {
            **printed(self.source, self.statement),
            "score": self.complexity.score,
            "grade": self.complexity.grade,
            "limit": limit,
            "cost": self.cost,
            "reasons": reasons,
        }


def _scored(
    context: Context, source: Source, known: Catalog | None, limit: int
) -> Iterator[_Scored]:
    weights, schema = context.settings.complexity, known.schema if known else None
    for statement in source.statements:
        (judged,) = judge(statement.text)
        if not judged.does.parsed:
            _need_sql(source, statement, known)
        cost = _cost(judged, known)
        made = complexity_of([judged], limit, weights=weights, schema=schema, cost=cost)
        yield _Scored(source, statement, made, cost)


def _need_sql(source: Source, statement: Statement, known: Catalog | None) -> None:
    """Raises UsageError for what PostgreSQL would refuse to read."""
    mistake = mistake_in(source, statement, known)
    if mistake is not None and mistake.certain:
        raise UsageError(complaint(source, mistake))


def _cost(judged: Judged, known: Catalog | None) -> float | None:
    """The planner's cost; None without a database, or where it does not explain the statement."""
    if known is None or judged.does.kind not in QUERIES:
        return None
    try:
        return explain_sync(known.connection, judged.statement.text).total_cost
    except (UsageError, QueryFailed):
        return None
