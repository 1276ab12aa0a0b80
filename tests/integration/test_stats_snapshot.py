"""Snapshots around a known load, against the real server: exactly known differences."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbopt.errors import ServerLost
from dbopt.pg.connect import AsyncConnection, connect_async
from dbopt.pg.pool import control_pool
from dbopt.pg.server import ServerInfo, read_server
from dbopt.settings import Stats
from dbopt.sql.fingerprint import fingerprint
from dbopt.stats.oldcollectors import VIEWS
from dbopt.stats.oldcollectors.pg_stat_statements import StatementsCollector
from dbopt.stats.diff import Change, Delta, Diff, diff
from dbopt.stats.job import StatsJob
from dbopt.stats.snapshot import take
from dbopt.store import snapshots
from dbopt.store.snapshots import Snapshot
from tests.integration.store_support import create_store, on_connection
from tests.support import wait_until

SETTINGS = Stats()
SCHEMA = """
CREATE TABLE item (id int PRIMARY KEY, tag int, note text);
INSERT INTO item SELECT g, g % 10, 'note ' || g FROM generate_series(1, 2000) g;
CREATE INDEX item_tag ON item (tag);
ANALYZE item;
"""
BY_TAG = "SELECT count(*) FROM item WHERE tag = 3"
SECRET = "SELECT note FROM item WHERE note = 'my secret'"


@pytest.fixture
def dsn(pg_dsn: str) -> str:
    return prepared(pg_dsn)


def prepared(dsn: str) -> str:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(SCHEMA)
    wait_for_counts(dsn, "n_tup_ins", 2000)
    return create_store(dsn)


def wait_for_counts(dsn: str, counter: str, value: int) -> None:
    """Sessions hand their counts in when they end, and a little later than that."""

    def reached() -> bool:
        with psycopg.connect(dsn, autocommit=True) as conn:
            row = conn.execute(
                f"SELECT {counter} FROM pg_stat_user_tables WHERE relname = 'item'"
            ).fetchone()
        return row is not None and row[0] >= value

    wait_until(reached, what=f"{counter} of item to be {value}")


def snap(dsn: str, settings: Stats = SETTINGS) -> Snapshot:
    async def work(conn: AsyncConnection) -> Snapshot:
        return await take(conn, conn, await read_server(conn), settings)

    return on_connection(dsn, work)


def reload(dsn: str, number: int) -> Snapshot:
    tables = [view.table for view in VIEWS]
    return on_connection(dsn, lambda conn: snapshots.load(conn, number, tables))


def load(dsn: str) -> None:
    """5 index scans, 2 sequential scans, 30 rows in, 10 changed, 5 out."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("SET enable_seqscan = off")
        for _ in range(5):
            conn.execute(BY_TAG)
        conn.execute("RESET enable_seqscan")
        for _ in range(2):
            conn.execute(SECRET)
        conn.execute("INSERT INTO item SELECT g, -1, 'more' FROM generate_series(3001, 3030) g")
        # By equality: a range makes the planner look up an index's ends, which counts as scans.
        for number in range(3001, 3011):
            conn.execute("UPDATE item SET note = 'changed' WHERE id = %s", (number,))
        for number in range(3001, 3006):
            conn.execute("DELETE FROM item WHERE id = %s", (number,))
    wait_for_counts(dsn, "n_tup_ins", 2030)


def named(change: Diff, view: str, name: str) -> Delta:
    (found,) = [d for d in change.views[view].deltas if d.labels["name"] == name]
    return found


def of_text(change: Diff, text: str) -> Delta:
    number = fingerprint(text)
    found = [d for d in change.views["statements"].deltas if d.labels["fingerprint"] == number]
    assert len(found) == 1, f"{len(found)} rows of {text}"
    return found[0]


def assert_items(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> None:
    assert dict(expected) == {key: actual[key] for key in expected}


def check_known_load(dsn: str) -> Diff:
    before = snap(dsn)
    load(dsn)
    after = reload(dsn, snap(dsn).header.id)
    change = diff(reload(dsn, before.header.id), after, VIEWS)
    table = named(change, "tables", "item")
    assert table.change is Change.SAME
    assert_items(
        {"seq_scan": 2, "seq_tup_read": 4000, "n_tup_ins": 30, "n_tup_upd": 10, "n_tup_del": 5},
        table.grown,
    )
    assert named(change, "indexes", "item_tag").grown["idx_scan"] == 5
    # Not 45: to check a new row's key is no scan.
    assert named(change, "indexes", "item_pkey").grown["idx_scan"] == 15
    assert_items({"calls": 5, "rows": 5}, of_text(change, BY_TAG).grown)
    assert_items({"calls": 2, "rows": 0}, of_text(change, SECRET).grown)
    # dbopt's own snapshot, in the same database, writes rows too.
    database = change.views["database"].deltas[0].grown
    assert (database["tup_inserted"] or 0) > 30
    assert (database["tup_updated"] or 0) >= 10
    assert (database["tup_deleted"] or 0) >= 5
    return change


def test_a_known_load_gives_exactly_known_differences(dsn: str) -> None:
    change = check_known_load(dsn)
    assert not any(view.reset for view in change.views.values())
    assert change.after.findings == ()


def test_a_known_load_on_15(pg15_dsn: str) -> None:
    change = check_known_load(prepared(pg15_dsn))
    assert change.after.version_num // 10000 == 15
    assert change.after.statements_dealloc is not None


def test_nothing_of_dbopts_own_is_in_it(dsn: str) -> None:
    snap(dsn)
    taken = snap(dsn)
    assert "dbopt" not in {row["schema"] for row in taken.rows["snapshot_table"]}
    assert "dbopt" not in {row["schema"] for row in taken.rows["snapshot_index"]}
    assert [text for text in taken.texts.values() if "dbopt" in text] == []
    assert [text for text in taken.texts.values() if "pg_stat" in text.lower()] == [
        text for text in taken.texts.values() if "pg_stat_user_tables WHERE relname" in text
    ]


def test_no_literal_is_stored(dsn: str) -> None:
    load(dsn)
    with psycopg.connect(dsn, autocommit=True) as conn:
        nobody = "nobody_of_" + conninfo_to_dict(dsn)["dbname"]
        conn.execute(f"CREATE ROLE {nobody} PASSWORD 'my secret'")
        conn.execute(f"DROP ROLE {nobody}")
        conn.execute("SELECT set_config('application_name', 'my secret', false)")
    snap(dsn)
    with psycopg.connect(dsn) as conn:
        texts = conn.execute("SELECT text FROM dbopt.statement").fetchall()
    assert any("FROM item WHERE note =" in text for (text,) in texts)
    assert "my secret" not in str(texts)


def test_a_reset_is_seen_and_the_new_value_stands_alone(dsn: str) -> None:
    load(dsn)
    before = snap(dsn)
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("SELECT pg_stat_reset(), pg_stat_statements_reset()")
        conn.execute(BY_TAG)
        conn.execute("INSERT INTO item VALUES (9001, 1, 'x'), (9002, 1, 'y')")
    wait_for_counts(dsn, "n_tup_ins", 2)
    change = diff(before, snap(dsn), VIEWS)
    table = named(change, "tables", "item")
    assert (table.change, table.grown["n_tup_ins"]) == (Change.RESET, 2)
    statement = of_text(change, BY_TAG)
    assert (statement.change, statement.grown["calls"]) == (Change.RESET, 1)
    assert change.views["tables"].reset
    assert change.views["statements"].reset


def test_a_reset_of_one_table_is_seen(dsn: str) -> None:
    before = snap(dsn)
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("SELECT pg_stat_reset_single_table_counters('item'::regclass)")
        conn.execute("INSERT INTO item VALUES (9001, 1, 'x')")
    wait_for_counts(dsn, "n_tup_ins", 1)
    change = diff(before, snap(dsn), VIEWS)
    table = named(change, "tables", "item")
    assert (table.change, table.grown["n_tup_ins"]) == (Change.RESET, 1)
    # pg_stat_reset_single_table_counters moves the whole database's stats_reset too.
    assert named(change, "indexes", "item_tag").change in (Change.RESET, Change.SAME)


def test_new_and_vanished_objects(dsn: str) -> None:
    before = snap(dsn)
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("CREATE TABLE fresh (id int); INSERT INTO fresh VALUES (1), (2)")
        conn.execute("DROP INDEX item_tag")

    def flushed() -> bool:
        with psycopg.connect(dsn, autocommit=True) as conn:
            row = conn.execute(
                "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'fresh'"
            ).fetchone()
        return row == (2,)

    wait_until(flushed, what="the inserts to be counted")
    change = diff(before, snap(dsn), VIEWS)
    fresh = named(change, "tables", "fresh")
    assert (fresh.change, fresh.grown["n_tup_ins"]) == (Change.NEW, 2)
    assert [row["name"] for row in change.views["indexes"].vanished] == ["item_tag"]


@pytest.mark.pg(">= 17")
def test_a_truncated_list_says_nothing_of_what_it_left_out(dsn: str) -> None:
    """BY_TAG ran before the first snapshot, which kept one other statement alone."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("SELECT pg_stat_statements_reset()")
        conn.execute("SELECT pg_sleep(0.05)")
        conn.execute(BY_TAG)
    before = snap(dsn, replace(SETTINGS, top_statements=1))
    assert "statements" in before.header.truncated
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(BY_TAG)
        conn.execute(SECRET)
    change = diff(before, snap(dsn), VIEWS)
    assert of_text(change, BY_TAG).change is Change.UNKNOWN
    # Its stats_since shows that it began in the period.
    assert of_text(change, SECRET).change is Change.NEW


def test_without_the_extension_there_is_a_finding(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("DROP EXTENSION pg_stat_statements")
    taken = snap(dsn)
    assert taken.rows["snapshot_statement"] == []
    (finding,) = taken.header.findings
    assert (finding.rule, finding.examined) == ("stats-statements", False)
    assert finding.remedy == "CREATE EXTENSION pg_stat_statements;"
    assert len(taken.rows["snapshot_table"]) == 1


def test_an_old_extension_and_a_missing_library_are_told_apart(dsn: str) -> None:
    async def work(conn: AsyncConnection) -> list[str]:
        server = await read_server(conn)
        kinds: list[ServerInfo] = [
            replace(server, statements_version="1.7"),
            replace(server, statements_loaded=False),
        ]
        found = [await StatementsCollector().collect(conn, kind, 10) for kind in kinds]
        return [part.finding.remedy for part in found if part.finding]

    old, missing = on_connection(dsn, work)
    assert old == "ALTER EXTENSION pg_stat_statements UPDATE;"
    assert missing.startswith("Add pg_stat_statements to shared_preload_libraries")


@pytest.mark.pg(">= 15")
def test_older_versions_of_the_extension_are_read(dsn: str) -> None:
    for version in ("1.8", "1.9", "1.10"):
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute("DROP EXTENSION pg_stat_statements")
            try:
                conn.execute(f"CREATE EXTENSION pg_stat_statements VERSION '{version}'")
            except psycopg.errors.UndefinedFile as error:
                pytest.fail(f"no pg_stat_statements {version}: {error}")
            conn.execute(BY_TAG)
        taken = snap(dsn)
        assert fingerprint(BY_TAG) in taken.texts, version
        assert taken.header.findings == (), version
        assert (version == "1.8") == (taken.header.statements_dealloc is None)


@contextmanager
def role(dsn: str, *grants: str) -> Iterator[str]:
    """A plain role, which may use the store; gives its dsn."""
    name = "reader_of_" + conninfo_to_dict(dsn)["dbname"]
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'reader'")
        conn.execute(f"GRANT ALL ON SCHEMA dbopt TO {name}")
        conn.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA dbopt TO {name}")
        for grant in grants:
            conn.execute(f"GRANT {grant} TO {name}")
        try:
            yield make_conninfo(dsn, user=name, password="reader")
        finally:
            conn.execute(f"DROP OWNED BY {name}")
            conn.execute(f"DROP ROLE {name}")


def test_without_pg_monitor_there_are_findings(dsn: str) -> None:
    with psycopg.connect(dsn) as idle, role(dsn) as reader:
        idle.execute("SELECT 1")
        taken = snap(reader)
        name = conninfo_to_dict(reader)["user"]
    found = {finding.rule: finding for finding in taken.header.findings}
    assert {"stats-statements", "stats-activity"} == found.keys()
    assert not any(finding.examined for finding in found.values())
    assert found["stats-activity"].remedy == f'GRANT pg_monitor TO "{name}";'
    states = {row["state"]: row["sessions"] for row in taken.rows["snapshot_activity"]}
    assert states["hidden"] >= 1
    assert len(taken.rows["snapshot_table"]) == 1


def test_with_pg_monitor_there_are_none(dsn: str) -> None:
    with psycopg.connect(dsn) as idle, role(dsn, "pg_monitor") as reader:
        idle.execute("SELECT 1")
        taken = snap(reader)
    assert taken.header.findings == ()
    waiting = {row["state"]: row["wait_event_type"] for row in taken.rows["snapshot_activity"]}
    assert waiting["idle in transaction"] == "Client"


def test_an_exclusive_lock_does_not_block_a_snapshot(dsn: str) -> None:
    with psycopg.connect(dsn) as other:
        other.execute("LOCK TABLE item")
        taken = snap(make_conninfo(dsn, options="-c lock_timeout=1s"))
    (row,) = taken.rows["snapshot_table"]
    assert (row["name"], row["bytes"]) == ("item", None)
    assert taken.header.findings == ()


def test_io_times_are_unknown_without_track_io_timing(dsn: str) -> None:
    taken = snap(make_conninfo(dsn, options="-c track_io_timing=off"))
    assert [row["blk_read_ms"] for row in taken.rows["snapshot_database"]] == [None]
    assert {row["blk_read_ms"] for row in taken.rows["snapshot_statement"]} == {None}
    timed = snap(make_conninfo(dsn, options="-c track_io_timing=on"))
    assert None not in [row["blk_read_ms"] for row in timed.rows["snapshot_database"]]


def test_server_info(dsn: str) -> None:
    server = on_connection(dsn, read_server)
    assert server.database == conninfo_to_dict(dsn)["dbname"]
    assert not server.in_recovery
    assert server.reads_all_stats
    assert server.statements >= 108
    assert server.statements_schema == "public"
    with psycopg.connect(dsn) as conn:
        assert server.version_num == conn.info.server_version


def test_the_job_takes_snapshots_through_the_pool(dsn: str) -> None:
    async def main() -> tuple[Snapshot | None, Snapshot | None]:
        async with control_pool(dsn, SETTINGS) as pool:
            job = StatsJob(pool, pool, SETTINGS)
            await job.run_once()
            first = job.last
            await job.run_once()
            return first, job.last

    first, second = asyncio.run(main())
    assert first is not None
    assert second is not None
    assert first.header.id < second.header.id


def test_the_job_survives_a_missing_store_and_a_missing_server(
    pg_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def main() -> Snapshot | None:
        async with control_pool(pg_dsn, SETTINGS) as pool:
            job = StatsJob(pool, pool, SETTINGS)
            await job.run_once()
        await job.run_once()
        return job.last

    assert asyncio.run(main()) is None
    logged = capsys.readouterr().out
    assert "dbopt migrate upgrade" in logged
    assert "PoolClosed" in logged


def test_the_pools_connections(dsn: str) -> None:
    async def main() -> dict[str, Any]:
        async with control_pool(dsn, SETTINGS) as pool, pool.connection() as conn:
            cursor = await conn.execute(
                "SELECT current_setting('application_name') AS name, "
                "current_setting('statement_timeout') AS timeout"
            )
            row = await cursor.fetchone()
            assert row is not None
            return {**row, "autocommit": conn.autocommit}

    assert asyncio.run(main()) == {"name": "dbopt", "timeout": "10s", "autocommit": True}


def test_a_connection_of_ours_is_not_counted(dsn: str) -> None:
    async def work(conn: AsyncConnection) -> int:
        async with await connect_async(dsn) as other:
            await other.execute("SELECT 1")
            taken = await take(conn, conn, await read_server(conn), SETTINGS)
        return sum(row["sessions"] for row in taken.rows["snapshot_activity"])

    assert on_connection(dsn, work) == 0


def test_a_view_that_is_refused_costs_only_itself(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("REVOKE ALL ON FUNCTION pg_stat_statements(boolean) FROM PUBLIC")
    with role(dsn, "pg_monitor") as reader:
        taken = snap(reader)
    (finding,) = taken.header.findings
    assert (finding.rule, finding.examined) == ("stats-statements", False)
    assert "42501" in finding.message
    assert len(taken.rows["snapshot_table"]) == 1
    assert "snapshot_statement" in taken.rows


def test_a_lost_connection_leaves_no_snapshot(dsn: str) -> None:
    class Ending(StatementsCollector):
        """Its own session is ended while it looks."""

        async def collect(self, conn: AsyncConnection, server: ServerInfo, limit: int) -> Any:
            await conn.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    async def work(conn: AsyncConnection) -> None:
        async with await connect_async(dsn) as store:
            await take(conn, store, await read_server(conn), SETTINGS, [Ending()])

    with pytest.raises(ServerLost, match="Reading statements"):
        on_connection(dsn, work)
    assert on_connection(dsn, snapshots.headers) == []


def test_several_sidecars_at_once(dsn: str) -> None:
    """They write the same texts at the same time: in one order, so that none waits in a ring."""
    load(dsn)

    async def sidecar() -> list[int]:
        async with await connect_async(dsn) as conn:
            taken = [await take(conn, conn, await read_server(conn), SETTINGS) for _ in range(3)]
        return [snapshot.header.id for snapshot in taken]

    async def main() -> list[list[int]]:
        return await asyncio.gather(*(sidecar() for _ in range(4)))

    numbers = [number for each in asyncio.run(main()) for number in each]
    assert len(set(numbers)) == 12


def test_one_text_for_many_queryids(dsn: str) -> None:
    """Lists of different lengths, and two roles: one fingerprint, one text."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("SELECT note FROM item WHERE id IN (1, 2)")
        conn.execute("SELECT note FROM item WHERE id IN (1, 2, 3, 4)")
        conn.execute("select  note\nFROM item WHERE id IN (5)")
    taken = snap(dsn)
    number = fingerprint("SELECT note FROM item WHERE id IN (1, 2)")
    rows = [row for row in taken.rows["snapshot_statement"] if row["fingerprint"] == number]
    assert sum(row["calls"] for row in rows) == 3
    assert taken.texts[number].startswith(("SELECT note", "select note"))


def test_expiry_by_the_settings(dsn: str) -> None:
    snap(dsn)
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("UPDATE dbopt.snapshot SET taken_at = taken_at - interval '2 days'")
    kept = snap(dsn, replace(SETTINGS, retention_days=1.0))
    assert [header.id for header in on_connection(dsn, snapshots.headers)] == [kept.header.id]
