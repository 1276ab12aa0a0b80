"""A server process that stands still: TCP lives, no timeout of the server's own ends anything."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from psycopg.conninfo import make_conninfo

from dbopt.demo.cluster import EmbeddedCluster
from dbopt.errors import MigrationBusy, ServerLost
from dbopt.migrate import direct, lockguard, orphans, task
from dbopt.migrate.lockguard import Guard, direct_session
from dbopt.pg import catalog, ddl
from dbopt.pg import connect as connect_module
from dbopt.pg.connect import Connection, Unanswered, connect
from dbopt.pg.refusal import translated
from dbopt.settings import Server, Settings
from dbopt.store import link
from tests.faults.fire_network import network
from tests.integration.migrate_support import (
    SETTINGS,
    TABLES,
    WANTED,
    being_built,
    build,
    in_background,
    names,
    old_snapshot,
)
from tests.support import wait_until

GONE = "SELECT count(*) = 0 AS gone FROM pg_stat_activity WHERE pid = %s"


@pytest.fixture
def settings(pg_server: EmbeddedCluster, pg_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a server whose processes are ours to stop."""
    monkeypatch.setattr(direct, "ANSWER", 1.0)
    monkeypatch.setattr(task, "GRACE", 0.3)
    monkeypatch.setattr(orphans, "ENDING", 0.1)
    return Settings(server=Server(dsn=pg_dsn))


@pytest.fixture
def other(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        made.execute(TABLES)
        yield made


@contextmanager
def stopped(connection: Connection) -> Iterator[int]:
    """The server process of that connection stands still."""
    pid = connection.info.backend_pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGCONT)


def _ended(other: Connection, pid: int) -> bool:
    row = other.execute(GONE, (pid,)).fetchone()
    return bool(row and row["gone"])


def test_a_statement_that_goes_on_too_long_is_cancelled(other: Connection, pg_dsn: str) -> None:
    with connect(pg_dsn) as connection, connection.patient(0.2):
        pid = connection.info.backend_pid
        with pytest.raises(Unanswered, match=rf"pid {pid} has not answered for 0\.2 s"):
            connection.execute("SELECT pg_sleep(60)")
        assert (True, True) == (connection.closed, connection.broken)
        wait_until(lambda: _ended(other, pid), 10, "the statement's end")


def test_what_cannot_be_cancelled_is_left(
    pg_dsn: str, pg_server: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal's exception is not replaced by that of a cancel that nobody answers."""
    monkeypatch.setattr(connect_module, "CANCELLING", 0.2)
    with network(pg_server.port) as between:
        connection = connect(make_conninfo(pg_dsn, port=between.port))
        connection.pgconn.send_query(b"SELECT pg_sleep(1)")
        between.silence()
        ddl.abandon(connection)
        assert connection.closed


def test_a_signal_in_the_middle_of_a_cancel_closes_the_connection_too(
    pg_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(**options: float) -> None:
        raise KeyboardInterrupt

    connection = connect(pg_dsn)
    monkeypatch.setattr(connection, "cancel_safe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        connection.give_up()
    assert connection.closed


def test_a_build_whose_process_stands_still_is_given_up(
    settings: Settings, other: Connection
) -> None:
    """And made by the next run, once the process has gone on and found that it was cancelled."""
    shortly = replace(SETTINGS, build_timeout=1)
    with (
        old_snapshot(settings.server.dsn),
        direct_session(settings) as mine,
        in_background(lambda: build(mine, WANTED, shortly)) as raised,
    ):
        wait_until(lambda: being_built(other), what="the build to show")
        with stopped(mine) as pid:
            wait_until(lambda: raised, 20, "the run to give it up")
        wait_until(lambda: _ended(other, pid), 10, "the process's end")
    assert [ServerLost] == [type(error) for error in raised]
    assert '"words_word" on words was not built: PostgreSQL has not answered' in str(raised[0])
    assert f"See why its process {pid}" in str(raised[0])
    assert "the next run mends it" in str(raised[0])
    build(other, WANTED)
    assert {"words_word": True} == names(other)


def test_a_look_whose_process_stands_still_is_given_up(settings: Settings) -> None:
    with direct_session(settings) as mine, stopped(mine):
        began = time.monotonic()
        with pytest.raises(ServerLost, match="has not answered"):
            catalog.read(mine, {1})
    assert time.monotonic() - began < 10


def test_a_store_whose_process_stands_still_is_asked_on_a_new_connection(
    settings: Settings, pg_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "TIMEOUT", 0.3)
    store = link.StoreLink(pg_dsn)
    with stopped(store.use(lambda connection: connection)) as pid:
        assert pid != store.use(_pid)
    store.close()


def _pid(connection: Connection) -> int:
    with translated("Asking"):
        row = connection.execute("SELECT pg_backend_pid() AS pid").fetchone()
    assert row is not None
    return int(row["pid"])


def test_a_run_ends_though_the_process_with_its_lock_stands_still(
    settings: Settings, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "ANSWER", 60.0)
    monkeypatch.setattr(lockguard, "LOOK", 0.05)
    monkeypatch.setattr(lockguard, "CLOSING", 0.2)
    guard = Guard(lambda: direct_session(settings), print)
    guard.take(0)
    with stopped(guard.connection) as pid:
        wait_until(lambda: ddl.is_running(guard.connection), what="a look at the lock")
        began = time.monotonic()
        guard.close()
        assert time.monotonic() - began < 10
    guard.close()
    wait_until(lambda: _ended(other, pid), 10, "the process's end")


def test_a_lock_whose_process_stands_still_is_held_still(
    settings: Settings, other: Connection
) -> None:
    """It cannot be had again before that process has ended: the run says who has it."""
    with Guard(lambda: direct_session(settings), print) as guard:
        guard.take(0)
        with stopped(guard.connection) as pid, pytest.raises(MigrationBusy, match=f"pid {pid} "):
            guard.ensure(0.1)
        assert guard.ensure(10) in {True, False}
