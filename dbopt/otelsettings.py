"""The settings of OpenTelemetry's export; dbopt.otel does it."""

from __future__ import annotations

from dataclasses import dataclass

from dbopt.setting import option


@dataclass(frozen=True, slots=True)
class Otel:
    """Spans and metrics by OpenTelemetry's conventions. It needs the extra dbopt[otel]."""

    enabled: bool = option(False, "Export at all.")
    endpoint: str = option(
        "http://127.0.0.1:4318",
        "OTLP/HTTP receiver; /v1/traces and /v1/metrics are added to it.",
    )
    headers: str = option(
        "",
        "Headers of each request, such as a token: name=value, separated by commas.",
        secret=True,
    )
    service_name: str = option("dbopt", "The resource's service.name.")
    interval: float = option(
        10.0, "How often metrics are sent; spans every second.", unit="s", low=0.1, high=3600
    )
    timeout: float = option(5.0, "How long one request may take.", unit="s", low=0.1, high=60)
    spans: bool = option(
        True,
        "Send a span for each statement that carries a sampled traceparent (sqlcommenter), and "
        "for each slow one.",
    )
    metrics: bool = option(True, "Send metrics.")
    queue: int = option(
        2048, "Spans held while the receiver is slow or away; more are dropped, and counted.",
        low=1, high=1_000_000,
    )  # fmt: skip
