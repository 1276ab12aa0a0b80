"""From counted texts to observations: fingerprints, redaction, routes, repetitions.

It runs in the reporter's thread, off every query's way, and looks at each text once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dbopt.inprocess.counting import OTHER, Count, Counting, Ended, Origin, Scope, Slow
from dbopt.inprocess.ledger import Key, Ledger
from dbopt.inprocess.messages import Report
from dbopt.observation import Repeated, SlowStatement, StatementCount, TransactionCount
from dbopt.sql.fingerprint import fingerprint, redact
from dbopt.sql.tags import tags

_SHOWN = 16_384


class Known(NamedTuple):
    """What a text says: 0 and "(other)" for what there was no room for."""

    fingerprint: int
    text: str
    tags: dict[str, str]


_UNTOLD = Known(0, OTHER, {})


def take(counting: Counting) -> Report:
    """All that was counted since the last call, by fingerprint."""
    seen = counting.take_seen()
    ledger = Ledger()
    ledger.add(Report(counts=[_taken(counting, count) for count in seen]))
    counting.forget(seen)
    with counting.lock:
        slow, repeats = list(counting.slow), counting.repeats
        counting.slow.clear()
        counting.repeats = []
        lost = counting.lost_slow + counting.lost_repeats
        counting.lost_slow = counting.lost_repeats = 0
        ended = [(scope, scope.ended) for scope in counting.ended]
        for scope in counting.ended:
            scope.ended = Ended()
        counting.ended = {}
    return Report(
        counts=list(ledger.counts.values()),
        slow=[_event(one, counting.limits.parameters) for one in slow],
        transactions=[_transactions(scope, one) for scope, one in ended],
        repeated=list(_repeated(repeats, counting.limits.many)),
        lost=lost,
    )


def known(count: Count) -> Known:
    """What there is to know of a Count's text."""
    if not isinstance(count.known, Known):
        text = count.text
        count.known = (
            Known(fingerprint(text), redact(text)[:_SHOWN], tags(text)) if text else _UNTOLD
        )
    return count.known


def _taken(counting: Counting, count: Count) -> StatementCount:
    what, origin = known(count), count.scope.origin
    with counting.lock:
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
    return origin.route or what.tags.get("route", "")


def _event(slow: Slow, parameters: bool) -> SlowStatement:
    what, origin = known(slow.count), slow.count.scope.origin
    found = tags(slow.sql)
    text = what.text
    if parameters:
        text = f"{slow.sql}\n-- parameters: {slow.parameters}" if slow.parameters else slow.sql
    return SlowStatement(
        what.fingerprint, text[:_SHOWN], slow.sql if len(slow.sql) <= _SHOWN else "",
        origin.database, origin.user, origin.application,
        started=slow.started,
        duration_ms=slow.duration_us / 1e3,
        queue_ms=slow.queue_us / 1e3,
        server_ms=(slow.duration_us - slow.queue_us - slow.transfer_us) / 1e3,
        rows=slow.rows,
        sqlstate=slow.sqlstate,
        backend_pid=slow.backend_pid,
        route=origin.route or found.get("route", ""),
        tags=found,
        transfer_ms=slow.transfer_us / 1e3,
    )  # fmt: skip


def _transactions(scope: Scope, ended: Ended) -> TransactionCount:
    origin = scope.origin
    return TransactionCount(
        origin.database, origin.user, origin.application, origin.route,
        count=ended.count,
        failed=ended.failed,
        statements=ended.statements,
        total_us=ended.total_us,
        max_us=ended.max_us,
        idle_us=ended.idle_us,
        max_idle_us=ended.max_idle_us,
        buckets=ended.buckets,
    )  # fmt: skip


def _repeated(transactions: Iterable[dict[Count, int]], many: int) -> Iterator[Repeated]:
    """Statements that ran `many` times in one transaction, whichever literals they held."""
    ledger = Ledger()
    for counts in transactions:
        calls: dict[Key, int] = {}
        for count, number in counts.items():
            what, origin = known(count), count.scope.origin
            if what.fingerprint:
                key = (
                    what.fingerprint, origin.database, origin.user, origin.application,
                    _route(origin, what),
                )  # fmt: skip
                calls[key] = calls.get(key, 0) + number
        often = [
            Repeated(*key, 1, number, number) for key, number in calls.items() if number >= many
        ]
        ledger.add(Report(repeated=often))
    yield from ledger.repeated.values()
