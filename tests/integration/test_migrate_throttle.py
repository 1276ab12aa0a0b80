"""The throttle on real servers: locks, activity, a standby that lags, a lost connection."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbopt.errors import ConnectError, DeadlinePassed
from dbopt.migrate import plan, preflight
from dbopt.migrate.steps import Wanted
from dbopt.migrate.throttle import Throttle
from dbopt.migrate.work import Deadline
from dbopt.pg import catalog, look
from dbopt.pg.canonical import canonical
from dbopt.pg.connect import Connection, connect
from dbopt.settings import Migrate
from dbopt.sql.findings import Severity
from dbopt.sql.indexdef import parse_index
from tests.fix_standby import Standby
from tests.support import wait_until

LOCKS = Migrate(max_lock_waiters=1, max_replication_lag=0)


class Told(list[str]):
    """What the throttle has said."""

    def __call__(self, line: str) -> None:
        self.append(line)


@contextmanager
def _waiters(dsn: str, count: int) -> Iterator[None]:
    """So many sessions that wait for a lock, until the end."""
    with psycopg.connect(dsn) as holder:
        holder.execute("CREATE TABLE IF NOT EXISTS held (id int)")
        holder.commit()
        holder.execute("LOCK TABLE held")
        threads = [threading.Thread(target=_wait, args=(dsn,)) for _ in range(count)]
        for thread in threads:
            thread.start()
        with connect(dsn) as other:
            wait_until(lambda: look.load(other).lock_waiters >= count)
        try:
            yield
        finally:
            holder.rollback()
            for thread in threads:
                thread.join()


def _wait(dsn: str) -> None:
    with psycopg.connect(dsn) as waiter:
        waiter.execute("SELECT count(*) FROM held")


def test_where_nothing_is_above_it_returns_at_once(pg_dsn: str) -> None:
    told = Told()
    with Throttle(lambda: connect(pg_dsn), Migrate(max_active=1000), told) as throttle:
        throttle.wait(Deadline.after(5))

    assert [] == told


def test_without_limits_nobody_is_asked() -> None:
    def never() -> Connection:
        raise AssertionError("a connection was opened")

    limits = Migrate(max_replication_lag=0, max_lock_waiters=0, max_active=0)
    Throttle(never, limits).wait(Deadline())


def test_it_waits_while_sessions_wait_for_locks(pg_dsn: str) -> None:
    told = Told()
    with Throttle(lambda: connect(pg_dsn), LOCKS, told) as throttle:
        with _waiters(pg_dsn, 1):
            assert "" == throttle.above()
        with _waiters(pg_dsn, 2):
            waiting = threading.Thread(target=throttle.wait, args=(Deadline.after(20),))
            waiting.start()
            wait_until(lambda: told)
            assert waiting.is_alive()
        waiting.join(10)
        assert not waiting.is_alive()

    assert [
        "Waiting before the next step: 2 sessions wait for locks (migrate.max_lock_waiters is 1).",
        "Going on after",
    ] == [told[0], told[1][:14]]
    assert 2 == len(told)


def test_the_deadline_ends_the_waiting(pg_dsn: str) -> None:
    with (
        Throttle(lambda: connect(pg_dsn), LOCKS) as throttle,
        _waiters(pg_dsn, 2),
        pytest.raises(DeadlinePassed, match="2 sessions wait for locks") as caught,
    ):
        throttle.wait(Deadline.after(0.3))

    assert "The next step was not begun within the 0.3 s" in caught.value.message


def test_active_sessions(pg_dsn: str) -> None:
    limits = Migrate(max_replication_lag=0, max_lock_waiters=0, max_active=1)
    with Throttle(lambda: connect(pg_dsn), limits) as throttle, _waiters(pg_dsn, 2):
        above = wait_until(throttle.above)

    assert above.endswith("sessions are active (migrate.max_active is 1)")


def test_a_lost_connection_is_opened_again(pg_dsn: str) -> None:
    opened: list[Connection] = []

    def again() -> Connection:
        opened.append(connect(pg_dsn))
        return opened[-1]

    with Throttle(again, LOCKS) as throttle, psycopg.connect(pg_dsn, autocommit=True) as other:
        throttle.wait(Deadline())
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (opened[0].info.backend_pid,))
        throttle.wait(Deadline())

    assert 2 == len(opened)
    assert all(connection.closed for connection in opened)


def test_a_server_that_is_gone_is_an_error() -> None:
    nowhere = Throttle(lambda: connect("host=127.0.0.1 port=1"), LOCKS)

    with pytest.raises(ConnectError):
        nowhere.wait(Deadline())


def test_who_may_not_see_is_told_once(pg_dsn: str) -> None:
    role, told = f"blind_{os.getpid()}", Told()
    limits = Migrate(max_replication_lag=0, max_active=1000)
    with psycopg.connect(pg_dsn, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN".encode())
        try:
            dsn = make_conninfo(pg_dsn, user=role)
            with Throttle(lambda: connect(dsn), limits, told) as throttle:
                throttle.wait(Deadline())
                throttle.wait(Deadline())
        finally:
            connection.execute(f"DROP ROLE {role}".encode())

    assert [
        "Not examined: whether others' sessions are active. It takes pg_read_all_stats."
    ] == told


def test_a_standby_that_lags(pg_dsn: str, pg_standby: Standby) -> None:
    """Its replay is paused: the throttle waits, the look before warns, until it has caught up."""
    told, limits = Told(), Migrate(max_replication_lag=0.05, max_lock_waiters=0)
    name = psycopg.conninfo.conninfo_to_dict(pg_dsn)["dbname"]
    with (
        connect(pg_dsn) as primary,
        connect(pg_standby.dsn("postgres")) as standby,
        Throttle(lambda: connect(pg_dsn), limits, told) as throttle,
    ):
        primary.execute("CREATE TABLE people (id int)")
        wanted = canonical(primary, parse_index("CREATE INDEX people_id ON people (id)"))
        steps = plan.make_plan([Wanted(wanted)], catalog.read(primary))
        pg_standby.catch_up()
        standby.execute("SELECT pg_wal_replay_pause()")
        try:
            primary.execute("INSERT INTO people SELECT generate_series(1, 10000)")
            wait_until(throttle.above, 30, "the standby to lag")
            found = preflight.look(primary, steps, limits)
            waiting = threading.Thread(target=throttle.wait, args=(Deadline.after(60),))
            waiting.start()
            wait_until(lambda: told)
        finally:
            standby.execute("SELECT pg_wal_replay_resume()")
        waiting.join(60)
        assert not waiting.is_alive()
        pg_standby.catch_up()

        with connect(pg_standby.dsn(str(name))) as there:
            refused = preflight.look(there, steps, limits)

    (lag,) = [one for one in found if one.rule == "replication-lag"]
    assert (Severity.WARNING, True) == (lag.severity, lag.evidence["bytes"] > 0)
    assert "behind (migrate.max_replication_lag is 0.05 s)" in told[0]
    assert "Going on after" in told[-1]
    (forbids,) = [one for one in refused if one.severity is Severity.CRITICAL]
    assert ("standby", "The server is a standby: it cannot be changed.") == (
        forbids.rule,
        forbids.message,
    )


def test_slots_and_wal(pg_dsn: str) -> None:
    with connect(pg_dsn) as connection:
        connection.execute("CREATE TABLE people AS SELECT generate_series(1, 20000) AS id")
        wanted = canonical(connection, parse_index("CREATE INDEX people_id ON people (id)"))
        steps = plan.make_plan([Wanted(wanted)], catalog.read(connection))
        slot = f"look_{os.getpid()}"
        connection.execute("SELECT pg_create_physical_replication_slot(%s, true)", (slot,))
        try:
            found = preflight.look(connection, steps, Migrate())
        finally:
            connection.execute("SELECT pg_drop_replication_slot(%s)", (slot,))

    (unread,) = [one for one in found if one.rule == "slot" and one.object == slot]
    assert unread.message.startswith("Nobody reads this slot: the builds' WAL, about ")
