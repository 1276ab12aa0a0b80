"""A rewrite is offered only with a check: equal results on samples, and a lower planner cost.

All happens in one transaction, which is rolled back. The samples are temporary tables; once they
are there the transaction is made read-only, which still lets it write to temporary tables and to
nothing else. Rows are compared by digests, and shown to nobody.

Equal results on samples are evidence, and no proof. So rows are added that bring out what such
rewrites get wrong: NULLs, equal values, the constants of the statement, an empty table.

Source: PostgreSQL's documentation, "SET TRANSACTION" (what READ ONLY forbids).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import psycopg
from psycopg import pq, sql

from dbopt.clock import monotonic
from dbopt.errors import DboptError, ServerLost
from dbopt.pg import sampling
from dbopt.pg.connect import Connection
from dbopt.pg.explain import explain_sync
from dbopt.pg.refusal import translate
from dbopt.pg.sampling import Samples
from dbopt.sql.query import Kind
from dbopt.sql.samples import Compared, Ready, array, literal, ready
from dbopt.sql.schema import Schema

STATEMENT_TIMEOUT = 5.0
LOCK_TIMEOUT = 0.5
TOTAL_TIMEOUT = 15.0
"""Seconds for all of a check: meanwhile nobody can alter or drop the tables, or lock them so."""
MOST_RESULT_ROWS = 100_000
"""Rows of one result. A statement that gives more of such samples is not examined."""

_BINDINGS = 3
_FETCHED = 5000
_NAME = "dbopt_rewrite"
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


class _Different(Exception):
    """The results differ; the message says how."""


class _NotExamined(Exception):
    """There is no telling; the message says why."""


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
    except _Different as words:
        return tally.check(False, f"The results differ on samples: {words}.")
    except _NotExamined as words:
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
        raise _NotExamined("the planner expects it to cost no less")


def _compare(connection: Connection, before: Ready, after: Ready, tally: _Tally) -> None:
    _need_alike(before, after)
    sources = {one.relation: one for one in (*before.tables, *after.tables)}
    samples = sampling.create(connection, sources.values())
    connection.execute("SET TRANSACTION READ ONLY")
    sampling.fill(connection, samples, (*before.links, *after.links))
    comparison = _Comparison(connection, before, after, samples, tally)
    comparison.run()
    sampling.vary(connection, samples, (before, after))
    comparison.run()
    if not tally.rows:
        raise _NotExamined("the samples give no row to compare")
    for sample in samples.values():
        with connection.transaction(force_rollback=True):
            connection.execute(sql.SQL("DELETE FROM {}").format(sample.sql))
            comparison.run()


def _need_alike(before: Ready, after: Ready) -> None:
    if before.kind is not after.kind or before.target != after.target:
        raise _Different("it is another kind of statement, or changes another table")
    if before.order and not after.order:
        raise _Different("the rows come in no order")


@dataclass(slots=True)
class _Result:
    """What a statement gave: output columns, and each row as a digest; its ORDER BY keys too.

    `left` are the rows of the table that it changed.
    """

    columns: list[tuple[str, int]] = field(default_factory=list)
    rows: list[bytes] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    left: Counter[bytes] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Two statements and what they run on."""

    connection: Connection
    before: Ready
    after: Ready
    samples: Samples
    tally: _Tally

    def run(self) -> None:
        """Raises _Different or _NotExamined."""
        for values in self._bindings():
            if monotonic() > self.tally.deadline:
                raise _NotExamined("it takes too long")
            first = self._result(self.before, values)
            if first != self._result(self.before, values):
                raise _NotExamined("the statement gives another result each time")
            second = self._result(self.after, values)
            self.tally.rows += len(first.rows) or len(first.left)
            _need_equal(first, second)

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
            raise _NotExamined(f"no comparison tells what ${number} may be")
        use = uses[0]
        type_ = self.samples[use.column.relation].source.columns[use.column.name].type
        found = self._values(use)
        if use.many:
            return [array(found[at : at + 2], type_) for at in range(len(found))]
        return [literal(value, type_) for value in found]

    def _values(self, use: Compared) -> list[str | None]:
        found = sampling.values(self.connection, self.samples, use.column)[:_BINDINGS]
        low, high = sampling.extremes(self.connection, self.samples, use.column)
        # First all ranges at their widest, then each parameter of one and the same row.
        first = {"low": low, "high": high}.get(use.bound, found[0] if found else None)
        return [first, *found, None]

    def _result(self, statement: Ready, values: Mapping[int, str]) -> _Result:
        names = {one: s.sql.as_string(self.connection) for one, s in self.samples.items()}
        text = statement.text(names, values)
        with self.connection.transaction(force_rollback=True):
            if statement.kind is Kind.READ:
                return _read(self.connection, statement, text)
            return _change(self.connection, statement, text, self.samples)


def _read(connection: Connection, statement: Ready, text: str) -> _Result:
    # In the extended protocol, so that the server refuses a text of several commands.
    declare = f"DECLARE {_NAME} NO SCROLL CURSOR FOR {text}"
    connection.execute(_encoded(declare, connection), binary=True)
    return _fetched(connection, statement.order)


def _fetched(connection: Connection, order: Sequence[str | int | None]) -> _Result:
    result = _Result()
    while True:
        page = connection.execute(f"FETCH FORWARD {_FETCHED} FROM {_NAME}".encode()).pgresult
        if page is None:
            return result
        result.columns = [(_text(page.fname(at)), page.ftype(at)) for at in range(page.nfields)]
        keys = _key_places(order, [name for name, _ in result.columns])
        everything = range(page.nfields)
        for row in range(page.ntuples):
            result.rows.append(_digest(page, row, everything))
            if order:
                result.keys.append(_digest(page, row, everything if keys is None else keys))
        if len(result.rows) > MOST_RESULT_ROWS:
            raise _NotExamined("samples of its tables give too many rows")
        if page.ntuples < _FETCHED:
            return result


def _change(connection: Connection, statement: Ready, text: str, samples: Samples) -> _Result:
    """Run an UPDATE or DELETE: its RETURNING, and what is left of the table that it changes."""
    page = connection.execute(_encoded(text, connection), binary=True).pgresult
    result = _Result()
    if page is not None and page.nfields:
        result.columns = [(_text(page.fname(at)), page.ftype(at)) for at in range(page.nfields)]
        result.rows = sorted(_digest(page, row, range(page.nfields)) for row in range(page.ntuples))
    assert statement.target is not None  # noqa: S101 - an UPDATE or DELETE has one
    table = samples[statement.target].sql
    rows = connection.execute(sql.SQL("SELECT * FROM {}").format(table)).pgresult
    if rows is not None:
        found = (_digest(rows, row, range(rows.nfields)) for row in range(rows.ntuples))
        result.left = Counter(found)
    return result


def _need_equal(first: _Result, second: _Result) -> None:
    if len(first.columns) != len(second.columns):
        raise _Different("another number of columns")
    for (name, type_), (other, other_type) in zip(first.columns, second.columns, strict=True):
        if type_ != other_type:
            raise _Different("a column has another type")
        # Nobody can rely on the name of a column that has none.
        if name not in (other, "?column?"):
            raise _Different("a column has another name")
    if Counter(first.rows) != Counter(second.rows):
        raise _Different(
            f"{len(first.rows)} rows, and {len(second.rows)} of the rewrite, not the same"
        )
    if first.keys != second.keys:
        raise _Different("the rows come in another order")
    if first.left != second.left:
        raise _Different("other rows are changed")


def _key_places(order: Sequence[str | int | None], names: list[str]) -> list[int] | None:
    """The places of the ORDER BY keys in a row; None where one is not in it, or not surely."""
    places: list[int] = []
    for key in order:
        if isinstance(key, int) and 0 < key <= len(names):
            places.append(key - 1)
        elif isinstance(key, str) and names.count(key) == 1:
            places.append(names.index(key))
        else:
            return None
    return places


def _digest(page: pq.abc.PGresult, row: int, columns: Sequence[int]) -> bytes:
    digest = blake2b(digest_size=16)
    for column in columns:
        value = page.get_value(row, column)
        digest.update(b"-" if value is None else b"%d:" % len(value))
        digest.update(value or b"")
    return digest.digest()


def _text(name: bytes | None) -> str:
    return (name or b"").decode(errors="replace")


def _encoded(text: str, connection: Connection) -> bytes:
    try:
        return text.encode(connection.info.encoding)
    except UnicodeEncodeError:
        raise _NotExamined("its text cannot be sent in the session's encoding") from None
