"""What a gateway worker saw, as it travels to the control process and is counted there."""

from __future__ import annotations

import msgspec


class StatementCount(msgspec.Struct, frozen=True, array_like=True):
    """What one statement added since the last flush, by database, user and application.

    Times are microseconds. `text` is redacted, and empty where it was sent before.
    `buckets` is dbopt.histogram's, of queue wait, server time and transfer together. `route` is
    sqlcommenter's, "" without one. `total_us` is all of it; of that, `queue_us` was waited for a
    backend and `transfer_us` went by between the answer's first byte and its last. `received` are
    bytes from the client, `sent` bytes to it.
    """

    fingerprint: int
    text: str
    database: str
    user: str
    application: str
    calls: int
    rows: int
    errors: dict[str, int]
    queue_us: float
    total_us: float
    max_us: float
    buckets: dict[int, int]
    route: str = ""
    transfer_us: float = 0.0
    received: int = 0
    sent: int = 0


class TransactionCount(msgspec.Struct, frozen=True, array_like=True):
    """What the transactions of one (database, user, application, route) added since the last flush.

    Explicit transactions alone (BEGIN to its end): a statement by itself is a StatementCount.
    Times are microseconds; `idle_us` is time in which none of the client's statements ran.
    `buckets` is dbopt.histogram's, of the whole duration. `failed` ended in a rollback.
    """

    database: str
    user: str
    application: str
    route: str
    count: int
    failed: int
    statements: int
    total_us: float
    max_us: float
    idle_us: float
    max_idle_us: float
    buckets: dict[int, int]


class Repeated(msgspec.Struct, frozen=True, array_like=True):
    """An N+1: a statement that ran trace.n_plus_one times or more in each of some transactions.

    `calls` are its executions in those `transactions`, `most` the most in one of them.
    """

    fingerprint: int
    database: str
    user: str
    application: str
    route: str
    transactions: int
    calls: int
    most: int


class SlowStatement(msgspec.Struct, frozen=True, array_like=True):
    """One statement above the threshold. Times are milliseconds, `started` is epoch seconds.

    `text` is what may be shown: redacted unless trace.parameters is on. `sql` is the text as
    it ran: for EXPLAIN alone; it stays in memory and is never stored or shown. `tags` are
    sqlcommenter's, the route and the traceparent too. `duration_ms` is queue, server and transfer.
    The same of a statement that is a span to be exported, however long it took.
    """

    fingerprint: int
    text: str
    sql: str
    database: str
    user: str
    application: str
    started: float
    duration_ms: float
    queue_ms: float
    server_ms: float
    rows: int
    sqlstate: str
    backend_pid: int
    route: str = ""
    tags: dict[str, str] = {}
    transfer_ms: float = 0.0
    received: int = 0
    sent: int = 0

    @property
    def traceparent(self) -> str:
        """W3C's, as the application gave it; "" without one."""
        return self.tags.get("traceparent", "")


class PoolSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """One pool at one moment, in PgBouncer's words; counts since the worker's start.

    The one source of /metrics and `dbopt status`. `maxwait` is seconds. `sv_tested` are being
    reset, `sv_reserve` leased beyond max_size; `pins` counts clients that got a backend for
    themselves, and `cl_pinned` are those who have one. `lane_` is about heavy statements: how many
    clients may run them at once (0: no limit), do, wait to, and have waited.
    """

    database: str
    user: str
    mode: str
    cl_active: int
    cl_waiting: int
    cl_pinned: int
    sv_active: int
    sv_idle: int
    sv_tested: int
    sv_login: int
    sv_reserve: int
    max_size: int
    maxwait: float
    xact_count: int
    query_count: int
    received: int
    sent: int
    wait_time_us: float
    queue_timeouts: int
    queue_refusals: int
    server_errors: int
    pins: int
    query_timeouts: int
    transaction_timeouts: int
    idle_transaction_timeouts: int
    client_idle_timeouts: int
    lane_limit: int = 0
    lane_active: int = 0
    lane_waiting: int = 0
    lane_waits: int = 0
    lane_wait_us: float = 0.0


class WorkerSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """One gateway worker at one moment.

    `guard_asked` are questions; of statements, `guard_unanswered` got no verdict in time, and
    `guard_unreadable` were none that can be judged: guard.fail said what became of them.
    `spans_dropped` are traced statements beyond what one report holds, and `errors_dropped` failed
    ones beyond what is kept of a second, since the worker's start.
    """

    pid: int
    clients: int
    draining: bool
    pools: list[PoolSnapshot]
    protocol_errors: int
    login_failures: int
    guard_asked: int = 0
    guard_unanswered: int = 0
    guard_unreadable: int = 0
    spans_dropped: int = 0
    errors_dropped: int = 0
