"""Transactions: how long they took, how long they idled, and which ran a statement too often.

Explicit transactions alone (BEGIN to its end): a statement by itself is the recorder's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dbopt.clock import Clock, monotonic
from dbopt.errors import UsageError
from dbopt.histogram import Histogram
from dbopt.metrics import OTHER as OTHER_LABEL
from dbopt.metrics import Bounded, Definition, Sample, Type
from dbopt.observation import Repeated, TransactionCount
from dbopt.sql.fingerprint import fingerprint_hex
from dbopt.trace.known import OTHER
from dbopt.trace.summary import DIMENSIONS, place_of, wanted
from dbopt.trace.toprows import TopRows, matching
from dbopt.trace.totals import latencies, milliseconds

SCOPE = DIMENSIONS[1:]
"""What transactions are told apart by, in the order of their key."""
MAX_ROWS = 2000
_MAX_DATABASES = 50

Key = tuple[str, str, str, str]
RepeatedKey = tuple[int, str, str, str, str]

_OF = ("database",)
METRICS = (
    Definition("dbopt_transactions_total", Type.COUNTER, "Explicit transactions.", _OF),
    Definition(
        "dbopt_transactions_failed_total", Type.COUNTER, "Those that were rolled back.", _OF
    ),
    Definition(
        "dbopt_transaction_statements_total", Type.COUNTER, "Statements in transactions.", _OF
    ),
    Definition(
        "dbopt_transaction_idle_seconds_total",
        Type.COUNTER,
        "Time in transactions in which no statement ran.",
        _OF,
    ),
    Definition("dbopt_transaction_duration_seconds", Type.HISTOGRAM, "From BEGIN to the end.", _OF),
    Definition(
        "dbopt_repeated_transactions_total",
        Type.COUNTER,
        "Transactions in which one statement ran trace.n_plus_one times or more.",
        _OF,
    ),
)
"""What `samples` gives, for Metrics.add."""


class Transacted:
    """The transactions of one scope. Times are microseconds."""

    __slots__ = ("failed", "floor", "histogram", "idle_us", "max_idle_us", "statements", "worth")

    def __init__(self) -> None:
        self.histogram = Histogram()
        self.failed = self.statements = 0
        self.idle_us = self.max_idle_us = 0.0
        self.worth = self.floor = 0.0

    def add(self, count: TransactionCount) -> None:
        """Add what a worker counted since its last flush."""
        self.histogram.merge(count.buckets, count.total_us, count.max_us)
        self._add(count.failed, count.statements, count.idle_us, count.max_idle_us)

    def merge(self, other: Transacted) -> None:
        """Add what another counted."""
        one = other.histogram
        self.histogram.merge(one.buckets, one.total, one.maximum)
        self._add(other.failed, other.statements, other.idle_us, other.max_idle_us)

    def _add(self, failed: int, statements: int, idle_us: float, max_idle_us: float) -> None:
        self.failed += failed
        self.statements += statements
        self.idle_us += idle_us
        self.max_idle_us = max(self.max_idle_us, max_idle_us)

    def to_dict(self) -> dict[str, Any]:
        """For JSON; times in milliseconds, `idle_ms` and `statements_mean` of one transaction."""
        count = self.histogram.count
        return {
            "transactions": count,
            "failed": self.failed,
            "statements": self.statements,
            "statements_mean": round(self.statements / max(count, 1), 2),
            **latencies(self.histogram),
            "idle_ms": milliseconds(self.idle_us / max(count, 1)),
            "max_idle_ms": milliseconds(self.max_idle_us),
        }


class Repetition:
    """One statement that repeats: in how many transactions, how often, and the most in one."""

    __slots__ = ("calls", "floor", "most", "transactions", "worth")

    def __init__(self) -> None:
        self.transactions = self.calls = self.most = 0
        self.worth = self.floor = 0.0

    def add(self, seen: Repeated) -> None:
        """Add what a worker saw since its last flush."""
        self.transactions += seen.transactions
        self.calls += seen.calls
        self.most = max(self.most, seen.most)

    def merge(self, other: Repetition) -> None:
        """Add what another counted."""
        self.transactions += other.transactions
        self.calls += other.calls
        self.most = max(self.most, other.most)


class Transactions:
    """All transactions since the start, by scope; bounded, totals exact.

    `text_of` gives a fingerprint's redacted text.
    """

    def __init__(self, text_of: Callable[[int], str], clock: Clock = monotonic) -> None:
        self._text_of = text_of
        self._rows, self._period = _rows(clock), _rows(clock)
        self._repeated, self._repeated_period = _repeated(clock), _repeated(clock)
        self._databases = Bounded(_MAX_DATABASES, OTHER_LABEL)
        self._by_database: dict[str, Transacted] = {}
        self._repeated_by_database: dict[str, int] = {}

    def add(self, counts: Sequence[TransactionCount], repeated: Sequence[Repeated] = ()) -> None:
        """Add what a worker counted since its last flush."""
        for count in counts:
            key = (count.database, count.user, count.application, count.route)
            for rows in (self._rows, self._period):
                rows.row(key, count.total_us).add(count)
            name = self._databases.of(count.database)
            self._by_database.setdefault(name, Transacted()).add(count)
        for seen in repeated:
            self._add_repeated(seen)

    def _add_repeated(self, seen: Repeated) -> None:
        key = (seen.fingerprint, seen.database, seen.user, seen.application, seen.route)
        for rows in (self._repeated, self._repeated_period):
            rows.row(key, seen.calls).add(seen)
        name = self._databases.of(seen.database)
        before = self._repeated_by_database.get(name, 0)
        self._repeated_by_database[name] = before + seen.transactions

    def clear(self) -> None:
        """Start counting anew. What /metrics shows stays."""
        self._rows.clear()
        self._repeated.clear()

    def take_period(
        self,
    ) -> tuple[list[tuple[Key, Transacted]], list[tuple[RepeatedKey, Repetition]]]:
        """Transactions and repetitions that were added since the last call."""
        taken = list(self._period.items()), list(self._repeated_period.items())
        self._period.clear()
        self._repeated_period.clear()
        return taken

    def scopes(
        self,
        by: str = "",
        limit: int = 50,
        order: str = "total",
        where: Mapping[str, str] | None = None,
    ) -> list[dict[str, Any]]:
        """The first `limit` rows in the order given (see ORDERS), for JSON.

        `by` is a dimension (database, user, application, route); "" tells all four apart. Raises
        UsageError for an order or a dimension that there is not.
        """
        if order not in ORDERS:
            raise UsageError(
                "There is no such order of transactions.", hint=f"Use one of {', '.join(ORDERS)}."
            )
        chosen = matching(self._rows.items(), wanted(where or {}, SCOPE), _at)
        places = [place_of(by, SCOPE)] if by else list(range(len(SCOPE)))
        sums: dict[tuple[str, ...], Transacted] = {}
        for key, part in chosen:
            sums.setdefault(tuple(key[place] for place in places), Transacted()).merge(part)
        first = sorted(sums.items(), key=lambda row: ORDERS[order](row[1]), reverse=True)
        names = [SCOPE[place] for place in places]
        return [dict(zip(names, key, strict=True)) | one.to_dict() for key, one in first[:limit]]

    def repeated(
        self, limit: int = 50, where: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """N+1: what repeats most in transactions, for JSON. Raises UsageError as `scopes` does."""
        chosen = matching(self._repeated.items(), wanted(where or {}), _repeated_at)
        first = sorted(chosen, key=lambda row: row[1].calls, reverse=True)[:limit]
        return [
            {
                "fingerprint": fingerprint_hex(key[0]),
                "query": self._text_of(key[0]),
                **dict(zip(SCOPE, key[1:], strict=True)),
                "transactions": one.transactions,
                "calls": one.calls,
                "most": one.most,
            }
            for key, one in first
        ]

    def totals(self) -> dict[str, Any]:
        """All transactions since `clear`, for JSON."""
        whole = Transacted()
        for _, part in self._rows.items():
            whole.merge(part)
        return whole.to_dict()

    def samples(self) -> Iterator[Sample]:
        """See metrics.Source: since the start, whatever was cleared."""
        for database, one in self._by_database.items():
            labels = (database,)
            yield Sample("dbopt_transactions_total", one.histogram.count, labels)
            yield Sample("dbopt_transactions_failed_total", one.failed, labels)
            yield Sample("dbopt_transaction_statements_total", one.statements, labels)
            yield Sample("dbopt_transaction_idle_seconds_total", one.idle_us / 1e6, labels)
            yield Sample("dbopt_transaction_duration_seconds", one.histogram, labels)
        for database, many in self._repeated_by_database.items():
            yield Sample("dbopt_repeated_transactions_total", many, (database,))


ORDERS: dict[str, Callable[[Transacted], float]] = {
    "total": lambda one: one.histogram.total,
    "transactions": lambda one: one.histogram.count,
    "mean": lambda one: one.histogram.mean,
    "p95": lambda one: one.histogram.quantile(0.95),
    "max": lambda one: one.histogram.maximum,
    "idle": lambda one: one.idle_us,
    "failed": lambda one: one.failed,
}
"""By what transactions can be ordered, the largest first."""


def _rows(clock: Clock) -> TopRows[Key, Transacted]:
    last = (OTHER, OTHER, OTHER, OTHER)
    return TopRows(MAX_ROWS, Transacted, lambda key: (key[0], key[1], OTHER, OTHER), last, clock)


def _repeated(clock: Clock) -> TopRows[RepeatedKey, Repetition]:
    last = (0, OTHER, OTHER, OTHER, OTHER)
    return TopRows(MAX_ROWS, Repetition, lambda key: (0, key[1], key[2], OTHER, OTHER), last, clock)


def _at(key: Key, place: int) -> str:
    return key[place]


def _repeated_at(key: RepeatedKey, place: int) -> int | str:
    return key[place]
