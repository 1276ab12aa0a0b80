from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbopt.errors import ConnectError, MigrationBusy, MigrationRefused
from dbopt.migrate import lockguard
from dbopt.migrate.direct import require_writable
from dbopt.migrate.lock import holder, is_held, take
from dbopt.migrate.lockguard import Guard, direct_session
from dbopt.migrate.progress import opener
from dbopt.pg.connect import Connection, connect
from dbopt.settings import Server, Settings
from tests.fix_standby import Standby
from tests.integration.migrate_support import locked
from tests.support import wait_until

LIMITS = (
    "idle_session_timeout", "statement_timeout", "lock_timeout",
    "idle_in_transaction_session_timeout",
)  # fmt: skip
HOLDER = """
import sys, time
from dbopt.migrate.lockguard import Guard, direct_session
from dbopt.settings import Server, Settings
settings = Settings(server=Server(dsn=sys.argv[1]))
with Guard(lambda: direct_session(settings), print) as guard:
    guard.take(10)
    guard.call("dbopt run 20261123-0412-k3")
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard's thread does not take a lost lock again before the test does."""
    monkeypatch.setattr(lockguard, "LOOK", 3600.0)


@pytest.fixture
def settings(pg_dsn: str) -> Settings:
    return Settings(server=Server(dsn=pg_dsn))


@pytest.fixture
def other(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        yield made


def _guard(settings: Settings, told: list[str] | None = None) -> Guard:
    lines: list[str] = [] if told is None else told
    return Guard(lambda: direct_session(settings), lines.append)


def _terminate(by: Connection, guard: Guard) -> None:
    by.execute("SELECT pg_terminate_backend(%s, 5000)", (guard.connection.info.backend_pid,))


def test_a_guard_holds_the_lock_until_it_is_closed(settings: Settings, other: Connection) -> None:
    with _guard(settings) as guard:
        guard.take(0)
        assert is_held(guard.connection)
        with pytest.raises(MigrationBusy, match=r"Another migration runs: pid \d+ user"):
            take(other, 0)
        assert guard.ensure(0) is False
    take(other, 0)
    assert is_held(other)


def test_those_who_wait_are_told_once_who_works_on_what(
    settings: Settings, other: Connection
) -> None:
    told: list[str] = []
    with _guard(settings) as first, _guard(settings, told) as second:
        first.take(0)
        first.call("dbopt run 20261123-0412-k3")
        with pytest.raises(MigrationBusy, match=r"has run for 0\.3 s or more"):
            second.take(0.3)
    assert len(told) == 1
    assert "application dbopt run 20261123-0412-k3" in told[0]
    assert re.search(r"whose session began \d+ s ago", told[0])


def test_a_terminated_session_loses_the_lock_and_ensure_takes_it_again(
    settings: Settings, other: Connection
) -> None:
    with _guard(settings) as guard:
        guard.take(0)
        guard.call("dbopt run x")
        _terminate(other, guard)
        assert guard.ensure(1) is True
        assert is_held(guard.connection)
        assert "application dbopt run x" in holder(other)


def test_the_lock_is_taken_again_at_once_while_nobody_asks(
    settings: Settings, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lockguard, "LOOK", 0.02)
    with _guard(settings) as guard:
        guard.take(0)
        pid = guard.connection.info.backend_pid
        _terminate(other, guard)
        wait_until(
            lambda: holder(other).startswith("pid") and str(pid) not in holder(other),
            what="another session to hold it",
        )
        assert guard.ensure(0) is False


def test_a_lock_that_another_has_taken_meanwhile_is_waited_for(
    settings: Settings, other: Connection
) -> None:
    with _guard(settings) as guard:
        guard.take(0)
        _terminate(other, guard)
        with locked(settings.server.dsn), pytest.raises(MigrationBusy):
            guard.ensure(0.1)
        assert guard.ensure(1) is True


def test_a_guard_whose_server_is_away_says_so(settings: Settings, other: Connection) -> None:
    dsns = [settings.server.dsn, "host=127.0.0.1 port=1"]

    def session() -> Connection:
        return direct_session(Settings(server=Server(dsn=dsns[0])))

    with Guard(session, print) as guard:
        guard.take(0)
        _terminate(other, guard)
        dsns.pop(0)
        with pytest.raises(ConnectError):
            guard.ensure(1)


def test_sigkill_frees_the_lock_at_once(settings: Settings, other: Connection) -> None:
    command = [sys.executable, "-c", HOLDER, settings.server.dsn]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert "application dbopt run 20261123-0412-k3" in holder(other)
        os.kill(process.pid, signal.SIGKILL)
    take(other, 10)
    assert is_held(other)


def test_a_session_outlives_the_timeouts_of_its_role(settings: Settings, pg_dsn: str) -> None:
    """Also the one that watches, and what it commits is on the server's disk."""
    limits = dict.fromkeys(LIMITS, "4000") | {"synchronous_commit": "off"}
    options = " ".join(f"-c {name}={value}" for name, value in limits.items())
    dsn = make_conninfo(pg_dsn, options=options, application_name="theirs")
    wanted = {
        **dict.fromkeys(LIMITS, "0"), "idle_in_transaction_session_timeout": "1min",
        "lock_timeout": "5s", "synchronous_commit": "local", "application_name": "dbopt",
    }  # fmt: skip
    with direct_session(Settings(server=Server(dsn=dsn))) as session, opener(session)() as other:
        assert wanted == _settings(session, wanted)
        assert wanted == _settings(other, wanted)


def test_times_are_read_whatever_the_role_writes_them_like(pg_dsn: str) -> None:
    """psycopg reads ISO only. What a literal means stays the role's."""
    dsn = make_conninfo(pg_dsn, options="-c DateStyle=German,DMY")
    with connect(dsn) as session:
        found = session.execute("SELECT now() AS at, '01.02.2026'::date AS day").fetchone()
        style = _settings(session, ["DateStyle"])
    assert found is not None
    assert (2026, 2) == (found["day"].year, found["day"].month)
    assert style == {"DateStyle": "ISO, DMY"}


def test_what_a_role_says_of_standbys_stays(pg_dsn: str) -> None:
    dsn = make_conninfo(pg_dsn, options="-c synchronous_commit=remote_write")
    with direct_session(Settings(server=Server(dsn=dsn))) as session:
        found = _settings(session, ["synchronous_commit", "search_path"])
    assert found == {"synchronous_commit": "remote_write", "search_path": '"$user", public'}


def test_the_systems_names_come_first_whatever_the_role_says(pg_dsn: str) -> None:
    """A table of somebody's that is called as one of the catalog is not asked instead."""
    with connect(pg_dsn) as owner:
        owner.execute("CREATE SCHEMA odd; CREATE VIEW odd.pg_locks AS SELECT 1 AS pid")
    dsn = make_conninfo(pg_dsn, options="-c search_path=odd,pg_catalog")
    with _guard(Settings(server=Server(dsn=dsn))) as guard:
        guard.take(0)
        assert _settings(guard.connection, ["search_path"]) == {
            "search_path": "pg_catalog, odd,pg_catalog"
        }
        found = guard.connection.execute("SELECT 'pg_locks'::regclass::oid < 16384 AS own")
        assert found.fetchone() == {"own": True}


def _settings(session: Connection, names: Iterable[str]) -> dict[str, str]:
    rows = session.execute(
        "SELECT name, current_setting(name) AS value FROM unnest(%s::text[]) AS name",
        (list(names),),
    )
    return {row["name"]: row["value"] for row in rows}


def test_what_only_reads_is_refused_before_anything_else(settings: Settings, pg_dsn: str) -> None:
    dsn = make_conninfo(pg_dsn, options="-c default_transaction_read_only=on")
    with pytest.raises(MigrationRefused, match=r"only read \(default_transaction_read_only\)"):
        _guard(Settings(server=Server(dsn=dsn)))
    with psycopg.connect(pg_dsn) as plain:
        assert plain.execute("SELECT 1").fetchone() == (1,)


def test_a_standby_is_refused(pg_standby: Standby) -> None:
    settings = Settings(server=Server(dsn=pg_standby.dsn("postgres")))
    with pytest.raises(MigrationRefused, match="is a standby: it takes its indexes") as caught:
        _guard(settings)
    assert caught.value.exit_code == 7


def test_postgresql_15_has_the_same_lock(pg15_dsn: str) -> None:
    settings = Settings(server=Server(dsn=pg15_dsn))
    with _guard(settings) as guard, connect(pg15_dsn) as other:
        guard.take(0)
        require_writable(other)
        assert holder(other).startswith(f"pid {guard.connection.info.backend_pid} ")
