"""Every collector against real servers: 18 and 15, as superuser, pg_monitor and nobody."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.fix_pg import Server, fresh_database
from tests.integration.collectors_support import (
    ALL,
    check_all,
    look,
    plain_role,
    prepared,
    rows_of,
)
from tests.unit.stats.data_pg_columns import CATALOGS, COLUMNS, STATEMENTS, columns

EMPTY_HERE = {
    "database_conflicts", "wal_receiver", "recovery_prefetch", "replication", "progress",
    "replication_slots", "replication_slot_stats", "subscriptions", "prepared_xacts",
    "table_bloat", "index_bloat", "functions", "io", "locks", "activity", "xmin_horizon",
}  # fmt: skip
"""Views with nothing to say on a primary that does nothing, of small tables, or on 15."""


@pytest.fixture(params=["18", "15"])
def dsn(request: pytest.FixtureRequest) -> str:
    made: str = request.getfixturevalue({"18": "pg_dsn", "15": "pg15_dsn"}[request.param])
    return prepared(made)


def test_every_view_as_superuser(dsn: str) -> None:
    with psycopg.connect(dsn) as idle:
        idle.execute("LOCK TABLE item IN SHARE MODE")
        seen = look(dsn)
    check_all(seen)
    assert {name for name in ALL if not seen[name].rows} <= EMPTY_HERE
    assert "GRANT" not in str([c.findings for c in seen.values()])


def test_every_view_as_pg_monitor(dsn: str) -> None:
    with plain_role(dsn, "pg_monitor") as monitor:
        seen = look(monitor)
    check_all(seen)
    assert {name for name in ALL if not seen[name].rows} <= EMPTY_HERE
    assert "GRANT" not in str([c.findings for c in seen.values()])


def test_every_view_as_nobody(dsn: str) -> None:
    with plain_role(dsn) as nobody:
        seen = look(nobody)
        role = conninfo_to_dict(nobody)["user"]
    check_all(seen)
    hidden = {name for name, c in seen.items() if "GRANT" in str([f.remedy for f in c.findings])}
    # An autovacuum or a standby may be there by chance.
    assert hidden - {"progress", "replication"} == {
        "statements", "activity", "connections", "xmin_horizon", "settings", "wal_directory",
    }  # fmt: skip
    for name in hidden:
        assert f'GRANT pg_monitor TO "{role}";' in [f.remedy for f in seen[name].findings]


@pytest.mark.parametrize("backend", ["pg_backend", "pg15_backend"])
def test_the_documented_columns_are_the_servers(
    backend: str, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(backend)
    extension = {13: 108, 14: 109, 15: 110, 16: 110, 17: 111, 18: 112}[server.major]
    with fresh_database(server) as made, psycopg.connect(made) as conn:
        for known, version in ((COLUMNS, server.major), (STATEMENTS, extension)):
            for view, words in known.items():
                assert columns(words, version) == server_columns(conn, view), view
        for catalog, words in CATALOGS.items():
            assert columns(words, server.major) <= server_columns(conn, catalog), catalog


def server_columns(conn: psycopg.Connection, relation: str) -> set[str]:
    found = conn.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0",
        (relation,),
    )
    return {name for (name,) in found}


def test_nothing_waits_for_a_lock(dsn: str) -> None:
    with psycopg.connect(dsn) as other:
        other.execute("LOCK TABLE item")
        other.execute("ALTER SEQUENCE short_id_seq RESTART 5")
        seen = look(dsn)
    check_all(seen)
    (table,) = rows_of(seen["table_storage"], relname="item")
    assert table["table_bytes"] == table["relpages"] * 8192
    (sequence,) = rows_of(seen["sequences"], relname="short_id_seq")
    assert sequence["last_value"] is None
    granted = rows_of(seen["locks"], mode="AccessExclusiveLock", granted=1)
    assert granted
