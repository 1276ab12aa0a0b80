from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dbopt.errors import ConfigError
from dbopt.histogram import Histogram
from dbopt.metrics import Metrics
from dbopt.otelsettings import Otel
from dbopt.sql.analyze import analyze
from tests.support import wait_until
from tests.unit.trace.observations import pool, slow

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="missing: dbopt[otel]")

from dbopt.otel.telemetry import DEFINITIONS, Telemetry
from tests.unit.otel.receiver import Receiver, attributes, receiver

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
QUICK = 0.01

Make = Callable[..., Telemetry]


def durations() -> dict[str, Histogram]:
    histogram = Histogram()
    for microseconds in (500, 3_000, 700_000):
        histogram.add(microseconds)
    return {"app": histogram}


@pytest.fixture
def near() -> Iterator[Receiver]:
    with receiver() as seen:
        yield seen


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    made: list[Telemetry] = []

    def one(endpoint: str, **settings: Any) -> Telemetry:
        given = Otel(
            enabled=True, endpoint=endpoint, **{"interval": 0.05, "timeout": 0.3} | settings
        )
        telemetry = Telemetry(
            given, "1.2.3", analyze, lambda database: ("db.example", 5432), durations,
            lambda: [pool(sv_active=2, sv_idle=3, cl_waiting=4, queue_timeouts=5, xact_count=10,
                          wait_time_us=2_000_000.0, max_size=20)], every=QUICK,
        )  # fmt: skip
        telemetry.start()
        made.append(telemetry)
        return telemetry

    yield one
    for telemetry in made:
        telemetry.stop()


def counted(of: Telemetry) -> dict[str, Any]:
    return {sample.name: sample.value for sample in of.samples()}


def test_a_statement_is_a_span_below_its_caller(near: Receiver, make: Make) -> None:
    telemetry = make(near.endpoint, headers="Authorization=Bearer%20abc", service_name="db")
    sql = "SELECT * FROM songs JOIN artists USING (id) WHERE title = 'secret' AND id = $1"
    tags = {"traceparent": f"00-{TRACE}-{PARENT}-01", "route": "/songs"}
    one = slow(
        sql, text=sql, tags=tags, route="/songs", started=1000.5, duration_ms=250.0, queue_ms=50.0,
        server_ms=190.0, transfer_ms=10.0, rows=3,
    )  # fmt: skip
    telemetry.observed([], [one])
    (span,) = wait_until(lambda: near.spans, what="a span")
    assert "SELECT songs artists" == span.name
    assert 3 == span.kind  # CLIENT
    assert (TRACE, PARENT) == (span.trace_id.hex(), span.parent_span_id.hex())
    assert 1_000_500_000_000 == span.start_time_unix_nano
    assert 250_000_000 == span.end_time_unix_nano - span.start_time_unix_nano
    found = attributes(span)
    expected = {
        "db.system.name": "postgresql", "db.namespace": "app", "db.operation.name": "SELECT",
        "db.query.summary": "SELECT songs artists", "server.address": "db.example",
        "db.query.text": "SELECT * FROM songs JOIN artists USING (id) WHERE title = ? AND id = ?",
        "server.port": 5432, "db.response.returned_rows": 3, "dbopt.queue_time": 0.05,
        "dbopt.server_time": 0.19, "dbopt.transfer_time": 0.01, "dbopt.route": "/songs",
    }  # fmt: skip
    assert expected == {name: found[name] for name in expected}
    assert "error.type" not in found
    assert "Bearer abc" == near.headers["authorization"]
    assert {"service.name": "db", "service.version": "1.2.3"}.items() <= near.resource.items()


def test_one_that_failed_says_how_and_begins_a_trace(near: Receiver, make: Make) -> None:
    telemetry = make(near.endpoint)
    telemetry.observed([slow("DELETE FROM songs WHERE id = 7", sqlstate="40001")])
    (span,) = wait_until(lambda: near.spans, what="a span")
    found = attributes(span)
    assert "DELETE songs" == span.name
    assert 2 == span.status.code  # ERROR
    assert ("40001", "40001") == (found["error.type"], found["db.response.status_code"])
    assert "songs" == found["db.collection.name"]
    assert b"" == span.parent_span_id
    assert 16 == len(span.trace_id)


def test_a_statement_both_slow_and_sampled_is_one_span(near: Receiver, make: Make) -> None:
    telemetry = make(near.endpoint)
    one = slow("SELECT 1", tags={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    telemetry.observed([one], [one])
    telemetry.observed([slow("SELECT 2")])
    wait_until(lambda: counted(telemetry)["dbopt_otel_spans_sent_total"] == 2, what="two spans")
    assert 2 == len(near.spans)


def test_metrics_by_the_conventions(near: Receiver, make: Make) -> None:
    make(near.endpoint)
    wait_until(lambda: near.metrics, what="metrics")
    (point,) = near.metrics["db.client.operation.duration"].histogram.data_points
    assert [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0] == list(point.explicit_bounds)
    assert [1, 1, 0, 0, 0, 0, 1, 0, 0, 0] == list(point.bucket_counts)
    assert 3 == point.count
    assert pytest.approx(0.7035) == point.sum
    assert not point.HasField("min")
    assert {"db.system.name": "postgresql", "db.namespace": "app"} == attributes(point)
    assert "s" == near.metrics["db.client.operation.duration"].unit
    (wait,) = near.metrics["db.client.connection.wait_time"].histogram.data_points
    assert (10, 2.0) == (wait.count, wait.sum)
    sums = {
        (name, attributes(one).get("db.client.connection.state", "")): one.as_int
        for name, metric in near.metrics.items()
        for one in metric.sum.data_points
    }
    connection = "db.client.connection."
    assert {
        (connection + "count", "used"): 2, (connection + "count", "idle"): 3,
        (connection + "max", ""): 20, (connection + "pending_requests", ""): 4,
        (connection + "timeouts", ""): 5,
    } == sums  # fmt: skip
    assert near.metrics[connection + "timeouts"].sum.is_monotonic
    assert not near.metrics[connection + "count"].sum.is_monotonic


def test_what_a_receiver_refuses_is_sent_again(near: Receiver, make: Make) -> None:
    telemetry = make(near.endpoint, metrics=False)
    near.status = 503
    telemetry.observed([slow("SELECT 1")])
    wait_until(lambda: counted(telemetry)["dbopt_otel_failures_total"], what="a failure")
    assert [] == near.spans
    near.status = 200
    wait_until(lambda: near.spans, what="the span")
    wait_until(lambda: counted(telemetry)["dbopt_otel_spans_sent_total"] == 1, what="its count")
    assert 0 == counted(telemetry)["dbopt_otel_spans_held"]


def test_a_receiver_that_is_away_costs_a_counter(make: Make) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        telemetry = make(f"http://127.0.0.1:{taken.getsockname()[1]}", queue=3)
        telemetry.observed([slow(f"SELECT {number}") for number in range(5)])
        assert 2 == counted(telemetry)["dbopt_otel_spans_dropped_total"]
        wait_until(lambda: counted(telemetry)["dbopt_otel_failures_total"], what="a failure")
        assert 3 == counted(telemetry)["dbopt_otel_spans_held"]


def test_a_statement_of_which_no_span_can_be_made_holds_up_no_other(
    near: Receiver, make: Make
) -> None:
    telemetry = make(near.endpoint)
    telemetry.observed([slow("SELECT 1", started=float("inf")), slow("SELECT 2")])
    wait_until(lambda: near.spans, what="the span")
    assert 1 == len(near.spans)
    wait_until(lambda: not counted(telemetry)["dbopt_otel_spans_held"], what="nothing held")


def test_spans_can_be_off(near: Receiver, make: Make) -> None:
    telemetry = make(near.endpoint, spans=False)
    telemetry.observed([slow("SELECT 1")])
    wait_until(lambda: near.metrics, what="metrics")
    assert [] == near.spans


def test_its_own_metrics_are_in_its_table(make: Make) -> None:
    metrics = Metrics("1")
    metrics.add(make("http://127.0.0.1:9"), DEFINITIONS)
    assert b"dbopt_otel_spans_sent_total 0.0" in metrics.render()[0]


@pytest.mark.parametrize(
    "settings",
    [
        {"endpoint": "127.0.0.1:4318"}, {"endpoint": "grpc://x:1"}, {"headers": "secret"},
        {"headers": "a=b%0d%0ac"},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_without_its_secret(make: Make, settings: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        make(**{"endpoint": "http://127.0.0.1:9"} | settings)
    assert "secret" not in str(caught.value)
