"""Counts as OpenTelemetry's metrics, by the semantic conventions for databases 1.44.

They were counted already, so that data points are made here and no instrument is asked to count
again. All are cumulative since the start.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as Distribution
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from dbopt.histogram import Histogram, value_of
from dbopt.metrics import BUCKETS
from dbopt.observation import PoolSnapshot

Durations = Callable[[], Mapping[str, Histogram]]
"""The time of statements by database, microseconds, since the start."""
Pools = Callable[[], Sequence[PoolSnapshot]]
Point = tuple[Mapping[str, str], float]

_CUMULATIVE = AggregationTemporality.CUMULATIVE
_CONNECTION = "db.client.connection."
_POOL = _CONNECTION + "pool.name"
_STATE = _CONNECTION + "state"


class Measures:
    """Makes one batch of metrics. `began` is when counting did, epoch nanoseconds."""

    def __init__(
        self,
        durations: Durations,
        pools: Pools,
        resource: Resource,
        scope: InstrumentationScope,
        began: int,
    ) -> None:
        self._durations = durations
        self._pools = pools
        self._resource = resource
        self._scope = scope
        self._began = began

    def at(self, now: int) -> MetricsData:
        """All metrics at this moment, epoch nanoseconds."""
        pools = self._pools()
        metrics = [
            self._operations(now),
            *(self._sum(now, *one) for one in _connections(pools)),
            self._waits(now, pools),
        ]
        scope = ScopeMetrics(self._scope, metrics, "")
        return MetricsData([ResourceMetrics(self._resource, [scope], "")])

    def _operations(self, now: int) -> Metric:
        points = []
        for database, seen in list(self._durations().items()):
            attributes = {"db.system.name": "postgresql", "db.namespace": database}
            counts = [0] * (len(BUCKETS) + 1)
            # A list at once: the event loop goes on counting meanwhile.
            for bucket, count in list(seen.buckets.items()):
                counts[bisect_left(BUCKETS, value_of(bucket) / 1e6)] += count
            points.append(self._distribution(now, attributes, seen.total / 1e6, counts, BUCKETS))
        return _histogram(
            "db.client.operation.duration", "Duration of database client operations.", points
        )

    def _waits(self, now: int, pools: Sequence[PoolSnapshot]) -> Metric:
        """One bucket: how many leases there were, and the time that all of them waited."""
        points = [
            self._distribution(
                now, {_POOL: _name(pool)}, pool.wait_time_us / 1e6, [pool.xact_count], ()
            )
            for pool in pools
        ]
        doc = "The time it took to obtain an open connection from the pool."
        return _histogram(_CONNECTION + "wait_time", doc, points)

    def _distribution(
        self,
        now: int,
        attributes: Mapping[str, str],
        total: float,
        counts: Sequence[int],
        bounds: Sequence[float],
    ) -> HistogramDataPoint:
        return HistogramDataPoint(
            attributes=attributes, start_time_unix_nano=self._began, time_unix_nano=now,
            count=sum(counts), sum=total, bucket_counts=counts, explicit_bounds=bounds,
            # They may be left out, and are not known.
            min=None, max=None,  # type: ignore[arg-type]
        )  # fmt: skip

    def _sum(
        self, now: int, name: str, unit: str, doc: str, monotonic: bool, points: Iterable[Point]
    ) -> Metric:
        made = [
            NumberDataPoint(
                attributes=attributes, start_time_unix_nano=self._began, time_unix_nano=now,
                value=value,
            )
            for attributes, value in points
        ]  # fmt: skip
        return Metric(name, doc, unit, Sum(made, _CUMULATIVE, monotonic))


def _connections(
    pools: Sequence[PoolSnapshot],
) -> Iterable[tuple[str, str, str, bool, list[Point]]]:
    """Name, unit, description, whether it only grows, and the points."""
    states: list[Point] = []
    for pool in pools:
        states.append(({_POOL: _name(pool), _STATE: "used"}, pool.sv_active))
        states.append(({_POOL: _name(pool), _STATE: "idle"}, pool.sv_idle))
    own: list[tuple[PoolSnapshot, Mapping[str, str]]] = [(p, {_POOL: _name(p)}) for p in pools]
    yield (
        _CONNECTION + "count", "{connection}", "Connections by state.", False, states,
    )  # fmt: skip
    yield (
        _CONNECTION + "max", "{connection}", "Open connections at most.", False,
        [(labels, pool.max_size) for pool, labels in own],
    )  # fmt: skip
    yield (
        _CONNECTION + "pending_requests", "{request}", "Requests that wait for a connection.",
        False, [(labels, pool.cl_waiting) for pool, labels in own],
    )  # fmt: skip
    yield (
        _CONNECTION + "timeouts", "{timeout}", "Requests that waited too long.", True,
        [(labels, pool.queue_timeouts) for pool, labels in own],
    )  # fmt: skip


def _histogram(name: str, doc: str, points: Sequence[HistogramDataPoint]) -> Metric:
    return Metric(name, doc, "s", Distribution(points, _CUMULATIVE))


def _name(pool: PoolSnapshot) -> str:
    return f"{pool.database}/{pool.user}"
