"""A statement as a span, by the semantic conventions for databases 1.44 (PostgreSQL's are stable).

No literal leaves: the text is redacted here once more, whatever trace.parameters allows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from dbopt.observation import SlowStatement
from dbopt.otel.traceparent import parse
from dbopt.sql.fingerprint import fingerprint_hex
from dbopt.sql.query import Query
from dbopt.sql.redact import redact
from dbopt.sql.summary import collection, operation, placeholders, summary

LONGEST_TEXT = 8192
"""Characters of a statement's text that a span carries."""

Describe = Callable[[str], Query]
Address = Callable[[str], tuple[str, int]]
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_ids = random.SystemRandom()


class Spans:
    """Makes spans. `describe` judges a text, `address` gives a database's server (host, port)."""

    def __init__(
        self, describe: Describe, address: Address, resource: Resource, scope: InstrumentationScope
    ) -> None:
        self._describe = describe
        self._address = address
        self._resource = resource
        self._scope = scope

    def of(self, statement: SlowStatement) -> ReadableSpan:
        """The span of one statement: parented on its traceparent, or else a trace of its own."""
        query = self._describe(statement.text)
        parent = parse(statement.traceparent)
        trace_id = parent.trace_id if parent else _ids.getrandbits(128) or 1
        above = (
            SpanContext(trace_id, parent.span_id, is_remote=True, trace_flags=_SAMPLED)
            if parent
            else None
        )
        start = round(statement.started * 1e9)
        status = Status(StatusCode.ERROR) if statement.sqlstate else Status()
        return ReadableSpan(
            name=summary(query),
            context=SpanContext(
                trace_id, _ids.getrandbits(64) or 1, is_remote=False, trace_flags=_SAMPLED
            ),
            parent=above,
            resource=self._resource,
            attributes=dict(self._attributes(statement, query)),
            kind=SpanKind.CLIENT,
            instrumentation_scope=self._scope,
            status=status,
            start_time=start,
            end_time=start + round(statement.duration_ms * 1e6),
        )

    def _attributes(
        self, statement: SlowStatement, query: Query
    ) -> Iterable[tuple[str, str | int | float]]:
        yield "db.system.name", "postgresql"
        yield "db.namespace", statement.database
        verb, relation = operation(query), collection(query)
        if verb:
            yield "db.operation.name", verb
        if relation:
            yield "db.collection.name", relation
        yield "db.query.summary", summary(query)
        yield "db.query.text", placeholders(redact(statement.text, LONGEST_TEXT))
        if statement.sqlstate:
            yield "db.response.status_code", statement.sqlstate
            yield "error.type", statement.sqlstate
        yield "db.response.returned_rows", statement.rows
        host, port = self._address(statement.database)
        if host:
            yield "server.address", host
            yield "server.port", port
        yield from _own(statement)


def _own(statement: SlowStatement) -> Iterable[tuple[str, str | int | float]]:
    """What the conventions have no name for. Times are seconds."""
    yield "dbopt.fingerprint", fingerprint_hex(statement.fingerprint)
    yield "dbopt.user", statement.user
    yield "dbopt.queue_time", statement.queue_ms / 1e3
    yield "dbopt.server_time", statement.server_ms / 1e3
    yield "dbopt.transfer_time", statement.transfer_ms / 1e3
    if statement.application:
        yield "dbopt.application", statement.application
    if statement.route:
        yield "dbopt.route", statement.route
    if statement.backend_pid:
        yield "dbopt.backend_pid", statement.backend_pid
