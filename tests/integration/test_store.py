"""The store's reads and writes against the real server."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from dbopt.errors import StoreMissing, UsageError
from dbopt.observation import SlowStatement
from dbopt.pg.connect import AsyncConnection
from dbopt.sql.findings import Finding, Severity
from dbopt.store import slow, snapshots
from dbopt.store.snapshots import Header, Snapshot
from tests.integration.store_support import create_store, on_connection, revision

START = datetime(2020, 3, 1, 12, 0, tzinfo=UTC)
FINGERPRINT = 0xF000_0000_0000_0001  # above 2**63: negative as a bigint
HEADER = Header(START, "10.0.0.5:5432", "shop", 180006)
COLUMNS = {
    "snapshot_activity": ("state", "wait_event_type", "sessions", "longest_transaction_s"),
    "snapshot_statement": ("queryid", "userid", "toplevel", "role", "fingerprint", "calls"),
}
ACTIVITY = {
    "state": "active",
    "wait_event_type": "Lock",
    "sessions": 3,
    "longest_transaction_s": 1.5,
}
STATEMENT = {
    "queryid": -5,
    "userid": 10,
    "toplevel": True,
    "role": "app",
    "fingerprint": FINGERPRINT,
    "calls": 7,
}
SLOW = SlowStatement(
    FINGERPRINT,
    "SELECT $1",
    "SELECT 'a secret'",
    "shop",
    "app",
    "web",
    START.timestamp(),
    1200.5,
    200.25,
    1000.25,
    3,
    "",
    4711,
)


@pytest.fixture
def dsn(pg_dsn: str) -> str:
    return create_store(pg_dsn)


def put(dsn: str, header: Header) -> int:
    return on_connection(dsn, lambda conn: snapshots.write(conn, Snapshot(header), COLUMNS))


def test_a_snapshot_comes_back_as_it_was_written(dsn: str) -> None:
    finding = Finding("stats-statements", Severity.WARNING, "shop", "hidden", {}, "GRANT", False)
    header = replace(
        HEADER,
        stats_reset=START - timedelta(days=1),
        statements_reset=START - timedelta(days=2),
        statements_dealloc=4,
        truncated=frozenset({"statements"}),
        findings=(finding,),
    )
    rows = {"snapshot_activity": [ACTIVITY], "snapshot_statement": [STATEMENT]}
    written = Snapshot(header, rows, {FINGERPRINT: "SELECT $1"})

    async def work(conn: AsyncConnection) -> tuple[int, Snapshot]:
        number = await snapshots.write(conn, written, COLUMNS)
        return number, await snapshots.load(conn, number, list(COLUMNS))

    number, loaded = on_connection(dsn, work)
    assert replace(header, id=number) == loaded.header
    assert written.texts == loaded.texts
    assert loaded.rows["snapshot_activity"] == [ACTIVITY]
    assert STATEMENT.items() <= loaded.rows["snapshot_statement"][0].items()


def test_a_failed_write_leaves_nothing(dsn: str) -> None:
    broken = Snapshot(HEADER, {"snapshot_activity": [{**ACTIVITY, "sessions": None}]})
    with pytest.raises(Exception, match="23502"):
        on_connection(dsn, lambda conn: snapshots.write(conn, broken, COLUMNS))
    assert on_connection(dsn, snapshots.headers) == []


def test_the_pair_is_the_two_latest_of_one_database(dsn: str) -> None:
    put(dsn, HEADER)
    first = put(dsn, replace(HEADER, taken_at=START + timedelta(minutes=1)))
    put(dsn, replace(HEADER, taken_at=START + timedelta(minutes=2), database="other"))
    second = put(dsn, replace(HEADER, taken_at=START + timedelta(minutes=3)))
    before, after = on_connection(dsn, snapshots.pair)
    assert (first, second) == (before.id, after.id)


def test_the_pair_of_a_period_is_its_outermost(dsn: str) -> None:
    ids = [put(dsn, replace(HEADER, taken_at=START + timedelta(minutes=m))) for m in range(6)]

    async def work(conn: AsyncConnection) -> tuple[int, int]:
        since, until = START + timedelta(seconds=30), START + timedelta(minutes=4, seconds=30)
        before, after = await snapshots.pair(conn, since, until)
        return before.id, after.id

    assert (ids[1], ids[4]) == on_connection(dsn, work)


def test_no_pair(dsn: str) -> None:
    with pytest.raises(UsageError, match="no two"):
        on_connection(dsn, snapshots.pair)
    put(dsn, HEADER)
    with pytest.raises(UsageError, match="no two"):
        on_connection(dsn, snapshots.pair)
    with pytest.raises(UsageError, match="no two"):
        on_connection(dsn, lambda conn: snapshots.pair(conn, START - timedelta(days=1)))


def test_there_is_no_such_snapshot(dsn: str) -> None:
    with pytest.raises(UsageError, match="no snapshot 12"):
        on_connection(dsn, lambda conn: snapshots.load(conn, 12, ["snapshot_table"]))


def test_expiry_takes_the_rows_and_the_texts_along(dsn: str) -> None:
    now = datetime.now(UTC)
    old = Snapshot(replace(HEADER, taken_at=now - timedelta(days=9)), {}, {1: "SELECT old"})
    new = Snapshot(replace(HEADER, taken_at=now), {"snapshot_activity": [ACTIVITY]}, {2: "new"})

    async def work(conn: AsyncConnection) -> int:
        await snapshots.write(conn, old, COLUMNS)
        kept = await snapshots.write(conn, new, COLUMNS)
        await slow.append(conn, [(SLOW, None)])
        await conn.execute(
            "UPDATE dbopt.statement SET last_seen = now() - interval '9 days' WHERE fingerprint = 1"
        )
        await snapshots.expire(conn, now - timedelta(days=7))
        return kept

    kept = on_connection(dsn, work)
    assert [kept] == [header.id for header in on_connection(dsn, snapshots.headers)]
    with psycopg.connect(dsn) as conn:
        counts: dict[str, Any] = {}
        for table in ("snapshot_activity", "statement", "slow_statement"):
            rows = conn.execute(f"SELECT count(*) FROM dbopt.{table}").fetchall()
            counts[table] = rows[0][0]
    assert {"snapshot_activity": 1, "statement": 1, "slow_statement": 0} == counts


def test_slow_statements_come_back_without_their_literals(dsn: str) -> None:
    plan = {"Plan": {"Node Type": "Result"}}
    other = SlowStatement(
        *(2, "SELECT 2", "", "shop", "app", "", START.timestamp() + 1, 1, 0, 1, 0, "57014", 2)
    )
    stored = on_connection(dsn, lambda conn: slow.append(conn, [(SLOW, plan), (other, None)]))
    assert stored == 2
    newest, oldest = on_connection(dsn, slow.read)
    assert (newest.fingerprint, newest.sqlstate, newest.plan) == (2, "57014", None)
    assert oldest.fingerprint == FINGERPRINT
    assert oldest.at == START
    assert (oldest.duration_ms, oldest.queue_ms, oldest.server_ms) == (1200.5, 200.25, 1000.25)
    assert (3, 4711, plan) == (oldest.rows, oldest.backend_pid, oldest.plan)
    with psycopg.connect(dsn) as conn:
        everything = conn.execute("SELECT s::text FROM dbopt.slow_statement AS s").fetchall()
    assert "secret" not in str(everything)


def test_slow_statements_of_one_fingerprint_and_time(dsn: str) -> None:
    async def work(conn: AsyncConnection) -> list[int]:
        await slow.append(conn, [(SLOW, None)])
        since = START + timedelta(seconds=1)
        return [
            len(await slow.read(conn, fingerprint=FINGERPRINT)),
            len(await slow.read(conn, fingerprint=FINGERPRINT - 1)),
            len(await slow.read(conn, since=START)),
            len(await slow.read(conn, since=since)),
        ]

    assert on_connection(dsn, work) == [1, 0, 1, 0]


def test_a_text_that_postgresql_refuses_costs_no_batch(dsn: str) -> None:
    nasty = "SELECT \0 \udcff \\N \t\n" + "x" * 20_000
    parts = [*SLOW.__struct_fields__]
    values = {name: getattr(SLOW, name) for name in parts} | {"text": nasty, "application": nasty}
    on_connection(dsn, lambda conn: slow.append(conn, [(SlowStatement(**values), None)]))
    (record,) = on_connection(dsn, slow.read)
    assert record.text.startswith("SELECT  ? \\N \t\nxxx")
    assert len(record.text) == 10_000


def test_a_missing_schema_is_said_so(pg_dsn: str) -> None:
    for work in (snapshots.headers, slow.read, snapshots.pair):
        with pytest.raises(StoreMissing, match="dbopt migrate upgrade"):
            on_connection(pg_dsn, work)
    with pytest.raises(StoreMissing):
        on_connection(pg_dsn, lambda conn: slow.append(conn, [(SLOW, None)]))


def test_the_revision_goes_up_and_down_in_a_transaction(pg_dsn: str) -> None:
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(pg_dsn), poolclass=NullPool
    )
    with psycopg.connect(pg_dsn, autocommit=True) as conn:
        conn.execute("CREATE SCHEMA dbopt")
        with engine.begin() as connection:
            with Operations.context(MigrationContext.configure(connection)):
                revision()["upgrade"]()
            assert tables(conn) == set()
        assert set(revision()["TABLES"]) == tables(conn)
        put(pg_dsn, HEADER)
        with (
            engine.begin() as connection,
            Operations.context(MigrationContext.configure(connection)),
        ):
            revision()["downgrade"]()
        assert tables(conn) == set()


def tables(conn: psycopg.Connection[Any]) -> set[str]:
    found = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'dbopt'").fetchall()
    return {row[0] for row in found}
