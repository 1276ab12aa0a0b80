"""The sampler on a real server: who works, who waits for what, who blocks whom."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbopt.pg.pool import control_pool
from dbopt.settings import Stats
from dbopt.sql.fingerprint import fingerprint
from dbopt.stats.sampler import Sampler
from dbopt.stats.samples import Session
from tests.support import wait_until

LOCKED = "UPDATE t SET n = n + 1"


@contextmanager
def working(dsn: str, sql: str) -> Iterator[int]:
    """The pid of a session that runs `sql` in a thread, until it is cancelled at the end."""
    with psycopg.connect(dsn, application_name="web") as connection:

        def work() -> None:
            try:
                connection.execute(sql)
            except psycopg.Error:
                return

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield connection.info.backend_pid
        finally:
            connection.cancel_safe()
            thread.join()


def sampled(dsn: str, count: int = 1, known: dict[int, int] | None = None) -> Sampler:
    async def main() -> Sampler:
        async with control_pool(dsn, Stats()) as pool:
            sampler = Sampler(pool, (known or {}).get)
            for _ in range(count):
                await sampler.sample()
            return sampler

    return asyncio.run(main())


def of_web(sampler: Sampler) -> list[Session]:
    """The sessions of `working`: autovacuum may be at work too."""
    return [session for session in sampler.seen.sessions if session.application == "web"]


def busy(dsn: str, pid: int, wait: str) -> None:
    """Wait until a session waits for that."""
    sql = "SELECT wait_event FROM pg_stat_activity WHERE pid = %s AND state = 'active'"
    with psycopg.connect(dsn, autocommit=True) as connection:
        wait_until(lambda: connection.execute(sql, [pid]).fetchone() == (wait,), what=wait)


@pytest.mark.parametrize("older", [False, True])
def test_what_a_session_does(request: pytest.FixtureRequest, older: bool) -> None:
    dsn = request.getfixturevalue("pg15_dsn" if older else "pg_dsn")
    with working(dsn, "SELECT pg_sleep(60)") as pid:
        started = time.time()
        busy(dsn, pid, "PgSleep")
        sampler = sampled(dsn, 2)
        (session,) = of_web(sampler)

    assert ("active", "Timeout:PgSleep", fingerprint("SELECT pg_sleep(60)"), (), True) == (
        session.state, session.wait, session.fingerprint, session.blocked_by, session.active,
    )  # fmt: skip
    assert abs(session.since - started) < 5.0
    assert {"Timeout:PgSleep": 2} == sampler.seen.waits(pid, session.since - 0.1, time.time())
    assert 1.0 <= sampler.seen.load()["Timeout"]  # an autovacuum's delay counts too
    assert 2 == sampler.taken


def test_who_blocks_whom(pg_dsn: str) -> None:
    with psycopg.connect(pg_dsn, application_name="holder") as holder:
        holder.execute("CREATE TABLE t (n int)")
        holder.execute("INSERT INTO t VALUES (1)")
        holder.commit()
        holder.execute("LOCK TABLE t")
        with working(pg_dsn, LOCKED) as waiter:
            busy(pg_dsn, waiter, "relation")
            seen = sampled(pg_dsn).seen
        holder_pid = holder.info.backend_pid
    ours = [one for one in seen.sessions if one.application in ("holder", "web")]
    holding, waiting = sorted(ours, key=lambda session: session.application)
    assert ("idle in transaction", False) == (holding.state, holding.active)
    assert (holder_pid,) == waiting.blocked_by
    assert ("RowExclusiveLock", "public.t") == (waiting.lock_mode, waiting.lock_object)
    _, blocking = seen.take("here", datetime.now(UTC))
    key = (fingerprint(LOCKED), fingerprint("LOCK TABLE t"), "RowExclusiveLock", "public.t")
    assert {key: (1,)} == blocking.changed


def test_texts_are_redacted_and_handed_over_once(pg_dsn: str) -> None:
    sql = "SELECT pg_sleep(60), 'secret'"
    with working(pg_dsn, sql) as pid:
        busy(pg_dsn, pid, "PgSleep")
        sampler = sampled(pg_dsn, 2)
    assert "SELECT pg_sleep($1), $2" == sampler.take_texts()[fingerprint(sql)]
    assert {} == sampler.take_texts()


def test_a_text_that_the_server_cut_off_is_known_by_its_queryid(pg_dsn: str) -> None:
    long = "SELECT pg_sleep(60), " + ", ".join(f"'{'x' * 50}' AS c{n}" for n in range(40))
    with working(pg_dsn, long) as pid:
        busy(pg_dsn, pid, "PgSleep")
        sql = "SELECT query_id FROM pg_stat_activity WHERE pid = %s"
        with psycopg.connect(pg_dsn) as other:
            found = other.execute(sql, [pid]).fetchone()
        assert found is not None
        (unknown,) = of_web(sampled(pg_dsn))
        (known,) = of_web(sampled(pg_dsn, known={found[0]: 77}))
    assert (0, 77) == (unknown.fingerprint, known.fingerprint)


def test_without_the_privilege_others_are_hidden_and_no_load(
    pg_dsn: str, pg_conn: psycopg.Connection
) -> None:
    pg_conn.execute("DROP ROLE IF EXISTS nosy")
    pg_conn.execute("CREATE ROLE nosy LOGIN")
    try:
        with working(pg_dsn, "SELECT pg_sleep(60)") as pid:
            busy(pg_dsn, pid, "PgSleep")
            sampler = sampled(make_conninfo(pg_dsn, user="nosy"))
        assert pid not in {session.pid for session in sampler.seen.sessions}
        assert {} == sampler.seen.load()
        assert sampler.hidden >= 1
        assert 0 == sampled(pg_dsn).hidden
    finally:
        pg_conn.execute("DROP ROLE nosy")
