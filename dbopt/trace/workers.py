"""The gateway's workers as they last reported, and what all of them have counted since the start.

A worker counts from zero when it is replaced, and a pool when it is opened again: the sums here
never go down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec.structs import asdict, replace

from dbopt.clock import Clock, monotonic
from dbopt.metrics import OTHER, Bounded, Sample
from dbopt.observation import PoolSnapshot, WorkerSnapshot

MAX_POOLS = 50
"""Pools told apart in sums and metrics: under trust, a client can name any database and user."""

Pair = tuple[str, str]

_SUMMED = {
    "xact_count": ("dbopt_pool_transactions_total", 1.0),
    "query_count": ("dbopt_pool_queries_total", 1.0),
    "received": ("dbopt_pool_received_bytes_total", 1.0),
    "sent": ("dbopt_pool_sent_bytes_total", 1.0),
    "wait_time_us": ("dbopt_pool_wait_seconds_total", 1e-6),
    "queue_timeouts": ("dbopt_pool_queue_timeouts_total", 1.0),
    "queue_refusals": ("dbopt_pool_queue_refusals_total", 1.0),
    "server_errors": ("dbopt_pool_server_errors_total", 1.0),
    "pins": ("dbopt_pool_pins_total", 1.0),
    "query_timeouts": ("dbopt_pool_query_timeouts_total", 1.0),
    "transaction_timeouts": ("dbopt_pool_transaction_timeouts_total", 1.0),
    "idle_transaction_timeouts": ("dbopt_pool_idle_transaction_timeouts_total", 1.0),
    "client_idle_timeouts": ("dbopt_pool_client_idle_timeouts_total", 1.0),
    "lane_waits": ("dbopt_pool_lane_waits_total", 1.0),
    "lane_wait_us": ("dbopt_pool_lane_wait_seconds_total", 1e-6),
}
_GAUGES = {
    "cl_active": "dbopt_pool_clients_active",
    "cl_waiting": "dbopt_pool_clients_waiting",
    "cl_pinned": "dbopt_pool_clients_pinned",
    "maxwait": "dbopt_pool_maxwait_seconds",
    "sv_active": "dbopt_pool_servers_active",
    "sv_idle": "dbopt_pool_servers_idle",
    "sv_tested": "dbopt_pool_servers_tested",
    "sv_login": "dbopt_pool_servers_login",
    "sv_reserve": "dbopt_pool_servers_reserve",
    "max_size": "dbopt_pool_size_max",
    "lane_limit": "dbopt_pool_lane_limit",
    "lane_active": "dbopt_pool_lane_active",
    "lane_waiting": "dbopt_pool_lane_waiting",
}
_WORKER = {
    "protocol_errors": "dbopt_gateway_protocol_errors_total",
    "login_failures": "dbopt_gateway_login_failures_total",
    "guard_unanswered": "dbopt_guard_unanswered_total",
    "guard_unreadable": "dbopt_guard_unreadable_total",
    "errors_dropped": "dbopt_trace_errors_dropped_total",
    "spans_dropped": "dbopt_trace_spans_dropped_total",
}
_ZERO = dict.fromkeys(_SUMMED, 0.0)


class Workers:
    """Takes each worker's snapshots. One that was silent for `stale_after` seconds is gone.

    `restarts` tells how often a worker was started again: the supervisor knows.
    """

    def __init__(
        self,
        restarts: Callable[[], int],
        stale_after: float = 15.0,
        clock: Clock = monotonic,
    ) -> None:
        self._restarts = restarts
        self._stale_after = stale_after
        self._clock = clock
        self._heard: dict[int, tuple[float, WorkerSnapshot]] = {}
        self._pairs: Bounded[Pair] = Bounded(MAX_POOLS, (OTHER, OTHER))
        self._sums: dict[Pair, dict[str, float]] = {}
        self._own = dict.fromkeys(_WORKER, 0.0)

    def observed(self, worker: int, snapshot: WorkerSnapshot) -> None:
        """A worker reported."""
        before = self._heard.get(worker)
        self._heard[worker] = (self._clock(), snapshot)
        if before is not None and before[1].pid != snapshot.pid:
            before = None
        old = before[1] if before else None
        for name in _WORKER:
            self._own[name] += _grown(old, snapshot, name)
        pools = {(pool.database, pool.user): pool for pool in old.pools} if old else {}
        for pool in snapshot.pools:
            self._add(pools.get((pool.database, pool.user)), pool)

    def _add(self, old: PoolSnapshot | None, new: PoolSnapshot) -> None:
        if old is not None and any(getattr(new, n) < getattr(old, n) for n in _SUMMED):
            old = None  # It was closed and opened again between two reports.
        sums = self._sums.setdefault(self._pairs.of((new.database, new.user)), _ZERO.copy())
        for name in _SUMMED:
            sums[name] += _grown(old, new, name)

    def live(self) -> dict[int, WorkerSnapshot]:
        """The last snapshot of each worker that still reports, by worker number."""
        oldest = self._clock() - self._stale_after
        return {number: seen for number, (at, seen) in sorted(self._heard.items()) if at >= oldest}

    def pools(self) -> list[PoolSnapshot]:
        """The pools of all live workers, by database and user: sums, and the longest wait."""
        merged: dict[Pair, PoolSnapshot] = {}
        for worker in self.live().values():
            for pool in worker.pools:
                key = self._pairs.of((pool.database, pool.user))
                merged[key] = _together(key, merged.get(key), pool)
        return [
            replace(pool, **{n: _whole(n, self._sums[key][n]) for n in _SUMMED})
            for key, pool in sorted(merged.items())
        ]

    def sums(self) -> Iterator[tuple[Pair, dict[str, float]]]:
        """What all pools ever counted, by (database, user) and PoolSnapshot's names."""
        yield from self._sums.items()

    def samples(self) -> Iterator[Sample]:
        """See metrics.Source."""
        live = self.live()
        yield Sample("dbopt_gateway_workers", len(live))
        yield Sample("dbopt_gateway_clients", sum(worker.clients for worker in live.values()))
        yield Sample("dbopt_gateway_worker_restarts_total", self._restarts())
        for name, metric in _WORKER.items():
            yield Sample(metric, self._own[name])
        for pool in self.pools():
            for name, metric in _GAUGES.items():
                yield Sample(metric, getattr(pool, name), (pool.database, pool.user))
        for pair, sums in self._sums.items():
            for name, (metric, unit) in _SUMMED.items():
                yield Sample(metric, sums[name] * unit, pair)

    def to_dict(self) -> list[dict[str, object]]:
        """The live workers, for JSON."""
        return [
            {"number": number} | {k: v for k, v in asdict(worker).items() if k != "pools"}
            for number, worker in self.live().items()
        ]


def _grown(
    old: WorkerSnapshot | PoolSnapshot | None, new: WorkerSnapshot | PoolSnapshot, name: str
) -> float:
    grown: float = getattr(new, name) - (getattr(old, name) if old is not None else 0)
    return grown


def _together(key: Pair, one: PoolSnapshot | None, other: PoolSnapshot) -> PoolSnapshot:
    if one is None:
        return replace(other, database=key[0], user=key[1])
    gauges = {name: getattr(one, name) + getattr(other, name) for name in _GAUGES}
    return replace(one, **gauges | {"maxwait": max(one.maxwait, other.maxwait)})


def _whole(name: str, value: float) -> float:
    return value if name.endswith("_us") else int(value)
