"""Observations as a worker sends them, with what a test does not care about filled in."""

from __future__ import annotations

from typing import Any

from dbopt.histogram import Histogram
from dbopt.observation import (
    PoolSnapshot,
    Repeated,
    SlowStatement,
    StatementCount,
    TransactionCount,
    WorkerSnapshot,
)
from dbopt.sql.fingerprint import fingerprint, redact


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def count(
    sql: str = "SELECT 1", times_us: tuple[float, ...] = (1000.0,), **given: Any
) -> StatementCount:
    """A StatementCount of calls that took `times_us` each."""
    histogram = Histogram()
    for one in times_us:
        histogram.add(one)
    values: dict[str, Any] = {
        "fingerprint": fingerprint(sql), "text": redact(sql), "database": "app", "user": "alice",
        "application": "web", "calls": len(times_us), "rows": len(times_us), "errors": {},
        "queue_us": 0.0, "total_us": histogram.total, "max_us": histogram.maximum,
        "buckets": histogram.buckets,
    }  # fmt: skip
    return StatementCount(**values | given)


def slow(sql: str = "SELECT 1", **given: Any) -> SlowStatement:
    values: dict[str, Any] = {
        "fingerprint": fingerprint(sql), "text": redact(sql), "sql": sql, "database": "app",
        "user": "alice", "application": "web", "started": 1_700_000_000.25, "duration_ms": 1500.0,
        "queue_ms": 100.0, "server_ms": 1400.0, "rows": 3, "sqlstate": "", "backend_pid": 42,
    }  # fmt: skip
    return SlowStatement(**values | given)


def pool(**given: Any) -> PoolSnapshot:
    values: dict[str, Any] = {
        "database": "app", "user": "alice", "cl_active": 0, "cl_waiting": 0, "sv_active": 0,
        "sv_idle": 0, "sv_login": 0, "max_size": 20, "maxwait": 0.0, "xact_count": 0,
        "query_count": 0, "received": 0, "sent": 0, "wait_time_us": 0.0, "queue_timeouts": 0,
        "server_errors": 0,
        "mode": "transaction", "cl_pinned": 0, "sv_tested": 0, "sv_reserve": 0,
        "queue_refusals": 0, "pins": 0, "query_timeouts": 0, "transaction_timeouts": 0,
        "idle_transaction_timeouts": 0, "client_idle_timeouts": 0,
    }  # fmt: skip
    return PoolSnapshot(**values | given)


def worker(pid: int = 100, *pools: PoolSnapshot, **given: Any) -> WorkerSnapshot:
    values: dict[str, Any] = {
        "pid": pid, "clients": 0, "draining": False, "pools": list(pools), "protocol_errors": 0,
        "login_failures": 0,
    }  # fmt: skip
    return WorkerSnapshot(**values | given)


def transactions(times_us: tuple[float, ...] = (1000.0,), **given: Any) -> TransactionCount:
    histogram = Histogram()
    for one in times_us:
        histogram.add(one)
    values: dict[str, Any] = {
        "database": "app", "user": "alice", "application": "web", "route": "", "failed": 0,
        "count": len(times_us), "statements": 2 * len(times_us), "total_us": histogram.total,
        "max_us": histogram.maximum, "idle_us": 0.0, "max_idle_us": 0.0,
        "buckets": histogram.buckets,
    }  # fmt: skip
    return TransactionCount(**values | given)


def repeated(number: int = 7, **given: Any) -> Repeated:
    values: dict[str, Any] = {
        "fingerprint": number, "database": "app", "user": "alice", "application": "web",
        "route": "/cart", "transactions": 2, "calls": 30, "most": 18,
    }  # fmt: skip
    return Repeated(**values | given)
