"""From counted texts to observations: fingerprints, redaction, routes, repetitions.

It runs in the reporter's thread, off every query's way, and looks at each text once.
"""

from __future__ import annotations

from typing import NamedTuple

from dbopt.histogram import Histogram
from dbopt.inprocess.counting import OTHER, Count, Counting, Ended, Origin, Scope, Slow, taken
from dbopt.inprocess.ledger import Key, Ledger
from dbopt.inprocess.messages import Report
from dbopt.inprocess.route import LONGEST_ROUTE, plain
from dbopt.observation import Repeated, SlowStatement, StatementCount, TransactionCount
from dbopt.sql.fingerprint import fingerprint, redact
from dbopt.sql.tags import tags

_SHOWN = 16_384
_LONGEST_TAG = 1000
_KNOWN_TAGS = frozenset(
    (
        "action", "application", "controller", "db_driver", "framework", "job", "route",
        "traceparent", "tracestate",
    )
)  # fmt: skip
"""As in the gateway: what an application tags otherwise may hold its data."""


class Known(NamedTuple):
    """What a text says: 0 and "(other)" for what there was no room for."""

    fingerprint: int
    text: str
    tags: dict[str, str]


_UNTOLD = Known(0, OTHER, {})


def take(counting: Counting) -> Report:
    """All that was counted since the last call, by fingerprint. Not for two threads at once."""
    seen = counting.drain()
    counts, repeated = Ledger(), Ledger()
    transactions: dict[Scope, Transactions] = {}
    with counting.lock:
        counting.early = {}
        counts.add(Report(counts=[_counted(count) for count in seen]))
    counting.forget(seen)
    many = counting.limits.many
    for ended in taken(counting.ended):
        of_scope = transactions.get(ended.scope)
        if of_scope is None:
            of_scope = transactions[ended.scope] = Transactions(ended.scope.origin)
        of_scope.add(ended)
        if many and ended.statements >= many:
            repeated.add(Report(repeated=_repeated(ended, many)))
    lost, counting.lost = counting.lost, 0
    return Report(
        counts=list(counts.counts.values()),
        slow=[_event(one, counting.limits.parameters) for one in taken(counting.slow)],
        transactions=[of_scope.message() for of_scope in transactions.values()],
        repeated=list(repeated.repeated.values()),
        lost=lost,
    )


def known(count: Count) -> Known:
    """What there is to know of a Count's text."""
    if not isinstance(count.known, Known):
        count.known = _look(count.text) if count.text else _UNTOLD
    return count.known


def _look(text: str) -> Known:
    text = plain(text)
    return Known(fingerprint(text), redact(text)[:_SHOWN], tags(text))


def _counted(count: Count) -> StatementCount:
    what, origin = known(count), count.scope.origin
    message = StatementCount(
        what.fingerprint, what.text, origin.database, origin.user, origin.application,
        calls=count.calls,
        rows=count.rows,
        errors=count.errors,
        queue_us=count.queue_us,
        total_us=count.total_us,
        max_us=count.max_us,
        buckets=count.buckets,
        route=_route(origin, what),
        transfer_us=count.transfer_us,
    )  # fmt: skip
    count.clear()
    return message


def _route(origin: Origin, what: Known) -> str:
    return origin.route or what.tags.get("route", "")[:LONGEST_ROUTE]


def _event(slow: Slow, parameters: bool) -> SlowStatement:
    what, origin = known(slow.count), slow.count.scope.origin
    sql = plain(slow.sql)
    found = {k: v[:_LONGEST_TAG] for k, v in tags(sql).items() if k in _KNOWN_TAGS}
    text = what.text
    if parameters:
        text = f"{sql}\n-- parameters: {slow.parameters}" if slow.parameters else sql
    return SlowStatement(
        what.fingerprint, text[:_SHOWN], sql if len(sql) <= _SHOWN else "",
        origin.database, origin.user, origin.application,
        started=slow.started,
        duration_ms=slow.duration_us / 1e3,
        queue_ms=slow.queue_us / 1e3,
        server_ms=max(slow.duration_us - slow.queue_us - slow.transfer_us, 0.0) / 1e3,
        rows=slow.rows,
        sqlstate=slow.sqlstate,
        backend_pid=slow.backend_pid,
        route=origin.route or found.get("route", "")[:LONGEST_ROUTE],
        tags=found,
        transfer_ms=slow.transfer_us / 1e3,
    )  # fmt: skip


class Transactions:
    """The transactions of one origin, added up."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._histogram = Histogram()
        self._failed = self._statements = 0
        self._idle_us = self._max_idle_us = 0.0

    def add(self, ended: Ended) -> None:
        """Add one."""
        self._histogram.add(ended.total_us)
        self._failed += ended.failed
        self._statements += ended.statements
        self._idle_us += ended.idle_us
        self._max_idle_us = max(self._max_idle_us, ended.max_idle_us)

    def message(self) -> TransactionCount:
        """What is told of them."""
        origin, histogram = self._origin, self._histogram
        return TransactionCount(
            origin.database, origin.user, origin.application, origin.route,
            count=histogram.count,
            failed=self._failed,
            statements=self._statements,
            total_us=histogram.total,
            max_us=histogram.maximum,
            idle_us=self._idle_us,
            max_idle_us=self._max_idle_us,
            buckets=histogram.buckets,
        )  # fmt: skip


def _repeated(ended: Ended, many: int) -> list[Repeated]:
    """Statements that ran `many` times in one transaction, whichever literals they held."""
    calls: dict[Key, int] = {}
    for count, number in ended.counts.items():
        what, origin = known(count), count.scope.origin
        if what.fingerprint:
            key = (
                what.fingerprint, origin.database, origin.user, origin.application,
                _route(origin, what),
            )  # fmt: skip
            calls[key] = calls.get(key, 0) + number
    return [Repeated(*key, 1, n, n) for key, n in calls.items() if n >= many]
