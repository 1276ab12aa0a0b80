"""What the daemon keeps in the store, and what it says of being open to others."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from tests.integration.daemon_support import Daemon, running
from tests.integration.store_support import create_store
from tests.support import wait_until


def test_slow_statements_are_forgotten_without_snapshots_too(pg_dsn: str, tmp_path: Path) -> None:
    with psycopg.connect(create_store(pg_dsn), autocommit=True) as connection:
        connection.execute(
            'INSERT INTO dbopt.slow_statement (at, fingerprint, text, database, "user",'
            " application, duration_ms, queue_ms, server_ms, rows, sqlstate, backend_pid)"
            " SELECT now() - n * interval '1 day', n, '', '', '', '', 1, 0, 1, 0, '', 0"
            " FROM generate_series(0, 9) n"
        )
        with running(pg_dsn, tmp_path, stats__enabled=False, stats__retention_days=3.5):
            # Whole days are dropped, by UTC.
            wait_until(lambda: _slow(connection) in (4, 5), what="the old ones to be forgotten")


def _slow(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM dbopt.slow_statement").fetchone()
    assert row is not None
    return int(row[0])


def test_http_that_is_open_to_the_network_is_warned_of(pg_dsn: str, tmp_path: Path) -> None:
    with running(pg_dsn, tmp_path, http__host="0.0.0.0") as daemon:  # noqa: S104 - the point
        warning = daemon.wait_event("HTTP is open to the network")

    assert "warning" == warning["level"]
    assert "http.host" in warning["hint"]


def test_http_on_loopback_is_not(pg_dsn: str, tmp_path: Path) -> None:
    with running(pg_dsn, tmp_path) as daemon:
        assert [] == daemon.events("HTTP is open to the network")


def test_sessions_that_are_hidden_are_not_examined(
    pg_dsn: str, pg_conn: psycopg.Connection, tmp_path: Path
) -> None:
    pg_conn.execute("DROP ROLE IF EXISTS shy")
    pg_conn.execute("CREATE ROLE shy LOGIN")
    try:
        dsn = make_conninfo(pg_dsn, user="shy")
        with running(dsn, tmp_path, stats__interval=1.0, stats__sample_interval=0.2) as daemon:
            found = wait_until(lambda: _unseen(daemon, "stats-waits"), what="a sample")
    finally:
        pg_conn.execute("DROP ROLE shy")
    assert found == 'GRANT pg_monitor TO "shy";'


def _unseen(daemon: Daemon, rule: str) -> str | None:
    """The remedy of what /collection says was not examined."""
    told = daemon.get("/collection")["not_examined"]
    return next((one["remedy"] for one in told if one["rule"] == rule), None)
