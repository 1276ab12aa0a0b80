"""Metrics for Prometheus: one table says what there is; sources give the values at each scrape.

Names and units follow https://prometheus.io/docs/practices/naming/, the buckets OpenTelemetry's
database conventions. No label takes a value from a statement: a fingerprint is never a label.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, NamedTuple, Protocol, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    UnknownMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from dbopt.histogram import Histogram, value_of

BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""Seconds: those of OpenTelemetry's db.client.operation.duration."""
OTHER = "other"
"""The label of what is beyond a bound."""

K = TypeVar("K", bound=Hashable)
Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily | UnknownMetricFamily


class Type(StrEnum):
    """What a metric is, in Prometheus' words.

    UNTYPED: what another exporter named so that it breaks the conventions of its type, such as a
    counter without `_total`; whoever asks for it by that name finds it.
    """

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    UNTYPED = "untyped"


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric. `name` is as it is exposed, a counter's with `_total`.

    `absent`: it is left out while nobody gives it; others without labels are zero then.
    """

    name: str
    type: Type
    doc: str
    labels: tuple[str, ...] = ()
    absent: bool = False


class Sample(NamedTuple):
    """One value of one metric. `labels` are in the definition's order."""

    name: str
    value: float | Histogram
    labels: tuple[str, ...] = ()


class Source(Protocol):
    """Who knows the present values of some metrics."""

    def samples(self) -> Iterable[Sample]:
        """The values now; a histogram's are microseconds."""
        ...


_POOL = ("database", "user")
_C, _G, _H = Type.COUNTER, Type.GAUGE, Type.HISTOGRAM

DEFINITIONS: tuple[Definition, ...] = (
    Definition("dbopt_info", _G, "The version that runs.", ("version",)),
    Definition("dbopt_pool_clients_active", _G, "Clients that hold a server connection.", _POOL),
    Definition("dbopt_pool_clients_waiting", _G, "Clients that wait for one.", _POOL),
    Definition(
        "dbopt_pool_clients_pinned", _G, "Clients whose server connection is theirs alone.", _POOL
    ),
    Definition("dbopt_pool_maxwait_seconds", _G, "How long the first of them has waited.", _POOL),
    Definition("dbopt_pool_servers_active", _G, "Server connections in use.", _POOL),
    Definition("dbopt_pool_servers_idle", _G, "Server connections that are free.", _POOL),
    Definition("dbopt_pool_servers_tested", _G, "Server connections being reset.", _POOL),
    Definition("dbopt_pool_servers_login", _G, "Server connections being opened.", _POOL),
    Definition("dbopt_pool_servers_reserve", _G, "Those in use beyond max_size.", _POOL),
    Definition("dbopt_pool_size_max", _G, "Server connections at most, all workers.", _POOL),
    Definition("dbopt_pool_transactions_total", _C, "Transactions.", _POOL),
    Definition("dbopt_pool_queries_total", _C, "Statements.", _POOL),
    Definition("dbopt_pool_received_bytes_total", _C, "Bytes from clients.", _POOL),
    Definition("dbopt_pool_sent_bytes_total", _C, "Bytes to clients.", _POOL),
    Definition("dbopt_pool_wait_seconds_total", _C, "Time that clients waited.", _POOL),
    Definition("dbopt_pool_queue_timeouts_total", _C, "Waits that ended in 53300.", _POOL),
    Definition("dbopt_pool_queue_refusals_total", _C, "Clients beyond max_queue.", _POOL),
    Definition("dbopt_pool_server_errors_total", _C, "Server connections that failed.", _POOL),
    Definition("dbopt_pool_pins_total", _C, "Times a connection became a client's own.", _POOL),
    Definition("dbopt_pool_query_timeouts_total", _C, "Ends by query_timeout.", _POOL),
    Definition("dbopt_pool_transaction_timeouts_total", _C, "By transaction_timeout.", _POOL),
    Definition(
        "dbopt_pool_idle_transaction_timeouts_total", _C, "By idle_transaction_timeout.", _POOL
    ),
    Definition("dbopt_pool_client_idle_timeouts_total", _C, "By client_idle_timeout.", _POOL),
    Definition("dbopt_pool_lane_limit", _G, "Clients with heavy statements at most.", _POOL),
    Definition("dbopt_pool_lane_active", _G, "Clients that run one.", _POOL),
    Definition("dbopt_pool_lane_waiting", _G, "Clients that wait to run one.", _POOL),
    Definition("dbopt_pool_lane_waits_total", _C, "Waits for the lane.", _POOL),
    Definition("dbopt_pool_lane_wait_seconds_total", _C, "Time waited for it.", _POOL),
    Definition("dbopt_gateway_clients", _G, "Clients that are connected."),
    Definition("dbopt_gateway_workers", _G, "Gateway workers that report."),
    Definition("dbopt_gateway_protocol_errors_total", _C, "Clients cut for bad bytes."),
    Definition("dbopt_gateway_login_failures_total", _C, "Logins refused."),
    Definition("dbopt_gateway_worker_restarts_total", _C, "Workers started again."),
    Definition("dbopt_statements_total", _C, "Statements by kind.", ("database", "kind")),
    Definition("dbopt_sql_unparsed_total", _C, "Statements that could not be parsed."),
    Definition("dbopt_statement_errors_total", _C, "Statements that failed.", ("sqlstate",)),
    Definition(
        "dbopt_statement_duration_seconds", _H, "Wait and time on the server.", ("database",)
    ),
    Definition("dbopt_slow_statements_total", _C, "Statements above trace.slow."),
    Definition("dbopt_trace_errors_dropped_total", _C, "Failed statements too many to be kept."),
    Definition("dbopt_trace_spans_dropped_total", _C, "Spans too many to be kept."),
    Definition("dbopt_plans_captured_total", _C, "Plans of slow statements taken."),
    Definition("dbopt_plan_failures_total", _C, "Plans that could not be taken."),
    Definition("dbopt_plan_changes_total", _C, "Plans that took another's place."),
    Definition(
        "dbopt_guard_decisions_total",
        _C,
        "Statements that a rule refused, or would have.",
        ("rule", "action"),
    ),
    Definition("dbopt_guard_questions_total", _C, "Statements that workers asked about."),
    Definition("dbopt_guard_unanswered_total", _C, "Statements that no verdict came for in time."),
    Definition("dbopt_guard_unreadable_total", _C, "Statements that cannot be read for sure."),
    Definition("dbopt_guard_flooded_total", _C, "Questions too many at once to be judged."),
    Definition("dbopt_guard_cost_failures_total", _C, "Costs that the planner did not give."),
    Definition("dbopt_guard_unobserved_total", _C, "Statements too many to be judged."),
    Definition("dbopt_guard_quarantined", _G, "Statements in quarantine."),
    Definition("dbopt_store_pending_batches", _G, "What is not in the store yet."),
    Definition("dbopt_store_spool_bytes", _G, "What is held while the store is away."),
    Definition("dbopt_store_batches_total", _C, "Batches that the store has taken."),
    Definition("dbopt_store_dropped_total", _C, "Batches lost: too many held, or refused."),
    Definition("dbopt_store_skipped_frames_total", _C, "Frames whose time was stored already."),
    Definition(
        "dbopt_store_last_success_timestamp_seconds", _G, "When the store last took something."
    ),
    Definition("dbopt_findings", _G, "What the latest health check found.", ("rule", "severity")),
    Definition("dbopt_check_timestamp_seconds", _G, "When the latest health check ran."),
    Definition("dbopt_check_duration_seconds", _G, "How long it took."),
    Definition("dbopt_collector_runs_total", _C, "Looks at a view.", ("view",)),
    Definition("dbopt_collector_failures_total", _C, "Looks that failed.", ("view",)),
    Definition("dbopt_collector_seconds_total", _C, "Time that its looks took.", ("view",)),
    Definition(
        "dbopt_collector_slowed", _G, "1 if it is looked at less often, for its cost.", ("view",)
    ),
    Definition("dbopt_samples_total", _C, "Samples of what sessions do."),
    Definition("dbopt_sample_failures_total", _C, "Samples that failed."),
    Definition(
        "dbopt_active_sessions", _G, "Average active sessions in the last minute.", ("wait",)
    ),
    Definition("dbopt_job_runs_total", _C, "Runs of a job.", ("job",)),
    Definition("dbopt_job_failures_total", _C, "Runs of a job that failed.", ("job",)),
    Definition(
        "dbopt_job_last_success_timestamp_seconds", _G, "When a job last succeeded.", ("job",)
    ),
)
"""Every metric of dbopt's own, in the order in which they are exposed."""


class Bounded(Generic[K]):
    """Keeps the first `limit` distinct keys; every later one becomes `other`.

    Each series costs memory here and in Prometheus, and clients choose names.
    """

    def __init__(self, limit: int, other: K) -> None:
        self._limit = limit
        self._other = other
        self._known: set[K] = set()

    def of(self, key: K) -> K:
        """The key itself, or `other`."""
        if key in self._known:
            return key
        if len(self._known) >= self._limit:
            return self._other
        self._known.add(key)
        return key


class Metrics(Collector):
    """The registry, and the sources that it asks at each scrape."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._version = version
        self._sources: list[Source] = []
        self.definitions: list[Definition] = list(DEFINITIONS)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def add(self, source: Source, definitions: Iterable[Definition] = ()) -> None:
        """Ask this source too; `definitions` are of metrics that it alone gives."""
        self._sources.append(source)
        self.definitions += definitions

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type: OpenMetrics where `accept` asks for it."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def collect(self) -> Iterator[Family]:
        """Every family of the table; a metric without labels that nobody gave is zero."""
        found: dict[str, list[Sample]] = {"dbopt_info": [Sample("dbopt_info", 1, (self._version,))]}
        for source in self._sources:
            for sample in source.samples():
                found.setdefault(sample.name, []).append(sample)
        for definition in self.definitions:
            samples = found.pop(definition.name, [])
            if not samples and definition.absent:
                continue
            if not samples and not definition.labels:
                samples = [Sample(definition.name, 0)]
            yield _family(definition, samples)
        if found:
            raise LookupError(f"not in the table of metrics: {', '.join(sorted(found))}")


def _family(definition: Definition, samples: list[Sample]) -> Family:
    name, doc, labels = definition.name, definition.doc, definition.labels
    if definition.type is Type.HISTOGRAM:
        histogram = HistogramMetricFamily(name, doc, labels=labels)
        for sample in samples:
            if isinstance(sample.value, Histogram):
                total = sample.value.total / 1e6
                histogram.add_metric(sample.labels, cumulative(sample.value), total)
        return histogram
    made = _PLAIN[definition.type](name, doc, labels=labels)
    for sample in samples:
        if not isinstance(sample.value, Histogram):
            made.add_metric(sample.labels, sample.value)
    return made


_PLAIN: dict[
    Type, type[CounterMetricFamily] | type[GaugeMetricFamily] | type[UnknownMetricFamily]
] = {
    Type.COUNTER: CounterMetricFamily,
    Type.GAUGE: GaugeMetricFamily,
    Type.UNTYPED: UnknownMetricFamily,
}


def cumulative(histogram: Histogram) -> list[tuple[str, float]]:
    """Prometheus' buckets of a histogram of microseconds: (upper bound in seconds, count so far).

    A bucket of ours counts where its middle falls: a bound is met within 1 %.
    """
    counts = [0] * (len(BUCKETS) + 1)
    for bucket, count in histogram.buckets.items():
        counts[bisect_left(BUCKETS, value_of(bucket) / 1e6)] += count
    bounds = [*map(str, BUCKETS), "+Inf"]
    seen = 0
    result: list[tuple[str, float]] = []
    for bound, count in zip(bounds, counts, strict=True):
        seen += count
        result.append((bound, seen))
    return result
