"""Pools under pgbouncer_exporter's names, so that dashboards that people have go on working.

Names and units: prometheus-community/pgbouncer_exporter, collector.go. What dbopt has not (such
as sv_used) is not here.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.metrics import Definition, Sample, Type
from dbopt.trace.workers import Workers

_POOL = ("database", "user")
_G, _C = Type.GAUGE, Type.COUNTER

_GAUGES = {
    "cl_active": ("client_active_connections", "Clients linked to a server connection."),
    "cl_waiting": ("client_waiting_connections", "Clients that wait for one."),
    "sv_active": ("server_active_connections", "Server connections linked to a client."),
    "sv_idle": ("server_idle_connections", "Server connections that are free."),
    "sv_tested": ("server_testing_connections", "Server connections being reset."),
    "sv_login": ("server_login_connections", "Server connections being opened."),
    "maxwait": ("client_maxwait_seconds", "How long the first client has waited."),
}
_SUMS = {
    "query_count": ("queries_pooled_total", "Statements.", 1.0),
    "xact_count": ("sql_transactions_pooled_total", "Transactions.", 1.0),
    "received": ("received_bytes_total", "Bytes from clients.", 1.0),
    "sent": ("sent_bytes_total", "Bytes to clients.", 1.0),
    "wait_time_us": ("client_wait_seconds_total", "Time that clients waited.", 1e-6),
}

DEFINITIONS: tuple[Definition, ...] = (
    Definition("pgbouncer_up", _G, "1 if a gateway worker reports."),
    Definition("pgbouncer_pools", _G, "Pools."),
    Definition("pgbouncer_used_clients", _G, "Clients that are connected."),
    *(Definition(f"pgbouncer_pools_{name}", _G, doc, _POOL) for name, doc in _GAUGES.values()),
    *(
        Definition(f"pgbouncer_stats_{name}", _C, doc, ("database",))
        for name, doc, _ in _SUMS.values()
    ),
)


class PgBouncerNames:
    """See metrics.Source: what Workers knows, by the names of another program."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def samples(self) -> Iterator[Sample]:
        """The values now."""
        live, pools = self._workers.live(), self._workers.pools()
        yield Sample("pgbouncer_up", float(bool(live)))
        yield Sample("pgbouncer_pools", len(pools))
        yield Sample("pgbouncer_used_clients", sum(worker.clients for worker in live.values()))
        for pool in pools:
            for column, (name, _) in _GAUGES.items():
                labels = (pool.database, pool.user)
                yield Sample(f"pgbouncer_pools_{name}", getattr(pool, column), labels)
        yield from self._sums()

    def _sums(self) -> Iterator[Sample]:
        totals: dict[str, dict[str, float]] = {}
        for (database, _), sums in self._workers.sums():
            own = totals.setdefault(database, dict.fromkeys(_SUMS, 0.0))
            for column in _SUMS:
                own[column] += sums[column]
        for database, own in totals.items():
            for column, (name, _, unit) in _SUMS.items():
                yield Sample(f"pgbouncer_stats_{name}", own[column] * unit, (database,))
