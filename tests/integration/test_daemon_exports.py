"""What a real daemon tells other programs: a scrape, spans, metrics."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing

import httpx
import psycopg
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.fix_pg import Server, fresh_database
from tests.integration.daemon_support import Daemon, running
from tests.support import wait_until

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="missing: dbopt[otel]")

from tests.unit.otel.receiver import Receiver, attributes, receiver

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACED = f"SELECT title FROM songs WHERE id = 7 /*traceparent='00-{TRACE}-{PARENT}-01'*/"

Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def near() -> Iterator[Receiver]:
    with receiver() as seen:
        yield seen


@pytest.fixture(scope="module")
def daemon(
    pg_backend: Server, near: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    with fresh_database(pg_backend) as dsn:
        # Directly: a backend that ends tells the statistics at once what it did.
        with closing(psycopg.connect(dsn, autocommit=True)) as connection:
            connection.execute("CREATE TABLE songs (id int PRIMARY KEY, title text)")
            connection.execute("SELECT count(*) FROM songs")
        settings = {
            "stats__interval": 1, "otel__enabled": True, "otel__endpoint": near.endpoint,
            "otel__interval": 0.2,
        }  # fmt: skip
        env = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        with running(dsn, tmp_path_factory.mktemp("exports"), env, **settings) as made:
            with closing(made.connect()) as connection:
                connection.execute(TRACED)
                connection.execute(TRACED.replace("-01'", "-00'").replace("7", "8"))
            yield made


def scrape(daemon: Daemon) -> Values:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse_text(daemon.answer("/metrics").text)
        for sample in family.samples
    }


EXPECTED = """
pg_stat_database_xact_commit pg_stat_user_tables_seq_scan pg_settings_max_connections
pg_stat_activity_count pg_locks_count pg_postmaster_start_time_seconds pg_database_size_bytes
pg_stat_wal_wal_bytes pg_stat_bgwriter_buffers_alloc_total pg_stat_checkpointer_num_timed_total
pg_static pg_replication_is_replica pg_stat_archiver_archived_count dbopt_index_scans_total
pg_stat_user_tables_table_size_bytes dbopt_index_size_bytes dbopt_collector_seconds_total
pgbouncer_pools_server_idle_connections pgbouncer_stats_queries_pooled_total
dbopt_otel_spans_sent_total dbopt_statements_total
"""


def test_a_scrape_has_the_server_the_pools_and_ourselves(daemon: Daemon) -> None:
    expected = set(EXPECTED.split())

    def collected() -> bool:
        found = scrape(daemon)
        there = any(dict(labels).get("relname") == "songs" for _, labels in found)
        return there and expected <= {name for name, _ in found}

    wait_until(collected, 30.0, "all of a round in /metrics")
    found = scrape(daemon)
    assert 1 == found["pg_up", ()]
    assert 1 == found["dbopt_collecting", ()]
    (scans,) = [
        value
        for (name, labels), value in found.items()
        if name == "pg_stat_user_tables_seq_scan" and ("relname", "songs") in labels
    ]
    assert 1 <= scans


def test_tools_find_no_fault_with_it(daemon: Daemon) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("missing: promtool")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=daemon.answer("/metrics").text,
        capture_output=True, text=True,
    )  # fmt: skip
    assert ("", 0) == (done.stdout + done.stderr, done.returncode)


def test_openmetrics_can_be_parsed(daemon: Daemon) -> None:
    answer = httpx.get(
        f"http://{daemon.http}/metrics", trust_env=False,
        headers={"Accept": "application/openmetrics-text; version=1.0.0"},
    )  # fmt: skip
    families = {family.name for family in text_string_to_metric_families(answer.text)}  # type: ignore[no-untyped-call]
    assert {"pg_up", "dbopt_info"} <= families


def test_a_sampled_statement_is_a_span(daemon: Daemon, near: Receiver) -> None:
    (span,) = wait_until(lambda: near.spans, 20.0, "the span")
    assert "SELECT songs" == span.name
    assert (TRACE, PARENT) == (span.trace_id.hex(), span.parent_span_id.hex())
    found = attributes(span)
    assert "SELECT title FROM songs WHERE id = ?" == found["db.query.text"]
    assert found["server.address"]
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 30e9


def test_metrics_go_out_too(daemon: Daemon, near: Receiver) -> None:
    wait_until(
        lambda: near.metrics and near.metrics["db.client.operation.duration"].histogram.data_points,
        20.0, "statements in OpenTelemetry's metrics",
    )  # fmt: skip
    (pool,) = near.metrics["db.client.connection.max"].sum.data_points
    assert 4 == pool.as_int
