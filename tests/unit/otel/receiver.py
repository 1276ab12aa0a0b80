"""An OTLP/HTTP receiver: it parses what it is sent, and can refuse it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Receiver:
    """What came, decoded. `status` is what the next requests are answered with."""

    def __init__(self) -> None:
        self.status = 200
        self.refused = 0
        self.headers: dict[str, str] = {}
        self.spans: list[Any] = []
        self.metrics: dict[str, Any] = {}
        self.resource: dict[str, Any] = {}
        self.endpoint = ""

    def take(self, path: str, body: bytes) -> int:
        if self.status != 200:
            self.refused += 1
            return self.status
        if path == "/v1/traces":
            for of in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resource = attributes(of.resource)
                self.spans += [span for scope in of.scope_spans for span in scope.spans]
            return 200
        assert "/v1/metrics" == path
        for one in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            self.metrics = {m.name: m for scope in one.scope_metrics for m in scope.metrics}
        return 200


def attributes(of: Any) -> dict[str, Any]:
    """A message's attributes as a dict."""
    return {
        pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in of.attributes
    }


@contextmanager
def receiver() -> Iterator[Receiver]:
    """One that listens."""
    seen = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(seen.take(self.path, body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    seen.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
