"""A rewrite is offered only with a check: equal results on samples, and a lower planner cost.

All happens in one transaction, which is rolled back. The samples are temporary tables; once they
are there the transaction is made read-only, which still lets it write to temporary tables and to
nothing else. Rows are compared by digests, and shown to nobody.

Equal results on samples are evidence, and no proof. So rows are added that bring out what such
rewrites get wrong: NULLs, equal values, the constants of the statement, an empty table.

Source: PostgreSQL's documentation, "SET TRANSACTION" (what READ ONLY forbids).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

from dbopt.clock import monotonic
from dbopt.errors import DboptError, ServerLost
from dbopt.pg import sampling
from dbopt.pg.connect import Connection
from dbopt.pg.explain import explain_sync
from dbopt.pg.refusal import translate
from dbopt.pg.results import Different, NotExamined, Result, need_equal, run
from dbopt.pg.sampling import Samples
from dbopt.sql.samples import Compared, Ready, array, literal, ready
from dbopt.sql.schema import Schema

STATEMENT_TIMEOUT = 5.0
LOCK_TIMEOUT = 0.5
TOTAL_TIMEOUT = 15.0
"""Seconds for all of a check: meanwhile nobody can alter or drop the tables, or lock them so."""

_BINDINGS = 3
_WHAT = "Checking a rewrite"
_COUNTS = ("10", "1", "0", "10")
"""What LIMIT $n and OFFSET $n are given, one binding after the other."""


@dataclass(frozen=True, slots=True)
class RewriteCheck:
    """What is known of a rewrite. `equal` is None where it was not examined; `why` says why it
    is not offered. Costs are the planner's units, None where there is no plan. `compared_rows`
    are those of the original's results, on all samples together."""

    equal: bool | None
    compared_rows: int
    cost_before: float | None
    cost_after: float | None
    why: str = ""

    @property
    def lower(self) -> bool:
        """Whether the planner expects less of the rewrite."""
        before, after = self.cost_before, self.cost_after
        return before is not None and after is not None and after < before

    @property
    def offered(self) -> bool:
        """Whether a person may be shown the rewrite as one: equal, and cheaper."""
        return self.equal is True and self.lower


def check_rewrite(
    connection: Connection, original: str, rewrite: str, schema: Schema
) -> RewriteCheck:
    """Compare two statements on samples of their tables, and by their planner cost.

    Nothing stays: the transaction is rolled back. A statement is run only if it reads alone, or
    is one UPDATE or DELETE, which then changes the samples. `schema` is that of the connection's
    database, with the search_path that names in the texts are looked up in. Raises ServerLost;
    what the server refuses is a check that was not examined.
    """
    pair = (ready(original, schema), ready(rewrite, schema))
    before, after = pair
    if isinstance(before, str) or isinstance(after, str):
        reason = next(one for one in pair if isinstance(one, str))
        return RewriteCheck(None, 0, None, None, f"Not examined: {reason}.")
    tally = _Tally(monotonic() + TOTAL_TIMEOUT)
    try:
        with connection.transaction(force_rollback=True):
            _limit(connection)
            tally.costs = _costs(connection, original, rewrite)
            _need_cheaper(*tally.costs)
            _compare(connection, before, after, tally)
    except Different as words:
        return tally.check(False, f"The results differ on samples: {words}.")
    except NotExamined as words:
        return tally.check(None, f"Not examined: {words}.")
    except (psycopg.Error, DboptError) as error:
        refusal = error if isinstance(error, DboptError) else translate(_WHAT, error)
        if isinstance(refusal, ServerLost):
            raise refusal from None
        return tally.check(None, f"Not examined. {refusal.message}")
    return tally.check(True, "")


@dataclass(slots=True)
class _Tally:
    """What has been found so far."""

    deadline: float
    costs: tuple[float, float] | None = None
    rows: int = 0

    def check(self, equal: bool | None, why: str) -> RewriteCheck:
        before, after = self.costs or (None, None)
        return RewriteCheck(equal, self.rows, before, after, why)


def _limit(connection: Connection) -> None:
    values = {
        "statement_timeout": f"{round(STATEMENT_TIMEOUT * 1000)}ms",
        "lock_timeout": f"{round(LOCK_TIMEOUT * 1000)}ms",
        # The texts have been read, and constants written, by this rule.
        "standard_conforming_strings": "on",
        "client_min_messages": "error",
    }
    calls = ", ".join(f"set_config('{key}', '{value}', true)" for key, value in values.items())
    connection.execute(f"SELECT /* dbopt */ {calls}".encode())


def _costs(connection: Connection, original: str, rewrite: str) -> tuple[float, float]:
    return (
        explain_sync(connection, original, statement_timeout=STATEMENT_TIMEOUT).total_cost,
        explain_sync(connection, rewrite, statement_timeout=STATEMENT_TIMEOUT).total_cost,
    )


def _need_cheaper(before: float, after: float) -> None:
    if after >= before:
        raise NotExamined("the planner expects it to cost no less")


def _compare(connection: Connection, before: Ready, after: Ready, tally: _Tally) -> None:
    _need_alike(before, after)
    sources = {one.relation: one for one in (*before.tables, *after.tables)}
    if sampling.runs_others_functions(connection, sources.values()):
        raise NotExamined("functions of other roles would run with a superuser's rights")
    samples = sampling.create(connection, sources.values())
    connection.execute("SET TRANSACTION READ ONLY")
    sampling.fill(connection, samples, (*before.links, *after.links))
    comparison = _Comparison(connection, before, after, samples, tally)
    comparison.run()
    sampling.vary(connection, samples, (before, after))
    comparison.run()
    if not tally.rows:
        raise NotExamined("the samples give no row to compare")
    for sample in samples.values():
        with connection.transaction(force_rollback=True):
            connection.execute(sql.SQL("DELETE FROM {}").format(sample.sql))
            comparison.run()


def _need_alike(before: Ready, after: Ready) -> None:
    if before.kind is not after.kind or before.target != after.target:
        raise Different("it is another kind of statement, or changes another table")
    if before.order and not after.order:
        raise Different("the rows come in no order")


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Two statements and what they run on."""

    connection: Connection
    before: Ready
    after: Ready
    samples: Samples
    tally: _Tally

    def run(self) -> None:
        """Raises Different or NotExamined."""
        for values in self._bindings():
            if monotonic() > self.tally.deadline:
                raise NotExamined("it takes too long")
            first = self._result(self.before, values)
            if first != self._result(self.before, values):
                raise NotExamined("the statement gives another result each time")
            second = self._result(self.after, values)
            self.tally.rows += len(first.rows) or len(first.left)
            need_equal(first, second)

    def _bindings(self) -> Iterator[Mapping[int, str]]:
        numbers = self.before.parameters | self.after.parameters
        if not numbers:
            yield {}
            return
        every = {number: self._candidates(number) for number in sorted(numbers)}
        for at in range(1 + max(len(found) for found in every.values())):
            yield {number: found[min(at, len(found) - 1)] for number, found in every.items()}

    def _candidates(self, number: int) -> list[str]:
        """Values for a parameter as SQL: of the columns that it is compared with, then NULL."""
        if number in self.before.counts | self.after.counts:
            return list(_COUNTS)
        uses = [c for s in (self.before, self.after) for c in s.compared if c.number == number]
        if not uses:
            raise NotExamined(f"no comparison tells what ${number} may be")
        use = uses[0]
        type_ = self.samples[use.column.relation].source.columns[use.column.name].type
        found = self._values(use)
        if use.many:
            return [array(found[at : at + 2], type_) for at in range(len(found))]
        return [literal(value, type_) for value in found]

    def _values(self, use: Compared) -> list[str | None]:
        found = sampling.values(self.connection, self.samples, use.column)[:_BINDINGS]
        # First all ranges at their widest, then each parameter of one and the same row.
        first = found[0] if found else None
        if use.bound:
            low, high = sampling.extremes(self.connection, self.samples, use.column)
            first = low if use.bound == "low" else high
        return [first, *found, None]

    def _result(self, statement: Ready, values: Mapping[int, str]) -> Result:
        names = {one: s.sql.as_string(self.connection) for one, s in self.samples.items()}
        text = statement.text(names, values)
        return run(self.connection, statement, text, self.samples)
