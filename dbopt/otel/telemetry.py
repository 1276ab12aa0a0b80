"""Telemetry: what the daemon knows of OpenTelemetry."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from urllib.parse import unquote, urlsplit

import structlog
from msgspec.structs import replace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from dbopt.errors import ConfigError
from dbopt.metrics import Definition, Sample, Type
from dbopt.observation import SlowStatement
from dbopt.otel.measures import Durations, Measures, Pools
from dbopt.otel.sender import EVERY, Sender
from dbopt.otel.spans import Address, Describe, Spans
from dbopt.otelsettings import Otel

log = structlog.get_logger("dbopt.otel")

DEFINITIONS: tuple[Definition, ...] = (
    Definition("dbopt_otel_spans_sent_total", Type.COUNTER, "Spans that the receiver took."),
    Definition("dbopt_otel_spans_dropped_total", Type.COUNTER, "Spans that found no room."),
    Definition("dbopt_otel_failures_total", Type.COUNTER, "Times that it took nothing."),
    Definition("dbopt_otel_spans_held", Type.GAUGE, "Spans that wait to be sent."),
)


class Telemetry:
    """Exports spans and metrics. `start`, `observed` as workers report, `stop`; a Source too.

    `describe` judges a text and is called in a thread; `durations` and `pools` are, too, and give
    what was counted. `address` gives a database's server. Raises ConfigError for an endpoint or
    headers that cannot be.
    """

    definitions = DEFINITIONS

    def __init__(
        self,
        settings: Otel,
        version: str,
        describe: Describe,
        address: Address,
        durations: Durations,
        pools: Pools,
        every: float = EVERY,
    ) -> None:
        self._settings = settings
        resource = Resource.create(
            {"service.name": settings.service_name, "service.version": version}
        )
        scope = InstrumentationScope("dbopt", version)
        self._make = Spans(describe, address, resource, scope)
        self._measures = Measures(durations, pools, resource, scope, time.time_ns())
        # It says of each attempt that it failed; the sender says so once.
        logging.getLogger("opentelemetry.exporter.otlp").setLevel(logging.CRITICAL)
        endpoint, headers = _endpoint(settings), _headers(settings)
        self._to_traces = OTLPSpanExporter(
            f"{endpoint}/v1/traces", headers=headers, timeout=settings.timeout
        )
        self._to_metrics = OTLPMetricExporter(
            f"{endpoint}/v1/metrics", headers=headers, timeout=settings.timeout
        )
        self._sender = Sender(
            self._send_spans, self._send_metrics if settings.metrics else None,
            settings.interval, settings.queue, every,
        )  # fmt: skip

    def start(self) -> None:
        """Begin to export."""
        self._sender.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Export what is there and end; blocks for `timeout` seconds at most."""
        self._sender.stop(timeout)
        self._to_traces.shutdown()  # type: ignore[no-untyped-call]
        self._to_metrics.shutdown()

    def observed(self, slow: Sequence[SlowStatement], spans: Sequence[SlowStatement] = ()) -> None:
        """A worker reported slow statements, and those whose traceparent is sampled."""
        if not self._settings.spans or not (slow or spans):
            return
        sampled = {_which(one) for one in spans}
        more = [one for one in slow if _which(one) not in sampled]
        # The text as it ran is long, and nobody's business from here on.
        self._sender.offer([replace(one, sql="") for one in (*spans, *more)])

    def samples(self) -> Iterator[Sample]:
        """See metrics.Source."""
        sender = self._sender
        yield Sample("dbopt_otel_spans_sent_total", sender.sent)
        yield Sample("dbopt_otel_spans_dropped_total", sender.dropped)
        yield Sample("dbopt_otel_failures_total", sender.failures)
        yield Sample("dbopt_otel_spans_held", sender.held)

    def _send_spans(self, statements: Sequence[SlowStatement]) -> bool:
        made = list(self._made(statements))
        if not made:
            return True
        return self._to_traces.export(made) is SpanExportResult.SUCCESS

    def _made(self, statements: Sequence[SlowStatement]) -> Iterator[ReadableSpan]:
        for one in statements:
            try:
                yield self._make.of(one)
            except Exception as error:
                # It would fail again, and must not keep the others waiting.
                log.error("no span can be made", error=type(error).__name__)  # noqa: TRY400 - words leak

    def _send_metrics(self) -> bool:
        data = self._measures.at(time.time_ns())
        return self._to_metrics.export(data) is MetricExportResult.SUCCESS


def _which(one: SlowStatement) -> tuple[int, float, int, str]:
    return one.fingerprint, one.started, one.backend_pid, one.traceparent


def _endpoint(settings: Otel) -> str:
    endpoint = settings.endpoint.rstrip("/")
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            "otel.endpoint is not an http:// or https:// address.",
            hint="An OpenTelemetry collector has http://127.0.0.1:4318, as a rule.",
        )
    return endpoint


def _headers(settings: Otel) -> dict[str, str]:
    """As in OTEL_EXPORTER_OTLP_HEADERS: name=value,…, the values URL-encoded."""
    headers = {}
    for pair in filter(None, (part.strip() for part in settings.headers.split(","))):
        name, equals, value = pair.partition("=")
        decoded = unquote(value.strip())
        if not equals or not name.strip() or not (name + decoded).isprintable():
            raise ConfigError(
                "otel.headers cannot be read.", hint="Write name=value, separated by commas."
            )
        headers[name.strip().lower()] = decoded
    return headers
