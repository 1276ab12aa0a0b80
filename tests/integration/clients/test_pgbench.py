"""pgbench: with the same seed it does the same work, so the tables must be equal afterwards."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbopt.demo.cluster import EmbeddedCluster
from tests.integration.clients.routes import Both, Done, Route

Rows = list[tuple[Any, ...]]

COUNTS = re.compile(r"^number of (?:transactions|failed).*|^number of clients.*|FAILED|error", re.M)


@pytest.fixture(scope="module")
def neighbour_count() -> int:
    return 1  # pgbench's clients are one another's neighbours


def pgbench(cluster: EmbeddedCluster, route: Route, *arguments: str) -> list[str]:
    """The lines of the report that count something."""
    done = route.run(cluster.bin("pgbench"), *arguments)
    assert 0 == done.code, done
    return COUNTS.findall(done.out)


def fetch(route: Route, query: str) -> Rows:
    with psycopg.connect(route.dsn()) as connection:
        return connection.execute(query).fetchall()


def tables(route: Route) -> list[Rows]:
    """What a run of TPC-B leaves, but for the times."""
    return [
        fetch(route, "SELECT tid, bid, aid, delta FROM pgbench_history ORDER BY 1, 2, 3, 4"),
        fetch(route, "SELECT aid, abalance FROM pgbench_accounts WHERE abalance <> 0 ORDER BY 1"),
        fetch(route, "SELECT tid, tbalance FROM pgbench_tellers ORDER BY 1"),
        fetch(route, "SELECT bid, bbalance FROM pgbench_branches ORDER BY 1"),
    ]


def test_initialization(both: Both, pg_server: EmbeddedCluster) -> None:
    def scenario(route: Route) -> list[Rows]:
        pgbench(pg_server, route, "-i", "-q", "--foreign-keys", "--partitions=3")
        constraints = "SELECT conname, contype FROM pg_constraint WHERE conrelid > 16384 ORDER BY 1"
        sums = "SELECT count(*), sum(aid), max(abalance) FROM pgbench_accounts"
        return [fetch(route, sums), fetch(route, constraints), *tables(route)]

    assert [(100_000, 5_000_050_000, 0)] == both(scenario)[0]


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_select_only(both: Both, pg_server: EmbeddedCluster, mode: str) -> None:
    def scenario(route: Route) -> list[str]:
        pgbench(pg_server, route, "-i", "-q", "-I", "dtgp")
        return pgbench(pg_server, route, "-n", "-S", "-M", mode, "-c", "8", "-t", "40")

    assert "number of transactions actually processed: 320/320" in both(scenario)


def tpcb(cluster: EmbeddedCluster, route: Route, *options: str) -> tuple[list[str], list[Rows]]:
    pgbench(cluster, route, "-i", "-q", "-I", "dtgp")
    seeded = ("-n", "--random-seed=7", *options)
    return pgbench(cluster, route, *seeded), tables(route)


def test_tpcb_of_more_clients_than_backends(both: Both, pg_server: EmbeddedCluster) -> None:
    options = ("-M", "simple", "-c", "8", "-j", "2", "-t", "25")
    report, after = both(lambda route: tpcb(pg_server, route, *options))
    assert "number of transactions actually processed: 200/200" in report
    assert 200 == len(after[0])


@pytest.mark.parametrize("mode", ["extended", "prepared"])
def test_tpcb(both: Both, pg_server: EmbeddedCluster, mode: str) -> None:
    # In prepared mode pgbench waits for each PREPARE, and its other clients for it: no more
    # clients than backends in one thread.
    options = ("-M", mode, "-c", "2", "-t", "60")
    report, after = both(lambda route: tpcb(pg_server, route, *options))
    assert "number of transactions actually processed: 120/120" in report
    assert 120 == len(after[0])


SCRIPTS = {
    "a pipeline": "\\startpipeline\n" + "SELECT :client_id;\n" * 20 + "\\endpipeline\n",
    "syncs in a pipeline": (
        "\\startpipeline\nSELECT 1;\n\\syncpipeline\nINSERT INTO t VALUES (:client_id::int);\n"
        "\\syncpipeline\nSELECT 3;\n\\endpipeline\n"
    ),
    "a transaction in a pipeline": (
        "\\startpipeline\nBEGIN;\nINSERT INTO t VALUES (:client_id::int);\n"
        "SELECT pg_sleep(0.001);\nINSERT INTO t SELECT 100 + :client_id::int;\n"
        "END;\n\\endpipeline\n"
    ),
    "several statements in one": (
        "SELECT 1 \\; INSERT INTO t VALUES (:client_id) \\; SELECT 2 AS two \\gset\n"
        "INSERT INTO t VALUES (:two);\n"
    ),
    "a transaction rolled back": (
        "BEGIN;\nINSERT INTO t VALUES (0);\nROLLBACK;\nINSERT INTO t VALUES (:client_id::int);\n"
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts(both: Both, pg_server: EmbeddedCluster, tmp_path: Path, name: str) -> None:
    script = tmp_path / "script.sql"
    script.write_text(SCRIPTS[name])
    mode = "extended" if "pipeline" in name else "simple"

    def scenario(route: Route) -> tuple[list[str], Rows]:
        with psycopg.connect(route.dsn()) as connection:
            connection.execute("CREATE TABLE t (x int)")
        report = pgbench(
            pg_server, route, "-n", "-M", mode, "-f", str(script), "-c", "6", "-t", "20"
        )
        return report, fetch(route, "SELECT x, count(*) FROM t GROUP BY x ORDER BY x")

    report, _ = both(scenario)
    assert "number of transactions actually processed: 120/120" in report


def test_pipelines_of_prepared_statements(
    both: Both, pg_server: EmbeddedCluster, tmp_path: Path
) -> None:
    script = tmp_path / "script.sql"
    script.write_text("\\startpipeline\n" + "SELECT :client_id, 1;\n" * 9 + "\\endpipeline\n")
    options = ("-n", "-M", "prepared", "-f", str(script), "-c", "6", "-t", "20")
    report = both(lambda route: pgbench(pg_server, route, *options))
    assert "number of transactions actually processed: 120/120" in report


def test_a_connection_a_transaction(both: Both, pg_server: EmbeddedCluster) -> None:
    def scenario(route: Route) -> list[str]:
        pgbench(pg_server, route, "-i", "-q", "-I", "dtgp")
        return pgbench(pg_server, route, "-n", "-S", "-C", "-c", "3", "-t", "10")

    assert "number of transactions actually processed: 30/30" in both(scenario)


def test_serialization_failures_are_tried_again(
    both: Both, pg_server: EmbeddedCluster, tmp_path: Path
) -> None:
    script = tmp_path / "script.sql"
    script.write_text(
        "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT x FROM t \\gset\n"
        "UPDATE t SET x = :x + 1;\nCOMMIT;\n"
    )

    def scenario(route: Route) -> Rows:
        with psycopg.connect(route.dsn()) as connection:
            connection.execute("CREATE TABLE t AS SELECT 0 AS x")
        command = ("-n", "--max-tries=1000", "-t", "30", "-f", str(script), "-c", "4")
        done: Done = route.run(pg_server.bin("pgbench"), *command)
        assert 0 == done.code, done
        return fetch(route, "SELECT x FROM t")

    assert [(120,)] == both(scenario)
