"""dbopt is killed in the middle of a build: the application waits for what is left for a moment."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest

from dbopt.migrate import direct
from dbopt.migrate.lockguard import direct_session
from dbopt.pg.connect import Connection, connect
from dbopt.settings import Server, Settings
from dbopt.sql.indexdef import IndexDefinition, IndexKey
from tests.integration.migrate_support import build, found, names, old_snapshot
from tests.support import wait_until

WANTED = IndexDefinition(
    "lines_held", "", "lines", "btree", (IndexKey("held(n)", is_column=False),)
)
LINES = """
CREATE TABLE other (id int);
CREATE TABLE lines (n int);
INSERT INTO lines VALUES (1);
CREATE FUNCTION held(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_lock_shared(n), pg_advisory_unlock_shared(n);
    RETURN n;
END $$
"""
"""To index a line waits for whoever holds its number."""
CHECKED = 1.0
"""Seconds after which the server looks whether its client is there."""


@pytest.fixture(scope="module")
def forks() -> multiprocessing.context.ForkServerContext:
    """Where a process with everything imported is forked from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


@pytest.fixture
def dsn(request: pytest.FixtureRequest) -> str:
    """Of the usual server, or of the one that a test names."""
    return str(request.getfixturevalue(getattr(request, "param", "pg_dsn")))


@pytest.fixture
def connection(dsn: str) -> Iterator[Connection]:
    with connect(dsn) as made:
        made.execute(LINES)
        yield made


def _build(dsn: str) -> None:
    with direct_session(_settings(dsn)) as mine:
        build(mine, WANTED)


def _settings(dsn: str) -> Settings:
    return Settings(server=Server(dsn=dsn))


def _phase(connection: Connection) -> str:
    row = connection.execute(
        "SELECT phase FROM pg_stat_progress_create_index WHERE datname = current_database()"
    ).fetchone()
    return row["phase"] if row else ""


def _come_to(connection: Connection, phase: str) -> None:
    wait_until(lambda: _phase(connection).startswith(phase), what=phase)


@contextmanager
def _scanning(connection: Connection, dsn: str) -> Iterator[Callable[[], None]]:
    connection.execute("SELECT pg_advisory_lock(1)")
    yield lambda: _come_to(connection, "building index")
    connection.execute("SELECT pg_advisory_unlock(1)")


@contextmanager
def _validating(connection: Connection, dsn: str) -> Iterator[Callable[[], None]]:
    """A line that comes during the scan is indexed in the validation."""
    connection.execute("SELECT pg_advisory_lock(1), pg_advisory_lock(2)")

    def ready() -> None:
        _come_to(connection, "building index")
        connection.execute("INSERT INTO lines VALUES (2)")
        connection.execute("SELECT pg_advisory_unlock(1)")
        _come_to(connection, "index validation")

    yield ready
    connection.execute("SELECT pg_advisory_unlock(2)")


@contextmanager
def _waiting(connection: Connection, dsn: str) -> Iterator[Callable[[], None]]:
    with old_snapshot(dsn):
        yield lambda: _come_to(connection, "waiting for old snapshots")


Held = Callable[[Connection, str], AbstractContextManager[Callable[[], None]]]


@pytest.mark.parametrize(
    ("dsn", "held"),
    [("pg_dsn", _scanning), ("pg_dsn", _validating), ("pg15_dsn", _waiting)],
    indirect=["dsn"],
)
def test_a_killed_build_ends_and_the_next_run_makes_it(
    forks: multiprocessing.context.ForkServerContext, connection: Connection, dsn: str, held: Held
) -> None:
    with ExitStack() as stack:
        ready = stack.enter_context(held(connection, dsn))
        process = forks.Process(target=_build, args=(dsn,))
        process.start()
        ready()
        process.kill()
        process.join(60)

        began = time.monotonic()
        with connect(dsn, options="-c lock_timeout=20s") as application:
            application.execute("ALTER TABLE lines ADD COLUMN word text")
        waited = time.monotonic() - began

        assert waited < 10 * CHECKED
        left = found(connection, "lines_held")
        assert left is not None
        assert (False, None) == (left.valid, left.builder_pid)
    build(connection, WANTED)
    assert {"lines_held": True} == names(connection, "lines")


def test_a_server_that_cannot_tell_is_no_error(
    connection: Connection, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session is as it was, and the build goes on alone as it always did."""
    texts = {
        "migration_client": "SELECT set_config('client_connection_check_interval', 'x', false)"
    }
    real = direct.statement
    monkeypatch.setattr(direct, "statement", lambda name: texts.get(name) or real(name))
    with direct_session(_settings(dsn)) as session:
        row = session.execute("SHOW client_connection_check_interval").fetchone()
    assert {"client_connection_check_interval": "0"} == row
