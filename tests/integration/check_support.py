"""A database with much amiss, and sessions that misbehave: for the tests of `dbopt check`."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from dbopt.check.run import Outcome, check, choose
from dbopt.checksettings import Check
from tests.fix_pg import Server, fresh_database
from tests.support import wait_until

TOUCHY = Check(
    xid_warning=0, xmin_warning=0, blocking_warning=0, transaction_warning=0,
    idle_transaction_warning=0, query_warning=0, prepared_warning=0, deadlocks_per_day=0,
    rollback_share=0, rollback_minimum=1, counter_window=0, min_rows=1000, bloat_minimum=0,
    slot_inactive=0, slot_wal_warning=0, cache_hit=1, cache_minimum=1, temp_per_hour=0,
    requested_checkpoints=0, checkpoint_minimum=1, connections_warning=0.01, idle_connections=0,
    clock_skew=60, freeze_warning=0,
)  # fmt: skip
"""Thresholds that the least passes."""

AMISS = """
CREATE TABLE nopk (a int, b char(3), c json, d money, e timetz);
ALTER TABLE nopk ADD CONSTRAINT positive CHECK (a > 0) NOT VALID;
CREATE UNLOGGED TABLE gone (id int PRIMARY KEY);
CREATE TABLE near (id serial PRIMARY KEY);
SELECT setval('near_id_seq', 2147483000);
CREATE SEQUENCE big;
CREATE TABLE fed (id int PRIMARY KEY DEFAULT nextval('big'));
SELECT setval('big', 2000000000);
CREATE TABLE small (id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
SELECT setval('small_id_seq', 30000);
CREATE SEQUENCE fine;
CREATE TABLE keyed (id int PRIMARY KEY);
INSERT INTO keyed SELECT 2000000000 + n FROM generate_series(1, 500) AS n;
ANALYZE keyed;
CREATE TABLE parent (id bigint PRIMARY KEY);
CREATE TABLE child (id bigint PRIMARY KEY, parent int REFERENCES parent);
ALTER TABLE child DISABLE TRIGGER ALL;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER asleep BEFORE INSERT ON parent FOR EACH ROW EXECUTE FUNCTION nothing();
ALTER TABLE parent DISABLE TRIGGER asleep;
GRANT CREATE ON SCHEMA public TO PUBLIC;
CREATE PUBLICATION pub FOR TABLE nopk;
CREATE TABLE dead (id int PRIMARY KEY, filler text) WITH (autovacuum_enabled = false);
INSERT INTO dead SELECT n, repeat('x', 200) FROM generate_series(1, 20000) AS n;
DELETE FROM dead WHERE id > 1000;
ANALYZE dead;
UPDATE dead SET filler = repeat('y', 200);
CREATE TABLE fresh (id int PRIMARY KEY) WITH (autovacuum_enabled = false);
INSERT INTO fresh SELECT generate_series(1, 2000);
DROP EXTENSION pg_stat_statements;
CREATE EXTENSION pg_stat_statements VERSION '1.9';
SET work_mem = '64kB';
SELECT count(*) FROM (SELECT n FROM generate_series(1, 50000) AS n ORDER BY -n OFFSET 0) AS s;
CHECKPOINT;
BEGIN;
ROLLBACK
"""
"""All at rest that is amiss, in one database."""


@dataclass
class Sick:
    """A server's database with all that, the roles that look at it, and who misbehaves."""

    server: Server
    dsn: str
    tag: str
    pids: dict[str, int] = field(default_factory=dict)

    @property
    def major(self) -> int:
        return self.server.major

    def role(self, kind: str) -> str:
        return f"dbopt_{kind}_{self.tag}"

    def look(self, kind: str = "", *only: str, limits: Check = TOUCHY, **options: Any) -> Outcome:
        """A check as "mon", "plain", or "" for the superuser."""
        dsn = make_conninfo(self.dsn, user=self.role(kind)) if kind else self.dsn
        return asyncio.run(check(dsn, limits, choose(only), **options))


@contextmanager
def sick(server: Server) -> Iterator[Sick]:
    """A database of `server` with everything amiss, while the block runs."""
    with ExitStack() as stack:
        made = Sick(server, stack.enter_context(fresh_database(server)), uuid.uuid4().hex[:8])
        admin = stack.enter_context(psycopg.connect(made.dsn, autocommit=True))
        stack.enter_context(_roles(made, admin))
        for statement in AMISS.strip().split(";\n"):
            admin.execute(statement)
        _parameters(made, admin)
        _deadlock(made)
        stack.enter_context(_slot(made, admin))
        _misbehave(made, stack)
        wait_until(lambda: _settled(admin), what="the statistics of tables")
        yield made


@contextmanager
def _roles(made: Sick, admin: psycopg.Connection) -> Iterator[None]:
    name = f"dbopt_invalid_{made.tag}"
    words = {
        "mon": "LOGIN", "plain": "LOGIN", "late": "LOGIN VALID UNTIL '2020-01-01'",
        "few": "LOGIN CONNECTION LIMIT 1", "md5": "LOGIN PASSWORD 'x'",
    }  # fmt: skip
    admin.execute("SET password_encryption = md5")
    for kind, options in words.items():
        admin.execute(f"CREATE ROLE {made.role(kind)} {options}")
    admin.execute("RESET password_encryption")
    admin.execute(f"GRANT pg_monitor TO {made.role('mon')}")
    admin.execute(f"CREATE DATABASE {name}")
    admin.execute("UPDATE pg_database SET datconnlimit = -2 WHERE datname = %s", [name])
    try:
        yield
    finally:
        admin.execute(f"DROP DATABASE {name}")
        for kind in words:
            admin.execute(f"DROP ROLE {made.role(kind)}")


def _parameters(made: Sick, admin: psycopg.Connection) -> None:
    """What sessions of this database have, and no other: the server is not ours alone."""
    database = admin.info.dbname
    for name, value in {
        "jit": "on", "enable_seqscan": "off", "work_mem": "'1GB'", "statement_timeout": "0",
        "default_statistics_target": "10", "track_io_timing": "off", "password_encryption": "md5",
    }.items():  # fmt: skip
        admin.execute(f"ALTER DATABASE {database} SET {name} = {value}")


def _deadlock(made: Sick) -> None:
    with (
        psycopg.connect(made.dsn, options="-c deadlock_timeout=10ms") as one,
        psycopg.connect(made.dsn, options="-c deadlock_timeout=10s") as two,
    ):
        one.execute("SELECT pg_advisory_xact_lock(1)")
        two.execute("SELECT pg_advisory_xact_lock(2)")
        waiter = threading.Thread(target=two.execute, args=("SELECT pg_advisory_xact_lock(1)",))
        waiter.start()
        waits = "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted"
        pid = two.info.backend_pid
        # Who waits looks once for a deadlock: it must be there by then.
        wait_until(lambda: one.execute(waits, [pid]).fetchone() == (1,), what="the other to wait")
        with suppress(psycopg.errors.DeadlockDetected):
            one.execute("SELECT pg_advisory_xact_lock(2)")
        one.rollback()
        waiter.join()


@contextmanager
def _slot(made: Sick, admin: psycopg.Connection) -> Iterator[None]:
    name = f"slot_{made.tag}"
    admin.execute("SELECT pg_create_physical_replication_slot(%s, true)", [name])
    try:
        yield
    finally:
        admin.execute("SELECT pg_drop_replication_slot(%s)", [name])


def _misbehave(made: Sick, stack: ExitStack) -> None:
    """An idle transaction that holds a lock, who waits for it, and a statement that runs."""
    few = make_conninfo(made.dsn, user=made.role("few"))
    idle = stack.enter_context(psycopg.connect(made.dsn, application_name="web"))
    idle.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    idle.execute("SELECT 1")
    idle.execute("LOCK TABLE nopk, near IN ACCESS EXCLUSIVE MODE")
    idle.execute("ALTER SEQUENCE fine OWNER TO CURRENT_USER")
    busy = stack.enter_context(psycopg.connect(few, autocommit=True))
    waiter = stack.enter_context(psycopg.connect(made.dsn, autocommit=True))
    for name, connection, statement in (
        ("waiter", waiter, "SELECT * FROM nopk"),
        ("busy", busy, "SELECT pg_sleep(600)"),
    ):
        made.pids[name] = connection.info.backend_pid
        stack.callback(_in_background(connection, statement).join)
        stack.callback(connection.cancel_safe)
    made.pids["idle"] = idle.info.backend_pid


def _in_background(connection: psycopg.Connection, statement: str) -> threading.Thread:
    def run() -> None:
        with suppress(psycopg.errors.QueryCanceled):
            connection.execute(statement)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def _settled(admin: psycopg.Connection) -> bool:
    """Whether the counters have arrived, and the sessions do what they shall."""
    row = admin.execute(
        "SELECT pg_stat_get_dead_tuples('dead'::regclass) > 10000"
        "   AND pg_stat_get_live_tuples('fresh'::regclass) > 1000"
        "   AND (SELECT deadlocks > 0 AND temp_bytes > 0 AND xact_rollback > 0"
        "          FROM pg_stat_database WHERE datname = current_database())"
        "   AND (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        "           AND wait_event IN ('relation', 'PgSleep')) = 2"
    ).fetchone()
    return bool(row and row[0])
