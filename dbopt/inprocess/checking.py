"""Whether a report can be true: a pool in an application is trusted with nothing. PURE."""

from __future__ import annotations

from dbopt.errors import ProtocolError
from dbopt.inprocess.messages import Report
from dbopt.observation import Repeated, SlowStatement, StatementCount, TransactionCount

MAX_ROWS = 10_000
"""Of one report: a pool sends fewer, and so many are taken in about a tenth of a second."""
_MAX_BUCKET = 2500
"""Above a hundred years, see dbopt.histogram."""
_MAX_SUM = 1 << 50
"""Microseconds (35 years), rows, bytes: what is added up of them must fit a bigint."""
_LATEST = 1e11
"""Epoch seconds: a datetime can hold them."""
_MAX_TEXT = 16_384
_MAX_ERRORS = 300
_MAX_NAME = 1000
_MAX_TAGS = 32
_MAX_PID = (1 << 31) - 1

_Named = StatementCount | TransactionCount | Repeated | SlowStatement


def rows_of(report: Report) -> int:
    """How many rows it has, of all kinds."""
    return len(report.counts) + len(report.transactions) + len(report.repeated) + len(report.slow)


def check(report: Report) -> None:
    """Raise ProtocolError for what no pool of ours says: it would spoil the sums of all."""
    _require(rows_of(report) <= MAX_ROWS)
    for rows in (report.counts, report.transactions, report.repeated, report.slow):
        _require(all(map(_names_fit, rows)))
    for count in report.counts:
        _require(_is_count(count))
    for transaction in report.transactions:
        _require(_is_transaction(transaction))
    for many in report.repeated:
        _require(_is_fingerprint(many.fingerprint) and 0 < many.transactions <= many.calls)
        _require(0 < many.most <= many.calls <= _MAX_SUM)
    _require(all(map(_is_slow, report.slow)))
    _require(0 <= report.lost <= _MAX_SUM)


def _names_fit(one: _Named) -> bool:
    names = (one.database, one.user, one.application, one.route)
    return all(len(name) <= _MAX_NAME for name in names)


def _require(holds: bool) -> None:
    if not holds:
        raise ProtocolError("A pool sent what cannot be true.")


def _is_slow(slow: SlowStatement) -> bool:
    return (
        _is_fingerprint(slow.fingerprint)
        and _are_sums(slow.duration_ms, slow.queue_ms, slow.server_ms, slow.transfer_ms)
        and _are_sums(slow.rows, slow.received, slow.sent)
        and 0 <= slow.started <= _LATEST
        and 0 <= slow.backend_pid <= _MAX_PID
        and len(slow.text) <= _MAX_TEXT
        and len(slow.sql) <= _MAX_TEXT
        and len(slow.tags) <= _MAX_TAGS
        and all(len(part) <= _MAX_NAME for tag in slow.tags.items() for part in tag)
        and (not slow.sqlstate or _is_sqlstate(slow.sqlstate))
    )


def _is_count(c: StatementCount) -> bool:
    return (
        _is_fingerprint(c.fingerprint)
        and len(c.text) <= _MAX_TEXT
        and _are_sums(c.rows, c.queue_us, c.total_us, c.max_us, c.transfer_us, c.received, c.sent)
        and _are_buckets(c.buckets, c.calls)
        and len(c.errors) <= _MAX_ERRORS
        and all(_is_sqlstate(state) and number > 0 for state, number in c.errors.items())
        and sum(c.errors.values()) <= c.calls
    )


def _is_transaction(t: TransactionCount) -> bool:
    return (
        0 <= t.failed <= t.count
        and _are_sums(t.statements, t.total_us, t.max_us, t.idle_us, t.max_idle_us)
        and _are_buckets(t.buckets, t.count)
    )


def _is_fingerprint(number: int) -> bool:
    return 0 <= number < 1 << 64


def _is_sqlstate(state: str) -> bool:
    return len(state) == 5 and state.isascii() and state.isalnum()


def _are_sums(*values: float) -> bool:
    return all(0 <= value <= _MAX_SUM for value in values)  # not so for a NaN


def _are_buckets(buckets: dict[int, int], calls: int) -> bool:
    return (
        0 < calls <= _MAX_SUM
        and len(buckets) <= _MAX_BUCKET
        and sum(buckets.values()) == calls
        and all(0 <= b <= _MAX_BUCKET and number > 0 for b, number in buckets.items())
    )
