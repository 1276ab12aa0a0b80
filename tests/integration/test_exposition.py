"""What real servers, new and old, look like to Prometheus."""

from __future__ import annotations

import psycopg
import pytest

from dbopt.metrics import Metrics
from dbopt.metricsettings import Metrics as Settings
from dbopt.pg.connect import AsyncConnection
from dbopt.pg.server import ServerInfo, read_server
from dbopt.stats.exposition.source import DEFINITIONS, Exposition
from tests.integration.collectors_support import look
from tests.integration.store_support import on_connection
from tests.unit.stats.exposition.rows import values


def server_of(dsn: str) -> ServerInfo:
    async def work(conn: AsyncConnection) -> ServerInfo:
        return await read_server(conn)

    return on_connection(dsn, work)


@pytest.mark.parametrize("fixture", ["pg_dsn", "pg15_dsn"])
def test_every_view_of_a_server_can_be_shown(fixture: str, request: pytest.FixtureRequest) -> None:
    dsn = request.getfixturevalue(fixture)
    with psycopg.connect(dsn, autocommit=True) as conn:
        # A session that ends tells at once what it has counted.
        with psycopg.connect(dsn, autocommit=True) as brief:
            brief.execute("CREATE TABLE songs (id int PRIMARY KEY, title text)")
            brief.execute("SELECT count(*) FROM songs")
        conn.execute("SELECT pg_create_physical_replication_slot(current_database(), true)")
        try:
            with psycopg.connect(dsn):  # a session to be seen
                latest, server = look(dsn), server_of(dsn)
        finally:
            conn.execute("SELECT pg_drop_replication_slot(current_database())")
    source = Exposition(Settings(), lambda: latest, lambda: server, lambda: True, lambda: True)
    metrics = Metrics("1")
    metrics.add(source, DEFINITIONS)
    assert metrics.render()[0]
    found = values(source)
    table = (server.database, "public", "songs")
    assert 1 <= found["pg_stat_user_tables_seq_scan", table]  # to build its index is another
    assert 0 < found["dbopt_index_size_bytes", (*table, "songs_pkey")]
    assert 0 == found["pg_replication_slots_active", (server.database, "")]
    assert 1 == found["pg_replication_slot_wal_status", (server.database, "physical", "reserved")]
    assert 1 < found["pg_settings_max_connections", ()]
    names = {name for name, _ in found}
    assert (server.major >= 16) == ("pg_stat_io_reads_total" in names)
    assert {
        "pg_stat_bgwriter_checkpoints_timed_total",
        "pg_stat_checkpointer_write_time_total",
    } <= names
    assert {"pg_stat_activity_count", "pg_stat_wal_wal_bytes"} <= names
