"""What was counted since the last call, for the store: frames, and statements' texts."""

from __future__ import annotations

from datetime import date, datetime

from dbopt.histogram import Histogram
from dbopt.observation import PoolSnapshot
from dbopt.store.batch import Batch
from dbopt.store.frame import Frame, Key, Target, Values
from dbopt.trace.counted import Counted
from dbopt.trace.recorder import Recorder
from dbopt.trace.transactions import Repetition, Transacted, Transactions
from dbopt.trace.workers import Workers

LATENCY = ("p50_us", "p95_us", "p99_us", "max_us")
TRACED = (
    "calls", "rows", "errors", "total_us", "queue_us", "transfer_us", "received_bytes",
    "sent_bytes",
)  # fmt: skip
TRANSACTIONS = ("transactions", "failed", "statements", "total_us", "idle_us")
REPEATED = ("transactions", "calls")
POOLS = ("xact", "query", "wait_us")
POOLS_NOW = ("cl_active", "cl_waiting", "sv_active", "sv_idle", "maxwait_us")
_MOST = 1 << 62


class TraceHistory:
    """Differences alone: each call gives what was counted since the one before."""

    def __init__(
        self,
        recorder: Recorder,
        transactions: Transactions,
        workers: Workers,
        began: datetime,
    ) -> None:
        self._recorder = recorder
        self._transactions = transactions
        self._workers = workers
        self._last = began
        self._named: dict[int, str] = {}
        self._named_on: date = began.date()
        self._pools: dict[tuple[str, str], tuple[int, ...]] = {}

    def batch(self, server: str, at: datetime) -> Batch:
        """What was counted until `at`: frames of those views in which something happened.

        Keys are as the recorder's; texts are of the statements that were not named since the
        start, or today.
        """
        seconds = max((at - self._last).total_seconds(), 0.0)
        self._last = at
        if at.date() != self._named_on:
            self._named, self._named_on = {}, at.date()
        statements = self._recorder.take_period()
        transactions, repeated = self._transactions.take_period()
        target = Target(server)
        views: list[tuple[str, tuple[str, ...], tuple[str, ...], dict[Key, Values]]] = [
            ("traced", TRACED, LATENCY, {key: _counted(part) for key, part in statements}),
            ("transactions", TRANSACTIONS, (*LATENCY, "max_idle_us"),
             {key: _transacted(part) for key, part in transactions}),
            ("repeated", REPEATED, ("most",), {key: _repeated(part) for key, part in repeated}),
            ("pools", POOLS, POOLS_NOW, self._pooled()),
        ]  # fmt: skip
        frames = tuple(
            Frame(target, view, at, seconds, counters, gauges, changed, additive=True)
            for view, counters, gauges, changed in views
            if changed
        )
        numbers = {key[0] for key, _ in statements} | {key[0] for key, _ in repeated}
        return Batch(frames=frames, texts=self._texts(numbers))

    def _texts(self, numbers: set[int]) -> dict[int, str]:
        known = {number: self._recorder.book.known(number).text for number in numbers if number}
        new = {
            number: text
            for number, text in known.items()
            if text and self._named.get(number) != text
        }
        self._named |= new
        return new

    def _pooled(self) -> dict[Key, Values]:
        changed: dict[Key, Values] = {}
        for pool in self._workers.pools():
            pair = (pool.database, pool.user)
            sums = (int(pool.xact_count), int(pool.query_count), round(pool.wait_time_us))
            before = self._pools.get(pair, (0, 0, 0))
            self._pools[pair] = sums
            grown = tuple(new - old for new, old in zip(sums, before, strict=True))
            changed[pair] = (*grown, *_pool_now(pool))
        return changed


def _pool_now(pool: PoolSnapshot) -> tuple[int, ...]:
    return (
        pool.cl_active, pool.cl_waiting, pool.sv_active, pool.sv_idle, round(pool.maxwait * 1e6),
    )  # fmt: skip


def _counted(part: Counted) -> Values:
    return _bounded(
        part.histogram.count, part.rows, sum(part.errors.values()), part.histogram.total,
        part.queue_us, part.transfer_us, part.received, part.sent, *_latency(part.histogram),
    )  # fmt: skip


def _transacted(part: Transacted) -> Values:
    return _bounded(
        part.histogram.count, part.failed, part.statements, part.histogram.total, part.idle_us,
        *_latency(part.histogram), part.max_idle_us,
    )  # fmt: skip


def _repeated(part: Repetition) -> Values:
    return _bounded(part.transactions, part.calls, part.most)


def _latency(histogram: Histogram) -> tuple[float, ...]:
    quantiles = (histogram.quantile(q) for q in (0.50, 0.95, 0.99))
    return (*quantiles, histogram.maximum)


def _bounded(*values: float) -> Values:
    """Whole numbers that a bigint holds: one that does not would cost the whole batch."""
    return tuple(round(min(value, _MOST)) for value in values)
