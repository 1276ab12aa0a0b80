"""Real clients through the gateway: psql, pgbench, psycopg."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from dbopt.demo.cluster import EmbeddedCluster
from tests.fix_gateway import Gateway, GatewayFactory

Connection = psycopg.Connection[Any]


def program(
    cluster: EmbeddedCluster, gateway: Gateway, name: str, *arguments: str, stdin: str = ""
) -> str:
    parts = conninfo_to_dict(gateway.dsn())
    environment = {
        "PGHOST": str(parts["host"]), "PGPORT": str(parts["port"]), "PGUSER": str(parts["user"]),
        "PGDATABASE": str(parts["dbname"]), "PATH": os.environ["PATH"], "LC_ALL": "C",
    }  # fmt: skip
    command = [str(cluster.bin(name)), *arguments]
    done = subprocess.run(
        command, env=environment, input=stdin, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


# psql


def psql(cluster: EmbeddedCluster, gateway: Gateway, script: str) -> list[str]:
    options = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1")
    return program(cluster, gateway, "psql", *options, stdin=script).splitlines()


def test_psql(pg_server: EmbeddedCluster, gateway: Gateway) -> None:
    assert ["1", "2"] == psql(pg_server, gateway, "SELECT 1; SELECT 2;")
    assert ["1", "2"] == psql(pg_server, gateway, "SELECT 1\\; SELECT 2;")
    assert ["7"] == psql(pg_server, gateway, "SELECT $1::int \\bind 7 \\g")
    portions = "\\set FETCH_COUNT 3\nSELECT generate_series(1, 10);"
    assert [str(n) for n in range(1, 11)] == psql(pg_server, gateway, portions)
    assert ["psql"] == psql(pg_server, gateway, "SHOW application_name")


def test_psql_copies_both_ways(
    pg_server: EmbeddedCluster, gateway: Gateway, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("".join(f"{n},name {n}\n" for n in range(5000)))
    psql(
        pg_server,
        gateway,
        "CREATE TABLE t (id int, name text);\n"
        f"\\copy t FROM '{source}' CSV\n"
        f"\\copy (SELECT * FROM t ORDER BY id) TO '{target}' CSV\n",
    )
    assert source.read_text() == target.read_text()


def test_psql_describes_a_table(pg_server: EmbeddedCluster, gateway: Gateway) -> None:
    script = "CREATE TABLE t (id int PRIMARY KEY);\n\\d t"
    assert any(line.startswith("id|integer") for line in psql(pg_server, gateway, script))


# pgbench


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench(pg_server: EmbeddedCluster, make_gateway: GatewayFactory, mode: str) -> None:
    # pgbench prepares its statements one by one and blocks: a pool as large as its clients.
    gateway = make_gateway(pool__max_size=8)
    program(pg_server, gateway, "pgbench", "-i", "-q")
    for script in ("select-only", "tpcb-like"):
        options = ("-n", "-M", mode, "-b", script, "-c", "8", "-j", "2", "-t", "50")
        report = program(pg_server, gateway, "pgbench", *options)
        assert "number of transactions actually processed: 400/400" in report, report
        assert "number of failed transactions: 0" in report, report
    with gateway.connect() as connection:
        accounts = connection.execute("SELECT sum(abalance) FROM pgbench_accounts").fetchone()
        history = connection.execute("SELECT sum(delta), count(*) FROM pgbench_history").fetchone()
    assert accounts is not None
    assert (accounts[0], 400) == history


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench_with_more_clients_than_backends(
    pg_server: EmbeddedCluster, make_gateway: GatewayFactory, mode: str
) -> None:
    gateway = make_gateway(pool__max_size=2)
    program(pg_server, gateway, "pgbench", "-i", "-q")
    options = ("-n", "-S", "-M", mode, "-c", "16", "-j", "2", "-t", "50")
    report = program(pg_server, gateway, "pgbench", *options)
    assert "number of transactions actually processed: 800/800" in report, report
    assert 2 >= gateway.pool.sv_active + gateway.pool.sv_idle


def test_pgbench_pipelines(
    pg_server: EmbeddedCluster, make_gateway: GatewayFactory, tmp_path: Path
) -> None:
    gateway = make_gateway(pool__max_size=2)
    script = tmp_path / "pipeline.sql"
    script.write_text("\\startpipeline\n" + "SELECT 1;\n" * 20 + "\\endpipeline\n")
    options = ("-n", "-M", "extended", "-f", str(script), "-c", "4", "-t", "30")
    report = program(pg_server, gateway, "pgbench", *options)
    assert re.search(r"actually processed: 120/120", report), report


# psycopg


def test_unix_socket(gateway: Gateway) -> None:
    with gateway.connect(host=gateway.socket_dir) as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()


@pytest.mark.parametrize("threshold", [None, 0, 5])
def test_statements_and_transactions(gateway: Gateway, threshold: int | None) -> None:
    with gateway.connect(prepare_threshold=threshold) as connection:
        connection.execute("CREATE TABLE t (x int)")
        for n in range(10):
            connection.execute("INSERT INTO t VALUES (%s)", (n,))
        with pytest.raises(errors.DivisionByZero), connection.transaction():  # noqa: PT012
            connection.execute("DELETE FROM t")
            connection.execute("SELECT %s / 0", (1,))
        assert (45,) == connection.execute("SELECT sum(x) FROM t").fetchone()
        cursor = connection.cursor()
        cursor.executemany("INSERT INTO t VALUES (%s) RETURNING x", [(1,), (2,)], returning=True)
        assert (1,) == cursor.fetchone()


def test_prepared_statements_outlive_their_backend(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(pool__max_size=2, gateway__prepared_statements=3)
    with gateway.connect(prepare_threshold=0) as one, gateway.connect(prepare_threshold=0) as two:
        for turn in range(20):
            for n in range(7):
                row = one.execute(f"SELECT {n}, %s::int", (turn,)).fetchone()
                assert (n, turn) == row
                with two.transaction():  # takes the backend that `one` has just used
                    assert (n, -turn) == two.execute(f"SELECT {n}, %s::int", (-turn,)).fetchone()


def test_pipeline_with_an_error(gateway: Gateway) -> None:
    with gateway.connect() as connection:
        with pytest.raises(errors.UndefinedTable), connection.pipeline():  # noqa: PT012 - one batch
            first = connection.execute("SELECT 1")
            connection.execute("SELECT * FROM nothing")
            connection.execute("SELECT 3")
        assert (1,) == first.fetchone()
        assert (4,) == connection.execute("SELECT 4").fetchone()


def test_copy(gateway: Gateway) -> None:
    with gateway.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (id int, name text)")
        with cursor.copy("COPY t FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            for n in range(1000):
                copy.write_row((n, f"name {n}"))
        with cursor.copy("COPY t TO STDOUT") as copy:
            assert 1000 == len(list(copy.rows()))
        with pytest.raises(ZeroDivisionError), cursor.copy("COPY t FROM STDIN") as copy:  # noqa: PT012
            copy.write_row((1, "x"))
            raise ZeroDivisionError
        assert (1000,) == cursor.execute("SELECT count(*) FROM t").fetchone()


def test_server_side_cursor(gateway: Gateway) -> None:
    with gateway.connect() as connection, connection.transaction():
        cursor = connection.cursor("many")
        cursor.itersize = 7
        cursor.execute("SELECT generate_series(1, 100)")
        assert 5050 == sum(row[0] for row in cursor)
        cursor.close()


def test_values_of_fifty_megabytes(gateway: Gateway) -> None:
    value = b"\x00\xffabc" * 10_000_000
    with gateway.connect() as connection:
        row = connection.execute("SELECT length(%s::bytea), %s::bytea", (value, value)).fetchone()
    assert row is not None
    assert (len(value), True) == (row[0], row[1] == value)


def test_async_clients_share_backends(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(pool__max_size=3)

    async def client(number: int) -> None:
        dsn = gateway.dsn(application_name=f"app-{number}")
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            for turn in range(20):
                query = "SELECT %s::int, %s::int, current_setting('application_name')"
                cursor = await connection.execute(query, (number, turn))
                assert (number, turn, f"app-{number}") == await cursor.fetchone()

    async def clients() -> None:
        await asyncio.gather(*[client(number) for number in range(20)])

    asyncio.run(clients())
    assert 3 >= gateway.pool.sv_idle
