"""Slow statements, plans, events, partitions and the migration, against the real servers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from dbopt.daemon.collection import Collection
from dbopt.errors import ConnectError, QueryFailed, StoreMissing, UsageError
from dbopt.observation import SlowStatement
from dbopt.pg.connect import AsyncConnection, connect_async
from dbopt.pg.pool import control_pool
from dbopt.settings import Settings, Stats
from dbopt.stats.view import View
from dbopt.store import events, partitions, plans, slow
from dbopt.store.batch import Batch
from dbopt.store.frame import Event, Frame, Target
from dbopt.store.partitions import Kept
from dbopt.store.plans import PlanRecord
from dbopt.store.slow import SlowEntry
from tests.fix_pg import Server, fresh_database
from tests.integration.store_support import OURS, create_store, on_connection, revision
from tests.support import wait_until_async

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
FINGERPRINT = 0xF000_0000_0000_0001  # above 2**63: negative as a bigint
TARGET = Target("10.0.0.5:5432", "shop")
TRACE = "0af7651916cd43dd8448eb211c80319c"
SLOW = SlowStatement(
    FINGERPRINT, "SELECT $1", "SELECT 'a secret'", "shop", "app", "web", START.timestamp(),
    1300.5, 200.25, 1000.25, 3, "", 4711, "/cart",
    {"route": "/cart", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, 100.0, 70, 9000,
)  # fmt: skip


@pytest.fixture(params=["newest", "debian"])
def dsn(request: pytest.FixtureRequest) -> Iterator[str]:
    name = "pg_backend" if request.param == "newest" else "pg15_backend"
    server: Server = request.getfixturevalue(name)
    with fresh_database(server) as found:
        yield create_store(found)


def other(**parts: Any) -> SlowStatement:
    values = {name: getattr(SLOW, name) for name in SLOW.__struct_fields__}
    return SlowStatement(**(values | parts))


# Slow statements


def test_slow_statements_come_back_without_their_literals(dsn: str) -> None:
    plan = {"Plan": {"Node Type": "Result"}}
    entry = SlowEntry(SLOW, plan, "a1b2", {"IO:DataFileRead": 7}, "10.0.0.5:5432")
    plain = SlowEntry(
        other(fingerprint=2, started=START.timestamp() + 1, sqlstate="57014", tags={})
    )
    assert 2 == on_connection(dsn, lambda conn: slow.append(conn, [entry, plain]))
    newest, oldest = on_connection(dsn, slow.read)
    assert (2, "57014", None, "", {}) == (
        newest.fingerprint, newest.sqlstate, newest.plan, newest.trace_id, newest.waits,
    )  # fmt: skip
    assert slow.SlowRecord(
        oldest.id, START, FINGERPRINT, "SELECT $1", "shop", "app", "web", 1300.5, 200.25, 1000.25,
        3, "", 4711, plan, "10.0.0.5:5432", "/cart", SLOW.tags, TRACE, 100.0, 70, 9000,
        {"IO:DataFileRead": 7}, "a1b2",
    ) == oldest  # fmt: skip
    with psycopg.connect(dsn) as conn:
        everything = conn.execute("SELECT s::text FROM dbopt.slow_statement AS s").fetchall()
    assert "secret" not in str(everything)


def test_slow_statements_are_found_by_what_is_asked(dsn: str) -> None:
    entries = [
        SlowEntry(
            other(started=START.timestamp() + n, duration_ms=100.0 - n, backend_pid=n, **parts)
        )
        for n, parts in enumerate(
            [
                {"database": "other"},
                {"user": "root"},
                {"application": "job"},
                {"route": "/pay"},
                {"fingerprint": 5},
                {"sqlstate": "23505"},
            ]
        )
    ]

    async def work(conn: AsyncConnection) -> list[list[int]]:
        await slow.append(conn, entries)
        asked: list[dict[str, Any]] = [
            {"database": "other"},
            {"user": "root"},
            {"application": "job"},
            {"route": "/pay"},
            {"fingerprint": 5},
            {"errors": True},
            {"since": START + timedelta(seconds=4)},
            {"until": START + timedelta(seconds=2)},
            {"order": "duration", "limit": 2},
            {"route": "' OR true --"},
            {"server": "elsewhere"},
        ]
        return [[one.backend_pid for one in await slow.read(conn, **each)] for each in asked]

    expected = [[0], [1], [2], [3], [4], [5], [5, 4], [1, 0], [0, 1], [], []]
    assert expected == on_connection(dsn, work)
    with pytest.raises(UsageError, match="no order 'at'"):
        on_connection(dsn, lambda conn: slow.read(conn, order="at"))


def test_a_text_that_postgresql_refuses_costs_no_batch(dsn: str) -> None:
    nasty = "SELECT \0 \udcff \\N \t\n" + "x" * 20_000
    entry = SlowEntry(other(text=nasty, tags={"route": "a\0b\udcff"}), {"a\0": nasty})
    on_connection(dsn, lambda conn: slow.append(conn, [entry]))
    (record,) = on_connection(dsn, slow.read)
    assert record.text.startswith("SELECT  ? \\N \t\nxxx")
    assert (10_000, {"route": "ab?"}) == (len(record.text), record.tags)


# Plans and events


def test_plans_are_kept_by_shape(dsn: str) -> None:
    one = PlanRecord(
        TARGET, FINGERPRINT, "aa", START, START, "explain", 1, 10.0, 5.0, 5.0, {"a": 1}
    )
    later = replace(
        one, first_seen=START + DAY, last_seen=START + DAY, times=2, cost=12.0, best_ms=None,
        worst_ms=9.0, json={},
    )  # fmt: skip
    change = replace(one, shape="bb", last_seen=START + DAY / 2, source="auto_explain")
    elsewhere = replace(one, target=Target("s", "other"))

    async def work(conn: AsyncConnection) -> Any:
        assert 2 == await plans.keep(conn, [one, change, one])
        assert 2 == await plans.keep(conn, [later, elsewhere])
        return (
            await plans.read(conn, fingerprint=FINGERPRINT, target=TARGET),
            await plans.read(conn, since=START + DAY),
            await plans.latest(conn, TARGET),
            await plans.read(conn, fingerprint=1),
        )

    both, late, latest, none = on_connection(dsn, work)
    whole = replace(one, last_seen=START + DAY, times=4, cost=12.0, worst_ms=9.0)
    assert [whole, change] == both
    assert [whole] == late
    assert {FINGERPRINT: replace(whole, json={})} == latest
    assert [] == none


def test_events_are_found_by_time_kind_and_target(dsn: str) -> None:
    first = Event(START, TARGET, "plan-change", "a1", "another plan", {"shapes": ["aa", "bb"]})
    second = Event(START + DAY, Target(TARGET.server), "setting", "work_mem", "4MB, was 64MB")

    async def work(conn: AsyncConnection) -> list[list[Event]]:
        assert 2 == await events.append(conn, [first, second])
        return [
            await events.read(conn),
            await events.read(conn, since=START + DAY),
            await events.read(conn, until=START + DAY, kinds={"setting", "plan-change"}),
            await events.read(conn, kinds=["setting"]),
            await events.read(conn, target=TARGET),
            await events.read(conn, target=Target(TARGET.server)),
            await events.read(conn, limit=1),
        ]

    expected = [
        [second, first], [second], [first], [second], [first], [second, first], [second],
    ]  # fmt: skip
    assert expected == on_connection(dsn, work)


# Partitions


def keep(dsn: str, now: datetime, days: float = 7.0) -> Kept | None:
    return on_connection(dsn, lambda conn: partitions.keep(conn, now, days))


def parts(dsn: str, table: str = "history") -> dict[str, int]:
    """Rows by partition."""
    with psycopg.connect(dsn) as conn:
        rows = conn.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits"
            " WHERE inhparent = ('dbopt.' || %s)::regclass ORDER BY 1",
            [table],
        ).fetchall()
        counts = {}
        for (name,) in rows:
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*name.split(".")))
            counts[name.removeprefix(f"dbopt.{table}_")] = conn.execute(query).fetchall()[0][0]
    return counts


def event(at: datetime) -> Event:
    return Event(at, TARGET, "test", "", "")


def test_partitions_are_made_ahead_over_the_turn_of_the_year(dsn: str) -> None:
    eve = datetime(2026, 12, 30, 23, 59, 59, tzinfo=UTC)
    done = keep(dsn, eve)
    assert done is not None
    assert ["history_20261230", "history_20261231", "history_20270101"] == done.made[:3]
    assert (9, [], "") == (len(done.made), done.dropped, done.error)
    again = keep(dsn, eve)
    assert again == Kept()
    new = keep(dsn, eve + timedelta(seconds=1))
    assert new is not None
    assert ["history_20270102", "slow_statement_20270102", "event_20270102"] == new.made
    turn = datetime(2027, 1, 1, tzinfo=UTC)
    late = [event(turn - timedelta(microseconds=1)), event(turn), event(turn + 2 * DAY)]
    on_connection(dsn, lambda conn: events.append(conn, late))
    expected = {"20261230": 0, "20261231": 1, "20270101": 1, "20270102": 0, "default": 1}
    assert expected == parts(dsn, "event")


def test_what_fell_into_the_default_is_moved(dsn: str) -> None:
    ats = [START - 30 * DAY, START - 3 * DAY, START, START + DAY, START + 9 * DAY]
    on_connection(dsn, lambda conn: events.append(conn, [event(at) for at in ats]))
    entries = [SlowEntry(other(started=at.timestamp())) for at in ats]
    on_connection(dsn, lambda conn: slow.append(conn, entries))
    keep(dsn, START)
    expected = {
        "20260226": 1, "20260301": 1, "20260302": 1, "20260303": 0, "default": 1,
    }  # fmt: skip
    assert expected == parts(dsn, "event") == parts(dsn, "slow_statement")
    found = on_connection(dsn, events.read)
    assert ats[:0:-1] == [one.at for one in found]
    ids = [record.id for record in on_connection(dsn, slow.read)]
    assert [5, 4, 3, 2] == ids
    on_connection(dsn, lambda conn: slow.append(conn, entries[2:3]))
    assert 6 == max(record.id for record in on_connection(dsn, slow.read))


def test_old_days_are_dropped_with_what_hangs_on_them(dsn: str) -> None:
    keep(dsn, START)
    on_connection(dsn, lambda conn: events.append(conn, [event(START), event(START + DAY)]))
    old = PlanRecord(TARGET, 1, "aa", START, START)
    on_connection(
        dsn, lambda c: plans.keep(c, [old, replace(old, shape="b", last_seen=START + DAY)])
    )
    with psycopg.connect(dsn) as conn:
        conn.execute("INSERT INTO dbopt.statement VALUES (1, '', %s, %s)", [START, START - DAY])
        conn.execute("INSERT INTO dbopt.statement VALUES (2, '', %s, %s)", [START, START + 2 * DAY])
        for key, seen in (("old", START - 3 * DAY), ("new", START)):
            conn.execute(
                "INSERT INTO dbopt.entity (target_id, view, key, first_seen, last_seen)"
                " VALUES (1, 'v', %s, %s, %s)",
                [key, START - 9 * DAY, seen],
            )
    kept = keep(dsn, START + DAY + timedelta(hours=11), days=1.0)
    assert kept is not None
    assert [] == kept.dropped  # the whole day must be older
    kept = keep(dsn, START + 2 * DAY, days=1.0)
    assert kept is not None
    assert ["history_20260301", "slow_statement_20260301", "event_20260301"] == kept.dropped
    assert [START + DAY] == [one.at for one in on_connection(dsn, events.read)]
    assert ["b"] == [plan.shape for plan in on_connection(dsn, plans.read)]
    with psycopg.connect(dsn) as conn:
        assert [(2,)] == conn.execute("SELECT fingerprint FROM dbopt.statement").fetchall()
        assert [("new",)] == conn.execute("SELECT key FROM dbopt.entity").fetchall()


def test_writers_lose_nothing_while_partitions_are_made(dsn: str) -> None:
    """At midnight rows fall into the default partition, and are moved while more of them come."""

    async def write(number: int) -> None:
        async with await connect_async(dsn) as conn:
            for step in range(30):
                at = START + timedelta(hours=step, seconds=number)
                await events.append(conn, [event(at)])

    async def make() -> list[str]:
        made = []
        async with await connect_async(dsn) as conn:
            for day in range(3):
                now = START + day * DAY

                async def one(now: datetime = now) -> Kept | None:
                    return await partitions.keep(conn, now, 9)

                kept = await wait_until_async(one, what="the other one to have made them")
                assert kept is not None
                made += kept.made
        return made

    async def main() -> list[str]:
        *_, one, other = await asyncio.gather(*map(write, range(4)), make(), make_too())
        return one + other

    async def make_too() -> list[str]:
        async with await connect_async(dsn) as conn:
            kept = await partitions.keep(conn, START, 9)
            return kept.made if kept is not None else []

    made = asyncio.run(main())
    assert len(set(made)) == len(made)
    keep(dsn, START + 2 * DAY)
    assert 4 * 30 == sum(parts(dsn, "event").values())
    assert 0 == parts(dsn, "event")["default"]


def test_a_lock_that_does_not_come_is_left_for_the_next_time(dsn: str) -> None:
    keep(dsn, START)
    with psycopg.connect(dsn) as reader:
        reader.execute("SELECT FROM dbopt.event")
        kept = keep(dsn, START + 9 * DAY)
        assert kept is not None
        assert "55P03" in kept.error
        assert "event_20260301" not in kept.dropped
        assert "history_20260301" in kept.dropped
        # Meanwhile nobody waits behind us.
        on_connection(dsn, lambda conn: events.append(conn, [event(START)]))
    kept = keep(dsn, START + 9 * DAY)
    assert kept is not None
    assert ("", 2) == (kept.error, sum(name.startswith("event") for name in kept.dropped))


async def history_begins(dsn: str) -> None:
    """What upkeep may not do is told each time; frames are kept all the same."""
    view = View("guest", ("id",), (), ("calls",))
    async with control_pool(dsn, Stats()) as pool:
        collection = Collection(Settings(), pool, pool, lambda: False, lambda *_: Batch())
        with pytest.raises(ConnectError, match="Nothing has been stored yet"):
            await collection._resume(TARGET, view)
        with pytest.raises(QueryFailed, match="belongs to another role"):
            await collection.upkeep()
        assert "belongs to another role" in collection.error
        assert await collection._resume(TARGET, view) is None
        place = Target(TARGET.server, uuid.uuid4().hex)
        collection.writer.put(Batch((Frame(place, "guest", START, 1.0, ("calls",)),)))
        assert await collection.writer.flush()
        assert await collection._resume(place, view) is not None


def test_another_role_s_store_is_told(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS dbopt_guest")
        conn.execute("CREATE ROLE dbopt_guest LOGIN")
        conn.execute("GRANT USAGE ON SCHEMA dbopt TO dbopt_guest")
        conn.execute(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA dbopt TO dbopt_guest"
        )
        try:
            kept = keep(make_conninfo(dsn, user="dbopt_guest"), START)
            assert kept is not None
            assert "belongs to another role" in kept.error
            assert "dbopt migrate upgrade" in kept.error
            # It stops no history: the default partition takes it.
            asyncio.run(history_begins(make_conninfo(dsn, user="dbopt_guest")))
            conn.execute("REVOKE DELETE ON ALL TABLES IN SCHEMA dbopt FROM dbopt_guest")
            asyncio.run(history_begins(make_conninfo(dsn, user="dbopt_guest")))
        finally:
            conn.execute("DROP OWNED BY dbopt_guest")
            conn.execute("DROP ROLE dbopt_guest")


def test_a_role_that_may_create_is_enough(pg_backend: Server) -> None:
    with fresh_database(pg_backend) as dsn, psycopg.connect(dsn, autocommit=True) as conn:
        database = conn.info.dbname
        conn.execute("DROP ROLE IF EXISTS dbopt_owner")
        conn.execute("CREATE ROLE dbopt_owner LOGIN")
        try:
            conn.execute(
                sql.SQL("GRANT CREATE ON DATABASE {} TO dbopt_owner").format(
                    sql.Identifier(database)
                )
            )
            own = create_store(make_conninfo(dsn, user="dbopt_owner"))
            kept = keep(own, START)
            assert kept is not None
            assert ("", 9) == (kept.error, len(kept.made))
        finally:
            conn.execute("DROP OWNED BY dbopt_owner CASCADE")
            conn.execute("DROP ROLE dbopt_owner")


def test_a_missing_schema_is_said_so(pg_dsn: str) -> None:
    for work in (slow.read, plans.read, events.read, lambda c: partitions.keep(c, START, 1)):
        with pytest.raises(StoreMissing, match="dbopt migrate upgrade"):
            on_connection(pg_dsn, work)
    with pytest.raises(StoreMissing):
        on_connection(pg_dsn, lambda conn: slow.append(conn, [SlowEntry(SLOW)]))


# The migration


def test_the_revisions_go_up_and_down_in_a_transaction(pg_dsn: str) -> None:
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(pg_dsn), poolclass=NullPool
    )

    def run(name: str, way: str) -> None:
        with engine.begin() as link, Operations.context(MigrationContext.configure(link)):
            revision(name)[way]()

    with psycopg.connect(pg_dsn, autocommit=True) as conn:
        conn.execute("CREATE SCHEMA dbopt")
        for name in OURS[:2]:
            run(name, "upgrade")
        before = described(conn)
        conn.execute(
            'INSERT INTO dbopt.slow_statement (at, fingerprint, text, database, "user",'
            " application, duration_ms, queue_ms, server_ms, rows, sqlstate, backend_pid, plan)"
            " SELECT now(), n, 'x', 'd', 'u', 'a', 1, 2, 3, 4, '', 5, '{}'"
            " FROM generate_series(1, 3) n"
        )
        conn.execute("INSERT INTO dbopt.statement (fingerprint, text) VALUES (1, 'x')")
        slow_before = slow_rows(conn)
        run(OURS[2], "upgrade")
        assert slow_before == slow_rows(conn)
        first = described(conn)
        on_connection(pg_dsn, lambda c: slow.append(c, [SlowEntry(SLOW)]))
        assert [4, 3, 2, 1] == sorted((r[0] for r in slow_rows(conn)), reverse=True)
        run(OURS[2], "downgrade")
        assert before == described(conn)
        assert slow_before == slow_rows(conn)[:3]
        conn.execute(
            'INSERT INTO dbopt.slow_statement (at, fingerprint, text, database, "user",'
            " application, duration_ms, queue_ms, server_ms, rows, sqlstate, backend_pid)"
            " VALUES (now(), 9, '', '', '', '', 1, 0, 1, 0, '', 0)"
        )
        assert 5 == slow_rows(conn)[-1][0]
        run(OURS[2], "upgrade")
        assert first == described(conn)
        assert 1 == len(conn.execute("SELECT FROM dbopt.statement").fetchall())
        run(OURS[3], "upgrade")
        run(OURS[3], "downgrade")
        assert first == described(conn)
        for name in reversed(OURS[:3]):
            run(name, "downgrade")
        assert [] == described(conn)


def slow_rows(conn: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    columns = revision(OURS[2])["SLOW_COLUMNS"]
    return conn.execute(f"SELECT {columns} FROM dbopt.slow_statement ORDER BY id").fetchall()


def described(conn: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Columns, indexes, functions and sequences of the schema."""
    return conn.execute(
        """
        SELECT 'column', table_name, column_name, data_type, is_nullable, column_default,
               identity_generation
          FROM information_schema.columns WHERE table_schema = 'dbopt'
        UNION ALL
        SELECT 'index', tablename, indexname, indexdef, '', '', '' FROM pg_indexes
         WHERE schemaname = 'dbopt'
        UNION ALL
        SELECT 'relation', relname, relkind::text, '', '', '', '' FROM pg_class
         WHERE relnamespace = to_regnamespace('dbopt')
        UNION ALL
        SELECT 'function', proname, pg_get_functiondef(oid), '', '', '', '' FROM pg_proc
         WHERE pronamespace = to_regnamespace('dbopt')
        ORDER BY 1, 2, 3
        """
    ).fetchall()
